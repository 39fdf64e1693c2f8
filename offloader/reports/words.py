"""The reader's language: texts by gettext catalogs; numbers, sizes, dates and countries as it writes them."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Final

from babel import Locale
from babel.dates import format_date, format_datetime
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_currency, format_decimal
from babel.support import NullTranslations, Translations

from offloader.reports import sentences
from offloader.reports.message import Message
from offloader.reports.message import marked as _
from offloader.reports.writing import LANGUAGES

#: which country's habits a language follows; English stands in the source, every other language has a catalog
_LOCALES: Final = {"en": "en_GB", "nl": "nl_NL"}
CATALOGS: Final = Path(__file__).with_name("locale")
#: sentences that are held ready
_KEPT: Final = 16_384
#: a store's countries after its name, or one country alone
_PLACED: Final = re.compile(r"(?<=\S )\([A-Z]{2}(?:, [A-Z]{2})*\)$|^[A-Z]{2}$")
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

    def told(self, sentence: str, code: str = "") -> str:
        """A message, or a sentence of a decision or a proof, in this language; in its own words if it is unknown.

        `code` is the decision's or the reason's, where there is one: it makes the search short and sure.
        """
        if isinstance(sentence, Message):
            values = {name: self._value(value) for name, value in sentence.values.items()}
            return self.say(sentence.template).format(**values)
        return _told(self.language, sentence, code) or sentence

    def speaks(self, sentence: str, code: str = "") -> bool:
        """Whether `told` says a sentence in other words than its own."""
        return _told(self.language, sentence, code) not in (None, sentence)

    def foreign(self, sentence: str, code: str = "") -> bool:
        """Whether `told` leaves a sentence in its own words, which are not the reader's."""
        known = isinstance(sentence, Message) or _told(self.language, sentence, code) is not None
        return not known and self.language != LANGUAGES[0]

    def entry(self, column: str, value: str) -> str:
        """An entry of the record of processing: what offloader itself has written is said in this language."""
        if column in ("security_measures", "source"):
            return self.told(value, sentences.MEASURES)
        if column in ("recipients", "third_countries"):
            return "; ".join(_PLACED.sub(lambda match: self._placed(match[0]), part) for part in value.split("; "))
        return value

    def _placed(self, codes: str) -> str:
        names = self.countries(codes.strip("()").split(", "))
        return f"({names})" if codes.startswith("(") else names

    def scope(self, asked: Mapping[str, Any]) -> str:
        """What a plan was asked to be about."""
        named, pilot = asked.get("sources") or (), asked.get("pilot") or {}
        said = ", ".join(named) if named else self.say(_("every source"))
        if not pilot:
            return said
        text = _("{sources}; a pilot: {n} of {of} documents, drawn with the seed {seed}")
        values = {name: self._value(pilot.get(key, 0)) for name, key in (("n", "documents"), ("of", "of"))}
        return self.say(text).format(sources=said, seed=pilot.get("seed", ""), **values)

    def _value(self, value: object) -> str:
        if isinstance(value, Message):
            return self.told(value)
        if isinstance(value, (tuple, list)):
            return "".join(map(self._value, value))
        if isinstance(value, (int, float)):
            return str(format_decimal(value, format="#,##0.#######", locale=self.locale))
        return self.day(value) if isinstance(value, date) else str(value)

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


@lru_cache(_KEPT)
def _told(language: str, sentence: str, code: str) -> str | None:
    """The sentence in a language; None where none of it is known."""
    return sentences.said(sentence, code, Words(language)) if sentence else None


@cache
def _catalog(language: str) -> NullTranslations:
    if language == LANGUAGES[0]:
        return NullTranslations()
    compiled = io.BytesIO()
    with (CATALOGS / language / "reports.po").open("rb") as file:
        write_mo(compiled, read_po(file, locale=language))
    compiled.seek(0)
    return Translations(compiled)
