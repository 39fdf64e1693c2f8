"""What the end of a stored document needs in the ledger: fresh signals, and deletions that wait."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, insert, select, update
from sqlalchemy.engine import Connection

from offloader.audit import canonical
from offloader.ledger import codec
from offloader.ledger.bulk import chunks
from offloader.ledger.journal import Journal, plain, stamp
from offloader.ledger.schema import deletions, documents
from offloader.model import Document


@dataclass(frozen=True, slots=True)
class Waiting:
    """A document (its number) that was certainly deleted in the CRM, since when, how that is known, and when its grace
    is over."""

    document: int
    since: datetime
    due: datetime
    evidence: str


def refresh_signals(fresh: Mapping[int, Document]) -> Callable[[Connection, Journal], None]:
    """A job that gives the parents of these documents (by number) the signals that they have now.

    Nothing else of a document changes: what is put back by a restore stays as it was.
    """

    def job(connection: Connection, journal: Journal) -> None:
        for part in chunks(list(fresh)):
            rows = connection.execute(select(documents.c.pk, documents.c.body).where(documents.c.pk.in_(part))).all()
            for row in rows:
                _refresh(connection, journal, row.pk, row.body, fresh[row.pk])

    return job


def _refresh(connection: Connection, journal: Journal, pk: int, body: str, document: Document) -> None:
    now = {(parent.type, parent.id): dict(parent.signals) for parent in document.parents}
    fields = codec.load(body)
    changed: set[str] = set()
    parents = []
    for type_, name, signals, sharing in fields.get("parents", ()):
        new = now.get((type_, name)) or signals
        changed |= {key for key in {*signals, *new} if signals.get(key) != new.get(key)}
        parents.append([type_, name, new, sharing])
    if changed:
        text = canonical(fields | {"parents": parents})
        connection.execute(update(documents).where(documents.c.pk == pk).values(body=text))
        journal.add("signals", document=pk, data={"changed": sorted(changed)})


def wait(waiting: Sequence[Waiting]) -> Callable[[Connection, Journal], None]:
    """A job that notes deletions that wait for their time; one that is known already keeps its days."""

    def job(connection: Connection, journal: Journal) -> None:
        known = {each.document for each in read(connection)}
        for each in waiting:
            if each.document in known:
                continue
            row = {"since": stamp(each.since), "due": stamp(each.due), "evidence": plain(each.evidence)}
            connection.execute(insert(deletions).values(document=each.document, **row))
            journal.add("deletion-waits", document=each.document, data=row)

    return job


def cancel(pks: Sequence[int], reason: str) -> Callable[[Connection, Journal], None]:
    """A job that forgets deletions: the documents are there again."""

    def job(connection: Connection, journal: Journal) -> None:
        for pk in pks:
            if connection.execute(delete(deletions).where(deletions.c.document == pk)).rowcount:
                journal.add("deletion-cancelled", document=pk, data={"reason": plain(reason)})

    return job


def read(connection: Connection) -> list[Waiting]:
    """All deletions that wait, by document."""
    rows = connection.execute(select(deletions).order_by(deletions.c.document))
    return [
        Waiting(row.document, datetime.fromisoformat(row.since), datetime.fromisoformat(row.due), row.evidence)
        for row in rows
    ]
