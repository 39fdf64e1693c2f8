"""Paced: how many calls run at once, and how that follows the source's answers."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from offloader.errors import Throttled, Transient
from offloader.model import Link, VersionRef
from offloader.ports import Delivery, LinkRequest, Source, Status
from offloader.testing import FakeClock, MemorySource
from offloader.wrappers.faulty import Faulty
from offloader.wrappers.paced import Gate, PacedSource


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def gate(clock: FakeClock) -> Gate:
    return Gate(most=8, sleep=clock.sleep, monotonic=clock.monotonic)


def throttle(gate: Gate, clock: FakeClock, retry_after: timedelta | None = None) -> None:
    clock.advance(1)
    with pytest.raises(Throttled), gate.place():
        raise Throttled(retry_after=retry_after)


def test_no_more_than_the_limit_run_at_once(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many threads as the limit says get inside at once; the next one waits until one of them leaves."""
    gate = Gate(most=3, sleep=clock.sleep, monotonic=clock.monotonic)
    inside, waiting, leave = threading.Barrier(4, timeout=60), threading.Semaphore(0), threading.Event()
    wait = gate._changed.wait

    def noticed(timeout: float | None = None) -> bool:
        waiting.release()
        return wait(timeout)

    def call() -> None:
        with gate.place():
            inside.wait()
            leave.wait(60)

    def late() -> None:
        with gate.place():
            pass

    monkeypatch.setattr(gate._changed, "wait", noticed)
    with ThreadPoolExecutor(4) as threads:
        calls = [threads.submit(call) for _ in range(3)]
        inside.wait()
        assert gate.running == 3
        calls.append(threads.submit(late))
        blocked = waiting.acquire(timeout=20)
        running = gate.running
        leave.set()
        for each in calls:
            each.result(timeout=60)
    assert (blocked, running, gate.running) == (True, 3, 0)


def test_a_throttle_halves_and_success_grows_slowly(gate: Gate, clock: FakeClock) -> None:
    """Throttled halves the limit, down to one; a round of good calls adds one, up to the most."""
    limits = []
    for _ in range(4):
        throttle(gate, clock)
        limits.append(gate.limit)
    assert limits == [4, 2, 1, 1]
    rounds = []
    for _ in range(10):
        for _ in range(gate.limit):
            with gate.place():
                pass
        rounds.append(gate.limit)
    assert rounds[:2] == [2, 2]
    assert all(after - before <= 1 for before, after in itertools.pairwise(rounds))
    for _ in range(200):
        with gate.place():
            pass
    assert gate.limit == 8


def test_calls_that_ran_together_halve_once(gate: Gate, clock: FakeClock) -> None:
    """When one burst is throttled as a whole, the limit is halved once, not once for each call."""
    clock.advance(1)
    together = threading.Barrier(4, timeout=60)

    def burst() -> None:
        together.wait()
        clock.advance(0.1)
        raise Throttled

    def call(_: int) -> None:
        with pytest.raises(Throttled), gate.place():
            burst()

    with ThreadPoolExecutor(4) as threads:
        [*threads.map(call, range(4))]
    assert gate.limit == 4


def test_other_errors_do_not_slow_down(gate: Gate) -> None:
    """An error that is no throttle gives the place back and leaves the limit alone."""
    for _ in range(20):
        with pytest.raises(Transient), gate.place():
            raise Transient
    assert gate.limit == 8


def test_retry_after_holds_everybody(gate: Gate, clock: FakeClock) -> None:
    """When one call is told to wait, every call waits that long."""
    throttle(gate, clock, timedelta(seconds=30))
    with gate.place():
        pass
    assert clock.slept == [30.0]
    with gate.place():
        pass
    assert clock.slept == [30.0]


def test_the_rate_is_bounded(clock: FakeClock) -> None:
    """With `per_second`, a burst of one second passes, and then calls come at the rate; a batch counts each call."""
    gate = Gate(most=8, sleep=clock.sleep, monotonic=clock.monotonic, per_second=10)
    for _ in range(30):
        with gate.place():
            pass
    assert clock.monotonic() == pytest.approx(2.0)
    with gate.place(20):
        pass
    assert clock.monotonic() == pytest.approx(4.0)


def test_a_thread_inside_passes_again(clock: FakeClock) -> None:
    """A call made while consuming a body does not wait for the place that its own thread holds."""
    gate = Gate(most=1, sleep=clock.sleep, monotonic=clock.monotonic)
    crm = MemorySource()
    source = PacedSource(crm, gate)
    ref = crm.crm.document("File", b"body")
    (document,) = source.fetch([ref])
    assert document
    for delivery in source.read([document.version_ref(document.current)]):
        assert source.fetch([ref]) == [document]
        assert b"".join(delivery.chunks or ()) == b"body"
    with ThreadPoolExecutor(1) as threads:
        assert threads.submit(source.fetch, [ref]).result(timeout=60) == [document]


def test_a_read_holds_its_place_until_it_is_consumed(clock: FakeClock) -> None:
    """While a body is under way nobody else gets its place; an abandoned read gives it back."""
    gate = Gate(most=1, sleep=clock.sleep, monotonic=clock.monotonic)
    crm = MemorySource()
    source = PacedSource(crm, gate)
    ref = crm.crm.document("File", b"body")
    version = VersionRef(ref, crm.crm.rows[ref].bodies[0].id)
    deliveries = source.read([version])
    next(deliveries)
    assert gate.running == 1
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(source.fetch, [ref])
        deliveries.close()  # type: ignore[attr-defined]
        assert waiting.result(timeout=60)
    assert gate.running == 0


@pytest.mark.parametrize("where", ["body", "delivery"])
def test_throttles_inside_a_read_count(gate: Gate, clock: FakeClock, where: str) -> None:
    """A throttle slows down the gate too when it comes as a delivery's error, or from a body."""

    def body() -> object:
        yield b"x"
        clock.advance(1)
        raise Throttled

    crm = MemorySource()
    ref = VersionRef(crm.crm.document("File", b"body"), "1")

    class Throttling(MemorySource):
        def read(self, refs: object) -> object:  # type: ignore[override]
            yield Delivery(ref, error=Throttled()) if where == "delivery" else Delivery(ref, chunks=body())  # type: ignore[arg-type]

    clock.advance(1)
    (delivery,) = PacedSource(Throttling(), gate).read([ref])  # type: ignore[arg-type]
    if delivery.chunks is not None:
        with pytest.raises(Throttled):
            b"".join(delivery.chunks)
    assert gate.limit == 4


def test_every_call_goes_through_the_gate(clock: FakeClock) -> None:
    """Each method of a paced source is throttled like the others, but asking for usage is free."""
    crm = MemorySource()
    faults = Faulty[Source](crm)
    ref = crm.crm.document("File", b"body", parents=[crm.crm.record("Account")])
    (document,) = crm.fetch([ref])
    assert document
    wanted = LinkRequest(document=document, link=Link("l", "https://files.example.com/l"))
    gate = Gate(most=1000, sleep=clock.sleep, monotonic=clock.monotonic)
    source: Source = PacedSource(faults.port, gate)
    calls: dict[str, Callable[[], object]] = {
        "check": source.check,
        "scan": lambda: next(source.scan("File")),
        "fetch": lambda: source.fetch([ref]),
        "read": lambda: next(source.read([document.version_ref(document.current)])),
        "link": lambda: source.link([wanted])[0].status,
        "inspect": lambda: source.inspect([wanted])[0].status,
        "remove": lambda: source.remove([wanted])[0].status,
        "restore": lambda: source.restore(wanted, lambda version: [b"body"]).status,
        "unlink": lambda: source.unlink([wanted])[0].status,
        "may_read": lambda: source.may_read("nobody", [wanted]),
    }
    for name, call in calls.items():
        clock.advance(1)
        before = gate.limit
        answer = call()
        assert not isinstance(answer, Status) or answer is Status.DONE
        faults.on(name, nth=2, raise_=Throttled())
        with pytest.raises(Throttled):
            call()
        assert gate.limit < before, name
    assert source.usage() == crm.usage()
    assert source.capabilities == crm.capabilities


def test_a_scan_holds_no_place_between_pages(clock: FakeClock) -> None:
    """While the caller works on a page, others may call."""
    gate = Gate(most=1, sleep=clock.sleep, monotonic=clock.monotonic)
    crm = MemorySource(page=1)
    refs = [crm.crm.document("File", b"x") for _ in range(3)]
    source = PacedSource(crm, gate)
    with ThreadPoolExecutor(1) as threads:
        for page in source.scan("File"):
            assert threads.submit(source.fetch, refs).result(timeout=60)
            assert page.documents
