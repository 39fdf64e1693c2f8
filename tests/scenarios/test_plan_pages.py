"""A plan of more than one page: each is written down while the next one is decided."""

from __future__ import annotations

from typing import Any

import pytest

from offloader.errors import StoreFull
from offloader.ledger import Ledger
from offloader.model import State
from offloader.moves import plan
from offloader.moves.plan import make_plan
from offloader.moves.scan import scan
from offloader.moves.sealing import check_drift
from tests.scenarios.conftest import House

DOCUMENTS = 7


@pytest.fixture(autouse=True)
def of_pages(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "PAGE", 2)
    for number in range(DOCUMENTS):
        house.source.crm.document("File", b"%d" % number, parents=[house.account("DE")], name=str(number))


def test_pages_make_one_plan(house: House) -> None:
    """All documents are in the plan, once, in the ledger's order, under the seal, and planned."""
    for site in house.site():
        scan(site)
        summary = make_plan(site)
        assert summary.id is not None
        items = [item for _, item in site.ledger.plan_items(summary.id)]
        entries = site.ledger.entries()

        assert [item.document for item in items] == [entry.pk for entry in entries]
        assert summary.documents == len(items) == DOCUMENTS
        assert {version.state for entry in entries for version in entry.versions} == {State.PLANNED}
        check_drift(site, summary.id)


@pytest.mark.parametrize("failing", [1, 2, 4])
def test_a_page_that_cannot_be_written_ends_the_plan(
    house: House, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    """Whichever page it is: the error is raised, the plan is not sealed, and what is not in it is not planned."""
    add, calls = Ledger.add_plan_items, []

    def broken(ledger: Ledger, plan_id: str, items: Any) -> list[str]:
        calls.append(1)
        if len(calls) == failing:
            raise StoreFull("no room left")
        return add(ledger, plan_id, items)

    monkeypatch.setattr(Ledger, "add_plan_items", broken)
    for site in house.site():
        scan(site)
        with pytest.raises(StoreFull):
            make_plan(site)
        (begun,) = site.ledger.plans()
        written = {item.document for _, item in site.ledger.plan_items(begun.id)}

        assert begun.status == "open"
        assert {entry.pk for entry in site.ledger.entries(states={State.PLANNED})} == written
        assert len(calls) == failing
