"""A whole offloader on fakes, and a policy that decides by a document's title, to be reported on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from offloader.config import Config, GatewayOptions, Part, PersonOptions, ReportOptions, Settings
from offloader.ledger import open_ledger
from offloader.model import Decision, Document, DocumentRef, Reason, Retention, Verdict
from offloader.moves.plan import make_plan
from offloader.moves.scan import scan
from offloader.moves.site import Links, Pace, Site
from offloader.people import People
from offloader.plugins import Options
from offloader.ports import Approvals, Target, Tariff, Terms
from offloader.reports.gather import gather
from offloader.reports.model import Mode, Report
from offloader.testing import FakeClock, MemorySource, MemoryStore, context

NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)
FRANKFURT = ("aws-s3", "STANDARD", "eu-central-1")


def decision(verdict: Verdict, code: str, text: str = "", **facts: Any) -> Decision:
    """A decision with one reason."""
    return Decision(verdict=verdict, reasons=(Reason(code, text),), **facts)


def move(store: str = "de", **facts: Any) -> Decision:
    return decision(Verdict.MOVE, "PLACED", f"{store} fits", store=store, **facts)


@dataclass
class Scripted:
    """Decides by the title; what is not scripted moves to Germany."""

    fingerprint: str = "1"
    terms: Terms = field(default_factory=Terms)
    decisions: dict[str, Decision] = field(default_factory=dict)

    def decide(self, document: Document, targets: Sequence[Target], now: datetime) -> Decision:
        return self.decisions.get(document.title, move())


@dataclass
class Desk:
    """Puts documents into a fake CRM, plans, and gathers reports."""

    directory: Path
    clock: FakeClock
    source: MemorySource
    stores: dict[str, MemoryStore]
    policy: Scripted = field(default_factory=Scripted)
    homes: dict[str, tuple[str, ...]] = field(default_factory=lambda: {"crm": ("US",)})
    tariffs: dict[str, Tariff | None] = field(default_factory=dict)
    people: dict[str, PersonOptions] = field(default_factory=dict)
    person: str = "account:tester"

    def document(self, title: str, *bodies: bytes, made: Decision | None = None, **signals: str) -> DocumentRef:
        """Put a document on an Account with these signals; `made` is what the policy will say of it."""
        if made is not None:
            self.policy.decisions[title] = made
        record = self.source.crm.record("Account", **(signals or {"country": "DE"}))
        return self.source.crm.document("File", *(bodies or (b"x" * 1000,)), name=title, parents=[record])

    @contextmanager
    def site(self) -> Iterator[Site]:
        with open_ledger(self.directory / "ledger.sqlite", now=self.clock.now) as ledger:
            yield Site(
                ledger=ledger,
                sources={"crm": self.source},
                stores=self.stores,
                policies={"crm": self.policy},
                links=Links("https://files.example.com", b"key"),
                context=context(self.directory, clock=self.clock),
                pace=Pace(attempts=2),
                person=self.person,
                people=People(self.people),
                meters={"crm": ("salesforce", "file_storage")},
                homes=self.homes,
                tariffs=self.tariffs,
            )

    def config(self) -> Config:
        settings = Settings.model_construct(
            gateway=GatewayOptions.model_construct(url="https://files.example.com"),
            reports=ReportOptions(organisation="Kade B.V.", environment="test"),
            people=self.people,
        )
        parts: Mapping[str, Mapping[str, Part]] = {
            "sources": {"crm": Part("crm", "memory", Options())},
            "stores": {name: Part(name, "memory", Options()) for name in self.stores},
            "policies": {"own": Part("own", "scripted", Options())},
        }
        return Config(self.directory / "offloader.yaml", settings, parts)

    def plan(self, site: Site) -> str:
        scan(site)
        made = make_plan(site, all_documents=True)
        assert made.id is not None
        return made.id

    def report(self, site: Site, plan: str, mode: Mode = Mode.DRY_RUN, **options: Any) -> Report:
        return gather(site, self.config(), plan, mode, **{"names": False, "by": self.person, **options})

    def planned(self, **options: Any) -> Report:
        """Scan, plan and report; the rows are read while the ledger is open."""
        with self.site() as site:
            report = self.report(site, self.plan(site), **options)
            found = list(report.rows())
        object.__setattr__(report, "rows", lambda: iter(found))
        return report


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    clock = FakeClock(NOW)
    return Desk(
        directory=tmp_path,
        clock=clock,
        source=MemorySource(now=clock.now),
        stores={
            "de": MemoryStore("de", countries=["DE"], now=clock.now),
            "us": MemoryStore("us", countries=["US"], now=clock.now),
        },
    )


__all__ = ["FRANKFURT", "NOW", "Approvals", "Desk", "PersonOptions", "Retention", "date", "decision", "move"]
