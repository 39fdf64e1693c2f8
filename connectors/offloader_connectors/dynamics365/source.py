"""The Dynamics 365 source: the port, and nothing but handing on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from offloader.model import Document, DocumentRef, Finding, Strategy, Version, VersionRef
from offloader.plugins import Context
from offloader.ports import Access, Delivery, KindCapabilities, LinkRequest, Outcome, Page, SourceCapabilities, Usage
from offloader_connectors import sorting
from offloader_connectors.dynamics365 import places
from offloader_connectors.dynamics365.access import Gatekeeper
from offloader_connectors.dynamics365.api import Api
from offloader_connectors.dynamics365.blobs import Blobs
from offloader_connectors.dynamics365.check import Checker
from offloader_connectors.dynamics365.columns import Columns
from offloader_connectors.dynamics365.environment import Environment
from offloader_connectors.dynamics365.options import DynamicsOptions
from offloader_connectors.dynamics365.permissions import Permissions
from offloader_connectors.dynamics365.records import DynamicsRecords
from offloader_connectors.dynamics365.remaking import Remaker
from offloader_connectors.dynamics365.remove import Remover
from offloader_connectors.dynamics365.restore import Restorer
from offloader_connectors.dynamics365.scan import Scanner
from offloader_connectors.dynamics365.stubbing import Stubber

#: of our own: so many placeholders are looked at again, or originals removed, in one call
REMOVE_BATCH = 500
#: the placeholder's body has room for any link
_LINK_LENGTH = 2000
_CELL_LINK_LENGTH = 400
KINDS = {
    places.NOTES: KindCapabilities(
        kind=places.NOTES,
        strategy=Strategy.STUB_IN_PLACE,
        id_stable=True,
        link_max_length=_LINK_LENGTH,
        delta="token",
        conditional_write=True,
        freed="deferred",
    ),
    places.MAILS: KindCapabilities(
        kind=places.MAILS,
        strategy=Strategy.STUB_IN_PLACE,
        multi_parent=True,
        id_stable=True,
        link_max_length=_LINK_LENGTH,
        delta="timestamp",
        conditional_write=True,
        freed="deferred",
    ),
    **{
        kind: KindCapabilities(
            kind=kind,
            strategy=Strategy.NEW_LINK_THEN_DELETE,
            id_stable=True,
            link_max_length=_CELL_LINK_LENGTH,
            delta="timestamp",
            conditional_write=True,
            freed="deferred",
        )
        for kind in (places.FILES, places.IMAGES)
    },
}


class DynamicsSource:
    """One Dynamics 365 environment. Opening it makes no call."""

    def __init__(self, name: str, options: DynamicsOptions, context: Context) -> None:
        self.name = name
        self._options = options
        self._context = context
        self._api = api = Api(options, context)
        self._environment = environment = Environment(api)
        permitted = Permissions(api, environment, context.monotonic)
        self._scanner = scanner = Scanner(name, api, environment, permitted, options, context)
        self._blobs = Blobs(api, environment, options, context)
        self._stubber = Stubber(api, environment, options)
        self._remaker = Remaker(api, environment, options)
        self._columns = Columns(api, environment, scanner, options)
        self._remover = Remover(api, scanner, self._stubber, self._columns, options)
        self._restorer = Restorer(api, environment, scanner, options)
        self._gatekeeper = Gatekeeper(api, environment)
        self._checker = Checker(api, environment, permitted, self._blobs, options)

    def close(self) -> None:
        """Give up idle connections; the next call opens new ones."""
        self._api.close()
        self._blobs.close()

    def records(self) -> DynamicsRecords:
        """The environment's records, over the same session."""
        return DynamicsRecords(self.name, self._options, self._context, self._environment)

    @property
    def capabilities(self) -> SourceCapabilities:
        return SourceCapabilities(
            kinds=tuple(KINDS[kind] for kind in self._options.kinds),
            read_batch=self._options.read_batch,
            read_bytes=self._options.read_bytes,
            link_batch=self._options.link_batch,
            remove_batch=REMOVE_BATCH,
            concurrency=self._options.concurrency,
            user_check=True,
            refresh=True,
        )

    @property
    def routes(self) -> dict[str, str]:
        """How small and large bodies are read, as far as is known."""
        return dict(self._blobs.routes)

    def check(self) -> Sequence[Finding]:
        return self._checker.check()

    def scan(self, kind: str, *, since: str | None = None, cursor: str | None = None) -> Iterator[Page]:
        return self._scanner.scan(kind, since, cursor)

    def fetch(self, refs: Sequence[DocumentRef]) -> Sequence[Document | None]:
        return self._scanner.fetch(refs)

    def read(self, refs: Sequence[VersionRef]) -> Iterator[Delivery]:
        return self._blobs.read(refs)

    def link(self, requests: Sequence[LinkRequest]) -> Sequence[Outcome]:
        return places.split(requests, self._link_rows, self._columns.link)

    def inspect(self, requests: Sequence[LinkRequest]) -> Sequence[Outcome]:
        return places.split(requests, self._stubber.inspect, self._columns.inspect)

    def remove(self, requests: Sequence[LinkRequest]) -> Sequence[Outcome]:
        return self._remover.remove(requests)

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

    def _link_rows(self, requests: Sequence[LinkRequest]) -> Sequence[Outcome]:
        return sorting.split(requests, lambda each: each.anew, self._remaker.link, self._stubber.link)
