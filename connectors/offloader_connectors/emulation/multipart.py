"""Streaming multipart bodies: binary parts go to disk while they arrive."""

from __future__ import annotations

from collections.abc import AsyncIterator
from email.message import Message
from typing import Any

from python_multipart.multipart import MultipartParser

from offloader_connectors.emulation.blobs import Blobs, Spool
from offloader_connectors.emulation.wire import Part

_MEMORY = 1024 * 1024


class _Reader:
    """Collects the parts out of the parser's callbacks."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        self.parts: list[Part] = []
        self._headers = Message()
        self._field = self._value = b""
        self._memory = bytearray()
        self._spool: Spool | None = None

    def on_part_begin(self) -> None:
        self._headers, self._memory, self._spool = Message(), bytearray(), None

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def on_header_end(self) -> None:
        self._headers[self._field.decode("latin-1")] = self._value.decode("utf-8", "surrogateescape")
        self._field = self._value = b""

    def on_headers_finished(self) -> None:
        named = self._headers.get_param("filename", header="content-disposition")
        if named and self._headers.get_content_type() != "application/json":
            self._spool = self._blobs.spool()

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._spool is None and len(self._memory) + end - start > _MEMORY:
            self._spool = self._blobs.spool()
            self._spool.write(bytes(self._memory))
            self._memory.clear()
        if self._spool is not None:
            self._spool.write(data[start:end])
        else:
            self._memory += data[start:end]

    def on_part_end(self) -> None:
        def parameter(name: str) -> str | None:
            value = self._headers.get_param(name, header="content-disposition")
            return None if value is None else str(value)

        data = bytes(self._memory) if self._spool is None else self._spool.done()
        self.parts.append(Part(parameter("name") or "", parameter("filename"), self._headers.get_content_type(), data))
        self._spool = None

    def discard(self) -> None:
        if self._spool is not None:
            self._spool.discard()


async def read_multipart(content_type: str, chunks: AsyncIterator[bytes], blobs: Blobs) -> list[Part]:
    """Read all parts. Raises ValueError for a body that is not what its content type says."""
    header = Message()
    header["content-type"] = content_type
    boundary = header.get_boundary()
    if not boundary:
        raise ValueError("a multipart body without a boundary")
    reader = _Reader(blobs)
    names = ("part_begin", "part_data", "part_end", "header_field", "header_value", "header_end", "headers_finished")
    callbacks: Any = {f"on_{name}": getattr(reader, f"on_{name}") for name in names}
    parser = MultipartParser(boundary.encode(), callbacks)
    try:
        async for chunk in chunks:
            parser.write(chunk)
        parser.finalize()
    finally:
        reader.discard()
    return reader.parts
