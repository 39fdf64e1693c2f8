"""Deleting a batch of records and finding out what became of each, also when the answer was lost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from offloader.errors import Transient
from offloader.moves.site import Site
from offloader.ports import Status
from offloader.records import Deleted, Deletion, Record, RecordRef, Records
from offloader.wrappers.retrying import Retry

T = TypeVar("T")
A = TypeVar("A")


def in_batches(records: Records, items: Sequence[T], act: Callable[[Sequence[T]], Sequence[A]]) -> list[A]:
    """Run a call on as many items at a time as it takes, and give all answers in order."""
    return [
        answer for start in range(0, len(items), records.batch) for answer in act(items[start : start + records.batch])
    ]


def fetch(records: Records, refs: Sequence[RecordRef]) -> list[Record | None]:
    return in_batches(records, refs, records.fetch)


def gone(records: Records, refs: Sequence[RecordRef]) -> list[Status]:
    return in_batches(records, refs, records.gone)


def retry_of(site: Site) -> Retry:
    context = site.context
    return Retry(sleep=context.sleep, monotonic=context.monotonic, random=context.random, attempts=site.pace.attempts)


def delete(site: Site, records: Records, deletions: Sequence[Deletion], *, hard: bool) -> list[Deleted]:
    """Delete one batch, and try again what the CRM says to try again. In order.

    DONE is read back: such a record is not there any more. After a lost answer it is asked what is still there before
    anything is deleted again. Raises what ends a run; what was done until then is found by the next one.
    """
    answers: dict[int, Deleted] = {}
    tries = retry_of(site).tries()
    open_ones = list(range(len(deletions)))
    while open_ones:
        error: Transient | None = None
        try:
            given = records.delete([deletions[number] for number in open_ones], hard=hard)
        except Transient as problem:
            error = problem
            given = _looked(records, [deletions[number].ref for number in open_ones])
        answers.update(zip(open_ones, given, strict=True))
        open_ones = [number for number in open_ones if answers[number].status is Status.RETRY]
        if open_ones:
            try:
                tries.failed(error or Transient(answers[open_ones[0]].reason))
            except Transient:
                break
    done = [number for number, answer in answers.items() if answer.status is Status.DONE]
    for number, status in zip(done, gone(records, [deletions[n].ref for n in done]), strict=True):
        if status is Status.CONFLICT:
            answers[number] = Deleted(status=Status.RETRY, reason="it was said to be deleted, and is still there")
    return [answers[number] for number in range(len(deletions))]


def _looked(records: Records, refs: Sequence[RecordRef]) -> list[Deleted]:
    """What became of a call whose answer was lost: certainly deleted, or to be tried again."""
    there = dict(zip(refs, gone(records, refs), strict=True))
    return [
        Deleted(status=Status.DONE)
        if there[ref] is Status.DONE
        else Deleted(status=Status.RETRY, reason="the answer to its deletion was lost")
        for ref in refs
    ]
