"""Listing and reading documents: page by page, resumable, and only what changed since a watermark. Never a body.

Row versions are the order of a listing: a row that changes meanwhile moves to its end, so nothing is passed over, and
the last version listed is both the cursor and the watermark. Notes are listed by change tracking where their table
has it, although text notes come along: it alone tells of deletions, and it does not miss a transaction that stayed
open (Web API guide, "Use change tracking to synchronize data with external systems"). A change of a parent's own
columns touches no document, so an incremental scan does not see it; a full scan does.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import Protocol

from offloader.errors import Permanent
from offloader.model import Document, DocumentRef, Finding, Severity
from offloader.plugins import Context
from offloader.ports import Page
from offloader_connectors.dynamics365 import odata, permissions
from offloader_connectors.dynamics365.api import Api
from offloader_connectors.dynamics365.documents import Rules
from offloader_connectors.dynamics365.environment import Environment
from offloader_connectors.dynamics365.listing_cells import CellListing
from offloader_connectors.dynamics365.listing_mails import MailListing
from offloader_connectors.dynamics365.listing_notes import NoteListing
from offloader_connectors.dynamics365.marks import Mark
from offloader_connectors.dynamics365.options import DynamicsOptions
from offloader_connectors.dynamics365.permissions import Permissions
from offloader_connectors.dynamics365.places import FILES, IMAGES, MAILS, NOTES
from offloader_connectors.dynamics365.signals import Signals, merged
from offloader_connectors.dynamics365.walk import Ask, Listed


class Listing(Protocol):
    """One kind of documents, without signals."""

    def pages(self, ask: Ask, since: Mark | None, cursor: Mark | None) -> Iterator[Listed]: ...

    def fetch(self, ids: Sequence[str]) -> list[Document]: ...


class Scanner:
    """Lists and reads documents of one environment. Thread-safe."""

    def __init__(
        self,
        source: str,
        api: Api,
        environment: Environment,
        permitted: Permissions,
        options: DynamicsOptions,
        context: Context,
    ) -> None:
        rules = Rules(frozenset(options.parents), options.min_size)
        self._source = source
        self._api = api
        self._environment = environment
        self._permissions = permitted
        self._parents = options.parents
        self._configured = merged(options.signals)
        every: dict[str, Listing] = {
            NOTES: NoteListing(source, api, environment, options, rules),
            MAILS: MailListing(source, api, options, rules, context.now),
            FILES: CellListing(source, FILES, api, environment, options, rules),
            IMAGES: CellListing(source, IMAGES, api, environment, options, rules),
        }
        self._listings: dict[str, Listing] = {kind: every[kind] for kind in options.kinds}
        # another application user sees other rows
        told = [sorted(rules.parents), rules.min_size, sorted(options.link_columns), options.url, options.client_id]
        self._fingerprint = hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]

    def scan(self, kind: str, since: str | None, cursor: str | None) -> Iterator[Page]:
        """A watermark made with other options of what may be moved is worth nothing: the scan is a full one."""
        listing = self._listings.get(kind)
        if listing is None:
            raise Permanent(f"the source {self._source} has no kind {kind!r}")
        mark, start = self._mark(since, "watermark"), self._mark(cursor, "cursor")
        user = (start or mark or Mark()).user or None
        signals = self._signals()
        pages = listing.pages(partial(self._permissions.beside, user), mark, start)
        try:
            first = next(pages)
        except Permanent as error:
            if not permissions.is_refusal(error):
                raise
            yield Page(documents=(), watermark=since, blind_spots=(_refused(kind, error),))
            return
        spots = self._blind_spots(kind)
        for each in chain((first,), pages):
            known = user or self._environment.identity().user_id
            text = replace(each.mark, options=self._fingerprint, user=known).to_text()
            yield Page(
                documents=tuple(signals.annotate(each.documents)),
                deleted=each.deleted,
                cursor=None if each.done else text,
                watermark=text if each.done else None,
                blind_spots=spots,
            )

    def refresh(self, found: Sequence[Document]) -> list[Document]:
        """The documents with their parents' signals as they are now; reads no document."""
        return self._signals().annotate(found)

    def fetch(self, refs: Sequence[DocumentRef], *, signals: bool = True) -> list[Document | None]:
        """Read documents afresh, in order; without signals, and columns without owner, where only content matters."""
        found: dict[DocumentRef, Document] = {}
        for kind, listing in self._listings.items():
            ids = odata.unique(ref.id for ref in refs if ref.kind == kind)
            found.update((each.ref, each) for each in (listing.fetch(ids) if ids else ()))
        if signals and found:
            reader = self._signals()
            found = {each.ref: each for each in reader.annotate(found.values())}
        return [found.get(ref) for ref in refs]

    def _signals(self) -> Signals:
        return Signals(self._api, self._environment, self._configured, self._parents)

    def _blind_spots(self, kind: str) -> tuple[Finding, ...]:
        privileges = self._permissions.now()
        # tables that the environment does not have hide nothing
        closed = [table for table in self._parents if not privileges.reads_all(table)]
        return permissions.hidden(kind, privileges, [each for each in closed if each in self._environment.tables()])

    def _mark(self, text: str | None, what: str) -> Mark | None:
        found = Mark.of(text, what) if text is not None else None
        return found if found is not None and found.options == self._fingerprint else None


def _refused(kind: str, error: Permanent) -> Finding:
    return Finding(
        Severity.ERROR,
        "not-readable",
        f"The environment refuses to list documents of the kind {kind}: {error}",
        "Give the application user a security role that reads them at the level of the organization.",
        hides=f"every {kind}",
    )
