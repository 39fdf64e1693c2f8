"""The report as JSON Lines, for programs: a header with everything but the documents, then a line per document."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from offloader.reports.model import Report, Row


def write(report: Report, path: Path, language: str) -> None:
    """Write the header, then the documents in the plan's order; `language` changes nothing.

    The header's `schema` is raised when a key changes its meaning or goes. Texts are as the CRM has them, in ASCII
    with escapes. Mappings with keys of several parts are lists of [key, …, value].
    """
    header = {field.name: _plain(getattr(report, field.name)) for field in fields(report) if field.name != "rows"}
    names = [field.name for field in fields(Row)]
    encode = json.JSONEncoder(default=_plain, separators=(",", ":")).encode
    with path.open("w", encoding="ascii", newline="\n") as file:
        file.write(encode({"report": header.pop("id"), **header}) + "\n")
        for row in report.rows():
            file.write(encode({name: getattr(row, name) for name in names}) + "\n")


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%dT%H:%M:%SZ}"
    if isinstance(value, date):
        return value.isoformat()
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return _mapping(value)
    if isinstance(value, (tuple, list)):
        return [_plain(one) for one in value]
    return value


def _mapping(value: Mapping[Any, Any]) -> Any:
    if any(isinstance(key, tuple) for key in value):
        return [[*key, _plain(one)] for key, one in value.items()]
    return {str(key): _plain(one) for key, one in value.items()}
