"""Column values: from JSON (or Python, for seeding) to what a row holds."""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from typing import Any

from offloader_connectors.dynamics365.emulator.errors import DataverseError
from offloader_connectors.dynamics365.emulator.ids import normal
from offloader_connectors.dynamics365.emulator.schema import CHOICES, Column

_DATETIME = re.compile(r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d)?)(?:\.\d+)?(Z|[+-]\d\d:?\d\d)?)?", re.IGNORECASE)
_INT32 = 2**31


def stamp(moment: datetime) -> str:
    """A datetime as the API writes it: UTC, whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment_of(text: str) -> datetime:
    """The inverse of `stamp`."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


def parse_stamp(text: str) -> str | None:
    """Any ISO 8601 date or datetime in the API's own form; None if it is none."""
    match = _DATETIME.fullmatch(text.strip())
    if not match:
        return None
    day, clock, zone = match.groups()
    try:
        return stamp(datetime.fromisoformat(f"{day}T{clock or '00:00'}{(zone or 'Z').upper()}"))
    except ValueError:
        return None


def _unconvertible(column: Column, value: object, kind: str) -> DataverseError:
    text = f"Cannot convert the literal '{value}' to the expected type '{kind}'."
    return DataverseError(400, "0x80048d19", f"Error identified in Payload provided by the user for Entity :'', {text}")


def _text(column: Column, value: object, table: str) -> str | None:
    if not isinstance(value, str):
        raise _unconvertible(column, value, "Edm.String")
    if column.length and len(value) > column.length:
        text = (
            f"A validation error occurred. The length of the '{column.name}' attribute of the '{table}' entity "
            f"exceeded the maximum allowed length of '{column.length}'."
        )
        raise DataverseError(400, "0x80044331", text)
    return value or None


def _whole(column: Column, value: object, table: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise _unconvertible(column, value, "Edm.Int32")
    try:
        number = int(value)
    except ValueError:
        raise _unconvertible(column, value, "Edm.Int32") from None
    if column.type != "bigint" and not -_INT32 <= number < _INT32:
        raise _unconvertible(column, value, "Edm.Int32")
    return int(_within(column, number, table))


def _choice(column: Column, value: object, table: str) -> int:
    number = _whole(column, value, table)
    if column.choices and number not in {choice.value for choice in column.choices}:
        accepted = ",".join(str(choice.value) for choice in column.choices)
        text = (
            f"A validation error occurred. The value {number} of '{column.name}' on record of type '{table}' is "
            f"outside the valid range. Accepted Values: {accepted}"
        )
        raise DataverseError(400, "0x80044330", text)
    return number


def _within(column: Column, number: Any, table: str) -> Any:
    if (column.low is not None and number < column.low) or (column.high is not None and number > column.high):
        text = (
            f"A validation error occurred.  The value of '{column.name}' on record of type '{table}' is outside the "
            "valid range."
        )
        raise DataverseError(400, "0x80044330", text)
    return number


def _number(column: Column, value: object, table: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise _unconvertible(column, value, "Edm.Decimal")
    try:
        return float(_within(column, float(value), table))
    except ValueError:
        raise _unconvertible(column, value, "Edm.Decimal") from None


def _boolean(column: Column, value: object, table: str) -> bool:
    if not isinstance(value, bool):
        raise _unconvertible(column, value, "Edm.Boolean")
    return value


def _moment(column: Column, value: object, table: str) -> str:
    if isinstance(value, datetime):
        return stamp(value)
    if isinstance(value, date):
        value = value.isoformat()
    found = parse_stamp(value) if isinstance(value, str) else None
    if found is None:
        raise _unconvertible(column, value, "Edm.DateTimeOffset")
    return found


def _day(column: Column, value: object, table: str) -> str:
    return _moment(column, value, table)[:10]


def _guid(column: Column, value: object, table: str) -> str:
    found = normal(value)
    if found is None:
        raise _unconvertible(column, value, "Edm.Guid")
    return found


_CONVERT: Mapping[str, Callable[[Column, object, str], Any]] = {
    "string": _text, "memo": _text, "entityname": _text, "integer": _whole, "bigint": _whole, "decimal": _number,
    "double": _number, "money": _number, "boolean": _boolean, "datetime": _moment, "date": _day,
    "uniqueidentifier": _guid, "file": _guid, **dict.fromkeys(CHOICES, _choice),
}  # fmt: skip


def convert(column: Column, value: object, table: str) -> Any:
    """What a row holds for this value of any column but lookups and bodies. Raises DataverseError."""
    return None if value is None else _CONVERT[column.type](column, value, table)


def decode_base64(value: object) -> bytes:
    """The bytes of a Base64 text in JSON, which may have white space in it. Raises DataverseError for anything else."""
    if isinstance(value, str):
        try:
            bare = value if value.isalnum() else "".join(value.split())
            return binascii.a2b_base64(bare, strict_mode=True) if bare else b""
        except (binascii.Error, ValueError):
            pass
    text = (
        "The input is not a valid Base-64 string as it contains a non-base 64 character, more than two padding "
        "characters, or an illegal character among the padding characters."
    )
    raise DataverseError(400, "0x80040203", text)


def encoded_length(size: int) -> int:
    """Characters of the Base64 text of so many bytes."""
    return (size + 2) // 3 * 4
