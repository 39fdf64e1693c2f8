"""English names of countries, for sentences that a person reads."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from importlib.resources import files

from offloader.psv import rows

_FILE = "country_names.psv"
#: names that a sentence puts an article before, beside those of islands
_THE = frozenset({"AE", "BS", "CD", "CF", "CG", "DO", "GB", "GM", "NL", "PH", "US", "VA"})


@lru_cache(1)
def _names() -> dict[str, str]:
    text = (files("offloader") / "tables" / _FILE).read_text(encoding="utf-8")
    return {row.required("code"): row.required("name") for row in rows(_FILE, text, ("code", "name"))}


def name_of(code: str) -> str:
    """The English name of an ISO 3166-1 alpha-2 code; the code itself if it is none."""
    return _names().get(code, code)


def named(codes: Iterable[str]) -> str:
    """Countries for a sentence, by name: "Germany, Ireland and the United States"."""
    known = sorted((name_of(code), code) for code in codes)
    *most, last = [f"the {name}" if code in _THE or "Islands" in name else name for name, code in known] or [""]
    return f"{', '.join(most)} and {last}" if most else last
