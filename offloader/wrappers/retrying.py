"""Retrying: runs calls again that failed for a passing reason.

It goes outside of pacing, so that nobody holds a place at the gate while waiting for the next try:
`RetryingSource(PacedSource(source, gate), retry)`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import TypeVar

from offloader.errors import Transient
from offloader.model import Digest, Document, DocumentRef, Finding, LocationProof, Version, VersionRef
from offloader.ports import (
    Access,
    Delivery,
    Erased,
    LinkRequest,
    Lock,
    Outcome,
    Page,
    Source,
    SourceCapabilities,
    Store,
    StoreCapabilities,
    Stored,
    Usage,
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """When to try again, and how long to wait: exponential with full jitter, never less than `retry_after`.

    Times in seconds. Only Transient is tried again; after `attempts` tries, or when the next one would start
    later than `elapsed` after the first, the last error passes.
    """

    sleep: Callable[[float], None]
    monotonic: Callable[[], float]
    random: Callable[[], float]
    attempts: int = 6
    elapsed: float = 900.0
    base: float = 0.5
    cap: float = 60.0

    def call(self, act: Callable[[], T], *, again: Callable[[Transient], Callable[[], T]] | None = None) -> T:
        """Run `act` until it succeeds. `again(error)` says what to run instead after an error."""
        tries = self.tries()
        while True:
            try:
                return act()
            except Transient as error:
                tries.failed(error)
                act = again(error) if again else act

    def tries(self) -> Tries:
        return Tries(self)


class Tries:
    """The tries of one call."""

    def __init__(self, retry: Retry) -> None:
        self._retry = retry
        self.progressed()

    def progressed(self) -> None:
        """Count from here: what was reached stays reached."""
        self._count, self._start = 0, self._retry.monotonic()

    def failed(self, error: Transient) -> None:
        """Wait before the next try, or raise the error when there is none."""
        retry = self._retry
        wait = retry.random() * min(retry.cap, retry.base * 2**self._count)
        if error.retry_after is not None:
            wait += max(0.0, error.retry_after.total_seconds())
        self._count += 1
        if self._count >= retry.attempts or retry.monotonic() - self._start + wait > retry.elapsed:
            raise error
        retry.sleep(wait)


class RetryingSource:
    """A source whose calls are tried again. Errors inside a delivery's chunks pass: only the caller can start over."""

    def __init__(self, source: Source, retry: Retry) -> None:
        self.name = source.name
        self._source, self._retry = source, retry

    @property
    def capabilities(self) -> SourceCapabilities:
        return self._source.capabilities

    def check(self) -> Sequence[Finding]:
        return self._retry.call(self._source.check)

    def scan(self, kind: str, *, since: str | None = None, cursor: str | None = None) -> Iterator[Page]:
        tries = self._retry.tries()
        while True:
            try:
                for page in self._source.scan(kind, since=since, cursor=cursor):
                    cursor = page.cursor
                    yield page
                    if cursor is None:
                        return  # an error after the last page must not start the scan afresh
                    tries.progressed()
            except Transient as error:
                tries.failed(error)
            else:
                return

    def fetch(self, refs: Sequence[DocumentRef]) -> Sequence[Document | None]:
        return self._retry.call(lambda: self._source.fetch(refs))

    def read(self, refs: Sequence[VersionRef]) -> Iterator[Delivery]:
        tries, left = self._retry.tries(), list(refs)
        while left:
            try:
                for delivery in self._source.read([*left]):
                    left.remove(delivery.ref)
                    yield delivery
                    tries.progressed()
            except Transient as error:
                tries.failed(error)
            else:
                return

    def link(self, requests: Sequence[LinkRequest]) -> Sequence[Outcome]:
        return self._attempt(requests, self._source.link)

    def inspect(self, requests: Sequence[LinkRequest]) -> Sequence[Outcome]:
        return self._retry.call(lambda: self._source.inspect(requests))

    def remove(self, requests: Sequence[LinkRequest]) -> Sequence[Outcome]:
        return self._attempt(requests, self._source.remove)

    def restore(self, request: LinkRequest, bodies: Callable[[Version], Iterable[bytes]]) -> Outcome:
        return self._attempt([request], lambda requests: self._source.restore(requests[0], bodies))

    def unlink(self, requests: Sequence[LinkRequest]) -> Sequence[Outcome]:
        return self._attempt(requests, self._source.unlink)

    def may_read(self, user: str, requests: Sequence[LinkRequest]) -> Sequence[Access]:
        return self._retry.call(lambda: self._source.may_read(user, requests))

    def refresh(self, documents: Sequence[Document]) -> Sequence[Document]:
        return self._retry.call(lambda: self._source.refresh(documents))

    def usage(self) -> Usage:
        return self._source.usage()

    def _attempt(self, requests: Sequence[LinkRequest], act: Callable[[Sequence[LinkRequest]], T]) -> T:
        """Once an answer was lost, every further try says `attempted`, so that it looks before it acts."""
        current = requests

        def again(error: Transient) -> Callable[[], T]:
            nonlocal current
            if error.maybe_done:
                current = [replace(request, attempted=True) for request in requests]
            return lambda: act(current)

        return self._retry.call(lambda: act(current), again=again)


class RetryingStore:
    """A store whose calls are tried again. A `put` only if its chunks can be gone through twice."""

    def __init__(self, store: Store, retry: Retry) -> None:
        self.name = store.name
        self._store, self._retry = store, retry

    @property
    def capabilities(self) -> StoreCapabilities:
        return self._store.capabilities

    def prove(self) -> LocationProof:
        return self._retry.call(self._store.prove)

    def put(
        self, key: str, chunks: Iterable[bytes], *, size: int | None = None, digest: Digest | None = None
    ) -> Stored:
        if isinstance(chunks, Iterator):
            return self._store.put(key, chunks, size=size, digest=digest)
        return self._retry.call(lambda: self._store.put(key, chunks, size=size, digest=digest))

    def stat(self, key: str) -> Stored | None:
        return self._retry.call(lambda: self._store.stat(key))

    def size(self, key: str) -> int | None:
        return self._retry.call(lambda: self._store.size(key))

    def presign(self, key: str, *, seconds: int, disposition: str, mime: str) -> str:
        return self._retry.call(lambda: self._store.presign(key, seconds=seconds, disposition=disposition, mime=mime))

    def read(self, key: str, *, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Goes on where the stream broke off: an object's bytes never change."""
        first = self._retry.call(lambda: self._store.read(key, offset=offset, length=length))
        return self._resumed(first, key, offset, length)

    def _resumed(self, stream: Iterator[bytes], key: str, offset: int, length: int | None) -> Iterator[bytes]:
        tries, end = self._retry.tries(), None if length is None else offset + length
        while True:
            try:
                for chunk in stream:
                    offset += len(chunk)
                    yield chunk
                    tries.progressed()
            except Transient as error:
                tries.failed(error)
            else:
                return
            left = None if end is None else end - offset
            stream = self._retry.call(partial(self._store.read, key, offset=offset, length=left))

    def delete(self, key: str) -> None:
        self._retry.call(lambda: self._store.delete(key))

    def locked(self, key: str) -> Lock | None:
        return self._retry.call(lambda: self._store.locked(key))

    def erase(self, key: str, *, bypass: bool = False) -> Erased:
        return self._retry.call(lambda: self._store.erase(key, bypass=bypass))

    def retain(self, key: str, until: datetime) -> None:
        self._retry.call(lambda: self._store.retain(key, until))

    def list(self, prefix: str = "") -> Iterator[tuple[str, int]]:
        """Starts over and passes what was listed already: keys come in order."""
        tries, last = self._retry.tries(), ""
        while True:
            try:
                for key, size in self._store.list(prefix):
                    if key > last:
                        last = key
                        yield key, size
                        tries.progressed()
            except Transient as error:
                tries.failed(error)
            else:
                return

    def sweep(self) -> int:
        return self._retry.call(self._store.sweep)
