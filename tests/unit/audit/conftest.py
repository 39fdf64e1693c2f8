"""A log with checkpoints: a ledger on a fake clock, a key, a store for copies, and an attacker's pen."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from offloader.ledger import open_ledger
from offloader.model import Document, DocumentRef, Version
from offloader.moves.checkpoints import Checkpointed, checkpoint
from offloader.moves.site import Audit, Links, Site
from offloader.ports import Page, Store
from offloader.signing import new_key, public_key
from offloader.testing import FakeClock, MemoryStore, context


@dataclass
class Office:
    """One ledger and its surroundings."""

    directory: Path
    clock: FakeClock
    store: Store
    key: str | None = field(default_factory=new_key)
    stores: tuple[str, ...] = ("vault",)

    @property
    def path(self) -> Path:
        return self.directory / "ledger.sqlite"

    @property
    def public(self) -> str:
        assert self.key is not None
        return public_key(self.key)

    @contextmanager
    def site(self, *, exclusive: bool = True) -> Iterator[Site]:
        with open_ledger(self.path, now=self.clock.now, exclusive=exclusive) as ledger:
            yield Site(
                ledger=ledger,
                sources={},
                stores={"vault": self.store},
                policies={},
                links=Links("https://files.example.com", b"key"),
                context=context(self.directory, clock=self.clock),
                audit=Audit(lambda: self.key, self.stores),
            )

    def write(self, count: int, site: Site) -> None:
        for number in range(count):
            site.ledger.record_event("test", data={"n": number})

    def grow(self, *counts: int) -> Checkpointed:
        """Write so many events, and a checkpoint after each lot."""
        made = None
        with self.site() as site:
            for count in counts:
                self.write(count, site)
                self.clock.advance(60)
                made = checkpoint(site)
        assert made is not None
        return made

    def seen(self, name: str) -> DocumentRef:
        """Record a document, which leaves an event."""
        ref = DocumentRef("crm", "File", name)
        version = Version(id=f"{name}-1", number=1, name="n", size=1)
        with self.site() as site:
            page = Page(documents=(Document(ref=ref, title="t", versions=(version,)),))
            site.ledger.record_page("crm", "File", page, since=None)
        return ref

    def forge(self, *statements: str) -> None:
        """Change the database past the program, as an attacker who can write the file does."""
        connection = sqlite3.connect(self.path)
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f'DROP TRIGGER "{name}"')
        for statement in statements:
            connection.execute(statement)
        connection.commit()
        connection.close()


@pytest.fixture
def office(tmp_path: Path) -> Office:
    clock = FakeClock()
    return Office(tmp_path, clock, MemoryStore("vault", now=clock.now))
