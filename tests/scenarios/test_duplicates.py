"""Equal bytes across the ledger: found, summed, and told apart by what keeps them from being one copy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime

from offloader.disposition.duplicates import Duplicates, find_duplicates
from offloader.model import Decision, Document, Retention, Verdict
from offloader.ports import Target, Terms
from tests.scenarios.conftest import CountryPolicy, House


@dataclass
class Keeping:
    """The country's store; documents named `long` must be kept by a duty."""

    fingerprint: str = "keeping"
    terms: Terms = field(default_factory=Terms)

    def decide(self, document: Document, targets: Sequence[Target], now: datetime) -> Decision:
        decision = CountryPolicy().decide(document, targets, now)
        duty = Retention(keep_until=date(2033, 1, 1), rules=("TAX-7",))
        return replace(decision, retention=duty) if document.title == "long" else decision


def documents(house: House, *found: tuple[bytes, str, str]) -> None:
    """Moved documents: body, country of their account, title."""
    house.policy = Keeping()
    for body, country, title in found:
        house.source.crm.document("File", body, name=title, parents=[house.account(country)])
    assert house.run().moved == len(found)


def look(house: House, most: int = 20) -> Duplicates:
    for site in house.site():
        return find_duplicates(site, most=most)
    raise AssertionError


def test_no_two_alike(house: House) -> None:
    """Different bytes are no duplicates, even of one size."""
    documents(house, (b"one", "DE", "a"), (b"two", "DE", "b"))

    assert look(house) == Duplicates()


def test_what_keeps_equal_bytes_apart(house: House) -> None:
    """Equal bytes count as shareable only in one store, under one law, of one source, and with the same duties."""
    alike = [(b"12345", "DE", "a"), (b"12345", "DE", "b"), (b"12345", "US", "c"), (b"12345", "DE", "long")]
    documents(house, *alike)

    found = look(house)

    assert (found.groups, found.versions, found.copies) == (1, 4, 4)
    assert (found.spare, found.shareable) == (10, 5)
    likenesses = [(like.store, like.countries, like.retention, count) for like, count in found.largest[0].likenesses]
    assert likenesses == [
        ("de", ("DE",), (), 2),
        ("de", ("DE",), ("TAX-7", "2033-01-01", "-"), 1),
        ("us", ("US",), (), 1),
    ]
    assert len(found.largest[0].documents) == 4


def test_the_largest_come_first_and_the_rest_is_summed(house: House) -> None:
    """Only so many groups are named, those that waste most; the sums are of all."""
    documents(house, *((b"x" * size, "DE", str(n)) for size in (1, 3, 2) for n in range(2)))

    found = look(house, most=2)

    assert [group.size for group in found.largest] == [3, 2]
    assert (found.groups, found.spare) == (3, 6)


def test_what_cannot_be_decided_shares_with_nothing(house: House) -> None:
    """Where the law of a document is unknown today, its bytes are like no other's."""
    documents(house, (b"12345", "DE", "a"), (b"12345", "DE", "b"))

    @dataclass
    class Unsure(Keeping):
        def decide(self, document: Document, targets: Sequence[Target], now: datetime) -> Decision:
            return Decision(verdict=Verdict.REVIEW, reasons=())

    house.policy = Unsure()

    found = look(house)

    assert (found.spare, found.shareable) == (5, 0)
