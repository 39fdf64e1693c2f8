"""Tables of rows in memory with indexes and transactions, written through to a journal.

A row is a dict of field name to JSON value and is never changed once stored: a change stores a new dict. Names with a
leading underscore are the emulator's own.
"""

from __future__ import annotations

import threading
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from offloader_connectors.emulation.journal import Journal

Row = dict[str, Any]
#: journal type of values that are no rows; sorts before every table's name
_META = "_"


def folded(value: Any) -> Any:
    """Text compares without regard to case."""
    return value.lower() if isinstance(value, str) else value


class Tables:
    """Every method expects the caller to hold `lock` or to be inside `transaction()`.

    A subclass says which tables there are (`names`), what is indexed (`indexed`), and by what values.
    """

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.lock = threading.RLock()
        self.journal = Journal(directory / "org.sqlite")
        self._snapshots = directory / "snapshots"
        #: how often each table changed, and how often a row came to it or went
        self.changes: dict[str, int] = {}
        self._members: dict[str, int] = {}
        self._depth = 0
        self._undo: list[tuple[str, str, Row | None]] = []
        self._dirty: set[tuple[str, str]] = set()
        self._load()

    # -- what a subclass says ----------------------------------------------------------------------

    def names(self) -> Iterable[str]:
        """All tables; asked once `meta` is loaded."""
        raise NotImplementedError

    def indexed(self, kind: str) -> tuple[str, ...]:
        """The fields of a table that have an index."""
        raise NotImplementedError

    def index_key(self, kind: str, name: str, value: Any) -> Any:
        """What an index holds for a value; None is not indexed."""
        return folded(value)

    def sort_key(self, kind: str, name: str, key: str, row: Row) -> Any:
        """What `ordered` sorts a row by; None leaves it out."""
        return row.get(name)

    def static(self, kind: str, name: str) -> bool:
        """Whether a row never changes what `ordered` sorts it by."""
        return False

    def revived(self, kind: str, row: Row) -> Row:
        """A row as it was before JSON had it."""
        return row

    def row_added(self, kind: str, key: str, row: Row) -> None:
        """Called for every row that is loaded."""

    # -- loading -----------------------------------------------------------------------------------

    def _load(self) -> None:
        self.meta: dict[str, Any] = {}
        self.tables: dict[str, dict[str, Row]] = {}
        self._index: dict[tuple[str, str], dict[Any, dict[str, None]]] = {}
        self._index_fields: dict[str, tuple[str, ...]] = {}
        self._sorted: dict[tuple[str, str], tuple[int, list[tuple[Any, str]]]] = {}
        kept = list(self.journal.load())
        self.meta.update({key: value["value"] for kind, key, value in kept if kind == _META})
        for name in self.names():
            self.open_table(name)
        for kind, key, value in kept:
            if kind != _META and kind in self.tables:
                row = self.revived(kind, value)
                self.tables[kind][key] = row
                self._reindex(kind, key, None, row)
                self.row_added(kind, key, row)

    def open_table(self, name: str) -> None:
        """Make an empty table."""
        self.tables[name] = {}
        # goes on counting over a restore, so that nothing cached under an earlier number is taken for current
        self.changes[name] = self.changes.get(name, 0) + 1
        self._members[name] = self._members.get(name, 0) + 1
        self.open_indexes(name)

    def open_indexes(self, name: str) -> None:
        """Build the indexes of a table anew."""
        for gone in [place for place in self._index if place[0] == name]:
            del self._index[gone]
        self._index_fields[name] = self.indexed(name)
        self._index.update({(name, field): {} for field in self._index_fields[name]})
        for key, row in self.tables[name].items():
            self._reindex(name, key, None, row)

    # -- rows --------------------------------------------------------------------------------------

    def put_row(self, kind: str, key: str, row: Row) -> None:
        """Store a row in place of the one with its key."""
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
        if (old is None) != (new is None):
            self._members[kind] += 1
        self._dirty.add((kind, key))

    def _reindex(self, kind: str, key: str, old: Row | None, new: Row | None) -> None:
        for name in self._index_fields[kind]:
            before = self._index_value(kind, name, old)
            after = self._index_value(kind, name, new)
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

    def _index_value(self, kind: str, name: str, row: Row | None) -> Any:
        value = row.get(name) if row else None
        return None if value is None else self.index_key(kind, name, value)

    def has_index(self, kind: str, name: str) -> bool:
        return (kind, name) in self._index

    def keys_where(self, kind: str, name: str, value: Any) -> tuple[str, ...]:
        """Keys of the rows whose indexed field has this value."""
        wanted = None if value is None else self.index_key(kind, name, value)
        return tuple(self._index[kind, name].get(wanted, ()))

    def ordered(self, kind: str, name: str) -> list[tuple[Any, str]]:
        """(value, key) of all rows with a value, ascending; built when first asked for after a change."""
        state = (self._members if self.static(kind, name) else self.changes)[kind]
        known = self._sorted.get((kind, name))
        if known and known[0] == state:
            return known[1]
        found = ((self.sort_key(kind, name, key, row), key) for key, row in self.tables[kind].items())
        pairs = sorted(pair for pair in found if pair[0] is not None)
        self._sorted[kind, name] = (state, pairs)
        return pairs

    def between(self, kind: str, name: str, low: Any, high: Any) -> list[tuple[Any, str]]:
        """The part of `ordered` from low to high, both included; None leaves a side open."""
        pairs = self.ordered(kind, name)
        start = 0 if low is None else bisect_left(pairs, (low, ""))
        end = len(pairs) if high is None else bisect_right(pairs, (high, "\U0010ffff"))
        return pairs[start:end]

    # -- transactions and keeping ------------------------------------------------------------------

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
        """Keep a value that is no row, outside of any transaction."""
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
