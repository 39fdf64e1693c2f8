"""An emulated org with a few people and records, and a source that works on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from offloader.model import Document, Link
from offloader.plugins import Context
from offloader.ports import LinkRequest, Page
from offloader_connectors.salesforce.emulator.emulator import SalesforceEmulator
from offloader_connectors.salesforce.emulator.options import OrgOptions
from offloader_connectors.salesforce.emulator.org import FileIds, FileParent, Org
from offloader_connectors.salesforce.options import SalesforceOptions
from offloader_connectors.salesforce.source import SalesforceSource
from tests.integration.clock import CREATED, Clock


@dataclass(slots=True)
class World:
    """The org, its server, and shortcuts for tests."""

    org: Org
    emulator: SalesforceEmulator
    clock: Clock
    directory: Path
    owner: str = ""
    account: str = ""
    other: str = ""
    sources: list[SalesforceSource] = field(default_factory=list)

    def source(self, **options: Any) -> SalesforceSource:
        """A source with its own session."""
        base = {name: value for name, value in self.emulator.source_options.items() if name != "type"}
        context = Context(
            now=self.clock,
            sleep=self.clock.slept.append,
            monotonic=lambda: 0.0,
            random=lambda: 0.5,
            environ={},
            directory=self.directory,
        )
        source = SalesforceSource("sf", SalesforceOptions.model_validate(base | options), context)
        self.sources.append(source)
        return source

    def file(
        self,
        title: str = "contract",
        *bodies: bytes,
        parents: Sequence[str | FileParent] | None = None,
        path: str | None = None,
        owner: str | None = None,
        **extra: Any,
    ) -> FileIds:
        shared = [self.account] if parents is None else parents
        return self.org.add_file(
            title=title,
            path_on_client=path or f"{title[:100]}.pdf",
            bodies=list(bodies) or [b"hello " + title.encode("utf-8", "replace")],
            owner=owner or self.owner,
            parents=[each if isinstance(each, FileParent) else FileParent(each) for each in shared],
            created=CREATED,
            extra=extra,
        )

    def attachment(self, parent: str, name: str = "scan.pdf", body: bytes = b"scanned", **more: Any) -> str:
        fixed: dict[str, Any] = {"content_type": "application/pdf", "owner": self.owner, "created": CREATED}
        return self.org.add_attachment(parent=parent, name=name, body=body, **(fixed | more))

    def email(self, status: str = "3", **fields: Any) -> str:
        return self.org.insert("EmailMessage", {"Subject": "s", "Status": status, **fields})

    def reset_counters(self) -> None:
        self.emulator.counters.clear()

    def calls(self) -> dict[str, int]:
        """Calls since the last reset, by operation, logins left out."""
        return {name: count for name, count in self.emulator.counters.outer.items() if not name.startswith("oauth2")}

    def fault(self, **rule: Any) -> None:
        self.emulator.faults.load([rule])


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def org_options() -> OrgOptions:
    """Overridden by tests of other orgs."""
    return OrgOptions()


@pytest.fixture
def world(tmp_path: Path, clock: Clock, org_options: OrgOptions) -> Iterator[World]:
    org = Org(tmp_path, now=clock, options=org_options)
    emulator = SalesforceEmulator(org)
    made = World(org, emulator, clock, tmp_path)
    made.owner = org.user(username="owner@example.com")
    made.account = org.insert("Account", {"Name": "Müller GmbH", "BillingCountryCode": "DE", "OwnerId": made.owner})
    made.other = org.insert("Account", {"Name": "Dupont SA", "BillingCountry": "France", "OwnerId": made.owner})
    clock.move(days=1)
    try:
        yield made
    finally:
        for each in made.sources:
            each.close()
        emulator.close()


@pytest.fixture
def source(world: World) -> SalesforceSource:
    return world.source()


def everything(pages: Iterator[Page]) -> dict[str, Document]:
    """All documents of a scan, by id."""
    return {document.ref.id: document for page in pages for document in page.documents}


def url(name: str) -> str:
    return f"https://files.example.com/o/{name}"


def request(document: Document, **more: Any) -> LinkRequest:
    """Replace a document by a link of its own."""
    name = f"k{document.ref.id}"
    return LinkRequest(document=document, link=Link(name, url(name)), **more)


Reader = Callable[[SalesforceSource, Document], bytes]


def read(source: SalesforceSource, document: Document, index: int = -1) -> bytes:
    (delivery,) = source.read([document.version_ref(document.versions[index])])
    if delivery.error is not None:
        raise delivery.error
    assert delivery.chunks is not None
    return b"".join(delivery.chunks)
