"""What a row looks like in an answer: selected columns, annotations, expanded rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from offloader_connectors.dynamics365.emulator.errors import bad_query, no_property
from offloader_connectors.dynamics365.emulator.prefer import Prefer
from offloader_connectors.dynamics365.emulator.query.conditions import Resolver
from offloader_connectors.dynamics365.emulator.query.syntax import Expansion, parse_expand, split
from offloader_connectors.dynamics365.emulator.render import LazyText
from offloader_connectors.dynamics365.emulator.schema import Column, Table
from offloader_connectors.dynamics365.emulator.store import Row
from offloader_connectors.dynamics365.emulator.values import moment_of

if TYPE_CHECKING:
    from offloader_connectors.dynamics365.emulator.caller import Caller
    from offloader_connectors.dynamics365.emulator.org import Org

FORMATTED = "OData.Community.Display.V1.FormattedValue"
LOOKUP_NAME = "Microsoft.Dynamics.CRM.lookuplogicalname"
NAVIGATION = "Microsoft.Dynamics.CRM.associatednavigationproperty"
#: finds the rows of a collection: child table, its lookup, the parent's id, the expansion's options
Children = Callable[[Table, Column, str, Mapping[str, str]], Sequence[Row]]
_NESTED = {"$select", "$filter", "$orderby", "$top", "$expand"}


@dataclass(frozen=True, slots=True)
class Shape:
    """How rows of a table are rendered."""

    org: Org
    caller: Caller
    table: Table
    columns: tuple[Column, ...]
    expansions: tuple[Expanded, ...]
    formatted: bool
    lookup_names: bool
    navigations: bool
    #: how the context names what was selected
    selected: str

    def row(self, row: Row) -> dict[str, Any]:
        """A row as JSON."""
        found: dict[str, Any] = {"@odata.etag": f'W/"{row["versionnumber"]}"'}
        for column in self.columns:
            self._column(found, column, row)
        for item in self.expansions:
            found[item.name] = item.read(row)
        return found

    def _column(self, found: dict[str, Any], column: Column, row: Row) -> None:
        wire, value = column.wire, json_value(column, row)
        if value is not None and (self.formatted or self.lookup_names or self.navigations):
            found.update(self._annotations(column, wire, row))
        found[wire] = value

    def _annotations(self, column: Column, wire: str, row: Row) -> dict[str, str]:
        found = {}
        held = row.get(column.name)
        if column.is_lookup and held is not None:
            target = column.target(held[0]) or column.target("activitypointer")
            if self.navigations and target and column.name not in {"owninguser", "owningteam"}:
                found[f"{wire}@{NAVIGATION}"] = target.navigation
            if self.lookup_names:
                found[f"{wire}@{LOOKUP_NAME}"] = held[0]
        shown = formatted(self.org, column, held) if self.formatted else None
        if shown is not None:
            found[f"{wire}@{FORMATTED}"] = shown
        return found


@dataclass(frozen=True, slots=True)
class Expanded:
    name: str
    read: Callable[[Row], Any]


def json_value(column: Column, row: Row) -> Any:
    """A column's value in an answer; bodies as text that is read when it is sent."""
    if column.type in {"body", "image"}:
        body = row.get("_foreign") if column.type == "body" else None
        body = body or row.get(f"_{column.name}")
        return None if body is None else LazyText(body, size=body["size"])
    value = row.get(column.name)
    return value[1] if isinstance(value, tuple) else value


def formatted(org: Org, column: Column, value: Any) -> str | None:
    """A value as people see it, None where the platform shows none."""
    if value is None:
        return None
    if column.is_lookup:
        return name_of(org, *value)
    if column.choices:
        return next((choice.label for choice in column.choices if choice.value == value), None)
    show = _FORMATS.get(column.type)
    return show(value) if show else None


def _date_and_time(value: str) -> str:
    moment = moment_of(value)
    return f"{moment.month}/{moment.day}/{moment.year} {moment.hour % 12 or 12}:{moment:%M %p}"


#: as a user whose language is English sees it; texts are shown as they are
_FORMATS: Mapping[str, Callable[[Any], str]] = {
    "boolean": lambda value: "Yes" if value else "No",
    "datetime": _date_and_time,
    "date": lambda value: f"{int(value[5:7])}/{int(value[8:])}/{value[:4]}",
    "money": lambda value: f"€{value:,.2f}",
    "integer": lambda value: f"{value:,}",
    "bigint": lambda value: f"{value:,}",
    "decimal": lambda value: f"{value:,.2f}",
    "double": lambda value: f"{value:,.2f}",
    "entityname": str,
}


def name_of(org: Org, table: str, record: str) -> str | None:
    """The primary name of a row."""
    row = org.store.get(table, record)
    named = org.table(table).name_column
    return str(row[named]) if row and named and row.get(named) is not None else None


def shape(
    org: Org, caller: Caller, table: Table, options: Mapping[str, str], prefer: Prefer, children: Children
) -> Shape:
    """Read $select and $expand. Raises DataverseError for names that are not there."""
    columns = selected(org, table, options.get("$select"))
    named = [name for name in split(options.get("$select") or "", ",") if name]
    expansions, contexts = [], []
    for item in parse_expand(options["$expand"]) if options.get("$expand") else []:
        expanded, context = _expanded(org, caller, table, item, prefer, children)
        expansions.append(expanded)
        contexts.append(context)
    return Shape(
        org,
        caller,
        table,
        columns,
        tuple(expansions),
        prefer.wants(FORMATTED),
        prefer.wants(LOOKUP_NAME),
        prefer.wants(NAVIGATION),
        f"({','.join([*(column.wire for column in columns if column.wire in named), *contexts])})"
        if named or contexts
        else "",
    )


def selected(org: Org, table: Table, text: str | None) -> tuple[Column, ...]:
    """The columns that $select names, with the primary key; all of them without it. Raises DataverseError."""
    names = [name for name in split(text or "", ",") if name]
    key = table.columns[table.key]
    if not names or names == ["*"]:
        listed = [column for column in table.columns.values() if column.readable and column is not key]
    else:
        listed = []
        for name in dict.fromkeys(names):
            column = table.wires.get(name)
            if column is None or not column.readable:
                raise no_property(name, table.name)
            listed.append(column)
        if key in listed:
            return tuple(listed)
    return (key, *listed) if org.options.key_position == "first" else (*listed, key)


def _expanded(
    org: Org, caller: Caller, table: Table, item: Expansion, prefer: Prefer, children: Children
) -> tuple[Expanded, str]:
    if unknown := set(item.options) - _NESTED:
        raise bad_query(f"The option '{min(unknown)}' cannot be used inside of $expand.")
    collections = org.schema.collections[table.name]
    if item.name in collections:
        name, column = collections[item.name]
        child = org.table(name)
        inner = shape(org, caller, child, item.options, prefer, children)

        def rows(row: Row) -> list[dict[str, Any]]:
            found = children(child, column, row[table.key], item.options)
            return [inner.row(one) for one in found]

        return Expanded(item.name, rows), f"{item.name}{inner.selected or '()'}"
    column, targets = Resolver(org, table).step(table, item.name)
    shapes = {name: shape(org, caller, org.table(name), item.options, prefer, children) for name in targets[:1]}
    for name in targets[1:]:
        shapes[name] = shape(org, caller, org.table(name), _only_known(org, name, item.options), prefer, children)

    def one(row: Row) -> dict[str, Any] | None:
        held = row.get(column.name)
        if held is None or held[0] not in shapes:
            return None
        target = org.store.get(*held)
        return shapes[held[0]].row(target) if target and caller.may_read(held[0], target) else None

    return Expanded(item.name, one), f"{item.name}{shapes[targets[0]].selected or '()'}"


def _only_known(org: Org, table: str, options: Mapping[str, str]) -> dict[str, str]:
    """An owner is a user or a team; what only one of them has is left out for the other."""
    wires = org.table(table).wires
    names = [name for name in split(options.get("$select") or "", ",") if name in wires]
    return {"$select": ",".join(names)} if names else {}
