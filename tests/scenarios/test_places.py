"""A run that lasts longer than the proofs that it began with."""

from __future__ import annotations

from datetime import timedelta

from offloader.moves.site import Pace
from offloader.wrappers.faulty import Faulty
from tests.scenarios.conftest import House


def move_three(house: House, *, abroad: bool) -> tuple[int, int, str | None]:
    """Three documents, one at a time; a day passes once the first is stored. Moved, stored, and why it stopped."""
    for number in range(3):
        house.source.crm.document("File", b"%d" % number, parents=[house.account("DE")])
    house.pace = Pace(concurrency=1, memory=1, attempts=1)

    def a_day_passes() -> None:
        house.clock.advance(timedelta(hours=25).total_seconds())
        house.de.countries = frozenset({"DE", "US"}) if abroad else house.de.countries

    house.wrapped_stores["de"] = Faulty(house.de).on("put", nth=1, after=a_day_passes).port
    report = house.run()
    return report.moved, len(house.blobs(house.de)), report.stopped


def test_a_proof_older_than_allowed_is_taken_again(house: House) -> None:
    """When the proof has run out amid a run the place is proven again, and the run goes on."""
    assert move_three(house, abroad=False) == (3, 3, None)


def test_a_place_that_moved_since_its_proof_gets_nothing_more(house: House) -> None:
    """When the proof has run out amid a run and the place is another, nothing more is written there, and it is said."""
    moved, stored, stopped = move_three(house, abroad=True)
    assert (moved, stored) == (1, 1)
    assert stopped is not None
    assert "location proof changed" in stopped
