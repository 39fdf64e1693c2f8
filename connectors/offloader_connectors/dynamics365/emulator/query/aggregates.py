"""$apply: filter, groupby and aggregate ("Aggregate data", Web API guide)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from offloader_connectors.dynamics365.emulator.errors import DataverseError, bad_query, no_property
from offloader_connectors.dynamics365.emulator.query.conditions import Conditions, Resolver
from offloader_connectors.dynamics365.emulator.query.syntax import Joined, parse_filter, parse_orderby, split
from offloader_connectors.dynamics365.emulator.schema import Table
from offloader_connectors.dynamics365.emulator.store import Row

if TYPE_CHECKING:
    from offloader_connectors.dynamics365.emulator.caller import Caller
    from offloader_connectors.dynamics365.emulator.org import Org

_STEP = re.compile(r"(filter|groupby|aggregate)\s*\((.*)\)", re.DOTALL)
_COUNTED = re.compile(r"\$count\s+as\s+(\w+)")
_MEASURE = re.compile(r"(\w+)\s+with\s+(sum|average|min|max|countdistinct)\s+as\s+(\w+)")
_MEASURES: Mapping[str, Callable[[Sequence[Any]], Any]] = {
    "sum": sum,
    "average": lambda values: sum(values) / len(values),
    "min": min,
    "max": max,
    "countdistinct": lambda values: len(set(values)),
}


def too_many() -> DataverseError:
    text = (
        "The maximum record limit is exceeded. Reduce the number of records. AggregateQueryRecordLimit exceeded. "
        "Cannot perform this operation."
    )
    return DataverseError(400, "0x8004e023", text)


def measure(method: str, values: Sequence[Any]) -> Any:
    """A value over the values that are there; nothing over none, but for counts."""
    held = [value for value in values if value is not None]
    if not held:
        return 0 if method == "countdistinct" else None
    return _MEASURES[method](held)


def aggregate(org: Org, caller: Caller, table: Table, options: Mapping[str, str]) -> list[Row]:
    """The rows of $apply. Raises DataverseError."""
    resolver = Resolver(org, table)
    conditions = Conditions(resolver, options)
    filters = [parse_filter(options["$filter"])] if options.get("$filter") else []
    steps = [_step(text) for text in split(options["$apply"], "/")]
    filters += [parse_filter(inside) for name, inside in steps if name == "filter"]
    last = [step for step in steps if step[0] != "filter"]
    if len(last) != 1:
        raise bad_query("$apply needs one groupby or aggregate at its end.")
    where = Joined("and", tuple(filters)) if filters else None
    test = conditions.compile(where) if where else (lambda _: True)
    keys = conditions.keys(where)
    rows = org.store.tables[table.name]
    found = [row for row in (rows.values() if keys is None else (rows[key] for key in keys)) if test(row)]
    found = [row for row in found if caller.may_read(table.name, row)]
    if len(found) > org.options.aggregate_cap:
        raise too_many()
    return _ordered(_grouped(resolver, *last[0], found), options)


def _step(text: str) -> tuple[str, str]:
    match = _STEP.fullmatch(text)
    if match is None:
        raise bad_query(f"The transformation '{text[:100]}' is not supported.")
    return match[1], match[2]


def _grouped(resolver: Resolver, name: str, inside: str, rows: Sequence[Row]) -> list[Row]:
    if name == "aggregate":
        return [_measured(resolver, inside, rows)]
    listed, *rest = split(inside, ",")
    columns = list(split(listed.strip()[1:-1], ","))
    targets = {column: resolver.target(column.split("/")).column for column in columns}
    measures = ""
    if rest:
        kind, measures = _step(rest[0])
        if kind != "aggregate" or len(rest) > 1:
            raise bad_query("groupby takes columns and one aggregate.")
    readers = [_plain(column.name) for column in targets.values()]
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(read(row) for read in readers), []).append(row)
    found = []
    for key, members in groups.items():
        keys = dict(zip(columns, key, strict=True))
        found.append({**keys, **(_measured(resolver, measures, members) if measures else {})})
    return found


def _plain(name: str) -> Callable[[Row], Any]:
    def read(row: Row) -> Any:
        value = row.get(name)
        return value[1] if isinstance(value, tuple) else value

    return read


def _measured(resolver: Resolver, text: str, rows: Sequence[Row]) -> Row:
    found: Row = {}
    for item in split(text, ","):
        if match := _COUNTED.fullmatch(item):
            found[match[1]] = len(rows)
        elif match := _MEASURE.fullmatch(item):
            column = resolver.target((match[1],)).column
            if match[2] in {"sum", "average"} and column.type not in {
                "integer",
                "bigint",
                "decimal",
                "double",
                "money",
            }:
                raise bad_query(f"The column '{match[1]}' cannot be added up.")
            read = _plain(column.name)
            found[match[3]] = measure(match[2], [read(row) for row in rows])
        else:
            raise bad_query(f"The aggregate '{item[:100]}' is not supported.")
    return found


def _ordered(rows: list[Row], options: Mapping[str, str]) -> list[Row]:
    for order in reversed(parse_orderby(options["$orderby"]) if options.get("$orderby") else []):
        name = "/".join(order.path)
        if rows and name not in rows[0]:
            raise no_property(name, "$apply")
        rows.sort(key=lambda row: (row[name] is not None, row[name]), reverse=order.descending)
    top = options.get("$top", "")
    return rows[: int(top)] if top.isdigit() else rows


def applied(org: Org, caller: Caller, table: Table, options: Mapping[str, str]) -> dict[str, Any]:
    """JSON of an answer to $apply. Raises DataverseError."""
    rows = aggregate(org, caller, table, options)
    return {"@odata.context": f"{org.root}$metadata#{table.set_name}", "value": rows}
