"""Documents as lines of a file: what a decision says is made into text once for all documents that share it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import Any, Final, NamedTuple

from offloader.reports.facets import DECIDED
from offloader.reports.model import Row

#: columns that read nothing but those fields
DECIDED_COLUMNS: Final = frozenset(DECIDED) - {"countries"} | {"permitted_countries"}
#: different decisions whose texts are kept
_KEPT: Final = 4096
_decision: Final[Callable[[Row], Any]] = attrgetter(*DECIDED)


class Column(NamedTuple):
    """A column of a line: what stands before its text, its value of a row, and that value's text.

    `decided`: it reads nothing but the fields in `DECIDED`.
    """

    before: str
    read: Callable[[Row], Any]
    text: Callable[[Any], str]
    decided: bool


class Lines:
    """Makes lines of one format, each from its row alone. `joint` stands between two columns."""

    def __init__(self, columns: Iterable[Column], joint: str) -> None:
        self._columns = tuple(columns)
        self._joint = joint
        self._own = [(column.read, column.text) for column in self._columns if not column.decided]
        self._templates: dict[Any, list[str]] = {}

    def line(self, row: Row) -> str:
        decision = _decision(row)
        template = self._templates.get(decision)
        if template is None:
            template = self._template(row)
            if len(self._templates) >= _KEPT:
                self._templates.clear()
            self._templates[decision] = template
        parts = template.copy()
        parts[1::2] = [text(read(row)) for read, text in self._own]
        return "".join(parts)

    def _template(self, row: Row) -> list[str]:
        """What stands before, between and after the document's own texts; in their places nothing."""
        parts = [""]
        for place, column in enumerate(self._columns):
            parts[-1] += (self._joint if place else "") + column.before
            if column.decided:
                parts[-1] += column.text(column.read(row))
            else:
                parts += ["", ""]
        return parts
