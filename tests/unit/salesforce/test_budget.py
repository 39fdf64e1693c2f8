"""The budget of calls."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from offloader.errors import Exhausted
from offloader_connectors.salesforce.budget import Purse
from offloader_connectors.salesforce.options import Budget


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


def test_own_limit_of_a_rolling_day() -> None:
    """The configured number of calls is never passed, and says when calls are free again."""
    clock = Clock()
    purse = Purse(Budget(daily_calls=3), clock)
    for _ in range(3):
        purse.spend("query")

    with pytest.raises(Exhausted) as caught:
        purse.spend("query")
    assert caught.value.resume_after is not None
    clock.now += caught.value.resume_after
    purse.spend("query")

    assert purse.usage().requests == {"query": 4}


def test_leaves_a_share_to_others() -> None:
    """Calls stop when the org has used all but the share that is left to others."""
    purse = Purse(Budget(leave=0.2), Clock())
    purse.note("api-usage=79/100")
    purse.spend("query")
    purse.note("api-usage=80/100")

    with pytest.raises(Exhausted):
        purse.spend("query")
    assert (purse.usage().used, purse.usage().limit) == (80, 100)


def test_looks_again_after_the_pause() -> None:
    """After the pause one call goes through, and the next header decides."""
    clock = Clock()
    purse = Purse(Budget(leave=0.2), clock)
    purse.note("api-usage=99/100")
    with pytest.raises(Exhausted) as caught:
        purse.spend("query")
    assert caught.value.resume_after is not None
    clock.now += caught.value.resume_after

    purse.spend("query")
    with pytest.raises(Exhausted):
        purse.spend("query")
    clock.now += timedelta(hours=2)
    purse.spend("query")
    purse.note("api-usage=10/100; per-app-api-usage=17/250(appName=sample)")
    purse.spend("query")
    purse.spend("query")


@pytest.mark.parametrize("header", [None, "", "api-usage=", "per-app-api-usage=17/250(appName=x)", "nonsense"])
def test_unreadable_headers_are_ignored(header: str | None) -> None:
    """A missing or strange header changes nothing."""
    purse = Purse(Budget(), Clock())
    purse.note(header)

    assert purse.usage().limit is None


def test_until_the_org_has_said_its_limit_the_configured_one_counts() -> None:
    """A forecast before the first call knows the operator's budget; afterwards the org's own allocation."""
    purse = Purse(Budget(daily_calls=500), Clock())
    before = purse.usage().limit
    purse.note("api-usage=10/100000")

    assert (before, purse.usage().limit) == (500, 100000)
