"""What a document says about itself: countries, subdivisions and categories, or what is missing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from offloader.model import Document, Parent
from offloader_policies import countries
from offloader_policies.options import ResidencyOptions
from offloader_policies.tables import UNKNOWN_CATEGORY, Tables

#: a country, and the subdivision of it where rules make that matter and it is known
Place = tuple[str, str | None]
_SEPARATORS = re.compile(r"[;,\s]+")
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Signals:
    """The places whose law a document may be under, its categories, and what keeps it from being judged."""

    places: frozenset[Place]
    categories: frozenset[str]
    problems: tuple[str, ...]


class Reader:
    """Reads signals from documents. Holds nothing but look-ups that always give the same answer."""

    def __init__(self, tables: Tables, options: ResidencyOptions) -> None:
        self._options = options
        self._subdivision_names = tables.subdivision_names
        self._known = tables.categories.keys()
        self._unplaced = frozenset(options.unplaced_parents)
        self._find_country = lru_cache(8192)(lambda text: countries.find(text, tables.country_names))

    def read(self, document: Document) -> Signals:
        """Read all parents; never raises, whatever the CRM has written."""
        places: set[Place] = set()
        problems: list[str] = []
        own = self._options.categories
        categories = {*own.default, *own.by_kind.get(document.ref.kind, ())}
        for parent in document.parents:
            categories.update(own.by_parent.get(parent.type, ()))
            categories.update(self._category_words(_text(parent, self._options.category_signal)))
            self._read_places(parent, places, problems)
        if not places and not problems:
            problems.append("no record that the document hangs on says a country")
        return Signals(frozenset(places), frozenset(categories or {UNKNOWN_CATEGORY}), _shorten(problems))

    def _read_places(self, parent: Parent, places: set[Place], problems: list[str]) -> None:
        text = _text(parent, self._options.country_signal)
        if text.strip():
            self._add(parent, self._options.country_signal, text, places, problems)
        elif parent.type not in self._unplaced:
            problems.append(f"{_name(parent)} has no {self._options.country_signal}")
        for signal in self._options.more_country_signals:
            text = _text(parent, signal)
            if text.strip():
                self._add(parent, signal, text, places, problems)

    def _add(self, parent: Parent, signal: str, text: str, places: set[Place], problems: list[str]) -> None:
        country = self._find_country(text) if len(text) <= countries.LONGEST else None
        if country is None:
            problems.append(f"{_name(parent)} has the {signal} {_quote(text)}, which is no known country")
            return
        names = self._subdivision_names.get(country)
        where = _text(parent, self._options.subdivision_signal) if signal == self._options.country_signal else ""
        places.add((country, countries.find(where, names) if names and where else None))

    def _category_words(self, text: str) -> frozenset[str]:
        words = filter(None, _SEPARATORS.split(text.lower()))
        return frozenset(word if word in self._known else UNKNOWN_CATEGORY for word in words)


def _text(parent: Parent, signal: str) -> str:
    value: object = parent.signals.get(signal)
    return value if isinstance(value, str) else ""


def _quote(text: str) -> str:
    return ascii(text if len(text) <= 40 else f"{text[:40]}…")


def _name(parent: Parent) -> str:
    return f"{_quote(parent.type)[1:-1]} {_quote(parent.id)[1:-1]}"


def _shorten(problems: Iterable[str]) -> tuple[str, ...]:
    found = sorted(set(problems))
    more = len(found) - _SHOWN
    return (*found[:_SHOWN], f"and {more} more") if more > 0 else tuple(found)


def category_names(options: ResidencyOptions) -> Mapping[str, Iterable[str]]:
    """Return every place in the options that names categories."""
    own = options.categories
    return {
        "default": own.default,
        **{f"by_kind.{kind}": names for kind, names in own.by_kind.items()},
        **{f"by_parent.{type_}": names for type_, names in own.by_parent.items()},
    }
