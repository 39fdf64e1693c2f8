"""Rebuild: make the ledger anew from the catalogs in the stores alone.

A document comes back as done if its store says that its original was removed, else as linked: the next run asks the
CRM, and completes it. What was never stored (kept, blocked, to review) comes back with the next scan.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field

from offloader.errors import IntegrityError, OffloaderError
from offloader.ledger import Step
from offloader.model import DocumentRef, Link, State
from offloader.moves.catalog import PREFIX, Became, Described, read_segment
from offloader.moves.site import Site
from offloader.ports import Page

BATCH = 500
#: the way of a version from its first sight to each state that a catalog can tell
_WAY = (State.PLANNED, State.COPIED, State.VERIFIED, State.LINKED, State.DONE, State.RESTORED)


@dataclass(slots=True)
class RebuildReport:
    """What was found in the stores. `errors` has one line for each segment or document that is not as it should be."""

    documents: int = 0
    versions: int = 0
    states: dict[str, int] = field(default_factory=dict)
    segments: int = 0
    errors: list[str] = field(default_factory=list)


def rebuild(site: Site) -> RebuildReport:
    """Fill an empty ledger from every configured store, reading catalogs whole and asking for the size of each blob."""
    report = RebuildReport()
    newest: dict[DocumentRef, tuple[str, str]] = {}
    became: dict[DocumentRef, Became] = {}
    for _, line in _lines(site, report):
        if isinstance(line, Became):
            if line.ref not in became or became[line.ref].at < line.at:
                became[line.ref] = line
        else:
            mark = (line.written, _fingerprint(line))
            newest[line.document.ref] = max(newest.get(line.document.ref, ("", "")), mark)
    wanted = (
        line
        for store, line in _lines(site, None)
        if isinstance(line, Described)
        and newest.get(line.document.ref) == (line.written, _fingerprint(line))
        and newest.pop(line.document.ref)
        and _is_whole(site, store, line, report)
    )
    while batch := list(itertools.islice(wanted, BATCH)):
        _record(site, batch, became, report)
    site.ledger.record_event("rebuilt", data={"documents": report.documents, "segments": report.segments})
    return report


def _lines(site: Site, report: RebuildReport | None) -> Iterator[tuple[str, Described | Became]]:
    """Every line of every store's catalog; damaged segments are left out, and reported if there is a report."""
    for name, store in site.stores.items():
        for key, _ in store.list(PREFIX):
            if not key.endswith((".jsonl", ".states")):
                continue
            try:
                for line in list(read_segment(store, key)):
                    yield name, line
            except IntegrityError as error:
                if report is not None:
                    report.errors.append(str(error))
            if report is not None:
                report.segments += 1


def _fingerprint(line: Described) -> str:
    """Tells two lines of one document apart that were written at the same moment."""
    return f"{line.document.etag} {' '.join(copy.key for copy in line.copies.values())}"


def _is_whole(site: Site, store: str, line: Described, report: RebuildReport) -> bool:
    for copy in line.copies.values():
        try:
            found = site.stores[store].size(copy.key)
        except OffloaderError as error:
            report.errors.append(f"{line.document.ref}: {error}")
            return False
        if found != copy.held_size:
            what = "is missing" if found is None else f"has {found} bytes instead of {copy.held_size}"
            report.errors.append(f"{line.document.ref}: {copy.key} in the store {store} {what}")
            return False
    return True


def _record(site: Site, batch: list[Described], became: dict[DocumentRef, Became], report: RebuildReport) -> None:
    for (source, kind), lines in _by_kind(batch).items():
        page = Page(documents=tuple(line.document for line in lines))
        site.ledger.record_page(source, kind, page, since=None)
        steps: list[Step] = []
        links: list[tuple[int, Link, dict[str, str]]] = []
        for line in lines:
            entry = site.ledger.entry(line.document.ref)
            assert entry is not None
            last = became.get(line.document.ref)
            state = State.LINKED if last is None else last.state
            for version in entry.versions:
                copy = line.copies[version.version.id]
                steps += [
                    Step(version=version.pk, to=to, copy=copy if to is State.COPIED else None)
                    for to in _WAY[: _WAY.index(state) + 1]
                ]
            links.append((entry.pk, line.link, dict(last.link_ref) if last else {}))
            report.documents += 1
            report.versions += len(entry.versions)
            report.states[state.value] = report.states.get(state.value, 0) + 1
        site.ledger.advance(steps, links=links)


def _by_kind(batch: list[Described]) -> dict[tuple[str, str], list[Described]]:
    found: dict[tuple[str, str], list[Described]] = {}
    for line in batch:
        ref = line.document.ref
        found.setdefault((ref.source, ref.kind), []).append(line)
    return found
