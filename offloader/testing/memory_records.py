"""Records in memory: a fake of `offloader.records.Records`, with a bin, cascades and what users do meanwhile."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from offloader.errors import ConfigError
from offloader.model import Finding
from offloader.ports import Status, Usage
from offloader.records import (
    Child,
    Deleted,
    Deletion,
    OnDelete,
    Record,
    RecordPage,
    RecordQuery,
    RecordRef,
    RecordType,
    Storage,
    Value,
)
from offloader.testing.clock import FakeClock

#: bytes that every record costs, as Salesforce counts them
RECORD_BYTES = 2048


@dataclass(slots=True, kw_only=True)
class RecordRow:
    """One record as it stands in the CRM."""

    ref: RecordRef
    fields: dict[str, Value]
    modified: datetime
    #: number of its last change
    change: int


class MemoryRecords:
    """A CRM's records. `add`, `edit`, `drop` and `empty_bin` are what its users do; the rest is the port.

    Ids are unique over all types. `refuses`: ids whose deletion a trigger refuses, with its words. `busy`: ids that
    answer RETRY so many times first. `inactive`: users that cannot own a new record (`owner_field`). `forgets`: ids
    that vanish without any trace. Safe for threads.
    """

    def __init__(
        self, types: Sequence[RecordType], *, name: str = "crm", now: Callable[[], datetime] | None = None
    ) -> None:
        self.name = name
        self.batch = 200
        self.page = 2000
        self.types = {each.name: each for each in types}
        self.rows: dict[str, RecordRow] = {}
        self.refuses: dict[str, str] = {}
        self.busy: dict[str, int] = {}
        self.inactive: set[str] = set()
        self.owner_field = "OwnerId"
        self.requests: Counter[str] = Counter()
        self._bin: dict[str, list[RecordRow]] = {}
        self._log: set[str] = set()
        self._by_parent: dict[tuple[str, str, str], dict[str, None]] = {}
        self._now = now or FakeClock().now
        self._lock = threading.RLock()
        self._count = 0

    # -- what users do -----------------------------------------------------------------------------------------

    def add(self, type: str, fields: Mapping[str, Value], *, id: str | None = None) -> RecordRef:
        """Make a record."""
        with self._lock:
            self._count += 1
            ref = RecordRef(self.name, type, id or f"{type}-{self._count:08d}")
            self._put(RecordRow(ref=ref, fields=dict(fields), modified=self._now(), change=self._count))
            return ref

    def edit(self, id: str, **fields: Value) -> None:
        """Change a record's fields."""
        with self._lock:
            row = self.rows[id]
            self._unlist(row)
            self._count += 1
            row.fields.update(fields)
            row.change, row.modified = self._count, self._now()
            self._put(row)

    def drop(self, id: str) -> None:
        """Delete a record and what hangs on it, as a user does."""
        with self._lock:
            self._take(self.rows[id])

    def forget(self, id: str) -> None:
        """Make a record vanish without a trace in any bin or log."""
        with self._lock:
            self._unlist(self.rows.pop(id))

    def empty_bin(self) -> None:
        """Delete for good what is in the bin."""
        self._bin.clear()

    # -- the port ----------------------------------------------------------------------------------------------

    def check(self, types: Sequence[str], *, delete: bool) -> Sequence[Finding]:
        for each in types:
            self._type(each)
        return ()

    def identity(self) -> Mapping[str, str]:
        return {"organisation": f"org-{self.name}", "environment": "production", "address": f"memory://{self.name}"}

    def describe(self, type: str) -> RecordType:
        self.requests["describe"] += 1
        return self._type(type)

    def find(self, query: RecordQuery, *, cursor: str | None = None) -> Iterator[RecordPage]:
        known = {each.name for each in self._type(query.type).fields}
        wanted = {query.age_field, *query.equals, *query.empty, *query.fields}
        if not wanted <= known:
            raise ConfigError(f"{query.type} has no field {min(wanted - known)!r}")
        with self._lock:
            rows = sorted(self._of(query.type), key=lambda row: row.ref.id)
        found = [row for row in rows if (cursor is None or row.ref.id > cursor) and _matches(row, query)]
        starts = range(0, max(len(found), 1), self.page)
        for start in starts:
            self.requests["find"] += 1
            page = found[start : start + self.page]
            last = start + self.page >= len(found)
            records = tuple(_record(row, wanted) for row in page)
            yield RecordPage(records=records, cursor=None if last else page[-1].ref.id)

    def children(self, parents: Sequence[RecordRef], child: Child) -> Iterator[RecordPage]:
        with self._lock:
            keys = [(child.type, child.field, ref.id) for ref in parents]
            found = [_record(self.rows[each]) for key in keys for each in self._by_parent.get(key, {})]
        for start in range(0, max(len(found), 1), self.page):
            self.requests["children"] += 1
            last = start + self.page >= len(found)
            yield RecordPage(records=tuple(found[start : start + self.page]), cursor=None if last else str(start))

    def fetch(self, refs: Sequence[RecordRef]) -> Sequence[Record | None]:
        self._limit("fetch", refs)
        with self._lock:
            rows = [self.rows.get(ref.id) for ref in refs]
            return [_record(row) if row is not None else None for row in rows]

    def gone(self, refs: Sequence[RecordRef]) -> Sequence[Status]:
        self._limit("gone", refs)
        with self._lock:
            return [
                Status.CONFLICT if ref.id in self.rows else Status.DONE if ref.id in self._log else Status.REFUSED
                for ref in refs
            ]

    def delete(self, deletions: Sequence[Deletion], *, hard: bool = False) -> Sequence[Deleted]:
        self._limit("delete", deletions)
        with self._lock:
            return [self._delete(each, hard=hard) for each in deletions]

    def create(self, records: Sequence[Record]) -> Sequence[Deleted]:
        self._limit("create", records)
        with self._lock:
            return [self._create(record) for record in records]

    def made(self, records: Sequence[Record], since: datetime) -> Sequence[Record]:
        self.requests["made"] += 1
        types = {record.ref.type for record in records}
        with self._lock:
            rows = [row for row in self.rows.values() if row.ref.type in types and row.modified >= since]
            return [_record(row) for row in rows]

    def set_fields(self, records: Sequence[Record]) -> Sequence[Deleted]:
        self._limit("set_fields", records)
        with self._lock:
            answers = []
            for record in records:
                if record.ref.id not in self.rows:
                    answers.append(Deleted(status=Status.GONE, reason="it is not there"))
                    continue
                self.edit(record.ref.id, **record.fields)
                answers.append(Deleted(status=Status.DONE, ref=record.ref))
            return answers

    def undelete(self, refs: Sequence[RecordRef]) -> Sequence[Deleted]:
        self._limit("undelete", refs)
        with self._lock:
            return [self._undelete(ref) for ref in refs]

    def storage(self) -> Storage:
        self.requests["storage"] += 1
        with self._lock:
            held = len(self.rows) + sum(len(rows) for rows in self._bin.values())
            return Storage(used={"data": held * RECORD_BYTES}, limit={"data": 1 << 30}, as_of=self._now())

    def usage(self) -> Usage:
        return Usage(requests=dict(self.requests))

    # -- inside ------------------------------------------------------------------------------------------------

    def _limit(self, operation: str, items: Sequence[object]) -> None:
        self.requests[operation] += 1
        if len(items) > self.batch:
            raise ValueError(f"{operation} takes {self.batch} at once, not {len(items)}")

    def _type(self, name: str) -> RecordType:
        if name not in self.types:
            raise ConfigError(f"the CRM has no type {name!r}")
        return self.types[name]

    def _of(self, type: str) -> list[RecordRow]:
        return [row for row in self.rows.values() if row.ref.type == type]

    def _references(self, row: RecordRow) -> Iterator[tuple[str, str, str]]:
        for each in self._type(row.ref.type).fields:
            value = row.fields.get(each.name)
            if each.refers_to and isinstance(value, str):
                yield (row.ref.type, each.name, value)

    def _put(self, row: RecordRow) -> None:
        self.rows[row.ref.id] = row
        for key in self._references(row):
            self._by_parent.setdefault(key, {})[row.ref.id] = None

    def _unlist(self, row: RecordRow) -> None:
        for key in self._references(row):
            self._by_parent.get(key, {}).pop(row.ref.id, None)

    def _hanging(self, row: RecordRow) -> Iterator[tuple[Child, RecordRow]]:
        for child in self._type(row.ref.type).children:
            for each in list(self._by_parent.get((child.type, child.field, row.ref.id), {})):
                yield child, self.rows[each]

    def _take(self, row: RecordRow, *, hard: bool = False) -> None:
        taken: list[RecordRow] = []
        self._remove(row, taken)
        self._log.update(each.ref.id for each in taken)
        if not hard:
            self._bin[row.ref.id] = taken

    def _remove(self, row: RecordRow, taken: list[RecordRow]) -> None:
        if self.rows.pop(row.ref.id, None) is None:
            return
        taken.append(row)
        for child, hanging in list(self._hanging(row)):
            if child.on_delete is OnDelete.CASCADE:
                self._remove(hanging, taken)
            else:
                self.edit(hanging.ref.id, **{child.field: None})
        self._unlist(row)

    def _restricted(self, row: RecordRow) -> str:
        for child, hanging in self._hanging(row):
            if child.on_delete is OnDelete.RESTRICT:
                return f"{hanging.ref} restricts it"
            if child.on_delete is OnDelete.CASCADE and (why := self._restricted(hanging)):
                return why
        return ""

    def _delete(self, deletion: Deletion, *, hard: bool) -> Deleted:
        key = deletion.ref.id
        row = self.rows.get(key)
        if row is None:
            return Deleted(status=Status.GONE, reason="it is not there any more")
        if str(row.change) != deletion.etag:
            return Deleted(status=Status.CONFLICT, reason="it was changed since it was read")
        if self.busy.get(key, 0) > 0:
            self.busy[key] -= 1
            return Deleted(status=Status.RETRY, reason="the row is locked by another job")
        why = self.refuses.get(key) or self._restricted(row)
        if why:
            return Deleted(status=Status.REFUSED, reason=why)
        self._take(row, hard=hard)
        return Deleted(status=Status.DONE)

    def _create(self, record: Record) -> Deleted:
        made = self._type(record.ref.type)
        if not made.creatable:
            return Deleted(status=Status.REFUSED, reason=f"the API creates no {made.name}")
        creatable = {each.name: each for each in made.fields if each.creatable}
        fields = {name: value for name, value in record.fields.items() if name in creatable}
        if fields.get(self.owner_field) in self.inactive:
            return Deleted(status=Status.REFUSED, reason="the owner is inactive")
        for name, value in fields.items():
            known = value is None or not set(creatable[name].refers_to) & self.types.keys() or value in self.rows
            if not known:
                return Deleted(status=Status.REFUSED, reason=f"{name} names no record that is there")
        return Deleted(status=Status.DONE, ref=self.add(made.name, fields))

    def _undelete(self, ref: RecordRef) -> Deleted:
        taken = self._bin.pop(ref.id, None)
        if taken is None:
            return Deleted(status=Status.REFUSED, reason="it is not in the bin")
        for row in taken:
            self._put(row)
            self._log.discard(row.ref.id)
        return Deleted(status=Status.DONE, ref=ref)


def _record(row: RecordRow, names: set[str] | None = None) -> Record:
    fields = {name: value for name, value in row.fields.items() if names is None or name in names}
    label = row.fields.get("Name")
    return Record(
        ref=row.ref,
        etag=str(row.change),
        modified=row.modified,
        fields=fields,
        label=label if isinstance(label, str) else "",
    )


def _matches(row: RecordRow, query: RecordQuery) -> bool:
    moment = _moment(row.fields.get(query.age_field))
    return (
        moment is not None
        and moment < query.before
        and all(row.fields.get(name) in values for name, values in query.equals.items())
        and all(row.fields.get(name) is None for name in query.empty)
    )


def _moment(value: Value) -> datetime | None:
    if not isinstance(value, str):
        return None
    moment = datetime.fromisoformat(value)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
