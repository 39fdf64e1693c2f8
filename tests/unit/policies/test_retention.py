"""How long documents are kept: terms by the calendar, events, and duties together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offloader.errors import ConfigError
from offloader.model import Decision, Document, DocumentRef, Parent, Retention, Verdict, Version
from offloader.ports import Target
from offloader.testing import context
from offloader_policies import tables
from offloader_policies.engine import ResidencyPolicy
from offloader_policies.plugin import POLICY
from offloader_policies.retention import Calendar, Duty, Period, month_day, own, retention, together
from offloader_policies.selection import Selection

Make = Callable[..., Document]
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
DUTIES = tables.load().duties


def policy(**options: Any) -> ResidencyPolicy:
    opened = POLICY.open(POLICY.options.model_validate(options), context(Path()))
    assert isinstance(opened, ResidencyPolicy)
    return opened


def paper(*made: str | None, created: str | None = None, records: tuple[dict[str, Any], ...] = ({},)) -> Document:
    """A document whose versions were made at these moments, on records with these signals."""
    versions = tuple(
        Version(id=f"V{n}", number=n, name="x", size=1, created=datetime.fromisoformat(when) if when else None)
        for n, when in enumerate(made, 1)
    )
    return Document(
        ref=DocumentRef("crm", "K", "D"),
        title="x",
        versions=versions,
        created=datetime.fromisoformat(created) if created else None,
        parents=tuple(Parent(type="R", id=f"R{n}", signals=signals) for n, signals in enumerate(records)),
    )


def kept(document: Document, *duties: Duty, **calendar: Any) -> Retention:
    return retention(document, duties, NOW, Calendar(**calendar))


@pytest.mark.parametrize(
    ("period", "event", "end"),
    [
        ("P7Y", "2024-12-31", "2031-12-31"),
        ("P1Y", "2024-02-29", "2025-02-28"),
        ("P4Y", "2024-02-29", "2028-02-29"),
        ("P1M", "2026-01-31", "2026-02-28"),
        ("P1M", "2024-01-31", "2024-02-29"),
        ("P13M", "2026-11-30", "2027-12-30"),
        ("P1M", "2026-12-01", "2027-01-01"),
        ("P28D", "2026-02-01", "2026-03-01"),
        ("P2W", "2026-02-20", "2026-03-06"),
        ("P1Y6M", "2023-08-31", "2025-02-28"),
        ("P1M1D", "2026-01-31", "2026-03-01"),
        ("P1Y2W3D", "2023-02-28", "2024-03-16"),
        ("P1Y", "9998-05-05", "9999-05-05"),
        ("P7Y", "9999-12-31", "9999-12-31"),
        ("P1D", "9999-12-31", "9999-12-31"),
        ("P1D", "9999-12-30", "9999-12-31"),
        ("P9999Y", "2026-01-01", "9999-12-31"),
        ("P999999D", "9000-01-01", "9999-12-31"),
    ],
)
def test_terms_run_by_the_calendar(period: str, event: str, end: str) -> None:
    """A term ends on the day of the same number or the last of a shorter month, and never after the calendar."""
    assert Period.parse(period).after(date.fromisoformat(event)) == date.fromisoformat(end)


@pytest.mark.parametrize("text", ["", "7Y", "P", "P7", "PT5H", "P1DT1H", "P-1Y", "P0Y", "p7y", "P1.5Y", "P7Y ", "open"])
def test_what_is_no_term(text: str) -> None:
    """Hours, fractions, nothing, and what is no ISO 8601 duration are refused."""
    with pytest.raises(ValueError, match="is no duration in years, months, weeks and days"):
        Period.parse(text)


@pytest.mark.parametrize(
    ("start", "calendar", "end"),
    [
        ("doc_date", {}, "2031-05-10"),
        ("doc_year_end", {}, "2031-12-31"),
        ("fy_end", {}, "2031-12-31"),
        ("tax_year_end", {}, "2031-12-31"),
        ("fy_end", {"year_end": (3, 31)}, "2032-03-31"),
        ("fy_end", {"year_end": (5, 10)}, "2031-05-10"),
        ("fy_end", {"year_end": (5, 9)}, "2032-05-09"),
        ("fy_end", {"year_end": (2, 29)}, "2032-02-28"),
        ("tax_year_end", {"year_ends": {"": (9, 30)}}, "2031-09-30"),
        ("fy_end", {"year_ends": {"IN": (3, 31)}}, "2031-12-31"),
        ("doc_year_end", {"year_end": (3, 31)}, "2031-12-31"),
    ],
)
def test_events_that_follow_from_the_documents_date(start: str, calendar: dict[str, Any], end: str) -> None:
    """Without a record that says it, the year of a document ends after the day on which its newest version was made."""
    document = paper("2019-01-01T00:00+00:00", "2024-05-10T09:00+00:00", None, created="2018-01-01T00:00+00:00")

    assert kept(document, own("o", keep="P7Y", start=start), **calendar) == Retention(
        date.fromisoformat(end), None, ("o",), ()
    )


def test_a_fiscal_year_at_the_calendars_end() -> None:
    """The last fiscal year that a calendar can name does not break it; a leap year's February ends on its 29th."""
    duty = own("o", keep="P1D", start="fy_end")
    last = paper(records=({"doc_date": "9999-06-01"},))
    leap = paper(records=({"doc_date": "2023-03-01"},))
    almost = paper(records=({"doc_date": "9998-06-01"},))

    assert kept(almost, duty, year_end=(3, 31)).keep_until == date(9999, 4, 1)
    assert kept(last, duty, year_end=(3, 31)).keep_until == date.max
    assert kept(leap, duty, year_end=(2, 29)).keep_until == date(2024, 3, 1)


def test_the_documents_own_date() -> None:
    """A version's date comes before the document's; with neither, the term has not begun."""
    duty = own("o", keep="P1Y")

    assert kept(paper(None, created="2020-02-02T23:30+00:00"), duty).keep_until == date(2021, 2, 2)
    assert kept(paper(None, created="2020-02-02T23:30+00:00"), duty, zone=ZoneInfo("Europe/Berlin")).keep_until == date(
        2021, 2, 3
    )
    assert kept(paper(None), duty) == Retention(None, None, ("o",), ("o",))


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2024-12-31", "2024-12-31"),
        (" 2024-12-31 ", "2024-12-31"),
        ("2024-12-31T23:30:00.000+0000", "2025-01-01"),
        ("2024-12-31T22:30:00Z", "2024-12-31"),
        ("2024-12-31T23:59:59", "2024-12-31"),
        ("9999-12-31", "9999-12-31"),
        ("", None),
        ("31/12/2024", None),
        ("12-31-2024", None),
        ("2024-02-30", None),
        ("0001-01-01T00:00:00+14:00", None),
        ("soon", None),
        (7, None),
        (None, None),
    ],
)
def test_days_that_records_say(text: Any, day: str | None) -> None:
    """A day, or a moment in the configured time zone; what could be two days, or none, has not happened yet."""
    found = kept(
        paper(records=({"contract_end": text},)),
        own("o", erase="P1D", keep="P1D", start="contract_end"),
        zone=ZoneInfo("Europe/Berlin"),
    )
    event = date.fromisoformat(day) if day else None
    end = None if event is None else event if event == date.max else event + timedelta(days=1)

    assert (found.keep_until, found.erase_by) == (end, end)
    assert found.waiting == (("o",) if day is None else ())


def test_several_records() -> None:
    """The last contract's end counts for keeping, the first one's for erasing; one without end keeps it open."""
    least, most = own("least", keep="P5Y", start="contract_end"), own("most", erase="P5Y", start="contract_end")
    both = paper(records=({"contract_end": "2020-01-01"}, {"contract_end": "2022-01-01"}, {}))
    running = paper(records=({"contract_end": "2020-01-01"}, {"contract_end": ""}))

    assert kept(both, least, most) == Retention(date(2027, 1, 1), date(2025, 1, 1), ("least", "most"), ())
    assert kept(both, least, most).conflict
    assert kept(running, most, least) == Retention(
        date(2025, 1, 1), date(2025, 1, 1), ("least", "most"), ("least", "most")
    )
    assert not kept(running, most, least).conflict
    assert kept(paper("2020-01-01T00:00+00:00"), least) == Retention(None, None, ("least",), ("least",))


def test_a_record_can_say_the_documents_date() -> None:
    """An invoice's date counts in place of the upload's; asked for and empty, nobody knows it."""
    made = "2025-06-01T00:00+00:00"
    duty = own("o", keep="P1D", start="fy_end")

    assert kept(paper(made, records=({"doc_date": "2019-03-04"},)), duty).keep_until == date(2020, 1, 1)
    assert kept(paper(made, records=({"doc_date": ""},)), duty) == Retention(None, None, ("o",), ("o",))
    assert kept(paper(made, records=({"fy_end": "2019-03-31"},)), duty).keep_until == date(2019, 4, 1)
    renamed = paper(made, records=({"Closed__c": "2019-03-31", "fy_end": "2024-01-01"},))
    assert kept(renamed, duty, signals={"fy_end": "Closed__c"}).keep_until == date(2019, 4, 1)


def test_open_terms_wait_for_a_person() -> None:
    """A duty without a period never ends by itself, even where its event is known."""
    found = kept(paper(records=({"assessment_end": "2020-01-01"},)), DUTIES["DE-R5"])

    assert found == Retention(None, None, ("DE-R5",), ("DE-R5",))


def test_duties_have_days_of_their_own() -> None:
    """A duty counts from its first day to its last, in UTC, and not before or after."""
    document = paper("2026-01-01T00:00+00:00")
    dated = replace(own("o", keep="P1Y"), valid_from=date(2027, 7, 10), valid_to=date(2027, 7, 11))

    def on(moment: str) -> Retention:
        return retention(document, [dated], datetime.fromisoformat(moment))

    assert on("2027-07-09T23:59:59+00:00") == on("2027-07-12T00:00+00:00") == Retention()
    assert on("2027-07-10T01:00+02:00") == Retention()
    assert on("2027-07-10T00:00+00:00") == on("2027-07-11T23:59+00:00") == Retention(date(2027, 1, 1), None, ("o",))
    assert DUTIES["EU-R1"].valid_from == date(2027, 7, 10)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({}, "'x' says neither how long to keep nor when to erase"),
        ({"keep": "7 years"}, "'7 years' is no duration"),
        ({"keep": "P2Y", "erase": "P1Y"}, r"'x' erases \(P1Y\) before it lets go \(P2Y\)"),
        ({"keep": "P32D", "erase": "P1M"}, "before it lets go"),
    ],
)
def test_a_duty_of_ones_own_must_make_sense(words: dict[str, str], message: str) -> None:
    """A duty that says nothing, or contradicts itself, is refused."""
    with pytest.raises(ValueError, match=message):
        own("x", **words)


def test_a_duty_of_ones_own() -> None:
    """It can keep and erase on the same day, runs from the document's date unless told, and says where it stands."""
    duty = own("x", keep="P1Y", erase="P1Y", origin="policy.yaml:7")

    assert (duty.start, duty.origin, duty.open, duty.jurisdiction) == ("doc_date", "policy.yaml:7", False, "")
    assert own("y", keep="P1D").origin == ""
    assert kept(paper("2020-02-29T00:00+00:00"), duty) == Retention(date(2021, 2, 28), date(2021, 2, 28), ("x",))


def test_what_two_say_together() -> None:
    """The later minimum, the earlier maximum, every rule once; nothing adds nothing."""
    one = Retention(date(2030, 1, 1), date(2040, 1, 1), ("b", "c"), ("c",))
    two = Retention(date(2031, 1, 1), date(2039, 1, 1), ("a", "b"), ("a",))

    assert (
        together(one, two)
        == together(two, one)
        == Retention(date(2031, 1, 1), date(2039, 1, 1), ("a", "b", "c"), ("a", "c"))
    )
    assert together(one, None) is together(None, one) is one
    assert together(one, Retention()) == one
    assert together(None, None) is None


@pytest.mark.parametrize(("text", "found"), [("12-31", (12, 31)), ("02-29", (2, 29)), ("03-31", (3, 31))])
def test_ends_of_fiscal_years(text: str, found: tuple[int, int]) -> None:
    """A month and a day of a leap year."""
    assert month_day(text) == found


@pytest.mark.parametrize("text", ["", "13-01", "00-10", "01-00", "04-31", "02-30", "1-1", "31-12", "12-31 "])
def test_what_is_no_end_of_a_year(text: str) -> None:
    """A day that no year has is refused by the option's name."""
    for options in ({"fiscal_year_end": text}, {"fiscal_year_ends": {"IN": text}}):
        with pytest.raises(ConfigError, match=r"policy option retention\.fiscal_year_end.*is no day of a year"):
            policy(retention=options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"time_zone": "Berlin"}, "policy option retention.time_zone: 'Berlin' is no time zone, such as Europe/Berlin"),
        ({"time_zone": "../etc"}, "retention.time_zone"),
        ({"exclude": {"DE-R99": "no"}}, "retention.exclude: 'DE-R99' is none of"),
        ({"fiscal_year_ends": {"India": "03-31"}}, "retention.fiscal_year_ends: 'India' is none of"),
    ],
)
def test_options_that_name_what_is_not_there(options: dict[str, Any], message: str) -> None:
    """A wrong word in the retention options is refused when the policy opens."""
    with pytest.raises(ConfigError) as caught:
        policy(retention=options)

    assert message in str(caught.value)


def rules_of(decision: Decision) -> tuple[str, ...]:
    return decision.retention.rules if decision.retention else ()


@pytest.mark.parametrize(
    ("country", "category", "duties"),
    [
        ("NL", "invoices", ("NL-R1",)),
        ("NL", "contracts", ("NL-R1",)),
        ("NL", "personal_data", ()),
        ("NL", "job_application", ("NL-R5",)),
        ("DE", "invoices", ("DE-R1", "DE-R5")),
        ("DE", "books", ("DE-R3", "DE-R5")),
        ("DE", "bank_vouchers", ("DE-R1", "DE-R2", "DE-R5")),
        ("DE", "business_letters", ("DE-R4", "DE-R5")),
        ("DE", "health_data", ("DE-R6",)),
        ("BE", "invoices", ("BE-R1", "BE-R2", "BE-R3")),
        ("FR", "prospect_data", ("FR-R4",)),
        ("NO", "consent_record", ("EU-R2",)),
        ("AE", "health_data", ("AE-R1",)),
        ("HK", "contracts", ("HK-R1",)),
        ("PR", "invoices", ()),
    ],
)
def test_duties_by_jurisdiction_and_type(
    document: Make, stores: list[Target], country: str, category: str, duties: tuple[str, ...]
) -> None:
    """A document meets the duties of its record's country for what it is taken for, whatever becomes of it."""
    assert rules_of(policy().decide(document(country, category=category), stores, NOW)) == duties


def test_who_brings_duties(document: Make, stores: list[Target]) -> None:
    """Every country of a document brings its duties, a citizenship alone brings none, and none come if switched off."""
    ties = {"further_signals": {"citizenship": ["citizenship"], "entity": ["establishment"]}}
    invoice = document("NL", citizenship="SE", entity="DK", category="invoices")

    assert rules_of(policy(**ties).decide(invoice, stores, NOW)) == ("DK-R1", "NL-R1")
    assert rules_of(policy(**ties, retention={"by_law": False}).decide(invoice, stores, NOW)) == ()
    assert policy().decide(document("NL", "", category="invoices"), stores, NOW).retention is None


def test_an_unknown_category_keeps_and_never_erases(document: Make, stores: list[Target]) -> None:
    """What may be anything is kept as long as anything must be, and no duty to erase applies to it."""
    aged = replace(document("NL", category="???", rel_end="2015-01-01"), created=datetime(2020, 1, 1, tzinfo=UTC))
    found = policy().decide(aged, stores, NOW).retention
    applicant = policy().decide(document("NL", category="job_application ???", procedure_end="2026-01-01"), stores, NOW)

    assert found is not None
    assert found.rules == ("EU-R2", "NL-R1", "NL-R2", "NL-R3", "NL-R4", "NL-R6")
    assert (found.keep_until, found.erase_by) == (date(2030, 12, 31), None)
    assert applicant.retention is not None
    assert applicant.retention.erase_by == date(2026, 1, 29)


def test_an_excluded_duty_is_listed_with_its_reason(document: Make, stores: list[Target]) -> None:
    """A duty that the operator excludes does not count, and the decision says why, if it would have applied."""
    rulebook = policy(retention={"exclude": {"DE-R5": "assessment final, tax adviser", "NL-R1": "never shown"}})
    decision = rulebook.decide(document("DE", category="invoices"), stores, NOW)

    assert rules_of(decision) == ("DE-R1",)
    assert [(r.rule, r.text, r.origin) for r in decision.reasons if r.code == "EXCLUDED"] == [
        ("DE-R5", "not applied: assessment final, tax adviser", "tables/retention.psv:12")
    ]
    assert policy().decide(document("DE", category="invoices"), stores, NOW).retention == Retention(
        None, None, ("DE-R1", "DE-R5"), ("DE-R1", "DE-R5")
    )


def test_the_law_and_a_clause_together(document: Make, stores: list[Target]) -> None:
    """A clause adds to the law: the later end of the two, and both are named before what settles the decision."""
    invoice = replace(document("NL", category="invoices"), created=datetime(2020, 5, 1, tzinfo=UTC))
    asked = Retention(date(2035, 1, 1), None, ("ours",), ("x",))
    decision = policy().decide(invoice, stores, NOW, Selection(retention=asked))

    assert decision.retention == Retention(date(2035, 1, 1), None, ("NL-R1", "ours"), ("x",))
    assert decision.code == "PLACED"
    assert [(r.code, r.text) for r in decision.reasons[-2:-1]] == [
        (
            "RETENTION",
            "to be kept until 2035-01-01; no end yet for x: no record says that its term has begun (NL-R1, ours)",
        )
    ]


def test_a_conflict_is_said_and_stops_no_move(document: Make, stores: list[Target]) -> None:
    """Where one duty keeps longer than another allows, a person must look before erasing; the file can still move."""
    asked = Retention(date(2030, 1, 1), date(2029, 1, 1), ("a", "b"))
    decision = policy().decide(document("DE"), stores, NOW, Selection(retention=asked))

    assert (decision.verdict, decision.code) == (Verdict.MOVE, "PLACED")
    assert [reason.code for reason in decision.reasons[-3:]] == ["RETENTION", "RETENTION_CONFLICT", "PLACED"]
    assert decision.reasons[-3].text == "to be kept until 2030-01-01; to be gone after 2029-01-01 (a, b)"
    same = replace(asked, erase_by=date(2030, 1, 1))
    codes = [r.code for r in policy().decide(document("DE"), stores, NOW, Selection(retention=same)).reasons]
    assert "RETENTION_CONFLICT" not in codes


def test_decisions_without_rules_carry_the_clauses_term(document: Make, stores: list[Target]) -> None:
    """What is settled before any rule, or cannot be judged, keeps what the clause says, and names the clause."""
    asked = Selection(clauses=("c",), retention=Retention(date(2030, 1, 1), None, ("a",)))
    small = policy(min_bytes=100).decide(document("DE"), stores, NOW, asked)
    unknown = policy().decide(document(""), stores, NOW, asked)
    nothing = policy().decide(document("DE"), stores, NOW, Selection(retention=Retention()))

    for decision in (small, unknown):
        assert (decision.retention, decision.clauses) == (asked.retention, ("c",))
    assert small.code == "BELOW_MIN_BYTES"
    assert nothing.retention is None
    assert all(reason.code != "RETENTION" for reason in nothing.reasons)


def test_a_row_of_the_table(texts: dict[str, str]) -> None:
    """Every cell of a duty's row is read."""
    row = "NL-R5|NL|job_application|max|P28D|procedure_end|AP guidance|P1Y with consent|M|||2027-11"
    assert row in texts["retention"]
    dated = {**texts, "retention": texts["retention"].replace(row, row.replace("|||", "|2020-01-01|2030-12-31|"))}

    assert tables.load(dated).duties["NL-R5"] == Duty(
        id="NL-R5",
        jurisdiction="NL",
        documents=frozenset({"job_application"}),
        least=None,
        most=Period(0, 28),
        start="procedure_end",
        citation="AP guidance",
        note="P1Y with consent",
        confidence="M",
        valid_from=date(2020, 1, 1),
        valid_to=date(2030, 12, 31),
        review=date(2027, 11, 30),
        origin="tables/retention.psv:6",
    )
    exact = DUTIES["NL-R3"]
    assert exact.least == exact.most == Period(60, 0)
    assert (DUTIES["NL-R1"].least, DUTIES["NL-R1"].most) == (Period(84, 0), None)


def test_reviews_of_duties_are_in_the_terms() -> None:
    """A report can say which rules and which duties somebody should have looked at."""
    reviews = policy().terms.reviews

    assert reviews["DE-R1"] == date(2027, 11, 30)
    assert reviews["EU-01"] == date(2027, 6, 30)
    assert "DE-01" not in reviews
    assert len(reviews) == 57 + 70


EVENTS = ["doc_date", "fy_end", "doc_year_end", "contract_end", "rel_end"]
days = st.dates(date(1990, 1, 1), date(2040, 12, 31))
texts = st.one_of(days.map(date.isoformat), st.sampled_from(["", "soon", "9999-12-31"]))
records = st.lists(st.dictionaries(st.sampled_from(["contract_end", "rel_end"]), texts, max_size=2), max_size=3)


@st.composite
def duties(draw: st.DrawFn) -> Duty:
    least = draw(st.none() | st.integers(1, 400).map(lambda n: f"P{n}M"))
    name, start = draw(st.text("abc", min_size=1, max_size=2)), draw(st.sampled_from(EVENTS))
    if least is None:
        return own(name, erase=draw(st.sampled_from(["P28D", "P3Y", "P30Y"])), start=start)
    return own(name, keep=least, start=start)


@settings(max_examples=80, deadline=None)
@given(records, st.lists(duties(), max_size=4), st.lists(duties(), max_size=3), records)
def test_more_never_keeps_shorter_nor_longer_than_allowed(
    given_records: list[dict[str, str]], first: list[Duty], more: list[Duty], further: list[dict[str, str]]
) -> None:
    """A further duty, or a further record with its event, never ends a minimum earlier nor a maximum later."""
    made = "2020-06-01T00:00+00:00"
    before = kept(paper(made, records=tuple(given_records)), *first)
    for after in (
        kept(paper(made, records=tuple(given_records)), *first, *more),
        kept(paper(made, records=(*given_records, *further)), *first),
    ):
        assert before.keep_until is None or (after.keep_until is not None and after.keep_until >= before.keep_until)
        assert before.erase_by is None or (after.erase_by is not None and after.erase_by <= before.erase_by)
        assert set(before.rules) <= set(after.rules)
    assert kept(paper(made, records=tuple(given_records)), *first[::-1]) == before
    assert kept(paper(made, records=tuple(given_records[::-1])), *first) == before


@settings(max_examples=60, deadline=None)
@given(days, st.integers(0, 600), st.integers(0, 900), st.integers(0, 600))
def test_longer_terms_end_later(event: date, months: int, days_more: int, further: int) -> None:
    """A longer period never ends earlier, a later event never either, and a term never ends before its event."""
    end = Period(months, days_more).after(event)

    assert end >= event
    assert Period(months + 1, days_more).after(event) >= end
    assert Period(months, days_more).after(event + timedelta(days=further)) >= end
    assert (end - event).days >= days_more
