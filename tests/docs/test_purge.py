"""The page about purging, and the policy's page about its rules: every code and every key is explained."""

from __future__ import annotations

import re

import pytest

from offloader.testing import context
from offloader_policies.file_plugin import POLICY, FileOptions
from offloader_policies.language.model import PurgeTerms
from tests.docs.conftest import DOCS, ROOT, text_of

PAGE = DOCS / "purge.md"
SOURCES = (
    "offloader/disposition/families.py",
    "offloader/disposition/planning.py",
    "policies/offloader_policies/language/purging.py",
)
_CODE = re.compile(r"(?:keep\(|Reason\(|REVIEW, |KEEP, |_because\()\s*\"([A-Z_]+)\"")


def test_every_code_is_explained() -> None:
    """Every code that a purge plan gives as a reason stands in the page's table."""
    codes = {code for name in SOURCES for code in _CODE.findall((ROOT / name).read_text(encoding="utf-8"))}

    assert len(codes) > 15
    # a decision without a reason has a code of its own behind the common beginning
    assert [code for code in sorted(codes - {"NO_PLACE"}) if f"| `{code}` |" not in text_of(PAGE)] == []


@pytest.mark.parametrize("key", PurgeTerms.model_fields)
def test_every_key_of_a_rule_is_explained(key: str) -> None:
    """Every key of a purge rule stands in the table of the page about policies."""
    section = text_of(DOCS / "policy.md").partition("## Purge rules")[2].partition("\n## ")[0]

    assert re.search(rf"^\|[^|]*`{key}`", section, re.MULTILINE)


def test_the_example_opens() -> None:
    """The example is a whole policy with two rules."""
    opened = POLICY.open(FileOptions.model_validate({"path": "purge.yaml"}), context(DOCS / "examples"))

    assert [rule.id for rule in opened.terms.purges] == ["shipment-confirmations", "closed-cases"]
