"""A source on `MemoryCrm`: implements the whole port, strictly, so that engines can be tested without a CRM."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from offloader.errors import Gone, Permanent, Transient
from offloader.model import (
    OWN_LINK,
    Checksum,
    Digest,
    Document,
    DocumentRef,
    Finding,
    Parent,
    Severity,
    Skip,
    Strategy,
    Version,
    VersionRef,
)
from offloader.ports import (
    Access,
    Delivery,
    LinkRequest,
    Outcome,
    Page,
    SourceCapabilities,
    Status,
    Usage,
)
from offloader.testing.memory_crm import KINDS, MemoryCrm, Row

_PIECE = 1 << 16


class MemorySource:
    """The offloader's view of a `MemoryCrm`, which stands in `crm`.

    Stricter than it needs to be, so that a careless engine fails: batches above the declared size are refused, chunks
    of an earlier delivery raise, a repeated link without `attempted` makes a second link.
    """

    def __init__(
        self, name: str = "crm", *, now: Callable[[], datetime] | None = None, page: int = 50, concurrency: int = 4
    ) -> None:
        self.name = name
        self.crm = MemoryCrm(name, now)
        self.capabilities = SourceCapabilities(
            kinds=tuple(KINDS.values()),
            read_batch=4,
            link_batch=200,
            remove_batch=200,
            concurrency=concurrency,
            user_check=True,
            refresh=True,
        )
        self._page = page
        self._calls: Counter[str] = Counter()

    def check(self) -> Sequence[Finding]:
        self._calls["check"] += 1
        return (Finding(Severity.OK, "login", "The offloader's user is logged in."), *self._blind_spots())

    def scan(self, kind: str, *, since: str | None = None, cursor: str | None = None) -> Iterator[Page]:
        """A cursor is "number of changes when the scan began:last document id"; a watermark is that number."""
        if kind not in KINDS:
            raise Permanent(f"source {self.name} has no kind {kind!r}")
        known = int(since or 0)
        start, _, last = (cursor or f"{self.crm.changes}:").partition(":")
        deleted = [] if since is None else [ref for ref, change in self.crm.bin.items() if change > known]
        while True:
            self._calls["scan"] += 1
            with self.crm.lock:
                rows = sorted(
                    (row for row in self.crm.rows.values() if row.ref.kind == kind and row.ref.id > last),
                    key=lambda row: row.ref.id,
                )
                rows = [row for row in rows if row.change > known and row.ref not in self.crm.hidden]
                found = tuple(self._document(row) for row in rows[: self._page])
            final = len(rows) <= self._page
            last = found[-1].ref.id if found else last
            yield Page(
                documents=found,
                deleted=tuple(ref for ref in deleted if final and ref.kind == kind),
                cursor=None if final else f"{start}:{last}",
                watermark=start if final else None,
                blind_spots=self._blind_spots(),
            )
            if final:
                return

    def fetch(self, refs: Sequence[DocumentRef]) -> Sequence[Document | None]:
        self._calls["fetch"] += 1
        with self.crm.lock:
            rows = [None if ref in self.crm.hidden else self.crm.rows.get(ref) for ref in refs]
            return [None if row is None else self._document(row) for row in rows]

    def read(self, refs: Sequence[VersionRef]) -> Iterator[Delivery]:
        self._bounded(refs, self.capabilities.read_batch)
        turn = [0]
        for number, ref in enumerate(refs):
            self._calls["read"] += 1
            turn[0] = number
            row = self.crm.rows.get(ref.document)
            data = next((body.data for body in row.bodies if body.id == ref.id), None) if row else None
            if data is None:
                yield Delivery(ref, error=Gone(f"{ref} is not there any more"))
            else:
                yield Delivery(ref, chunks=self._chunks(ref, data, turn, number))

    def link(self, requests: Sequence[LinkRequest]) -> Sequence[Outcome]:
        self._calls["link"] += 1
        return self._each(requests, self.capabilities.link_batch, self._link_file, self._link_in_place)

    def inspect(self, requests: Sequence[LinkRequest]) -> Sequence[Outcome]:
        self._calls["inspect"] += 1
        return self._each(requests, self.capabilities.link_batch, self._inspect_file, self._inspect_in_place)

    def remove(self, requests: Sequence[LinkRequest]) -> Sequence[Outcome]:
        self._calls["remove"] += 1
        return self._each(requests, self.capabilities.remove_batch, self._remove_file, self._look_again)

    def restore(self, request: LinkRequest, bodies: Callable[[Version], Iterable[bytes]]) -> Outcome:
        self._calls["restore"] += 1
        with self.crm.lock:
            if request.document.strategy.in_place:
                return self._restore_in_place(request, bodies)
            return self._restore_file(request, bodies)

    def unlink(self, requests: Sequence[LinkRequest]) -> Sequence[Outcome]:
        self._calls["unlink"] += 1
        return self._each(requests, self.capabilities.link_batch, self._unlink_file, _nothing_to_do)

    def may_read(self, user: str, requests: Sequence[LinkRequest]) -> Sequence[Access]:
        self._calls["may_read"] += 1
        with self.crm.lock:
            return [self._access(user, request) for request in requests]

    def refresh(self, documents: Sequence[Document]) -> Sequence[Document]:
        self._calls["refresh"] += 1
        with self.crm.lock:
            return [self._refreshed(document) for document in documents]

    def usage(self) -> Usage:
        return Usage(requests=dict(self._calls), used=sum(self._calls.values()))

    def _each(
        self,
        requests: Sequence[LinkRequest],
        most: int,
        two_step: Callable[[LinkRequest], Outcome],
        in_place: Callable[[LinkRequest], Outcome],
    ) -> Sequence[Outcome]:
        self._bounded(requests, most)
        with self.crm.lock:
            return [
                in_place(request) if request.document.strategy.in_place else two_step(request) for request in requests
            ]

    def _bounded(self, items: Sequence[object], most: int) -> None:
        if len(items) > most:
            raise Permanent(f"source {self.name} takes {most} items at once, not {len(items)}")

    def _chunks(self, ref: VersionRef, data: bytes, turn: Sequence[int], number: int) -> Iterator[bytes]:
        cut = ref in self.crm.cut
        self.crm.cut.discard(ref)
        for start in range(0, len(data) // 2 if cut else len(data), _PIECE):
            if turn[0] != number:
                raise Permanent(f"{ref}: the next delivery was asked for before this one was consumed")
            yield data[start : min(start + _PIECE, len(data) // 2) if cut else start + _PIECE]
        if cut:
            raise Transient(f"{ref}: the body ended after {len(data) // 2} of {len(data)} bytes")

    def _link_file(self, request: LinkRequest) -> Outcome:
        document = request.document
        wanted = _sharing(document)
        found = self._link_rows(request) if request.attempted or request.link_ref or request.anew else []
        if found and request.anew:
            found[0].parents = {**wanted, **found[0].parents}
            return Outcome(status=Status.DONE, link_ref={"id": found[0].ref.id})
        if found:
            found[0].parents = {key: sharing for key, sharing in wanted.items() if key in self.crm.records}
            return Outcome(status=Status.DONE, link_ref={"id": found[0].ref.id})
        if request.anew or document.ref not in self.crm.rows:
            return Outcome(status=Status.GONE, reason="the document is not there any more")
        refusal = self._refusal(request)
        if refusal:
            return Outcome(status=Status.REFUSED, reason=refusal)
        if not wanted.keys() <= self.crm.records.keys():
            return Outcome(status=Status.CONFLICT, reason="a parent of the document was deleted")
        now = self.crm.now()
        link = Row(
            ref=DocumentRef(self.name, document.ref.kind, self.crm.new_id("Link")),
            title=document.title,
            owner=document.owner or self.crm.admin,
            created=document.created or now,
            modified=now,
            parents=wanted,
            url=request.link.url,
        )
        self.crm.links[link.ref.id] = link
        return Outcome(status=Status.DONE, link_ref={"id": link.ref.id})

    def _change(self, row: Row, request: LinkRequest) -> str:
        if self._document(row).etag != request.document.etag:
            return "the document was changed since it was read"
        same = row.parents == _sharing(request.document)
        return "" if same else "the document's parents were changed since it was read"

    def _refusal(self, request: LinkRequest) -> str:
        if request.document.owner in self.crm.inactive:
            return "the owner is inactive, and cannot own a new link"
        most = self.capabilities.kind(request.document.ref.kind).link_max_length
        return f"a link may have {most} characters" if len(request.link.url) > most else ""

    def _link_in_place(self, request: LinkRequest) -> Outcome:
        row = self.crm.rows.get(request.document.ref)
        if row is None and request.anew:
            refusal = self._refusal(request)
            if refusal:
                return Outcome(status=Status.REFUSED, reason=refusal)
            row = self._made_anew(request)
        if row is None:
            return Outcome(status=Status.GONE, reason="the document is not there any more")
        if (request.attempted or request.anew) and row.url == request.link.url:
            return Outcome(status=Status.REPLACED, link_ref={"id": row.ref.id})
        changed = self._change(row, request)
        if changed:
            return Outcome(status=Status.CONFLICT, reason=changed)
        refusal = self._refusal(request)
        if refusal:
            return Outcome(status=Status.REFUSED, reason=refusal)
        stub = b""
        if request.document.strategy is Strategy.STUB_IN_PLACE:
            stub = f"This file has moved: {request.link.url}\n".encode()
        self.crm.write(row, row.bodies[-1].name, stub)
        row.url = request.link.url
        return Outcome(status=Status.REPLACED, link_ref={"id": row.ref.id})

    def _made_anew(self, request: LinkRequest) -> Row:
        """The row of a placeholder that went with its record, under its own id."""
        document, now = request.document, self.crm.now()
        row = Row(
            ref=document.ref,
            title=document.title,
            owner=document.owner or self.crm.admin,
            created=document.created or now,
            modified=now,
            parents=_sharing(document),
            url=request.link.url,
        )
        self.crm.write(row, document.current.name, f"This file has moved: {request.link.url}\n".encode())
        self.crm.rows[row.ref] = row
        return row

    def _inspect_file(self, request: LinkRequest) -> Outcome:
        found = self._link_rows(request)
        if not found:
            return Outcome(status=Status.GONE, reason="the link is not there")
        link = found[0]
        if (link.title, link.url) != (request.document.title, request.link.url):
            return Outcome(status=Status.CONFLICT, reason="the link has another title or address")
        if link.parents != _sharing(request.document):
            return Outcome(status=Status.CONFLICT, reason="the link hangs on other records or is shared otherwise")
        return Outcome(status=Status.DONE, link_ref={"id": link.ref.id})

    def _inspect_in_place(self, request: LinkRequest) -> Outcome:
        row = self.crm.rows.get(request.document.ref)
        if row is None or row.url != request.link.url:
            return Outcome(status=Status.GONE, reason="the link is not there")
        return Outcome(status=Status.DONE, link_ref={"id": row.ref.id})

    def _remove_file(self, request: LinkRequest) -> Outcome:
        row = self.crm.rows.get(request.document.ref)
        if row is None:
            return Outcome(status=Status.DONE)
        changed = self._change(row, request)
        if changed:
            return Outcome(status=Status.CONFLICT, reason=changed)
        link = self._inspect_file(request)
        if link.status is not Status.DONE:
            return Outcome(status=Status.CONFLICT, reason=link.reason)
        self.crm.delete(row.ref)
        return Outcome(status=Status.DONE)

    def _look_again(self, request: LinkRequest) -> Outcome:
        row = self.crm.rows.get(request.document.ref)
        if row is not None and row.url != request.link.url:
            return Outcome(status=Status.CONFLICT, reason="something else stands where the placeholder was")
        return Outcome(status=Status.DONE)

    def _restore_file(self, request: LinkRequest, bodies: Callable[[Version], Iterable[bytes]]) -> Outcome:
        document = request.document
        standing = self.crm.rows.get(document.ref)
        if standing is None and request.attempted:
            standing = next((row for row in self.crm.rows.values() if row.restored == request.link.id), None)
        if standing is not None:
            return Outcome(status=Status.DONE, document=self._document(standing))
        read = [(version.name, b"".join(bodies(version))) for version in document.versions]
        now = self.crm.now()
        row = Row(
            ref=DocumentRef(self.name, document.ref.kind, self.crm.new_id(document.ref.kind)),
            title=document.title,
            owner=document.owner or self.crm.admin,
            created=document.created or now,
            modified=now,
            parents={key: sharing for key, sharing in _sharing(document).items() if key in self.crm.records},
            restored=request.link.id,
        )
        for name, data in read:
            self.crm.write(row, name, data)
        self.crm.rows[row.ref] = row
        return Outcome(status=Status.DONE, document=self._document(row))

    def _restore_in_place(self, request: LinkRequest, bodies: Callable[[Version], Iterable[bytes]]) -> Outcome:
        row = self.crm.rows.get(request.document.ref)
        if row is None:
            return Outcome(status=Status.GONE, reason="the document is not there any more")
        if row.url is not None:
            if row.url != request.link.url:
                return Outcome(status=Status.CONFLICT, reason="another link stands in its place")
            version = request.document.current
            self.crm.write(row, version.name, b"".join(bodies(version)))
            row.url, row.title = None, request.document.title
        return Outcome(status=Status.DONE, document=self._document(row))

    def _unlink_file(self, request: LinkRequest) -> Outcome:
        for row in self._link_rows(request):
            del self.crm.links[row.ref.id]
        return Outcome(status=Status.DONE)

    def _link_rows(self, request: LinkRequest) -> Sequence[Row]:
        return [row for row in self.crm.links.values() if row.url == request.link.url]

    def _access(self, user: str, request: LinkRequest) -> Access:
        row = self.crm.rows.get(request.document.ref)
        rows = [row] if row else self._link_rows(request)
        return Access.YES if any(self.crm.may_see(user, each) for each in rows) else Access.NO

    def _blind_spots(self) -> tuple[Finding, ...]:
        if not self.crm.hidden:
            return ()
        return (
            Finding(
                Severity.ERROR,
                "see-all",
                "The offloader's user may not see all documents.",
                remedy="Give it the permission to see all documents.",
                hides="documents of other users",
            ),
        )

    def _document(self, row: Row) -> Document:
        kind = KINDS[row.ref.kind]
        last = len(row.bodies)
        versions = tuple(
            Version(
                id=body.id,
                number=number,
                name=body.name,
                size=len(body.data) if kind.size_known else None,
                checksum=Checksum("md5", Digest.of(body.data).md5) if kind.checksum else None,
                created=body.created,
                modified=body.created,
                current=number == last,
                etag=str(body.change),
            )
            for number, body in enumerate(row.bodies, start=1)
        )
        return Document(
            ref=row.ref,
            title=row.title,
            versions=versions,
            parents=tuple(
                Parent(type=key[0], id=key[1], signals=self._signals(key), sharing=sharing)
                for key, sharing in row.parents.items()
            ),
            owner=row.owner,
            created=row.created,
            modified=row.modified,
            strategy=kind.strategy,
            etag=str(row.content),
            skip=Skip(OWN_LINK, "a link stands in its place already") if row.url else row.skip,
        )

    def _refreshed(self, document: Document) -> Document:
        known = self.crm.records
        return replace(
            document,
            parents=tuple(
                replace(each, signals=self._signals((each.type, each.id)) if (each.type, each.id) in known else {})
                for each in document.parents
            ),
        )

    def _signals(self, key: tuple[str, str]) -> Mapping[str, str]:
        return {"country": "", **self.crm.records.get(key, {})}


def _sharing(document: Document) -> dict[tuple[str, str], Mapping[str, str]]:
    return {(parent.type, parent.id): parent.sharing for parent in document.parents}


def _nothing_to_do(request: LinkRequest) -> Outcome:
    return Outcome(status=Status.DONE, reason="replaced in place already")
