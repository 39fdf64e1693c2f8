"""What comes: how fast the CRM's documents grow, when its storage is full, how long the moves take."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from offloader.ledger import PlanHeader
from offloader.moves.caps import OUTCOME
from offloader.moves.filling import FAILED, SILENT, UNASKED, Filling, filling
from offloader.moves.site import Site
from offloader.reports.message import Message
from offloader.reports.message import marked as _
from offloader.reports.model import Forecast, StorageForecast
from offloader.reports.sums import Tally

#: full months that growth is measured over, and how few say nothing
_MOST_MONTHS = 12
_LEAST_MONTHS = 3
#: fewer versions than these, and a run's requests are mostly its beginning and end
_LEAST_VERSIONS = 20
#: calls that write and read back a batch of links; calls that look again at a batch of originals and remove them
_CALLS_A_BATCH = 2
#: a month on average ("Gregorian calendar", 146,097 days in 4,800 months)
_MONTH_DAYS = 30.436875
#: a hundred years: what lies beyond is no forecast
_MOST_DAYS = 36_525


@dataclass(frozen=True, slots=True)
class _Work:
    """One source's moves in CRM requests, and the most that a day allows."""

    source: str
    requests: int
    limit: int | None
    how: Message


def forecast(
    site: Site,
    header: PlanHeader,
    ahead: Mapping[str, Tally],
    planned: Mapping[str, Tally],
    begun: datetime | None,
    today: date,
) -> Forecast:
    """Reckon what can be reckoned; `notes` say how, and what is not known.

    By source: `ahead` are the moves that are still to be done, `planned` all of the plan. `begun`: when its run began.
    """
    sizes = {source: site.ledger.growth((source,)) for source in header.sources}
    months = _months(_added(sizes.values()), today)
    growth = _mean(months)
    told = _last_run(site, header)
    works = [_work(site, source, tally, told) for source, tally in sorted(ahead.items()) if tally.documents]
    limits = [work.limit for work in works]
    days = [math.ceil(work.requests / work.limit) for work in works if work.limit]
    known = bool(works) and None not in limits
    fillings = {source: filling(site, source) for source in header.sources}
    storages = [
        storage(source, found, _mean(_months(sizes[source], today)), _freed(found.at, begun, ahead, planned, source))
        for source, found in fillings.items()
        if found.at is not None
    ]
    first = min((each for each in storages if each.full_without), key=_first, default=None)
    return Forecast(
        growth_month=growth,
        measured_months=len(months) if growth is not None else 0,
        full_without=first.full_without if first else None,
        full_with=first.full_with if first else None,
        documents=sum(tally.documents for tally in ahead.values()),
        requests=sum(work.requests for work in works),
        requests_day=sum(limit for limit in limits if limit is not None) if known else None,
        days=max(days) if known else None,
        notes=(*_growth_notes(growth, months), *_full_notes(fillings, storages), *_work_notes(works)),
        storages=tuple(storages),
    )


def storage(source: str, found: Filling, growth: int | None, freed: int) -> StorageForecast:
    """When a CRM that was so full is full, if it grows on as it did, without so many bytes being freed and with."""
    assert found.at is not None
    free = found.limit - found.used
    return StorageForecast(
        source=source,
        used=found.used,
        limit=found.limit,
        as_of=found.at,
        growth_month=growth,
        freed=freed,
        full_without=_full(found.at.date(), free, growth),
        full_with=_full(found.at.date(), free + freed, growth),
    )


def _full(since: date, free: int, growth: int | None) -> date | None:
    if free <= 0:
        return since
    if not growth:
        return None
    days = free / growth * _MONTH_DAYS
    return since + timedelta(days=int(days)) if days < _MOST_DAYS else None


def _freed(
    asked: datetime | None,
    begun: datetime | None,
    ahead: Mapping[str, Tally],
    planned: Mapping[str, Tally],
    source: str,
) -> int:
    """Bytes of moves that were not done yet when the CRM was asked."""
    moves = ahead if begun is not None and asked is not None and asked > begun else planned
    return moves[source].bytes if source in moves else 0


def _first(one: StorageForecast) -> date:
    return one.full_without or date.max


def _added(sizes: Iterable[Mapping[str, int]]) -> Mapping[str, int]:
    together: Counter[str] = Counter()
    for each in sizes:
        together.update(each)
    return together


def _mean(months: Sequence[int]) -> int | None:
    return round(sum(months) / len(months)) if len(months) >= _LEAST_MONTHS else None


def _months(sizes: Mapping[str, int], today: date) -> list[int]:
    """Bytes of the last full months, oldest first, from the first month that has any."""
    this = today.year * 12 + today.month - 1
    window = [sizes.get(f"{month // 12:04d}-{month % 12 + 1:02d}", 0) for month in range(this - _MOST_MONTHS, this)]
    # a month before the window shows that the CRM was in use then: its empty months count
    earlier = any(month < f"{(this - _MOST_MONTHS) // 12:04d}-{(this - _MOST_MONTHS) % 12 + 1:02d}" for month in sizes)
    first = 0 if earlier else next((place for place, size in enumerate(window) if size), len(window))
    return window[first:]


def _work(site: Site, source: str, tally: Tally, told: Mapping[str, Any]) -> _Work:
    """One source's moves; `told` is what the newest large run over the same sources left behind, if any."""
    known = site.sources.get(source)
    limit = known.usage().limit if known is not None else None
    limit = limit or told.get("limits", {}).get(source)
    if told:
        each = told["requests"] / told["versions"]
        how = Message(_("{n} a version, as {plan} took"), n=float(f"{each:.3g}"), plan=told["plan"])
        return _Work(source, math.ceil(tally.versions * each), limit, how)
    if known is None:
        return _Work(source, 0, limit, Message(_("not reckoned, the source is no longer configured")))
    can = known.capabilities
    reads = math.ceil(tally.versions / can.read_batch)
    links = _CALLS_A_BATCH * math.ceil(tally.documents / can.link_batch)
    removals = _CALLS_A_BATCH * math.ceil(tally.documents / can.remove_batch)
    text = _(
        "from the sizes of its batches (versions read at once: {read}; documents linked: {link}, removed: {remove}); "
        "no run has measured it yet"
    )
    how = Message(text, read=can.read_batch, link=can.link_batch, remove=can.remove_batch)
    return _Work(source, reads + links + removals, limit, how)


def _last_run(site: Site, header: PlanHeader) -> Mapping[str, Any]:
    """What the newest run over the same sources told that was large enough to say something; empty if none was."""
    for row in reversed(site.ledger.plans()):
        text = site.ledger.meta(OUTCOME.format(row.id)) if row.header.sources == header.sources else None
        told: Mapping[str, Any] = json.loads(text) if text else {}
        if told.get("versions", 0) >= _LEAST_VERSIONS and told.get("requests"):
            return told
    return {}


def _growth_notes(growth: int | None, months: Sequence[int]) -> Iterator[Message]:
    if growth is None:
        yield Message(_("growth: not reckoned, only {n} full months have documents"), n=len(months))
        return
    text = _(
        "growth: bytes by the month in which documents were created, mean of the last {n} full months; what users "
        "deleted is not counted"
    )
    yield Message(text, n=len(months))


def _full_notes(fillings: Mapping[str, Filling], storages: Iterable[StorageForecast]) -> Iterator[Message]:
    """By what a day was reckoned, or why there is none."""
    for source, found in fillings.items():
        if found.at is None:
            yield Message(_UNKNOWN[found.why], source=source)
    for one in storages:
        if one.used >= one.limit:
            yield Message(_("when {source} is full: it was full already when it was asked"), source=one.source)
        elif one.growth_month is None:
            yield Message(_("when {source} is full: not reckoned, its growth is not known"), source=one.source)
        elif not one.growth_month:
            yield Message(_("when {source} is full: not reckoned, its documents do not grow"), source=one.source)
        else:
            text = _("when {source} is full: if it grows on as it did, and nothing but this plan frees storage")
            yield Message(text, source=one.source)


def _work_notes(works: Sequence[_Work]) -> Iterator[Message]:
    for work in works:
        yield Message(_("requests of {source}: {how}"), source=work.source, how=work.how)
    for work in works:
        if not work.limit:
            yield Message(_("days of {source}: not reckoned, no daily budget is known"), source=work.source)
    if any(work.limit for work in works):
        yield Message(_("days: if the whole daily budget were spent on this plan; what others use of it comes on top"))


_UNKNOWN = {
    SILENT: _("when {source} is full: not reckoned, its API does not say how full it is"),
    FAILED: _("when {source} is full: not reckoned, the CRM was asked how full it is and did not answer"),
    UNASKED: _("when {source} is full: not reckoned, no scan has asked yet how full it is"),
}
