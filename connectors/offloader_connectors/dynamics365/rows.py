"""Fields of the Web API's answers, each checked: a malformed answer is an error that names the operation, never a
KeyError.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from offloader.errors import Permanent
from offloader_connectors import fields
from offloader_connectors.dynamics365 import odata

Row = Mapping[str, Any]

ETAG = "@odata.etag"
LOOKUP_TABLE = "Microsoft.Dynamics.CRM.lookuplogicalname"
FORMATTED = "OData.Community.Display.V1.FormattedValue"


def malformed(operation: str, what: str) -> Permanent:
    return Permanent(f"{operation}: Dynamics 365 answered something unexpected: {what}")


def text(row: Row, name: str, operation: str = "list") -> str:
    """A string that must be there. Raises Permanent."""
    value = row.get(name)
    if not isinstance(value, str) or not value:
        raise malformed(operation, f"no {name}")
    return value


def guid(row: Row, name: str, operation: str = "list") -> str:
    """An id that must be there, in lower case. Raises Permanent."""
    value = text(row, name, operation)
    if not odata.is_guid(value):
        raise malformed(operation, f"{name} is no id")
    return value.lower()


def optional(row: Row, name: str) -> str | None:
    """A string, or None."""
    return fields.optional(row.get(name))


def optional_guid(row: Row, name: str) -> str | None:
    value = optional(row, name)
    return value.lower() if value is not None and odata.is_guid(value) else None


def number(row: Row, name: str, operation: str = "list") -> int:
    """A whole number that must be there. Raises Permanent."""
    value = fields.integer(row.get(name))
    if value is None:
        raise malformed(operation, f"{name} is no number")
    return value


def integer(row: Row, name: str) -> int | None:
    """A whole number, or None."""
    return fields.integer(row.get(name))


def size(row: Row, name: str) -> int | None:
    """A size in bytes, or None where the CRM says nothing usable."""
    return fields.size(row.get(name))


def flag(row: Row, name: str) -> bool:
    return row.get(name) is True


def etag(row: Row, operation: str = "list") -> str:
    """The row's etag, to be sent back exactly as it came. Raises Permanent."""
    return text(row, ETAG, operation)


def table_of(row: Row, lookup: str) -> str | None:
    """The table that a lookup column (`_x_value`) leads to, where the answer says it."""
    value = optional(row, f"{lookup}@{LOOKUP_TABLE}")
    return value if value is not None and odata.is_name(value) else None


def when(row: Row, name: str) -> datetime | None:
    """A moment in UTC, or None."""
    value = optional(row, name)
    if value is None:
        return None
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        return None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
