"""How many requests may run at once, and from when: what the environment recommends and what it refused.

Web API guide, "Send parallel requests": every answer recommends a degree of parallelism in `x-ms-dop-hint`. "Service
protection API limits": a refused request says in `Retry-After` when the next one may come; those who ask earlier wait
longer.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from offloader.errors import Throttled

#: no environment has recommended more
_MOST_HINTED = 1024


@dataclass(frozen=True, slots=True)
class Rates:
    """What is left of the service protection limits of this user on one web server, in the current five minutes."""

    requests: int | None = None
    #: seconds of execution time
    seconds: float | None = None


@dataclass(eq=False, slots=True)
class Lane:
    """The right to have one request under way; to be left once, by any thread."""

    thread: int


class Lanes:
    """Hands out lanes. A thread that has one gets more freely, so that nobody waits for himself. Thread-safe."""

    def __init__(self, most: int, monotonic: Callable[[], float]) -> None:
        self._most = most
        self._monotonic = monotonic
        self._changed = threading.Condition()
        self._hint: int | None = None
        self._open: dict[Lane, None] = {}
        self._closed_until = float("-inf")
        self._rates = Rates()

    @property
    def limit(self) -> int:
        """Requests that may run at once, now."""
        return self._most if self._hint is None else max(1, min(self._most, self._hint))

    @property
    def hint(self) -> int | None:
        """What the environment recommends, None as long as it has said nothing."""
        return self._hint

    @property
    def rates(self) -> Rates:
        return self._rates

    def enter(self) -> Lane:
        """Wait for a free lane. Raises Throttled, with the time that is left, while the environment must be spared."""
        lane = Lane(threading.get_ident())
        with self._changed:
            while not self._mine(lane.thread) and len(self._threads()) >= self.limit:
                self._changed.wait()
            rest = self._closed_until - self._monotonic()
            if rest > 0:
                raise Throttled(
                    "Dynamics 365 asked for a pause that is not over yet", retry_after=timedelta(seconds=rest)
                )
            self._open[lane] = None
        return lane

    def leave(self, lane: Lane) -> None:
        """Give the lane back; a second time changes nothing."""
        with self._changed:
            if self._open.pop(lane, self) is None:
                self._changed.notify_all()

    def hold_back(self, pause: timedelta) -> None:
        """Let nothing through for so long."""
        with self._changed:
            self._closed_until = max(self._closed_until, self._monotonic() + pause.total_seconds())

    def note(self, headers: Mapping[str, str]) -> None:
        """Read the headers of an answer, good or bad; anything unreadable is ignored."""
        hint = _number(headers.get("x-ms-dop-hint"))
        requests = _number(headers.get("x-ms-ratelimit-burst-remaining-xrm-requests"))
        seconds = _number(headers.get("x-ms-ratelimit-time-remaining-xrm-requests"))
        with self._changed:
            if requests is not None or seconds is not None:
                self._rates = Rates(None if requests is None else int(requests), seconds)
            if hint is not None and 1 <= hint <= _MOST_HINTED and int(hint) != self._hint:
                self._hint = int(hint)
                self._changed.notify_all()

    def _threads(self) -> set[int]:
        return {lane.thread for lane in self._open}

    def _mine(self, thread: int) -> bool:
        return any(lane.thread == thread for lane in self._open)


def _number(text: str | None) -> float | None:
    """Read a number with thousands commas, as in `1,200.00`."""
    plain = (text or "").strip().replace(",", "")
    if not plain.isascii() or not plain.replace(".", "", 1).isdigit():
        return None
    return float(plain)
