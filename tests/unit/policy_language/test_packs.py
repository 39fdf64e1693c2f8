"""The packs keep what their own tests promise, name rules that exist, and say what they are not."""

from __future__ import annotations

import pytest

from offloader_policies import tables
from offloader_policies.language import cases, lint
from offloader_policies.language.layers import load_pack, shipped_packs
from offloader_policies.language.model import Case
from offloader_policies.language.policy import FilePolicy
from tests.unit.policy_language.conftest import ALL, NOW, STORES, Open, document

GIVEN = "given: {on: 2026-11-22, parents: [{type: A, signals: {country: NL}}], stores: {x: [DE]}}"


@pytest.fixture(scope="module", params=shipped_packs())
def pack(request: pytest.FixtureRequest) -> FilePolicy:
    return FilePolicy(load_pack(request.param))


def test_a_pack_keeps_its_promises(pack: FilePolicy) -> None:
    """Every pack brings tests, all on a fixed day, and all come out as expected."""
    results = list(cases.run(pack, NOW))

    assert results
    assert [(each.name, each.differences) for each in results if each.differences] == []
    assert all(case.given.on is not None for case in pack.book.content.tests)


def test_a_pack_says_what_it_is(pack: FilePolicy) -> None:
    """Its rules stand in the table, it says that it is no legal advice, and it has a date for the next look."""
    about = pack.book.content.pack

    assert about is not None
    assert set(about.rules) <= {rule.id for rule in pack.tables.rules}
    assert about.notice.startswith("Not legal advice")
    assert "Not legal advice" in pack.book.layers[-1].text.splitlines()[0]
    assert about.review > about.valid_from


def test_a_pack_raises_no_warning(pack: FilePolicy) -> None:
    """Nothing about a shipped pack is doubtful on the day that it describes."""
    assert [found for found in lint.findings(pack, (), NOW) if found.severity != "ok"] == []


def test_every_rule_of_the_table_is_in_one_pack() -> None:
    """No rule of the table is without a pack, and none stands in two."""
    packs = [load_pack(name).content.pack for name in shipped_packs()]

    named = [rule for about in packs if about is not None for rule in about.rules]
    assert sorted(named) == sorted(rule.id for rule in tables.load().rules)


def test_a_pack_is_as_sure_and_as_fresh_as_its_weakest_rule(pack: FilePolicy) -> None:
    """A pack is to be looked at again when its first rule is, and says no more than that it is sure of all of them."""
    about = pack.book.content.pack

    assert about is not None
    rules = [rule for rule in pack.tables.rules if rule.id in about.rules]
    assert about.review <= min(rule.review for rule in rules)
    assert "HML".index(about.confidence) >= max("HML".index(rule.confidence) for rule in rules)


def test_packs_move_nothing_by_themselves(policy: Open) -> None:
    """A policy that only stands on packs keeps everything in the CRM."""
    opened = policy(f"policy: x\nextends: [{', '.join(f'packs/{name}' for name in shipped_packs())}]\n")

    assert opened.decide(document(), STORES, NOW).code == "NOT_SELECTED"


def test_leaving_a_pack_out_loosens_nothing(policy: Open) -> None:
    """The rules of the table bind a Chinese document whether or not its pack is named."""
    found = policy(ALL).decide(document(("A", {"country": "CN"})), STORES, NOW)

    assert found.countries == {"CN"}
    assert found.code == "NO_COMPLIANT_TARGET"


@pytest.mark.parametrize(
    ("expect", "differs"),
    [
        ("{verdict: MOVE, code: PLACED, store: x, clauses: [all], categories: [personal_data], rules: [EU-01]}", ""),
        ("{verdict: KEEP}", "verdict: expected KEEP, got MOVE"),
        ("{code: NO_PROOF}", "code: expected NO_PROOF, got PLACED"),
        ("{store: y}", "store: expected y, got x"),
        ("{copies: [y]}", "copies: expected {y}, got none"),
        ("{countries: [DE]}", "countries: expected {DE}, got {AD, AR"),
        ("{includes: ['@EEA', US]}", "includes: {US} not permitted"),
        ("{excludes: [DE, US]}", "excludes: {DE} permitted"),
        ("{categories: [invoices]}", "categories: expected {invoices}, got {personal_data}"),
        ("{clauses: []}", "clauses: expected none, got {all}"),
        ("{rules: [CN-01]}", "rules: {CN-01} not among the reasons"),
    ],
)
def test_an_example_says_what_came_out_otherwise(policy: Open, expect: str, differs: str) -> None:
    """Every line that a test expects is compared, and a difference says what was expected and what came."""
    opened = policy(f"{ALL}tests:\n  - {{name: one, {GIVEN}, expect: {expect}}}\n")

    (result,) = cases.run(opened, NOW)

    assert result.where == "policy.yaml:5"
    assert len(result.differences) == bool(differs)
    assert differs in "".join(result.differences)


def test_an_example_is_decided_on_its_own_day(policy: Open) -> None:
    """A transfer basis that has ended opens nothing in an example of a later day."""
    basis = (
        "residency:\n  transfer_bases:\n"
        "    - {id: b, kind: scc, rules: [EU-01, NL-01], destinations: [US], owner: me,\n"
        "       valid_from: 2026-01-01, valid_to: 2026-12-31}\n"
    )
    given = "parents: [{type: A, signals: {country: NL}}], stores: {x: [US]}"
    tests = "".join(
        f"  - {{name: on {day}, given: {{on: {day}, {given}}}, expect: {{verdict: {verdict}}}}}\n"
        for day, verdict in (("2026-12-31", "MOVE"), ("2027-01-01", "BLOCKED"))
    )

    results = list(cases.run(policy(f"{ALL}{basis}tests:\n{tests}"), NOW))

    assert [each.differences for each in results] == [(), ()]


def test_a_made_up_document_is_what_its_example_says() -> None:
    """Versions, sizes, dates, parents and signals arrive as they stand in the file."""
    case = Case.model_validate(
        {
            "name": "n",
            "given": {
                "kind": "Note",
                "name": "b.docx",
                "size": "5 MB",
                "versions": 2,
                "modified": "2026-01-02",
                "owner": "U",
                "parents": [{"type": "Case", "signals": {"status": "Open"}}],
            },
            "expect": {"verdict": "KEEP"},
        }
    )

    found = cases.made(case.given)

    assert (found.ref.kind, found.size, len(found.versions), found.owner) == ("Note", 10_000_000, 2, "U")
    assert found.modified is not None
    assert found.modified.isoformat() == "2026-01-02T00:00:00+00:00"
    assert (found.parents[0].type, dict(found.parents[0].signals)) == ("Case", {"status": "Open"})
