"""The `purge` part of a policy: which records are purged when they are old, judged by what came back of each."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time

from offloader.model import Decision, Document, DocumentRef, Parent, Reason, Retention, Version
from offloader.ports import Purge, Purged, PurgeRule, Target
from offloader_policies import retention
from offloader_policies.engine import ResidencyPolicy
from offloader_policies.language.conditions import STRINGS, Condition
from offloader_policies.language.model import PurgeTerms
from offloader_policies.language.spans import Span, parse_period
from offloader_policies.selection import Selection

Value = str | int | float | bool | None
#: variables of a purge rule's condition
TYPES: Mapping[str, str] = {"record": "record", "now": "time"}
_FIELD = re.compile(r"\brecord\.([A-Za-z_]\w*)(?!\w|\s*\()")
_INDEXED = re.compile(r"\brecord\s*\[\s*['\"]([^'\"]+)['\"]\s*\]")
_DAY = len("2026-01-01")


def fields_of(condition: str) -> set[str]:
    """The record's fields that a condition mentions."""
    return {*_FIELD.findall(STRINGS.sub("''", condition)), *_INDEXED.findall(condition)}


@dataclass(frozen=True, slots=True)
class Book:
    """What one purge rule knows beyond its values; see `offloader.ports.PurgeBook`."""

    terms: PurgeTerms
    condition: Condition | None
    #: of this rule, and of every other rule about the same type
    duties: tuple[retention.Duty, ...]
    #: event → field, by all rules about the same type
    dates: Mapping[str, str]
    residency: ResidencyPolicy
    origin: str

    @property
    def _span(self) -> Span:
        return parse_period(self.terms.older_than)

    def before(self, now: datetime) -> datetime:
        return self._span.before(now)

    def judge(self, fields: Mapping[str, Value], now: datetime) -> Purged:
        moment = _moment(fields.get(self.terms.age_field))
        problem = self._by_age(fields, moment, now) or self._by_fields(fields, now)
        if problem is not None:
            return problem
        assert moment is not None
        kept = self._retention(fields, moment, now)
        return self._by_duties(kept, now) or self._delete(moment, kept, now)

    def place(self, fields: Mapping[str, Value], targets: Sequence[Target], now: datetime) -> Decision:
        said = {name: _text(fields.get(field)) for name, field in self.terms.signals.items()}
        signals = {**self.terms.facts, **said}
        document = _stand_in(self.terms.type, signals, None)
        selected = Selection(categories=frozenset(self.terms.categories), prefer=self.terms.prefer)
        return self.residency.decide(document, targets, now, selected)

    def _said(self, verdict: Purge, code: str, text: str, kept: Retention | None = None) -> Purged:
        return Purged(verdict, (self._because(code, text),), kept)

    def _because(self, code: str, text: str) -> Reason:
        return Reason(code, text, rule=self.terms.id, origin=self.origin)

    def _by_age(self, fields: Mapping[str, Value], moment: datetime | None, now: datetime) -> Purged | None:
        name, value = self.terms.age_field, fields.get(self.terms.age_field)
        if value in (None, ""):
            return self._said(Purge.KEEP, "NO_AGE", f"{name} is empty: nobody knows how old it is")
        if moment is None:
            return self._said(Purge.REVIEW, "BAD_AGE", f"{name} holds no date")
        if moment > now:
            return self._said(Purge.REVIEW, "FUTURE_AGE", f"{name} lies in the future ({moment:%Y-%m-%d})")
        if moment >= self.before(now):
            return self._said(Purge.KEEP, "TOO_YOUNG", f"{name} is {moment:%Y-%m-%d}, younger than {self._older}")
        return None

    @property
    def _older(self) -> str:
        return self.terms.older_than

    def _by_fields(self, fields: Mapping[str, Value], now: datetime) -> Purged | None:
        for name in (*self.terms.where, *self.terms.empty):
            if name not in fields:
                return self._said(Purge.REVIEW, "UNKNOWN", f"the CRM does not say {name}")
        for name, allowed in self.terms.where.items():
            if not any(_same(fields[name], value) for value in allowed):
                return self._said(Purge.KEEP, "WHERE", f"{name} is none of the values that the rule names")
        for name in self.terms.empty:
            if fields[name] not in (None, ""):
                return self._said(Purge.KEEP, "NOT_EMPTY", f"{name} is not empty")
        return self._by_condition(fields, now)

    def _by_condition(self, fields: Mapping[str, Value], now: datetime) -> Purged | None:
        if self.condition is None:
            return None
        known = {name: value for name, value in fields.items() if value is not None and _whole(value)}
        held = self.condition.holds({"record": known, "now": now})
        if held is None:
            return self._said(Purge.REVIEW, "WHEN_UNKNOWN", "the record does not say what `when` asks for")
        return None if held else self._said(Purge.KEEP, "WHEN", "the rule's condition does not hold for it")

    def _retention(self, fields: Mapping[str, Value], moment: datetime, now: datetime) -> Retention | None:
        if not self.duties:
            return None
        events = {event: _text(fields.get(field)) for event, field in self.dates.items()}
        document = _stand_in(self.terms.type, events, moment)
        return retention.retention(document, self.duties, now, replace(self.residency.calendar, signals={}))

    def _by_duties(self, kept: Retention | None, now: datetime) -> Purged | None:
        if kept is None:
            return None
        rules = ", ".join(kept.rules)
        if kept.conflict:
            said = f"must be kept until {kept.keep_until}, and gone by {kept.erase_by} ({rules})"
            return self._said(Purge.REVIEW, "RETENTION_CONFLICT", said, kept)
        if kept.waiting:
            said = f"the term of {', '.join(kept.waiting)} has not begun, or the record does not say when it did"
            return self._said(Purge.REVIEW, "RETENTION_WAITING", said, kept)
        if kept.keep_until is not None and kept.keep_until >= now.astimezone(UTC).date():
            return self._said(Purge.KEEP, "RETENTION", f"must be kept until {kept.keep_until} ({rules})", kept)
        return None

    def _delete(self, moment: datetime, kept: Retention | None, now: datetime) -> Purged:
        reasons = [self._because("OLD", f"{self.terms.age_field} is {moment:%Y-%m-%d}, older than {self._older}")]
        if kept is not None and kept.erase_by is not None and kept.erase_by < now.astimezone(UTC).date():
            reasons.append(self._because("OVERDUE", f"it should have been gone by {kept.erase_by}"))
        return Purged(Purge.DELETE, tuple(reasons), kept)


def rule_of(terms: PurgeTerms, book: Book) -> PurgeRule:
    """The rule as the engine uses it."""
    further = {
        *terms.empty,
        *book.dates.values(),
        *terms.signals.values(),
        *(fields_of(terms.when) if terms.when else ()),
    }
    return PurgeRule(
        id=terms.id,
        type=terms.type,
        age_field=terms.age_field,
        older_than=terms.older_than,
        sources=terms.sources,
        where=dict(terms.where),
        empty=terms.empty,
        fields=tuple(sorted(further)),
        signals=dict(terms.signals),
        count=terms.max_records,
        percent=terms.max_percent,
        hard=terms.hard,
        children=terms.children == "archive",
        documents=terms.documents == "copy",
        origin=book.origin,
        book=book,
    )


def _stand_in(kind: str, signals: Mapping[str, str], made: datetime | None) -> Document:
    """A document with a record's facts, for what is asked of documents."""
    return Document(
        ref=DocumentRef("record", kind, "record"),
        title="",
        versions=(Version(id="record", number=1, name="", size=None, created=made),),
        parents=(Parent(type=kind, id="record", signals=signals),),
    )


def _text(value: Value) -> str:
    return value if isinstance(value, str) and _whole(value) else "" if value is None else str(value)


def _whole(value: Value) -> bool:
    """Whether text can be written in UTF-8; a CRM's half character can not, and is unknown."""
    return not isinstance(value, str) or not any("\ud800" <= char <= "\udfff" for char in value)


def _same(value: Value, allowed: Value) -> bool:
    return isinstance(value, bool) == isinstance(allowed, bool) and value == allowed


def _moment(value: Value) -> datetime | None:
    """A moment; of a day its end, so that nothing is taken for older than it is."""
    if not isinstance(value, str):
        return None
    try:
        if len(value) == _DAY:
            return datetime.combine(date.fromisoformat(value), time.max, UTC)
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
