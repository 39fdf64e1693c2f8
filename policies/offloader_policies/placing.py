"""Which stores take a document: the fewest that hold every copy that is asked for, the best ones first. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import combinations
from typing import TypeVar

from offloader.model import Assurance, Decision
from offloader.ports import Target
from offloader_policies.places import Places, within
from offloader_policies.selection import Selection
from offloader_policies.signals import Signals

#: so many decisions, and choices of stores, are kept for one offer of stores
KEPT = 8192
K = TypeVar("K")
V = TypeVar("V")
_FIRST, _LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Offer:
    """Stores with their proofs, and the span of time in which neither a proof nor a rule changes."""

    targets: tuple[Target, ...]
    #: those whose proof is good in that span, and about that store
    usable: tuple[Target, ...]
    since: datetime
    until: datetime
    #: number of the span in which the rules stay the same
    epoch: int
    decisions: dict[tuple[Signals, Selection], Decision] = field(default_factory=dict, compare=False)
    choices: dict[tuple[Wanted, Selection], Choice] = field(default_factory=dict, compare=False)

    def holds(self, targets: tuple[Target, ...], now: datetime) -> bool:
        return self.since <= now < self.until and self.targets == targets

    def keep(self, key: tuple[Signals, Selection], decision: Decision) -> Decision:
        return _keep(self.decisions, key, decision)


def _keep(kept: dict[K, V], key: K, value: V) -> V:
    if len(kept) >= KEPT:
        kept.clear()
    kept[key] = value
    return value


def offer(targets: tuple[Target, ...], now: datetime, epoch: int, changes: Iterable[datetime]) -> Offer:
    """Make an offer of stores; `changes` are the moments at which the rules change."""
    moments = {moment for target in targets for moment in (target.proof.taken, target.proof.expires)} | set(changes)
    return Offer(
        targets=targets,
        usable=tuple(
            target for target in targets if target.proof.usable_at(now) and target.proof.store == target.store
        ),
        since=max((moment for moment in moments if moment <= now), default=_FIRST),
        until=min((moment for moment in moments if moment > now), default=_LAST),
        epoch=epoch,
    )


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the stores together have to fulfil."""

    permitted: Places
    #: sets of places, each of which must hold a full copy
    copies: tuple[Places, ...]
    #: how many stores at least
    count: int
    #: whether a place that the operator attests is enough
    attested: bool
    #: the document's own countries, and all countries under the same law
    own: Places
    near: Places

    def fits(self, target: Target) -> bool:
        """Whether every place where the store's bytes can be is permitted."""
        return within(target.proof.countries, self.permitted)

    def trusts(self, target: Target) -> bool:
        return self.attested or target.proof.assurance is Assurance.PROVEN


@dataclass(frozen=True, slots=True)
class Choice:
    """The stores that are to hold a document, the best one first; none if they cannot fulfil what is wanted."""

    chosen: tuple[Target, ...]
    #: the stores that lie in the permitted places, and those of them of which they were chosen
    fitting: tuple[Target, ...]
    able: tuple[Target, ...]
    #: a better store that is worth waiting for
    awaited: Target | None = None


#: how far down a store stands: the lower the better; the last is its name
Rank = tuple[int, bool, int, bool, bool, str]


def ranking(wanted: Wanted, selected: Selection, prefer: Sequence[str]) -> Callable[[Target], Rank]:
    """Return what puts stores in order.

    First those that the selection prefers, then its price class, then `prefer`, then a store in the document's own
    country, then one under the same law, then by name. Countries that nobody knows are neither.
    """
    first, then = _order(selected.prefer), _order(prefer)

    def rank(target: Target) -> Rank:
        found = target.proof.countries
        return (
            first.get(target.store, len(first)),
            bool(selected.cost_class) and (target.tariff is None or target.tariff[1] != selected.cost_class),
            then.get(target.store, len(then)),
            not found or not within(found, wanted.own),
            not found or not within(found, wanted.near),
            target.store,
        )

    return rank


def search(wanted: Wanted, offered: Offer, selected: Selection, prefer: Sequence[str], *, waits: bool) -> Choice:
    """Choose among the usable stores of an offer; with `waits`, say also which closed one would come before."""
    found = offered.choices.get((wanted, selected))
    if found is not None:
        return found
    fitting = tuple(target for target in offered.targets if wanted.fits(target))
    able = tuple(target for target in fitting if target in offered.usable and wanted.trusts(target))
    rank = ranking(wanted, selected, prefer)
    chosen = tuple(choose(wanted, able, rank))
    awaited = missed(wanted, offered, able, chosen, rank) if chosen and waits else None
    return _keep(offered.choices, (wanted, selected), Choice(chosen, fitting, able, awaited))


def choose(wanted: Wanted, offered: Iterable[Target], rank: Callable[[Target], Rank]) -> list[Target]:
    """Return the stores that are to hold the document, the best one first; none if they cannot fulfil what is wanted.

    `offered` are stores that fit. The fewest that hold every copy, then the best ones.
    """
    by_store: dict[str, Target] = {}
    for target in sorted(offered, key=rank):
        by_store.setdefault(target.store, target)
    ranked = list(by_store.values())
    needed = _cover(wanted.copies, ranked)
    if needed is None:
        return []
    spare = [target for target in ranked if target not in needed]
    chosen = [*needed, *spare[: max(0, wanted.count - len(needed))]]
    return [target for target in ranked if target in chosen] if len(chosen) >= wanted.count else []


def missed(
    wanted: Wanted, offered: Offer, able: Sequence[Target], chosen: Sequence[Target], rank: Callable[[Target], Rank]
) -> Target | None:
    """Return a better store that only lacks a proof of its place now, in whose stead a worse one was chosen.

    Better is more than an earlier name. Where its last proof names no countries, only what the operator prefers counts.
    A store whose place has changed counts as where it was accepted: that is where it is to be again.
    """
    unusable = (_accepted(target) for target in offered.targets if target not in offered.usable)
    closed = [target for target in unusable if wanted.fits(target)]
    ideal = choose(wanted, [*able, *closed], rank)
    stand_ins = [rank(target)[:-1] for target in chosen if target not in ideal]
    better = (target for target in ideal if target in closed and rank(target)[:-1] < max(stand_ins))
    return next(better, None)


def _accepted(target: Target) -> Target:
    if target.proof.assurance is not Assurance.DRIFT:
        return target
    return replace(target, proof=replace(target.proof, countries=target.proof.accepted))


def _order(names: Sequence[str]) -> dict[str, int]:
    return {name: number for number, name in reversed(list(enumerate(names)))}


def _in(target: Target, copy: Places) -> bool:
    return bool(target.proof.countries) and within(target.proof.countries, copy)


def _cover(copies: Sequence[Places], ranked: Sequence[Target]) -> tuple[Target, ...] | None:
    """Return the fewest stores that lie in every one of the sets, the best ones of the same number; None if none do."""
    if not copies:
        return ()
    reach = {target.store: {at for at, copy in enumerate(copies) if _in(target, copy)} for target in ranked}
    able = [target for target in ranked if reach[target.store]]
    for size in range(len(copies) + 1):
        for group in combinations(able, size):
            if set[int]().union(*(reach[target.store] for target in group)) == set(range(len(copies))):
                return group
    return None
