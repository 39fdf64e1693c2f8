"""An offloader over records in memory, with a policy file that purges them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from offloader.config import PersonOptions
from offloader.disposition.acts import Report
from offloader.disposition.planning import plan_purge
from offloader.disposition.purging import apply_purge
from offloader.ledger import PlanRow, open_ledger
from offloader.ledger.disposing import Act
from offloader.moves.site import Links, Pace, Site
from offloader.people import People
from offloader.ports import Store
from offloader.records import Child, FieldType, OnDelete, RecordRef, Records, RecordType
from offloader.testing import FakeClock, MemorySource, MemoryStore, context
from offloader.testing.memory_records import MemoryRecords
from offloader_policies.language.layers import load
from offloader_policies.language.policy import FilePolicy

#: the fake clock's beginning is in 2026
OLD, YOUNG = "2015-03-01T00:00:00+00:00", "2025-03-01T00:00:00+00:00"

POLICY = """\
policy: cleanup
purge:
  - id: old-cases
    type: Case
    age_field: ClosedDate
    older_than: P7Y
    where: {Status: [Closed]}
    signals: {country: Country__c}
"""


def text(name: str, **more: Any) -> FieldType:
    return FieldType(name=name, label=name, type="string", **more)


def types() -> Sequence[RecordType]:
    """Accounts (restricted by orders), cases on them, comments on cases (cascade), notes on comments (cascade)."""
    account = text("AccountId", refers_to=("Account",))
    return [
        RecordType(name="Account", label="Account", fields=(text("Name"),), children=()),
        RecordType(
            name="Case",
            label="Case",
            fields=(
                text("Name"),
                text("Status"),
                text("ClosedDate", creatable=False),
                text("Country__c"),
                account,
                text("ParentId", refers_to=("Case",)),
                text("OwnerId", refers_to=("User",)),
            ),
            children=(
                Child("Comment", "CaseId", OnDelete.CASCADE),
                Child("Order", "CaseId", OnDelete.RESTRICT),
                Child("Case", "ParentId", OnDelete.CLEAR),
                Child("File", "CaseId", OnDelete.CASCADE, documents=True),
            ),
            automation=("trigger CaseGone",),
            bin_days=15,
        ),
        RecordType(
            name="Comment",
            label="Comment",
            fields=(text("Body"), text("CaseId", refers_to=("Case",))),
            children=(Child("Remark", "CommentId", OnDelete.CASCADE),),
            automation=None,
            bin_days=15,
        ),
        RecordType(
            name="Remark", label="Remark", fields=(text("CommentId", refers_to=("Comment",)),), children=(), bin_days=15
        ),
        RecordType(name="Order", label="Order", fields=(text("CaseId", refers_to=("Case",)),), children=()),
        RecordType(name="File", label="File", fields=(text("CaseId", refers_to=("Case",)),), children=()),
    ]


@dataclass
class Yard:
    """One offloader over a CRM's records; `wrapped` and `stores` may be replaced by what goes wrong."""

    directory: Path
    clock: FakeClock
    crm: MemoryRecords
    source: MemorySource
    de: MemoryStore
    policy: str = POLICY
    wrapped: Records | None = None
    stores: dict[str, Store] = field(default_factory=dict)

    @contextmanager
    def site(self) -> Iterator[Site]:
        path = self.directory / "policy.yaml"
        path.write_text(self.policy, encoding="utf-8")
        with open_ledger(self.directory / "ledger.sqlite", now=self.clock.now) as ledger:
            yield Site(
                ledger=ledger,
                sources={"crm": self.source},
                stores={"de": self.de, **self.stores},
                policies={"crm": FilePolicy(load(path))},
                links=Links("https://files.example.com", b"key"),
                context=replace(context(self.directory, clock=self.clock), account="ann"),
                pace=Pace(attempts=3),
                people=People({"ann": PersonOptions(name="Ann", login="ann")}, lambda: None),
                records=lambda _source: self.wrapped or self.crm,
            )

    def plan(self, *rules: str) -> PlanRow:
        with self.site() as site:
            return plan_purge(site, rules)

    def apply(self, plan: str, lines: Sequence[bytes] | None = None) -> Report:
        with self.site() as site:
            return apply_purge(site, plan, lines)

    def acts(self, plan: str) -> Mapping[str, Act]:
        with self.site() as site:
            return {act.subject.rpartition("/")[2]: act for act in site.ledger.acts(plan, limit=100_000)}

    def case(self, **fields: Any) -> RecordRef:
        given = {"Name": "a", "Status": "Closed", "ClosedDate": OLD, "Country__c": "DE", "OwnerId": "u1", **fields}
        return self.crm.add("Case", given)

    def comment(self, case: RecordRef) -> RecordRef:
        return self.crm.add("Comment", {"Body": "hello", "CaseId": case.id})

    def archives(self, store: MemoryStore | None = None) -> list[str]:
        return [key for key, _ in (store or self.de).list("archive/")]

    def there(self, *refs: RecordRef) -> list[bool]:
        return [ref.id in self.crm.rows for ref in refs]

    def later(self, **span: float) -> None:
        self.clock.advance(timedelta(**span).total_seconds())


@pytest.fixture
def yard(tmp_path: Path, blank_ledger: Path) -> Yard:
    clock = FakeClock()
    shutil.copy(blank_ledger, tmp_path / "ledger.sqlite")
    return Yard(
        directory=tmp_path,
        clock=clock,
        crm=MemoryRecords(types(), now=clock.now),
        source=MemorySource(now=clock.now),
        de=MemoryStore("de", countries=["DE"], now=clock.now),
    )
