"""Documents of stale records: decided like any other, copied and proven before their records are purged.

The bytes take the same way as those of a move (`offloader.moves.reading`), with a line in the catalog. Whether a
document then goes with its record is the CRM's affair; what went is written down as moved, what the CRM kept is not.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import date
from queue import SimpleQueue
from typing import Any

from offloader.disposition.acts import interrupted
from offloader.disposition.families import FETCHED, Family
from offloader.errors import AuthError, Drift, Exhausted, StoreFull, Transient
from offloader.ledger import Entry, Step
from offloader.ledger.disposing import Act
from offloader.model import Decision, Document, DocumentRef, Link, LocationProof, Reason, State, Verdict
from offloader.moves.catalog import write_segments, write_states
from offloader.moves.copying import SMALL, CopyTask
from offloader.moves.identity import claim
from offloader.moves.reading import Copied, Group, Reader
from offloader.moves.restore import restore
from offloader.moves.retaining import retain
from offloader.moves.sealing import live
from offloader.moves.sharing import Sharing
from offloader.moves.site import Site
from offloader.moves.tombstoned import Tombstones
from offloader.moves.work import Work
from offloader.ports import Target

#: documents that are copied before they are written down together
CHUNK = 200
_STOPPING = (Exhausted, AuthError, Drift, StoreFull)
#: states that are beyond copying: what the CRM shows is not what the ledger has
_SETTLED = frozenset({State.LINKED, State.DONE, State.ERASED})
#: how a version comes to be done whose copy is verified, by where an ordinary run may have put it meanwhile
_TO_DONE: Mapping[State, tuple[State, ...]] = {
    State.VERIFIED: (State.DONE,),
    State.LINKED: (State.DONE,),
    State.COPIED: (State.VERIFIED, State.DONE),
    State.PLANNED: (State.COPIED, State.VERIFIED, State.DONE),
}
_FROM_THE_START = (State.PLANNED, State.COPIED, State.VERIFIED, State.DONE)


@dataclass(frozen=True, slots=True)
class Placed:
    """A document that is copied before its record goes, and to which stores. `goes`: the CRM deletes it along."""

    document: Document
    stores: tuple[str, ...]
    goes: bool
    keep_until: date | None = None

    def line(self) -> list[Any]:
        """What a plan says of it."""
        ref = self.document.ref
        return [ref.kind, ref.id, self.document.etag, self.document.size, self.goes, list(self.stores)]


@dataclass(frozen=True, slots=True)
class Deciding:
    """What every document is decided by."""

    site: Site
    targets: Sequence[Target]
    tombstones: Tombstones

    def of(self, family: Family) -> tuple[list[Placed], Reason | None]:
        """What is copied before a family goes; or the document, and why, that keeps it.

        One that the policy keeps in the CRM keeps its record, unless the CRM itself keeps it there.
        """
        placed = []
        for document in family.unmoved:
            decision, goes = self._decided(document), document.ref not in family.staying
            if decision.verdict is Verdict.MOVE and decision.stores:
                kept = decision.retention
                until = kept.keep_until if kept is not None and not kept.conflict else None
                placed.append(Placed(document, decision.stores, goes, until))
            elif goes or decision.verdict is not Verdict.KEEP:
                last = decision.reasons[-1].text if decision.reasons else "nothing permits it"
                said = f"{document.ref} may not be copied ({decision.verdict}): {last}"
                return [], Reason("DOCUMENTS", said)
        return placed, None

    def _decided(self, document: Document) -> Decision:
        policy = self.site.policies[document.ref.source]
        decision = policy.decide(document, self.targets, self.site.context.now())
        return self.tombstones.decision(document.ref, decision)


def differs(act: Act, placed: Sequence[Placed], family: Family) -> str:
    """How the documents are not those that were approved; what was moved or deleted meanwhile does not matter."""
    approved = {(kind, id_): (etag, tuple(stores)) for kind, id_, etag, _, _, stores in act.body.get("documents", ())}
    wanted = {each.document.ref: each.stores for each in placed}
    for document in family.unmoved:
        ref = document.ref
        if ref not in wanted and (ref.kind, ref.id) not in approved:
            continue  # the CRM keeps it, and so does the policy
        etag, stores = approved.get((ref.kind, ref.id), (None, ()))
        if etag is None:
            return f"the document {ref} hangs on it, which was not there when it was planned"
        if etag != document.etag:
            return f"the document {ref} that hangs on it was changed since the plan"
        if wanted.get(ref) != stores:
            return f"the document {ref} is decided otherwise since the plan"
    return ""


@dataclass(slots=True)
class Tally:
    """What was copied in this run, and what of it the CRM keeps."""

    copied: int = 0
    bytes: int = 0
    gone: int = 0
    stays: int = 0


@dataclass(slots=True)
class Copying:
    """Copies documents of one source, and writes down what became of them."""

    site: Site
    source: str
    #: gives a proof of a store's place that is good now, if the store has one
    proof: Callable[[str], LocationProof]
    #: an earlier run broke off: copies that it could not write down are looked for
    suspect: bool = False
    tally: Tally = field(default_factory=Tally)
    #: what was proven to lie where it shall, as it was then
    _safe: set[tuple[DocumentRef, str]] = field(default_factory=set)
    _claimed: set[str] = field(default_factory=set)

    # -- before the purge --------------------------------------------------------------------------------------

    def copy(self, wanted: Iterable[Placed]) -> dict[DocumentRef, str]:
        """Make every version lie verified in its stores and stand in their catalogs. By document, what is in the way.

        Raises what makes going on pointless: a store that is full or away, a CRM that does not answer, an interrupt.
        """
        unique = list({each.document.ref: each for each in wanted}.values())
        problems: dict[DocumentRef, str] = {}
        for start in range(0, len(unique), CHUNK):
            interrupted(self.site)
            problems |= self._chunk(unique[start : start + CHUNK])
        return problems

    def _chunk(self, wanted: Sequence[Placed]) -> dict[DocumentRef, str]:
        stores = sorted({store for each in wanted for store in each.stores})
        for name in stores:
            # copying takes its time: the proof of the decision may have run out
            if not (proof := self.proof(name)).usable_at(self.site.context.now()):
                raise Drift(f"nothing more is written to the store {name}: {proof.summary}")
        for name in sorted(set(stores) - self._claimed):
            claim(self.site, name, [self.source])
            self._claimed.add(name)
        self._record(wanted)
        problems: dict[DocumentRef, str] = {}
        works: list[Work] = []
        for each in wanted:
            ref = each.document.ref
            entry = self.site.ledger.entry(ref)
            if entry is None or {version.state for version in live(entry)} & _SETTLED:
                problems[ref] = f"the document {ref} was moved before, and is there again: run, and plan anew"
                continue
            link = entry.link or self.site.links.link(ref)
            works.append(Work(entry, each.stores, link, keep_until=each.keep_until))
        problems |= self._copied(works)
        whole = [work for work in works if not work.failed]
        write_segments(dict(self.site.stores), [(work.entry.document, work.link, work.placed()) for work in whole])
        retain(self.site, whole)
        self._safe |= {(work.entry.document.ref, work.entry.document.etag) for work in whole}
        return problems

    def unsafe(self, family: Family) -> str:
        """A document that the CRM would delete along, and that is not copied as it is now; empty if there is none."""
        for document in family.unmoved:
            if document.ref not in family.staying and (document.ref, document.etag) not in self._safe:
                return f"the document {document.ref} that hangs on it is not copied as it is now"
        return ""

    def _record(self, wanted: Sequence[Placed]) -> None:
        by_kind: dict[str, list[Document]] = defaultdict(list)
        for each in wanted:
            by_kind[each.document.ref.kind].append(each.document)
        for kind, documents in by_kind.items():
            self.site.ledger.record_documents(self.source, kind, documents)

    def _copied(self, works: Sequence[Work]) -> dict[DocumentRef, str]:
        """Read what is not there yet, and write down what is verified."""
        by_version = {version.pk: work for work in works for version in work.versions}
        states = {version.pk: version.state for work in works for version in work.versions}
        tasks = []
        for work in works:
            for version in work.versions:
                held = {copy.store: copy for copy in version.copies}
                # what was read back in this run is not read back for each record that it hangs on
                safe = (work.entry.document.ref, work.entry.document.etag) in self._safe
                if safe and version.state is State.VERIFIED and not work.lacking(version):
                    work.copies[version.pk] = tuple(held[store] for store in work.wanted)
                else:
                    first, *further = work.wanted
                    document = work.entry.document
                    tasks.append(CopyTask(version.pk, document, version.version, first, tuple(further), version.copies))
        sharing = Sharing(self.site)
        try:
            ends = list(self._read(tasks, sharing)) if tasks else []
            return self._noted(ends, by_version, states)
        finally:
            sharing.close()

    def _noted(
        self, ends: Sequence[Copied], by_version: Mapping[int, Work], states: Mapping[int, State]
    ) -> dict[DocumentRef, str]:
        steps: list[Step] = []
        problems: dict[DocumentRef, str] = {}
        for end in ends:
            work = by_version[end.task.pk]
            if end.error is not None or end.copy is None:
                work.failed = True
                problems[work.entry.document.ref] = str(end.error)
                continue
            steps += _verified(states[end.task.pk], end)
            work.copies[end.task.pk] = (end.copy, *end.further)
            self.tally.copied += 1
            self.tally.bytes += end.copy.digest.size
        self.site.ledger.advance(steps)
        self._stop(ends)
        return problems

    def _stop(self, ends: Sequence[Copied]) -> None:
        """Raise what is wrong with more than one document."""
        errors = [end.error for end in ends if end.error is not None]
        for error in errors:
            if isinstance(error, _STOPPING) or (isinstance(error, Transient) and len(errors) == len(ends)):
                raise error

    def _read(self, tasks: Sequence[CopyTask], sharing: Sharing) -> Iterator[Copied]:
        site, source = self.site, self.site.sources[self.source]
        done: SimpleQueue[Copied] = SimpleQueue()
        capabilities = source.capabilities
        groups: dict[str, list[Group]] = defaultdict(list)
        for task in tasks:
            mine = groups[task.document.ref.kind]
            if not mine or not mine[-1].takes(task):
                mine.append(Group(capabilities.read_batch, capabilities.read_bytes))
            mine[-1].add(task)
        room = site.pace.memory // (SMALL * capabilities.read_batch)
        width = max(1, min(site.pace.concurrency or capabilities.concurrency, room))
        with ThreadPoolExecutor(width, "store") as storers, ThreadPoolExecutor(width, "copy") as copiers:
            reader = Reader(site, source, done.put, storers, sharing, suspect=self.suspect)
            for waiting in [copiers.submit(reader.copy, g.tasks) for mine in groups.values() for g in mine]:
                waiting.result()
        while not done.empty():
            yield done.get()

    # -- after the purge ---------------------------------------------------------------------------------------

    def settle(self, acts: Sequence[Act]) -> None:
        """Write down which documents of purged records went with them, and lie in their stores alone now."""
        refs = {DocumentRef(self.source, kind, id_) for act in acts for kind, id_, *_ in act.body.get("documents", ())}
        source = self.site.sources[self.source]
        known = [entry for ref in sorted(refs) if (entry := self.site.ledger.entry(ref)) is not None]
        open_ones = [entry for entry in known if _held(entry)]
        for start in range(0, len(open_ones), FETCHED):
            part = open_ones[start : start + FETCHED]
            found = source.fetch([entry.document.ref for entry in part])
            gone = [entry for entry, document in zip(part, found, strict=True) if document is None]
            self.tally.stays += len(part) - len(gone)
            self._done(gone)

    def _done(self, entries: Sequence[Entry]) -> None:
        if not entries:
            return
        ledger, links = self.site.ledger, self.site.links
        steps: list[Step] = []
        named: list[tuple[int, Link, dict[str, str]]] = []
        for entry in entries:
            steps += [
                Step(version=version.pk, to=to, rule="purge")
                for version in live(entry)
                for to in _TO_DONE.get(version.state, _FROM_THE_START)
                if version.state is not State.DONE
            ]
            if entry.link is None:
                named.append((entry.pk, links.link(entry.document.ref), {}))
        ledger.advance(steps, links=named)
        for kind in {entry.document.ref.kind for entry in entries}:
            ledger.mark_deleted([entry.document.ref for entry in entries if entry.document.ref.kind == kind])
        stores = [{copy.store for version in live(entry) for copy in version.copies} for entry in entries]
        noted = [(entry.document.ref, entry.link_ref, held) for entry, held in zip(entries, stores, strict=True)]
        write_states(self.site.stores, noted, State.DONE, self.site.context.now())
        self.tally.gone += len(entries)


def _verified(state: State, end: Copied) -> Iterator[Step]:
    """The transitions of a version whose copies are proven, from wherever it was."""
    assert end.copy is not None
    if state is not State.PLANNED:
        yield Step(version=end.task.pk, to=State.PLANNED, rule="purge")
    yield Step(version=end.task.pk, to=State.COPIED, copy=end.copy, further=end.further)
    yield Step(version=end.task.pk, to=State.VERIFIED, data={"sha256": end.copy.digest.sha256})


def _held(entry: Entry) -> bool:
    """Whether a document is not done yet, and every version of it has a verified copy."""
    versions = live(entry)
    proven = all(any(copy.verified_at for copy in version.copies) for version in versions)
    return proven and not {version.state for version in versions} <= {State.DONE, State.ERASED}


def put_back(site: Site, act: Act, ids: Mapping[str, str]) -> Iterator[str]:
    """Put the documents of a record that is back where they hung, and say of each that cannot be what is in the way.

    `ids`: id of a record as it was → as it is.
    """
    source = act.subject.partition("/")[0]
    for kind, id_, *_ in act.body.get("documents", ()):
        entry = site.ledger.entry(DocumentRef(source, kind, id_))
        if entry is None or {version.state for version in live(entry)} != {State.DONE}:
            continue
        yield from _put_back(site, entry, ids)


def _put_back(site: Site, entry: Entry, ids: Mapping[str, str]) -> Iterator[str]:
    document = entry.document
    parents = tuple(replace(parent, id=ids.get(parent.id, parent.id)) for parent in document.parents)
    if parents != document.parents:
        # from here on it belongs to the record that is back, also for a later `offloader restore`
        site.ledger.replace_document(entry.pk, replace(document, parents=parents))
        (entry,) = site.ledger.entries_by_pk([entry.pk])
    report = restore(site, [entry])
    if report.failed:
        where = ", ".join(sorted({copy.store for version in live(entry) for copy in version.copies}))
        yield f"{document.ref} stays in {where}, and did not come back: {'; '.join(report.errors)}"
