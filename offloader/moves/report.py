"""What a run did, in numbers."""

from __future__ import annotations

import resource
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from offloader.model import Document, Verdict
from offloader.moves.holding import HELD


@dataclass(slots=True)
class RunReport:
    """One apply. Counts are of documents unless they say otherwise; `seconds` is wall time."""

    plan: str | None = None
    documents: int = 0
    moved: int = 0
    bytes: int = 0
    versions_moved: int = 0
    versions_copied: int = 0
    #: copies in further stores, of versions
    further_copies: int = 0
    links_verified: int = 0
    originals_removed: int = 0
    kept: int = 0
    #: left alone because of legal holds, by the plan or since
    held: int = 0
    blocked: int = 0
    review: int = 0
    conflict: int = 0
    failed: int = 0
    seconds: float = 0.0
    crm_requests: Counter[str] = field(default_factory=Counter)
    #: reasons of what stayed, with how many
    reasons: Counter[str] = field(default_factory=Counter)
    #: one document's reason for each of `reasons`, in words
    examples: dict[str, str] = field(default_factory=dict)
    #: what went wrong, one line a document, at most `MAX_ERRORS`
    errors: list[str] = field(default_factory=list)
    #: why the run stopped before its end
    stopped: str | None = None
    #: the exception behind `stopped`
    stop_error: Exception | None = None
    blind_spots: list[str] = field(default_factory=list)
    #: documents that were moved earlier and hold bytes again
    returned: list[str] = field(default_factory=list)
    #: where the event log stands now; `error` instead of all else if no checkpoint could be made
    checkpoint: dict[str, Any] | None = None

    MAX_ERRORS = 50

    def error(self, document: Document, message: str) -> None:
        if len(self.errors) < self.MAX_ERRORS:
            self.errors.append(message if str(document.ref.id) in message else f"{document.ref}: {message}")

    def count_plan(self, totals: Mapping[str, Any]) -> None:
        """Take over what the plan left alone, from its totals."""
        verdicts: Mapping[str, int] = totals["verdicts"]
        codes: Mapping[str, int] = totals["codes"]
        self.examples.update(totals["examples"])
        self.documents = sum(verdicts.values())
        self.held = codes.get(f"{Verdict.KEEP} {HELD}", 0)
        self.kept = verdicts.get(Verdict.KEEP, 0) - self.held
        self.blocked = verdicts.get(Verdict.BLOCKED, 0)
        self.review += verdicts.get(Verdict.REVIEW, 0)
        self.reasons.update({code: n for code, n in codes.items() if not code.startswith(Verdict.MOVE)})

    def as_json(self) -> dict[str, Any]:
        requests = sum(self.crm_requests.values())
        return {
            "plan": self.plan,
            "documents": self.documents,
            "bytes": self.bytes,
            "moved": self.moved,
            "kept": self.kept,
            "held": self.held,
            "blocked": self.blocked,
            "review": self.review,
            "conflict": self.conflict,
            "failed": self.failed,
            "links_verified": self.links_verified,
            "originals_removed": self.originals_removed,
            "versions_moved": self.versions_moved,
            "versions_copied": self.versions_copied,
            "further_copies": self.further_copies,
            "crm_requests": dict(sorted(self.crm_requests.items())),
            "requests_per_version": round(requests / self.versions_moved, 4) if self.versions_moved else None,
            "seconds": round(self.seconds, 3),
            "files_per_second": round(self.versions_moved / self.seconds, 1) if self.seconds else None,
            "peak_rss_mb": peak_rss_mb(),
            "reasons": dict(sorted(self.reasons.items())),
            "errors": self.errors,
            "stopped": self.stopped,
            "blind_spots": self.blind_spots,
            "returned": self.returned,
            "checkpoint": self.checkpoint,
        }


def sentence(error: BaseException) -> str:
    """The error's message; of a spent budget also when to come back."""
    wait = getattr(error, "resume_after", None)
    if wait is None:
        return str(error)
    minutes = max(1, round(wait.total_seconds() / 60))
    return f"{error}; run again in {minutes} minutes, what was done so far stays done"


def peak_rss_mb() -> float:
    """The largest resident memory of this process so far, in MiB.

    The kernel's own mark counts from the start of this program; `getrusage`, where there is no such mark, may count
    what the process that started it held.
    """
    try:
        with open("/proc/self/status", encoding="ascii") as status:  # noqa: PTH123 - a file of the kernel
            mark = next(line for line in status if line.startswith("VmHWM:"))
        kibibytes = int(mark.split()[1])
    except (OSError, StopIteration, ValueError):
        kibibytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(kibibytes / 1024, 1)
