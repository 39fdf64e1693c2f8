"""The report as a PDF to print, sign and file: everything but the table of all documents."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from weasyprint import HTML  # type: ignore[import-untyped]
from weasyprint.urls import URLFetcher  # type: ignore[import-untyped]

from offloader.reports.model import Report
from offloader.reports.page import article, page, title
from offloader.reports.picked import pick
from offloader.reports.words import Words

#: exceptions that are printed; the others are in the spreadsheet
_MOST_EXCEPTIONS: Final = 200


def write(report: Report, path: Path, language: str) -> None:
    """Write a report in one language, tagged for screen readers. Nothing is fetched from anywhere."""
    words = Words(language)
    picked = pick(report, most=0, packed=lambda row: row.number)
    made = article(report, picked, words, exceptions=_MOST_EXCEPTIONS, interactive=False, hidden=False)
    printed(page(report, [(words, made)], title=title(report, words)), path)


def printed(whole: str, path: Path) -> None:
    """Write a page as a PDF."""
    HTML(string=whole, url_fetcher=URLFetcher(allowed_protocols=())).write_pdf(path, pdf_tags=True)
