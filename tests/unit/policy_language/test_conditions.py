"""Conditions in CEL: checked when loaded, and never guessing when a value is missing."""

from __future__ import annotations

import re

import pytest

from offloader_policies.language.conditions import LONGEST, Compiler
from offloader_policies.language.facts import TYPES, values
from tests.unit.policy_language.conftest import NOW, document


@pytest.mark.parametrize(
    ("text", "say"),
    [
        ("document.kind == 3", "'==' does not go with '(string, int)'"),
        ("document.colour == 'x'", "undeclared reference to 'document.colour'; there are: document.age_days"),
        ("document.size", "gives INT, a condition must give true or false"),
        ("parents[0].signals.country", "gives DYN"),
        ("has(document.owner) && true", 'write "owner" in document.known'),
        ('"ownr" in document.known', "there is no document.ownr"),
        ("document.kind ==", "not valid CEL: at character 17: Syntax error: mismatched input end"),
        ("true || " * LONGEST + "true", "longer than"),
    ],
)
def test_a_condition_that_cannot_be_right_is_refused_when_loaded(text: str, say: str) -> None:
    """Wrong types, unknown names and answers other than true and false never come to a document."""
    with pytest.raises(ValueError, match=re.escape(say)):
        Compiler(TYPES).compile(text)


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("document.kind == 'File' && document.size > 5", True),
        ("document.extension == 'docx'", False),
        ("document.mime == 'application/pdf'", True),
        ("document.age_days >= 400 && document.created_days < 401", True),
        ("document.versions == 1 && document.source == 'crm' && document.name == 'a.pdf'", True),
        ("now > timestamp('2026-01-01T00:00:00Z')", True),
        ("parents.exists(p, p.type == 'Case' && p.signals.status == 'Closed')", True),
        ("parents.exists(p, p.signals.status == 'Open')", None),
        ("parents.exists(p, p.signals.empty == '')", None),
        ("parents.exists(p, has(p.signals.empty))", False),
        ("parents.all(p, p.signals.amount > 3)", None),
        ("parents.exists(p, p.id == '1' && p.type == 'User') && parents.size() == 2", True),
        ("document.owner == 'U1'", None),
        ("document.owner != 'U1'", None),
        ("!(document.owner == 'U1')", None),
        ("document.owner == 'U1' || document.kind == 'File'", True),
        ("document.owner == 'U1' && document.kind == 'Note'", False),
        ("'owner' in document.known && document.owner == 'U1'", False),
        ("1 / (document.versions - 1) == 1", None),
        ("int(document.name) == 3", None),
    ],
)
def test_what_the_crm_does_not_say_is_unknown(text: str, holds: bool | None) -> None:
    """A missing fact, an empty signal and a failed sum are unknown, unless the answer does not depend on them."""
    given = document(("Case", {"status": "Closed", "empty": ""}), ("User", {}), owner=None)
    condition = Compiler(TYPES).compile(text)

    assert condition.holds(values(given, NOW, condition.uses)) is holds


@pytest.mark.parametrize("name", ["\ud800.pdf", "a\x00b", "x" * 100_000, "\u202e"])
def test_hostile_names_never_end_a_decision(name: str) -> None:
    """A half character is unknown; everything else is text."""
    condition = Compiler(TYPES).compile("document.name.size() > 0")

    assert condition.holds(values(document(name=name), NOW, condition.uses)) is (None if "\ud800" in name else True)


def test_a_number_beyond_cel_is_unknown() -> None:
    """A size that no disk holds is no reason to move."""
    condition = Compiler(TYPES).compile("document.size > 5")

    assert condition.holds(values(document(size=1 << 80), NOW, condition.uses)) is None
