"""Plans in the ledger: open, filled, sealed, and then never changed."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from offloader.audit import canonical
from offloader.errors import Permanent, Refused
from offloader.ledger import Ledger, PlanHeader, PlanItem, codec
from offloader.model import Decision, DocumentRef, Reason, Retention, Verdict

HEADER = PlanHeader(
    sources=("sf", "crm2"),
    policies={"sf": "f1"},
    proofs={"de": {"sha256": "s", "expires": "2027-01-01"}},
    limits={"documents": 10, "percent": None},
    scope={"kinds": ["a"]},
    by="someone\ud800",
    created=datetime(2026, 11, 22, tzinfo=UTC),
)


def item(document: int, verdict: Verdict = Verdict.MOVE, code: str = "MOVE", store: str | None = "de") -> PlanItem:
    reasons = (Reason("FIRST", "a"), Reason(code, "b\ud800", rule="R", origin="o:1"))
    decision = Decision(verdict=verdict, reasons=reasons, countries=frozenset({"DE", "AT"}), store=store)
    return PlanItem(document, decision, f"etag{document}\ud800", 10 * document, 2)


def test_plan_ids_tell_the_day_and_count(ledger: Ledger, clock: Callable[..., Any]) -> None:
    """Plans are numbered from one each day."""
    first, second = ledger.create_plan(HEADER), ledger.create_plan(HEADER)
    clock.forward(days=1)  # type: ignore[attr-defined]

    assert [first, second, ledger.create_plan(HEADER)] == ["P-20261122-0001", "P-20261122-0002", "P-20261123-0001"]
    assert [row.id for row in ledger.plans()] == ["P-20261122-0001", "P-20261122-0002", "P-20261123-0001"]


def test_plan_comes_back_as_it_was(ledger: Ledger, clock: Callable[[], datetime]) -> None:
    """Header, items, seal and totals survive the ledger."""
    plan = ledger.create_plan(HEADER)
    items = [item(3), item(1, Verdict.KEEP, "OWN", None), item(2)]
    ledger.add_plan_items(plan, items[:2])
    ledger.add_plan_items(plan, items[2:])
    ledger.add_plan_items(plan, [])
    row = ledger.plan(plan)
    assert (row.header, row.status, row.sha256, row.totals, row.created) == (HEADER, "open", None, {}, clock())

    ledger.seal_plan(plan, sha256="abc", totals={"documents": 3})

    row = ledger.plan(plan)
    assert (row.status, row.sha256, row.totals) == ("sealed", "abc", {"documents": 3})
    assert ledger.plan_items(plan, limit=2) == [(1, items[0]), (2, items[1])]
    assert ledger.plan_items(plan, after=2) == [(3, items[2])]


def test_sealed_plan_takes_nothing_more(ledger: Ledger) -> None:
    """Items and seal of a sealed plan are refused with its status and what to do."""
    plan = ledger.create_plan(HEADER)
    ledger.seal_plan(plan, sha256="abc", totals={})

    with pytest.raises(Refused, match=f"{plan} is sealed.*make a new plan"):
        ledger.add_plan_items(plan, [item(1)])
    with pytest.raises(Refused, match="sealed"):
        ledger.seal_plan(plan, sha256="other", totals={})
    with pytest.raises(Refused):
        ledger.set_plan_status(plan, "open")


@pytest.mark.parametrize("status", ["sealed", "applying", "done"])
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE plan_items SET store = 'us'",
        "DELETE FROM plan_items",
        "INSERT INTO plan_items SELECT plan, 9, 9, verdict, code, store, 1, 1, body FROM plan_items",
        "UPDATE plans SET header = '{}'",
        "UPDATE plans SET sha256 = 'x'",
        "UPDATE plans SET totals = '{}'",
        "UPDATE plans SET status = 'open'",
        "DELETE FROM plans",
    ],
)
def test_database_keeps_sealed_plans(ledger: Ledger, path: Path, statement: str, status: str) -> None:
    """Raw SQL changes no sealed plan, whatever became of it."""
    plan = ledger.create_plan(HEADER)
    ledger.add_plan_items(plan, [item(1)])
    ledger.seal_plan(plan, sha256="abc", totals={})
    if status != "sealed":
        ledger.set_plan_status(plan, status)

    with closing(sqlite3.connect(path)) as connection, pytest.raises(sqlite3.IntegrityError):
        connection.execute(statement)


@pytest.mark.parametrize("status", ["applying", "done"])
def test_open_plan_is_not_applied(ledger: Ledger, status: str) -> None:
    """What is not sealed cannot be under way or done; it can be refused or superseded."""
    plan = ledger.create_plan(HEADER)

    with pytest.raises(Refused, match="not sealed"):
        ledger.set_plan_status(plan, status)
    ledger.set_plan_status(plan, "superseded")
    with pytest.raises(Refused):
        ledger.add_plan_items(plan, [item(1)])


def test_unknown_plan_and_status(ledger: Ledger) -> None:
    """Unknown plans and statuses are named."""
    with pytest.raises(Permanent, match="P-1"):
        ledger.plan("P-1")
    with pytest.raises(Permanent, match="P-1"):
        ledger.add_plan_items("P-1", [])
    with pytest.raises(Permanent, match="P-1"):
        ledger.set_plan_status("P-1", "done")
    with pytest.raises(Permanent, match="finished"):
        ledger.set_plan_status("P-1", "finished")


def test_plan_leaves_its_life_in_the_log(ledger: Ledger) -> None:
    """Making, sealing and applying a plan are events, the seal with its hash."""
    plan = ledger.create_plan(HEADER)
    ledger.seal_plan(plan, sha256="abc", totals={"n": 1})
    ledger.set_plan_status(plan, "applying")

    told = [(event.type, event.data["plan"], event.data["status"]) for event in ledger.events()]
    assert told == [("plan", plan, "open"), ("plan", plan, "sealed"), ("plan", plan, "applying")]
    assert ledger.events()[1].data["sha256"] == "abc"


@pytest.mark.parametrize("facts", [{}, {"copies": ("us",), "categories": ("c", "d"), "bases": ("\udc80",)}], ids=str)
@pytest.mark.parametrize("ref", [None, DocumentRef("crm", "File", 'a"\ud800')], ids=str)
def test_a_plans_line_is_canonical(facts: dict[str, Any], ref: DocumentRef | None) -> None:
    """A line is the canonical JSON of what it says, and gives the item back."""
    retention = Retention(date(2030, 1, 1), None, ("R",), ())
    decision = replace(item(1).decision, **facts, retention=retention if facts else None)
    made = replace(item(1), decision=decision, ref=ref, version_ids=("v1", "v\x002") if ref else ())

    text = codec.item_text(made)

    assert text == canonical(json.loads(text)) == codec.item_text(replace(made, decision=replace(decision)))
    assert codec.item(1, text) == made
