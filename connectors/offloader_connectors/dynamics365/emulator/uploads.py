"""Bodies of requests that are too large to be held: raw files, and JSON with long Base64 texts."""

from __future__ import annotations

import binascii
import json
import re
import secrets
from typing import Any

from offloader_connectors.emulation.blobs import Blob, Blobs, Spool
from offloader_connectors.emulation.wire import Request

#: bytes of a JSON string from which it is taken for Base64 and kept on disk; longer than any plain column
LONG = 2 * 1024 * 1024
_STOP = re.compile(rb'["\\]')
_QUANTUM = 4
#: stands for a text that was to be Base64 and is not; itself none
NOT_BASE64 = "!"


class Whole:
    """Keeps a body in memory."""

    def __init__(self) -> None:
        self._chunks: list[bytes] = []

    def write(self, chunk: bytes) -> None:
        self._chunks.append(chunk)

    def done(self, request: Request) -> None:
        request.body = b"".join(self._chunks)

    def discard(self) -> None:
        self._chunks.clear()


class Nothing:
    """Reads a body away that will be refused anyhow."""

    def write(self, chunk: bytes) -> None:
        pass

    def done(self, request: Request) -> None:
        pass

    def discard(self) -> None:
        pass


class RawFile:
    """A body as a blob."""

    def __init__(self, blobs: Blobs) -> None:
        self._spool = blobs.spool()

    def write(self, chunk: bytes) -> None:
        self._spool.write(chunk)

    def done(self, request: Request) -> None:
        request.blob = self._spool.done()

    def discard(self) -> None:
        self._spool.discard()


class _Decoder:
    """Base64 in pieces of any length, decoded into a blob."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._carry = b""
        self._ended = self.bad = False

    def feed(self, text: bytes) -> None:
        data = self._carry + text
        whole = len(data) - len(data) % _QUANTUM
        self._carry = data[whole:]
        if self.bad or not whole:
            return
        try:
            decoded = binascii.a2b_base64(memoryview(data)[:whole], strict_mode=True)
        except binascii.Error:
            self.bad = True
            return
        self.bad = self._ended
        self._ended = data[whole - 1] == ord("=")
        self._spool.write(decoded)

    def done(self) -> Blob | None:
        return None if self.bad or self._carry else self._spool.done()


class LongTexts:
    """JSON whose long strings become blobs: `request.data` has them as `Blob` values, all else as usual."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        self._out = bytearray()
        self._string: bytearray | None = None
        self._escape = b""
        self._decoder: _Decoder | None = None
        self._spool: Spool | None = None
        self._mark = secrets.token_hex(12)
        self._found: list[Blob | None] = []

    def write(self, chunk: bytes) -> None:
        at = 0
        while at < len(chunk):
            at = self._outside(chunk, at) if self._string is None else self._inside(chunk, at)

    def _outside(self, chunk: bytes, at: int) -> int:
        quote = chunk.find(b'"', at)
        end = len(chunk) if quote < 0 else quote + 1
        self._out += chunk[at:end]
        if quote >= 0:
            self._string = bytearray()
        return end

    def _inside(self, chunk: bytes, at: int) -> int:
        if self._escape:
            return self._escaped(chunk, at)
        match = _STOP.search(chunk, at)
        end = match.start() if match else len(chunk)
        self._text(chunk[at:end])
        if match is None:
            return end
        if match[0] == b'"':
            self._close()
        else:
            self._escape = b"\\"
        return end + 1

    def _escaped(self, chunk: bytes, at: int) -> int:
        r"""`\/` and `\u002b` may stand in Base64, cut anywhere by the ends of chunks."""
        self._escape += chunk[at : at + 1]
        if self._escape[1:2] != b"u" or len(self._escape) == 6:
            escape, self._escape = self._escape, b""
            self._text(escape if self._decoder is None else _unescaped(escape))
        return at + 1

    def _text(self, data: bytes) -> None:
        assert self._string is not None
        if self._decoder is not None:
            self._decoder.feed(data)
            return
        self._string += data
        if len(self._string) > LONG:
            self._spool = self._blobs.spool()
            self._decoder = _Decoder(self._spool)
            self._decoder.feed(_unescaped(bytes(self._string)))

    def _close(self) -> None:
        assert self._string is not None
        if self._decoder is None:
            self._out += self._string + b'"'
        else:
            self._out += f'{self._mark}{len(self._found)}"'.encode()
            self._found.append(self._decoder.done())
            self.discard()
        self._string = None

    def done(self, request: Request) -> None:
        request.body = bytes(self._out)
        if self._found:
            try:
                request.data = self._filled(json.loads(request.body))
            except ValueError:
                return

    def _filled(self, value: Any) -> Any:
        if isinstance(value, str) and value.startswith(self._mark):
            blob = self._found[int(value.removeprefix(self._mark))]
            return NOT_BASE64 if blob is None else blob
        if isinstance(value, dict):
            return {name: self._filled(item) for name, item in value.items()}
        return [self._filled(item) for item in value] if isinstance(value, list) else value

    def discard(self) -> None:
        if self._spool is not None:
            self._spool.discard()
        self._spool = self._decoder = None


def _unescaped(text: bytes) -> bytes:
    if b"\\" not in text:
        return text
    try:
        return str(json.loads(b'"' + text + b'"')).encode()
    except ValueError:
        return NOT_BASE64.encode()
