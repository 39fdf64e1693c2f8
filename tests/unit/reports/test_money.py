"""What a plan saves, document by document."""

from __future__ import annotations

import pytest

from offloader import prices
from offloader.model import Verdict
from offloader.plugins import StorePlugin, load
from offloader.prices import GIGABYTE, Prices, RequestPrice, StorePrice
from offloader.reports.model import Count
from tests.unit.reports.conftest import FRANKFURT, Desk, Retention, date, decision, move

SMALL = ("test", "SMALL", "here")
COLD = ("test", "COLD", "here")
BARE = ("test", "BARE", "here")
CRM_BYTE = 5 / GIGABYTE


@pytest.fixture(autouse=True)
def made_up_prices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Real prices, and three made-up classes: with a minimum size, with minimum days, and without request prices."""
    listed = prices.load()
    store = {
        SMALL: StorePrice(1.0, "2026", minimum=1000),
        COLD: StorePrice(0.5, "2026", overhead=100, days=90),
        BARE: StorePrice(1.0, "2026"),
    }
    requests = {
        SMALL: RequestPrice(0.01, None, None, "2026"),
        COLD: RequestPrice(0.02, 0.001, 0.1, "2026", "a list"),
    }
    both = Prices(listed.crm, {**listed.store, **store}, {**listed.requests, **requests})
    monkeypatch.setattr(prices, "load", lambda: both)


def test_savings_are_net_of_the_store_and_of_writes(desk: Desk) -> None:
    """What the CRM asks a month less what the store asks, two writes once, and every price with its date."""
    desk.tariffs = {"de": FRANKFURT}
    desk.document("a", b"1" * 600, b"2" * 424)

    report = desk.planned()

    money, row = report.money, next(report.rows())
    assert money is not None
    assert money.crm_month == pytest.approx(1024 * CRM_BYTE)
    assert money.store_month == pytest.approx(1024 * 0.0245 / GIGABYTE)
    assert money.saved_month == pytest.approx(1024 * (5 - 0.0245) / GIGABYTE)
    assert money.saved_month == row.saved_month
    assert money.requests_once == pytest.approx(2 * 0.0054 / 1000)
    assert money.months_to_earn == pytest.approx(money.requests_once / money.saved_month)
    assert money.losers == Count()
    said = "\n".join(money.notes)
    assert "salesforce file storage: 5 USD per GB and month (list, 2026, trade press)" in said
    assert "aws-s3 STANDARD eu-central-1: 0.0245 USD per GB and month (list, 2026-07-01, AWS price list)" in said
    assert "writes 0.0054 USD per 1,000; reads 0.00043 USD per 1,000; to the internet 0.09 USD per GB" in said


def test_small_documents_lose_where_a_minimum_size_is_billed(desk: Desk) -> None:
    """Each version is billed as the minimum if it is smaller; what costs more outside than inside is a loser."""
    desk.tariffs = {"de": SMALL}
    desk.document("small", b"1" * 10, b"2" * 20)
    desk.document("large", b"3" * 5000)

    report = desk.planned()

    assert report.money is not None
    assert report.money.store_month == pytest.approx((1000 + 1000 + 5000) / GIGABYTE)
    assert report.money.losers == Count(1, 2, 30)
    assert [row.saved_month < 0 for row in report.rows() if row.saved_month is not None] == [True, False]


def test_erasing_before_the_minimum_days_costs_a_fee(desk: Desk) -> None:
    """What must be gone after 30 of 90 days is paid for 60 more, with the overhead of each object; later is free."""
    desk.tariffs = {"us": COLD}
    desk.document("soon", b"1" * 900, made=move("us", retention=Retention(None, date(2026, 12, 22), ("X",))))
    desk.document("later", b"1" * 900, made=move("us", retention=Retention(None, date(2027, 12, 22), ("X",))))

    money = desk.planned().money

    assert money is not None
    month = 1000 * 0.5 / GIGABYTE
    assert money.store_month == pytest.approx(2 * month)
    assert money.requests_once == pytest.approx(2 * 0.02 + month * 60 / 30)


def test_every_copy_is_paid(desk: Desk) -> None:
    """A document in two stores costs both, and is written to both."""
    desk.tariffs = {"de": SMALL, "us": COLD}
    desk.document("a", b"1" * 2000, made=move("de", copies=("us",)))

    money = desk.planned().money

    assert money is not None
    assert money.store_month == pytest.approx((2000 + 2100 * 0.5) / GIGABYTE)
    assert money.requests_once == pytest.approx(0.03)


def test_what_has_no_price_is_in_no_sum(desk: Desk) -> None:
    """Documents that go to a store without a listed price are left out of every sum, and said to be."""
    desk.tariffs = {"de": SMALL, "us": ("aws-s3", "STANDARD", "eu-south-1")}
    desk.document("a", b"1" * 2000)
    desk.document("b", b"2" * 3000, made=move("us"))

    report = desk.planned()

    assert report.money is not None
    assert report.money.crm_month == pytest.approx(2000 * CRM_BYTE)
    assert report.money.saved_month == pytest.approx(2000 * CRM_BYTE - 2000 / GIGABYTE)
    assert [row.saved_month is None for row in report.rows()] == [False, True]
    assert "not in any sum: 1 documents (3000 bytes) that go to us, for which no price is listed" in report.money.notes
    assert "store us (aws-s3 STANDARD eu-south-1): no price" in report.money.notes


def test_without_any_store_price_only_the_crm_is_known(desk: Desk) -> None:
    """Nothing is said of savings where no store has a price, and no price is taken from elsewhere."""
    desk.document("a", b"1" * 2000)

    money = desk.planned().money

    assert money is not None
    assert money.crm_month == pytest.approx(2000 * CRM_BYTE)
    assert (money.store_month, money.saved_month, money.requests_once, money.months_to_earn) == (None,) * 4
    assert "store de: no price" in money.notes


def test_without_a_price_of_writes_the_cost_of_moving_is_unknown(desk: Desk) -> None:
    """Storage can have a price where requests have none: then nothing is said of what is paid once."""
    desk.tariffs = {"de": BARE}
    desk.document("a", b"1" * 2000)

    money = desk.planned().money

    assert money is not None
    assert (money.requests_once, money.months_to_earn) == (None, None)
    assert money.saved_month == pytest.approx(2000 * 4 / GIGABYTE)
    assert "test BARE here, requests and traffic: no price" in money.notes


def test_what_stays_costs_and_saves_nothing(desk: Desk) -> None:
    """A plan that moves nothing has no sum."""
    desk.document("a", made=decision(Verdict.KEEP, "TOO_YOUNG"))

    report = desk.planned()

    assert report.money is None
    assert next(report.rows()).saved_month is None


@pytest.mark.parametrize(
    ("type", "options", "found"),
    [
        ("s3", {"bucket": "abc", "region": "eu-central-1"}, FRANKFURT),
        (
            "s3",
            {"bucket": "abc", "region": "us-east-1", "storage_class": "STANDARD_IA"},
            ("aws-s3", "STANDARD_IA", "us-east-1"),
        ),
        ("s3", {"bucket": "abc", "region": "us-east-1", "endpoint_url": "http://127.0.0.1:9000"}, None),
        (
            "s3",
            {
                "bucket": "abc",
                "region": "eu-central-1",
                "provider": "wasabi",
                "endpoint_url": "https://s3.wasabisys.com",
            },
            ("wasabi", "STANDARD", "eu-central-1"),
        ),
        (
            "azure_blob",
            {
                "account_url": "https://abc.blob.core.windows.net",
                "container": "abc",
                "tier": "Hot",
                "redundancy": "LRS",
                "region": "eastus",
            },
            ("azure-blob", "Hot LRS", "eastus"),
        ),
        ("azure_blob", {"account_url": "https://abc.blob.core.windows.net", "container": "abc", "tier": "Hot"}, None),
        ("filesystem", {"path": "x", "country": "DE"}, None),
    ],
)
def test_a_store_says_by_which_row_it_is_paid(type: str, options: dict[str, str], found: tuple[str, str, str]) -> None:
    """A store names the price list's row only where its options say all of it; an imitation of AWS is not AWS."""
    plugin = load(StorePlugin, type)

    assert plugin.tariff(plugin.options.model_validate(options)) == found
