"""Acts: what plans that dispose are made of. Added while a plan is open, then only their state and detail change."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import bindparam, func, insert, select, update
from sqlalchemy.engine import Connection

from offloader.audit import canonical
from offloader.ledger.bulk import execute_many
from offloader.ledger.codec import load
from offloader.ledger.journal import Journal, plain
from offloader.ledger.planning import must_be_open
from offloader.ledger.schema import plan_acts

_INSERT = insert(plan_acts)
_ADVANCE = (
    update(plan_acts)
    .where(plan_acts.c.plan == bindparam("of_plan"), plan_acts.c.seq == bindparam("of_seq"))
    .values(state=bindparam("to_state"), detail=bindparam("to_detail"))
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """One act of a plan. `body` is JSON-able, is hashed and exported; `seq` counts from 1 and is 0 before it is kept.

    `act` is one word of the plan's kind ("delete", "keep", "review"); `part` an object type or a store, by which caps
    count; `size` in bytes. `state` is open, archived, done, skipped, conflict, failed, held or restored.
    """

    subject: str
    act: str
    part: str
    size: int = 0
    body: Mapping[str, Any] = field(default_factory=dict)
    state: str = "open"
    detail: str = ""
    seq: int = 0


@dataclass(frozen=True, slots=True)
class ActStep:
    """An act's new state and detail."""

    seq: int
    state: str
    detail: str = ""


def line(act: Act) -> str:
    """An act as a line of its plan: canonical JSON in ASCII."""
    value = {"subject": act.subject, "act": act.act, "part": act.part, "size": act.size, **act.body}
    return canonical(value)


def add(plan: str, acts: Sequence[Act], lines: Sequence[str]) -> Callable[[Connection, Journal], None]:
    """A job that appends acts, each with its line, to an open plan."""
    rows = [
        {
            "plan": plan,
            "subject": plain(act.subject),
            "act": act.act,
            "part": plain(act.part),
            "size": act.size,
            "body": text,
            "state": act.state,
            "detail": plain(act.detail),
        }
        for act, text in zip(acts, lines, strict=True)
    ]

    def job(connection: Connection, _journal: Journal) -> None:
        must_be_open(connection, plan)
        last = select(func.coalesce(func.max(plan_acts.c.seq), 0)).where(plan_acts.c.plan == plan)
        start = connection.execute(last).scalar_one() + 1
        execute_many(connection, _INSERT, [{**row, "seq": start + i} for i, row in enumerate(rows)])

    return job


def advance(
    plan: str, steps: Sequence[ActStep], event: str | None, data: Mapping[str, Any] | None
) -> Callable[[Connection, Journal], None]:
    """A job that sets acts' states, with one event about them all."""
    rows = [
        {"of_plan": plan, "of_seq": step.seq, "to_state": step.state, "to_detail": plain(step.detail)} for step in steps
    ]

    def job(connection: Connection, journal: Journal) -> None:
        execute_many(connection, _ADVANCE, rows)
        if event is not None:
            journal.add(event, data={"plan": plan, **(data or {})})

    return job


def page(connection: Connection, plan: str, after: int, limit: int, states: Collection[str] | None) -> list[Act]:
    """Up to `limit` acts numbered above `after`, in order; only those in these states."""
    query = select(plan_acts).where(plan_acts.c.plan == plan, plan_acts.c.seq > after)
    if states is not None:
        query = query.where(plan_acts.c.state.in_(sorted(states)))
    return [_act(row) for row in connection.execute(query.order_by(plan_acts.c.seq).limit(limit))]


def lines(connection: Connection, plan: str, after: int, limit: int) -> list[tuple[int, str]]:
    """Up to `limit` lines numbered above `after`, each with its number."""
    acts = plan_acts.c
    query = select(acts.seq, acts.body).where(acts.plan == plan, acts.seq > after).order_by(acts.seq).limit(limit)
    return [(row.seq, row.body) for row in connection.execute(query)]


def about(connection: Connection, subject: str) -> list[tuple[str, Act]]:
    """The acts about a subject, each with its plan, newest plan first."""
    query = select(plan_acts).where(plan_acts.c.subject == subject)
    query = query.order_by(plan_acts.c.plan.desc(), plan_acts.c.seq)
    return [(row.plan, _act(row)) for row in connection.execute(query)]


def tally(connection: Connection, plan: str) -> dict[tuple[str, str], int]:
    """How many acts of a plan there are, by act and state."""
    acts = plan_acts.c
    query = select(acts.act, acts.state, func.count()).where(acts.plan == plan).group_by(acts.act, acts.state)
    return {(act, state): count for act, state, count in connection.execute(query)}


def _act(row: Any) -> Act:
    body = load(row.body)
    for name in ("subject", "act", "part", "size"):
        body.pop(name, None)
    return Act(
        seq=row.seq,
        subject=row.subject,
        act=row.act,
        part=row.part,
        size=row.size,
        body=body,
        state=row.state,
        detail=row.detail,
    )
