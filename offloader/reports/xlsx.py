"""The report as a spreadsheet: a summary, all documents, exceptions, matrix, stores, sample, record of processing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import xlsxwriter

from offloader.reports import codes
from offloader.reports.browser import TITLES
from offloader.reports.columns import COLUMNS
from offloader.reports.model import Money, Report, Row
from offloader.reports.picked import Picked, pick
from offloader.reports.shown import line
from offloader.reports.words import Words
from offloader.reports.words import marked as _

#: lines of documents on one sheet, below its heading: a sheet has 1,048,576
MOST_LINES: Final = 1_048_575
_MOST_CHARACTERS: Final = 32_000
#: columns of the sheet of all documents: writing a cell takes longer than making it; the CSV file has every column
_DOCUMENTS: Final = (
    "number", "verdict", "code", "source", "kind", "id", "name", "bytes", "modified", "jurisdictions", "categories",
    "reason", "store", "store_countries", "assurance", "copies", "bases", "keep_until", "erase_by", "holds", "owner",
    "due", "saved_month_usd", "outcome", "sha256", "detail",
)  # fmt: skip
_WIDTHS: Final = {"name": 34, "id": 22, "reason": 60, "signals": 40, "narrowing": 40, "parents": 30, "code": 24}
#: titles that the page has under another name, or not at all
_TITLES: Final = {
    **TITLES,
    "jurisdictions": TITLES["laws"],
    "permitted_countries": TITLES["countries"],
    "source_countries": TITLES["from"],
    "store_countries": TITLES["places"],
    "saved_month_usd": TITLES["saved_month"],
    "bytes": _("Bytes"),
    "source": _("Source"),
    "kind": _("Kind"),
    "id": _("Id"),
    "mode": _("Mode"),
}


class _Sheet:
    """Writes lines one below the other. Texts are written as texts, so none of them is ever a formula."""

    def __init__(self, book: Any, name: str, head: Any) -> None:
        self.sheet = book.add_worksheet(name[:31])
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
    with TemporaryDirectory(prefix=".", dir=path.parent) as beside:
        book = xlsxwriter.Workbook(str(path), {"constant_memory": True, "tmpdir": beside})
        book.use_zip64()
        try:
            _fill(book, report, words)
        finally:
            book.close()


def _fill(book: Any, report: Report, words: Words) -> None:
    book.set_properties({"title": line(report.id), "created": report.made_at.replace(tzinfo=None)})
    head = book.add_format({"bold": True, "bottom": 1, "text_wrap": True, "valign": "bottom"})
    summary = _Sheet(book, words.say(_("Summary")), head)
    documents = _Documents(book, head, words)
    picked: Picked[int] = pick(report, most=0, packed=lambda row: row.number, each=documents.line)
    _summary(summary, report, picked, words)
    for name, numbers in ((_("Exceptions"), report.exceptions), (_("Sample"), report.sample)):
        sheet = _heading(_Sheet(book, words.say(name), head), words, COLUMNS)
        for number in numbers:
            if number in picked.rows:
                sheet.line(read(picked.rows[number]) for read in COLUMNS.values())
    _matrix(_Sheet(book, words.say(_("Matrix")), head), report, words)
    _stores(_Sheet(book, words.say(_("Stores")), head), report, words)
    _processing(_Sheet(book, words.say(_("Article 30")), head), report, words)


def _heading(sheet: _Sheet, words: Words, columns: Iterable[str]) -> _Sheet:
    names = tuple(columns)
    sheet.titles(*(words.say(_TITLES[name]) for name in names), widths=[_WIDTHS.get(name, 13.0) for name in names])
    sheet.sheet.freeze_panes(1, 1)
    return sheet


class _Documents:
    """All documents; a further sheet begins where one is full."""

    def __init__(self, book: Any, head: Any, words: Words) -> None:
        self._new: Callable[[str], _Sheet] = lambda name: _heading(_Sheet(book, name, head), words, _DOCUMENTS)
        self._name = words.say(_("Documents"))
        self._sheet, self._sheets = self._new(self._name), 1
        self._readers = [COLUMNS[column] for column in _DOCUMENTS]

    def line(self, row: Row) -> None:
        if self._sheet.row > MOST_LINES:
            self._sheets += 1
            self._sheet = self._new(f"{self._name} {self._sheets}")
        self._sheet.line(read(row) for read in self._readers)


def _summary(sheet: _Sheet, report: Report, picked: Picked[int], words: Words) -> None:
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
    _counted(sheet, report, words)
    if report.money is not None:
        _money(sheet, report.money, words)
    sheet.row += 1
    sheet.line([say(_("Rule")), say(_("Documents")), say(_("What it asks for")), say(_("Evidence"))], sheet.head)
    for rule in sorted(picked.rules.values(), key=lambda rule: rule.id):
        sheet.line([rule.id, rule.documents, say(codes.MODES.get(rule.mode, rule.mode)), rule.sentence])
    sheet.row += 1
    sheet.line([say(_("This is not legal advice."))])


def _counted(sheet: _Sheet, report: Report, words: Words) -> None:
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
            sheet.line([state, count.documents, count.bytes])


def _money(sheet: _Sheet, money: Money, words: Words) -> None:
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
        sheet.line(["", note])


def _matrix(sheet: _Sheet, report: Report, words: Words) -> None:
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


def _stores(sheet: _Sheet, report: Report, words: Words) -> None:
    columns = (_("Store"), _("Country"), _("Proof of the place"), _("Proof taken"), _("Valid until"), _("Documents"))
    more = (_("Bytes"), _("SHA-256 of the answers"), _("Evidence"))
    sheet.titles(*map(words.say, (*columns, *more)), widths=[20, 24, 14, 24, 24, 12, 14, 68, 80])
    for one in report.targets:
        told = "; ".join(f"{question}: {answer}" for question, answer in one.evidence.items())
        when = (words.moment(one.taken), words.moment(one.expires))
        counted = (one.chosen.documents, one.chosen.bytes)
        sheet.line([one.name, words.countries(one.countries), one.assurance, *when, *counted, one.sha256, told])


def _processing(sheet: _Sheet, report: Report, words: Words) -> None:
    """A line per policy, as a record of processing has it."""
    columns = list(dict.fromkeys(column for policy in report.policies for column in policy.processing))
    titles = (words.say(codes.PROCESSING.get(column, column)) for column in columns)
    sheet.titles(words.say(_("Policy")), *titles, widths=[20, *([28] * len(columns))])
    for policy in report.policies:
        sheet.line([policy.name, *(policy.processing.get(column, "") for column in columns)])
