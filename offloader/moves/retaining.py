"""Retaining: verified copies are locked until their duties end, in the stores whose options ask for it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta

from offloader.moves.site import Site
from offloader.moves.work import Work

#: longest lock, in days: a date that a record says may be any
_LONGEST = 36_500


def lock_end(keep_until: date, now: datetime) -> datetime | None:
    """The moment at which a copy may go that must be there all of that day; None if that is over."""
    last = min(keep_until, (now + timedelta(days=_LONGEST)).date())
    end = datetime.combine(last + timedelta(days=1), time(), UTC)
    return end if end > now else None


def retain(site: Site, works: Iterable[Work]) -> None:
    """Lock every copy of these documents, before their originals can go. Raises what the stores raise."""
    asking = {name for name, store in site.stores.items() if store.capabilities.retains}
    for work in works if asking else ():
        end = lock_end(work.keep_until, site.context.now()) if work.keep_until is not None else None
        for _, copy in work.placed() if end is not None else ():
            if copy.store in asking and end is not None:
                site.stores[copy.store].retain(copy.key, end)
