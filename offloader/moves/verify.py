"""Verify and reconcile: compare ledger, stores and CRM, changing nothing.

One symbol a document: `=` same, `-` missing in the store, `+` unknown to the ledger, `*` differs, `!` error.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from offloader.errors import OffloaderError
from offloader.ledger import Copy, Entry
from offloader.model import State
from offloader.moves.pages import entries_in, pages
from offloader.moves.purged import purged
from offloader.moves.site import Site
from offloader.ports import LinkRequest, Outcome, Status
from offloader.records import RecordRef

MOVED = frozenset({State.DONE})
HELD_IN_STORE = frozenset({State.VERIFIED, State.LINKED, State.DONE, State.RESTORED})
PAGE = 200


@dataclass(frozen=True, slots=True)
class Comparison:
    """How one document (or one unknown object of a store) compares."""

    symbol: str
    what: str
    detail: str = ""


@dataclass(slots=True)
class Comparisons:
    """Counts by symbol, and those that are not the same."""

    counts: Counter[str] = field(default_factory=Counter)
    differences: list[Comparison] = field(default_factory=list)

    @property
    def same(self) -> bool:
        return set(self.counts) <= {"="}

    def add(self, comparison: Comparison) -> None:
        self.counts[comparison.symbol] += 1
        if comparison.symbol != "=":
            self.differences.append(comparison)


def verify(site: Site, *, each: Callable[[Comparison], None] | None = None) -> Comparisons:
    """Read every stored copy back and compare its digest with the ledger's. Asks the CRM nothing."""
    result = Comparisons()
    for entry in entries_in(site, HELD_IN_STORE | {State.HELD}):
        _report(result, _copies(site, entry, deep=True) or Comparison("=", str(entry.document.ref)), each)
    return result


def reconcile(site: Site, *, deep: bool = False, each: Callable[[Comparison], None] | None = None) -> Comparisons:
    """Compare all three: what the ledger says, what the stores hold, what the CRM shows.

    `deep` reads every stored byte back; otherwise presence and size are compared.
    """
    result = Comparisons()
    loose: dict[int, Comparison] = {}
    for entries in pages(site, frozenset(State) - {State.ERASED}, size=PAGE):
        for comparison in _compare_page(site, entries, loose, deep=deep):
            _report(result, comparison, each)
    for comparison in _settled(site, loose):
        _report(result, comparison, each)
    for comparison in _unknown_objects(site):
        _report(result, comparison, each)
    return result


def _report(result: Comparisons, comparison: Comparison, each: Callable[[Comparison], None] | None) -> None:
    result.add(comparison)
    if each is not None:
        each(comparison)


def _copies(site: Site, entry: Entry, *, deep: bool) -> Comparison | None:
    """What is wrong with the stored copies of a document, None if nothing."""
    what = str(entry.document.ref)
    for version in entry.versions:
        if version.state in HELD_IN_STORE and not version.copies:
            return Comparison("-", what, f"version {version.version.number} has no copy in the ledger")
        for copy in version.copies:
            try:
                found = _problem(site, copy, deep=deep)
            except OffloaderError as error:
                return Comparison("!", what, str(error))
            if found is not None:
                return Comparison(found[0], what, f"version {version.version.number}: {found[1]}")
    return None


def _problem(site: Site, copy: Copy, *, deep: bool) -> tuple[str, str] | None:
    if copy.store not in site.stores:
        return "!", f"the store {copy.store} is not configured any more"
    store, where = site.stores[copy.store], f"{copy.key} in the store {copy.store}"
    if not deep:
        found = store.size(copy.key)
        if found is None:
            return "-", f"{where} is missing"
        return None if found == copy.held_size else ("*", f"{where} has {found} bytes, {copy.held_size} were stored")
    stored = store.stat(copy.key)
    if stored is None:
        return "-", f"{where} is missing"
    return None if stored.sha256 == copy.digest.sha256 else ("*", f"{where} holds other bytes")


def _compare_page(
    site: Site, entries: Sequence[Entry], loose: dict[int, Comparison], *, deep: bool
) -> Iterator[Comparison]:
    """Compare a page. Documents whose link is not as it was written are left out, and go into `loose`."""
    for source_name in {entry.document.ref.source for entry in entries}:
        mine = [entry for entry in entries if entry.document.ref.source == source_name]
        problems: dict[int, Comparison | None] = {entry.pk: _copies(site, entry, deep=deep) for entry in mine}
        try:
            found = _compare_crm(site, source_name, mine, problems)
        except OffloaderError as error:
            problems = {entry.pk: Comparison("!", str(entry.document.ref), str(error)) for entry in mine}
            found = {}
        loose |= {pk: comparison for pk, comparison in found.items() if problems[pk] is None}
        for entry in mine:
            if entry.pk not in loose:
                yield problems[entry.pk] or Comparison("=", str(entry.document.ref))


def _compare_crm(
    site: Site, source_name: str, entries: Sequence[Entry], problems: dict[int, Comparison | None]
) -> dict[int, Comparison]:
    """Note problems, and give the documents whose link is not as it was written."""
    loose: dict[int, Comparison] = {}
    source = site.sources[source_name]
    moved = [entry for entry in entries if {v.state for v in entry.versions} <= MOVED and entry.link is not None]
    requests = [LinkRequest(document=e.document, link=e.link, link_ref=e.link_ref) for e in moved if e.link is not None]
    for entry, outcome in zip(moved, source.inspect(requests) if requests else (), strict=True):
        if outcome.status is not Status.DONE:
            loose[entry.pk] = _misplaced(entry, outcome)
    fetched = source.fetch([entry.document.ref for entry in entries])
    for entry, document in zip(entries, fetched, strict=True):
        if problems[entry.pk] is not None:
            continue
        states = {version.state for version in entry.versions}
        what = str(entry.document.ref)
        if states <= MOVED:
            if document is not None and not document.strategy.in_place:
                problems[entry.pk] = Comparison("*", what, "the original is still in the CRM")
        elif document is None:
            if not entry.deleted:
                problems[entry.pk] = Comparison("*", what, "it is no longer in the CRM, and the ledger did not know")
        elif document.etag != entry.document.etag:
            problems[entry.pk] = Comparison("*", what, "it changed in the CRM since it was scanned")
    return loose


def _misplaced(entry: Entry, outcome: Outcome) -> Comparison:
    detail = f"its link in the CRM: {outcome.reason or outcome.status.value}"
    return Comparison("*", str(entry.document.ref), detail)


def _settled(site: Site, loose: Mapping[int, Comparison]) -> Iterator[Comparison]:
    """Compare links once more without the records that our purges took along: there, no link shall stand."""
    records: dict[str, set[str]] = {}
    pks = sorted(loose)
    parts = [pks[start : start + PAGE] for start in range(0, len(pks), PAGE)]
    for part in parts:
        for entry in site.ledger.entries_by_pk(part):
            records.setdefault(entry.document.ref.source, set()).update(_records(entry))
    gone = {source: purged(site.ledger, source, names) for source, names in records.items()}
    for part in parts:
        entries = site.ledger.entries_by_pk(part)
        for source in sorted({entry.document.ref.source for entry in entries}):
            mine = [entry for entry in entries if entry.document.ref.source == source]
            asked = [entry for entry in mine if gone[source].intersection(_records(entry))]
            yield from (loose[entry.pk] for entry in mine if entry not in asked)
            yield from _without(site, source, asked, gone[source])


def _records(entry: Entry) -> list[str]:
    ref = entry.document.ref
    return [str(RecordRef(ref.source, parent.type, parent.id)) for parent in entry.document.parents]


def _without(site: Site, source: str, entries: Sequence[Entry], gone: Collection[str]) -> Iterator[Comparison]:
    """How the links of documents compare that hung on records which are gone."""
    requests = []
    for entry in entries:
        assert entry.link is not None
        pairs = zip(entry.document.parents, _records(entry), strict=True)
        document = replace(entry.document, parents=tuple(parent for parent, name in pairs if name not in gone))
        requests.append(LinkRequest(document=document, link=entry.link, link_ref=entry.link_ref))
    try:
        outcomes = site.sources[source].inspect(requests) if requests else ()
    except OffloaderError as error:
        yield from (Comparison("!", str(entry.document.ref), str(error)) for entry in entries)
        return
    for entry, request, outcome in zip(entries, requests, outcomes, strict=True):
        alone = outcome.status is Status.GONE and not request.document.parents
        fits = alone or outcome.status is Status.DONE
        yield Comparison("=", str(entry.document.ref)) if fits else _misplaced(entry, outcome)


def _unknown_objects(site: Site) -> Iterator[Comparison]:
    """Stored documents that no ledger row names."""
    for name, store in site.stores.items():
        for key, size in store.list("documents/"):
            if not site.ledger.knows_key(name, key):
                yield Comparison("+", f"{name}:{key}", f"{size} bytes that the ledger does not know")
