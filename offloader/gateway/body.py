"""A stored body on its way out: measured while it streams, so that a damaged one never looks complete."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Iterator, Mapping

from anyio import CancelScope, CapacityLimiter, to_thread
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from offloader.errors import IntegrityError, OffloaderError
from offloader.gateway.ranges import Span
from offloader.ledger.values import Copy
from offloader.ports import Store


class Body:
    """The bytes of one copy, or a span of them. Reads in threads, ends by `close`.

    A whole body is compared with the ledger's SHA-256 before its last bytes go out; of a span only the length
    can be checked.
    """

    def __init__(self, store: Store, copy: Copy, span: Span, limiter: CapacityLimiter) -> None:
        self._store = store
        self._copy = copy
        self._span = span
        self._limiter = limiter
        self._chunks: Iterator[bytes] = iter(())
        self._first: bytes | None = None
        self._seen = 0
        self._sha256 = hashlib.sha256()

    async def open(self) -> None:
        """Read the first chunk. Raises what the store raises; Gone if there is no such object."""
        try:
            self._first = await to_thread.run_sync(self._start, limiter=self._limiter)
        except BaseException:
            await self.close()
            raise

    async def stream(self) -> AsyncIterator[bytes]:
        """Yield the bytes, the last ones only when all are known to be right. Raises IntegrityError if they are not."""
        held, chunk = b"", self._first
        while chunk is not None:
            if held:
                yield held
            held = chunk
            chunk = await to_thread.run_sync(self._next, limiter=self._limiter)
        self._check_end()
        if held:
            yield held

    async def close(self) -> None:
        """Let go of the store, also when the client has gone away."""
        close = getattr(self._chunks, "close", None)
        if close is not None:
            with CancelScope(shield=True):
                await to_thread.run_sync(close, limiter=self._limiter)

    def _start(self) -> bytes | None:
        span = self._span
        asked = {} if span.whole else {"offset": span.offset, "length": span.length}
        self._chunks = iter(self._store.read(self._copy.key, **asked))
        return self._measured(self._pull())

    def _next(self) -> bytes | None:
        try:
            chunk = self._pull()
        except OffloaderError as error:
            raise self._broken(f"broke off ({error.__class__.__name__})") from None
        return self._measured(chunk)

    def _pull(self) -> bytes | None:
        return next((piece for piece in self._chunks if piece), None)

    def _measured(self, chunk: bytes | None) -> bytes | None:
        if chunk is not None:
            self._seen += len(chunk)
            self._sha256.update(chunk)
            if self._seen > self._span.length:
                raise self._broken("is longer than the ledger says")
        return chunk

    def _check_end(self) -> None:
        if self._seen != self._span.length:
            raise self._broken("is shorter than the ledger says")
        if self._span.whole and self._sha256.hexdigest() != self._copy.digest.sha256:
            raise self._broken("is not the one that the ledger knows")

    def _broken(self, what: str) -> IntegrityError:
        """For the server's log alone: the client only sees that the connection breaks off."""
        return IntegrityError(f"store {self._copy.store}: {self._copy.key} {what}; run offloader verify")


class Download(StreamingResponse):
    """Sends a body and lets go of it, however the sending ends. An error in between breaks the connection off."""

    def __init__(self, body: Body, status: int, headers: Mapping[str, str]) -> None:
        super().__init__(body.stream(), status, headers)
        self._body = body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._body.close()
