"""Deleting records, and bringing them back from the bin.

Rows are deleted in a `$batch`, each with its etag in If-Match, so that the CRM itself compares and swaps; the batch
ends with a list of what is still there. BulkDelete needs fewer requests and compares no etags: its query is evaluated
when the job runs, and nothing tells which of the rows had been changed before (developer guide, "Delete data in bulk").
It serves only where rows must pass the bin by (`hard`), which nothing else can, with the row versions in its query.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

from offloader.errors import AuthError, Conflict, Gone, OffloaderError, Permanent, Throttled, Transient
from offloader.plugins import Context
from offloader.ports import Status
from offloader.records import Deleted, Deletion, RecordRef
from offloader_connectors.dynamics365 import odata, rows, stubbing, trouble
from offloader_connectors.dynamics365.api import Answer, Api, Part
from offloader_connectors.dynamics365.options import DynamicsOptions
from offloader_connectors.dynamics365.records_reading import Reader, guids
from offloader_connectors.dynamics365.records_types import Kind, Types
from offloader_connectors.dynamics365.rows import Row

#: deletions in one request: with cascades and plug-ins one may take a second
PORTION, LEAST = 200, 10
#: rows in the query of one BulkDelete job, each with two conditions of the 500 that a query may have
_JOB = 240
_POLL_S, _POLLS = 5.0, 120
_FINISHED = 3
#: what can stand in If-Match
_ETAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e]{1,100}"', re.ASCII)
_RESTRICTED = "0x80040227"
_OPTIMISTIC_OFF = "the table has no optimistic concurrency, and the record was changed since"
CHANGED = Deleted(status=Status.CONFLICT, reason="it was changed since")
GONE = Deleted(status=Status.GONE, reason="it is not there any more")
NO_ID = Deleted(status=Status.REFUSED, reason="that is no record id")
DONE = Deleted(status=Status.DONE)


class Portion:
    """How many writes go into one request: halved when an answer is lost, grown again while they come."""

    def __init__(self) -> None:
        self.size = PORTION

    def lost(self) -> None:
        self.size = max(LEAST, self.size // 2)

    def came(self) -> None:
        self.size = min(PORTION, self.size + 10)


class Deleter:
    """Deletes and undeletes. Thread-safe: what threads share is only the size of the next request."""

    def __init__(self, api: Api, types: Types, reader: Reader, options: DynamicsOptions, context: Context) -> None:
        self._api = api
        self._types = types
        self._reader = reader
        self._headers = stubbing.write_headers(options)
        self._context = context
        self.portion = Portion()

    def delete(self, deletions: Sequence[Deletion], *, hard: bool) -> list[Deleted]:
        """Delete rows that are as they were, in order. Raises only when nothing can be said of any."""
        found: dict[tuple[str, str], Deleted] = {}
        for type_name in odata.unique(each.ref.type for each in deletions):
            kind = self._types.of(type_name)
            wanted = {each.ref.id.lower(): each.etag for each in deletions if each.ref.type == type_name}
            wanted = {key: etag for key, etag in wanted.items() if odata.is_guid(key)}
            unlike = [key for key, etag in wanted.items() if _ETAG.fullmatch(etag) is None]
            found.update(((type_name, key), CHANGED) for key in unlike)
            wanted = {key: etag for key, etag in wanted.items() if key not in unlike}
            past_bin = hard and (kind.bin_days is not None or not kind.bin_shown)
            act, size = (self._job, _JOB) if past_bin else (self._portion, self.portion.size)
            while wanted:
                some = dict(list(wanted.items())[:size])
                try:
                    found.update(((type_name, key), each) for key, each in act(kind, some).items())
                except OffloaderError as error:
                    if not found:
                        raise
                    later = Deleted(status=Status.RETRY, reason=str(error))
                    found.update(((type_name, key), later) for key in wanted)
                    break
                wanted = {key: etag for key, etag in wanted.items() if key not in some}
        return [found.get((each.ref.type, each.ref.id.lower()), NO_ID) for each in deletions]

    # -- by row -------------------------------------------------------------------------------------------------

    def _portion(self, kind: Kind, wanted: Mapping[str, str]) -> dict[str, Deleted]:
        """Delete so many rows by one request."""
        found = {} if kind.table.optimistic else self._unlike(kind, wanted)
        ids = [key for key in wanted if key not in found]
        if not ids:
            return found
        parts = [self._deletion(kind, key, wanted[key]) for key in ids]
        answers, there = self.sent(f"delete.{kind.name}", kind, ids, parts)
        return found | {key: _outcome(answer, key in there) for key, answer in zip(ids, answers, strict=True)}

    def _deletion(self, kind: Kind, key: str, etag: str) -> Part:
        match = {"If-Match": etag} if kind.table.optimistic else {}
        path = odata.record(kind.table.set_name, key)
        return Part("DELETE", path, None, {**match, **self._headers}, operation=f"delete.{kind.name}")

    def _unlike(self, kind: Kind, wanted: Mapping[str, str]) -> dict[str, Deleted]:
        """Rows that are not as they were, where the CRM cannot compare."""
        there = self._reader.present(kind.name, list(wanted))
        found = {key: GONE for key in wanted if key not in there}
        changed = Deleted(status=Status.CONFLICT, reason=_OPTIMISTIC_OFF)
        return found | {key: changed for key, row in there.items() if rows.etag(row) != wanted.get(key)}

    def sent(
        self, operation: str, kind: Kind, ids: Sequence[str], writes: Sequence[Part], wires: Sequence[str] = ()
    ) -> tuple[list[Answer], dict[str, Row]]:
        """Send writes and a list of these rows after them: the answers to the writes, and the rows that are there then.

        A lost answer counts as "perhaps done" for each write; then it raises Transient if the rows cannot be read.
        """
        columns = odata.unique((kind.key, *wires))
        path = odata.select(kind.table.set_name, columns, filter=odata.in_list(kind.key, ids))
        look = Part("GET", path, operation=f"list.{kind.name}")
        try:
            *answers, last = self._api.batch(operation, [*writes, look])
        except Throttled:
            raise
        except Transient as error:
            if not error.maybe_done:
                raise
            self.portion.lost()
            lost = {"error": {"message": str(error)}}
            answers = [Answer(operation, 503, lost, {}, write=True) for _ in writes]
            return answers, self._reader.present(kind.name, ids, wires)
        self.portion.came()
        if not last.ok or last.next_link is not None:
            return answers, self._unread(kind, ids, wires)
        return answers, {rows.guid(row, kind.key): row for row in last.rows()}

    def _unread(self, kind: Kind, ids: Sequence[str], wires: Sequence[str]) -> dict[str, Row]:
        """The rows that are there; all of them, empty, where that cannot be read."""
        try:
            return self._reader.present(kind.name, ids, wires)
        except Transient:
            return {key: {} for key in ids}

    # -- past the bin -------------------------------------------------------------------------------------------

    def _job(self, kind: Kind, wanted: Mapping[str, str]) -> dict[str, Deleted]:
        """Delete rows by a job that keeps none in the bin, and wait for its end."""
        there = self._reader.present(kind.name, list(wanted))
        found = {key: GONE if key not in there else CHANGED for key in wanted}
        same = {key: rows.etag(row) for key, row in there.items() if rows.etag(row) == wanted.get(key)}
        if not same:
            return found
        try:
            job = self._submitted(kind, same)
        except AuthError:
            raise
        except Permanent as error:
            return found | dict.fromkeys(same, Deleted(status=Status.REFUSED, reason=str(error)))
        ended, failures = self._ended(job)
        left = self._reader.present(kind.name, list(same))
        for key, etag in same.items():
            found[key] = _of_job(left.get(key), etag, failures.get(key), ended=ended)
        return found

    def _submitted(self, kind: Kind, same: Mapping[str, str]) -> str:
        body = {
            "QuerySet": [_query(kind, same)],
            "JobName": f"offloader: {kind.name}",
            "SendEmailNotification": False,
            "ToRecipients": [],
            "CCRecipients": [],
            "RecurrencePattern": "",
            "StartDateTime": f"{self._context.now():%Y-%m-%dT%H:%M:%SZ}",
            "Options": {"CanRecoverDeletedRecords": False},
        }
        answer = self._api.send("bulkdelete", "POST", "BulkDelete", body, headers=self._headers)
        return rows.guid(answer.record(), "JobId", "bulkdelete")

    def _ended(self, job: str) -> tuple[bool, dict[str, str]]:
        """Whether the job has ended within ten minutes, and what it could not delete: reasons by id."""
        path = odata.record("asyncoperations", job) + "?$select=statecode"
        for _ in range(_POLLS):
            if rows.integer(self._api.get("get.asyncoperation", path).record(), "statecode") == _FINISHED:
                break
            self._context.sleep(_POLL_S)
        else:
            return False, {}
        wanted = ("_regardingobjectid_value", "regardingobjectid", "errordescription")
        path = f"bulkdeletefailures?$filter=_asyncoperationid_value%20eq%20{job}"
        failures = {}
        for answer in self._api.pages("list.bulkdeletefailure", path):
            for row in answer.rows():
                key = rows.optional_guid(row, wanted[0]) or rows.optional_guid(row, wanted[1])
                failures[key or ""] = rows.optional(row, wanted[2]) or "the CRM does not say why"
        return True, failures

    # -- back from the bin --------------------------------------------------------------------------------------

    def undelete(self, refs: Sequence[RecordRef]) -> list[Deleted]:
        """Bring rows back with what was deleted with them, in order."""
        found: dict[tuple[str, str], Deleted] = {}
        for type_name in odata.unique(ref.type for ref in refs):
            kind = self._types.of(type_name)
            ids = guids(ref for ref in refs if ref.type == type_name)
            there = self._reader.present(type_name, ids)
            for some in odata.chunks([key for key in ids if key not in there], PORTION):
                answers, back = self.sent("restore", kind, some, [*self._restorations(kind, some)])
                there |= back
                found.update(((type_name, key), _restored(answer)) for key, answer in zip(some, answers, strict=True))
            found.update(
                ((type_name, key), Deleted(status=Status.DONE, ref=_ref(refs, type_name, key))) for key in there
            )
        return [found.get((ref.type, ref.id.lower()), NO_ID) for ref in refs]

    def _restorations(self, kind: Kind, ids: Sequence[str]) -> Iterator[Part]:
        for key in ids:
            target = {"@odata.type": f"Microsoft.Dynamics.CRM.{kind.name}", kind.key: key}
            yield Part("POST", "Restore", {"Target": target}, self._headers, operation="restore")


def _ref(refs: Sequence[RecordRef], type_name: str, key: str) -> RecordRef:
    return next(ref for ref in refs if ref.type == type_name and ref.id.lower() == key)


def _query(kind: Kind, same: Mapping[str, str]) -> dict[str, Any]:
    """A QueryExpression for these rows in these versions; an etag's number is the row version."""
    space = "Microsoft.Dynamics.CRM"

    def condition(column: str, type_name: str, value: object) -> dict[str, Any]:
        values = [{"Value": value, "Type": type_name}]
        kind_of = f"{space}.ConditionExpression"
        return {"@odata.type": kind_of, "AttributeName": column, "Operator": "Equal", "Values": values}

    def of(operator: str, conditions: Sequence[object], filters: Sequence[object]) -> dict[str, Any]:
        named = {"@odata.type": f"{space}.FilterExpression", "FilterOperator": operator}
        return {**named, "Conditions": list(conditions), "Filters": list(filters)}

    each = [
        of(
            "And",
            [condition(kind.key, "System.Guid", key), condition("versionnumber", "System.Int64", _version(etag))],
            [],
        )
        for key, etag in same.items()
    ]
    columns = {"@odata.type": f"{space}.ColumnSet", "AllColumns": False, "Columns": [kind.key]}
    return {
        "@odata.type": f"{space}.QueryExpression",
        "EntityName": kind.name,
        "ColumnSet": columns,
        "Criteria": of("Or", [], each),
    }


def _version(etag: str) -> int:
    digits = etag.removeprefix('W/"').removesuffix('"')
    if not (digits.isascii() and digits.isdigit()):
        raise Permanent("an etag without a row version; a deletion past the bin cannot be made safe")
    return int(digits)


# -- outcomes ---------------------------------------------------------------------------------------------------


def _outcome(answer: Answer, there: bool) -> Deleted:
    """What became of a deletion, by its answer and by whether the row could still be read afterwards."""
    error = answer.error()
    if error is None:
        return Deleted(status=Status.RETRY, reason="deleted, and not seen to be gone") if there else DONE
    if isinstance(error, Gone) and answer.status == 404:
        return Deleted(status=Status.RETRY, reason=str(error)) if there else GONE
    if isinstance(error, Conflict):
        return CHANGED
    if isinstance(error, Permanent) and not isinstance(error, AuthError):
        return Deleted(status=Status.REFUSED, reason=_refusal(error))
    if there or isinstance(error, Throttled) or answer.status == 0:
        return Deleted(status=Status.RETRY, reason=str(error))
    return DONE


def _refusal(error: OffloaderError) -> str:
    if trouble.code_of(error) == _RESTRICTED:
        return f"a record that refers to it forbids the deletion: {error}"
    return str(error)


def _of_job(row: Row | None, etag: str, failure: str | None, *, ended: bool) -> Deleted:
    if row is None:
        return DONE
    if rows.etag(row) != etag:
        return CHANGED
    if not ended:
        wait = timedelta(seconds=_POLL_S * _POLLS)
        return Deleted(status=Status.RETRY, reason=f"the CRM's job has not ended within {wait}")
    return Deleted(status=Status.REFUSED, reason=f"the CRM's job did not delete it: {failure or 'it does not say why'}")


def _restored(answer: Answer) -> Deleted:
    """What a restoration that brought nothing back means."""
    error = answer.error()
    if error is None:
        return Deleted(status=Status.RETRY, reason="restored, and not shown yet")
    if isinstance(error, Permanent) and not isinstance(error, AuthError):
        return Deleted(status=Status.REFUSED, reason=f"not in the bin, or not to be brought back: {error}")
    return Deleted(status=Status.RETRY, reason=str(error))
