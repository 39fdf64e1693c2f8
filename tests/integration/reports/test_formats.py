"""Reports as files: whole or not at all, true to their rows, and harmless whatever the CRM says."""

from __future__ import annotations

import csv
import dataclasses
import json
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from pypdf import PdfReader

from offloader.errors import ConfigError
from offloader.reports import xlsx
from offloader.reports.columns import COLUMNS
from offloader.reports.message import Message
from offloader.reports.model import Mode, Report, Row
from offloader.reports.shown import cell, line, shown
from offloader.reports.table import embedded
from offloader.reports.words import Words
from offloader.reports.writing import FORMATS, write, write_all
from tests.integration.reports.made import report, rows

UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
NAME = '=1+1\u202e</script><b onclick="x()">&\x07\ud800\t\u2066'


def spoiled(value: Any) -> Any:
    """The same value with every text in it hostile."""
    if isinstance(value, Message):
        return Message(value.template, **spoiled(value.values))
    if isinstance(value, str) and type(value) is str:
        return NAME
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{field.name: spoiled(getattr(value, field.name)) for field in fields(value)})
    if isinstance(value, Mapping):
        return {key: spoiled(part) for key, part in value.items()}
    return tuple(map(spoiled, value)) if isinstance(value, tuple) else value


@pytest.fixture(scope="module")
def hostile() -> Report:
    """A report of a few documents in which every text is hostile, but for verdicts and keys."""
    whole = report(30, Mode.RUN)
    spoilt = [replace(spoiled(row), verdict=row.verdict) for row in rows(30, Mode.RUN)]
    return replace(spoiled(replace(whole, rows=None)), rows=lambda: iter(spoilt))  # type: ignore[arg-type]


class Elements(HTMLParser):
    """What elements a page has."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_hostile_texts_add_nothing_to_the_page(hostile: Report, tmp_path: Path) -> None:
    """Whatever texts say, the page has two scripts, no handler, no address elsewhere, and nothing unseen."""
    write(hostile, "html", tmp_path / "r.html", language="")
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    elements = Elements(text).found
    names = {name for _, attributes in elements for name in attributes}

    assert UNSEEN.search(text) is None
    assert len([tag for tag, _ in elements if tag == "script"]) == 2
    assert not any(name.startswith("on") or name in {"src", "srcset", "action"} for name in names)
    assert all((attributes.get("href") or "#").startswith("#") for _, attributes in elements)
    assert "url(" not in text
    assert "@import" not in text


@pytest.mark.parametrize("text", ["</script x", "<!--<script", "a&lt;/script&gt;", "]]>"])
def test_data_cannot_end_its_element(text: str) -> None:
    """The table's data hold no character that could end the element that they stand in, and read back as they were."""
    assert set("<>&").isdisjoint(embedded({text: [text]}))
    assert json.loads(embedded({text: [text]})) == {text: [text]}


def test_an_id_stands_once(tmp_path: Path) -> None:
    """No id is used twice on the page, though it holds two languages."""
    write(report(60), "html", tmp_path / "r.html", language="")
    ids = [
        attributes["id"]
        for _, attributes in Elements((tmp_path / "r.html").read_text("utf-8")).found
        if "id" in attributes
    ]

    assert len(ids) == len(set(ids))


def test_csv_has_every_document(tmp_path: Path) -> None:
    """Each line of the CSV file is a document of the plan with the values of its row; Excel sees that it is UTF-8."""
    write(report(50), "csv", tmp_path / "r.csv", language="nl")
    raw = (tmp_path / "r.csv").read_bytes()
    lines = list(csv.DictReader(raw.decode("utf-8-sig").splitlines()))

    assert raw.startswith(b"\xef\xbb\xbf")
    assert raw.count(b"\r\n") == 51
    assert [(one["number"], one["id"], one["bytes"], one["store_countries"]) for one in lines] == [
        (str(row.number), row.id, str(row.bytes), " ".join(row.store_countries)) for row in rows(50)
    ]


def test_no_cell_is_a_formula(hostile: Report, tmp_path: Path) -> None:
    """No text of CSV or spreadsheet is taken for a formula, and each document stays on one line."""
    write(hostile, "csv", tmp_path / "r.csv", language="")
    write(hostile, "xlsx", tmp_path / "r.xlsx", language="")
    with (tmp_path / "r.csv").open(encoding="utf-8-sig", newline="") as file:
        lines = list(csv.reader(file))
    book = openpyxl.load_workbook(tmp_path / "r.xlsx")
    cells = [one for sheet in book for line in sheet.iter_rows() for one in line if one.value is not None]

    assert len(lines) == 31
    assert not any(value.startswith(("=", "+", "-", "@")) for one in lines for value in one)
    assert {one.data_type for one in cells} <= {"s", "n"}
    assert any(str(one.value).startswith("=1+1") for one in cells)
    assert not any(UNSEEN.search(str(one.value)) for one in cells)


def test_json_lines_keep_what_the_crm_says(hostile: Report, tmp_path: Path) -> None:
    """The header has everything but the documents; each document's texts are as the CRM has them."""
    write(hostile, "jsonl", tmp_path / "r.jsonl", language="")
    header, *documents = map(json.loads, (tmp_path / "r.jsonl").read_bytes().splitlines())

    assert header["schema"] == 1
    assert set(header) == {field.name for field in fields(Report)} - {"rows", "id"} | {"report"}
    assert [set(document) for document in documents] == [{field.name for field in fields(Row)}] * 30
    assert documents[0]["name"] == NAME
    assert sum(count["documents"] for *_, count in header["codes"]) == 30


def test_the_spreadsheet_has_its_sheets(tmp_path: Path) -> None:
    """Summary, documents, exceptions, matrix, stores, sample and record of processing, in the reader's language."""
    whole = report(80)
    write(whole, "xlsx", tmp_path / "r.xlsx", language="nl")
    book = openpyxl.load_workbook(tmp_path / "r.xlsx")
    documents = list(book["Documenten"].iter_rows(values_only=True))

    names = ["Samenvatting", "Documenten", "Uitzonderingen", "Steekproef", "Matrix", "Opslag", "Artikel 30"]
    assert book.sheetnames == names
    assert [one[0] for one in documents[1:]] == [row.number for row in rows(80)]
    assert [one[0] for one in list(book["Uitzonderingen"].values)[1:]] == list(whole.exceptions)
    assert ["Duitsland", "Nederland", "ja"] in [list(one[:3]) for one in book["Matrix"].values]
    summary = {one[0]: one for one in book["Samenvatting"].values}
    assert summary["SHA-256 van het plan"][1] == whole.plan_sha256
    assert summary["salesforce (salesforce)"][1:4] == ("00D5g000004XyzAEAS", "production", "kade.my.salesforce.com")
    assert summary["CRM vol zonder dit plan"][2] == "3 april 2027"
    reason = next(iter(documents)).index("Reden")
    assert documents[1][reason] == Words("nl").told(next(rows(1)).reason, next(rows(1)).code) != next(rows(1)).reason
    assert len(next(iter(book["Uitzonderingen"].values))) == len(COLUMNS)
    assert [one[5] for one in documents[1:]] == [row.id for row in rows(80)]


def test_a_full_sheet_is_followed_by_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More documents than a sheet holds go on to further sheets, none lost and none twice."""
    monkeypatch.setattr(xlsx, "MOST_LINES", 20)
    write(report(45), "xlsx", tmp_path / "r.xlsx", language="")
    book = openpyxl.load_workbook(tmp_path / "r.xlsx")
    sheets = [name for name in book.sheetnames if name.startswith("Documents")]

    assert sheets == ["Documents", "Documents 2", "Documents 3"]
    assert [len(list(book[name].values)) for name in sheets] == [21, 21, 6]
    assert [one[0] for name in sheets for one in list(book[name].values)[1:]] == list(range(1, 46))


def test_a_dutch_report_has_no_english_sentence(tmp_path: Path) -> None:
    """Every sentence of a decision and every note is in Dutch; what a store has said stays, marked as English."""
    write(report(120), "html", tmp_path / "r.html", language="nl")
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    dutch = re.search(r'<article id="nl-report".*?</article>', text, re.DOTALL)
    assert dutch is not None
    english = set(re.findall(r'<bdi lang="en" class="data">([^<]*)</bdi>', dutch[0]))
    sentences = {
        one for one in english if " " in one and not re.search(r"[A-Z]{3}_|: (country|owner) |MOVE|REVIEW", one)
    }

    assert sentences == {
        "bucket in westeurope, no replication, no failover pair",
        "bucket in eu-central-1, no replication, no failover pair",
        "the facility manager says that the machine stands in Ashburn",
        *whole_evidence(),
    }


def whole_evidence() -> set[str]:
    return {part for one in report(1).targets for pair in one.evidence.items() for part in pair if " " in part}


def test_a_report_of_nothing_asks_for_nothing(tmp_path: Path) -> None:
    """A plan without documents has nothing to approve and nothing to sign, and its report says so."""
    write(report(0), "html", tmp_path / "r.html", language="en")
    english = (tmp_path / "r.html").read_text("utf-8").partition("</article>")[0]

    assert "There is nothing to approve." in english
    assert "There is nothing to sign." in english
    assert "Not approved." not in english


def test_the_pdf_can_be_signed(tmp_path: Path) -> None:
    """The PDF says on every page that nothing was moved, has the SHA-256 in full, and is tagged for screen readers."""
    whole = report(12)
    write(whole, "pdf", tmp_path / "r.pdf", language="nl")
    reader = PdfReader(tmp_path / "r.pdf")
    pages = [page.extract_text() for page in reader.pages]

    assert all("PROEFDRAAI. Er is niets verplaatst." in text for text in pages)
    assert "".join(pages).count(whole.plan_sha256) > len(pages)
    assert "Goedgekeurd door" in pages[-1]
    assert reader.trailer["/Root"]["/Lang"] == "nl"  # type: ignore[index]
    assert "/StructTreeRoot" in reader.trailer["/Root"]  # type: ignore[operator]


def test_a_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without WeasyPrint a PDF is refused with the command that installs it."""
    monkeypatch.setitem(sys.modules, "weasyprint", None)
    monkeypatch.delitem(sys.modules, "offloader.reports.pdf", raising=False)

    with pytest.raises(ConfigError, match=re.escape("pip install 'offloader[pdf]'")):
        write(report(1), "pdf", tmp_path / "r.pdf", language="")


@pytest.mark.parametrize("format", FORMATS)
def test_a_report_is_whole_or_not_there(format: str, tmp_path: Path) -> None:
    """When writing fails the report before it stays as it was, and nothing else is left."""
    path = tmp_path / f"r.{format}"
    path.write_bytes(b"before")

    def broken() -> Iterator[Row]:
        yield from rows(3)
        raise ValueError("the ledger went away")

    with pytest.raises(ValueError, match="went away"):
        write(report(5, rows=broken), format, path, language="")
    assert {one.name: one.read_bytes() for one in tmp_path.iterdir()} == {path.name: b"before"}


def test_all_formats_come_from_one_pass(tmp_path: Path) -> None:
    """Several formats at once are, byte for byte, what each one is alone, and the documents are read once."""
    passes = []

    def counted() -> Iterator[Row]:
        passes.append(1)
        return rows(1200)

    files = {each: tmp_path / f"r.{each}" for each in ("html", "csv", "jsonl")}
    write_all(report(1200, rows=counted), files, language="nl")

    assert len(passes) == 1
    for each, path in files.items():
        alone = tmp_path / f"alone.{each}"
        write(report(1200), each, alone, language="nl")
        assert path.read_bytes() == alone.read_bytes()


def test_one_format_that_fails_holds_up_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that cannot be written is an error; the others are there all the same."""
    monkeypatch.setitem(sys.modules, "weasyprint", None)
    monkeypatch.delitem(sys.modules, "offloader.reports.pdf", raising=False)
    files = {each: tmp_path / f"r.{each}" for each in ("pdf", "csv")}

    with pytest.raises(ConfigError, match="pdf"):
        write_all(report(3000), files, language="")
    assert [one.name for one in tmp_path.iterdir()] == ["r.csv"]


def test_documents_that_cannot_be_read_end_every_format(tmp_path: Path) -> None:
    """When the ledger goes away in the middle, no file is left, and the reason is raised."""

    def broken() -> Iterator[Row]:
        yield from rows(700)
        raise ValueError("the ledger went away")

    files = {each: tmp_path / f"r.{each}" for each in ("html", "xlsx", "csv")}
    with pytest.raises(ValueError, match="went away"):
        write_all(report(1200, rows=broken), files, language="")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("format", ["html", "xlsx", "csv", "jsonl"])
def test_no_document_is_a_report_too(format: str, tmp_path: Path) -> None:
    """A report of no document can be written in every format."""
    path = tmp_path / f"r.{format}"
    write(report(0, policies=(), targets=(), sources=(), sign_offs=()), format, path, language="nl")

    assert path.stat().st_size > 0


@pytest.mark.parametrize(("format", "language"), [("docx", "en"), ("html", "xx")])
def test_what_does_not_exist_is_refused(format: str, language: str, tmp_path: Path) -> None:
    """An unknown format or language is named together with those that there are."""
    with pytest.raises(ConfigError, match=r"there are .*(pdf|nl)"):
        write(report(1), format, tmp_path / "r", language=language)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    """A report that cannot be written says where."""
    with pytest.raises(ConfigError, match=r"cannot be written to .*gone"):
        write(report(1), "csv", tmp_path / "gone" / "r.csv", language="")


def test_a_withdrawn_approval_and_a_store_in_two_countries_are_said(tmp_path: Path) -> None:
    """The page tells an approval that no longer stands, and claims no number of border crossings it cannot know."""
    whole = report(40)
    two = replace(whole.targets[0], countries=("NL", "BE"))
    matrix = {**whole.matrix, ("DE", "BE"): whole.targets[0].chosen}
    late = replace(whole.sign_offs[0], stands=False, valid_until=whole.made_at - timedelta(days=1))
    write(
        replace(whole, targets=(two, *whole.targets[1:]), matrix=matrix, sign_offs=(late,)),
        "html",
        tmp_path / "r",
        language="en",
    )
    text = (tmp_path / "r").read_text("utf-8")

    assert "<td>no</td>" in text
    assert "A document with places in several countries counts in each of them." in text
    assert "cross a border" not in text.partition('id="en-approvals"')[0]


@pytest.mark.parametrize(
    ("text", "on_a_page", "in_a_line", "in_a_cell"),
    [
        ("plain é 🧾 Ж", "plain é 🧾 Ж", "plain é 🧾 Ж", "plain é 🧾 Ж"),
        ("a\u202eb\u2066", "a⟦U+202E⟧b⟦U+2066⟧", "a⟦U+202E⟧b⟦U+2066⟧", "a⟦U+202E⟧b⟦U+2066⟧"),
        ("a\tb\r\n", "a\tb\r\n", "a⟦U+0009⟧b⟦U+000D⟧⟦U+000A⟧", "a⟦U+0009⟧b⟦U+000D⟧⟦U+000A⟧"),
        ("=1", "=1", "=1", "'=1"),
        ("-5", "-5", "-5", "'-5"),
        ("＝1", "＝1", "＝1", "'＝1"),
        ("\t=1", "\t=1", "⟦U+0009⟧=1", "'⟦U+0009⟧=1"),
        ("\ud83d\ufeff\u200b", "⟦U+D83D⟧⟦U+FEFF⟧⟦U+200B⟧", "⟦U+D83D⟧⟦U+FEFF⟧⟦U+200B⟧", "⟦U+D83D⟧⟦U+FEFF⟧⟦U+200B⟧"),
    ],
)  # fmt: skip
def test_unseen_characters_are_spelled_out(text: str, on_a_page: str, in_a_line: str, in_a_cell: str) -> None:
    """What cannot be seen, or turns the direction of writing, is shown by its number; formulas get an apostrophe."""
    assert (shown(text), line(text), cell(text)) == (on_a_page, in_a_line, in_a_cell)
