"""Legal holds at work: which documents they cover, and what is left alone because of them."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from offloader.audit import canonical
from offloader.holds import Hold
from offloader.ledger import Entry
from offloader.model import Decision, Document, Reason, State, Verdict
from offloader.moves.site import Site

#: code of the decision about a document that a hold keeps where it is
HELD = "HELD"
#: key in the ledger: which holds there were when the last plan was made
_BASIS = "holds_basis"


class Holds:
    """The holds that stand. Looks a document's up by itself, its records and its owner; only the rest is tried out."""

    def __init__(self, standing: Iterable[Hold], *, ended: Iterable[Hold] = ()) -> None:
        self.standing = {hold.id: hold for hold in standing}
        self._ended = sorted(hold.id for hold in ended)
        self._by_name: defaultdict[str, list[Hold]] = defaultdict(list)
        self._by_pk: defaultdict[int, list[Hold]] = defaultdict(list)
        self._others: list[Hold] = []
        for hold in self.standing.values():
            self._sort_in(hold)

    @classmethod
    def of(cls, site: Site) -> Holds:
        """Read them now. Where the ledger may be written, holds that were added beside it get their events."""
        site.ledger.note_holds()
        every = site.ledger.holds()
        ended = [hold for hold in every if hold.released_at is not None]
        return cls((hold for hold in every if hold.released_at is None), ended=ended)

    @property
    def fingerprint(self) -> str:
        """Differs whenever a hold was added or has ended."""
        return hashlib.sha256(canonical([sorted(self.standing), self._ended]).encode()).hexdigest()

    def _sort_in(self, hold: Hold) -> None:
        scope = hold.scope
        if scope.documents:
            names: Sequence[str] = scope.documents
        elif scope.records:
            names = scope.records
        elif scope.owners:
            # a document without an owner is tried out under the empty name
            names = ("", *scope.owners)
        else:
            self._others.append(hold)
            return
        for name in dict.fromkeys(names):
            self._by_name[name].append(hold)
        for pk in scope.pks:
            self._by_pk[pk].append(hold)

    def covering(self, entry: Entry) -> tuple[str, ...]:
        """Ids of the holds that cover a document, sorted."""
        return self.covering_document(entry.pk, entry.document)

    def covering_document(self, pk: int, document: Document) -> tuple[str, ...]:
        """The same for a document (its versions may be left out) and its number in the ledger."""
        if not self.standing:
            return ()
        tried = [*self._others, *self._by_pk.get(pk, ()), *self._by_name.get(str(document.ref), ())]
        for parent in document.parents:
            tried += self._by_name.get(f"{parent.type}:{parent.id}", ())
        tried += self._by_name.get(document.owner or "", ())
        return tuple(sorted({hold.id for hold in tried if hold.scope.covers(pk, document)})) if tried else ()

    def freezing(self, entry: Entry) -> tuple[str, ...]:
        """Ids of those that forbid to move it."""
        return tuple(name for name in self.covering(entry) if self.standing[name].freezes_moves)

    def forbids_removal(self, entry: Entry) -> tuple[str, ...]:
        """Ids of those that forbid to remove any stored copy of it."""
        return self.covering(entry)

    def reason(self, ids: Sequence[str]) -> Reason:
        """Why something is left alone, naming holds and matters, never what somebody gave as the reason."""
        named = ", ".join(f"{name} (matter {self.standing[name].matter})" for name in ids)
        text = f"legal hold {named}: nothing is moved or removed until it is released"
        return Reason(HELD, text, rule=f"hold:{' '.join(ids)}")

    def decision(self, entry: Entry, decision: Decision, superseded: Collection[int] = ()) -> Decision:
        """What becomes of the decision about a document: it stays as it is if a hold keeps it there.

        A hold that lets moves go on still forbids to remove copies: a document of which the decision would take copies
        away, or replace an older one (`superseded`: versions' numbers), stays as well. Nothing is in the way of
        finishing what was done in place already, nor of noting that a document is gone.
        """
        covering = self.covering(entry)
        replaced = entry.document.strategy.in_place and any(each.state is State.LINKED for each in entry.versions)
        if not covering or entry.deleted or replaced:
            return decision
        ids = self.freezing(entry)
        wanted = decision.stores if decision.verdict is Verdict.MOVE else ()
        if not ids and (elsewhere(entry, wanted) or any(version.pk in superseded for version in entry.versions)):
            ids = covering
        if not ids:
            return decision
        reasons = tuple(self.reason([name]) for name in ids)
        return replace(decision, verdict=Verdict.KEEP, reasons=(*decision.reasons, *reasons), store=None, copies=())


def elsewhere(entry: Entry, wanted: Collection[str]) -> set[str]:
    """Stores other than the wanted ones that hold copies of a document which was not linked yet."""
    if any(version.state in (State.LINKED, State.DONE) for version in entry.versions):
        return set()
    return {copy.store for version in entry.versions for copy in version.copies}.difference(wanted)


def changed(site: Site, holds: Holds) -> bool:
    """Whether a hold was added or has ended since the last plan: what was held is decided again."""
    return (site.ledger.meta(_BASIS) or Holds(()).fingerprint) != holds.fingerprint


def settle(site: Site, holds: Holds) -> None:
    """Note that everything was decided under these holds."""
    if changed(site, holds):
        site.ledger.set_meta(_BASIS, holds.fingerprint)
