"""Reading objects: streamed, whole or a range, and measured."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

from offloader.errors import Gone, Permanent
from offloader_connectors.s3.bucket import Bucket
from offloader_connectors.s3.trouble import CAUGHT, Attempt, OutOfRange, translate

CHUNK = 256 << 10


class Reading:
    """A stream of one object's bytes; gives its connection back at the end, on `close`, or when it is dropped."""

    def __init__(self, body: Any, attempt: Attempt) -> None:
        self._body, self._attempt = body, attempt

    def __iter__(self) -> Reading:
        return self

    def __next__(self) -> bytes:
        if self._body is None:
            raise StopIteration
        try:
            chunk: bytes = self._body.read(CHUNK)
        except CAUGHT as error:
            self.close()
            raise translate(error, self._attempt) from error
        if not chunk:
            self.close()
            raise StopIteration
        return chunk

    def close(self) -> None:
        body, self._body = self._body, None
        if body is not None:
            body.close()

    def __del__(self) -> None:
        self.close()


def read(bucket: Bucket, name: str, offset: int, length: int | None) -> Iterator[bytes]:
    """Open a stream. Raises Gone if there is no such object; beyond its end there is nothing."""
    if offset < 0 or (length is not None and length < 0):
        raise Permanent(f"store {bucket.store}: cannot read {name}: a range must not be negative")
    if length == 0:
        bucket.call("head_object", "read", name)
        return iter(())
    given = {}
    if offset or length is not None:
        given["Range"] = f"bytes={offset}-{'' if length is None else offset + length - 1}"
    try:
        answer = bucket.call("get_object", "read", name, **given)
    except OutOfRange:
        return iter(())
    stream = Reading(answer["Body"], Attempt(bucket.store, bucket.options.region, "read", name))
    if given and not str(answer.get("ContentRange", "")).startswith(f"bytes {offset}-"):
        stream.close()
        raise Permanent(f"store {bucket.store}: cannot read a part of {name}: the server sends the whole")
    return stream


def measure(bucket: Bucket, name: str) -> tuple[int, str] | None:
    """Read the object back: size and SHA-256 (hex) of what came; None if there is none."""
    sha256 = hashlib.sha256()
    size = 0
    try:
        for chunk in read(bucket, name, 0, None):
            sha256.update(chunk)
            size += len(chunk)
    except Gone:
        return None
    return size, sha256.hexdigest()


def head(bucket: Bucket, name: str) -> Mapping[str, Any] | None:
    """What the server says of an object, its checksum too; None if there is none."""
    given = {} if bucket.options.checksum == "off" else {"ChecksumMode": "ENABLED"}
    try:
        return bucket.call("head_object", "look at", name, **given)
    except Gone:
        return None
