"""What is doubtful about a policy is found, with its place and its remedy; what is sound is left alone."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from offloader.model import Assurance
from offloader_policies.language import lint
from offloader_policies.language.policy import FilePolicy
from tests.unit.policy_language.conftest import ALL, NOW, STORES, Open, target

BELOW = """\
policy: below
approvals: {people: 2, preparer: false, days: 7}
residency: {attested: free_rules_only, treat_volume_rules_as: strict}
caps: {documents: 100, percent: 10, kinds: {File: 5}}
rules:
  - {id: OWN-1, jur: NL, category: any, mode: HARD, must_in: [NL], cite: board, review: 2030}
clauses:
  - {id: hold, select: {kinds: [Note]}, then: keep, reason: matter 7}
  - {id: moved, select: {kinds: [Some]}, then: move}
"""
ABOVE = f"extends: [below.yaml]\n{ALL}"


def warnings(policy: FilePolicy, **more: object) -> dict[str, str]:
    """Code → message of everything that is more than a note."""
    found = lint.findings(policy, more.get("targets", ()), more.get("now", NOW))  # type: ignore[arg-type]
    return {each.code: each.message for each in found if each.severity != "ok"}


def test_a_sound_policy_raises_nothing(policy: Open) -> None:
    """A policy that moves and stands on no weakened layer gives no warning."""
    assert warnings(policy(ABOVE, below_yaml=BELOW), targets=STORES[:2]) == {}


@pytest.mark.parametrize(
    ("lines", "code", "say"),
    [
        ("policy: x\n", "moves-nothing", "policy.yaml:1: no clause moves"),
        (
            f"{ALL}  - {{id: b, select: {{min_size: 2 MB, max_size: 1 MB}}, then: move}}\n",
            "clause-never",
            "4: the clause b",
        ),
        (f"{ALL}  - {{id: b, select: {{min_age: P2Y, max_age: P1Y}}, then: move}}\n", "clause-never", "min_age"),
        (f"{ALL}  - {{id: b, select: {{when: '1 > 2'}}, then: move}}\n", "clause-never", "is false whatever"),
        (
            f"{ALL}  - {{id: b, select: {{when: 'document.name.matches(\"(\")'}}, then: move}}\n",
            "condition-unanswerable",
            "policy.yaml:4: the condition of the clause b has no answer",
        ),
        (
            f"{ALL}  - {{id: b, select: {{when: 'document.size / 0 == 1'}}, then: move}}\n",
            "condition-unanswerable",
            "what it selects comes to review",
        ),
        (
            (
                f"{ALL}  - {{id: b, select: {{kinds: [A, B]}}, then: keep, reason: r}}\n"
                "  - {id: c, select: {kinds: A, min_size: 5}, then: move}\n"
            ),
            "clause-shadowed",
            "policy.yaml:5: the clause c never decides: b (keep)",
        ),
        (
            f"{ALL}rules:\n  - {{id: R, jur: NL, category: fti, mode: HARD, must_in: NL, cite: c, review: 2030}}\n",
            "rule-never",
            "policy.yaml:5: the rule R fires only if the CRM itself says",
        ),
        (
            f"{ALL}rules:\n  - {{id: R, jur: NL, category: any, mode: PENDING, cite: c, review: 2030}}\n",
            "rule-never",
            "is PENDING and binds nobody",
        ),
        (
            f"{ALL}rules:\n  - {{id: R, jur: NL, category: any, mode: FREE, cite: c, review: 2020-05}}\n",
            "review-overdue",
            "R should have been looked at again by 2020-05-31",
        ),
    ],
)
def test_what_never_applies_is_found(policy: Open, lines: str, code: str, say: str) -> None:
    """Dead and shadowed clauses, rules without a category, and overdue reviews are named with their line."""
    assert say in warnings(policy(lines)).get(code, "")


@pytest.mark.parametrize(
    ("lines", "code", "say"),
    [
        ("removes: {clauses: {hold: ended}}\n", "hold-removed", "policy.yaml:5: the clause hold (below.yaml:8)"),
        ("removes: {rules: {OWN-1: ended}}\n", "hold-removed", "the rule OWN-1"),
        ("approvals: {people: 1}\n", "weaker", "1 people must approve, the layer below asks for 2 (below.yaml:2)"),
        ("approvals: {preparer: true}\n", "weaker", "the preparer may approve"),
        ("approvals: {days: 30}\n", "weaker", "holds 30 days"),
        ("caps: {documents: 101}\n", "weaker", "caps.documents is 101"),
        ("caps: {documents: null}\n", "weaker", "caps.documents is None"),
        ("caps: {kinds: {File: 6}}\n", "weaker", "caps.kinds.File is 6"),
        ("residency: {attested: accept}\n", "weaker", "residency.attested is accept"),
        ("residency: {treat_volume_rules_as: under_100000}\n", "weaker", "the layer below says strict"),
        ("  - {id: hold, then: move}\n", "weaker", "the clause hold said keep, it says move now"),
        ("  - {id: hold, select: {kinds: [Mail]}}\n", "weaker", "what the clause hold selects is changed"),
    ],
)
def test_what_a_higher_layer_takes_away_is_found(policy: Open, lines: str, code: str, say: str) -> None:
    """Removed holds and rules, fewer approvals and larger caps are named with both places."""
    assert say in warnings(policy(ABOVE + lines, below_yaml=BELOW)).get(code, "")


@pytest.mark.parametrize(
    "lines",
    [
        "approvals: {people: 3, days: 5}\n",
        "caps: {documents: 99, percent: 10}\n",
        "caps: {pilot: 5}\n",
        "residency: {attested: refuse}\n",
        "  - {id: moved, select: {kinds: [Other]}}\n",
        "  - {id: b, select: {min_age: P12M, max_age: P500D}, then: move}\n",
    ],
)
def test_a_stricter_layer_raises_nothing(policy: Open, lines: str) -> None:
    """More people, shorter days and lower caps are no warning; what they replace is noted with both places."""
    opened = policy(ABOVE + lines, below_yaml=BELOW)

    assert warnings(opened) == {}
    noted = [each.message for each in lint.findings(opened, (), NOW) if each.code == "overridden"]
    assert all("below.yaml:" in message and message.startswith("policy.yaml:") for message in noted)
    assert bool(noted) is not ("pilot" in lines or "P12M" in lines)


def test_a_condition_that_only_needs_facts_is_sound(policy: Open) -> None:
    """Every fact counts as known, and what records may say is nobody's mistake."""
    for when in (
        "document.owner == '1' && document.age_days > 3",
        "document.mime != 'a/b' && document.created_days > 1",
    ):
        assert warnings(policy(ALL.replace("everything: true", f'when: "{when}"'))) == {}
    asks = "parents.exists(p, p.signals.status == 'Closed')"
    assert warnings(policy(ALL.replace("everything: true", f'when: "{asks}"'))) == {}


def test_a_misspelt_category_is_named(policy: Open) -> None:
    """A rule of one's own about a category that nothing else knows comes with the nearest that exists."""
    rule = "{id: R, jur: NL, category: helth_data, mode: HARD, must_in: NL, cite: c, review: 2030}"
    found = lint.findings(policy(f"{ALL}rules:\n  - {rule}\n"), (), NOW)

    assert [each.remedy.partition("?")[0] for each in found if each.code == "rule-never"] == [
        "did you mean health_data"
    ]


def test_stores_are_looked_at(policy: Open) -> None:
    """A store without a proof, and one that nothing can reach, are named."""
    case = "tests:\n  - {name: t, given: {parents: [{type: A, signals: {country: NL}}]}, expect: {verdict: BLOCKED}}\n"
    opened = policy(ALL + case)
    stores = (STORES[0], target("bad", "DE", assurance=Assurance.UNPROVEN), target("split", "DE", "CN"))

    found = warnings(opened, targets=stores)

    assert "store bad: has no current proof" in found["store-unproven"]
    assert "store split: in CN, DE" in found["store-unreachable"]


def test_excluded_rules_and_uncovered_countries_are_notes(policy: Open) -> None:
    """What an operator has decided with a reason is listed, and so is what no rule speaks of; neither is a warning."""
    opened = policy(f"{ALL}residency: {{exclude_rules: {{RU-02: counsel says so}}}}\n")

    notes = {each.code: each.message for each in lint.findings(opened, (), NOW) if each.severity == "ok"}
    assert "RU-02" in notes["rule-excluded"]
    assert "counsel says so" in notes["rule-excluded"]
    covered = notes["country-uncovered"].partition(": the rules")[2].partition(": ")[2].partition(";")[0].split()
    assert {"DE", "CN", "US"} <= set(covered)
    assert "AF" not in covered


def test_a_pack_about_a_country_of_the_tests_is_proposed(policy: Open) -> None:
    """A policy whose examples name China, without the Chinese pack, is told of it."""
    case = "tests:\n  - {name: t, given: {parents: [{type: A, signals: {country: CN}}]}, expect: {verdict: BLOCKED}}\n"
    codes = [each.message for each in lint.findings(policy(ALL + case), (), NOW) if each.code == "pack-missing"]

    assert [text for text in codes if "the pack china" in text]
    assert not [text for text in codes if "the pack russia" in text]
    assert not [
        each
        for each in lint.findings(policy(f"extends: packs/china\n{ALL}{case}"), (), NOW)
        if each.code == "pack-missing" and "the pack china" in each.message
    ]


def test_overdue_rules_of_the_table_are_named_later(policy: Open) -> None:
    """On a day after a rule's review date, the rule and its line in the table are named."""
    found = warnings(policy(ALL), now=datetime(2040, 1, 1, tzinfo=UTC))

    assert "should have been looked at again" in found["review-overdue"]
