"""Tombstones: written when something is erased, and played back when it is there again.

A restored ledger, store or CRM shows what was erased. The list of tombstones lies in the ledger and in the stores;
whatever it names goes into a new plan of erasure, and is not moved meanwhile.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from offloader.ledger import Entry, PlanRow
from offloader.ledger.erasing import tombstone
from offloader.model import DocumentRef, State
from offloader.moves import tombstoned
from offloader.moves.pages import pages
from offloader.moves.site import Site
from offloader.moves.tombstoned import Tombstones

_PAGE = 2000


def bury(site: Site, refs: Iterable[DocumentRef], *, ground: str, plan: str) -> dict[DocumentRef, str]:
    """Keep a tombstone for each document, in the stores first and then in the ledger; gives their marks.

    `ground` is a word or an article ("art17", "retention NL-R5"), never a name. Raises what the stores raise if none of
    them takes the tombstones.
    """
    marks = {ref: tombstoned.mark(site.links, ref) for ref in refs}
    if marks:
        now = site.context.now()
        known = site.ledger.tombstones(list(marks.values()))
        stones = [tombstone(mark, now, ground, plan) for mark in sorted(set(marks.values()) - set(known))]
        if stones:
            tombstoned.write(site.stores.values(), stones)
            site.ledger.bury(stones)
    return marks


def returned(site: Site, states: Collection[State] | None = None) -> list[Entry]:
    """Documents of the ledger that have a tombstone and are not erased, oldest first, but for those that are in an open
    plan of erasure already. With `states`, only those that have a version in one of them."""
    known = Tombstones(site)
    if known.empty:
        return []
    if states is not None:
        entries = [each for page in pages(site, states, size=_PAGE) for each in page]
        return [each for each in entries if known.of(each.document.ref) is not None and not _planned(site, each.pk)]
    found = []
    for pk, ref in _refs(site):
        if known.of(ref) is not None and not _planned(site, pk):
            found.append(pk)
    entries = site.ledger.entries_by_pk(found)
    return [entry for entry in entries if not all(each.state is State.ERASED for each in entry.versions)]


def _refs(site: Site) -> Iterator[tuple[int, DocumentRef]]:
    after = 0
    while page := site.ledger.bare_documents(after=after, limit=_PAGE):
        after = page[-1][0]
        yield from ((pk, document.ref) for pk, document in page)


def _planned(site: Site, pk: int) -> bool:
    """Whether a plan of erasure that is not carried out yet names the document."""
    return any(
        _open(site.ledger.plan(plan)) and act.act in ("erase", "review", "keep", "left")
        for plan, act in site.ledger.acts_about(subject_of(pk))
    )


def _open(row: PlanRow) -> bool:
    return row.header.scope.get("plan") == "erase" and row.status in ("sealed", "applying")


def subject_of(pk: int) -> str:
    """What an act calls the document with this number."""
    return f"document:{pk}"
