"""A whole offloader on fakes: an in-memory CRM, in-memory stores, a real ledger."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import pytest

from offloader.ledger import Entry, open_ledger
from offloader.model import Decision, Document, DocumentRef, Reason, Verdict
from offloader.moves.report import RunReport
from offloader.moves.run import run
from offloader.moves.site import Limits, Links, Pace, Site
from offloader.ports import Policy, Source, Store, Target, Terms
from offloader.testing import FakeClock, MemorySource, MemoryStore, context


@dataclass
class CountryPolicy:
    """Moves a document to a store in its first parent's country; everything else is reviewed."""

    fingerprint: str = "1"
    terms: Terms = field(default_factory=Terms)

    def decide(self, document: Document, targets: Sequence[Target], now: datetime) -> Decision:
        if document.skip is not None:
            return Decision(verdict=Verdict.KEEP, reasons=(Reason(document.skip.code, document.skip.reason),))
        countries = {parent.signals.get("country", "") for parent in document.parents} - {""}
        if len(countries) != 1:
            return Decision(verdict=Verdict.REVIEW, reasons=(Reason("UNKNOWN_SIGNAL", "no country"),))
        for target in targets:
            if target.proof.usable_at(now) and target.proof.countries <= countries:
                reasons = (Reason("MOVE", "same country", rule="TEST-1"),)
                return Decision(
                    verdict=Verdict.MOVE, reasons=reasons, countries=frozenset(countries), store=target.store
                )
        return Decision(verdict=Verdict.BLOCKED, reasons=(Reason("NO_COMPLIANT_TARGET", "nowhere"),))


@dataclass
class House:
    """One offloader and the world around it; `sources` and `stores` may be replaced by wrapped ones."""

    directory: Path
    clock: FakeClock
    source: MemorySource
    de: MemoryStore
    us: MemoryStore
    policy: Policy = field(default_factory=CountryPolicy)
    limits: Limits = field(default_factory=Limits)
    pace: Pace = field(default_factory=lambda: Pace(attempts=3))
    wrapped_source: Source | None = None
    wrapped_stores: dict[str, Store] = field(default_factory=dict)

    def site(self) -> Iterator[Site]:
        with open_ledger(self.directory / "ledger.sqlite", now=self.clock.now) as ledger:
            yield Site(
                ledger=ledger,
                sources={"crm": self.wrapped_source or self.source},
                stores={"de": self.de, "us": self.us, **self.wrapped_stores},
                policies={"crm": self.policy},
                links=Links("https://files.example.com", b"key"),
                context=replace(context(self.directory, clock=self.clock)),
                pace=self.pace,
                limits=self.limits,
            )

    def run(self, *, full: bool = False) -> RunReport:
        for site in self.site():
            return run(site, full=full)
        raise AssertionError

    def entry(self, ref: DocumentRef) -> Entry:
        with open_ledger(self.directory / "ledger.sqlite", now=self.clock.now, exclusive=False) as ledger:
            entry = ledger.entry(ref)
        assert entry is not None
        return entry

    def states(self, ref: DocumentRef) -> set[str]:
        return {version.state.value for version in self.entry(ref).versions}

    def blobs(self, store: MemoryStore) -> list[str]:
        return [key for key, _ in store.list("documents/")]

    def account(self, country: str) -> tuple[str, str]:
        return self.source.crm.record("Account", country=country)


@pytest.fixture(scope="session")
def blank_ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger without a line, to be copied: its migrations run once."""
    path = tmp_path_factory.mktemp("blank") / "ledger.sqlite"
    open_ledger(path, now=FakeClock().now).close()
    return path


@pytest.fixture
def house(tmp_path: Path, blank_ledger: Path) -> House:
    clock = FakeClock()
    shutil.copy(blank_ledger, tmp_path / "ledger.sqlite")
    return House(
        directory=tmp_path,
        clock=clock,
        source=MemorySource(now=clock.now),
        de=MemoryStore("de", countries=["DE"], now=clock.now),
        us=MemoryStore("us", countries=["US"], now=clock.now),
    )
