"""First and last days, groups that come and go, and the sentences that a person reads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from offloader.model import Assurance, Document, Retention
from offloader.ports import Target
from offloader.psv import Row
from offloader_policies import engine, tables
from offloader_policies.engine import ResidencyPolicy
from offloader_policies.options import ResidencyOptions
from offloader_policies.retention import month_day
from offloader_policies.selection import Selection
from tests.unit.policies.test_decide import SCC, policy

Make = Callable[..., Document]
MakeTarget = Callable[..., Target]

#: a group that holds for the summer of one year
SUMMER = Row(
    "own.yaml",
    1,
    {"group": "SUMMER", "members": "US", "valid_from": "2026-06-01", "valid_to": "2026-08-31", "note": "", "conf": ""},
)
DAYS = [("2026-05-31", False), ("2026-06-01", True), ("2026-08-31", True), ("2026-09-01", False)]


def noon(day: str) -> datetime:
    return datetime.fromisoformat(f"{day}T12:00:00+00:00")


def always(target: MakeTarget, *countries: str) -> Target:
    """A store whose proof holds on every day of these tests."""
    return target(*countries, age=timedelta(days=999), lasts=timedelta(days=9999))


def with_groups(*groups: Row, options: ResidencyOptions | None = None, **rule: str) -> ResidencyPolicy:
    """A policy whose only own rule, if any, binds Dutch documents."""
    cells = {
        "id": "OWN",
        "jur": "NL",
        "category": "any",
        "applies_when": "",
        "must_in": "",
        "allow": "",
        "deny": "",
        "strict": "5",
    }
    cells |= {"cite": "c", "status": "in force", "review": "2099-01", "conf": "H", **rule}
    rules = (Row("own.yaml", 2, cells),) if rule else ()
    return ResidencyPolicy(tables.load(groups=groups, rules=rules), options or ResidencyOptions())


@pytest.mark.parametrize(("day", "opens"), [("2026-02-28", False), ("2026-03-01", True), ("2026-03-02", False)])
def test_a_basis_of_one_day(document: Make, target: MakeTarget, day: str, opens: bool) -> None:
    """A basis opens on its first day and on its last, which may be the same; before and after, it says why not."""
    basis = {**SCC, "valid_from": "2026-03-01", "valid_to": "2026-03-01"}

    decision = policy(transfer_bases=[basis]).decide(document("NL"), [always(target, "US")], noon(day))

    assert (decision.store == "archive-us") is opens
    said = " ".join(reason.text for reason in decision.reasons if reason.code == "BASIS_NOT_IN_FORCE")
    assert ("begins on 2026-03-01" in said, "ended on 2026-03-01" in said) == (day < "2026-03", day > "2026-03-01")


@pytest.mark.parametrize(("day", "opens"), DAYS)
def test_a_basis_for_a_group_opens_what_the_group_is_on_that_day(
    document: Make, target: MakeTarget, day: str, opens: bool
) -> None:
    """A destination that is a group of countries follows the group's own days, within the days of the basis."""
    basis = {**SCC, "destinations": ["@SUMMER"]}
    rulebook = with_groups(SUMMER, options=ResidencyOptions.model_validate({"transfer_bases": [basis]}))
    offered = [always(target, "US")]
    before = rulebook.decide(document("NL"), offered, noon("2026-01-01"))

    assert before.store is None
    assert (rulebook.decide(document("NL"), offered, noon(day)).store == "archive-us") is opens


@pytest.mark.parametrize("mode", ["HARD", "PRIMARY", "COPY"])
@pytest.mark.parametrize(("day", "holds"), DAYS)
def test_a_rule_about_a_group_follows_the_group(
    document: Make, target: MakeTarget, mode: str, day: str, holds: bool
) -> None:
    """Where bytes must be is where the group's countries are on the day; an empty group leaves no place."""
    summer = replace(SUMMER, cells={**SUMMER.cells, "members": "DE"})
    rulebook = with_groups(summer, mode=mode, must_in="@SUMMER")

    decision = rulebook.decide(document("NL"), [always(target, "DE")], noon(day))

    assert decision.code == ("PLACED" if holds else "CONFLICT")


def test_steps_depend_on_the_categories_of_a_basis(document: Make, now: datetime) -> None:
    """A basis for personal data alone widens the rule's step for them, and not for a document that is more."""
    rulebook = policy(transfer_bases=[{**SCC, "categories": ["personal_data"]}])

    plain, health = (
        next(step for step in rulebook.steps(document("NL", **more), now) if step.rule.id == "EU-01")
        for more in ({}, {"category": "health_data"})
    )

    assert "US" in plain.left
    assert "US" not in health.left


@pytest.mark.parametrize(
    ("options", "day"), [({"exclude_rules": {"VN-02": "none of ours"}}, "2026-11-22"), ({}, "2025-12-31")]
)
def test_steps_name_rules_that_do_nothing(document: Make, options: dict[str, object], day: str) -> None:
    """A rule that is left out, or not yet in force, is a step that takes nothing away."""
    step = next(each for each in policy(**options).steps(document("VN"), noon(day)) if each.rule.id == "VN-02")

    assert (step.reason.code in ("EXCLUDED", "NOT_IN_FORCE"), step.removed) == (True, frozenset())


def test_the_fingerprint_is_of_what_is_said() -> None:
    """The order in which options are written changes nothing."""
    one, other = ({"exclude_rules": dict.fromkeys(names, "why")} for names in (("EU-01", "NL-01"), ("NL-01", "EU-01")))

    assert policy(**one).fingerprint == policy(**other).fingerprint


def test_the_fingerprint_is_of_the_engine_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that may decide otherwise has another fingerprint for the same options."""
    before = policy().fingerprint
    monkeypatch.setattr(engine, "ENGINE", engine.ENGINE + 1)

    assert policy().fingerprint != before


def test_two_bases_are_both_named(document: Make, target: MakeTarget, now: datetime) -> None:
    """Every basis that a rule's places rest on is said, one after the other."""
    bases = [{**SCC, "id": "one"}, {**SCC, "id": "two"}]

    decision = policy(transfer_bases=bases).decide(document("NL"), [target("US")], now)

    ends = "(dpo, until 2026-11-22)"
    assert f"; on the transfer basis one {ends}; on the transfer basis two {ends};" in decision.reasons[1].text


def test_what_settles_is_said_in_words(document: Make, target: MakeTarget, stores: list[Target], now: datetime) -> None:
    """A country without a rule, a document without a country, and a store without a proof are named."""
    uncovered = policy().decide(document("AF"), stores, now)
    nowhere = policy().decide(document(), stores, now)
    closed = policy().decide(document("DE"), [target("DE", assurance=Assurance.UNPROVEN)], now)

    assert uncovered.reasons[-1].text == "no rule in force speaks about such a document of {AF}"
    assert nowhere.reasons[0].text == "countries unknown; categories personal_data (default)"
    assert nowhere.reasons[-1].text == "no record that the document hangs on says a country"
    assert (closed.code, closed.reasons[-1].rule) == ("NO_PROOF", "EU-01")


def test_the_sixth_problem_is_counted(document: Make, stores: list[Target], now: datetime) -> None:
    """Five problems are said, and one more is counted."""
    decision = policy().decide(document(*(f"nowhere {n}" for n in range(6))), stores, now)

    assert [reason.text for reason in decision.reasons[-2:]] == [
        "Account A4 has the country 'nowhere 4', which is no known country",
        "and 1 more",
    ]


def test_several_needs_are_said_together(document: Make, target: MakeTarget, now: datetime) -> None:
    """A copy that a rule asks for, and the number that a clause asks for, stand in one sentence."""
    books = policy(categories={"default": ["company_books"]})

    decision = books.decide(document("IN"), [target("DE")], now, Selection(copies=2))

    assert decision.code == "COPY_NEEDED"
    assert "a full copy in {IN} and 2 full copies in different stores (" in decision.reasons[-1].text


def test_a_term_that_waits_and_one_that_contradicts(document: Make, stores: list[Target], now: datetime) -> None:
    """Every waiting duty is named, and a contradiction says that a person has to look."""
    waits = Retention(None, None, ("a", "b"), ("a", "b"))
    contradicts = Retention(date(2030, 1, 1), date(2029, 1, 1), ("a", "b"))
    texts = [
        [each.text for each in policy().decide(document("DE"), stores, now, Selection(retention=asked)).reasons]
        for asked in (waits, contradicts)
    ]

    assert "no end yet for a, b: no record says that its term has begun (a, b)" in texts[0]
    assert (
        "one duty keeps the document longer than another allows: a person has to look before anything is erased"
        in texts[1]
    )


def test_the_first_day_of_a_year_is_one() -> None:
    """A fiscal year may end on the first of January."""
    assert month_day("01-01") == (1, 1)


def test_a_moment_of_another_zone_is_a_day_in_utc(document: Make, target: MakeTarget) -> None:
    """The day of a decision is the day in UTC, whatever the zone of the moment."""
    rulebook = with_groups(replace(SUMMER, cells={**SUMMER.cells, "members": "DE"}), mode="HARD", must_in="@SUMMER")
    before = datetime.fromisoformat("2026-06-01T01:00:00+02:00")

    assert rulebook.decide(document("NL"), [always(target, "DE")], before).code == "CONFLICT"
    assert rulebook.decide(document("NL"), [always(target, "DE")], before.astimezone(UTC) + timedelta(hours=1)).store
