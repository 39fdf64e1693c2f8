"""A house whose policy lets equal bytes lie once, and everything that can happen to the documents that share them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, datetime

import pytest

from offloader.config import PersonOptions
from offloader.disposition.acts import Report
from offloader.disposition.erasing import apply_erasure
from offloader.disposition.erasure import plan_erasure
from offloader.disposition.expiring import apply_expiry
from offloader.disposition.expiry import plan_expiry
from offloader.disposition.rehoming import plan_rehoming
from offloader.disposition.rehoming_apply import apply_rehoming
from offloader.disposition.subjects import receive, search, subject_of
from offloader.holds import Scope
from offloader.ledger import Entry
from offloader.model import Decision, Document, DocumentRef, Retention
from offloader.moves import matters
from offloader.moves.restore import restore
from offloader.moves.site import Site
from offloader.moves.verify import verify
from offloader.people import People
from offloader.ports import Ends, Store, Target, Terms
from tests.scenarios.conftest import CountryPolicy, House

PEOPLE = {name: PersonOptions(name=name.title(), login=name) for name in ("anna", "bert")}


@dataclass
class SharePolicy(CountryPolicy):
    """The country's store; a document is erased by the day that its record says, kept until the day that it says."""

    terms: Terms = field(default_factory=lambda: Terms(duplicates="share", ends=Ends(after="delete")))

    def decide(self, document: Document, targets: Sequence[Target], now: datetime) -> Decision:
        decision = super().decide(document, targets, now)
        signals = document.parents[0].signals if document.parents else {}
        days = [date.fromisoformat(day) if (day := signals.get(name)) else None for name in ("keep_until", "erase_by")]
        return replace(decision, retention=Retention(*days, ("OWN-1",)))


@dataclass
class World:
    """`refs` are the documents by name, `records` the contact that each hangs on, `ids` their numbers in the ledger."""

    house: House
    refs: dict[str, DocumentRef] = field(default_factory=dict)
    records: dict[str, tuple[str, str]] = field(default_factory=dict)
    pks: dict[str, int] = field(default_factory=dict)
    holds: dict[str, str] = field(default_factory=dict)

    @contextmanager
    def site(self, account: str = "anna") -> Iterator[Site]:
        for site in self.house.site():
            context = replace(site.context, account=account)
            yield replace(site, context=context, person=account, people=People(PEOPLE, lambda: None))

    def document(self, name: str, *bodies: bytes, kind: str = "", country: str = "DE", **signals: str) -> DocumentRef:
        crm = self.house.source.crm
        self.records[name] = crm.record("Contact", country=country, **signals)
        kind = kind or ("File" if len(bodies) > 1 else "Note")
        self.refs[name] = crm.document(kind, *bodies, parents=[self.records[name]])
        return self.refs[name]

    def say(self, name: str, **signals: str) -> None:
        """Change what the CRM says of the contact that a document hangs on."""
        records = self.house.source.crm.records
        records[self.records[name]] = {**records[self.records[name]], **signals}

    def moved(self, **documents: bytes) -> None:
        """Documents by name, moved in one run."""
        for name, body in documents.items():
            self.document(name, body)
        self.run()

    def run(self) -> None:
        self.house.run()
        with self.site() as site:
            found = {name: site.ledger.entry(ref) for name, ref in self.refs.items() if name not in self.pks}
        self.pks |= {name: entry.pk for name, entry in found.items() if entry is not None}

    def keys(self, name: str) -> list[str]:
        with self.site() as site:
            return self.keys_in(site, name)

    def keys_in(self, site: Site, name: str) -> list[str]:
        return [copy.key for version in self.entry_in(site, name).versions for copy in version.copies]

    def erase(self, *names: str) -> Report:
        with self.site() as site:
            subject = subject_of(site, [":".join(self.records[name]) for name in names])
            made = plan_erasure(site, receive(site, "erasure", subject), search(site, subject))
            assert made.row is not None
            return apply_erasure(site, made.row.id)

    def expire(self, *names: str) -> Report:
        for name in names:
            self.say(name, erase_by="2020-01-01")
        with self.site() as site:
            made = plan_expiry(site, refresh_all=True)
            assert made.row is not None
            return apply_expiry(site, made.row.id)

    def rehome(self, *names: str, to: str = "US") -> Report:
        for name in names:
            self.say(name, country=to)
        with self.site() as site:
            made = plan_rehoming(site)
            assert made.row is not None
            return apply_rehoming(site, made.row.id)

    def restore(self, name: str) -> None:
        with self.site() as site:
            report = restore(site, [self.entry_in(site, name)])
            assert not report.errors
            self.refs[name] = self.entry_in(site, name).document.ref

    def entry_in(self, site: Site, name: str) -> Entry:
        return site.ledger.entries_by_pk([self.pks[name]])[0]

    def hold(self, name: str) -> None:
        with self.site() as site:
            scope = Scope(documents=(str(self.entry_in(site, name).document.ref),))
            self.holds[name] = matters.add(site, matter="Roe", scope=scope, reason="claim").id

    def release(self, name: str) -> None:
        for account in ("anna", "bert"):
            with self.site(account) as site:
                matters.release(site, self.holds[name], reason="settled")
        del self.holds[name]

    def bodies(self, name: str) -> list[bytes]:
        """What every copy of a document gives back, by the ledger."""
        with self.site() as site:
            entry = self.entry_in(site, name)
            return [
                b"".join(site.stores[copy.store].read(copy.key))
                for version in entry.versions
                for copy in version.copies
            ]

    def check(self) -> None:
        """Every copy of the ledger is as it was verified, and no store has an object that the ledger does not know."""
        with self.site() as site:
            assert verify(site).differences == []
            for name, store in site.stores.items():
                assert [key for key, _ in store.list("documents/") if not site.ledger.knows_key(name, key)] == []

    def objects(self, store: Store | None = None) -> list[str]:
        return [key for key, _ in (store or self.house.de).list("documents/")]


@pytest.fixture
def world(house: House) -> World:
    house.policy = SharePolicy()
    return World(house)
