"""Paced: keeps the calls of all workers of one source within what it bears at the moment."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from offloader.errors import Throttled
from offloader.model import Document, DocumentRef, Finding, Version, VersionRef
from offloader.ports import Access, Delivery, LinkRequest, Outcome, Page, Source, SourceCapabilities, Usage


class Gate:
    """How many calls may run at once: grows by one a round, halves when the source says Throttled.

    Additive increase, multiplicative decrease, as TCP does it; calls that ran together are throttled
    together, so they halve it once. A Throttled with `retry_after` makes everybody wait that long.
    `per_second` bounds the rate of calls besides, with bursts of one second. Times in seconds.
    A thread that holds a place passes again freely, so a call inside a delivery cannot lock up.
    """

    def __init__(
        self,
        *,
        most: int,
        sleep: Callable[[float], None],
        monotonic: Callable[[], float],
        start: int | None = None,
        per_second: float | None = None,
    ) -> None:
        self._most, self._limit = most, float(min(start or most, most))
        self._sleep, self.monotonic, self._per_second = sleep, monotonic, per_second
        self._changed = threading.Condition()
        self._running: dict[int, int] = {}
        self._halved = self._not_before = self._rate_clock = float("-inf")

    @property
    def limit(self) -> int:
        """Calls that may run at once, now."""
        return int(self._limit)

    @property
    def running(self) -> int:
        """Threads that hold a place, now."""
        return len(self._running)

    @contextmanager
    def place(self, calls: int = 1) -> Iterator[None]:
        """Hold a place while `calls` calls run one after another."""
        thread = threading.get_ident()
        with self._changed:
            while thread not in self._running and len(self._running) >= self.limit:
                self._changed.wait()
            self._running[thread] = self._running.get(thread, 0) + 1
        try:
            if self._per_second or self._not_before > float("-inf"):
                self._wait_for_turn(calls)
            started = self.monotonic()
            try:
                yield
            except Throttled as error:
                self.throttled(error, started)
                raise
            if self._limit < self._most:
                self._grow()
        finally:
            with self._changed:
                self._running[thread] -= 1
                if not self._running[thread]:
                    del self._running[thread]
                    self._changed.notify()

    def _grow(self) -> None:
        with self._changed:
            before = self.limit
            self._limit = min(float(self._most), self._limit + 1 / self._limit)
            if self.limit > before:
                self._changed.notify()

    def throttled(self, error: Throttled, started: float) -> None:
        """Slow down because a call that began at `started` was throttled."""
        with self._changed:
            now = self.monotonic()
            if started > self._halved:
                self._limit, self._halved = max(1.0, self._limit / 2), now
            if error.retry_after is not None:
                self._not_before = max(self._not_before, now + error.retry_after.total_seconds())

    def _wait_for_turn(self, calls: int) -> None:
        wait = self._book(calls)
        while wait > 0:
            self._sleep(wait)
            wait = self._not_before - self.monotonic()

    def _book(self, calls: int) -> float:
        with self._changed:
            now, wait = self.monotonic(), 0.0
            if self._per_second:
                self._rate_clock = max(self._rate_clock, now - 1.0) + calls / self._per_second
                wait = self._rate_clock - now
            return max(wait, self._not_before - now)


class PacedSource:
    """A source whose every call holds a place at the gate; a `read` until its last body is consumed."""

    def __init__(self, source: Source, gate: Gate) -> None:
        self.name = source.name
        self._source, self._gate = source, gate

    @property
    def capabilities(self) -> SourceCapabilities:
        return self._source.capabilities

    def check(self) -> Sequence[Finding]:
        with self._gate.place():
            return self._source.check()

    def scan(self, kind: str, *, since: str | None = None, cursor: str | None = None) -> Iterator[Page]:
        """Holds a place while a page is fetched, not while the caller works on it."""
        with self._gate.place():
            pages = self._source.scan(kind, since=since, cursor=cursor)
            page = next(pages, None)
        while page is not None:
            yield page
            with self._gate.place():
                page = next(pages, None)

    def fetch(self, refs: Sequence[DocumentRef]) -> Sequence[Document | None]:
        with self._gate.place():
            return self._source.fetch(refs)

    def read(self, refs: Sequence[VersionRef]) -> Iterator[Delivery]:
        with self._gate.place(len(refs)):
            for delivery in self._source.read(refs):
                if isinstance(delivery.error, Throttled):
                    self._gate.throttled(delivery.error, self._gate.monotonic())
                if delivery.chunks is not None:
                    delivery.chunks = self._watched(delivery.chunks)
                yield delivery

    def _watched(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        started = self._gate.monotonic()
        try:
            yield from chunks
        except Throttled as error:
            self._gate.throttled(error, started)
            raise

    def link(self, requests: Sequence[LinkRequest]) -> Sequence[Outcome]:
        with self._gate.place():
            return self._source.link(requests)

    def inspect(self, requests: Sequence[LinkRequest]) -> Sequence[Outcome]:
        with self._gate.place():
            return self._source.inspect(requests)

    def remove(self, requests: Sequence[LinkRequest]) -> Sequence[Outcome]:
        with self._gate.place():
            return self._source.remove(requests)

    def restore(self, request: LinkRequest, bodies: Callable[[Version], Iterable[bytes]]) -> Outcome:
        with self._gate.place():
            return self._source.restore(request, bodies)

    def unlink(self, requests: Sequence[LinkRequest]) -> Sequence[Outcome]:
        with self._gate.place():
            return self._source.unlink(requests)

    def may_read(self, user: str, requests: Sequence[LinkRequest]) -> Sequence[Access]:
        with self._gate.place():
            return self._source.may_read(user, requests)

    def refresh(self, documents: Sequence[Document]) -> Sequence[Document]:
        with self._gate.place():
            return self._source.refresh(documents)

    def usage(self) -> Usage:
        return self._source.usage()
