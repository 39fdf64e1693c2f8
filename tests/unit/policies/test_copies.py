"""Several full copies: rules that ask for one at home, and clauses that ask for more."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from offloader.model import Assurance, Document, Verdict
from offloader.ports import Target
from offloader.testing import context
from offloader_policies import placing, tables
from offloader_policies.engine import ResidencyPolicy
from offloader_policies.options import ResidencyOptions
from offloader_policies.plugin import POLICY
from offloader_policies.selection import Selection

Make = Callable[..., Document]
MakeTarget = Callable[..., Target]
BOOKS = {"categories": {"default": ["company_books"]}}


def policy(**options: Any) -> ResidencyPolicy:
    opened = POLICY.open(POLICY.options.model_validate(options), context(Path()))
    assert isinstance(opened, ResidencyPolicy)
    return opened


def test_a_copy_rule_adds_no_copy_where_one_store_is_enough(document: Make, target: MakeTarget, now: datetime) -> None:
    """Where the law wants a full copy at home, one store at home is enough, even if another is preferred."""
    offered = [target("DE"), target("IN", name="z")]
    decision = policy(**BOOKS, prefer=["archive-de"]).decide(document("IN"), offered, now)

    assert (decision.store, decision.copies) == ("z", ())


def test_a_clause_asks_for_more_copies(document: Make, target: MakeTarget, now: datetime) -> None:
    """With two copies asked for, the one at home is among them, and the preferred store is the first."""
    offered = [target("DE"), target("SG"), target("IN", name="z")]
    two = Selection(clauses=("books",), prefer=("archive-sg",), copies=2)
    decision = policy(**BOOKS).decide(document("IN"), offered, now, two)

    assert decision.stores == ("archive-sg", "z")
    assert decision.code == "PLACED"
    assert decision.reasons[-1].text == "archive-sg is in {SG}, ATTESTED; z is in {IN}, ATTESTED"
    assert decision.clauses == ("books",)


def test_every_copy_rule_is_covered(document: Make, target: MakeTarget, now: datetime) -> None:
    """Two countries that each want a copy get one each, in the fewest stores."""
    both = policy(categories={"default": ["company_books", "user_data"]}, exclude_rules={"VN-02": "filed"})
    apart = [target("AU"), target("IN"), target("IN", name="b"), target("VN"), target("SG")]

    assert both.decide(document("IN", "VN"), apart, now).stores == ("archive-in", "archive-vn")
    assert both.decide(document("IN", "VN"), apart[:3], now).code == "COPY_NEEDED"
    assert both.decide(document("IN", "VN"), apart[::-1], now).stores == ("archive-in", "archive-vn")


def test_a_store_that_covers_several_rules_is_enough(document: Make, target: MakeTarget, now: datetime) -> None:
    """One store inside two wanted sets covers both; a store partly outside covers none."""
    loaded = tables.load()
    copy = next(rule for rule in loaded.rules if rule.id == "IN-04")
    further = [
        replace(copy, id="X-1", must_in=("DE", "FR"), categories=frozenset({"any"})),
        replace(copy, id="X-2", must_in=("FR", "NL"), categories=frozenset({"any"})),
    ]
    rulebook = ResidencyPolicy(replace(loaded, rules=(*loaded.rules, *further)), ResidencyOptions())

    assert rulebook.decide(document("IN"), [target("DE"), target("NL"), target("FR", name="z")], now).stores == ("z",)
    assert rulebook.decide(document("IN"), [target("DE"), target("NL")], now).stores == ("archive-de", "archive-nl")
    assert rulebook.decide(document("IN"), [target("DE", "NL"), target("DE", "SG")], now).code == "COPY_NEEDED"


def test_no_store_for_a_copy(document: Make, target: MakeTarget, now: datetime) -> None:
    """Without a proven store in the place that a rule wants, somebody must look, and reads which place is missing."""
    unproven = target("IN", assurance=Assurance.UNPROVEN)
    for offered in ([target("DE")], [target("DE", "IN")], [target("DE"), unproven]):
        decision = policy(**BOOKS).decide(document("IN"), offered, now)

        assert (decision.verdict, decision.code, decision.store) == (Verdict.REVIEW, "COPY_NEEDED", None)
        assert decision.reasons[-1].rule == "IN-04"
        assert "needed: a full copy in {IN} (IN-04, IN-01)" in decision.reasons[-1].text
        assert "stores that may hold one: archive-de" in decision.reasons[-1].text
        assert decision.countries == tables.load().atlas.countries


def test_fewer_stores_than_copies(document: Make, target: MakeTarget, now: datetime) -> None:
    """One store named twice is one store; too few stores for the copies that a clause asks for need review."""
    one = target("DE")
    twice = [one, replace(one, tariff=("p", "STANDARD", "r"))]
    two = Selection(copies=2)

    assert policy().decide(document("DE"), twice, now, two).code == "COPY_NEEDED"
    assert (
        policy()
        .decide(document("DE"), twice, now, two)
        .reasons[-1]
        .text.startswith("needed: 2 full copies in different stores (EU-01); stores that may hold one: archive-de")
    )
    assert policy().decide(document("DE"), [*twice, target("FR")], now, two).stores == ("archive-de", "archive-fr")
    assert policy().decide(document("DE"), twice, now, Selection(copies=0)).stores == ("archive-de",)


def test_a_copy_that_other_rules_forbid(document: Make, target: MakeTarget, now: datetime) -> None:
    """A copy wanted where another record's law forbids it cannot be placed, whatever stores there are."""
    offered = [target("DE"), target("IN")]
    decision = policy(**BOOKS).decide(document("DE", "IN"), offered, now)
    china = policy(**BOOKS).decide(document("CN", "DE", "IN"), offered, now)

    assert (decision.verdict, decision.code) == (Verdict.REVIEW, "SPLIT_REQUIRED")
    assert "no place where all its copies may be (IN-04, EU-01, IN-01)" in decision.reasons[-1].text
    assert (china.verdict, china.code) == (Verdict.REVIEW, "SPLIT_REQUIRED")
    assert "no common place" in china.reasons[-1].text


def test_a_copy_rule_and_a_hard_rule_of_one_country_conflict(document: Make, target: MakeTarget, now: datetime) -> None:
    """Rules of one country that contradict each other are a conflict, not a file to split."""
    loaded = tables.load()
    hard = next(rule for rule in loaded.rules if rule.id == "IN-03")
    abroad = replace(hard, id="X-1", must_in=("DE",), categories=frozenset({"any"}))
    rulebook = ResidencyPolicy(replace(loaded, rules=(*loaded.rules, abroad)), ResidencyOptions.model_validate(BOOKS))
    decision = rulebook.decide(document("IN"), [target("DE"), target("IN")], now)

    assert (decision.verdict, decision.code, decision.reasons[-1].rule) == (Verdict.REVIEW, "CONFLICT", "X-1")
    assert decision.reasons[-1].text == "the rules leave no place where all its copies may be: X-1, IN-04, IN-01"
    assert rulebook.decide(document("IN", "DE"), [target("DE")], now).code == "CONFLICT"


def test_every_copy_lies_inside(document: Make, target: MakeTarget, now: datetime) -> None:
    """A rule that bounds the place bounds every copy: further copies never go outside."""
    offered = [target("DE"), target("US"), target("FR")]
    three = policy().decide(document("DE"), offered, now, Selection(copies=3))

    assert three.code == "COPY_NEEDED"
    assert policy().decide(document("DE"), offered, now, Selection(copies=2)).stores == ("archive-de", "archive-fr")


def test_price_class(document: Make, target: MakeTarget, now: datetime) -> None:
    """A clause's price class comes before the options' order and after its own; a store without a tariff has none."""
    cold = target("FR", name="cold", tariff=("aws-s3", "GLACIER_IR", "eu-west-3"))
    warm = target("DE", name="warm", tariff=("aws-s3", "STANDARD", "eu-central-1"))
    bare = target("DE", name="bare")
    offered = [warm, cold, bare]

    def chosen(selected: Selection, **options: Any) -> str | None:
        return policy(**options).decide(document("DE"), offered, now, selected).store

    assert chosen(Selection()) == "bare"
    assert chosen(Selection(cost_class="GLACIER_IR")) == "cold"
    assert chosen(Selection(cost_class="STANDARD"), prefer=["cold"]) == "warm"
    assert chosen(Selection(cost_class="STANDARD", prefer=("cold",))) == "cold"
    assert chosen(Selection(cost_class="DEEP_ARCHIVE"), prefer=["cold"]) == "cold"
    assert chosen(Selection(prefer=("x", "warm", "cold", "warm"))) == "warm"


@pytest.mark.parametrize(
    ("mode", "stores"),
    [
        ("accept", ["a-de", "a-de", "a-in"]),
        ("free_rules_only", ["a-de", "p-de", "p-in"]),
        ("refuse", ["p-de", "p-de", "p-in"]),
    ],
)
def test_which_assurance_is_enough(
    document: Make, target: MakeTarget, now: datetime, mode: str, stores: list[str]
) -> None:
    """Attested places are enough, or not where a rule says where bytes must be, or never, as the operator says."""
    names = [f"{how}-{where}" for where in ("de", "in") for how in ("a", "p")]
    offered = [
        target(name[-2:].upper(), name=name, assurance=Assurance.PROVEN if name[0] == "p" else Assurance.ATTESTED)
        for name in names
    ]
    free, hard, copy = policy(attested=mode), policy(attested=mode, categories={"default": ["tax_books"]}), BOOKS
    found = [
        free.decide(document("DE"), offered, now).store,
        hard.decide(document("DE"), offered, now).store,
        policy(attested=mode, **copy).decide(document("IN"), offered, now).store,
    ]

    assert found == stores


def test_an_attested_place_that_is_not_enough_is_said(document: Make, target: MakeTarget, now: datetime) -> None:
    """A store that is only attested blocks with the words that a proof by the provider is missing."""
    decision = policy(attested="refuse").decide(document("DE"), [target("DE")], now)

    assert decision.code == "NO_PROOF"
    assert "without a current proof by the provider of their place could take it: archive-de {DE} ATTESTED" in (
        decision.reasons[-1].text
    )


def test_kept_decisions_do_not_grow_without_end(document: Make, stores: list[Target], now: datetime) -> None:
    """However many combinations of signals there are, only so many decisions are kept."""
    rulebook = policy()
    for number in range(3):
        rulebook.decide(document("DE"), stores, now, Selection(clauses=(str(number),)))
    kept = rulebook._offer.decisions
    key, decision = next(iter(kept.items()))
    assert len(kept) == 3

    kept.update({(key[0], Selection(copies=number)): decision for number in range(placing.KEPT)})
    rulebook.decide(document("DE"), stores, now, Selection(clauses=("last",)))

    assert len(kept) == 1


CLOSED = Assurance.UNPROVEN


def test_a_closed_store_is_waited_for(document: Make, target: MakeTarget, now: datetime) -> None:
    """A German document does not go to Brazil because the store in Germany has no proof today, unless told so."""
    offered = [target("DE", assurance=CLOSED), target("BR")]
    waiting = policy().decide(document("DE"), offered, now)

    assert (waiting.verdict, waiting.code, waiting.store) == (Verdict.BLOCKED, "NO_PROOF", None)
    assert waiting.reasons[-1].text == (
        "waits for archive-de {DE} UNPROVEN, which has no current proof of its place; "
        "it would come before archive-br {BR} ATTESTED"
    )
    assert "DE" in waiting.countries
    assert policy(closed_stores="next").decide(document("DE"), offered, now).store == "archive-br"


@pytest.mark.parametrize(
    ("country", "closed", "open_", "prefer", "store"),
    [
        ("IT", ("DE", "a"), ("FR", "b"), [], "b"),
        ("IT", ("DE", "a"), ("BR", "b"), [], None),
        ("IT", ("IT", "z"), ("FR", "b"), [], None),
        ("IT", ("FR", "a"), ("IT", "b"), [], "b"),
        ("IT", ("FR", "a"), ("IT", "b"), ["a"], None),
        ("IT", ("FR", "a"), ("DE", "b"), ["b"], "b"),
        ("IT", ("US", "a"), ("BR", "b"), ["a"], "b"),
        ("IT", ("", "a"), ("BR", "b"), [], "b"),
        ("IT", ("", "a"), ("BR", "b"), ["a"], None),
        ("AU", ("", "a"), ("AU", "b"), [], "b"),
    ],
)
def test_what_is_worth_waiting_for(
    document: Make,
    target: MakeTarget,
    now: datetime,
    country: str,
    closed: tuple[str, str],
    open_: tuple[str, str],
    prefer: list[str],
    store: str | None,
) -> None:
    """A closed store is waited for if it is preferred or nearer, not for its name, and only where it is permitted."""
    offered = [
        target(*filter(None, (closed[0],)), name=closed[1], assurance=CLOSED),
        target(open_[0], name=open_[1]),
    ]
    decision = policy(prefer=prefer).decide(document(country), offered, now)

    assert (decision.store, decision.code) == (store, "PLACED" if store else "NO_PROOF")


def test_a_store_that_drifted_is_waited_for(document: Make, target: MakeTarget, now: datetime) -> None:
    """A store whose bytes would now go abroad too is waited for if it was accepted in a good place."""
    now_abroad = target("DE", "US", name="frankfurt", assurance=Assurance.DRIFT)
    was_here = replace(now_abroad, proof=replace(now_abroad.proof, accepted=frozenset({"DE"})))
    was_there = replace(now_abroad, proof=replace(now_abroad.proof, accepted=frozenset({"US"})))
    waiting = policy().decide(document("DE"), [was_here, target("BR")], now)

    assert (waiting.code, waiting.verdict) == ("NO_PROOF", Verdict.BLOCKED)
    assert waiting.reasons[-1].text.startswith("waits for frankfurt {DE} DRIFT, which has no current proof")
    assert policy().decide(document("DE"), [was_there, target("BR")], now).store == "archive-br"
    assert policy().decide(document("DE"), [now_abroad, target("BR")], now).store == "archive-br"
    assert policy(prefer=["frankfurt"]).decide(document("DE"), [now_abroad, target("BR")], now).code == "NO_PROOF"


def test_waiting_with_several_copies(document: Make, target: MakeTarget, now: datetime) -> None:
    """A closed store is waited for if it would hold one of the copies in the stead of a worse store, and only then."""
    two = Selection(copies=2)
    near, far = target("FR"), target("BR")
    closed = target("DE", assurance=CLOSED)
    books = policy(**BOOKS, prefer=["archive-de"])

    assert policy().decide(document("NL"), [near, far, closed], now, two).code == "NO_PROOF"
    assert policy().decide(document("NL"), [near, target("IT"), closed], now, two).stores == (
        "archive-fr",
        "archive-it",
    )
    assert books.decide(document("IN"), [closed, target("IN")], now).store == "archive-in"
    assert books.decide(document("IN"), [target(name="archive-de", assurance=CLOSED), target("IN")], now).store == (
        "archive-in"
    )
    assert books.decide(document("IN"), [closed, target("IN")], now, two).code == "COPY_NEEDED"
