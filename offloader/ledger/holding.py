"""Holds in the ledger. They are added and released in short transactions of their own, also while a run has the ledger;
the log's one writer notes them as events afterwards, so that the hash chain stays in one hand.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import insert, select, update
from sqlalchemy.engine import Connection, Row
from sqlalchemy.exc import DBAPIError

from offloader.audit import canonical
from offloader.errors import ConfigError, Refused
from offloader.holds import Hold, Release, Scope
from offloader.ledger import codec
from offloader.ledger.journal import Journal, plain, stamp
from offloader.ledger.schema import documents, hold_releases, holds
from offloader.ledger.sqlite import translate, writing_engine
from offloader.model import Document, DocumentRef

#: signs a statement; empty text if nobody can
Sign = Callable[[Mapping[str, Any]], str]


class Judge(Protocol):
    """Tells people apart, and what they said from what somebody wrote in their name."""

    def same(self, one: str, other: str) -> bool:
        """Whether two names stand for one person."""

    def doubt(self, name: str, statement: Mapping[str, Any], signature: str) -> str:
        """Why what this person is said to have said does not count; empty if it does."""


_NUMBER = re.compile("[0-9]{4,9}", re.ASCII)
#: how many people a release takes
PEOPLE = 2


@contextmanager
def _apart(path: Path) -> Iterator[Connection]:
    """One short transaction beside the ledger's writer, whoever that is."""
    engine = writing_engine(path)
    try:
        with engine.begin() as connection:
            yield connection
    except DBAPIError as error:
        raise translate(error, path) from error
    finally:
        engine.dispose()


def add(path: Path, now: datetime, draft: Hold, sign: Sign) -> Hold:
    """Write a hold down under an id of its own; `draft` has none yet. It stands when this returns."""
    with _apart(path) as connection:
        prefix = f"H-{stamp(now)[:10].replace('-', '')}-"
        # a rebuilt ledger may lack some of the day's holds, and have others twice (as in H-20261122-0001-2)
        ids = connection.execute(select(holds.c.id).where(holds.c.id.startswith(prefix))).scalars()
        numbers = (found[0] for each in ids if (found := _NUMBER.match(each, len(prefix))))
        hold = replace(draft, id=f"{prefix}{max(map(int, numbers), default=0) + 1:04d}", at=stamp(now))
        hold = replace(hold, matter=plain(hold.matter), reason=plain(hold.reason))
        hold = replace(hold, signature=sign(hold.statement()))
        connection.execute(insert(holds).values(**_row(hold)))
    return hold


def _row(hold: Hold) -> dict[str, Any]:
    names = ("id", "matter", "reason", "freezes_moves", "person", "proof", "at", "signature")
    return {name: getattr(hold, name) for name in names} | {"scope": canonical(hold.scope.as_json())}


def _release_row(said: Release) -> dict[str, Any]:
    return {name: getattr(said, name) for name in ("hold", "person", "proof", "reason", "at", "signature")}


def put_back(found: Sequence[Hold]) -> Callable[[Connection, Journal], None]:
    """A job that writes down holds with their releases as they were, each one's events still to come."""

    def job(connection: Connection, _journal: Journal) -> None:
        for hold in found:
            connection.execute(insert(holds).values(**_row(hold)))
            for each in hold.releases:
                connection.execute(insert(hold_releases).values(**_release_row(each)))
            if hold.released_at is not None:
                ended = update(holds).where(holds.c.id == hold.id).values(released_at=hold.released_at)
                connection.execute(ended)

    return job


def release(path: Path, now: datetime, draft: Release, sign: Sign, judge: Judge) -> Hold:
    """Write down that a person agrees to a hold's end; with the second person whose agreement counts it ends.

    Raises ConfigError if there is no such hold, Refused if it is released already, or if this person has agreed before.
    """
    with _apart(path) as connection:
        hold = next((each for each in read(connection) if each.id == draft.hold), None)
        if hold is None:
            raise ConfigError(f"there is no hold {draft.hold!r}; `offloader hold list` shows them")
        if hold.released_at is not None:
            raise Refused(f"the hold {hold.id} was released at {hold.released_at}", rule="holds")
        for earlier in hold.releases:
            if judge.same(draft.person, earlier.person) or draft.proof == earlier.proof:
                raise Refused(
                    f"{earlier.person} has agreed to the release of {hold.id} already; it takes another person",
                    rule="holds.two-people",
                )
        mine = replace(draft, at=stamp(now), reason=plain(draft.reason))
        mine = replace(mine, signature=sign(mine.statement()))
        connection.execute(insert(hold_releases).values(**_release_row(mine)))
        agreed = (*hold.releases, mine)
        counting = [each for each in hold.releases if not judge.doubt(each.person, each.statement(), each.signature)]
        ended = mine.at if len(counting) + 1 >= PEOPLE else None
        if ended:
            connection.execute(update(holds).where(holds.c.id == hold.id).values(released_at=ended))
    return replace(hold, releases=agreed, released_at=ended)


def note(connection: Connection, journal: Journal) -> None:
    """A job that writes the events of holds and releases that have none yet."""
    for hold in read(connection):
        if hold.noted is None:
            data = {**hold.statement(), "pks": list(hold.scope.pks), "signature": hold.signature}
            journal.add("hold", data=data)
            connection.execute(update(holds).where(holds.c.id == hold.id).values(noted=journal.head.seq))
        for number, each in enumerate(hold.releases, 1):
            if each.noted is None:
                ended = each.at == hold.released_at and number == len(hold.releases)
                data = {**each.statement(), "signature": each.signature, "released": ended}
                journal.add("hold_release", data=data)
                mine = (hold_releases.c.hold == hold.id, hold_releases.c.person == each.person)
                connection.execute(update(hold_releases).where(*mine).values(noted=journal.head.seq))


def read(connection: Connection) -> list[Hold]:
    """All holds, oldest first, each with its releases in order."""
    agreed: dict[str, list[Release]] = {}
    for row in connection.execute(select(hold_releases).order_by(hold_releases.c.at)):
        agreed.setdefault(row.hold, []).append(_release(row))
    rows = connection.execute(select(holds).order_by(holds.c.at, holds.c.id))
    return [_hold(row, agreed.get(row.id, ())) for row in rows]


def bare_documents(connection: Connection, after: int, limit: int) -> list[tuple[int, Document]]:
    """Up to `limit` documents above a number, in order, without their versions."""
    query = select(documents.c.pk, documents.c.source, documents.c.kind, documents.c.id, documents.c.body)
    query = query.where(documents.c.pk > after).order_by(documents.c.pk).limit(limit)
    return [
        (row.pk, codec.document(DocumentRef(row.source, row.kind, row.id), codec.load(row.body) | {"versions": ()}, {}))
        for row in connection.execute(query)
    ]


def _hold(row: Row[Any], releases: Sequence[Release]) -> Hold:
    return Hold(
        id=row.id,
        matter=row.matter,
        scope=Scope.from_json(json.loads(row.scope)),
        reason=row.reason,
        freezes_moves=bool(row.freezes_moves),
        person=row.person,
        proof=row.proof,
        at=row.at,
        signature=row.signature,
        released_at=row.released_at,
        noted=row.noted,
        releases=tuple(releases),
    )


def _release(row: Row[Any]) -> Release:
    return Release(
        hold=row.hold,
        person=row.person,
        proof=row.proof,
        reason=row.reason,
        at=row.at,
        signature=row.signature,
        noted=row.noted,
    )
