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
from offloader_policies.selection import Selection

Make = Callable[..., Document]
MakeTarget = Callable[..., Target]
LOADED = tables.load()
COUNTRIES = ["AU", "BR", "CA", "CN", "DE", "FR", "HK", "IN", "NL", "RU", "US", "VN"]
CATEGORIES = ["personal_data", "tax_books", "health_data", "phi_ehr", "export_controlled", "what?"]
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
        ties=frozenset(draw(st.lists(st.sampled_from(tables.Tie), max_size=2))),
    )


def book(rule_list: tuple[tables.Rule, ...]) -> ResidencyPolicy:
    return ResidencyPolicy(replace(LOADED, rules=rule_list), ResidencyOptions())


BASE = book(LOADED.rules)


@settings(max_examples=80, deadline=None)
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


@settings(max_examples=80, deadline=None)
@given(countries, countries, categories, categories)
def test_a_signal_never_enlarges(
    document: Make, now: datetime, where: list[str], more: list[str], first: str, second: str
) -> None:
    """A further record or category never opens a place."""
    before = BASE.decide(document(*where, category=first), [], now)
    after = BASE.decide(document(*where, *more, category=f"{first} {second}"), [], now)

    assert before.code == "NO_RULE_COVERS" or within(after.countries, before.countries)


TIED = ResidencyPolicy(
    LOADED, ResidencyOptions.model_validate({"further_signals": {"citizenship": ["citizenship"], "says": ["any"]}})
)


@settings(max_examples=60, deadline=None)
@given(countries, categories, st.sampled_from(["citizenship", "says"]), st.sampled_from(COUNTRIES), categories)
def test_no_kind_of_signal_enlarges(
    document: Make, now: datetime, where: list[str], category: str, signal: str, country: str, clause: str
) -> None:
    """A further signal of any kind, or a category that a clause adds, never opens a place."""
    before = TIED.decide(document(*where, category=category), [], now)
    more = Selection(categories=frozenset(clause.split()))
    after = TIED.decide(document(*where, category=category, **{signal: country}), [], now, more)

    assert before.code == "NO_RULE_COVERS" or within(after.countries, before.countries)


@settings(max_examples=60, deadline=None)
@given(countries, countries, categories)
def test_the_places_of_two_are_places_of_each(
    document: Make, now: datetime, first: list[str], second: list[str], category: str
) -> None:
    """What a document of two records may use, a document of each record alone may use."""
    both, one, other = (
        BASE.decide(document(*where, category=category), [], now) for where in (first + second, first, second)
    )

    for alone in (one, other):
        assert alone.code == "NO_RULE_COVERS" or within(both.countries, alone.countries)


@settings(max_examples=80, deadline=None)
@given(
    countries,
    categories,
    st.lists(rules(), max_size=2),
    st.lists(
        st.tuples(
            st.lists(st.sampled_from([*COUNTRIES, "XX"]), max_size=2),
            st.sampled_from([Assurance.PROVEN, Assurance.PROVEN, Assurance.DRIFT]),
        ),
        max_size=5,
    ),
    st.integers(0, 4),
)
def test_every_copy_is_inside_and_every_copy_rule_covered(
    document: Make,
    target: MakeTarget,
    now: datetime,
    where: list[str],
    category: str,
    more: list[tables.Rule],
    offers: list[tuple[list[str], Assurance]],
    count: int,
) -> None:
    """All stores of a move lie inside, are different, and are as many as asked; each COPY rule has its copy."""
    policy = book((*LOADED.rules, *(replace(rule, id=f"{rule.id}-{n}") for n, rule in enumerate(more))))
    offered = [target(*places, name=f"s{number}", assurance=how) for number, (places, how) in enumerate(offers)]
    one = document(*where, category=category)
    decision = policy.decide(one, offered, now, Selection(copies=count))
    chosen = [offer.proof.countries for offer in offered if offer.store in decision.stores]

    assert all(within(places, decision.countries) for places in chosen)
    if decision.verdict is Verdict.MOVE:
        assert len(chosen) == len(set(decision.stores)) >= max(1, count)
        assert all(offer.proof.usable_at(now) for offer in offered if offer.store in decision.stores)
        for step in policy.steps(one, now):
            assert step.copy is None or any(within(places, step.copy) for places in chosen)


@settings(max_examples=40, deadline=None)
@given(countries, categories, st.lists(rules(), max_size=2))
def test_steps_add_up(document: Make, now: datetime, where: list[str], category: str, more: list[tables.Rule]) -> None:
    """Rule by rule, what was taken away and what is left lead from everywhere to what the decision permits."""
    policy = book((*LOADED.rules, *(replace(rule, id=f"{rule.id}-{n}") for n, rule in enumerate(more))))
    one = document(*where, category=category)
    left = LOADED.atlas.countries
    for step in policy.steps(one, now):
        assert step.removed <= left
        assert step.removed == left - step.left
        assert within(step.left, left)
        left = step.left
    decision = policy.decide(one, [], now)

    assert [step.reason for step in policy.steps(one, now)] == [
        reason for reason in decision.reasons if reason.origin and reason.code != "REVIEW_OVERDUE"
    ]
    assert decision.verdict is not Verdict.BLOCKED or decision.countries == left


@settings(max_examples=60, deadline=None)
@given(countries, categories, st.integers(0, 40), st.integers(0, 40))
def test_the_same_question_has_the_same_answer(
    document: Make, stores: list[Target], now: datetime, where: list[str], category: str, first: int, second: int
) -> None:
    """What was asked before, at another time or of other stores, changes nothing, and asking changes nothing."""
    one, offered = document(*where, category=category), list(stores)
    times = [now + timedelta(hours=hours) for hours in (first, second)]
    fresh = [ResidencyPolicy(LOADED, ResidencyOptions()).decide(one, offered, time) for time in times]
    again = [BASE.decide(one, offered[:size], time) for time in times for size in (2, 4)]

    assert again[1::2] == fresh
    assert (one, offered) == (document(*where, category=category), list(stores))


@settings(max_examples=60, deadline=None)
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


@settings(max_examples=60, deadline=None)
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


@settings(max_examples=60, deadline=None)
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


@settings(max_examples=60, deadline=None)
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
