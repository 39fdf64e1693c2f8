"""All documents as CSV (RFC 4180), for programs and for people who import it.

It begins with a byte-order mark: without one Excel takes the file for Windows-1252 and spoils every name that is not
plain ASCII. Fields are separated by commas in every language, as the RFC says; a Dutch Excel wants semicolons when a
file is opened by a double click, and for that there is the spreadsheet.
"""

from __future__ import annotations

from pathlib import Path

from offloader.reports.columns import COLUMNS, Cell
from offloader.reports.lines import DECIDED_COLUMNS, Column, Lines
from offloader.reports.model import Report
from offloader.reports.shown import cell

MARK = "\N{BYTE ORDER MARK}"
END = "\r\n"


def write(report: Report, path: Path, language: str) -> None:
    """Write one line per document, in the plan's order; `language` changes nothing."""
    made = Lines((Column("", read, field, name in DECIDED_COLUMNS) for name, read in COLUMNS.items()), ",")
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(MARK + ",".join(COLUMNS) + END)
        for row in report.rows():
            file.write(made.line(row) + END)


def field(value: Cell) -> str:
    """A value as a field of a line."""
    if not isinstance(value, str):
        return "" if value is None else repr(value)
    if not value or value.isalnum():
        return value
    text = cell(value)
    if "," in text or '"' in text:
        return '"' + text.replace('"', '""') + '"'
    return text
