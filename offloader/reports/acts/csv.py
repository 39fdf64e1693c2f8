"""All lines of a plan of acts as CSV (RFC 4180), as reports of moves have it."""

from __future__ import annotations

from pathlib import Path

from offloader.reports.acts.columns import COLUMNS
from offloader.reports.acts.model import ActsReport
from offloader.reports.csv import END, MARK, field


def write(report: ActsReport, path: Path, language: str) -> None:
    """Write one line per record or document, in the plan's order; `language` changes nothing."""
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(MARK + ",".join(COLUMNS) + END)
        for line in report.rows():
            file.write(",".join(field(read(line)) for read in COLUMNS.values()) + END)
