"""SOQL text and record ids: quoting, chunking, 15 to 18 characters."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TypeVar

from offloader.errors import Permanent

T = TypeVar("T")

_ID = re.compile(r"[A-Za-z0-9]{15}(?:[A-Za-z0-9]{3})?")
_SUFFIX = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
_ESCAPES = {
    "\\": "\\\\",
    "'": "\\'",
    '"': '\\"',
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\b": "\\b",
    "\f": "\\f",
}
#: ids in one IN list: 21 characters each, far below the 100,000 characters of a statement
IDS_PER_QUERY = 500


def is_id(text: str) -> bool:
    """Whether the text has the form of a record id (15 or 18 characters); says nothing of its existence."""
    return _ID.fullmatch(text) is not None


@lru_cache(maxsize=1 << 14)
def id18_or_none(text: str) -> str | None:
    """Return the 18-character form of a record id, None if the text is no id.

    The three last characters say which of the first fifteen are capitals (SOAP API guide, "ID Field Type").
    """
    if not is_id(text):
        return None
    short = text[:15]
    suffix = ""
    for start in (0, 5, 10):
        bits = sum(1 << index for index, letter in enumerate(short[start : start + 5]) if "A" <= letter <= "Z")
        suffix += _SUFFIX[bits]
    return short + suffix


def id18(text: str) -> str:
    """As `id18_or_none`. Raises Permanent if the text is no id."""
    found = id18_or_none(text)
    if found is None:
        raise Permanent(f"{text[:40]!r} is not a Salesforce record id")
    return found


def quote(text: str) -> str:
    """Return a SOQL string literal, whatever is in the text."""
    return "'" + "".join(_ESCAPES.get(letter, letter) for letter in text) + "'"


def id_list(ids: Iterable[str]) -> str:
    """Return `('..','..')` of record ids for an IN filter. Raises Permanent for anything that is no id."""
    return "(" + ",".join(f"'{id18(each)}'" for each in ids) + ")"


def text_list(texts: Iterable[str]) -> str:
    """Return `('..','..')` of escaped strings for an IN filter."""
    return "(" + ",".join(quote(each) for each in texts) + ")"


def chunks(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Yield the items in runs of at most `size`."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def unique(items: Iterable[T]) -> list[T]:
    """Return the items without repetitions, first come first."""
    return list(dict.fromkeys(items))


def moment(text: str) -> datetime:
    """Parse the CRM's `2026-01-31T12:00:00.000+0000`. Raises ValueError."""
    return datetime.fromisoformat(text.replace("+0000", "+00:00")).astimezone(UTC)


def literal(when: datetime) -> str:
    """Return an unquoted SOQL datetime, whole seconds (the CRM keeps no fractions), rounded down."""
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def timestamp(when: datetime) -> str:
    """Return a datetime as the CRM takes it in JSON."""
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000+0000")


def earlier(when: datetime, seconds: float) -> datetime:
    """Return the moment that many seconds before."""
    return when - timedelta(seconds=seconds)


def select(fields: str, object_type: str, where: str = "", tail: str = "") -> str:
    """Put a query together; every value in `where` has gone through `quote`, `id_list`, `text_list` or `literal`."""
    parts = ["SELECT", fields, "FROM", object_type, *(["WHERE", where] if where else []), *([tail] if tail else [])]
    return " ".join(parts)
