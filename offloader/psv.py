"""Pipe-separated tables: a header row, no quoting, lists separated by a space.

Every error names file, line and column.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import NoReturn

from offloader.errors import ConfigError

_PARTIAL_DATE = re.compile(r"(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?")


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table. Every reader raises ConfigError naming the file, the line and the column."""

    file: str
    line: int
    cells: Mapping[str, str]

    @property
    def origin(self) -> str:
        return f"{self.file}:{self.line}"

    def fail(self, column: str, message: str) -> NoReturn:
        raise ConfigError(f"{self.file} line {self.line}, column {column}: {message}")

    def text(self, column: str) -> str:
        """Return a cell that may be empty."""
        return self.cells[column]

    def required(self, column: str) -> str:
        return self.cells[column] or self.fail(column, "must not be empty")

    def words(self, column: str) -> tuple[str, ...]:
        return tuple(self.cells[column].split())

    def one_of(self, column: str, known: Iterable[str]) -> str:
        value = self.cells[column]
        if value not in set(known):
            self.fail(column, f"{value!r} is none of {', '.join(sorted(known))}")
        return value

    def whole(self, column: str) -> int:
        value = self.cells[column]
        return int(value) if value.isascii() and value.isdigit() else self.fail(column, f"{value!r} is no whole number")

    def amount(self, column: str) -> float:
        value = self.cells[column]
        if not re.fullmatch(r"\d+(\.\d+)?", value):
            self.fail(column, f"{value!r} is no amount")
        return float(value)

    def day(self, column: str) -> date | None:
        """Return a full date, None for an empty cell."""
        value = self.cells[column]
        if not value:
            return None
        try:
            return date.fromisoformat(value)
        except ValueError:
            self.fail(column, f"{value!r} is no date (YYYY-MM-DD)")

    def last_day(self, column: str) -> date:
        """Return the last day of a date that may lack its day, or its month and day."""
        value = self.cells[column]
        match = _PARTIAL_DATE.fullmatch(value)
        if not match:
            self.fail(column, f"{value!r} is no date (YYYY, YYYY-MM or YYYY-MM-DD)")
        year, month, day = (int(part) if part else None for part in match.groups())
        assert year is not None
        try:
            if day is not None:
                return date(year, month or 12, day)
            first = date(year, month or 12, 1)
        except ValueError:
            self.fail(column, f"{value!r} is no date")
        return (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)


def rows(file: str, text: str, columns: Iterable[str]) -> Iterator[Row]:
    """Yield a table's rows. Raises ConfigError for a missing column, or a row with too few or too many cells."""
    lines = text.splitlines()
    header = lines[0].split("|") if lines else []
    missing = [column for column in columns if column not in header]
    if missing:
        raise ConfigError(f"{file} line 1, column {missing[0]}: the column is missing")
    for number, line in enumerate(lines[1:], 2):
        cells = line.split("|")
        if len(cells) != len(header):
            column = header[min(len(cells), len(header)) - 1]
            raise ConfigError(f"{file} line {number}, column {column}: {len(cells)} cells, {len(header)} are expected")
        yield Row(file, number, dict(zip(header, (cell.strip() for cell in cells), strict=True)))
