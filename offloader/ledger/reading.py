"""Reading the ledger, on connections of one's own: never blocks the writer, nor is blocked by it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, bindparam, func, select
from sqlalchemy.engine import Connection, Row
from sqlalchemy.exc import DBAPIError

from offloader.audit import Head
from offloader.errors import Permanent
from offloader.holds import Hold
from offloader.ledger import checkpointing, codec, disposing, erasing, expiring, holding, placing, reporting
from offloader.ledger.bulk import chunks
from offloader.ledger.schema import (
    approvals,
    copies,
    documents,
    events,
    former_refs,
    hold_releases,
    holds,
    meta,
    plan_items,
    plans,
    scans,
    versions,
)
from offloader.ledger.sqlite import translate
from offloader.ledger.values import (
    Approval,
    Copy,
    Entry,
    Event,
    PlanItem,
    PlanRow,
    ScanState,
    Tally,
    VersionEntry,
)
from offloader.model import Digest, Document, DocumentRef, Held, Link, State, Version

# Columns in order, taken by place: names cost more than all the rest where there are millions of rows.
_BY_PK = select(
    documents.c.pk,
    documents.c.source,
    documents.c.kind,
    documents.c.id,
    documents.c.deleted,
    documents.c.link_id,
    documents.c.link_url,
    documents.c.link_ref,
    documents.c.body,
).where(documents.c.pk.in_(bindparam("pks", expanding=True)))
_VERSIONS = (
    select(versions.c.document, versions.c.pk, versions.c.id, versions.c.state, versions.c.detail, versions.c.body)
    .where(versions.c.document.in_(bindparam("pks", expanding=True)))
    .order_by(versions.c.document, versions.c.number, versions.c.pk)
)
_COPIES = (
    select(copies, versions.c.document)
    .join(versions, versions.c.pk == copies.c.version)
    .where(versions.c.document.in_(bindparam("pks", expanding=True)), ~copies.c.stale)
    .order_by(copies.c.store)
)
_IN_STATE = (
    select(versions.c.document)
    .where(
        versions.c.scope == bindparam("scope"),
        versions.c.state == bindparam("state"),
        versions.c.document > bindparam("after"),
    )
    .distinct()
    .order_by(versions.c.document)
    .limit(bindparam("limit"))
)
_STATES = {state.value: state for state in State}
_ANY = (
    select(versions.c.document)
    .where(versions.c.scope == bindparam("scope"), versions.c.state == bindparam("state"))
    .limit(1)
)


class Reader:
    """All that can be asked of a ledger. Safe to use from several threads."""

    def __init__(self, engine: Engine, path: Path) -> None:
        self._engine = engine
        self.path = path

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        try:
            with self._engine.connect() as connection:
                yield connection
        except DBAPIError as error:
            raise translate(error, self.path) from error

    def scan_state(self, source: str, kind: str) -> ScanState | None:
        """How far the scan of this kind has come; None before its first page."""
        with self._reading() as connection:
            row = connection.execute(select(scans).filter_by(source=source, kind=kind)).first()
        if row is None:
            return None
        spots = codec.findings(row.blind_spots)
        finished = codec.when(row.finished)
        return ScanState(source, kind, row.since, row.cursor, row.watermark, finished, spots)

    def entry(self, ref: DocumentRef) -> Entry | None:
        """The document of this reference, or of the one that it had before a restore."""
        key = {"source": ref.source, "kind": ref.kind, "id": ref.id}
        with self._reading() as connection:
            pk = connection.execute(select(documents.c.pk).filter_by(**key)).scalar()
            if pk is None:
                pk = connection.execute(select(former_refs.c.document).filter_by(**key)).scalar()
            return None if pk is None else _entries(connection, [pk])[0]

    def entries_by_pk(self, pks: Sequence[int]) -> list[Entry]:
        """The documents with these numbers, in order; numbers that are unknown are left out."""
        with self._reading() as connection:
            return _entries(connection, pks)

    def by_link(self, link_id: str) -> Entry | None:
        """The document that this link stands for."""
        with self._reading() as connection:
            pk = connection.execute(select(documents.c.pk).where(documents.c.link_id == link_id)).scalar()
            return None if pk is None else _entries(connection, [pk])[0]

    def knows_key(self, store: str, key: str) -> bool:
        """Whether a version has, or had before it changed in the CRM, a copy under this key of the store."""
        query = select(copies.c.version).where(copies.c.store == store, copies.c.key == key).limit(1)
        with self._reading() as connection:
            return connection.execute(query).first() is not None

    def superseded(self) -> dict[tuple[int, str], str]:
        """Keys of copies whose version has other bytes in the CRM by now, by the version's pk and the store."""
        with self._reading() as connection:
            rows = connection.execute(select(copies.c.version, copies.c.store, copies.c.key).where(copies.c.stale))
            return {(row.version, row.store): row.key for row in rows}

    def referenced(
        self, store: str, key: str, *, documents: Collection[int] = (), versions: Collection[int] = ()
    ) -> bool:
        """Whether any but these versions, and those of these documents, has a copy, stale or not, under this key."""
        with self._reading() as connection:
            return placing.referenced(connection, store, key, documents, versions)

    def equal(self, store: str, sha256: str, size: int, *, limit: int = 16) -> list[tuple[int, str]]:
        """Up to `limit` documents (pks) with a verified copy of these bytes in the store, each with the copy's key."""
        with self._reading() as connection:
            return placing.equal(connection, store, sha256, size, limit)

    def repeated(self, *, after: str = "", limit: int = 1000) -> list[tuple[str, int, int]]:
        """SHA-256 (above `after`), size and number of versions of bytes that more than one version has, in order."""
        with self._reading() as connection:
            return [(row.sha256, row.size, row.versions) for row in placing.repeated(connection, after, limit)]

    def holders(self, sums: Sequence[str]) -> list[int]:
        """Documents (pks, in order) that hold bytes with one of these SHA-256."""
        with self._reading() as connection:
            return placing.holders(connection, sums)

    def entries(
        self,
        *,
        states: Collection[State] | None = None,
        source: str | None = None,
        kind: str | None = None,
        after: int = 0,
        limit: int = 1000,
    ) -> list[Entry]:
        """Up to `limit` documents with numbers above `after`, in order of their numbers.

        With `states`: those of which any version is in one of them, each with all its versions.
        """
        with self._reading() as connection:
            if states is None:
                query = select(documents.c.pk).where(documents.c.pk > after).order_by(documents.c.pk).limit(limit)
                if source is not None:
                    query = query.where(documents.c.source == source)
                if kind is not None:
                    query = query.where(documents.c.kind == kind)
                return _entries(connection, connection.execute(query).scalars().all())
            found: set[int] = set()
            for scope in _scopes(connection, source, kind):
                for state in states:
                    key = {"scope": scope, "state": state, "after": after, "limit": limit}
                    found.update(connection.execute(_IN_STATE, key).scalars())
            return _entries(connection, sorted(found)[:limit])

    def tally(self) -> Mapping[tuple[str, str, State], Tally]:
        """Versions, documents and bytes by source, kind and state; reads one index, no document."""
        query = select(
            versions.c.scope,
            versions.c.state,
            func.count(),
            func.count(versions.c.document.distinct()),
            func.coalesce(func.sum(versions.c.size), 0),
        ).group_by(versions.c.scope, versions.c.state)
        with self._reading() as connection:
            names = {row.pk: (row.source, row.kind) for row in connection.execute(_SCOPES)}
            rows = connection.execute(query).all()
        return {
            (*names[scope], State(state)): Tally(int(count), int(of), int(size))
            for scope, state, count, of, size in rows
        }

    def pending(self, states: Collection[State]) -> bool:
        """Whether any version is in one of these states."""
        with self._reading() as connection:
            return any(
                connection.execute(_ANY, {"scope": scope, "state": state}).first() is not None
                for scope in _scopes(connection, None, None)
                for state in states
            )

    def plan(self, plan_id: str) -> PlanRow:
        """The plan of this id. Raises Permanent if there is none."""
        with self._reading() as connection:
            row = connection.execute(select(plans).where(plans.c.id == plan_id)).first()
        if row is None:
            raise Permanent(f"the ledger knows no plan {plan_id}; `offloader status` lists them")
        return _plan(row)

    def plans(self) -> list[PlanRow]:
        """All plans, oldest first."""
        with self._reading() as connection:
            return [_plan(row) for row in connection.execute(select(plans).order_by(plans.c.created, plans.c.id))]

    def plan_items(self, plan_id: str, *, after: int = 0, limit: int = 1000) -> list[tuple[int, PlanItem]]:
        """Up to `limit` items numbered above `after`, each with its number, in order."""
        lines = self.plan_lines(plan_id, after=after, limit=limit)
        return [(seq, codec.item(document, line)) for seq, document, line in lines]

    def plan_lines(self, plan_id: str, *, after: int = 0, limit: int = 1000) -> list[tuple[int, int, str]]:
        """The same as they are kept: number, document's pk, canonical JSON."""
        item = plan_items.c
        query = select(item.seq, item.document, item.body)
        query = query.where(item.plan == plan_id, item.seq > after).order_by(item.seq).limit(limit)
        with self._reading() as connection:
            return [(row.seq, row.document, row.body) for row in connection.execute(query)]

    def acts(
        self, plan_id: str, *, after: int = 0, limit: int = 1000, states: Collection[str] | None = None
    ) -> list[disposing.Act]:
        """Up to `limit` acts of a plan numbered above `after`, in order; with `states`, only those in one of them."""
        with self._reading() as connection:
            return disposing.page(connection, plan_id, after, limit, states)

    def act_lines(self, plan_id: str, *, after: int = 0, limit: int = 1000) -> list[tuple[int, str]]:
        """The same as they are kept: number, canonical JSON."""
        with self._reading() as connection:
            return disposing.lines(connection, plan_id, after, limit)

    def acts_about(self, subject: str) -> list[tuple[str, disposing.Act]]:
        """The acts of all plans about a subject, each with its plan's id, newest plan first."""
        with self._reading() as connection:
            return disposing.about(connection, subject)

    def waiting_deletions(self) -> list[expiring.Waiting]:
        """Documents that were certainly deleted in the CRM and wait for their time, by number."""
        with self._reading() as connection:
            return expiring.read(connection)

    def act_tally(self, plan_id: str) -> Mapping[tuple[str, str], int]:
        """How many acts of a plan there are, by act and state."""
        with self._reading() as connection:
            return disposing.tally(connection, plan_id)

    def approvals(self, plan_id: str) -> list[Approval]:
        """What people said about a plan, in the order in which they said it."""
        query = select(approvals).where(approvals.c.plan == plan_id).order_by(approvals.c.pk)
        with self._reading() as connection:
            return [_approval(row) for row in connection.execute(query)]

    def report_lines(self, plan_id: str, *, after: int = 0, limit: int = 2000) -> list[reporting.PlanLine]:
        """Up to `limit` items numbered above `after`, in order, as sums need them."""
        with self._reading() as connection:
            return reporting.lines(connection, plan_id, after, limit)

    def report_documents(
        self, plan_id: str, *, after: int = 0, limit: int = 2000, outcomes: bool = False
    ) -> list[reporting.PlanDocument]:
        """The same with their documents; with `outcomes` also what became of them."""
        with self._reading() as connection:
            return reporting.plan_documents(connection, plan_id, after, limit, outcomes=outcomes)

    def growth(self, sources: Collection[str]) -> dict[str, int]:
        """Bytes of the sources' documents by the month of their creation, as in "2026-01"."""
        with self._reading() as connection:
            return reporting.growth(connection, sources)

    def run_period(self, plan_id: str) -> tuple[datetime | None, datetime | None]:
        """When carrying out the plan began for the first time, and ended for the last; None before that."""
        with self._reading() as connection:
            return reporting.run_period(connection, plan_id)

    def reports(self, mode: str, *, limit: int = 100) -> list[reporting.ReportRow]:
        """The newest reports of this mode that were written, newest first."""
        with self._reading() as connection:
            return list(islice(reporting.written(connection, mode), limit))

    def next_report_id(self, day: datetime) -> str:
        """The id of the next report of that day, as in R-20261122-0001."""
        with self._reading() as connection:
            return reporting.next_id(connection, day)

    def events(self, *, after: int = 0, limit: int = 1000, document: int | None = None) -> list[Event]:
        """Up to `limit` events numbered above `after`, in order; with `document`, those of one document."""
        query = select(events).where(events.c.seq > after).order_by(events.c.seq).limit(limit)
        if document is not None:
            query = query.where(events.c.document == document)
        with self._reading() as connection:
            return [_event(row) for row in connection.execute(query)]

    def head(self) -> Head:
        """The newest event's number and hash: noted elsewhere, it shows later that the log was not cut."""
        query = select(events.c.seq, events.c.hash).order_by(events.c.seq.desc()).limit(1)
        with self._reading() as connection:
            row = connection.execute(query).first()
        return Head() if row is None else Head(row.seq, row.hash.hex())

    def holds(self, *, standing: bool = False) -> list[Hold]:
        """All legal holds, or those that stand, oldest first."""
        with self._reading() as connection:
            found = holding.read(connection)
        return [hold for hold in found if not standing or hold.released_at is None]

    def unnoted_holds(self) -> bool:
        """Whether a hold or a release has no event yet."""
        with self._reading() as connection:
            return any(
                connection.execute(select(table.c.at).where(table.c.noted.is_(None)).limit(1)).first() is not None
                for table in (holds, hold_releases)
            )

    def bare_documents(self, *, after: int = 0, limit: int = 1000) -> list[tuple[int, Document]]:
        """Up to `limit` documents with numbers above `after`, each with its number and without its versions."""
        with self._reading() as connection:
            return holding.bare_documents(connection, after, limit)

    def event_texts(self, *, after: int = 0, limit: int = 1000) -> list[checkpointing.EventText]:
        """Up to `limit` events numbered above `after`, in order, as the text that hashes are over."""
        with self._reading() as connection:
            return checkpointing.texts(connection, after, limit)

    def checkpoints(self) -> list[checkpointing.CheckpointRow]:
        """All checkpoints of the event log, smallest first."""
        with self._reading() as connection:
            return checkpointing.read(connection)

    def tombstones(self, marks: Sequence[str] | None = None) -> dict[str, erasing.Tombstone]:
        """The tombstones with these marks, or all of them, by their marks."""
        with self._reading() as connection:
            return erasing.read_tombstones(connection, marks)

    def requests(self) -> list[erasing.RequestRow]:
        """All requests of data subjects, oldest first."""
        with self._reading() as connection:
            return erasing.read_requests(connection)

    def stale_copies(self, document: int) -> list[tuple[str, str]]:
        """Store and key of each copy of bytes that the document had before it changed in the CRM."""
        with self._reading() as connection:
            return erasing.stale_copies(connection, document)

    def documents_with(self, store: str, key: str) -> set[int]:
        """The documents that have a version with a copy, stale or not, under this key of the store."""
        with self._reading() as connection:
            return erasing.documents_with(connection, store, key)

    def plans_about(self, pks: Sequence[int]) -> set[str]:
        """The plans of moves that decided about any of these documents."""
        with self._reading() as connection:
            return erasing.plans_about(connection, pks)

    def meta(self, key: str) -> str | None:
        """What `set_meta` kept under this key."""
        with self._reading() as connection:
            return connection.execute(select(meta.c.value).where(meta.c.key == key)).scalar()


_SCOPES = select(scans.c.pk, scans.c.source, scans.c.kind)


def _scopes(connection: Connection, source: str | None, kind: str | None) -> list[int]:
    return [row.pk for row in connection.execute(_SCOPES) if source in (None, row.source) and kind in (None, row.kind)]


def _entries(connection: Connection, pks: Sequence[int]) -> list[Entry]:
    built: dict[int, Entry] = {}
    for part in chunks(pks):
        key = {"pks": part}
        held: dict[int, dict[int, list[Copy]]] = {}
        for row in connection.execute(_COPIES, key):
            held.setdefault(row.document, {}).setdefault(row.version, []).append(_copy(row))
        listed: dict[int, list[Sequence[Any]]] = {}
        rows = connection.execute(_VERSIONS, key).all()
        for (owner, *version), told in zip(rows, codec.load_all(row[-1] for row in rows), strict=True):
            listed.setdefault(owner, []).append((*version[:-1], codec.version_of(told)))
        found = connection.execute(_BY_PK, key).all()
        for (pk, *document), fields in zip(found, codec.load_all(row[-1] for row in found), strict=True):
            built[pk] = _entry(pk, document[:-1], fields, listed.get(pk, ()), held.get(pk, {}))
    return [built[pk] for pk in pks if pk in built]


def _entry(
    pk: int,
    row: Sequence[Any],
    fields: Mapping[str, Any],
    listed: Sequence[Sequence[Any]],
    held: Mapping[int, Sequence[Copy]],
) -> Entry:
    """One document from the columns of `_BY_PK` and of `_VERSIONS`, in their order, their JSON read already."""
    source, kind, name, deleted, link_id, link_url, link_ref = row
    current = set(fields.get("versions", ()))
    values: dict[str, Version] = {}
    entries = []
    for version_pk, version_id, state, detail, version in listed:
        values[version_id] = version
        copies_ = tuple(held.get(version_pk, ()))
        entries.append(VersionEntry(version_pk, version, _STATES[state], copies_, detail, version_id not in current))
    link = Link(link_id, link_url) if link_id is not None else None
    document = codec.document(DocumentRef(source, kind, name), fields, values)
    ref = codec.load(link_ref) if link_ref else {}
    return Entry(pk, document, tuple(entries), link, ref, bool(deleted))


def _copy(row: Row[Any]) -> Copy:
    held = Held(row.held_size, row.held_sha256, row.held_form) if row.held_form else None
    return Copy(row.store, row.key, Digest(row.size, row.sha256, row.md5), codec.when(row.verified_at), held)


def _plan(row: Row[Any]) -> PlanRow:
    created = codec.when(row.created)
    assert created is not None
    return PlanRow(row.id, codec.header(row.header), row.status, row.sha256, codec.load(row.totals), created)


def _approval(row: Row[Any]) -> Approval:
    fields = dict(row._mapping)
    del fields["pk"]
    times = {name: datetime.fromisoformat(fields[name]) for name in ("at", "valid_until")}
    return Approval(**(fields | times))


def _event(row: Row[Any]) -> Event:
    return Event(
        seq=row.seq,
        at=row.at,
        type=row.type,
        document=row.document,
        version=row.version,
        from_state=State(row.from_state) if row.from_state else None,
        to_state=State(row.to_state) if row.to_state else None,
        rule=row.rule,
        data=codec.load(row.data),
        hash=row.hash.hex(),
    )
