"""The report of a plan of acts as JSON Lines: a header with everything but the lines, then a line per act."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

from offloader.reports.acts.model import ActsReport
from offloader.reports.jsonl import encode, plain


def write(report: ActsReport, path: Path, language: str) -> None:
    """Write the header, then the plan's lines in order; `language` changes nothing."""
    header = {field.name: plain(getattr(report, field.name)) for field in fields(report) if field.name != "rows"}
    with path.open("w", encoding="ascii", newline="\n") as file:
        file.write(encode({"report": header.pop("id"), **header}) + "\n")
        for line in report.rows():
            file.write(encode(plain(line)) + "\n")
