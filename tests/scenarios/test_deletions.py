"""Deletions in the CRM start a time of grace; what is merely not seen starts nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from offloader.disposition.deletions import WatchReport, watch
from offloader.disposition.expiring import apply_expiry
from offloader.disposition.expiry import ExpiryPlan, plan_expiry
from offloader.errors import ConfigError
from offloader.ledger import Entry
from offloader.model import DocumentRef, State
from offloader.moves.site import Site
from offloader.ports import Ends, Status, Terms
from offloader.records import RecordRef, RecordType
from offloader.testing.memory_records import MemoryRecords
from tests.scenarios.conftest import CountryPolicy, House

DAY = 86_400


@dataclass
class World:
    """A house beside the records of its CRM, which can tell what was deleted."""

    house: House
    records: MemoryRecords

    def site(self, act: Callable[[Site], object]) -> object:
        for site in self.house.site():
            return act(replace(site, records=lambda _: self.records))
        raise AssertionError

    def watch(self) -> WatchReport:
        found = self.site(watch)
        assert isinstance(found, WatchReport)
        return found

    def plan(self) -> ExpiryPlan:
        found = self.site(plan_expiry)
        assert isinstance(found, ExpiryPlan)
        return found

    def moved(self, kind: str = "Note") -> DocumentRef:
        ref = self.house.source.crm.document(kind, b"bytes", parents=[self.house.account("DE")])
        self.records.add(kind, {}, id=ref.id)
        self.house.run()
        return ref

    def drop(self, ref: DocumentRef) -> None:
        """Delete a placeholder as a user does."""
        self.house.source.crm.delete(ref)
        self.records.drop(ref.id)


@pytest.fixture
def world(house: House) -> World:
    house.policy = CountryPolicy(terms=Terms(ends=Ends(grace_days=30)))
    types = [RecordType(name=name, label=name, fields=(), children=()) for name in ("Note", "File", "Account")]
    return World(house, MemoryRecords(types, now=house.clock.now))


def entry(world: World, pk: int) -> Entry:
    found: list[Entry] = []
    world.site(lambda site: found.extend(site.ledger.entries_by_pk([pk])))
    return found[0]


def test_a_deletion_ends_the_bytes_after_its_grace(world: World) -> None:
    """A deleted placeholder keeps its bytes for the days of the policy; then the plan has it, and it goes."""
    ref = world.moved()
    pk = world.house.entry(ref).pk
    world.drop(ref)
    assert world.plan().row is None
    assert world.watch() == WatchReport(looked=1, started=1, waiting=1)
    world.house.clock.advance(29 * DAY)
    assert world.watch() == WatchReport(looked=1, waiting=1)
    assert world.plan().row is None
    world.house.clock.advance(2 * DAY)
    made = world.plan()
    assert dict(made.acts) == {"erase": 1}
    assert made.row is not None
    name = made.row.id
    world.site(lambda site: apply_expiry(site, name))
    assert world.house.blobs(world.house.de) == []
    assert {version.state for version in entry(world, pk).versions} == {State.ERASED}
    assert world.watch() == WatchReport()


def test_the_grace_is_never_shorter_than_the_bin_of_the_crm(world: World) -> None:
    """With a policy of no days, a kind whose bin keeps 15 days waits for those."""
    world.house.policy = CountryPolicy(terms=Terms(ends=Ends(grace_days=0)))
    file, note = world.moved("File"), world.moved("Note")
    crm = world.house.source.crm
    crm.links.clear()
    records = [(parent.type, parent.id) for parent in world.house.entry(file).document.parents]
    world.records.add("Account", {}, id=records[0][1])
    world.records.drop(records[0][1])
    world.drop(note)
    assert world.watch().started == 2
    days = {}
    world.site(
        lambda site: days.update(
            {each.document: (each.due - each.since).days for each in site.ledger.waiting_deletions()}
        )
    )
    assert days == {world.house.entry(file).pk: 15, world.house.entry(note).pk: 0}


@pytest.mark.parametrize("at", ["watch", "plan", "apply"])
def test_a_link_that_is_back_ends_the_grace(world: World, at: str) -> None:
    """Whoever takes a deletion back in the CRM takes it back here, at the last moment too."""
    ref = world.moved()
    row = world.house.source.crm.rows[ref]
    world.drop(ref)
    world.watch()
    world.house.clock.advance(31 * DAY)
    made = world.plan() if at == "apply" else None
    world.house.source.crm.rows[ref] = row
    if made is not None and made.row is not None:
        name = made.row.id
        world.site(lambda site: apply_expiry(site, name))
    elif at == "watch":
        assert world.watch().cancelled == 1
    assert world.plan().row is None
    assert world.house.states(ref) == {"done"}
    assert len(world.house.blobs(world.house.de)) == 1
    world.site(_none_waits)


def _none_waits(site: Site) -> None:
    assert site.ledger.waiting_deletions() == []


def test_what_is_merely_not_seen_is_no_deletion(world: World) -> None:
    """A link that is not found, while the CRM does not call it deleted, starts nothing, however long it lasts."""
    ref = world.moved()
    world.house.source.crm.delete(ref)
    world.records.forget(ref.id)
    assert world.records.gone([RecordRef("crm", "Note", ref.id)]) == [Status.REFUSED]
    assert world.watch() == WatchReport(looked=1, unseen=1)
    world.house.clock.advance(400 * DAY)
    assert world.watch() == WatchReport(looked=1, unseen=1)


def test_a_source_that_cannot_tell_starts_nothing(world: World) -> None:
    """Without records to ask, no missing link is a deletion."""
    ref = world.moved()
    world.house.source.crm.delete(ref)

    def none(_: str) -> MemoryRecords:
        raise ConfigError("no records")

    found = [watch(replace(site, records=none)) for site in world.house.site()]
    assert found == [WatchReport(looked=1, unseen=1)]


def test_a_file_whose_records_stand_is_not_deleted(world: World) -> None:
    """A link that is gone while a record that it hung on is there is not certain to be deleted."""
    ref = world.moved("File")
    parents = world.house.entry(ref).document.parents
    world.records.add("Account", {}, id=parents[0].id)
    world.house.source.crm.links.clear()
    assert world.watch() == WatchReport(looked=1, unseen=1)
