"""What the report of a plan of acts says, apart from how it looks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from offloader.reports.message import marked as _
from offloader.reports.model import Head


@dataclass(slots=True)
class Tally:
    """So many records or documents, what goes with them, and bytes."""

    count: int = 0
    along: int = 0
    bytes: int = 0

    def add(self, line: Line) -> None:
        self.count += 1
        self.along += len(line.along)
        self.bytes += line.bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One record or document of the plan: what is to become of it, why, and what became of it."""

    number: int
    act: str
    #: of the last reason, which settled it
    code: str
    source: str
    #: object type of a record, kind of a document
    kind: str
    id: str
    #: a document's title, or the beginning of its hash; a record's id
    name: str
    bytes: int
    rule: str
    #: (code, sentence), in the order in which they were found
    reasons: tuple[tuple[str, str], ...]
    #: "TYPE ID" of each record that goes with it
    along: tuple[str, ...] = ()
    #: "KIND ID: STORES" of each document that is copied first
    copied: tuple[str, ...] = ()
    #: stores where it is, and where it (or its archive) goes
    at: tuple[str, ...] = ()
    to: tuple[str, ...] = ()
    #: state in which it ended, and why; empty before the run
    outcome: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActsReport(Head):
    """The report of a plan of acts. `rows()` streams every line anew each time, in the plan's order."""

    kind: str
    #: act → count
    acts: Mapping[str, Tally]
    #: (rule, act) and (source/type, act) → count; (act, code) → count, and one sentence by the same key
    rules: Mapping[tuple[str, str], Tally]
    types: Mapping[tuple[str, str], Tally]
    codes: Mapping[tuple[str, str], Tally]
    examples: Mapping[tuple[str, str], str]
    #: store → count of what leaves it, and of what is written to it
    leaves: Mapping[str, int]
    goes: Mapping[str, int]
    #: state → count over what was to be carried out; (state, why) → count of what was not done
    outcomes: Mapping[str, int]
    unfinished: Mapping[tuple[str, str], int]
    #: limits that count for the plan, by name, and sentences about those that it is over
    caps: Mapping[str, float]
    over: tuple[str, ...]
    #: what a plan of purging knows of the CRM: its totals `types`, `wakes`, `bin_days`, `clears`, `copies`; else empty
    crm: Mapping[str, Any]
    rows: Callable[[], Iterator[Line]]

    WRITERS = "offloader.reports.acts"
    NOTHING = _("DRY RUN. Nothing was changed.")
    UNPRINTED = _("The table of all lines is not printed. All lines are in the spreadsheet and the CSV file.")

    @property
    def total(self) -> int:
        return sum(tally.count for tally in self.acts.values())
