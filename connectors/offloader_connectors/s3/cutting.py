"""Cuts a stream of chunks into parts, in buffers that are shared by all writes, so that memory has one bound."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterable, Iterator
from itertools import chain

#: up to so many bytes a stream is held without a buffer: small documents wait for nobody
HELD = 1 << 20


class Buffers:
    """So many buffers of one part each. A buffer is used again and again: giving it back frees no memory."""

    def __init__(self, count: int, size: int) -> None:
        self.size = size
        self._free = threading.BoundedSemaphore(count)
        self._kept: list[bytearray] = []

    def take(self) -> bytearray:
        """Wait for a buffer."""
        self._free.acquire()
        try:
            return self._kept.pop()
        except IndexError:
            return bytearray(self.size)

    def give(self, buffer: bytearray) -> None:
        """Give a buffer back; one that was cut short is not used again."""
        if len(buffer) == self.size:
            self._kept.append(buffer)
        self._free.release()


class Part:
    """A piece of an object, in order; `last` ends it. Whoever is done with it calls `release`."""

    __slots__ = ("_buffers", "body", "last")

    def __init__(self, body: bytes | bytearray, last: bool, buffers: Buffers | None = None) -> None:
        self.body, self.last, self._buffers = body, last, buffers

    def release(self) -> None:
        """Give the buffer back; a second time does nothing."""
        buffers, self._buffers = self._buffers, None
        if buffers is not None and isinstance(self.body, bytearray):
            body, self.body = self.body, b""
            buffers.give(body)


def cut(chunks: Iterable[bytes], buffers: Buffers) -> Generator[Part]:
    """Yield the parts, at least one; each but the last is as large as a buffer. Errors of `chunks` pass as they are."""
    rest = iter(chunks)
    held: list[bytes] = []
    total = 0
    for chunk in rest:
        held.append(chunk)
        total += len(chunk)
        if total > buffers.size or (total > HELD and len(held) > 1):
            yield from _buffered(chain(_emptied(held), rest), buffers)
            return
    yield Part(held[0] if len(held) == 1 else b"".join(held), True)


def _buffered(chunks: Iterable[bytes], buffers: Buffers) -> Iterator[Part]:
    buffer = buffers.take()
    try:
        filled = 0
        for chunk in chunks:
            view = memoryview(chunk)
            while view:
                if filled == buffers.size:
                    full, buffer = buffer, bytearray()
                    yield Part(full, False, buffers)
                    buffer, filled = buffers.take(), 0
                fits = min(buffers.size - filled, len(view))
                memoryview(buffer)[filled : filled + fits] = view[:fits]
                filled, view = filled + fits, view[fits:]
        del buffer[filled:]
        last, buffer = buffer, bytearray()
        yield Part(last, True, buffers)
    finally:
        if buffer:
            buffers.give(buffer)


def _emptied(held: list[bytes]) -> Iterator[bytes]:
    """The chunks in order, each let go as soon as it is used."""
    held.reverse()
    while held:
        yield held.pop()
