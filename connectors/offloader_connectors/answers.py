"""What every CRM's answers need before anybody may use or read them: a CRM's words are hostile."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime

LONGEST_WAIT = timedelta(days=1)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")
_SECONDS = re.compile(r"[0-9]{1,9}")


def harmless(text: str, limit: int = 240) -> str:
    """Return the text without control and direction characters, cut to `limit`."""
    return _CONTROL.sub(" ", text).strip()[:limit]


def retry_after(headers: Mapping[str, str], now: datetime | None = None) -> timedelta | None:
    """Read `Retry-After`, in seconds or as a date (RFC 9110, 10.2.3); None if there is none that can be read.

    A date needs `now`, or else the `Date` of the same answer. Never negative, never more than a day.
    """
    value = headers.get("Retry-After", "").strip()
    if _SECONDS.fullmatch(value):
        return min(timedelta(seconds=int(value)), LONGEST_WAIT)
    until, since = http_date(value), http_date(headers.get("Date")) or now
    if until is None or since is None:
        return None
    return min(max(until - since, timedelta(0)), LONGEST_WAIT)


def http_date(text: str | None) -> datetime | None:
    """Read the date of a header, in UTC; None where it is none."""
    try:
        found = parsedate_to_datetime(text) if text else None
    except ValueError:
        return None
    return found if found is not None and found.tzinfo is not None else None
