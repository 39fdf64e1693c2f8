"""What was spent, and what the operator allows: each operation of a batch counts for the daily entitlement.

Power Platform admin guide, "Requests limits and allocations": every create, read, update and delete of a rolling
day counts, whether it comes alone or in a batch. No answer says how many are left.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from datetime import datetime

from offloader.ports import Usage
from offloader_connectors.budget import RollingDay
from offloader_connectors.dynamics365.options import Budget


class Purse:
    """Counts requests by operation, and refuses what the budget does not allow. Thread-safe."""

    def __init__(self, budget: Budget, now: Callable[[], datetime]) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._requests: Counter[str] = Counter()
        self._day = RollingDay(budget.daily_requests, "requests")

    def spend(self, operation: str, operations: int = 1) -> None:
        """Count one request of so many operations that is about to be made. Raises Exhausted, uncounted."""
        with self._lock:
            self._day.spend(operations, self._now())
            self._requests[operation] += 1

    def count(self, operation: str) -> None:
        """Count a request that draws on no entitlement (a login, a download from storage)."""
        with self._lock:
            self._requests[operation] += 1

    def usage(self) -> Usage:
        with self._lock:
            limit = self._day.limit
            used = self._day.spent(self._now()) if limit is not None else None
            return Usage(requests=dict(self._requests), used=used, limit=limit)
