"""What must hold for any rules and any signals."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offloader.model import Assurance, Document, Parent, Skip, Verdict
from offloader.ports import Target
from offloader_policies import tables
from offloader_policies.engine import ResidencyPolicy
from offloader_policies.options import ResidencyOptions
from offloader_policies.places import covers, meet, within, without

Make = Callable[..., Document]
MakeTarget = Callable[..., Target]
LOADED = tables.load()
COUNTRIES = ["AU", "BR", "CA", "CN", "DE", "FR", "HK", "IN", "NL", "RU", "US", "VN"]
CATEGORIES = ["personal_data", "tax_books", "health_data", "phi_ehr", "export_controlled", "what?"]
NO_SPLIT = ("NO_RULE_COVERS",)
countries = st.lists(st.sampled_from(COUNTRIES), min_size=1, max_size=4)
categories = st.lists(st.sampled_from(CATEGORIES), max_size=2).map(" ".join)
tokens = st.lists(st.sampled_from([*COUNTRIES, "@EEA", "@US_CONCERN", "CA-QC"]), min_size=1, max_size=3).map(tuple)


@st.composite
def rules(draw: st.DrawFn) -> tables.Rule:
    """Draw a rule of one of the countries above, of any mode."""
    base = draw(st.sampled_from(LOADED.rules))
    return replace(
        base,
        id=f"X-{draw(st.integers(0, 999))}",
        jurisdiction=draw(st.sampled_from([*COUNTRIES, "EU", "CA-QC", "US-TX"])),
        categories=frozenset(draw(st.lists(st.sampled_from(["any", *CATEGORIES[:5]]), min_size=1, max_size=2))),
        mode=draw(st.sampled_from(tables.Mode)),
        must_in=draw(tokens),
        allow=draw(tokens),
        deny=draw(tokens),
    )


def book(rule_list: tuple[tables.Rule, ...]) -> ResidencyPolicy:
    return ResidencyPolicy(replace(LOADED, rules=rule_list), ResidencyOptions())


BASE = book(LOADED.rules)


def covered(policy: ResidencyPolicy, document: Document, now: datetime) -> bool:
    return policy.decide(document, [], now).code != "NO_RULE_COVERS"


@settings(max_examples=150, deadline=None)
@given(countries, categories, st.lists(rules(), min_size=1, max_size=3))
def test_a_rule_never_enlarges(
    document: Make, now: datetime, where: list[str], category: str, more: list[tables.Rule]
) -> None:
    """Adding rules never opens a place to a document that the rules already covered."""
    one = document(*where, category=category)
    before = BASE.decide(one, [], now)
    after = book((*LOADED.rules, *more)).decide(one, [], now)

    assert (
        before.code == "NO_RULE_COVERS"
        or after.countries <= before.countries
        or within(after.countries, before.countries)
    )


@settings(max_examples=150, deadline=None)
@given(countries, countries, categories, categories)
def test_a_signal_never_enlarges(
    document: Make, now: datetime, where: list[str], more: list[str], first: str, second: str
) -> None:
    """A further record or category never opens a place."""
    before = BASE.decide(document(*where, category=first), [], now)
    after = BASE.decide(document(*where, *more, category=f"{first} {second}"), [], now)

    assert before.code == "NO_RULE_COVERS" or within(after.countries, before.countries)


@settings(max_examples=100, deadline=None)
@given(countries, categories, st.lists(rules(), max_size=3), st.randoms(use_true_random=False))
def test_order_does_not_matter(
    document: Make,
    stores: list[Target],
    now: datetime,
    where: list[str],
    category: str,
    more: list[tables.Rule],
    shuffle: random.Random,
) -> None:
    """The order of rules, parents and targets changes nothing, and neither does asking twice."""
    mixed = [replace(rule, id=f"{rule.id}-{number}") for number, rule in enumerate(more)] + list(LOADED.rules)
    parents, offered = list(where), list(stores)
    first = book(tuple(mixed)).decide(document(*parents, category=category), offered, now)
    for items in (mixed, parents, offered):
        shuffle.shuffle(items)
    policy = book(tuple(mixed))
    one = document(*parents, category=category)

    assert policy.decide(one, offered, now) == first
    assert policy.decide(one, offered, now) == first


@settings(max_examples=100, deadline=None)
@given(countries, tokens)
def test_deny_beats_allow(document: Make, now: datetime, where: list[str], denied: tuple[str, ...]) -> None:
    """What one rule denies no other rule can open."""
    deny = replace(
        LOADED.rules[0],
        id="A-1",
        jurisdiction=where[0],
        mode=tables.Mode.DENY,
        deny=denied,
        categories=frozenset({"any"}),
    )
    allow = replace(deny, id="Z-1", mode=tables.Mode.COND, allow=("*",), deny=())
    left = book((deny, *LOADED.rules, allow)).decide(document(*where), [], now).countries

    assert not any(covers(LOADED.atlas.resolve(denied, None), place) for place in left)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.text(max_size=8) | st.sampled_from(COUNTRIES), max_size=3), st.text(max_size=12), st.text(max_size=4)
)
def test_never_raises_and_permits_only_known_places(
    document: Make, stores: list[Target], now: datetime, where: list[str], category: str, part: str
) -> None:
    """Any text at all gives a decision, and only real places are ever permitted."""
    decision = BASE.decide(document(*where, category=category, subdivision=part), stores, now)

    assert decision.reasons
    assert decision.countries <= LOADED.atlas.countries | LOADED.atlas.subdivisions
    assert (decision.verdict is Verdict.MOVE) == (decision.store is not None)


@settings(max_examples=100, deadline=None)
@given(
    countries,
    st.lists(
        st.tuples(
            st.lists(st.sampled_from([*COUNTRIES, "XX"]), max_size=2, unique=True),
            st.sampled_from(Assurance),
            st.integers(-3, 50),
        ),
        max_size=4,
    ),
)
def test_only_a_good_proof_is_chosen(
    document: Make,
    target: MakeTarget,
    now: datetime,
    where: list[str],
    offers: list[tuple[list[str], Assurance, int]],
) -> None:
    """The chosen store's proof is good now, and lies wholly inside the permitted places."""
    offered = [
        target(*places, name=f"s{number}", assurance=assurance, age=timedelta(hours=age))
        for number, (places, assurance, age) in enumerate(offers)
    ]
    decision = BASE.decide(document(*where), offered, now)

    for offer in offered:
        if offer.store == decision.store:
            assert offer.proof.usable_at(now)
            assert offer.proof.countries <= decision.countries
            break
    else:
        assert decision.verdict is not Verdict.MOVE


@pytest.mark.parametrize("where", COUNTRIES)
def test_a_hold_never_moves(document: Make, stores: list[Target], now: datetime, where: str) -> None:
    """A document that must stay is kept, with no place permitted, whatever its country."""
    decision = BASE.decide(document(where, skip=Skip("HOLD", "under hold")), stores, now)

    assert (decision.verdict, decision.countries) == (Verdict.KEEP, frozenset())


places = st.frozensets(st.sampled_from(["CA", "CA-QC", "CA-ON", "US", "US-TX", "DE"]))


@given(places, places, places)
def test_the_algebra_of_places(first: frozenset[str], second: frozenset[str], third: frozenset[str]) -> None:
    """Intersections only narrow, commute and repeat; what is taken away touches nothing denied."""
    both = meet(first, second)

    assert both == meet(second, first)
    assert within(both, first)
    assert within(both, second)
    assert meet(meet(first, second), third) == meet(first, meet(second, third))
    assert all(covers(both, place) == (covers(first, place) and covers(second, place)) for place in first | second)
    assert without(first, second) <= first
    assert not meet(without(first, second), second)


def test_parents_that_say_nothing_new_change_nothing(document: Make, stores: list[Target], now: datetime) -> None:
    """Three hundred parents of one country decide as one does."""
    many = [Parent(type="Account", id=f"P{n}", signals={"country": "Germany"}) for n in range(300)]

    assert BASE.decide(document(more=many), stores, now) == BASE.decide(document("DE"), stores, now)


def test_tables_are_not_touched(texts: Mapping[str, str]) -> None:
    """Deciding leaves the tables as they were loaded."""
    assert tables.load(texts) == LOADED
