"""What a location proof is made of: questions answered, weighed, kept as canonical JSON, and compared later.

Each question's result stands in `LocationProof.evidence` under the question's name, as canonical JSON of
`answer` (what the provider said, without what changes from call to call), `outcome`, `places` (region to country
codes) and `says` (a sentence).
"""

from __future__ import annotations

import enum
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from offloader.model import Assurance

#: characters of one answer's canonical JSON that are kept; of a longer one only its SHA-256 is
LONGEST = 32_768
#: levels of nesting that an answer may have
DEEPEST = 40
_SHOWN = 160
#: entry of the evidence that names the versions of tables and software; `compare` passes over it
ABOUT = "about"


class Outcome(enum.StrEnum):
    """What one question's answer means for the proof, from good to bad."""

    #: nothing speaks against the place
    OK = "ok"
    #: nothing speaks against it, but a person should know
    NOTE = "note"
    #: the server cannot answer such questions
    ABSENT = "absent"
    #: the configuration says not to ask
    SKIPPED = "skipped"
    #: forbidden, no answer, an answer that cannot be understood, or a place that cannot be known
    UNKNOWN = "unknown"
    #: bytes are, or can come, where they must not be
    VIOLATION = "violation"


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


def read(text: str) -> dict[str, Any]:
    """Read one result back from the evidence; an empty one if it is no such thing."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) and "outcome" in found else {}


def compare(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    """Say in words what is different between two proofs' evidence; nothing if only wording or versions are."""
    changes: list[str] = []
    for name in sorted({*old, *new} - {ABOUT}):
        if name not in new:
            changes.append(f"{name}: was part of the earlier proof, and is not looked at any more")
        elif name not in old:
            changes.append(f"{name}: was no part of the earlier proof; now {_short(_said(new[name]))}")
        elif old[name] != new[name]:
            before, after = read(old[name]), read(new[name])
            if before and after:
                changes.extend(f"{name}: {change}" for change in _changes(before, after))
            else:
                changes.append(f"{name}: was {_short(old[name])}, is {_short(new[name])}")
    return changes


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    found = []
    if before["outcome"] != after["outcome"]:
        found.append(f"was {before['outcome']}, is {after['outcome']}: {_short(after.get('says', ''))}")
    was, now = (_pairs(each.get("places")) for each in (before, after))
    found.extend(f"{place} is new among the places" for place in sorted(now - was))
    found.extend(f"{place} is no longer among the places" for place in sorted(was - now))
    found.extend(_differences("the answer", before.get("answer"), after.get("answer")))
    return found


def _pairs(found: object) -> set[str]:
    if not isinstance(found, dict):
        return set()
    return {
        f"{name} ({' '.join(map(str, codes)) if isinstance(codes, list) else codes})" for name, codes in found.items()
    }


def _differences(path: str, before: object, after: object) -> list[str]:
    if before == after:
        return []
    if isinstance(before, dict) and isinstance(after, dict):
        keys = sorted({*before, *after}, key=str)
        lines = (_differences(f"{path}, {key}", before.get(key), after.get(key)) for key in keys)
        return [line for each in lines for line in each]
    if isinstance(before, list) and isinstance(after, list):
        was, now = {*map(canonical, before)}, {*map(canonical, after)}
        return [f"{path}: {_short(item)} is new" for item in sorted(now - was)] + [
            f"{path}: {_short(item)} is gone" for item in sorted(was - now)
        ]
    return [f"{path}: was {_short(canonical(before))}, is {_short(canonical(after))}"]


def _said(text: str) -> str:
    return str(read(text).get("says", text))


def _short(text: object) -> str:
    shown = str(text)
    return shown if len(shown) <= _SHOWN else f"{shown[: _SHOWN - 1]}…"
