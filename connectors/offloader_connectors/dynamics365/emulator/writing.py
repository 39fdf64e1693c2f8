"""Rows come, change and go as the platform does it itself: versions, dates, owners, cascades. Nobody's rights count."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from offloader_connectors.dynamics365.emulator import bodies
from offloader_connectors.dynamics365.emulator.errors import DataverseError
from offloader_connectors.dynamics365.emulator.schema import Table
from offloader_connectors.dynamics365.emulator.store import DELETED, RETAINED, Row
from offloader_connectors.emulation.tables import folded

if TYPE_CHECKING:
    from offloader_connectors.dynamics365.emulator.org import Org

_AUDIT = "audit"
#: values of audit.action
_CREATED, _DELETION = 1, 3


class Writer:
    """Changes rows by already converted values, inside a transaction of the caller."""

    def __init__(self, org: Org) -> None:
        self._org = org
        self._store = org.store

    def create(self, table: Table, values: Mapping[str, Any], actor: str, record: str | None = None) -> str:
        """Insert a row and return its id. Raises DataverseError for a key that is there already."""
        key = record or self._store.next_id(table.name)
        if key in self._store.tables[table.name]:
            raise DataverseError(412, "0x80040237", "A record with matching key values already exists.")
        row: Row = {table.key: key, **_defaults(table)}
        row.update({name: value for name, value in values.items() if value is not None})
        self._date(table, row, values, actor)
        self._own(table, row, actor)
        set_state(table, row, values)
        bodies.compute(self._org, table, row, values)
        if table.name == "activitymimeattachment":
            bodies.share_attachment(self._org, row)
        self._check_keys(table, row)
        row["versionnumber"] = self._store.next_version()
        self._put(table, row)
        self._log(table, key, _CREATED, actor)
        if f"{table.name}/{key}" in self._store.tables[DELETED]:
            self._store.forget(DELETED, f"{table.name}/{key}")
        if table.name == "activitymimeattachment":
            bodies.count_attachments(self._org, row.get("objectid"))
        return key

    def _date(self, table: Table, row: Row, values: Mapping[str, Any], actor: str) -> None:
        moment = self._org.moment()
        if "createdon" in table.columns:
            row["createdon"] = values.get("createdon") or values.get("overriddencreatedon") or moment
        if "modifiedon" in table.columns:
            row["modifiedon"] = values.get("modifiedon") or values.get("createdon") or moment
        for name in ("createdby", "modifiedby"):
            if name in table.columns and not row.get(name):
                row[name] = ("systemuser", actor)

    def _own(self, table: Table, row: Row, actor: str) -> None:
        if "ownerid" not in table.columns:
            return
        kind, owner = row["ownerid"] = row.get("ownerid") or ("systemuser", actor)
        person = self._store.get(kind, owner) or {}
        row["owninguser"] = row["ownerid"] if kind == "systemuser" else None
        row["owningteam"] = row["ownerid"] if kind == "team" else None
        row["owningbusinessunit"] = person.get("businessunitid") or row.get("owningbusinessunit")

    def _check_keys(self, table: Table, row: Row) -> None:
        for key in table.keys.values():
            wanted = [folded(row.get(name)) for name in key.columns]
            if None in wanted:
                continue
            for other in self._store.where(table.name, key.columns[0], wanted[0]):
                if other[table.key] != row[table.key] and [folded(other.get(name)) for name in key.columns] == wanted:
                    text = f"Entity Key {key.name} violated. A record with the same values already exists."
                    raise DataverseError(412, "0x80060892", text)

    def change(self, table: Table, record: str, values: Mapping[str, Any], actor: str) -> None:
        """Change a row that is there. Raises DataverseError for a key that another row has."""
        old = self._store.tables[table.name][record]
        row = {**old, **values}
        if "modifiedon" in table.columns:
            row["modifiedon"] = values.get("modifiedon") or self._org.moment()
            row["modifiedby"] = values.get("modifiedby") or ("systemuser", actor)
        if "ownerid" in values:
            self._own(table, row, actor)
        set_state(table, row, values)
        bodies.compute(self._org, table, row, values)
        if table.name == "activitymimeattachment":
            row = bodies.update_shared(self._org, row, values, actor)
        self._check_keys(table, row)
        row["versionnumber"] = self._store.next_version(old["versionnumber"])
        self._put(table, row)

    def _put(self, table: Table, row: Row) -> None:
        row = {name: value for name, value in row.items() if value is not None}
        self._store.put(table.name, row)
        if table.activity:
            shared = self._org.table("activitypointer").columns
            self._store.put("activitypointer", {name: value for name, value in row.items() if name in shared})

    # -- deleting ----------------------------------------------------------------------------------

    def remove(self, table: Table, record: str, *, recoverable: bool = True) -> None:
        """Delete a row with everything that goes with it. Raises DataverseError if another row forbids it."""
        deletion = f"{record}@{self._store.version}"
        self._remove(table, record, deletion)
        for entry in [] if recoverable else self._store.where(DELETED, "deletion", deletion):
            kept = {name: value for name, value in entry.items() if name != "row"}
            self._store.put_row(DELETED, f"{entry['table']}/{entry['id']}", kept)

    def _remove(self, table: Table, record: str, deletion: str) -> None:
        row = self._store.get(table.name, record)
        if row is None:
            return
        self._children(table, record, deletion)
        self._store.forget(table.name, record)
        if table.activity:
            self._store.forget("activitypointer", record)
        entry = {"table": table.name, "id": record, "versionnumber": self._store.next_version()}
        entry |= {"at": self._org.moment(), "deletion": deletion}
        if self._org.options.recycle_bin:
            entry["row"] = row
        self._store.put_row(DELETED, f"{table.name}/{record}", entry)
        self._log(table, record, _DELETION, self._org.integration_user)
        if table.name == "activitymimeattachment":
            bodies.drop_attachment(self._org, row)
            bodies.count_attachments(self._org, row.get("objectid"))

    def _children(self, table: Table, record: str, deletion: str) -> None:
        for child, column, target in self._store.schema.children(table.name):
            if not self._store.has_index(child.name, column.name) or child.name in {"activitypointer", _AUDIT}:
                continue
            keys = self._store.keys_where(child.name, column.name, record)
            if keys and target.deletion == "Restrict":
                text = "The object you tried to delete is associated with another object and cannot be deleted."
                raise DataverseError(405, "0x80040227", text)
            for key in keys:
                if target.deletion == "Cascade":
                    self._remove(child, key, deletion)
                elif key in self._store.tables[child.name]:
                    self.change(child, key, {column.name: None}, self._org.integration_user)

    def _log(self, table: Table, record: str, action: int, actor: str) -> None:
        """Write an entry of the audit log, if it is kept."""
        if not self._org.options.auditing or self._org.table(_AUDIT).columns["objectid"].target(table.name) is None:
            return
        entry: Row = {"action": action, "operation": action, "objecttypecode": table.name}
        entry |= {"objectid": (table.name, record), "userid": ("systemuser", actor)}
        self.create(self._org.table(_AUDIT), entry, actor)

    def undelete(self, table: Table, record: str) -> None:
        """Bring a row back from the bin with everything that went with it. Raises DataverseError."""
        entry = self._store.get(DELETED, f"{table.name}/{record}")
        if entry is None or not self._org.in_bin(entry):
            text = f"Entity '{table.name}' With Id = {record} Does Not Exist"
            raise DataverseError(404, "0x80040217", text)
        for item in self._store.where(DELETED, "deletion", entry["deletion"]):
            if "row" in item:
                self._put(self._org.table(item["table"]), {**item["row"], "versionnumber": self._store.next_version()})
                self._store.forget(DELETED, f"{item['table']}/{item['id']}")

    def retain(self, table: Table, record: str) -> None:
        """Move a row to long-term retention: it is no longer listed, and nothing says that it was deleted."""
        row = self._store.get(table.name, record)
        if row is None:
            return
        for child, column, target in self._store.schema.children(table.name):
            if target.deletion == "Cascade" and self._store.has_index(child.name, column.name):
                for key in self._store.keys_where(child.name, column.name, record):
                    self.retain(child, key)
        self._store.forget(table.name, record)
        if table.activity:
            self._store.forget("activitypointer", record)
        entry = {"table": table.name, "id": record, "row": row, "versionnumber": row["versionnumber"]}
        self._store.put_row(RETAINED, f"{table.name}/{record}", entry)


def _defaults(table: Table) -> Row:
    return {column.name: column.default for column in table.columns.values() if column.default is not None}


def set_state(table: Table, row: Row, given: Mapping[str, Any]) -> None:
    """State and status always fit: the one that is given decides. Raises DataverseError for two that do not."""
    status = table.columns.get("statuscode")
    if status is None or "statecode" not in table.columns:
        return
    states: dict[Any, int | None] = {choice.value: choice.state for choice in status.choices}
    if given.get("statecode") is None and given.get("statuscode") is not None:
        row["statecode"] = states.get(given["statuscode"])
    elif given.get("statecode") is not None and given.get("statuscode") is None:
        row["statuscode"] = next((value for value, state in states.items() if state == given["statecode"]), None)
    elif states.get(row.get("statuscode")) != row.get("statecode"):
        text = (
            f"{row.get('statuscode')} is not a valid status code for state code {row.get('statecode')} on {table.name}."
        )
        raise DataverseError(400, "0x80048408", text)
