"""When jobs are due."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offloader.config import ScheduleOptions
from offloader.service import Timing

HOUR = timedelta(hours=1)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("timing", "zone", "moment", "expected"),
    [
        ("every 30m", "UTC", "2026-01-05T09:00", "2026-01-05T09:30"),
        ("every 6h", "Europe/Amsterdam", "2026-03-29T00:00", "2026-03-29T06:00"),
        ("every 2d", "UTC", "2026-01-05T09:00", "2026-01-07T09:00"),
        ("daily 02:00", "UTC", "2026-01-05T01:59", "2026-01-05T02:00"),
        ("daily 02:00", "UTC", "2026-01-05T02:00", "2026-01-06T02:00"),
        ("daily 02:00", "America/Sao_Paulo", "2026-01-05T09:00", "2026-01-06T05:00"),
        ("daily 23:30", "Asia/Tokyo", "2026-01-05T14:29", "2026-01-05T14:30"),
        ("weekly mon 02:00", "UTC", "2026-01-05T09:00", "2026-01-12T02:00"),
        ("weekly sun 02:00", "UTC", "2026-01-05T09:00", "2026-01-11T02:00"),
        ("weekly mon 00:30", "Europe/Amsterdam", "2026-01-04T20:00", "2026-01-04T23:30"),
        # the clocks skip 02:30 that night: an hour later by the clock on the wall
        ("daily 02:30", "Europe/Amsterdam", "2026-03-28T12:00", "2026-03-29T01:30"),
        ("daily 02:30", "Europe/Amsterdam", "2026-03-29T01:30", "2026-03-30T00:30"),
        # 02:30 comes twice that night: once is enough
        ("daily 02:30", "Europe/Amsterdam", "2026-10-24T12:00", "2026-10-25T00:30"),
        ("daily 02:30", "Europe/Amsterdam", "2026-10-25T00:30", "2026-10-26T01:30"),
    ],
)
def test_the_next_time(timing: str, zone: str, moment: str, expected: str) -> None:
    """The next time is right in every zone, and on the nights when the clocks change."""
    assert Timing.parse(timing, zone).after(at(moment)) == at(expected)


@given(
    st.sampled_from(["daily 02:30", "weekly sun 02:30", "daily 00:00", "every 7h"]),
    st.sampled_from(["UTC", "Europe/Amsterdam", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]),
    st.datetimes(datetime(2024, 1, 1), datetime(2028, 1, 1)),  # noqa: DTZ001 - made UTC below
)
def test_time_only_goes_forwards(timing: str, zone: str, moment: datetime) -> None:
    """The next time is always later, and by no more than the term and the two hours that clocks can jump."""
    now = moment.replace(tzinfo=UTC)
    term = {"daily": timedelta(days=1), "weekly": timedelta(days=7), "every": 7 * HOUR}[timing.partition(" ")[0]]

    assert now < Timing.parse(timing, zone).after(now) <= now + term + 2 * HOUR


@pytest.mark.parametrize(
    "options",
    [
        {"run": "daily 24:00"},
        {"run": "hourly"},
        {"run": "every 0h"},
        {"scan": "daily 2:00"},
        {"prove": "weekly 02:00"},
        {"time_zone": "Europe/Nowhere"},
        {"time_zone": "../etc/passwd"},
        {"sweep": "daily 02:00"},
    ],
)
def test_wrong_schedules_are_refused(options: dict[str, str]) -> None:
    """A time that means nothing, an unknown zone and an unknown job are errors."""
    with pytest.raises(ValueError, match=r"write|zone|Extra"):
        ScheduleOptions.model_validate(options)
