"""Multipart bodies, streamed: one JSON part and one binary part (REST API guide, "Insert or Update Blob Data")."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from offloader.errors import IntegrityError


def boundary_for(fields: Mapping[str, Any], seed: float) -> str:
    """A boundary that the body does not contain, but for a chance of 2 to the power of -128."""
    text = json.dumps(fields, sort_keys=True, default=str) + repr(seed)
    return "offloader-" + hashlib.sha256(text.encode()).hexdigest()[:32]


class Multipart:
    """`headers` and an iterable body. With `size` the length is declared, and a body of any other size is an error."""

    def __init__(
        self,
        part: str,
        fields: Mapping[str, Any],
        chunks: Iterable[bytes],
        *,
        blob: str,
        file_name: str,
        size: int | None,
        boundary: str,
    ) -> None:
        self._size = size
        safe = "".join(
            letter if letter.isascii() and letter.isprintable() and letter not in '"\\' else "_" for letter in file_name
        )
        self._head = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="{part}"\r\nContent-Type: application/json\r\n\r\n'
            f"{json.dumps(fields)}\r\n"
            f'--{boundary}\r\nContent-Disposition: form-data; name="{blob}"; filename="{safe or "file"}"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        ).encode()
        self._tail = f"\r\n--{boundary}--\r\n".encode()
        self._chunks = chunks
        self.headers = {"Content-Type": f'multipart/form-data; boundary="{boundary}"'}
        if self._size is not None:
            self.headers["Content-Length"] = str(len(self._head) + self._size + len(self._tail))

    def __iter__(self) -> Iterator[bytes]:
        yield self._head
        sent = 0
        for chunk in self._chunks:
            sent += len(chunk)
            if self._size is not None and sent > self._size:
                raise IntegrityError(f"the body is longer than its {self._size} bytes")
            if chunk:
                yield chunk
        if self._size is not None and sent != self._size:
            raise IntegrityError(f"the body has {sent} bytes instead of {self._size}")
        yield self._tail
