"""Location proofs as the engine uses them: what a plan rests on, what has changed since, and what is kept of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from offloader.model import LocationProof
from offloader.moves.site import Site

_LONGEST = 120
_NONE: Mapping[str, Any] = {"proof": "not configured"}


def verdict_of(proof: LocationProof) -> str:
    """The verdict and the places, in a line."""
    return f"{proof.assurance}:{' '.join(sorted(proof.countries))}"


def basis_of(proof: LocationProof) -> dict[str, Any]:
    """What a plan remembers of a proof, JSON-able."""
    return {
        "proof": verdict_of(proof),
        "sha256": proof.sha256,
        "taken": proof.taken.isoformat(),
        "expires": proof.expires.isoformat(),
        "evidence": dict(proof.evidence),
    }


def changes(planned: Mapping[str, Any] | None, proof: LocationProof) -> list[str]:
    """What a proof shows otherwise than the one that a plan rests on, in words; empty if nothing."""
    planned = planned or _NONE
    now = verdict_of(proof)
    found = [] if planned["proof"] == now else [f"was {planned['proof']}, is {now} ({proof.summary})"]
    if planned.get("sha256", "") == proof.sha256:
        return found
    before: Mapping[str, str] = planned.get("evidence", {})
    for name in sorted({*before, *proof.evidence}):
        was, is_ = before.get(name), proof.evidence.get(name)
        if was != is_:
            found.append(f"{name} was {_short(was)}, is {_short(is_)}")
    return found


def keep(site: Site, proof: LocationProof) -> None:
    """Put a proof that shows something new into the event log, with its raw answers."""
    key = f"proof:{proof.store}"
    known = f"{verdict_of(proof)} {proof.sha256}"
    if site.ledger.meta(key) != known:
        site.ledger.record_event("proof", data={"store": proof.store, "summary": proof.summary, **basis_of(proof)})
        site.ledger.set_meta(key, known)


def _short(value: str | None) -> str:
    if value is None:
        return "not known"
    return value if len(value) <= _LONGEST else f"{value[:_LONGEST]}…"
