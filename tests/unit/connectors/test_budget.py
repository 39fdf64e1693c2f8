"""The budget of a rolling day, which connectors share."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offloader.errors import Exhausted
from offloader_connectors.budget import DAY, RollingDay

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def test_the_limit_is_never_passed() -> None:
    """What would pass the limit is refused as a whole and costs nothing."""
    day = RollingDay(10, "requests")
    day.spend(8, NOON)

    with pytest.raises(Exhausted, match="10 requests"):
        day.spend(3, NOON)

    day.spend(2, NOON)
    assert day.spent(NOON) == 10


def test_it_says_when_there_is_room_again() -> None:
    """After the time that a refusal names, the oldest spending has left the day."""
    day = RollingDay(5, "calls")
    day.spend(3, NOON)
    day.spend(2, NOON + timedelta(hours=2))

    with pytest.raises(Exhausted) as caught:
        day.spend(1, NOON + timedelta(hours=3))

    assert caught.value.resume_after is not None
    later = NOON + timedelta(hours=3) + caught.value.resume_after
    day.spend(3, later)
    assert day.spent(later) == 5


def test_more_than_the_limit_at_once_is_refused_for_ever() -> None:
    """A single spending above the limit does not say when to come again."""
    with pytest.raises(Exhausted) as caught:
        RollingDay(5, "calls").spend(6, NOON)

    assert caught.value.resume_after is None


def test_without_a_limit_everything_goes() -> None:
    """No limit, no refusal; what was spent is still known."""
    day = RollingDay(None, "calls")
    day.spend(10**9, NOON)

    assert (day.limit, day.spent(NOON)) == (None, 10**9)


@given(st.lists(st.tuples(st.integers(0, 3600 * 30), st.integers(1, 20)), max_size=60))
def test_a_day_never_holds_more_than_the_limit(steps: list[tuple[int, int]]) -> None:
    """However spendings are spread, no window of a day has more than the limit."""
    day, now, spent = RollingDay(50, "calls"), NOON, []
    for seconds, count in steps:
        now += timedelta(seconds=seconds)
        try:
            day.spend(count, now)
        except Exhausted:
            continue
        spent.append((now, count))
        assert sum(each for at, each in spent if now - DAY < at <= now) <= 50
