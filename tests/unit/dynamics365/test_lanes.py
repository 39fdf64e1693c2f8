"""How many requests run at once, and from when."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from offloader.errors import Throttled
from offloader_connectors.dynamics365.lanes import Lanes


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def waiting(lanes: Lanes) -> tuple[threading.Thread, threading.Event]:
    """A thread that enters a lane and leaves it at once."""
    entered = threading.Event()

    def enter() -> None:
        lane = lanes.enter()
        entered.set()
        lanes.leave(lane)

    thread = threading.Thread(target=enter)
    thread.start()
    return thread, entered


def test_no_more_than_allowed_at_once(clock: Clock) -> None:
    """A third request waits until one of two is over."""
    lanes = Lanes(2, clock)
    first = lanes.enter()
    other, taken = threading.Event(), threading.Event()

    def hold() -> None:
        lane = lanes.enter()
        taken.set()
        other.wait(10)
        lanes.leave(lane)

    holder = threading.Thread(target=hold)
    holder.start()
    assert taken.wait(10)
    thread, entered = waiting(lanes)
    assert not entered.wait(0.05)
    other.set()
    assert entered.wait(10)
    lanes.leave(first)
    holder.join()
    thread.join()


def test_the_hint_shrinks_and_grows_the_limit(clock: Clock) -> None:
    """The environment's recommendation counts below our own limit; nonsense is ignored."""
    lanes = Lanes(8, clock)
    seen = []
    for hint in ("4", "2", "nonsense", "", "0", "-3", "1e3", "16", "5"):
        lanes.note({"x-ms-dop-hint": hint})
        seen.append(lanes.limit)

    assert seen == [4, 2, 2, 2, 2, 2, 2, 8, 5]


def test_a_larger_hint_lets_waiting_requests_go(clock: Clock) -> None:
    """Who waits for a lane goes on when the environment recommends more."""
    lanes = Lanes(8, clock)
    lanes.note({"x-ms-dop-hint": "1"})
    lane = lanes.enter()
    thread, entered = waiting(lanes)
    assert not entered.wait(0.05)

    lanes.note({"x-ms-dop-hint": "2"})

    assert entered.wait(10)
    lanes.leave(lane)
    thread.join()


def test_a_thread_never_waits_for_itself(clock: Clock) -> None:
    """Who reads a body may ask for something else meanwhile, even with a single lane."""
    lanes = Lanes(1, clock)
    outer = lanes.enter()
    lanes.leave(lanes.enter())
    lanes.leave(outer)
    lanes.leave(outer)
    thread, entered = waiting(lanes)
    assert entered.wait(10)
    thread.join()


def test_a_lane_can_be_left_by_another_thread(clock: Clock) -> None:
    """A body that is handed to another thread gives its lane back there."""
    lanes = Lanes(1, clock)
    lane = lanes.enter()
    leaver = threading.Thread(target=lanes.leave, args=(lane,))
    leaver.start()
    leaver.join()
    thread, entered = waiting(lanes)
    assert entered.wait(10)
    thread.join()


def test_nothing_goes_through_while_held_back(clock: Clock) -> None:
    """After a throttle every request is refused here with the time that is left; the longest wait counts."""
    lanes = Lanes(2, clock)
    lanes.hold_back(timedelta(seconds=30))
    lanes.hold_back(timedelta(seconds=10))
    clock.now += 12

    with pytest.raises(Throttled) as caught:
        lanes.enter()

    assert caught.value.retry_after == timedelta(seconds=18)
    clock.now += 18
    lanes.leave(lanes.enter())


def test_rates_are_read_with_thousands_commas(clock: Clock) -> None:
    """`1,200.00` is twelve hundred; what cannot be read leaves what was known."""
    lanes = Lanes(2, clock)
    lanes.note(
        {
            "x-ms-ratelimit-burst-remaining-xrm-requests": "7,999",
            "x-ms-ratelimit-time-remaining-xrm-requests": "1,200.00",
        }
    )
    lanes.note({"x-ms-ratelimit-burst-remaining-xrm-requests": "many"})

    assert (lanes.rates.requests, lanes.rates.seconds) == (7999, 1200.0)
