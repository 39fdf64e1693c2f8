"""COUNT, SUM and the like, with GROUP BY and HAVING."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from offloader_connectors.salesforce.emulator.conditions import Conditions
from offloader_connectors.salesforce.emulator.errors import SalesforceError
from offloader_connectors.salesforce.emulator.resolve import Resolver
from offloader_connectors.salesforce.emulator.soql import Call, Compare, Expression, Joined, Negated, Path, Query
from offloader_connectors.salesforce.emulator.store import Row

_FUNCTIONS: dict[str, Callable[[list[Any]], Any]] = {
    "COUNT": len,
    "COUNT_DISTINCT": lambda values: len(set(values)),
    "SUM": lambda values: sum(values) if values else None,
    "AVG": lambda values: sum(values) / len(values) if values else None,
    "MIN": lambda values: min(values, default=None),
    "MAX": lambda values: max(values, default=None),
}
_DATES: dict[str, Callable[[str], int]] = {
    "CALENDAR_YEAR": lambda text: int(text[:4]),
    "CALENDAR_MONTH": lambda text: int(text[5:7]),
    "DAY_IN_MONTH": lambda text: int(text[8:10]),
}


def is_aggregate(query: Query) -> bool:
    calls = [item.what for item in query.items if isinstance(item.what, Call)]
    return bool(query.group) or any(call.name.upper() in _FUNCTIONS for call in calls)


def aggregate(query: Query, resolver: Resolver, rows: Sequence[Row]) -> list[dict[str, Any]]:
    """The AggregateResult records of a grouped query. Raises SalesforceError."""
    readers = [_key_reader(resolver, key) for key in query.group]
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(read(row) for read in readers), []).append(row)
    if not query.group:
        groups = {(): list(rows)}
    grouped = {str(key).lower() for key in query.group}
    records = []
    for key, members in groups.items():
        context = _Group(resolver, query, key, members)
        if query.having is None or context.holds(query.having):
            records.append((context, _record(query, context, grouped)))
    for order in reversed(query.order):
        records.sort(key=lambda pair: _sortable(pair[0].value(order.what)), reverse=order.descending)
    start = query.offset or 0
    return [record for _, record in records][start : None if query.limit is None else start + query.limit]


def _record(query: Query, group: _Group, grouped: set[str]) -> dict[str, Any]:
    out: dict[str, Any] = {"attributes": {"type": "AggregateResult"}}
    unnamed = 0
    for item in query.items:
        assert not isinstance(item.what, Query)
        if isinstance(item.what, Path):
            if str(item.what).lower() not in grouped:
                text = f"Field must be grouped or aggregated: {item.what}"
                raise SalesforceError("MALFORMED_QUERY", text)
            name = item.alias or group.resolver.target(item.what).field.name
        else:
            name = item.alias or f"expr{unnamed}"
            unnamed += item.alias is None
        out[name] = group.value(item.what)
    return out


def _sortable(value: Any) -> tuple[bool, Any]:
    return (value is not None, value if value is not None else 0)


def _key_reader(resolver: Resolver, key: Path | Call) -> Callable[[Row], Any]:
    if isinstance(key, Path):
        return resolver.getter(resolver.target(key))
    convert = _DATES.get(key.name.upper())
    if convert is None or not isinstance(key.argument, Path):
        raise SalesforceError("MALFORMED_QUERY", f"Can not group by {key}")
    read = resolver.getter(resolver.target(key.argument))
    return lambda row: None if read(row) is None else convert(read(row))


class _Group:
    """One group of rows and the values of its key."""

    def __init__(self, resolver: Resolver, query: Query, key: tuple[Any, ...], rows: list[Row]) -> None:
        self.resolver = resolver
        self._keys = {str(name).lower(): value for name, value in zip(query.group, key, strict=True)}
        self._rows = rows

    def value(self, what: Path | Call) -> Any:
        if str(what).lower() in self._keys:
            return self._keys[str(what).lower()]
        if isinstance(what, Path):
            raise SalesforceError("MALFORMED_QUERY", f"Field must be grouped or aggregated: {what}")
        function = _FUNCTIONS.get(what.name.upper())
        if function is None:
            raise SalesforceError("MALFORMED_QUERY", f"Unknown function {what.name}")
        if what.argument is None:
            return len(self._rows)
        if not isinstance(what.argument, Path):
            raise SalesforceError("MALFORMED_QUERY", f"Can not aggregate {what.argument}")
        read = self.resolver.getter(self.resolver.target(what.argument))
        return function([value for row in self._rows if (value := read(row)) is not None])

    def holds(self, having: Expression) -> bool:
        if isinstance(having, Joined):
            found = [self.holds(part) for part in having.parts]
            return all(found) if having.operator == "AND" else any(found)
        if isinstance(having, Negated):
            return not self.holds(having.part)
        value = self.value(having.left)
        if isinstance(having, Compare):
            return Conditions.plain_compare(having.operator, value, having.right.value)
        inside = value in {literal.value for literal in having.values}
        return inside is (having.operator == "IN")
