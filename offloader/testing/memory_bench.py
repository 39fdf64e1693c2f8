"""The bench of `MemorySource`: shows how little a bench needs, and lets the fake run the suite first."""

from __future__ import annotations

import copy
from collections.abc import Sequence

from offloader.model import DocumentRef, Skip, VersionRef
from offloader.ports import KindCapabilities
from offloader.testing.bench import SeenLink, SourceBench
from offloader.testing.memory_source import MemorySource


class MemoryBench(SourceBench):
    """Plays the users of a `MemoryCrm`."""

    def __init__(self, source: MemorySource | None = None) -> None:
        # A page of two makes even a small scan one of several pages.
        self.source = self._memory = source or MemorySource(page=2)
        self._crm = self._memory.crm

    def make(self, kind: KindCapabilities, *bodies: bytes, name: str = "report.pdf", parents: int = 1) -> DocumentRef:
        records = [self._crm.record("Account", country="DE") for _ in range(parents)]
        return self._crm.document(kind.kind, *bodies, name=name, parents=records)

    def edit(self, ref: DocumentRef, data: bytes) -> None:
        self._crm.edit(ref, data)

    def reparent(self, ref: DocumentRef) -> None:
        self._crm.share(ref, self._crm.record("Account", country="FR"))

    def delete(self, ref: DocumentRef) -> None:
        self._crm.delete(ref)

    def bytes_of(self, ref: DocumentRef) -> Sequence[bytes] | None:
        return self._crm.bytes_of(ref)

    def links_to(self, url: str) -> int:
        return len(self._crm.links_to(url))

    def link_at(self, url: str) -> SeenLink:
        (row,) = self._crm.links_to(url)
        return SeenLink(row.title, row.owner, {key[1]: sharing for key, sharing in row.parents.items()})

    def drop_link(self, url: str) -> None:
        for row in self._crm.links_to(url):
            del self._crm.links[row.ref.id]

    def cut_next_body(self, ref: VersionRef) -> None:
        self._crm.cut.add(ref)

    def reader(self, ref: DocumentRef) -> str:
        user = self._crm.user("reader@example.com")
        for record in self._crm.rows[ref].parents:
            self._crm.grant(user, record)
        return user

    def stranger(self) -> str:
        return self._crm.user("stranger@example.com")

    def state(self) -> object:
        return copy.deepcopy((self._crm.rows, self._crm.links, self._crm.bin))

    def make_unmovable(self, kind: KindCapabilities) -> DocumentRef | None:
        return self._crm.document(kind.kind, b"logo", skip=Skip("asset", "pages of the CRM show this file"))

    def blind(self, ref: DocumentRef) -> bool:
        self._crm.hidden.add(ref)
        return True
