"""What documents say about themselves: several signals, categories, and the rules that each can trigger."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from offloader.errors import ConfigError
from offloader.model import Decision, Document, Parent
from offloader.ports import Target
from offloader.testing import context
from offloader_policies import tables
from offloader_policies.engine import ResidencyPolicy
from offloader_policies.plugin import POLICY
from offloader_policies.selection import Selection

Make = Callable[..., Document]
TIES = {
    "further_signals": {
        "citizenship": ["citizenship"],
        "entity": ["establishment"],
        "collected": ["collection"],
        "says": ["any"],
    }
}


def policy(**options: Any) -> ResidencyPolicy:
    opened = POLICY.open(POLICY.options.model_validate(options), context(Path()))
    assert isinstance(opened, ResidencyPolicy)
    return opened


def rules(decision: Decision) -> list[str]:
    return [reason.rule for reason in decision.reasons if reason.rule and reason.origin]


@pytest.mark.parametrize(
    ("signals", "triggered"),
    [
        ({"citizenship": "RU"}, ["RU-01", "RU-02"]),
        ({"collected": "RU"}, ["RU-01", "RU-02"]),
        ({"entity": "RU"}, ["RU-02"]),
        ({"citizenship": "DE"}, []),
        ({"citizenship": "CN"}, ["CN-05"]),
        ({"collected": "CN"}, ["CN-01", "CN-02", "CN-03", "CN-04", "CN-05"]),
        ({"entity": "DE"}, ["EU-01", "EU-02"]),
        ({"citizenship": "US"}, ["US-06"]),
        ({"collected": "US"}, []),
        ({"says": "CN"}, ["CN-01", "CN-02", "CN-03", "CN-04", "CN-05"]),
        ({"citizenship": "CN", "entity": "DE"}, ["CN-05", "EU-01", "EU-02"]),
    ],
)
def test_a_signal_triggers_the_rules_that_it_can(
    document: Make, stores: list[Target], now: datetime, signals: dict[str, str], triggered: list[str]
) -> None:
    """A citizenship brings Russia's rule and not Germany's, an establishment the other way round; a record's country
    brings all."""
    decision = policy(**TIES).decide(document("AU", **signals), stores, now)

    assert sorted(set(rules(decision)) - {"AU-02"}) == triggered


def test_books_go_by_the_company(document: Make, stores: list[Target], now: datetime) -> None:
    """Tax law follows the taxpayer: where the data were collected does not matter to it."""
    books = policy(**TIES, categories={"default": ["tax_books"]})

    assert "DE-02" in rules(books.decide(document("AU", entity="DE"), stores, now))
    assert "DE-02" not in rules(books.decide(document("AU", collected="DE"), stores, now))
    assert "DE-02" in rules(books.decide(document("DE"), stores, now))


def test_a_citizenship_alone_is_not_enough(document: Make, stores: list[Target], now: datetime) -> None:
    """Without any country of a record nobody knows whose law binds the document."""
    person = Parent(type="User", id="U", signals={"citizenship": "DE"})
    explicit = Parent(type="User", id="U", signals={"says": "DE"})

    assert policy(**TIES).decide(document(more=[person]), stores, now).code == "UNKNOWN_SIGNAL"
    assert policy(**TIES).decide(document(more=[explicit]), stores, now).store == "archive-de"


def test_a_further_signal_may_lack_and_must_be_known(document: Make, stores: list[Target], now: datetime) -> None:
    """A further signal that is absent or blank says nothing; one that nobody understands sends to review."""
    rulebook = policy(**TIES)

    assert rulebook.decide(document("DE", citizenship=" \t"), stores, now).store == "archive-de"
    wrong = rulebook.decide(document("DE", citizenship="Martian"), stores, now)
    assert wrong.code == "UNKNOWN_SIGNAL"
    assert wrong.reasons[-1].text == "Account A0 has the citizenship 'Martian', which is no known country"
    assert wrong.jurisdictions == ("DE",)


def test_a_country_that_no_rule_covers(document: Make, stores: list[Target], now: datetime) -> None:
    """A record's country needs a rule that speaks about it; a citizenship or an establishment need not have one."""
    rulebook = policy(**TIES)

    assert rulebook.decide(document("DE", citizenship="PR"), stores, now).store == "archive-de"
    assert rulebook.decide(document("PR", citizenship="DE"), stores, now).code == "NO_RULE_COVERS"
    assert rulebook.decide(document("DE", says="PR"), stores, now).code == "NO_RULE_COVERS"
    assert policy(more_country_signals=["m"]).decide(document("DE", m="PR"), stores, now).code == "NO_RULE_COVERS"


def test_the_signal_behind_each_country_is_said(document: Make, stores: list[Target], now: datetime) -> None:
    """The first reason names every country with the signal that said it, and every category with how it is known."""
    rulebook = policy(**TIES, categories={"by_kind": {"ContentDocument": ["contracts"]}, "by_parent": {"Account": []}})
    decision = rulebook.decide(
        document("CA", subdivision="ON", citizenship="RU", category="invoices"),
        stores,
        now,
        Selection(clauses=("old", "big"), categories=frozenset({"contracts"})),
    )

    assert decision.reasons[0].text == (
        "countries CA (CA-ON), RU by citizenship; categories contracts (kind ContentDocument, policy old big); "
        "invoices (signal category); personal_data (default)"
    )
    assert decision.jurisdictions == ("CA", "CA-ON", "RU")
    assert decision.categories == ("contracts", "invoices", "personal_data")


def test_a_clauses_category_brings_its_rules(document: Make, stores: list[Target], now: datetime) -> None:
    """A category that a clause gives counts like any other; one that no table knows meets every rule."""
    rulebook = policy(categories={"default": []})

    def decided(*categories: str) -> list[str]:
        return rules(rulebook.decide(document("AU"), stores, now, Selection(categories=frozenset(categories))))

    assert decided("personal_data") == ["AU-02"]
    assert decided("my_health_record") == ["AU-01", "AU-02"]
    assert decided("no such thing") == ["AU-01", "AU-02"]
    assert decided() == ["AU-01", "AU-02"]


def test_long_lists_of_categories_are_read(document: Make, stores: list[Target], now: datetime) -> None:
    """A list of many words is read to its end, however it is separated."""
    words = "personal_data;" * 30 + "tax_books"

    assert "DE-02" in rules(policy().decide(document("DE", category=words), stores, now))
    assert policy().decide(document("DE", category=";, ;"), stores, now).categories == ("personal_data",)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"destinations": ["Germany"]}, "transfer_bases[0].destinations: unknown country or subdivision 'Germany'; "),
        ({"destinations": ["us"]}, "unknown country or subdivision 'us'; write US"),
        ({"destinations": ["UK"]}, "unknown country or subdivision 'UK'; write GB"),
        ({"destinations": ["eea"]}, "unknown country or subdivision 'eea'; write @EEA"),
        ({"destinations": ["@eea"]}, "unknown group '@eea'; write @EEA"),
        ({"destinations": ["European Union"]}, "write @EU27 or @EEA, a bloc is no country"),
        ({"categories": ["bills"]}, "transfer_bases[0].categories: 'bills' is none of"),
    ],
)
def test_places_in_options_are_codes(options: dict[str, object], message: str) -> None:
    """A country's name or lower case is understood in the CRM's data, and refused in options with the code to write."""
    basis = {
        "id": "b",
        "kind": "scc",
        "rules": ["EU-01"],
        "destinations": ["US"],
        "valid_from": "2026-01-01",
        "valid_to": "2027-01-01",
        "owner": "dpo",
        **options,
    }
    with pytest.raises(ConfigError) as caught:
        policy(transfer_bases=[basis])

    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("code", "covered"),
    [("HK", True), ("MO", False), ("PR", False), ("GF", False), ("RE", False), ("GG", False), ("FO", False)],
)
def test_dependent_territories_stand_for_themselves(
    document: Make, target: Callable[..., Target], now: datetime, code: str, covered: bool
) -> None:
    """A territory with a code of its own is neither its motherland's place nor under its motherland's rules."""
    motherland = {"HK": "CN", "MO": "CN", "PR": "US", "GF": "FR", "RE": "FR", "GG": "GB", "FO": "DK"}[code]
    decision = policy().decide(document(code), [target(motherland)], now)

    assert (decision.code == "NO_RULE_COVERS") is not covered
    assert not [rule for rule in rules(decision) if rule.startswith(motherland)]
    books = policy(categories={"default": ["phi_ehr", "personal_info"]}, exclude_rules={"CN-05": "-"})
    assert books.decide(document({"CN": "CN"}.get(motherland, "US")), [target(code)], now).store is None


def test_every_word_of_a_duty_is_a_category(texts: dict[str, str]) -> None:
    """What a duty to keep is about can be said by a CRM, and is kept as itself at least."""
    loaded = tables.load(texts)

    for duty in loaded.duties.values():
        for word in duty.documents:
            assert word in loaded.categories
            assert word in loaded.kept_as[word], word
