"""The certificate of an erasure: what was erased where and when, by which evidence, and what was not, why, until when.

It names nobody: the subject and the documents by keyed hashes, which the controller alone can make again. Everything
in it stands in the ledger, so the same certificate can be made again later; what a lock still kept shows as gone then.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any

from offloader import __version__, signing
from offloader.audit import canonical
from offloader.disposition.erasing import evidence_of
from offloader.disposition.erasing_crm import NOT_THERE, OFF, REMOVE
from offloader.disposition.erasure import ARCHIVE, ERASE, GROUNDS, KEEP, KIND, REDACT
from offloader.disposition.subjects import request_of
from offloader.disposition.tombstones import subject_of
from offloader.errors import ConfigError
from offloader.ledger import PlanRow
from offloader.ledger.disposing import Act
from offloader.moves.sealing import PAGE, plan_of
from offloader.moves.site import Site

FORMAT = "offloader-erasure-certificate-1"
#: checks a certificate without offloader; stands beside it
CHECKER = "check_certificate.py"
#: states of acts whose documents are still there
_STAYED = ("held", "conflict", "failed")
#: events of the log that tell of the erasure
_EVENTS = ("erased", "redacted")
_HOW = (
    "HMAC-SHA-256 with the controller's key, 128 bits; `offloader erase find`, asked for the same person with the same "
    "words, prints it again"
)
#: what of a document lies in the CRM's bin, by what was done there
_IN_BIN = {
    REMOVE: "the original, in the CRM's own recycle bin",
    "unlink": "the link, in the CRM's own recycle bin",
}
_NOT_THERE = "asked again after the deletion, the CRM does not show it"
_TAKEN_OFF = "read back, the link hangs on the other records alone"


@dataclass(frozen=True, slots=True)
class Certificate:
    """The statement (JSON-able), and the compact JWS over it, empty where there is no key."""

    statement: Mapping[str, Any]
    signature: str

    def as_json(self) -> dict[str, Any]:
        return {**self.statement, "signature": self.signature}


def certify(site: Site, plan_id: str, *, backups: Mapping[str, str], organisation: str = "") -> Certificate:
    """The certificate of a plan of erasure, as far as it was carried out by now.

    `backups`: name of a back-up outside of offloader → the day on which it is overwritten. Raises ConfigError if there
    is no such plan, or it is of another kind or was never begun.
    """
    row = plan_of(site, plan_id)
    if row.header.disposes != KIND:
        raise ConfigError(f"plan {plan_id} is no plan of erasure")
    if row.status not in ("applying", "done"):
        raise ConfigError(f"plan {plan_id} is {row.status}: nothing was erased by it yet")
    acts = list(_acts(site, plan_id))
    now = site.context.now()
    statement = {
        "format": FORMAT,
        "made": now.isoformat(),
        "by": f"offloader {__version__}",
        "controller": organisation,
        "contacts": _contacts(site, row),
        **_request(site, row),
        "carried_out": _carried_out(acts),
        "summary": _summary(acts),
        "people": _people(site, row),
        "plan": {"id": row.id, "sha256": row.sha256, "made": row.created.isoformat(), "by": row.header.by},
        "approvals": [
            {**approval.statement, "signature": approval.signature} for approval in site.ledger.approvals(row.id)
        ],
        "documents": [_document(act) for act in acts if act.act == ERASE],
        "redacted": [_redacted(act) for act in acts if act.act == REDACT],
        "archived_records": [_record(act) for act in acts if act.act == ARCHIVE],
        "not_reached": [*_not_reached(acts, now), *_backups(site, backups)],
        "kept": [_kept(act) for act in acts if act.act not in (ERASE, ARCHIVE, REDACT) or act.state in _STAYED],
        "stays": _stays(site, acts),
        "recipients": _recipients(site, row, acts),
        "audit": _audit(site, plan_id),
    }
    key = site.audit.key()
    return Certificate(statement, signing.sign(statement, key) if key else "")


def _acts(site: Site, plan_id: str) -> Iterator[Act]:
    after = 0
    while page := site.ledger.acts(plan_id, after=after, limit=PAGE):
        after = page[-1].seq
        yield from page


def _request(site: Site, row: PlanRow) -> dict[str, Any]:
    name = row.header.scope.get("request")
    if not isinstance(name, str):
        why = "erased before, and found again after a restore"
        return {"request": None, "subject": None, "why": why, "ground": "GDPR Article 17(1)"}
    request = request_of(site, name)
    detail = request.detail
    answered, letter = detail.get("answered"), detail.get("ground")
    return {
        "request": {
            "id": request.id,
            "received": request.received.isoformat(),
            "due": request.due.isoformat(),
            "extended": detail.get("extended"),
            "extended_for": detail.get("extended_for"),
            "state": request.state,
            "answered": answered,
            "in_time": answered <= request.due.isoformat() if answered else None,
        },
        "subject": {"keyed_hash": request.subject_mark, "how": _HOW},
        "ground": f"GDPR Article 17(1)({letter}): {GROUNDS[letter]}" if letter else "GDPR Article 17(1)",
    }


def _contacts(site: Site, row: PlanRow) -> dict[str, str]:
    """Whom to turn to, as the policies' records of processing (Article 30) name them."""
    found = {}
    for name in ("controller", "joint_controllers", "dpo_contact"):
        said = (site.policies[source].terms.processing.get(name, "") for source in row.header.sources)
        each = (", ".join(value) if isinstance(value, tuple) else value for value in said)
        found[name] = "; ".join(dict.fromkeys(filter(None, each)))
    return found


def _people(site: Site, row: PlanRow) -> dict[str, str]:
    """Short name → name of those who made and judged the plan, as far as the configuration knows them."""
    names = {row.header.by, *(approval.person for approval in site.ledger.approvals(row.id))}
    return {name: site.people.persons[name].name for name in sorted(names) if name in site.people.persons}


def _carried_out(acts: Sequence[Act]) -> dict[str, str | None]:
    """When the first and the last thing was removed."""
    times = sorted(
        place["at"]
        for act in acts
        for name in ("crm", "copies", "catalog", "segments")
        for place in evidence_of(act).get(name, ())
        if place.get("act") != REMOVE
    )
    return {"from": times[0], "to": times[-1]} if times else {"from": None, "to": None}


def _summary(acts: Sequence[Act]) -> dict[str, int]:
    """How many documents there were, and what became of them: each is counted once."""
    about = [act for act in acts if act.part != "archive"]
    done = {kind: sum(act.act == kind and act.state == "done" for act in about) for kind in (ERASE, REDACT)}
    kept = sum(act.act == KEEP or bool(evidence_of(act).get("holds")) for act in about)
    waiting = len(about) - done[ERASE] - done[REDACT] - kept
    return {"found": len(about), "erased": done[ERASE], "redacted": done[REDACT], "kept": kept, "waiting": waiting}


def _document(act: Act) -> dict[str, Any]:
    evidence = evidence_of(act)
    return {
        "keyed_hash": act.body["mark"],
        "kind": act.part,
        "state": act.state,
        "versions": act.body.get("versions"),
        "known_as": f"{act.body['source']}/{act.part}/erased-{act.body['document']}" if act.state == "done" else None,
        "in_crm": [_in_crm(each) for each in evidence.get("crm", ())],
        "placeholder_in_crm": act.body["placeholder"],
        "copies": [_place(copy) for copy in evidence.get("copies", ())],
        "catalog_segments": [_place(place) for place in evidence.get("catalog", ())],
    }


def _redacted(act: Act) -> dict[str, Any]:
    evidence = evidence_of(act)
    return {
        "keyed_hash": act.body["mark"],
        "kind": act.part,
        "state": act.state,
        "others": act.body["others"],
        "in_crm": [_in_crm(each) for each in evidence.get("crm", ())],
        "catalog_segments": [_place(place) for place in evidence.get("catalog", ())],
        "stays": "bytes, title and file name, for the other records",
    }


def _in_crm(each: Mapping[str, Any]) -> dict[str, Any]:
    found = {name: each[name] for name in ("source", "act", "at", "bin_days")}
    return found | {"evidence": {OFF: _TAKEN_OFF, NOT_THERE: _NOT_THERE}.get(str(each.get("checked")), "")}


def _record(act: Act) -> dict[str, Any]:
    segments = evidence_of(act).get("segments", ())
    return {"keyed_hash": act.body["mark"], "state": act.state, "segments": [_place(place) for place in segments]}


def _place(copy: Mapping[str, Any]) -> dict[str, Any]:
    found = {name: copy[name] for name in ("store", "key", "at", "versions", "markers", "left") if name in copy}
    if copy.get("shared"):
        others = [f"document {number}" for number in copy.get("others", ())]
        more = copy.get("sharers", len(others)) - len(others)
        found["shared_with"] = [*others, *([f"{more} more"] if more else [])]
        evidence = "another document has the same bytes and keeps them there; the reference of this one is gone"
    elif copy["gone"]:
        evidence = "asked again after the deletion, the store has no object under this key"
    else:
        evidence = "still there"
    return found | {"gone": copy["gone"], "evidence": evidence}


def _not_reached(acts: Sequence[Act], now: datetime) -> Iterator[dict[str, Any]]:
    for act in acts:
        evidence = evidence_of(act)
        places = [place for name in ("copies", "catalog", "segments") for place in evidence.get(name, ())]
        for place in places:
            for left in place["left"]:
                until = left["until"]
                if not place["gone"] or until is None or datetime.fromisoformat(until) > now:
                    yield {"what": f"store {place['store']}, {place['key']}", "why": left["reason"], "until": until}
        yield from _bins(act, evidence, now)
        if act.act == ERASE and act.body["placeholder"]:
            why = "our placeholder with its link, which opens nothing any more: the CRM's administrator deletes it"
            yield {"what": f"CRM {act.body['source']}, {act.part} {act.body['mark']}", "why": why, "until": None}


def _bins(act: Act, evidence: Mapping[str, Any], now: datetime) -> Iterator[dict[str, Any]]:
    for each in evidence.get("crm", ()):
        if each["bin_days"] is not None:
            until = datetime.fromisoformat(each["at"]) + timedelta(days=each["bin_days"])
            if until > now:
                what = f"CRM {each['source']}, {act.part} {act.body['mark']}"
                why = _IN_BIN.get(each["act"], "the CRM's own recycle bin")
                yield {"what": what, "why": why, "until": until.isoformat()}


def _backups(site: Site, backups: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    for name, until in sorted(backups.items()):
        yield {"what": f"back-up {name}", "why": "back-ups are overwritten in their own rhythm", "until": until}
    for path in sorted(site.ledger.path.parent.glob(f"{site.ledger.path.name}.*.backup")):
        why = "a copy of the ledger from before an upgrade of its schema: delete the file"
        yield {"what": f"file {path.name}", "why": why, "until": None}


def _kept(act: Act) -> dict[str, Any]:
    evidence = evidence_of(act)
    ground = {KEEP: "Article 17(3)(b)"}.get(act.act, "Article 17(3)(e)" if act.state == "held" else "")
    why = "legal hold " + ", ".join(evidence["holds"]) if evidence.get("holds") else str(evidence.get("reason", ""))
    return {
        "keyed_hash": act.body["mark"],
        "kind": act.part,
        "why": why or str(act.body["reason"]),
        "ground": "" if act.state == "held" and not evidence.get("holds") else ground,
    }


def _stays(site: Site, acts: Sequence[Act]) -> list[dict[str, str]]:
    """What goes on existing about the documents, and why."""
    pks = [act.body["document"] for act in acts if act.act == ERASE]
    plans = site.ledger.plans_about(pks)
    told = {
        *plans,
        *(plan for pk in pks for name in (subject_of(pk), str(pk)) for plan, _ in site.ledger.acts_about(name)),
    }
    reports = sorted(
        report.id for mode in ("dry-run", "run") for report in site.ledger.reports(mode) if report.plan in told
    )
    found = [
        {
            "what": "event log",
            "why": "each event is part of a hash chain and proves that nothing was lost; events hold numbers, times, "
            "checksums and ids of the CRM, which lead to nothing any more, and no names",
        },
        {"what": f"plans of moves {', '.join(sorted(plans)) or 'none'}", "why": "sealed; they hold ids and no names"},
        {"what": "tombstones", "why": "keyed hashes, so that the erased stay erased after a restore"},
    ]
    holds = _holds_about(site, acts)
    if holds:
        why = (
            "ended or not, they are the proof that nothing under them was removed; they go on naming ids of the CRM, "
            "in the ledger and in objects holds/ of the stores, and neither names nor titles, but the matter's words"
        )
        found.append({"what": f"legal holds {', '.join(holds)}", "why": why})
    if reports:
        why = "files that were written earlier may print names (setting reports.names): delete them where they lie"
        found.append({"what": f"reports {', '.join(reports)}", "why": why})
    return found


def _holds_about(site: Site, acts: Sequence[Act]) -> list[str]:
    """Ids of holds, ended ones too, whose scope names one of these documents, or records: nothing tells afterwards
    whether these were the subject's.
    """
    numbers = {act.body.get("document") for act in acts}
    return [h.id for h in site.ledger.holds() if h.scope.records or numbers.intersection(h.scope.pks)]


def _recipients(site: Site, row: PlanRow, acts: Sequence[Act]) -> list[dict[str, str]]:
    """Whom the controller tells of the erasure (Article 19): the providers of the stores, and the CRM."""
    stores = sorted({copy["store"] for act in acts for copy in evidence_of(act).get("copies", ())})
    targets = {target.store: target.proof for target in site.targets()}
    found = []
    for name in stores:
        proof = targets.get(name)
        where = ", ".join(sorted(proof.countries)) if proof else "unknown"
        found.append({"recipient": f"provider of the store {name}", "place": where or "unknown"})
    for source in row.header.sources:
        where = ", ".join(site.homes.get(source, ())) or "as in its contract"
        found.append({"recipient": f"provider of the CRM {source}", "place": where})
    return found


def _audit(site: Site, plan_id: str) -> dict[str, Any]:
    """Where the event log tells of it, for `offloader audit prove`."""
    events, after = [], 0
    while page := site.ledger.events(after=after, limit=PAGE):
        after = page[-1].seq
        events += [each.seq for each in page if each.type in _EVENTS and each.data.get("plan") == plan_id]
    head = site.ledger.head()
    return {
        "events": events,
        "head": {"events": head.seq, "sha256": head.hash},
        "check": "`offloader audit prove NAME --out FILE`, with the name in `known_as`, proves a document's events "
        "against the signed checkpoints; `offloader audit verify` checks the whole log",
    }


def write(certificate: Certificate, directory: Path, languages: Sequence[str]) -> list[Path]:
    """Write the certificate as JSON, in each language as one HTML file, and what checks it; gives the files.

    Raises ConfigError if they cannot be written.
    """
    from offloader.disposition.certificate_page import page  # noqa: PLC0415

    value = certificate.as_json()
    name = f"certificate-{certificate.statement['plan']['id']}"
    texts = {directory / f"{name}.json": json.dumps(value, indent=2, ensure_ascii=True, sort_keys=True) + "\n"}
    digest = hashlib.sha256(canonical(certificate.statement).encode("ascii")).hexdigest()
    for language in languages:
        texts[directory / f"{name}.{language}.html"] = page(value, digest, language)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for path, text in texts.items():
            path.write_text(text, encoding="utf-8")
        (directory / CHECKER).write_bytes(files("offloader.checkers").joinpath(CHECKER).read_bytes())
    except OSError as error:
        raise ConfigError(f"the certificate cannot be written to {directory}: {error.strerror}") from error
    return [*texts, directory / CHECKER]
