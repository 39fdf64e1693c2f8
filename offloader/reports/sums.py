"""Adds up a plan's documents in one pass: memory depends on how many different decisions there are, up to a bound."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from offloader.ledger.reporting import Part, PlanLine
from offloader.model import State, Verdict
from offloader.reports.facets import HELD, Facet, general
from offloader.reports.model import Count, Report

Key = TypeVar("Key")
#: what a document of several versions is called after: the first of these that any of them is in
_ORDER = (
    State.FAILED,
    State.CONFLICT,
    State.REVIEW,
    State.BLOCKED,
    State.HELD,
    State.SEEN,
    State.PLANNED,
    State.COPIED,
    State.VERIFIED,
    State.LINKED,
    State.RESTORED,
    State.ERASED,
    State.KEPT,
    State.DONE,
)
_RANK = {state: rank for rank, state in enumerate(_ORDER)}
SAMPLE = 20
#: different decisions that are counted side by side before they are folded into the sums
_FLOWS = 4096
#: different sentences that are told apart; a hostile CRM must not make more
_SENTENCES = 500
_OTHERS = "…"


def outcome(parts: Sequence[Part]) -> str:
    """The state of a document: that of its versions, and where they differ, the one that is least finished."""
    return min((part.state for part in parts), key=_RANK.__getitem__).value if parts else ""


def detail(parts: Sequence[Part]) -> str:
    """The last word about the document: that of the version that is least finished."""
    return min(parts, key=lambda part: _RANK[part.state]).detail if parts else ""


@dataclass(slots=True)
class Tally:
    """A count that grows."""

    documents: int = 0
    versions: int = 0
    bytes: int = 0

    def add(self, documents: int, versions: int, size: int) -> None:
        self.documents += documents
        self.versions += versions
        self.bytes += size

    def count(self) -> Count:
        return Count(self.documents, self.versions, self.bytes)


def counts(tallies: Mapping[Key, Tally]) -> dict[Key, Count]:
    """The tallies as they stand."""
    return {key: tally.count() for key, tally in tallies.items()}


class Sample:
    """Draws `SAMPLE` of the moves by chance, each with the same chance, so that the seed draws them again.

    Anybody who has the rows can do the same. With `rng = random.Random(seed)` go through the rows that say MOVE, in
    the plan's order. Keep the first 20. For each one after those, the k-th of all, take `j = int(rng.random() * k)`:
    if j is below 20, it takes place j (from 0). Python promises the same numbers of `random()` in every version.
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - to be repeated, not to be unguessable
        self._seen = 0
        self._drawn: list[int] = []

    def offer(self, number: int) -> None:
        self._seen += 1
        if self._seen <= SAMPLE:
            self._drawn.append(number)
            return
        place = int(self._random.random() * self._seen)
        if place < SAMPLE:
            self._drawn[place] = number

    @property
    def drawn(self) -> tuple[int, ...]:
        """Numbers of the rows, in the plan's order."""
        return tuple(sorted(self._drawn))


@dataclass(slots=True)
class Use:
    """What one policy's moves made use of."""

    stores: set[str] = field(default_factory=set)
    countries: set[str] = field(default_factory=set)
    bases: set[str] = field(default_factory=set)
    categories: set[str] = field(default_factory=set)
    retention: set[str] = field(default_factory=set)


class Sums:
    """Everything a report says of all documents together. `add` each item; then `fold`, and read."""

    def __init__(
        self, homes: Mapping[str, tuple[str, ...]], policies: Mapping[str, str], seed: int, *, run: bool
    ) -> None:
        self._homes = homes
        #: source → name of its policy
        self._policies = policies
        self._run = run
        self._flows: defaultdict[tuple[str, Facet], Tally] = defaultdict(Tally)
        self.sample = Sample(seed)
        self.totals: dict[str, Tally] = {verdict.value: Tally() for verdict in Verdict}
        self.codes: defaultdict[tuple[str, str], Tally] = defaultdict(Tally)
        self.examples: dict[tuple[str, str], str] = {}
        self.by_law: defaultdict[tuple[str, str, str], Tally] = defaultdict(Tally)
        self.matrix: defaultdict[tuple[str, str], Tally] = defaultdict(Tally)
        self.chosen: defaultdict[str, Tally] = defaultdict(Tally)
        #: moves by source that are still to be done
        self.ahead: defaultdict[str, Tally] = defaultdict(Tally)
        #: all moves by source
        self.moves: defaultdict[str, Tally] = defaultdict(Tally)
        self.uses: defaultdict[str, Use] = defaultdict(Use)
        self.held = Tally()
        self.conflicts = Tally()
        self.quality: Counter[str] = Counter()
        self.outcomes: defaultdict[str, Tally] = defaultdict(Tally)
        self.unfinished: defaultdict[tuple[str, str], Tally] = defaultdict(Tally)
        self.exceptions: list[int] = []
        self.exceptions_total = 0

    def add(self, line: PlanLine, facet: Facet) -> None:
        """Count one item of the plan."""
        self._flows[line.source, facet].add(1, line.versions, line.size)
        if len(self._flows) > _FLOWS:
            self.fold()
        ended = outcome(line.parts) if self._run else ""
        if facet.verdict == Verdict.MOVE:
            self.sample.offer(line.number)
            if ended != State.DONE:
                self.ahead[line.source].add(1, line.versions, line.size)
        if self._run:
            self._count_outcome(line, facet, ended)
        if exceptional(facet, ended):
            self.exceptions_total += 1
            if len(self.exceptions) < Report.EXCEPTIONS:
                self.exceptions.append(line.number)

    def _count_outcome(self, line: PlanLine, facet: Facet, ended: str) -> None:
        self.outcomes[ended].add(1, line.versions, line.size)
        if facet.verdict == Verdict.MOVE and ended != State.DONE:
            why = (ended, general(detail(line.parts)))
            if why not in self.unfinished and len(self.unfinished) >= _SENTENCES:
                why = (ended, _OTHERS)
            self.unfinished[why].add(1, line.versions, line.size)

    def fold(self) -> None:
        """Take the flows counted so far into the sums."""
        for (source, facet), tally in self._flows.items():
            self._fold_one(source, facet, (tally.documents, tally.versions, tally.bytes))
        self._flows.clear()

    def _fold_one(self, source: str, facet: Facet, count: tuple[int, int, int]) -> None:
        code = (facet.verdict, facet.code)
        self.totals[facet.verdict].add(*count)
        self.codes[code].add(*count)
        self.examples.setdefault(code, facet.reason)
        if facet.code == HELD:
            self.held.add(*count)
        if facet.conflict:
            self.conflicts.add(*count)
        for doubt in facet.doubts:
            known = doubt in self.quality or len(self.quality) < _SENTENCES
            self.quality[doubt if known else _OTHERS] += count[0]
        law = " ".join(facet.jurisdictions)
        for category in facet.categories or ("",):
            for country in facet.countries or ("",):
                self.by_law[law, category, country].add(*count)
        if facet.verdict == Verdict.MOVE:
            self._fold_move(source, facet, count)

    def _fold_move(self, source: str, facet: Facet, count: tuple[int, int, int]) -> None:
        self.moves[source].add(*count)
        for store in facet.stores:
            self.chosen[store].add(*count)
        for home in self._homes.get(source) or ("",):
            for country in facet.countries:
                self.matrix[home, country].add(*count)
        use = self.uses[self._policies[source]]
        use.stores.update(facet.stores)
        use.countries.update(facet.countries)
        use.bases.update(facet.bases)
        use.categories.update(facet.categories)
        use.retention.update(facet.retention)


def exceptional(facet: Facet, ended: str) -> bool:
    """Whether a person has to settle it: blocked or to be reviewed, or (in a run) a planned move that was not done."""
    unfinished = facet.verdict == Verdict.MOVE and ended not in ("", State.DONE)
    return unfinished or facet.verdict in (Verdict.BLOCKED, Verdict.REVIEW)
