"""A pilot: few documents of a large plan, spread over everything that makes documents different, drawn by a seed."""

from __future__ import annotations

import hashlib
import heapq
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from offloader.ledger import Entry
from offloader.model import Decision, Verdict

#: source, kind, verdict, code, store
Stratum = tuple[str, str, str, str, str]


@dataclass(frozen=True, slots=True)
class Pilot:
    """How many documents, and by which seed they are drawn: the same seed draws the same ones again."""

    documents: int
    seed: str = "1"


@dataclass(slots=True)
class Draw:
    """Sees every decision once, and keeps of each stratum the few documents that the seed puts first."""

    pilot: Pilot
    seen: int = 0
    #: the largest marks are kept, as heaps
    _kept: dict[Stratum, list[tuple[str, int]]] = field(default_factory=lambda: defaultdict(list))

    def see(self, entry: Entry, decision: Decision) -> None:
        self.seen += 1
        ref = entry.document.ref
        kept = self._kept[ref.source, ref.kind, decision.verdict.value, decision.code, decision.store or ""]
        mark = hashlib.sha256(f"{self.pilot.seed}\x1f{ref}".encode("utf-8", "backslashreplace")).hexdigest()
        if len(kept) < self.pilot.documents:
            heapq.heappush(kept, (mark, entry.pk))
        else:
            heapq.heappushpop(kept, (mark, entry.pk))

    def chosen(self) -> list[int]:
        """Numbers of the documents, ascending: one of each stratum in turn, what is to be moved first."""
        strata = sorted(self._kept, key=lambda stratum: (stratum[2] != Verdict.MOVE, stratum))
        queues = [[pk for _, pk in sorted(self._kept[stratum], reverse=True)] for stratum in strata]
        return sorted(_in_turn(queues, self.pilot.documents))


def _in_turn(queues: Iterable[list[int]], most: int) -> list[int]:
    taken: list[int] = []
    rounds = [iter(queue) for queue in queues]
    while rounds and len(taken) < most:
        left = []
        for each in rounds:
            pk = next(each, None)
            if pk is not None and len(taken) < most:
                taken.append(pk)
                left.append(each)
        rounds = left
    return taken
