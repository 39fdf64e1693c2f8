"""Evidence of places is read back and compared in words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offloader.evidence import ABOUT, compare, read
from offloader_connectors.regions.evidence import Outcome, Result

HERE = {"eu-central-1": frozenset({"DE"})}


def result(outcome: Outcome, says: str = "s", answer: object = None, **where: str) -> Result:
    found = {name: frozenset({code}) for name, code in where.items()} or HERE
    return Result(outcome=outcome, says=says, places=found, answer=answer)


@pytest.mark.parametrize("text", ["", "x", "[]", "{}", '{"a":1}', "[" * 100_000])
def test_what_is_no_result_reads_as_none(text: str) -> None:
    """Text that is no result reads back empty, never as an error."""
    assert read(text) == {}


def test_the_same_evidence_has_no_differences() -> None:
    """Nothing is reported when only the wording or the versions differ."""
    old = {"q": result(Outcome.OK, "yes").text(), ABOUT: "1"}
    assert compare(old, {"q": result(Outcome.OK, "yes, indeed").text(), ABOUT: "2"}) == []


def test_differences_are_told_in_words() -> None:
    """A new place, a worse outcome, a changed and a new part of the answer are each told."""
    old = result(Outcome.OK, answer={"rules": [{"ID": "a"}], "status": "off"}, **{"eu-central-1": "DE"})
    new = result(
        Outcome.VIOLATION,
        "somebody copies",
        answer={"rules": [{"ID": "a"}, {"ID": "b"}], "status": "on"},
        **{"eu-central-1": "DE", "us-east-1": "US"},
    )
    assert compare({"q": old.text(), "gone": old.text()}, {"q": new.text(), "added": new.text()}) == [
        "added: was no part of the earlier proof; now somebody copies",
        "gone: was part of the earlier proof, and is not looked at any more",
        "q: was ok, is violation: somebody copies",
        "q: us-east-1 (US) is new among the places",
        'q: the answer, rules: {"ID":"b"} is new',
        'q: the answer, status: was "off", is "on"',
    ]


def test_a_place_that_is_gone_is_told() -> None:
    """A place that is no longer there is a difference too, and so is one whose country is another."""
    old = {"q": result(Outcome.OK, a="DE", b="FR").text()}
    assert compare(old, {"q": result(Outcome.OK, a="NL").text()}) == [
        "q: a (NL) is new among the places",
        "q: a (DE) is no longer among the places",
        "q: b (FR) is no longer among the places",
    ]


@given(st.dictionaries(st.sampled_from("abc"), st.text() | st.just('{"outcome":1,"places":3}'), max_size=3))
def test_damaged_evidence_can_be_compared(found: dict[str, str]) -> None:
    """Evidence that is no evidence differs from good evidence, and comparing it is no error."""
    good = {"a": result(Outcome.OK).text()}
    assert (compare(good, found) == []) == (good == found)
    assert compare(found, found) == []
