"""Two policies compared over the ledger's documents."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from offloader.model import Decision, Document, Reason, Verdict
from offloader.moves.replay import replay
from offloader.ports import Target
from tests.scenarios.conftest import CountryPolicy, House


class Nothing(CountryPolicy):
    """Moves nothing."""

    def decide(self, document: Document, targets: Sequence[Target], now: datetime) -> Decision:
        return Decision(verdict=Verdict.KEEP, reasons=(Reason("NOT_SELECTED", "no"),))


def test_moved_documents_are_compared_and_deleted_ones_are_not(house: House) -> None:
    """A document whose original went with its move still counts; one that a user deleted before it moved does not."""
    crm = house.source.crm
    moved = crm.document("File", b"moved", name="a.pdf", parents=[house.account("DE")])
    deleted = crm.document("File", b"deleted", name="b.pdf", parents=[house.account("FR")])
    house.run()
    crm.delete(deleted)
    house.clock.advance(86_400)
    house.run()
    assert (house.entry(moved).deleted, house.entry(deleted).deleted) == (True, True)

    for site in house.site():
        found = replay(site, {"crm": CountryPolicy()}, {"crm": Nothing()})

    assert (found.documents, found.changed) == (1, 1)
    assert {example.document for example in found.examples.values()} == {str(moved)}
