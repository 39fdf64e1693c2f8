"""The report of a plan of acts as a PDF to print, sign and file: everything but the table of all lines."""

from __future__ import annotations

from pathlib import Path

from offloader.reports.acts.html import article
from offloader.reports.acts.model import ActsReport
from offloader.reports.page import page, title
from offloader.reports.pdf import printed
from offloader.reports.words import Words


def write(report: ActsReport, path: Path, language: str) -> None:
    """Write a report in one language, tagged for screen readers. Nothing is fetched from anywhere."""
    words = Words(language)
    made = article(report, words, interactive=False, hidden=False)
    printed(page(report, [(words, made)], title=title(report, words)), path)
