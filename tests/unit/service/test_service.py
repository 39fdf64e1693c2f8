"""The loop that does jobs: in order, once each, whatever becomes of one of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from offloader.service import Done, Service, Timing
from offloader.testing import EPOCH, FakeClock, context

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


class Bench:
    """A service on a fake clock, with jobs that take a minute and end as `ends` says."""

    def __init__(self, path: Path, timings: Mapping[str, str], last: Mapping[str, datetime] | None = None) -> None:
        self.clock = FakeClock()
        self.begun: list[tuple[str, datetime]] = []
        self.said: list[Mapping[str, Any]] = []
        self.ends: dict[str, list[Done | BaseException]] = {}
        self.stop_at: datetime | None = None
        parsed = {name: Timing.parse(text, "UTC") for name, text in timings.items()}
        self.service = Service(parsed, last or {}, self.perform, self.said.append, context(path, clock=self.clock))

    def perform(self, name: str) -> Done:
        self.begun.append((name, self.clock.now()))
        self.clock.advance(60)
        end = self.ends.get(name) or [Done(0, "well")]
        ended = end.pop(0) if len(end) > 1 else end[0]
        if isinstance(ended, BaseException):
            raise ended
        if self.stop_at is not None and self.clock.now() >= self.stop_at:
            return Done(0, "stopped", stopped=True)
        return ended

    def serve(self, until: timedelta) -> list[tuple[str, timedelta]]:
        """Serve until the first job that ends after this long; what was begun when."""
        self.stop_at = EPOCH + until
        self.service.serve()
        return [(name, moment - EPOCH) for name, moment in self.begun]


def test_jobs_are_done_at_their_times(tmp_path: Path) -> None:
    """A job of a term begins at once and then after each term; one of a time of day waits for it."""
    bench = Bench(tmp_path, {"prove": "every 6h", "run": "daily 20:00"})

    assert bench.serve(20 * HOUR) == [
        ("prove", timedelta()),
        ("prove", 6 * HOUR),
        ("run", 11 * HOUR),
        ("prove", 12 * HOUR),
        ("prove", 18 * HOUR),
        ("prove", 24 * HOUR),
    ]
    assert max(bench.clock.slept) <= 60


def test_what_was_missed_is_done_once(tmp_path: Path) -> None:
    """After days of standing still, each job is done once, in order, and then at its ordinary times."""
    last = {"run": EPOCH - 5 * DAY, "prove": EPOCH - 5 * DAY}
    bench = Bench(tmp_path, {"prove": "every 6h", "run": "daily 02:00"}, last)

    assert len(bench.service.turn()) == 2
    assert bench.service.turn() == []
    assert [name for name, _ in bench.begun] == ["prove", "run"]
    assert bench.said[1]["next"] == "2026-01-06T02:00:00+00:00"


def test_what_was_done_is_not_done_again_after_a_restart(tmp_path: Path) -> None:
    """A service that was stopped and started goes on where it was."""
    last = {"prove": EPOCH - HOUR, "run": datetime(2026, 1, 5, 2, tzinfo=UTC)}

    assert Bench(tmp_path, {"prove": "every 6h", "run": "daily 02:00"}, last).service.turn() == []


def test_a_clock_that_was_wrong_stops_nothing(tmp_path: Path) -> None:
    """A last time that lies in the future counts as now."""
    bench = Bench(tmp_path, {"prove": "every 1h"}, {"prove": EPOCH + 365 * DAY})

    assert bench.serve(HOUR) == [("prove", HOUR)]


@pytest.mark.parametrize("end", [Done(1, "broken"), Done(5, "drift")])
def test_a_failed_job_waits_for_its_next_time(tmp_path: Path, end: Done) -> None:
    """A job that failed is said to have, and is done again at its next time; the others go on."""
    bench = Bench(tmp_path, {"prove": "every 1h", "run": "every 2h"})
    bench.ends["prove"] = [end]

    assert [each.exit_code for each in bench.service.turn()] == [end.exit_code, 0]
    assert (bench.said[0]["exit_code"], bench.said[0]["message"]) == (end.exit_code, end.message)
    assert bench.said[0]["next"] == (EPOCH + HOUR).isoformat()


def test_a_fault_in_a_job_ends_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An internal error is shown and counted as a failure of this one job."""
    bench = Bench(tmp_path, {"prove": "every 1h", "run": "every 2h"})
    bench.ends["prove"] = [ZeroDivisionError()]

    assert [each.exit_code for each in bench.service.turn()] == [1, 0]
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_what_could_not_begin_is_tried_again_soon(tmp_path: Path) -> None:
    """While another offloader has the ledger, a job is tried after a minute, two, four, never later than its time."""
    bench = Bench(tmp_path, {"run": "daily 09:00"}, {"run": EPOCH - 2 * DAY})
    bench.ends["run"] = [*[Done(4, "in use", begun=False)] * 3, Done(0, "well")]

    begun = bench.serve(DAY)

    assert [moment for _, moment in begun] == [timedelta(), MINUTE, 3 * MINUTE, 7 * MINUTE, DAY]


def test_the_service_stops_when_it_is_asked_to(tmp_path: Path) -> None:
    """After a job that was stopped in its middle, nothing more is begun."""
    bench = Bench(tmp_path, {"scan": "every 1h", "run": "every 1h"})
    bench.ends["scan"] = [Done(1, "interrupted", stopped=True)]

    bench.service.serve()

    assert [name for name, _ in bench.begun] == ["scan"]
    assert bench.said[0]["next"] is None
