"""Which clauses select a document, and what they say together.

A clause's lines are compiled once into small functions that answer true, false or "nobody knows". Clauses that can
never fit a source, a kind and the types of the parents are left out once per such combination.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase

from offloader.model import Document, Reason, Verdict
from offloader_policies.language import facts
from offloader_policies.language.conditions import Condition
from offloader_policies.language.model import Clause, Select
from offloader_policies.language.spans import Span, parse_period
from offloader_policies.selection import Selection

#: the document, now, and the moments that lie the policy's periods before now
Test = Callable[[Document, datetime, Sequence[datetime]], bool | None]
_KEPT_COMBINATIONS = 4096


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the clauses say together. With `verdict` None the document may be moved as `selection` says."""

    verdict: Verdict | None
    reasons: tuple[Reason, ...]
    selection: Selection
    #: the clauses that selected it, by number
    clauses: tuple[int, ...]


class Selector:
    """Decides which clauses select a document. Holds nothing but answers that never change."""

    def __init__(self, clauses: Sequence[Clause], origins: Sequence[str], conditions: Mapping[str, Condition]) -> None:
        self._clauses = clauses
        self._origins = origins
        self._spans: list[Span] = []
        self._tests = [self._compile(clause.select, conditions.get(clause.id)) for clause in clauses]
        self._fitting: dict[tuple[str, str, frozenset[str]], tuple[tuple[int, tuple[Test, ...]], ...]] = {}
        self._outcomes: dict[tuple[tuple[int, ...], tuple[int, ...]], Outcome] = {}
        self._moments: tuple[datetime, tuple[datetime, ...]] | None = None

    def select(self, document: Document, now: datetime) -> Outcome:
        """Say what the clauses make of a document that has a version. Never raises for bad data."""
        moments = self._before(now)
        sure: list[int] = []
        unsure: list[int] = []
        for number, tests in self._candidates(document):
            answer: bool | None = True
            for test in tests:
                found = test(document, now, moments)
                if found is False:
                    answer = False
                    break
                if found is None:
                    answer = None
            if answer:
                sure.append(number)
            elif answer is None:
                unsure.append(number)
        key = (tuple(sure), tuple(unsure))
        known = self._outcomes.get(key)
        if known is None:
            if len(self._outcomes) >= _KEPT_COMBINATIONS:
                self._outcomes.clear()
            known = self._outcomes[key] = self._together(*key)
        return known

    def _before(self, now: datetime) -> tuple[datetime, ...]:
        held = self._moments
        if held is None or held[0] != now:
            held = self._moments = (now, tuple(span.before(now) for span in self._spans))
        return held[1]

    def _candidates(self, document: Document) -> tuple[tuple[int, tuple[Test, ...]], ...]:
        ref = document.ref
        types = frozenset([parent.type for parent in document.parents])
        key = (ref.source, ref.kind, types)
        found = self._fitting.get(key)
        if found is None:
            if len(self._fitting) >= _KEPT_COMBINATIONS:
                self._fitting.clear()
            found = self._fitting[key] = tuple(
                (number, self._tests[number])
                for number, clause in enumerate(self._clauses)
                if _fits(clause.select, ref.source, ref.kind, types)
            )
        return found

    def _compile(self, select: Select, condition: Condition | None) -> tuple[Test, ...]:
        """A clause's tests, the cheap ones first."""
        tests: list[Test] = []
        moment = facts.modified if select.age_of == "modified" else facts.created
        if select.min_age is not None:
            tests.append(_age(moment, self._span(select.min_age), older=True))
        if select.max_age is not None:
            tests.append(_age(moment, self._span(select.max_age), older=False))
        if select.min_size is not None:
            tests.append(_at_least(select.min_size))
        if select.max_size is not None:
            tests.append(_at_most(select.max_size))
        if select.extensions:
            tests.append(_extension(frozenset(select.extensions)))
        if select.mime:
            tests.append(_mime(select.mime))
        if condition is not None:
            tests.append(_condition(condition))
        return tuple(tests)

    def _span(self, period: str) -> int:
        self._spans.append(parse_period(period))
        return len(self._spans) - 1

    def _together(self, sure: tuple[int, ...], unsure: tuple[int, ...]) -> Outcome:
        """Review beats keep beats move; what could still change the answer must be known."""
        said = {then: [number for number in sure if self._clauses[number].then == then] for then in _THEN}
        ids = tuple(self._clauses[number].id for number in sure)
        if said["review"]:
            return self._settled(Verdict.REVIEW, "REVIEW_BY_CLAUSE", said["review"], sure)
        movable = bool(said["move"]) or any(self._clauses[number].then == "move" for number in unsure)
        could_change = movable and not said["keep"]
        doubtful = [number for number in unsure if could_change or self._clauses[number].then == "review"]
        if doubtful:
            return self._unknown(sure, doubtful)
        if said["keep"]:
            return self._settled(Verdict.KEEP, "KEPT_BY_CLAUSE", said["keep"], sure)
        if not said["move"]:
            reason = Reason("NOT_SELECTED", "no clause of the policy selects it; what is not selected stays")
            return Outcome(Verdict.KEEP, (reason,), Selection(clauses=ids), sure)
        return self._moved(ids, sure)

    def _unknown(self, sure: tuple[int, ...], doubtful: Sequence[int]) -> Outcome:
        ids = tuple(self._clauses[number].id for number in sure)
        reasons = tuple(
            self._reason("CONDITION_UNKNOWN", number, "the CRM does not say what this clause asks for")
            for number in doubtful
        )
        return Outcome(Verdict.REVIEW, reasons, Selection(clauses=ids), sure)

    def _settled(self, verdict: Verdict, code: str, by: Sequence[int], sure: tuple[int, ...]) -> Outcome:
        reasons = tuple(self._reason(code, number, self._clauses[number].reason or "") for number in by)
        ids = tuple(self._clauses[number].id for number in sure)
        return Outcome(verdict, reasons, Selection(clauses=ids), sure)

    def _moved(self, ids: tuple[str, ...], sure: tuple[int, ...]) -> Outcome:
        chosen = [self._clauses[number] for number in sure]
        prefer = {clause.prefer for clause in chosen if clause.prefer}
        classes = {clause.cost_class for clause in chosen if clause.cost_class}
        if len(prefer) > 1 or len(classes) > 1:
            what = "stores to prefer" if len(prefer) > 1 else "price classes"
            reasons = tuple(
                self._reason("CLAUSES_CONTRADICT", number, f"its clauses name different {what}")
                for number in sure
                if self._clauses[number].prefer or self._clauses[number].cost_class
            )
            return Outcome(Verdict.REVIEW, reasons, Selection(clauses=ids), sure)
        selection = Selection(
            clauses=ids,
            categories=frozenset(name for clause in chosen for name in clause.categories),
            prefer=next(iter(prefer), ()),
            cost_class=next(iter(classes), ""),
            copies=max(clause.copies for clause in chosen),
        )
        reasons = tuple(self._reason("CLAUSE", number, self._words(number)) for number in sure)
        return Outcome(None, reasons, selection, sure)

    def _words(self, number: int) -> str:
        clause = self._clauses[number]
        named = f"; categories {', '.join(clause.categories)}" if clause.categories else ""
        return f"{clause.then}{f': {clause.reason}' if clause.reason else ''}{named}"

    def _reason(self, code: str, number: int, text: str) -> Reason:
        return Reason(code, text, self._clauses[number].id, self._origins[number])


_THEN = ("move", "keep", "review", "classify")


def _fits(select: Select, source: str, kind: str, types: frozenset[str]) -> bool:
    return (
        (not select.sources or source in select.sources)
        and (not select.kinds or kind in select.kinds)
        and (not select.parents or not types.isdisjoint(select.parents))
    )


def _age(moment: Callable[[Document], datetime | None], place: int, *, older: bool) -> Test:
    def test(document: Document, now: datetime, moments: Sequence[datetime]) -> bool | None:
        found = moment(document)
        return None if found is None else (found <= moments[place]) is older

    return test


def _at_least(least: int) -> Test:
    def test(document: Document, now: datetime, moments: Sequence[datetime]) -> bool | None:
        if document.size >= least:
            return True
        return False if facts.size(document) is not None else None

    return test


def _at_most(most: int) -> Test:
    def test(document: Document, now: datetime, moments: Sequence[datetime]) -> bool | None:
        if document.size > most:
            return False
        return True if facts.size(document) is not None else None

    return test


def _extension(wanted: frozenset[str]) -> Test:
    endings = tuple(f".{word}" for word in wanted)

    def test(document: Document, now: datetime, moments: Sequence[datetime]) -> bool | None:
        return document.current.name.lower().endswith(endings)

    return test


def _mime(wanted: Sequence[str]) -> Test:
    exact = frozenset(word for word in wanted if not word.endswith("*"))
    families = tuple(word for word in wanted if word.endswith("*"))

    def test(document: Document, now: datetime, moments: Sequence[datetime]) -> bool | None:
        found = facts.mime(document)
        return None if found is None else found in exact or any(fnmatchcase(found, family) for family in families)

    return test


def _condition(condition: Condition) -> Test:
    names = tuple(sorted(condition.uses))
    holds = condition.holds

    def test(document: Document, now: datetime, moments: Sequence[datetime]) -> bool | None:
        return holds(facts.values(document, now, names))

    return test
