"""Legal holds over records: on the record itself, on what it belongs to, and on documents that hang on it.

Unknown is held, as it is for documents.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from offloader.model import Document, DocumentRef, Parent, Reason
from offloader.moves.holding import Holds
from offloader.moves.site import Site
from offloader.records import Record

_PAGE = 2000


class HeldRecords:
    """The holds that stand now, over records."""

    def __init__(self, site: Site) -> None:
        self._holds = Holds.of(site)
        self.standing = bool(self._holds.standing)
        self.fingerprint = self._holds.fingerprint
        #: records on which a held document hangs: (source, type, id) → ids of holds
        self._by_document: defaultdict[tuple[str, str, str], set[str]] = defaultdict(set)
        after = 0
        while self.standing and (page := site.ledger.bare_documents(after=after, limit=_PAGE)):
            after = page[-1][0]
            for pk, document in page:
                for name in self._holds.covering_document(pk, document):
                    for parent in document.parents:
                        self._by_document[document.ref.source, parent.type, parent.id].add(name)

    def covering(
        self, record: Record, references: Sequence[tuple[str, str]], signals: Mapping[str, str]
    ) -> tuple[str, ...]:
        """Ids of the holds that cover a record, sorted. `references`: types and ids that its look-ups lead to."""
        if not self.standing:
            return ()
        ref = record.ref
        parents = (
            Parent(type=ref.type, id=ref.id, signals=signals),
            *(Parent(type=type_, id=id_) for type_, id_ in references),
        )
        stand_in = Document(
            ref=DocumentRef(ref.source, ref.type, ref.id),
            title="",
            versions=(),
            parents=parents,
            modified=record.modified,
        )
        # which look-up names the owner is the CRM's own affair: any of them may
        owners: Sequence[str | None] = sorted({id_ for _, id_ in references}) or [None]
        found = set(self._by_document.get((ref.source, ref.type, ref.id), ()))
        for name, hold in self._holds.standing.items():
            tried = owners if hold.scope.owners else owners[:1]
            if any(hold.scope.covers(0, replace(stand_in, owner=owner)) for owner in tried):
                found.add(name)
        return tuple(sorted(found))

    def on_document(self, document: Document) -> tuple[str, ...]:
        """Ids of the holds that cover a document which the ledger may not know yet, sorted."""
        return self._holds.covering_document(0, document)

    def reason(self, ids: Sequence[str]) -> Reason:
        """Why a record is left alone."""
        return self._holds.reason(ids)
