"""The evidence of location proofs, read back and compared: what changed about a place, in words.

An entry that is the canonical JSON of `answer`, `outcome`, `places` and `says` is told part by part; any other is
compared as it stands.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from offloader.countries import named
from offloader.model import Assurance, LocationProof

#: entry that names versions of tables and software: never compared
ABOUT = "about"
#: characters of an answer that a sentence shows
_SHOWN = 240
_GOOD = (Assurance.PROVEN, Assurance.ATTESTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """A proof that writes rested on, and that the next ones are compared with."""

    assurance: str
    countries: tuple[str, ...]
    sha256: str
    taken: str
    expires: str
    evidence: Mapping[str, str]

    @classmethod
    def of(cls, proof: LocationProof) -> Self:
        return cls(
            assurance=proof.assurance.value,
            countries=tuple(sorted(proof.countries)),
            sha256=proof.sha256,
            taken=proof.taken.isoformat(),
            expires=proof.expires.isoformat(),
            evidence=dict(proof.evidence),
        )

    def text(self) -> str:
        """The baseline as the ledger keeps it."""
        return canonical(asdict(self))

    @classmethod
    def read(cls, text: str) -> Self:
        value = json.loads(text)
        return cls(**{**value, "countries": tuple(value["countries"])})


def drift(baseline: Baseline, proof: LocationProof) -> list[str]:
    """What a good proof shows otherwise than the baseline, where that matters for the place; empty if nothing does.

    That is: a weaker verdict, other countries, another answer to a watched question. A proof that no write may rest
    on is no drift: it stops writes by itself, and nothing has to be accepted once it is good again.
    """
    if proof.assurance not in _GOOD:
        return []
    found = []
    if baseline.assurance == Assurance.PROVEN and proof.assurance is Assurance.ATTESTED:
        found.append("the place was PROVEN, and is only ATTESTED now")
    if gained := proof.countries - {*baseline.countries}:
        found.append(f"new among the countries: {named(gained)}")
    if lost := {*baseline.countries} - proof.countries:
        found.append(f"no longer among the countries: {named(lost)}")
    passing = {probe.id for probe in proof.probes if not probe.watched}
    was, now = (
        {name: text for name, text in each.items() if name not in passing}
        for each in (baseline.evidence, proof.evidence)
    )
    return found + compare(was, now)


def canonical(value: object) -> str:
    """JSON with sorted keys, no spaces, and every character as itself."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def read(text: str) -> dict[str, Any]:
    """One entry read back; an empty one if it does not have the parts."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) and "outcome" in found else {}


def compare(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    """What is different between two proofs' evidence, a sentence each; nothing if only wording or versions are."""
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
