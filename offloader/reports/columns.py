"""One document as a line of a table: the columns of CSV and of the spreadsheet, in order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from typing import Final

from offloader.reports.model import Row
from offloader.reports.sentences import DUTY
from offloader.reports.words import Words

Cell = str | int | float | None


def moment(at: date | None) -> str:
    """A day, or a time in UTC to the second; empty for None."""
    if isinstance(at, datetime):
        return f"{at.isoformat(timespec='seconds')[:19]}Z"
    return "" if at is None else at.isoformat()


def _pairs(pairs: Iterable[tuple[str, str]]) -> str:
    return "; ".join(": ".join(pair) for pair in pairs)


#: column → its value; lists are joined by a space where their parts have none, else by "; "
COLUMNS: Final[Mapping[str, Callable[[Row], Cell]]] = {
    "number": lambda row: row.number,
    "verdict": lambda row: row.verdict,
    "code": lambda row: row.code,
    "source": lambda row: row.source,
    "kind": lambda row: row.kind,
    "id": lambda row: row.id,
    "name": lambda row: row.name,
    "bytes": lambda row: row.bytes,
    "versions": lambda row: row.versions,
    "mime": lambda row: row.mime,
    "created": lambda row: moment(row.created),
    "modified": lambda row: moment(row.modified),
    "checksum": lambda row: row.checksum,
    "parents": lambda row: "; ".join(map(" ".join, row.parents)),
    "signals": lambda row: "; ".join(row.signals),
    "jurisdictions": lambda row: " ".join(row.jurisdictions),
    "categories": lambda row: " ".join(row.categories),
    "reason": lambda row: row.reason,
    "rules": lambda row: " ".join(dict.fromkeys(rule for rule, *_ in row.rules if rule)),
    "narrowing": lambda row: row.narrowing,
    "permitted_countries": lambda row: " ".join(row.countries),
    "source_countries": lambda row: " ".join(row.source_countries),
    "store": lambda row: row.store,
    "store_countries": lambda row: " ".join(row.store_countries),
    "assurance": lambda row: row.assurance,
    "proof": lambda row: row.proof,
    "copies": lambda row: " ".join(row.copies),
    "bases": lambda row: " ".join(row.bases),
    "clauses": lambda row: " ".join(row.clauses),
    "keep_until": lambda row: moment(row.keep_until),
    "erase_by": lambda row: moment(row.erase_by),
    "retention": lambda row: "; ".join(row.retention),
    "holds": lambda row: " ".join(row.holds),
    "owner": lambda row: row.owner,
    "due": lambda row: moment(row.due),
    "saved_month_usd": lambda row: row.saved_month,
    "outcome": lambda row: row.outcome,
    "stored": lambda row: _pairs(row.stored),
    "sha256": lambda row: row.sha256,
    "done_at": lambda row: moment(row.done_at),
    "detail": lambda row: row.detail,
}


def spoken(words: Words) -> Mapping[str, Callable[[Row], Cell]]:
    """The same columns for a reader: sentences in the reader's language, as far as they are known."""
    return {
        **COLUMNS,
        "reason": lambda row: words.told(row.reason, row.code),
        "narrowing": lambda row: words.told(row.narrowing),
        "retention": lambda row: "; ".join(words.told(duty, DUTY) for duty in row.retention),
        "detail": lambda row: words.told(row.detail, row.code),
    }
