"""WHERE clauses: from the tree to a function of a row, and the part of it that an index answers."""

from __future__ import annotations

import calendar
import operator
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from offloader_connectors.salesforce.emulator.errors import SalesforceError
from offloader_connectors.salesforce.emulator.ids import normal
from offloader_connectors.salesforce.emulator.resolve import Resolver
from offloader_connectors.salesforce.emulator.schema import TEXT, Field
from offloader_connectors.salesforce.emulator.soql import (
    Call,
    Compare,
    Expression,
    Joined,
    Literal,
    Negated,
    Path,
    Query,
    Within,
)
from offloader_connectors.salesforce.emulator.store import Row, folded
from offloader_connectors.salesforce.emulator.values import parse_stamp, stamp

Test = Callable[[Row], bool]
#: runs a semi-join's inner query and gives its values
Inner = Callable[[Query], set[Any]]

_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq, "!=": operator.ne, "<": operator.lt, ">": operator.gt, "<=": operator.le, ">=": operator.ge,
}  # fmt: skip
_NUMERIC = {"int", "long", "double", "currency", "percent"}


def conjuncts(where: Expression | None) -> tuple[Expression, ...]:
    """The parts that must all hold."""
    if where is None:
        return ()
    if isinstance(where, Joined) and where.operator == "AND":
        return tuple(part for inner in where.parts for part in conjuncts(inner))
    return (where,)


def mentioned(where: Expression | None) -> Iterable[Path]:
    """Every path of a condition."""
    if isinstance(where, Joined):
        for part in where.parts:
            yield from mentioned(part)
    elif isinstance(where, Negated):
        yield from mentioned(where.part)
    elif isinstance(where, Compare | Within) and isinstance(where.left, Path):
        yield where.left


def literal_value(field: Field, literal: Literal) -> Any:
    """A literal as this field's rows hold it. Raises SalesforceError for one of the wrong type."""
    if literal.value is None or (literal.value == "" and literal.kind == "string"):
        return None
    if field.type in {"id", "reference"} and literal.kind == "string":
        found = normal(literal.value)
        if found is None:
            raise SalesforceError("INVALID_QUERY_FILTER_OPERATOR", f"invalid ID field: {literal.value}")
        return found
    wanted = _wanted_kind(field)
    if field.type == "datetime" and literal.kind == "date":
        raise _wrong_type(field, literal, wanted)
    if literal.kind != wanted:
        raise _wrong_type(field, literal, wanted)
    if field.type == "datetime":
        found = parse_stamp(literal.value)
        if found is None:
            raise _wrong_type(field, literal, wanted)
        return found
    return folded(literal.value) if field.type in TEXT else literal.value


def _wanted_kind(field: Field) -> str:
    if field.type in _NUMERIC:
        return "number"
    return field.type if field.type in {"boolean", "datetime", "date"} else "string"


def _wrong_type(field: Field, literal: Literal, wanted: str) -> SalesforceError:
    shown = {"datetime": "dateTime", "number": field.type}.get(wanted, wanted)
    quotes = " and should not be enclosed in quotes" if literal.kind == "string" else ""
    if wanted == "string":
        quotes = " and should be enclosed in quotes"
    text = f"value of filter criterion for field '{field.name}' must be of type {shown}{quotes}"
    return SalesforceError("INVALID_FIELD", text)


class Conditions:
    """Compiles the conditions of one query. `now` is the moment that date literals are relative to."""

    def __init__(self, resolver: Resolver, now: datetime, inner: Inner) -> None:
        self._resolver = resolver
        self._now = now
        self._inner = inner

    @staticmethod
    def plain_compare(sign: str, left: Any, right: Any) -> bool:
        """Compare two values as they are; null compares only with `=` and `!=`."""
        if sign in {"=", "!="}:
            return _OPERATORS[sign](left, right)
        return left is not None and right is not None and _OPERATORS[sign](left, right)

    def compile(self, where: Expression) -> Test:
        if isinstance(where, Joined):
            tests = [self.compile(part) for part in where.parts]
            if where.operator == "AND":
                return lambda row: all(test(row) for test in tests)
            return lambda row: any(test(row) for test in tests)
        if isinstance(where, Negated):
            test = self.compile(where.part)
            return lambda row: not test(row)
        if isinstance(where.left, Call):
            raise SalesforceError("MALFORMED_QUERY", f"Function {where.left.name} is not supported in a filter")
        target = self._resolver.target(where.left)
        self._check_filterable(target.field)
        read = self._resolver.getter(target)
        if target.field.type in TEXT:
            plain = read
            read = lambda row: folded(plain(row))  # noqa: E731
        return (
            self.within(where, target.field, read)
            if isinstance(where, Within)
            else self.compare(where, target.field, read)
        )

    def _check_filterable(self, field: Field) -> None:
        long_text = field.type == "textarea" and field.length > 255
        if not field.filterable or long_text:
            text = f"field '{field.name}' can not be filtered in a query call"
            raise SalesforceError("INVALID_FIELD", text)

    def compare(self, where: Compare, field: Field, read: Callable[[Row], Any]) -> Test:
        if where.operator == "LIKE":
            return self._like(where, field, read)
        if where.right.kind == "date_literal":
            return self._relative(where, field, read)
        value = literal_value(field, where.right)
        if field.type == "boolean" and value is None:
            value = False
        if where.operator == "=":
            return lambda row: read(row) == value
        if where.operator == "!=":
            return lambda row: read(row) != value
        if field.type == "boolean":
            raise SalesforceError("INVALID_QUERY_FILTER_OPERATOR", f"invalid operator on boolean field '{field.name}'")
        apply = _OPERATORS[where.operator]

        def ranged(row: Row) -> bool:
            found = read(row)
            return found is not None and value is not None and apply(found, value)

        return ranged

    def _like(self, where: Compare, field: Field, read: Callable[[Row], Any]) -> Test:
        if field.type not in TEXT or where.right.kind != "string":
            raise SalesforceError(
                "INVALID_QUERY_FILTER_OPERATOR", f"invalid operator on {field.type} field '{field.name}'"
            )
        pattern = re.escape(str(where.right.value).lower()).replace("%", ".*").replace("_", ".")
        match = re.compile(pattern, re.DOTALL).fullmatch
        return lambda row: match(read(row) or "") is not None

    def _relative(self, where: Compare, field: Field, read: Callable[[Row], Any]) -> Test:
        if field.type not in {"datetime", "date"}:
            raise _wrong_type(field, where.right, _wanted_kind(field))
        start, end = date_range(str(where.right.value), self._now)
        low, high = stamp(start), stamp(end)
        if field.type == "date":
            low, high = low[:10], high[:10]
        tests: dict[str, Callable[[str], bool]] = {
            "=": lambda found: low <= found < high,
            "!=": lambda found: not low <= found < high,
            "<": lambda found: found < low,
            ">=": lambda found: found >= low,
            "<=": lambda found: found < high,
            ">": lambda found: found >= high,
        }
        test = tests[where.operator]
        return lambda row: read(row) is not None and test(read(row))

    def within(self, where: Within, field: Field, read: Callable[[Row], Any]) -> Test:
        values = self.values(where, field)
        if where.operator in {"INCLUDES", "EXCLUDES"}:
            wanted = where.operator == "INCLUDES"
            return lambda row: bool(values & set((read(row) or "").split(";"))) is wanted
        if where.operator == "IN":
            return lambda row: read(row) in values
        return lambda row: read(row) not in values

    def values(self, where: Within, field: Field) -> set[Any]:
        if where.query is not None:
            return self._inner(where.query)
        return {literal_value(field, value) for value in where.values}


def _months(moment: datetime, count: int) -> datetime:
    month = moment.year * 12 + moment.month - 1 + count
    year, month = divmod(month, 12)
    return moment.replace(year=year, month=month + 1, day=min(moment.day, calendar.monthrange(year, month + 1)[1]))


def date_range(text: str, now: datetime) -> tuple[datetime, datetime]:
    """The half-open range of a date literal, in UTC days ("Date Formats and Date Literals", SOQL Reference)."""
    today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    day, name, count = timedelta(days=1), text.partition(":")[0], int(text.partition(":")[2] or 0)
    fixed = {
        "TODAY": (today, today + day),
        "YESTERDAY": (today - day, today),
        "TOMORROW": (today + day, today + 2 * day),
        "LAST_90_DAYS": (today - 90 * day, today + day),
        "NEXT_90_DAYS": (today + day, today + 91 * day),
        "LAST_N_DAYS": (today - count * day, today + day),
        "NEXT_N_DAYS": (today + day, today + (count + 1) * day),
        "N_DAYS_AGO": (today - count * day, today - (count - 1) * day),
    }
    if name in fixed:
        return fixed[name]
    which, _, unit = name.partition("_")
    if unit.startswith("N_"):
        return _many(which, unit.removeprefix("N_"), count, today)
    start, size = _period(unit, today)
    shift = {"LAST": -1, "THIS": 0, "NEXT": 1}[which]
    if unit == "WEEK":
        return start + shift * 7 * day, start + (shift + 1) * 7 * day
    return _months(start, shift * size), _months(start, (shift + 1) * size)


def _period(unit: str, today: datetime) -> tuple[datetime, int]:
    """Start of the current period and its length in months."""
    if unit == "WEEK":
        return today - timedelta(days=(today.weekday() + 1) % 7), 0
    if unit == "MONTH":
        return today.replace(day=1), 1
    if unit == "QUARTER":
        return today.replace(month=(today.month - 1) // 3 * 3 + 1, day=1), 3
    return today.replace(month=1, day=1), 12


def _many(which: str, unit: str, count: int, today: datetime) -> tuple[datetime, datetime]:
    start, size = _period(unit.removesuffix("S"), today)
    if unit == "WEEKS":
        week = timedelta(days=7)
        return (start - count * week, start) if which == "LAST" else (start + week, start + (count + 1) * week)
    if which == "LAST":
        return _months(start, -count * size), start
    return _months(start, size), _months(start, (count + 1) * size)
