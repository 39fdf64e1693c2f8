"""Unique identifiers: made, checked, and in the order in which the database compares them."""

from __future__ import annotations

import hashlib
import re
from uuid import UUID

_GUID = re.compile(r"\{?([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})\}?", re.IGNORECASE)


def new_id(table: str, number: int) -> str:
    """The id of the number-th row written, the same in every run."""
    raw = hashlib.sha256(f"{table} {number}".encode()).digest()[:16]
    return str(UUID(bytes=raw, version=4))


def normal(text: object) -> str | None:
    """An id in lower case with dashes; None for anything that is none."""
    match = _GUID.fullmatch(text) if isinstance(text, str) else None
    return match[1].lower() if match else None


def database_order(guid: str) -> str:
    """A text that sorts as SQL Server compares uniqueidentifiers: the last group first, the first one backwards."""
    a, b, c, d, e = guid.split("-")
    return e + d + c[2:] + c[:2] + b[2:] + b[:2] + a[6:] + a[4:6] + a[2:4] + a[:2]
