"""Which clauses select a document, and what several of them say together."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offloader.model import Document, Skip, Verdict, Version
from offloader_policies.language.model import Clause
from offloader_policies.language.reading import read
from offloader_policies.language.selecting import Selector
from offloader_policies.language.spans import parse_period, parse_size
from tests.unit.policy_language.conftest import ALL, NOW, STORES, Open, document

DAY = timedelta(days=1)


def clauses(*lines: str) -> str:
    return "policy: test\nclauses:\n" + "".join(f"  - {{{line}}}\n" for line in lines)


def decided(opened: Any, given: Document) -> tuple[str, str, tuple[str, ...]]:
    found = opened.decide(given, STORES, NOW)
    return found.verdict.value, found.code, found.clauses


def test_an_empty_policy_moves_nothing(policy: Open) -> None:
    """What no clause selects stays, and the decision says so."""
    assert decided(policy("policy: test\n"), document()) == ("KEEP", "NOT_SELECTED", ())


def test_a_clause_that_moves_hands_on_to_the_rules(policy: Open) -> None:
    """The decision names the clause with its file and line, then the rules, then the store."""
    found = policy(ALL).decide(document(), STORES, NOW)

    assert (found.verdict, found.store, found.clauses) == (Verdict.MOVE, "de", ("all",))
    assert (found.reasons[0].code, found.reasons[0].rule, found.reasons[0].origin) == ("CLAUSE", "all", "policy.yaml:3")
    assert "EU-01" in {reason.rule for reason in found.reasons}


@pytest.mark.parametrize(
    ("select", "given", "selected"),
    [
        ("sources: crm", document(), True),
        ("sources: [other]", document(), False),
        ("kinds: [File, Note]", document(), True),
        ("kinds: Note", document(), False),
        ("parents: [Case]", document(("User", {}), ("Case", {"country": "DE"})), True),
        ("parents: [Case]", document(), False),
        ("min_age: P400D", document(age=400 * DAY), True),
        ("min_age: P400D", document(age=400 * DAY - timedelta(seconds=1)), False),
        ("max_age: P400D", document(age=400 * DAY), False),
        ("max_age: P400D", document(age=400 * DAY - timedelta(seconds=1)), True),
        ("min_age: P1D", document(age=None), None),
        ("max_age: P1D", document(age=None), None),
        ("min_age: P1D, age_of: created", document(), True),
        ("min_size: 1 kB", document(size=1000), True),
        ("min_size: 1 kB", document(size=999), False),
        ("min_size: 1 kB", document(size=None), None),
        ("max_size: 1 kB", document(size=1000), True),
        ("max_size: 1 kB", document(size=1001), False),
        ("max_size: 1 kB", document(size=None), None),
        ("extensions: pdf", document(name="A.PDF"), True),
        ("extensions: [pdf]", document(name="pdf"), False),
        ("mime: application/pdf", document(mime="Application/PDF; x=1"), True),
        ("mime: application/pdf", document(mime="text/plain"), False),
        ("mime: image/*", document(mime="image/png"), True),
        ("mime: image/*", document(mime=None), None),
        ("kinds: Note, min_age: P1D", document(age=None), False),
        ("min_age: P1D, extensions: docx", document(age=None), False),
    ],
)
def test_each_line_narrows(policy: Open, select: str, given: Document, selected: bool | None) -> None:
    """Every line must be met; what is not known is never taken for no, unless another line says no."""
    opened = policy(clauses(f"id: one, select: {{{select}}}, then: move"))

    expected = {True: ("MOVE", "PLACED"), False: ("KEEP", "NOT_SELECTED"), None: ("REVIEW", "CONDITION_UNKNOWN")}
    assert decided(opened, given)[:2] == expected[selected]


def test_a_time_without_a_zone_is_no_time(policy: Open) -> None:
    """A date that a connector left without its zone is unknown, and the newest version's own date is taken if known."""
    one = document()
    naive = replace(one, modified=datetime(2020, 1, 1))  # noqa: DTZ001 - that is the fault
    old = replace(one, modified=None, versions=(replace(one.versions[0], modified=NOW - 900 * DAY),))
    opened = policy(clauses("id: one, select: {min_age: P2Y}, then: move"))

    assert decided(opened, naive)[:2] == ("REVIEW", "CONDITION_UNKNOWN")
    assert decided(opened, old)[:2] == ("MOVE", "PLACED")
    first = replace(one, created=None, versions=(replace(one.versions[0], created=NOW - 900 * DAY), *one.versions))
    by_creation = policy(clauses("id: one, select: {min_age: P2Y, age_of: created}, then: move"))
    assert decided(by_creation, first)[:2] == ("MOVE", "PLACED")


def test_sizes_are_of_all_versions_and_certain_where_they_can_be(policy: Open) -> None:
    """One known version above the bound is enough, although another's size is unknown."""
    one = document(size=2000)
    versions = (*one.versions, Version(id="V2", number=2, name="a.pdf", size=None, mime="application/pdf"))
    given = Document(ref=one.ref, title="", versions=versions, parents=one.parents)

    assert decided(policy(clauses("id: a, select: {min_size: 1 kB}, then: move")), given)[1] == "PLACED"
    assert decided(policy(clauses("id: a, select: {max_size: 1 kB}, then: move")), given)[1] == "NOT_SELECTED"


MOVE, OLD = "id: move, select: {everything: true}, then: move", "select: {min_age: P1D}"
KEEP = "id: keep, select: {extensions: pdf}, then: keep, reason: stays"
REVIEW = "id: review, select: {kinds: File}, then: review, reason: look"


@pytest.mark.parametrize(
    ("lines", "age", "expected"),
    [
        ((MOVE, KEEP), DAY, ("KEEP", "KEPT_BY_CLAUSE", ("move", "keep"))),
        ((KEEP, MOVE), DAY, ("KEEP", "KEPT_BY_CLAUSE", ("keep", "move"))),
        ((MOVE, KEEP, REVIEW), DAY, ("REVIEW", "REVIEW_BY_CLAUSE", ("move", "keep", "review"))),
        ((f"id: a, {OLD}, then: move",), None, ("REVIEW", "CONDITION_UNKNOWN", ())),
        ((MOVE, f"id: a, {OLD}, then: keep, reason: x"), None, ("REVIEW", "CONDITION_UNKNOWN", ("move",))),
        (
            (MOVE, f"id: a, {OLD}, then: classify, categories: [health_data]"),
            None,
            ("REVIEW", "CONDITION_UNKNOWN", ("move",)),
        ),
        ((KEEP, f"id: a, {OLD}, then: move"), None, ("KEEP", "KEPT_BY_CLAUSE", ("keep",))),
        ((KEEP, f"id: a, {OLD}, then: review, reason: x"), None, ("REVIEW", "CONDITION_UNKNOWN", ("keep",))),
        ((REVIEW, f"id: a, {OLD}, then: move"), None, ("REVIEW", "REVIEW_BY_CLAUSE", ("review",))),
        ((f"id: a, {OLD}, then: keep, reason: x",), None, ("KEEP", "NOT_SELECTED", ())),
        (("id: a, select: {everything: true}, then: classify",), DAY, ("KEEP", "NOT_SELECTED", ("a",))),
    ],
)
def test_the_most_careful_clause_decides(
    policy: Open, lines: tuple[str, ...], age: timedelta | None, expected: tuple[object, ...]
) -> None:
    """Review beats keep beats move in any order; an unknown clause matters only where it could change the outcome."""
    assert decided(policy(clauses(*lines)), document(age=age)) == expected


POOL = (
    MOVE,
    KEEP,
    REVIEW,
    "id: old, select: {min_age: P1Y}, then: move, categories: [invoices]",
    "id: young, select: {max_age: P1Y}, then: keep, reason: r",
    "id: big, select: {min_size: 1 kB}, then: move, prefer: [nl]",
    "id: note, select: {kinds: Note, mime: image/*}, then: review, reason: r",
    "id: class, select: {mime: application/pdf}, then: classify, categories: [health_data], prefer: [de]",
)


@given(
    st.permutations(POOL),
    st.integers(0, len(POOL) - 1),
    st.builds(
        document,
        kind=st.sampled_from(["File", "Note"]),
        size=st.sampled_from([None, 5, 5000]),
        mime=st.sampled_from([None, "application/pdf", "image/png"]),
        age=st.sampled_from([None, DAY, 400 * DAY]),
    ),
)
@settings(max_examples=40, deadline=None, derandomize=True)
def test_order_never_matters_and_care_only_grows(lines: list[str], count: int, given_document: Document) -> None:
    """The order of clauses changes no outcome; one more that keeps, reviews or classifies never makes it a MOVE."""

    def judged(chosen: list[str]) -> tuple[str, str]:
        content = read("p.yaml", clauses(*chosen).encode()).value
        found = [Clause.model_validate(each) for each in content.get("clauses") or ()]
        outcome = Selector(found, ["p.yaml:1"] * len(found), {}).select(given_document, NOW)
        return (outcome.verdict or "MOVE", outcome.reasons[-1].code)

    chosen, one_more = lines[:count], lines[count]
    assert judged(chosen)[0] == judged(chosen[::-1])[0]
    if "then: move" not in one_more and judged(chosen)[0] != "MOVE":
        assert judged([*chosen, one_more])[0] != "MOVE"


@pytest.mark.parametrize("line", [KEEP, REVIEW])
def test_the_reason_of_a_clause_is_the_reason_of_the_decision(policy: Open, line: str) -> None:
    """What the officer wrote stands in the decision, with the clause and its line."""
    last = policy(clauses(MOVE, line)).decide(document(), STORES, NOW).reasons[-1]

    assert last.text == line.rpartition("reason: ")[2]
    assert (last.rule, last.origin) == (line.partition(",")[0].removeprefix("id: "), "policy.yaml:4")


def test_categories_unite_and_the_strictest_rules_apply(policy: Open) -> None:
    """Categories of every clause count, those of clauses that only classify too, and so do their rules."""
    opened = policy(
        clauses(
            "id: a, select: {everything: true}, then: move, categories: [invoices]",
            "id: b, select: {kinds: File}, then: classify, categories: [health_data]",
        )
    )

    found = opened.decide(document(), STORES, NOW)

    assert {"invoices", "health_data", "personal_data"} <= set(found.categories)
    assert {"DE-02", "DE-04"} <= {reason.rule for reason in found.reasons}


def test_preferences_of_one_clause_count(policy: Open) -> None:
    """A clause's order of stores is taken before the nearest place."""
    opened = policy(clauses(MOVE, "id: b, select: {kinds: File}, then: classify, prefer: [nl, de]"))

    assert opened.decide(document(), STORES, NOW).store == "nl"


def test_the_largest_number_of_copies_counts(policy: Open) -> None:
    """Two clauses that ask for one and for two copies make two."""
    opened = policy(clauses(MOVE, "id: b, select: {kinds: File}, then: move, copies: 2"))

    found = opened.decide(document(), STORES, NOW)

    assert set(found.stores) == {"de", "nl"}


@pytest.mark.parametrize(
    ("one", "two"), [("prefer: [de]", "prefer: [nl]"), ("cost_class: STANDARD", "cost_class: GLACIER_IR")]
)
def test_clauses_that_contradict_each_other_need_a_person(policy: Open, one: str, two: str) -> None:
    """No clause wins silently by its place in the file; both are named."""
    opened = policy(clauses(f"id: a, select: {{kinds: File}}, then: move, {one}", f"id: b, {OLD}, then: move, {two}"))

    found = opened.decide(document(), STORES, NOW)

    assert (found.verdict, found.code) == (Verdict.REVIEW, "CLAUSES_CONTRADICT")
    assert [reason.rule for reason in found.reasons] == ["a", "b"]
    assert ("price classes" in found.reasons[-1].text) is one.startswith("cost_class")


def test_retention_counts_from_the_event_that_the_clause_names(policy: Open) -> None:
    """A period of one's own begins with a date of the record; duties of several clauses add up."""
    opened = policy(
        clauses(
            "id: a, select: {everything: true}, then: move, retention: [{id: own, keep: P7Y, from: contract_end}]",
            "id: b, select: {kinds: File}, then: classify, retention: [DE-R1]",
        )
    )

    kept = opened.decide(document(("A", {"country": "DE", "contract_end": "2025-02-28"})), STORES, NOW).retention

    assert kept is not None
    assert kept.keep_until is not None
    assert kept.keep_until.isoformat() >= "2032-02-28"
    assert {"own", "DE-R1"} <= set(kept.rules)


def test_what_must_stay_stays_without_any_clause(policy: Open) -> None:
    """A document that the source says must stay is kept for the source's reason."""
    one = document()
    given = Document(ref=one.ref, title="", versions=one.versions, skip=Skip("draft-mail", "a draft"))

    assert decided(policy(ALL), given) == ("KEEP", "draft-mail", ())


def test_a_document_below_the_minimum_size_stays(policy: Open) -> None:
    """`min_bytes` of the file counts for every clause, and the decision says where it stands."""
    opened = policy(f"{ALL}min_bytes: 2 kB\n")

    assert decided(opened, document(size=1999))[:2] == ("KEEP", "BELOW_MIN_BYTES")
    assert opened.decide(document(size=1999), STORES, NOW).reasons[-1].origin == "policy.yaml:4"
    assert decided(opened, document(size=2000))[:2] == ("MOVE", "PLACED")


@pytest.mark.parametrize(
    ("period", "now", "before"),
    [
        ("P1Y", "2024-02-29", "2023-02-28"),
        ("P1M", "2026-03-31", "2026-02-28"),
        ("P1Y2M", "2026-01-15", "2024-11-15"),
        ("P2W", "2026-01-15", "2026-01-01"),
        ("P1M1D", "2026-03-31", "2026-02-27"),
        ("P9999Y", "2026-01-01", "0001-01-01"),
    ],
)
def test_periods_run_by_the_calendar(period: str, now: str, before: str) -> None:
    """A month ends on its last day, a leap day has the day before it."""
    moment = datetime.fromisoformat(f"{now}T00:00:00+00:00")

    assert parse_period(period).before(moment) == datetime.fromisoformat(f"{before}T00:00:00+00:00")
    assert parse_period(period).before(moment).tzinfo is UTC or period == "P9999Y" or moment.tzinfo


@pytest.mark.parametrize("text", ["1Y", "P", "P1", "PT5H", "P-1Y", "p1y", "P1.5Y", 5])
def test_other_periods_are_refused(text: object) -> None:
    """Hours, fractions and lower case are no period, and the error says what is."""
    with pytest.raises(ValueError, match="write P2Y"):
        parse_period(text)


@pytest.mark.parametrize(
    ("text", "count"), [(5, 5), ("5", 5), ("20 kB", 20_000), ("1MiB", 1 << 20), ("3 GB", 3 * 10**9)]
)
def test_sizes(text: object, count: int) -> None:
    """Bytes, or a number with its unit."""
    assert parse_size(text) == count


@pytest.mark.parametrize("text", ["5 kb", "-5", -5, True, 1.5, "5 M", None])
def test_other_sizes_are_refused(text: object) -> None:
    """A unit that could mean two things is no size."""
    with pytest.raises(ValueError, match="is no size"):
        parse_size(text)
