"""Dates that move in the CRM: a longer term reaches the locks, a shorter one waits for a person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import pytest

from offloader.disposition.acts import draft
from offloader.disposition.deletions import WatchReport, watch
from offloader.disposition.terms import Moved, accept
from offloader.errors import ConfigError, Refused, Transient
from offloader.ledger import Ledger
from offloader.ledger.disposing import Act, ActStep
from offloader.model import DocumentRef
from offloader.moves.site import Site
from offloader.testing import MemoryStore
from offloader.testing.memory_records import MemoryRecords
from offloader.wrappers.faulty import Faulty
from tests.scenarios.conftest import House
from tests.scenarios.test_expiry import Shelf, TermPolicy, acts
from tests.scenarios.test_holds import PEOPLE

NOWHERE = DocumentRef("", "", "")


@dataclass
class Desk(Shelf):
    """A house with a store that locks, and a document under a contract."""

    contract: tuple[str, str] = ("", "")
    ref: DocumentRef = NOWHERE

    def says(self, **signals: str) -> None:
        """What the CRM says of the contract from now on."""
        self.house.source.crm.records[self.contract] = {"country": "DE", **signals}

    def watch(self) -> Moved:
        found = self.within(watch)
        assert isinstance(found, WatchReport)
        return found.terms

    def locks(self) -> set[str | None]:
        """The days when the document's copies are free."""
        copies = [copy for version in self.house.entry(self.ref).versions for copy in version.copies]
        found = [self.house.de.locked(copy.key) for copy in copies]
        return {lock.until.date().isoformat() if lock and lock.until else None for lock in found}

    def told(self, type_: str = "term") -> list[Mapping[str, Any]]:
        found: list[Mapping[str, Any]] = []
        self.within(lambda site: found.extend(e.data for e in site.ledger.events() if e.type == type_))
        return found


@pytest.fixture
def desk(house: House) -> Desk:
    house.policy = TermPolicy()
    house.de = MemoryStore("de", countries=["DE"], now=house.clock.now, retains=True)
    made = Desk(house)
    made.contract = made.record(keep_until="2026-02-01")
    made.ref = made.document(made.contract)
    house.run()
    assert made.locks() == {"2026-02-02"}
    return made


def test_a_later_date_makes_the_locks_longer(desk: Desk) -> None:
    """Every copy is locked through the new day, the log says so, and the next look finds nothing new."""
    desk.says(keep_until="2027-03-01")
    assert (desk.watch().longer, desk.locks()) == (1, {"2027-03-02"})
    assert desk.told() == [{"was": "2026-02-01", "is": "2027-03-01", "locked": ["de"]}]
    assert desk.watch() == Moved()
    assert len(desk.told()) == 1


def test_a_term_that_begins_locks_what_was_free(desk: Desk) -> None:
    """The end of a contract that was open is known now: copies that had no lock have one."""
    other = desk.record(contract_end="")
    desk.ref = desk.document(other, data=b"y")
    desk.house.run()
    assert desk.locks() == {None}
    desk.house.source.crm.records[other] = {"country": "DE", "contract_end": "2026-01-31", "keep_until": "2033-01-31"}
    assert desk.watch().longer == 1
    assert desk.locks() == {"2033-02-01"}


def test_a_lock_that_failed_is_made_up_for(desk: Desk) -> None:
    """A store that is down leaves the old date in the ledger, is told of, and gets the lock the next time."""
    desk.says(keep_until="2027-03-01")
    desk.house.wrapped_stores["de"] = Faulty(desk.house.de).on(
        "retain", repeat=2, raise_=Transient("the store is away")
    )
    assert all("the store is away" in problem for problem in desk.watch().problems)
    assert desk.house.entry(desk.ref).document.parents[0].signals["keep_until"] == "2026-02-01"
    assert desk.watch().longer == 1
    assert desk.locks() == {"2027-03-02"}


def test_killed_before_the_ledger_knows(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ended between the lock and the ledger, the next look does the rest."""
    desk.says(keep_until="2027-03-01")
    with monkeypatch.context() as patched:
        patched.setattr(Ledger, "refresh_signals", _killed)
        with pytest.raises(KeyboardInterrupt):
            desk.watch()
    desk.watch()
    assert desk.locks() == {"2027-03-02"}
    assert desk.house.entry(desk.ref).document.parents[0].signals["keep_until"] == "2027-03-01"


def _killed(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_a_shorter_term_waits_for_a_person(house: House) -> None:
    """No lock gets shorter, and what would be due by the new date is for a person, until one says that it is right."""
    house.policy = TermPolicy()
    desk = Desk(house)
    desk.contract = desk.record(keep_until="2027-02-01", erase_by="2028-02-01")
    desk.ref = desk.document(desk.contract)
    house.run()
    desk.says(keep_until="2026-01-02", erase_by="2026-01-03")

    assert desk.watch().shorter == 1
    made = desk.plan()
    assert acts(made) == {"review": 1}
    assert "the CRM once said 2027-02-01" in made.planned[0].why

    def say(site: Site, who: str = "anna") -> date:
        known = replace(site, people=PEOPLE, context=replace(site.context, account=who))
        return accept(known, str(desk.ref), "the contract was ended early")

    with pytest.raises(Refused, match="nobody"):
        desk.within(lambda site: say(site, "zoe"))
    assert desk.within(say) == date(2027, 2, 1)
    assert desk.told("term-accepted")[0]["person"] == "anna"
    assert acts(desk.plan()) == {"erase": 1}
    with pytest.raises(ConfigError, match="no shorter term"):
        desk.within(say)


def test_a_shorter_term_shortens_no_lock(desk: Desk) -> None:
    """The lock of then stays, also when the date goes back and forth."""
    desk.says(keep_until="2027-03-01")
    desk.watch()
    desk.says(keep_until="2026-02-01")
    assert desk.watch().shorter == 1
    assert desk.locks() == {"2027-03-02"}
    desk.says(keep_until="2028-01-01")
    desk.watch()
    assert desk.locks() == {"2028-01-02"}


def test_a_changed_policy_makes_all_locks_longer(desk: Desk) -> None:
    """Where the policy asks for more, the locks follow, though no date in the CRM has moved."""

    class Longer(TermPolicy):
        def decide(self, *given: Any) -> Any:
            decision = super().decide(*given)
            assert decision.retention is not None
            return replace(decision, retention=replace(decision.retention, keep_until=date(2030, 12, 31)))

    desk.watch()
    desk.house.policy = Longer(fingerprint="2")
    desk.watch()
    assert desk.locks() == {"2031-01-01"}
    desk.house.wrapped_stores["de"] = store = Faulty(desk.house.de)
    desk.watch()
    assert store.count("retain") == 0


def test_what_went_with_a_purge_is_no_deletion(desk: Desk) -> None:
    """The link went with a record that we purged, or with its parent: no grace begins, its retention ends it."""

    def purge(site: Site, *taken: str) -> None:
        made = draft(site, "purge", ["crm"])
        made.add([Act(subject="crm/Case/1", act="delete", part="Case", body={"with": [[*taken, "etag"]]})])
        site.ledger.advance_acts(made.seal("one", {}).id, [ActStep(1, "done")])

    def look(site: Site) -> tuple[int, int, int]:
        found = watch(replace(site, records=lambda _: MemoryRecords([])))
        return found.unseen, found.purged, found.waiting

    desk.house.source.crm.links.clear()
    desk.within(lambda site: purge(site, "Contract", "another"))
    assert desk.within(look) == (1, 0, 0)
    desk.within(lambda site: purge(site, *desk.contract))
    assert desk.within(look) == (0, 1, 0)
