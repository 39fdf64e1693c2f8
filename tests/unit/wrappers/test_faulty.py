"""Faulty: goes wrong exactly where the script says."""

from __future__ import annotations

import pytest

from offloader.errors import StoreFull, Transient
from offloader.ports import Source, Store
from offloader.testing import MemorySource, MemoryStore
from offloader.wrappers.faulty import Call, Faulty


@pytest.fixture
def memory() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def faults(memory: MemoryStore) -> Faulty[Store]:
    return Faulty[Store](memory)


def test_the_nth_call_fails_and_the_next_ones_do_not(faults: Faulty[Store], memory: MemoryStore) -> None:
    """`nth` and `repeat` choose the calls; a call that raises does nothing."""
    faults.on("put", nth=2, repeat=2, raise_=StoreFull())
    results = []
    for key in "abcd":
        try:
            results.append(faults.port.put(key, [b"x"]).key)
        except StoreFull:
            results.append("full")
    assert results == ["a", "full", "full", "d"]
    assert [key for key, _ in memory.list()] == ["a", "d"]


def test_a_lost_answer_is_done(faults: Faulty[Store], memory: MemoryStore) -> None:
    """`lost` carries the call out, and says that it may be done."""
    faults.on("put", lost=True)
    with pytest.raises(Transient) as caught:
        faults.port.put("a", [b"x"])
    assert caught.value.maybe_done
    assert memory.stat("a")


def test_before_and_after_run_around_the_call(faults: Faulty[Store], memory: MemoryStore) -> None:
    """`before` sees the world without the act, `after` with it."""
    seen: list[bool] = []
    look = lambda: seen.append(memory.stat("a") is not None)  # noqa: E731
    faults.on("put", before=look, after=look)
    faults.port.put("a", [b"x"])
    assert seen == [False, True]


@pytest.mark.parametrize("cut", [0, 1, 4, 5, 99])
def test_a_cut_body_never_ends_quietly(faults: Faulty[Store], cut: int) -> None:
    """`cut` lets so many bytes of a stored object through, then raises."""
    faults.port.put("a", [b"12345"])
    faults.on("read", cut=cut)
    got: list[bytes] = []
    with pytest.raises(Transient):
        got.extend(faults.port.read("a"))
    assert b"".join(got) == b"12345"[:cut]
    assert b"".join(faults.port.read("a")) == b"12345"


def test_a_corrupt_body_has_the_same_length(faults: Faulty[Store]) -> None:
    """`corrupt` changes the first byte and nothing else."""
    faults.port.put("a", [b"12345"])
    faults.port.put("empty", [])
    faults.on("read", repeat=2, corrupt=True)
    assert b"".join(faults.port.read("a")) == b"02345"
    assert b"".join(faults.port.read("empty")) == b""


@pytest.mark.parametrize("spoil", ["cut", "corrupt"])
def test_a_sources_bodies_are_spoilt_too(spoil: str) -> None:
    """Of a source's deliveries each body is spoilt; errors and an empty answer stay as they are."""
    crm = MemorySource()
    refs = [crm.crm.document("File", b"12345") for _ in range(2)]
    documents = [document for document in crm.fetch(refs) if document]
    versions = [document.version_ref(document.current) for document in documents]
    crm.crm.delete(refs[0])
    faults = Faulty[Source](crm)
    if spoil == "cut":
        faults.on("read", repeat=2, cut=2)
    else:
        faults.on("read", repeat=2, corrupt=True)
    gone, spoilt = faults.port.read(versions)
    assert gone.error
    if spoil == "cut":
        with pytest.raises(Transient):
            b"".join(spoilt.chunks or ())
    else:
        assert b"".join(spoilt.chunks or ()) == b"02345"
    assert [*faults.port.read([])] == []


def test_calls_are_logged(faults: Faulty[Store]) -> None:
    """Every call is in the log with what it was given, failed ones too."""
    faults.on("stat", raise_=Transient())
    with pytest.raises(Transient):
        faults.port.stat("a")
    faults.port.read("b", offset=3) if faults.port.put("b", [b"x"]) else None
    assert faults.calls == [
        Call("stat", ("a",), {}),
        Call("put", ("b", [b"x"]), {}),
        Call("read", ("b",), {"offset": 3}),
    ]
    assert (faults.count("stat"), faults.count("delete")) == (1, 0)


def test_a_script_for_no_method_is_refused(faults: Faulty[Store]) -> None:
    """A misspelt method is an error, not a fault that never comes."""
    with pytest.raises(ValueError, match="'putt'"):
        faults.on("putt")
    with pytest.raises(ValueError, match="'name'"):
        faults.on("name")


def test_the_rest_is_passed_on(faults: Faulty[Store], memory: MemoryStore) -> None:
    """Name and capabilities are those of the wrapped port."""
    assert faults.port.name == memory.name
    assert faults.port.capabilities == memory.capabilities
