"""Byte ranges of a request (RFC 9110 §14): one range is served, several at once are not and give the whole."""

from __future__ import annotations

import re
from dataclasses import dataclass

_ONE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


@dataclass(frozen=True, slots=True)
class Span:
    """`length` bytes from `offset`, of a whole of `size`."""

    offset: int
    length: int
    size: int

    @property
    def whole(self) -> bool:
        return self.length == self.size

    @property
    def content_range(self) -> str:
        return f"bytes {self.offset}-{self.offset + self.length - 1}/{self.size}"


def span(header: str | None, size: int) -> Span | None:
    """Return what is asked for: the whole if there is no usable header; None if the range lies outside."""
    match = _ONE.fullmatch(header.strip()) if header else None
    if match is None or match[0] == "bytes=-":
        return Span(0, size, size)
    first, last = match[1], match[2]
    if not first:
        length = min(int(last), size)
        return Span(size - length, length, size) if length else None
    if last and int(last) < int(first):
        return Span(0, size, size)
    end = min(int(last) + 1, size) if last else size
    return Span(int(first), end - int(first), size) if int(first) < size else None
