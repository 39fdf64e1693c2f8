from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta

import pytest

from offloader.model import Assurance, Document, DocumentRef, LocationProof, Parent, Skip, Version
from offloader.ports import Target, Tariff
from offloader_policies import tables

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
MakeDocument = Callable[..., Document]
MakeTarget = Callable[..., Target]


def _document(
    *countries: str,
    more: Iterable[Parent] = (),
    sizes: Iterable[int | None] = (5,),
    skip: Skip | None = None,
    **signals: str,
) -> Document:
    parents = [
        Parent(type="Account", id=f"A{number}", signals={"country": country, **signals})
        for number, country in enumerate(countries)
    ]
    versions = [
        Version(id=f"V{number}", number=number, name="x.pdf", size=size) for number, size in enumerate(sizes, 1)
    ]
    return Document(
        ref=DocumentRef("crm", "ContentDocument", "D1"),
        title="x",
        versions=tuple(versions),
        parents=(*parents, *more),
        skip=skip,
    )


def _target(
    *countries: str,
    name: str | None = None,
    assurance: Assurance = Assurance.ATTESTED,
    age: timedelta = timedelta(hours=1),
    lasts: timedelta = timedelta(hours=24),
    tariff: Tariff | None = None,
) -> Target:
    name = name or f"archive-{'-'.join(countries).lower()}"
    taken = NOW - age
    proof = LocationProof(
        store=name,
        assurance=assurance,
        countries=frozenset(countries),
        taken=taken,
        expires=taken + lasts,
        summary="",
    )
    return Target(name, proof, tariff)


@pytest.fixture(scope="session")
def now() -> datetime:
    return NOW


@pytest.fixture(scope="session")
def document() -> MakeDocument:
    """Make a document with one account per country."""
    return _document


@pytest.fixture(scope="session")
def target() -> MakeTarget:
    """Make a store in these countries with a proof one hour old."""
    return _target


@pytest.fixture(scope="session")
def stores() -> list[Target]:
    """The four stores of the demo."""
    return [_target(country) for country in ("AU", "BR", "DE", "US")]


@pytest.fixture(scope="session")
def texts() -> Mapping[str, str]:
    return tables.shipped()
