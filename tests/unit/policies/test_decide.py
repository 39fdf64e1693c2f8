from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from offloader.model import Assurance, Decision, Document, Parent, Skip, Verdict
from offloader.ports import Target
from offloader.testing import context
from offloader_policies import explain
from offloader_policies.engine import ResidencyPolicy
from offloader_policies.plugin import POLICY

Make = Callable[..., Document]
MakeTarget = Callable[..., Target]


def policy(**options: Any) -> ResidencyPolicy:
    opened = POLICY.open(POLICY.options.model_validate(options), context(Path()))
    assert isinstance(opened, ResidencyPolicy)
    return opened


def rules(decision: Decision) -> list[str]:
    return [reason.rule for reason in decision.reasons if reason.rule and reason.origin]


@pytest.mark.parametrize(
    ("countries", "verdict", "code", "store"),
    [
        (["DE"], Verdict.MOVE, "PLACED", "archive-de"),
        (["France"], Verdict.MOVE, "PLACED", "archive-de"),
        (["Nederland"], Verdict.MOVE, "PLACED", "archive-de"),
        (["NO"], Verdict.MOVE, "PLACED", "archive-de"),
        (["us"], Verdict.MOVE, "PLACED", "archive-us"),
        (["Australia"], Verdict.MOVE, "PLACED", "archive-au"),
        (["Brasil"], Verdict.MOVE, "PLACED", "archive-br"),
        (["中国"], Verdict.BLOCKED, "NO_COMPLIANT_TARGET", None),
        (["Россия"], Verdict.BLOCKED, "NO_COMPLIANT_TARGET", None),
        ([""], Verdict.REVIEW, "UNKNOWN_SIGNAL", None),
        (["Wakanda"], Verdict.REVIEW, "UNKNOWN_SIGNAL", None),
        ([], Verdict.REVIEW, "UNKNOWN_SIGNAL", None),
        (["DE", ""], Verdict.REVIEW, "UNKNOWN_SIGNAL", None),
        (["DE", "US"], Verdict.MOVE, "PLACED", "archive-de"),
        (["DE", "CN"], Verdict.REVIEW, "SPLIT_REQUIRED", None),
        (["CN", "RU"], Verdict.REVIEW, "SPLIT_REQUIRED", None),
        (["PR"], Verdict.REVIEW, "NO_RULE_COVERS", None),
        (["PK"], Verdict.REVIEW, "NO_RULE_COVERS", None),
        (["DE", "PR"], Verdict.REVIEW, "NO_RULE_COVERS", None),
    ],
)
def test_by_country(
    document: Make,
    stores: list[Target],
    now: datetime,
    countries: list[str],
    verdict: Verdict,
    code: str,
    store: str | None,
) -> None:
    """With stores in AU, BR, DE and US a document goes where its records' law lets it, or stays with the reason."""
    decision = policy().decide(document(*countries), stores, now)

    assert (decision.verdict, decision.code, decision.store) == (verdict, code, store)


def test_people_do_not_count(document: Make, stores: list[Target], now: datetime) -> None:
    """A user or a library among the parents belongs to no country; any other record without one sends to review."""
    user = Parent(type="User", id="U")
    case = Parent(type="Case", id="C")

    assert policy().decide(document("DE", more=[user]), stores, now).store == "archive-de"
    assert policy().decide(document("DE", more=[case]), stores, now).code == "UNKNOWN_SIGNAL"
    assert policy().decide(document(more=[user]), stores, now).code == "UNKNOWN_SIGNAL"


def test_a_user_with_a_country_counts(document: Make, stores: list[Target], now: datetime) -> None:
    """A country that a user's record carries brings its rules."""
    user = Parent(type="User", id="U", signals={"country": "CN"})

    assert policy().decide(document("DE", more=[user]), stores, now).code == "SPLIT_REQUIRED"


def test_further_country_signals_bring_rules(document: Make, stores: list[Target], now: datetime) -> None:
    """A citizenship adds its country's rules, may be absent, and must be known when present."""
    rulebook = policy(more_country_signals=["citizenship"])

    assert rulebook.decide(document("DE"), stores, now).store == "archive-de"
    assert rulebook.decide(document("DE", citizenship="Russia"), stores, now).code == "SPLIT_REQUIRED"
    assert rulebook.decide(document("DE", citizenship="Martian"), stores, now).code == "UNKNOWN_SIGNAL"


def test_what_is_settled_without_rules(document: Make, stores: list[Target], now: datetime) -> None:
    """A skipped or small document is kept, one without versions needs review; an unknown size is not small."""
    rulebook = policy(min_bytes=100)
    skipped = document("DE", skip=Skip("NOTE", "a note is no file"))

    assert rulebook.decide(skipped, stores, now).verdict is Verdict.KEEP
    assert rulebook.decide(skipped, stores, now).code == "NOTE"
    small = rulebook.decide(document("DE", sizes=[40, 59]), stores, now)
    assert (small.code, small.reasons[-1].text) == ("BELOW_MIN_BYTES", "99 bytes are less than min_bytes, 100")
    assert rulebook.decide(document("DE", sizes=[40, 60]), stores, now).verdict is Verdict.MOVE
    assert rulebook.decide(document("DE", sizes=[40, None]), stores, now).verdict is Verdict.MOVE
    assert rulebook.decide(document("DE", sizes=[]), stores, now).code == "NO_VERSIONS"
    assert rulebook.decide(document("DE", sizes=[]), stores, now).verdict is Verdict.REVIEW


def test_reasons_name_rule_and_origin(document: Make, stores: list[Target], now: datetime) -> None:
    """A decision lists each rule with its table's line, what the rules took away, and the choice."""
    decision = policy().decide(document("NL"), stores, now)

    assert rules(decision) == ["EU-01", "EU-02", "NL-01"]
    assert decision.reasons[1].origin == "tables/rules.psv:2"
    assert [reason.code for reason in decision.reasons][-2:] == ["PERMITTED", "PLACED"]
    assert "249 places; EU-01 -207; NL-01 -0 -> 42 places" in decision.reasons[-2].text
    assert explain.lines(decision)[0] == "MOVE -> archive-de (PLACED)"
    assert "EU-01 [tables/rules.psv:2]" in explain.lines(decision)[2]


def test_a_blocked_document_names_the_rules(document: Make, stores: list[Target], now: datetime) -> None:
    """A blocked decision names the strictest rule, all that bound the place, and where the stores are."""
    decision = policy().decide(document("CN"), stores, now)

    assert decision.reasons[-1].rule == "CN-01"
    assert "CN-01, CN-04, CN-03, CN-02" in decision.reasons[-1].text
    assert "archive-de {DE} ATTESTED" in decision.reasons[-1].text
    assert decision.countries == {"CN"}


@pytest.mark.parametrize(
    ("assurance", "age"),
    [
        (Assurance.UNPROVEN, timedelta(hours=1)),
        (Assurance.VIOLATION, timedelta(hours=1)),
        (Assurance.DRIFT, timedelta(hours=1)),
        (Assurance.PROVEN, timedelta(hours=24)),
        (Assurance.PROVEN, timedelta(hours=-1)),
    ],
)
def test_no_proof_no_move(
    document: Make, target: MakeTarget, now: datetime, assurance: Assurance, age: timedelta
) -> None:
    """A store whose proof is bad, has run out or lies in the future is never chosen."""
    decision = policy().decide(document("DE"), [target("DE", assurance=assurance, age=age), target("US")], now)

    assert (decision.verdict, decision.code, decision.store) == (Verdict.BLOCKED, "NO_PROOF", None)


def test_what_was_decided_at_one_moment_holds_for_no_other(document: Make, target: MakeTarget, now: datetime) -> None:
    """A proof counts from the moment when it was taken to the one when it ends, in whatever order one asks."""
    rulebook, offered = policy(), [target("DE", age=timedelta(hours=1), lasts=timedelta(hours=24))]
    taken, ends, moment = now - timedelta(hours=1), now + timedelta(hours=23), timedelta(microseconds=1)

    assert rulebook.decide(document("DE"), offered, taken).store == "archive-de"
    assert rulebook.decide(document("DE"), offered, taken - moment).code == "NO_PROOF"
    assert rulebook.decide(document("DE"), offered, ends - moment).store == "archive-de"
    assert rulebook.decide(document("DE"), offered, ends).code == "NO_PROOF"


def test_a_proof_of_another_store_is_none(document: Make, target: MakeTarget, now: datetime) -> None:
    """A proof that speaks about another store proves nothing."""
    borrowed = Target("elsewhere", target("DE").proof)

    assert policy().decide(document("DE"), [borrowed], now).code == "NO_PROOF"


def test_a_store_must_lie_wholly_inside(document: Make, target: MakeTarget, now: datetime) -> None:
    """A store with one replica outside the permitted places is not chosen; an empty proof is no proof."""
    assert policy().decide(document("DE"), [target("DE", "US")], now).code == "NO_COMPLIANT_TARGET"
    assert policy().decide(document("DE"), [target("DE", "FR")], now).store == "archive-de-fr"
    assert policy().decide(document("DE"), [target("DE", "XX")], now).code == "NO_COMPLIANT_TARGET"
    assert policy().decide(document("US"), [target("XX")], now).code == "NO_COMPLIANT_TARGET"
    assert policy().decide(document("DE"), [target()], now).code == "NO_PROOF"
    assert policy().decide(document("DE"), [], now).code == "NO_COMPLIANT_TARGET"


def test_preference(document: Make, target: MakeTarget, now: datetime) -> None:
    """Configured order first, then the same country, then the same law, then the name."""
    offered = [target("BR"), target("NL", name="b-nl"), target("FR", name="a-fr"), target("DE")]

    assert policy().decide(document("DE"), offered, now).store == "archive-de"
    assert policy().decide(document("IT"), offered, now).store == "a-fr"
    assert policy(prefer=["x", "b-nl", "archive-de"]).decide(document("DE"), offered, now).store == "b-nl"
    assert policy(prefer=["archive-us"]).decide(document("DE"), [*offered, target("US")], now).store == "archive-de"


def test_hard_rules_extend_only_on_request(document: Make, target: MakeTarget, now: datetime) -> None:
    """A German tax book stays in Germany unless the operator says that the condition for the EU is met."""
    books = {"categories": {"default": ["tax_books"]}}
    offered = [target("NL")]

    assert policy(**books).decide(document("DE"), offered, now).reasons[-1].rule == "DE-02"
    assert policy(**books, allow_extensions=["DE-02"]).decide(document("DE"), offered, now).store == "archive-nl"
    assert policy().decide(document("DE"), offered, now).store == "archive-nl"


def test_categories_unite(document: Make, target: MakeTarget, now: datetime) -> None:
    """Categories from the kind, the record's type and the signal bring further rules."""
    offered = [target("NL")]
    by_kind = {"categories": {"by_kind": {"ContentDocument": ["tax_books"]}}}
    by_parent = {"categories": {"by_parent": {"Account": ["tax_books"]}}}

    assert policy(**by_kind).decide(document("DE"), offered, now).code == "NO_COMPLIANT_TARGET"
    assert policy(**by_parent).decide(document("DE"), offered, now).code == "NO_COMPLIANT_TARGET"
    assert policy().decide(document("DE", category="Invoices; x"), offered, now).code == "NO_COMPLIANT_TARGET"
    assert policy().decide(document("DE", category="invoices"), offered, now).code == "NO_COMPLIANT_TARGET"
    assert policy().decide(document("DE", category=""), offered, now).store == "archive-nl"


def test_an_unknown_category_meets_every_rule(document: Make, stores: list[Target], now: datetime) -> None:
    """A category that no table knows, or none at all, is judged by all rules of the country."""
    unknown = policy().decide(document("AU", category="???"), stores, now)
    none = policy(categories={"default": []}).decide(document("AU"), stores, now)

    assert rules(unknown) == rules(none) == ["AU-01", "AU-02"]
    assert "unknown (signal category)" in unknown.reasons[0].text
    assert "unknown (nothing says it)" in none.reasons[0].text


SCC = {
    "id": "scc-7",
    "kind": "scc",
    "jurisdictions": ["EU", "NL"],
    "destinations": ["US"],
    "valid_from": "2026-01-01",
    "valid_to": "2026-11-22",
    "owner": "dpo",
}


def test_a_transfer_basis_opens_until_it_expires(document: Make, target: MakeTarget, now: datetime) -> None:
    """A recorded basis opens its destination on its days, and is named; the day after, it is none."""
    rulebook = policy(transfer_bases=[SCC])
    offered = [target("US", lasts=timedelta(days=99))]
    decision = rulebook.decide(document("NL"), offered, now)

    assert decision.store == "archive-us"
    assert "on the transfer basis scc-7 (dpo, until 2026-11-22)" in decision.reasons[1].text
    assert decision.bases == ("scc-7",)
    assert rulebook.decide(document("NL"), offered, now + timedelta(days=1)).code == "NO_COMPLIANT_TARGET"
    assert policy(transfer_bases=[{**SCC, "jurisdictions": ["EU"]}]).decide(document("NL"), offered, now).store is None
    assert policy(transfer_bases=[{**SCC, "rules": ["CN-01"]}]).decide(document("CN"), offered, now).store is None


def test_china_has_a_documented_way_down(document: Make, target: MakeTarget, now: datetime) -> None:
    """By default a Chinese document stays in China; a declared volume and a recorded basis open a way out."""
    basis = {**SCC, "jurisdictions": ["CN"], "kind": "cac_scc_filing", "destinations": ["SG"]}
    offered = [target("SG")]
    declared = policy(transfer_bases=[basis], treat_volume_rules_as="under_1000000").decide(
        document("CN"), offered, now
    )

    assert policy(transfer_bases=[basis]).decide(document("CN"), offered, now).store is None
    assert policy(treat_volume_rules_as="under_1000000").decide(document("CN"), offered, now).store is None
    assert declared.store == "archive-sg"
    assert {reason.rule for reason in declared.reasons if reason.code == "EXCLUDED"} == {"CN-01", "CN-02", "CN-04"}


def test_an_excluded_rule_is_listed_with_its_reason(document: Make, target: MakeTarget, now: datetime) -> None:
    """A rule that the operator excludes bounds nothing, is listed with the reason, and covers no country."""
    rulebook = policy(exclude_rules={"AU-02": "counsel, 3 March"})
    decision = rulebook.decide(document("AU"), [target("DE")], now)

    assert decision.code == "NO_RULE_COVERS"
    assert ("EXCLUDED", "not applied: counsel, 3 March") in [(r.code, r.text) for r in decision.reasons]


@pytest.mark.parametrize(
    ("subdivision", "store"),
    [("", None), ("CA-QC", None), ("qc", None), ("Québec", None), ("nonsense", None), ("ON", "x"), ("Ontario", "x")],
)
def test_an_unknown_province_meets_every_provinces_rules(
    document: Make, target: MakeTarget, now: datetime, subdivision: str, store: str | None
) -> None:
    """Quebec's rule binds Quebec, and Canada where the province is unknown; a store in Canada is not in Quebec."""
    decision = policy().decide(document("CA", subdivision=subdivision), [target("CA", name="x")], now)

    assert decision.store == store
    assert ("CA-02" in rules(decision)) == (store is None)


def test_denials_come_last(document: Make, stores: list[Target], now: datetime) -> None:
    """What is denied is taken away after everything that allows."""
    assert rules(policy().decide(document("US", "VN"), stores, now)) == ["VN-01", "VN-02", "US-06"]


def test_a_rule_past_its_review_still_applies(document: Make, target: MakeTarget) -> None:
    """A rule that nobody looked at in time is applied, and the decision says so."""
    late = datetime(2027, 7, 1, tzinfo=UTC)
    offered = [target("DE", lasts=timedelta(days=999))]
    codes = {r.rule for r in policy().decide(document("DE"), offered, late).reasons if r.code == "REVIEW_OVERDUE"}
    day_before = policy().decide(document("DE"), offered, late - timedelta(days=1))

    assert codes == {"EU-01", "EU-02"}
    assert [r.rule for r in day_before.reasons if r.code == "REVIEW_OVERDUE"] == ["EU-02"]


def test_a_group_that_is_not_in_force_opens_nothing(document: Make, target: MakeTarget) -> None:
    """Before the adequacy list began, only the union itself was open; the law's reach does not shrink with dates."""
    early = datetime(2026, 1, 25, 23, 59, tzinfo=UTC)
    offered = [target("BR", age=timedelta(days=999), lasts=timedelta(days=2000))]

    assert policy().decide(document("DE"), offered, early).code == "NO_COMPLIANT_TARGET"
    assert policy().decide(document("DE"), offered, early + timedelta(minutes=1)).store == "archive-br"
    assert policy().decide(document("DE"), offered, datetime(2019, 1, 1, tzinfo=UTC)).code == "CONFLICT"


def test_hostile_signals_are_quoted_and_short(document: Make, stores: list[Target], now: datetime) -> None:
    """Whatever the CRM wrote is escaped and cut, and three hundred bad parents make a handful of reasons."""
    decision = policy().decide(document(*(f"\r\n\u202e{n}{'x' * 500}" for n in range(300))), stores, now)

    assert decision.code == "UNKNOWN_SIGNAL"
    assert len(decision.reasons) == 7
    assert "and 295 more" in decision.reasons[-1].text
    assert all(reason.text.isascii() and reason.text.isprintable() for reason in decision.reasons)
    assert all(len(reason.text) < 200 for reason in decision.reasons)


def test_problems_are_cut_only_when_there_are_many(document: Make, stores: list[Target], now: datetime) -> None:
    """Five problems are all said, and a text of forty characters is quoted whole."""
    five = policy().decide(document(*(f"{n}{'x' * 39}" for n in range(5))), stores, now)
    longer = policy().decide(document("x" * 41), stores, now)

    assert [reason.text for reason in five.reasons[1:]] == [
        f"Account A{n} has the country '{n}{'x' * 39}', which is no known country" for n in range(5)
    ]
    assert f"'{'x' * 40}\\u2026'" in longer.reasons[-1].text


def test_signals_that_are_no_text_need_review(document: Make, stores: list[Target], now: datetime) -> None:
    """A signal of the wrong type counts as missing."""
    odd: Any = {"country": 7, "category": None}

    assert policy().decide(document(more=[Parent(type="A", id="1", signals=odd)]), stores, now).code == "UNKNOWN_SIGNAL"
