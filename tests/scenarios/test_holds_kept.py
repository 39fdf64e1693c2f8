"""Legal holds outlive the ledger: they are in the stores too, and come back with a rebuild."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest

from offloader.audit import canonical
from offloader.errors import Transient
from offloader.holds import Hold, Scope
from offloader.model import Assurance, DocumentRef
from offloader.moves import matters, mirrored
from offloader.moves.auditing import verify as verify_log
from offloader.moves.checkpoints import close
from offloader.moves.holding import Holds
from offloader.moves.rebuild import RebuildReport, rebuild
from offloader.moves.run import run
from offloader.moves.site import Audit, Site
from offloader.people import People
from offloader.signing import new_key
from offloader.testing import MemoryStore
from offloader.testing.memory_records import MemoryRecords
from offloader.wrappers.faulty import Faulty
from tests.scenarios.conftest import House
from tests.scenarios.test_holds import KEY, PEOPLE, SECRET

LOG_KEY = new_key()
T = TypeVar("T")


@dataclass
class Registry:
    """People who hold and release in a house whose log is signed."""

    house: House
    blank: Path
    people: People = field(default_factory=lambda: People(PEOPLE.persons, lambda: LOG_KEY))

    def within(self, act: Callable[[Site], T], who: str = "anna") -> T:
        for site in self.house.site():
            # what `hold` works with: a ledger that it may not write, but by a moment of its own
            outside = replace(site.context, account=who)
            return act(replace(site, context=outside, people=self.people, audit=Audit(lambda: LOG_KEY)))
        raise AssertionError

    def hold(self, ref: DocumentRef) -> Hold:
        scope = Scope(documents=(str(ref),))
        return self.within(lambda site: matters.add(site, matter="Doe", scope=scope, reason=SECRET))

    def release(self, hold: Hold, *who: str) -> None:
        for name in who:
            key = KEY if name == "carl" else None
            self.within(partial(matters.release, hold=hold.id, reason="settled", key=key), name)

    def lose(self) -> RebuildReport:
        for path in self.house.directory.glob("ledger.sqlite*"):
            path.unlink()
        shutil.copy(self.blank, self.house.directory / "ledger.sqlite")
        return self.within(rebuild)

    def holds(self) -> list[Hold]:
        return self.within(lambda site: site.ledger.holds())

    def standing(self, ref: DocumentRef) -> tuple[str, ...]:
        def look(site: Site) -> tuple[str, ...]:
            entry = site.ledger.entry(ref)
            assert entry is not None
            return Holds.of(site).covering(entry)

        return self.within(look)

    def objects(self, store: MemoryStore) -> list[tuple[str, bytes]]:
        return [(key, b"".join(store.read(key))) for key, _ in store.list("holds/")]


@pytest.fixture
def registry(house: House, blank_ledger: Path) -> Registry:
    return Registry(house, blank_ledger)


@pytest.fixture
def ref(registry: Registry) -> DocumentRef:
    """A document that was moved, the second of the ledger: after a rebuild it may have another number."""
    house = registry.house
    for country in ("US", "DE"):
        name = house.source.crm.document("File", b"bytes", parents=[house.account(country)], name="secret.pdf")
    registry.within(run)
    return name


def test_a_hold_comes_back_with_the_ledger(registry: Registry, ref: DocumentRef) -> None:
    """It covers the same document under the new numbers, is signed as it was, and the new log vouches for it."""
    before = registry.hold(ref)
    report = registry.lose()
    assert (report.holds, report.errors) == (1, [])
    assert registry.standing(ref) == (before.id,)
    (after,) = registry.holds()
    assert after.statement() == before.statement()
    assert after.signature == before.signature != ""
    checked = registry.within(verify_log)
    assert checked.problems == []
    assert not [note for note in checked.notes if "hold" in note or "release" in note]
    for store in (registry.house.de, registry.house.us):
        ((_, body),) = registry.objects(store)
        assert SECRET.encode() not in body
        assert b"secret.pdf" not in body
    assert registry.lose().holds == 1, "a second time there is no second hold"
    assert len(registry.holds()) == 1


def test_a_released_hold_stays_released(registry: Registry, ref: DocumentRef) -> None:
    """Both agreements are in every store that has the hold: it does not stand again."""
    hold = registry.hold(ref)
    registry.release(hold, "anna", "carl")
    report = registry.lose()
    assert (report.holds, report.errors) == (0, [])
    (found,) = registry.holds()
    assert found.released_at is not None
    assert {each.person for each in found.releases} == {"anna", "carl"}
    assert registry.standing(ref) == ()


def test_one_person_alone_ends_nothing(registry: Registry, ref: DocumentRef) -> None:
    """What one person agreed to comes back as that, and the second still has to."""
    hold = registry.hold(ref)
    registry.release(hold, "anna")
    assert registry.lose().holds == 1
    assert [each.person for each in registry.holds()[0].releases] == ["anna"]
    registry.release(hold, "carl")
    assert registry.standing(ref) == ()


def test_a_store_that_is_down_is_told_later(registry: Registry, ref: DocumentRef) -> None:
    """The hold stands at once; the store that did not take it is asked again, and says so until then."""
    house = registry.house
    house.wrapped_stores["us"] = Faulty(house.us).on("put", repeat=9, raise_=Transient("away"))
    registry.hold(ref)
    assert registry.standing(ref) != ()
    assert registry.objects(house.us) == []
    assert registry.within(mirrored.pending) == {"us": [registry.objects(house.de)[0][0]]}
    sealed = registry.within(close)
    assert "store us yet: away" in str(sealed)
    house.wrapped_stores.clear()
    registry.within(close)
    assert registry.objects(house.us) == registry.objects(house.de)
    assert registry.within(mirrored.pending) == {}


def test_where_stores_disagree_it_stands(registry: Registry, ref: DocumentRef) -> None:
    """A release that one store with the hold does not know, for it was down, ends nothing after a rebuild."""
    house = registry.house
    hold = registry.hold(ref)
    house.wrapped_stores["us"] = Faulty(house.us).on("put", repeat=9, raise_=Transient("away"))
    registry.release(hold, "anna", "bert")
    assert registry.standing(ref) == ()
    house.wrapped_stores.clear()
    report = registry.lose()
    assert report.holds == 1
    assert registry.within(mirrored.pending) == {}, "every statement that counts is where the hold is"
    assert "is not in the store us" in report.errors[0]
    assert registry.standing(ref) == (hold.id,)
    assert registry.holds()[0].releases == ()


@pytest.mark.parametrize("change", [b"carl", b"bert"])
def test_a_forged_release_ends_nothing(registry: Registry, ref: DocumentRef, change: bytes) -> None:
    """Objects that somebody wrote into every store, without the keys, are told of and do not count."""
    house = registry.house
    hold = registry.hold(ref)
    registry.release(hold, "anna")
    (body,) = [body for _, body in registry.objects(house.de) if b"hold-release" in body]
    forged = body.replace(b"anna", change)
    for store in (house.de, house.us):
        store.put(f"holds/{hashlib.sha256(forged).hexdigest()[:32]}.json", [forged])
    report = registry.lose()
    assert report.holds == 1
    assert "does not count" in report.errors[0]
    assert registry.standing(ref) == (hold.id,)


def test_an_edited_object_is_told_of(registry: Registry, ref: DocumentRef) -> None:
    """Its name gives it away; the other store has the hold. One under a name that fits is held as well."""
    house = registry.house
    hold = registry.hold(ref)
    ((key, body),) = registry.objects(house.us)
    edited = body.replace(str(ref).encode(), b"crm/File/nothing")
    house.us.erase(key)
    house.us.put(key, [edited])
    report = registry.lose()
    assert (report.holds, len(report.errors)) == (1, 1)
    assert f"{key} in the store us is not what was written" in report.errors[0]

    house.us.put(f"holds/{hashlib.sha256(edited).hexdigest()[:32]}.json", [edited])
    report = registry.lose()
    assert report.holds == 2
    assert registry.standing(ref) == (hold.id,), "the one that is signed keeps its name"
    assert [each.id for each in registry.holds()] == [hold.id, f"{hold.id}-2"]


def test_only_stores_that_are_ours_and_proven_are_told(registry: Registry, ref: DocumentRef) -> None:
    """A store without a proven place, or with another CRM's mark, gets nothing."""

    class Named(MemoryRecords):
        def identity(self) -> dict[str, str]:
            return {"organisation": "00D1", "environment": "production", "address": ""}

    house = registry.house
    registry.within(lambda site: run(replace(site, records=lambda _: Named([]))))
    house.us.put("owner/crm.json", [canonical({"source": "crm", "organisation": "00D2"}).encode()])
    house.de.assurance = Assurance.UNPROVEN
    registry.hold(ref)
    assert registry.objects(house.us) == registry.objects(house.de) == []
    notes = str(registry.within(mirrored.keep))
    assert "holds documents of another CRM" in notes
    assert "not proven" in notes


def test_what_somebody_removes_from_a_store_is_put_back_and_told_of(registry: Registry, ref: DocumentRef) -> None:
    """The end of each run looks whether the stores still have what they took; only what is gone is written."""
    house = registry.house
    registry.hold(ref)
    ((key, body),) = registry.objects(house.us)
    house.us.erase(key)

    assert "1 statements about legal holds were removed from the store us" in str(registry.within(close))
    assert registry.objects(house.us) == [(key, body)]
    assert registry.within(mirrored.keep) == []
    assert registry.within(verify_log).problems == []


def test_an_agreement_to_the_end_of_an_earlier_hold_ends_no_later_one(registry: Registry, ref: DocumentRef) -> None:
    """A ledger that was lost and not rebuilt gives an id again; with the first hold's object gone from the stores, what
    two people said of it does not count for the second.
    """
    house = registry.house
    first = registry.hold(ref)
    ((key, _),) = registry.objects(house.de)
    registry.release(first, "anna", "carl")
    for path in house.directory.glob("ledger.sqlite*"):
        path.unlink()
    shutil.copy(registry.blank, house.directory / "ledger.sqlite")
    house.clock.advance(1)
    assert registry.hold(ref).id == first.id
    for store in (house.de, house.us):
        store.erase(key)

    report = registry.lose()

    assert report.holds == 1
    assert "is older than the hold" in report.errors[0]
    assert registry.standing(ref) == (first.id,)


def test_a_hold_after_a_rebuild_gets_an_id_that_none_has(registry: Registry, ref: DocumentRef) -> None:
    """Also where the first hold of the day did not come back, and the second did."""
    house = registry.house
    first, second = registry.hold(ref), registry.hold(ref)
    for store in (house.de, house.us):
        for key, body in registry.objects(store):
            if first.id.encode() in body:
                store.erase(key)
    registry.lose()

    assert registry.hold(ref).id not in {first.id, second.id}
