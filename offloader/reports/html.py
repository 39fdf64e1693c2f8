"""A report as one HTML file that asks nobody for anything: texts in every language, charts, a table to search."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from markupsafe import Markup

from offloader.reports import browser
from offloader.reports.model import Report
from offloader.reports.page import article, page, title
from offloader.reports.picked import pick
from offloader.reports.table import FIELDS, Packer, embedded
from offloader.reports.words import Words
from offloader.reports.writing import LANGUAGES

#: documents in the table; the others are in the spreadsheet beside it
MOST_ROWS: Final = 10_000


def write(report: Report, path: Path, language: str) -> None:
    """Write a report. It shows `language` first; if that is empty, the browser's, or else English."""
    packer = Packer()
    picked = pick(report, most=MOST_ROWS, packed=packer.row)
    spoken = [Words(code) for code in LANGUAGES]
    first = language or LANGUAGES[0]
    articles = [
        (
            words,
            article(
                report,
                picked,
                words,
                exceptions=report.EXCEPTIONS,
                interactive=True,
                hidden=words.language != first,
            ),
        )
        for words in spoken
    ]
    data: dict[str, Any] = {
        "fields": FIELDS,
        "first": language,
        "texts": packer.texts,
        "rows": picked.table,
        "total": picked.total,
        "files": {kind: f"{report.id}.{kind}" for kind in ("xlsx", "csv")},
        "words": {
            words.language: {**browser.words(words, report, packer.texts), "said": packer.said(words)}
            for words in spoken
        },
    }
    texts = {words.language: browser.words(words, report, ()) for words in spoken}
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
