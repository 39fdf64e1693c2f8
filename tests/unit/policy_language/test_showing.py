"""The whole policy after its layers: each value once, as it holds, with its place and with what it replaced."""

from __future__ import annotations

from typing import Any

import pytest

from offloader.plugins import PolicyValue
from offloader_policies.language import showing
from offloader_policies.language.model import PolicyFile
from offloader_policies.options import Categories, ResidencyOptions
from offloader_policies.shown import whole
from tests.unit.policy_language.conftest import Open

FIRST = """\
policy: first
min_bytes: 20 kB
caps: {documents: 100, kinds: {File: 5, Note: 6}}
residency:
  exclude_rules: {DE-01: suspended}
clauses:
  - id: old
    select: {sources: [crm], min_age: P1Y}
    then: move
    retention: [NL-R1, {id: own, keep: P7Y, from: doc_date}]
  - {id: gone, select: {kinds: [Note]}, then: keep, reason: matter 7}
"""
SECOND = "policy: second\nextends: [first.yaml]\ncaps: {documents: 50, kinds: {File: 4}}\n"
THIRD = """\
policy: third
extends: [second.yaml]
removes: {clauses: {gone: closed}}
caps: {documents: 10}
clauses:
  - id: old
    select: {min_age: P2Y}
tests:
  - {name: t, given: {selected: true}, expect: {verdict: REVIEW}}
"""


@pytest.fixture
def values(policy: Open) -> dict[tuple[str, str], PolicyValue]:
    opened = policy(THIRD, first_yaml=FIRST, second_yaml=SECOND)
    return {(each.part, each.key): each for each in showing.whole(opened).values}


@pytest.mark.parametrize(
    ("part", "key", "value", "origin", "replaced"),
    [
        ("", "policy", "third", "policy.yaml:1", ()),
        ("", "min_bytes", "20 kB", "first.yaml:2", ()),
        ("caps", "documents", 10, "policy.yaml:4", ((100, "first.yaml:3"), (50, "second.yaml:3"))),
        ("caps", "kinds.File", 4, "second.yaml:3", ((5, "first.yaml:3"),)),
        ("caps", "kinds.Note", 6, "first.yaml:3", ()),
        ("caps", "percent", None, None, ()),
        ("residency", "exclude_rules.DE-01", "suspended", "first.yaml:5", ()),
        ("residency", "attested", "accept", None, ()),
        ("residency", "categories.default", ["personal_data"], None, ()),
        ("clause old", "select.sources", ["crm"], "first.yaml:8", ()),
        ("clause old", "select.min_age", "P2Y", "policy.yaml:7", (("P1Y", "first.yaml:8"),)),
        ("clause old", "retention", ["NL-R1", {"id": "own", "keep": "P7Y", "from": "doc_date"}], "first.yaml:10", ()),
        ("clause old", "copies", 1, None, ()),
        ("deletions", "grace", 30, None, ()),
    ],
)
def test_a_value_has_its_place(
    values: dict[tuple[str, str], PolicyValue], part: str, key: str, value: Any, origin: str | None, replaced: Any
) -> None:
    """The value that holds stands with its file and line, the replaced ones below it; a default has no place."""
    found = values[part, key]

    assert (found.value, found.origin, found.replaced) == (value, origin, replaced)


def test_nothing_is_left_out(values: dict[tuple[str, str], PolicyValue]) -> None:
    """Every section of the language has a value; only how it is put together and its examples are no values."""
    sections = {part.partition(" ")[0] or key for part, key in values}

    named = {"clauses": "clause"}
    wanted = {named.get(name, name) for name in PolicyFile.model_fields}
    assert wanted - sections == {"extends", "pack", "removes", "tests"}
    assert ("residency", "min_bytes") not in values


def test_layers_and_removals_are_told(policy: Open) -> None:
    """The layers stand lowest first; what was taken out stands with its place, the reason and where that is said."""
    found = showing.whole(policy(THIRD, first_yaml=FIRST, second_yaml=SECOND))

    assert [name for name, _ in found.layers] == ["first.yaml", "second.yaml", "policy.yaml"]
    assert found.removed == (("clause gone", "first.yaml:11", "closed", "policy.yaml:3"),)
    assert found.tests == 1


def test_clauses_and_purge_rules_know_their_sources(policy: Open) -> None:
    """What is about one CRM says so, and what is about all says nothing."""
    purge = "purge:\n  - {id: p, type: Case, age_field: ClosedDate, older_than: P5Y, sources: [other]}\n"
    found = showing.whole(policy(f"policy: x\n{FIRST.partition('min')[2].join(('min', ''))}{purge}")).values

    assert {(each.part, each.sources) for each in found if each.sources} == {
        ("clause old", ("crm",)),
        ("purge rule p", ("other",)),
    }


def test_options_in_the_configuration_are_values_too() -> None:
    """A policy without a file shows its options: those that are given, and the defaults."""
    options = ResidencyOptions(prefer=("de",), categories=Categories(by_kind={"Note": ("health_data",)}))
    found = {each.key: (each.value, each.origin) for each in whole(options).values}

    assert found["prefer"] == (["de"], "")
    assert found["categories.by_kind"] == ({"Note": ["health_data"]}, "")
    assert found["categories.default"] == (["personal_data"], None)
    assert found["retention.by_law"] == (True, None)
