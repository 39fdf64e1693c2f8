"""Bulk API 2.0 jobs: their state and their JSON. Jobs live as long as the process ("Bulk API 2.0 Developer Guide")."""

from __future__ import annotations

import base64
import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from offloader_connectors.emulation.wire import Answer
from offloader_connectors.salesforce.emulator.calls import Call
from offloader_connectors.salesforce.emulator.errors import SalesforceError, not_found
from offloader_connectors.salesforce.emulator.ids import new_id, normal
from offloader_connectors.salesforce.emulator.values import stamp

if TYPE_CHECKING:
    from offloader_connectors.salesforce.emulator.app import Salesforce

DELIMITERS = {"COMMA": ",", "TAB": "\t", "SEMICOLON": ";", "PIPE": "|", "CARET": "^", "BACKQUOTE": "`"}
#: never usable through Bulk API; and those of which only queries are
UNSUPPORTED = {"Attachment", "UserRecordAccess", "UserPermissionAccess", "ContentNote", "FeedAttachment"}
QUERY_ONLY = {"ContentVersion"}
_FINISHED = {"JobComplete", "Failed", "Aborted"}


@dataclass(slots=True)
class Job:
    """One job of either kind. `rows`: the lines of its result, header first."""

    id: str
    kind: str
    operation: str
    object: str
    user_id: str
    created: datetime
    version: float
    delimiter: str
    line_ending: str
    state: str
    external_id: str | None = None
    #: when the work is finished; until then it is in progress
    ready: datetime | None = None
    rows: list[list[str]] = field(default_factory=list)
    content: bytes = b""
    succeeded: list[list[str]] = field(default_factory=list)
    failed: list[list[str]] = field(default_factory=list)
    unprocessed: list[list[str]] = field(default_factory=list)
    header: list[str] = field(default_factory=list)
    error: str | None = None

    def as_json(self, now: datetime, *, full: bool) -> dict[str, Any]:
        state = "InProgress" if self.state == "JobComplete" and self.ready and now < self.ready else self.state
        info: dict[str, Any] = {
            "id": self.id,
            "operation": self.operation,
            "object": self.object,
            "createdById": self.user_id,
            "createdDate": stamp(self.created),
            "systemModstamp": stamp(self.created),
            "state": state,
            "concurrencyMode": "Parallel",
            "contentType": "CSV",
            "apiVersion": self.version,
        }
        if self.kind == "V2Ingest":
            if self.external_id:
                info["externalIdFieldName"] = self.external_id
            if self.state == "Open":
                info["contentUrl"] = f"services/data/v{self.version}/jobs/ingest/{self.id}/batches"
        info |= {"lineEnding": self.line_ending, "columnDelimiter": self.delimiter}
        if full or self.kind == "V2Ingest":
            info["jobType"] = self.kind
        if full:
            info |= self._progress(finished=state in _FINISHED)
        return info

    def _progress(self, *, finished: bool) -> dict[str, Any]:
        done = len(self.rows) if self.kind == "V2Query" else len(self.succeeded) + len(self.failed)
        progress: dict[str, Any] = {
            "numberRecordsProcessed": done if finished else 0,
            "retries": 0,
            "totalProcessingTime": 100 if finished else 0,
        }
        if self.kind == "V2Query":
            return {**progress, "isPkChunkingSupported": True}
        progress |= {"numberRecordsFailed": len(self.failed), "apiActiveProcessingTime": 50, "apexProcessingTime": 0}
        return {**progress, "errorMessage": self.error} if self.error else progress


class Jobs:
    """All jobs of the org."""

    def __init__(self, app: Salesforce) -> None:
        self._app = app
        self._jobs: dict[str, Job] = {}
        self._serial = 0

    def open(self, call: Call, kind: str, operation: str, name: str, body: dict[str, Any], state: str) -> Job:
        """Raises SalesforceError for a wrong delimiter or line ending."""
        delimiter, ending = str(body.get("columnDelimiter", "COMMA")), str(body.get("lineEnding", "LF"))
        if delimiter not in DELIMITERS or ending not in {"LF", "CRLF"} or body.get("contentType", "CSV") != "CSV":
            raise SalesforceError("INVALIDJOB", "columnDelimiter, lineEnding or contentType is not one that jobs take")
        self._serial += 1
        now = self._app.now()
        key = new_id("750", self._serial)
        job = Job(key, kind, operation, name, call.actor.user_id, now, call.version, delimiter, ending, state)
        self._jobs[key] = job
        return job

    def finish(self, job: Job) -> None:
        job.state = "JobComplete" if job.error is None else "Failed"
        job.ready = self._app.now() + timedelta(seconds=self._app.org.options.bulk_seconds)

    def get(self, key: str, kind: str) -> Job:
        """Raises SalesforceError NOT_FOUND."""
        job = self._jobs.get(normal(key) or "")
        if job is None or job.kind != kind:
            raise not_found()
        return job

    def finished(self, key: str, kind: str) -> Job:
        """A job whose results can be read. Raises SalesforceError."""
        job = self.get(key, kind)
        if job.as_json(self._app.now(), full=False)["state"] not in _FINISHED:
            raise SalesforceError("INVALIDJOBSTATE", "Results are not available: the job is not complete.")
        return job

    def drop(self, job: Job) -> None:
        """Raises SalesforceError for a job under way."""
        if job.as_json(self._app.now(), full=False)["state"] not in _FINISHED:
            raise SalesforceError("INVALIDJOBSTATE", "Only a job that is complete, failed or aborted can be deleted.")
        del self._jobs[job.id]

    def listed(self, kind: str) -> Answer:
        jobs = [job.as_json(self._app.now(), full=False) for job in self._jobs.values() if job.kind == kind]
        return Answer(data={"done": True, "nextRecordsUrl": None, "records": jobs})


def csv_answer(job: Job, rows: Iterable[Sequence[str]], headers: dict[str, str] | None = None) -> Answer:
    """Every value quoted, in the job's delimiter and line ending."""
    out = io.StringIO()
    end = "\n" if job.line_ending == "LF" else "\r\n"
    csv.writer(out, delimiter=DELIMITERS[job.delimiter], quoting=csv.QUOTE_ALL, lineterminator=end).writerows(rows)
    return Answer(body=out.getvalue().encode(), content_type="text/csv", headers=headers or {})


def locator(offset: int) -> str:
    return base64.b64encode(str(offset).encode()).decode().rstrip("=")


def offset_of(text: str) -> int:
    """Raises SalesforceError for something that is no locator."""
    try:
        return int(base64.b64decode(text + "=" * (-len(text) % 4)))
    except ValueError:
        raise SalesforceError("INVALID_QUERY_LOCATOR", "invalid query locator") from None


def check_supported(name: str, unsupported: set[str]) -> None:
    if name in unsupported:
        raise SalesforceError("INVALIDENTITY", f"Entity '{name}' is not supported by the Bulk API.")
