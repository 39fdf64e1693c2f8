"""A ledger with as many made-up documents as one likes, as a scan would have written it, and a site without servers."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from offloader.config import Config, GatewayOptions, Part, Settings
from offloader.ledger import Ledger, open_ledger
from offloader.model import Checksum, Document, DocumentRef, Parent, Version
from offloader.moves.site import Links, Site
from offloader.plugins import Options, PolicyPlugin, load
from offloader.ports import Page
from offloader.testing import FakeClock, MemorySource, MemoryStore, context
from offloader.testing.memory_crm import FILE

KIND = FILE.kind
PAGE = 1000
COUNTRIES = ("DE", "NL", "FR", "BE", "US", "GB", "CN", "RU", "AU", "ES", "IT", "PL", "CH", "BR", "IN", "JP")
STORES = {"frankfurt": "DE", "amsterdam": "NL", "paris": "FR", "dublin": "IE", "ohio": "US", "london": "GB"}
NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)
MIMES = ("application/pdf", "image/jpeg", "application/vnd.openxmlformats-officedocument.wordprocessingml.document")


def documents(count: int, seed: int = 1) -> Iterator[Document]:
    """Made-up documents: mostly one version, one to three records, 3 % of records without a country."""
    rng = random.Random(seed)
    for number in range(count):
        created = NOW - timedelta(minutes=rng.randrange(60 * 24 * 900))
        versions = 2 if rng.random() < 0.1 else 1
        yield Document(
            ref=DocumentRef("crm", KIND, f"069{number:015d}"),
            title=f"Contract {number} Jansen & Söhne",
            versions=tuple(_version(rng, number, each + 1, versions, created) for each in range(versions)),
            parents=tuple(_parent(rng) for _ in range(rng.choice((1, 1, 1, 2, 3)))),
            owner=f"005{rng.randrange(400):015d}",
            created=created,
            modified=created,
            etag=f"{number:x}",
        )


def _version(rng: random.Random, number: int, each: int, last: int, created: datetime) -> Version:
    name = f"068{number:012d}{each:03d}"
    return Version(
        id=name,
        number=each,
        name=f"contract-{number}.pdf",
        size=int(rng.lognormvariate(11, 1.6)),
        mime=rng.choice(MIMES),
        checksum=Checksum("md5", f"{rng.getrandbits(128):032x}"),
        created=created,
        modified=created,
        current=each == last,
        etag=name,
    )


def _parent(rng: random.Random) -> Parent:
    country = "" if rng.random() < 0.03 else rng.choice(COUNTRIES)
    return Parent(
        type=rng.choice(("Account", "Contact", "Opportunity")),
        id=f"001{rng.randrange(10**6):015d}",
        signals={"country": country},
        sharing={"ShareType": "V", "Visibility": "AllUsers"},
    )


def fill(ledger: Ledger, count: int, seed: int = 1) -> None:
    """Write the documents down as a scan does, page by page."""
    page: list[Document] = []
    for number, document in enumerate(documents(count, seed), 1):
        page.append(document)
        if len(page) == PAGE or number == count:
            last = number == count
            ledger.record_page(
                "crm",
                KIND,
                Page(documents=tuple(page), cursor=None if last else str(number), watermark="1" if last else None),
                since=None,
            )
            page = []


@contextmanager
def opened(directory: Path) -> Iterator[Site]:
    """A site on the ledger in that folder, at one moment: a fake CRM, stores in `STORES`, the residency rule book."""
    clock = FakeClock(NOW)
    plugin = load(PolicyPlugin, "residency")
    surroundings = context(directory, clock=clock)
    policy = plugin.open(plugin.options(), surroundings)
    with open_ledger(directory / "ledger.sqlite", now=clock.now) as ledger:
        yield Site(
            ledger=ledger,
            sources={"crm": MemorySource(now=clock.now)},
            stores={name: MemoryStore(name, countries=[place], now=clock.now) for name, place in STORES.items()},
            policies={"crm": policy},
            links=Links("https://files.example.com", b"key"),
            context=surroundings,
            person="account:benchmark",
            meters={"crm": ("salesforce", "file_storage")},
            homes={"crm": ("US",)},
            tariffs={"frankfurt": ("aws-s3", "STANDARD", "eu-central-1"), "paris": ("aws-s3", "STANDARD", "eu-west-3")},
        )


def config(directory: Path) -> Config:
    """The configuration that goes with `opened`, as far as reports ask for it."""
    settings = Settings.model_construct(gateway=GatewayOptions.model_construct(url="https://files.example.com"))
    parts = {
        "sources": {"crm": Part("crm", "memory", Options())},
        "stores": {name: Part(name, "memory", Options()) for name in STORES},
        "policies": {"residency": Part("residency", "residency", Options())},
    }
    return Config(directory / "offloader.yaml", settings, parts)
