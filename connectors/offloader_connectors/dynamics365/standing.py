"""What stands in the rows of notes and mail attachments now, read in the longest lists."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence

from offloader.model import Document, Link
from offloader.ports import Outcome, Status
from offloader_connectors.dynamics365 import odata, rows, stub
from offloader_connectors.dynamics365.api import Api
from offloader_connectors.dynamics365.environment import Table
from offloader_connectors.dynamics365.places import Shelf
from offloader_connectors.dynamics365.rows import Row

_LOOKUPS = (f'odata.include-annotations="{rows.LOOKUP_TABLE}"',)


class Standing:
    """Reads rows and placeholders. Thread-safe."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def read(self, shelf: Shelf, ids: Iterable[str], columns: Sequence[str] = ()) -> dict[str, Row]:
        """Rows by their ids, with etags; those that are not there, or may not be seen, are left out."""
        found: dict[str, Row] = {}
        for part in odata.chunks(odata.unique(ids), odata.IDS_PER_LIST):
            query = odata.select(shelf.set_name, (*shelf.described, *columns), filter=odata.in_list(shelf.key, part))
            for answer in self._api.pages(f"list.{shelf.table}", query):
                found.update((rows.guid(row, shelf.key), row) for row in answer.rows())
        return found

    def records(self, table: Table, ids: Iterable[str], columns: Sequence[str]) -> dict[str, Row]:
        """Records of any table by their ids, with etags, and the tables that lookups lead to."""
        found: dict[str, Row] = {}
        for part in odata.chunks(odata.unique(ids), odata.IDS_PER_LIST):
            query = odata.select(
                table.set_name, (table.primary_id, *columns), filter=odata.in_list(table.primary_id, part)
            )
            for answer in self._api.pages(f"list.{table.logical_name}", query, prefer=_LOOKUPS):
                found.update((rows.guid(row, table.primary_id), row) for row in answer.rows())
        return found

    def bodies(self, shelf: Shelf, ids: Iterable[str]) -> dict[str, bytes]:
        """Bodies of rows that are known to be small."""
        found: dict[str, bytes] = {}
        for key, row in self.read(shelf, ids, (shelf.body,)).items():
            try:
                found[key] = base64.b64decode(rows.optional(row, shelf.body) or "", validate=True)
            except ValueError:
                found[key] = b""
        return found


def ours(row: Row, document: Document, link: Link) -> bool:
    """Whether the placeholder of this link for this document stands in a row."""
    return stub.leads_to(rows.optional(row, "mimetype"), rows.size(row, "filesize"), document.current.name, link)


def compared(body: bytes | None, row: Row, document: Document, link: Link) -> Outcome | None:
    """CONFLICT unless a placeholder that is described as ours has our bytes; None if it has."""
    form = stub.form_of(rows.optional(row, "mimetype"))
    if form is not None and body == stub.make(form, document.current.name, link).body:
        return None
    return Outcome(status=Status.CONFLICT, reason="the placeholder was changed")


def inspected(described: Mapping[str, Row], document: Document, link: Link) -> Outcome:
    """What a document's rows, by id, say of its placeholder. `link_ref` names the rows."""
    if described and all(ours(row, document, link) for row in described.values()):
        return Outcome(status=Status.DONE, link_ref={"rows": " ".join(sorted(described))})
    if any(stub.link_id(rows.optional(row, "mimetype")) is not None for row in described.values()):
        return Outcome(status=Status.CONFLICT, reason="the placeholder leads elsewhere, or was changed")
    return Outcome(status=Status.GONE, reason="no placeholder stands there")
