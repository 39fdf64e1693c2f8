"""The reader's language: texts by gettext catalogs; numbers, sizes, dates and countries as it writes them."""

from __future__ import annotations

import io
from collections.abc import Iterable
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Final

from babel import Locale
from babel.dates import format_date, format_datetime
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_currency, format_decimal
from babel.support import NullTranslations, Translations

from offloader.reports.writing import LANGUAGES

#: which country's habits a language follows; English stands in the source, every other language has a catalog
_LOCALES: Final = {"en": "en_GB", "nl": "nl_NL"}
CATALOGS: Final = Path(__file__).with_name("locale")
_UNITS: Final = ("bytes", "kB", "MB", "GB", "TB", "PB")


class Words:
    """Says things in one language. What a catalog lacks comes in English."""

    def __init__(self, language: str) -> None:
        self.language = language or LANGUAGES[0]
        self.locale = Locale.parse(_LOCALES[self.language])
        self.translations = _catalog(self.language)

    def say(self, text: str) -> str:
        """A text of the catalog; empty stays empty."""
        return self.translations.gettext(text) if text else ""

    def number(self, value: float, places: int = 0) -> str:
        return str(format_decimal(round(value, places), locale=self.locale))

    def size(self, bytes: int) -> str:
        """Bytes in units of a thousand: "4.2 GB"."""
        value, unit = float(bytes), 0
        while value >= 1000 and unit < len(_UNITS) - 1:
            value, unit = value / 1000, unit + 1
        return f"{self.number(value, 1 if unit and value < 100 else 0)}\N{NO-BREAK SPACE}{_UNITS[unit]}"

    def dollars(self, value: float) -> str:
        return str(format_currency(value, "USD", locale=self.locale))

    def day(self, value: date | None) -> str:
        return str(format_date(value, "d MMMM y", locale=self.locale)) if value else "\N{EN DASH}"

    def moment(self, value: datetime | None) -> str:
        """A time in UTC, and it says so."""
        return f"{format_datetime(value, 'd MMMM y HH:mm', locale=self.locale)} UTC" if value else "\N{EN DASH}"

    def country(self, code: str) -> str:
        """A country's name; a part of it with its code behind ("Canada (CA-QC)"); unknown codes as they are."""
        nation, _, part = code.partition("-")
        name = self.locale.territories.get(nation) if len(nation) == 2 else None
        if name is None:
            return code
        return f"{name} ({code})" if part else str(name)

    def countries(self, codes: Iterable[str]) -> str:
        return ", ".join(sorted(self.country(code) for code in codes)) or "\N{EN DASH}"


@cache
def _catalog(language: str) -> NullTranslations:
    if language == LANGUAGES[0]:
        return NullTranslations()
    compiled = io.BytesIO()
    with (CATALOGS / language / "reports.po").open("rb") as file:
        write_mo(compiled, read_po(file, locale=language))
    compiled.seek(0)
    return Translations(compiled)


def marked(text: str) -> str:
    """Marks a text for the catalogs where it stands; `Words.say` says it."""
    return text
