"""Records: what a source can say about, and do to, the records themselves, beyond the documents that hang on them.

A second port, beside `offloader.ports.Source`: a plugin whose CRM allows it offers one (`open_records`).
The docstrings are the contract; `offloader.testing.records_contract` checks them. Errors: those of `offloader.errors`.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from offloader.model import Finding
from offloader.ports import Status, Usage

#: JSON-able value of a record's field, as the CRM's API gives it
Value = str | int | float | bool | None


class OnDelete(enum.StrEnum):
    """What becomes of a child when its parent is deleted."""

    #: it is deleted too
    CASCADE = "cascade"
    #: it forbids the deletion
    RESTRICT = "restrict"
    #: its look-up is emptied, it stays
    CLEAR = "clear"


@dataclass(frozen=True, slots=True, order=True)
class RecordRef:
    """Names one record: the configured source, the CRM's object type, the CRM's own id (opaque)."""

    source: str
    type: str
    id: str

    def __str__(self) -> str:
        return f"{self.source}/{self.type}/{self.id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldType:
    """One field of a type, as the CRM's metadata describe it. `refers_to`: types that a look-up leads to."""

    name: str
    label: str
    type: str
    creatable: bool = True
    refers_to: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Child:
    """Records of `type` hang on the parent by their look-up `field`."""

    type: str
    field: str
    on_delete: OnDelete
    #: whether they are documents that a `Source` lists (files, notes): purge never reads their bytes
    documents: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordType:
    """One object type: its fields, what hangs on it, and what its deletion wakes."""

    name: str
    label: str
    fields: tuple[FieldType, ...]
    children: tuple[Child, ...]
    #: triggers, flows, plug-ins that run when one is deleted, in the CRM's own words; None: the CRM would not say
    automation: tuple[str, ...] | None = None
    #: days that a deleted record can be brought back by the CRM's own bin, None if it has none
    bin_days: int | None = None
    #: whether the CRM's own API can create a record of this type (for `restore`)
    creatable: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordQuery:
    """Records of a type older than a moment, by an age field, with these fields' values.

    `equals`: field → allowed values (any of them); `empty`: fields that must be empty. Nothing else is pushed to the
    CRM; further conditions are evaluated on `fields` of what comes back.
    """

    type: str
    age_field: str
    before: datetime
    equals: Mapping[str, Sequence[Value]] = field(default_factory=dict)
    empty: Sequence[str] = ()
    #: further fields to bring along
    fields: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One record. `etag` changes whenever the CRM's row changes. `fields` are those asked for, or all."""

    ref: RecordRef
    etag: str
    modified: datetime | None
    fields: Mapping[str, Value]
    #: the record's name as people know it, raw and hostile
    label: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordPage:
    """A part of an answer. `cursor` resumes after this page; the last page has none."""

    records: tuple[Record, ...]
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class Deletion:
    """Delete this record if it is still as it was (`etag`)."""

    ref: RecordRef
    etag: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Deleted:
    """What became of one deletion (or creation: then `ref` is the new record).

    CONFLICT: changed since, nothing done. GONE: was not there any more. REFUSED: the CRM will not (a look-up that
    restricts, a trigger); `reason` has its words. RETRY: try again. DONE: read back, it is gone from the live CRM.
    """

    status: Status
    reason: str = ""
    ref: RecordRef | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """What the CRM says of its storage, in bytes, by meter ("data", "file"); `as_of` None: it does not say."""

    used: Mapping[str, int]
    limit: Mapping[str, int]
    as_of: datetime | None = None


class Records(Protocol):
    """The records of a configured CRM. Changes nothing but through `delete`, `create` and `set_fields`."""

    name: str
    #: largest number of records that one call of `fetch`, `delete`, `create` takes
    batch: int

    def check(self, types: Sequence[str], *, delete: bool) -> Sequence[Finding]:
        """Name every missing permission for reading (and deleting) these types, what it hides, and the remedy."""

    def identity(self) -> Mapping[str, str]:
        """Who this CRM is: "organisation" (its own id), "environment" (its kind: production, sandbox, …), "address".

        Compared at each run: a restored or cloned CRM shows another id, or the same one elsewhere.
        """

    def describe(self, type: str) -> RecordType:
        """Read the metadata of a type. Raises ConfigError if the CRM has no such type, or the user may not see it."""

    def find(self, query: RecordQuery, *, cursor: str | None = None) -> Iterator[RecordPage]:
        """List records, in a stable order, with `fields` of the query only. Raises ConfigError for unknown fields."""

    def children(self, parents: Sequence[RecordRef], child: Child) -> Iterator[RecordPage]:
        """List the children of these records, whole (all readable fields). `fields[child.field]` names the parent."""

    def fetch(self, refs: Sequence[RecordRef]) -> Sequence[Record | None]:
        """Read these records afresh and whole, in order; None for one that is not there (or may not be seen)."""

    def gone(self, refs: Sequence[RecordRef]) -> Sequence[Status]:
        """Say of each, in order: DONE if it is certainly deleted, in the CRM's own words (a bin, a delete log);
        REFUSED if it was merely not found (retention by the vendor, a lost permission); CONFLICT if it is there."""

    def delete(self, deletions: Sequence[Deletion], *, hard: bool = False) -> Sequence[Deleted]:
        """Delete records, each re-read in the same breath or compared and swapped by the CRM. In order.

        Into the CRM's bin where it has one; `hard` passes it by where the CRM can. One that cascades deletes its
        children too. Raises only when nothing can be said of any.
        """

    def create(self, records: Sequence[Record]) -> Sequence[Deleted]:
        """Create records with these fields (creatable ones; others are passed over), in order; `ref` is the new one.

        References in `fields` are the caller's to map first. RETRY: the answer was lost, it may be there now or not;
        `made` finds it.
        """

    def made(self, records: Sequence[Record], since: datetime) -> Sequence[Record]:
        """Whole records that `create` may have made of these since then, in any order; others may be among them.

        What it certainly made is among them. Where records keep their ids, those that are there now under theirs.
        """

    def set_fields(self, records: Sequence[Record]) -> Sequence[Deleted]:
        """Set these fields of records (for references that could not be set when they were created)."""

    def undelete(self, refs: Sequence[RecordRef]) -> Sequence[Deleted]:
        """Bring records back from the CRM's own bin, with what was deleted with them. REFUSED where it has none."""

    def storage(self) -> Storage:
        """What storage is used now, as the CRM says it (some say it hours later)."""

    def usage(self) -> Usage:
        """Calls spent so far, by operation. Makes no call."""
