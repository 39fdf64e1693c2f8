"""One bucket's calls: names below the prefix, errors in our words, and how an object is to be written."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from offloader.errors import Permanent
from offloader_connectors.s3.client import Clients
from offloader_connectors.s3.trouble import CAUGHT, Attempt, translate

_KEY = re.compile(r"(?:(?!\.{1,2}(?:/|\Z))[A-Za-z0-9\-_.]+(?:/(?!\Z)|\Z))+")
#: bytes of a name, "Object key naming guidelines" of the S3 user guide
_LONGEST_NAME = 1024
#: "~" is in no key, so that nothing below it is ever listed as an object
MARKER = "~offloader"
#: operation of boto3, and whether its answer, when lost, may hide an act that was carried out
_WRITES = frozenset(
    {
        "abort_multipart_upload",
        "complete_multipart_upload",
        "create_multipart_upload",
        "delete_object",
        "put_object",
        "put_object_legal_hold",
        "put_object_retention",
        "upload_part",
    }
)


class Bucket:
    """Calls the server for one store. Raises errors of ours only. Safe for threads."""

    def __init__(self, name: str, clients: Clients, now: Callable[[], datetime]) -> None:
        self.store, self.options = name, clients.options
        self.clients, self._now = clients, now
        self.marker = clients.options.prefix + MARKER

    def name(self, key: str) -> str:
        """The object's name in the bucket. Raises Permanent for what is no key."""
        name = self.options.prefix + key
        if not _KEY.fullmatch(key) or len(name) > _LONGEST_NAME:
            raise Permanent(f"store {self.store}: {key[:200]!r} is no valid key")
        return name

    def key(self, name: object) -> str | None:
        """The key of a listed name, None for one that is not ours."""
        if not isinstance(name, str) or not name.startswith(self.options.prefix):
            return None
        key = name[len(self.options.prefix) :]
        return key if _KEY.fullmatch(key) else None

    def call(self, operation: str, action: str, name: str, **parameters: Any) -> Mapping[str, Any]:
        """Run one operation of the S3 client on an object. `action` is a verb for the message."""
        attempt = self._attempt(operation, action, name)
        try:
            method = getattr(self.clients.s3, operation)
            answer: Mapping[str, Any] = method(Bucket=self.options.bucket, Key=name, **parameters)
        except CAUGHT as error:
            raise translate(error, attempt) from error
        return answer

    def pages(self, operation: str, prefix: str, **parameters: Any) -> Iterator[Mapping[str, Any]]:
        """Run a listing operation, page by page. `prefix` is one of names."""
        attempt = self._attempt(operation, "list", prefix or "/")
        try:
            paginator = self.clients.s3.get_paginator(operation)
            yield from paginator.paginate(Bucket=self.options.bucket, Prefix=prefix, **parameters)
        except CAUGHT as error:
            raise translate(error, attempt) from error

    def presign(self, name: str, seconds: int, **parameters: str) -> str:
        """A link to one object. Makes no call to the server."""
        attempt = self._attempt("get_object", "make a link to", name)
        try:
            url: str = self.clients.s3.generate_presigned_url(
                "get_object", Params={"Bucket": self.options.bucket, "Key": name, **parameters}, ExpiresIn=seconds
            )
        except CAUGHT as error:
            raise translate(error, attempt) from error
        return url

    def writing(self, *, sha256: str | None = None) -> dict[str, Any]:
        """How every object is written: class, key, tags and lock; with its SHA-256 (hex) in its metadata."""
        options = self.options
        given: dict[str, Any] = {}
        if sha256 is not None:
            given["Metadata"] = {"sha256": sha256}
        if options.storage_class is not None:
            given["StorageClass"] = options.storage_class
        if options.kms_key is not None:
            given |= {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": options.kms_key}
        if options.tags:
            given["Tagging"] = urlencode(options.tags)
        lock = options.object_lock
        if lock is not None and lock.days is not None:
            given |= self.retention(lock.days)
        if lock is not None and lock.legal_hold:
            given["ObjectLockLegalHoldStatus"] = "ON"
        return given

    def retention(self, days: int) -> dict[str, Any]:
        """Lock for so many days from now, in the configured mode."""
        mode = self.options.object_lock.mode if self.options.object_lock is not None else "GOVERNANCE"
        return {"ObjectLockMode": mode, "ObjectLockRetainUntilDate": self._now() + timedelta(days=days)}

    def ensure_locked(self, name: str) -> None:
        """Lock an object in parts if its upload was begun with a lock and the server has forgotten it since."""
        lock = self.options.object_lock
        if lock is None or (lock.days is None and not lock.legal_hold):
            return
        head = self.call("head_object", "look at", name)
        if lock.days is not None and "ObjectLockMode" not in head:
            until = self.retention(lock.days)["ObjectLockRetainUntilDate"]
            self.call("put_object_retention", "lock", name, Retention={"Mode": lock.mode, "RetainUntilDate": until})
        if lock.legal_hold and head.get("ObjectLockLegalHoldStatus") != "ON":
            self.call("put_object_legal_hold", "lock", name, LegalHold={"Status": "ON"})

    def checked(self, sha256: str) -> dict[str, str]:
        """The SHA-256 (hex) for the server to check; nothing where it cannot.

        The algorithm is named too: some servers check only then.
        """
        if self.options.checksum == "off":
            return {}
        return {"ChecksumAlgorithm": "SHA256", "ChecksumSHA256": b64(sha256)}

    def _attempt(self, operation: str, action: str, name: str) -> Attempt:
        subject = name.removeprefix(self.options.prefix) or name
        return Attempt(self.store, self.options.region, action, subject, operation in _WRITES)


def told(answer: Mapping[str, Any], field: str) -> Any:
    """A field that every answer of this kind has. Raises Permanent for a server that leaves it out."""
    value = answer.get(field)
    if value is None:
        raise Permanent(f"the server's answer lacks {field}: it does not speak S3 as it must")
    return value


def b64(sha256: str) -> str:
    """A digest in hex, as S3 writes it."""
    return base64.b64encode(bytes.fromhex(sha256)).decode("ascii")


def composite(parts: list[str]) -> str:
    """What S3 answers for an object in parts: the digest of the parts' digests (hex), and their number."""
    whole = hashlib.sha256(b"".join(map(bytes.fromhex, parts))).hexdigest()
    return f"{b64(whole)}-{len(parts)}"
