"""Documents, parents, digests, decisions: frozen values, no I/O.

Every value here survives `to_json` / `from_json`-style storage in the ledger: strings, numbers, booleans,
tuples and string-keyed mappings only. Times are timezone-aware UTC.
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime


class State(enum.StrEnum):
    """Where a document version stands. `offloader.ledger.transitions` lists the legal moves between them."""

    SEEN = "seen"
    PLANNED = "planned"
    COPIED = "copied"
    VERIFIED = "verified"
    LINKED = "linked"
    DONE = "done"
    KEPT = "kept"
    BLOCKED = "blocked"
    REVIEW = "review"
    CONFLICT = "conflict"
    FAILED = "failed"
    HELD = "held"
    RESTORED = "restored"
    ERASED = "erased"


class Verdict(enum.StrEnum):
    """What the decision says about a document."""

    MOVE = "MOVE"
    KEEP = "KEEP"
    BLOCKED = "BLOCKED"
    REVIEW = "REVIEW"


class Strategy(enum.StrEnum):
    """How a kind's documents are replaced by links.

    NEW_LINK_THEN_DELETE  a new link object beside the original, which is removed afterwards
    STUB_IN_PLACE         the body is overwritten by a small placeholder: linking and removing are one act
    SWITCH_IN_PLACE       the row is switched to the link type: linking and removing are one act
    """

    NEW_LINK_THEN_DELETE = "NEW_LINK_THEN_DELETE"
    STUB_IN_PLACE = "STUB_IN_PLACE"
    SWITCH_IN_PLACE = "SWITCH_IN_PLACE"

    @property
    def in_place(self) -> bool:
        """Whether writing the link removes the original's bytes in the same act."""
        return self is not Strategy.NEW_LINK_THEN_DELETE


@dataclass(frozen=True, slots=True)
class Checksum:
    """A checksum as some system publishes it: `algorithm` in lower case ("md5"), `hex` in lower case."""

    algorithm: str
    hex: str


@dataclass(frozen=True, slots=True)
class Digest:
    """What we measured of some bytes: size in bytes, SHA-256 and MD5 in lower-case hex."""

    size: int
    sha256: str
    md5: str

    @classmethod
    def of(cls, data: bytes) -> Digest:
        """Return the digest of bytes held in memory."""
        return cls(len(data), hashlib.sha256(data).hexdigest(), _md5(data).hexdigest())

    def matches(self, checksum: Checksum) -> bool:
        """Whether a published checksum agrees; an unknown algorithm never does."""
        ours = {"md5": self.md5, "sha256": self.sha256}.get(checksum.algorithm)
        return ours is not None and ours == checksum.hex.lower()


def _md5(data: bytes = b"") -> hashlib._Hash:
    return hashlib.md5(data, usedforsecurity=False)


class Digester:
    """Measures bytes while they stream by: `update` each chunk, then `digest`."""

    __slots__ = ("_md5", "_sha256", "size")

    def __init__(self) -> None:
        self.size = 0
        self._sha256 = hashlib.sha256()
        self._md5 = _md5()

    def update(self, chunk: bytes) -> None:
        self.size += len(chunk)
        self._sha256.update(chunk)
        self._md5.update(chunk)

    def digest(self) -> Digest:
        return Digest(self.size, self._sha256.hexdigest(), self._md5.hexdigest())


@dataclass(frozen=True, slots=True)
class Held:
    """What a store holds where that is not the bytes that were put: size in bytes, SHA-256, and the form ("age")."""

    size: int
    sha256: str
    form: str


@dataclass(frozen=True, slots=True, order=True)
class DocumentRef:
    """Names one document: the configured source, the kind, the CRM's own id (opaque, never parsed here)."""

    source: str
    kind: str
    id: str

    def __str__(self) -> str:
        return f"{self.source}/{self.kind}/{self.id}"


@dataclass(frozen=True, slots=True, order=True)
class VersionRef:
    """Names one version of a document. For kinds without versions, `id` equals the document's id."""

    document: DocumentRef
    id: str
    #: bytes as the CRM says, for packing and pacing; no part of the name
    size: int | None = field(default=None, compare=False)

    def __str__(self) -> str:
        return str(self.document) if self.id == self.document.id else f"{self.document}@{self.id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version of a document, as the CRM describes it (its words are hints, never trusted)."""

    id: str
    #: 1 for the oldest
    number: int
    #: file name with its extension, raw and hostile
    name: str
    #: bytes, None where the CRM does not say
    size: int | None
    #: bytes by which `size` may be off, where the CRM computes it from an encoded form
    size_slack: int = 0
    mime: str | None = None
    checksum: Checksum | None = None
    created: datetime | None = None
    modified: datetime | None = None
    current: bool = True
    #: changes whenever the CRM's row changes; compared before removal
    etag: str = ""
    #: what the connector needs to put this version back (JSON-able)
    extra: Mapping[str, str | int | bool | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parent:
    """A record that a document hangs on."""

    #: the CRM's object type ("Account"), and the record's id
    type: str
    id: str
    #: facts that can trigger rules, by name: "country" (ISO 3166-1 alpha-2 or as the CRM has it), "record_type", …
    #: a name with an empty value means: asked for, and the CRM has none
    signals: Mapping[str, str] = field(default_factory=dict)
    #: how the document is shared with this parent, in the CRM's own words; handed back unchanged when linking
    sharing: Mapping[str, str] = field(default_factory=dict)


#: `Skip.code` of our own links and placeholders: they are no documents, the engine passes over them
OWN_LINK = "own_link"


@dataclass(frozen=True, slots=True)
class Skip:
    """Why a document must not be offloaded: a stable code, and a sentence."""

    code: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One file in a source, with its versions (oldest first) and its parents."""

    ref: DocumentRef
    title: str
    versions: tuple[Version, ...]
    parents: tuple[Parent, ...] = ()
    #: the CRM's id of the owning user
    owner: str | None = None
    created: datetime | None = None
    modified: datetime | None = None
    strategy: Strategy = Strategy.NEW_LINK_THEN_DELETE
    #: changes when any version is added or changed; removal is refused unless it is still the same
    etag: str = ""
    #: set when the document must stay where it is
    skip: Skip | None = None
    #: what the connector needs to put the document back (JSON-able)
    extra: Mapping[str, str | int | bool | None] = field(default_factory=dict)

    @property
    def current(self) -> Version:
        """The newest version."""
        return self.versions[-1]

    @property
    def size(self) -> int:
        """Bytes of all versions together; unknown sizes count as 0."""
        return sum(version.size or 0 for version in self.versions)

    def version_ref(self, version: Version) -> VersionRef:
        return VersionRef(self.ref, version.id, version.size)


@dataclass(frozen=True, slots=True)
class Link:
    """Our own short, stable, opaque URL that stands in the CRM in place of the file."""

    id: str
    url: str


class Assurance(enum.StrEnum):
    """Verdict of a location proof."""

    PROVEN = "PROVEN"
    ATTESTED = "ATTESTED"
    UNPROVEN = "UNPROVEN"
    VIOLATION = "VIOLATION"
    DRIFT = "DRIFT"


class ProbeVerdict(enum.StrEnum):
    """What one question's answer means for a location proof, from good to bad."""

    #: nothing speaks against the place
    OK = "ok"
    #: nothing speaks against it, but a person should know
    NOTE = "note"
    #: the server cannot answer such questions
    ABSENT = "absent"
    #: the configuration says not to ask
    SKIPPED = "skipped"
    #: forbidden, no answer, an answer that cannot be understood, or a place that cannot be known
    UNKNOWN = "unknown"
    #: bytes are, or can come, where they must not be
    VIOLATION = "violation"


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One question of a location proof and its answer, both in plain words."""

    #: stable; the raw answer stands in `LocationProof.evidence` under it
    id: str
    question: str
    answer: str
    verdict: ProbeVerdict
    #: what the store's login must be allowed for asking, in the provider's words ("s3:GetBucketAcl")
    permissions: tuple[str, ...] = ()
    #: what a person can do about it; empty if nothing is to be done
    remedy: str = ""
    #: whether another raw answer is a change of the place, even if nothing bad is in it
    watched: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class LocationProof:
    """Dated evidence of every place where a store's bytes can be.

    `countries` are ISO 3166-1 alpha-2 codes of *all* places, replicas included. `evidence` holds the raw
    answers as JSON-able values; `sha256` is over their canonical JSON. An entry is best the canonical JSON of
    `answer`, `outcome` (a `ProbeVerdict`), `places` (place to country codes) and `says`: then what changed between
    two proofs can be told in words. The entry `about` names versions of tables and software; it is never compared.
    """

    store: str
    assurance: Assurance
    countries: frozenset[str]
    taken: datetime
    expires: datetime
    summary: str
    evidence: Mapping[str, str] = field(default_factory=dict)
    sha256: str = ""
    #: the questions that were asked, in order, for a reader
    probes: tuple[Probe, ...] = ()
    #: only with DRIFT: what is otherwise than in the proof that was last accepted, a sentence each
    changes: tuple[str, ...] = ()
    #: only with DRIFT: the countries of the proof that was last accepted
    accepted: frozenset[str] = frozenset()

    def usable_at(self, now: datetime) -> bool:
        """Whether a write may rest on this proof at that moment."""
        good = self.assurance in (Assurance.PROVEN, Assurance.ATTESTED)
        return good and bool(self.countries) and self.taken <= now < self.expires


@dataclass(frozen=True, slots=True)
class Reason:
    """One step of a decision: a stable code, the rule that caused it, where that rule stands, and a sentence."""

    code: str
    text: str
    rule: str | None = None
    origin: str | None = None


@dataclass(frozen=True, slots=True)
class Retention:
    """How long a document must be kept, and when it must be gone, by the duties that apply to it.

    `keep_until` is the latest of all minima, `erase_by` the earliest of all maxima; None where no duty says one.
    `rules` are the ids of the duties. `waiting` are duties whose term has not begun, because the CRM does not say
    when their event was. A `conflict` (a minimum ends after a maximum) is for a person: restrict, do not delete.
    """

    keep_until: date | None = None
    erase_by: date | None = None
    rules: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()

    @property
    def conflict(self) -> bool:
        return self.keep_until is not None and self.erase_by is not None and self.keep_until > self.erase_by


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Verdict for one document, with the reasons that led to it, in order."""

    verdict: Verdict
    reasons: tuple[Reason, ...]
    #: where the bytes may live, after all rules
    countries: frozenset[str] = frozenset()
    #: the chosen store's name, only with MOVE
    store: str | None = None
    #: further stores that must hold a full, verified copy before the original is removed, only with MOVE
    copies: tuple[str, ...] = ()
    #: whose law applies: ISO 3166-1 alpha-2 countries and 3166-2 subdivisions, sorted
    jurisdictions: tuple[str, ...] = ()
    #: what the document is taken for ("invoices"), sorted
    categories: tuple[str, ...] = ()
    #: ids of the policy's clauses that selected it
    clauses: tuple[str, ...] = ()
    #: ids of the transfer bases that it rests on
    bases: tuple[str, ...] = ()
    retention: Retention | None = None

    @property
    def stores(self) -> tuple[str, ...]:
        """Every store that is to hold the document, the chosen one first."""
        return (*((self.store,) if self.store else ()), *self.copies)

    @property
    def code(self) -> str:
        """The code of the reason that settled it (the last one)."""
        return self.reasons[-1].code if self.reasons else self.verdict.value


class Severity(enum.StrEnum):
    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that `check` or a scan found: a stable code, what it means, and what to do about it.

    `hides` says what cannot be seen because of it; a finding that hides something makes a scan incomplete.
    """

    severity: Severity
    code: str
    message: str
    remedy: str = ""
    hides: str = ""
