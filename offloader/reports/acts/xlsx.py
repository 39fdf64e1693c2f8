"""The report of a plan of acts as a spreadsheet: a summary, and all lines of the plan."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from offloader.reports.acts import codes
from offloader.reports.acts.columns import COLUMNS, spoken
from offloader.reports.acts.html import TITLES
from offloader.reports.acts.model import ActsReport, Tally
from offloader.reports.message import marked as _
from offloader.reports.sentences import ACTS
from offloader.reports.words import Words
from offloader.reports.xlsx import MOST_LINES, Sheet, workbook
from offloader.reports.xlsx import TITLES as OTHERS

_TITLES: Final = {**OTHERS, **TITLES, "act": TITLES["verdict"], "reasons": TITLES["rules"], "kind": TITLES["kind"]}
_WIDTHS: Final = {"number": 7, "id": 24, "name": 24, "kind": 24, "rule": 28, "reasons": 60, "along": 40, "copied": 40,
                  "detail": 40, "code": 20, "with": 9}  # fmt: skip


def write(report: ActsReport, path: Path, language: str) -> None:
    """Write a report in one language. Memory does not depend on the number of lines."""
    words = Words(language)
    with workbook(report, path) as (book, head):
        _summary(Sheet(book, words.say(_("Summary")), head), report, words)
        readers, sheets, sheet = spoken(words), 0, None
        for line in report.rows():
            if sheet is None or sheet.row > MOST_LINES:
                sheets += 1
                sheet = _lines(book, head, report, words, sheets)
            sheet.line(read(line) for read in readers.values())


def _lines(book: Any, head: Any, report: ActsReport, words: Words, number: int) -> Sheet:
    sheet = Sheet(book, words.say(_("Lines")) + (f" {number}" if number > 1 else ""), head)
    titles = {**_TITLES, "to": codes.KINDS[report.kind].to}
    sheet.titles(*(words.say(titles[name]) for name in COLUMNS), widths=[_WIDTHS.get(name, 13) for name in COLUMNS])
    sheet.sheet.freeze_panes(1, 1)
    return sheet


def _summary(sheet: Sheet, report: ActsReport, words: Words) -> None:
    say, dry = words.say, report.mode == "dry-run"
    sheet.sheet.set_column(0, 0, 40)
    sheet.sheet.set_column(1, 6, 24)
    sheet.line([say(_("Dry-run report") if dry else _("Run report")), report.id], sheet.head)
    facts = {
        _("What this is"): say(codes.KINDS[report.kind].title),
        _("Mode"): say(report.NOTHING if dry else _("RUN")),
        _("Organisation"): report.organisation,
        _("Environment"): report.environment,
        _("Report made"): f"{words.moment(report.made_at)}, {report.by}",
        _("Plan"): report.plan,
        _("Plan made"): f"{words.moment(report.plan_at)}, {report.preparer}",
        _("SHA-256 of the plan"): report.plan_sha256,
        _("Approvals"): f"{sum(one.stands for one in report.sign_offs)} / {report.approvals_needed}",
    }
    for label, value in facts.items():
        sheet.line([say(label), value])
    for text in report.over:
        sheet.line([say(_("Over a limit.")), words.told(text, ACTS)])
    counted: tuple[tuple[str, Mapping[tuple[str, str], Tally]], ...] = (
        (_("Rule"), report.rules), (_("Type"), report.types)
    )  # fmt: skip
    for label, found in counted:
        tallies = {(name, _act(act, words)): tally for (name, act), tally in found.items()}
        _tallies(sheet, [label, TITLES["verdict"]], tallies, words)
    codes_ = {(code, _act(act, words)): tally for (act, code), tally in report.codes.items()}
    _tallies(sheet, [_("Reason"), TITLES["verdict"]], codes_, words)
    _crm(sheet, report, words)
    if report.outcomes:
        sheet.row += 1
        sheet.line([say(_("State")), say(_("Number"))], sheet.head)
        for state, count in report.outcomes.items():
            sheet.line([say(codes.STATES[state].label) if state in codes.STATES else state, count])
    sheet.row += 1
    sheet.line([say(_("This is not legal advice."))])


def _act(act: str, words: Words) -> str:
    return words.say(codes.ACTS[act].label) if act in codes.ACTS else act


def _tallies(sheet: Sheet, titles: list[str], found: Mapping[tuple[str, str], Tally], words: Words) -> None:
    sheet.row += 1
    sheet.line([words.say(title) for title in (*titles, _("Number"), TITLES["with"], _("Bytes"))], sheet.head)
    for (name, act), tally in found.items():
        sheet.line([name, act, tally.count, tally.along, tally.bytes])


def _crm(sheet: Sheet, report: ActsReport, words: Words) -> None:
    if not report.crm:
        return
    say = words.say
    sheet.row += 1
    columns = (TITLES["kind"], _("Deleted in all"), _("Automation that it wakes"), _("Days in the CRM's bin"),
               _("Look-ups that it empties"))  # fmt: skip
    sheet.line([say(title) for title in columns], sheet.head)
    for name, count in report.crm["types"].items():
        woken = report.crm["wakes"][name]
        wakes = say(_("The CRM does not say. Ask its administrator first.")) if woken is None else ", ".join(woken)
        bin_ = report.crm["bin_days"][name] or 0
        sheet.line([name, count, wakes or say(_("none")), bin_, ", ".join(report.crm["clears"].get(name, ()))])
