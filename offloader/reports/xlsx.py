"""The report as a spreadsheet: a summary, all documents, exceptions, matrix, stores, sample, record of processing."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from string import ascii_uppercase
from tempfile import TemporaryDirectory
from typing import Any, Final

import xlsxwriter
from xlsxwriter.exceptions import FileCreateError
from xlsxwriter.worksheet import Worksheet

from offloader.reports import codes
from offloader.reports.browser import TITLES as OF_PAGE
from offloader.reports.columns import COLUMNS, Cell, spoken
from offloader.reports.lines import DECIDED_COLUMNS, Column, Lines
from offloader.reports.message import marked as _
from offloader.reports.model import Forecast, Head, Money, Report, Row
from offloader.reports.picked import Picked, pick
from offloader.reports.shown import line
from offloader.reports.words import Words

#: lines of documents on one sheet, below its heading: a sheet has 1,048,576
MOST_LINES: Final = 1_048_575
_MOST_CHARACTERS: Final = 32_000
_MOST_UNITS: Final = 32_767
#: columns of the sheet of all documents: writing a cell takes longer than making it; the CSV file has every column
_DOCUMENTS: Final = (
    "number", "verdict", "code", "source", "kind", "id", "name", "bytes", "modified", "jurisdictions", "categories",
    "reason", "store", "store_countries", "assurance", "copies", "bases", "keep_until", "erase_by", "holds", "owner",
    "due", "saved_month_usd", "outcome", "sha256", "detail",
)  # fmt: skip
#: stands for the line's number in its cells; no text holds it, `line` spells it out
_NUMBER: Final = "\0"
#: what a spreadsheet would read as an escaped character
_ESCAPE: Final = re.compile("(_x[0-9a-fA-F]{4}_)")
#: what cannot stand in the file as it is
_SPECIAL: Final = re.compile(r"[&<>]|_x|^\s|\s$")
_WIDTHS: Final = {"name": 34, "id": 22, "reason": 60, "signals": 40, "narrowing": 40, "parents": 30, "code": 24}
#: titles that the page has under another name, or not at all
TITLES: Final = {
    **OF_PAGE,
    "jurisdictions": OF_PAGE["laws"],
    "permitted_countries": OF_PAGE["countries"],
    "source_countries": OF_PAGE["from"],
    "store_countries": OF_PAGE["places"],
    "saved_month_usd": OF_PAGE["saved_month"],
    "bytes": _("Bytes"),
    "source": _("Source"),
    "kind": _("Kind"),
    "id": _("Id"),
    "mode": _("Mode"),
}


class _Worksheet(Worksheet):  # type: ignore[misc]
    """A sheet of which every text is a text, and that takes a line as it stands in the file."""

    def _xml_rich_inline_string(self, string: str, attributes: Sequence[tuple[str, Any]] = ()) -> None:
        # The library takes a text from "<r>" to "</r>" for its own markup, and writes it as it is: no text here is.
        self._xml_inline_string(string, False, attributes)

    def add_line(self, number: int, xml: str) -> None:
        """Write line `number` (from 0, below all others), in columns that the sheet has already."""
        if self.table:
            self._write_single_row(number)
        self.dim_rowmax = number
        self.row_data_fh.write(xml)


class Sheet:
    """Writes lines one below the other. Texts are written as texts, so none of them is ever a formula."""

    def __init__(self, book: Any, name: str, head: Any) -> None:
        self.sheet = book.add_worksheet(name[:31], _Worksheet)
        self.head = head
        self.row = 0

    def titles(self, *titles: str, widths: Sequence[float] = ()) -> None:
        self.line(titles, self.head)
        for column, _title in enumerate(titles):
            self.sheet.set_column(column, column, widths[column] if column < len(widths) else 14)

    def line(self, values: Iterable[Any], format: Any = None) -> None:
        for column, value in enumerate(values):
            if isinstance(value, str):
                if value:
                    self.sheet.write_string(self.row, column, line(value)[:_MOST_CHARACTERS], format)
            elif value is not None:
                self.sheet.write_number(self.row, column, value, format)
        self.row += 1


def write(report: Report, path: Path, language: str) -> None:
    """Write a report in one language. Memory does not depend on the number of documents.

    The spreadsheet's own temporary files stand beside it, never in the system's folder for such: they hold names.
    """
    words = Words(language)
    with workbook(report, path) as (book, head):
        _fill(book, head, report, words)


@contextmanager
def workbook(report: Head, path: Path) -> Iterator[tuple[Any, Any]]:
    """A book to fill, and the format of its headings; written when all went well, and then whole."""
    with TemporaryDirectory(prefix=".", dir=path.parent) as beside:
        book = xlsxwriter.Workbook(str(path), {"constant_memory": True, "tmpdir": beside})
        book.use_zip64()
        book.set_properties({"title": line(report.id), "created": report.made_at.replace(tzinfo=None)})
        try:
            yield book, book.add_format({"bold": True, "bottom": 1, "text_wrap": True, "valign": "bottom"})
            book.close()
        except FileCreateError as error:
            raise OSError(str(error)) from error
        finally:
            # only their lines are left behind by a book that did not come to its end: putting it together takes long
            for sheet in book.worksheets():
                sheet.row_data_fh.close()


def _fill(book: Any, head: Any, report: Report, words: Words) -> None:
    summary = Sheet(book, words.say(_("Summary")), head)
    documents = _Documents(book, head, words)
    picked: Picked[int] = pick(report, most=0, packed=lambda row: row.number, each=documents.line)
    _summary(summary, report, picked, words)
    readers = spoken(words)
    for name, numbers in ((_("Exceptions"), report.exceptions), (_("Sample"), report.sample)):
        sheet = _heading(Sheet(book, words.say(name), head), words, COLUMNS)
        for number in numbers:
            if number in picked.rows:
                sheet.line(read(picked.rows[number]) for read in readers.values())
    _matrix(Sheet(book, words.say(_("Matrix")), head), report, words)
    _stores(Sheet(book, words.say(_("Stores")), head), report, words)
    _processing(Sheet(book, words.say(_("Article 30")), head), report, words)


def _heading(sheet: Sheet, words: Words, columns: Iterable[str]) -> Sheet:
    names = tuple(columns)
    sheet.titles(*(words.say(TITLES[name]) for name in names), widths=[_WIDTHS.get(name, 13.0) for name in names])
    sheet.sheet.freeze_panes(1, 1)
    return sheet


class _Documents:
    """All documents; a further sheet begins where one is full."""

    def __init__(self, book: Any, head: Any, words: Words) -> None:
        self._new: Callable[[str], Sheet] = lambda name: _heading(Sheet(book, name, head), words, _DOCUMENTS)
        self._name = words.say(_("Documents"))
        self._sheet, self._sheets = self._new(self._name), 1
        readers = spoken(words)
        self._lines = Lines((_column(place, name, readers[name]) for place, name in enumerate(_DOCUMENTS)), "")

    def line(self, row: Row) -> None:
        if self._sheet.row > MOST_LINES:
            self._sheets += 1
            self._sheet = self._new(f"{self._name} {self._sheets}")
        number = self._sheet.row
        cells = self._lines.line(row).replace(_NUMBER, str(number + 1))
        self._sheet.sheet.add_line(number, f'<row r="{number + 1}">{cells}</row>')
        self._sheet.row += 1


def _cut(text: str) -> str:
    """As much of the text as a cell takes, counted in UTF-16 as a spreadsheet does."""
    text = text[:_MOST_CHARACTERS]
    if len(text) <= _MOST_UNITS // 2:
        return text
    return text.encode("utf-16-le")[: 2 * _MOST_UNITS].decode("utf-16-le", "ignore")


def _column(place: int, name: str, read: Callable[[Row], Cell]) -> Column:
    start = f'<c r="{ascii_uppercase[place]}{_NUMBER}"'
    return Column("", read, partial(_cell, start), name in DECIDED_COLUMNS)


def _cell(start: str, value: Cell) -> str:
    """A cell as the file has it (ECMA-376, part 1, 18.3.1.4 and 22.9.2.19); nothing if it is empty."""
    if not isinstance(value, str):
        return "" if value is None else f"{start}><v>{value:.16G}</v></c>"
    if not value:
        return ""
    text = _cut(line(value))
    keep = ""
    if _SPECIAL.search(text):
        keep = ' xml:space="preserve"' if text != text.strip() else ""
        text = _ESCAPE.sub(r"_x005F\1", text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return f'{start} t="inlineStr"><is><t{keep}>{text}</t></is></c>'


def _summary(sheet: Sheet, report: Report, picked: Picked[int], words: Words) -> None:
    say = words.say
    dry = report.mode == "dry-run"
    sheet.sheet.set_column(0, 0, 34)
    sheet.sheet.set_column(1, 6, 22)
    sheet.line([say(_("Dry-run report") if dry else _("Run report")), report.id], sheet.head)
    mode = _("DRY RUN. Nothing was moved.") if dry else _("RUN")
    facts = {
        _("Mode"): say(mode),
        _("Organisation"): report.organisation,
        _("Environment"): report.environment,
        _("Scope"): words.scope(report.scope),
        _("Report made"): f"{words.moment(report.made_at)}, {report.by}",
        _("Plan"): report.plan,
        _("Plan made"): f"{words.moment(report.plan_at)}, {report.preparer}",
        _("SHA-256 of the plan"): report.plan_sha256,
        _("Documents"): picked.total,
        _("Approvals"): f"{sum(one.stands for one in report.sign_offs)} / {report.approvals_needed}",
        _("Seed of the sample"): str(report.seed),
    }
    for label, value in facts.items():
        sheet.line([say(label), value])
    _sources(sheet, report, words)
    _counted(sheet, report, words)
    if report.money is not None:
        _money(sheet, report.money, words)
    if report.forecast is not None:
        _forecast(sheet, report.forecast, words)
    sheet.row += 1
    sheet.line([say(_("Rule")), say(_("Documents")), say(_("What it asks for")), say(_("Evidence"))], sheet.head)
    for rule in sorted(picked.rules.values(), key=lambda rule: rule.id):
        sheet.line(
            [rule.id, rule.documents, say(codes.asks(rule.mode, rule.sentence)), words.told(rule.sentence, rule.mode)]
        )
    sheet.row += 1
    sheet.line([say(_("This is not legal advice."))])


def _counted(sheet: Sheet, report: Report, words: Words) -> None:
    say = words.say
    sheet.row += 1
    columns = (_("Decision"), _("Code"), _("Documents"), _("Versions"), _("Bytes"), _("Meaning"), _("What to do"))
    sheet.line([say(title) for title in columns], sheet.head)
    for (verdict, code), count in report.codes.items():
        wording = codes.reason(code)
        numbers = (count.documents, count.versions, count.bytes)
        label = say(codes.VERDICTS.get(verdict, verdict))
        sheet.line([label, code, *numbers, say(wording.meaning), say(wording.remedy)])
    if report.outcomes:
        sheet.row += 1
        sheet.line([say(_("State")), say(_("Documents")), say(_("Bytes"))], sheet.head)
        for state, count in report.outcomes.items():
            sheet.line([say(codes.STATE_NAMES.get(state, state)), count.documents, count.bytes])


def _money(sheet: Sheet, money: Money, words: Words) -> None:
    say = words.say
    sheet.row += 1
    sheet.line([say(_("Money")), say(_("US dollars"))], sheet.head)
    for label, value in (
        (_("The CRM's storage, a month"), money.crm_month),
        (_("The stores instead, a month"), money.store_month),
        (_("Saved, a month"), money.saved_month),
        (_("Moving, once"), money.requests_once),
    ):
        sheet.line([say(label), say(_("price not known")) if value is None else value])
    for note in money.notes:
        sheet.line(["", words.told(note)])


def _sources(sheet: Sheet, report: Report, words: Words) -> None:
    """Which CRMs they are, as these say themselves."""
    sheet.row += 1
    titles = (
        _("Source"),
        _("Organisation id"),
        _("Environment"),
        _("Address"),
        _("The CRM holds it in"),
        _("Last scan"),
    )
    sheet.line(map(words.say, titles), sheet.head)
    for one in report.sources:
        where = words.countries(one.countries) if one.countries else words.say(_("not known"))
        name = f"{one.name} ({one.type})"
        sheet.line([name, one.organisation, one.environment, one.address, where, words.moment(one.scanned)])


def _forecast(sheet: Sheet, forecast: Forecast, words: Words) -> None:
    say = words.say
    sheet.row += 1
    sheet.line([say(_("Forecast"))], sheet.head)
    for one in forecast.storages:
        used = f"{words.size(one.used)} / {words.size(one.limit)} ({words.day(one.as_of)})"
        sheet.line([say(_("CRM storage in use")), one.source, used])
        sheet.line([say(_("CRM full without this plan")), one.source, words.day(one.full_without)])
        sheet.line([say(_("CRM full with this plan")), one.source, words.day(one.full_with)])
    sheet.line([say(_("Requests to the CRM")), forecast.requests])
    sheet.line([say(_("Days within the budget")), forecast.days if forecast.days is not None else say(_("not known"))])
    for note in forecast.notes:
        sheet.line(["", words.told(note)])


def _matrix(sheet: Sheet, report: Report, words: Words) -> None:
    say = words.say
    sheet.titles(*map(say, (_("From"), _("To"), _("Border crossed"), _("Documents"), _("Bytes"))), widths=[24, 24])
    for (origin, to), count in sorted(report.matrix.items()):
        crossed = say(_("not known")) if not origin else say(_("yes")) if origin != to else say(_("no"))
        start = words.country(origin) if origin else say(_("not known"))
        sheet.line([start, words.country(to), crossed, count.documents, count.bytes])
    sheet.row += 1
    sheet.line(map(say, (_("Law of"), _("Category"), _("Goes to"), _("Documents"), _("Bytes"))), sheet.head)
    for (laws, category, to), count in sorted(report.by_law.items()):
        sheet.line([laws, category, words.country(to) if to else say(_("stays")), count.documents, count.bytes])


def _stores(sheet: Sheet, report: Report, words: Words) -> None:
    columns = (_("Store"), _("Country"), _("Proof of the place"), _("Proof taken"), _("Valid until"), _("Documents"))
    more = (_("Bytes"), _("SHA-256 of the answers"), _("Protection"), _("Price class"), _("In words"), _("Evidence"))
    widths = [20, 24, 14, 24, 24, 12, 14, 68, 40, 30, 60, 80]
    sheet.titles(*map(words.say, (*columns, *more)), widths=widths)
    for one in report.targets:
        told = "; ".join(f"{question}: {answer}" for question, answer in one.evidence.items())
        when = (words.moment(one.taken), words.moment(one.expires))
        counted = (one.chosen.documents, one.chosen.bytes)
        said = (words.told(one.protection), one.price_class, words.told(one.summary))
        sheet.line([one.name, words.countries(one.countries), one.assurance, *when, *counted, one.sha256, *said, told])


def _processing(sheet: Sheet, report: Report, words: Words) -> None:
    """A line per policy, as a record of processing has it."""
    columns = list(dict.fromkeys(column for policy in report.policies for column in policy.processing))
    titles = (words.say(codes.PROCESSING.get(column, column)) for column in columns)
    sheet.titles(words.say(_("Policy")), *titles, widths=[20, *([28] * len(columns))])
    for policy in report.policies:
        sheet.line([policy.name, *(words.entry(column, policy.processing.get(column, "")) for column in columns)])
