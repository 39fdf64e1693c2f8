"""Rebuild: make the ledger anew from the catalogs in the stores alone.

A document comes back as done if a store says that its original was removed, as restored if one says as what it stands
in the CRM again, else as linked: the next run asks the CRM, and completes it. What was never stored (kept, blocked, to
review) comes back with the next scan.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from offloader.errors import IntegrityError, OffloaderError
from offloader.ledger import Copy, Step
from offloader.model import Document, DocumentRef, Link, State
from offloader.moves import mirrored
from offloader.moves.catalog import PREFIX, Became, Described, read_segment
from offloader.moves.site import Site
from offloader.moves.tombstoned import gather
from offloader.ports import Page

BATCH = 500
#: the way of a version from its first sight to each state that a catalog can tell
_WAY = (State.PLANNED, State.COPIED, State.VERIFIED, State.LINKED, State.DONE, State.RESTORED)


@dataclass(slots=True)
class RebuildReport:
    """What was found in the stores. `errors` has one line for each segment or copy that is not as it should be.

    `empty`: stores without anything of ours. A disk that is not mounted looks like that.
    """

    documents: int = 0
    versions: int = 0
    states: dict[str, int] = field(default_factory=dict)
    segments: int = 0
    #: legal holds that stand again
    holds: int = 0
    empty: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Newest:
    """The newest description of a document: when it was written, what it says, the store whose line is read again, and
    by store the newest line's time and copies: bytes may have come to lie under another key."""

    written: str
    fingerprint: str
    store: str
    held: dict[str, tuple[str, Mapping[str, Copy]]] = field(default_factory=dict)

    def take(self, store: str, line: Described) -> None:
        """Note another line that says the same."""
        self.written = max(self.written, line.written)
        if store not in self.held or self.held[store][0] < line.written:
            self.held[store] = (line.written, line.copies)


@dataclass(slots=True)
class _Index:
    """What a first reading of all catalogs has brought to light."""

    newest: dict[DocumentRef, _Newest] = field(default_factory=dict)
    became: dict[DocumentRef, Became] = field(default_factory=dict)
    #: earlier references of documents that were restored and then moved again
    former: dict[DocumentRef, DocumentRef] = field(default_factory=dict)

    def add(self, store: str, line: Described | Became) -> None:
        if isinstance(line, Became):
            known = self.became.get(line.ref)
            # Of two lines of one moment, the one that says as what the document stands again is the later.
            if known is None or (known.at, known.document is not None) < (line.at, line.document is not None):
                self.became[line.ref] = line
            return
        ref, fingerprint = line.document.ref, _fingerprint(line)
        known_line = self.newest.get(ref)
        if known_line is not None and known_line.fingerprint == fingerprint:
            known_line.take(store, line)
        elif known_line is None or (known_line.written, known_line.fingerprint) < (line.written, fingerprint):
            self.newest[ref] = _Newest(line.written, fingerprint, store, {store: (line.written, line.copies)})

    def settle(self) -> None:
        """Take the lives of one document under several references together."""
        for ref, became in self.became.items():
            new = became.document.ref if became.document is not None else ref
            if new != ref and new in self.newest and self.newest[new].written >= became.at:
                self.newest.pop(ref, None)
                self.former[new] = ref

    def fate(self, ref: DocumentRef) -> Became | None:
        """What became of a document after its newest description was written."""
        became = self.became.get(ref)
        return became if became is not None and became.at >= self.newest[ref].written else None

    def is_newest(self, store: str, line: Described) -> bool:
        found = self.newest.get(line.document.ref)
        return found is not None and (found.store, found.fingerprint) == (store, _fingerprint(line))


@dataclass(frozen=True, slots=True)
class _Found:
    """One document with its sound copies, a mapping from version ids for each store, and what became of it."""

    line: Described
    copies: Sequence[Mapping[str, Copy]]
    last: Became | None
    former: DocumentRef | None

    @property
    def first(self) -> Document:
        """The document under the earliest reference that is known."""
        return replace(self.line.document, ref=self.former) if self.former is not None else self.line.document

    @property
    def later(self) -> list[Document]:
        """What it became after that, in order."""
        found = [self.line.document] if self.former is not None else []
        return [*found, self.last.document] if self.last is not None and self.last.document is not None else found


def rebuild(site: Site) -> RebuildReport:
    """Fill an empty ledger from every configured store, reading catalogs whole and asking for the size of each blob.

    Tombstones come back too, so that what was erased is known for it, and legal holds.
    """
    report = RebuildReport()
    report.empty = [name for name, store in site.stores.items() if next(iter(store.list()), None) is None]
    index = _Index()
    for store, line in _lines(site, report):
        index.add(store, line)
    index.settle()
    found = _found(site, index, report)
    while batch := list(itertools.islice(found, BATCH)):
        _record(site, batch, report)
    gather(site)
    holds, problems = mirrored.gather(site)
    report.holds = sum(hold.released_at is None for hold in holds)
    report.errors += problems
    data = {"documents": report.documents, "segments": report.segments, "holds": report.holds}
    site.ledger.record_event("rebuilt", data=data)
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
    """Tells two descriptions of one document apart; equal in every store that holds the same versions."""
    copies = ((version.id, version.etag, line.copies[version.id].digest.sha256) for version in line.document.versions)
    return f"{line.document.etag} {' '.join(' '.join(each) for each in copies)}"


def _found(site: Site, index: _Index, report: RebuildReport) -> Iterator[_Found]:
    """Each document once, where at least one store has it whole."""
    for store, line in _lines(site, None):
        if not isinstance(line, Described) or not index.is_newest(store, line):
            continue
        ref = line.document.ref
        last = index.fate(ref)
        newest = index.newest.pop(ref)
        held = {name: copies for name, (_, copies) in newest.held.items()}
        sound = [copies for name, copies in sorted(held.items()) if _is_whole(site, name, ref, copies, report)]
        if sound:
            yield _Found(line, sound, last, index.former.get(ref))


def _is_whole(site: Site, store: str, ref: DocumentRef, copies: Mapping[str, Copy], report: RebuildReport) -> bool:
    for copy in copies.values():
        try:
            found = site.stores[store].size(copy.key)
        except OffloaderError as error:
            report.errors.append(f"{ref}: {error}")
            return False
        if found != copy.held_size:
            what = "is missing" if found is None else f"has {found} bytes instead of {copy.held_size}"
            report.errors.append(f"{ref}: {copy.key} in the store {store} {what}")
            return False
    return True


def _record(site: Site, batch: Sequence[_Found], report: RebuildReport) -> None:
    for (source, kind), documents in _by_kind(batch).items():
        page = Page(documents=tuple(found.first for found in documents))
        site.ledger.record_page(source, kind, page, since=None)
        steps: list[Step] = []
        links: list[tuple[int, Link, dict[str, str]]] = []
        for found in documents:
            entry = site.ledger.entry(found.first.ref)
            assert entry is not None
            for document in found.later:
                site.ledger.replace_document(entry.pk, document)
            state = State.LINKED if found.last is None else found.last.state
            way = _WAY[: _WAY.index(state) + 1]
            for version in entry.versions:
                copy, *further = (copies[version.version.id] for copies in found.copies)
                copied = Step(version=version.pk, to=State.COPIED, copy=copy, further=tuple(further))
                steps += [copied if to is State.COPIED else Step(version=version.pk, to=to) for to in way]
            links.append((entry.pk, found.line.link, dict(found.last.link_ref) if found.last else {}))
            report.documents += 1
            report.versions += len(entry.versions)
            report.states[state.value] = report.states.get(state.value, 0) + 1
        site.ledger.advance(steps, links=links)


def _by_kind(batch: Sequence[_Found]) -> dict[tuple[str, str], list[_Found]]:
    grouped: dict[tuple[str, str], list[_Found]] = {}
    for found in batch:
        ref = found.first.ref
        grouped.setdefault((ref.source, ref.kind), []).append(found)
    return grouped
