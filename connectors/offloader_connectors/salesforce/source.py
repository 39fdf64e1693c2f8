"""The Salesforce source: the port, and nothing but handing on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from offloader.model import Document, DocumentRef, Finding, Strategy, Version, VersionRef
from offloader.plugins import Context
from offloader.ports import (
    Access,
    Delivery,
    KindCapabilities,
    LinkRequest,
    Outcome,
    Page,
    SourceCapabilities,
    Status,
    Usage,
)
from offloader_connectors import sorting
from offloader_connectors.salesforce import documents, remove, stubbing
from offloader_connectors.salesforce.access import Gatekeeper
from offloader_connectors.salesforce.api import RECORDS_PER_COLLECTION, Api
from offloader_connectors.salesforce.blobs import Blobs
from offloader_connectors.salesforce.check import Checker
from offloader_connectors.salesforce.link import URL_LENGTH, Linker
from offloader_connectors.salesforce.options import SalesforceOptions
from offloader_connectors.salesforce.org import Org
from offloader_connectors.salesforce.records import SalesforceRecords
from offloader_connectors.salesforce.remove import Remover
from offloader_connectors.salesforce.restore import Restorer
from offloader_connectors.salesforce.scan import Scanner
from offloader_connectors.salesforce.standing import Finder, Standing, link_title, wanted_parents
from offloader_connectors.salesforce.stubbing import Stubber

#: the recycle bin keeps deleted files for 15 days; their bytes stop counting at once, as far as the limits tell
_BIN_DAYS = 15
KINDS = {
    documents.FILES: KindCapabilities(
        kind=documents.FILES,
        strategy=Strategy.NEW_LINK_THEN_DELETE,
        versions=True,
        multi_parent=True,
        checksum="md5",
        link_max_length=URL_LENGTH,
        freed="deferred",
        bin_days=_BIN_DAYS,
        link_type=documents.FILES,
    ),
    documents.ATTACHMENTS: KindCapabilities(
        kind=documents.ATTACHMENTS,
        strategy=Strategy.NEW_LINK_THEN_DELETE,
        link_max_length=400,
        freed="deferred",
        bin_days=_BIN_DAYS,
        link_type=documents.FILES,
    ),
}


class SalesforceSource:
    """One Salesforce org. Opening it makes no call."""

    def __init__(self, name: str, options: SalesforceOptions, context: Context) -> None:
        self.name = name
        self._options = options
        self._context = context
        self._api = Api(options, context)
        self._org = Org(self._api, options.external_id_field, context.now)
        self._finder = Finder(self._api, self._org)
        self._scanner = Scanner(name, self._api, self._org, options)
        self._blobs = Blobs(self._api, options.max_long_requests)
        self._linker = Linker(self._api, self._org, self._finder, chained=options.chained_references == "auto")
        self._stubber = Stubber(self._api, self._scanner, options.stub)
        self._remover = Remover(self._api, self._org, self._scanner, self._finder)
        self._restorer = Restorer(self._api, self._org, self._scanner, self._linker, context.random)
        self._gatekeeper = Gatekeeper(self._api, self._org)
        self._checker = Checker(self._api, self._org, options)

    def close(self) -> None:
        """Give up idle connections; the next call opens new ones."""
        self._api.close()

    def records(self) -> SalesforceRecords:
        """The org's records, over the same session."""
        return SalesforceRecords(self.name, self._options, self._context, self._org)

    @property
    def capabilities(self) -> SourceCapabilities:
        return SourceCapabilities(
            kinds=tuple(KINDS[kind] for kind in self._options.kinds),
            link_batch=RECORDS_PER_COLLECTION,
            remove_batch=remove.BATCH,
            concurrency=self._options.concurrency,
            user_check=True,
            refresh=True,
        )

    def check(self) -> Sequence[Finding]:
        return self._checker.check()

    def scan(self, kind: str, *, since: str | None = None, cursor: str | None = None) -> Iterator[Page]:
        return self._scanner.scan(kind, since, cursor)

    def fetch(self, refs: Sequence[DocumentRef]) -> Sequence[Document | None]:
        return self._scanner.fetch(refs)

    def read(self, refs: Sequence[VersionRef]) -> Iterator[Delivery]:
        return self._blobs.read(refs)

    def link(self, requests: Sequence[LinkRequest]) -> Sequence[Outcome]:
        return sorting.split(requests, stubbing.is_in_place, self._stubber.link, self._linker.link)

    def inspect(self, requests: Sequence[LinkRequest]) -> Sequence[Outcome]:
        return sorting.split(requests, stubbing.is_in_place, self._stubber.inspect, self._inspect_files)

    def remove(self, requests: Sequence[LinkRequest]) -> Sequence[Outcome]:
        return sorting.split(requests, stubbing.is_in_place, self._stubber.look_again, self._remover.remove)

    def restore(self, request: LinkRequest, bodies: Callable[[Version], Iterable[bytes]]) -> Outcome:
        return self._restorer.restore(request, bodies)

    def unlink(self, requests: Sequence[LinkRequest]) -> Sequence[Outcome]:
        return self._remover.unlink(requests)

    def may_read(self, user: str, requests: Sequence[LinkRequest]) -> Sequence[Access]:
        return self._gatekeeper.may_read(user, requests)

    def refresh(self, documents: Sequence[Document]) -> Sequence[Document]:
        return self._scanner.refresh(documents)

    def usage(self) -> Usage:
        return self._api.purse.usage()

    def _inspect_files(self, requests: Sequence[LinkRequest]) -> list[Outcome]:
        located = self._finder.locate(requests)
        found = self._finder.read(located.values())
        return [_inspected(each, found.get(located.get(each.link.id, ""))) for each in requests]


def _inspected(request: LinkRequest, found: Standing | None) -> Outcome:
    if found is None:
        return Outcome(status=Status.GONE, reason="the link is not there")
    parents = wanted_parents(request)
    fault = remove.link_fault(request, found, parents, ids_only=request.document.ref.kind == documents.ATTACHMENTS)
    if fault is None and found.title.strip() != link_title(request).strip():
        fault = "its link has another title"
    link_ref = {**request.link_ref, **found.ref}
    if fault:
        return Outcome(status=Status.CONFLICT, reason=fault, link_ref=link_ref)
    return Outcome(status=Status.DONE, link_ref=link_ref)
