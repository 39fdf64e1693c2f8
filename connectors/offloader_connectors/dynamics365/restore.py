"""Putting documents back: the original's name, mime type and bytes where the placeholder stands.

A placeholder is overwritten only while it is ours and unchanged. Rows that share an attachment share it again where
the environment keeps it so; where each row has got an attachment of its own, each gets its bytes back (table reference,
activitymimeattachment and attachment).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial

from offloader.errors import AuthError, Conflict, Gone, Permanent, Refused
from offloader.model import Document, DocumentRef, Version
from offloader.ports import LinkRequest, Outcome, Status
from offloader_connectors.dynamics365 import odata, places, rows, standing, stubbing, trouble
from offloader_connectors.dynamics365.api import Api
from offloader_connectors.dynamics365.columns import Fetcher
from offloader_connectors.dynamics365.environment import Environment
from offloader_connectors.dynamics365.mails import SHARED, Mails
from offloader_connectors.dynamics365.options import DynamicsOptions
from offloader_connectors.dynamics365.places import MAIL_ROWS, NOTE_ROWS, Cell, Shelf
from offloader_connectors.dynamics365.rows import Row
from offloader_connectors.dynamics365.standing import Standing
from offloader_connectors.dynamics365.uploads import TOO_LARGE, Uploads

Bodies = Callable[[Version], Iterable[bytes]]
_DELETED = Outcome(status=Status.GONE, reason="it was deleted in the CRM")
_ANOTHER = Outcome(status=Status.CONFLICT, reason="another file stands there: a user or another program has put it")
_REFUSALS: Mapping[str, str] = {
    **dict.fromkeys(trouble.READ_ONLY, "the environment does not let files of read-only records be replaced"),
    trouble.TOO_LARGE: TOO_LARGE,
    trouble.BLOCKED_FILE: "files with its extension are blocked now; allow them (setting blockedattachments) and try "
    "again",
}


class Restorer:
    """Puts documents back. Thread-safe."""

    def __init__(self, api: Api, environment: Environment, scanner: Fetcher, options: DynamicsOptions) -> None:
        self._environment = environment
        self._scanner = scanner
        self._standing = Standing(api)
        self._mails = Mails(api)
        self._uploads = Uploads(api, environment, stubbing.write_headers(options))

    def restore(self, request: LinkRequest, bodies: Bodies) -> Outcome:
        """Put one document back, unless it is back already. Errors of `bodies` pass."""
        acts = {places.NOTES: self._note, places.MAILS: self._mail}
        try:
            return acts.get(request.document.ref.kind, self._cell)(request, bodies)
        except Refused as error:
            return Outcome(status=Status.REFUSED, reason=str(error))
        except AuthError:
            raise
        except Permanent as error:
            if trouble.status_of(error) is None and not isinstance(error, Conflict):
                raise
            return _outcome(error)

    # -- notes and mail attachments -----------------------------------------------------------------------------

    def _note(self, request: LinkRequest, bodies: Bodies) -> Outcome:
        note = odata.guid(request.document.ref.id)
        row = self._standing.read(NOTE_ROWS, [note]).get(note)
        if row is None:
            return _DELETED
        if standing.ours(row, request.document, request.link):
            self._write(NOTE_ROWS, note, row, request, bodies)
        elif not _is_back(row, request.document):
            return _ANOTHER
        return self._now(request.document.ref)

    def _mail(self, request: LinkRequest, bodies: Bodies) -> Outcome:
        document = request.document
        known = places.rows_of(document, request.link_ref)
        found = self._standing.read(MAIL_ROWS, known, (SHARED,))
        if not found:
            return _DELETED
        stubs = {key: row for key, row in found.items() if standing.ours(row, document, request.link)}
        if not all(key in stubs or _is_back(row, document) for key, row in found.items()):
            return _ANOTHER
        if stubs:
            first = min(stubs)
            self._write(MAIL_ROWS, first, stubs[first], request, bodies)
            for key, row in self._left(request, found, first).items():
                self._write(MAIL_ROWS, key, row, request, bodies)
        now = self._standing.read(MAIL_ROWS, [min(found)], (SHARED,)).get(min(found), {})
        attachment = rows.optional_guid(now, SHARED)
        return self._now(DocumentRef(document.ref.source, places.MAILS, attachment)) if attachment else _DELETED

    def _left(self, request: LinkRequest, found: Mapping[str, Row], first: str) -> dict[str, Row]:
        """Rows that still have the placeholder after the first was written, those of newer mails among them."""
        shared = self._mails.read(each for each in (rows.optional_guid(row, SHARED) for row in found.values()) if each)
        now = {key: row for key, row in self._standing.read(MAIL_ROWS, found).items() if key != first}
        for each in shared.values():
            now.update(zip(each.rows, each.members, strict=True))
        return {key: row for key, row in sorted(now.items()) if standing.ours(row, request.document, request.link)}

    def _write(self, shelf: Shelf, key: str, row: Row, request: LinkRequest, bodies: Bodies) -> None:
        etag, extra = rows.etag(row), request.document.extra
        names = {name: rows.optional(extra, name) for name in ("filename", "mimetype")}

        def unchanged() -> bool:
            again = self._standing.read(shelf, [key]).get(key)
            return again is not None and rows.etag(again) == etag

        self._uploads.to_row(shelf, key, etag, names, partial(bodies, request.document.current), unchanged)

    # -- columns ------------------------------------------------------------------------------------------------

    def _cell(self, request: LinkRequest, bodies: Bodies) -> Outcome:
        document, version = request.document, request.document.current
        (there,) = self._scanner.fetch([document.ref])
        if there is not None:
            same = (there.current.name, there.size) == (version.name, document.size)
            return Outcome(status=Status.DONE, document=there) if same else _ANOTHER
        cell = Cell.of(document.ref)
        table = self._environment.table(cell.table)

        def unchanged() -> bool:
            return self._scanner.fetch([document.ref], signals=False)[0] is None

        self._uploads.to_column(table, cell, version, partial(bodies, version), unchanged)
        return self._now(document.ref)

    def _now(self, ref: DocumentRef) -> Outcome:
        (document,) = self._scanner.fetch([ref])
        if document is None:
            return Outcome(status=Status.RETRY, reason="what was put back cannot be read yet")
        return Outcome(status=Status.DONE, document=document)


def _is_back(row: Row, document: Document) -> bool:
    """Whether a row looks as it did before the document was replaced; its bytes are compared by who asked."""
    size, version = rows.size(row, "filesize"), document.current
    same_size = size is not None and version.size is not None and abs(size - version.size) <= version.size_slack
    return same_size and rows.optional(row, "filename") == document.extra.get("filename")


def _outcome(error: Permanent) -> Outcome:
    if isinstance(error, Conflict):
        return Outcome(status=Status.CONFLICT, reason=stubbing.CHANGED)
    if isinstance(error, Gone):
        return _DELETED
    return Outcome(status=Status.REFUSED, reason=_REFUSALS.get(trouble.code_of(error), str(error)))
