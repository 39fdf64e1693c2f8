"""The report as JSON Lines, for programs: a header with everything but the documents, then a line per document."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import Field, fields, is_dataclass
from datetime import date, datetime
from operator import attrgetter
from pathlib import Path
from typing import Any, Final

from offloader.reports.columns import moment
from offloader.reports.facets import DECIDED
from offloader.reports.lines import Column, Lines
from offloader.reports.model import Report, Row

_text = json.encoder.encode_basestring_ascii
_BY_TYPE: Final[Mapping[str, Callable[[Any], str]]] = {"str": _text, "int": repr}
#: a value as JSON on one line
encode = json.JSONEncoder(separators=(",", ":")).encode


def write(report: Report, path: Path, language: str) -> None:
    """Write the header, then the documents in the plan's order; `language` changes nothing.

    The header's `schema` is raised when a key changes its meaning or goes. Texts are as the CRM has them, in ASCII
    with escapes. Mappings with keys of several parts are lists of [key, …, value].
    """
    header = {field.name: plain(getattr(report, field.name)) for field in fields(report) if field.name != "rows"}
    made = Lines(map(_member, fields(Row)), ",")
    with path.open("w", encoding="ascii", newline="\n") as file:
        file.write(encode({"report": header.pop("id"), **header}) + "\n")
        for row in report.rows():
            file.write(f"{{{made.line(row)}}}\n")


def _member(field: Field[Any]) -> Column:
    """A field of a row. Its annotation, which is a text here, tells what needs no looking at each value."""
    text = _BY_TYPE.get(str(field.type), _json)
    return Column(f'"{field.name}":', attrgetter(field.name), text, field.name in DECIDED)


def _json(value: Any) -> str:
    """A value of a row as JSON. What most values are is written by hand: the encoder takes several times as long."""
    if isinstance(value, str):
        return _text(value)
    if value is None:
        return "null"
    if isinstance(value, tuple):
        return f"[{','.join([_json(one) for one in value])}]" if value else "[]"
    if isinstance(value, datetime):
        return f'"{moment(value)}"'
    return repr(value) if type(value) in (int, float) else encode(plain(value))


def plain(value: Any) -> Any:
    """A value made of what JSON has; a mapping with keys of several parts becomes a list of [key, …, value]."""
    if isinstance(value, date):
        return moment(value)
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return _mapping(value)
    if isinstance(value, (tuple, list)):
        return [plain(one) for one in value]
    return value


def _mapping(value: Mapping[Any, Any]) -> Any:
    if any(isinstance(key, tuple) for key in value):
        return [[*key, plain(one)] for key, one in value.items()]
    return {str(key): plain(one) for key, one in value.items()}
