"""What a location proof is made of: questions answered, weighed, and kept as canonical JSON.

Each question's result stands in `LocationProof.evidence` under the question's name, as canonical JSON of
`answer` (what the provider said, without what changes from call to call), `outcome`, `places` (region to country
codes) and `says` (a sentence).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from offloader.model import Assurance, Probe, ProbeVerdict

#: characters of one answer's canonical JSON that are kept; of a longer one only its SHA-256 is
LONGEST = 32_768
#: levels of nesting that an answer may have
DEEPEST = 40
#: entry of the evidence that names the versions of tables and software, which are never compared
ABOUT = "about"


Outcome = ProbeVerdict
_WORTH_A_REMEDY = (Outcome.NOTE, Outcome.ABSENT, Outcome.UNKNOWN, Outcome.VIOLATION)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a reader is told about one question beside its answer."""

    asks: str
    permissions: tuple[str, ...] = ()
    #: what can be done where the answer is not simply good
    remedy: str = ""
    #: whether another answer is a change of the place, even if nothing bad is in it
    watched: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One question's result. `places` gives the country codes of every region that it brought to light."""

    outcome: Outcome
    #: a sentence for a person who has to answer for the data
    says: str
    places: Mapping[str, frozenset[str]] = field(default_factory=dict)
    #: what the provider said; `clean` makes it JSON-able
    answer: object = None

    def text(self) -> str:
        """Return the result as it stands in the evidence."""
        answer = clean(self.answer)
        written = canonical(answer)
        if len(written) > LONGEST:
            answer = {"characters": len(written), "sha256": hashlib.sha256(written.encode()).hexdigest()}
        places = {name: sorted(countries) for name, countries in self.places.items()}
        return canonical(clean({"answer": answer, "outcome": str(self.outcome), "places": places, "says": self.says}))


def canonical(value: object) -> str:
    """Write JSON with sorted keys, no spaces, and every character as itself."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def fingerprint(evidence: Mapping[str, str]) -> str:
    """SHA-256, in hex, of the evidence's canonical JSON."""
    return hashlib.sha256(canonical(dict(evidence)).encode()).hexdigest()


def clean(value: object, depth: int = 0) -> Any:
    """Make a value JSON-able and the same for the same facts: lists are sorted, strange types become text."""
    if depth > DEEPEST:
        return "…"
    if isinstance(value, Mapping):
        return {_text(key): clean(each, depth + 1) for key, each in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return sorted((clean(each, depth + 1) for each in value), key=canonical)
    if value is None or isinstance(value, (bool, int)):
        return value
    return _text(value.isoformat() if isinstance(value, datetime) else value)


def _text(value: object) -> str:
    return str(value).encode("utf-8", "backslashreplace").decode()


def weigh(results: Mapping[str, Result], required: Iterable[str], *, provable: bool, attested: bool) -> Assurance:
    """Weigh all results; making any of them worse never makes the verdict better.

    `required` names what must have been answered. Without `provable` the provider's answers alone prove nothing.
    `attested`: a named person vouches, today, for what the server cannot say and for what is not asked.
    """
    outcomes = {name: result.outcome for name, result in results.items()}
    if Outcome.VIOLATION in outcomes.values():
        return Assurance.VIOLATION
    needed = [outcomes.get(name, Outcome.UNKNOWN) for name in required]
    if Outcome.UNKNOWN in needed or not places(results):
        return Assurance.UNPROVEN
    if provable and not {Outcome.ABSENT, Outcome.SKIPPED} & {*needed}:
        return Assurance.PROVEN
    return Assurance.ATTESTED if attested else Assurance.UNPROVEN


def places(results: Mapping[str, Result]) -> frozenset[str]:
    """Return the country codes of every place that came to light."""
    return frozenset().union(*(codes for result in results.values() for codes in result.places.values()))


def told(results: Mapping[str, Result], questions: Mapping[str, Question]) -> tuple[Probe, ...]:
    """The questions that have a result, in their own order, for a reader."""
    return tuple(
        Probe(
            id=name,
            question=question.asks,
            answer=results[name].says,
            verdict=results[name].outcome,
            permissions=question.permissions,
            remedy=question.remedy if results[name].outcome in _WORTH_A_REMEDY else "",
            watched=question.watched,
        )
        for name, question in questions.items()
        if name in results
    )
