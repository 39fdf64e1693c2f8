"""Families: a record with everything that its deletion would take along, read from the CRM level by level."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from offloader.disposition.held import HeldRecords
from offloader.model import OWN_LINK, Document, DocumentRef, State
from offloader.moves.sealing import live
from offloader.moves.site import Site
from offloader.ports import Source
from offloader.records import Child, OnDelete, Record, RecordRef, Records, RecordType

#: levels of children below a record, and how many in all, that one plan takes along
DEPTH = 5
MOST = 2000
#: documents that are read afresh in one call
FETCHED = 200
#: states of documents whose bytes the CRM no longer holds
_MOVED = frozenset({State.DONE, State.ERASED})


@dataclass(frozen=True, slots=True)
class Member:
    """A record that goes with another one, by its look-up `field`."""

    record: Record
    parent: RecordRef
    field: str


@dataclass(slots=True)
class Family:
    """A record, what goes with it, and what keeps it: the first problem found, as code and sentence."""

    root: Record
    members: list[Member] = field(default_factory=list)
    documents: list[DocumentRef] = field(default_factory=list)
    #: those of the documents that the CRM keeps when the record goes
    staying: set[DocumentRef] = field(default_factory=set)
    #: those of the documents whose bytes the CRM still holds, as it has them now
    unmoved: list[Document] = field(default_factory=list)
    problem: tuple[str, str] | None = None
    seen: set[RecordRef] = field(default_factory=set)

    def keep(self, code: str, text: str) -> None:
        if self.problem is None:
            self.problem = (code, text)

    @property
    def records(self) -> list[Record]:
        return [self.root, *(member.record for member in self.members)]


class Kin:
    """Reads families of one source."""

    def __init__(self, site: Site, source: str, records: Records) -> None:
        self._site = site
        self._source: Source = site.sources[source]
        self._records = records
        self._types: dict[str, RecordType] = {}

    @property
    def types(self) -> Mapping[str, RecordType]:
        """Every type that was met so far."""
        return self._types

    def type(self, name: str) -> RecordType:
        if name not in self._types:
            self._types[name] = self._records.describe(name)
        return self._types[name]

    def grow(self, roots: Sequence[Record], *, documents: bool = False) -> list[Family]:
        """Each record's family, in order, with what keeps it: a child that restricts, documents that are not moved.

        With `documents` these do not keep it, they are read and told (`unmoved`), those that the CRM keeps included.
        """
        families = [Family(root, seen={root.ref}) for root in roots]
        level: dict[RecordRef, list[Family]] = defaultdict(list)
        for family in families:
            level[family.root.ref].append(family)
        for _ in range(DEPTH + 1):
            level = self._below(level, documents)
            if not level:
                break
        for family in {id(each): each for group in level.values() for each in group}.values():
            family.keep("CASCADE_TOO_DEEP", f"more than {DEPTH} levels hang below it")
        self._check_documents(families, documents)
        return families

    def _below(self, level: Mapping[RecordRef, list[Family]], documents: bool) -> dict[RecordRef, list[Family]]:
        """Find the next level, and note it in the families."""
        found: dict[RecordRef, list[Family]] = defaultdict(list)
        by_type: dict[str, list[RecordRef]] = defaultdict(list)
        for ref, families in level.items():
            if any(family.problem is None for family in families):
                by_type[ref.type].append(ref)
        for name, refs in by_type.items():
            owners = {ref.id: (ref, level[ref]) for ref in refs}
            for child in self.type(name).children:
                if child.on_delete is not OnDelete.CLEAR or (documents and child.documents):
                    self._hang(refs, owners, child, found)
        return found

    def _hang(
        self,
        refs: Sequence[RecordRef],
        owners: Mapping[str, tuple[RecordRef, list[Family]]],
        child: Child,
        found: dict[RecordRef, list[Family]],
    ) -> None:
        for page in self._records.children(refs, child):
            for record in page.records:
                owner = owners.get(str(record.fields.get(child.field)))
                if owner is None:
                    # whose child it is cannot be told: it may be anybody's
                    for _, families in owners.values():
                        for family in families:
                            family.keep("UNKNOWN_CHILD", f"a {child.type} does not say what it hangs on")
                    continue
                parent, families = owner
                for family in families:
                    if _joins(family, record, parent, child):
                        found[record.ref].append(family)

    def _check_documents(self, families: Sequence[Family], told: bool) -> None:
        """Keep every record on which documents hang whose bytes the CRM still holds, or tell of these documents."""
        open_ones: dict[DocumentRef, list[Family]] = defaultdict(list)
        for family in families:
            for ref in family.documents if family.problem is None else ():
                entry = self._site.ledger.entry(ref)
                moved = entry is not None and {version.state for version in live(entry)} <= _MOVED
                if not moved or entry is None or entry.link is None:
                    open_ones[ref].append(family)
        refs = list(open_ones)
        for start in range(0, len(refs), FETCHED):
            chunk = refs[start : start + FETCHED]
            for ref, document in zip(chunk, self._source.fetch(chunk), strict=True):
                if document is not None and _is_link(document):
                    continue
                for family in open_ones[ref]:
                    if told and document is not None:
                        family.unmoved.append(document)
                    else:
                        family.keep("DOCUMENTS", f"documents hang on it that are not moved yet, such as {ref}")


def _joins(family: Family, record: Record, parent: RecordRef, child: Child) -> bool:
    """Note a child in a family; true if it is a record that was not there yet, and goes with it."""
    if family.problem is not None or record.ref in family.seen:
        return False
    if child.on_delete is OnDelete.RESTRICT:
        family.keep("RESTRICTED", f"a {child.type} hangs on it and forbids its deletion")
        return False
    family.seen.add(record.ref)
    if child.documents:
        ref = DocumentRef(record.ref.source, record.ref.type, record.ref.id)
        family.documents.append(ref)
        if child.on_delete is OnDelete.CLEAR:
            family.staying.add(ref)
        return False
    if len(family.members) >= MOST:
        family.keep("CASCADE_TOO_LARGE", f"more than {MOST} records would go with it")
        return False
    family.members.append(Member(record, parent, child.field))
    return True


def _is_link(document: Document) -> bool:
    return document.skip is not None and document.skip.code == OWN_LINK


def references(record: Record, described: RecordType) -> list[tuple[str, str]]:
    """Types and ids that a record's look-ups lead to."""
    return [
        (name, value)
        for each in described.fields
        if each.refers_to and isinstance(value := record.fields.get(each.name), str)
        for name in each.refers_to
    ]


def holding(family: Family, kin: Kin, held: HeldRecords, signals: Mapping[str, str]) -> tuple[str, ...]:
    """Ids of the holds that cover a record or anything that goes with it."""
    if not held.standing:
        return ()
    found: set[str] = set()
    for document in family.unmoved:
        found.update(held.on_document(document))
    for record in family.records:
        said = signals if record is family.root else {}
        found.update(held.covering(record, references(record, kin.type(record.ref.type)), said))
    return tuple(sorted(found))
