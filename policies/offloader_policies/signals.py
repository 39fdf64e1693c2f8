"""What a document says about itself: its countries and its categories, each with where that was said.

Signals come from records that users fill in, so anything can stand in them. A text that cannot be understood never
counts as absent: it is a problem, or a category that meets every rule.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import NamedTuple

from offloader.model import Document, Parent
from offloader_policies import countries
from offloader_policies.options import ResidencyOptions
from offloader_policies.selection import Selection
from offloader_policies.tables import UNKNOWN_CATEGORY, Tables, Tie

_SEPARATORS = re.compile(r"[;,\s]+")
_SHOWN = 5
_ANY = frozenset(Tie)


class Place(NamedTuple):
    """A country, the subdivision of it where rules make that matter and it is known, and the signal that said it."""

    country: str
    part: str | None
    signal: str


class Signals(NamedTuple):
    """The places whose law a document may be under, its categories, and what keeps it from being judged."""

    places: frozenset[Place]
    #: each category with how it is known: "default", "kind annotation", "record Invoice__c", "signal category", …
    known: frozenset[tuple[str, str]]
    problems: tuple[str, ...]


class Reader:
    """Reads signals from documents. Holds nothing but look-ups that always give the same answer."""

    def __init__(self, tables: Tables, options: ResidencyOptions) -> None:
        self._subdivision_names = tables.subdivision_names
        self._subdivision_signal = options.subdivision_signal
        self._category_signal = options.category_signal
        self._unplaced = frozenset(options.unplaced_parents)
        self._country_signal = options.country_signal
        more = (*options.more_country_signals, *options.further_signals)
        self._more = tuple(dict.fromkeys(name for name in more if name != options.country_signal))
        self.ties = _ties(options)
        #: signals whose country's law reaches the document in every way: one of them must say a country
        self.full = frozenset(name for name, ties in self.ties.items() if ties == _ANY)
        own = options.categories
        self._default = frozenset((name, "default") for name in own.default)
        self._by_kind = {kind: _known(names, f"kind {kind}") for kind, names in own.by_kind.items()}
        self._by_parent = {type_: _known(names, f"record {type_}") for type_, names in own.by_parent.items()}
        self._categories = tables.categories.keys()
        self._find_country = lru_cache(8192)(lambda text: countries.find(text, tables.country_names))
        self._category_words = lru_cache(8192)(self._words)

    def read(self, document: Document, selected: Selection) -> Signals:
        """Read all parents; never raises, whatever the CRM has written."""
        places: set[Place] = set()
        problems: list[str] = []
        known = self._default | self._by_kind.get(document.ref.kind, frozenset())
        for parent in document.parents:
            known |= self._by_parent.get(parent.type, frozenset())
            words = _text(parent, self._category_signal)
            if words:
                known |= self._category_words(words) if len(words) <= countries.LONGEST else self._words(words)
            self._read_places(parent, places, problems)
        if selected.categories:
            known |= _known(selected.categories, f"policy {' '.join(selected.clauses)}".strip())
        if not problems and not any(place.signal in self.full for place in places):
            problems.append("no record that the document hangs on says a country")
        return Signals(frozenset(places), known or _UNSAID, _shorten(problems) if problems else ())

    def _read_places(self, parent: Parent, places: set[Place], problems: list[str]) -> None:
        text = _text(parent, self._country_signal)
        if text and not text.isspace():
            self._add(parent, self._country_signal, text, places, problems)
        elif parent.type not in self._unplaced:
            problems.append(f"{_name(parent)} has no {self._country_signal}")
        for signal in self._more:
            text = _text(parent, signal)
            if text and not text.isspace():
                self._add(parent, signal, text, places, problems)

    def _add(self, parent: Parent, signal: str, text: str, places: set[Place], problems: list[str]) -> None:
        country = self._find_country(text) if len(text) <= countries.LONGEST else None
        if country is None:
            problems.append(f"{_name(parent)} has the {signal} {_quote(text)}, which is no known country")
            return
        names = self._subdivision_names.get(country) if signal == self._country_signal else None
        where = _text(parent, self._subdivision_signal) if names else ""
        places.add(Place(country, countries.find(where, names) if names and where else None, signal))

    def _words(self, text: str) -> frozenset[tuple[str, str]]:
        words = filter(None, _SEPARATORS.split(text.lower()))
        known = (word if word in self._categories else UNKNOWN_CATEGORY for word in words)
        return _known(known, f"signal {self._category_signal}")


_UNSAID = frozenset({(UNKNOWN_CATEGORY, "nothing says it")})


def _known(categories: Iterable[str], how: str) -> frozenset[tuple[str, str]]:
    return frozenset((category, how) for category in categories)


def _ties(options: ResidencyOptions) -> Mapping[str, frozenset[Tie]]:
    """Return by signal how its country can have to do with a document; the country of a record, in every way."""
    found = {
        name: _ANY if "any" in ties or not ties else frozenset(map(Tie, ties))
        for name, ties in options.further_signals.items()
    }
    return found | dict.fromkeys((*options.more_country_signals, options.country_signal), _ANY)


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
        "categories.default": own.default,
        **{f"categories.by_kind.{kind}": names for kind, names in own.by_kind.items()},
        **{f"categories.by_parent.{type_}": names for type_, names in own.by_parent.items()},
        **{f"transfer_bases[{at}].categories": basis.categories for at, basis in enumerate(options.transfer_bases)},
    }
