"""Writing down what people say about plans: once said, it stays; a later word of the same person counts."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import insert, select
from sqlalchemy.engine import Connection

from offloader.errors import Permanent
from offloader.ledger.journal import Journal, plain
from offloader.ledger.schema import approvals, plans
from offloader.ledger.values import Approval


def add(approval: Approval) -> Callable[[Connection, Journal], None]:
    """A job that keeps an approval, a rejection or a withdrawal."""
    row = approval.statement | {"signature": approval.signature}

    def job(connection: Connection, journal: Journal) -> None:
        if connection.execute(select(plans.c.id).where(plans.c.id == approval.plan)).first() is None:
            raise Permanent(f"the ledger knows no plan {approval.plan}")
        connection.execute(insert(approvals), {name: plain(text) for name, text in row.items()})
        journal.add("approval", data=row)

    return job
