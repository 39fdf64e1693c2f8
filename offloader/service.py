"""Schedules: when a job is due, and the loop that does jobs, one after the other.

A job that was missed, however often, is done once. A job that fails is done again at its next time; one that could
not even begin (another offloader has the ledger, the configuration is broken) is tried again soon.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Self
from zoneinfo import ZoneInfo

from offloader.plugins import Context

#: what can be scheduled, in this order when several are due: no run rests on an old proof
JOBS = ("prove", "scan", "run", "expire", "erase", "rehome", "purge", "checkpoint")
#: the loop looks at the clock at least so often, in seconds: it may be set, and machines sleep
GLANCE = 60.0
_FIRST_RETRY, _LAST_RETRY = timedelta(minutes=1), timedelta(hours=1)
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True, slots=True)
class Timing:
    """When a job is due again: so long after it was begun, or at a time of day (on one weekday) in a zone."""

    every: timedelta | None
    at: time | None
    #: 0 is Monday
    weekday: int | None
    zone: ZoneInfo

    @classmethod
    def parse(cls, text: str, zone: str) -> Self:
        """Read what the configuration has checked: "every 6h", "daily 02:00", "weekly sun 02:00"."""
        where = ZoneInfo(zone)
        if found := re.fullmatch(r"every (\d+)([mhd])", text):
            return cls(int(found[1]) * _UNITS[found[2]], None, None, where)
        *days, clock = text.split()[1:]
        return cls(None, time.fromisoformat(clock), _DAYS.index(days[0]) if days else None, where)

    def after(self, moment: datetime) -> datetime:
        """The first time after this one (UTC).

        A time of day that a change of the clocks skips is made up for by the hour; one that comes twice counts once.
        """
        if self.every is not None:
            return moment + self.every
        assert self.at is not None
        day = moment.astimezone(self.zone).date()
        while (found := self._on(day)) is None or found <= moment:
            day += timedelta(days=1)
        return found

    def _on(self, day: date) -> datetime | None:
        if self.weekday is not None and day.weekday() != self.weekday:
            return None
        assert self.at is not None
        return datetime.combine(day, self.at, self.zone).astimezone(UTC)


@dataclass(frozen=True, slots=True)
class Done:
    """What became of a job. `begun` is false if nothing was done, not even a failure was written down."""

    exit_code: int
    message: str
    begun: bool = True
    #: the program was asked to stop
    stopped: bool = False


class Service:
    """Does each job when it is due.

    `last` says when each was begun last, as far as is known. `perform` does one; whatever it raises is a failure.
    `say` is told of each, JSON-able.
    """

    def __init__(
        self,
        timings: Mapping[str, Timing],
        last: Mapping[str, datetime],
        perform: Callable[[str], Done],
        say: Callable[[Mapping[str, Any]], None],
        context: Context,
    ) -> None:
        self._timings, self._perform, self._say, self._context = timings, perform, say, context
        now = context.now()
        self._next = {name: self._first(timing, last.get(name), now) for name, timing in timings.items()}
        self._misses: dict[str, int] = {}

    @staticmethod
    def _first(timing: Timing, last: datetime | None, now: datetime) -> datetime:
        if last is None:
            return now if timing.every is not None else timing.after(now)
        return timing.after(min(last, now))

    def turn(self) -> list[Done]:
        """Do every job that is due now, once, in order; stops when the program is asked to."""
        found = []
        for name in self._timings:
            if self._next[name] <= self._context.now():
                found.append(self._do(name))
                if found[-1].stopped:
                    break
        return found

    def serve(self) -> None:
        """Do jobs until the program is asked to stop; KeyboardInterrupt passes through."""
        while not any(done.stopped for done in self.turn()):
            wait = (min(self._next.values()) - self._context.now()).total_seconds()
            self._context.sleep(min(max(wait, 0.0), GLANCE))

    def _do(self, name: str) -> Done:
        started, clock = self._context.now(), self._context.monotonic()
        try:
            done = self._perform(name)
        except Exception as error:  # noqa: BLE001 - the worker's top: one job's fault must not end the others
            traceback.print_exception(error)
            done = Done(1, f"internal error: {type(error).__name__}", begun=False)
        self._next[name] = self._again(name, started, begun=done.begun)
        self._say(
            {
                "job": name,
                "started": started.isoformat(),
                "seconds": round(self._context.monotonic() - clock, 3),
                "exit_code": done.exit_code,
                "message": done.message,
                "next": None if done.stopped else self._next[name].isoformat(),
            }
        )
        return done

    def _again(self, name: str, started: datetime, *, begun: bool) -> datetime:
        regular = self._timings[name].after(started)
        if begun:
            self._misses.pop(name, None)
            return regular
        misses = self._misses[name] = self._misses.get(name, 0) + 1
        return min(started + min(_FIRST_RETRY * (1 << min(misses - 1, 10)), _LAST_RETRY), max(regular, started))
