"""Location proofs as the engine uses them: what a plan rests on, what has changed since, and what is kept of them.

The ledger keeps, for each store, the proof that was last accepted: the first good one, and every later one that shows
the same place. A good proof that shows another place is DRIFT, and closes the store for writes until a person
accepts it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from offloader.errors import Refused
from offloader.evidence import Baseline, canonical, compare
from offloader.ledger import Ledger
from offloader.ledger.reading import Reader
from offloader.model import Assurance, LocationProof
from offloader.moves.site import Site

_NONE: Mapping[str, Any] = {"proof": "not configured"}
_GOOD = (Assurance.PROVEN, Assurance.ATTESTED)


@dataclass(frozen=True, slots=True)
class Standing:
    """What the ledger knows of a store's place: the last accepted proof, and what closes the store since, if anything.

    Times are ISO 8601.
    """

    store: str
    baseline: Baseline | None
    closed: Mapping[str, Any] | None

    def as_json(self) -> dict[str, Any]:
        last = self.closed or {}
        known = self.baseline
        return {
            "assurance": last.get("assurance") or (known.assurance if known else None),
            "countries": last.get("countries") or (list(known.countries) if known else []),
            "accepted": {"assurance": known.assurance, "taken": known.taken, "expires": known.expires}
            if known
            else None,
            "closed_since": last.get("since"),
            "changes": last.get("changes", []),
            "summary": last.get("summary", ""),
        }


def verdict_of(proof: LocationProof) -> str:
    """The verdict and the places, in a line."""
    return f"{proof.assurance}:{' '.join(sorted(proof.countries))}"


def basis_of(proof: LocationProof) -> dict[str, Any]:
    """What a plan remembers of a proof, JSON-able."""
    return {
        "proof": verdict_of(proof),
        "summary": proof.summary,
        "sha256": proof.sha256,
        "taken": proof.taken.isoformat(),
        "expires": proof.expires.isoformat(),
        "evidence": dict(proof.evidence),
    }


def changes(planned: Mapping[str, Any] | None, proof: LocationProof) -> list[str]:
    """What a proof shows otherwise than the one that a plan rests on, in words; empty if nothing."""
    planned = planned or _NONE
    now = verdict_of(proof)
    why = "" if proof.changes else f" ({proof.summary})"  # what has drifted follows below anyway
    found = [] if planned["proof"] == now else [f"was {planned['proof']}, is {now}{why}"]
    if planned.get("sha256", "") == proof.sha256:
        return found
    return found + compare(planned.get("evidence", {}), proof.evidence)


def baseline_of(ledger: Reader, store: str) -> Baseline | None:
    """The store's last accepted proof; None if there was none yet."""
    text = ledger.meta(_accepted_key(store))
    return Baseline.read(text) if text else None


def standing(ledger: Reader, store: str) -> Standing:
    text = ledger.meta(_closed_key(store))
    return Standing(store, baseline_of(ledger, store), json.loads(text) if text else None)


def keep(site: Site, proof: LocationProof) -> None:
    """Put a proof that shows something new into the event log, with its raw answers, and remember it.

    A good one is what the next are compared with; any other only closes the store.
    """
    ledger, known = site.ledger, standing(site.ledger, proof.store)
    if proof.assurance in _GOOD:
        old = known.baseline
        if known.closed or old is None or (old.assurance, old.sha256) != (proof.assurance, proof.sha256):
            ledger.record_event("proof", data=_event(proof))
        _remember(ledger, proof)
        return
    last = known.closed or {}
    if (last.get("assurance"), last.get("sha256")) != (proof.assurance, proof.sha256):
        ledger.record_event("proof", data=_event(proof))
        closed = {
            "assurance": proof.assurance,
            "changes": proof.changes,
            "countries": sorted(proof.countries),
            "sha256": proof.sha256,
            "since": last.get("since") or proof.taken.isoformat(),
            "summary": proof.summary,
        }
        ledger.set_meta(_closed_key(proof.store), canonical(closed))


def accept(ledger: Ledger, proof: LocationProof, *, person: str, reason: str, changed: list[str]) -> None:
    """Make this proof the one that the next are compared with, because a person says so. Raises Refused if it is bad.

    `proof` is as the store gave it, not compared with anything; `changed` is what it shows otherwise.
    """
    if proof.assurance not in _GOOD:
        raise Refused(f"the place of {proof.store} is {proof.assurance}: {proof.summary}", rule="location-proof")
    data = {**_event(proof), "changes": changed, "person": person, "reason": reason}
    ledger.record_event("proof_accepted", data=data)
    _remember(ledger, proof)


def _event(proof: LocationProof) -> dict[str, Any]:
    said = {"store": proof.store, **basis_of(proof)}
    return {**said, "changes": list(proof.changes)} if proof.changes else said


def _remember(ledger: Ledger, proof: LocationProof) -> None:
    ledger.set_meta(_accepted_key(proof.store), Baseline.of(proof).text())
    if ledger.meta(_closed_key(proof.store)):
        ledger.set_meta(_closed_key(proof.store), "")


def _accepted_key(store: str) -> str:
    return f"proof:{store}"


def _closed_key(store: str) -> str:
    return f"proof-closed:{store}"
