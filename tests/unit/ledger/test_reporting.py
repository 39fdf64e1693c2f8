"""What reports read from the ledger."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from offloader.errors import Permanent
from offloader.ledger import Ledger, PlanHeader, PlanItem
from offloader.ledger.reporting import ReportRow, decision
from offloader.model import Decision, DocumentRef, Reason, Retention, Verdict, Version
from offloader.ports import Page
from tests.unit.ledger.conftest import KIND, make_document, make_version

HOSTILE = 'a "etag":"x","id":"y",\\"size":7,"verdict":"KEEP"} \\'
AT = datetime(2026, 11, 22, 12, tzinfo=UTC)
DECISIONS = [
    Decision(verdict=Verdict.KEEP, reasons=()),
    Decision(verdict=Verdict.REVIEW, reasons=(Reason(HOSTILE, HOSTILE, HOSTILE, HOSTILE),)),
    Decision(
        verdict=Verdict.MOVE,
        reasons=(Reason("A", "a", "R-1", "rules:1"), Reason("PLACED", HOSTILE)),
        countries=frozenset({"DE", "NL"}),
        store="de",
        copies=("nl",),
        jurisdictions=("DE",),
        categories=(HOSTILE,),
        clauses=("c",),
        bases=("b",),
        retention=Retention(date(2030, 1, 1), None, ("R",), (HOSTILE,)),
    ),
]


@pytest.fixture
def plan(ledger: Ledger) -> str:
    """A plan with a decision for each of `DECISIONS`, and once more for the last."""
    documents = tuple(make_document(f"d{number}") for number in range(len(DECISIONS) + 1))
    ledger.record_page("sf", KIND, Page(documents=documents, watermark="w"), since=None)
    name = ledger.create_plan(PlanHeader(sources=("sf",)))
    entries = ledger.entries()
    items = [
        PlanItem(
            entry.pk, made, f"{HOSTILE}{entry.pk}", 100 + entry.pk, 1, ref=entry.document.ref, version_ids=(HOSTILE,)
        )
        for entry, made in zip(entries, [*DECISIONS, DECISIONS[-1]], strict=True)
    ]
    ledger.add_plan_items(name, items)
    return name


def test_decisions_are_read_as_they_were_written(ledger: Ledger, plan: str) -> None:
    """Whatever texts a decision holds, it comes back whole; equal decisions of different documents have equal text."""
    lines = ledger.report_lines(plan)

    assert [decision(line.decided) for line in lines] == [*DECISIONS, DECISIONS[-1]]
    assert lines[2].decided == lines[3].decided
    assert len({line.decided for line in lines}) == 3
    assert [(line.number, line.size, line.versions) for line in lines] == [
        (number, 100 + line.document, 1) for number, line in enumerate(lines, 1)
    ]


def test_pages_go_on_where_the_last_one_ended(ledger: Ledger, plan: str) -> None:
    """Every item comes once, in order, and after the last there is nothing."""
    pages = [[line.number for line in ledger.report_lines(plan, after=after, limit=3)] for after in (0, 3, 4)]

    assert pages == [[1, 2, 3], [4], []]
    assert ledger.report_lines("P-20000101-0001") == []


def test_versions_that_the_crm_no_longer_lists_do_not_count(ledger: Ledger, plan: str) -> None:
    """Only a document's present versions are its parts."""
    ref = DocumentRef("sf", KIND, "d0")
    known = ledger.entry(ref)
    assert known is not None
    newer = replace(known.document, versions=(make_version("other", size=5),), etag="later")
    ledger.record_page("sf", KIND, Page(documents=(newer,), watermark="x"), since="w")

    line = ledger.report_lines(plan)[0]
    document = ledger.report_documents(plan)[0]

    assert [(part.id, part.size) for part in line.parts] == [("other", 5)]
    assert document.newest["id"] == "other"


def test_reports_are_numbered_by_day_and_kept(ledger: Ledger, plan: str) -> None:
    """The first of a day is 0001; the newest of a mode comes first; an id is given once, to a plan that exists."""
    assert ledger.next_report_id(AT) == "R-20261122-0001"
    first = ReportRow("R-20261122-0001", "dry-run", plan, AT, {"codes": {"MOVE A": 1}})
    second = replace(first, id="R-20261122-0002")
    ledger.record_report(first)
    ledger.record_report(second)
    ledger.record_report(replace(first, id="R-20261122-0003", mode="run"))

    assert ledger.reports("dry-run") == [second, first]
    assert ledger.reports("dry-run", limit=1) == [second]
    assert ledger.next_report_id(AT) == "R-20261122-0004"
    for wrong in (first, replace(first, id="R-20261122-0009", plan="P-1")):
        with pytest.raises(Permanent):
            ledger.record_report(wrong)


def test_growth_counts_bytes_by_the_month_of_the_document(ledger: Ledger) -> None:
    """All versions count in the month in which their document was created; without a date it counts nowhere."""
    two: tuple[Version, ...] = (make_version("a", size=5), make_version("b", number=2, size=7))
    documents = (
        make_document("x", versions=two, created=datetime(2026, 3, 31, 23, 59, tzinfo=UTC)),
        make_document("y", versions=(make_version("c", size=None),), created=datetime(2025, 12, 1, tzinfo=UTC)),
        make_document("z", versions=(make_version("d", size=9),), created=None),
    )
    ledger.record_page("sf", KIND, Page(documents=documents, watermark="w"), since=None)

    assert ledger.growth(["sf"]) == {"2026-03": 12, "2025-12": 0}
    assert ledger.growth(["other"]) == {}
