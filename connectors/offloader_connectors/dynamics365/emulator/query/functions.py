"""Query functions on dates, numbers and texts ("Web API Query Function Reference")."""

from __future__ import annotations

import calendar
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from offloader_connectors.dynamics365.emulator.errors import bad_query
from offloader_connectors.dynamics365.emulator.schema import Column, Table
from offloader_connectors.dynamics365.emulator.store import Row
from offloader_connectors.dynamics365.emulator.values import moment_of, parse_stamp, stamp

_DAY = timedelta(days=1)
_COUNTED = {"Hours": timedelta(hours=1), "Days": _DAY, "Weeks": 7 * _DAY}


def test(
    name: str, column: Column, table: Table, read: Callable[[Row], Any], values: Sequence[str], now: datetime
) -> Callable[[Row], bool]:
    """A test of a row for a query function other than In and NotIn. Raises DataverseError for an unknown one."""
    if name in {"Between", "NotBetween"}:
        low, high = _pair(column, values)
        inside = name == "Between"
        return lambda row: read(row) is not None and (low <= read(row) <= high) is inside
    if name in {"On", "NotOn", "OnOrAfter", "OnOrBefore"}:
        return _on(name, read, values)
    start, end = _span(name, values, now.astimezone(UTC))
    low, high = stamp(start), stamp(end)
    if column.type == "date":
        low, high = low[:10], high[:10]
    return lambda row: read(row) is not None and low <= read(row) < high


def _pair(column: Column, values: Sequence[str]) -> tuple[Any, Any]:
    if len(values) != 2:
        raise bad_query("Between takes two values.")
    if column.type in {"datetime", "date"}:
        pair = [parse_stamp(value) for value in values]
        if None in pair:
            raise bad_query("Between takes two dates here.")
        return (pair[0], pair[1]) if column.type == "datetime" else (str(pair[0])[:10], str(pair[1])[:10])
    try:
        return float(values[0]), float(values[1])
    except ValueError:
        return values[0].lower(), values[1].lower()


def _on(name: str, read: Callable[[Row], Any], values: Sequence[str]) -> Callable[[Row], bool]:
    found = parse_stamp(values[0]) if len(values) == 1 else None
    if found is None:
        raise bad_query(f"{name} takes a date.")
    day = found[:10]
    tests: dict[str, Callable[[str], bool]] = {
        "On": lambda held: held[:10] == day,
        "NotOn": lambda held: held[:10] != day,
        "OnOrAfter": lambda held: held[:10] >= day,
        "OnOrBefore": lambda held: held[:10] <= day,
    }
    chosen = tests[name]
    return lambda row: read(row) is not None and chosen(read(row))


def _months(moment: datetime, count: int) -> datetime:
    year, month = divmod(moment.year * 12 + moment.month - 1 + count, 12)
    return moment.replace(year=year, month=month + 1, day=min(moment.day, calendar.monthrange(year, month + 1)[1]))


def _span(name: str, values: Sequence[str], now: datetime) -> tuple[datetime, datetime]:
    """The half-open range of days that a function without or with a number means."""
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    month, year = today.replace(day=1), today.replace(month=1, day=1)
    week = today - timedelta(days=(today.weekday() + 1) % 7)
    fixed = {
        "Today": (today, today + _DAY),
        "Yesterday": (today - _DAY, today),
        "Tomorrow": (today + _DAY, today + 2 * _DAY),
        "Last7Days": (today - 7 * _DAY, now + timedelta(seconds=1)),
        "Next7Days": (now, today + 8 * _DAY),
        "ThisWeek": (week, week + 7 * _DAY),
        "LastWeek": (week - 7 * _DAY, week),
        "NextWeek": (week + 7 * _DAY, week + 14 * _DAY),
        "ThisMonth": (month, _months(month, 1)),
        "LastMonth": (_months(month, -1), month),
        "NextMonth": (_months(month, 1), _months(month, 2)),
        "ThisYear": (year, _months(year, 12)),
        "LastYear": (_months(year, -12), year),
        "NextYear": (_months(year, 12), _months(year, 24)),
    }
    if name in fixed:
        return fixed[name]
    return _counted(name, values, now, today)


def _counted(name: str, values: Sequence[str], now: datetime, today: datetime) -> tuple[datetime, datetime]:
    for way in ("LastX", "NextX", "OlderThanX"):
        unit = name.removeprefix(way)
        if name.startswith(way) and len(values) == 1 and values[0].isdigit() and unit in {*_COUNTED, "Months", "Years"}:
            count = int(values[0])
            start = _moved(now if unit == "Hours" else today, unit, count if way == "NextX" else -count)
            if way == "OlderThanX":
                return moment_of("0001-01-01T00:00:00Z"), _moved(now, unit, -count)
            return (start, now + timedelta(seconds=1)) if way == "LastX" else (now, start + _DAY)
    raise bad_query(f"An unknown function with name 'Microsoft.Dynamics.CRM.{name}' was found.")


def _moved(moment: datetime, unit: str, count: int) -> datetime:
    if unit in _COUNTED:
        return moment + count * _COUNTED[unit]
    return _months(moment, count * (12 if unit == "Years" else 1))
