"""A CRM in memory, as its users see it: records, documents of three kinds, links, users and what they may see."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from offloader.model import DocumentRef, Skip, Strategy, VersionRef
from offloader.ports import KindCapabilities
from offloader.testing.clock import FakeClock

FILE = KindCapabilities(
    kind="File",
    strategy=Strategy.NEW_LINK_THEN_DELETE,
    versions=True,
    multi_parent=True,
    checksum="md5",
    freed="deferred",
    bin_days=15,
)
NOTE = KindCapabilities(
    kind="Note", strategy=Strategy.STUB_IN_PLACE, id_stable=True, conditional_write=True, freed="now"
)
ENTRY = KindCapabilities(
    kind="Entry", strategy=Strategy.SWITCH_IN_PLACE, id_stable=True, size_known=False, freed="never"
)
KINDS = {kind.kind: kind for kind in (FILE, NOTE, ENTRY)}

#: how a parent shares a document when nothing else is said
SHARING = {"role": "viewer"}
ParentKey = tuple[str, str]


@dataclass(slots=True, kw_only=True)
class Body:
    """One version's bytes."""

    id: str
    name: str
    data: bytes
    created: datetime
    change: int


@dataclass(slots=True, kw_only=True)
class Row:
    """One document or one link (`url` set) as it stands in the CRM."""

    ref: DocumentRef
    title: str
    owner: str
    created: datetime
    modified: datetime
    bodies: list[Body] = field(default_factory=list)
    #: sharing by (type, id) of the parent record
    parents: dict[ParentKey, Mapping[str, str]] = field(default_factory=dict)
    url: str | None = None
    #: id of the link that this document was restored from
    restored: str = ""
    skip: Skip | None = None
    #: number of the last change of anything
    change: int = 0
    #: number of the last change of title or bytes
    content: int = 0


class MemoryCrm:
    """What the users of a CRM do to it. `MemorySource` is what the offloader sees of it.

    Kinds: "File" (versions, many parents, link then delete), "Note" (stub in place), "Entry" (switch in place,
    sizes unknown). Safe for threads: everything runs under `lock`.
    """

    def __init__(self, source: str = "crm", now: Callable[[], datetime] | None = None) -> None:
        self.source = source
        self.now = now or FakeClock().now
        self.lock = threading.RLock()
        self.rows: dict[DocumentRef, Row] = {}
        self.links: dict[str, Row] = {}
        #: number of the change that deleted a document
        self.bin: dict[DocumentRef, int] = {}
        self.records: dict[ParentKey, Mapping[str, str]] = {}
        self.users: dict[str, str] = {}
        self.inactive: set[str] = set()
        self.granted: set[tuple[str, str]] = set()
        #: documents that the offloader's user may not see
        self.hidden: set[DocumentRef] = set()
        #: versions whose next download ends early
        self.cut: set[VersionRef] = set()
        self.changes = 0
        self._numbers = itertools.count(1)
        self.admin = self.user("admin")

    def record(self, type: str, **signals: str) -> ParentKey:
        """Create a record with these signals ("country", …)."""
        key = (type, self.new_id(type))
        self.records[key] = signals
        return key

    def email(self, **signals: str) -> ParentKey:
        """Create a sent e-mail, for notes to hang on."""
        return self.record("Email", **signals)

    def delete_record(self, key: ParentKey) -> None:
        """Delete a record; its documents lose this parent."""
        with self.lock:
            del self.records[key]
            for row in [*self.rows.values(), *self.links.values()]:
                if row.parents.pop(key, None) is not None:
                    self.touch(row)

    def user(self, name: str) -> str:
        """Create a user who may see nothing yet; return the id."""
        user = self.new_id("User")
        self.users[user] = name
        return user

    def grant(self, user: str, record: ParentKey) -> None:
        self.granted.add((user, record[1]))

    def revoke(self, user: str, record: ParentKey) -> None:
        self.granted.discard((user, record[1]))

    def document(
        self,
        kind: str,
        *bodies: bytes,
        name: str = "report.pdf",
        parents: Iterable[ParentKey] = (),
        owner: str | None = None,
        sharing: Mapping[str, str] | None = None,
        skip: Skip | None = None,
    ) -> DocumentRef:
        """Create a document; each of `bodies` is a version, oldest first (kinds without versions have one)."""
        if len(bodies) != 1 and not (KINDS[kind].versions and bodies):
            raise ValueError(f"a document of kind {kind} cannot have {len(bodies)} versions")
        now = self.now()
        row = Row(
            ref=DocumentRef(self.source, kind, self.new_id(kind)),
            title=name,
            owner=owner or self.admin,
            created=now,
            modified=now,
            parents={key: dict(sharing or SHARING) for key in parents},
            skip=skip,
        )
        with self.lock:
            for data in bodies:
                self.write(row, name, data)
            self.rows[row.ref] = row
        return row.ref

    def edit(self, ref: DocumentRef, data: bytes, name: str | None = None) -> None:
        """As a user: upload a new version, or (kinds without versions) other bytes in place; ends a stub."""
        with self.lock:
            row = self.rows[ref]
            row.url = None
            self.write(row, name or row.bodies[-1].name, data)

    def rename(self, ref: DocumentRef, title: str) -> None:
        with self.lock:
            row = self.rows[ref]
            row.title = title
            self.touch(row, content=True)

    def share(self, ref: DocumentRef, record: ParentKey, sharing: Mapping[str, str] | None = None) -> None:
        """As a user: hang the document on one more record, or share it otherwise with one that it hangs on."""
        with self.lock:
            row = self.rows[ref]
            row.parents[record] = dict(sharing or SHARING)
            self.touch(row)

    def unshare(self, ref: DocumentRef, record: ParentKey) -> None:
        with self.lock:
            row = self.rows[ref]
            del row.parents[record]
            self.touch(row)

    def delete(self, ref: DocumentRef) -> None:
        """Delete a document into the bin."""
        with self.lock:
            del self.rows[ref]
            self.changes += 1
            self.bin[ref] = self.changes

    def bytes_of(self, ref: DocumentRef) -> Sequence[bytes] | None:
        """Return the bytes that the CRM holds now, by version; None if the document is gone."""
        row = self.rows.get(ref)
        return None if row is None else [body.data for body in row.bodies]

    def links_to(self, url: str) -> Sequence[Row]:
        """Return every link and stub that points to the URL."""
        with self.lock:
            return [row for row in [*self.links.values(), *self.rows.values()] if row.url == url]

    def may_see(self, user: str, row: Row) -> bool:
        """Whether a user (id or name) is active and owns the document or may see one of its parents."""
        known = [key for key, name in self.users.items() if user in (key, name) and key not in self.inactive]
        return any(row.owner == key or any((key, parent) in self.granted for _, parent in row.parents) for key in known)

    def write(self, row: Row, name: str, data: bytes) -> None:
        """Add a version, or replace the only one."""
        self.touch(row, content=True)
        if KINDS[row.ref.kind].versions:
            row.bodies.append(
                Body(id=self.new_id("Body"), name=name, data=data, created=row.modified, change=row.change)
            )
        else:
            row.bodies = [Body(id=row.ref.id, name=name, data=data, created=row.created, change=row.change)]

    def touch(self, row: Row, *, content: bool = False) -> None:
        """Note that a row has changed."""
        self.changes += 1
        row.change, row.modified = self.changes, self.now()
        if content:
            row.content = self.changes

    def new_id(self, prefix: str) -> str:
        return f"{prefix.lower()}-{next(self._numbers):08d}"
