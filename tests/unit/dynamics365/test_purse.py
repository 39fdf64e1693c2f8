"""What requests cost."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from offloader.errors import Exhausted
from offloader_connectors.dynamics365.options import Budget
from offloader_connectors.dynamics365.purse import Purse

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def test_each_operation_of_a_batch_counts_for_the_day() -> None:
    """A batch is one request in the counts and as many as it has operations in the budget."""
    purse = Purse(Budget(daily_requests=100), lambda: NOON)
    purse.spend("batch", 60)
    purse.count("token")

    with pytest.raises(Exhausted):
        purse.spend("batch", 41)

    purse.spend("list.annotation", 40)
    usage = purse.usage()
    assert usage.requests == {"batch": 1, "token": 1, "list.annotation": 1}
    assert (usage.used, usage.limit) == (100, 100)


def test_without_a_budget_nothing_is_said_of_one() -> None:
    """The environment does not tell what is left of its entitlement, so neither do we."""
    purse = Purse(Budget(), lambda: NOON)
    purse.spend("batch", 10**6)

    assert (purse.usage().used, purse.usage().limit) == (None, None)
