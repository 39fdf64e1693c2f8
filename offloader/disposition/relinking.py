"""Links of documents that had moved before their records were purged: they stand on these records again.

The same link, on the record that is back, and nothing else of it is changed. A placeholder that somebody had deleted
before the purge stays away.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from offloader.ledger import Entry
from offloader.ledger.disposing import Act
from offloader.model import State
from offloader.moves.catalog import write_states
from offloader.moves.pages import pages
from offloader.moves.sealing import live
from offloader.moves.site import Site
from offloader.ports import LinkRequest, Outcome, Status
from offloader.records import RecordRef

_PAGE = 1000
_STANDS = (Status.DONE, Status.REPLACED)


@dataclass(slots=True)
class Relinked:
    """What could not be written: sentences, and the families that must be tried again."""

    problems: list[str] = field(default_factory=list)
    again: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Relinking:
    """Writes links of one source. `wanted`: names of every record that may come back, as it was and as it is."""

    site: Site
    source: str
    wanted: Collection[str]
    _hanging: dict[str, set[int]] | None = field(default=None, init=False)

    def write(self, families: Sequence[tuple[Act, Collection[str]]], ids: Mapping[str, str]) -> Relinked:
        """Write the links of these families, each with the ids of its records that are back.

        `ids`: id of a record as it was → as it is, of all that have a new one. A document that hangs on
        several of them is shared with them all. Raises what `Source.link` raises.
        """
        done = Relinked()
        jobs: dict[int, tuple[Entry, set[str], set[str]]] = {}
        for act, there in families:
            names = _names(self.source, act)
            for entry in self._entries(
                act, [str(replace(n, id=i)) for n in names for i in (n.id, ids.get(n.id, n.id))]
            ):
                _, records, subjects = jobs.setdefault(entry.pk, (entry, set(), set()))
                records.update(there)
                subjects.add(act.subject)
        moved = [(self._moved(entry, ids), records, subjects) for entry, records, subjects in jobs.values()]
        waiting = [each for each in moved if any(parent.id in each[1] for parent in each[0].document.parents)]
        size = self.site.sources[self.source].capabilities.link_batch
        for start in range(0, len(waiting), size):
            part = waiting[start : start + size]
            outcomes = self._link([(entry, records) for entry, records, _ in part])
            for (entry, _, subjects), outcome in zip(part, outcomes, strict=True):
                if outcome.status not in _STANDS:
                    done.problems.append(_said(entry, outcome))
                if outcome.status is Status.RETRY:
                    done.again |= subjects
        return done

    def _entries(self, act: Act, names: Sequence[str]) -> list[Entry]:
        """Documents of a family whose bytes are in stores alone, and whose link went with it, or hung on it."""
        hanging = self._read()
        stood = {(kind, id_) for kind, id_, *_ in (*act.body.get("links", ()), *act.body.get("documents", ()))}
        found = []
        for entry in self.site.ledger.entries_by_pk(sorted({pk for name in names for pk in hanging.get(name, ())})):
            ref, in_place = (entry.document.ref.kind, entry.document.ref.id), entry.document.strategy.in_place
            copied = any(ref == (kind, id_) for kind, id_, *_ in act.body.get("documents", ()))
            # of what is put back whole, only that in place needs a row to stand in
            wanted = (ref in stood or "links" not in act.body) if in_place else not copied
            if wanted and {version.state for version in live(entry)} == {State.DONE}:
                found.append(entry)
        return found

    def _read(self) -> Mapping[str, set[int]]:
        """Documents by the records that they hang on: the ledger is read once, for them all."""
        if self._hanging is None:
            self._hanging = {}
            for entries in pages(self.site, {State.DONE}, size=_PAGE):
                for entry in entries:
                    ref = entry.document.ref
                    if ref.source != self.source or entry.link is None:
                        continue
                    for parent in entry.document.parents:
                        name = str(RecordRef(ref.source, parent.type, parent.id))
                        if name in self.wanted:
                            self._hanging.setdefault(name, set()).add(entry.pk)
        return self._hanging

    def _moved(self, entry: Entry, ids: Mapping[str, str]) -> Entry:
        """The document as it belongs to the records that are back, also for a later `offloader restore`."""
        document = entry.document
        parents = tuple(replace(parent, id=ids.get(parent.id, parent.id)) for parent in document.parents)
        if parents == document.parents:
            return entry
        moved = replace(document, parents=parents)
        self.site.ledger.replace_document(entry.pk, moved)
        return replace(entry, document=moved)

    def _link(self, jobs: Sequence[tuple[Entry, Collection[str]]]) -> Sequence[Outcome]:
        """Write links, only on records that are back; what they are called now is noted, in the stores as well."""
        requests = []
        for entry, records in jobs:
            assert entry.link is not None
            back = tuple(parent for parent in entry.document.parents if parent.id in records)
            document = replace(entry.document, parents=back)
            requests.append(LinkRequest(document=document, link=entry.link, link_ref=entry.link_ref, anew=True))
        outcomes = self.site.sources[self.source].link(requests)
        stands = [
            (entry, {**entry.link_ref, **outcome.link_ref})
            for (entry, _), outcome in zip(jobs, outcomes, strict=True)
            if outcome.status in _STANDS
        ]
        self.site.ledger.advance([], links=[(e.pk, e.link, ref) for e, ref in stands if e.link is not None])
        noted = [(e.document.ref, ref, {c.store for v in live(e) for c in v.copies}) for e, ref in stands]
        documents = {e.document.ref: e.document for e, _ in stands}
        write_states(self.site.stores, noted, State.DONE, self.site.context.now(), documents)
        return outcomes


def _names(source: str, act: Act) -> list[RecordRef]:
    """Every record of a family, as it was."""
    root = RecordRef(source, act.part, act.subject.removeprefix(f"{source}/{act.part}/"))
    return [root, *(RecordRef(source, type_, id_) for type_, id_, _ in act.body["with"])]


def _said(entry: Entry, outcome: Outcome) -> str:
    where = ", ".join(sorted({copy.store for version in live(entry) for copy in version.copies}))
    why = outcome.reason or outcome.status.value
    return f"{entry.document.ref} stays in {where}, and its link does not stand on the record again: {why}"
