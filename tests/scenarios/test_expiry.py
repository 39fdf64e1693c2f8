"""Expiry: what is due goes from every place, leaves a tombstone, and nothing else goes with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta

import pytest

from offloader.disposition.acts import Report
from offloader.disposition.expiring import apply_expiry
from offloader.disposition.expiry import ExpiryPlan, plan_expiry
from offloader.errors import Drift, Refused, Transient
from offloader.holds import Scope
from offloader.ledger import Ledger
from offloader.model import Decision, Document, DocumentRef, Retention, State
from offloader.moves.rebuild import rebuild
from offloader.moves.site import Site
from offloader.moves.verify import reconcile
from offloader.ports import Ends, Target, Terms
from offloader.testing import MemoryStore
from offloader.wrappers.faulty import Faulty
from tests.scenarios.conftest import CountryPolicy, House
from tests.scenarios.test_holds import Court

DAY = 86_400
ENDS = Terms(ends=Ends(after="delete"))


@dataclass
class TermPolicy(CountryPolicy):
    """Keeps a document until the day that its first record says, and erases it by the day that it says."""

    terms: Terms = field(default_factory=lambda: ENDS)

    def decide(self, document: Document, targets: Sequence[Target], now: datetime) -> Decision:
        decision = super().decide(document, targets, now)
        signals = document.parents[0].signals if document.parents else {}
        days = [signals.get(name, "") for name in ("keep_until", "erase_by")]
        keep, erase = (date.fromisoformat(day) if day else None for day in days)
        waiting = ("contract",) if "contract_end" in signals and not signals["contract_end"] else ()
        return replace(decision, retention=Retention(keep, erase, ("OWN-1",), waiting))


@dataclass
class Shelf:
    """A house whose documents have terms."""

    house: House

    def record(self, **signals: str) -> tuple[str, str]:
        return self.house.source.crm.record("Contract", country="DE", **signals)

    def document(self, *parents: tuple[str, str], kind: str = "File", data: bytes = b"x") -> DocumentRef:
        bodies = (data, data * 2) if kind == "File" else (data,)
        return self.house.source.crm.document(kind, *bodies, name="secret name.pdf", parents=parents)

    def within(self, act: Callable[[Site], object]) -> object:
        for site in self.house.site():
            return act(site)
        raise AssertionError

    def plan(self, *, refresh_all: bool = False, clock_checked: bool = False) -> ExpiryPlan:
        found = self.within(lambda site: plan_expiry(site, refresh_all=refresh_all, clock_checked=clock_checked))
        assert isinstance(found, ExpiryPlan)
        return found

    def apply(self, made: ExpiryPlan) -> Report:
        assert made.row is not None
        name = made.row.id
        found = self.within(lambda site: apply_expiry(site, name))
        assert isinstance(found, Report)
        return found

    def expire(self) -> Report:
        return self.apply(self.plan())

    def traces(self, store: MemoryStore) -> str:
        """Everything that a store holds, but for tombstones."""
        names = [key for key, _ in store.list() if not key.startswith("tombstones/")]
        return "\n".join(f"{name} {b''.join(store.read(name)).decode('latin-1')}" for name in names)


@pytest.fixture
def shelf(house: House) -> Shelf:
    house.policy = TermPolicy()
    return Shelf(house)


def acts(made: ExpiryPlan) -> dict[str, int]:
    return dict(made.acts)


def states(shelf: Shelf, number: int) -> set[State]:
    found: list[set[State]] = []

    def look(site: Site) -> None:
        (entry,) = site.ledger.entries_by_pk([number])
        found.append({version.state for version in entry.versions})

    shelf.within(look)
    return found[0]


def test_only_what_is_due_goes_and_it_goes_everywhere(shelf: Shelf) -> None:
    """Every version, the link, the catalog's lines and the ledger's names go; a tombstone without a name stays.

    A neighbour of the same batch, whose catalog segment was shared, can still be rebuilt from the store alone.
    """
    house = shelf.house
    old = shelf.document(shelf.record(erase_by="2026-01-04"), data=b"old")
    young = shelf.document(shelf.record(erase_by="2026-02-04"), data=b"young")
    house.run()
    number = house.entry(old).pk
    assert len(house.blobs(house.de)) == 4

    made = shelf.plan()
    assert acts(made) == {"erase": 1}
    assert len(house.blobs(house.de)) == 4
    report = shelf.apply(made)

    assert dict(report.states) == {"done": 1}
    assert states(shelf, number) == {State.ERASED}
    assert len(house.blobs(house.de)) == 2
    assert old.id not in shelf.traces(house.de)
    assert "old" not in shelf.traces(house.de)
    assert len(house.source.crm.links) == 1
    stones = b"".join(b"".join(house.de.read(key)) for key, _ in house.de.list("tombstones/"))
    assert b"expiry:erase-by OWN-1" in stones
    assert old.id.encode() not in stones
    assert b"secret" not in stones
    shelf.within(_same)
    (house.directory / "ledger.sqlite").unlink()
    shelf.within(rebuild)
    assert house.states(young) == {"done"}


def _same(site: Site) -> None:
    assert reconcile(site, deep=True).same


def test_a_term_that_moved_in_the_crm_counts(shelf: Shelf) -> None:
    """Dates are read afresh: what is no longer due stays, and a term that begins now is seen."""
    record = shelf.record(erase_by="2026-01-04")
    later = shelf.record(contract_end="", erase_by="2026-01-04")
    moved, begun = shelf.document(record, data=b"1"), shelf.document(later, data=b"2")
    shelf.house.run()
    assert acts(shelf.plan()) == {"erase": 1, "review": 1}

    records = shelf.house.source.crm.records
    records[record] = {"country": "DE", "erase_by": "2027-01-04"}
    records[later] = {"country": "DE", "contract_end": "2018-01-01", "erase_by": "2026-01-04"}
    made = shelf.plan()
    assert [each.ref for each in made.planned] == [begun]
    records[later] = {"country": "DE", "contract_end": "2020-01-01", "erase_by": "2030-01-04"}
    report = shelf.apply(made)

    assert dict(report.states) == {"conflict": 1}
    assert shelf.house.states(moved) == shelf.house.states(begun) == {"done"}
    assert len(shelf.house.blobs(shelf.house.de)) == 4


def test_what_a_deleted_record_said_last_goes_on_counting(shelf: Shelf) -> None:
    """A record that is gone frees nothing: its documents are kept until the day that it said."""
    record = shelf.record(keep_until="2030-01-01", erase_by="2031-01-01")
    ref = shelf.document(record)
    shelf.house.run()
    shelf.house.source.crm.delete_record(record)
    assert shelf.plan(refresh_all=True).row is None
    assert shelf.house.entry(ref).document.parents[0].signals["keep_until"] == "2030-01-01"


def test_a_hold_wins_at_every_moment(shelf: Shelf) -> None:
    """Held when planned: not in the acts; held after the plan: nothing of it is touched."""
    first, second = (shelf.document(shelf.record(erase_by="2026-01-04"), data=data) for data in (b"1", b"2"))
    shelf.house.run()
    court = Court(shelf.house)
    court.hold(Scope(documents=(str(first),)))
    made = shelf.plan()
    assert acts(made) == {"erase": 1, "hold": 1}
    court.hold(Scope(documents=(str(second),)))
    report = shelf.apply(made)
    assert dict(report.states) == {"held": 1, "skipped": 1}
    assert shelf.house.states(first) == shelf.house.states(second) == {"done"}
    assert len(shelf.house.source.crm.links) == 2


def test_a_lock_is_waited_for_and_its_day_is_said(shelf: Shelf) -> None:
    """A locked copy keeps the whole document, link included, and the plan says until when; afterwards it goes."""
    house = shelf.house
    ref = shelf.document(shelf.record(erase_by="2026-01-04"))
    house.run()
    end = house.clock.now() + timedelta(days=3)
    made = shelf.plan()
    house.de.lock(house.blobs(house.de)[1], end, lifts=True)
    report = shelf.apply(made)
    assert dict(report.states) == {"held": 1}
    assert "2026-01-08" in report.examples["held"]
    assert house.states(ref) == {"done"}
    assert len(house.source.crm.links) == 1
    assert len(house.blobs(house.de)) == 2
    waiting = shelf.plan()
    assert acts(waiting) == {"wait": 1}
    assert "2026-01-08" in waiting.planned[0].why
    house.clock.advance(4 * DAY)
    assert dict(shelf.expire().states) == {"done": 1}


def test_a_lock_that_may_be_lifted_is_passed_only_if_the_policy_says_so(shelf: Shelf) -> None:
    """With bypass_governance an expiry passes such a lock, and never one of the other sort."""
    house = shelf.house
    house.policy = TermPolicy(terms=Terms(ends=Ends(bypass_governance=True)))
    soft, hard = (shelf.document(shelf.record(erase_by="2026-01-04"), data=data, kind="Note") for data in (b"1", b"2"))
    house.run()
    for ref, lifts in ((soft, True), (hard, False)):
        key = house.entry(ref).versions[0].copies[0].key
        house.de.lock(key, house.clock.now() + timedelta(days=3), lifts=lifts)
    made = shelf.plan()
    assert {each.ref: each.act for each in made.planned} == {soft: "erase", hard: "wait"}
    shelf.apply(made)
    assert len(house.blobs(house.de)) == 1


def test_copies_are_locked_until_their_term_ends(house: House) -> None:
    """Where a store is asked to, each copy is locked through the last day of its minimum, before its original goes."""
    house.policy = TermPolicy()
    house.de = MemoryStore("de", countries=["DE"], now=house.clock.now, retains=True)
    shelf = Shelf(house)
    kept = shelf.document(shelf.record(keep_until="2026-02-01"), kind="Note", data=b"1")
    free = shelf.document(shelf.record(keep_until="2026-01-01"), kind="Note", data=b"2")
    house.run()
    locks = [house.de.locked(house.entry(ref).versions[0].copies[0].key) for ref in (kept, free)]
    assert [lock.until.isoformat() if lock and lock.until else None for lock in locks] == [
        "2026-02-02T00:00:00+00:00",
        None,
    ]


@pytest.mark.parametrize("place", ["erase_documents", "bury", "advance_acts"])
def test_killed_between_the_copies_and_the_ledger(shelf: Shelf, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ended at any step after the copies went, the next time ends as one clean run would have."""
    house = shelf.house
    ref = shelf.document(shelf.record(erase_by="2026-01-04"))
    house.run()
    number = house.entry(ref).pk
    made = shelf.plan()
    with monkeypatch.context() as patched:
        patched.setattr(Ledger, place, _killed)
        with pytest.raises(KeyboardInterrupt):
            shelf.apply(made)
    assert house.blobs(house.de) == []
    assert dict(shelf.apply(made).states) == {"done": 1}
    assert states(shelf, number) == {State.ERASED}
    assert ref.id not in shelf.traces(house.de)
    assert len([*house.de.list("tombstones/")]) == 1


def _killed(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_a_store_that_is_down_keeps_the_document_known(shelf: Shelf) -> None:
    """Where a copy cannot be erased, the ledger goes on leading to it, and the next plan tries again."""
    house = shelf.house
    ref = shelf.document(shelf.record(erase_by="2026-01-04"), kind="Note")
    house.run()
    made = shelf.plan()
    house.wrapped_stores["de"] = Faulty(house.de).on("erase", raise_=Transient("the store is away"))
    report = shelf.apply(made)
    assert dict(report.states) == {"failed": 1}
    assert house.states(ref) == {"done"}
    house.wrapped_stores.clear()
    assert dict(shelf.expire().states) == {"done": 1}


def test_the_caps_hold_for_expiry_too(shelf: Shelf) -> None:
    """A plan that erases more than the limit is refused before anything is touched."""
    house = shelf.house
    for data in (b"1", b"2"):
        shelf.document(shelf.record(erase_by="2026-01-04"), data=data)
    house.run()
    house.limits = replace(house.limits, documents=1)
    made = shelf.plan()
    with pytest.raises(Refused, match="limit is 1"):
        shelf.apply(made)
    assert len(house.blobs(house.de)) == 4


def test_a_clock_that_is_wrong_ends_nothing(shelf: Shelf) -> None:
    """Behind the newest event nothing is planned; over a month ahead of it only if somebody has looked."""
    house = shelf.house
    shelf.document(shelf.record(erase_by="2026-01-04"))
    house.run()
    made = shelf.plan()
    house.clock.set_back(3 * DAY)
    for act in (shelf.plan, lambda: shelf.apply(made)):
        with pytest.raises(Refused) as caught:
            act()
        assert caught.value.rule == "clock"
    house.clock.advance(40 * DAY)
    with pytest.raises(Refused, match="--clock-checked"):
        shelf.plan()
    assert acts(shelf.plan(clock_checked=True)) == {"erase": 1}


def test_another_policy_makes_the_plan_drift(shelf: Shelf) -> None:
    """A plan that was made under other rules is not carried out."""
    shelf.document(shelf.record(erase_by="2026-01-04"))
    shelf.house.run()
    made = shelf.plan()
    shelf.house.policy = TermPolicy(fingerprint="2")
    with pytest.raises(Drift):
        shelf.apply(made)


@pytest.mark.parametrize("later", ["2026-01-04", "2026-01-06"])
def test_bytes_that_another_document_shares_stay(shelf: Shelf, later: str) -> None:
    """One stored copy of two documents' equal bytes goes with the last of them, in the same plan or in a later one."""
    house = shelf.house
    old, young = (shelf.document(shelf.record(erase_by=day), kind="Note") for day in ("2026-01-04", later))
    house.run()
    shared = house.entry(old).versions[0].copies[0]

    def share(site: Site) -> None:
        (version,) = house.entry(young).versions
        site.stores["de"].delete(version.copies[0].key)
        site.ledger.place_copies([(version.pk, shared)])

    shelf.within(share)
    if later == "2026-01-04":
        assert dict(shelf.expire().states) == {"done": 2}
    else:
        assert dict(shelf.expire().states) == {"done": 1}
        assert house.blobs(house.de) == [shared.key]
        house.clock.advance(2 * DAY)
        assert dict(shelf.expire().states) == {"done": 1}
    assert house.blobs(house.de) == []
