"""Deletions in the CRM: a document whose link somebody deleted keeps its bytes for a time of grace.

Only what the CRM itself calls deleted starts the grace. What is merely not seen (a lost permission, rows that the
vendor took away, a sandbox) starts nothing, and a link that stands again ends it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from offloader.disposition.terms import Moved, follow_all
from offloader.errors import ConfigError
from offloader.ledger import Entry
from offloader.ledger.expiring import Waiting
from offloader.model import State
from offloader.moves.identity import check_identity
from offloader.moves.pages import pages
from offloader.moves.purged import purged
from offloader.moves.site import Site
from offloader.ports import LinkRequest, Status
from offloader.records import RecordRef, Records

_PAGE = 1000


@dataclass(slots=True)
class WatchReport:
    """How many links were looked for, and what was found. `unseen`: not found, but not called deleted by the CRM;
    `purged`: gone with records that a purge of ours deleted; `terms`: what became of terms whose dates have moved."""

    looked: int = 0
    started: int = 0
    waiting: int = 0
    cancelled: int = 0
    unseen: int = 0
    purged: int = 0
    terms: Moved = field(default_factory=Moved)


def watch(site: Site, *, sources: Collection[str] = ()) -> WatchReport:
    """Look for the link of every document whose original was removed, and note deletions and returns; follow terms
    whose dates have moved. Changes the ledger, and makes locks longer. Raises Refused for a CRM that is not the one it
    was.
    """
    names = [name for name in site.sources if not sources or name in sources]
    check_identity(site, names)
    report = WatchReport()
    for entries in pages(site, {State.DONE}, size=_PAGE):
        moved = [entry for entry in entries if entry.link is not None and entry.document.ref.source in names]
        _note(site, moved, report)
    report.terms = follow_all(site, names)
    report.waiting = len(site.ledger.waiting_deletions())
    return report


def recheck(site: Site, sources: Collection[str]) -> list[Waiting]:
    """Deletions of these sources whose grace is over, each looked for once more; what is back is cancelled."""
    now = site.context.now()
    over = {each.document: each for each in site.ledger.waiting_deletions() if each.due <= now}
    entries = [entry for entry in site.ledger.entries_by_pk(sorted(over)) if entry.document.ref.source in sources]
    evidence = _note(site, [entry for entry in entries if entry.link is not None], WatchReport())
    return [over[pk] for pk, said in evidence.items() if said]


def _note(site: Site, entries: Sequence[Entry], report: WatchReport) -> dict[int, str]:
    """Look for these documents' links, write down what that means, and give the evidence of deletion by document."""
    now, known = site.context.now(), {each.document for each in site.ledger.waiting_deletions()}
    found: dict[int, str] = {}
    standing: set[int] = set()
    for source in sorted({entry.document.ref.source for entry in entries}):
        mine = [entry for entry in entries if entry.document.ref.source == source]
        missing = _missing(site, source, mine)
        standing |= {entry.pk for entry in mine} - {entry.pk for entry in missing}
        ours = _purged(site, source, missing)
        report.purged += len(ours)
        found |= _evidence(site, source, [entry for entry in missing if entry.pk not in ours])
    by_pk = {entry.pk: entry for entry in entries}
    new = {pk: said for pk, said in found.items() if said and pk not in known}
    site.ledger.wait_for_deletions(
        [Waiting(pk, now, now + _grace(site, by_pk[pk]), said) for pk, said in sorted(new.items())]
    )
    back = sorted(standing & known)
    site.ledger.cancel_deletions(back, reason="its link stands in the CRM")
    report.looked += len(entries)
    report.started += len(new)
    report.cancelled += len(back)
    report.unseen += sum(not said for said in found.values())
    return found


def _missing(site: Site, source: str, entries: Sequence[Entry]) -> list[Entry]:
    """Those whose link is not found."""
    port, missing = site.sources[source], []
    size = port.capabilities.link_batch
    for start in range(0, len(entries), size):
        part = entries[start : start + size]
        requests = [LinkRequest(document=e.document, link=e.link, link_ref=e.link_ref) for e in part if e.link]
        outcomes = port.inspect(requests)
        missing += [entry for entry, each in zip(part, outcomes, strict=True) if each.status is Status.GONE]
    return missing


def _purged(site: Site, source: str, entries: Sequence[Entry]) -> set[int]:
    """Those whose link went with a record that a purge of ours deleted: their end is their retention's, not a user's
    deletion."""
    wanted: dict[str, set[int]] = {}
    for entry in entries:
        for parent in entry.document.parents:
            wanted.setdefault(str(RecordRef(source, parent.type, parent.id)), set()).add(entry.pk)
    return {pk for name in purged(site.ledger, source, wanted) for pk in wanted[name]}


def _evidence(site: Site, source: str, entries: Sequence[Entry]) -> dict[int, str]:
    """How it is known that each was deleted, in words without ids; empty where it is not."""
    try:
        records = site.records(source)
    except ConfigError:
        return dict.fromkeys((entry.pk for entry in entries), "")
    links = {entry.pk: _link_record(site, entry) for entry in entries}
    asked = {ref for ref in links.values() if ref is not None}
    asked |= {RecordRef(source, p.type, p.id) for e in entries if links[e.pk] is None for p in e.document.parents}
    said = dict(_said(records, sorted(asked)))
    return {entry.pk: _told(entry, links[entry.pk], said) for entry in entries}


def _link_record(site: Site, entry: Entry) -> RecordRef | None:
    """The row of the CRM that is, or holds, the document's link; None if it has none of its own."""
    ref = entry.document.ref
    if entry.document.strategy.in_place:
        return RecordRef(ref.source, ref.kind, ref.id)
    kind = site.sources[ref.source].capabilities.kind(ref.kind)
    name = entry.link_ref.get("document", "")
    return RecordRef(ref.source, kind.link_type, name) if kind.link_type and name else None


def _said(records: Records, refs: Sequence[RecordRef]) -> Iterator[tuple[RecordRef, Status]]:
    for type_ in sorted({ref.type for ref in refs}):
        mine = [ref for ref in refs if ref.type == type_]
        for start in range(0, len(mine), records.batch):
            part = mine[start : start + records.batch]
            try:
                yield from zip(part, records.gone(part), strict=True)
            except ConfigError:
                return  # the kind is no type of records, or may not be seen: nothing is certain


def _told(entry: Entry, link: RecordRef | None, said: Mapping[RecordRef, Status]) -> str:
    if link is not None:
        return f"the CRM has its {link.type} among what was deleted" if said.get(link) is Status.DONE else ""
    source = entry.document.ref.source
    parents = [RecordRef(source, parent.type, parent.id) for parent in entry.document.parents]
    if parents and all(said.get(parent) is Status.DONE for parent in parents):
        return "its link is gone, and the CRM has every record that it hung on among what was deleted"
    return ""


def _grace(site: Site, entry: Entry) -> timedelta:
    """The policy's days, and never fewer than those of the CRM's own bin."""
    ref = entry.document.ref
    kind = site.sources[ref.source].capabilities.kind(ref.kind)
    return timedelta(days=max(site.policies[ref.source].terms.ends.grace_days, kind.bin_days or 0))
