"""A house with a data subject: documents of hers alone, one that she shares, one of somebody else."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from offloader import signing
from offloader.config import PersonOptions
from offloader.disposition.acts import Report
from offloader.disposition.erasing import apply_erasure
from offloader.disposition.erasure import ErasurePlan, plan_erasure
from offloader.disposition.subjects import receive, search, subject_of
from offloader.holds import Scope
from offloader.model import DocumentRef
from offloader.moves import matters
from offloader.moves.site import Audit, Site
from offloader.people import People
from offloader.testing import FakeClock, MemorySource, MemoryStore
from tests.scenarios.conftest import House

KEY = signing.new_key()
NAME = "Jansen"


@dataclass
class Case:
    """`mine` are documents of the subject alone, by what they are for; `subject` is her record, TYPE:ID."""

    house: House
    subject: str
    shared: DocumentRef
    foreign: DocumentRef
    other: str
    mine: dict[str, DocumentRef] = field(default_factory=dict)

    @contextmanager
    def at(self, account: str = "dpo") -> Iterator[Site]:
        person = PersonOptions.model_validate({"name": "Dora", "role": "DPO", "login": "dpo"})
        second = PersonOptions.model_validate({"name": "Carl", "role": "counsel", "login": "carl"})
        for site in self.house.site():
            yield replace(
                site,
                context=replace(site.context, account=account),
                person=account,
                people=People({"dpo": person, "carl": second}, lambda: KEY),
                audit=Audit(key=lambda: KEY),
            )

    def plan(
        self,
        site: Site,
        *,
        include: tuple[str, ...] = (),
        redact: tuple[str, ...] = (),
        names: tuple[str, ...] = (),
        delete: bool = False,
        ground: str = "",
    ) -> ErasurePlan:
        subject = subject_of(site, [self.subject], names=names)
        request = receive(site, "erasure", subject, ground=ground)
        found = search(site, subject)
        return plan_erasure(site, request, found, include=include, redact=redact, delete_in_crm=delete)

    def erase(self) -> Report:
        """Plan it and carry it out at once."""
        with self.at() as site:
            made = self.plan(site)
            assert made.row is not None
            return apply_erasure(site, made.row.id)

    def apply(self, plan: str) -> Report:
        with self.at() as site:
            return apply_erasure(site, plan)

    def hold(self, *, records: tuple[str, ...] = ()) -> str:
        with self.at() as site:
            scope = Scope(records=records) if records else Scope(documents=(str(self.mine["file"]),))
            hold = matters.add(site, matter="Roe", scope=scope, reason="claim")
            site.ledger.note_holds()
        return hold.id

    def release(self, hold: str) -> None:
        for account in ("dpo", "carl"):
            with self.at(account) as site:
                matters.release(site, hold, reason="settled")

    def everything(self) -> bytes:
        """Every byte that the stores hold, and the ledger's file, for looking for what must not be there."""
        parts = [b"".join(store.read(key)) for store in (self.house.de, self.house.us) for key, _ in store.list()]
        return b"\n".join(parts)


@pytest.fixture
def case(tmp_path: Path, blank_ledger: Path) -> Case:
    """Everything is moved already."""
    clock = FakeClock()
    shutil.copy(blank_ledger, tmp_path / "ledger.sqlite")
    house = House(
        directory=tmp_path,
        clock=clock,
        source=MemorySource(now=clock.now),
        de=MemoryStore("de", countries=["DE"], now=clock.now),
        us=MemoryStore("us", countries=["US"], now=clock.now),
    )
    crm = house.source.crm
    hers, his = crm.record("Contact", country="DE"), crm.record("Contact", country="DE")
    mine = {
        "file": crm.document("File", b"one", b"two", name=f"{NAME} passport.pdf", parents=[hers]),
        "note": crm.document("Note", b"note", name=f"{NAME} note.txt", parents=[hers]),
    }
    shared = crm.document("File", b"both", name="lease.pdf", parents=[hers, his])
    foreign = crm.document("File", b"his", name="his.pdf", parents=[his])
    assert house.run().moved == 4
    return Case(house, ":".join(hers), shared, foreign, ":".join(his), mine)
