"""Periods (ISO 8601, by the calendar) and sizes, as policies write them."""

from __future__ import annotations

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import datetime, timedelta

_PERIOD = re.compile(r"P(?=\d)(?:(\d{1,4})Y)?(?:(\d{1,4})M)?(?:(\d{1,4})W)?(?:(\d{1,5})D)?")
_SIZE = re.compile(r"(\d{1,15})(?: ?(bytes|kB|MB|GB|TB|KiB|MiB|GiB|TiB))?")
_UNITS: dict[str, int] = {
    **{unit: 1000**power for power, unit in enumerate(("bytes", "kB", "MB", "GB", "TB"))},
    **{unit: 1024**power for power, unit in enumerate(("KiB", "MiB", "GiB", "TiB"), 1)},
}


@dataclass(frozen=True, slots=True)
class Span:
    """A period of whole months and days."""

    months: int
    days: int

    def before(self, moment: datetime) -> datetime:
        """The moment so long before; a day that the month lacks is its last one. Never before the year 1."""
        count = moment.year * 12 + moment.month - 1 - self.months
        year, month = divmod(count, 12)
        if year < 1:
            return datetime.min.replace(tzinfo=moment.tzinfo)
        day = min(moment.day, monthrange(year, month + 1)[1])
        try:
            return moment.replace(year=year, month=month + 1, day=day) - timedelta(days=self.days)
        except OverflowError:
            return datetime.min.replace(tzinfo=moment.tzinfo)


def parse_period(value: object) -> Span:
    """Read P2Y, P6M, P2W, P30D or P1Y6M. Raises ValueError saying what to write."""
    match = _PERIOD.fullmatch(value) if isinstance(value, str) else None
    if match is None or not any(match.groups()):
        raise ValueError(
            f"{str(value)[:40]!r} is no period; write P2Y (years), P6M (months), P2W (weeks) or P30D (days)"
        )
    years, months, weeks, days = (int(part or 0) for part in match.groups())
    return Span(years * 12 + months, weeks * 7 + days)


def parse_size(value: object) -> int:
    """Read a number of bytes, or 500 kB, 10 MB, 1 GiB. Raises ValueError saying what to write."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 60:
        return value
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"{str(value)[:40]!r} is no size; write bytes (20000), or 500 kB, 10 MB, 1 GB, 1 GiB")
    return int(match[1]) * _UNITS[match[2] or "bytes"]
