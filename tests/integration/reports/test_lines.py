"""Documents as lines: texts that are made once for many documents are what each document alone would have got."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import fields, replace
from datetime import date, datetime
from itertools import cycle
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import openpyxl
import pytest
import xlsxwriter

from offloader.reports import lines
from offloader.reports.columns import COLUMNS, spoken
from offloader.reports.facets import DECIDED
from offloader.reports.model import Mode, Row
from offloader.reports.shown import cell, line
from offloader.reports.words import Words
from offloader.reports.writing import write, write_all
from offloader.reports.xlsx import _DOCUMENTS
from tests.integration.reports.made import report, rows

HOSTILE = (
    "=1+1", "a,b", 'say "x"', "two\nlines", "</t></is></c>", "&amp;", " before", "after\t", "_x0041_", "\u202e\ud800",
    "50 %s %%", "\0", "ünï", "", "\ufffe", "x" * 33_000, "\N{GRINNING FACE}" * 20_000,
)  # fmt: skip


def varied() -> list[Row]:
    """Documents with every text hostile: of their own in one half, of the decision in the other."""
    found = list(rows(60, Mode.RUN))
    for place, text in zip(range(0, len(found), 2), cycle(HOSTILE), strict=False):
        own: dict[str, Any] = {
            "id": text,
            "name": text,
            "signals": (text, text),
            "parents": ((text, "1"),),
            "holds": (text,),
        }
        found[place] = replace(found[place], **own, owner=text, detail=text, checksum=text, stored=((text, text),))
        said: dict[str, Any] = {"reason": text, "rules": ((text, text, text, text),), "categories": (text, text)}
        found[place + 1] = replace(found[place + 1], **said, narrowing=text, bases=(text,), keep_until=date(2031, 1, 2))
    return found


@pytest.fixture(params=[lines._KEPT, 2], ids=["all kept", "few kept"])
def documents(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> list[Row]:
    """Such documents, while the texts of all decisions are kept, or of hardly any."""
    monkeypatch.setattr(lines, "_KEPT", request.param)
    return varied()


def written(documents: list[Row], format: str, folder: Path) -> Path:
    path = folder / f"r.{format}"
    write(report(60, Mode.RUN, rows=lambda: iter(documents)), format, path, language="en")
    return path


def test_csv_is_what_the_csv_module_writes(documents: list[Row], tmp_path: Path) -> None:
    """Every field is quoted as RFC 4180 asks, and no other."""
    expected = io.StringIO(newline="")
    writer = csv.writer(expected)
    writer.writerow(COLUMNS)
    for row in documents:
        values = [read(row) for read in COLUMNS.values()]
        writer.writerow([cell(value) if isinstance(value, str) else value for value in values])

    assert written(documents, "csv", tmp_path).read_bytes() == expected.getvalue().encode("utf-8-sig")


def test_json_lines_are_what_the_json_module_writes(documents: list[Row], tmp_path: Path) -> None:
    """Every field of a document is there, in order, in compact JSON."""

    def plain(value: date) -> str:
        return f"{value:%Y-%m-%dT%H:%M:%SZ}" if isinstance(value, datetime) else value.isoformat()

    expected = [
        json.dumps({each.name: getattr(row, each.name) for each in fields(Row)}, default=plain, separators=(",", ":"))
        for row in documents
    ]

    assert written(documents, "jsonl", tmp_path).read_text("ascii").splitlines()[1:] == expected


def test_cells_are_what_the_library_writes(documents: list[Row], tmp_path: Path) -> None:
    """A spreadsheet's documents are, byte for byte, as if each cell had been handed to the library."""
    readers = spoken(Words("en"))
    with xlsxwriter.Workbook(str(tmp_path / "library.xlsx"), {"constant_memory": True}) as book:
        sheet = book.add_worksheet()
        for place, row in enumerate(documents):
            for column, name in enumerate(_DOCUMENTS):
                value = readers[name](row)
                if isinstance(value, str) and value:
                    sheet.write_string(place + 1, column, line(value)[:32_000])
                elif isinstance(value, (int, float)):
                    sheet.write_number(place + 1, column, value)

    assert lines_of(written(documents, "xlsx", tmp_path), 2)[1:] == lines_of(tmp_path / "library.xlsx", 1)


def lines_of(path: Path, sheet: int) -> list[bytes]:
    with zipfile.ZipFile(path) as book:
        data = book.read(f"xl/worksheets/sheet{sheet}.xml")
    return data[data.index(b"<row") : data.rindex(b"</row>")].split(b"</row>")


def test_no_text_is_taken_for_markup(tmp_path: Path) -> None:
    """A name that looks like the spreadsheet's own markup is shown as it is, on every sheet."""
    name = '<r></is></c><c r="Z9"><f>1+1</f></c><c><is></r>'
    found = [replace(row, name=name, reason=name) for row in rows(40)]
    whole = report(40, organisation=name, rows=lambda: iter(found))
    write(whole, "xlsx", tmp_path / "r.xlsx", language="en")
    book = openpyxl.load_workbook(tmp_path / "r.xlsx")

    assert [one[6] for one in list(book["Documents"].values)[1:]] == [name] * 40
    assert name in [one[6] for one in book["Exceptions"].values]
    assert name in [one[1] for one in book["Summary"].values]


def test_columns_of_the_decision_read_nothing_else() -> None:
    """What is made once for a decision rests on fields of the decision alone, and on all that tell it apart."""
    decided = SimpleNamespace(**{name: getattr(next(rows(1)), name) for name in DECIDED})

    assert COLUMNS.keys() >= lines.DECIDED_COLUMNS
    for name in lines.DECIDED_COLUMNS:
        COLUMNS[name](decided)  # type: ignore[arg-type]


@pytest.mark.parametrize("formats", [("csv", "xlsx", "html", "jsonl"), ("xlsx",)])
def test_an_interrupted_report_leaves_nothing(formats: tuple[str, ...], tmp_path: Path) -> None:
    """Ctrl-C in the middle leaves no file: not one that looks whole, and no part of one."""

    def interrupted() -> Iterator[Row]:
        yield from rows(700)
        raise KeyboardInterrupt

    files = {each: tmp_path / f"r.{each}" for each in formats}
    with pytest.raises(KeyboardInterrupt):
        write_all(report(1200, rows=interrupted), files, language="")
    assert not list(tmp_path.iterdir())
