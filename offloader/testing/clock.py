"""A clock that only moves when somebody sleeps, and the context that tests hand to plugins."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from offloader.plugins import Context

#: where every fake clock starts
EPOCH = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


class FakeClock:
    """Tells the time in UTC; `sleep` and `advance` move it on at once, `set_back` only the wall clock, backwards.

    `slept` lists what was slept, in seconds. Safe for threads.
    """

    def __init__(self, start: datetime = EPOCH) -> None:
        self.slept: list[float] = []
        self._start, self._seconds, self._skew = start, 0.0, timedelta()
        self._lock = threading.Lock()

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._seconds) - self._skew

    def monotonic(self) -> float:
        return self._seconds

    def sleep(self, seconds: float) -> None:
        self.advance(seconds)
        self.slept.append(seconds)

    def advance(self, seconds: float) -> None:
        if seconds < 0:
            raise ValueError("a monotonic clock never goes backwards")
        with self._lock:
            self._seconds += seconds

    def set_back(self, seconds: float) -> None:
        self._skew += timedelta(seconds=seconds)


def context(
    directory: Path, *, clock: FakeClock | None = None, environ: Mapping[str, str] | None = None, random: float = 0.5
) -> Context:
    """Build a plugin's context on a fake clock; `random` is what its random numbers always are."""
    clock = clock or FakeClock()
    return Context(
        now=clock.now,
        sleep=clock.sleep,
        monotonic=clock.monotonic,
        random=lambda: random,
        environ=environ or {},
        directory=directory,
    )
