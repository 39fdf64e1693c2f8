"""Transitions: the table, and the database that keeps it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from offloader.errors import Permanent, Refused
from offloader.ledger import Copy, Entry, Ledger, Step
from offloader.ledger.transitions import LEGAL, legal
from offloader.model import Digest, Document, Link, State

DIGEST = Digest.of(b"bytes")


def raw(path: Path, statement: str, *values: Any) -> list[Any]:
    with closing(sqlite3.connect(path)) as connection, connection:
        return connection.execute(statement, values).fetchall()


def test_table_names_every_state_and_no_state_moves_to_itself() -> None:
    """Every state has its legal moves, none of them to itself, and nothing leaves erased."""
    assert set(LEGAL) == set(State)
    assert not any(state in moves for state, moves in LEGAL.items())
    assert not LEGAL[State.ERASED]


def test_done_comes_only_after_a_verified_copy() -> None:
    """A version is done only from verified or linked, or from an act whose answer was lost."""
    before = {old for old in State if legal(old, State.DONE)}

    assert before == {State.VERIFIED, State.LINKED, State.CONFLICT, State.FAILED}
    assert {old for old in State if legal(old, State.VERIFIED)} == {State.COPIED, State.LINKED}


def test_database_holds_the_same_table(ledger: Ledger, path: Path) -> None:
    """The database enforces the very table that the program knows."""
    held = {(State(old), State(new)) for old, new in raw(path, "SELECT from_state, to_state FROM transitions")}

    assert held == {(old, new) for old, moves in LEGAL.items() for new in moves}


@pytest.mark.parametrize("old", list(State))
def test_database_refuses_every_illegal_move_whoever_asks(ledger: Ledger, path: Path, old: State) -> None:
    """Raw SQL makes each legal move and none of the others."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute("DROP TRIGGER versions_begin")
        connection.execute("INSERT INTO versions VALUES (1, 1, 1, 'v', 1, ?, 1, '', '{}')", (old,))
    for new in State:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("BEGIN")
            try:
                connection.execute("UPDATE versions SET state = ?", (new,))
                made = True
            except sqlite3.IntegrityError:
                made = False
            connection.execute("ROLLBACK")
        assert made == legal(old, new), (old, new)


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO transitions VALUES ('seen', 'done')",
        "UPDATE transitions SET to_state = 'done' WHERE from_state = 'seen' AND to_state = 'kept'",
        "DELETE FROM transitions",
        "INSERT INTO versions VALUES (99, 1, 1, 'v', 1, 'done', 1, '', '{}')",
        "UPDATE events SET type = 'x'",
        "DELETE FROM events",
    ],
)
def test_raw_sql_cannot_bend_the_rules(ledger: Ledger, path: Path, statement: str) -> None:
    """The transitions, a version's first state and the log are out of reach for plain statements."""
    ledger.record_event("something", data={})

    with pytest.raises(sqlite3.IntegrityError):
        raw(path, statement)


def test_illegal_step_names_version_and_states(
    ledger: Ledger, seen: Callable[..., Entry], document: Callable[..., Document]
) -> None:
    """A refused step says which version, from where, to where."""
    entry = seen(document())

    with pytest.raises(Refused, match=r"sf/ContentDocument/D1 version D1-v1 cannot go from seen to done"):
        ledger.advance([Step(entry.versions[0].pk, State.DONE)])


def test_steps_are_all_or_nothing(
    ledger: Ledger, seen: Callable[..., Entry], document: Callable[..., Document]
) -> None:
    """One illegal step takes back its neighbours, their copies, their links and their events."""
    one, two = seen(document("D1"), State.PLANNED), seen(document("D2"))
    before = ledger.events()

    with pytest.raises(Refused):
        ledger.advance(
            [
                Step(one.versions[0].pk, State.COPIED, copy=Copy("de", "k", DIGEST)),
                Step(two.versions[0].pk, State.LINKED),
            ],
            links=[(one.pk, Link("L1", "https://l/1"), {})],
        )

    assert ledger.entries_by_pk([one.pk, two.pk]) == [one, two]
    assert ledger.events() == before
    assert ledger.by_link("L1") is None


def test_several_steps_of_one_version(
    ledger: Ledger, seen: Callable[..., Entry], document: Callable[..., Document], clock: Callable[[], Any]
) -> None:
    """A version may take several steps at once, in order, with its copy and its document's link."""
    entry = seen(document(), State.PLANNED)
    pk = entry.versions[0].pk
    copy = Copy("de", "documents/1", DIGEST, clock())

    ledger.advance(
        [Step(pk, State.COPIED, copy=copy), Step(pk, State.VERIFIED), Step(pk, State.LINKED, detail="ok")],
        links=[(entry.pk, Link("L1", "https://l/1"), {"id": "069X"})],
    )

    found = ledger.by_link("L1")
    assert found is not None
    assert (found.pk, found.link, found.link_ref) == (entry.pk, Link("L1", "https://l/1"), {"id": "069X"})
    assert (found.versions[0].state, found.versions[0].copies, found.versions[0].detail) == (
        State.LINKED,
        (copy,),
        "ok",
    )
    assert ledger.knows_key("de", "documents/1")
    assert not ledger.knows_key("us", "documents/1")


def test_copy_in_the_same_store_is_written_over(
    ledger: Ledger, seen: Callable[..., Entry], document: Callable[..., Document], clock: Callable[[], Any]
) -> None:
    """A version has one copy per store: the newest that was told."""
    pk = seen(document(), State.PLANNED).versions[0].pk
    verified = Copy("de", "k2", DIGEST, clock())
    ledger.advance([Step(pk, State.COPIED, copy=Copy("de", "k1", Digest.of(b"other")))])
    ledger.advance([Step(pk, State.VERIFIED, copy=verified)])
    ledger.advance([Step(pk, State.COPIED, copy=Copy("us", "k3", DIGEST))])

    assert ledger.entries()[0].versions[0].copies == (verified, Copy("us", "k3", DIGEST))


@pytest.mark.parametrize(("steps", "links"), [([Step(7, State.KEPT)], []), ([], [(7, Link("L", "u"), {})])])
def test_unknown_numbers_are_refused(ledger: Ledger, steps: list[Step], links: list[Any]) -> None:
    """Nobody advances or links what the ledger does not know."""
    with pytest.raises(Permanent, match="7"):
        ledger.advance(steps, links=links)


def test_link_stands_for_one_document(
    ledger: Ledger, seen: Callable[..., Entry], document: Callable[..., Document]
) -> None:
    """The same link id cannot stand for two documents."""
    one, two = seen(document("D1")), seen(document("D2"))
    ledger.advance([], links=[(one.pk, Link("L", "u"), {})])

    with pytest.raises(Permanent, match="link_id"):
        ledger.advance([], links=[(two.pk, Link("L", "u"), {})])


def test_data_that_is_no_json_changes_nothing(
    ledger: Ledger, seen: Callable[..., Entry], document: Callable[..., Document]
) -> None:
    """A step whose data cannot be written down is not taken."""
    entry = seen(document())

    with pytest.raises(TypeError):
        ledger.advance([Step(entry.versions[0].pk, State.KEPT, data={"x": object()})])

    assert ledger.entries() == [entry]
