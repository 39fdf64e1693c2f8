"""Source, Store and Policy: what the engine asks of a CRM, of a place for bytes, and of a rule book.

The docstrings are the contract; `offloader.testing` checks them clause by clause, and every implementation
runs those suites. All methods may be called from several threads at once. Errors are those of
`offloader.errors` and no others. Nobody reads the clock, the environment or random numbers directly: they
are injected.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Protocol

from offloader.errors import OffloaderError, Unsupported
from offloader.model import (
    Decision,
    Digest,
    Document,
    DocumentRef,
    Finding,
    Held,
    Link,
    LocationProof,
    Reason,
    Retention,
    Strategy,
    Version,
    VersionRef,
)


class Status(enum.StrEnum):
    """What became of one item of a batch."""

    #: done, and read back
    DONE = "done"
    #: done, and the original's bytes are gone in the same act (in-place strategies)
    REPLACED = "replaced"
    #: the document changed, or its parents did: nothing was done, the user's edit wins
    CONFLICT = "conflict"
    #: the document (or the link) is not there any more
    GONE = "gone"
    #: the CRM will never allow it for this item; `reason` says why
    REFUSED = "refused"
    #: try this item again; what was done so far is found again by the next try
    RETRY = "retry"


class Access(enum.StrEnum):
    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class KindCapabilities:
    """What one kind of document can and cannot do."""

    kind: str
    strategy: Strategy
    versions: bool = False
    multi_parent: bool = False
    size_known: bool = True
    #: algorithm of the CRM's own checksum, None if it has none
    checksum: str | None = None
    id_stable: bool = False
    link_max_length: int = 255
    #: how changes are found: "timestamp", "token", "per_parent" or "none"
    delta: str = "timestamp"
    #: whether the CRM itself compares and swaps ("If-Match")
    conditional_write: bool = False
    #: when the CRM's storage is free again: "now", "deferred", "never", "unknown"
    freed: str = "unknown"
    #: days a removed original can be brought back by the CRM's own bin, None if it has none
    bin_days: int | None = None
    #: object type of the links to such documents, whose id is `link_ref["document"]`; empty: links have no row of
    #: their own, or cannot be asked after
    link_type: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceCapabilities:
    """What a source can do; the engine asks this and never a connector's name."""

    kinds: tuple[KindCapabilities, ...]
    #: largest number of items that one call of the method takes
    read_batch: int = 1
    #: most bytes (by known sizes) in one `read` of several versions; None: only their number counts
    read_bytes: int | None = None
    link_batch: int = 200
    remove_batch: int = 200
    #: how many calls at once the source can bear
    concurrency: int = 8
    user_check: bool = False
    #: whether `refresh` can read the signals of records whose documents are gone
    refresh: bool = False

    def kind(self, name: str) -> KindCapabilities:
        return next(kind for kind in self.kinds if kind.kind == name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A part of a scan. `cursor` resumes after this page; the last page has none, and has the watermark."""

    documents: tuple[Document, ...]
    #: documents that are certainly deleted in the CRM (never: merely not seen)
    deleted: tuple[DocumentRef, ...] = ()
    cursor: str | None = None
    #: pass as `since` to the next scan; opaque
    watermark: str | None = None
    #: why this scan cannot claim to be complete
    blind_spots: tuple[Finding, ...] = ()


@dataclass(slots=True)
class Delivery:
    """The bytes of one version on their way. Exactly one of `chunks` and `error` is set."""

    ref: VersionRef
    chunks: Iterator[bytes] | None = None
    error: OffloaderError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkRequest:
    """Replace this document, unchanged since it was read, by this link.

    `attempted`: an earlier try may have been carried out, so look for its link before making one.
    `link_ref`: what an earlier `link` returned, when known. `anew`: the link stood once, and went, or lost its hold,
    with records that are back now as `document.parents`, perhaps under new ids.
    """

    document: Document
    link: Link
    attempted: bool = False
    link_ref: Mapping[str, str] = field(default_factory=dict)
    anew: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one item. `link_ref` names the link in the CRM (connector's own words, JSON-able)."""

    status: Status
    reason: str = ""
    link_ref: Mapping[str, str] = field(default_factory=dict)
    #: the document as it stands in the CRM after a restore
    document: Document | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Calls spent so far by this process, by operation, and what the CRM says of its own budget."""

    requests: Mapping[str, int]
    used: int | None = None
    limit: int | None = None


class Source(Protocol):
    """A configured CRM. Never changes anything but through link, remove, restore and unlink."""

    name: str

    @property
    def capabilities(self) -> SourceCapabilities: ...

    def check(self) -> Sequence[Finding]:
        """Log in and name every missing permission or setting, what it hides, and the remedy."""

    def scan(self, kind: str, *, since: str | None = None, cursor: str | None = None) -> Iterator[Page]:
        """List the kind's documents, each whole (all versions, parents and signals), never asking for bytes.

        `since` is an earlier scan's watermark: only what may have changed since then, with overlap, so an item
        can come twice. `cursor` resumes an interrupted scan with the same `since`. Documents that must not
        be offloaded come too, with `skip` set. A scan that cannot see everything says so in `blind_spots`.
        """

    def fetch(self, refs: Sequence[DocumentRef]) -> Sequence[Document | None]:
        """Read these documents afresh, in order; None for one that is not there (or may not be seen)."""

    def read(self, refs: Sequence[VersionRef]) -> Iterator[Delivery]:
        """Deliver the bytes of these versions, one delivery each, in any order.

        Chunks must be consumed before the next delivery is asked for. A body that ends early raises Transient
        or IntegrityError from its chunks, never ends quietly.
        """

    def link(self, requests: Sequence[LinkRequest]) -> Sequence[Outcome]:
        """Write links with the same title, owner, parents and sharing, and read them back. In order.

        Idempotent: asked again (`attempted`), finds its earlier link, completes it, and makes no second one.
        Two-step kinds answer DONE and leave the original alone. In-place kinds first make sure that the document
        is unchanged (CONFLICT if not) and answer REPLACED. Raises only when nothing can be said of any item.

        With `anew` no original is looked for: a link that stands is shared with the parents as well, and nothing else
        of it is changed; a row that went with its record is made again with the placeholder. GONE where that cannot be.
        """

    def inspect(self, requests: Sequence[LinkRequest]) -> Sequence[Outcome]:
        """Read the links back without changing anything: DONE if it stands as requested, GONE if not there."""

    def remove(self, requests: Sequence[LinkRequest]) -> Sequence[Outcome]:
        """Remove originals of two-step kinds, each re-read in the same breath. In order.

        CONFLICT, and nothing removed, if the document or its parents changed since `request.document`, or if the
        link no longer stands. An original that is already gone is DONE. In-place kinds have nothing left to remove:
        DONE, or CONFLICT if the CRM shows that something else stands where the placeholder was written.
        """

    def restore(self, request: LinkRequest, bodies: Callable[[Version], Iterable[bytes]]) -> Outcome:
        """Put the document back: every version's bytes in order, title, owner, parents and sharing.

        `bodies(version)` streams one version. Idempotent with `attempted`. DONE with `document` set to what now
        stands; the link is still there.
        """

    def unlink(self, requests: Sequence[LinkRequest]) -> Sequence[Outcome]:
        """Take links away after a restore (in-place kinds: DONE, nothing to do). Already gone is DONE."""

    def may_read(self, user: str, requests: Sequence[LinkRequest]) -> Sequence[Access]:
        """Ask the CRM whether this user may read these documents now. In order. Unknown user: NO.

        `user` is what the login says: the CRM's user id or user name.
        """

    def refresh(self, documents: Sequence[Document]) -> Sequence[Document]:
        """These documents, in order, with the signals that their parents have now; one that cannot be seen has none.

        The documents themselves need not be in the CRM any more. Raises Unsupported unless `capabilities.refresh`.
        """

    def usage(self) -> Usage:
        """Say what was spent so far. Makes no call."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A whole object in a store. `sha256` is of what a `read` gives, lower-case hex; `size` in bytes.

    `held` is set where the store holds it in another form (encrypted).
    """

    key: str
    size: int
    sha256: str
    held: Held | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Lock:
    """What keeps a stored object, or something of it, from being erased: a lock, a legal hold, a bin of the store.

    `until` (timezone-aware) is when it ends by itself, None if it does not, or nobody can say. `lifts`: `erase` with
    `bypass` passes it by.
    """

    reason: str
    until: datetime | None = None
    lifts: bool = False


@dataclass(frozen=True, slots=True)
class Erased:
    """What was removed: versions and delete markers (0 where there was nothing), and what keeps the rest there."""

    versions: int = 0
    markers: int = 0
    left: tuple[Lock, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreCapabilities:
    """What a store can do."""

    #: whether `put` refuses to overwrite by the store's own doing
    conditional_create: bool = True
    object_lock: bool = False
    #: whether the options ask for `retain`: each object is locked until its own retention ends
    retains: bool = False
    #: whether `presign` can make links
    presign: bool = False
    #: largest object in bytes, None if there is no limit worth naming
    max_size: int | None = None
    concurrency: int = 16


class Store(Protocol):
    """A configured place for bytes, one object per key.

    Keys are ASCII letters, digits, and `-_./`; no empty, `.` or `..` segment. An object is visible only when
    whole, readable as soon as `put` returns, and its bytes never change.
    """

    name: str

    @property
    def capabilities(self) -> StoreCapabilities: ...

    def prove(self) -> LocationProof:
        """Gather fresh evidence of every place where this store's bytes can be. Raises no error for bad news."""

    def put(
        self, key: str, chunks: Iterable[bytes], *, size: int | None = None, digest: Digest | None = None
    ) -> Stored:
        """Store the chunks under key; return once they are durable and proven to be there.

        Proven: read back, or checksummed by the store itself; the answer's digest is of what is stored, not of
        what was sent. The same key with the same bytes again is a no-op. Raises Conflict if the key holds other
        bytes, IntegrityError if `size` or `digest` is given and does not match (nothing is left), StoreFull
        when there is no room (nothing is left). An error raised by `chunks` leaves nothing and passes through.
        """

    def stat(self, key: str) -> Stored | None:
        """Read the object back and measure it; None if there is none."""

    def size(self, key: str) -> int | None:
        """How many bytes the store holds for the object, by one cheap call; None if there is none."""

    def presign(self, key: str, *, seconds: int, disposition: str, mime: str) -> str:
        """A link that opens this one object for so long, answered with that Content-Disposition and type. A secret.

        Raises Unsupported if the store has no such links (`capabilities.presign`).
        """

    def read(self, key: str, *, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Stream the object, or a range of it. Raises Gone if there is none."""

    def delete(self, key: str) -> None:
        """Remove the object; no error if there is none. Raises Refused if a lock forbids it."""

    def locked(self, key: str) -> Lock | None:
        """What forbids to erase the object now, the longest of several; None if nothing does, or there is none."""

    def erase(self, key: str, *, bypass: bool = False) -> Erased:
        """Remove the object for good: every version of it, and every mark that there was one.

        While a lock is on any of them nothing is removed, and `left` says why; only a lock that `lifts` is passed by
        with `bypass`. `left` also names what the store itself keeps after a deletion, and until when. None there, or
        asked again: no error.
        """

    def retain(self, key: str, until: datetime) -> None:
        """Lock the object until then, as the options ask; never shortens a lock. Raises Gone, Refused.

        Raises Unsupported unless `capabilities.retains`.
        """

    def list(self, prefix: str = "") -> Iterator[tuple[str, int]]:
        """Yield (key, size as held) of every whole object below the prefix, in key order."""

    def sweep(self) -> int:
        """Remove what broken-off writes have left behind, older than any write under way. Returns how many."""


def erase_plainly(store: Store, key: str) -> Erased:
    """`Store.erase` where the store has no versions and keeps nothing after a deletion."""
    held = store.size(key)
    if held is None:
        return Erased()
    lock = store.locked(key)
    if lock is not None:
        return Erased(left=(lock,))
    store.delete(key)
    return Erased(versions=1)


class Unlocked:
    """A store without versions and locks, that keeps nothing after a deletion, gets three methods from this class."""

    def locked(self, key: str) -> Lock | None:
        return None

    def erase(self: Store, key: str, *, bypass: bool = False) -> Erased:
        return erase_plainly(self, key)

    def retain(self: Store, key: str, until: datetime) -> None:
        raise Unsupported(f"store {self.name} locks nothing")


#: provider, class, region, as in `tables/object_storage_prices.psv` ("aws-s3", "STANDARD", "eu-central-1")
Tariff = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Target:
    """A store that the policy may choose, with its current proof, and by which price list it is paid, if known."""

    store: str
    proof: LocationProof
    tariff: Tariff | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Approvals:
    """What a policy asks for before a plan may be carried out."""

    #: how many different people must approve; 0: none
    people: int = 0
    #: whether the one who made the plan may be one of them (never, under four eyes)
    preparer: bool = False
    #: days that an approval holds
    days: int = 14


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """How much one plan may move under this policy; None is no cap. `percent` is of all documents in the ledger."""

    documents: int | None = None
    bytes: int | None = None
    percent: float | None = None
    #: documents by kind
    kinds: Mapping[str, int] = field(default_factory=dict)
    #: a plan of more documents is refused until one of at most so many was carried out under the same policy
    pilot: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ends:
    """What a policy says about the end of stored documents."""

    #: what becomes of one whose time to be kept is over, without a duty to erase it: "keep" or "delete"
    after: str = "keep"
    #: whether an expiry may pass a lock by that the store lets some people lift (GOVERNANCE, Unlocked)
    bypass_governance: bool = False
    #: days between a deletion in the CRM and the end of the stored bytes, at least those of the CRM's own bin
    grace_days: int = 30


class Purge(enum.StrEnum):
    """What a purge rule says about one record."""

    DELETE = "delete"
    KEEP = "keep"
    REVIEW = "review"


@dataclass(frozen=True, slots=True)
class Purged:
    """A purge rule's answer about one record: the reasons in order, the last one settles it; what duties say."""

    verdict: Purge
    reasons: tuple[Reason, ...]
    retention: Retention | None = None


class PurgeBook(Protocol):
    """What a purge rule knows beyond its values. Pure, no I/O, no clock; `fields` are a record's, as the CRM gave them.

    `now` is timezone-aware.
    """

    def before(self, now: datetime) -> datetime:
        """The moment before which the age field must lie."""

    def judge(self, fields: Mapping[str, str | int | float | bool | None], now: datetime) -> Purged:
        """Say what is to become of a record, and why. Never raises for bad data: REVIEW instead."""

    def place(
        self, fields: Mapping[str, str | int | float | bool | None], targets: Sequence[Target], now: datetime
    ) -> Decision:
        """Where an archive of this record may live, by the residency rules alone: MOVE with stores, or why not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PurgeRule:
    """Which records of a CRM are purged when they are old. All but `book` is JSON-able."""

    id: str
    #: object type, and the field that says how old a record is
    type: str
    age_field: str
    #: ISO 8601 duration
    older_than: str
    #: configured sources that it is for; empty: all
    sources: tuple[str, ...] = ()
    #: field → allowed values; asked of the CRM itself
    where: Mapping[str, tuple[str | int | float | bool, ...]] = field(default_factory=dict)
    #: fields that must be empty
    empty: tuple[str, ...] = ()
    #: every further field that `book` looks at, sorted
    fields: tuple[str, ...] = ()
    #: signal → field that says it: what the place of an archive depends on
    signals: Mapping[str, str] = field(default_factory=dict)
    #: records in one plan at most, what goes with them included
    count: int | None = None
    #: of all records of the type, at most so many percent in one plan
    percent: float | None = None
    #: past the CRM's bin
    hard: bool = False
    #: whether records with children that go with them are purged (and archived) too, or kept
    children: bool = True
    #: whether documents whose bytes the CRM still holds are copied first, or keep their record
    documents: bool = False
    #: file and line
    origin: str = ""
    book: PurgeBook = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What stands around a policy's decisions: what a report prints, what a plan must pass. All JSON-able."""

    #: the policy's own name and version
    name: str = ""
    version: str = ""
    #: layers that it was put together from, lowest first: where it stands, and the SHA-256 of its text
    layers: tuple[tuple[str, str], ...] = ()
    #: tables that its decisions rest on, and their version or date
    tables: Mapping[str, str] = field(default_factory=dict)
    #: rules in use, and the day by which a person should look at each again
    reviews: Mapping[str, date] = field(default_factory=dict)
    approvals: Approvals = Approvals()
    caps: Caps = Caps()
    #: who answers for documents that are blocked or to be reviewed, and within how many days
    exceptions_owner: str = ""
    exceptions_days: int = 30
    ends: Ends = Ends()
    #: "share": equal bytes of documents that are alike may lie in a store once; "apart": each document has its own
    duplicates: str = "apart"
    #: which records are purged when they are old
    purges: tuple[PurgeRule, ...] = ()
    #: the policy's own words for the record of processing (GDPR Article 30)
    processing: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)


class Policy(Protocol):
    """A rule book: pure, no I/O, no clock."""

    #: SHA-256 over everything that can change a decision: options, rules, tables
    fingerprint: str

    @property
    def terms(self) -> Terms: ...

    def decide(self, document: Document, targets: Sequence[Target], now: datetime) -> Decision:
        """Say what is to become of the document, and why. Never raises for bad data: REVIEW instead."""
