"""The gateway: opens links for those whom the CRM lets read the document now, and for nobody else.

A link that does not exist and one that may not be opened look the same from outside. Only who may read a
document learns that it was erased, put back, or never left the CRM.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from functools import partial
from typing import Protocol, TypeVar

from anyio import CapacityLimiter, to_thread
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from offloader.errors import Exhausted, Gone, OffloaderError, Transient
from offloader.gateway.body import Body, Download
from offloader.gateway.headers import SAFETY, disposition, media_type
from offloader.gateway.login import Identity, Login
from offloader.gateway.ranges import Span, span
from offloader.ledger import Copy, Entry, Ledger, VersionEntry
from offloader.model import State
from offloader.ports import Access, LinkRequest, Source, Store

_LINK_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")
#: looked up in place of a malformed id, so that it takes the same way
_NO_LINK = "-" * 26
_QUESTIONS, _READS = 16, 32
_GONE = {
    State.ERASED: "This document was erased under the retention schedule.",
    State.RESTORED: "This document was put back into the CRM. Please open it there.",
}
_NOT_HERE = "This document is not in the archive. Please look for it in the CRM."
T = TypeVar("T")


class Links(Protocol):
    """Finds what a link stands for."""

    def find(self, link_id: str) -> Entry | None:
        """Return the document, None for an unknown link."""


class LedgerLinks:
    """The links of a ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def find(self, link_id: str) -> Entry | None:
        return self._ledger.by_link(link_id)


def make_app(
    *,
    links: Links,
    sources: Mapping[str, Source],
    stores: Mapping[str, Store],
    login: Login,
    redirect_seconds: int | None = None,
) -> Starlette:
    """Build the ASGI application.

    GET and HEAD of `/d/{link id}` (the newest version) and `/d/{link id}/v/{number}`, and `/healthz`.
    `redirect_seconds`: browsers are sent to stores that make links, for so long; None: never.
    """
    gateway = Gateway(links, sources, stores, login, redirect_seconds)
    app = Starlette(
        routes=[
            Route("/healthz", _healthy, methods=["GET"]),
            Route("/d/{link_id}", gateway.open, methods=["GET"]),
            Route("/d/{link_id}/v/{number}", gateway.open, methods=["GET"]),
        ],
        exception_handlers={404: _hidden, 405: _hidden, 500: _failed},
    )
    app.router.redirect_slashes = False
    return app


class Gateway:
    """Answers requests for documents."""

    def __init__(
        self,
        links: Links,
        sources: Mapping[str, Source],
        stores: Mapping[str, Store],
        login: Login,
        redirect_seconds: int | None,
    ) -> None:
        self._redirect_seconds = redirect_seconds
        self._links = links
        self._sources = sources
        self._stores = stores
        self._login = login
        self._questions = CapacityLimiter(_QUESTIONS)
        self._reads = CapacityLimiter(_READS)

    async def open(self, request: Request) -> Response:
        """Serve one document, or say as little as possible."""
        identity = self._login.identify(request)
        if identity is None:
            return _plain(401, "Please log in.", {"WWW-Authenticate": self._login.challenge})
        link_id = request.path_params["link_id"]
        try:
            entry = await self._ask(lambda: self._permitted(link_id, identity))
            found = None if entry is None else _version(entry, request.path_params.get("number"))
            if found is None:
                return _not_found()
            return await self._serve(request, found)
        except OffloaderError as error:
            return _plain(503, "Please try again later.", {"Retry-After": _retry_after(error)})

    async def _ask(self, question: Callable[[], T]) -> T:
        return await to_thread.run_sync(question, limiter=self._questions)

    def _permitted(self, link_id: str, identity: Identity) -> Entry | None:
        """Return the document if the CRM says now that this user may read it; every other answer is no."""
        entry = self._links.find(link_id if _LINK_ID.fullmatch(link_id) else _NO_LINK)
        if entry is None or entry.link is None:
            return None
        source = self._sources.get(entry.document.ref.source)
        if source is None:
            return None
        question = LinkRequest(document=entry.document, link=entry.link, link_ref=entry.link_ref)
        answers = source.may_read(identity.user, [question])
        return entry if len(answers) == 1 and answers[0] is Access.YES else None

    async def _serve(self, request: Request, found: VersionEntry) -> Response:
        if found.state in _GONE:
            return _plain(410, _GONE[found.state])
        for copy, store in self._copies(found):
            if self._redirect_seconds is not None and request.method == "GET" and store.capabilities.presign:
                if await self._ask(partial(store.size, copy.key)) is None:
                    continue
                return await self._ask(partial(_redirect, store, copy, found.version.name, self._redirect_seconds))
            etag = f'"{copy.digest.sha256}"'
            wanted = _wanted(request, copy.digest.size, etag)
            if wanted is None:
                return _plain(416, "There are no such bytes.", {"Content-Range": f"bytes */{copy.digest.size}"})
            body = Body(store, copy, wanted, self._reads)
            try:
                await body.open()
            except Gone:
                continue
            return await _document(request, found.version.name, body, wanted, etag)
        return _plain(410, _NOT_HERE)

    def _copies(self, found: VersionEntry) -> Iterator[tuple[Copy, Store]]:
        """Yield the proven copies. Raises Transient if there are some, but none in a store known here."""
        proven = [copy for copy in found.copies if copy.verified_at is not None]
        known = [(copy, self._stores[copy.store]) for copy in proven if copy.store in self._stores]
        if proven and not known:
            raise Transient("the store of a document is not configured here")
        yield from known


def _version(entry: Entry, number: str | None) -> VersionEntry | None:
    """Return the version with that number, the newest one without."""
    if number is None:
        listed = [found for found in entry.versions if not found.gone] or list(entry.versions)
        return max(listed, key=lambda found: found.version.number, default=None)
    return next((found for found in entry.versions if str(found.version.number) == number), None)


def _wanted(request: Request, size: int, etag: str) -> Span | None:
    """Return the asked-for bytes; a range counts only while the client's idea of the document is still right."""
    condition = request.headers.get("If-Range")
    usable = request.method == "GET" and (condition is None or condition == etag)
    return span(request.headers.get("Range") if usable else None, size)


async def _document(request: Request, name: str, body: Body, wanted: Span, etag: str) -> Response:
    headers = {
        **SAFETY,
        "Accept-Ranges": "bytes",
        "Content-Disposition": disposition(name),
        "Content-Length": str(wanted.length),
        "Content-Type": media_type(name),
        "ETag": etag,
    }
    if request.method == "HEAD":
        await body.close()
        return Response(status_code=200, headers=headers)
    if wanted.whole:
        return Download(body, 200, headers)
    return Download(body, 206, {**headers, "Content-Range": wanted.content_range})


def _redirect(store: Store, copy: Copy, name: str, seconds: int) -> Response:
    """Send the browser to the object itself. The address opens it for anybody, so nobody may keep it."""
    address = store.presign(copy.key, seconds=seconds, disposition=disposition(name), mime=media_type(name))
    return Response(status_code=302, headers={**SAFETY, "Location": address})


def _plain(status: int, text: str, more: Mapping[str, str] | None = None) -> Response:
    return PlainTextResponse(f"{text}\n", status, headers={**SAFETY, **(more or {})})


def _not_found() -> Response:
    return _plain(404, "There is no such document, or you may not read it.")


async def _hidden(request: Request, error: Exception) -> Response:
    return _not_found()


async def _failed(request: Request, error: Exception) -> Response:
    return _plain(500, "Something went wrong.")


async def _healthy(request: Request) -> Response:
    return _plain(200, "ok")


def _retry_after(error: OffloaderError) -> str:
    """Return whole seconds until it is worth trying again."""
    known = error.retry_after if isinstance(error, Transient) else None
    if isinstance(error, Exhausted):
        known = error.resume_after or timedelta(minutes=5)
    seconds = (timedelta(seconds=10) if known is None else known).total_seconds()
    return str(max(1, math.ceil(seconds)))
