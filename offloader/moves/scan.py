"""Scan: list what the sources hold into the ledger. Resumes where an interrupted scan stopped."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from offloader.model import OWN_LINK, Finding
from offloader.moves.filling import note_filling
from offloader.moves.identity import check_identity, remember_newest
from offloader.moves.site import Site
from offloader.ports import Page


@dataclass(slots=True)
class ScanReport:
    """What a scan found. `blind_spots` are why it cannot claim to be complete."""

    documents: int = 0
    new_versions: int = 0
    changed: int = 0
    deleted: int = 0
    #: documents whose originals were removed and which hold bytes again, put there by a user or another program
    returned: list[str] = field(default_factory=list)
    full: list[str] = field(default_factory=list)
    blind_spots: list[Finding] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        return not self.blind_spots


def scan(site: Site, *, sources: Collection[str] = (), kinds: Collection[str] = (), full: bool = False) -> ScanReport:
    """List every kind of every named source (all, if none is named): incrementally where a scan was finished before.

    Raises Refused for a source that is not the CRM that it was, and what the source raises; pages recorded until then
    stay recorded.
    """
    report = ScanReport()
    for name, source in site.sources.items():
        if sources and name not in sources:
            continue
        check_identity(site, [name])
        for capability in source.capabilities.kinds:
            if not kinds or capability.kind in kinds:
                _scan_kind(site, name, capability.kind, report, full=full)
        note_filling(site, name)
    return report


def _scan_kind(site: Site, name: str, kind: str, report: ScanReport, *, full: bool) -> None:
    state = site.ledger.scan_state(name, kind)
    since = cursor = None
    if state is not None and state.cursor is not None and not full:
        since, cursor = state.since, state.cursor
    elif state is not None and not full:
        since = state.watermark
    if since is None:
        report.full.append(kind)
    for page in site.sources[name].scan(kind, since=since, cursor=cursor):
        documents = tuple(doc for doc in page.documents if doc.skip is None or doc.skip.code != OWN_LINK)
        kept = Page(
            documents=documents,
            deleted=page.deleted,
            cursor=page.cursor,
            watermark=page.watermark,
            blind_spots=page.blind_spots,
        )
        recorded = site.ledger.record_page(name, kind, kept, since=since)
        remember_newest(site, name, documents)
        report.documents += len(documents)
        report.new_versions += recorded.new_versions
        report.changed += recorded.changed
        report.deleted += recorded.deleted
        report.returned.extend(map(str, recorded.returned))
        report.blind_spots.extend(spot for spot in page.blind_spots if spot not in report.blind_spots)
        site.progress("scan", report.documents, None)
