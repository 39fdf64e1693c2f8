"""Erasing what the ledger says of a document, the tombstones that stay, and the requests of data subjects."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.engine import Connection, Row

from offloader.audit import canonical
from offloader.errors import Permanent
from offloader.ledger import codec
from offloader.ledger.bulk import chunks
from offloader.ledger.journal import Journal, plain, stamp
from offloader.ledger.scanning import Prepared
from offloader.ledger.schema import (
    copies,
    deletions,
    documents,
    former_refs,
    plan_items,
    requests,
    tombstones,
    versions,
)
from offloader.model import Document, DocumentRef, State, Version

#: what a request's id begins with, by its kind
LETTERS = {"erasure": "E", "access": "A"}


@dataclass(frozen=True, slots=True)
class Grave:
    """A document whose content is gone everywhere: its number, its mark, the rule, and a sentence without names."""

    document: int
    mark: str
    rule: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Tombstone:
    """What stays of an erased document: the keyed hash of what it was called, when, on which ground, by which plan."""

    mark: str
    at: str
    ground: str
    plan: str

    def as_json(self) -> dict[str, str]:
        return {"hash": self.mark, "at": self.at, "ground": self.ground, "plan": self.plan}


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRow:
    """A request of a data subject.

    `kind` is erasure or access, `state` open, held, done or refused. `subject` (JSON-able) says who it is, and is empty
    once the request is closed; `subject_mark` is its keyed hash. `received` and `due` are days. `detail`, JSON-able.
    """

    id: str = ""
    kind: str
    subject_mark: str
    subject: Mapping[str, Any]
    received: date
    due: date
    state: str = "open"
    detail: Mapping[str, Any] = field(default_factory=dict)
    plan: str | None = None


def erase(graves: Sequence[Grave]) -> Callable[[Connection, Journal], None]:
    """A job that takes everything but its number from each document: names, ids, records, links, copies.

    Its versions become `erased`. The row's id is made from its number, so that a document that comes back under the old
    id is a new one. Raises Permanent for an unknown number; a document that is erased already stays as it is.
    """

    def job(connection: Connection, journal: Journal) -> None:
        for grave in graves:
            row = connection.execute(select(documents).where(documents.c.pk == grave.document)).first()
            if row is None:
                raise Permanent(f"the ledger knows no document number {grave.document}")
            left = _erase_versions(connection, journal, grave)
            ref = DocumentRef(row.source, row.kind, f"erased-{row.pk}")
            blank = Document(ref=ref, title="", versions=left, extra={"tombstone": grave.mark})
            values = {
                "id": ref.id,
                "deleted": True,
                "fingerprint": b"",
                "link_id": None,
                "link_url": None,
                "link_ref": None,
                "body": canonical(codec.document_fields(blank)),
            }
            connection.execute(update(documents).where(documents.c.pk == row.pk).values(**values))
            for table in (former_refs, deletions):
                connection.execute(delete(table).where(table.c.document == row.pk))

    return job


def redact(changed: Mapping[int, Document]) -> Callable[[Connection, Journal], None]:
    """A job that makes each document (by number) this one, which hangs on fewer records; an event says how many.

    Raises Permanent for an unknown number.
    """
    prepared = {pk: Prepared.of(document) for pk, document in changed.items()}

    def job(connection: Connection, journal: Journal) -> None:
        for pk, new in prepared.items():
            body = connection.execute(select(documents.c.body).where(documents.c.pk == pk)).scalar()
            if body is None:
                raise Permanent(f"the ledger knows no document number {pk}")
            values = {"body": new.body, "fingerprint": new.fingerprint}
            connection.execute(update(documents).where(documents.c.pk == pk).values(**values))
            fewer = len(codec.load(body).get("parents", ())) - len(new.document.parents)
            journal.add("redacted", document=pk, data={"records": fewer})

    return job


def _erase_versions(connection: Connection, journal: Journal, grave: Grave) -> tuple[Version, ...]:
    rows = connection.execute(
        select(versions).where(versions.c.document == grave.document).order_by(versions.c.number, versions.c.pk)
    ).all()
    left = []
    for row in rows:
        version = Version(id=f"erased-{row.pk}", number=row.number, name="", size=row.size)
        left.append(version)
        values: dict[str, Any] = {"id": version.id, "detail": grave.detail, "body": codec.version_text(version)}
        if row.state != State.ERASED:
            values["state"] = State.ERASED
            data = {"detail": grave.detail, "tombstone": grave.mark}
            journal.add(
                "transition",
                document=grave.document,
                version=row.pk,
                old=State(row.state),
                new=State.ERASED,
                rule=grave.rule,
                data=data,
            )
        connection.execute(update(versions).where(versions.c.pk == row.pk).values(**values))
    for part in chunks([row.pk for row in rows]):
        connection.execute(delete(copies).where(copies.c.version.in_(part)))
    return tuple(left)


def bury(stones: Sequence[Tombstone]) -> Callable[[Connection, Journal], int]:
    """A job that keeps these tombstones, with one event for those that are new; gives how many that are."""

    def job(connection: Connection, journal: Journal) -> int:
        known = set(read_tombstones(connection, [stone.mark for stone in stones]))
        new = {stone.mark: stone for stone in stones if stone.mark not in known}
        for stone in new.values():
            connection.execute(insert(tombstones).values(**stone.as_json()))
        if new:
            journal.add("tombstones", data={"tombstones": [stone.as_json() for stone in new.values()]})
        return len(new)

    return job


def read_tombstones(connection: Connection, marks: Sequence[str] | None = None) -> dict[str, Tombstone]:
    """The tombstones with these marks, or all, by their marks."""
    if marks is None:
        rows = connection.execute(select(tombstones)).all()
    else:
        rows = [
            row
            for part in chunks(list(dict.fromkeys(marks)))
            for row in connection.execute(select(tombstones).where(tombstones.c.hash.in_(part)))
        ]
    return {row.hash: Tombstone(row.hash, row.at, row.ground, row.plan) for row in rows}


def save_request(row: RequestRow) -> Callable[[Connection, Journal], str]:
    """A job that writes a request down (a new one gets an id, as in E-20261122-0001), with an event without names."""

    def job(connection: Connection, journal: Journal) -> str:
        name = row.id
        if not name:
            prefix = f"{LETTERS[row.kind]}-{journal.at[:10].replace('-', '')}-"
            count = connection.execute(
                select(func.count()).select_from(requests).where(requests.c.id.startswith(prefix))
            ).scalar_one()
            name = f"{prefix}{count + 1:04d}"
        values = {
            "kind": row.kind,
            "subject_hash": row.subject_mark,
            "subject": canonical(dict(row.subject)) if row.subject else "",
            "received": row.received.isoformat(),
            "due": row.due.isoformat(),
            "state": row.state,
            "detail": plain(canonical(dict(row.detail))),
            "plan": row.plan,
        }
        if connection.execute(update(requests).where(requests.c.id == name).values(**values)).rowcount != 1:
            connection.execute(insert(requests).values(id=name, **values))
        told = {key: values[key] for key in ("kind", "subject_hash", "received", "due", "state", "plan")}
        journal.add("request", data={"request": name, **told})
        return name

    return job


def read_requests(connection: Connection) -> list[RequestRow]:
    """All requests, oldest first."""
    return [_request(row) for row in connection.execute(select(requests).order_by(requests.c.received, requests.c.id))]


def stale_copies(connection: Connection, document: int) -> list[tuple[str, str]]:
    """Store and key of each copy of bytes that the document had before it changed in the CRM."""
    query = (
        select(copies.c.store, copies.c.key)
        .join(versions, versions.c.pk == copies.c.version)
        .where(versions.c.document == document, copies.c.stale)
    )
    return [(row.store, row.key) for row in connection.execute(query)]


def documents_with(connection: Connection, store: str, key: str) -> set[int]:
    """The documents that have a version with a copy under this key of the store."""
    query = (
        select(versions.c.document)
        .join(copies, copies.c.version == versions.c.pk)
        .where(copies.c.store == store, copies.c.key == key)
    )
    return set(connection.execute(query).scalars())


def plans_about(connection: Connection, pks: Sequence[int]) -> set[str]:
    """The plans of moves that decided about any of these documents."""
    found: set[str] = set()
    for part in chunks(pks):
        found.update(
            connection.execute(select(plan_items.c.plan).where(plan_items.c.document.in_(part)).distinct()).scalars()
        )
    return found


def _request(row: Row[Any]) -> RequestRow:
    return RequestRow(
        id=row.id,
        kind=row.kind,
        subject_mark=row.subject_hash,
        subject=json.loads(row.subject) if row.subject else {},
        received=date.fromisoformat(row.received),
        due=date.fromisoformat(row.due),
        state=row.state,
        detail=json.loads(row.detail) if row.detail else {},
        plan=row.plan,
    )


def tombstone(mark: str, at: datetime, ground: str, plan: str) -> Tombstone:
    """A tombstone of this moment."""
    return Tombstone(mark, stamp(at), ground, plan)
