"""Carrying out a plan of sharing: prove the kept object, write the reference, describe it, then remove the spare one.

The ledger and the catalog name the kept object before the spare one goes, so a document can be read at every moment.
Killed anywhere, the next time goes on from there: an act stays open until its spare object is gone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from offloader.disposition import segments
from offloader.disposition.acts import Report, acts_of, begin, finish, opened
from offloader.disposition.jobs import Job, each, in_batches
from offloader.disposition.rehoming import ask
from offloader.disposition.sharing import KIND, SHARE, alike, placed
from offloader.ledger import Copy, PlanRow
from offloader.ledger.disposing import Act, ActStep
from offloader.model import State
from offloader.moves.caps import check_caps
from offloader.moves.catalog import write_segments, write_states
from offloader.moves.holding import Holds
from offloader.moves.retaining import lock_end
from offloader.moves.sharing import decider
from offloader.moves.site import Site

#: most objects that are read back at once
_WIDEST = 8


@dataclass(slots=True, kw_only=True)
class _Job(Job):
    """One reference on its way to the kept object."""

    #: the copy as the ledger has it, and as it is to be; equal when an earlier try came that far
    copy: Copy
    keep_until: date | None
    new: Copy | None = None
    evidence: dict[str, Any] = field(default_factory=dict)


def apply_sharing(site: Site, plan_id: str, lines: Iterable[bytes] | None = None) -> Report:
    """Carry out a sealed plan of sharing, or what is left of it. Raises as `acts.opened` and `check_caps` do, before
    anything is done.
    """
    row = opened(site, plan_id, KIND, lines)
    check_caps(site, row)
    begin(site, row)
    report = Report(plan_id, KIND, data={"versions": 0, "objects": 0, "bytes": 0})
    started = site.context.monotonic()
    _Sharer(site, row, report).run()
    report.seconds = site.context.monotonic() - started
    return finish(site, report)


class _Sharer:
    def __init__(self, site: Site, row: PlanRow, report: Report) -> None:
        self._site = site
        self._row = row
        self._report = report

    def run(self) -> None:
        width = min(_WIDEST, self._site.pace.concurrency or _WIDEST)
        in_batches(self._site, self._report, width, self._batch, self._clear_catalogs)

    def _batch(self, acts: Sequence[Act], pool: ThreadPoolExecutor) -> None:
        jobs = self._looked_up([act for act in acts if act.act == SHARE])
        pins = self._site.ledger.pins
        pinned: list[tuple[str, str]] = []
        try:
            for job in jobs:
                place = (job.copy.store, str(job.act.body["keep"]))
                if job.under_way and pins.take(*place):
                    pinned.append(place)
                elif job.under_way:
                    job.end("conflict", "the object that was to be shared is being removed")
            each(pool, self._prove, jobs)
            new = [(int(job.act.body["version"]), job.new) for job in jobs if job.new is not None]
            self._site.ledger.place_copies(new, event="shared")
        finally:
            for place in pinned:
                pins.drop(*place)
        self._describe([job for job in jobs if job.under_way])
        each(pool, self._clear, jobs)
        self._settle(jobs)

    def _looked_up(self, acts: Sequence[Act]) -> list[_Job]:
        """Read every document afresh, and judge it again as the plan did."""
        site = self._site
        entries = {entry.pk: entry for entry in site.ledger.entries_by_pk([act.body["document"] for act in acts])}
        asked, decided, holds = ask(site, list(entries.values())), decider(site), Holds.of(site)
        jobs = []
        for act in acts:
            entry = entries[act.body["document"]]
            decision = decided(asked[entry.pk])
            found = alike(placed(site, entry, asked[entry.pk], decision, holds), act.body)
            if found is None:
                why = "its bytes, its place or its duties are others than in the plan"
                self._site.ledger.advance_acts(self._row.id, [ActStep(act.seq, "conflict", why)])
                self._report.count("conflict", f"{entry.document.ref}: {why}")
                continue
            retention = decision.retention if decision is not None else None
            job = _Job(
                act=act,
                entry=entry,
                copy=found.copy,
                keep_until=retention.keep_until if retention is not None else None,
            )
            if found.held is not None:
                job.end("held", found.held.text)
            elif lock := site.stores[found.copy.store].locked(act.body["key"]):
                job.end("held", f"its object is locked: {lock.reason}")
            jobs.append(job)
        return jobs

    def _prove(self, job: _Job) -> None:
        """Read the kept object back, and lock it as long as this document's duties ask for it."""
        store, key = self._site.stores[job.copy.store], str(job.act.body["keep"])
        there = store.stat(key)
        if there is None or (there.sha256, there.size) != (job.copy.digest.sha256, job.copy.digest.size):
            what = "is missing" if there is None else "is not what was verified"
            job.end("conflict", f"{key} in the store {store.name}, which was to be shared, {what}")
            return
        now = self._site.context.now()
        end = lock_end(job.keep_until, now) if job.keep_until is not None else None
        if end is not None and store.capabilities.retains:
            store.retain(key, end)
        if job.copy.key != key:
            job.new = Copy(store.name, key, job.copy.digest, now, there.held)

    def _describe(self, jobs: Sequence[_Job]) -> None:
        """Describe the documents with the key that they share, before anything is removed."""
        site = self._site
        batch, noted = [], []
        for entry in site.ledger.entries_by_pk(sorted({job.entry.pk for job in jobs})):
            stores = {job.copy.store for job in jobs if job.entry.pk == entry.pk}
            copies = [(each.version, copy) for each in entry.versions for copy in each.copies if copy.store in stores]
            batch.append((entry.document, entry.link or site.links.link(entry.document.ref), copies))
            noted.append((entry.document.ref, entry.link_ref, stores))
        write_segments(site.stores, batch)
        write_states(site.stores, noted, State.DONE, site.context.now())

    def _clear(self, job: _Job) -> None:
        """Remove the object that nothing needs any more."""
        store, key = self._site.stores[job.copy.store], str(job.act.body["key"])
        with self._site.ledger.alone(store.name, key) as free:
            if not free:
                return
            erased = store.erase(key)
            if store.size(key) is not None:
                locks = "; ".join(lock.reason for lock in erased.left) or "the store did not erase it"
                job.end("held", f"its bytes are shared, but {key} in the store {store.name} stays: {locks}")
                return
        if erased.versions:
            job.evidence = {
                "document": job.entry.pk,
                "version": job.act.body["version"],
                "store": store.name,
                "key": key,
                "kept": job.act.body["keep"],
                "sha256": job.copy.digest.sha256,
                "size": job.copy.held_size,
            }

    def _settle(self, jobs: Sequence[_Job]) -> None:
        """Write down what came of a batch, and count it."""
        data = self._report.data
        for job in jobs:
            if job.under_way:
                job.end("done", "")
                data["versions"] += 1
            if job.evidence:
                data["objects"] += 1
                data["bytes"] += job.evidence["size"]
            if job.stop is not None:
                self._report.stop(job.stop)
            else:
                self._report.count(job.state, f"{job.entry.document.ref}: {job.detail}" if job.detail else "")
        steps = [ActStep(job.act.seq, job.state, job.detail) for job in jobs if job.stop is None]
        erased = [job.evidence for job in jobs if job.evidence]
        self._site.ledger.advance_acts(self._row.id, steps, event="shared", data={"erased": erased})
        self._site.progress(KIND, sum(self._report.states.values()), self._row.totals["acts"].get(SHARE))

    def _clear_catalogs(self) -> None:
        """Take out of the catalogs what describes objects that are gone."""
        gone: defaultdict[str, set[str]] = defaultdict(set)
        for page in acts_of(self._site, self._row.id, {"done"}):
            for act in page:
                if not self._site.ledger.knows_key(act.body["store"], act.body["key"]):
                    gone[act.body["store"]].add(act.body["key"])
        for name, keys in sorted(gone.items()):
            for key, locks in segments.without_keys(self._site.stores[name], keys).left:
                why = "; ".join(lock.reason for lock in locks)
                self._report.lines.append(f"! {key} in {name} still names objects that are gone: {why}")
