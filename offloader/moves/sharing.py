"""Sharing: equal bytes of documents that are alike lie in a store once, where their policy says `duplicates: share`.

Nothing but a ledger's line says that a document has an object of another one's key: whoever takes a copy away removes
the object only if no other line is left (`Ledger.alone`). What is read from the CRM is shared only once the object was
read back, so each original goes by its own proof.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from offloader.errors import Transient
from offloader.ledger import Copy
from offloader.model import Decision, Digest, Document
from offloader.moves.site import Site
from offloader.ports import Target

#: what `Terms.duplicates` says where copies may be shared
SHARE = "share"


@dataclass(frozen=True, slots=True, order=True)
class Likeness:
    """What equal documents must share to lie as one copy: store, permitted countries, source, duties of keeping."""

    store: str
    countries: tuple[str, ...]
    source: str
    retention: tuple[str, ...]


def likeness(document: Document, store: str, decision: Decision | None) -> Likeness:
    """What a document must share with another. One about which nothing can be decided is like none but itself."""
    ref = document.ref
    if decision is None or not decision.countries:
        return Likeness(store, (), ref.source, (f"document {ref.kind}/{ref.id}",))
    retention = decision.retention
    duties: tuple[str, ...] = ()
    if retention is not None:
        dates = (retention.keep_until, retention.erase_by)
        waiting = (f"waiting {each}" for each in retention.waiting)
        duties = (*retention.rules, *waiting, *(day.isoformat() if day else "-" for day in dates))
    return Likeness(store, tuple(sorted(decision.countries)), ref.source, duties)


def decider(site: Site, targets: Sequence[Target] | None = None) -> Callable[[Document], Decision | None]:
    """Decides by the policies, and the proofs of this moment or those given; None for a source without a policy."""
    stores, now = site.targets() if targets is None else targets, site.context.now()

    def decided(document: Document) -> Decision | None:
        policy = site.policies.get(document.ref.source)
        return None if policy is None else policy.decide(document, stores, now)

    return decided


def shares(site: Site, source: str) -> bool:
    """Whether the policy of this source lets its documents share copies."""
    policy = site.policies.get(source)
    return policy is not None and policy.terms.duplicates == SHARE


@dataclass(slots=True)
class _Turn:
    """Those who store the same bytes in the same store wait for each other."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    waiting: int = 0


class Sharing:
    """The copies of one run that may rest on objects which are stored already. Used from its worker threads.

    An object that was found is kept from being removed until `settle`, when the ledger knows the copy (or never will).
    """

    def __init__(self, site: Site) -> None:
        self._site = site
        self._mutex = threading.Lock()
        self._turns: dict[tuple[str, str], _Turn] = {}
        #: by store and SHA-256: version, document and key of what this run has stored and the ledger does not know yet
        self._fresh: defaultdict[tuple[str, str], list[tuple[int, Document, str]]] = defaultdict(list)
        #: by version: what is pinned for it, and where it is fresh
        self._pinned: defaultdict[int, list[tuple[str, str]]] = defaultdict(list)
        self._places: defaultdict[int, list[tuple[str, str]]] = defaultdict(list)
        self._wanted = {name for name in site.sources if shares(site, name)}
        self._targets: tuple[Target, ...] = ()

    @contextmanager
    def turn(self, document: Document, store: str, digest: Digest) -> Iterator[bool]:
        """Whether the document may share at all; while inside, nobody else of this run stores the same bytes there."""
        if document.ref.source not in self._wanted:
            yield False
            return
        place = (store, digest.sha256)
        with self._mutex:
            turn = self._turns.setdefault(place, _Turn())
            turn.waiting += 1
        try:
            with turn.lock:
                yield True
        finally:
            with self._mutex:
                turn.waiting -= 1
                if not turn.waiting:
                    del self._turns[place]

    def find(self, version: int, document: Document, store: str, digest: Digest, *, own: str) -> Copy | None:
        """A copy for this version (a pk) on an object that has the bytes already, and was read back just now.

        `own` is the version's own key: an object under it is not looked for. None if no document that is alike has one.
        """
        decided = None
        mine: Likeness | None = None
        tried: set[str] = {own}
        for known, key in self._candidates(store, digest):
            other = self._document(known) if key not in tried else None
            if other is None or other.ref.source != document.ref.source:
                continue
            if decided is None or mine is None:
                decided = decider(self._site, self._proofs())
                mine = likeness(document, store, decided(document))
            if likeness(other, store, decided(other)) != mine:
                continue
            tried.add(key)
            copy = self._proven(version, store, key, digest)
            if copy is not None:
                return copy
        return None

    def keep(self, version: int, store: str, key: str) -> None:
        """Keep what lies under the version's own key until `settle`: another document may have it too, and lose it now.

        Raises Transient if it is being removed.
        """
        with self._mutex:
            if (store, key) in self._pinned[version]:
                return
        if not self._site.ledger.pins.take(store, key):
            raise Transient(f"{key} in the store {store} is being removed")
        with self._mutex:
            self._pinned[version].append((store, key))

    def stored(self, version: int, document: Document, copy: Copy) -> None:
        """Note what this run has stored, so that others find it before the ledger knows."""
        place = (copy.store, copy.digest.sha256)
        with self._mutex:
            self._fresh[place].append((version, document, copy.key))
            self._places[version].append(place)

    def settle(self, version: int) -> None:
        """The ledger knows the version's copies now, or they came to nothing: nothing more is kept for them."""
        with self._mutex:
            for place in self._places.pop(version, ()):
                left = [each for each in self._fresh.pop(place, ()) if each[0] != version]
                if left:
                    self._fresh[place] = left
            pinned = self._pinned.pop(version, ())
        for store, key in pinned:
            self._site.ledger.pins.drop(store, key)

    def close(self) -> None:
        """Settle everything that is left."""
        for version in {*self._places, *self._pinned}:
            self.settle(version)

    def _candidates(self, store: str, digest: Digest) -> Iterator[tuple[Document | int, str]]:
        """Documents (or their numbers) with these bytes, and the keys under which they lie."""
        with self._mutex:
            fresh = list(self._fresh.get((store, digest.sha256), ()))
        yield from ((document, key) for _, document, key in fresh)
        yield from self._site.ledger.equal(store, digest.sha256, digest.size)

    def _document(self, known: Document | int) -> Document | None:
        if isinstance(known, Document):
            return known
        found = self._site.ledger.entries_by_pk([known])
        return found[0].document if found else None

    def _proofs(self) -> tuple[Target, ...]:
        """Every store with a proof; they are taken anew when one that was good has run out."""
        now = self._site.context.now()
        with self._mutex:
            targets = self._targets
        good = [each.proof for each in targets if each.proof.usable_at(each.proof.taken)]
        if not targets or any(not proof.usable_at(now) for proof in good):
            targets = self._site.targets()
            with self._mutex:
                self._targets = targets
        return targets

    def _proven(self, version: int, store: str, key: str, digest: Digest) -> Copy | None:
        """Keep the object where it is, then read it back; None if it is going, or is not what it should be."""
        pins = self._site.ledger.pins
        if not pins.take(store, key):
            return None
        kept = False
        try:
            there = self._site.stores[store].stat(key)
            kept = there is not None and (there.sha256, there.size) == (digest.sha256, digest.size)
        finally:
            if not kept:
                pins.drop(store, key)
        if there is None or not kept:
            return None
        with self._mutex:
            self._pinned[version].append((store, key))
        return Copy(store, key, digest, self._site.context.now(), there.held)
