"""What a CRM writes into a country field, as an ISO code: codes, and names in several languages, from a table."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping

from offloader.psv import Row

#: a longer text is no country's name
LONGEST = 100
_GAPS = re.compile(r"[\W_]+")


def fold(text: str) -> str:
    """Return text without case, accents, punctuation and invisible characters, so that spellings compare."""
    plain = unicodedata.normalize("NFKD", text)
    return _GAPS.sub(" ", "".join(char for char in plain if not unicodedata.combining(char)).casefold()).strip()


def names(table: Iterable[Row], code_words: Iterable[str] = ("code",)) -> Mapping[str, str]:
    """Return code by folded name, from rows with `name`, `aliases` (separated by `;`) and columns of codes.

    Raises ConfigError when one name stands for two places.
    """
    found: dict[str, str] = {}
    for row in table:
        code = row.required("code")
        codes = [row.required(column) for column in code_words]
        for name in (*codes, row.required("name"), *filter(None, row.text("aliases").split(";"))):
            folded = fold(name)
            if not folded or found.setdefault(folded, code) != code:
                row.fail("aliases", f"{name!r} is empty or already stands for {found.get(folded)}")
    return found


def find(text: str, known: Mapping[str, str]) -> str | None:
    """Return the code that a CRM's text stands for, None when nobody can tell."""
    return known.get(fold(text)) if len(text) <= LONGEST else None
