"""Counting what was spent in a rolling day."""

from __future__ import annotations

from collections import deque
from datetime import datetime, timedelta

from offloader.errors import Exhausted

DAY = timedelta(days=1)
#: what is spent within this time counts as spent at its start
BUCKET = timedelta(minutes=5)


class RollingDay:
    """Refuses what would pass the limit of a rolling day. Not thread-safe: its owner has the lock."""

    def __init__(self, limit: int | None, unit: str) -> None:
        self._limit = limit
        self._unit = unit
        self._recent: deque[tuple[datetime, int]] = deque()
        self._spent = 0

    @property
    def limit(self) -> int | None:
        return self._limit

    def spend(self, count: int, now: datetime) -> None:
        """Count; the first that would pass the limit is refused as a whole. Raises Exhausted, uncounted."""
        self.check(count, now)
        self._spent += count
        if self._recent and now - self._recent[-1][0] < BUCKET:
            start, before = self._recent[-1]
            self._recent[-1] = (start, before + count)
        else:
            self._recent.append((now, count))

    def check(self, count: int, now: datetime) -> None:
        """Raise Exhausted if so much more may not be spent."""
        spent = self.spent(now)
        if self._limit is not None and spent + count > self._limit:
            resume = self._recent[0][0] + DAY + BUCKET - now if self._recent else None
            raise Exhausted(f"the configured budget of {self._limit} {self._unit} a day is spent", resume_after=resume)

    def spent(self, now: datetime) -> int:
        """What was spent in the last day."""
        while self._recent and now - self._recent[0][0] >= DAY + BUCKET:
            self._spent -= self._recent.popleft()[1]
        return self._spent
