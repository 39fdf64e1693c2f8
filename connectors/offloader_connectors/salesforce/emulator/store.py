"""The org's rows: which are indexed, how ids are made, what "deleted" means.

Datetimes are held as `2026-01-01T00:00:00.000+0000`, dates as `2026-01-01`. The emulator's own names are bodies
(`_VersionData`, `_Body`) and the number of the deletion that took the row away (`_deletion`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from offloader_connectors.emulation.tables import Row, Tables, folded
from offloader_connectors.salesforce.emulator.ids import new_id, number_of
from offloader_connectors.salesforce.emulator.objects import OBJECTS
from offloader_connectors.salesforce.emulator.schema import SObject

__all__ = ["Row", "Store", "folded", "kind_of"]

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


class Store(Tables):
    """The org's rows by object."""

    def names(self) -> Iterable[str]:
        return OBJECTS

    def indexed(self, kind: str) -> tuple[str, ...]:
        return _indexed(OBJECTS[kind])

    def index_key(self, kind: str, name: str, value: Any) -> Any:
        return value if OBJECTS[kind].fields[name].targets else folded(value)

    def _load(self) -> None:
        super()._load()
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
        self.put_row(kind, row["Id"], row)

    def where(self, kind: str, name: str, value: Any) -> list[Row]:
        """Living rows whose indexed field has this value."""
        table = self.tables[kind]
        rows = (table[key] for key in self.keys_where(kind, name, value))
        return [row for row in rows if not row.get("IsDeleted")]

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
