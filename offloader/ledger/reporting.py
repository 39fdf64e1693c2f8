"""What reports ask of the ledger: a plan's documents in cheap pages, growth by month, and earlier reports.

A page costs one query per table, whatever is in it; what a decision says is left as text, because most documents
share theirs with many others.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Select, bindparam, func, insert, select
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from offloader.audit import canonical
from offloader.errors import Permanent
from offloader.ledger import codec
from offloader.ledger.bulk import chunks
from offloader.ledger.journal import Journal, stamp
from offloader.ledger.schema import copies, documents, events, plan_items, reports, versions
from offloader.model import Decision, DocumentRef, State

_TEXT = r'"(?:[^"\\]|\\.)*"'
_ETAG_AND_ID = re.compile(f'"etag":{_TEXT},(?:"id":{_TEXT},)?')
_VERDICT = re.compile(f'"verdict":{_TEXT}')
#: events that say that a plan of moves, or one of acts, was carried out
_ENDS = ("applied", "disposed")
_STATES = {state.value: state for state in State}
#: how the text of a document begins that says when it was created: keys are sorted, no other comes before
_CREATED = '{"created":"'


class Part(NamedTuple):
    """One version that the document still has. `size` in bytes, None where the CRM does not say."""

    id: str
    state: State
    size: int | None
    detail: str


class PlanLine(NamedTuple):
    """One item of a plan, for adding up. `decided` is as `decision` takes it, and equal for equal decisions."""

    number: int
    document: int
    source: str
    kind: str
    #: bytes and versions as they were when the plan was made
    size: int
    versions: int
    decided: str
    #: as they are now, oldest first
    parts: tuple[Part, ...]


class PlanDocument(NamedTuple):
    """One item of a plan with its document, still as JSON: `fields` are as `codec.document_fields` wrote them."""

    line: PlanLine
    ref: DocumentRef
    fields: Mapping[str, Any]
    #: of the newest version, as `codec.version_text` wrote them; empty if the document has none
    newest: Mapping[str, Any]
    #: of the newest version's copies: store, key, SHA-256 of the document's bytes
    copies: tuple[tuple[str, str, str], ...] = ()
    #: when its last version was done
    done: datetime | None = None


@dataclass(frozen=True, slots=True)
class ReportRow:
    """A report that was written. `summary` (JSON-able) is what the next one is compared with."""

    id: str
    mode: str
    plan: str
    at: datetime
    summary: Mapping[str, Any]


def decision(decided: str) -> Decision:
    """What a `PlanLine.decided` says."""
    return codec.item(0, f'{decided[:-1]},"etag":"","size":0,"versions":0}}').decision


def _decided(body: str) -> str:
    """A plan item's text without what differs from document to document: etag, id, size, and all that is of versions.

    Keys are sorted, and inside of texts quotation marks are escaped: `"size":` can be nothing but a key.
    """
    own, size = _ETAG_AND_ID.search(body), body.rfind('"size":')
    verdict = _VERDICT.match(body, body.rfind('"verdict":')) if own else None
    if own is None or verdict is None or not own.end() <= size < verdict.start():
        return body
    return f"{body[: own.start()]}{body[own.end() : size]}{body[body.index(',', size) + 1 : verdict.end()]}}}"


_ITEM = plan_items.c
_WINDOW = (_ITEM.plan == bindparam("plan"), _ITEM.seq > bindparam("after"), _ITEM.seq <= bindparam("last"))
_LAST = (
    select(_ITEM.seq)
    .where(_ITEM.plan == bindparam("plan"), _ITEM.seq > bindparam("after"))
    .order_by(_ITEM.seq)
    .limit(1)
    .offset(bindparam("more"))
)
_END = select(func.max(_ITEM.seq)).where(_ITEM.plan == bindparam("plan"))


def _items(*columns: Any) -> Select[Any]:
    fields = (_ITEM.seq, _ITEM.document, documents.c.source, documents.c.kind, _ITEM.size, _ITEM.versions, _ITEM.body)
    joined = select(*fields, *columns).join(documents, documents.c.pk == _ITEM.document)
    return joined.where(*_WINDOW).order_by(_ITEM.seq)


def _of_versions(*columns: Any) -> Select[Any]:
    version = versions.c
    return (
        select(version.document, version.id, version.state, version.size, version.detail, *columns)
        .join(plan_items, _ITEM.document == version.document)
        .where(*_WINDOW)
        .order_by(version.document, version.number, version.pk)
    )


_LINES, _WHOLE_LINES = _items(), _items(documents.c.id, documents.c.body)
_PARTS, _WHOLE_PARTS = _of_versions(), _of_versions(versions.c.body)
_LISTED = select(documents.c.pk, documents.c.body).where(documents.c.pk.in_(bindparam("pks", expanding=True)))
_COPIES = (
    select(versions.c.document, versions.c.id, copies.c.store, copies.c.key, copies.c.sha256)
    .join(plan_items, _ITEM.document == versions.c.document)
    .join(copies, copies.c.version == versions.c.pk)
    .where(*_WINDOW, ~copies.c.stale)
    .order_by(copies.c.store)
)
_DONE = (
    select(events.c.document, func.max(events.c.at))
    .join(plan_items, _ITEM.document == events.c.document)
    .where(*_WINDOW, events.c.to_state == State.DONE)
    .group_by(events.c.document)
)


def lines(connection: Connection, plan: str, after: int, limit: int) -> list[PlanLine]:
    """Up to `limit` items numbered above `after`, in order."""
    window = _window(connection, plan, after, limit)
    if window is None:
        return []
    parts: dict[int, list[Part]] = {}
    for document, name, state, size, detail in connection.execute(_PARTS, window).all():
        parts.setdefault(document, []).append(Part(name, _STATES[state], size, detail))
    rows = connection.execute(_LINES, window).all()
    _drop_unlisted(connection, rows, parts)
    return [
        PlanLine(seq, document, source, kind, size, count, _decided(body), tuple(parts.get(document, ())))
        for seq, document, source, kind, size, count, body in rows
    ]


def plan_documents(connection: Connection, plan: str, after: int, limit: int, *, outcomes: bool) -> list[PlanDocument]:
    """The same with their documents; with `outcomes` also what became of them."""
    window = _window(connection, plan, after, limit)
    if window is None:
        return []
    versions_of: dict[int, list[tuple[Part, str]]] = {}
    for document, name, state, size, detail, body in connection.execute(_WHOLE_PARTS, window).all():
        versions_of.setdefault(document, []).append((Part(name, _STATES[state], size, detail), body))
    stored, done = _ends(connection, window) if outcomes else ({}, {})
    rows = connection.execute(_WHOLE_LINES, window).all()
    told = codec.load_all(row[-1] for row in rows)
    listed = [_listed(fields, versions_of.get(row[1], ())) for row, fields in zip(rows, told, strict=True)]
    newest = codec.load_all(text for _, text in listed)
    found = []
    for row, fields, (parts, _), version in zip(rows, told, listed, newest, strict=True):
        seq, document, source, kind, size, count, item, name, _ = row
        line = PlanLine(seq, document, source, kind, size, count, _decided(item), parts)
        copied = stored.get((document, version["id"]), ()) if version and stored else ()
        ref = DocumentRef(source, kind, name)
        found.append(PlanDocument(line, ref, fields, version, tuple(copied), done.get(document)))
    return found


def _listed(fields: Mapping[str, Any], versions: Sequence[tuple[Part, str]]) -> tuple[tuple[Part, ...], str]:
    """Of these versions those that the document still has, and the text of the newest one."""
    names = fields.get("versions", ())
    if len(names) == 1 and len(versions) == 1 and versions[0][0].id == names[0]:
        return (versions[0][0],), versions[0][1]
    each = [version for version in versions if version[0].id in names]
    return tuple(part for part, _ in each), next((text for part, text in each if part.id == names[-1]), "{}")


_Stored = dict[tuple[int, str], list[tuple[str, str, str]]]


def _ends(connection: Connection, window: Mapping[str, Any]) -> tuple[_Stored, dict[int, datetime | None]]:
    """Copies by document and version, and when each document was done."""
    stored: _Stored = {}
    for document, version, store, key, sha256 in connection.execute(_COPIES, window):
        stored.setdefault((document, version), []).append((store, key, sha256))
    return stored, {document: codec.when(at) for document, at in connection.execute(_DONE, window)}


def _window(connection: Connection, plan: str, after: int, limit: int) -> dict[str, Any] | None:
    last = connection.execute(_LAST, {"plan": plan, "after": after, "more": limit - 1}).scalar()
    if last is None:
        last = connection.execute(_END, {"plan": plan}).scalar()
    return None if last is None or last <= after else {"plan": plan, "after": after, "last": last}


def _drop_unlisted(connection: Connection, rows: Sequence[Any], parts: dict[int, list[Part]]) -> None:
    """Leave out versions that the document no longer has; only its own text tells them."""
    doubtful = [row.document for row in rows if row.versions != len(parts.get(row.document, ()))]
    for chunk in chunks(doubtful):
        for pk, body in connection.execute(_LISTED, {"pks": chunk}):
            listed = set(codec.load(body).get("versions", ()))
            parts[pk] = [part for part in parts.get(pk, ()) if part.id in listed]


def growth(connection: Connection, sources: Collection[str]) -> dict[str, int]:
    """Bytes of the sources' documents by the month in which they were created ("2026-01").

    Those that users have deleted are not among them, nor those of which the CRM does not say when they were created.
    """
    month = func.substr(documents.c.body, len(_CREATED) + 1, 7)
    query = (
        select(month, func.coalesce(func.sum(versions.c.size), 0))
        .join(versions, versions.c.document == documents.c.pk)
        .where(
            documents.c.source.in_(sources),
            func.substr(documents.c.body, 1, len(_CREATED)) == _CREATED,
            ~documents.c.deleted | documents.c.link_id.is_not(None),
        )
        .group_by(month)
    )
    return {str(when): int(size) for when, size in connection.execute(query)}


def run_period(connection: Connection, plan: str) -> tuple[datetime | None, datetime | None]:
    """When carrying out the plan began for the first time, and ended for the last; None before that."""
    query = select(events.c.type, events.c.at, events.c.data).where(events.c.type.in_(("plan", *_ENDS)))
    begun, ended = None, None
    for row in connection.execute(query.order_by(events.c.seq)):
        data = codec.load(row.data)
        if data.get("plan") != plan:
            continue
        if row.type in _ENDS:
            ended = codec.when(row.at)
        elif begun is None and data.get("status") == "applying":
            begun = codec.when(row.at)
    return begun, ended


def written(connection: Connection, mode: str) -> Iterator[ReportRow]:
    """The reports of this mode, newest first."""
    query = select(reports).where(reports.c.mode == mode).order_by(reports.c.at.desc(), reports.c.id.desc())
    for row in connection.execute(query):
        at = codec.when(row.at)
        assert at is not None
        yield ReportRow(row.id, row.mode, row.plan, at, codec.load(row.summary))


def next_id(connection: Connection, day: datetime) -> str:
    """A report's id: the day and a number of that day."""
    prefix = f"R-{day:%Y%m%d}-"
    count = connection.execute(select(func.count()).where(reports.c.id.startswith(prefix))).scalar_one()
    return f"{prefix}{count + 1:04d}"


def record(report: ReportRow) -> Callable[[Connection, Journal], None]:
    """A job that notes a report that was written. Raises Permanent if its id is taken, or its plan unknown."""
    row = {"id": report.id, "mode": report.mode, "plan": report.plan, "at": stamp(report.at)}
    text = canonical(dict(report.summary))

    def job(connection: Connection, journal: Journal) -> None:
        try:
            connection.execute(insert(reports).values(**row, summary=text))
        except IntegrityError as error:
            raise Permanent(f"the ledger cannot note the report {report.id}: its id is taken") from error
        journal.add("report", data=row)

    return job
