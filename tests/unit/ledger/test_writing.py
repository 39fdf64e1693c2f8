"""The one writer: many threads, one commit; what fails, fails alone; a broken database is the end."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from offloader import audit
from offloader.errors import Permanent, Refused, StoreFull, Transient
from offloader.ledger import Ledger, Step, open_ledger, sqlite
from offloader.model import Link, State

Make = Callable[..., Any]


def test_many_threads_advance(ledger: Ledger, record: Make, document: Make) -> None:
    """Steps of many threads all arrive, illegal ones hurt nobody else, and the log is one whole chain."""
    record(*(document(f"D{i}", title="t") for i in range(160)))

    def work(thread: int) -> int:
        refused = 0
        for pk in range(thread * 20 + 1, thread * 20 + 21):
            ledger.advance([Step(pk, State.PLANNED, data={"thread": thread})])
            try:
                ledger.advance([Step(pk, State.COPIED), Step(pk, State.DONE)])
            except Refused:
                refused += 1
            ledger.entries_by_pk([pk])
        return refused

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, range(8))) == [20] * 8
    assert {version.state for entry in ledger.entries() for version in entry.versions} == {State.PLANNED}
    events = ledger.events()
    assert len(events) == 320
    assert audit.verify([(event.record, event.hash) for event in events], remembered=ledger.head()).ok


def test_waiting_writes_share_a_commit(ledger: Ledger, path: Path) -> None:
    """Writes that came while another was under way become durable together, and not before their caller knows."""
    gate, entered = threading.Event(), threading.Event()
    counts: list[int] = []

    def count() -> int:
        with closing(sqlite3.connect(path)) as connection:
            return int(connection.execute("SELECT count(*) FROM events").fetchone()[0])

    def hold(_connection: Any, journal: Any) -> None:
        journal.add("held", data={})
        entered.set()
        gate.wait(30)

    def look(_connection: Any, journal: Any) -> None:
        journal.add("look", data={})
        counts.append(count())

    writer = ledger._held[0]  # type: ignore[index]
    with ThreadPoolExecutor(6) as pool:
        first = pool.submit(writer.run, hold)
        entered.wait(30)
        others = [pool.submit(writer.run, look) for _ in range(5)]
        while writer._queue.qsize() < 5:
            pass
        assert not first.done()
        gate.set()
        for future in (first, *others):
            future.result(30)
    assert counts == [0] * 5
    assert count() == 6


def test_failing_job_takes_back_only_itself(ledger: Ledger) -> None:
    """A job that fails in mid-write leaves nothing; the one beside it in the same commit stays."""
    gate, entered = threading.Event(), threading.Event()

    def hold(_connection: Any, _journal: Any) -> None:
        entered.set()
        gate.wait(30)

    def fail(_connection: Any, journal: Any) -> None:
        journal.add("lost", data={})
        journal.flush(_connection)
        raise KeyError("the job's own")

    writer = ledger._held[0]  # type: ignore[index]
    with ThreadPoolExecutor(3) as pool:
        held = pool.submit(writer.run, hold)
        entered.wait(30)
        failing = pool.submit(writer.run, fail)
        while writer._queue.qsize() < 1:
            pass
        good = pool.submit(ledger.record_event, "kept", data={})
        while writer._queue.qsize() < 2:
            pass
        gate.set()
        held.result(30)
        good.result(30)
        with pytest.raises(KeyError, match="own"):
            failing.result(30)
    assert [(event.seq, event.type) for event in ledger.events()] == [(1, "kept")]


def test_full_disk_ends_all_writing(path: Path, clock: Make) -> None:
    """When there is no room left, this write and all later ones say so; what was acknowledged stays."""
    with open_ledger(path, now=clock) as ledger:
        ledger.record_event("before", data={})
        connection: Any = ledger._held[0]._connection.connection.driver_connection  # type: ignore[index]
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages + 2}")
        with pytest.raises(StoreFull, match=str(path)):
            ledger.record_event("large", data={"x": "y" * 100_000})
        with pytest.raises(StoreFull, match="no room left for the ledger"):
            ledger.record_event("small", data={})
        assert [event.type for event in ledger.events()] == ["before"]
    with open_ledger(path, now=clock) as ledger:
        ledger.record_event("after", data={})

        events = ledger.events()
        assert [event.type for event in events] == ["before", "after"]
        assert audit.verify([(event.record, event.hash) for event in events]).ok


def test_locked_ledger_can_be_tried_again(path: Path, clock: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """While another program holds the database a write says so, and after that writing goes on."""
    monkeypatch.setattr(sqlite, "_BUSY", 0.01)
    with open_ledger(path, now=clock) as ledger, closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Transient, match=f"{path} is locked"):
            ledger.record_event("lost", data={})
        other.execute("ROLLBACK")
        ledger.record_event("kept", data={})

        assert [event.type for event in ledger.events()] == ["kept"]


def test_lock_that_is_met_late_takes_back_the_whole_commit(ledger: Ledger) -> None:
    """A commit that the database breaks off leaves no event, and the log goes on unbroken."""

    def late(connection: Any, journal: Any) -> None:
        journal.add("lost", data={})
        journal.flush(connection)
        locked = sqlite3.OperationalError("database is locked")
        locked.sqlite_errorname = "SQLITE_BUSY"
        raise OperationalError("COMMIT", None, locked)

    with pytest.raises(Transient):
        ledger._held[0].run(late)  # type: ignore[index]
    ledger.record_event("kept", data={})

    events = ledger.events()
    assert [event.type for event in events] == ["kept"]
    assert audit.verify([(event.record, event.hash) for event in events], remembered=ledger.head()).ok


def test_job_has_the_database_from_its_beginning(ledger: Ledger, path: Path) -> None:
    """What a job reads cannot change under it: no other program writes from the job's first moment on."""

    def job(_connection: Any, _journal: Any) -> None:
        with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")

    with pytest.raises(sqlite3.OperationalError, match="locked"):
        ledger._held[0].run(job)  # type: ignore[index]


def test_lost_table_is_named(ledger: Ledger, path: Path) -> None:
    """A database error that no job can have caused ends the writing with the ledger's name."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DROP TABLE meta")

    with pytest.raises(Permanent, match=f"{path}.*no such table"):
        ledger.set_meta("a", "b")
    with pytest.raises(Permanent, match="no such table"):
        ledger.meta("a")


def test_error_texts_hold_no_values(ledger: Ledger, record: Make, document: Make) -> None:
    """A link's address gets into no error's text, nor into the text of what caused it."""
    record(document("D1"), document("D2"))
    links: list[Any] = [(pk, Link("L", "https://links/private-words"), {}) for pk in (1, 2)]

    with pytest.raises(Permanent) as caught:
        ledger.advance([], links=links)

    causes = [caught.value, caught.value.__cause__]
    assert all(cause is not None and "private-words" not in str(cause) for cause in causes)
