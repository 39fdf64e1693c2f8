"""Sets of places: ISO 3166-1 alpha-2 countries and ISO 3166-2 subdivisions of them, under set algebra.

A country covers its subdivisions ("CA" covers "CA-QC"), never the other way round: bytes known to be somewhere in
Canada are not known to be in Quebec.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date

Places = frozenset[str]
_ORGANISATION = re.compile(r"\([^)]*\)")


def covers(allowed: Places, place: str) -> bool:
    """Whether a place lies inside the allowed ones."""
    return place in allowed or place.partition("-")[0] in allowed


def within(places: Iterable[str], allowed: Places) -> bool:
    """Whether every place lies inside the allowed ones."""
    return all(covers(allowed, place) for place in places)


def meet(first: Places, second: Places) -> Places:
    """Return the places inside both."""
    return frozenset(place for place in first if covers(second, place)) | frozenset(
        place for place in second if covers(first, place)
    )


def without(allowed: Places, denied: Places) -> Places:
    """Return the allowed places that touch no denied one: a country goes when a part of it is denied."""
    parts = {place.partition("-")[0] for place in denied}
    return frozenset(place for place in allowed if place not in parts and not covers(denied, place))


@dataclass(frozen=True, slots=True)
class Group:
    """A named list of countries, in force from the first day to the last one, both included."""

    name: str
    tokens: tuple[str, ...]
    valid_from: date | None
    valid_to: date | None

    def in_force(self, day: date | None) -> bool:
        """Whether it holds on that day; with no day, whether it ever does."""
        if day is None:
            return True
        return (self.valid_from is None or self.valid_from <= day) and (self.valid_to is None or day <= self.valid_to)


def group_tokens(members: str) -> tuple[str, ...]:
    """Split a group's members; an organisation in parentheses is no territory and falls away."""
    return tuple(_ORGANISATION.sub(" ", members).split())


@dataclass(frozen=True, slots=True)
class Atlas:
    """Every known place, and what the groups stand for."""

    countries: Places
    subdivisions: Places
    groups: Mapping[str, Group]

    def problem(self, word: str) -> str | None:
        """Say what is wrong with a country, a subdivision, `@GROUP` or `*`; None when it is known."""
        if word == "*" or word in self.countries or word in self.subdivisions:
            return None
        if word.startswith("@"):
            return None if word[1:] in self.groups else f"unknown group {word!r}"
        return f"unknown country or subdivision {word!r}"

    def resolve(self, tokens: Iterable[str], day: date | None, _above: tuple[str, ...] = ()) -> Places:
        """Return the places that the tokens stand for on that day; with no day, on any day (the widest reading).

        Raises ValueError for a group that contains itself, KeyError for an unknown group.
        """
        found: set[str] = set()
        for word in tokens:
            if word == "*":
                found |= self.countries
            elif word.startswith("@"):
                name = word[1:]
                if name in _above:
                    raise ValueError(f"the group {name} contains itself")
                group = self.groups[name]
                if group.in_force(day):
                    found |= self.resolve(group.tokens, day, (*_above, name))
            else:
                found.add(word)
        return frozenset(found)
