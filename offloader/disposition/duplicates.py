"""Duplicates: equal bytes found across the ledger. A report; nothing is changed.

Equal bytes are one thing only to a disk. What may lie as one copy is what shares a store, the countries where it may
lie, a source (one tenant), and the duties of keeping: otherwise erasing or holding the one would touch the other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from heapq import heappush, heappushpop
from typing import Any

from offloader.ledger import Entry
from offloader.model import Decision
from offloader.moves.sharing import Likeness, decider, likeness
from offloader.moves.site import Site

#: groups, and documents, that are looked at together
_PAGE = 1000
#: documents that a group names
NAMED = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Documents with a version of the same bytes. `size` in bytes of one; `spare`: bytes of all stored objects but one
    a store; `shareable`: those of them that could give way to another. `likenesses` counts objects."""

    sha256: str
    size: int
    versions: int
    documents: tuple[str, ...]
    spare: int
    shareable: int
    likenesses: tuple[tuple[Likeness, int], ...]

    def as_json(self) -> dict[str, Any]:
        alike = [
            {
                "store": like.store,
                "countries": list(like.countries),
                "source": like.source,
                "retention": list(like.retention),
                "copies": count,
            }
            for like, count in self.likenesses
        ]
        return {
            "sha256": self.sha256,
            "size": self.size,
            "versions": self.versions,
            "documents": list(self.documents),
            "spare_bytes": self.spare,
            "shareable_bytes": self.shareable,
            "alike": alike,
        }


@dataclass(slots=True)
class Duplicates:
    """What was found; `largest` are the groups with the most spare bytes, the largest first."""

    groups: int = 0
    versions: int = 0
    copies: int = 0
    spare: int = 0
    shareable: int = 0
    largest: list[Group] = field(default_factory=list)


def find_duplicates(site: Site, *, most: int = 20) -> Duplicates:
    """Find versions of equal bytes, and keep the `most` groups that waste the most. Memory grows with `most` only."""
    found = Duplicates()
    heap: list[tuple[int, str, Group]] = []
    for group in _groups(site):
        found.groups += 1
        found.versions += group.versions
        found.copies += sum(count for _, count in group.likenesses)
        found.spare += group.spare
        found.shareable += group.shareable
        ranked = (group.spare, group.sha256, group)
        if len(heap) < most:
            heappush(heap, ranked)
        elif most:
            heappushpop(heap, ranked)
        site.progress("duplicates", found.groups, None)
    found.largest = [group for _, _, group in sorted(heap, key=lambda each: (-each[0], each[1]))]
    return found


@dataclass(slots=True)
class _Gathered:
    """A group while its documents are looked at."""

    documents: list[str] = field(default_factory=list)
    #: store and key
    objects: set[tuple[str, str]] = field(default_factory=set)
    likenesses: Counter[Likeness] = field(default_factory=Counter)

    def group(self, sha256: str, size: int, versions: int) -> Group:
        stores: Counter[str] = Counter()
        for like, count in self.likenesses.items():
            stores[like.store] += count
        return Group(
            sha256=sha256,
            size=size,
            versions=versions,
            documents=tuple(self.documents),
            spare=size * sum(count - 1 for count in stores.values()),
            shareable=size * sum(count - 1 for count in self.likenesses.values()),
            likenesses=tuple(sorted(self.likenesses.items())),
        )


def _groups(site: Site) -> Iterator[Group]:
    decided, after = decider(site), ""
    while rows := site.ledger.repeated(after=after, limit=_PAGE):
        after = rows[-1][0]
        gathered = {sha256: _Gathered() for sha256, _, _ in rows}
        pks = site.ledger.holders(list(gathered))
        for start in range(0, len(pks), _PAGE):
            for entry in site.ledger.entries_by_pk(pks[start : start + _PAGE]):
                _gather(entry, decided(entry.document), gathered)
        for sha256, size, versions in rows:
            yield gathered[sha256].group(sha256, size, versions)


def _gather(entry: Entry, decision: Decision | None, gathered: Mapping[str, _Gathered]) -> None:
    named: set[str] = set()
    for version in entry.versions:
        for copy in version.copies:
            found = gathered.get(copy.digest.sha256)
            if found is None:
                continue
            if (copy.store, copy.key) not in found.objects:
                found.objects.add((copy.store, copy.key))
                found.likenesses[likeness(entry.document, copy.store, decision)] += 1
            if copy.digest.sha256 not in named and len(found.documents) < NAMED:
                found.documents.append(str(entry.document.ref))
            named.add(copy.digest.sha256)
