"""The records of a Salesforce org: the port, and nothing but handing on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from offloader.model import Finding
from offloader.plugins import Context
from offloader.ports import Status, Usage
from offloader.records import (
    Child,
    Deleted,
    Deletion,
    Record,
    RecordPage,
    RecordQuery,
    RecordRef,
    RecordType,
    Storage,
)
from offloader_connectors.salesforce import rows, soql
from offloader_connectors.salesforce.api import Api
from offloader_connectors.salesforce.options import SalesforceOptions
from offloader_connectors.salesforce.org import Org
from offloader_connectors.salesforce.records_bulk import BulkDelete
from offloader_connectors.salesforce.records_check import RecordsChecker
from offloader_connectors.salesforce.records_delete import Deleter
from offloader_connectors.salesforce.records_read import Reader
from offloader_connectors.salesforce.records_types import Types
from offloader_connectors.salesforce.records_write import Writer

_MB = 1024 * 1024
_METERS = {"data": "DataStorageMB", "file": "FileStorageMB"}


class SalesforceRecords:
    """One Salesforce org. Opening it makes no call."""

    #: ids whose stamps one call reads: five queries of 2,000
    batch = 10_000

    def __init__(self, name: str, options: SalesforceOptions, context: Context, org: Org | None = None) -> None:
        """`org`: of a source that is open already; its session and its knowledge of the org are used too."""
        self.name = name
        facts = org or Org(Api(options, context), options.external_id_field, context.now)
        self._api = facts.api
        self._types = Types(self._api, context.now)
        self._reader = Reader(name, self._api, self._types, facts, context.now)
        bulk = BulkDelete(self._api, context.sleep)
        self._deleter = Deleter(self._api, self._types, self._reader, bulk, options.bulk_delete_from)
        self._writer = Writer(name, self._api, self._types, options.api_version)
        self._checker = RecordsChecker(self._api, self._types, facts)

    def close(self) -> None:
        """Give up idle connections; the next call opens new ones."""
        self._api.close()

    def check(self, types: Sequence[str], *, delete: bool) -> Sequence[Finding]:
        return self._checker.check(types, delete=delete)

    def identity(self) -> Mapping[str, str]:
        """The organization's id, its kind ("sandbox", "developer", "production") and its My Domain address.

        A sandbox has an id of its own ("Organization", Object Reference: IsSandbox, OrganizationType); the name of its
        server (InstanceName) is left out, since Salesforce moves orgs between servers.
        """
        (row,) = self._api.query(soql.select("Id, IsSandbox, OrganizationType", "Organization", tail="LIMIT 1"))
        developer = "Developer" in (rows.optional(row, "OrganizationType") or "")
        kind = "sandbox" if rows.flag(row, "IsSandbox") else "developer" if developer else "production"
        address = self._api.session.token().instance_url
        return {"organisation": rows.record_id(row, "Id"), "environment": kind, "address": address}

    def describe(self, type: str) -> RecordType:
        return self._types.described(type)

    def find(self, query: RecordQuery, *, cursor: str | None = None) -> Iterator[RecordPage]:
        return self._reader.find(query, cursor)

    def children(self, parents: Sequence[RecordRef], child: Child) -> Iterator[RecordPage]:
        return self._reader.children(parents, child)

    def fetch(self, refs: Sequence[RecordRef]) -> Sequence[Record | None]:
        return self._reader.fetch(refs)

    def gone(self, refs: Sequence[RecordRef]) -> Sequence[Status]:
        return self._reader.gone(refs)

    def delete(self, deletions: Sequence[Deletion], *, hard: bool = False) -> Sequence[Deleted]:
        return self._deleter.delete(deletions, hard=hard)

    def create(self, records: Sequence[Record]) -> Sequence[Deleted]:
        return self._writer.create(records)

    def made(self, records: Sequence[Record], since: datetime) -> Sequence[Record]:
        return self._reader.made(records, since, self._api.user_id)

    def set_fields(self, records: Sequence[Record]) -> Sequence[Deleted]:
        return self._writer.set_fields(records)

    def undelete(self, refs: Sequence[RecordRef]) -> Sequence[Deleted]:
        return self._writer.undelete(refs)

    def storage(self) -> Storage:
        """Whole megabytes; Salesforce computes them now and then, and does not say when (REST API guide, "Limits")."""
        limits = self._api.get("limits", "limits").record()
        used, most = {}, {}
        for meter, name in _METERS.items():
            found = limits.get(name)
            if isinstance(found, Mapping):
                most[meter] = rows.number(found, "Max", "limits") * _MB
                used[meter] = most[meter] - rows.number(found, "Remaining", "limits") * _MB
        return Storage(used=used, limit=most)

    def usage(self) -> Usage:
        return self._api.purse.usage()
