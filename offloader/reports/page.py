"""A report as a page: one template, filled in one language or in all."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from offloader.reports import codes, pictures
from offloader.reports.message import marked as _
from offloader.reports.model import Count, Head, Report
from offloader.reports.picked import Picked
from offloader.reports.shown import shown
from offloader.reports.words import Words

_TEMPLATES: Final = Path(__file__).with_name("templates")
_NONE: Final = Count()
#: days ahead that the picture of the forecast shows: a hundred years
_MOST_DAYS: Final = 36_525
#: lines of the table by law that a page shows
_MOST_LAWS: Final = 60
_CONTENTS: Final[Sequence[tuple[str, str, str]]] = (
    # the section, its title in a dry run, its title after a run
    ("short", _("In short"), _("In short")),
    ("approvals", _("Approvals"), _("Approvals")),
    ("moves", _("What moves, where and why"), _("What moved, where and why")),
    ("stays", _("What does not move, and why"), _("What did not move, and why")),
    (
        "exceptions",
        _("Exceptions: who has to act, and by when"),
        _("Exceptions: who has to act, and by when"),
    ),
    ("stores", _("Stores, and the proof of their place"), _("Stores, and the proof of their place")),
    ("quality", _("Data quality"), _("Data quality")),
    ("retention", _("Retention and holds"), _("Retention and holds")),
    ("money", _("Money"), _("Money")),
    ("forecast", _("Forecast"), _("Forecast")),
    ("difference", _("Difference from the last report"), _("Difference from the last report")),
    ("sample", _("A random sample, to look at by hand"), _("A random sample, to look at by hand")),
    ("processing", _("Record of processing (GDPR Article 30)"), _("Record of processing (GDPR Article 30)")),
    ("check", _("How to check the SHA-256 yourself"), _("How to check the SHA-256 yourself")),
    ("limits", _("Limits of this report"), _("Limits of this report")),
    ("sign", _("Sign-off"), _("Sign-off")),
    ("documents", _("All documents"), _("All documents")),
)
#: what becomes of a document by its verdict
VERDICT_MEANINGS: Final[Mapping[str, str]] = {
    "MOVE": _("to a store in a permitted country, with a link in its place"),
    "KEEP": _("stays in the CRM by its nature or by the policy"),
    "BLOCKED": _("stays: no proven store may have it"),
    "REVIEW": _("stays until a person has looked"),
}


def article(
    report: Report, picked: Picked[Any], words: Words, *, exceptions: int, interactive: bool, hidden: bool
) -> Markup:
    """The whole report but the table of all documents, in one language; at most so many exceptions.

    Ids of elements begin with the language, so that articles in several languages can stand on one page.
    """
    view = _view(report, picked, words, exceptions)
    made = (
        environment(words.language).get_template("article.html").render(**view, interactive=interactive, hidden=hidden)
    )
    return Markup(made)  # noqa: S704 - rendered with autoescape


def page(report: Head, articles: Sequence[tuple[Words, Markup]], **more: Any) -> str:
    """The page around the articles. `more`: `data`, the JSON of the table and its words, for a page with a script.

    What cannot be seen, or turns the direction of writing, is spelled out wherever it comes from.
    """
    script = (_TEMPLATES / "report.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    made = (
        environment("en")
        .get_template("report.html")
        .render(
            report=report,
            articles=articles,
            style=Markup((_TEMPLATES / "report.css").read_text(encoding="utf-8")),  # noqa: S704 - our own file
            margins=Markup("").join(_margins(report, words) for words, _made in articles),
            script=Markup(script),  # noqa: S704 - our own file
            script_hash=digest,
            **more,
        )
    )
    return shown(made)


def title(report: Head, words: Words) -> str:
    """What the browser's window and the PDF are called."""
    return f"{report.id} · {words.say(_('Dry-run report') if report.mode == 'dry-run' else _('Run report'))}"


@cache
def environment(language: str) -> Environment:
    """The templates in one language."""
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
    )
    environment.policies["ext.i18n.trimmed"] = True
    environment.install_gettext_translations(Words(language).translations, newstyle=True)  # type: ignore[attr-defined]
    environment.filters["slug"] = _slug
    return environment


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9-]", "_", text)


def isolated(text: str) -> Markup:
    """A name that may be written in the other direction."""
    return Markup("<bdi>{}</bdi>").format(text)


def _view(report: Report, picked: Picked[Any], words: Words, exceptions: int) -> dict[str, Any]:
    laws = sorted(report.by_law.items(), key=lambda item: (-item[1].documents, item[0]))
    stays = [item for item in report.codes.items() if item[0][0] != "MOVE"]
    stays.sort(key=lambda item: (["REVIEW", "BLOCKED", "KEEP"].index(item[0][0]), -item[1].documents, item[0]))
    return {
        "report": report,
        "picked": picked,
        "w": words,
        "lang": words.language,
        "none_counted": _NONE,
        "isolated": isolated,
        "verdicts": codes.VERDICTS,
        "reason": codes.reason,
        "asks": codes.asks,
        "assurances": codes.ASSURANCES,
        "measures": codes.MEASURES,
        "states": codes.STATES,
        "state_names": codes.STATE_NAMES,
        "categories": codes.CATEGORIES,
        "processing": codes.PROCESSING,
        "said": codes.SAID,
        "contents": [(name, words.say(dry if report.mode == "dry-run" else run)) for name, dry, run in _CONTENTS],
        "verdict_meanings": [(verdict, words.say(meaning)) for verdict, meaning in VERDICT_MEANINGS.items()],
        "verdict_bar": _bar(report, words),
        "timeline": _timeline(report, words),
        "destinations": [_destination(words, target.name, target.countries, target.chosen)
                         for target in report.targets if target.chosen.documents],
        "overdue": sorted({found for policy in report.policies for found in policy.overdue}, key=lambda rule: rule[1]),
        "by_law": laws[:_MOST_LAWS],
        "by_law_left": max(0, len(laws) - _MOST_LAWS),
        "stays": stays,
        "most_stays": max((count.documents for _key, count in stays), default=0),
        "rules": sorted(picked.rules.values(), key=lambda rule: (-rule.documents, rule.id)),
        "exceptions": _rows(picked, report.exceptions[:exceptions]),
        "unfinished": sorted(getattr(report, "unfinished", {}).items(), key=lambda item: -item[1].documents),
        "telling": _telling,
        "sample": _rows(picked, report.sample),
        **_borders(report),
    }  # fmt: skip


def _rows(picked: Picked[Any], numbers: Sequence[int]) -> list[Any]:
    return [picked.rows[number] for number in numbers if number in picked.rows]


def _telling(signals: Sequence[str]) -> list[str]:
    """What can place a document: signals with a value, but not who owns the record."""
    return [signal for signal in signals if not signal.endswith("\N{EM DASH}") and ": owner " not in signal]


def _borders(report: Report) -> dict[str, Any]:
    """The matrix, and who crosses a border: not said where a document counts in several countries."""
    moves = report.totals.get("MOVE", _NONE).documents
    spread = sum(count.documents for count in report.matrix.values()) > moves
    crossed = [count for (origin, to), count in report.matrix.items() if origin and origin != to]
    unplaced = [count for (origin, _to), count in report.matrix.items() if not origin]
    return {
        "matrix_rows": sorted({origin for origin, _to in report.matrix}),
        "matrix_columns": sorted({to for _origin, to in report.matrix}),
        "spread": spread,
        "crossings": _NONE if spread else _sum(crossed),
        "unplaced": _sum(unplaced),
    }


def _sum(counts: Sequence[Count]) -> Count:
    return Count(*(sum(getattr(count, name) for count in counts) for name in ("documents", "versions", "bytes")))


def _destination(words: Words, store: str, countries: Sequence[str], chosen: Count) -> Markup:
    said = Markup(words.say(_("{n} to {store} ({countries})")))  # noqa: S704 - a text of the catalogs
    return said.format(n=words.number(chosen.documents), store=isolated(store), countries=words.countries(countries))


def _bar(report: Report, words: Words) -> Markup:
    parts = [
        (verdict, words.say(label), report.totals.get(verdict, _NONE).documents)
        for verdict, label in codes.VERDICTS.items()
    ]
    return pictures.verdict_bar(f"{words.language}-bar", words.say(_("Documents by decision")), parts)


def _timeline(report: Report, words: Words) -> Markup:
    """The forecast's days as a picture; empty if it has none."""
    storages = report.forecast.storages if report.forecast is not None else ()
    if not any(one.full_without or one.full_with for one in storages):
        return Markup("")
    points = [(label, words.day(day), day) for label, day in _days(report, words)]
    start = report.made_at.date()
    points.append((words.say(_("Report made")), words.day(start), start))
    return pictures.timeline(f"{words.language}-days", words.say(_("Forecast")), points)


def _days(report: Report, words: Words) -> Iterator[tuple[str, date]]:
    forecast = report.forecast
    if forecast is None:
        return
    if forecast.days is not None and forecast.days < _MOST_DAYS and report.mode == "dry-run":
        label = words.say(_("Plan carried out, if begun today"))
        yield label, report.made_at.date() + timedelta(days=forecast.days)
    for one in forecast.storages:
        which = f"{one.source}: " if len(forecast.storages) > 1 else ""
        for label, day in (
            (_("CRM full without this plan"), one.full_without),
            (_("CRM full with this plan"), one.full_with),
        ):
            if day is not None:
                yield which + words.say(label), day


def _margins(report: Head, words: Words) -> Markup:
    """The head and foot of each printed page, as CSS: organisation, report, mode, page number."""
    mode = words.say(report.NOTHING) if report.mode == "dry-run" else words.say(_("RUN"))
    head, foot = (_quoted(text) for text in (f"{report.organisation} · {report.id}", mode))
    plan, number = _quoted(f"SHA-256 {report.plan_sha256}"), words.say(_("page"))
    lang = words.language
    return Markup(  # noqa: S704 - every text in it is quoted for CSS
        f"@page {lang} {{ @top-left {{ content: {head} }} @top-right {{ content: {foot} }}"
        f" @bottom-left {{ content: {plan} }}"
        f' @bottom-right {{ content: "{number} " counter(page) "/" counter(pages) }} }}\n'
        f'article[lang="{lang}"] {{ page: {lang} }}\n'
    )


def _quoted(text: str) -> str:
    """A CSS string: everything but plain letters and digits as an escape, so nothing can end it or the style."""
    plain = shown(text)
    return '"' + "".join(c if c.isascii() and (c.isalnum() or c in " .-:") else f"\\{ord(c):06x}" for c in plain) + '"'
