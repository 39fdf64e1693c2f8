"""Which country a region is in: exact names, per provider and partition, and nothing else."""

from __future__ import annotations

from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offloader.errors import ConfigError
from offloader_connectors import regions

TABLES = files("offloader_connectors.regions") / "tables"


def texts() -> dict[str, str]:
    """Read the package's own tables, to change one of them."""
    return {name: (TABLES / f"{name}.psv").read_text(encoding="utf-8") for name in regions.TABLES}


@pytest.mark.parametrize(
    ("provider", "partition", "name", "country"),
    [
        ("aws", "aws", "eu-central-1", "DE"),
        ("aws", "aws", "eu-central-2", "CH"),
        ("aws", "aws", "eu-west-2", "GB"),
        ("aws", "aws", "ap-east-1", "HK"),
        ("aws", "aws-us-gov", "us-gov-west-1", "US"),
        ("aws", "aws-cn", "cn-north-1", "CN"),
        ("aws", "aws-eusc", "eusc-de-east-1", "DE"),
        ("wasabi", "", "eu-central-1", "NL"),
        ("wasabi", "", "eu-west-1", "GB"),
        ("wasabi", "", "eu-west-2", "FR"),
        ("azure", "AzurePublic", "northeurope", "IE"),
        ("azure", "AzureUSGovernment", "usgovvirginia", "US"),
        ("azure", "AzureChina", "chinanorth3", "CN"),
        ("gcs", "", "europe-west2", "GB"),
    ],
)
def test_the_same_name_is_another_country_elsewhere(provider: str, partition: str, name: str, country: str) -> None:
    """A region's country depends on the provider and the partition."""
    assert regions.lookup(provider, partition, name) == country


@pytest.mark.parametrize(
    ("provider", "partition", "name"),
    [
        ("aws", "aws", "eu-central-9"),
        ("aws", "aws", "EU-CENTRAL-1"),
        ("aws", "aws", "eu-central-1 "),
        ("aws", "aws", "eu"),
        ("aws", "aws", ""),
        ("aws", "aws", "us-gov-west-1"),
        ("aws", "aws-cn", "eu-central-1"),
        ("aws", "", "eu-central-1"),
        ("aws", "aws", "me-west-1"),
        ("aws", "aws-iso-e", "eu-isoe-west-1"),
        ("nobody", "", "eu-central-1"),
        ("azure", "AzurePublic", "chinanorth"),
        ("gcs", "", "EU"),
        ("gcs", "", "ASIA"),
        ("gcs", "", "EUR4"),
        ("cloudflare-r2", "", "jurisdiction:eu"),
    ],
)
def test_what_is_not_one_known_country_is_none(provider: str, partition: str, name: str) -> None:
    """A name that is unknown, of another partition, or in several countries has no country."""
    assert regions.lookup(provider, partition, name) is None


@given(st.text(max_size=20))
def test_nothing_is_guessed(name: str) -> None:
    """Only a name that stands in the table, character by character, has a country."""
    known = {region.name for region in regions.of_provider("aws", "aws")}
    assert name in known or regions.lookup("aws", "aws", name) is None


def test_a_place_of_several_countries_names_them_all() -> None:
    """A multi-country location counts with every country that its bytes can be in."""
    union = regions.region("gcs", "", "EU")
    pair = regions.region("gcs", "", "EUR4")
    assert union is not None
    assert len(union.countries) == 27
    assert "GB" not in union.countries
    assert pair is not None
    assert pair.countries == {"FI", "NL"}


def test_the_partition_follows_from_an_exact_name() -> None:
    """A region's partition is found by its name, and an unknown one has none."""
    assert regions.partition_of("aws", "us-gov-east-1") == "aws-us-gov"
    assert regions.partition_of("aws", "cn-northwest-1") == "aws-cn"
    assert regions.partition_of("aws", "cn-north-9") is None


@pytest.mark.parametrize(
    ("name", "pair", "abroad"),
    [("brazilsouth", "southcentralus", True), ("northeurope", "westeurope", True), ("uksouth", "ukwest", False)],
)
def test_a_pair_can_be_abroad(name: str, pair: str, abroad: bool) -> None:
    """An Azure region names its pair, which may be in another country."""
    found = regions.region("azure", "AzurePublic", name)
    assert found is not None
    assert found.pair == pair
    assert (regions.lookup("azure", "AzurePublic", pair) != found.country) is abroad


def test_a_class_of_storage_leaves_its_region_or_not() -> None:
    """Geo-redundant classes leave the region, local and zonal ones do not, an unknown one is unknown."""
    leaving = {name: sku.leaves_region for name, sku in regions.atlas().skus.items()}
    assert {name for name, leaves in leaving.items() if not leaves} == {
        name for name in leaving if name.endswith(("_LRS", "_ZRS"))
    }
    assert regions.sku("Standard_XRS") is None


@pytest.mark.parametrize(
    ("provider", "host", "name"),
    [
        ("wasabi", "s3.eu-central-1.wasabisys.com", "eu-central-1"),
        ("cloudflare-r2", "abc.eu.r2.cloudflarestorage.com", "jurisdiction:eu"),
        ("cloudflare-r2", "a.b.eu.r2.cloudflarestorage.com", None),
        ("wasabi", "s3.eu-central-1.wasabisys.com.example.net", None),
        ("wasabi", "xs3.eu-central-1.wasabisys.com", None),
        ("ovh", "s3.eu-central-1.wasabisys.com", None),
    ],
)
def test_an_endpoint_names_its_region(provider: str, host: str, name: str | None) -> None:
    """A host is an endpoint only if the provider publishes exactly it, an account's label apart."""
    found = regions.by_endpoint(provider, host)
    assert (found.name if found else None) == name


def test_the_tables_have_dates_and_a_version() -> None:
    """Every table has a date, and any change of any table changes the version."""
    assert set(regions.atlas().dates) == {*regions.TABLES} - {"dates"}
    for name in regions.TABLES:
        changed = {**texts(), name: texts()[name].rstrip("\n") + " \n"}
        assert regions.load(changed).version != regions.atlas().version


def test_collisions_agree_with_the_tables() -> None:
    """The list of misleading names says of AWS and Wasabi what their tables say."""
    for name, text in regions.atlas().collisions.items():
        said = dict(part.split(" ", 1) for part in text.split("; ")[:2])
        assert said["aws"] == regions.lookup("aws", "aws", name)
        assert said["wasabi"] == (regions.lookup("wasabi", "", name) or "-")


@pytest.mark.parametrize(
    ("table", "old", "new"),
    [
        ("aws_regions", "|DE|DE-HE", "|Germany|DE-HE"),
        ("aws_regions", "eu-central-2|", "eu-central-1|"),
        ("aws_regions", "|no|amazonaws.com|Europe (Frankfurt)", "|maybe|amazonaws.com|Europe (Frankfurt)"),
        ("azure_regions", "southcentralus|US|YES", "southcentralus|BR|YES"),
        ("azure_regions", "|westeurope|NL|YES", "|nowhere|NL|YES"),
        ("azure_skus", "|YES|no (until failover)|yes", "|yes|no (until failover)|yes"),
        ("other_provider_regions", "|NL|s3.eu-central-1.wasabisys.com|H", "|NL|s3.eu-central-1.wasabisys.com|"),
        ("gcs_locations", "|FI NL|", "|FI XXX|"),
        ("dates", "2026-08-20", "August"),
    ],
)
def test_a_wrong_cell_is_refused(table: str, old: str, new: str) -> None:
    """A table that says something impossible is refused, naming the place."""
    changed = texts()
    assert old in changed[table]
    changed[table] = changed[table].replace(old, new, 1)
    with pytest.raises(ConfigError, match=table):
        regions.load(changed)
