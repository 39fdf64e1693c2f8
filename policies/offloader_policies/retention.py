"""How long a document must be kept, and by when it must be gone: duties, their terms, and what they say together. Pure.

A term runs as Regulation (EEC, Euratom) No 1182/71, Article 3, counts: the day of the event is not counted, and the
last day is the one of the same number, or the last day of a month that has no such day. The last day is still part of
the term: `keep_until` is the last day on which the document must be there, `erase_by` the last on which it may be.

Unknown is read so that nothing is destroyed by it: an event that the CRM does not say leaves its duty `waiting`, and
of several dates of one event the latest counts for a minimum, the earliest for a maximum.
"""

from __future__ import annotations

import calendar as gregorian
import enum
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Self

from offloader.model import Document, Retention
from offloader.psv import Row

_PERIOD = re.compile(r"P(?=\d)(?:(\d{1,4})Y)?(?:(\d{1,5})M)?(?:(\d{1,5})W)?(?:(\d{1,6})D)?")
_MONTH_DAY = re.compile(r"(\d{2})-(\d{2})")
#: events that follow from the document's own date, unless a record says them
_YEAR_END = "doc_year_end"
_FISCAL = ("fy_end", "tax_year_end")
_DOCUMENT = "doc_date"
OPEN = "open"
COLUMNS = (
    "id",
    "jur",
    "doc_type",
    "kind",
    "period",
    "start",
    "cite",
    "note",
    "conf",
    "valid_from",
    "valid_to",
    "review",
)


class Kind(enum.StrEnum):
    """min: at least so long; max: no longer, unless another basis is recorded; exact: both."""

    MIN = "min"
    MAX = "max"
    EXACT = "exact"


@dataclass(frozen=True, slots=True)
class Period:
    """A span of calendar time: whole months first, then whole days."""

    months: int
    days: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an ISO 8601 duration of years, months, weeks and days (P7Y, P1Y6M, P4W, P28D).

        Raises ValueError for anything else, hours included, and for a duration of nothing.
        """
        match = _PERIOD.fullmatch(text)
        years, months, weeks, days = (int(part or 0) for part in match.groups()) if match else (0, 0, 0, 0)
        if not (years or months or weeks or days):
            raise ValueError(f"{text!r} is no duration in years, months, weeks and days, such as P7Y or P28D")
        return cls(years * 12 + months, weeks * 7 + days)

    def after(self, event: date) -> date:
        """Return the last day of the term that the event begins; date.max where the calendar ends before."""
        months = event.year * 12 + event.month - 1 + self.months
        year, month = months // 12, months % 12 + 1
        if year > date.max.year:
            return date.max
        end = date(year, month, min(event.day, gregorian.monthrange(year, month)[1]))
        return date.max if self.days > (date.max - end).days else end + timedelta(days=self.days)


@dataclass(frozen=True, slots=True, kw_only=True)
class Duty:
    """One duty to keep (`least`), to erase (`most`), or both; with neither, it is open: no date ends it by itself."""

    id: str
    #: whose law; empty for a duty of the operator's own
    jurisdiction: str = ""
    #: types of documents that it is about
    documents: frozenset[str] = frozenset()
    least: Period | None = None
    most: Period | None = None
    #: the event that begins the term
    start: str
    citation: str = ""
    note: str = ""
    confidence: str = ""
    valid_from: date | None = None
    valid_to: date | None = None
    #: last day before somebody has to look at it again
    review: date | None = None
    #: where it stands: file and line
    origin: str

    @property
    def open(self) -> bool:
        return self.least is None and self.most is None

    def in_force(self, day: date) -> bool:
        return (self.valid_from is None or self.valid_from <= day) and (self.valid_to is None or day <= self.valid_to)


@dataclass(frozen=True, slots=True)
class Calendar:
    """What terms are counted by: ends of fiscal years as (month, day), signals' names by event, the time zone."""

    year_end: tuple[int, int] = (12, 31)
    #: other ends of fiscal years, by jurisdiction
    year_ends: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    #: the signal that says an event, where its name is not the event's
    signals: Mapping[str, str] = field(default_factory=dict)
    zone: tzinfo = UTC


#: calendar years, UTC, signals named like their events
PLAIN = Calendar()


def own(
    id: str, *, keep: str | None = None, erase: str | None = None, start: str = _DOCUMENT, origin: str = ""
) -> Duty:
    """Make a duty of the operator's own: keep at least so long, erase after so long, or both (ISO 8601 durations).

    Raises ValueError for a duration that is none, for neither of them, and for one that erases before it lets go.
    """
    least, most = (Period.parse(text) if text else None for text in (keep, erase))
    if least is None and most is None:
        raise ValueError(f"the retention {id!r} says neither how long to keep nor when to erase")
    if least and most and least.after(date(2000, 1, 31)) > most.after(date(2000, 1, 31)):
        raise ValueError(f"the retention {id!r} erases ({erase}) before it lets go ({keep})")
    return Duty(id=id, least=least, most=most, start=start, origin=origin)


def duty(row: Row) -> Duty:
    """Read a row of `retention.psv`. Raises ConfigError naming the cell."""
    kind = Kind(row.one_of("kind", Kind))
    period = None
    if row.required("period") != OPEN:
        try:
            period = Period.parse(row.text("period"))
        except ValueError as error:
            row.fail("period", str(error))
    elif kind is not Kind.MIN:
        row.fail("period", f"only a minimum can be {OPEN}")
    row.required("doc_type")
    return Duty(
        id=row.required("id"),
        jurisdiction=row.required("jur"),
        documents=frozenset(row.words("doc_type")),
        least=None if kind is Kind.MAX else period,
        most=None if kind is Kind.MIN else period,
        start=row.required("start"),
        citation=row.required("cite"),
        note=row.text("note"),
        confidence=row.one_of("conf", ("H", "M", "L")),
        valid_from=row.day("valid_from"),
        valid_to=row.day("valid_to"),
        review=row.last_day("review"),
        origin=row.origin,
    )


def least_only(duties: Iterable[Duty]) -> Iterable[Duty]:
    """Return what the duties ask to keep, without what they ask to erase."""
    return (replace(each, most=None) for each in duties if each.least is not None or each.open)


def retention(document: Document, duties: Iterable[Duty], now: datetime, calendar: Calendar = PLAIN) -> Retention:
    """Say until when the document must be kept and by when it must be gone, by these duties, counted from its events.

    `now` (timezone-aware) says which duties are in force, and nothing else. The order of the duties does not matter;
    one more never makes `keep_until` earlier nor `erase_by` later.
    """
    today = now.astimezone(UTC).date()
    keep: list[date] = []
    erase: list[date] = []
    rules: set[str] = set()
    waiting: set[str] = set()
    for each in duties:
        if not each.in_force(today):
            continue
        rules.add(each.id)
        days, whole = _event(document, each, calendar)
        if each.open or not whole:
            waiting.add(each.id)
        if days and each.least:
            keep.append(each.least.after(max(days)))
        if days and each.most:
            erase.append(each.most.after(min(days)))
    return Retention(max(keep, default=None), min(erase, default=None), tuple(sorted(rules)), tuple(sorted(waiting)))


def together(first: Retention | None, second: Retention | None) -> Retention | None:
    """Return what both say: the later minimum, the earlier maximum, every duty."""
    if first is None or second is None:
        return second if first is None else first
    keep = [day for day in (first.keep_until, second.keep_until) if day is not None]
    erase = [day for day in (first.erase_by, second.erase_by) if day is not None]
    return Retention(
        max(keep, default=None),
        min(erase, default=None),
        tuple(sorted({*first.rules, *second.rules})),
        tuple(sorted({*first.waiting, *second.waiting})),
    )


def _event(document: Document, duty: Duty, calendar: Calendar) -> tuple[tuple[date, ...], bool]:
    """Return the dates of the event that begins a duty's term, and whether every record that was asked says one."""
    days, asked, whole = _said(document, duty.start, calendar)
    if asked or duty.start not in (_DOCUMENT, _YEAR_END, *_FISCAL):
        return days, asked and whole
    days, asked, whole = _said(document, _DOCUMENT, calendar)
    if not asked:
        days, whole = _own_date(document, calendar)
    if duty.start == _YEAR_END:
        return tuple(date(day.year, 12, 31) for day in days), whole
    if duty.start in _FISCAL:
        end = calendar.year_ends.get(duty.jurisdiction, calendar.year_end)
        return tuple(_year_end(day, end) for day in days), whole
    return days, whole


def _said(document: Document, event: str, calendar: Calendar) -> tuple[tuple[date, ...], bool, bool]:
    """Return the dates that records say for an event, whether any was asked, and whether all that were could tell."""
    signal = calendar.signals.get(event, event)
    asked = [parent.signals[signal] for parent in document.parents if signal in parent.signals]
    days = tuple(day for day in (_day(text, calendar.zone) for text in asked) if day is not None)
    return days, bool(asked), len(days) == len(asked)


def _own_date(document: Document, calendar: Calendar) -> tuple[tuple[date, ...], bool]:
    """Return the day on which the newest version was made, as the CRM says."""
    made = [version.created for version in document.versions if version.created is not None]
    moment = max(made, default=document.created)
    return ((), False) if moment is None else ((moment.astimezone(calendar.zone).date(),), True)


def _day(text: object, zone: tzinfo) -> date | None:
    """Read a day, or the day of a moment in the zone; None for what is neither."""
    if not isinstance(text, str):
        return None
    text = text.strip()
    try:
        if len(text) == len("2026-01-01"):
            return date.fromisoformat(text)
        moment = datetime.fromisoformat(text)
        return moment.date() if moment.tzinfo is None else moment.astimezone(zone).date()
    except (ValueError, OverflowError):
        return None


def _year_end(day: date, end: tuple[int, int]) -> date:
    """Return the first end of a fiscal year on the day or after it; 29 February is the last day of every February."""
    month, last = end
    found = date(day.year, month, min(last, gregorian.monthrange(day.year, month)[1]))
    if found >= day:
        return found
    year = day.year + 1
    if year > date.max.year:
        return date.max
    return date(year, month, min(last, gregorian.monthrange(year, month)[1]))


def month_day(text: str) -> tuple[int, int]:
    """Read the last day of a fiscal year (12-31, 03-31, 02-29). Raises ValueError for what no leap year has."""
    match = _MONTH_DAY.fullmatch(text)
    month, day = (int(part) for part in match.groups()) if match else (0, 0)
    if not 1 <= month <= 12 or not 1 <= day <= gregorian.monthrange(2000, month)[1]:
        raise ValueError(f"{text!r} is no day of a year (MM-DD, such as 12-31)")
    return month, day
