"""The columns of a plan of acts, as CSV and the spreadsheet have them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from offloader.reports.acts import codes
from offloader.reports.acts.model import Line
from offloader.reports.columns import Cell
from offloader.reports.sentences import ACTS
from offloader.reports.words import Words

_BETWEEN: Final = " | "
COLUMNS: Final[Mapping[str, Callable[[Line], Cell]]] = {
    "number": lambda line: line.number,
    "act": lambda line: line.act,
    "code": lambda line: line.code,
    "source": lambda line: line.source,
    "kind": lambda line: line.kind,
    "id": lambda line: line.id,
    "name": lambda line: line.name,
    "bytes": lambda line: line.bytes,
    "rule": lambda line: line.rule,
    "reasons": lambda line: _BETWEEN.join(f"{code}: {text}" if text else code for code, text in line.reasons),
    "with": lambda line: len(line.along),
    "along": lambda line: _BETWEEN.join(line.along),
    "copied": lambda line: _BETWEEN.join(line.copied),
    "at": lambda line: ", ".join(line.at),
    "to": lambda line: ", ".join(line.to),
    "outcome": lambda line: line.outcome,
    "detail": lambda line: line.detail,
}


def spoken(words: Words) -> dict[str, Callable[[Line], Cell]]:
    """The same in the reader's language."""

    def reasons(line: Line) -> str:
        said = ((code, words.told(text, ACTS)) for code, text in line.reasons)
        return _BETWEEN.join(f"{code}: {text}" if text else code for code, text in said)

    def state(line: Line) -> str:
        return words.say(codes.STATES[line.outcome].label) if line.outcome in codes.STATES else line.outcome

    return {
        **COLUMNS,
        "act": lambda line: words.say(codes.ACTS[line.act].label) if line.act in codes.ACTS else line.act,
        "reasons": reasons,
        "outcome": state,
        "detail": lambda line: words.told(line.detail, ACTS),
    }
