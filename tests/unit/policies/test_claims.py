"""What the shipped rules say about the cases that people ask about first, and how a decision explains itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from offloader.model import Assurance, Decision, Document, Verdict
from offloader.ports import Target
from offloader.testing import context
from offloader_policies import explain, tables
from offloader_policies.engine import ResidencyPolicy
from offloader_policies.options import ResidencyOptions
from offloader_policies.plugin import POLICY
from offloader_policies.selection import Selection

Make = Callable[..., Document]
MakeTarget = Callable[..., Target]
RULES = {rule.id: rule for rule in tables.load().rules}
SCC: dict[str, Any] = {
    "id": "scc-7",
    "kind": "scc",
    "jurisdictions": ["EU"],
    "destinations": ["US"],
    "valid_from": "2026-01-01",
    "valid_to": "2026-11-22",
    "owner": "dpo",
}


def policy(**options: Any) -> ResidencyPolicy:
    opened = POLICY.open(POLICY.options.model_validate(options), context(Path()))
    assert isinstance(opened, ResidencyPolicy)
    return opened


def say(decision: Decision, code: str) -> list[str]:
    return [f"{reason.rule}: {reason.text}" for reason in decision.reasons if reason.code == code]


@pytest.mark.parametrize(
    ("country", "category", "places"),
    [
        ("CN", "personal_data", {"CN"}),
        ("RU", "personal_data", {"RU"}),
        ("AU", "my_health_record", {"AU"}),
        ("AU", "health_data", {"AU"}),
        ("DE", "tax_books", {"DE"}),
        ("DE", "invoices", {"DE"}),
        ("KZ", "personal_data", {"KZ"}),
        ("IN", "payments", {"IN"}),
        ("AE", "health_data", {"AE"}),
        ("CA", "tax_books", {"CA-QC"}),
    ],
)
def test_where_documents_must_be(document: Make, now: datetime, country: str, category: str, places: set[str]) -> None:
    """Without a recorded basis these documents may be nowhere else."""
    assert policy(categories={"default": [category]}).decide(document(country), [], now).countries == places


def test_claims_that_go_too_far(document: Make, stores: list[Target], now: datetime) -> None:
    """Telecom metadata have no place in Germany by law in force, and only My Health Record is bound to Australia."""
    telecom = policy(categories={"default": ["telecom_metadata"]}).decide(document("DE"), stores, now)
    health = policy(categories={"default": ["health_data"]}).decide(document("AU"), stores, now)

    assert telecom.store == "archive-de"
    assert "FR" in telecom.countries
    assert [text.partition(";")[0] for text in say(telecom, "SUSPENDED")] == ["DE-01: suspended, not applied"]
    assert say(health, "HARD") == []
    assert say(health, "COND")[0].startswith("AU-02: without a transfer basis only in {AU}; Privacy Act 1988 APP 8")


def test_dated_rules(document: Make, target: MakeTarget) -> None:
    """A rule binds from its first day to its last one; outside of them it is listed and speaks about nobody."""
    day_before = datetime(2025, 6, 30, 23, 59, tzinfo=UTC)
    offered = [target("RU", age=timedelta(days=999), lasts=timedelta(days=9999))]
    before = policy().decide(document("RU"), offered, day_before)
    after = policy().decide(document("RU"), offered, day_before + timedelta(minutes=1))

    assert say(before, "NOT_IN_FORCE") == ["RU-01: not applied: in force from 2025-07-01"]
    assert say(before, "PRIMARY") == []
    assert say(after, "NOT_IN_FORCE") == []
    assert len(say(after, "PRIMARY")) == 1

    gone = replace(RULES["MX-01"], valid_to=date(2026, 11, 22))
    rulebook = ResidencyPolicy(replace(tables.load(), rules=(gone,)), ResidencyOptions())
    last = datetime(2026, 11, 22, 23, 59, tzinfo=UTC)
    assert rulebook.decide(document("MX"), [target("MX")], last - timedelta(hours=12)).store == "archive-mx"
    ended = rulebook.decide(document("MX"), [target("MX")], last + timedelta(minutes=1))
    assert ended.code == "NO_RULE_COVERS"
    assert say(ended, "NOT_IN_FORCE") == ["MX-01: not applied: in force from 2025-03-21 to 2026-11-22"]
    long_ago = policy().decide(document("KZ"), offered, datetime(2015, 12, 31, 23, 59, tzinfo=UTC))
    assert say(long_ago, "NOT_IN_FORCE") == ["KZ-01: not applied: in force from 2016-01-01"]
    endless = ResidencyPolicy(replace(tables.load(), rules=(replace(gone, valid_from=None),)), ResidencyOptions())
    assert say(endless.decide(document("MX"), [], last + timedelta(minutes=1)), "NOT_IN_FORCE") == [
        "MX-01: not applied: in force to 2026-11-22"
    ]
    assert RULES["DE-01"].valid_to == date(2023, 8, 13)
    assert not RULES["DE-01"].in_force(date(2020, 1, 1))


def test_a_basis_out_of_date_is_named(document: Make, target: MakeTarget, now: datetime) -> None:
    """A recorded basis that has ended, or has not begun, does not count, and the decision says which and whose."""
    offered = [target("US", lasts=timedelta(days=9))]
    ended = policy(transfer_bases=[SCC]).decide(document("DE"), offered, now + timedelta(days=1))
    later = policy(transfer_bases=[{**SCC, "valid_from": "2026-11-23", "valid_to": "2027-01-01"}]).decide(
        document("DE"), offered, now
    )

    assert ended.code == later.code == "NO_COMPLIANT_TARGET"
    assert say(ended, "BASIS_NOT_IN_FORCE") == [
        "EU-01: the transfer basis scc-7 (dpo) ended on 2026-11-22 and does not count"
    ]
    assert say(later, "BASIS_NOT_IN_FORCE") == [
        "EU-01: the transfer basis scc-7 (dpo) begins on 2026-11-23 and does not count"
    ]
    assert later.bases == ()


def test_only_bases_that_matter_are_relied_on(document: Make, target: MakeTarget, now: datetime) -> None:
    """A decision names the bases without which its stores would not be permitted, and no others."""
    other = {**SCC, "id": "bcr-1", "kind": "bcr", "destinations": ["SG", "US"]}
    rulebook = policy(transfer_bases=[SCC, other, {**SCC, "id": "jp", "destinations": ["JP"]}])

    assert rulebook.decide(document("DE"), [target("DE")], now).bases == ()
    assert rulebook.decide(document("DE"), [target("US")], now).bases == ("bcr-1", "scc-7")
    assert rulebook.decide(document("DE"), [target("SG", "DE")], now).bases == ("bcr-1",)
    assert rulebook.decide(document("DE"), [target("IN")], now).bases == ()
    needless = policy(transfer_bases=[{**SCC, "destinations": ["DE", "US"]}])
    assert needless.decide(document("DE"), [target("DE")], now).bases == ()


def test_a_basis_for_each_law(document: Make, target: MakeTarget, now: datetime) -> None:
    """Where two laws each need a basis, both are named."""
    bases = [{**SCC, "id": whose, "jurisdictions": [whose]} for whose in ("EU", "NL")]
    two = policy(transfer_bases=bases).decide(document("NL"), [target("US")], now)
    wide = policy(transfer_bases=[bases[0], {**bases[1], "destinations": ["US", "SG"]}]).decide(
        document("NL"), [target("US")], now
    )

    assert (two.store, two.bases) == ("archive-us", ("EU", "NL"))
    assert wide.bases == ("EU", "NL")


def test_a_basis_for_some_categories(document: Make, target: MakeTarget, now: datetime) -> None:
    """A basis for certain categories opens nothing to a document that falls under another one too."""
    narrow = policy(transfer_bases=[{**SCC, "categories": ["contracts", "personal_data"]}])
    offered = [target("US")]

    assert narrow.decide(document("DE"), offered, now).store == "archive-us"
    assert narrow.decide(document("DE", category="contracts"), offered, now).store == "archive-us"
    assert narrow.decide(document("DE", category="contracts aml_kyc"), offered, now).store is None
    assert narrow.decide(document("DE", category="???"), offered, now).store is None


def test_overdue_rules_can_ask_for_a_person(document: Make, target: MakeTarget) -> None:
    """Where the operator wants it, a rule past its review date sends its documents to review, the day after."""
    offered = [target("DE", lasts=timedelta(days=999)), target("GB", lasts=timedelta(days=999))]
    on_time, late = datetime(2027, 1, 31, 23, tzinfo=UTC), datetime(2027, 2, 1, tzinfo=UTC)
    strict = policy(overdue_rules="review")

    assert strict.decide(document("DE"), offered, on_time).verdict is Verdict.MOVE
    decision = strict.decide(document("DE"), offered, late)
    assert (decision.verdict, decision.code) == (Verdict.REVIEW, "RULES_OVERDUE")
    assert (decision.reasons[-1].rule, decision.reasons[-1].text) == ("EU-02", "past their review date: EU-02")
    assert say(decision, "REVIEW_OVERDUE") == [
        "EU-02: still applied, but it should have been looked at again by 2027-01-31"
    ]
    assert strict.decide(document("GB"), offered, late).store == "archive-gb"
    assert policy().decide(document("DE"), offered, late).verdict is Verdict.MOVE


def test_each_rule_says_what_it_took(document: Make, now: datetime) -> None:
    """Rule by rule: the places that it removed and those left, denials last; a COPY rule removes none."""
    found = policy(categories={"default": ["company_books", "export_controlled"]}).steps(document("US", "IN"), now)
    steps = {step.rule.id: step for step in found}

    assert [step.rule.id for step in found] == ["IN-01", "IN-02", "IN-04", "US-05", "US-06"]
    assert steps["IN-04"].copy == frozenset({"IN"})
    assert not steps["IN-04"].removed
    assert steps["US-05"].removed == {"BY", "CN", "CU", "IR", "KP", "SY", "VE", "RU"}
    assert steps["US-06"].removed == {"HK", "MO"}
    assert steps["US-06"].left == tables.load().atlas.countries - steps["US-05"].removed - {"HK", "MO"}
    assert steps["US-05"].reason.text.startswith("never in {BY, CN, CU, IR, KP, RU, SY, VE}; 22 CFR 120.54(a)(5)")


def test_what_is_said_of_rules(document: Make, stores: list[Target], now: datetime) -> None:
    """A rule's sentence has its effect, its citation up to the detail, its status, and a low confidence."""
    unknown = policy(categories={"default": []})

    def of(country: str, code: str) -> list[str]:
        return say(unknown.decide(document(country), stores, now), code)

    assert of("ZA", "HARD") == [
        "ZA-02: all copies only in {ZA}; Tax Administration Act s 30 and public notice 787 of 2012; confidence low"
    ]
    assert "(partly)" in of("AE", "COND")[0]
    assert of("IN", "PENDING")[0].startswith("IN-02: not yet in force, not applied; DPDP Rules 2025 (SDF duties)")
    assert of("IN", "COPY")[0].startswith("IN-04: a full copy in {IN}; Companies (Accounts) Rules 2014 r 3(5)")
    assert of("KE", "COPY")[0].endswith("Data Protection (General) Regulations 2021 reg 26")
    assert of("CN", "EXPORT_GATE")[0].startswith("CN-05: no bound on the place; handing the data out needs")
    assert of("EU", "REACH") == []
    assert of("DE", "REACH")[0].startswith("EU-03: anywhere, if the authority has prompt access; DORA Reg 2022/2554")
    assert of("DE", "COND")[1].startswith("EU-02: a condition on the recipient, no bound on the place; GDPR Art 45")
    assert of("HK", "FREE") == ["HK-01: no bound on the place; PDPO s 33 never commenced (pending)"]
    assert of("CA", "COND")[0].startswith("CA-02: for CA-QC and unknown parts of CA: without a transfer basis only in")
    assert of("RU", "PRIMARY")[0].startswith("RU-01: every copy of ours only in {RU}; 152-FZ Art 18(5)")


def test_many_places_are_counted(document: Make, target: MakeTarget, now: datetime) -> None:
    """Up to twelve places are named, more are counted; up to twelve stores are listed."""
    names = ["AU", "BR", "CA", "CH", "CN", "DE", "FR", "GB", "IN", "JP", "KR", "SG"]
    many = [target(name, assurance=Assurance.UNPROVEN) for name in names]
    twelve = policy().decide(document("RU"), many, now).reasons[-1].text
    thirteen = policy().decide(document("RU"), [*many, target("US")], now).reasons[-1].text
    wide = policy().decide(document("CN"), [target(*names), target(*names, "US")], now).reasons[-1].text

    assert "archive-sg" in twelve
    assert "more" not in twelve
    assert "archive-us" not in thirteen
    assert thirteen.endswith("archive-sg {SG} UNPROVEN and 1 more")
    assert "{AU, BR, CA, CH, CN, DE, FR, GB, IN, JP, KR, SG} ATTESTED" in wide
    assert "-us 13 places ATTESTED" in wide
    assert policy().decide(document("RU"), [], now).reasons[-1].text.endswith("stores: none")


def test_no_store_where_no_rule_binds(document: Make, target: MakeTarget, now: datetime) -> None:
    """Where no rule bounds the place, no rule is blamed for the lack of a store."""

    def last(*offered: Target, copies: int = 1) -> tuple[str, str, str | None]:
        reason = policy().decide(document("HK"), offered, now, Selection(copies=copies)).reasons[-1]
        return reason.code, reason.text, reason.rule

    closed = target("HK", assurance=Assurance.UNPROVEN)
    assert last() == ("NO_COMPLIANT_TARGET", "no store lies wholly in 249 places; stores: none", None)
    assert last(closed) == (
        "NO_PROOF",
        "only stores without a current proof of their place could take it: archive-hk {HK} UNPROVEN",
        None,
    )
    assert last(target("HK"), copies=2) == (
        "COPY_NEEDED",
        "needed: 2 full copies in different stores; stores that may hold one: archive-hk {HK} ATTESTED",
        None,
    )


def test_a_decision_as_lines(document: Make, stores: list[Target], now: datetime) -> None:
    """For a person: the verdict and its stores, then a line for each reason, with rule and origin if it has them."""
    blocked = explain.lines(policy().decide(document("RU"), stores, now))
    two = explain.lines(policy().decide(document("US"), stores, now, Selection(copies=2)))

    assert blocked[0] == "BLOCKED (NO_COMPLIANT_TARGET)"
    assert blocked[1] == "  SIGNALS: countries RU; categories personal_data (default)"
    assert blocked[2].startswith("  PRIMARY: RU-01 [tables/rules.psv:22] every copy of ours only in {RU}; ")
    assert blocked[-1].startswith("  NO_COMPLIANT_TARGET: RU-01 no store lies wholly in {RU} (RU-01, RU-02); stores: ")
    assert two[0] == "MOVE -> archive-us, archive-au (PLACED)"


def test_the_fingerprint_names_the_engine() -> None:
    """What a policy stands on is in its terms."""
    terms = policy().terms

    assert terms.name == "residency"
    assert terms.tables == {"tables": tables.load().sha256, "engine": "3"}
