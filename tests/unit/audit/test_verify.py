"""An attacker with the database file in hand, and what `audit verify` says to it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from offloader.errors import ConfigError, IntegrityError
from offloader.ledger.journal import event_text
from offloader.merkle import leaf_hash
from offloader.moves import auditing
from offloader.moves.auditing import Verified
from offloader.moves.checkpoints import checkpoint
from offloader.signing import new_key, public_key
from offloader.testing import MemoryStore
from tests.unit.audit.conftest import Office


def verify(office: Office, *outside: tuple[str, str], public: tuple[str, ...] = ()) -> Verified:
    with office.site(exclusive=False) as site:
        return auditing.verify(site, outside=outside, public=public)


def rewrite(office: Office, *, after: int = 0, change: int = 0) -> None:
    """Write the log anew from an event on, chain and all: the perfect forgery, but for checkpoints elsewhere."""
    connection = sqlite3.connect(office.path)
    connection.row_factory = sqlite3.Row
    rows = [dict(row) for row in connection.execute("SELECT * FROM events ORDER BY seq")]
    statements, head = [], rows[after - 1]["hash"].hex() if after else "0" * 64
    for row in rows[after:]:
        if row["seq"] == change:
            row["data"] = '{"n":"forged"}'
        head = __import__("hashlib").sha256((head + event_text(row)).encode()).hexdigest()
        statements.append(f"UPDATE events SET data = '{row['data']}', hash = x'{head}' WHERE seq = {row['seq']}")
    connection.close()
    office.forge(*statements)


def test_a_whole_log_verifies(office: Office) -> None:
    """A log that nobody touched holds: chain, tree, signatures, and the copies in the store."""
    office.grow(5, 1, 7)

    found = verify(office)

    assert (found.problems, found.notes, found.first_bad) == ([], [], None)
    assert (found.events, found.checkpoints, found.signatures, found.copies) == (13, 3, 6, 3)


def test_an_edited_event_is_named(office: Office) -> None:
    """An event whose words were changed is named by its number."""
    office.grow(9)
    office.forge("""UPDATE events SET data = '{"n":"none"}' WHERE seq = 4""")

    found = verify(office)

    assert found.first_bad == 4
    assert "event 4 was changed" in found.problems[0]


def test_a_hash_that_is_none_is_named(office: Office) -> None:
    """What stands in place of a hash, of whatever type, breaks the chain there and nothing else."""
    office.grow(9)
    office.forge("UPDATE events SET hash = 'text' WHERE seq = 3")

    assert verify(office).first_bad == 3


def test_a_deleted_event_is_named(office: Office) -> None:
    """An event that was taken out leaves a hole that is named."""
    office.grow(9)
    office.forge("DELETE FROM events WHERE seq = 6")

    found = verify(office)

    assert found.first_bad == 6
    assert "event 6 is missing" in found.problems[0]


def test_a_deleted_event_is_named_when_the_rest_moved_up(office: Office) -> None:
    """A hole that was closed by renumbering is found where it was."""
    office.grow(9)
    office.forge("DELETE FROM events WHERE seq = 6", "UPDATE events SET seq = seq - 1 WHERE seq > 6")

    assert verify(office).first_bad == 6


def test_reordered_events_are_named(office: Office) -> None:
    """Two events that changed their places are found at the first of the two."""
    office.grow(9)
    office.forge(
        "UPDATE events SET seq = 100 WHERE seq = 3",
        "UPDATE events SET seq = 3 WHERE seq = 7",
        "UPDATE events SET seq = 7 WHERE seq = 100",
    )

    assert verify(office).first_bad == 3


def test_a_log_that_lost_its_end_is_found(office: Office) -> None:
    """Events cut off up to a checkpoint are missed by it, and named; the chain alone would hold."""
    office.grow(5, 4)
    office.forge("DELETE FROM events WHERE seq > 7")

    found = verify(office)

    assert found.first_bad == 8
    assert any("events 8 to 9 are missing" in problem for problem in found.problems)


def test_a_log_and_checkpoints_that_lost_their_end_are_found_by_the_copy(office: Office) -> None:
    """An attacker who also deletes the checkpoint from the ledger is found by the copy in the store."""
    office.grow(5, 4)
    office.forge("DELETE FROM events WHERE seq > 5", "DELETE FROM checkpoints WHERE size > 5")

    found = verify(office)

    assert found.first_bad == 6
    assert all("in the store vault" in problem for problem in found.problems)


@pytest.mark.parametrize("after", [0, 2])
def test_a_rewritten_log_does_not_fit_its_checkpoint(office: Office, after: int) -> None:
    """A log written anew, with a chain that holds, is found at the checkpoint, though the attacker has no key."""
    office.grow(6)
    rewrite(office, after=after, change=4)

    found = verify(office)

    assert found.first_bad is not None
    assert any("event 6 or one before it" in problem for problem in found.problems)


def test_a_wholly_rewritten_log_is_found_by_a_checkpoint_outside(office: Office, tmp_path: Path) -> None:
    """With chain, checkpoints and key in the attacker's hands, only what lies outside tells: a kept checkpoint."""
    office.stores = ()
    office.grow(6)
    with office.site(exclusive=False) as site:
        kept = site.ledger.checkpoints()[0].signature
    rewrite(office, change=1)
    office.forge("DELETE FROM checkpoints", "DELETE FROM meta WHERE key = 'merkle_edge'")
    office.grow(0)

    assert verify(office).problems == []
    found = verify(office, ("kept.jws", kept))

    assert found.first_bad == 1
    assert any("kept.jws is of another log" in problem for problem in found.problems)


def test_a_forged_checkpoint_is_found(office: Office) -> None:
    """A checkpoint that was made to fit the forged log, without the key, is found by its signature."""
    office.grow(4)
    rewrite(office, change=2)
    with office.site(exclusive=False) as site:
        leaves = [leaf_hash(event.leaf.encode()) for event in site.ledger.event_texts()]
    from offloader.merkle import Tree  # noqa: PLC0415

    office.forge(f"UPDATE checkpoints SET root = '{Tree(leaves).root(4).hex()}'")

    found = verify(office)

    assert any("what was signed is not the checkpoint" in problem for problem in found.problems)


def test_a_signature_by_another_key_is_found(office: Office) -> None:
    """A checkpoint is only good under a key that the auditor knows."""
    office.grow(4)

    found = verify(office, public=(public_key(new_key()),))

    assert any("by none of the known keys" in problem for problem in found.problems)
    assert verify(office, public=(public_key(new_key()), office.public)).problems == []


def test_a_lost_copy_is_found(office: Office) -> None:
    """A copy that the store should hold and does not is a breach."""
    office.grow(4)
    with office.site(exclusive=False) as site:
        key = site.ledger.checkpoints()[0].stores["vault"]
    office.store.delete(key)

    assert any("has lost its copy" in problem for problem in verify(office).problems)


def test_without_checkpoints_it_says_what_it_cannot_see(office: Office) -> None:
    """A log without checkpoints verifies, with a word about what that does not show."""
    with office.site() as site:
        office.write(3, site)

    found = verify(office)

    assert found.problems == []
    assert any("no checkpoint" in note for note in found.notes)


def test_unsigned_checkpoints_are_said(office: Office) -> None:
    """Without a key there are checkpoints, and a note that nobody signed them."""
    office.key = None
    made = office.grow(3)

    found = verify(office)

    assert not made.signed
    assert found.problems == []
    assert any("is not signed" in note for note in found.notes)


def test_another_log_by_the_same_key_is_said(office: Office, tmp_path: Path) -> None:
    """A store that holds checkpoints of another log by our own key is worth a look: the ledger may be a new one."""
    other = Office(tmp_path / "other", office.clock, office.store, office.key)
    other.grow(2)
    office.clock.advance(3600)
    office.grow(3)

    found = verify(office)

    assert found.problems == []
    assert any("another log" in note for note in found.notes)


@pytest.mark.parametrize("text", ["", "a.b.c", "{}", '{"format":"offloader-checkpoint-1","size":"3"}', "[1]"])
def test_what_is_no_checkpoint_is_refused(office: Office, text: str) -> None:
    """A file that holds no checkpoint is named, and nothing is verified against it."""
    office.grow(2)

    with pytest.raises(ConfigError, match=r"kept\.jws holds no checkpoint"):
        verify(office, ("kept.jws", text))


def test_a_checkpoint_is_made_of_new_events_only(office: Office) -> None:
    """The next checkpoint reads what came since the last one, and none is made where nothing came."""
    first, second = office.grow(40), office.grow(2)
    read: list[int] = []
    with office.site() as site:
        texts = site.ledger.event_texts
        office.write(3, site)
        site.ledger.event_texts = lambda **k: (read.append(k.get("after", 0)), texts(**k))[1]  # type: ignore[method-assign, func-returns-value]
        third, again = checkpoint(site), checkpoint(site)

    assert third is not None
    assert (first.size, second.size, third.size) == (40, 42, 45)
    assert again == third
    assert min(after for after in read if after) >= 41
    assert verify(office).problems == []


def test_no_checkpoint_is_made_of_a_broken_log(office: Office) -> None:
    """A log that was changed or cut since the last checkpoint gets no new one: that would cover it up."""
    office.grow(5)
    with office.site() as site:
        office.write(3, site)
    office.forge("""UPDATE events SET data = '{"n":"none"}' WHERE seq = 7""")
    with office.site() as site, pytest.raises(IntegrityError, match="event 7"):
        checkpoint(site)
    office.forge("DELETE FROM events WHERE seq > 3")
    with office.site() as site, pytest.raises(IntegrityError, match="ends at 3"):
        checkpoint(site)
    with office.site() as site:
        office.write(4, site)
        with pytest.raises(IntegrityError, match="event 5, or one before it, is not what"):
            checkpoint(site)


@pytest.mark.parametrize("change", [f"'$.nodes[0]', '{'f' * 64}'", "'$.nodes', 'x'", "'$.head', null"])
def test_an_edge_that_was_tampered_with_is_not_gone_on_from(office: Office, change: str) -> None:
    """A kept edge that does not fit the last checkpoint is thrown away, and the tree made from the beginning."""
    office.grow(5)
    office.forge(f"UPDATE meta SET value = json_set(value, {change}) WHERE key = 'merkle_edge'")

    office.grow(2)

    assert verify(office).problems == []


def test_a_first_checkpoint_is_not_made_fit_by_a_tampered_edge(office: Office) -> None:
    """Without a kept edge, the tree is compared with the last checkpoint on its way from the beginning."""
    office.grow(5)
    rewrite(office, change=2)
    office.forge("DELETE FROM meta WHERE key = 'merkle_edge'")

    with pytest.raises(IntegrityError, match="event 5, or one before it"):
        office.grow(2)


def test_a_store_that_takes_no_copy_is_said_and_asked_again(office: Office) -> None:
    """A store that is not proven, or missing, is a note, and gets the older checkpoints too when it can."""
    assert isinstance(office.store, MemoryStore)
    countries, office.store.countries = office.store.countries, frozenset()
    made = office.grow(3)
    assert made.stores == []
    assert "its place is not proven" in made.notes[0]
    office.store.countries = countries

    later = office.grow(2)

    assert (later.stores, later.notes) == (["vault"], [])
    keys = [key for key, _ in office.store.list("checkpoints/")]
    assert [key.rpartition("/")[2] for key in keys] == ["000000000003.jws", "000000000005.jws"]


def test_a_restored_old_ledger_shows_at_the_next_copy(office: Office) -> None:
    """A ledger brought back from a backup that goes on differently meets the checkpoint that lies in the store."""
    office.grow(3)
    backup = office.path.read_bytes()
    office.grow(2)
    office.path.write_bytes(backup)
    for suffix in ("-wal", "-shm"):
        office.path.with_name(office.path.name + suffix).unlink(missing_ok=True)
    office.clock.advance(5)

    made = office.grow(2)

    assert made.stores == []
    assert "already holds other bytes" in made.notes[0]
    assert verify(office).first_bad == 5
