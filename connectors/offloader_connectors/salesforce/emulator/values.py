"""Field values: from JSON (or Python, for seeding) to what a row holds."""

from __future__ import annotations

import base64
import binascii
import re
from datetime import UTC, date, datetime
from typing import Any

from offloader_connectors.salesforce.emulator.errors import SalesforceError, bad_id
from offloader_connectors.salesforce.emulator.ids import normal
from offloader_connectors.salesforce.emulator.schema import TEXT, Field

_DATETIME = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d(?::\d\d)?)(?:\.\d+)?(Z|[+ -]\d\d:?\d\d)?$")
_NUMBERS = {"int", "long", "double", "currency", "percent"}


def stamp(moment: datetime) -> str:
    """A datetime as the API writes it: UTC, whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000+0000")


def parse_stamp(text: str) -> str | None:
    """Any ISO 8601 datetime in the API's own form; None if it is none."""
    match = _DATETIME.fullmatch(text.strip())
    if not match:
        return None
    day, clock, zone = match.groups()
    clock = clock if len(clock) == 8 else f"{clock}:00"
    zone = (zone or "Z").replace(" ", "+")
    try:
        return stamp(datetime.fromisoformat(f"{day}T{clock}{zone}"))
    except ValueError:
        return None


def moment_of(text: str) -> datetime:
    """The inverse of `stamp`."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%f%z")


def _bad(field: Field, value: object) -> SalesforceError:
    kinds = {"datetime": "xsd:dateTime", "date": "xsd:date", "boolean": "xsd:boolean", "int": "xsd:int"}
    wanted = kinds.get(field.type, "xsd:double" if field.type in _NUMBERS else "xsd:string")
    return SalesforceError(
        "JSON_PARSER_ERROR", f"Cannot deserialize instance of {wanted.removeprefix('xsd:')} from value {value}"
    )


def _reference(field: Field, value: object) -> str:
    found = normal(value) if isinstance(value, str) else None
    if found is None:
        raise bad_id(field.label, value, field.name)
    return found


def _number(field: Field, value: object) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise _bad(field, value)
    try:
        return int(value) if field.type in {"int", "long"} else float(value)
    except ValueError:
        raise _bad(field, value) from None


def _boolean(field: Field, value: object) -> bool:
    known = {"true": True, "false": False, "1": True, "0": False}
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in known:
        return known[value.lower()]
    raise _bad(field, value)


def _moment(field: Field, value: object) -> str:
    if isinstance(value, datetime):
        return stamp(value)
    if isinstance(value, date):
        return f"{value.isoformat()}T00:00:00.000+0000" if field.type == "datetime" else value.isoformat()
    if isinstance(value, str):
        if field.type == "date":
            try:
                return date.fromisoformat(value[:10]).isoformat()
            except ValueError:
                raise _bad(field, value) from None
        found = parse_stamp(value if "T" in value else f"{value}T00:00:00Z")
        if found:
            return found
    raise _bad(field, value)


def _text(field: Field, value: object) -> str:
    if isinstance(value, bool | int | float):
        value = str(value).lower() if isinstance(value, bool) else str(value)
    if not isinstance(value, str):
        raise _bad(field, value)
    limit = 1300 if field.name == "ContentUrl" else field.length
    if limit and len(value) > limit:
        shown = value if len(value) <= 255 else value[:255]
        text = f"{field.label}: data value too large: {shown} (max length={limit})"
        raise SalesforceError("STRING_TOO_LONG", text, [field.name])
    return value


def decode_base64(field: Field, value: object) -> bytes:
    if not isinstance(value, str):
        raise _bad(field, value)
    try:
        return base64.b64decode(value, validate=False)
    except (binascii.Error, ValueError):
        raise SalesforceError("JSON_PARSER_ERROR", f"{field.name}: not a base64 value") from None


def convert(field: Field, value: object) -> Any:
    """What a row holds for this value of any type but base64. Raises SalesforceError."""
    if value is None or value == "":
        return False if field.type == "boolean" else None
    if field.type in {"reference", "id"}:
        return _reference(field, value)
    if field.type == "boolean":
        return _boolean(field, value)
    if field.type in _NUMBERS:
        return _number(field, value)
    if field.type in {"datetime", "date"}:
        return _moment(field, value)
    assert field.type in TEXT
    return _text(field, value)
