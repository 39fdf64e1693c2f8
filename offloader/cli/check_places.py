"""A store's location proof in words: a paragraph for whoever answers for the data, the questions below it."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from offloader.countries import name_of, named
from offloader.evidence import Baseline
from offloader.model import Assurance, LocationProof, Probe, ProbeVerdict, Severity

SIGN: Mapping[Severity, str] = {Severity.OK: "ok     ", Severity.WARNING: "WARNING", Severity.ERROR: "ERROR  "}
_MARK: Mapping[ProbeVerdict, str] = {
    ProbeVerdict.OK: "ok",
    ProbeVerdict.NOTE: "note",
    ProbeVerdict.ABSENT: "no answer",
    ProbeVerdict.SKIPPED: "not asked",
    ProbeVerdict.UNKNOWN: "OPEN",
    ProbeVerdict.VIOLATION: "BAD",
}
_CODES = re.compile(r"\(([A-Z]{2}(?: [A-Z]{2})*)\)")


def as_json(proof: LocationProof, baseline: Baseline | None, now: datetime) -> dict[str, Any]:
    """Everything about one store, for a machine."""
    return {
        "assurance": proof.assurance,
        "countries": sorted(proof.countries),
        "country_names": {code: name_of(code) for code in sorted(proof.countries)},
        "words": paragraph(proof, baseline, now),
        "summary": proof.summary,
        "taken": proof.taken.isoformat(),
        "expires": proof.expires.isoformat(),
        "sha256": proof.sha256,
        "usable": proof.usable_at(now),
        "accepted": baseline.taken if baseline else None,
        "changes": list(proof.changes),
        "probes": [_probe_json(probe, proof) for probe in proof.probes],
    }


def lines(proof: LocationProof, baseline: Baseline | None, now: datetime) -> Iterator[str]:
    """Everything about one store, for a person."""
    sign = SIGN[Severity.OK if proof.usable_at(now) else Severity.ERROR]
    places = ", ".join(sorted(proof.countries)) or "nowhere that is known"
    yield f"{sign} {proof.store}: {proof.assurance} in {places}"
    yield f"  {paragraph(proof, baseline, now)}"
    yield from (f"  - {with_names(change)}" for change in proof.changes)
    for probe in proof.probes:
        yield f"  {_MARK[probe.verdict]:<9}  {probe.question} {_sentence(with_names(probe.answer))}"
        if probe.remedy:
            yield f"             What to do: {probe.remedy}"
        if probe.verdict is ProbeVerdict.UNKNOWN and probe.permissions:
            yield f"             Permissions that this question needs: {', '.join(probe.permissions)}"


def places_in_words(places: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """A line a store from what the ledger remembers of its last proofs, and what closes it, if anything does."""
    said = []
    for name, place in places.items():
        if place["assurance"] is None:
            continue
        where = f"store {name}: {place['assurance']} in {', '.join(place['countries']) or 'nowhere that is known'}"
        if place["closed_since"] is None:
            said.append(f"{where}, on {_day(place['accepted']['taken'])}")
        else:
            said.append(f"{where}; closed for new documents since {_day(place['closed_since'])}: {place['summary']}")
    return said


def paragraph(proof: LocationProof, baseline: Baseline | None, now: datetime) -> str:
    """What the proof means, for somebody who answers for the data and is no engineer."""
    if proof.assurance is Assurance.DRIFT:
        accepted = f", on {_day(baseline.taken)}" if baseline else ""
        return (
            f"The place of the store {proof.store} is not what it was when it was last accepted{accepted}. Nothing is "
            f"written to it. If the change below is meant, accept it with: offloader check --accept {proof.store} "
            '--reason "…"'
        )
    if proof.assurance is Assurance.VIOLATION:
        return (
            f"Documents in the store {proof.store} can come where they must not be, or into hands that must not have "
            "them. Nothing is written to it. "
            f"{_sentence(with_names(proof.summary))}"
        )
    if not proof.usable_at(now):
        open_questions = sum(probe.verdict is ProbeVerdict.UNKNOWN for probe in proof.probes)
        still = f" Questions without a usable answer: {open_questions}." if open_questions else ""
        return (
            f"Where documents in the store {proof.store} would be is not proven. Nothing is written to it.{still} "
            f"{_sentence(with_names(proof.summary))}"
        )
    why = "the provider itself has answered every question that decides it"
    if proof.assurance is Assurance.ATTESTED:
        why = "a person vouches for it, and nothing that can be asked speaks against it"
    several = (
        " The policy decides which documents may be in all of these countries." if len(proof.countries) > 1 else ""
    )
    return (
        f"Documents in the store {proof.store} are in {named(proof.countries)}, and nowhere else: {why}.{several} This "
        f"holds until {proof.expires:%Y-%m-%d %H:%M} UTC, and is asked again before anything is written after that. "
        f"{_sentence(with_names(proof.summary))}"
    )


def with_names(text: str) -> str:
    """The text with the names of countries in the place of their codes: "eu-central-1 (Germany)"."""
    return _CODES.sub(lambda match: f"({named(match[1].split())})", text)


def _sentence(text: str) -> str:
    begun = text[:1].upper() + text[1:]
    return begun if begun.endswith((".", "!", "?")) else f"{begun}."


def _day(moment: str) -> str:
    return moment[:10]


def _probe_json(probe: Probe, proof: LocationProof) -> dict[str, Any]:
    raw = proof.evidence.get(probe.id)
    with contextlib.suppress(ValueError):
        raw = None if raw is None else json.loads(raw)
    return {
        "id": probe.id,
        "question": probe.question,
        "answer": probe.answer,
        "verdict": probe.verdict,
        "permissions": list(probe.permissions),
        "remedy": probe.remedy,
        "watched": probe.watched,
        "raw": raw,
    }
