"""What a report shows of its documents one by one, taken from one pass over all of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice
from typing import Generic, TypeVar

from offloader.reports.codes import MODES
from offloader.reports.model import Report, Row

T = TypeVar("T")
#: more different rules than any rule book has: what a hostile policy cannot make grow
_MOST_RULES = 500
#: different chains of reasons that are counted before they are added up
_MOST_CHAINS = 10_000


@dataclass(slots=True)
class RuleUse:
    """A rule that was considered: its mode, place in the tables, one document's sentence, and how many documents."""

    id: str
    mode: str
    origin: str
    sentence: str
    documents: int = 0


@dataclass(slots=True)
class Picked(Generic[T]):
    """Rows by number that a report names, the rules used, and rows for the table: exceptions first, then the others."""

    rules: dict[str, RuleUse] = field(default_factory=dict)
    rows: dict[int, Row] = field(default_factory=dict)
    table: list[T] = field(default_factory=list)
    total: int = 0


def pick(
    report: Report, *, most: int, packed: Callable[[Row], T], each: Callable[[Row], None] | None = None
) -> Picked[T]:
    """Go once through a report's rows. The table gets at most `most` of them, each as `packed` makes it.

    `each` is called with every row, in order.
    """
    picked: Picked[T] = Picked()
    exceptions = set(report.exceptions)
    wanted = exceptions.union(report.sample)
    applied: Counter[tuple[tuple[str, str, str, str], ...]] = Counter()
    stuck: list[T] = []
    others: list[T] = []
    for row in report.rows():
        picked.total += 1
        if each is not None:
            each(row)
        if row.number in wanted:
            picked.rows[row.number] = row
        applied[row.rules] += 1
        if len(applied) >= _MOST_CHAINS:
            _count(picked.rules, applied)
        part = stuck if row.verdict in {"BLOCKED", "REVIEW"} or row.number in exceptions else others
        if len(part) < most:
            part.append(packed(row))
    _count(picked.rules, applied)
    picked.table = [*stuck, *islice(others, max(0, most - len(stuck)))]
    return picked


def _count(rules: dict[str, RuleUse], applied: Counter[tuple[tuple[str, str, str, str], ...]]) -> None:
    """Add so many documents to each rule of each chain of reasons; a rule's first reason says its mode."""
    for chain, documents in applied.items():
        for name, mode, origin, sentence in {step[0]: step for step in reversed(chain) if step[1] in MODES}.values():
            use = rules.get(name)
            if use is None:
                if len(rules) >= _MOST_RULES or not name:
                    continue
                use = rules[name] = RuleUse(name, mode, origin, sentence)
            use.documents += documents
    applied.clear()
