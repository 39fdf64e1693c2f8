"""Acts of a plan that are carried out many at once: each ends for itself, a batch of them is settled together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from offloader.disposition.acts import Report, acts_of, interrupted
from offloader.errors import AuthError, Drift, Exhausted, Interrupted, OffloaderError, StoreFull
from offloader.ledger import Entry
from offloader.ledger.disposing import Act
from offloader.moves.site import Site

#: acts that are settled together: their catalog lines are one segment, their ledger rows one commit
BATCH = 200
#: these end the run: the next document would fail alike
_STOPPING = (AuthError, Drift, Exhausted, Interrupted, StoreFull)


@dataclass(slots=True, kw_only=True)
class Job:
    """One act on its way. `state` is set when it ends early, `stop` by what ends the whole run."""

    act: Act
    entry: Entry
    state: str = ""
    detail: str = ""
    stop: OffloaderError | None = None

    def end(self, state: str, detail: str) -> None:
        """Note how the act ended, for now or for good."""
        self.state, self.detail = state, detail

    @property
    def under_way(self) -> bool:
        """Whether nothing has ended it yet."""
        return not self.state and self.stop is None


J = TypeVar("J", bound=Job)


def in_batches(
    site: Site,
    report: Report,
    width: int,
    batch: Callable[[Sequence[Act], ThreadPoolExecutor], None],
    last: Callable[[], None],
) -> None:
    """Hand a plan's open acts over, `BATCH` at a time and with `width` threads; once all are through, do `last`.

    What stops the run is noted in the report. An interrupt waits until a batch is settled.
    """
    with ThreadPoolExecutor(width, report.kind) as pool, site.interrupts.deferred():
        try:
            for page in acts_of(site, report.plan, {"open"}):
                for start in range(0, len(page), BATCH):
                    interrupted(site)
                    batch(page[start : start + BATCH], pool)
                    if report.stopped is not None:
                        return
            last()
        except OffloaderError as error:
            report.stop(error)


def each(pool: ThreadPoolExecutor, act: Callable[[J], None], jobs: Sequence[J]) -> None:
    """Do this to every job that is under way, at once; what one raises ends that one, or is what stops the run."""

    def safely(job: J) -> None:
        try:
            act(job)
        except _STOPPING as error:
            job.stop = error
        except OffloaderError as error:
            job.end("failed", str(error))

    for _ in pool.map(safely, [job for job in jobs if job.under_way]):
        pass
