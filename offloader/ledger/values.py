"""What the ledger takes and gives: frozen values, no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from offloader.model import Decision, Digest, Document, DocumentRef, Finding, Held, Link, State, Version


@dataclass(frozen=True, slots=True)
class Copy:
    """The bytes of one version in one store. `verified_at` is None until they were proven to be there.

    `digest` is of the document's own bytes; `held` is what the store holds where that differs (encrypted).
    """

    store: str
    key: str
    digest: Digest
    verified_at: datetime | None = None
    held: Held | None = None

    @property
    def held_size(self) -> int:
        """Bytes that lie in the store."""
        return self.held.size if self.held else self.digest.size

    @property
    def held_sha256(self) -> str:
        """SHA-256 of the bytes that lie in the store."""
        return self.held.sha256 if self.held else self.digest.sha256


@dataclass(frozen=True, slots=True)
class VersionEntry:
    """One version as the ledger knows it. `detail` is the last reason or error, a sentence.

    `copies` are of the bytes that the CRM has now: one that was made before the version changed is not among them.
    """

    pk: int
    version: Version
    state: State
    copies: tuple[Copy, ...] = ()
    detail: str = ""
    #: known from before, but the CRM no longer lists it: not among the document's versions
    gone: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """One document as the ledger knows it, its versions oldest first.

    `link_ref` is what the source's `link` returned. `deleted`: the CRM said that the document is not there any
    more, which for a moved one is as it should be.
    """

    pk: int
    document: Document
    versions: tuple[VersionEntry, ...]
    link: Link | None = None
    link_ref: Mapping[str, str] = field(default_factory=dict)
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """One legal transition of one version, with what goes along in the same transaction.

    `version` is a VersionEntry's pk. `data` (JSON-able) goes into the event; `copy`, and those in `further` stores, are
    written over the ones that the version has in the same stores.
    """

    version: int
    to: State
    rule: str | None = None
    detail: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    copy: Copy | None = None
    further: tuple[Copy, ...] = ()

    @property
    def copies(self) -> tuple[Copy, ...]:
        """Every copy that goes along."""
        return self.further if self.copy is None else (self.copy, *self.further)


@dataclass(frozen=True, slots=True)
class RecordedPage:
    """How many versions of a page were new, changed (or to be decided afresh), and the same as before.

    `returned`: documents whose originals were removed and which hold bytes again. `deleted`: how many were not known to
    be gone, without those that a move has removed.
    """

    new_versions: int
    changed: int
    unchanged: int
    returned: tuple[DocumentRef, ...] = ()
    deleted: int = 0


@dataclass(frozen=True, slots=True)
class ScanState:
    """How far the scan of one kind has come.

    A `cursor` means: broken off, go on with this cursor and this `since`. `watermark` and `finished` are those of
    the last scan that came to its end. `blind_spots` are those of the scan under way, or of the last one.
    """

    source: str
    kind: str
    since: str | None
    cursor: str | None
    watermark: str | None
    finished: datetime | None
    blind_spots: tuple[Finding, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanHeader:
    """What a plan was made from; everything JSON-able.

    `policies`: source → fingerprint. `proofs`: store → {"sha256", "expires", …}. `limits`, `scope`: as the operator
    gave them. `by`: who made it. `terms`: source → {"name", "version", "layers": [[where, SHA-256], …], "tables"} of
    its policy. `approvals`: {"people", "preparer", "days"} and `caps`: {"documents", "bytes", "percent", "kinds",
    "pilot"}, each the strictest of all policies and limits. `pilot`, only of a pilot: {"documents", "seed", "of"}.
    """

    sources: tuple[str, ...]
    policies: Mapping[str, str] = field(default_factory=dict)
    proofs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    limits: Mapping[str, Any] = field(default_factory=dict)
    scope: Mapping[str, Any] = field(default_factory=dict)
    by: str = ""
    created: datetime | None = None
    terms: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    approvals: Mapping[str, Any] = field(default_factory=dict)
    caps: Mapping[str, Any] = field(default_factory=dict)
    pilot: Mapping[str, Any] = field(default_factory=dict)

    @property
    def disposes(self) -> str | None:
        """What kind of plan of acts this is ("purge", "erase"); None for a plan of moves."""
        kind = self.scope.get("plan")
        return kind if isinstance(kind, str) else None


@dataclass(frozen=True, slots=True)
class PlanItem:
    """What a plan says about one document (an Entry's pk). `size` in bytes, of all `versions` together.

    `ref` and `version_ids` (oldest first; empty where the only version has the document's id) are those of then.
    """

    document: int
    decision: Decision
    etag: str
    size: int
    versions: int
    ref: DocumentRef | None = None
    version_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """What one person said about one plan, at one time; `sha256` is the plan's as that person saw it."""

    plan: str
    sha256: str
    #: short name in `people`
    person: str
    #: how the person was recognised: "login:jdevries", "key:<thumbprint>"
    proof: str
    role: str
    #: approved, rejected or withdrawn
    said: str
    reason: str
    at: datetime
    valid_until: datetime
    #: compact JWS over `statement`; empty if nobody could sign
    signature: str = ""

    @property
    def statement(self) -> dict[str, str]:
        """What is signed: everything but the signature."""
        return {
            "plan": self.plan,
            "sha256": self.sha256,
            "person": self.person,
            "proof": self.proof,
            "role": self.role,
            "said": self.said,
            "reason": self.reason,
            "at": self.at.isoformat(),
            "valid_until": self.valid_until.isoformat(),
        }


@dataclass(frozen=True, slots=True)
class PlanRow:
    """A plan. `status` is open, sealed, applying, done, refused or superseded; `sha256` is set by sealing."""

    id: str
    header: PlanHeader
    status: str
    sha256: str | None
    totals: Mapping[str, Any]
    created: datetime


@dataclass(frozen=True, slots=True)
class Tally:
    """How many versions are in a state, how many documents have one there, and those versions' bytes."""

    versions: int
    documents: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the log. `hash` in lower-case hex; `at` as written, ISO 8601 in UTC, never going back."""

    seq: int
    at: str
    type: str
    document: int | None
    version: int | None
    from_state: State | None
    to_state: State | None
    rule: str | None
    data: Mapping[str, Any]
    hash: str

    @property
    def record(self) -> dict[str, Any]:
        """What the hash is over, as `offloader.audit` takes it."""
        return {
            "seq": self.seq,
            "at": self.at,
            "type": self.type,
            "document": self.document,
            "version": self.version,
            "from": self.from_state,
            "to": self.to_state,
            "rule": self.rule,
            "data": self.data,
        }
