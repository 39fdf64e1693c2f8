"""Deleting records: re-read, compared, deleted in the largest batches, and read back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from offloader.errors import AuthError, Exhausted, OffloaderError, Permanent, Transient
from offloader.ports import Status
from offloader.records import Deleted, Deletion
from offloader_connectors.salesforce import soql, trouble
from offloader_connectors.salesforce.api import HEAVY_PER_COMPOSITE, RECORDS_PER_COLLECTION, Answer, Api, Sub
from offloader_connectors.salesforce.records_bulk import BulkDelete
from offloader_connectors.salesforce.records_read import Reader, Seen, by_type
from offloader_connectors.salesforce.records_types import STAMP, Types

#: five collections of 200 deletions make one composite
_PER_CALL = HEAVY_PER_COMPOSITE * RECORDS_PER_COLLECTION
#: what a job's creation says of a type that the Bulk API does not take
_NO_BULK = ("INVALIDENTITY", "not supported by the Bulk API")


class Deleter:
    """Deletes records. Thread-safe.

    Salesforce has no compare-and-swap: between the re-read and the deletion lies one round trip, or, with a Bulk API
    job, the time that the job waits for its turn. An edit in that time goes with the record, which the recycle bin
    keeps for 15 days (unless the deletion is hard). A record's stamp has whole seconds.
    """

    def __init__(self, api: Api, types: Types, reader: Reader, bulk: BulkDelete, bulk_from: int | None) -> None:
        self._api = api
        self._types = types
        self._reader = reader
        self._bulk = bulk
        self._bulk_from = bulk_from

    def delete(self, deletions: Sequence[Deletion], *, hard: bool) -> list[Deleted]:
        """In order. An error is raised only if nothing was done and nothing can be said of any."""
        outcomes: dict[int, Deleted] = {}
        failed: OffloaderError | None = None
        for type_name, ids in by_type(each.ref for each in deletions).items():
            places = [index for index, each in enumerate(deletions) if each.ref.type == type_name]
            try:
                seen = self._reader.seen(type_name, ids) if failed is None else {}
            except OffloaderError as error:
                failed = error
            if failed is not None:
                outcomes |= dict.fromkeys(places, Deleted(status=Status.RETRY, reason=str(failed)))
                continue
            outcomes |= self._judged(type_name, {index: deletions[index] for index in places}, seen)
            ready = {soql.id18(deletions[index].ref.id): index for index in places if index not in outcomes}
            ends, failed = self._ended(type_name, list(ready), hard=hard)
            for index in places:
                if index not in outcomes:
                    outcomes[index] = ends[soql.id18(deletions[index].ref.id)]
        if failed is not None and all(each.status is Status.RETRY for each in outcomes.values()):
            raise failed
        return [outcomes[index] for index in range(len(deletions))]

    def _judged(self, type_name: str, asked: Mapping[int, Deletion], seen: Mapping[str, Seen]) -> dict[int, Deleted]:
        """Those that must not be deleted, and why."""
        comparable = STAMP in self._types.known(type_name).columns
        judged = {}
        for index, each in asked.items():
            key = soql.id18_or_none(each.ref.id)
            now = seen.get(key) if key else None
            if key is None:
                judged[index] = Deleted(status=Status.REFUSED, reason="this is no Salesforce record id")
            elif now is None:
                judged[index] = Deleted(status=Status.GONE, reason="not found: deleted for good, or hidden")
            elif now.deleted:
                judged[index] = Deleted(status=Status.GONE, reason="already in the recycle bin")
            elif not comparable:
                judged[index] = Deleted(status=Status.REFUSED, reason=f"{type_name} has no {STAMP} to compare by")
            elif now.etag != each.etag:
                judged[index] = Deleted(status=Status.CONFLICT, reason="changed since it was read")
        return judged

    def _ended(
        self, type_name: str, ids: Sequence[str], *, hard: bool
    ) -> tuple[Mapping[str, Deleted], OffloaderError | None]:
        """Delete, look again, and say what became of each; with the error that cut the work short, if one did."""
        if not ids:
            return {}, None
        said, failed = self._carried_out(type_name, ids, hard=hard)
        if failed is not None and not said and not (isinstance(failed, Transient) and failed.maybe_done):
            return dict.fromkeys(ids, Deleted(status=Status.RETRY, reason=str(failed))), failed
        open_ = [each for each in ids if said.get(each) is None]
        try:
            after = self._reader.seen(type_name, open_)
        except OffloaderError as error:
            unread = Deleted(status=Status.RETRY, reason=f"perhaps deleted, but not read back: {error}")
            return {each: said.get(each) or unread for each in ids}, error
        reason = str(failed) if failed else "Salesforce calls it deleted, but it is still there"
        still = Deleted(status=Status.RETRY, reason=reason)
        return {each: said.get(each) or _looked(after.get(each), still) for each in ids}, failed

    def _carried_out(
        self, type_name: str, ids: Sequence[str], *, hard: bool
    ) -> tuple[dict[str, Deleted | None], OffloaderError | None]:
        """What Salesforce says of each id; None, or no word, where only looking tells."""
        if not hard and (self._bulk_from is None or len(ids) < self._bulk_from):
            return self._collections(ids)
        try:
            failures = self._bulk.run(type_name, ids, hard=hard)
        except AuthError as error:
            return {}, error
        except Permanent as error:
            if hard:
                return dict.fromkeys(ids, Deleted(status=Status.REFUSED, reason=str(error))), None
            return self._collections(ids) if any(word in str(error) for word in _NO_BULK) else ({}, error)
        except OffloaderError as error:
            return {}, error
        return {each: _failed([failures[each]]) if each in failures else None for each in ids}, None

    def _collections(self, ids: Sequence[str]) -> tuple[dict[str, Deleted | None], OffloaderError | None]:
        said: dict[str, Deleted | None] = {}
        for some in soql.chunks(ids, _PER_CALL):
            parts = list(soql.chunks(some, RECORDS_PER_COLLECTION))
            paths = (f"composite/sobjects?ids={','.join(part)}&allOrNone=false" for part in parts)
            subs = [Sub("DELETE", path, reference=f"d{number}") for number, path in enumerate(paths)]
            try:
                answers = self._api.composite(subs, write=True)
            except OffloaderError as error:
                return said, error
            for part, answer in zip(parts, answers, strict=True):
                said |= dict(zip(part, _results(answer, len(part)), strict=True))
        return said, None


def _results(answer: Answer, expected: int) -> Iterable[Deleted | None]:
    try:
        results = answer.require(write=True).results(expected)
    except (Transient, Exhausted) as error:
        lost = isinstance(error, Transient) and error.maybe_done
        return [None if lost else Deleted(status=Status.RETRY, reason=str(error))] * expected
    except OffloaderError as error:
        return [Deleted(status=Status.REFUSED, reason=str(error))] * expected
    return [None if each.get("success") is True else _failed(trouble.item_errors(each)) for each in results]


def _failed(errors: Sequence[trouble.ItemError]) -> Deleted:
    if errors[0].code in trouble.GONE:
        return Deleted(status=Status.GONE, reason=str(errors[0]))
    return item_failed(errors)


def item_failed(errors: Sequence[trouble.ItemError]) -> Deleted:
    """What a failed item of a batch means."""
    try:
        outcome = trouble.outcome_of(errors)
    except OffloaderError as error:
        return Deleted(status=Status.RETRY, reason=str(error))
    return Deleted(status=outcome.status, reason=outcome.reason)


def _looked(seen: Seen | None, still: Deleted) -> Deleted:
    return Deleted(status=Status.DONE) if seen is None or seen.deleted else still
