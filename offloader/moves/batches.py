"""Batches: the catalog, the links and the removals of many documents in one call each."""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from offloader.errors import IntegrityError, OffloaderError
from offloader.model import Reason, State
from offloader.moves.catalog import write_segments, write_states
from offloader.moves.holding import Holds
from offloader.moves.reading import MAX_WAIT
from offloader.moves.retaining import retain
from offloader.moves.site import Site
from offloader.ports import Outcome, Status


class Stage(enum.Enum):
    LINK = "link"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True)
class Batch:
    """Documents of one kind of one source that are ready for the same step."""

    stage: Stage
    source: str
    works: Sequence[Any]


@dataclass(frozen=True, slots=True)
class HeldBack:
    """In place of an outcome: a legal hold keeps the document, nothing was done."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class Unproven:
    """In place of an outcome: a copy is not what an earlier run verified, nothing was done."""

    reason: str


@dataclass(frozen=True, slots=True)
class BatchResult:
    """`outcomes` pairs with `works` in order, or `error` says why nothing can be said of any."""

    stage: Stage
    works: Sequence[Any]
    outcomes: Sequence[Outcome | HeldBack | Unproven] = field(default_factory=tuple)
    error: OffloaderError | None = None


class Batches:
    """Carries batches out in worker threads. `running` belongs to the coordinator."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self.running = 0

    def carry_out(self, batch: Batch, done: Callable[[BatchResult], None]) -> None:
        """Do the batch's step; always answers, with outcomes or with the error."""
        try:
            outcomes = self._step(batch)
        except OffloaderError as error:
            done(BatchResult(batch.stage, batch.works, error=error))
        except Exception as error:  # noqa: BLE001 - the worker's top: the coordinator must hear of every end
            wrapped = OffloaderError(f"unexpected {error.__class__.__name__} in {batch.stage.value}: {error}")
            done(BatchResult(batch.stage, batch.works, error=wrapped))
        else:
            done(BatchResult(batch.stage, batch.works, outcomes))

    def _step(self, batch: Batch) -> Sequence[Outcome | HeldBack | Unproven]:
        self._pause(max(work.tries for work in batch.works))
        kept: dict[int, HeldBack | Unproven] = {**self._unproven(batch), **self._held_back(batch)}
        free = [work for number, work in enumerate(batch.works) if number not in kept]
        outcomes = self._act(replace(batch, works=free)) if free else ()
        if len(outcomes) != len(free):
            raise IntegrityError(
                f"{batch.source}: {len(outcomes)} answers to {len(free)} requests of {batch.stage.value}"
            )
        rest = iter(outcomes)
        return [kept[number] if number in kept else next(rest) for number in range(len(batch.works))]

    def _held_back(self, batch: Batch) -> dict[int, HeldBack]:
        """What holds forbid to link or remove, asked in the same breath: one may have been added since the plan."""
        holds = Holds.of(self._site)
        found = {}
        for number, work in enumerate(batch.works):
            if batch.stage is Stage.REMOVE and work.entry.document.strategy.in_place:
                continue  # the link has replaced it already; the source only looks whether that still stands
            if ids := holds.freezing(work.entry):
                found[number] = HeldBack(holds.reason(ids))
        return found

    def _unproven(self, batch: Batch) -> dict[int, Unproven]:
        """Whose originals may not go: their links were written by an earlier run, and a copy is not as it was then."""
        found = {}
        for number, work in enumerate(batch.works if batch.stage is Stage.REMOVE else ()):
            if work.entry.document.strategy.in_place:
                continue  # nothing is left to remove
            earlier = [each for each in work.versions if each.state is State.LINKED]
            for copy in (copy for each in earlier for copy in work.copies.get(each.pk, each.copies)):
                there = self._site.stores[copy.store].stat(copy.key)
                if there is None or (there.sha256, there.size) != (copy.digest.sha256, copy.digest.size):
                    found[number] = Unproven(
                        f"its link stands, but its copy in the store {copy.store} is not what was verified; its "
                        "original stays, and the next run copies it again"
                    )
        return found

    def _act(self, batch: Batch) -> Sequence[Outcome]:
        source = self._site.sources[batch.source]
        requests = [work.request() for work in batch.works]
        if batch.stage is Stage.REMOVE:
            outcomes = source.remove(requests)
            self._note_done(batch, outcomes)
            return outcomes
        write_segments(
            dict(self._site.stores),
            [(work.entry.document, work.link, work.placed()) for work in batch.works],
        )
        retain(self._site, batch.works)
        return source.link(requests)

    def _note_done(self, batch: Batch, outcomes: Sequence[Outcome]) -> None:
        """Say in the catalog what is done, so that a lost ledger can be made anew without asking the CRM."""
        done = (
            (work.entry.document.ref, work.link_ref, work.stores)
            for work, outcome in zip(batch.works, outcomes, strict=True)
            if outcome.status is Status.DONE
        )
        # Without the note, a rebuilt ledger asks the CRM about these documents: no reason to call the removal failed.
        with suppress(OffloaderError):
            write_states(self._site.stores, done, State.DONE, self._site.context.now())

    def _pause(self, tries: int) -> None:
        """Before another try, wait longer each time: a locked record is not free again at once."""
        if tries:
            context = self._site.context
            context.sleep(min(MAX_WAIT, 0.5 * 2**tries) * (0.5 + context.random()))
