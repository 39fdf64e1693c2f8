"""The page about policies: its example opens, keeps its own promises and raises no doubt; every word is explained."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest

from offloader.testing import context
from offloader_policies.file_plugin import POLICY, FileOptions
from offloader_policies.language.facts import TYPES
from offloader_policies.language.layers import shipped_packs
from offloader_policies.language.lint import findings
from offloader_policies.language.model import Clause, Expect, PolicyFile, Select
from offloader_policies.language.policy import FilePolicy
from tests.docs.conftest import DOCS, ROOT, Block, blocks, text_of

PAGE = DOCS / "policy.md"
EXAMPLES = DOCS / "examples"
OPTIONS = FileOptions.model_validate({"path": "policy.yaml"})
FRAGMENTS = [block for block in blocks(PAGE) if block.language == "yaml" and not block.text.startswith("policies:")]


@pytest.fixture(scope="module")
def policy() -> FilePolicy:
    opened = POLICY.open(OPTIONS, context(EXAMPLES))
    assert isinstance(opened, FilePolicy)
    return opened


def test_the_example_keeps_its_promises() -> None:
    """All tests of the example, and of the packs that it stands on, come out as expected."""
    assert POLICY.test is not None
    results = POLICY.test(OPTIONS, context(EXAMPLES))

    assert len(results) > 10
    assert [(each.name, each.differences) for each in results if each.differences] == []


def test_the_example_is_sound(policy: FilePolicy) -> None:
    """Nothing about the example is doubtful on the day that it was written for."""
    day = datetime(2026, 11, 22, tzinfo=UTC)

    assert [each.message for each in findings(policy, (), day) if each.severity != "ok"] == []


@pytest.mark.parametrize("block", FRAGMENTS, ids=str)
def test_policies_on_the_page_stand_in_files(block: Block) -> None:
    """A policy on the page is a file under docs/examples, word for word, so the tests of that file are its own."""
    assert block.text in {path.read_text(encoding="utf-8") for path in EXAMPLES.glob("*.yaml")}


@pytest.mark.parametrize("word", [*PolicyFile.model_fields, *Select.model_fields, *Clause.model_fields])
def test_every_key_is_on_the_page(word: str) -> None:
    """Every key of a policy, of a clause and of a selection is shown or explained."""
    assert re.search(rf"`{word}\b|^ *-? ?{word}:|[{{ ]{word}:", text_of(PAGE), re.MULTILINE) or word == "pack"


def test_facts_expectations_findings_and_packs_are_explained() -> None:
    """What a condition may ask, a test expect, and lint find, and every pack, stands on the page."""
    page = text_of(PAGE)
    lint = (ROOT / "policies/offloader_policies/language/lint.py").read_text(encoding="utf-8")
    codes = set(re.findall(r"_(?:warn|note)\(\s*\"([a-z-]+)\"", lint))

    assert len(codes) > 10
    assert [code for code in sorted(codes) if f"`{code}`" not in page] == []
    assert [name for name in TYPES if f"`{name}`" not in page and f"`.{name.rpartition('.')[2]}`" not in page] == []
    assert [name for name in Expect.model_fields if f"`{name}`" not in page] == []
    assert [name for name in shipped_packs() if f"`{name}`" not in page] == []


def test_reasons_of_clauses_are_explained() -> None:
    """Every code that a clause gives a decision stands in the page's tables."""
    folder = ROOT / "policies/offloader_policies/language"
    sources = "\n".join(path.read_text(encoding="utf-8") for path in folder.glob("*.py"))
    codes = set(re.findall(r"(?:Reason\(|_reason\(|Verdict\.\w+, )\"([A-Z_]+)\"", sources))

    assert len(codes) == 6
    assert [code for code in sorted(codes) if f"`{code}`" not in text_of(PAGE)] == []
