"""Disposal by a schedule: only what a person approved is carried out, and plans do not pile up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from offloader.disposition.scheduled import Turn, take_turn
from offloader.errors import Drift, Refused
from offloader.model import DocumentRef
from offloader.moves.approving import Said, approve
from offloader.moves.site import Site
from offloader.testing import FakeClock
from tests.scenarios.conftest import House
from tests.scenarios.erasure.conftest import Case, case  # noqa: F401 - a fixture
from tests.scenarios.test_expiry import DAY, Shelf, TermPolicy
from tests.scenarios.test_holds import PEOPLE


class Watch:
    """A service's account, and people who approve beside it."""

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf

    def site(self, account: str) -> Iterator[Site]:
        for site in self.shelf.house.site():
            outside = replace(site.context, account=account)
            yield replace(site, context=outside, people=PEOPLE, person=f"account:{account}")

    def turn(self, kind: str = "expire") -> Turn:
        for site in self.site("service"):
            return take_turn(site, kind)
        raise AssertionError

    def approve(self, turn: Turn) -> None:
        assert turn.plan is not None
        for site in self.site("anna"):
            approve(site, turn.plan.id, Said.APPROVED, "looked at")

    def due(self, body: bytes) -> DocumentRef:
        """A document that was moved, and whose time is up."""
        ref = self.shelf.document(self.shelf.record(erase_by="2026-01-04"), kind="Note", data=body)
        self.shelf.house.run()
        return ref

    def statuses(self) -> list[str]:
        for site in self.site("service"):
            return [row.status for row in site.ledger.plans() if row.header.disposes]
        raise AssertionError


@pytest.fixture
def watch(house: House) -> Watch:
    house.policy = TermPolicy()
    return Watch(Shelf(house))


def test_nothing_goes_without_a_person(watch: Watch) -> None:
    """Even where the policy asks nobody, a plan waits until a person approves; then the next turn carries it out."""
    house = watch.shelf.house
    watch.due(b"1")

    first, second = watch.turn(), watch.turn()

    assert (first.waiting, first.reports, first.fresh) == (1, [], True)
    assert len(house.blobs(house.de)) == 1
    assert first.plan is not None
    assert second.plan is not None
    assert (second.plan.id, second.fresh, second.waiting) == (first.plan.id, False, 1)
    watch.approve(second)

    third = watch.turn()

    assert [dict(report.states) for report in third.reports] == [{"done": 1}]
    assert house.blobs(house.de) == []
    assert third.plan is None


def test_another_plan_takes_the_place_of_one_that_nobody_spoke_about(watch: Watch) -> None:
    """When more is due, the plan of yesterday is settled; one that was approved is carried out first."""
    house = watch.shelf.house
    watch.due(b"1")
    first = watch.turn()
    watch.due(b"2")
    second = watch.turn()
    assert watch.statuses().count("sealed") == 1
    assert (second.fresh, second.waiting) == (True, 2)
    watch.approve(second)
    watch.due(b"3")

    third = watch.turn()

    assert [dict(report.states) for report in third.reports] == [{"done": 2}]
    assert (third.fresh, third.waiting) == (True, 1)
    assert len(house.blobs(house.de)) == 1
    assert first.plan is not None
    with pytest.raises(Refused, match="superseded"):
        watch.approve(first)


def test_an_approved_plan_that_no_longer_fits_is_refused_and_kept(watch: Watch) -> None:
    """After a change of the policy nothing is carried out, the job says so, and a plan under the new one is made."""
    house = watch.shelf.house
    watch.due(b"1")
    watch.approve(watch.turn())
    house.policy = TermPolicy(fingerprint="2")

    turn = watch.turn()

    assert [type(error) for error in turn.refused] == [Drift]
    assert turn.reports == []
    assert (turn.fresh, turn.waiting) == (True, 1)
    assert len(house.blobs(house.de)) == 1


def test_a_wrong_clock_stops_the_job(watch: Watch) -> None:
    """While the clock is behind the ledger, nothing is looked at or planned."""
    watch.shelf.house.clock.advance(2 * DAY)
    watch.due(b"1")
    watch.shelf.house.clock = FakeClock()
    with pytest.raises(Refused, match="clock"):
        watch.turn()


def test_an_erasure_goes_on_when_its_hold_is_released(case: Case) -> None:  # noqa: F811 - the fixture
    """What a hold kept stays in the approved plan, and goes with the first turn after the release."""

    def turn() -> Turn:
        with case.at("service") as site:
            return take_turn(site, "erase")

    hold = case.hold()
    with case.at("carl") as site:
        made = case.plan(site)
        assert made.row is not None
    assert turn().reports == []
    with case.at() as site:
        approve(site, made.row.id, Said.APPROVED, "a request under Article 17")

    (report,) = turn().reports
    assert report.states["held"] == 1
    (again,) = turn().reports
    assert again.states["held"] == 1
    case.release(hold)
    (last,) = turn().reports
    assert last.states["done"] == 1
    assert turn().reports == []
    assert case.house.source.crm.bytes_of(case.mine["file"]) is None
