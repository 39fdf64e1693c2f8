"""Which country a provider's region is in: dated tables, exact names, and no guessing.

Region names mean different countries at different providers, so every question names the provider and the
partition too (the wall between a provider's clouds: `aws`, `aws-cn`, `AzurePublic`, …). A name that is not in the
tables, or stands there without a country, has none: the answer is None, and whoever asks must refuse.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

from offloader.errors import ConfigError
from offloader.psv import Row, rows

TABLES = (
    "aws_regions",
    "azure_regions",
    "azure_skus",
    "dates",
    "gcs_locations",
    "other_provider_regions",
    "region_name_collisions",
    "unions",
)
_COUNTRY = re.compile(r"[A-Z]{2}")
_UNKNOWN = "?"
#: (provider, partition, region)
Key = tuple[str, str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """One region of one provider.

    `countries` are ISO 3166-1 alpha-2 codes of every place its bytes can be; empty: unknown. `partition` is empty
    where a provider has only one cloud.
    """

    provider: str
    partition: str
    name: str
    countries: frozenset[str]
    #: ISO 3166-2, None where unknown
    subdivision: str | None = None
    #: the provider's own words for the place
    place: str = ""
    #: host of its S3 endpoint, `<acct>` standing for an account; empty where it follows from the name
    endpoint: str = ""
    #: whether the provider's own documentation says so
    confirmed: bool = True
    #: whether an account must enable it first (AWS); None where unknown
    opt_in: bool | None = None
    #: the region that geo-redundant storage copies to (Azure); None where it has no pair
    pair: str | None = None
    #: suffix of its host names (AWS)
    dns_suffix: str = ""

    @property
    def country(self) -> str | None:
        """The one country, None if there are several or it is unknown."""
        return next(iter(self.countries)) if len(self.countries) == 1 else None


@dataclass(frozen=True, slots=True)
class Sku:
    """A redundancy class of Azure storage, and whether copies leave the region for its pair."""

    name: str
    copies: str
    leaves_region: bool


@dataclass(frozen=True, slots=True)
class Atlas:
    """Every table, loaded and validated. `version` is the SHA-256 over all of them, in hex."""

    regions: Mapping[Key, Region]
    skus: Mapping[str, Sku]
    #: day of each table, ISO 8601
    dates: Mapping[str, str]
    #: names that mean different countries at different providers, with what they mean: "aws DE; wasabi NL"
    collisions: Mapping[str, str]
    version: str


def load(texts: Mapping[str, str] | None = None) -> Atlas:
    """Parse and validate the tables, those of this package by default. Raises ConfigError naming a bad cell."""
    if texts is None:
        folder = files("offloader_connectors.regions") / "tables"
        texts = {name: (folder / f"{name}.psv").read_text(encoding="utf-8") for name in TABLES}
    given = texts

    def table(name: str, *columns: str) -> list[Row]:
        return [*rows(f"tables/{name}.psv", given[name], columns)]

    unions = {row.required("name"): row.words("countries") for row in table("unions", "name", "countries")}
    regions: dict[Key, Region] = {}
    sources: tuple[tuple[list[Row], Callable[[Row], Region]], ...] = (
        (table("aws_regions", "region", "partition", "country", "subdivision", "opt_in", "dns_suffix", "name"), _aws),
        (table("azure_regions", "programmatic", "cloud", "country", "paired", "paired_country", "place"), _azure),
        (table("gcs_locations", "location", "countries", "subdivision", "place"), lambda row: _gcs(row, unions)),
        (
            table("other_provider_regions", "provider", "region", "country", "endpoint", "conf"),
            lambda row: _other(row, unions),
        ),
    )
    for found, read in sources:
        for row in found:
            region = read(row)
            key = (region.provider, region.partition, region.name)
            if key in regions:
                raise ConfigError(f"{row.origin}: {region.provider} {region.name} stands there twice")
            regions[key] = region
    _check_pairs(regions, table("azure_regions", "programmatic", "cloud", "paired", "paired_country"))
    return Atlas(
        regions=regions,
        skus={row.required("sku"): _sku(row) for row in table("azure_skus", "sku", "copies", "leaves_region")},
        dates={row.required("table"): str(row.day("as_of")) for row in table("dates", "table", "as_of", "from")},
        collisions={
            row.required("name"): "; ".join(
                filter(None, (f"aws {row.required('aws')}", f"wasabi {row.text('wasabi') or '-'}", row.text("other")))
            )
            for row in table("region_name_collisions", "name", "aws", "wasabi", "other")
        },
        version=hashlib.sha256("".join(f"{name}\n{given[name]}\n" for name in TABLES).encode()).hexdigest(),
    )


@lru_cache(1)
def atlas() -> Atlas:
    """Return this package's tables."""
    return load()


def region(provider: str, partition: str, name: str) -> Region | None:
    """Find a region by its exact name; None if the tables do not have it."""
    return atlas().regions.get((provider, partition, name))


def lookup(provider: str, partition: str, name: str) -> str | None:
    """Return the one country that a region is in; None if it is unknown, or not one."""
    found = region(provider, partition, name)
    return found.country if found else None


def partition_of(provider: str, name: str) -> str | None:
    """Return the partition that holds a region of this exact name; None if none does, or several do."""
    found = {key[1] for key in atlas().regions if key[0] == provider and key[2] == name}
    return found.pop() if len(found) == 1 else None


def of_provider(provider: str, partition: str) -> tuple[Region, ...]:
    """Return all regions of a provider's partition, by name."""
    found = (value for key, value in atlas().regions.items() if key[:2] == (provider, partition))
    return tuple(sorted(found, key=lambda value: value.name))


def by_endpoint(provider: str, host: str) -> Region | None:
    """Find the region whose S3 endpoint a provider publishes under this host name; None if it is no such host."""
    for found in of_provider(provider, ""):
        account, placeholder, rest = found.endpoint.partition("<acct>")
        if found.endpoint and (host == found.endpoint if not placeholder else _below(host, account + rest)):
            return found
    return None


def _below(host: str, domain: str) -> bool:
    label, dot, rest = host.partition(".")
    return bool(label) and f"{dot}{rest}" == domain


def sku(name: str) -> Sku | None:
    """Find an Azure redundancy class by its exact name; None if the tables do not have it."""
    return atlas().skus.get(name)


def _countries(row: Row, column: str, unions: Mapping[str, tuple[str, ...]]) -> frozenset[str]:
    if row.required(column) == _UNKNOWN or row.text(column).startswith("from "):
        return frozenset()
    found: set[str] = set()
    for word in row.words(column):
        if word not in unions and not _COUNTRY.fullmatch(word):
            row.fail(column, f"{word!r} is no country code")
        found |= {*unions.get(word, (word,))}
    return frozenset(found)


def _aws(row: Row) -> Region:
    opt_in = row.one_of("opt_in", ("yes", "no", _UNKNOWN))
    return Region(
        provider="aws",
        partition=row.required("partition"),
        name=row.required("region"),
        countries=_countries(row, "country", {}),
        subdivision=row.text("subdivision") or None,
        place=row.text("name"),
        opt_in=None if opt_in == _UNKNOWN else opt_in == "yes",
        dns_suffix=row.required("dns_suffix"),
    )


def _azure(row: Row) -> Region:
    return Region(
        provider="azure",
        partition=row.required("cloud"),
        name=row.required("programmatic"),
        countries=_countries(row, "country", {}),
        place=row.text("place"),
        pair=row.text("paired") or None,
    )


def _gcs(row: Row, unions: Mapping[str, tuple[str, ...]]) -> Region:
    return Region(
        provider="gcs",
        partition="",
        name=row.required("location"),
        countries=_countries(row, "countries", unions),
        subdivision=row.text("subdivision") or None,
        place=row.text("place"),
    )


def _other(row: Row, unions: Mapping[str, tuple[str, ...]]) -> Region:
    return Region(
        provider=row.required("provider"),
        partition="",
        name=row.required("region"),
        countries=_countries(row, "country", unions),
        endpoint=row.required("endpoint"),
        confirmed=row.one_of("conf", ("H", "M", "L")) == "H",
    )


def _sku(row: Row) -> Sku:
    leaves = row.one_of("leaves_region", ("YES", "no"))
    return Sku(row.required("sku"), row.required("copies"), leaves == "YES")


def _check_pairs(regions: Mapping[Key, Region], azure: list[Row]) -> None:
    """A pair must be a region of the same cloud, and be where the table says it is."""
    for row in azure:
        if name := row.text("paired"):
            pair = regions.get(("azure", row.text("cloud"), name))
            if pair is None or pair.country != row.text("paired_country"):
                row.fail("paired", f"{name!r} is no region in {row.text('paired_country')!r}")
