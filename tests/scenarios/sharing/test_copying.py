"""Equal bytes of documents that are alike are stored once, and each original goes by a proof of its own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from offloader.errors import Transient
from offloader.model import Document
from offloader.moves.copying import SMALL
from offloader.moves.rebuild import rebuild
from offloader.moves.restore import find, restore
from offloader.moves.run import run
from offloader.moves.verify import reconcile
from offloader.moves.withdrawing import take_away
from offloader.ports import Stored, Terms
from offloader.testing import MemoryStore
from offloader.wrappers.faulty import Faulty
from tests.scenarios.sharing.conftest import SharePolicy, World

LARGE = b"0123456789abcdef" * (SMALL // 16) + b"more"


@pytest.mark.parametrize("body", [b"logo", LARGE], ids=["small", "stream"])
@pytest.mark.parametrize("together", [True, False], ids=["one run", "two runs"])
def test_equal_bytes_lie_once(world: World, body: bytes, together: bool) -> None:
    """Two documents with the same bytes have one object, whether one run brings them or two; nothing else changes."""
    world.document("a", body)
    if not together:
        world.run()
    world.document("b", body)
    world.document("c", b"other")
    world.run()

    assert world.keys("a") == world.keys("b") != world.keys("c")
    assert len(world.objects()) == 2
    assert world.bodies("b") == [body]
    assert [world.house.states(ref) for ref in world.refs.values()] == [{"done"}] * 3
    with world.site() as site:
        assert reconcile(site).same
        for name in ("a", "b"):
            assert restore(site, [find(site, str(world.refs[name]))]).restored == 1


def test_small_bytes_that_are_stored_already_are_not_sent(world: World) -> None:
    """The second document costs the store a reading back and no object."""
    store = Faulty(world.house.de)
    world.house.wrapped_stores = {"de": store.port}
    world.moved(a=b"logo")
    store.calls.clear()
    world.moved(b=b"logo")

    asked = [call for call in store.calls if call.args and str(call.args[0]).startswith("documents/")]
    assert [call.method for call in asked] == ["stat"]


def test_equal_versions_of_one_document_lie_once(world: World) -> None:
    """A file that was changed and changed back has one object for both versions, and goes whole."""
    world.document("a", b"one", b"two", b"one")
    world.run()

    assert len(world.keys("a")) == 3
    assert len(world.objects()) == 2
    assert world.erase("a").states == {"done": 1}
    assert world.objects() == []


@pytest.mark.parametrize(
    "other",
    [{"country": "US"}, {"keep_until": "2033-01-01"}, {"erase_by": "2040-01-01"}],
    ids=["country", "keep", "erase"],
)
def test_what_is_not_alike_lies_apart(world: World, other: dict[str, str]) -> None:
    """Equal bytes under another law, or with other duties of keeping, are stored for themselves."""
    world.document("a", b"logo")
    world.document("b", b"logo", **other)
    world.run()

    assert world.keys("a") != world.keys("b")
    assert len(world.objects()) + len(world.objects(world.house.us)) == 2


def test_a_policy_that_does_not_say_so_keeps_copies_apart(world: World) -> None:
    """Without `duplicates: share` each document has a copy of its own."""
    world.house.policy = SharePolicy(terms=Terms())
    world.moved(a=b"logo", b=b"logo")

    assert len(world.objects()) == 2


@pytest.mark.parametrize("trouble", ["spoiled", "missing"])
def test_an_object_that_does_not_read_back_is_not_shared(world: World, trouble: str) -> None:
    """Where the stored bytes are not what they were, the second document gets an object that is."""
    world.moved(a=b"logo")
    (key,) = world.objects()
    world.house.de.corrupt(key) if trouble == "spoiled" else world.house.de.delete(key)
    world.moved(b=b"logo")

    assert world.bodies("b") == [b"logo"]
    assert world.keys("b") != [key]


def test_further_copies_are_shared_too(world: World) -> None:
    """Where a policy asks for two stores, equal bytes lie once in each."""
    second = world.house.wrapped_stores["de2"] = MemoryStore("de2", countries=["DE"], now=world.house.clock.now)

    class Both(SharePolicy):
        def decide(self, document: Document, *given):  # type: ignore[no-untyped-def]
            return replace(super().decide(document, *given), store="de", copies=("de2",))

    world.house.policy = Both()
    world.moved(a=b"logo", b=b"logo")

    assert (len(world.objects()), len(world.objects(second))) == (1, 1)
    world.erase("a")
    assert world.bodies("b") == [b"logo", b"logo"]
    world.erase("b")
    assert world.objects() == world.objects(second) == []


def test_the_longest_lock_stands(world: World) -> None:
    """A document that comes later with equal duties locks the shared object as long as it must, and never shorter."""
    world.house.de.capabilities = replace(world.house.de.capabilities, retains=True)
    for name in ("a", "b"):
        world.document(name, b"logo", keep_until="2033-12-31")
        world.run()
    (key,) = world.objects()

    lock = world.house.de.locked(key)
    assert lock is not None
    assert lock.until is not None
    assert lock.until.date().isoformat() == "2034-01-01"


def test_a_lost_ledger_comes_back_with_what_is_shared(world: World) -> None:
    """The catalog of each document names the shared key, also where one was re-homed and its copies have two keys."""
    world.moved(a=b"logo", b=b"logo")
    keys = world.keys("a")
    (world.house.directory / "ledger.sqlite").unlink()

    with world.site() as site:
        report = rebuild(site)
        entries = [site.ledger.entry(ref) for ref in world.refs.values()]

    assert (report.documents, report.errors) == (2, [])
    assert [[copy.key for copy in entry.versions[0].copies] for entry in entries if entry] == [keys, keys]
    world.pks = {name: entry.pk for name, entry in zip(world.refs, entries, strict=True) if entry}
    world.erase("a")
    assert world.bodies("b") == [b"logo"]


def test_what_a_run_could_not_link_is_taken_away_alone(world: World) -> None:
    """A document whose copy was shared and that must stay in the CRM loses its line, and the other keeps its bytes."""
    world.moved(a=b"logo")
    source = Faulty(world.house.source)
    source.on("link", repeat=float("inf"), raise_=Transient("503"))
    world.house.wrapped_source = source.port
    world.document("b", b"logo")
    world.run()
    assert world.keys("b") == world.keys("a")
    world.house.wrapped_source = None
    world.say("b", country="FR")
    world.house.run(full=True)

    assert world.keys("b") == []
    assert world.bodies("a") == [b"logo"]
    assert len(world.objects()) == 1


def test_an_object_is_not_taken_away_while_its_owner_comes_back(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes that are stored again under a key that by now only another document has stay when that one gives them up
    before the ledger knows of the new copy.
    """
    source = Faulty(world.house.source)
    source.on("link", repeat=float("inf"), raise_=Transient("503"))
    world.house.wrapped_source = source.port
    for name in ("a", "b"):
        world.document(name, b"logo", kind="File")
        world.run()
    world.say("a", country="FR")
    world.house.run(full=True)
    (key,) = world.objects()
    assert (world.keys("a"), world.keys("b")) == ([], [key])
    world.say("a", country="DE")
    world.house.wrapped_source = None
    refused: list[str] = []

    with world.site() as site:
        put = world.house.de.put

        def and_then(key: str, *args: Any, **named: Any) -> Stored:
            stored = put(key, *args, **named)
            if key in world.keys_in(site, "b"):
                with pytest.raises(Transient, match="about to be shared"):
                    take_away(site, world.pks["b"], "de", key)
                refused.append(key)
            return stored

        monkeypatch.setattr(world.house.de, "put", and_then)
        run(site, full=True)

    assert refused == [key]
    assert world.bodies("a") == [b"logo"]


def test_what_a_user_overwrote_is_taken_away_with_its_last_line(world: World) -> None:
    """Documents that shared bytes and were both edited before their links were written leave no object behind."""
    source = Faulty(world.house.source)
    source.on("link", repeat=float("inf"), raise_=Transient("503"))
    world.house.wrapped_source = source.port
    world.document("a", b"logo")
    world.document("b", b"logo")
    world.run()
    (old,) = world.objects()
    assert world.keys("a") == world.keys("b") == [old]
    world.house.wrapped_source = None
    for name in ("a", "b"):
        world.house.source.crm.edit(world.refs[name], b"newer")
    world.run()

    assert world.bodies("a") == world.bodies("b") == [b"newer"]
    assert len(world.objects()) == 1
    assert old not in world.objects()
    world.check()
