"""Writes a report as a file: whole or not at all."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Final

from offloader.errors import ConfigError
from offloader.reports.model import Head, Report
from offloader.reports.sharing import together

#: format → the extra of the distribution that brings what it needs
_EXTRAS: Final[Mapping[str, str]] = {"html": "reports", "xlsx": "reports", "csv": "", "jsonl": "", "pdf": "pdf"}
FORMATS: Final[tuple[str, ...]] = tuple(_EXTRAS)
#: languages of the reader; the first is what a file that has one language gets when none is asked for
LANGUAGES: Final[tuple[str, ...]] = ("en", "nl")


def write(report: Head, format: str, path: Path, *, language: str) -> None:
    """Write a report in one of `FORMATS` to `path`, replacing what is there in one step.

    `language` is one of `LANGUAGES`, or empty: then HTML opens in the language that the browser prefers, and every
    other format is in English. CSV and JSON Lines are for programs: they are the same in every language.
    Raises ConfigError if the format or language is unknown, its extra is not installed, or the file cannot be written.
    """
    if format not in _EXTRAS:
        raise ConfigError(f"a report has no format {format!r}; there are {', '.join(FORMATS)}")
    if language and language not in LANGUAGES:
        raise ConfigError(f"a report has no language {language!r}; there are {', '.join(LANGUAGES)}")
    writer = _writer(report.WRITERS, format)
    part = path.with_name(f".{path.name}.part")
    try:
        try:
            writer.write(report, part, language)
            _sync(part)
            part.replace(path)
            _sync(path.parent)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigError(f"the report cannot be written to {path}: {error.strerror or error}") from error


def write_all(report: Head, files: Mapping[str, Path], *, language: str) -> None:
    """Write a report in several formats (format → path), going once through a plan's documents. Raises as `write` does.

    Each file is whole or not there; when one fails, the others are still written.
    """
    if not isinstance(report, Report):
        for each, path in files.items():
            write(report, each, path, language=language)
        return
    together(report, [partial(_written, each, path, language) for each, path in files.items()])


def _written(format: str, path: Path, language: str, report: Report) -> None:
    write(report, format, path, language=language)


def _writer(package: str, format: str) -> ModuleType:
    try:
        return importlib.import_module(f"{package}.{format}")
    except (ImportError, OSError) as error:  # OSError: WeasyPrint without the system's Pango
        extra = _EXTRAS[format]
        raise ConfigError(
            f"a report in {format} needs what is not installed ({error}): pip install 'offloader[{extra}]'"
        ) from error


def _sync(path: Path) -> None:
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
