"""The environment's rows with the database's row versions.

Lookups are held as `(table, id)`, datetimes as `2026-01-01T00:00:00Z`, bodies as `{"ref", "size", "md5"}` under the
column's name with a leading underscore. Deleted rows leave an entry in `_deleted`, retained ones lie in `_retained`;
both are keyed `table/id`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from offloader_connectors.dynamics365.emulator.ids import database_order, new_id
from offloader_connectors.dynamics365.emulator.schema import Schema, Table, table_as_json, table_from_json
from offloader_connectors.dynamics365.emulator.tables import new_tables
from offloader_connectors.emulation.tables import Row, Tables, folded

__all__ = ["DELETED", "RETAINED", "Row", "Store"]

DELETED, RETAINED = "_deleted", "_retained"
_SCHEMA, _DROPPED = "schema", "dropped"
#: lookups that every row has and nobody searches by
_UNINDEXED = {"createdby", "modifiedby", "ownerid", "owninguser", "owningteam", "owningbusinessunit"}


class Store(Tables):
    """The rows by table. `schema` says which tables there are."""

    def __init__(self, directory: Path) -> None:
        self.schema = Schema(())
        #: the last row version given out, of all tables
        self.version = 0
        #: see OrgOptions.late_commit
        self.late_commit = 0
        self.database_order = True
        #: called after `restore`
        self.restored: Callable[[], None] = lambda: None
        super().__init__(directory)

    # -- what there is -----------------------------------------------------------------------------

    def names(self) -> Iterable[str]:
        changed = {name: table_from_json(kept) for name, kept in self.meta.get(_SCHEMA, {}).items()}
        dropped = set(self.meta.get(_DROPPED, ()))
        tables = [table for table in new_tables() if table.name not in changed and table.name not in dropped]
        self.schema.tables = {table.name: table for table in (*tables, *changed.values())}
        self.schema.refresh()
        return [*self.schema.tables, DELETED, RETAINED]

    def _load(self) -> None:
        self.version = 0
        super()._load()

    def row_added(self, kind: str, key: str, row: Row) -> None:
        self.version = max(self.version, row.get("versionnumber", 0))

    def revived(self, kind: str, row: Row) -> Row:
        if kind in {DELETED, RETAINED}:
            if row.get("row"):
                row["row"] = self.revived(row["table"], row["row"])
            return row
        for name, value in row.items():
            if isinstance(value, list) and not name.startswith("_"):
                row[name] = tuple(value)
        return row

    def indexed(self, kind: str) -> tuple[str, ...]:
        if kind in {DELETED, RETAINED}:
            return ("table", "deletion")
        if kind == "principalobjectaccess":
            return ("objectid", "principalid")
        table = self.schema.tables[kind]
        found = {column.name for column in table.lookups} - _UNINDEXED
        found |= {key.columns[0] for key in table.keys.values()}
        found |= {"azureactivedirectoryobjectid", "applicationid"} if kind == "systemuser" else set()
        return tuple(sorted(found))

    def index_key(self, kind: str, name: str, value: Any) -> Any:
        return value[1] if isinstance(value, tuple) else folded(value)

    def sort_key(self, kind: str, name: str, key: str, row: Row) -> Any:
        if kind in self.schema.tables and name == self.schema.tables[kind].key:
            return database_order(key) if self.database_order else key
        return row.get(name)

    def static(self, kind: str, name: str) -> bool:
        return kind in self.schema.tables and name == self.schema.tables[kind].key

    # -- rows --------------------------------------------------------------------------------------

    def get(self, table: str, record: str) -> Row | None:
        return self.tables[table].get(record)

    def put(self, table: str, row: Row) -> None:
        self.put_row(table, row[self.schema.tables[table].key], row)

    def where(self, table: str, column: str, value: Any) -> list[Row]:
        """Rows whose column has this value (of a lookup: leads to this id); fast where there is an index."""
        rows = self.tables[table]
        if not self.has_index(table, column):
            wanted = self.index_key(table, column, value)
            held = ((row, row.get(column)) for row in rows.values())
            return [row for row, one in held if one is not None and self.index_key(table, column, one) == wanted]
        return [rows[key] for key in self.keys_where(table, column, value)]

    def next_version(self, previous: int = 0) -> int:
        """The row version of a write to a row that had `previous`."""
        if not self.late_commit:
            self.version += 1
            return self.version
        self.version += 2 + self.version % 2
        late = (self.version - self.late_commit) | 1
        return late if self.version % 4 == 0 and late > max(previous, 0) else self.version

    def next_id(self, table: str) -> str:
        number = self.version + 1
        while (found := new_id(table, number)) in self.tables[table] or f"{table}/{found}" in self.tables[DELETED]:
            number += 1
        return found

    def deleted(self, table: str, above: int = 0) -> Iterator[Row]:
        """What is known of the table's deleted rows with a higher row version."""
        for key in self.keys_where(DELETED, "table", table):
            entry = self.tables[DELETED][key]
            if entry["versionnumber"] > above:
                yield entry

    # -- tables come and go ------------------------------------------------------------------------

    def define(self, table: Table) -> None:
        """Add a table, or change one that is there."""
        is_new = table.name not in self.schema.tables
        self.schema.tables[table.name] = table.complete()
        self.schema.refresh()
        self.set_meta(_SCHEMA, {**self.meta.get(_SCHEMA, {}), table.name: table_as_json(table)})
        if is_new:
            self.open_table(table.name)
        else:
            self.open_indexes(table.name)

    def drop(self, name: str) -> None:
        """Take a table away, with its rows."""
        with self.transaction():
            for key in list(self.tables[name]):
                self.forget(name, key)
        del self.schema.tables[name]
        self.schema.refresh()
        kept = {other: value for other, value in self.meta.get(_SCHEMA, {}).items() if other != name}
        self.set_meta(_SCHEMA, kept)
        self.set_meta(_DROPPED, sorted({*self.meta.get(_DROPPED, ()), name}))

    def restore(self, name: str) -> None:
        """Raises FileNotFoundError."""
        super().restore(name)
        self.restored()
