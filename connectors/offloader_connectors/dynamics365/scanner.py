"""Reading a list answer with large bodies while it arrives, in constant memory.

`{"@odata.context": …, "value": [{"annotationid": "…", "documentbody": "…"}, …]}`: the bodies are decoded piece by
piece by C code (bytes.find, pybase64), everything else is small and goes through the standard JSON parser. A body ends
well only once its row, and after the last row the whole answer, has ended as it must.
"""

from __future__ import annotations

import binascii
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NoReturn

import pybase64

from offloader.errors import IntegrityError, OffloaderError, Transient

#: most bytes of JSON of a member that is no body
SMALL = 1 << 20
_SPACE = re.compile(rb"[ \t\r\n]*")
_SCALAR = re.compile(rb"[^ \t\r\n,\[\]{}\"]*")
_BRACKETS = re.compile(rb'["\[\]{}]')
_BLANKS = b" \t\r\n"
#: line breaks in Base64 are harmless
_LENIENT = json.JSONDecoder(strict=False)


@dataclass(slots=True)
class Row:
    """One row. `members` has all but the body; while the body streams, only those that stood before it.

    `chunks` is None where the body is null or missing. They must be consumed before the next row is asked for. They
    raise IntegrityError if the body is no Base64, Transient if the answer breaks off.
    """

    members: dict[str, Any] = field(default_factory=dict)
    chunks: Iterator[bytes] | None = None


class Base64:
    """Decodes Base64 text that comes in pieces of any size. Blanks are passed over; anything else is refused."""

    def __init__(self) -> None:
        self._carry = b""
        self._padded = False

    def decode(self, text: bytes) -> bytes:
        """Decode what is whole so far. Raises IntegrityError for what is no Base64."""
        whole = self._carry + text if self._carry else text
        cut = len(whole) & ~3
        try:
            data = pybase64.b64decode(memoryview(whole)[:cut], validate=True)
        except (binascii.Error, ValueError):
            stripped = whole.translate(None, _BLANKS)
            if len(stripped) == len(whole):
                raise IntegrityError("the body is not Base64") from None
            self._carry = b""
            return self.decode(stripped)
        self._carry = whole[cut:]
        if cut:
            if self._padded:
                raise IntegrityError("the body goes on after its end")
            self._padded = whole[cut - 1] == 0x3D
        return data

    def end(self) -> None:
        """Raises IntegrityError if the text ended inside a quantum."""
        if self._carry.translate(None, _BLANKS):
            raise IntegrityError("the body's Base64 breaks off inside a quantum")


class ListScanner:
    """Yields the rows of one answer. Raises Transient when it is cut off, garbled, or goes on after its end.

    `body` names the member with the Base64 text, `key` the one that says whose it is. A body that stands before the
    key is held until the row ends; it may have up to `held` bytes.
    """

    def __init__(self, chunks: Iterable[bytes], *, body: str, key: str, held: int) -> None:
        self._text = _Text(chunks)
        self._body = body
        self._key = key
        self._held = held
        #: whether another row follows
        self._more = False
        self._broken: OffloaderError | None = None
        #: members of the answer itself, such as @odata.nextLink; all of them once the last row has ended
        self.members: dict[str, Any] = {}

    def __iter__(self) -> Iterator[Row]:
        self._open()
        while self._more:
            yield from self._row()
            if self._broken is not None:
                raise self._broken

    def _row(self) -> Iterator[Row]:
        self._text.take(b"{")
        row = Row()
        if not self._fill(row, first=True):
            self._end_row()
            yield row
        elif self._key in row.members:
            chunks = self._stream(row)
            row.chunks = body = Body(chunks, lambda: _drain(chunks))
            yield row
            body.give_up()
        else:
            row.chunks = self._hold(row)
            yield row

    def _open(self) -> None:
        self._text.take(b"{")
        first = True
        while (name := self._text.name(first)) is not None:
            first = False
            if name == "value":
                self._text.take(b"[")
                self._more = self._text.peek() != b"]"
                if not self._more:
                    self._text.take(b"]")
                    self._close()
                return
            self.members[name] = self._text.value()
        raise Transient("the answer has no list of rows")

    def _fill(self, row: Row, *, first: bool) -> bool:
        """Read members until the body's text begins, or the row ends. Whether there is a body."""
        while (name := self._text.name(first)) is not None:
            first = False
            if name == self._body and self._text.peek() == b'"':
                self._text.take(b'"')
                return True
            row.members[name] = self._text.value()
        return False

    def _end_row(self) -> None:
        self._more = self._text.take(b",]") == b","
        if not self._more:
            self._close()

    def _close(self) -> None:
        while (name := self._text.name(False)) is not None:
            if name == "value":
                self._text.garbled()
            self.members[name] = self._text.value()
        self._text.end()

    def _stream(self, row: Row) -> Iterator[bytes]:
        """Decode the body that begins here, and go on to the end of its row."""
        decoder = Base64()
        bad: IntegrityError | None = None
        try:
            for piece in self._text.pieces():
                if bad is None:
                    try:
                        data = decoder.decode(_unescaped(piece))
                    except IntegrityError as error:
                        bad = error
                        continue
                    if data:
                        yield data
            if self._fill(row, first=False):
                self._text.garbled()
            self._end_row()
        except OffloaderError as error:
            self._broken = error
            raise
        if bad is None:
            decoder.end()
        else:
            raise bad

    def _hold(self, row: Row) -> Iterator[bytes]:
        held: list[bytes] = []
        total = 0
        fault: IntegrityError | None = None
        try:
            for chunk in self._stream(row):
                total += len(chunk)
                if total <= self._held:
                    held.append(chunk)
                else:
                    held.clear()
        except IntegrityError as error:
            fault = error
        if total > self._held:
            fault = IntegrityError(f"the body has more than the {self._held} bytes that were expected")
        return _failing(fault) if fault else iter(held)


class Body(Iterator[bytes]):
    """A body's chunks; after it was given up they raise Transient, never end.

    `drop` is called when it is given up before its end, whether any chunk was asked for or not.
    """

    def __init__(self, chunks: Iterator[bytes], drop: Callable[[], None]) -> None:
        self._chunks = chunks
        self._drop = drop
        self._ended = False
        self._given_up = False

    def __next__(self) -> bytes:
        if self._given_up:
            raise Transient("the body was given up before its end")
        try:
            return next(self._chunks)
        except (StopIteration, OffloaderError):
            self._ended = True
            raise

    def give_up(self) -> None:
        """Give up what was not consumed."""
        if not self._ended and not self._given_up:
            self._given_up = True
            self._drop()


def _drain(chunks: Iterator[bytes]) -> None:
    """Pass over the rest of a body, because something follows it."""
    try:
        for _ in chunks:
            pass
    except IntegrityError:
        pass  # nobody wanted this body any more


def _failing(error: OffloaderError) -> Iterator[bytes]:
    yield from ()
    raise error


def _unescaped(piece: bytes) -> bytes:
    """The Base64 text that stands in a JSON string."""
    if b"\\" not in piece:
        return piece
    try:
        text: str = _LENIENT.decode(f'"{piece.decode("ascii")}"')
        return text.encode("ascii")
    except ValueError:
        raise IntegrityError("the body is not Base64") from None


class _Text:
    """The answer's bytes, with as much look-ahead as a small value needs."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._buffer = b""
        self._position = 0

    def _load(self) -> bool:
        """Put the next chunk behind what is left."""
        chunk = next(self._chunks, None)
        if chunk is None:
            return False
        left = self._buffer[self._position :]
        self._buffer = left + chunk if left else chunk
        self._position = 0
        return True

    def _need(self) -> None:
        if not self._load():
            raise Transient("the answer breaks off")

    def garbled(self) -> NoReturn:
        raise Transient("the answer is garbled")

    def _skip(self) -> bool:
        """Pass over blanks. Whether something follows."""
        while True:
            found = _SPACE.match(self._buffer, self._position)
            assert found is not None
            self._position = found.end()
            if self._position < len(self._buffer):
                return True
            if not self._load():
                return False

    def peek(self) -> bytes:
        """The next byte that is no blank."""
        if not self._skip():
            raise Transient("the answer breaks off")
        return self._buffer[self._position : self._position + 1]

    def take(self, allowed: bytes) -> bytes:
        """Pass over the next byte, which must be one of these."""
        found = self.peek()
        if found not in allowed:
            self.garbled()
        self._position += 1
        return found

    def end(self) -> None:
        if self._skip():
            raise Transient("the answer goes on after its end")

    def name(self, first: bool) -> str | None:
        """Pass over the next member's name and colon; None at the object's end, which is passed over too."""
        if self.peek() == b"}":
            self._position += 1
            return None
        if not first:
            self.take(b",")
        if self.peek() != b'"':
            self.garbled()
        name = self.value()
        self.take(b":")
        return str(name)

    def value(self) -> Any:
        """Pass over a small value of any type."""
        opening = self.peek()
        if opening == b'"':
            self._position += 1
            raw = b'"' + self._gathered() + b'"'
        elif opening in b"[{":
            raw = self._nested()
        else:
            raw = self._scalar()
        try:
            return json.loads(raw.decode(), parse_constant=lambda _: self.garbled())
        except (ValueError, RecursionError):
            self.garbled()

    def _gathered(self) -> bytes:
        parts: list[bytes] = []
        size = 0
        for piece in self.pieces():
            size += len(piece)
            if size > SMALL:
                self.garbled()
            parts.append(piece)
        return b"".join(parts)

    def _scalar(self) -> bytes:
        while True:
            found = _SCALAR.match(self._buffer, self._position)
            assert found is not None
            if found.end() < len(self._buffer) or found.end() - self._position > SMALL:
                self._position = found.end()
                return found.group()
            self._need()

    def _nested(self) -> bytes:
        parts: list[bytes] = []
        depth = size = 0
        while True:
            found = _BRACKETS.search(self._buffer, self._position)
            end = found.end() if found else len(self._buffer)
            parts.append(self._buffer[self._position : end])
            size += end - self._position
            self._position = end
            if size > SMALL:
                self.garbled()
            if found is None:
                self._need()
            elif found.group() == b'"':
                text = self._gathered()
                size += len(text)
                parts.extend((text, b'"'))
            else:
                depth += 1 if found.group() in b"[{" else -1
                if depth == 0:
                    return b"".join(parts)

    def pieces(self) -> Iterator[bytes]:
        """Yield the raw text up to a string's closing quote, and pass over that; no piece ends inside an escape."""
        while True:
            start, buffer = self._position, self._buffer
            quote = buffer.find(b'"', start)
            if quote < 0:
                cut = start + _whole(buffer[start:])
                self._position = cut
                if cut > start:
                    yield buffer[start:cut]
                self._need()
                continue
            if buffer[quote - 1 : quote] == b"\\" and quote > start and _odd(buffer[start:quote]):
                self._position = quote + 1
                yield buffer[start : quote + 1]
                continue
            self._position = quote + 1
            if quote > start:
                yield buffer[start:quote]
            return


def _odd(text: bytes) -> bool:
    """Whether the text ends with a backslash that begins an escape."""
    return (len(text) - len(text.rstrip(b"\\"))) % 2 == 1


def _whole(text: bytes) -> int:
    """How much of a string's raw text has no escape that is still incomplete; it begins outside of any escape."""
    last = text.rfind(b"\\", max(0, len(text) - 6))
    if last < 0 or not _odd(text[: last + 1]):
        return len(text)
    needed = 6 if text[last + 1 : last + 2] == b"u" else 2
    return last if len(text) - last < needed else len(text)
