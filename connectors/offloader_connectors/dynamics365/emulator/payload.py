"""From the JSON of a create or update to what a row holds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from offloader_connectors.dynamics365.emulator import bodies
from offloader_connectors.dynamics365.emulator.errors import DataverseError, invalid, not_found
from offloader_connectors.dynamics365.emulator.ids import normal
from offloader_connectors.dynamics365.emulator.schema import Column, Table, Target
from offloader_connectors.dynamics365.emulator.store import Row
from offloader_connectors.dynamics365.emulator.values import convert, decode_base64
from offloader_connectors.emulation.blobs import Blob

if TYPE_CHECKING:
    from offloader_connectors.dynamics365.emulator.org import Org

_BIND = re.compile(r"(?:https?://[^/]+)?/?(?:api/data/v[\d.]+/)?(\w+)\((.*)\)/?", re.IGNORECASE | re.DOTALL)
_HELP = (
    "For more information on this error please follow this help link https://go.microsoft.com/fwlink/?linkid=2195293"
)
#: a key's part: `name='text'` or `name=5`
KEY_PART = re.compile(r"\s*(\w+)\s*=\s*(?:'((?:[^']|'')*)'|([^,']+))\s*(?:,|$)")


@dataclass(slots=True)
class Payload:
    """A converted payload."""

    values: Row = field(default_factory=dict)
    #: the id that the payload names
    id: str | None = None
    #: whole images by column, None to clear
    images: dict[str, Blob | None] = field(default_factory=dict)
    #: rows to create before (by lookup) and after (by collection)
    parents: dict[str, tuple[str, Mapping[str, Any]]] = field(default_factory=dict)
    children: list[tuple[str, Column, Mapping[str, Any]]] = field(default_factory=list)


def refused(table: Table, text: str) -> DataverseError:
    """The platform's own words around what is wrong with a payload."""
    message = f"Error identified in Payload provided by the user for Entity :'{table.set_name}', {_HELP}  ---->  "
    return DataverseError(400, "0x80048d19", f"{message}InnerException : Microsoft.OData.ODataException: {text}")


def read_payload(org: Org, table: Table, payload: Mapping[str, Any], *, create: bool) -> Payload:
    """Raises DataverseError for what the table does not have or does not take."""
    found = Payload()
    for name, value in payload.items():
        bound, mark, annotation = name.partition("@")
        if mark and annotation == "odata.bind":
            column, reference = bind(org, table, bound, value)
            found.values[column.name] = reference
        elif mark:
            continue
        elif name == table.key:
            found.id = normal(value) or found.id
        elif name in table.columns and not table.columns[name].is_lookup:
            _plain(org, table, table.columns[name], value, found, create=create)
        else:
            _related(org, table, name, value, found)
    return found


def _plain(org: Org, table: Table, column: Column, value: Any, found: Payload, *, create: bool) -> None:
    if not (column.create if create else column.update):
        if org.options.read_only_columns == "refused":
            raise invalid(f"The column '{column.name}' of '{table.name}' is read-only.")
    elif column.type == "body":
        found.values[f"_{column.name}"] = _body(org, value)
    elif column.type == "image":
        found.images[column.name] = None if value is None else org.blobs.put(decode_base64(value))
    elif column.type == "file" and value is None and create:
        return
    elif column.type == "file":
        raise invalid(f"The file column '{column.name}' cannot be set by an update of its row.")
    elif value is None and column.required and column.type == "boolean":
        raise refused(
            table,
            f"A null value was found for the property named '{column.name}', which has the expected "
            "type 'Edm.Boolean[Nullable=False]'.",
        )
    else:
        found.values[column.name] = convert(column, value, table.name)


def _body(org: Org, value: Any) -> Row | None:
    if isinstance(value, Blob):
        return bodies.body_value(value)
    return bodies.body_value(org.blobs.put(decode_base64(value))) if value else None


def _related(org: Org, table: Table, name: str, value: Any, found: Payload) -> None:
    """A navigation property: null takes the lookup away, an object is a row to create with this one."""
    if name in table.wires:
        if value is None:
            return
        text = "CRM do not support direct update of Entity Reference properties, Use Navigation properties instead."
        raise refused(table, text)
    if name in table.single:
        column, targets = table.single[name]
        if value is None:
            found.values[column.name] = None
            return
        if isinstance(value, Mapping) and len(targets) == 1:
            found.parents[column.name] = (targets[0].table, value)
            return
    elif name in org.schema.collections[table.name] and isinstance(value, list):
        child, column = org.schema.collections[table.name][name]
        found.children += [(child, column, item) for item in value]
        return
    text = f"Invalid property '{name}' was found in entity 'Microsoft.Dynamics.CRM.{table.name}'."
    raise refused(table, text)


def bind(org: Org, table: Table, name: str, value: Any) -> tuple[Column, tuple[str, str] | None]:
    """`objectid_account@odata.bind`: the lookup and where it leads. Raises DataverseError."""
    if name not in table.single:
        text = (
            f"An undeclared property '{name}' which only has property annotations in the payload but no property value "
            "was found in the payload. In OData, only declared navigation properties and declared named streams can be "
            "represented as properties without values."
        )
        raise refused(table, text)
    column, targets = table.single[name]
    return column, None if value is None else reference(org, value, targets)


def reference(org: Org, value: Any, targets: tuple[Target, ...]) -> tuple[str, str]:
    """A row by its address. Raises DataverseError if it is none, of another table, or not there."""
    match = _BIND.fullmatch(value.strip()) if isinstance(value, str) else None
    named = org.schema.sets.get(match[1]) if match else None
    if match is None or named is None:
        raise invalid(f"The entity reference '{value}' is not valid.")
    allowed = {target.table for target in targets}
    if named.name not in allowed and not (named.activity and "activitypointer" in allowed):
        raise invalid(f"An entity of type '{named.name}' is not valid here; expected: {', '.join(sorted(allowed))}.")
    key = resolve(org, named, unquote(match[2]))
    if key is None:
        raise not_found(named.name, match[2])
    if named.name == "activitypointer":
        return str(org.store.tables["activitypointer"][key]["activitytypecode"]), key
    return named.name, key


def key_values(table: Table, text: str) -> dict[str, Any] | None:
    """`a='x',b=5` as column values; None for anything else. Raises DataverseError 0x80060890 if it is no key."""
    values: dict[str, Any] = {}
    at = 0
    while at < len(text):
        match = KEY_PART.match(text, at)
        if match is None:
            return None
        name, quoted, bare = match.groups()
        column = table.columns.get(name) or table.wires.get(name)
        if column is None:
            raise no_such_key(table)
        values[column.name] = quoted.replace("''", "'") if quoted is not None else _bare(column, bare.strip(), table)
        at = match.end()
    if not any(set(values) == set(key.columns) for key in table.keys.values()):
        raise no_such_key(table)
    return values


def no_such_key(table: Table) -> DataverseError:
    return DataverseError(400, "0x80060890", f"A record key specified is not defined for entity '{table.name}'.")


def _bare(column: Column, text: str, table: Table) -> Any:
    if column.type == "boolean":
        return text.lower() == "true"
    return convert(column, normal(text) or text, table.name) if not column.is_lookup else normal(text)


def resolve(org: Org, table: Table, text: str) -> str | None:
    """The id of the row that an address's parentheses name, by id or by alternate key; None if it is not there."""
    key = normal(text)
    if key is None and (match := re.fullmatch(rf"\s*{table.key}\s*=\s*'?([^']*)'?\s*", text)):
        key = normal(match[1])
    if key is not None:
        return key if key in org.store.tables[table.name] else None
    values = key_values(table, text)
    if not values:
        raise invalid(f"The key '{text}' is not valid.")
    return find(org, table, values)


def find(org: Org, table: Table, values: Mapping[str, Any]) -> str | None:
    """The id of the row with these values of an alternate key."""
    first = next(key.columns[0] for key in table.keys.values() if set(key.columns) == set(values))
    for row in org.store.where(table.name, first, values[first]):
        if all(_same(row.get(name), value) for name, value in values.items()):
            return str(row[table.key])
    return None


def _same(held: Any, wanted: Any) -> bool:
    held = held[1] if isinstance(held, tuple) else held
    return bool(held.lower() == wanted.lower() if isinstance(held, str) and isinstance(wanted, str) else held == wanted)
