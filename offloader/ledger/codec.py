"""Model values as JSON text and back.

Canonical and compact: equal values give equal text, and what is at its default is left out. A document is kept
without its versions, which have texts of their own; it names them by id.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from offloader.audit import canonical
from offloader.ledger.values import PlanHeader, PlanItem
from offloader.model import (
    Checksum,
    Decision,
    Document,
    DocumentRef,
    Finding,
    Parent,
    Reason,
    Retention,
    Severity,
    Skip,
    Strategy,
    Verdict,
    Version,
)

load = json.loads


def _time(value: datetime | None) -> str | None:
    return value.isoformat() if value is not None else None


def when(text: str | None) -> datetime | None:
    """A stored time, or None."""
    return datetime.fromisoformat(text) if text else None


def _compact(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if value}


def document_fields(document: Document) -> dict[str, Any]:
    """Everything of a document but its reference and its versions' own fields."""
    return _compact(
        {
            "title": document.title,
            "versions": [version.id for version in document.versions],
            "parents": [
                [parent.type, parent.id, dict(parent.signals), dict(parent.sharing)] for parent in document.parents
            ],
            "owner": document.owner,
            "created": _time(document.created),
            "modified": _time(document.modified),
            "strategy": document.strategy.value,
            "etag": document.etag,
            "skip": [document.skip.code, document.skip.reason] if document.skip else None,
            "extra": dict(document.extra),
        }
    )


def facts(fields: Mapping[str, Any]) -> dict[str, Any]:
    """What a decision rests on besides the versions: if it differs, everything is decided afresh."""
    return {key: value for key, value in fields.items() if key not in ("versions", "etag", "modified")}


def document(ref: DocumentRef, fields: Mapping[str, Any], versions: Mapping[str, Version]) -> Document:
    """Build a document from its fields and its versions by id."""
    skip = fields.get("skip")
    return Document(
        ref=ref,
        title=fields.get("title", ""),
        versions=tuple(versions[name] for name in fields.get("versions", ())),
        parents=tuple(
            Parent(type=type_, id=name, signals=signals, sharing=sharing)
            for type_, name, signals, sharing in fields.get("parents", ())
        ),
        owner=fields.get("owner"),
        created=when(fields.get("created")),
        modified=when(fields.get("modified")),
        strategy=Strategy(fields["strategy"]),
        etag=fields.get("etag", ""),
        skip=Skip(*skip) if skip else None,
        extra=fields.get("extra", {}),
    )


def version_text(version: Version) -> str:
    """A version as canonical JSON."""
    return canonical(
        {
            "id": version.id,
            "number": version.number,
            "name": version.name,
            "size": version.size,
            "etag": version.etag,
            "current": version.current,
        }
        | _compact(
            {
                "size_slack": version.size_slack or None,
                "mime": version.mime,
                "checksum": [version.checksum.algorithm, version.checksum.hex] if version.checksum else None,
                "created": _time(version.created),
                "modified": _time(version.modified),
                "extra": dict(version.extra),
            }
        )
    )


def version(text: str) -> Version:
    """Build a version from its JSON."""
    fields = load(text)
    if "checksum" in fields:
        fields["checksum"] = Checksum(*fields["checksum"])
    for name in ("created", "modified"):
        if name in fields:
            fields[name] = when(fields[name])
    return Version(**fields)


def item_text(item: PlanItem) -> str:
    """A plan item's all but its document as canonical JSON."""
    decision = item.decision
    return canonical(
        {
            "verdict": decision.verdict.value,
            "reasons": [[reason.code, reason.text, reason.rule, reason.origin] for reason in decision.reasons],
            "countries": sorted(decision.countries),
            "store": decision.store,
            "etag": item.etag,
            "size": item.size,
            "versions": item.versions,
        }
        | _compact(decision_facts(decision))
    )


def decision_facts(decision: Decision) -> dict[str, Any]:
    """What a decision says besides its verdict, reasons, countries and store; JSON-able, None where it says nothing."""
    retention = decision.retention
    return {
        "copies": list(decision.copies) or None,
        "jurisdictions": list(decision.jurisdictions) or None,
        "categories": list(decision.categories) or None,
        "clauses": list(decision.clauses) or None,
        "bases": list(decision.bases) or None,
        "retention": None
        if retention is None
        else {
            "keep_until": retention.keep_until.isoformat() if retention.keep_until else None,
            "erase_by": retention.erase_by.isoformat() if retention.erase_by else None,
            "rules": list(retention.rules),
            "waiting": list(retention.waiting),
        },
    }


def _retention(fields: Mapping[str, Any] | None) -> Retention | None:
    if fields is None:
        return None
    days = [None if fields[name] is None else date.fromisoformat(fields[name]) for name in ("keep_until", "erase_by")]
    return Retention(days[0], days[1], tuple(fields["rules"]), tuple(fields["waiting"]))


def item(document: int, text: str) -> PlanItem:
    """Build a plan item from its document's pk and its JSON."""
    fields = load(text)
    decision = Decision(
        verdict=Verdict(fields["verdict"]),
        reasons=tuple(Reason(*reason) for reason in fields["reasons"]),
        countries=frozenset(fields["countries"]),
        store=fields["store"],
        copies=tuple(fields.get("copies", ())),
        jurisdictions=tuple(fields.get("jurisdictions", ())),
        categories=tuple(fields.get("categories", ())),
        clauses=tuple(fields.get("clauses", ())),
        bases=tuple(fields.get("bases", ())),
        retention=_retention(fields.get("retention")),
    )
    return PlanItem(document, decision, fields["etag"], fields["size"], fields["versions"])


def findings_text(findings: tuple[Finding, ...]) -> str:
    """Findings as canonical JSON."""
    return canonical([[f.severity.value, f.code, f.message, f.remedy, f.hides] for f in findings])


def findings(text: str) -> tuple[Finding, ...]:
    """Build findings from their JSON."""
    return tuple(Finding(Severity(severity), *rest) for severity, *rest in load(text))


def header_text(header: PlanHeader) -> str:
    """A plan's header as canonical JSON."""
    return canonical(
        {
            "sources": list(header.sources),
            "policies": dict(header.policies),
            "proofs": {store: dict(proof) for store, proof in header.proofs.items()},
            "limits": dict(header.limits),
            "scope": dict(header.scope),
            "by": header.by,
            "created": _time(header.created),
        }
    )


def header(text: str) -> PlanHeader:
    """Build a plan's header from its JSON."""
    fields = load(text)
    return PlanHeader(**(fields | {"sources": tuple(fields["sources"]), "created": when(fields["created"])}))
