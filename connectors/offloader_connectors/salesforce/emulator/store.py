"""Rows in memory with indexes and transactions, written through to the journal.

A row is a dict of field name to JSON value (datetimes as `2026-01-01T00:00:00.000+0000`, dates as `2026-01-01`) and is
never changed once stored: a change stores a new dict. Names with a leading underscore are the emulator's own: bodies
(`_VersionData`, `_Body`) and the number of the deletion that took the row away (`_deletion`).
"""

from __future__ import annotations

import threading
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from offloader_connectors.emulation.journal import Journal
from offloader_connectors.salesforce.emulator.ids import new_id, number_of
from offloader_connectors.salesforce.emulator.objects import OBJECTS
from offloader_connectors.salesforce.emulator.schema import SObject

Row = dict[str, Any]
#: journal types of values that are no records
_META = "_"
_EXTRA_INDEXES = {
    ("ContentVersion", "ContentDocumentId"),
    ("Case", "AccountId"),
    ("EmailMessage", "RelatedToId"),
    ("PermissionSetAssignment", "AssigneeId"),
}


def _indexed(sobject: SObject) -> tuple[str, ...]:
    return tuple(
        item.name
        for item in sobject.fields.values()
        if item.cascade or item.external_id or item.unique or (sobject.name, item.name) in _EXTRA_INDEXES
    )


def folded(value: Any) -> Any:
    """Text compares without regard to case, as SOQL does; ids keep theirs."""
    return value.lower() if isinstance(value, str) else value


class Store:
    """Tables of rows. Every method expects the caller to hold `lock` or to be inside `transaction()`."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.lock = threading.RLock()
        self.journal = Journal(directory / "org.sqlite")
        self._snapshots = directory / "snapshots"
        #: how often each table changed
        self.changes: dict[str, int] = dict.fromkeys(OBJECTS, 0)
        self._depth = 0
        self._undo: list[tuple[str, str, Row | None]] = []
        self._dirty: set[tuple[str, str]] = set()
        self._load()

    def _load(self) -> None:
        self.tables: dict[str, dict[str, Row]] = {name: {} for name in OBJECTS}
        self.meta: dict[str, Any] = {}
        self._index: dict[tuple[str, str], dict[Any, dict[str, None]]] = {
            (name, field): {} for name, sobject in OBJECTS.items() for field in _indexed(sobject)
        }
        self._index_fields = {name: _indexed(sobject) for name, sobject in OBJECTS.items()}
        self._sorted: dict[tuple[str, str], tuple[int, list[tuple[Any, str]]]] = {}
        # goes on counting over a restore, so that nothing cached under an earlier number is taken for current
        self.changes = {name: count + 1 for name, count in self.changes.items()}
        for kind, key, value in self.journal.load():
            if kind == _META:
                self.meta[key] = value["value"]
            else:
                self.tables[kind][key] = value
                self._reindex(kind, key, None, value)
        self._last = {name: self._last_number(name) for name in OBJECTS}

    def _last_number(self, kind: str) -> int:
        return max((number_of(key) for key in self.tables[kind]), default=0)

    def next_id(self, kind: str) -> str:
        prefix = OBJECTS[kind].prefix
        assert prefix is not None
        self._last[kind] += 1
        return new_id(prefix, self._last[kind])

    def get(self, record_id: str, kind: str | None = None) -> Row | None:
        """The row of an 18-character id, deleted ones included."""
        name = kind or kind_of(record_id)
        return self.tables[name].get(record_id) if name else None

    def put(self, kind: str, row: Row) -> None:
        """Store a row in place of the one with its id."""
        key = row["Id"]
        old = self.tables[kind].get(key)
        self._undo.append((kind, key, old))
        self._set(kind, key, old, row)

    def forget(self, kind: str, key: str) -> None:
        """Take a row away for good."""
        old = self.tables[kind].get(key)
        self._undo.append((kind, key, old))
        self._set(kind, key, old, None)

    def _set(self, kind: str, key: str, old: Row | None, new: Row | None) -> None:
        if new is None:
            self.tables[kind].pop(key, None)
        else:
            self.tables[kind][key] = new
        self._reindex(kind, key, old, new)
        self.changes[kind] += 1
        self._dirty.add((kind, key))

    def _reindex(self, kind: str, key: str, old: Row | None, new: Row | None) -> None:
        for name in self._index_fields[kind]:
            before = self._key(kind, name, old.get(name)) if old else None
            after = self._key(kind, name, new.get(name)) if new else None
            if before == after:
                continue
            index = self._index[kind, name]
            if before is not None:
                keys = index[before]
                del keys[key]
                if not keys:
                    del index[before]
            if after is not None:
                index.setdefault(after, {})[key] = None

    def _key(self, kind: str, name: str, value: Any) -> Any:
        return value if OBJECTS[kind].fields[name].targets else folded(value)

    def has_index(self, kind: str, name: str) -> bool:
        return (kind, name) in self._index

    def keys_where(self, kind: str, name: str, value: Any) -> tuple[str, ...]:
        """Ids of the rows (deleted ones included) whose indexed field has this value."""
        return tuple(self._index[kind, name].get(self._key(kind, name, value), ()))

    def where(self, kind: str, name: str, value: Any) -> list[Row]:
        """Living rows whose indexed field has this value."""
        table = self.tables[kind]
        rows = (table[key] for key in self.keys_where(kind, name, value))
        return [row for row in rows if not row.get("IsDeleted")]

    def ordered(self, kind: str, name: str) -> list[tuple[Any, str]]:
        """(value, id) of all rows with a value, ascending; built when first asked for after a change."""
        known = self._sorted.get((kind, name))
        if known and known[0] == self.changes[kind]:
            return known[1]
        rows = self.tables[kind].values()
        pairs = sorted((row[name], row["Id"]) for row in rows if row.get(name) is not None)
        self._sorted[kind, name] = (self.changes[kind], pairs)
        return pairs

    def between(self, kind: str, name: str, low: Any, high: Any) -> list[tuple[Any, str]]:
        """The part of `ordered` from low to high, both included; None leaves a side open."""
        pairs = self.ordered(kind, name)
        start = 0 if low is None else bisect_left(pairs, (low, ""))
        end = len(pairs) if high is None else bisect_right(pairs, (high, "\U0010ffff"))
        return pairs[start:end]

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; inside another one, a savepoint. The outermost end writes to the journal."""
        with self.lock:
            mark = len(self._undo)
            self._depth += 1
            try:
                yield
            except BaseException:
                for kind, key, old in reversed(self._undo[mark:]):
                    self._set(kind, key, self.tables[kind].get(key), old)
                del self._undo[mark:]
                raise
            finally:
                self._depth -= 1
                if not self._depth:
                    self._commit()

    def _commit(self) -> None:
        self._undo.clear()
        if self._dirty:
            dirty, self._dirty = self._dirty, set()
            self.journal.write((kind, key, self.tables[kind].get(key)) for kind, key in dirty)

    def set_meta(self, name: str, value: Any) -> None:
        """Keep a value that is no record, outside of any transaction."""
        self.meta[name] = value
        self.journal.write([(_META, name, {"value": value})])

    def snapshot(self, name: str) -> None:
        with self.lock:
            self.journal.copy_to(self._snapshots / f"{name}.sqlite")

    def restore(self, name: str) -> None:
        """Raises FileNotFoundError."""
        with self.lock:
            self.journal.copy_from(self._snapshots / f"{name}.sqlite")
            self._load()

    def has_snapshot(self, name: str) -> bool:
        return (self._snapshots / f"{name}.sqlite").exists()

    def counts(self) -> Mapping[str, Mapping[str, int]]:
        """Living and deleted rows by object."""
        found = {}
        for name, table in self.tables.items():
            deleted = sum(1 for row in table.values() if row.get("IsDeleted"))
            if table:
                found[name] = {"live": len(table) - deleted, "deleted": deleted}
        return found


_KINDS = {sobject.prefix: name for name, sobject in OBJECTS.items() if sobject.prefix}


def kind_of(record_id: str) -> str | None:
    """The object that an id belongs to, by its key prefix."""
    return _KINDS.get(record_id[:3])
