"""What our own purges took along: records that are gone, on purpose, until a `purge restore` brings them back."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from offloader.ledger import Ledger
from offloader.ledger.disposing import Act
from offloader.records import RecordRef

#: `PlanHeader.disposes` of a purge
PURGE = "purge"
_PAGE = 1000


def purged(ledger: Ledger, source: str, wanted: Collection[str]) -> set[str]:
    """Those of these records (SOURCE/TYPE/ID) that a purge deleted, or that went with one that it deleted."""
    found: set[str] = set()
    plans = [row.id for row in ledger.plans() if row.header.disposes == PURGE and source in row.header.sources]
    for plan in plans if wanted else ():
        for act in _done(ledger, plan):
            found.update(name for name in _taken(source, act) if name in wanted)
    return found


def _done(ledger: Ledger, plan: str) -> Iterator[Act]:
    after = 0
    while acts := ledger.acts(plan, after=after, limit=_PAGE, states={"done"}):
        after = acts[-1].seq
        yield from acts


def _taken(source: str, act: Act) -> list[str]:
    return [act.subject, *(str(RecordRef(source, type_, id_)) for type_, id_, _ in act.body.get("with", ()))]
