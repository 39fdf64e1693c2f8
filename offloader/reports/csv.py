"""All documents as CSV (RFC 4180), for programs and for people who import it.

It begins with a byte-order mark: without one Excel takes the file for Windows-1252 and spoils every name that is not
plain ASCII. Fields are separated by commas in every language, as the RFC says; a Dutch Excel wants semicolons when a
file is opened by a double click, and for that there is the spreadsheet.
"""

from __future__ import annotations

import csv
from pathlib import Path

from offloader.reports.columns import COLUMNS
from offloader.reports.model import Report
from offloader.reports.shown import cell


def write(report: Report, path: Path, language: str) -> None:
    """Write one line per document, in the plan's order; `language` changes nothing."""
    readers = tuple(COLUMNS.values())
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for row in report.rows():
            values = [read(row) for read in readers]
            writer.writerow([cell(value) if isinstance(value, str) else value for value in values])
