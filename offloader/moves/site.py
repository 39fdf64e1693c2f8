"""Everything one offloader works with: its ledger, sources, stores, policies, and how hard it may work."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from offloader.errors import ConfigError
from offloader.ledger import Ledger
from offloader.model import DocumentRef, Link, Version
from offloader.people import People
from offloader.plugins import Context
from offloader.ports import Policy, Source, Store, Target, Tariff
from offloader.records import Records

#: stage ("scan", "plan", "copy", "link", "remove", …), done so far, total if known
Progress = Callable[[str, int, int | None], None]


def no_progress(stage: str, done: int, total: int | None) -> None:
    """Report nothing."""


class Interrupts:
    """Turns a signal into a stop at a safe point: work that must not be torn apart defers it.

    `request` is called by a signal handler. The second request always raises.
    """

    def __init__(self) -> None:
        self.requested = False
        self._deferred = 0

    def request(self) -> None:
        again, self.requested = self.requested, True
        if again or not self._deferred:
            raise KeyboardInterrupt

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """While the block runs, a request only sets `requested`."""
        self._deferred += 1
        try:
            yield
        finally:
            self._deferred -= 1


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one plan may do; None is no limit. `percent` is of all documents in the ledger."""

    documents: int | None = None
    bytes: int | None = None
    percent: float | None = None


@dataclass(frozen=True, slots=True)
class Pace:
    """How hard to work. `concurrency` None means: what the source says it can bear."""

    concurrency: int | None = None
    memory: int = 32 << 20
    attempts: int = 5


class Links:
    """Derives link ids: the same document always gets the same link, and nobody can guess one."""

    __slots__ = ("_base", "_key")

    def __init__(self, base_url: str, key: bytes) -> None:
        self._base = base_url
        self._key = key

    def link(self, ref: DocumentRef) -> Link:
        name = f"{ref.source}\x1f{ref.kind}\x1f{ref.id}".encode()
        link_id = hmac.digest(self._key, name, "sha256")[:16].hex()
        return Link(link_id, f"{self._base}/d/{link_id}")


def _no_key() -> str | None:
    return None


@dataclass(frozen=True, slots=True)
class Audit:
    """Checkpoints of the event log: the private key (a JWK) that signs them, and the stores that get a copy."""

    key: Callable[[], str | None] = field(default=_no_key, repr=False)
    stores: tuple[str, ...] = ()


def _no_records(source: str) -> Records:
    raise ConfigError(f"the source {source} cannot purge records")


@dataclass(frozen=True, slots=True)
class Site:
    """One configured offloader. `policies` is by source name."""

    ledger: Ledger
    sources: Mapping[str, Source]
    stores: Mapping[str, Store]
    policies: Mapping[str, Policy]
    links: Links
    context: Context
    pace: Pace = field(default_factory=Pace)
    limits: Limits = field(default_factory=Limits)
    progress: Progress = no_progress
    interrupts: Interrupts = field(default_factory=Interrupts)
    #: who works now: a person of the configuration, or the account of this machine ("account:root")
    person: str = ""
    #: system and meter of each source's storage in `tables/crm_storage_prices.psv`, where known
    meters: Mapping[str, tuple[str, str] | None] = field(default_factory=dict)
    #: countries where each source itself holds its bytes, as its contract says; empty: not said
    homes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    #: by which price list each store is paid, where known
    tariffs: Mapping[str, Tariff | None] = field(default_factory=dict)
    #: who may approve, hold and release
    people: People = field(default_factory=People)
    audit: Audit = field(default_factory=Audit)
    #: the records of each source whose plugin offers them; opened when asked for
    records: Callable[[str], Records] = _no_records
    #: nobody looks on: a plan that is equal to an open one is not made once more
    unattended: bool = False
    #: sources that were asked who they are since this was opened
    recognised: set[str] = field(default_factory=set)

    def targets(self) -> tuple[Target, ...]:
        """Every store with a fresh proof, by name."""
        return tuple(Target(name, self.stores[name].prove(), self.tariffs.get(name)) for name in sorted(self.stores))


def document_key(ref: DocumentRef, version: Version) -> str:
    """The opaque key of a version's bytes: no file name, no person's name.

    The version's etag is part of it: a kind whose body changes under the same id never meets its older bytes. The
    first two digits are a folder, so that a store of folders neither makes one a document nor has one with millions.
    """
    document = hashlib.sha256(f"{ref.kind}\x1f{ref.id}".encode()).hexdigest()[:32]
    body = hashlib.sha256(f"{version.id}\x1f{version.etag}".encode()).hexdigest()[:16]
    return f"documents/{ref.source}/{document[:2]}/{document[2:]}-{version.number}-{body}"
