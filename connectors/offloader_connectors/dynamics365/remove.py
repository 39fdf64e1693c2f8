"""Removing originals, and links after a restore.

Notes and mail attachments lost their bytes with the placeholder's writing: they are looked at once more. A file of a
column is deleted by its own id, so one that a user has put there meanwhile is never hit; an image by its column, if its
record is unchanged since before the image was read again (Web API reference, DeleteFile; developer guide, "Use image
column data").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from offloader.errors import AuthError, Conflict, Gone, Permanent
from offloader.model import Document
from offloader.ports import LinkRequest, Outcome, Status
from offloader_connectors.dynamics365 import odata, places, rows, standing, stubbing
from offloader_connectors.dynamics365.api import Answer, Api, Part
from offloader_connectors.dynamics365.columns import Columns, Fetcher, Job
from offloader_connectors.dynamics365.options import DynamicsOptions
from offloader_connectors.dynamics365.rows import Row
from offloader_connectors.dynamics365.standing import Standing
from offloader_connectors.dynamics365.stubbing import Stubber

DONE = Outcome(status=Status.DONE)
_MOMENT = "it was changed in this moment"


class Remover:
    """Deletes files, images and links. Thread-safe."""

    def __init__(
        self, api: Api, scanner: Fetcher, stubber: Stubber, columns: Columns, options: DynamicsOptions
    ) -> None:
        self._scanner = scanner
        self._stubber = stubber
        self._columns = columns
        self._standing = Standing(api)
        self._headers = stubbing.write_headers(options)

    def remove(self, requests: Sequence[LinkRequest]) -> list[Outcome]:
        """Delete originals that are unchanged and whose link stands; look once more at placeholders. In order."""
        return places.split(requests, self._stubber.look_again, self._remove)

    def unlink(self, requests: Sequence[LinkRequest]) -> list[Outcome]:
        """Take links away, but only what still is the link that was asked for."""
        return places.split(requests, lambda some: [DONE] * len(some), self._unlink)

    # -- originals ----------------------------------------------------------------------------------------------

    def _remove(self, requests: Sequence[LinkRequest]) -> list[Outcome]:
        jobs, outcomes = self._columns.jobs(requests)
        self._columns.look(jobs)
        etags = self._records([job for job in jobs if job.document.ref.kind == places.IMAGES])
        originals = self._scanner.fetch([job.document.ref for job in jobs], signals=False) if jobs else []
        ready: list[Job] = []
        for job, original in zip(jobs, originals, strict=True):
            job.outcome = _verdict(job, original)
            if job.outcome is None and job.document.ref.kind == places.IMAGES and job.place not in etags:
                job.settle(Status.RETRY, _MOMENT)
            if job.outcome is None:
                ready.append(job)
        for job, answer in self._columns.change(ready, lambda job: self._deletion(job, etags)):
            job.outcome = _deleted(answer)
        return self._columns.in_order(requests, jobs, outcomes)

    def _records(self, jobs: Sequence[Job]) -> dict[tuple[str, str], Row]:
        """Records by table and id, with their etags."""
        found: dict[tuple[str, str], Row] = {}
        for name in odata.unique(job.cell.table for job in jobs):
            group = [job for job in jobs if job.cell.table == name]
            records = self._standing.records(group[0].table, [job.cell.id for job in group], ())
            found.update({(name, key): row for key, row in records.items()})
        return found

    def _deletion(self, job: Job, records: Mapping[tuple[str, str], Row]) -> Part:
        if job.document.ref.kind != places.IMAGES:
            body = {"FileId": odata.guid(job.document.etag.partition(":")[0])}
            return Part("POST", "DeleteFile", body, self._headers, operation="deletefile")
        headers = {"If-Match": rows.etag(records[job.place]), **self._headers}
        return Part("DELETE", f"{job.record}/{job.cell.column}", None, headers, operation="column.delete")

    # -- links --------------------------------------------------------------------------------------------------

    def _unlink(self, requests: Sequence[LinkRequest]) -> list[Outcome]:
        jobs, outcomes = self._columns.jobs(requests)
        notes = self._columns.notes(job for job in jobs if job.column is None)
        cells = self._columns.cells(jobs)
        standing_at: dict[int, Row] = {}
        for job in jobs:
            row = notes.get(job.note) if job.column is None else cells.get(job.place)
            if row is None or (job.column is not None and not rows.optional(row, job.column)):
                job.outcome = DONE
            elif _is_ours(job, row):
                standing_at[id(job)] = row
            else:
                job.settle(Status.CONFLICT, "the link was changed into something else")
        ready = [job for job in jobs if job.outcome is None]
        for job, answer in self._columns.change(ready, lambda job: self._clearing(job, standing_at[id(job)])):
            job.outcome = _deleted(answer)
        return self._columns.in_order(requests, jobs, outcomes)

    def _clearing(self, job: Job, row: Row) -> Part:
        if job.column is not None:
            return self._columns.cell_part(job, row, None)
        headers = {"If-Match": rows.etag(row), **self._headers}
        return Part("DELETE", odata.record("annotations", job.note), None, headers, operation="delete.annotation")


def _is_ours(job: Job, row: Row) -> bool:
    if job.column is not None:
        return rows.optional(row, job.column) == job.link.url
    return standing.ours(row, job.document, job.link)


def _verdict(job: Job, original: Document | None) -> Outcome | None:
    """Say why this original may not be deleted, or that it is gone; None if it may."""
    if original is None:
        return Outcome(status=Status.DONE, reason="already gone")
    conflicts = (
        (original.skip is not None, f"it must stay now: {original.skip.reason if original.skip else ''}"),
        (original.etag != job.document.etag, stubbing.CHANGED),
        (not job.stands, job.outcome.reason if job.outcome else "its link is not there"),
    )
    reason = next((text for applies, text in conflicts if applies), None)
    return Outcome(status=Status.CONFLICT, reason=reason) if reason else None


def _deleted(answer: Answer) -> Outcome:
    """What became of a deletion; where nothing certain can be said, the item is tried again."""
    error = answer.error()
    if error is None or isinstance(error, Gone):
        return DONE
    if isinstance(error, Conflict):
        return Outcome(status=Status.RETRY, reason=_MOMENT)
    if isinstance(error, Permanent) and not isinstance(error, AuthError):
        return Outcome(status=Status.REFUSED, reason=str(error))
    return Outcome(status=Status.RETRY, reason=str(error))
