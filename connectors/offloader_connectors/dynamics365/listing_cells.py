"""Listing files and full images of columns, found through the list of all file attachments.

Table reference, fileattachment: one row for each value of a file or image column, which names table, record and
column. Whether a column holds files, images or only thumbnails is in its definition.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from offloader.model import Document, DocumentRef
from offloader_connectors.dynamics365 import documents, odata
from offloader_connectors.dynamics365.api import Api
from offloader_connectors.dynamics365.documents import CELL_COLUMNS, Rules
from offloader_connectors.dynamics365.environment import Environment
from offloader_connectors.dynamics365.marks import Mark
from offloader_connectors.dynamics365.options import DynamicsOptions
from offloader_connectors.dynamics365.places import Cell
from offloader_connectors.dynamics365.rows import Row
from offloader_connectors.dynamics365.walk import Ask, Listed, Walk

_WALK = Walk("fileattachment", "fileattachments", CELL_COLUMNS)


class CellListing:
    """Lists and reads the documents of one kind of column, without signals. Thread-safe."""

    def __init__(
        self, source: str, kind: str, api: Api, environment: Environment, options: DynamicsOptions, rules: Rules
    ) -> None:
        self._source = source
        self._kind = kind
        self._api = api
        self._environment = environment
        self._options = options
        self._rules = rules

    def pages(self, ask: Ask, since: Mark | None, cursor: Mark | None) -> Iterator[Listed]:
        before = since or Mark()
        mark = cursor or replace(before, full=since is None)
        for step in _WALK.steps(ask, self._options, before, mark):
            yield Listed(mark=step.mark, documents=tuple(self._documents(step.fresh)), done=not step.more)

    def fetch(self, ids: Sequence[str]) -> list[Document]:
        """Read documents by their ids; those that are not there are left out."""
        wanted = set(ids)
        cells = [Cell.of(DocumentRef(self._source, self._kind, each)) for each in ids]
        found: list[Row] = []
        for part in odata.chunks(odata.unique(cell.id for cell in cells), odata.IDS_PER_LIST):
            path = odata.select("fileattachments", CELL_COLUMNS, filter=odata.in_list("objectid", part))
            found += (row for answer in self._api.pages("list.fileattachment", path) for row in answer.rows())
        return [each for each in self._documents(found) if each.ref.id in wanted]

    def _documents(self, found: Iterable[Row]) -> list[Document]:
        """Documents of the rows that are of this kind: neither thumbnails nor files of other columns."""
        named = [(cell, row) for row in found if (cell := documents.cell_id(row)) is not None]
        columns = self._environment.file_columns(cell[0] for cell, _ in named)
        wanted = documents.kind_of_column(self._kind)
        built: dict[str, Document] = {}
        for (table, _, column), row in named:
            known = columns[table].get(column)
            if known is None or known.kind != wanted or not known.full:
                continue
            document = documents.cell_document(
                self._source, self._kind, row, self._rules, link_place=self._has_place(table, column)
            )
            earlier = built.get(document.ref.id)
            if earlier is None or (earlier.size, earlier.etag) <= (document.size, document.etag):
                built[document.ref.id] = document
        return list(built.values())

    def _has_place(self, table: str, column: str) -> bool:
        """Whether the record can hold a link: in a column that the operator named, or in a note."""
        if f"{table}.{column}" in self._options.link_columns or table not in self._rules.parents:
            return True
        known = self._environment.tables().get(table)
        return known is not None and known.has_notes
