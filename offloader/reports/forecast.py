"""What comes: how fast the CRM's documents grow, and how long the plan's moves take within the budget of calls."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from offloader.ledger import PlanHeader
from offloader.moves.caps import OUTCOME
from offloader.moves.site import Site
from offloader.reports.model import Forecast
from offloader.reports.sums import Tally

#: full months that growth is measured over, and how few say nothing
_MOST_MONTHS = 12
_LEAST_MONTHS = 3
#: fewer versions than these, and a run's requests are mostly its beginning and end
_LEAST_VERSIONS = 20
#: calls that write and read back a batch of links; calls that look again at a batch of originals and remove them
_CALLS_A_BATCH = 2


@dataclass(frozen=True, slots=True)
class _Work:
    """One source's moves in CRM requests, and the most that a day allows."""

    source: str
    requests: int
    limit: int | None
    how: str


def forecast(site: Site, header: PlanHeader, moves: Mapping[str, Tally], today: date) -> Forecast:
    """Reckon what can be reckoned; `notes` say how, and what is not known. `moves` are those ahead, by source."""
    months = _months(site, header, today)
    growth = round(sum(months) / len(months)) if len(months) >= _LEAST_MONTHS else None
    told = _last_run(site, header)
    works = [_work(site, source, tally, told) for source, tally in sorted(moves.items()) if tally.documents]
    limits = [work.limit for work in works]
    days = [math.ceil(work.requests / work.limit) for work in works if work.limit]
    known = bool(works) and None not in limits
    return Forecast(
        growth_month=growth,
        measured_months=len(months) if growth is not None else 0,
        full_without=None,
        full_with=None,
        requests=sum(work.requests for work in works),
        requests_day=sum(limit for limit in limits if limit is not None) if known else None,
        days=max(days) if known else None,
        notes=tuple(_notes(growth, months, works)),
    )


def _months(site: Site, header: PlanHeader, today: date) -> list[int]:
    """Bytes of the last full months, oldest first, from the first month that has any."""
    sizes = site.ledger.growth(header.sources)
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
        return _Work(source, math.ceil(tally.versions * each), limit, f"{each:.3g} a version, as {told['plan']} took")
    if known is None:
        return _Work(source, 0, limit, "not reckoned, the source is no longer configured")
    can = known.capabilities
    reads = math.ceil(tally.versions / can.read_batch)
    links = _CALLS_A_BATCH * math.ceil(tally.documents / can.link_batch)
    removals = _CALLS_A_BATCH * math.ceil(tally.documents / can.remove_batch)
    how = (
        f"from its batches (read {can.read_batch} versions, link {can.link_batch} and remove {can.remove_batch} "
        "documents at once); no run has measured it yet"
    )
    return _Work(source, reads + links + removals, limit, how)


def _last_run(site: Site, header: PlanHeader) -> Mapping[str, Any]:
    """What the newest run over the same sources told that was large enough to say something; empty if none was."""
    for row in reversed(site.ledger.plans()):
        text = site.ledger.meta(OUTCOME.format(row.id)) if row.header.sources == header.sources else None
        told: Mapping[str, Any] = json.loads(text) if text else {}
        if told.get("versions", 0) >= _LEAST_VERSIONS and told.get("requests"):
            return told
    return {}


def _notes(growth: int | None, months: list[int], works: list[_Work]) -> list[str]:
    notes = [
        f"growth: bytes by the month in which documents were created, mean of the last {len(months)} full months; what "
        "users deleted is not counted"
        if growth is not None
        else f"growth: not reckoned, only {len(months)} full months have documents"
    ]
    notes.append("when the CRM's storage is full: not reckoned, its limit is not known here")
    notes += [f"requests of {work.source}: {work.how}" for work in works]
    notes += [f"days of {work.source}: not reckoned, no daily budget is known" for work in works if not work.limit]
    if any(work.limit for work in works):
        notes.append("days: if the whole daily budget were spent on this plan; what others use of it comes on top")
    return notes
