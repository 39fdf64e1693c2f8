"""The location proof of an Azure Blob store: every question asked, weighed, and kept as evidence."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from offloader.model import Assurance, LocationProof
from offloader_connectors import regions
from offloader_connectors.azure_blob.client import Clients
from offloader_connectors.azure_blob.options import AzureBlobOptions
from offloader_connectors.azure_blob.probes import PERMISSIONS, PROBES, QUESTIONS, REQUIRED, Inquiry, Tally
from offloader_connectors.regions.evidence import ABOUT, Outcome, Result, canonical, fingerprint, places, told, weigh

_BAD = {Assurance.VIOLATION: (Outcome.VIOLATION,), Assurance.UNPROVEN: (Outcome.UNKNOWN, Outcome.ABSENT)}


def prove(clients: Clients, options: AzureBlobOptions, name: str, now: datetime) -> LocationProof:
    """Ask everything afresh. Raises no error for bad news; a person's word only counts while it holds."""
    ends = options.attestation_ends
    attested = ends is not None and now < ends
    results = ask(clients, options, name, attested=attested)
    assurance = weigh(results, REQUIRED, provable=True, attested=attested)
    good = assurance in (Assurance.PROVEN, Assurance.ATTESTED)
    until = now + timedelta(hours=options.proof_hours)
    evidence = {probe: result.text() for probe, result in results.items()}
    atlas = regions.atlas()
    evidence[ABOUT] = canonical({"dates": dict(atlas.dates), "version": atlas.version})
    return LocationProof(
        store=name,
        assurance=assurance,
        countries=places(results),
        taken=now,
        expires=(min(until, ends) if assurance is Assurance.ATTESTED and ends else until) if good else now,
        summary=_summary(options, assurance, results),
        evidence=evidence,
        sha256=fingerprint(evidence),
        probes=told(results, QUESTIONS),
    )


def ask(clients: Clients, options: AzureBlobOptions, name: str, *, attested: bool) -> Mapping[str, Result]:
    """The result of every question, by name."""
    inquiry = Inquiry(clients, name, attested=attested)
    results = {}
    for probe, question in PROBES.items():
        tally = Tally(options)
        says = "there is no usable answer"
        with tally.answering(name):
            says = question(inquiry, tally)
        results[probe] = tally.result(says)
    return results


def _summary(options: AzureBlobOptions, assurance: Assurance, results: Mapping[str, Result]) -> str:
    """For a person who has to answer for the data: what is bad, else what was found."""
    if assurance in _BAD:
        bad = [results[probe].says for probe in results if results[probe].outcome in _BAD[assurance]]
        remedy = "" if options.arm or assurance is Assurance.VIOLATION else "; set arm, or have it attested"
        return f"{assurance.lower()}: {'; '.join(bad) or 'no place came to light'}{remedy}"
    where = ", ".join(
        f"{place} ({' '.join(sorted(codes))})"
        for place, codes in sorted({k: v for result in results.values() for k, v in result.places.items()}.items())
    )
    basis = "Azure's management API says so"
    if assurance is Assurance.ATTESTED:
        basis = f"{options.attested_by} attests it until {options.attested_until}"
    notes = [result.says for result in results.values() if result.outcome is Outcome.NOTE]
    return f"all copies are in {where}: {basis}{''.join(f'; {note}' for note in notes)}"


def role(options: AzureBlobOptions) -> dict[str, Any]:
    """Give a custom role that allows every question and nothing else ("Azure custom roles", Azure RBAC).

    It reads no document. Without `arm` the scope has to be filled in.
    """
    arm = options.arm
    group = f"{arm.subscription}/resourceGroups/{arm.resource_group}" if arm else "SUBSCRIPTION/resourceGroups/GROUP"
    return {
        "Name": f"offloader location proof of {options.account_name}",
        "IsCustom": True,
        "Description": "Lets offloader ask where an account keeps its bytes. It can read and change no document.",
        "Actions": [*PERMISSIONS],
        "NotActions": [],
        "DataActions": [],
        "NotDataActions": [],
        "AssignableScopes": [f"/subscriptions/{group}"],
    }
