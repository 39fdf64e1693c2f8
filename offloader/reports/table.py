"""The documents for the browser's table: short arrays, each repeated text once."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any, Final

from offloader.reports.model import Row
from offloader.reports.sentences import DUTY
from offloader.reports.shown import line, shown
from offloader.reports.words import Words

#: the fields of a packed row in order; templates/report.js reads them by these names
FIELDS: Final[Sequence[str]] = (
    "number", "verdict", "code", "name", "source", "kind", "id", "bytes", "modified", "laws", "categories", "store",
    "places", "reason", "rules", "signals", "narrowing", "countries", "from", "parents", "versions", "mime",
    "created", "copies", "assurance", "proof", "bases", "keep_until", "erase_by", "retention", "holds", "clauses",
    "owner", "due", "saved_month", "checksum", "outcome", "stored", "sha256", "done_at", "detail",
)  # fmt: skip
_MOST = 50


class Packer:
    """Packs rows. A number in place of a text is its place in `texts`; lists are lists of such."""

    def __init__(self) -> None:
        self._places: dict[str, int] = {}
        #: place in `texts` → what stands before its sentence, the sentence, and its code
        self._sentences: dict[int, tuple[str, str, str]] = {}

    def row(self, row: Row) -> list[Any]:
        text, texts, sentence = self._text, self._texts, self._sentence
        return [
            row.number, text(row.verdict), text(row.code), line(row.name), text(row.source), text(row.kind),
            line(row.id), row.bytes, _day(row.modified), texts(row.jurisdictions), texts(row.categories),
            text(row.store), texts(row.store_countries), sentence(row.reason, row.code),
            [self._step(step) for step in row.rules[:_MOST]],
            [line(signal) for signal in row.signals[:_MOST]], sentence(row.narrowing, ""), texts(sorted(row.countries)),
            texts(row.source_countries), [line(" ".join(parent)) for parent in row.parents[:_MOST]], row.versions,
            text(row.mime), _day(row.created), texts(row.copies), text(row.assurance), text(row.proof),
            texts(row.bases), _day(row.keep_until), _day(row.erase_by),
            [sentence(duty, DUTY) for duty in row.retention], texts(row.holds),
            texts(row.clauses), text(row.owner), _day(row.due), row.saved_month, line(row.checksum), text(row.outcome),
            [line(": ".join(copy)) for copy in row.stored[:_MOST]], row.sha256, _day(row.done_at),
            sentence(row.detail, row.code),
        ]  # fmt: skip

    @property
    def texts(self) -> list[str]:
        return list(self._places)

    def said(self, words: Words) -> dict[int, str]:
        """Place in `texts` → the sentence there in the language of `words`, where it is known in it."""
        return {
            place: before + shown(words.told(sentence, code))
            for place, (before, sentence, code) in self._sentences.items()
            if words.speaks(sentence, code)
        }

    def _step(self, step: tuple[str, str, str, str]) -> int:
        *about, sentence = step
        before = "".join(f"{line(part)}\t" for part in about)
        place = self._text(before + line(sentence))
        self._sentences.setdefault(place, (before, sentence, step[1]))
        return place

    def _sentence(self, sentence: str, code: str) -> int:
        place = self._text(sentence)
        if sentence:
            self._sentences.setdefault(place, ("", sentence, code))
        return place

    def _text(self, text: str) -> int:
        return self._places.setdefault(shown(text), len(self._places))

    def _texts(self, texts: Iterable[str]) -> list[int]:
        return [self._text(text) for text in texts]


def _day(day: date | None) -> str:
    return "" if day is None else f"{day:%Y-%m-%d %H:%M}" if isinstance(day, datetime) else day.isoformat()


def embedded(value: Any) -> str:
    """JSON that can stand inside a script element: nothing in it can end the element."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
