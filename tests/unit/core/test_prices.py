from __future__ import annotations

import pytest

from offloader import prices
from offloader.errors import ConfigError
from offloader.plugins import SourcePlugin, available, load

FRANKFURT = ("aws-s3", "STANDARD", "eu-central-1")
GLACIER = ("aws-s3", "GLACIER", "us-east-1")
INSTANT = ("aws-s3", "GLACIER_IR", "us-east-1")


def test_saving_by_list_prices() -> None:
    """A hundred gigabytes of Salesforce files cost $500 a month there and $2.45 in Frankfurt, with dates."""
    saving = prices.load().monthly_saving("salesforce", "file_storage", 100 * prices.GIGABYTE, store=FRANKFURT)

    assert saving is not None
    assert saving.crm_usd == pytest.approx(500)
    assert saving.store_usd == pytest.approx(2.45)
    assert saving.saved_usd == pytest.approx(497.55)
    assert "list, 2026, trade press)" in saving.note
    assert "list, 2026-07-01, AWS price list)" in saving.note


@pytest.mark.parametrize("store", [None, ("aws-s3", "STANDARD", "eu-south-1"), ("filesystem", "", "")])
def test_a_store_without_a_price_has_none(store: tuple[str, str, str] | None) -> None:
    """Where no price is listed, no other region's price is taken."""
    saving = prices.load().monthly_saving("dataverse", "file", prices.GIGABYTE, store=store)

    assert saving is not None
    assert (saving.crm_usd, saving.store_usd, saving.saved_usd) == (2, None, None)
    assert "no price" in saving.note


def test_an_unknown_meter_has_no_saving() -> None:
    """A CRM without a listed price gives no estimate."""
    assert prices.load().monthly_saving("hubspot", "file", 1) is None


def test_savings_of_several_crms_are_one_sum_with_every_price_used() -> None:
    """Bytes are priced by the meter of the CRM that they come from; what has no price counts nothing and is named."""
    loaded = prices.load()
    salesforce, dataverse = ("salesforce", "file_storage"), ("dataverse", "file")
    gigabyte = prices.GIGABYTE
    both = loaded.monthly_savings([(salesforce, gigabyte), (dataverse, 2 * gigabyte), (salesforce, gigabyte)])
    partly = loaded.monthly_savings([(dataverse, gigabyte), (None, gigabyte), (("hubspot", "file"), gigabyte)])

    assert both is not None
    assert both.crm_usd == pytest.approx(2 * 5 + 2 * 2)
    assert both.note.count("per GB and month") == 2
    assert both.note.count("no price") == 1
    assert partly is not None
    assert partly.crm_usd == pytest.approx(2)
    assert "other bytes: no listed price" in partly.note
    assert loaded.monthly_savings([(None, gigabyte)]) is None
    assert loaded.monthly_savings([]) is None


@pytest.mark.parametrize("name", available(SourcePlugin))
def test_every_source_says_by_which_listed_price_its_bytes_are_charged(name: str) -> None:
    """The meter that a source plugin names stands in the price table."""
    meter = load(SourcePlugin, name).storage_price

    assert meter in prices.load().crm


def test_small_objects_cost_more() -> None:
    """Minimum sizes and per-object overheads are billed."""
    loaded = prices.load()
    minimum = loaded.monthly_saving("dataverse", "file", 8192, objects=8192, store=INSTANT)
    overhead = loaded.monthly_saving("dataverse", "file", 0, objects=1 << 20, store=GLACIER)

    assert minimum is not None
    assert overhead is not None
    assert minimum.store_usd == pytest.approx(0.004)
    assert minimum.saved_usd is not None
    assert minimum.saved_usd < 0
    assert overhead.store_usd == pytest.approx(40 * 0.0036)


@pytest.mark.parametrize(
    ("name", "row", "message"),
    [
        (
            "crm_storage_prices",
            "x|y|cheap|2026||M|",
            "crm_storage_prices.psv line 2, column price: 'cheap' is no amount",
        ),
        ("object_storage_prices", "a|b|c|1|0|big|0|2026|M|", "line 2, column min_object_kb: 'big' is no number"),
    ],
)
def test_a_bad_price_is_named(name: str, row: str, message: str) -> None:
    """A bad price is refused by an error that names file, line and column."""
    texts = {
        "crm_storage_prices": "system|meter|price|as_of|note|conf|source",
        "object_storage_prices": "provider|class|region|usd_per_gb_month|min_days|min_object_kb|retrieval_usd_per_gb"
        "|as_of|conf|source",
    }

    with pytest.raises(ConfigError) as caught:
        prices.load({**texts, name: f"{texts[name]}\n{row}"})

    assert message in str(caught.value)


def test_requests_and_traffic_have_prices_of_their_own() -> None:
    """Writes, reads and traffic are priced where they are listed, apart, and nowhere else."""
    listed = prices.load().requests

    frankfurt = listed[FRANKFURT]
    assert frankfurt.put == pytest.approx(0.0054 / 1000)
    assert frankfurt.get == pytest.approx(0.00043 / 1000)
    assert (frankfurt.egress, frankfurt.as_of) == (0.09, "2026-08-31")
    assert listed["aws-s3", "STANDARD", "eu-west-1"].egress is None
    assert ("aws-s3", "STANDARD", "eu-south-1") not in listed
    assert set(listed) <= set(prices.load().store)


def test_early_deletion_is_paid_to_the_end_of_the_minimum() -> None:
    """Thirty days too early cost a month of what is stored, after the minimum nothing, never more than all of it."""
    price = prices.StorePrice(1.0, "2026", days=90)
    month = price.month([1 << 30])

    assert month == pytest.approx(1.0)
    assert [price.early_delete([1 << 30], days) for days in (-5, 0, 60, 90, 1000)] == pytest.approx([3, 3, 1, 0, 0])
