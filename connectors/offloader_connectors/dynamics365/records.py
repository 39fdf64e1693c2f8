"""The records of a Dynamics 365 environment: the port, and nothing but handing on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from offloader.model import Finding
from offloader.plugins import Context
from offloader.ports import Status, Usage
from offloader.records import Child, Deleted, Deletion, Record, RecordPage, RecordQuery, RecordRef, RecordType, Storage
from offloader_connectors.dynamics365.api import Api
from offloader_connectors.dynamics365.environment import Environment
from offloader_connectors.dynamics365.options import DynamicsOptions
from offloader_connectors.dynamics365.permissions import Permissions
from offloader_connectors.dynamics365.records_check import RecordsChecker
from offloader_connectors.dynamics365.records_deleting import Deleter
from offloader_connectors.dynamics365.records_documents import CELLS, Documents
from offloader_connectors.dynamics365.records_reading import Reader
from offloader_connectors.dynamics365.records_types import Types
from offloader_connectors.dynamics365.records_writing import Writer
from offloader_connectors.dynamics365.scan import Scanner

#: of our own: so many records are handed over in one call; requests are cut from it
BATCH = 2000


class DynamicsRecords:
    """Records by the logical names of their tables and columns. Opening it makes no call.

    A look-up's field has the id; where it can lead to several tables, a field `NAME@table` says to which.
    `fetch` and `delete` also take documents by the names that the source gives them.
    """

    def __init__(
        self, name: str, options: DynamicsOptions, context: Context, environment: Environment | None = None
    ) -> None:
        """`environment`: of a source that is open already; its session and what it knows are used too."""
        self.name = name
        self.batch = BATCH
        known = environment or Environment(Api(options, context))
        self._api = api = known.api
        permitted = Permissions(api, known, context.monotonic)
        self._types = types = Types(api, known, permitted)
        self._reader = Reader(name, api, known, types, options)
        self._deleter = Deleter(api, types, self._reader, options, context)
        self._writer = Writer(name, api, known, types, self._deleter, options)
        self._checker = RecordsChecker(api, known, permitted, types, options.url)
        self._documents = Documents(api, known, Scanner(name, api, known, permitted, options, context), options)

    def close(self) -> None:
        """Give up idle connections; the next call opens new ones."""
        self._api.close()

    def check(self, types: Sequence[str], *, delete: bool) -> Sequence[Finding]:
        return self._checker.check(types, delete=delete)

    def identity(self) -> Mapping[str, str]:
        return self._checker.identity()

    def describe(self, type: str) -> RecordType:
        return self._types.describe(type).described()

    def find(self, query: RecordQuery, *, cursor: str | None = None) -> Iterator[RecordPage]:
        return self._reader.find(query, cursor)

    def children(self, parents: Sequence[RecordRef], child: Child) -> Iterator[RecordPage]:
        return self._reader.children(parents, child)

    def fetch(self, refs: Sequence[RecordRef]) -> Sequence[Record | None]:
        rows = [ref for ref in refs if ref.type not in CELLS]
        found = dict(zip(rows, self._reader.fetch(rows), strict=True))
        missing = [ref for ref in refs if found.get(ref) is None]
        documents = self._documents.fetch(missing) if missing else {}
        return [found.get(ref) or documents.get(ref) for ref in refs]

    def gone(self, refs: Sequence[RecordRef]) -> Sequence[Status]:
        return self._reader.gone(refs)

    def delete(self, deletions: Sequence[Deletion], *, hard: bool = False) -> Sequence[Deleted]:
        done = self._documents.delete(deletions)
        others = [each for each in deletions if each.ref not in done]
        done |= dict(zip((each.ref for each in others), self._deleter.delete(others, hard=hard), strict=True))
        return [done[each.ref] for each in deletions]

    def create(self, records: Sequence[Record]) -> Sequence[Deleted]:
        return self._writer.create(records)

    def made(self, records: Sequence[Record], since: datetime) -> Sequence[Record]:
        """Those that are there: a row is created under the id that it had."""
        found: list[Record | None] = []
        for start in range(0, len(records), self.batch):
            found += self._reader.fetch([each.ref for each in records[start : start + self.batch]])
        return [each for each in found if each is not None]

    def set_fields(self, records: Sequence[Record]) -> Sequence[Deleted]:
        return self._writer.set_fields(records)

    def undelete(self, refs: Sequence[RecordRef]) -> Sequence[Deleted]:
        return self._deleter.undelete(refs)

    def storage(self) -> Storage:
        """Nothing: the Web API does not say what storage is used; the Power Platform admin center does, a day later."""
        return Storage(used={}, limit={})

    def usage(self) -> Usage:
        return self._api.purse.usage()
