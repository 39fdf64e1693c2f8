"""What of a configuration a policy names is found with its place, in clauses, conditions, caps and options."""

from __future__ import annotations

import pytest

from offloader_policies.language.conditions import compared
from offloader_policies.language.naming import named
from tests.unit.policy_language.conftest import Open

POLICY = """\
policy: x
caps: {kinds: {Note: 5}}
residency:
  prefer: [frankfurt]
  categories:
    by_kind: {Mail: [health_data]}
clauses:
  - id: c
    select:
      sources: [crm]
      kinds: [File]
      when: document.source != "other" && document.kind in ["A", 'B']
    then: move
    prefer: [paris]
purge:
  - {id: p, type: Case, age_field: ClosedDate, older_than: P5Y, sources: [sales], prefer: [rome]}
"""


def test_every_name_has_its_place(policy: Open) -> None:
    """Sources, kinds and stores of clauses, conditions, purge rules, caps and options come with file and line."""
    found = {(each.what, each.name, each.place, each.sources) for each in named(policy(POLICY).book)}

    assert found == {
        ("source", "crm", "policy.yaml:10: the clause c", ()),
        ("kind", "File", "policy.yaml:11: the clause c", ("crm",)),
        ("source", "other", "policy.yaml:12: the clause c", ()),
        ("kind", "A", "policy.yaml:12: the clause c", ("crm",)),
        ("kind", "B", "policy.yaml:12: the clause c", ("crm",)),
        ("store", "paris", "policy.yaml:14: the clause c", ()),
        ("source", "sales", "policy.yaml:16: the purge rule p", ()),
        ("store", "rome", "policy.yaml:16: the purge rule p", ()),
        ("kind", "Note", "policy.yaml:2: caps.kinds", ()),
        ("store", "frankfurt", "policy.yaml:4: residency.prefer", ()),
        ("kind", "Mail", "policy.yaml:6: residency.categories.by_kind", ()),
    }


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('document.source == "a"', {"a"}),
        ("'a' != document.source && document.source=='b'", {"a", "b"}),
        ('document.source in ["a", "b"]', {"a", "b"}),
        ('document.sources == "a" || my.document.source == "b" || document.source.startsWith("c")', set()),
        ('p.signals.status == "Closed"', set()),
        ('"document.source" == "a"', set()),
    ],
)
def test_a_condition_names_what_it_compares_with(text: str, found: set[str]) -> None:
    """Only literals that the variable itself is compared with are names."""
    assert compared(text, "document.source") == found
