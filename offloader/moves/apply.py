"""Apply: carry out a plan. copy → verify → link → read back → remove, never in another order.

One coordinator (the calling thread) owns all state. Worker threads copy single versions; batch threads write
links and remove originals. Their results come back through one queue, and are written to the ledger before
the next step of the same document begins.
"""

from __future__ import annotations

import json
import queue
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from offloader.audit import canonical
from offloader.errors import (
    AuthError,
    Drift,
    Exhausted,
    Gone,
    Interrupted,
    OffloaderError,
    Refused,
    StoreFull,
    Transient,
)
from offloader.ledger import Entry, Step, VersionEntry
from offloader.model import DocumentRef, Link, LocationProof, Reason, State, Strategy, Verdict
from offloader.moves.approving import check_approvals
from offloader.moves.batches import Batch, Batches, BatchResult, HeldBack, Stage, Unproven
from offloader.moves.caps import OUTCOME, check_caps
from offloader.moves.checkpoints import close
from offloader.moves.copying import CopyTask
from offloader.moves.holding import HELD, Holds, elsewhere
from offloader.moves.identity import check_identity, claim
from offloader.moves.missing import note_deleted
from offloader.moves.plan import UNDER_WAY
from offloader.moves.proofs import changes, keep
from offloader.moves.reading import Copied, Group, Reader
from offloader.moves.report import RunReport, sentence
from offloader.moves.sealing import check_drift, check_file, decisions_of, live, plan_of
from offloader.moves.sharing import Sharing
from offloader.moves.site import Site
from offloader.moves.withdrawing import take_away, withdraw, withdraw_elsewhere
from offloader.moves.work import Work
from offloader.ports import Outcome, Status

#: these end the run: nothing is wrong with the document, going on is pointless
STOPPING = (Exhausted, AuthError, Drift)
RUNNING = "apply"
#: bodies that came in one delivery and are stored at once
STORERS = 8


def apply_plan(site: Site, plan_id: str, *, trusted: bool = False, lines: Iterable[bytes] | None = None) -> RunReport:
    """Carry out a sealed plan and report. `trusted`: it was made just now, under the same lock.

    Raises Drift when the world is not what the plan was made for, or `lines` (the plan as a file) are not the plan;
    Refused when the plan exceeds a cap, lacks an approval, or was applied before. In all cases nothing was done.
    """
    row = plan_of(site, plan_id)
    if row.header.disposes is not None:
        raise Refused(f"plan {plan_id} moves nothing: it is of the kind {row.header.disposes}", rule="plan-kind")
    if lines is not None:
        check_file(site, plan_id, lines)
    if row.status not in ("sealed", "applying"):
        raise Refused(f"plan {plan_id} is {row.status}; only a sealed plan can be applied", rule="plan-status")
    check_caps(site, row)
    check_approvals(site, row)
    if not trusted:
        check_identity(site, row.header.sources)
        check_drift(site, plan_id)
    suspect = bool(site.ledger.meta(RUNNING)) or row.status == "applying"
    site.ledger.set_plan_status(plan_id, "applying")
    site.ledger.set_meta(RUNNING, plan_id)
    report = RunReport(plan=plan_id)
    report.count_plan(row.totals)
    before = requests_of(site)
    started = site.context.monotonic()
    _Applier(site, plan_id, report, suspect=suspect, total=row.totals["verdicts"].get(Verdict.MOVE, 0)).run()
    report.seconds = site.context.monotonic() - started
    report.crm_requests = requests_of(site) - before
    _note_outcome(site, report)
    if report.stopped is None:
        site.ledger.set_plan_status(plan_id, "done")
        site.ledger.set_meta(RUNNING, "")
    report.checkpoint = close(site)
    return report


def _note_outcome(site: Site, report: RunReport) -> None:
    """Keep what came of a plan; one that was carried out in parts is the sum of what each part moved."""
    key = OUTCOME.format(report.plan)
    before = json.loads(site.ledger.meta(key) or "{}")
    outcome = {
        "plan": report.plan,
        "moved": report.moved + before.get("moved", 0),
        "versions": report.versions_moved + before.get("versions", 0),
        "bytes": report.bytes + before.get("bytes", 0),
        "requests": sum(report.crm_requests.values()) + before.get("requests", 0),
        "seconds": round(report.seconds + before.get("seconds", 0), 3),
        "failed": report.failed,
        "conflict": report.conflict,
        "review": report.review,
        "stopped": report.stopped or "",
        "limits": {name: source.usage().limit for name, source in site.sources.items()},
    }
    site.ledger.record_event("applied", data=outcome)
    site.ledger.set_meta(key, canonical(outcome))


def requests_of(site: Site) -> Counter[str]:
    """Calls spent so far by all sources, by operation."""
    total: Counter[str] = Counter()
    for source in site.sources.values():
        total.update(source.usage().requests)
    return total


class _Applier:
    def __init__(self, site: Site, plan_id: str, report: RunReport, *, suspect: bool, total: int) -> None:
        self._site = site
        self._report = report
        self._suspect = suspect
        self._total = total
        self._plan = plan_of(site, plan_id)
        self._feed = self._works(plan_id)
        self._fed = False
        self._events: queue.SimpleQueue[Copied | BatchResult] = queue.SimpleQueue()
        self._storers = ThreadPoolExecutor(STORERS, "store")
        self._sharing = Sharing(site)
        self._readers = {
            name: Reader(site, source, self._events.put, self._storers, self._sharing, suspect=suspect)
            for name, source in site.sources.items()
        }
        self._batches = Batches(site)
        self._works_by_version: dict[int, Work] = {}
        #: by version, the store and the key of each copy of what somebody has overwritten in the CRM since
        self._superseded: dict[int, list[tuple[str, str]]] = {}
        for (pk, store), key in site.ledger.superseded().items():
            self._superseded.setdefault(pk, []).append((store, key))
        self._reading = 0
        self._copied = 0
        #: reads in a row that failed after all tries: when every thread has had one, nobody answers any more
        self._misses = 0
        self._held = 0
        #: by step, source, kind and strategy: what goes together in one call
        self._ready: dict[tuple[Stage, str, str, Strategy], deque[Work]] = {}
        #: what the CRM did not find: gone for good, or for a moment
        self._missing: list[DocumentRef] = []
        self._proofs: dict[str, LocationProof] = {}
        self._closed_stores: dict[str, OffloaderError] = {}
        #: by source and kind
        self._groups: dict[tuple[str, str], Group] = {}
        limits = [site.pace.concurrency or source.capabilities.concurrency for source in site.sources.values()]
        # Twice as many threads as calls: while one half talks to the CRM, the other half writes to stores.
        self._threads = 2 * sum(limits)
        self._capabilities = {name: source.capabilities for name, source in site.sources.items()}
        self._most_reading = self._threads * max(each.read_batch for each in self._capabilities.values())

    def run(self) -> None:
        with (
            self._storers,
            ThreadPoolExecutor(self._threads, "copy") as copiers,
            ThreadPoolExecutor(4, "batch") as batchers,
            self._site.interrupts.deferred(),
        ):
            try:
                while self._advance(copiers, batchers):
                    if self._site.interrupts.requested:
                        self._stop(Interrupted("interrupted; run again to go on"))
            finally:
                self._sharing.close()
        if self._report.stopped is None:
            note_deleted(self._site, self._missing)
        if self._report.stopped is None and self._closed_stores:
            error = next(iter(self._closed_stores.values()))
            self._report.stopped, self._report.stop_error = sentence(error), error

    def _advance(self, copiers: ThreadPoolExecutor, batchers: ThreadPoolExecutor) -> bool:
        """One turn: hand out work, wait for results, write them down. False when all is done."""
        if self._report.stopped is None:
            self._hand_out(copiers)
        else:
            # what was not sent stays planned, for the next run
            self._reading -= sum(len(group.empty()) for group in self._groups.values())
        self._start_batches(batchers)
        if not self._reading and not self._batches.running:
            return bool(self._report.stopped is None and (not self._fed or any(self._ready.values())))
        self._settle(self._collect(), batchers)
        return True

    def _collect(self) -> list[Copied | BatchResult]:
        events = [self._events.get()]
        while not self._events.empty():
            events.append(self._events.get())
        return events

    # -- feeding ---------------------------------------------------------------------------------------------

    def _works(self, plan_id: str) -> Iterator[Work]:
        for rows in decisions_of(self._site, plan_id):
            holds = Holds.of(self._site)
            for entry, item in rows:
                decision = holds.decision(entry, item.decision, self._superseded.keys())
                if item.decision.verdict is not Verdict.MOVE or item.decision.store is None:
                    if not holds.forbids_removal(entry):
                        self._withdraw(entry)
                    continue
                link = entry.link or self._site.links.link(entry.document.ref)
                kept = item.decision.retention
                keep_until = kept.keep_until if kept is not None and not kept.conflict else None
                work = Work(entry, item.decision.stores, link, link_ref=dict(entry.link_ref), keep_until=keep_until)
                if decision.code == HELD and (steps := self._hold_back(work, decision.reasons[-1])):
                    self._site.ledger.advance(steps)
                    continue
                # its link may have been written before a hold kept it
                work.attempted = entry.link is not None or any(version.copies for version in entry.versions)
                yield work

    def _hold_back(self, work: Work, reason: Reason) -> list[Step]:
        """Leave a document where it is, with the copies it has; nothing to do for one that is done or held already."""
        held = {version.pk for version in work.versions if version.state is State.HELD}
        steps = [step for step in work.steps(State.HELD, reason.text, reason.rule) if step.version not in held]
        if steps:
            self._report.held += 1
            self._report.reasons[f"{Verdict.KEEP} {HELD}"] += 1
            self._report.examples.setdefault(f"{Verdict.KEEP} {HELD}", reason.text)
        return steps

    def _withdraw(self, entry: Entry) -> None:
        """Take away the copies of a document that stays. What cannot be taken away is said, and tried in every run."""
        try:
            withdraw(self._site, entry)
        except OffloaderError as error:
            said = f"it stays in the CRM, but a copy of it could not be taken away: {error}"
            stays = [v.pk for v in live(entry) if v.state not in (State.DONE, State.FAILED)]
            self._site.ledger.advance([Step(version=pk, to=State.FAILED, detail=said) for pk in stays])
            self._report.failed += 1
            self._report.error(entry.document, said)
            if isinstance(error, STOPPING):
                self._stop(error)

    def _hand_out(self, copiers: ThreadPoolExecutor) -> None:
        while not self._fed and self._reading < self._most_reading and self._held < self._site.pace.memory:
            work = next(self._feed, None)
            if work is None:
                self._fed = True
                break
            self._begin(work, copiers)
        waiting = sum(len(group.tasks) for group in self._groups.values())
        if self._fed or self._reading == waiting:
            # nothing more can come, or nothing else is under way that could make room for it
            for (source, _), group in self._groups.items():
                self._send(source, group, copiers)

    def _begin(self, work: Work, copiers: ThreadPoolExecutor) -> None:
        states = {version.state for version in work.versions}
        if states <= {State.DONE}:
            return
        if not states <= UNDER_WAY:
            self._left_behind(work, states)
            return
        lacking = [store for v in work.versions if v.state is State.LINKED for store in work.lacking(v)]
        if lacking:
            self._give_up(work, f"its link stands, but no verified copy in {lacking[0]}; its original stays")
            return
        if states <= {State.LINKED, State.DONE}:
            self._enqueue(Stage.REMOVE, work)
            return
        if not all(self._store_is_proven(store) for store in work.wanted):
            return
        for version in work.versions:
            held = {copy.store: copy for copy in version.copies}
            # what an earlier run verified is read back once more: weeks may lie between
            if version.state in (State.LINKED, State.DONE) and held:
                first = [held[store] for store in work.wanted if store in held]
                work.copies[version.pk] = tuple(first or version.copies)
                work.attempted = True
            else:
                self._read(work, version, copiers)
        if not work.waiting:
            self._enqueue(Stage.LINK, work)

    def _give_up(self, work: Work, said: str) -> None:
        self._site.ledger.advance(work.steps(State.FAILED, said))
        self._report.failed += 1
        self._report.error(work.entry.document, said)

    def _left_behind(self, work: Work, states: set[State]) -> None:
        """An earlier part of this run, or a later plan, settled the document otherwise: the next plan sees to it."""
        if State.FAILED in states:
            self._report.failed += 1
            self._report.error(work.entry.document, "it failed before; the next plan tries again")
        elif State.CONFLICT in states:
            self._report.conflict += 1

    def _read(self, work: Work, version: VersionEntry, copiers: ThreadPoolExecutor) -> None:
        first, *further = work.wanted
        task = CopyTask(version.pk, work.entry.document, version.version, first, tuple(further), version.copies)
        work.waiting.add(version.pk)
        self._works_by_version[version.pk] = work
        self._reading += 1
        self._held += task.held
        group, name = self._group(work), work.entry.document.ref.source
        if not group.takes(task):
            self._send(name, group, copiers)
        group.add(task)
        if len(group.tasks) >= group.most:
            self._send(name, group, copiers)

    def _group(self, work: Work) -> Group:
        ref = work.entry.document.ref
        capabilities = self._capabilities[ref.source]
        return self._groups.setdefault((ref.source, ref.kind), Group(capabilities.read_batch, capabilities.read_bytes))

    def _send(self, source: str, group: Group, copiers: ThreadPoolExecutor) -> None:
        if group.tasks:
            copiers.submit(self._readers[source].copy, group.empty())

    def _store_is_proven(self, name: str) -> bool:
        """Whether a write may rest on the store's proof now; re-proves a stale one, and compares it with the plan's."""
        if name in self._closed_stores:
            return False
        proof = self._proofs.get(name)
        if proof is not None and proof.usable_at(self._site.context.now()):
            return True
        proof = self._site.stores[name].prove()
        keep(self._site, proof)
        changed = changes(self._plan.header.proofs.get(name), proof)
        if changed or not proof.usable_at(self._site.context.now()):
            message = (
                f"nothing more is written to the store {name}: its location proof changed since the plan was made: "
                f"{'; '.join(changed) or proof.summary}"
            )
            self._closed_stores[name] = Drift(message)
            return False
        try:
            claim(self._site, name, self._plan.header.sources)
        except Refused as error:
            self._closed_stores[name] = error
            return False
        self._proofs[name] = proof
        return True

    # -- settling --------------------------------------------------------------------------------------------

    def _settle(self, events: Sequence[Copied | BatchResult], batchers: ThreadPoolExecutor) -> None:
        steps: list[Step] = []
        links: list[tuple[int, Link, dict[str, str]]] = []
        after: list[tuple[Stage, Work]] = []
        for event in events:
            if isinstance(event, Copied):
                self._settle_copy(event, steps, after)
            else:
                self._batches.running -= 1
                self._settle_batch(event, steps, links, after)
        if steps or links:
            self._site.ledger.advance(steps, links=links)
        for event in events:
            if isinstance(event, Copied):
                self._sharing.settle(event.task.pk)
        for stage, work in after:
            self._enqueue(stage, work)

    def _settle_copy(self, event: Copied, steps: list[Step], after: list[tuple[Stage, Work]]) -> None:
        task = event.task
        work = self._works_by_version.pop(task.pk, None)
        if work is None:
            return
        self._reading -= 1
        self._held -= task.held
        work.waiting.discard(task.pk)
        if event.error is None and task.pk in self._superseded:
            holds = Holds.of(self._site)
            if ids := holds.forbids_removal(work.entry):
                # a hold since this run began: what is stored stays, and the new copy is made again after its release
                work.failed = True
                steps.append(Step(version=task.pk, to=State.HELD, detail=holds.reason(ids).text))
                return
            event = self._without_superseded(event)
        if event.copy is not None:
            detail = "found in the store" if event.reused else ""
            steps.append(Step(version=task.pk, to=State.COPIED, copy=event.copy, further=event.further, detail=detail))
            self._report.versions_copied += not event.reused
            self._report.further_copies += len(event.further)
        if event.copy is not None and event.error is None:
            self._misses = 0
            self._copied += 1
            self._site.progress("copy", self._copied, self._plan.totals["versions"])
            work.copies[task.pk] = (event.copy, *event.further)
            steps.append(Step(version=task.pk, to=State.VERIFIED, data={"sha256": event.copy.digest.sha256}))
        else:
            self._copy_failed(work, event, steps)
        if not work.waiting and not work.failed:
            self._copied_whole(work, steps, after)

    def _copied_whole(self, work: Work, steps: list[Step], after: list[tuple[Stage, Work]]) -> None:
        """All versions lie where they shall: copies elsewhere are taken away, and the document can be linked."""
        if elsewhere(work.entry, work.wanted):
            holds = Holds.of(self._site)
            if ids := holds.forbids_removal(work.entry):
                steps.extend(self._hold_back(work, holds.reason(ids)))
                return
        try:
            withdraw_elsewhere(self._site, work.entry, work.wanted)
        except OffloaderError as error:
            said = f"a copy of it could not be taken away from where it may no longer be: {error}"
            steps.extend(work.steps(State.FAILED, said))
            self._report.failed += 1
            self._report.error(work.entry.document, said)
        else:
            after.append((Stage.LINK, work))

    def _without_superseded(self, event: Copied) -> Copied:
        """Take away the copies of what somebody has overwritten in the CRM, now that the newer bytes are stored."""
        pk = event.task.pk
        new = {copy.store: copy.key for copy in (event.copy, *event.further) if copy is not None}
        for store, old in self._superseded[pk]:
            if new.get(store) == old:
                continue
            try:
                take_away(self._site, pk, store, old, forget=store not in new)
            except OffloaderError as error:
                return replace(event, error=error, where=store)
        return event

    def _copy_failed(self, work: Work, event: Copied, steps: list[Step]) -> None:
        task, error = event.task, event.error
        assert error is not None
        already = work.failed
        work.failed = True
        if isinstance(error, STOPPING):
            if event.copy is not None:
                # what is verified is known to the next run, which makes what is missing
                steps.append(Step(version=task.pk, to=State.PLANNED, detail=str(error)))
            self._stop(error)
            return
        if isinstance(error, StoreFull):
            self._closed_stores[event.where or task.store] = error
        if isinstance(error, Transient):
            self._misses += 1
            if self._misses > self._threads:
                self._stop(error)
        if isinstance(error, Gone):
            self._missing.append(task.document.ref)
            steps.append(Step(version=task.pk, to=State.CONFLICT, detail=str(error)))
            if not already:
                self._report.conflict += 1
                self._report.error(task.document, str(error))
            return
        said = f"{error}; nothing is lost, the next run tries again" if isinstance(error, Transient) else str(error)
        steps.append(Step(version=task.pk, to=State.FAILED, detail=said))
        if not already:
            self._report.failed += 1
            self._report.error(task.document, said)

    def _settle_batch(
        self,
        result: BatchResult,
        steps: list[Step],
        links: list[tuple[int, Link, dict[str, str]]],
        after: list[tuple[Stage, Work]],
    ) -> None:
        works: Sequence[Work] = result.works
        if result.error is not None:
            if isinstance(result.error, STOPPING):
                self._stop(result.error)
                return
            if isinstance(result.error, StoreFull):
                self._closed_stores.update({store: result.error for work in works for store in work.wanted})
            for work in works:
                self._again(result.stage, work, str(result.error), steps, after)
            return
        for work, outcome in zip(works, result.outcomes, strict=True):
            if isinstance(outcome, HeldBack):
                steps.extend(self._hold_back(work, outcome.reason))
            elif isinstance(outcome, Unproven):
                self._give_up(work, outcome.reason)
            elif outcome.status is Status.RETRY:
                self._again(result.stage, work, outcome.reason, steps, after)
            elif result.stage is Stage.LINK:
                self._linked(work, outcome, steps, links, after)
            else:
                self._removed(work, outcome, steps)

    def _again(self, stage: Stage, work: Work, reason: str, steps: list[Step], after: list[tuple[Stage, Work]]) -> None:
        work.tries += 1
        work.attempted = True
        if work.tries < self._site.pace.attempts and self._report.stopped is None:
            after.append((stage, work))
            return
        steps.extend(work.steps(State.FAILED, reason))
        self._report.failed += 1
        self._report.error(work.entry.document, f"{reason}; nothing is lost, the next run tries again")

    def _linked(
        self,
        work: Work,
        outcome: Outcome,
        steps: list[Step],
        links: list[tuple[int, Link, dict[str, str]]],
        after: list[tuple[Stage, Work]],
    ) -> None:
        if outcome.status in (Status.DONE, Status.REPLACED):
            work.link_ref = dict(outcome.link_ref)
            links.append((work.entry.pk, work.link, work.link_ref))
            pending = [v for v in work.versions if v.state not in (State.LINKED, State.DONE)]
            steps.extend(Step(version=v.pk, to=State.LINKED, data={"link": work.link.id}) for v in pending)
            self._report.links_verified += 1
            # In place, nothing is left to remove; the source looks once more whether the placeholder still stands.
            work.tries = 0
            after.append((Stage.REMOVE, work))
        else:
            self._stays(work, outcome, steps)

    def _removed(self, work: Work, outcome: Outcome, steps: list[Step]) -> None:
        if outcome.status is Status.DONE:
            self._done(work, steps)
        else:
            self._stays(work, outcome, steps)

    def _done(self, work: Work, steps: list[Step]) -> None:
        steps.extend(work.steps(State.DONE))
        report = self._report
        report.originals_removed += 1
        report.moved += 1
        report.versions_moved += len(work.versions)
        first = [work.copies.get(version.pk, version.copies)[:1] for version in work.versions]
        report.bytes += sum(copy.digest.size for copies in first for copy in copies)
        self._site.progress("move", report.moved, self._total)

    def _stays(self, work: Work, outcome: Outcome, steps: list[Step]) -> None:
        """The CRM, or somebody in it, does not let this document go: the original stays, with the reason."""
        if outcome.status is Status.REFUSED:
            steps.extend(work.steps(State.REVIEW, outcome.reason, rule="crm"))
            self._report.review += 1
            self._report.reasons["REVIEW CRM_REFUSES"] += 1
            self._report.examples.setdefault("REVIEW CRM_REFUSES", outcome.reason)
        else:
            if outcome.status is Status.GONE:
                self._missing.append(work.entry.document.ref)
            steps.extend(work.steps(State.CONFLICT, outcome.reason))
            self._report.conflict += 1
        self._report.error(work.entry.document, outcome.reason)

    # -- batches ---------------------------------------------------------------------------------------------

    def _enqueue(self, stage: Stage, work: Work) -> None:
        document = work.entry.document
        key = (stage, document.ref.source, document.ref.kind, document.strategy)
        self._ready.setdefault(key, deque()).append(work)

    def _start_batches(self, batchers: ThreadPoolExecutor) -> None:
        if self._report.stopped is not None:
            return
        for (stage, source, _, _), works in self._ready.items():
            capabilities = self._capabilities[source]
            size = capabilities.link_batch if stage is Stage.LINK else capabilities.remove_batch
            while works and (len(works) >= size or self._last_chance(stage)):
                batch = [works.popleft() for _ in range(min(size, len(works)))]
                self._batches.running += 1
                batchers.submit(self._batches.carry_out, Batch(stage, source, batch), self._events.put)

    def _last_chance(self, stage: Stage) -> bool:
        """Whether nothing is on its way that could make this batch fuller."""
        if not self._fed or self._reading:
            return False
        return stage is Stage.LINK or not self._batches.running

    def _stop(self, error: OffloaderError) -> None:
        if self._report.stopped is None:
            self._report.stopped, self._report.stop_error = sentence(error), error
