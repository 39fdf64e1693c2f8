"""kill -9 in the middle of `restore`: the next restore or run finishes it."""

from __future__ import annotations

import pytest

from tests.integration.whole.ground import Ground

#: of six documents, two of a kind, the second of the kind is hit: 2 a file, 4 an attachment, 6 on an e-mail
KILLS = [
    ("source", "restore", 2, "before"),
    ("source", "restore", 2, "after"),
    ("source", "restore", 4, "after"),
    ("source", "restore", 6, "after"),
    ("store", "read", 2, "before"),
    ("ledger", "replace_document", 4, "after"),
    ("ledger", "advance", 2, "after"),
    ("ledger", "advance", 6, "after"),
    ("source", "unlink", 4, "before"),
    ("source", "unlink", 2, "after"),
]


@pytest.mark.parametrize("kill", KILLS, ids=lambda kill: "-".join(map(str, kill)))
def test_a_killed_restore_is_finished(ground: Ground, kill: tuple[str, str, int, str]) -> None:
    """After a kill in the middle of a restore the next restore finishes it: each document is back once."""
    finishes(ground, kill, ())


@pytest.mark.parametrize("kill", KILLS[1:4] + KILLS[5:7], ids=lambda kill: "-".join(map(str, kill)))
def test_a_run_finishes_a_killed_restore(ground: Ground, kill: tuple[str, str, int, str]) -> None:
    """A run after such a kill does not take for new what the restore has put back: it finishes that document, and moves
    nothing."""
    finishes(ground, kill, ("run",))


def finishes(ground: Ground, kill: tuple[str, str, int, str], before: tuple[str, ...]) -> None:
    for body in (b"one", b"two"):
        ground.file("twin", body, body + b"2")
    for body in (b"one", b"two"):
        ground.attachment("twin", body)
    for body in (b"one", b"two"):
        ground.email_attachment("twin", body)
    held = sorted(document.sha256 for document in ground.witness().documents.values())
    ground.remember()
    ground.offloader("run", expect=(0,))
    assert ground.crash(*kill, command="restore") == -9
    ground.nothing_lost()
    for command in before:
        assert ground.offloader(command, expect=(0,))["moved"] == 0
    ground.offloader("restore", "--all", expect=(0,))
    assert sorted(document.sha256 for document in ground.witness().documents.values()) == held
    assert not ground.links()
    ground.converges(moved=0)
