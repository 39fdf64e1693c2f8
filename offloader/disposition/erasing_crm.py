"""What an erasure does in the CRM: our link or the row goes, or one person's record is taken off a shared document.

Nothing counts as done that was not looked at again: the CRM is asked once more whether anything stands there.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

from offloader.disposition.erasure import DELETE, DETACHED, UNLINK
from offloader.errors import ConfigError, Conflict, Refused
from offloader.ledger import Entry
from offloader.ledger.disposing import Act
from offloader.model import Document, Parent, State
from offloader.moves.site import Site
from offloader.ports import LinkRequest, Status
from offloader.records import Deletion, RecordRef, Records

#: what happened in the CRM before: the original was removed after its move
REMOVE = "remove"
#: how an act in the CRM was checked
NOT_THERE, OFF = "not-there", "off"
_ENDED = (Status.DONE, Status.GONE)


def clear_crm(site: Site, entry: Entry, act: Act, evidence: dict[str, Any]) -> None:
    """Take the document's link away, and its row if the plan says so; `evidence` gets what was done, as far as it got.

    Raises Conflict if the CRM shows something else than the plan was made for, Refused if it does not let it go.
    """
    _check_original(site, entry, act)
    if "crm" not in evidence:
        evidence["crm"] = _removed(site, entry)
    done = {each["act"] for each in evidence["crm"]}
    if entry.link is not None and not entry.document.strategy.in_place and UNLINK not in done:
        _unlink(site, entry, evidence)
    if act.body["crm"] == DELETE and DELETE not in done:
        _delete(site, entry, evidence)


def others_of(document: Document, records: Collection[str]) -> tuple[Parent, ...]:
    """The records that a document hangs on, without these (TYPE:ID)."""
    return tuple(parent for parent in document.parents if f"{parent.type}:{parent.id}" not in records)


def detach(site: Site, entry: Entry, records: Collection[str]) -> dict[str, Any]:
    """Take a moved document's link off these records; it stays on the others, shared as before. Gives the evidence.

    Asked again, it finds that it is done. Raises Conflict if the link is otherwise than it was written: then whom it is
    shared with is for a person to see. Raises Refused if the CRM does not allow it.
    """
    source, name = site.sources[entry.document.ref.source], entry.document.ref.source
    assert entry.link is not None
    now = replace(entry.document, parents=others_of(entry.document, records))
    before = LinkRequest(document=entry.document, link=entry.link, attempted=True, link_ref=entry.link_ref)
    wanted = replace(before, document=now)
    found = source.inspect([wanted])[0]
    if found.status is not Status.DONE:
        found = source.inspect([before])[0]
        if found.status is Status.DONE:
            found = source.link([wanted])[0]
            if found.status is not Status.DONE:
                raise Refused(f"the CRM does not take it off the record: {found.reason or found.status}")
        elif found.status is not Status.GONE:
            raise Conflict(f"its link in the CRM is otherwise than it was written: {found.reason or found.status}")
    return {"source": name, "act": DETACHED, "at": now_of(site), "bin_days": None, "checked": OFF}


def now_of(site: Site) -> str:
    """This moment, as evidence has it."""
    return site.context.now().isoformat()


def _check_original(site: Site, entry: Entry, act: Act) -> None:
    """Raise Conflict if the CRM has an original that the plan took for gone."""
    if act.body["crm"] == DELETE or act.body["placeholder"] or entry.document.strategy.in_place:
        return
    if site.sources[entry.document.ref.source].fetch([entry.document.ref])[0] is not None:
        raise Conflict("its original is in the CRM, where it was gone when the plan was made: plan it again")


def _unlink(site: Site, entry: Entry, evidence: dict[str, Any]) -> None:
    assert entry.link is not None
    source = site.sources[entry.document.ref.source]
    request = LinkRequest(document=entry.document, link=entry.link, link_ref=entry.link_ref)
    outcome = source.unlink([request])[0]
    if outcome.status not in _ENDED:
        raise Refused(f"its link could not be taken away: {outcome.reason or outcome.status}")
    if source.inspect([request])[0].status is Status.DONE:
        raise Refused("the CRM calls its link deleted, and still has it")
    days = source.capabilities.kind(entry.document.ref.kind).bin_days
    evidence["crm"].append(_noted(site, entry, UNLINK, days))


def _delete(site: Site, entry: Entry, evidence: dict[str, Any]) -> None:
    """Delete the original, or the placeholder that was written over it."""
    records, rows = site.records(entry.document.ref.source), _rows(site, entry)
    for name, record in zip(rows, records.fetch(rows), strict=True):
        if record is None:
            continue
        deleted = records.delete([Deletion(name, record.etag)])[0]
        if deleted.status is Status.CONFLICT:
            raise Conflict(f"it changed in the CRM while it was read: {deleted.reason}")
        if deleted.status not in _ENDED:
            raise Refused(f"the CRM does not delete it: {deleted.reason or deleted.status}")
    if _stands(site, entry):
        raise Refused("the CRM still has it after its deletion")
    evidence["crm"].append(_noted(site, entry, DELETE, _bin_days(site, records, entry)))


def _rows(site: Site, entry: Entry) -> Sequence[RecordRef]:
    """The rows of the CRM that are to be deleted. Raises Conflict if there is something else than was planned for."""
    ref = entry.document.ref
    source = site.sources[ref.source]
    if _is_placeholder(entry):
        found = source.inspect([_request(entry)])[0]
        if found.status is Status.GONE and source.fetch([ref])[0] is None:
            return []
        if found.status is not Status.DONE:
            raise Conflict(f"something else stands where its placeholder was: {found.reason or found.status}")
        # a placeholder can stand in several rows, which its connector names in `link_ref`
        return [RecordRef(ref.source, ref.kind, each) for each in (entry.link_ref.get("rows") or ref.id).split()]
    now = source.fetch([ref])[0]
    if now is not None and (now.etag, _parents(now)) != (entry.document.etag, _parents(entry.document)):
        raise Conflict("it changed in the CRM since it was scanned: scan again, and plan it again")
    return [RecordRef(ref.source, ref.kind, ref.id)]


def _is_placeholder(entry: Entry) -> bool:
    """Whether our placeholder stands where the original was."""
    moved = all(version.state is State.DONE for version in entry.versions if not version.gone)
    return moved and entry.link is not None and entry.document.strategy.in_place


def _stands(site: Site, entry: Entry) -> bool:
    source = site.sources[entry.document.ref.source]
    if _is_placeholder(entry) and source.inspect([_request(entry)])[0].status is not Status.GONE:
        return True
    return source.fetch([entry.document.ref])[0] is not None


def _request(entry: Entry) -> LinkRequest:
    assert entry.link is not None
    return LinkRequest(document=entry.document, link=entry.link, link_ref=entry.link_ref)


def _parents(document: Document) -> set[tuple[str, str]]:
    return {(parent.type, parent.id) for parent in document.parents}


def _bin_days(site: Site, records: Records, entry: Entry) -> int | None:
    """Days for which the CRM's own bin keeps such a row, as it says itself; else what is known of the kind."""
    ref = entry.document.ref
    try:
        return records.describe(ref.kind).bin_days
    except ConfigError:
        return site.sources[ref.source].capabilities.kind(ref.kind).bin_days


def _removed(site: Site, entry: Entry) -> list[dict[str, Any]]:
    """When the original was removed after its move: the CRM's bin may hold it since then."""
    if entry.document.strategy.in_place:
        return []
    events = site.ledger.events(document=entry.pk)
    done = [event.at for event in events if event.to_state is State.DONE]
    days = site.sources[entry.document.ref.source].capabilities.kind(entry.document.ref.kind).bin_days
    return [_noted(site, entry, REMOVE, days) | {"at": done[-1]}] if done else []


def _noted(site: Site, entry: Entry, act: str, bin_days: int | None) -> dict[str, Any]:
    source = entry.document.ref.source
    return {"source": source, "act": act, "at": now_of(site), "bin_days": bin_days, "checked": NOT_THERE}
