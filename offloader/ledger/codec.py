"""Model values as JSON text and back.

Canonical and compact: equal values give equal text, and what is at its default is left out. A document is kept
without its versions, which have texts of their own; it names them by id.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
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


def load_all(texts: Iterable[str]) -> list[Any]:
    """The values of many JSON texts. One text after the other takes twice as long, and keeps each key anew."""
    return list(load(f"[{','.join(texts)}]"))


_STRATEGIES = {strategy.value: strategy for strategy in Strategy}


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
        strategy=_STRATEGIES[fields["strategy"]],
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
    return version_of(load(text))


def version_of(fields: dict[str, Any]) -> Version:
    """Build a version from what its JSON says, which it takes over."""
    if "checksum" in fields:
        fields["checksum"] = Checksum(*fields["checksum"])
    for name in ("created", "modified"):
        if name in fields:
            fields[name] = when(fields[name])
    return Version(**fields)


def item_text(item: PlanItem) -> str:
    """A plan item without its document's number as canonical JSON: a line of the plan as hashed and exported.

    Many documents share one decision, so the text is put together from parts that are kept; a test holds the whole
    equal to canonical JSON.
    """
    first, second, third, last = _decision_parts(item.decision)
    ref = item.ref
    return "".join(
        (
            f'{{{first}"etag":{_text(item.etag)},',
            "" if ref is None else f'"id":{_text(ref.id)},',
            second,
            "" if ref is None else f'"kind":{_text(ref.kind)},',
            f'{third}"size":{item.size},',
            "" if ref is None else f'"source":{_text(ref.source)},',
            last,
            f'"version_ids":{canonical(item.version_ids)},' if item.version_ids else "",
            f'"versions":{item.versions}}}',
        )
    )


_text = json.encoder.encode_basestring_ascii
#: texts of decisions by their identity, each with the decision so that it stays what it is
_parts: dict[int, tuple[Decision, tuple[str, str, str, str]]] = {}
_KEPT = 4096


def _decision_parts(decision: Decision) -> tuple[str, str, str, str]:
    """A decision's members as JSON: those that come before `etag`, before `kind`, before `size`, and the last ones."""
    known = _parts.get(id(decision))
    if known is not None:
        return known[1]
    members = {name: value for name, value in decision_facts(decision).items() if value is not None} | {
        "verdict": decision.verdict.value,
        "reasons": [[reason.code, reason.text, reason.rule, reason.origin] for reason in decision.reasons],
        "countries": sorted(decision.countries),
        "store": decision.store,
    }
    parts = ["", "", "", ""]
    for name in sorted(members):
        parts[sum(name > end for end in ("etag", "kind", "size"))] += f"{_text(name)}:{canonical(members[name])},"
    if len(_parts) >= _KEPT:
        _parts.clear()
    kept = (parts[0], parts[1], parts[2], parts[3])
    _parts[id(decision)] = (decision, kept)
    return kept


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
    ref = DocumentRef(fields["source"], fields["kind"], fields["id"]) if "id" in fields else None
    version_ids = tuple(fields.get("version_ids", ()))
    return PlanItem(document, decision, fields["etag"], fields["size"], fields["versions"], ref, version_ids)


def findings_text(findings: tuple[Finding, ...]) -> str:
    """Findings as canonical JSON."""
    return canonical([[f.severity.value, f.code, f.message, f.remedy, f.hides] for f in findings])


def findings(text: str) -> tuple[Finding, ...]:
    """Build findings from their JSON."""
    return tuple(Finding(Severity(severity), *rest) for severity, *rest in load(text))


def header_fields(header: PlanHeader) -> dict[str, Any]:
    """A plan's header, JSON-able."""
    return {
        "sources": list(header.sources),
        "policies": dict(header.policies),
        "proofs": {store: dict(proof) for store, proof in header.proofs.items()},
        "limits": dict(header.limits),
        "scope": dict(header.scope),
        "by": header.by,
        "created": _time(header.created),
    } | _compact(
        {
            "terms": {source: dict(terms) for source, terms in header.terms.items()},
            "approvals": dict(header.approvals),
            "caps": dict(header.caps),
            "pilot": dict(header.pilot),
        }
    )


def header_text(header: PlanHeader) -> str:
    """A plan's header as canonical JSON."""
    return canonical(header_fields(header))


def header(text: str) -> PlanHeader:
    """Build a plan's header from its JSON."""
    fields = load(text)
    return PlanHeader(**(fields | {"sources": tuple(fields["sources"]), "created": when(fields["created"])}))
