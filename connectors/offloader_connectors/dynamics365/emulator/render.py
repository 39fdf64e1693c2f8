"""JSON answers whose large texts are read from disk while they are sent."""

from __future__ import annotations

import binascii
import json
import re
import secrets
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

#: bytes that are sent together
_PIECE = 256 * 1024
_QUANTUM = 3

#: a body's bytes by its ref, in chunks
Chunks = Callable[[Any], Iterator[bytes]]


@dataclass(frozen=True, slots=True)
class LazyText:
    """A body as the text of a JSON string: Base64 of what `Org.chunks(ref)` gives."""

    ref: Any
    encoding: str = "base64"
    #: bytes of the body, if known
    size: int | None = None

    @property
    def length(self) -> int | None:
        """Characters of the text."""
        return None if self.size is None else encoded_length(self.size)


def encoded_length(size: int) -> int:
    """Characters of the Base64 text of so many bytes."""
    return (size + _QUANTUM - 1) // _QUANTUM * 4


def base64_chunks(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The Base64 text of bytes that come in chunks of any size."""
    carry = b""
    for chunk in chunks:
        data = carry + chunk if carry else chunk
        whole = len(data) - len(data) % _QUANTUM
        carry = data[whole:]
        if whole:
            yield binascii.b2a_base64(memoryview(data)[:whole], newline=False)
    if carry:
        yield binascii.b2a_base64(carry, newline=False)


def dumps(value: Any, later: Callable[[Any], str] | None = None) -> bytes:
    """A JSON value as text; `later` gives a text for what is none."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=later)
    # half of a surrogate pair has no UTF-8; a backslash escape of it is JSON
    return text.encode("utf-8", "backslashreplace")


class Rendered:
    """A JSON value as text: `whole` if it holds no large texts, else a stream of `length` bytes (None: not known)."""

    def __init__(self, value: Any, chunks: Chunks) -> None:
        self._chunks = chunks
        texts: list[LazyText] = []
        mark = secrets.token_hex(12)

        def later(item: Any) -> str:
            if not isinstance(item, LazyText):
                raise TypeError(f"{type(item).__name__} is no JSON value")
            texts.append(item)
            return mark

        data = dumps(value, later)
        self.whole: bytes | None = None if texts else data
        self._texts = texts
        self._fixed = re.split(mark.encode(), data) if texts else [data]
        lengths = [item.length for item in texts]
        self.length: int | None = sum(map(len, self._fixed))
        for length in lengths:
            self.length = None if self.length is None or length is None else self.length + length

    def stream(self) -> Iterator[bytes]:
        """The text, in pieces of some hundred kilobytes."""
        return together(self._pieces())

    def _pieces(self) -> Iterator[bytes]:
        for fixed, text in zip(self._fixed, self._texts, strict=False):
            yield fixed
            yield from base64_chunks(self._chunks(text.ref))
        yield self._fixed[-1]


def together(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes with small pieces joined to larger ones."""
    held: list[bytes] = []
    size = 0
    for piece in pieces:
        held.append(piece)
        size += len(piece)
        if size >= _PIECE:
            yield b"".join(held)
            held, size = [], 0
    if held:
        yield b"".join(held)
