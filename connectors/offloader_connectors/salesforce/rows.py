"""Fields of the CRM's answers, each checked: a malformed answer is an error that names the operation, never a
KeyError.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from offloader.errors import Permanent
from offloader_connectors import fields
from offloader_connectors.salesforce import soql

Row = Mapping[str, Any]


def malformed(operation: str, what: str) -> Permanent:
    return Permanent(f"{operation}: Salesforce answered something unexpected: {what}")


def lookup(row: Row, path: str) -> Any:
    """Follow a dotted path through parent records; None where a parent is empty or the field absent."""
    if "." not in path:
        return row.get(path)
    value: Any = row
    for name in path.split("."):
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value


def text(row: Row, path: str, operation: str = "query") -> str:
    """A string that must be there. Raises Permanent."""
    value = lookup(row, path)
    if not isinstance(value, str) or not value:
        raise malformed(operation, f"no {path}")
    return value


def record_id(row: Row, path: str, operation: str = "query") -> str:
    """An id that must be there, in its 18-character form. Raises Permanent."""
    return soql.id18(text(row, path, operation))


def optional(row: Row, path: str) -> str | None:
    """A string, or None."""
    return fields.optional(lookup(row, path))


def optional_id(row: Row, path: str) -> str | None:
    value = optional(row, path)
    return soql.id18_or_none(value) if value is not None else None


def number(row: Row, path: str, operation: str = "query") -> int:
    """A whole number that must be there. Raises Permanent."""
    value = fields.integer(lookup(row, path))
    if value is None:
        raise malformed(operation, f"{path} is no number")
    return value


def size(row: Row, path: str) -> int | None:
    """A size in bytes, or None where the CRM says nothing usable."""
    return fields.size(lookup(row, path))


def flag(row: Row, path: str) -> bool:
    return lookup(row, path) is True


def told(row: Row, path: str) -> bool | None:
    """A boolean, None where the CRM does not tell."""
    return fields.told(lookup(row, path))


def when(row: Row, path: str) -> datetime | None:
    """A moment in UTC, or None."""
    value = optional(row, path)
    if value is None:
        return None
    try:
        return soql.moment(value)
    except ValueError:
        return None


def scalar(row: Row, path: str) -> str:
    """Any plain value as text: "" for an empty one, "true" and "false" for booleans."""
    return fields.scalar(lookup(row, path))
