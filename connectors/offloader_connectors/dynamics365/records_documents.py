"""Documents by the names that the source gives them, where no table has rows of these names.

An attachment that mails share is one document and several rows; a file in a column is no row of its own (table
reference, activitymimeattachment; Web API reference, DeleteFile; developer guide, "Use image column data").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from offloader.errors import AuthError, Conflict, Gone, OffloaderError, Permanent
from offloader.model import Document, DocumentRef
from offloader.ports import Status
from offloader.records import Deleted, Deletion, Record, RecordRef
from offloader_connectors.dynamics365 import odata, rows, stubbing
from offloader_connectors.dynamics365.api import Answer, Api, Part
from offloader_connectors.dynamics365.environment import Environment
from offloader_connectors.dynamics365.mails import SET, TABLE, Mails, Shared
from offloader_connectors.dynamics365.options import DynamicsOptions
from offloader_connectors.dynamics365.places import FILES, IMAGES, MAILS, Cell
from offloader_connectors.dynamics365.scan import Scanner
from offloader_connectors.dynamics365.standing import Standing

#: deletions in one request
_PARTS = 100
CELLS = frozenset({FILES, IMAGES})
_GONE = Deleted(status=Status.GONE, reason="it is not there any more")
_CHANGED = Deleted(status=Status.CONFLICT, reason="it was changed since")


class Documents:
    """Reads and deletes shared attachments by their own ids, and files in columns. Thread-safe."""

    def __init__(self, api: Api, known: Environment, scanner: Scanner, options: DynamicsOptions) -> None:
        self._api = api
        self._environment = known
        self._scanner = scanner
        self._mails = Mails(api)
        self._standing = Standing(api)
        self._headers = stubbing.write_headers(options)

    def fetch(self, refs: Sequence[RecordRef]) -> dict[RecordRef, Record]:
        """Those that are there. An attachment's etag changes with each of its rows and with their number."""
        found = {ref: _record(ref, each.etag) for ref, each in self._attachments(refs).items()}
        cells = [ref for ref in refs if ref.type in CELLS]
        for ref, document in zip(cells, self._files(cells), strict=True):
            if document is not None:
                found[ref] = _record(ref, document.etag)
        return found

    def delete(self, deletions: Sequence[Deletion]) -> dict[RecordRef, Deleted]:
        """Delete each that is as it was: an attachment on all mails that share it, a file out of its column."""
        attachments = self._attachments([each.ref for each in deletions])
        done: dict[RecordRef, Deleted] = {}
        for each in deletions:
            if each.ref.type in CELLS:
                done[each.ref] = self._from_column(each)
            elif each.ref in attachments:
                done[each.ref] = self._from_mails(each, attachments[each.ref])
        return done

    def _attachments(self, refs: Sequence[RecordRef]) -> dict[RecordRef, Shared]:
        named = {ref.id.lower(): ref for ref in refs if ref.type == MAILS and odata.is_guid(ref.id)}
        return {named[key]: shared for key, shared in self._mails.read(named).items()} if named else {}

    def _files(self, refs: Sequence[RecordRef]) -> Sequence[Document | None]:
        names = [DocumentRef(ref.source, ref.type, ref.id) for ref in refs]
        return self._scanner.fetch(names, signals=False) if names else []

    def _from_mails(self, asked: Deletion, shared: Shared) -> Deleted:
        """Delete its rows. Where one deletion raises the versions of the others, they are read and deleted again."""
        if shared.etag != asked.etag:
            return _CHANGED
        left, known = shared.rows, set(shared.rows)
        while True:
            parts = [self._deletion(key, etag) for key, etag in left.items()]
            answers = [answer for some in odata.chunks(parts, _PARTS) for answer in self._api.batch("batch", some)]
            now = self._mails.read([shared.id])
            there = now[shared.id].rows if shared.id in now else {}
            if not there or len(there) >= len(left) or not there.keys() <= known:
                return _ended(answers, there=bool(there))
            left = there

    def _deletion(self, key: str, etag: str) -> Part:
        headers = {"If-Match": etag, **self._headers}
        return Part("DELETE", odata.record(SET, key), None, headers, operation=f"delete.{TABLE}")

    def _from_column(self, asked: Deletion) -> Deleted:
        (document,) = self._files([asked.ref])
        if document is None:
            return _GONE
        if document.etag != asked.etag:
            return _CHANGED
        part = self._emptying(asked.ref, document)
        if part is None:
            return _GONE
        answers = self._api.batch("batch", [part])
        (left,) = self._files([asked.ref])
        return _ended(answers, there=left is not None)

    def _emptying(self, ref: RecordRef, document: Document) -> Part | None:
        """A file is deleted by its own id, an image by its column, if the record is still as it is now."""
        if ref.type == FILES:
            body = {"FileId": odata.guid(document.etag.partition(":")[0])}
            return Part("POST", "DeleteFile", body, self._headers, operation="deletefile")
        cell = Cell.of(document.ref)
        table = self._environment.table(cell.table)
        record = self._standing.records(table, [cell.id], ()).get(cell.id)
        if record is None:
            return None
        headers: Mapping[str, str] = {"If-Match": rows.etag(record), **self._headers}
        path = f"{odata.record(table.set_name, cell.id)}/{cell.column}"
        return Part("DELETE", path, None, headers, operation="column.delete")


def _record(ref: RecordRef, etag: str) -> Record:
    return Record(ref=ref, etag=etag, modified=None, fields={})


def _ended(answers: Sequence[Answer], *, there: bool) -> Deleted:
    """What became of a deletion, by what is there after it and by what the environment said."""
    if not there:
        return Deleted(status=Status.DONE)
    errors: list[OffloaderError] = [error for answer in answers if (error := answer.error()) is not None]
    refusals = [
        error for error in errors if isinstance(error, Permanent) and not isinstance(error, AuthError | Conflict | Gone)
    ]
    if refusals:
        return Deleted(status=Status.REFUSED, reason=str(refusals[0]))
    reason = str(errors[0]) if errors else "the environment calls it deleted, and it is still there"
    return Deleted(status=Status.RETRY, reason=reason)
