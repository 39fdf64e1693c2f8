"""A plan that lets what is stored already lie once."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest

from offloader.disposition import segments
from offloader.disposition.acts import Report
from offloader.disposition.sharing import SharePlan, plan_sharing
from offloader.disposition.sharing_apply import apply_sharing
from offloader.errors import Drift, Refused, Transient
from offloader.moves.rebuild import rebuild
from offloader.moves.site import Limits
from offloader.moves.verify import reconcile, verify
from offloader.ports import Store, Terms
from tests.scenarios.sharing.conftest import SharePolicy, World
from tests.scenarios.test_rehoming import Killing, _on_disk

APART = SharePolicy(terms=Terms())


@pytest.fixture
def stored(world: World) -> World:
    """Three documents with equal bytes, stored apart by a policy that now lets them share."""
    world.house.policy = APART
    for name in "abc":
        world.document(name, b"logo")
    world.run()
    world.house.policy = SharePolicy()
    return world


def plan(world: World) -> SharePlan:
    with world.site() as site:
        return plan_sharing(site)


def apply(world: World, made: SharePlan) -> Report:
    assert made.row is not None
    with world.site() as site:
        return apply_sharing(site, made.row.id)


def test_equal_objects_give_way_to_one(stored: World) -> None:
    """Of three objects one is left, all three documents have it, and stores, ledger and catalogs agree on that."""
    made = plan(stored)
    assert (made.objects, made.bytes, len(made.documents)) == (2, 8, 2)
    assert len(stored.objects()) == 3

    report = apply(stored, made)

    assert (report.states, report.data["objects"], report.data["bytes"]) == ({"done": 2}, 2, 8)
    (key,) = stored.objects()
    assert [stored.keys(name) for name in "abc"] == [[key]] * 3
    assert plan(stored).row is None
    stored.check()
    sums = [b"".join(stored.house.de.read(each)) for each, _ in stored.house.de.list("catalog/")]
    assert {line.split()[1] for each in sums for line in each.splitlines() if b"  documents/" in line} == {key.encode()}
    (stored.house.directory / "ledger.sqlite").unlink()
    with stored.site() as site:
        found = rebuild(site)
        assert (found.documents, found.errors, found.states) == (3, [], {"done": 3})
        assert reconcile(site).same


def test_what_is_held_or_locked_is_kept(stored: World) -> None:
    """The object of a held document is the one that stays; a second one, which is locked, stays too, and is said."""
    stored.hold("b")
    held, locked = stored.keys("b")[0], stored.keys("c")[0]
    stored.house.de.lock(locked)

    made = plan(stored)
    report = apply(stored, made)

    assert dict(made.acts) == {"share": 1, "locked": 1}
    assert "somebody has locked it" in made.examples["locked"]
    assert report.states == {"done": 1}
    assert sorted(stored.objects()) == sorted([held, locked])
    assert stored.keys("a") == [held]


def test_what_changed_since_the_plan_is_left_alone(stored: World) -> None:
    """A hold, and other duties, that came after the plan each leave their documents as they are."""
    made = plan(stored)
    kept = stored.keys("a")
    stored.hold("b")
    stored.say("c", keep_until="2033-01-01")

    report = apply(stored, made)

    assert report.states == {"held": 1, "conflict": 1}
    assert len(stored.objects()) == 3
    assert stored.keys("a") == kept


def test_a_spare_object_that_another_document_has_stays(stored: World) -> None:
    """Where one of two documents that share the spare object is left alone after all, the object stays for it."""
    stored.hold("a")
    with stored.site() as site:
        stored.house.de.delete(stored.keys_in(site, "c")[0])
        spare = stored.entry_in(site, "b").versions[0].copies[0]
        site.ledger.place_copies([(stored.entry_in(site, "c").versions[0].pk, spare)])
    made = plan(stored)
    assert (made.objects, made.acts["share"]) == (1, 2)
    stored.say("c", country="US")

    assert apply(stored, made).states == {"done": 1, "conflict": 1}

    assert stored.keys("b") == stored.keys("a")
    assert stored.bodies("c") == [b"logo"]
    stored.check()


@pytest.mark.parametrize("trouble", ["spoiled", "missing"])
def test_a_kept_object_that_does_not_read_back_takes_nothing_away(stored: World, trouble: str) -> None:
    """Before a spare object goes, the kept one is read back: if it is not what it was, every document keeps its own."""
    made = plan(stored)
    (kept,) = stored.keys("a")
    stored.house.de.corrupt(kept) if trouble == "spoiled" else stored.house.de.delete(kept)

    report = apply(stored, made)

    assert report.states == {"conflict": 2}
    assert stored.bodies("b") == stored.bodies("c") == [b"logo"]


def test_the_rules_of_all_plans_hold(stored: World) -> None:
    """A plan over a limit is refused; one of a policy that lets copies share is void when the policy no longer does."""
    made = plan(stored)
    stored.house.limits = Limits(documents=1)
    with pytest.raises(Refused, match="the limit is 1"):
        apply(stored, made)
    stored.house.limits = Limits()
    stored.house.policy = SharePolicy(fingerprint="2", terms=Terms())
    assert plan(stored).row is None
    with pytest.raises(Drift):
        apply(stored, made)
    assert len(stored.objects()) == 3


@pytest.mark.parametrize(
    ("method", "nth", "after"),
    [("put", 1, False), ("erase", 1, True), ("erase", 3, True)],
)
def test_killed_anywhere_it_ends_the_same(stored: World, method: str, nth: int, after: bool) -> None:
    """A process that is killed at any step, and started again, leaves one object that all documents have."""
    house = stored.house
    disk: Store = _on_disk(house, "de", "DE")
    for key, _ in house.de.list():
        disk.put(key, house.de.read(key))
    house.wrapped_stores = {"de": disk}
    made = plan(stored)
    child = os.fork()
    if child == 0:
        house.wrapped_stores = {"de": _killing(disk, method, nth, after=after)}
        apply(stored, made)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    for name in "abc":
        assert stored.bodies(name) == [b"logo"]

    apply(stored, made)

    assert len(stored.objects(disk)) == 1
    for name in "abc":
        assert stored.keys(name) == stored.objects(disk)
    with stored.site() as site:
        assert verify(site).same
        assert reconcile(site).same


def _killing(disk: Store, method: str, nth: int, *, after: bool) -> Any:
    return Killing(disk, method, nth, after=after)


def test_the_newest_line_of_a_catalog_counts(stored: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that ends before the catalog is cleared leaves two lines of a document: a new ledger takes the later."""
    made = plan(stored)
    stored.house.clock.advance(60)
    assert made.row is not None
    with monkeypatch.context() as broken:
        broken.setattr(segments, "without_keys", lambda store, keys: _raise(Transient("503")))
        assert apply(stored, made).stopped is not None
    (key,) = stored.objects()
    (stored.house.directory / "ledger.sqlite").rename(stored.house.directory / "lost.sqlite")

    with stored.site() as site:
        found = rebuild(site)
        entries = [site.ledger.entry(ref) for ref in stored.refs.values()]
    assert (found.documents, found.errors) == (3, [])
    assert {copy.key for entry in entries if entry for each in entry.versions for copy in each.copies} == {key}

    (stored.house.directory / "lost.sqlite").rename(stored.house.directory / "ledger.sqlite")
    assert apply(stored, made).stopped is None
    lines = b"".join(b"".join(stored.house.de.read(each)) for each, _ in stored.house.de.list("catalog/"))
    assert lines.count(b"documents/") == lines.count(key.encode())


def _raise(error: Exception) -> None:
    raise error
