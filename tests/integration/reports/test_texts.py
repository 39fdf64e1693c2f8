"""The texts of reports: none is missing in a language, and every code has one."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime

import pytest

from offloader.model import Assurance, Skip, State, Verdict
from offloader.reports import codes, page
from offloader.reports.words import Words
from offloader.reports.writing import LANGUAGES
from offloader_connectors.dynamics365 import skip as dynamics_skip
from offloader_connectors.salesforce import skip as salesforce_skip
from offloader_policies import tables
from tests.docs.conftest import DOCS, ROOT, load_module

catalogs = load_module(DOCS / "make_catalogs.py")
_PLACES = re.compile(r"%\(\w+\)s|\{\w+\}")


def test_every_language_has_a_catalog() -> None:
    """English stands in the source; each other language has a catalog."""
    assert {"en", *catalogs.catalogs()} == set(LANGUAGES)


@pytest.mark.parametrize("language", catalogs.catalogs())
def test_no_text_is_missing(language: str) -> None:
    """Every text of templates and code is translated, with the same places for values, and none is left over."""
    catalog = catalogs.read(language, catalogs.catalogs()[language])
    wrong = []
    for message in catalog:
        said = message.string if isinstance(message.string, (list, tuple)) else (message.string,)
        asked = message.id if isinstance(message.id, (list, tuple)) else (message.id,)
        if message.id and any(set(_PLACES.findall(text)) != set(_PLACES.findall(asked[0])) for text in said):
            wrong.append(message.id)

    assert catalogs.untranslated(catalog, catalogs.texts()) == [], "run: .venv/bin/python docs/make_catalogs.py"
    assert wrong == []


def test_every_code_is_explained() -> None:
    """Every code that can settle a document has words for the reader: of the policy, the plan and both connectors."""
    policy = (DOCS / "policy.md").read_text(encoding="utf-8")
    settling = set(re.findall(r"^\| `(?:MOVE|KEEP|BLOCKED|REVIEW)` \| `([A-Z_]+)`", policy, re.MULTILINE))
    for module in (dynamics_skip, salesforce_skip):
        settling |= {value.code for value in vars(module).values() if isinstance(value, Skip)}
    plans = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "offloader/moves").glob("*.py"))
    settling |= set(re.findall(r"Reason\(\s*\"([A-Z_]+)\"", plans))

    assert len(settling) > 35
    assert sorted(settling - codes.REASONS.keys()) == []


def test_every_word_of_the_core_is_explained() -> None:
    """Every verdict, state, assurance and rule mode has its words."""
    assert set(Verdict) == codes.VERDICTS.keys() == page.VERDICT_MEANINGS.keys()
    assert set(State) == codes.STATES.keys()
    assert set(Assurance) == codes.ASSURANCES.keys() == codes.MEASURES.keys()
    assert set(tables.Mode) <= codes.MODES.keys()


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        ("en", ["1,234,567", "4.2 GB", "999 bytes", "US$1,234.50", "3 April 2027", "Netherlands, United States"]),
        ("nl", ["1.234.567", "4,2 GB", "999 bytes", "US$ 1.234,50", "3 april 2027", "Nederland, Verenigde Staten"]),
    ],
)
def test_numbers_and_names_follow_the_language(language: str, expected: list[str]) -> None:
    """Numbers, sizes, money, days and countries are written as the language does."""
    words = Words(language)
    said = [
        words.number(1_234_567),
        words.size(4_200_000_000),
        words.size(999),
        words.dollars(1234.5),
        words.day(date(2027, 4, 3)),
        words.countries(["US", "NL"]),
    ]

    assert [text.replace("\N{NO-BREAK SPACE}", " ") for text in said] == expected
    assert words.moment(datetime(2026, 11, 22, 6, 5, tzinfo=UTC)).endswith("2026 06:05 UTC")
    assert words.country("CA-QC") == "Canada (CA-QC)"
    assert words.country("nowhere") == "nowhere"
