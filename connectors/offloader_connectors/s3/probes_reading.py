"""How a probe reads what it is told: nothing but the expected types, and the worst of what it finds counts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from dataclasses import field as _field
from typing import Any, TypeVar

from offloader_connectors.regions.evidence import Outcome, Result

#: entries of one listing that are looked through
MOST = 10_000
_LINES = 12
_SEVERITY = [*Outcome]
T = TypeVar("T")


class Unanswered(Exception):
    """A question has no usable answer; `outcome` says how bad that is."""

    def __init__(self, says: str, outcome: Outcome = Outcome.UNKNOWN) -> None:
        super().__init__(says)
        self.outcome = outcome


class Strange(Exception):
    """An answer is not of the documented shape."""


class Missing(Strange):
    """An answer lacks what it must have; some servers answer questions that they do not understand."""


def field(answer: object, name: str, kind: type[T]) -> T | None:
    """Read one field of an answer; None if it is not there. Raises Strange if it is of another type."""
    if not isinstance(answer, dict):
        raise Strange(f"an answer with {name} was expected")
    value = answer.get(name)
    if value is not None and (not isinstance(value, kind) or (kind is int and isinstance(value, bool))):
        raise Strange(f"{name} is no {kind.__name__}")
    return value


def need(answer: object, name: str, kind: type[T]) -> T:
    """Read one field that must be there. Raises Missing if it is not, Strange if it is of another type."""
    value = field(answer, name, kind)
    if value is None:
        raise Missing(f"{name} is missing")
    return value


def items(answer: object, name: str) -> list[dict[str, Any]]:
    """Read a list of structures; empty if it is not there. Raises Strange if it is anything else."""
    found = field(answer, name, list) or []
    if len(found) > MOST:
        raise Strange(f"{name} has more than {MOST} entries")
    if not all(isinstance(each, dict) for each in found):
        raise Strange(f"{name} holds something else than structures")
    return found


def strings(answer: object, name: str) -> list[str]:
    """Read a list of strings; empty if it is not there. Raises Strange if it is anything else."""
    found = field(answer, name, list) or []
    if len(found) > MOST or not all(isinstance(each, str) for each in found):
        raise Strange(f"{name} holds something else than strings, or too many")
    return found


def arn_part(arn: str, number: int) -> str:
    """Return one part of `arn:partition:service:region:account:resource`, counted from 0. Raises Strange if none."""
    parts = arn.split(":", 5)
    if len(parts) != 6 or parts[0] != "arn":
        raise Strange("a name that should be an ARN is none")
    return parts[number]


def bucket_of(arn_or_name: str) -> str:
    """Return the bucket's name out of its ARN, or the name itself."""
    return arn_part(arn_or_name, 5) if arn_or_name.startswith("arn:") else arn_or_name


def printable(text: str, longest: int = 300) -> str:
    """Make a server's or a user's words fit for a terminal: no control characters, and no more than so many."""
    shown = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text[: longest + 1])
    return shown if len(shown) <= longest else f"{shown[:longest]}…"


@dataclass(slots=True)
class Tally:
    """Adds up what one probe finds; the worst of it counts, and what was found stays found when a question fails."""

    #: what an answer without its content means: nothing of AWS, "no such question" of a server that imitates it
    empty: Outcome = Outcome.UNKNOWN
    answer: object = None
    outcome: Outcome = Outcome.OK
    lines: list[str] = _field(default_factory=list)
    places: dict[str, frozenset[str]] = _field(default_factory=dict)

    def add(self, outcome: Outcome, text: str) -> None:
        self.outcome = max(self.outcome, outcome, key=_SEVERITY.index)
        line = printable(text)
        if line not in self.lines:
            self.lines.append(line)

    def note(self, text: str) -> None:
        self.add(Outcome.NOTE, text)

    def unknown(self, text: str) -> None:
        self.add(Outcome.UNKNOWN, text)

    def violation(self, text: str) -> None:
        self.add(Outcome.VIOLATION, text)

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Ask in here; what cannot be answered is added up, and the probe goes on after it."""
        try:
            yield
        except Unanswered as error:
            self.add(error.outcome, str(error))
        except Missing as error:
            self.add(self.empty, f"an answer says nothing: {error}")
        except Strange as error:
            self.unknown(f"an answer is not as documented: {error}")

    def result(self, fine: str) -> Result:
        """Close the tally; `fine` is what to say when nothing was found."""
        more = len(self.lines) - _LINES
        says = "; ".join([*self.lines[:_LINES], *([f"and {more} more"] if more > 0 else [])])
        return Result(outcome=self.outcome, says=says or fine, places=self.places, answer=self.answer)
