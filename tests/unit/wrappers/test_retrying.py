"""Retrying: what is tried again, how long it waits, and what it never repeats."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta

import pytest

from offloader.errors import AuthError, Exhausted, Gone, OffloaderError, Throttled, Transient
from offloader.model import Document, Link, Version, VersionRef
from offloader.ports import Delivery, LinkRequest, Page, Source, Status, Store
from offloader.testing import FakeClock, MemorySource, MemoryStore
from offloader.wrappers.faulty import Faulty
from offloader.wrappers.retrying import Retry, RetryingSource, RetryingStore


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def retry(clock: FakeClock) -> Retry:
    return Retry(sleep=clock.sleep, monotonic=clock.monotonic, random=lambda: 0.5, attempts=4, base=2.0, cap=5.0)


@pytest.fixture
def crm() -> MemorySource:
    return MemorySource(page=2)


@pytest.fixture
def faults(crm: MemorySource) -> Faulty[Source]:
    return Faulty[Source](crm)


@pytest.fixture
def source(faults: Faulty[Source], retry: Retry) -> Source:
    return RetryingSource(faults.port, retry)


@pytest.fixture
def disk() -> Faulty[Store]:
    return Faulty[Store](MemoryStore())


@pytest.fixture
def store(disk: Faulty[Store], retry: Retry) -> Store:
    return RetryingStore(disk.port, retry)


def document(crm: MemorySource, kind: str = "File", *bodies: bytes) -> Document:
    ref = crm.crm.document(kind, *(bodies or (b"body",)), parents=[crm.crm.record("Account")])
    (found,) = crm.fetch([ref])
    assert found
    return found


def request(of: Document) -> LinkRequest:
    return LinkRequest(document=of, link=Link(of.ref.id, f"https://files.example.com/{of.ref.id}"))


def test_waits_grow_to_a_cap(source: Source, faults: Faulty[Source], clock: FakeClock) -> None:
    """Waits double up to the cap, with jitter below them, and success ends them."""
    faults.on("check", repeat=3, raise_=Transient())
    assert [finding.code for finding in source.check()] == ["login"]
    assert clock.slept == [1.0, 2.0, 2.5]


def test_retry_after_is_honoured(source: Source, faults: Faulty[Source], clock: FakeClock) -> None:
    """Nobody tries again earlier than the server asked for."""
    faults.on("check", raise_=Throttled(retry_after=timedelta(seconds=30)))
    source.check()
    assert clock.slept == [31.0]


def test_attempts_end(source: Source, faults: Faulty[Source], clock: FakeClock) -> None:
    """After the last attempt the error passes, without another wait."""
    last = Transient("last")
    faults.on("check", repeat=3, raise_=Transient("early")).on("check", nth=4, repeat=9, raise_=last)
    with pytest.raises(Transient) as caught:
        source.check()
    assert caught.value is last
    assert faults.count("check") == 4
    assert len(clock.slept) == 3


def test_patience_ends(faults: Faulty[Source], clock: FakeClock) -> None:
    """A try that would start too late is not waited for."""
    retry = Retry(sleep=clock.sleep, monotonic=clock.monotonic, random=lambda: 0.0, elapsed=100.0, attempts=99)
    faults.on("check", repeat=99, raise_=Throttled(retry_after=timedelta(seconds=40)))
    with pytest.raises(Throttled):
        RetryingSource(faults.port, retry).check()
    assert clock.slept == [40.0, 40.0]


@pytest.mark.parametrize("error", [Gone(), Exhausted(), AuthError(), OffloaderError()], ids=type)
def test_only_transient_is_tried_again(source: Source, faults: Faulty[Source], error: OffloaderError) -> None:
    """What will not pass by itself is raised at once."""
    faults.on("check", raise_=error)
    with pytest.raises(type(error)):
        source.check()
    assert faults.count("check") == 1


@pytest.mark.parametrize("kind", ["File", "Note", "Entry"])
def test_a_lost_answer_makes_no_second_link(
    source: Source, faults: Faulty[Source], crm: MemorySource, kind: str
) -> None:
    """After a lost answer link is asked again for every item with `attempted`, and finds what it did."""
    faults.on("link", lost=True).on("link", nth=2, raise_=Transient())
    requests = [request(document(crm, kind)) for _ in range(3)]
    outcomes = source.link(requests)
    assert {outcome.status for outcome in outcomes} == {Status.DONE if kind == "File" else Status.REPLACED}
    assert [len(crm.crm.links_to(each.link.url)) for each in requests] == [1, 1, 1]
    said = [[each.attempted for each in call.args[0]] for call in faults.calls if call.method == "link"]
    assert said == [[False] * 3, [True] * 3, [True] * 3]


def test_a_lost_answer_restores_once(source: Source, faults: Faulty[Source], crm: MemorySource) -> None:
    """After a lost answer restore finds the document that it has made."""
    wanted = request(document(crm))
    crm.link([wanted])
    crm.remove([wanted])
    faults.on("restore", lost=True)
    assert source.restore(wanted, lambda version: [b"body"]).status is Status.DONE
    assert [crm.crm.bytes_of(ref) for ref in crm.crm.rows] == [[b"body"]]


def test_a_certain_failure_is_no_attempt(source: Source, faults: Faulty[Source], crm: MemorySource) -> None:
    """When nothing was done, the next try does not look for it."""
    faults.on("link", raise_=Transient())
    source.link([request(document(crm))])
    assert [call.args[0][0].attempted for call in faults.calls if call.method == "link"] == [False, False]


def test_a_scan_goes_on_where_it_broke_off(retry: Retry) -> None:
    """A page that fails is asked for again by the cursor before it; no page comes twice."""

    class Breaking(MemorySource):
        fails = 3

        def scan(self, kind: str, *, since: str | None = None, cursor: str | None = None) -> Iterator[Page]:
            for number, page in enumerate(super().scan(kind, since=since, cursor=cursor)):
                if number == 1 and self.fails:
                    self.fails -= 1
                    raise Transient
                yield page

    crm = Breaking(page=2)
    refs = [crm.crm.document("File", b"x") for _ in range(9)]
    pages = [*RetryingSource(crm, retry).scan("File")]
    assert [document.ref for page in pages for document in page.documents] == refs
    assert crm.fails == 0


def test_a_scan_that_ends_without_a_last_page_ends(retry: Retry) -> None:
    """A source that stops short is not asked again and again; the missing watermark tells."""

    class Stopping(MemorySource):
        def scan(self, kind: str, *, since: str | None = None, cursor: str | None = None) -> Iterator[Page]:
            yield next(super().scan(kind, since=since, cursor=cursor))

    crm = Stopping(page=2)
    for _ in range(9):
        crm.crm.document("File", b"x")
    assert [page.watermark for page in RetryingSource(crm, retry).scan("File")] == [None]


def test_an_error_after_the_last_page_is_none(retry: Retry) -> None:
    """Once the last page is there, the scan is over and never starts afresh."""

    class Breaking(MemorySource):
        def scan(self, kind: str, *, since: str | None = None, cursor: str | None = None) -> Iterator[Page]:
            yield from super().scan(kind, since=since, cursor=cursor)
            raise Transient

    crm = Breaking(page=2)
    refs = [crm.crm.document("File", b"x") for _ in range(3)]
    pages = [*RetryingSource(crm, retry).scan("File")]
    assert [document.ref for page in pages for document in page.documents] == refs


def test_a_read_is_resumed_with_what_is_missing(source: Source, faults: Faulty[Source], crm: MemorySource) -> None:
    """When reading fails as a whole, only what was not delivered is asked for again."""
    documents = [document(crm, "File", bytes([number])) for number in range(3)]
    refs = [each.version_ref(each.current) for each in documents]
    faults.on("read", raise_=Transient())
    got = {delivery.ref: b"".join(delivery.chunks or ()) for delivery in source.read(refs)}
    assert [got[ref] for ref in refs] == [b"\x00", b"\x01", b"\x02"]
    assert faults.count("read") == 2


def test_what_was_delivered_is_not_asked_for_again(retry: Retry) -> None:
    """When reading breaks off between two deliveries, it goes on with those that are still missing."""
    asked: list[int] = []

    class Breaking(MemorySource):
        def read(self, refs: Sequence[VersionRef]) -> Iterator[Delivery]:
            asked.append(len(refs))
            yield next(super().read(refs))
            raise Transient

    crm = Breaking()
    documents = [document(crm, "File", bytes([number])) for number in range(3)]
    refs = [each.version_ref(each.current) for each in documents]
    got = [b"".join(delivery.chunks or ()) for delivery in RetryingSource(crm, retry).read(refs)]
    assert got == [b"\x00", b"\x01", b"\x02"]
    assert asked == [3, 2, 1]


def test_errors_in_a_body_pass(source: Source, faults: Faulty[Source], crm: MemorySource) -> None:
    """A body that breaks off is the caller's to ask for again, and the next delivery still comes."""
    first, second = (document(crm, "File", body) for body in (b"12345", b"67890"))
    crm.crm.cut.add(first.version_ref(first.current))
    deliveries = source.read([each.version_ref(each.current) for each in (first, second)])
    with pytest.raises(Transient):
        b"".join(next(deliveries).chunks or ())
    assert b"".join(next(deliveries).chunks or ()) == b"67890"
    assert faults.count("read") == 1


def test_the_rest_of_a_source_is_tried_again(source: Source, faults: Faulty[Source], crm: MemorySource) -> None:
    """Fetch, inspect, remove, unlink and may_read get a second try."""
    wanted = request(document(crm))
    source.link([wanted])
    for method in ("fetch", "inspect", "remove", "unlink", "may_read"):
        faults.on(method, nth=1, raise_=Transient())
    assert source.fetch([wanted.document.ref])[0] == wanted.document
    assert source.inspect([wanted])[0].status is Status.DONE
    assert source.remove([wanted])[0].status is Status.DONE
    assert source.may_read("nobody", [wanted])
    assert source.unlink([wanted])[0].status is Status.DONE
    assert source.usage().requests["unlink"] == 1
    assert source.capabilities.user_check
    assert source.name == "crm"


def test_a_put_of_a_list_is_tried_again(store: Store, disk: Faulty[Store]) -> None:
    """Chunks that can be gone through twice are sent twice; a lost answer finds its own object."""
    disk.on("put", raise_=Transient()).on("put", nth=2, lost=True)
    assert store.put("a", [b"x", b"y"]).size == 2
    assert disk.count("put") == 3


def test_a_put_of_a_stream_is_not(store: Store, disk: Faulty[Store]) -> None:
    """Chunks that come only once are never sent in part: the error passes."""
    disk.on("put", raise_=Transient())
    with pytest.raises(Transient):
        store.put("a", iter([b"x", b"y"]))
    assert disk.count("put") == 1
    assert store.stat("a") is None


@pytest.mark.parametrize(("offset", "length"), [(0, None), (3, 6), (3, 400_000)])
def test_a_stored_object_is_read_on(store: Store, disk: Faulty[Store], offset: int, length: int | None) -> None:
    """A stream that breaks off is taken up at the byte where it ended."""
    body = bytes(range(251)) * 2000
    store.put("a", [body])
    disk.on("read", raise_=Transient()).on("read", nth=2, cut=5).on("read", nth=3, cut=0)
    expected = body[offset:][:length]
    assert b"".join(store.read("a", offset=offset, length=length)) == expected
    assert disk.count("read") == 4


def test_a_listing_is_taken_up(retry: Retry) -> None:
    """A listing that breaks off is started over, and no key comes twice."""

    class Breaking(MemoryStore):
        fails = 2

        def list(self, prefix: str = "") -> Iterator[tuple[str, int]]:
            for number, item in enumerate(super().list(prefix)):
                if number == 2 and self.fails:
                    self.fails -= 1
                    raise Transient
                yield item

    store = RetryingStore(Breaking(), retry)
    for key in "abcde":
        store.put(key, [b"x"])
    assert [key for key, _ in store.list()] == [*"abcde"]


def test_the_rest_of_a_store_is_tried_again(store: Store, disk: Faulty[Store]) -> None:
    """Prove, stat, delete and sweep get a second try."""
    for method in ("prove", "stat", "delete", "sweep"):
        disk.on(method, raise_=Transient())
    store.put("a", [b"x"])
    assert store.prove().store == store.name
    stored = store.stat("a")
    assert stored
    assert stored.size == 1
    store.delete("a")
    assert store.sweep() == 0
    assert store.stat("a") is None
    assert store.capabilities.object_lock


def test_a_restore_reads_its_bodies_afresh(source: Source, faults: Faulty[Source], crm: MemorySource) -> None:
    """Each try of a restore asks for the bodies again."""
    wanted = request(document(crm))
    crm.link([wanted])
    crm.remove([wanted])
    opened: list[int] = []

    def bodies(version: Version) -> Iterator[bytes]:
        opened.append(version.number)
        yield b"bo"
        if len(opened) == 1:
            raise Transient
        yield b"dy"

    back = source.restore(wanted, bodies).document
    assert back
    assert crm.crm.bytes_of(back.ref) == [b"body"]
    assert opened == [1, 1]
