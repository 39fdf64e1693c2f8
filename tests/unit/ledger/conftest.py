"""A ledger in a temporary folder, a clock that stands still, and documents to put in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from offloader.ledger import Entry, Ledger, Step, open_ledger
from offloader.model import Checksum, Digest, Document, DocumentRef, Parent, State, Version
from offloader.ports import Page

KIND = "ContentDocument"


@dataclass
class Clock:
    """Time as the tests set it."""

    moment: datetime = datetime(2026, 11, 22, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.moment

    def forward(self, **by: float) -> None:
        self.moment += timedelta(**by)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
def ledger(path: Path, clock: Clock) -> Iterator[Ledger]:
    with open_ledger(path, now=clock) as opened:
        yield opened


def make_version(id: str, number: int = 1, **changes: Any) -> Version:
    fields: dict[str, Any] = {
        "name": "Größe\u202egpj.\x00pdf",
        "size": 100 * number,
        "checksum": Checksum("md5", Digest.of(id.encode()).md5),
        "etag": f"e-{id}",
        "created": datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
        "extra": {"origin": "H", "count": 3, "flag": True, "nothing": None},
    }
    return Version(id=id, number=number, **(fields | changes))


def make_document(name: str = "D1", *, versions: tuple[Version, ...] | None = None, **changes: Any) -> Document:
    fields: dict[str, Any] = {
        "title": "Größe \ud800 '; DROP TABLE documents; --",
        "parents": (Parent(type="Account", id="A'1", signals={"country": "DE"}, sharing={"ShareType": "V"}),),
        "owner": "U1",
        "modified": datetime(2026, 2, 3, tzinfo=UTC),
        "etag": f"doc-{name}",
    }
    versions = (make_version(f"{name}-v1"),) if versions is None else versions
    return Document(ref=DocumentRef("sf", KIND, name), versions=versions, **(fields | changes))


@pytest.fixture
def document() -> Callable[..., Document]:
    return make_document


@pytest.fixture
def version() -> Callable[..., Version]:
    return make_version


@pytest.fixture
def record(ledger: Ledger) -> Callable[..., Any]:
    """Record documents as a whole scan of one page."""

    def record(*documents: Document, since: str | None = None, **page: Any) -> Any:
        fields = {"documents": documents, "watermark": "w1"} | page
        return ledger.record_page("sf", KIND, Page(**fields), since=since)

    return record


@pytest.fixture
def seen(ledger: Ledger, record: Callable[..., Any]) -> Callable[..., Entry]:
    """Record a document and bring all its versions through these states."""

    def seen(document: Document, *states: State) -> Entry:
        record(document)
        found = ledger.entry(document.ref)
        assert found is not None
        for state in states:
            ledger.advance([Step(version.pk, state) for version in found.versions])
        again = ledger.entry(document.ref)
        assert again is not None
        return again

    return seen


@pytest.fixture(scope="session")
def clock_now() -> Callable[[], datetime]:
    """A clock for tests that make many ledgers."""
    return Clock()
