"""Writing down plans: made open, filled, sealed, and never changed after that."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.engine import Connection

from offloader.audit import canonical
from offloader.errors import Permanent, Refused
from offloader.ledger import codec
from offloader.ledger.bulk import execute_many
from offloader.ledger.journal import Journal
from offloader.ledger.scanning import countable
from offloader.ledger.schema import plan_acts, plan_items, plans
from offloader.ledger.values import PlanHeader, PlanItem

_INSERT = insert(plan_items)
STATUSES = ("open", "sealed", "applying", "done", "refused", "superseded")


def create(header: PlanHeader) -> Callable[[Connection, Journal], str]:
    """A job that makes an open plan named by the day and a number of that day."""
    text = codec.header_text(header)

    def job(connection: Connection, journal: Journal) -> str:
        prefix = f"P-{journal.at[:10].replace('-', '')}-"
        count = connection.execute(select(func.count()).where(plans.c.id.startswith(prefix))).scalar_one()
        name = f"{prefix}{count + 1:04d}"
        row = {"id": name, "header": text, "status": "open", "totals": "{}", "created": journal.at}
        connection.execute(insert(plans), row)
        journal.add("plan", data={"plan": name, "status": "open", "by": header.by})
        return name

    return job


def add_items(plan: str, items: Sequence[PlanItem], lines: Sequence[str]) -> Callable[[Connection, Journal], None]:
    """A job that appends the items, each with its canonical JSON, to an open plan."""
    rows = [
        {
            "plan": plan,
            "document": item.document,
            "verdict": item.decision.verdict,
            "code": item.decision.code,
            "store": item.decision.store,
            "size": countable(item.size),
            "versions": item.versions,
            "body": line,
        }
        for item, line in zip(items, lines, strict=True)
    ]

    def job(connection: Connection, _journal: Journal) -> None:
        must_be_open(connection, plan)
        last = select(func.coalesce(func.max(plan_items.c.seq), 0)).where(plan_items.c.plan == plan)
        start = connection.execute(last).scalar_one() + 1
        execute_many(connection, _INSERT, [{**row, "seq": start + i} for i, row in enumerate(rows)])

    return job


def seal(plan: str, sha256: str, totals: Mapping[str, Any]) -> Callable[[Connection, Journal], None]:
    """A job that closes an open plan for ever."""
    text = canonical(dict(totals))

    def job(connection: Connection, journal: Journal) -> None:
        must_be_open(connection, plan)
        values = {"status": "sealed", "sha256": sha256, "totals": text}
        connection.execute(update(plans).where(plans.c.id == plan).values(**values))
        journal.add("plan", data={"plan": plan, "status": "sealed", "sha256": sha256, "totals": dict(totals)})

    return job


def set_status(plan: str, status: str) -> Callable[[Connection, Journal], None]:
    """A job that sets a plan's status; the database refuses what needs a seal, and opening again."""
    if status not in STATUSES:
        raise Permanent(f"a plan's status is one of {', '.join(STATUSES)}, not {status!r}")

    def job(connection: Connection, journal: Journal) -> None:
        if connection.execute(update(plans).where(plans.c.id == plan).values(status=status)).rowcount != 1:
            raise Permanent(f"the ledger knows no plan {plan}")
        journal.add("plan", data={"plan": plan, "status": status})

    return job


def drop(plan: str) -> Callable[[Connection, Journal], None]:
    """A job that gives up an open plan, and forgets its acts."""

    def job(connection: Connection, journal: Journal) -> None:
        must_be_open(connection, plan)
        connection.execute(delete(plan_acts).where(plan_acts.c.plan == plan))
        connection.execute(update(plans).where(plans.c.id == plan).values(status="superseded"))
        journal.add("plan", data={"plan": plan, "status": "superseded"})

    return job


def must_be_open(connection: Connection, plan: str) -> None:
    status = connection.execute(select(plans.c.status).where(plans.c.id == plan)).scalar_one_or_none()
    if status is None:
        raise Permanent(f"the ledger knows no plan {plan}")
    if status != "open":
        raise Refused(
            f"the plan {plan} is {status}: it cannot be changed any more; make a new plan", rule="plan-sealed"
        )
