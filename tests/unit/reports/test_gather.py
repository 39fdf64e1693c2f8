"""What a report says of a plan's documents."""

from __future__ import annotations

import hashlib
import random
from dataclasses import replace
from datetime import timedelta

import pytest

from offloader.errors import ConfigError, Refused
from offloader.ledger import PlanHeader
from offloader.model import Reason, Verdict
from offloader.ports import Terms
from offloader.reports.gather import note, seed_of
from offloader.reports.model import Count, Mode, Report
from tests.unit.reports.conftest import NOW, Desk, Retention, date, decision, move

BLOCKED = decision(Verdict.BLOCKED, "NO_COMPLIANT_TARGET", "no store lies in {RU}", jurisdictions=("RU",))
REVIEW = decision(Verdict.REVIEW, "CONFLICT", "the rules leave no place", jurisdictions=("CN", "RU"))


def test_documents_are_counted_by_verdict_and_code(desk: Desk) -> None:
    """Every document is in one total and in one code, with its versions and bytes and an example's sentence."""
    desk.document("a", b"1" * 10, b"2" * 20)
    desk.document("b", b"3" * 5)
    desk.document("c", b"4" * 7, made=BLOCKED)

    report = desk.planned()

    assert report.totals == {
        "MOVE": Count(2, 3, 35),
        "KEEP": Count(),
        "BLOCKED": Count(1, 1, 7),
        "REVIEW": Count(),
    }
    assert report.codes == {("MOVE", "PLACED"): Count(2, 3, 35), ("BLOCKED", "NO_COMPLIANT_TARGET"): Count(1, 1, 7)}
    assert report.examples["BLOCKED", "NO_COMPLIANT_TARGET"] == "no store lies in {RU}"
    assert {target.name: target.chosen for target in report.targets} == {"de": Count(2, 3, 35), "us": Count()}


@pytest.mark.parametrize(("homes", "found"), [(("US", "IE"), {"US", "IE"}), ((), {""})])
def test_moves_are_counted_by_where_from_and_where_to(desk: Desk, homes: tuple[str, ...], found: set[str]) -> None:
    """The matrix has every country of the CRM, or none if nobody said it, and every country of all stores of a copy."""
    desk.homes = {"crm": homes}
    desk.document("a", b"1" * 10, made=move("de", copies=("us",)))
    desk.document("b", made=BLOCKED)

    report = desk.planned()

    assert report.matrix == {(home, country): Count(1, 1, 10) for home in found for country in ("DE", "US")}


def test_documents_are_counted_by_law_category_and_country(desk: Desk) -> None:
    """A document under several categories is counted in each, by its jurisdictions and where it goes, or nowhere."""
    desk.document("a", b"1", made=move(jurisdictions=("DE", "FR"), categories=("invoices", "personal_data")))
    desk.document("b", b"22", made=BLOCKED)

    report = desk.planned()

    assert report.by_law == {
        ("DE FR", "invoices", "DE"): Count(1, 1, 1),
        ("DE FR", "personal_data", "DE"): Count(1, 1, 1),
        ("RU", "", ""): Count(1, 1, 2),
    }


def test_what_lacks_is_counted_by_kind_of_problem(desk: Desk) -> None:
    """Sentences that differ in the record alone are one problem; a document counts once for each problem."""
    for title, texts in (
        ("a", ["Account 0015g0001 has no country", "Account 0015g0002 has no country", "and 3 more"]),
        ("b", ["Account 0015g0003 has no country", "Contact 003 has the country 'Atl\\'antis 7', which is none"]),
    ):
        reasons = tuple(Reason("UNKNOWN_SIGNAL", text) for text in texts)
        desk.document(title, made=replace(REVIEW, reasons=reasons))

    report = desk.planned()

    assert report.data_quality == {
        "Account … has no country": 2,
        "Contact … has the country …, which is none": 1,
    }


def test_exceptions_have_an_owner_and_a_day(desk: Desk) -> None:
    """Everything blocked or to be reviewed is an exception with the policy's owner, due from the plan's day on."""
    desk.policy.terms = Terms(exceptions_owner="privacy@kade.example", exceptions_days=10)
    desk.document("a")
    desk.document("b", made=BLOCKED)
    desk.document("c", made=REVIEW)

    report = desk.planned()

    rows = {row.number: row for row in report.rows()}
    assert (report.exceptions, report.exceptions_total) == ((2, 3), 2)
    assert {(rows[number].owner, rows[number].due) for number in report.exceptions} == {
        ("privacy@kade.example", date(2026, 12, 2))
    }
    assert (rows[1].owner, rows[1].due) == ("", None)


def test_exceptions_are_listed_up_to_a_number_and_all_counted(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """No more than the first of many exceptions are listed, but all are counted."""
    monkeypatch.setattr(Report, "EXCEPTIONS", 2)
    for title in "abc":
        desk.document(title, made=REVIEW)

    report = desk.planned()

    assert (report.exceptions, report.exceptions_total) == ((1, 2), 3)


def test_the_sample_can_be_drawn_again_from_the_rows(desk: Desk) -> None:
    """The seed comes from the plan's hash unless given, and with it anybody draws the same moves from the rows."""
    for number in range(60):
        desk.document(f"d{number}", b"x", made=REVIEW if number % 3 == 2 else None)

    report = desk.planned()

    rng, drawn = random.Random(report.seed), []
    for seen, row in enumerate((row for row in report.rows() if row.verdict == "MOVE"), 1):
        if seen <= 20:
            drawn.append(row.number)
        elif (place := int(rng.random() * seen)) < 20:
            drawn[place] = row.number
    assert report.seed == seed_of(report.plan_sha256)
    assert report.sample == tuple(sorted(drawn))
    assert len(set(report.sample)) == 20
    with desk.site() as site:
        other = desk.report(site, report.plan, seed=7)
    assert other.seed == 7
    assert other.sample != report.sample


def test_file_names_are_hashed_unless_asked_for(desk: Desk) -> None:
    """A row has the beginning of its title's SHA-256, or with names the raw title, however hostile."""
    title = '=HYPERLINK("http://x")\u202e<b>', '"size":5,"verdict":"KEEP"'
    desk.document(title[0] + title[1])

    hashed = desk.planned()
    with desk.site() as site:
        named = list(desk.report(site, hashed.plan, names=True).rows())

    digest = hashlib.sha256((title[0] + title[1]).encode()).hexdigest()
    assert [row.name for row in hashed.rows()] == [digest[:16]]
    assert [row.name for row in named] == [title[0] + title[1]]


def test_a_row_tells_the_whole_decision(desk: Desk) -> None:
    """A row has the records' signals, the rules in order, what was permitted, the store, its proof, and retention."""
    made = replace(
        move(
            countries=frozenset({"NL", "DE"}),
            jurisdictions=("DE",),
            categories=("invoices",),
            clauses=("old",),
            bases=("scc-1",),
            retention=Retention(date(2034, 12, 31), None, ("DE-R2",), ("DE-R5",)),
        ),
        reasons=(
            Reason("SIGNALS", "countries DE"),
            Reason("HARD", "all copies only in {DE}", "DE-02", "tables/rules.psv:9"),
            Reason("PERMITTED", '249 places; DE-02 -248 -> {DE} "size":1,'),
            Reason("PLACED", "de is in {DE}"),
        ),
    )
    desk.document("invoice.pdf", b"12345", made=made, country="DE", entity="")

    row = next(desk.planned().rows())

    assert [sentence.partition(": ")[2] for sentence in row.signals] == ["country DE", "entity —"]
    assert row.signals[0].startswith("Account ")
    assert row.rules == (("DE-02", "HARD", "tables/rules.psv:9", "all copies only in {DE}"),)
    assert row.narrowing == '249 places; DE-02 -248 -> {DE} "size":1,'
    assert (row.verdict, row.code, row.reason) == ("MOVE", "PLACED", "de is in {DE}")
    assert (row.countries, row.source_countries, row.store_countries) == (("DE", "NL"), ("US",), ("DE",))
    assert (row.store, row.assurance, len(row.proof)) == ("de", "PROVEN", 64)
    assert (row.jurisdictions, row.categories, row.clauses, row.bases) == (("DE",), ("invoices",), ("old",), ("scc-1",))
    assert (row.keep_until, row.erase_by, row.retention) == (date(2034, 12, 31), None, ("DE-R2", "DE-R5 (waiting)"))
    assert row.checksum == f"md5:{hashlib.md5(b'12345', usedforsecurity=False).hexdigest()}"
    assert (row.bytes, row.versions, row.created, row.outcome, row.stored) == (5, 1, NOW, "", ())


def test_conflicts_of_retention_and_held_documents_are_counted(desk: Desk) -> None:
    """A minimum after a maximum is a conflict; a document that a hold keeps is among the held."""
    desk.document("a", b"1", made=move(retention=Retention(date(2030, 1, 1), date(2029, 1, 1), ("A", "B"))))
    desk.document("b", b"22", made=move(retention=Retention(date(2028, 1, 1), date(2029, 1, 1), ("A", "B"))))
    desk.document("c", b"333", made=decision(Verdict.KEEP, "HELD", "hold H-1"))

    report = desk.planned()

    assert report.retention_conflicts == Count(1, 1, 1)
    assert report.held == Count(1, 1, 3)


def test_a_plan_without_documents_has_a_report(desk: Desk) -> None:
    """A sealed plan of nothing gives a report of nothing."""
    with desk.site() as site:
        plan = site.ledger.create_plan(PlanHeader(sources=("crm",), policies={"crm": "1"}, created=NOW))
        site.ledger.seal_plan(plan, sha256="0" * 64, totals={})
        report = desk.report(site, plan)
        rows = list(report.rows())

    assert (rows, report.sample, report.money, report.exceptions) == ([], (), None, ())
    assert report.totals == dict.fromkeys(("MOVE", "KEEP", "BLOCKED", "REVIEW"), Count())
    assert report.forecast is not None
    assert report.forecast.requests == 0


def test_only_a_sealed_plan_has_a_report(desk: Desk) -> None:
    """A plan that is still being made is refused; one that is not there is a mistake in the command."""
    with desk.site() as site:
        plan = site.ledger.create_plan(PlanHeader(sources=("crm",)))
        with pytest.raises(Refused, match="sealed"):
            desk.report(site, plan)
        with pytest.raises(ConfigError, match="P-1"):
            desk.report(site, "P-1")


def test_a_report_asks_neither_the_crm_nor_a_store(desk: Desk) -> None:
    """Everything comes from the ledger: no call is made, and a store that cannot be reached is no hindrance."""
    desk.document("a")
    with desk.site() as site:
        plan = desk.plan(site)
    before = desk.source.usage()
    desk.stores = {"de": None, "us": None}  # type: ignore[dict-item]

    with desk.site() as site:
        report = desk.report(replace(site, stores={}), plan)
        rows = list(report.rows())

    assert desk.source.usage() == before
    assert [target.name for target in report.targets] == ["de", "us"]
    assert rows[0].store_countries == ("DE",)


def test_the_difference_is_against_the_last_report_of_another_plan(desk: Desk) -> None:
    """Counts by code, and what else is new: policies and proofs; a report of the same plan is no measure."""
    desk.document("a")
    desk.document("b", made=BLOCKED)
    with desk.site() as site:
        first = desk.report(site, desk.plan(site))
        note(site, first)
        again = desk.report(site, first.plan)
    desk.clock.advance(86400)
    desk.policy.fingerprint = "2"
    desk.policy.decisions["b"] = move("us")
    desk.stores["us"].countries = frozenset({"US", "CA"})
    with desk.site() as site:
        second = desk.report(site, desk.plan(site))
        run = desk.report(site, second.plan, Mode.RUN)

    assert (first.id, again.id, second.id) == ("R-20261122-0001", "R-20261122-0002", "R-20261123-0001")
    assert (first.difference, again.difference, run.difference) == (None, None, None)
    assert second.difference is not None
    assert (second.difference.report, second.difference.at) == (first.id, NOW)
    assert second.difference.by_code == {"BLOCKED NO_COMPLIANT_TARGET": -1, "MOVE PLACED": 1}
    assert second.difference.changed == ("policy own", "proof us")


def test_a_report_is_noted_once(desk: Desk) -> None:
    """The ledger keeps which report was written about which plan, in its event log too, and never changes it."""
    desk.document("a")
    with desk.site() as site:
        report = desk.report(site, desk.plan(site))
        note(site, report)
        with pytest.raises(Exception, match=report.id):
            note(site, report)
        rows = site.ledger.reports("dry-run")
        event = site.ledger.events(limit=10_000)[-1]

    assert [(row.id, row.plan, row.at) for row in rows] == [(report.id, report.plan, NOW)]
    assert (event.type, event.data["id"], event.data["plan"]) == ("report", report.id, report.plan)


def test_documents_of_any_number_keep_their_rows_in_order(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows come in the plan's order over any number of pages, each time anew."""
    monkeypatch.setattr("offloader.reports.rows.PAGE", 4)
    for number in range(11):
        desk.document(f"d{number}", b"x" * (number + 1))
    with desk.site() as site:
        report = desk.report(site, desk.plan(site))
        once, twice = [[(row.number, row.bytes) for row in report.rows()] for _ in range(2)]

    assert once == twice == [(number + 1, number + 1) for number in range(11)]
    assert report.totals["MOVE"] == Count(11, 11, 66)


def test_a_report_later_than_the_plan_says_so(desk: Desk) -> None:
    """The report has its own time beside the plan's, its writer beside the plan's maker."""
    desk.document("a")
    with desk.site() as site:
        plan = desk.plan(site)
    desk.clock.advance(3600)
    with desk.site() as site:
        report = desk.report(site, plan, by="somebody")

    assert (report.plan_at, report.made_at) == (NOW, NOW + timedelta(hours=1))
    assert (report.by, report.preparer) == ("somebody", "account:tester")
    assert (report.organisation, report.environment) == ("Kade B.V.", "test")


def test_sums_do_not_depend_on_how_many_decisions_are_held_side_by_side(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counting many different decisions in parts gives the same report as counting all at once."""
    for number in range(6):
        desk.document(f"d{number}", b"x" * number, made=move(jurisdictions=(f"L{number % 3}",)))
    whole = desk.planned()
    monkeypatch.setattr("offloader.reports.sums._FLOWS", 1)
    with desk.site() as site:
        parted = desk.report(site, whole.plan)

    assert len(whole.by_law) == 3
    assert (parted.totals, parted.codes, parted.by_law) == (whole.totals, whole.codes, whole.by_law)
    assert (parted.matrix, parted.targets, parted.policies) == (whole.matrix, whole.targets, whole.policies)


def test_a_hostile_crm_cannot_make_endless_lists_of_problems(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """From a number of different sentences on, the others are counted together."""
    monkeypatch.setattr("offloader.reports.sums._SENTENCES", 2)
    for word in ("one", "two", "three", "four"):
        reason = Reason("UNKNOWN_SIGNAL", f"a record lacks {word} thing")
        desk.document(word, made=replace(REVIEW, reasons=(reason,)))

    report = desk.planned()

    assert len(report.data_quality) == 3
    assert report.data_quality["…"] == 2
