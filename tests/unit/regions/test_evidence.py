"""How results are weighed, written down, and compared."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offloader.model import Assurance
from offloader_connectors.regions.evidence import (
    LONGEST,
    Outcome,
    Result,
    canonical,
    clean,
    fingerprint,
    places,
    weigh,
)

HERE = {"eu-central-1": frozenset({"DE"})}
RANK = [Assurance.PROVEN, Assurance.ATTESTED, Assurance.UNPROVEN, Assurance.VIOLATION]
OUTCOMES = [*Outcome]


def result(outcome: Outcome, says: str = "s", answer: object = None, **where: str) -> Result:
    found = {name: frozenset({code}) for name, code in where.items()} or HERE
    return Result(outcome=outcome, says=says, places=found, answer=answer)


@pytest.mark.parametrize(
    ("outcome", "provable", "attested", "verdict"),
    [
        (Outcome.OK, True, False, Assurance.PROVEN),
        (Outcome.NOTE, True, False, Assurance.PROVEN),
        (Outcome.OK, False, True, Assurance.ATTESTED),
        (Outcome.OK, False, False, Assurance.UNPROVEN),
        (Outcome.ABSENT, True, True, Assurance.ATTESTED),
        (Outcome.ABSENT, True, False, Assurance.UNPROVEN),
        (Outcome.SKIPPED, True, True, Assurance.ATTESTED),
        (Outcome.SKIPPED, True, False, Assurance.UNPROVEN),
        (Outcome.UNKNOWN, True, True, Assurance.UNPROVEN),
        (Outcome.VIOLATION, True, True, Assurance.VIOLATION),
    ],
)
def test_verdicts(outcome: Outcome, provable: bool, attested: bool, verdict: Assurance) -> None:
    """Each outcome of a required question leads to its verdict."""
    assert weigh({"q": result(outcome)}, ["q"], provable=provable, attested=attested) is verdict


def test_what_is_required_and_was_not_asked_proves_nothing() -> None:
    """A required question without a result is as bad as one without an answer."""
    assert weigh({"q": result(Outcome.OK)}, ["q", "r"], provable=True, attested=True) is Assurance.UNPROVEN


def test_no_place_is_no_proof() -> None:
    """If no place came to light, nothing is proven."""
    nowhere = Result(outcome=Outcome.OK, says="s")
    assert weigh({"q": nowhere}, ["q"], provable=True, attested=True) is Assurance.UNPROVEN


@given(
    st.dictionaries(st.sampled_from("abcd"), st.sampled_from(OUTCOMES), min_size=1),
    st.sampled_from("abcd"),
    st.sampled_from(OUTCOMES),
    st.sets(st.sampled_from("abcd")),
    st.booleans(),
    st.booleans(),
)
def test_a_worse_result_never_helps(
    outcomes: dict[str, Outcome], name: str, other: Outcome, required: set[str], provable: bool, attested: bool
) -> None:
    """Making one result worse never makes the verdict better."""
    worse = max(outcomes.get(name, Outcome.OK), other, key=OUTCOMES.index)
    verdicts = [
        weigh({key: result(each) for key, each in found.items()}, required, provable=provable, attested=attested)
        for found in (outcomes, {**outcomes, name: worse})
    ]
    if name in outcomes or name not in required:
        assert RANK.index(verdicts[0]) <= RANK.index(verdicts[1])


def test_every_place_counts() -> None:
    """The places are those of all results together, whatever their outcome."""
    found = {"a": result(Outcome.OK, x="DE"), "b": result(Outcome.VIOLATION, y="US")}
    assert places(found) == {"DE", "US"}


def test_the_order_of_lists_is_no_difference() -> None:
    """The same facts in another order are the same evidence."""
    rules = [{"ID": "b", "n": 1}, {"ID": "a", "n": [3, 2]}]
    other = [{"n": [2, 3], "ID": "a"}, {"ID": "b", "n": 1}]
    assert result(Outcome.OK, answer=rules).text() == result(Outcome.OK, answer=other).text()


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.datetimes(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text() | st.integers(), inner, max_size=4),
        max_leaves=20,
    )
)
def test_any_answer_can_be_written_down(answer: object) -> None:
    """Whatever an answer holds, it becomes canonical JSON that reads back as itself."""
    written = canonical(clean(answer))
    written.encode()
    assert canonical(json.loads(written)) == written


def test_a_deep_answer_is_cut() -> None:
    """An answer nested without end is written down to a certain depth."""
    answer: object = "x"
    for _ in range(5000):
        answer = [answer]
    assert len(result(Outcome.OK, answer=answer).text()) < 500


def test_a_long_answer_is_kept_as_its_digest() -> None:
    """Of an answer that is too long to keep, the evidence still shows a change of one character."""
    first, second = (result(Outcome.OK, answer=["x" * LONGEST, tail]).text() for tail in "ab")
    assert len(first) < 500
    assert first != second


def test_times_are_written_as_such() -> None:
    """A time in an answer is written in ISO 8601."""
    assert clean(datetime(2026, 1, 2, tzinfo=UTC)) == "2026-01-02T00:00:00+00:00"


def test_the_fingerprint_is_over_everything() -> None:
    """The fingerprint changes with any name and any text."""
    assert len({fingerprint(found) for found in ({}, {"a": "1"}, {"a": "2"}, {"b": "1"})}) == 4
