"""Links of files and images that stand in columns of records.

The link is a note on the record whose id is made of the link's: it is created only if there is none of that id, so it
can never be made twice. Where the operator names a column for it, the address goes there instead (Web API guide,
"Perform conditional operations"; table reference, annotation).
"""

from __future__ import annotations

import base64
import re
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from offloader.errors import AuthError, Conflict, Gone, OffloaderError, Permanent
from offloader.model import Document, DocumentRef, Link
from offloader.ports import LinkRequest, Outcome, Status
from offloader_connectors.dynamics365 import odata, rows, standing, stub, stubbing, trouble
from offloader_connectors.dynamics365.api import Answer, Api, Part
from offloader_connectors.dynamics365.environment import Environment, Table
from offloader_connectors.dynamics365.forms import ALL_BLOCKED, Forms
from offloader_connectors.dynamics365.options import DynamicsOptions
from offloader_connectors.dynamics365.places import NOTE_ROWS, Cell
from offloader_connectors.dynamics365.rows import Row
from offloader_connectors.dynamics365.standing import Standing
from offloader_connectors.placeholder import Form

SUBJECT_LENGTH = 500
_HEX = re.compile(r"[0-9a-f]{32}", re.ASCII)
_PARENT = "_objectid_value"
_OWNER = "_ownerid_value"
_OWNER_SETS: Mapping[str, str] = {"systemuser": "systemusers", "team": "teams"}
NOT_THERE = Outcome(status=Status.GONE, reason="the link is not there")
TAKEN = "the link column holds something else"


class Fetcher(Protocol):
    """Reads documents afresh, in order; None for one that is not there. `signals`: with those of their parents."""

    def fetch(self, refs: Sequence[DocumentRef], *, signals: bool = True) -> Sequence[Document | None]: ...


@dataclass(slots=True)
class Job:
    """One link on its way. `column`: where its address goes; None: into a note."""

    request: LinkRequest
    cell: Cell
    table: Table
    column: str | None
    forms: Sequence[Form] = ()
    #: who is to own the note, best first: addresses of users and teams, and "" for the application user
    owners: list[str] = field(default_factory=lambda: [""])
    made: stub.Stub | None = None
    outcome: Outcome | None = None

    @property
    def link(self) -> Link:
        return self.request.link

    @property
    def document(self) -> Document:
        return self.request.document

    @property
    def note(self) -> str:
        return note_id(self.link)

    @property
    def place(self) -> tuple[str, str]:
        """The record by table and id."""
        return self.cell.table, self.cell.id

    @property
    def record(self) -> str:
        return odata.record(self.table.set_name, self.cell.id)

    @property
    def stands(self) -> bool:
        """Whether the link was found to stand."""
        return self.outcome is not None and self.outcome.status is Status.DONE

    @property
    def ref(self) -> dict[str, str]:
        return {"column": f"{self.cell.table}.{self.column}"} if self.column else {"note": self.note}

    def settle(self, status: Status, reason: str = "") -> None:
        self.outcome = Outcome(status=status, reason=reason, link_ref=self.ref if status is Status.DONE else {})


def note_id(link: Link) -> str:
    """The id of the note that holds a link."""
    if _HEX.fullmatch(link.id):
        return str(uuid.UUID(link.id))
    return str(uuid.uuid5(uuid.NAMESPACE_URL, link.id))


class Columns:
    """Makes links and looks after them. Thread-safe."""

    def __init__(self, api: Api, environment: Environment, scanner: Fetcher, options: DynamicsOptions) -> None:
        self._api = api
        self._environment = environment
        self._scanner = scanner
        self._standing = Standing(api)
        self._forms = Forms(environment, options)
        self._link_columns = options.link_columns
        self._headers = stubbing.write_headers(options)

    def link(self, requests: Sequence[LinkRequest]) -> list[Outcome]:
        """Make links beside originals that are still there, and read them back. In order."""
        jobs, outcomes = self.jobs(requests)
        for job in jobs:
            if job.request.anew and job.cell.id not in {parent.id for parent in job.document.parents}:
                job.settle(Status.GONE, "its record has another id now, and the link is named by the id")
        asked = [job for job in jobs if not job.request.anew]
        found = self._scanner.fetch([job.document.ref for job in asked], signals=False) if asked else []
        for job, document in zip(asked, found, strict=True):
            if document is None:
                job.settle(Status.GONE, "the file is not there any more")
        waiting = [job for job in jobs if job.outcome is None]
        self._link_notes([job for job in waiting if job.column is None])
        self._fill_columns([job for job in waiting if job.column is not None])
        return self.in_order(requests, jobs, outcomes)

    def inspect(self, requests: Sequence[LinkRequest]) -> list[Outcome]:
        """Read links back, notes with their bodies: DONE if they stand as requested."""
        jobs, outcomes = self.jobs(requests)
        notes = self.look(jobs)
        good = [job for job in jobs if job.column is None and job.stands]
        bodies = self._standing.bodies(NOTE_ROWS, [job.note for job in good])
        for job in good:
            fault = standing.compared(bodies.get(job.note), notes[job.note], job.document, job.link)
            job.outcome = fault or job.outcome
        return self.in_order(requests, jobs, outcomes)

    def jobs(self, requests: Sequence[LinkRequest]) -> tuple[list[Job], dict[int, Outcome]]:
        """What the requests are about; those that are about nothing in this environment are settled by number."""
        jobs: list[Job] = []
        outcomes: dict[int, Outcome] = {}
        for number, each in enumerate(requests):
            try:
                cell = Cell.of(each.document.ref)
                table = self._environment.table(cell.table)
            except AuthError:
                raise
            except Permanent as error:
                outcomes[number] = Outcome(status=Status.REFUSED, reason=str(error))
                continue
            jobs.append(Job(each, cell, table, self._column(cell)))
        return jobs, outcomes

    @staticmethod
    def in_order(
        requests: Sequence[LinkRequest], jobs: Iterable[Job], outcomes: Mapping[int, Outcome]
    ) -> list[Outcome]:
        """One outcome for each request."""
        settled = iter(jobs)
        unfinished = Outcome(status=Status.RETRY, reason="not finished")
        return [
            outcomes[number] if number in outcomes else next(settled).outcome or unfinished
            for number in range(len(requests))
        ]

    def look(self, jobs: Sequence[Job]) -> dict[str, Row]:
        """Settle each job by its link as it stands now: DONE, GONE, or CONFLICT. Returns the notes by id.

        Bodies are not read.
        """
        notes = self.notes(job for job in jobs if job.column is None)
        cells = self.cells(jobs)
        for job in jobs:
            if job.column is None:
                job.outcome = _judged(job, notes.get(job.note))
                continue
            row = cells.get(job.place)
            address = None if row is None else rows.optional(row, job.column)
            if not address:
                job.outcome = NOT_THERE
            else:
                job.settle(*((Status.DONE, "") if address == job.link.url else (Status.CONFLICT, TAKEN)))
        return notes

    def notes(self, jobs: Iterable[Job]) -> dict[str, Row]:
        """The notes of these links, by id."""
        return self._standing.read(NOTE_ROWS, [job.note for job in jobs], (_PARENT,))

    def cells(self, jobs: Iterable[Job]) -> dict[tuple[str, str], Row]:
        """Records with their link columns, by table and id: one list for each table."""
        wanted: dict[str, list[Job]] = {}
        for job in jobs:
            if job.column is not None:
                wanted.setdefault(job.cell.table, []).append(job)
        found: dict[tuple[str, str], Row] = {}
        for name, group in wanted.items():
            table = group[0].table
            columns = odata.unique(each.column for each in group if each.column)
            records = self._standing.records(table, [each.cell.id for each in group], columns)
            found.update({(name, key): row for key, row in records.items()})
        return found

    def change(self, jobs: Sequence[Job], part_of: Callable[[Job], Part]) -> Iterable[tuple[Job, Answer]]:
        """Carry out one operation for each job, many in one request."""
        for some in odata.chunks(jobs, 100):
            yield from zip(some, self._api.batch("batch", [part_of(job) for job in some]), strict=True)

    def cell_part(self, job: Job, row: Row, value: str | None) -> Part:
        """Write a link column of a record that is still as it was read."""
        assert job.column is not None
        headers = {"If-Match": rows.etag(row), "Prefer": "return=representation", **self._headers}
        path = f"{job.record}?$select={job.column}"
        return Part("PATCH", path, {job.column: value}, headers, operation=f"patch.{job.cell.table}")

    def _column(self, cell: Cell) -> str | None:
        found = self._link_columns.get(f"{cell.table}.{cell.column}")
        return odata.name(found) if found else None

    # -- notes --------------------------------------------------------------------------------------------------

    def _link_notes(self, jobs: Sequence[Job]) -> None:
        self._find_owners([job for job in jobs if job.table.has_notes])
        for job in jobs:
            job.forms = self._forms.open()
            if not job.table.has_notes:
                job.settle(Status.REFUSED, "the table has no notes; name a column for the link (link_columns)")
            elif not job.forms:
                job.settle(Status.REFUSED, ALL_BLOCKED)
        existing: list[Job] = []
        while waiting := [job for job in jobs if job.outcome is None and job not in existing]:
            for job, answer in self.change(waiting, self._note_part):
                self._judge(job, answer, existing)
        found = self.notes(existing)
        for job in existing:
            job.outcome = _judged(job, found.get(job.note))

    def _find_owners(self, jobs: Sequence[Job]) -> None:
        """A note belongs to whom its record belongs to, where the table knows owners and the owner can have notes."""
        tables = odata.unique(job.cell.table for job in jobs)
        attributes = self._environment.attributes(tables) if tables else {}
        for name in tables:
            if "ownerid" not in attributes[name]:
                continue
            group = [job for job in jobs if job.cell.table == name]
            records = self._standing.records(group[0].table, [job.cell.id for job in group], (_OWNER,))
            for job in group:
                row = records.get(job.cell.id, {})
                owner = rows.optional_guid(row, _OWNER)
                sets = [_OWNER_SETS.get(rows.table_of(row, _OWNER) or "", "systemusers")] if owner else []
                job.owners = [*(f"/{odata.record(each, owner or '')}" for each in sets), ""]

    def _note_part(self, job: Job) -> Part:
        job.made = made = stub.make(job.forms[0], job.document.current.name, job.link)
        body = {
            "subject": job.document.title[:SUBJECT_LENGTH],
            "filename": made.name,
            "mimetype": made.mime,
            "documentbody": base64.b64encode(made.body).decode("ascii"),
            f"objectid_{job.cell.table}@odata.bind": f"/{job.record}",
        }
        if job.owners[0]:
            body["ownerid@odata.bind"] = job.owners[0]
        query = "?$select=" + ",".join((*NOTE_ROWS.described[1:], _PARENT))
        headers = {"If-None-Match": "*", "Prefer": "return=representation", **self._headers}
        return Part(
            "PATCH", odata.record("annotations", job.note) + query, body, headers, operation="create.annotation"
        )

    def _judge(self, job: Job, answer: Answer, existing: list[Job]) -> None:
        """Settle a note that was made, leave one that exists to be read, or choose what to try next."""
        error = answer.error()
        if error is None and isinstance(answer.body, Mapping):
            job.outcome = _judged(job, answer.body)
        elif error is None or trouble.code_of(error) == trouble.EXISTS:
            existing.append(job)
        elif trouble.code_of(error) == trouble.BLOCKED_FILE:
            self._forms.refuse(job.forms[0])
            job.forms = job.forms[1:]
            if not job.forms:
                job.settle(Status.REFUSED, ALL_BLOCKED)
        elif isinstance(error, Permanent) and not isinstance(error, (AuthError, Conflict)) and len(job.owners) > 1:
            job.owners.pop(0)
        else:
            job.settle(*_status_of(error))

    # -- link columns -------------------------------------------------------------------------------------------

    def _fill_columns(self, jobs: Sequence[Job]) -> None:
        cells = self.cells(jobs)
        empty: list[Job] = []
        for job in jobs:
            row = cells.get(job.place)
            address = None if row is None else rows.optional(row, job.column or "")
            if row is None:
                job.settle(Status.GONE, "the record is not there any more")
            elif address == job.link.url:
                job.settle(Status.DONE)
            elif address:
                job.settle(Status.REFUSED, TAKEN)
            else:
                empty.append(job)
        for job, answer in self.change(empty, lambda job: self.cell_part(job, cells[job.place], job.link.url)):
            error = answer.error()
            if isinstance(error, Conflict):
                job.settle(Status.RETRY, "the record was changed in this moment")
            elif error is not None:
                job.settle(*_status_of(error))
        self._read_back([job for job in empty if job.outcome is None])

    def _read_back(self, jobs: Sequence[Job]) -> None:
        self.look(jobs)
        for job in jobs:
            if not job.stands:
                job.settle(Status.RETRY, "the link cannot be read back as it was written")


def _judged(job: Job, row: Row | None) -> Outcome:
    """What a note says of the link that it should be."""
    if row is None:
        return NOT_THERE
    if not standing.ours(row, job.document, job.link):
        return Outcome(status=Status.CONFLICT, reason="the link's note was changed")
    if rows.optional_guid(row, _PARENT) != job.cell.id:
        return Outcome(status=Status.CONFLICT, reason="the link's note hangs on another record")
    return Outcome(status=Status.DONE, link_ref=job.ref)


def _status_of(error: OffloaderError) -> tuple[Status, str]:
    if isinstance(error, Gone):
        return Status.GONE, "the record is not there any more, or may not be seen"
    if isinstance(error, Permanent) and not isinstance(error, AuthError):
        return Status.REFUSED, str(error)
    return Status.RETRY, str(error)
