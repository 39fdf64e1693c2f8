"""What was erased stays erased: tombstones in the ledger and in the stores, and the documents that come back.

A tombstone is a keyed hash (with the key of the links) of what a document was called: without the key nobody can tell
whose it was, with it a document that a restored CRM, store or ledger shows again is recognised.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import replace

from offloader.audit import canonical
from offloader.errors import IntegrityError, OffloaderError
from offloader.ledger.erasing import Tombstone
from offloader.model import Decision, DocumentRef, Reason, Verdict
from offloader.moves.site import Links, Site
from offloader.ports import Store

PREFIX = "tombstones/"
#: code of the decision about a document that was erased and is there again
RETURNED = "RETURNED"
# no name in the configuration has this character: a mark is never a link's id
_APART = "\x1f"
_FIELDS = ("hash", "at", "ground", "plan")


def mark(links: Links, ref: DocumentRef) -> str:
    """The keyed hash of a document's name, 32 hex digits."""
    return links.link(DocumentRef(f"tombstone{_APART}{ref.source}", ref.kind, ref.id)).id


def subject_mark(links: Links, subject: str) -> str:
    """The keyed hash of a data subject's name."""
    return links.link(DocumentRef(f"subject{_APART}", "", subject)).id


def write(stores: Iterable[Store], stones: Iterable[Tombstone]) -> list[str]:
    """Keep tombstones in every store, as one segment that is named by its own hash; gives the stores that took it.

    One that cannot take it is passed over. Raises the last store's error if none took it.
    """
    body = "".join(f"{canonical(stone.as_json())}\n" for stone in stones).encode("ascii")
    key = f"{PREFIX}{_name(body)}.jsonl"
    taken: list[str] = []
    last: OffloaderError | None = None
    for store in stores:
        try:
            store.put(key, [body])
            taken.append(store.name)
        except OffloaderError as error:
            last = error
    if not taken and last is not None:
        raise last
    return taken


def gather(site: Site) -> int:
    """Read the tombstones of every store into the ledger; says how many were new.

    Raises IntegrityError naming a segment that is damaged, and what the stores raise.
    """
    found: list[Tombstone] = []
    for store in site.stores.values():
        for key, _ in store.list(PREFIX):
            found += _read(store, key)
    return site.ledger.bury(found)


def _read(store: Store, key: str) -> list[Tombstone]:
    body = b"".join(store.read(key))
    if key != f"{PREFIX}{_name(body)}.jsonl":
        raise IntegrityError(f"{key} in the store {store.name} is not what was written")
    try:
        rows = [json.loads(line) for line in body.splitlines()]
        return [Tombstone(*(str(row[name]) for name in _FIELDS)) for row in rows]
    except (ValueError, KeyError, TypeError) as error:
        raise IntegrityError(f"{key} in the store {store.name} has a line that cannot be read") from error


def _name(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()[:32]


class Tombstones:
    """All that are known, to be compared with documents."""

    def __init__(self, site: Site) -> None:
        self._links = site.links
        self._known = site.ledger.tombstones()

    @property
    def empty(self) -> bool:
        return not self._known

    def of(self, ref: DocumentRef) -> Tombstone | None:
        """The tombstone of a document; None if it was never erased."""
        return self._known.get(mark(self._links, ref)) if self._known else None

    def decision(self, ref: DocumentRef, decision: Decision) -> Decision:
        """What becomes of a decision: a document that was erased is not moved again without a person."""
        stone = self.of(ref)
        if stone is None:
            return decision
        text = f"it was erased on {stone.at[:10]} ({stone.ground}) and is there again: see `offloader erase replay`"
        reason = Reason(RETURNED, text, rule=f"tombstone:{stone.plan}")
        return replace(decision, verdict=Verdict.REVIEW, reasons=(*decision.reasons, reason), store=None, copies=())
