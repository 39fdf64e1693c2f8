"""Carry out a re-homing: copy from store to store, read back, describe in the new place, then erase the old one.

The link in the CRM is not touched: the gateway finds the bytes by the ledger. A document is served from its old place
until its new one is proven, so it can be opened at every moment. Killed anywhere, the next run ends in the same state.
"""

from __future__ import annotations

import hashlib
import threading
from collections import defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date
from typing import Any, TypeVar

from offloader.disposition import segments
from offloader.disposition.acts import Report, acts_of, begin, finish, opened
from offloader.disposition.jobs import Job, each, in_batches
from offloader.disposition.rehoming import (
    HELD,
    KIND,
    MOVE,
    Judged,
    Now,
    ask,
    digests,
    is_moved,
    judge,
    lies,
    moved_versions,
)
from offloader.errors import Drift, Gone, IntegrityError, OffloaderError
from offloader.ledger import Copy, PlanRow, VersionEntry
from offloader.ledger.disposing import Act, ActStep
from offloader.model import Document, DocumentRef, State
from offloader.moves.caps import check_caps
from offloader.moves.catalog import write_segments, write_states
from offloader.moves.copying import SMALL, CopyTask, duplicate
from offloader.moves.holding import Holds
from offloader.moves.identity import claim
from offloader.moves.proofs import changes, keep
from offloader.moves.retaining import lock_end
from offloader.moves.sharing import Sharing
from offloader.moves.site import Site
from offloader.ports import Erased

#: most documents under way at once
_WIDEST = 16
T = TypeVar("T")


@dataclass(slots=True, kw_only=True)
class _Job(Job):
    """One document on its way: where to, and what was found out. `state` is set when it ends early."""

    stores: tuple[str, ...]
    #: with what the CRM says of its records now
    document: Document
    #: (version's pk, copy) that are new in the ledger
    placed: list[tuple[int, Copy]] = field(default_factory=list)
    #: (version's pk, store) of old copies that are gone, and what the store said
    erased: list[tuple[int, str]] = field(default_factory=list)
    evidence: list[dict[str, Any]] = field(default_factory=list)
    #: until when its duties keep it, by today's decision
    keep_until: date | None = None

    @property
    def versions(self) -> list[VersionEntry]:
        return moved_versions(self.entry)

    @property
    def new(self) -> list[tuple[VersionEntry, Copy]]:
        """Copies where the document belongs now."""
        return [
            (version, copy)
            for version in self.versions
            for copy in (*version.copies, *(copy for pk, copy in self.placed if pk == version.pk))
            if copy.store in self.stores
        ]

    @property
    def old(self) -> list[tuple[int, Copy]]:
        """Copies outside the places where the document belongs now."""
        return [(each.pk, copy) for each in self.versions for copy in each.copies if copy.store not in self.stores]


def apply_rehoming(site: Site, plan_id: str, lines: Iterable[bytes] | None = None) -> Report:
    """Carry out a sealed plan of re-homing and report.

    Raises Drift when the world is not what it was made for, or `lines` are not the plan; Refused when it exceeds a cap,
    lacks an approval, or was applied before. In all cases nothing was done.
    """
    row = opened(site, plan_id, KIND, lines)
    check_caps(site, row)
    begin(site, row)
    report = Report(plan_id, KIND, data={"documents": 0, "versions": 0, "bytes": 0, "copies_erased": 0})
    started = site.context.monotonic()
    _Mover(site, row, report).run()
    report.seconds = site.context.monotonic() - started
    return finish(site, report)


class _Mover:
    def __init__(self, site: Site, row: PlanRow, report: Report) -> None:
        self._site = site
        self._row = row
        self._report = report
        self._now: Now | None = None
        self._sharing = Sharing(site)
        self._mutex = threading.Lock()
        #: versions of this batch whose old copies go, with the store that they leave
        self._leaving: set[tuple[int, str]] = set()
        #: stores that are known to be these sources' own
        self._claimed: set[str] = set()

    def run(self) -> None:
        limits = [store.capabilities.concurrency for store in self._site.stores.values()]
        pace = self._site.pace
        width = min(*limits, _WIDEST, pace.concurrency or _WIDEST, max(1, pace.memory // SMALL))
        in_batches(self._site, self._report, width, self._batch, self._clear_catalogs)

    def _batch(self, acts: Sequence[Act], pool: ThreadPoolExecutor) -> None:
        jobs = self._looked_up([act for act in acts if act.act == MOVE])
        for store in sorted({store for job in jobs if job.under_way for store in job.stores} - self._claimed):
            claim(self._site, store, self._row.header.sources)
            self._claimed.add(store)
        each(pool, self._copy, jobs)
        going = [job for job in jobs if job.under_way]
        self._site.ledger.place_copies(
            [placed for job in jobs for placed in job.placed],
            rules={pk: job.act.body["rule"] for job in jobs for pk, _ in job.placed if job.act.body["rule"]},
        )
        self._sharing.close()
        self._describe(going)
        each(pool, self._clear, going)
        self._settle(jobs)

    # -- looking again ---------------------------------------------------------------------------------------

    def _looked_up(self, acts: Sequence[Act]) -> list[_Job]:
        """Read every document afresh, and judge it again as the plan did."""
        site = self._site
        found = {entry.pk: entry for entry in site.ledger.entries_by_pk([int(act.subject) for act in acts])}
        now = self._judging()
        asked = ask(site, list(found.values()))
        jobs = []
        for act in acts:
            entry = found[int(act.subject)]
            job = _Job(act=act, entry=entry, stores=tuple(act.body["to"]), document=asked[entry.pk])
            problem = _differs(job) or _decided_otherwise(job, judge(site, entry, asked[entry.pk], now))
            if problem:
                job.end("held" if problem[0] == HELD else "conflict", problem[1])
            decision = site.policies[entry.document.ref.source].decide(asked[entry.pk], now.targets, now.moment)
            job.keep_until = decision.retention.keep_until if decision.retention else None
            jobs.append(job)
        return jobs

    def _judging(self) -> Now:
        """Proofs that are fresh, and no other than the plan rests on; the holds of this moment."""
        site = self._site
        targets = self._now.targets if self._now is not None else ()
        if not targets or any(target.proof.expires <= site.context.now() for target in targets):
            targets = site.targets()
            for target in targets:
                keep(site, target.proof)
                changed = changes(self._row.header.proofs.get(target.store), target.proof)
                if changed:
                    raise Drift(f"the location proof of {target.store} changed in mid-run: {'; '.join(changed)}")
        self._now = Now(targets, site.context.now(), Holds.of(site))
        return self._now

    # -- copying ---------------------------------------------------------------------------------------------

    def _copy(self, job: _Job) -> None:
        """Make every version lie in every store where it belongs, and read each of these copies back."""
        for version in job.versions:
            held = {copy.store: copy for copy in version.copies}
            for store in job.stores:
                task = CopyTask(version.pk, job.document, version.version, store, known=version.copies)
                copy = self._made(task, version.copies, store)
                stored = self._site.stores[store].stat(copy.key)
                if stored is None or (stored.sha256, stored.size) != (copy.digest.sha256, copy.digest.size):
                    raise IntegrityError(f"{task.what}: the store {store} does not give back what was copied to it")
                if held.get(store) is None or held[store].key != copy.key:
                    job.placed.append((version.pk, copy))

    def _made(self, task: CopyTask, copies: Sequence[Copy], store: str) -> Copy:
        """A copy in that store, from the first of the known ones that reads as it was verified."""
        problem: OffloaderError = Gone(f"{task.what}: the ledger knows no copy")
        for copy in copies:
            try:
                return duplicate(self._site, task, copy, store, self._sharing, data=None, look=True)
            except (Gone, IntegrityError) as error:
                problem = error
        raise problem

    def _describe(self, jobs: Sequence[_Job]) -> None:
        """Describe the documents in their new stores' catalogs, before anything is erased in the old ones."""
        site = self._site
        batch = []
        for job in jobs:
            copies = [(version.version, copy) for version, copy in job.new]
            batch.append((job.entry.document, job.entry.link or site.links.link(job.entry.document.ref), copies))
        write_segments(site.stores, batch)
        noted = [(job.entry.document.ref, job.entry.link_ref, job.stores) for job in jobs]
        write_states(site.stores, noted, State.DONE, site.context.now())

    # -- erasing ---------------------------------------------------------------------------------------------

    def _clear(self, job: _Job) -> None:
        """Erase the copies where the document no longer belongs; what keeps one there is said."""
        self._retain(job)
        kept = []
        for pk, copy in job.old:
            holds = Holds.of(self._site)
            if ids := holds.forbids_removal(job.entry):
                job.end(
                    "held", f"it lies in its new place, but its copy in {copy.store} stays: {holds.reason(ids).text}"
                )
                return
            kept += self._erase(job, pk, copy)
        if kept:
            job.end("held", f"it lies in its new place, but {'; '.join(kept)}")

    def _retain(self, job: _Job) -> None:
        """Lock the new copies as long as duties ask for it, in stores that were configured so."""
        end = lock_end(job.keep_until, self._site.context.now()) if job.keep_until is not None else None
        for _, copy in job.new if end is not None else ():
            store = self._site.stores[copy.store]
            if end is not None and store.capabilities.retains:
                store.retain(copy.key, end)

    def _erase(self, job: _Job, pk: int, copy: Copy) -> list[str]:
        """Erase one old copy and keep the evidence; what keeps it there, in words.

        An object that another document has too stays for that one: only this version's line about it goes. Of those
        that leave it together, the last one takes it along.
        """
        store = self._site.stores[copy.store]
        mine, done = (pk, copy.store), False
        with self._mutex:
            self._leaving.add(mine)
            versions = {each for each, where in self._leaving if where == copy.store}
        try:
            with self._site.ledger.alone(copy.store, copy.key, versions=versions) as free:
                erased = store.erase(copy.key) if free else Erased()
                done = not free or store.size(copy.key) is None
        finally:
            if not done:
                with self._mutex:
                    self._leaving.discard(mine)
        if not done:
            return [f"its copy in {copy.store} stays there: {_said(erased) or 'the store did not erase it'}"]
        job.erased.append((pk, copy.store))
        job.evidence.append(
            {
                "document": job.entry.pk,
                "version": pk,
                "store": copy.store,
                "key": copy.key,
                "sha256": copy.digest.sha256,
                "versions": erased.versions,
                "markers": erased.markers,
                "kept_by_store": _said(erased),
                **({} if free else {"shared": True}),
            }
        )
        return []

    def _settle(self, jobs: Sequence[_Job]) -> None:
        """Write down what came of a batch, and count it."""
        ledger, data = self._site.ledger, self._report.data
        by_store: dict[str, list[int]] = defaultdict(list)
        for job in jobs:
            for pk, store in job.erased:
                by_store[store].append(pk)
        for store, pks in by_store.items():
            ledger.forget_copies(pks, store=store)
        self._leaving.clear()
        for job in jobs:
            if job.under_way:
                left = "; ".join(
                    f"{each['store']} keeps it: {each['kept_by_store']}"
                    for each in job.evidence
                    if each["kept_by_store"]
                )
                job.end("done", left)
                data["documents"] += 1
                data["versions"] += len(job.versions)
                data["bytes"] += job.act.size
            data["copies_erased"] += len(job.erased)
            if job.stop is not None:
                self._report.stop(job.stop)
            else:
                name = job.entry.document.ref
                self._report.count(job.state, f"{name}: {job.detail}" if job.detail else "")
        steps = [ActStep(job.act.seq, job.state, job.detail) for job in jobs if job.stop is None]
        evidence = [each for job in jobs for each in job.evidence]
        ledger.advance_acts(self._row.id, steps, event="rehomed", data={"erased": evidence})
        self._site.progress("rehome", sum(self._report.states.values()), self._row.totals["acts"].get(MOVE))

    def _clear_catalogs(self) -> None:
        """Take the documents that left a store out of its catalog."""
        gone: dict[str, set[bytes]] = defaultdict(set)
        for page in acts_of(self._site, self._row.id, {"done"}):
            for act in page:
                for store in set(act.body["from"]) - set(act.body["to"]):
                    gone[store].add(_short(act.body["document"]))
        for name, documents in gone.items():
            self._clear_catalog(name, documents)

    def _clear_catalog(self, name: str, documents: set[bytes]) -> None:
        def left(ref: DocumentRef) -> bool:
            if _short(str(ref)) not in documents:
                return False
            entry = self._site.ledger.entry(ref)
            return entry is None or all(copy.store != name for each in entry.versions for copy in each.copies)

        try:
            done = segments.without(self._site.stores[name], left)
        except OffloaderError as error:
            self._report.lines.append(f"! the catalog of {name} still names documents that left it: {error}")
            self._report.count("failed", str(error))
            return
        for key, locks in done.left:
            why = "; ".join(lock.reason for lock in locks)
            self._report.lines.append(f"! {key} in {name} still names documents that left it: {why}")


def _differs(job: _Job) -> tuple[str, str] | None:
    """How a document is otherwise than the plan has it; None if it is not."""
    if not is_moved(job.entry) or not job.versions:
        return MOVE, "it is no longer in a store alone: it was put back, or erased"
    if digests(job.versions) != job.act.body["versions"]:
        return MOVE, "its versions or their bytes are others than in the plan"
    held = {copy.store for version in job.versions for copy in version.copies}
    strange = sorted(held - {*job.act.body["from"], *job.stores})
    return (MOVE, f"it lies in {strange[0]} as well, of which the plan says nothing") if strange else None


def _decided_otherwise(job: _Job, judged: Judged | None) -> tuple[str, str] | None:
    """The act of today, and why it is not that of the plan; None if it is, or was done and is only to be tied up."""
    if judged is None:
        return None if lies(job.entry, set(job.stores)) else (MOVE, "decided otherwise since the plan: it stays")
    if judged.act == HELD:
        return HELD, judged.reason.text
    if judged.act != MOVE or judged.decision.stores != job.stores:
        return judged.act, f"decided otherwise since the plan: {judged.act}, {judged.reason.text}"
    return None


def _said(erased: Erased) -> str:
    return "; ".join(lock.reason + (f", until {lock.until:%Y-%m-%d}" if lock.until else "") for lock in erased.left)


def _short(name: str) -> bytes:
    """Stands for a document's name where millions are held at once."""
    return hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=16).digest()
