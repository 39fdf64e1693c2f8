"""Replacing the files of notes and mail attachments in place, many in one request.

One PATCH writes name, mime type and body together, and so takes the original's bytes away in the same act. `If-Match`
makes it fail if the row was changed since it was read; `return=representation` makes its answer the read-back. They go
in batches that continue on errors; never in one change set, where one refusal would undo all, save the rows that share
one attachment, which are replaced all or none (Web API guide, "Execute batch operations", "Perform conditional
operations"; table reference, annotation and activitymimeattachment).
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from offloader.errors import AuthError, Conflict, Gone, OffloaderError, Permanent, Transient
from offloader.model import Link
from offloader.ports import LinkRequest, Outcome, Status
from offloader_connectors.dynamics365 import odata, places, rows, standing, stub, trouble
from offloader_connectors.dynamics365.api import Answer, Api, Part
from offloader_connectors.dynamics365.batch import MOST_PARTS
from offloader_connectors.dynamics365.environment import Environment
from offloader_connectors.dynamics365.forms import ALL_BLOCKED, Forms
from offloader_connectors.dynamics365.mails import Mails
from offloader_connectors.dynamics365.options import DynamicsOptions
from offloader_connectors.dynamics365.places import Shelf
from offloader_connectors.dynamics365.rows import Row
from offloader_connectors.dynamics365.standing import Standing
from offloader_connectors.dynamics365.stub import Stub
from offloader_connectors.placeholder import Form

CHANGED = "it was changed since it was read"
PUT_BACK = "another file stands where the placeholder was written: a user or another program has put it there"
_REFUSALS: Mapping[str, str] = {
    **dict.fromkeys(trouble.READ_ONLY, "the environment does not let files of read-only records be replaced"),
    trouble.NO_PRIVILEGE: "the application user's security role lacks a privilege to write there",
    trouble.TOO_LARGE: "the environment's limit for files forbids even the placeholder",
}


@dataclass(slots=True)
class Job:
    """One document on its way. `rows` has the etag of each row to be written."""

    request: LinkRequest
    shelf: Shelf
    rows: Mapping[str, str] = field(default_factory=dict)
    stub: Stub | None = None
    #: an answer came to its writing, whatever it says
    written: bool = False
    #: the environment blocks files of the form that was tried
    blocked: bool = False
    outcome: Outcome | None = None

    @property
    def name(self) -> str:
        return self.request.document.current.name

    @property
    def link(self) -> Link:
        return self.request.link

    @property
    def conflicting(self) -> bool:
        return self.outcome is not None and self.outcome.status is Status.CONFLICT

    def settle(self, status: Status, reason: str = "") -> None:
        link_ref = {"rows": " ".join(sorted(self.rows))} if status is Status.REPLACED else {}
        self.outcome = Outcome(status=status, reason=reason, link_ref=link_ref)


class Stubber:
    """Writes placeholders and looks after them. Thread-safe."""

    def __init__(self, api: Api, environment: Environment, options: DynamicsOptions) -> None:
        self._api = api
        self._standing = Standing(api)
        self._mails = Mails(api)
        self._forms = Forms(environment, options)
        self._batch = options.link_batch
        self._headers = write_headers(options)
        #: writing one of the rows that share an attachment raises the versions of the others
        self._touching = False

    def link(self, requests: Sequence[LinkRequest]) -> list[Outcome]:
        """Overwrite and read back, in order: REPLACED, or CONFLICT if a row changed."""
        jobs = [Job(request, places.ROWS[request.document.ref.kind]) for request in requests]
        try:
            for part in odata.chunks(jobs, self._batch):
                self._prepare(part)
                ready = [job for job in part if job.outcome is None]
                for form in self._forms_for(ready):
                    for batch in _batches(job for job in ready if job.outcome is None):
                        self._write(batch, form)
        except Transient as error:
            # What was written before must not be taken for somebody else's change by the next try.
            if not any(job.written for job in jobs):
                raise
            for job in jobs:
                if job.outcome is None:
                    job.settle(Status.RETRY, str(error))
        return [job.outcome or Outcome(status=Status.RETRY, reason="not finished") for job in jobs]

    def inspect(self, requests: Sequence[LinkRequest]) -> list[Outcome]:
        """Read placeholders back with their bodies: DONE if they lead where they should."""
        described = self._described(requests)
        outcomes = [standing.inspected(_own(each, described), each.document, each.link) for each in requests]
        good = [each for each, outcome in zip(requests, outcomes, strict=True) if outcome.status is Status.DONE]
        bodies: dict[str, bytes] = {}
        for kind, shelf in places.ROWS.items():
            asked = [row for each in good if each.document.ref.kind == kind for row in _own(each, described)]
            bodies.update(self._standing.bodies(shelf, asked))
        for index, each in enumerate(requests):
            if outcomes[index].status is Status.DONE:
                faults = (
                    standing.compared(bodies.get(name), row, each.document, each.link)
                    for name, row in _own(each, described).items()
                )
                outcomes[index] = next((fault for fault in faults if fault), outcomes[index])
        return outcomes

    def look_again(self, requests: Sequence[LinkRequest]) -> list[Outcome]:
        """DONE where the placeholder still stands, or nothing does; CONFLICT where something else does."""
        described = self._described(requests)
        return [
            Outcome(status=Status.DONE)
            if all(standing.ours(row, each.document, each.link) for row in _own(each, described).values())
            else Outcome(status=Status.CONFLICT, reason=PUT_BACK)
            for each in requests
        ]

    # -- preparing ----------------------------------------------------------------------------------------------

    def _prepare(self, jobs: Sequence[Job]) -> None:
        """Find the rows and etags to be written; settle what must not be written, or was already."""
        for job in jobs:
            if len(stub.make("url", job.name, job.link).mime) > stub.MIME_LENGTH:
                job.settle(Status.REFUSED, "the link's id is too long for a mime type")
        waiting = [job for job in jobs if job.outcome is None]
        self._prepare_notes([job for job in waiting if job.shelf is places.NOTE_ROWS])
        self._prepare_mails([job for job in waiting if job.shelf is places.MAIL_ROWS])

    def _prepare_notes(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            job.rows = {odata.guid(job.request.document.ref.id): job.request.document.etag}
        attempted = [job for job in jobs if job.request.attempted]
        found = self._standing.read(places.NOTE_ROWS, [row for job in attempted for row in job.rows])
        for job in attempted:
            row = found.get(next(iter(job.rows)))
            if row is None:
                job.settle(Status.GONE, "the note is not there any more")
            elif standing.ours(row, job.request.document, job.link):
                job.settle(Status.REPLACED, "replaced earlier")
            elif rows.etag(row) != job.request.document.etag:
                job.settle(Status.CONFLICT, CHANGED)

    def _prepare_mails(self, jobs: Sequence[Job]) -> None:
        """Rows that share an attachment are only written if they are all as they were when it was read."""
        attempted = [job for job in jobs if job.request.attempted]
        known = {id(job): places.rows_of(job.request.document, job.request.link_ref) for job in attempted}
        found = self._standing.read(places.MAIL_ROWS, [row for job in attempted for row in known[id(job)]])
        for job in attempted:
            there = [found[row] for row in known[id(job)] if row in found]
            if there and all(standing.ours(row, job.request.document, job.link) for row in there):
                job.rows = dict.fromkeys(known[id(job)], "")
                job.settle(Status.REPLACED, "replaced earlier")
        self._reread([job for job in jobs if job.outcome is None])

    def _reread(self, jobs: Sequence[Job]) -> None:
        """Find out with which rows and etags an attachment stands now; settle it if that is not as it was read."""
        shared = self._mails.read([job.request.document.ref.id for job in jobs])
        for job in jobs:
            now = shared.get(odata.guid(job.request.document.ref.id))
            if now is None:
                job.settle(Status.GONE, "no mail has the attachment any more")
            elif now.etag != job.request.document.etag:
                job.settle(Status.CONFLICT, CHANGED)
            elif len(now.rows) > MOST_PARTS:
                job.settle(
                    Status.REFUSED, f"{len(now.rows)} mails share it, and no more than {MOST_PARTS} change together"
                )
            else:
                job.rows = now.rows

    # -- writing ------------------------------------------------------------------------------------------------

    def _forms_for(self, jobs: Sequence[Job]) -> Iterator[Form]:
        """The forms of placeholders to try, best first; at the end, whoever has found none is refused."""
        for form in self._forms.open() if jobs else ():
            yield form
            if any(job.blocked for job in jobs):
                self._forms.refuse(form)
            if all(job.outcome is not None for job in jobs):
                return
        for job in jobs:
            if job.outcome is None:
                job.settle(Status.REFUSED, ALL_BLOCKED)

    def _write(self, jobs: Sequence[Job], form: Form) -> None:
        self._send(jobs, form, first_only=self._touching)
        doubted = [job for job in jobs if len(job.rows) > 1 and job.conflicting and not self._touching]
        for job in doubted:
            job.outcome = None
        self._reread(doubted)
        again = [job for job in doubted if job.outcome is None]
        if again:
            self._send(again, form, first_only=True)
            self._touching = any(job.outcome and job.outcome.status is Status.REPLACED for job in again)

    def _send(self, jobs: Sequence[Job], form: Form, *, first_only: bool) -> None:
        """Write the jobs and settle them, save those whose form is blocked.

        `first_only`: of the rows that share an attachment only the first is compared. Where a change of one shows as
        a change of all, that guards them all, and comparing the others would refuse what the same request did before.
        """
        parts = [part for number, job in enumerate(jobs, 1) for part in self._parts(job, form, number, first_only)]
        answers = iter(self._api.batch("batch", parts))
        for job in jobs:
            job.written = True
            self._judge(job, [next(answers) for _ in job.rows])
        unread = [job for job in jobs if job.outcome is None and not job.blocked]
        for shelf in places.ROWS.values():
            own = [job for job in unread if job.shelf is shelf]
            found = self._standing.read(shelf, [row for job in own for row in job.rows])
            for job in own:
                _read_back(job, [found.get(row) for row in job.rows])

    def _parts(self, job: Job, form: Form, number: int, first_only: bool) -> list[Part]:
        job.stub = made = stub.make(form, job.name, job.link)
        body = {
            "filename": made.name,
            "mimetype": made.mime,
            job.shelf.body: base64.b64encode(made.body).decode("ascii"),
        }
        query = "?$select=" + ",".join(job.shelf.described[1:])
        return [
            Part(
                "PATCH",
                odata.record(job.shelf.set_name, row) + query,
                body,
                {
                    "If-Match": "*" if first_only and index else etag,
                    "Prefer": "return=representation",
                    **self._headers,
                },
                change_set=number if len(job.rows) > 1 else None,
                operation=f"patch.{job.shelf.table}",
            )
            for index, (row, etag) in enumerate(job.rows.items())
        ]

    def _judge(self, job: Job, answers: Sequence[Answer]) -> None:
        """Settle what the answers tell; a success that shows no row is left to be read back."""
        job.blocked = False
        error = next((found for found in (answer.error() for answer in answers) if found is not None), None)
        if error is None:
            if all(isinstance(answer.body, Mapping) for answer in answers):
                _read_back(job, [answer.record() for answer in answers])
        elif trouble.code_of(error) == trouble.BLOCKED_FILE:
            job.blocked = True
        else:
            job.settle(*_status_of(error, alone=len(job.rows) == 1))

    def _described(self, requests: Sequence[LinkRequest]) -> dict[str, Row]:
        """The rows of all documents by id, one list for each kind and 700 rows."""
        found: dict[str, Row] = {}
        for kind, shelf in places.ROWS.items():
            own = [each for each in requests if each.document.ref.kind == kind]
            ids = [row for each in own for row in places.rows_of(each.document, each.link_ref)]
            found.update(self._standing.read(shelf, ids))
        return found


def write_headers(options: DynamicsOptions) -> dict[str, str]:
    """What our writes ask of the environment's own logic (developer guide, "Bypass custom Dataverse logic")."""
    headers = {}
    if options.bypass_custom_logic:
        headers["MSCRM.BypassBusinessLogicExecution"] = "CustomSync,CustomAsync"
    if options.suppress_flows:
        headers["MSCRM.SuppressCallbackRegistrationExpanderJob"] = "true"
    return headers


def _batches(jobs: Iterable[Job]) -> list[list[Job]]:
    """Jobs that fit into one request each."""
    batches: list[list[Job]] = []
    parts = 0
    for job in jobs:
        if not batches or parts + len(job.rows) > MOST_PARTS:
            batches.append([])
            parts = 0
        batches[-1].append(job)
        parts += len(job.rows)
    return batches


def _status_of(error: OffloaderError, *, alone: bool) -> tuple[Status, str]:
    """What an error means for a document; `alone`: it has one row."""
    if isinstance(error, Conflict) or (isinstance(error, Gone) and not alone):
        return Status.CONFLICT, CHANGED
    if isinstance(error, Gone):
        return Status.GONE, "it is not there any more, or may not be seen"
    if isinstance(error, Permanent) and not isinstance(error, AuthError):
        return Status.REFUSED, _REFUSALS.get(trouble.code_of(error), str(error))
    return Status.RETRY, str(error)


def _read_back(job: Job, found: Sequence[Row | None]) -> None:
    """Settle a job whose rows were written, by what they show now."""
    made = job.stub
    assert made is not None
    for row in found:
        good = (
            row is not None
            and rows.optional(row, "filename") == made.name
            and rows.optional(row, "mimetype") == made.mime
            and stub.fits(made, rows.size(row, "filesize"))
        )
        if not good:
            job.settle(Status.RETRY, "the placeholder cannot be read back as it was written")
            return
    job.settle(Status.REPLACED)


def _own(request: LinkRequest, described: Mapping[str, Row]) -> dict[str, Row]:
    wanted = places.rows_of(request.document, request.link_ref)
    return {row: described[row] for row in wanted if row in described}
