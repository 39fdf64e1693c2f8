"""Fields of a CRM's rows, each read as what it must be, or as None: a CRM's words are hostile."""

from __future__ import annotations

from collections.abc import Mapping


def optional(value: object) -> str | None:
    """A string that is not empty, or None."""
    return value if isinstance(value, str) and value else None


def integer(value: object) -> int | None:
    """A whole number, also as text of digits, or None."""
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def size(value: object) -> int | None:
    """A size in bytes, or None where the CRM says nothing usable."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def told(value: object) -> bool | None:
    """A boolean, None where the CRM does not tell."""
    return value if isinstance(value, bool) else None


def scalar(value: object) -> str:
    """Any plain value as text: "" for an empty one, "true" and "false" for booleans."""
    if value is None or isinstance(value, (Mapping, list)):
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)
