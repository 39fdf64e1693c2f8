"""One Bulk API 2.0 job that deletes records of one type ("Bulk API 2.0 and Bulk API Developer Guide", ingest jobs).

The content is sent apart from the job's creation, so that no job runs unless the call that starts it was made: a lost
answer before that leaves an open job behind, which deletes nothing.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence

from offloader.errors import OffloaderError, Transient
from offloader_connectors.answers import harmless
from offloader_connectors.salesforce import rows, soql, trouble
from offloader_connectors.salesforce.api import Api

_FINISHED = frozenset({"JobComplete", "Failed", "Aborted"})
#: seconds between looks at the job: growing, then steady
_FIRST_WAIT, _LONGEST_WAIT, _PATIENCE = 2.0, 30.0, 3600.0


class BulkDelete:
    """Deletes many records of one type in five to ten calls."""

    def __init__(self, api: Api, sleep: Callable[[float], None]) -> None:
        self._api = api
        self._sleep = sleep

    def run(self, type_name: str, ids: Sequence[str], *, hard: bool) -> Mapping[str, trouble.ItemError]:
        """Delete and wait for the end; returns the failures by id.

        An id without failure was either deleted or never reached: only looking tells. Raises what the creation of the
        job raises (nothing is deleted then); Transient with `maybe_done` if the end was not seen.
        """
        operation = "hardDelete" if hard else "delete"
        asked = {"object": type_name, "operation": operation, "contentType": "CSV", "lineEnding": "LF"}
        created = self._api.send("bulk.ingest.create", "POST", "jobs/ingest", asked)
        job = f"jobs/ingest/{rows.record_id(created.record(), 'id', 'bulk.ingest.create')}"
        content = "\n".join(["Id", *ids, ""]).encode()
        headers = {"Content-Type": "text/csv", "Content-Length": str(len(content))}
        self._api.upload("bulk.ingest.upload", "PUT", f"{job}/batches", headers, [content])
        try:
            self._api.send("bulk.ingest.change", "PATCH", job, {"state": "UploadComplete"})
        except Transient as error:
            if not error.maybe_done:
                raise
        try:
            self._wait(job)
            return self._failures(job)
        except OffloaderError as error:
            self._abort(job)
            raise Transient(f"the end of a bulk deletion was not seen ({error})", maybe_done=True) from error

    def _wait(self, job: str) -> None:
        pause, waited = _FIRST_WAIT, 0.0
        while rows.text(self._api.get("bulk.ingest.get", job).record(), "state") not in _FINISHED:
            if waited >= _PATIENCE:
                raise Transient("the job is still at work")
            self._sleep(pause)
            waited += pause
            pause = min(pause * 2, _LONGEST_WAIT)

    def _failures(self, job: str) -> dict[str, trouble.ItemError]:
        text = self._api.blob(f"{job}/failedResults", "bulk.ingest.results").decode("utf-8-sig", "replace")
        failures = {}
        for row in csv.DictReader(io.StringIO(text, newline="")):
            key = soql.id18_or_none(row.get("Id") or row.get("sf__Id") or "")
            if key is not None:
                code, _, said = (row.get("sf__Error") or "UNKNOWN").partition(":")
                failures[key] = trouble.ItemError(harmless(code, 80), harmless(said.removesuffix("--").rstrip(" :")))
        return failures

    def _abort(self, job: str) -> None:
        """Stop what is not done yet, if that can still be said; a job that has ended refuses."""
        try:
            self._api.send("bulk.ingest.change", "PATCH", job, {"state": "Aborted"})
        except OffloaderError:
            return
