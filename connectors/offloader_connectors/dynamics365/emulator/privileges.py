"""Privileges and the roles that give them, as data ("Security roles and privileges")."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache

from offloader_connectors.dynamics365.emulator.caller import Right
from offloader_connectors.dynamics365.emulator.schema import Schema, Table

#: how far a privilege reaches: own rows, the business unit's, those of units below too, all
BASIC, LOCAL, DEEP, GLOBAL = 1, 2, 4, 8
DEPTHS: Mapping[int, str] = {BASIC: "Basic", LOCAL: "Local", DEEP: "Deep", GLOBAL: "Global"}
_BY_NAME = {name: depth for depth, name in DEPTHS.items()}
RIGHTS: tuple[Right, ...] = ("Create", "Read", "Write", "Delete", "Append", "AppendTo", "Assign", "Share")
BYPASS, BYPASS_OLD = "prvBypassCustomBusinessLogic", "prvBypassCustomPlugins"
ACT_ON_BEHALF, BULK_DELETE, CUSTOMIZE = "prvActOnBehalfOfAnotherUser", "prvBulkDelete", "prvWriteEntity"
BACKDATE = "prvOverrideCreatedOnCreatedBy"
_OTHERS = (BYPASS, BYPASS_OLD, ACT_ON_BEHALF, BULK_DELETE, CUSTOMIZE, BACKDATE, "prvExportToExcel", "prvReadAttribute")

#: the word for a table in the names of its privileges, where it is not the table's own
_WORDS: Mapping[str, str] = {
    "annotation": "Note",
    "systemuser": "User",
    "businessunit": "BusinessUnit",
    "salesorder": "Order",
    "template": "EmailTemplate",
    "activitypointer": "Activity",
    "activitymimeattachment": "Activity",
    "attachment": "Activity",
    "asyncoperation": "AsyncOperation",
}


_LOOSE: tuple[Right, ...] = ("Append", "AppendTo")


def privilege(right: Right, table: Table) -> str:
    """The name of the privilege for a right on a table."""
    word = "Activity" if table.activity else _WORDS.get(table.name, table.schema_name)
    return f"prv{right}{word}"


@lru_cache(maxsize=1024)
def privilege_id(name: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, name.lower()))


def all_privileges(schema: Schema) -> dict[str, int]:
    names = [privilege(right, table) for table in schema.tables.values() for right in RIGHTS]
    return dict.fromkeys([*names, *_OTHERS], GLOBAL)


def _on_all(schema: Schema, rights: Iterable[Right], depth: int) -> dict[str, int]:
    return {privilege(right, table): depth for table in schema.tables.values() for right in rights}


def _service(schema: Schema) -> dict[str, int]:
    """What an offloader's application user needs at least."""
    notes = ("annotation", "email", "appointment", "fileattachment")
    written = {privilege(right, schema.tables[name]): GLOBAL for name in notes for right in RIGHTS}
    records = ("account", "contact", "new_shipment")
    files = {
        privilege(right, schema.tables[name]): GLOBAL
        for name in records
        if name in schema.tables
        for right in ("Write", "AppendTo")
    }
    return {**_on_all(schema, ["Read"], GLOBAL), **written, **files, BULK_DELETE: GLOBAL, BYPASS: GLOBAL}


_ROLES: Mapping[str, Callable[[Schema], dict[str, int]]] = {
    "System Administrator": all_privileges,
    "System Customizer": lambda schema: {**_on_all(schema, RIGHTS, BASIC), CUSTOMIZE: GLOBAL},
    "Offloader": _service,
    "Basic User": lambda schema: _on_all(schema, RIGHTS, BASIC) | _on_all(schema, _LOOSE, GLOBAL),
    "Salesperson": lambda schema: _on_all(schema, RIGHTS, BASIC) | _on_all(schema, ("Read", *_LOOSE), LOCAL),
    "Reader": lambda schema: _on_all(schema, ("Read",), GLOBAL),
    "Delegate": lambda schema: {ACT_ON_BEHALF: GLOBAL},
}


def role_privileges(role: str, schema: Schema) -> dict[str, int]:
    """Depths by privilege of a role; a name that is none of the known ones is itself a privilege: `prvReadNote`
    (all rows), `prvReadNote:Basic`.
    """
    if role in _ROLES:
        return _ROLES[role](schema)
    name, _, depth = role.partition(":")
    return {name: _BY_NAME.get(depth, GLOBAL)} if name.startswith("prv") else {}
