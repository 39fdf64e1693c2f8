"""What a report says, apart from how it looks: gathered once, written in every format and language from it.

Texts here are data (names, codes, sentences of decisions); words that a reader's language changes are not among them.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, ClassVar

from offloader.reports.message import marked as _


class Mode(enum.StrEnum):
    """A dry run says what would be done; a run says what was done."""

    DRY_RUN = "dry-run"
    RUN = "run"


@dataclass(frozen=True, slots=True)
class Count:
    """So many documents, versions and bytes."""

    documents: int = 0
    versions: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFacts:
    """One CRM: its organisation's id, and the countries where the CRM itself holds its bytes (empty: not known)."""

    name: str
    type: str
    #: who the CRM itself says that it is: its own id, its kind (production, sandbox), its host; empty: not said
    organisation: str = ""
    environment: str = ""
    address: str = ""
    countries: tuple[str, ...] = ()
    #: when its last complete scan ended, and what it could not see
    scanned: datetime | None = None
    #: kind → mark up to which its changes were seen when the plan was made; empty where it was scanned again since
    marks: Mapping[str, str] = field(default_factory=dict)
    blind_spots: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyFacts:
    """One policy as it was when the plan was made."""

    name: str
    version: str
    fingerprint: str
    sources: tuple[str, ...]
    layers: tuple[tuple[str, str], ...] = ()
    tables: Mapping[str, str] = field(default_factory=dict)
    #: rules in use that should have been looked at again before the report's date
    overdue: tuple[tuple[str, date], ...] = ()
    #: a row of the record of processing (GDPR Article 30), column → value, in order
    processing: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetFacts:
    """One store and the proof of its place on which the plan rests."""

    name: str
    assurance: str
    countries: tuple[str, ...]
    taken: datetime | None
    expires: datetime | None
    summary: str
    sha256: str
    #: question → raw answer
    evidence: Mapping[str, str]
    chosen: Count
    #: how its bytes are protected beyond the transport, as far as the configuration says
    protection: str = ""
    #: provider, class and region of the price list's row
    price_class: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignOff:
    """What one person said about this very plan."""

    person: str
    role: str
    said: str
    at: datetime
    valid_until: datetime
    reason: str
    #: whether it still stands: signature good, not expired, not withdrawn, for this plan's hash
    stands: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Money:
    """US dollars at list prices, net of requests, traffic and early-delete fees; None where a price is not known.

    `notes` name every price with its date and source, and what is not in the sum.
    """

    crm_month: float | None
    store_month: float | None
    requests_once: float | None
    #: CRM minus store, per month
    saved_month: float | None
    #: months until the one-time cost is earned back; None if never, or unknown
    months_to_earn: float | None
    #: documents that would cost more outside of the CRM than inside
    losers: Count
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageForecast:
    """How full one CRM's storage for documents was when it was asked, in bytes, and when it will be full."""

    source: str
    used: int
    limit: int
    #: when the CRM was asked
    as_of: datetime
    #: bytes a month by which it grows; None: not known
    growth_month: int | None
    #: bytes that the plan's moves take out of it, of those that were there when it was asked
    freed: int
    #: None: not within a hundred years, or not known; the notes say which
    full_without: date | None
    full_with: date | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What comes, reckoned from what is known; None where there is nothing to reckon from."""

    #: bytes a month by which the CRM's documents grow, and from how many months that was measured
    growth_month: int | None
    measured_months: int
    #: when the storage of the CRM that is full first is full without this plan, and with it
    full_without: date | None
    full_with: date | None
    #: documents still to move (after a run: those that are not done), CRM requests that they need, requests a day that
    #: the budget allows, and so how many days
    documents: int
    requests: int
    requests_day: int | None
    days: int | None
    notes: tuple[str, ...]
    #: the CRMs that say how full they are
    storages: tuple[StorageForecast, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Against the report before this one of the same mode."""

    report: str
    at: datetime
    #: verdict and code → documents now minus then; zero ones are left out
    by_code: Mapping[str, int]
    #: policies, tables, proofs that are others now, in words of data ("policy eu", "proof frankfurt")
    changed: tuple[str, ...]


@dataclass(slots=True, kw_only=True)
class Row:
    """One document. `name` is its title or, by default, the first 16 hex digits of that title's SHA-256.

    Nobody changes one. It is not frozen because there are millions, and making a frozen one takes four times as long.
    """

    #: number of the item in the plan, from 1
    number: int
    source: str
    kind: str
    id: str
    name: str
    parents: tuple[tuple[str, str], ...]
    bytes: int
    versions: int
    mime: str
    created: datetime | None
    modified: datetime | None
    #: the CRM's own checksum of the newest version, "algorithm:hex", empty if it has none
    checksum: str
    verdict: str
    code: str
    #: the sentence that settled it
    reason: str
    jurisdictions: tuple[str, ...]
    #: signal by signal what the records say: "Account 001…: country NL"
    signals: tuple[str, ...]
    categories: tuple[str, ...]
    clauses: tuple[str, ...]
    #: rule, its effect's code, its place in the tables, and the sentence, in the order of the decision
    rules: tuple[tuple[str, str, str, str], ...]
    #: what each rule took away, as the decision tells it
    narrowing: str
    countries: tuple[str, ...]
    #: where the CRM holds it now
    source_countries: tuple[str, ...]
    store: str
    copies: tuple[str, ...]
    store_countries: tuple[str, ...]
    assurance: str
    proof: str
    bases: tuple[str, ...]
    keep_until: date | None
    erase_by: date | None
    retention: tuple[str, ...]
    holds: tuple[str, ...]
    #: who has to settle it, and by when; only of exceptions
    owner: str
    due: date | None
    #: US dollars a month at list prices that its move saves; None: no price
    saved_month: float | None
    #: what became of it (a run): its state, the copies' key by store, SHA-256 of the newest version, when, last detail
    outcome: str = ""
    stored: tuple[tuple[str, str], ...] = ()
    sha256: str = ""
    done_at: datetime | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What every report begins with, whatever its plan is about."""

    #: R-20261122-0001
    id: str
    schema: int
    mode: Mode
    organisation: str
    environment: str
    #: offloader's version
    tool: str
    made_at: datetime
    #: who wrote the report, and who made the plan
    by: str
    preparer: str
    plan: str
    plan_sha256: str
    plan_at: datetime
    #: when the run began and ended
    started: datetime | None
    ended: datetime | None
    sources: tuple[SourceFacts, ...]
    policies: tuple[PolicyFacts, ...]
    targets: tuple[TargetFacts, ...]
    sign_offs: tuple[SignOff, ...]
    #: how many approvals the policies ask for, and whether the preparer may give one
    approvals_needed: int
    #: whether the plan could be applied now as far as approvals go
    approved: bool

    #: the package with a writer for each format, and what is said of a dry run and of the table that is not printed
    WRITERS: ClassVar[str]
    NOTHING: ClassVar[str]
    UNPRINTED: ClassVar[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report(Head):
    """The report of a plan of moves. `rows()` streams every document anew each time, in the plan's order; it may be
    millions."""

    totals: Mapping[str, Count]
    #: (verdict, code) → count, and one example's sentence by the same key
    codes: Mapping[tuple[str, str], Count]
    examples: Mapping[tuple[str, str], str]
    #: (jurisdictions joined by a space, category, target country or empty) → count
    by_law: Mapping[tuple[str, str, str], Count]
    #: (source country or empty, target country) → count of documents to move, for each country of a target
    matrix: Mapping[tuple[str, str], Count]
    #: documents that are frozen by holds
    held: Count
    #: retention that contradicts itself
    retention_conflicts: Count
    #: what keeps records from being judged: problem → documents
    data_quality: Mapping[str, int]
    #: state → count, a run's outcome over all documents of the plan; planned = done + the rest, each explained
    outcomes: Mapping[str, Count]
    #: rows by number of a random sample of moves, and the seed to draw it again
    sample: tuple[int, ...]
    seed: int
    #: rows by number of everything blocked or to be reviewed, and of planned moves that a run has not done;
    #: at most `EXCEPTIONS`, and how many there are
    exceptions: tuple[int, ...]
    exceptions_total: int
    money: Money | None
    forecast: Forecast | None
    difference: Difference | None
    rows: Callable[[], Iterator[Row]]
    #: the sources that were asked for (empty: all), and of a pilot: how many documents of how many, and its seed
    scope: Mapping[str, Any] = field(default_factory=dict)
    #: (state, why) → count of a run's planned moves that are not done; `why` says nothing of a single document
    unfinished: Mapping[tuple[str, str], Count] = field(default_factory=dict)

    EXCEPTIONS = 1000
    WRITERS = "offloader.reports"
    NOTHING = _("DRY RUN. Nothing was moved.")
    UNPRINTED = _("The table of all documents is not printed. All documents are in the spreadsheet and the CSV file.")
