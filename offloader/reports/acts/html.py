"""The report of a plan of acts as a page: one template, in one language or in all, with a table to search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from markupsafe import Markup

from offloader.reports import browser
from offloader.reports import codes as moving
from offloader.reports.acts import codes
from offloader.reports.acts.model import ActsReport, Line
from offloader.reports.message import marked as _
from offloader.reports.page import environment, isolated, page, title
from offloader.reports.sentences import ACTS
from offloader.reports.shown import line
from offloader.reports.table import Packer, embedded
from offloader.reports.words import Words
from offloader.reports.writing import LANGUAGES

#: lines in the table; the others are in the spreadsheet beside it
MOST_ROWS: Final = 10_000
_MOST: Final = 50
_FIELDS: Final[Sequence[str]] = (
    "number", "verdict", "code", "name", "source", "kind", "id", "bytes", "with", "along", "copied", "rule", "reason",
    "rules", "at", "to", "outcome", "detail", "laws", "places", "categories",
)  # fmt: skip
_COLUMNS: Final = ("number", "verdict", "code", "name", "with", "at", "to", "reason")
_FILTERS: Final = ("verdict", "code", "kind", "rule", "to")
_DETAILS: Final = ("where", "meaning", "remedy", "rule", "rules", "along", "copied", "at", "to", "bytes", "outcome",
                   "detail")  # fmt: skip
_TEXTS: Final[Mapping[str, str]] = {
    "documents": _("All lines of the plan"),
    "intro": _("Search, filter and sort; open a line to see everything that the plan says about it."),
    "noscript": _("This table needs JavaScript. The same lines are in the spreadsheet and the CSV file."),
    "cut": _(
        "This page holds {shown} of {total} lines. All of them are in {xlsx} and {csv}, if these were made as well."
    ),
    "count": _("{from}–{to} of {found} lines"),
    "nothing": _("No line matches."),
    "details": _("Details of line {number}"),
}
TITLES: Final[Mapping[str, str]] = {
    "verdict": _("Act"),
    "name": _("Record or document"),
    "kind": _("Type"),
    "with": _("With it"),
    "along": _("Goes with it"),
    "copied": _("Documents copied first"),
    "rule": _("Rule"),
    "rules": _("Reasons"),
    "at": _("Stored in"),
}
_CONTENTS: Final[Sequence[tuple[str, str]]] = (
    ("short", _("In short")),
    ("approvals", _("Approvals")),
    ("goes", _("What goes, by rule and by type")),
    ("stays", _("What stays, and why")),
    ("crm", _("What it means in the CRM")),
    ("stores", _("Stores, and the proof of their place")),
    ("done", _("Planned and done")),
    ("policies", _("Policies and limits")),
    ("check", _("How to check the SHA-256 yourself")),
    ("limits", _("Limits of this report")),
    ("sign", _("Sign-off")),
    ("documents", _("All lines of the plan")),
)


class _Packer(Packer):
    """Packs lines of a plan of acts."""

    def pack(self, each: Line) -> list[Any]:
        text, texts = self._text, self._texts
        last = each.reasons[-1][1] if each.reasons else ""
        return [
            each.number, text(each.act), text(each.code), line(each.name), text(each.source), text(each.kind),
            line(each.id), each.bytes, len(each.along), texts(each.along[:_MOST]), texts(each.copied[:_MOST]),
            text(each.rule), self._sentence(last, ACTS),
            [self._because(code, sentence) for code, sentence in each.reasons[:_MOST]],
            texts(each.at), texts(each.to), text(each.outcome), self._sentence(each.detail, ACTS), [], [], [],
        ]  # fmt: skip

    def _because(self, code: str, sentence: str) -> int:
        """As the table takes a reason: rule, code, place in the tables, sentence."""
        before = f"\t{line(code)}\t\t"
        place = self._text(before + line(sentence))
        self._sentences.setdefault(place, (before, sentence, ACTS))
        return place


def write(report: ActsReport, path: Path, language: str) -> None:
    """Write a report. It shows `language` first; if that is empty, the browser's, or else English."""
    packer, first = _Packer(), language or LANGUAGES[0]
    spoken = [Words(code) for code in LANGUAGES]
    articles = [(words, article(report, words, interactive=True, hidden=words.language != first)) for words in spoken]
    texts = {words.language: _words(report, words) for words in spoken}
    data: dict[str, Any] = {
        "fields": _FIELDS,
        "columns": [name for name in _COLUMNS if name != "at" or report.leaves],
        "filters": [name for name in _FILTERS if name != "to" or report.goes],
        "details": _DETAILS,
        "first": language,
        "rows": _table(report, packer),
        "texts": packer.texts,
        "total": report.total,
        "files": {kind: f"{report.id}.{kind}" for kind in ("xlsx", "csv")},
        "words": {words.language: {**texts[words.language], "said": packer.said(words)} for words in spoken},
    }
    made = page(
        report,
        articles,
        data=Markup(embedded(data)),  # noqa: S704 - nothing in it can end its element
        first=first,
        title=title(report, Words(first)),
        languages=[(words.language, words.locale.languages[words.language].capitalize()) for words in spoken],
        texts=texts,
    )
    path.write_text(made, encoding="utf-8")


def _table(report: ActsReport, packer: _Packer) -> list[list[Any]]:
    """The first lines of the plan, those that a person has to look at before all others."""
    stuck: list[list[Any]] = []
    others: list[list[Any]] = []
    for each in report.rows():
        part = stuck if each.act in ("review", "blocked") or each.outcome in ("failed", "conflict") else others
        if len(part) < MOST_ROWS:
            part.append(packer.pack(each))
    return [*stuck, *others][:MOST_ROWS]


def article(report: ActsReport, words: Words, *, interactive: bool, hidden: bool) -> Markup:
    """The whole report but the table of all lines, in one language."""
    made = environment(words.language).get_template("acts.html").render(
        report=report,
        picked=report,
        w=words,
        lang=words.language,
        isolated=isolated,
        kind=codes.KINDS[report.kind],
        doing=codes.DOING,
        acts=codes.ACTS,
        state_words=codes.STATES,
        reasons=codes.REASONS,
        said=moving.SAID,
        verdicts={act: named.label for act, named in codes.ACTS.items()},
        measures=moving.MEASURES,
        contents=[(name, words.say(text)) for name, text in _CONTENTS if _has(report, name)],
        going=_sum(report),
        ACTS=ACTS,
        interactive=interactive,
        hidden=hidden,
    )  # fmt: skip
    return Markup(made)  # noqa: S704 - rendered with autoescape


def _has(report: ActsReport, section: str) -> bool:
    return {"crm": bool(report.crm), "done": report.mode == "run"}.get(section, True)


def _sum(report: ActsReport) -> Mapping[str, int]:
    """What is carried out: so many, with so many more, and so many bytes; and what stays."""
    doing = [tally for act, tally in report.acts.items() if act in codes.DOING]
    sums = {name: sum(getattr(tally, name) for tally in doing) for name in ("count", "along", "bytes")}
    return {**sums, "stay": report.total - sums["count"]}


def _words(report: ActsReport, spoken: Words) -> dict[str, Any]:
    """The table's words."""
    say = spoken.say
    to = codes.KINDS[report.kind].to
    return {
        "title": title(report, spoken),
        "tag": spoken.locale.language,
        "texts": {key: say(text) for key, text in {**browser.TEXTS, **_TEXTS}.items()},
        "titles": {key: say(text) for key, text in {**browser.TITLES, **TITLES, "to": to}.items()},
        "verdicts": {act: say(named.label) for act, named in codes.ACTS.items()},
        "names": {state: say(named.label) for state, named in codes.STATES.items()},
        "codes": {code: [say(text) for text in wording] for code, wording in codes.REASONS.items()},
        "countries": {},
    }
