"""A CRM that was restored, cloned or pointed at somebody else's store is recognised before a byte is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

from offloader.errors import ConfigError, Refused
from offloader.ledger import Event, open_ledger
from offloader.model import State
from offloader.moves.apply import apply_plan
from offloader.moves.identity import accept_identity
from offloader.moves.pages import entries_in
from offloader.moves.plan import make_plan
from offloader.moves.restore import restore
from offloader.moves.run import run
from offloader.moves.scan import scan
from offloader.moves.site import Site
from offloader.testing.memory_records import MemoryRecords
from offloader.wrappers.faulty import Faulty
from tests.scenarios.conftest import House

HOME = {"organisation": "00D1", "environment": "production", "address": "https://a.example.com"}


class Named(MemoryRecords):
    """Says what it is told to say of itself."""

    said: Mapping[str, str] = HOME

    def identity(self) -> Mapping[str, str]:
        return self.said


@dataclass
class World:
    house: House
    records: Named = field(default_factory=lambda: Named([]))

    def site(self, act: Callable[[Site], object]) -> object:
        for site in self.house.site():
            return act(replace(site, records=lambda _: self.records, person="anna"))
        raise AssertionError

    def document(self) -> None:
        self.house.source.crm.document("File", b"bytes", parents=[self.house.account("DE")])

    def refused(self, act: Callable[[Site], object], match: str) -> None:
        with pytest.raises(Refused, match=match) as caught:
            self.site(act)
        assert caught.value.rule == "identity"

    def events(self, type_: str) -> list[Event]:
        path = self.house.directory / "ledger.sqlite"
        with open_ledger(path, now=self.house.clock.now, exclusive=False) as ledger:
            return [event for event in ledger.events() if event.type == type_]


@pytest.fixture
def world(house: House) -> World:
    world = World(house)
    world.document()
    world.site(run)
    assert len(house.blobs(house.de)) == 1
    return world


def test_what_is_not_said_is_no_difference(world: World) -> None:
    """Another port, or a CRM that does not say today what it is, is still the same CRM."""
    world.records.said = {"organisation": "00D1", "environment": "unknown", "address": "https://a.example.com:8443"}
    world.document()
    world.site(run)
    assert len(world.house.blobs(world.house.de)) == 2


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({"organisation": "00D2"}, "organisation was 00D1, is 00D2"),
        ({"environment": "sandbox"}, "environment was production, is sandbox"),
        ({"address": "https://b.example.com"}, "address was"),
    ],
)
def test_another_crm_gets_nothing_written(world: World, changed: dict[str, str], match: str) -> None:
    """Another organisation, environment or address refuses scan, run and apply, with an event; nothing is written."""
    world.document()
    world.site(scan)
    plans: list[str] = []
    world.site(lambda site: plans.append(make_plan(site).id or ""))
    world.records.said = HOME | changed
    before = [*world.house.de.list()]
    for act in (scan, run, lambda site: apply_plan(site, plans[0])):
        world.refused(act, match)
    assert [*world.house.de.list()] == before
    assert len(world.house.source.crm.rows) == 1
    assert len(world.events("identity")) == 3


def test_a_person_can_say_that_it_is_right(world: World) -> None:
    """Accepted with a reason, the CRM is ours again, the stores are marked anew, and the log says who said so."""
    world.records.said = HOME | {"organisation": "00D2"}
    world.refused(scan, "offloader identity accept crm")
    with pytest.raises(ConfigError, match="say why"):
        world.site(lambda site: accept_identity(site, "crm", " "))
    world.site(lambda site: accept_identity(site, "crm", "moved to a new org"))
    world.document()
    world.site(run)
    assert len(world.house.blobs(world.house.de)) == 2
    (event,) = world.events("identity-accepted")
    assert (event.data["by"], event.data["reason"]) == ("anna", "moved to a new org")
    assert b"00D2" in b"".join(world.house.de.read("owner/crm.json"))


def test_a_sandbox_that_points_at_productions_store_is_refused(world: World) -> None:
    """Another ledger's CRM under the same name finds the mark in the store, and writes not a byte there."""
    house = world.house
    (house.directory / "ledger.sqlite").unlink()
    other = World(house, Named([]))
    other.records.said = {"organisation": "00D9", "environment": "sandbox", "address": "https://s.example.com"}
    other.document()
    before = [*house.de.list()]
    found: list[str] = []
    other.site(lambda site: found.append(str(run(site).stopped)))
    assert "00D1, production" in found[0]
    assert "00D9, sandbox" in found[0]
    assert [*house.de.list()] == before
    assert len(house.source.crm.rows) == 1


def test_a_crm_that_was_put_back_is_recognised(world: World) -> None:
    """Documents that are older than they were are no edit: the CRM was restored, and nothing is written any more."""
    house = world.house
    ref = house.source.crm.document("File", b"stays", parents=[house.account("FR")])
    world.site(scan)
    world.site(scan)
    house.source.crm.rows[ref].modified -= timedelta(days=2)
    world.refused(scan, "it was put back")
    world.site(lambda site: accept_identity(site, "crm", "restored after an accident"))
    world.site(scan)


def test_a_source_that_cannot_say_who_it_is_goes_on(house: House) -> None:
    """Without records nothing is compared, and no store is marked."""
    house.source.crm.document("File", b"bytes", parents=[house.account("DE")])
    house.run()
    assert [key for key, _ in house.de.list("owner/")] == []
    assert len(house.blobs(house.de)) == 1


def test_another_crm_gets_nothing_back(world: World) -> None:
    """`restore` writes into the CRM: not into one that is not the one it was; a run does not begin either."""
    before = dict(world.house.source.crm.links)
    world.records.said = {**HOME, "organisation": "00D2"}

    world.refused(lambda site: restore(site, entries_in(site, {State.DONE})), "organisation was 00D1")
    world.house.wrapped_stores["de"] = store = Faulty(world.house.de)
    world.refused(run, "organisation was 00D1")

    assert world.house.source.crm.links == before
    assert store.calls == []
