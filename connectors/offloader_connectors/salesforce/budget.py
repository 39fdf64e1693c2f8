"""What may still be spent: the org's own header, and the operator's limits.

`Sforce-Limit-Info: api-usage=18/5000` (REST API guide, "Limit Info Header") counts every call of every user in a
rolling day.
"""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Callable
from datetime import datetime

from offloader.errors import Exhausted
from offloader.ports import Usage
from offloader_connectors.budget import RollingDay
from offloader_connectors.salesforce import trouble
from offloader_connectors.salesforce.options import Budget

_USAGE = re.compile(r"(?:^|[;,\s])api-usage=(\d+)/(\d+)")


class Purse:
    """Counts calls and refuses those that the budget does not allow. Thread-safe."""

    def __init__(self, budget: Budget, now: Callable[[], datetime]) -> None:
        self._budget = budget
        self._now = now
        self._lock = threading.Lock()
        self._requests: Counter[str] = Counter()
        self._day = RollingDay(budget.daily_calls, "calls")
        self._used: int | None = None
        self._limit: int | None = None
        self._closed_until: datetime | None = None

    def spend(self, operation: str) -> None:
        """Count one call that is about to be made. Raises Exhausted, uncounted, if the budget forbids it."""
        with self._lock:
            now = self._now()
            self._day.check(1, now)
            self._check_org(now)
            self._day.spend(1, now)
            self._requests[operation] += 1

    def count(self, operation: str) -> None:
        """Count a call that does not draw on the org's allocation (a login)."""
        with self._lock:
            self._requests[operation] += 1

    def note(self, header: str | None) -> None:
        """Read the header of an answer, good or bad; anything unreadable is ignored."""
        found = _USAGE.search(header or "")
        if found is None:
            return
        with self._lock:
            self._used, self._limit = int(found[1]), int(found[2])
            if self._used < self._ceiling(self._limit):
                self._closed_until = None

    def usage(self) -> Usage:
        """What was spent. The limit is the org's allocation, and until an answer has said it, the configured one."""
        with self._lock:
            limit = self._day.limit if self._limit is None else self._limit
            return Usage(requests=dict(self._requests), used=self._used, limit=limit)

    def _ceiling(self, limit: int) -> int:
        return int(limit * (1 - self._budget.leave))

    def _check_org(self, now: datetime) -> None:
        """Once closed, stay closed for a while and then let one call through, whose header tells how things stand."""
        if self._used is None or self._limit is None or self._used < self._ceiling(self._limit):
            return
        if self._closed_until is None or now < self._closed_until:
            self._closed_until = self._closed_until or now + trouble.RESUME_AFTER
            raise Exhausted(
                f"the org has used {self._used} of {self._limit} API calls; the rest is left to others (budget.leave)",
                resume_after=self._closed_until - now,
            )
        self._closed_until = now + trouble.RESUME_AFTER
