"""An emulated Salesforce org in this process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from offloader.cli.demo_sandbox import Sandbox
from offloader.cli.sandbox_files import write_config
from offloader.system import system_context
from offloader_connectors.emulation.blobs import Body
from offloader_connectors.salesforce.emulator.emulator import SalesforceEmulator
from offloader_connectors.salesforce.emulator.options import OrgOptions
from offloader_connectors.salesforce.emulator.org import FileParent, Org
from tests.integration.whole.bed import CREATED, Bed


@dataclass(frozen=True)
class Ground(Bed):
    """An org with one owner, one account in Germany and one in France, and shortcuts to fill it and to disturb it."""

    org: Org
    owner: str
    account: str
    other: str

    # -- filling ---------------------------------------------------------------------------------------------------

    def file(
        self,
        title: str = "contract",
        *bodies: Body,
        parents: Sequence[str] | None = None,
        path: str | None = None,
        created: datetime = CREATED,
    ) -> str:
        """A file with these versions; returns its ContentDocument id."""
        made = self.org.add_file(
            title=title,
            path_on_client=path or f"{title[:100]}.pdf",
            bodies=list(bodies) or [f"the bytes of {title}".encode()],
            owner=self.owner,
            parents=[FileParent(each) for each in ([self.account] if parents is None else parents)],
            created=created,
        )
        return made.document_id

    def files(self, count: int) -> list[str]:
        return [self.file(f"file {number}") for number in range(count)]

    def attachment(self, name: str = "scan.pdf", body: bytes | None = None, *, parent: str | None = None) -> str:
        """A classic attachment of the account, or of another record; returns its id."""
        return self.org.add_attachment(
            parent=parent or self.account,
            name=name,
            body=f"the scan {name}".encode() if body is None else body,
            content_type="application/pdf",
            owner=self.owner,
            created=CREATED,
        )

    def email_attachment(self, name: str = "mailed.pdf", body: bytes | None = None) -> str:
        """An attachment of a sent e-mail about the account, which is replaced in place."""
        email = self.org.insert("EmailMessage", {"Subject": "s", "Status": "3", "RelatedToId": self.account})
        return self.attachment(name, body, parent=email)

    def gone(self, *ids: str) -> bool:
        """Whether the org holds none of these any more."""
        return all((self.org.get(each) or {"IsDeleted": True})["IsDeleted"] for each in ids)

    def downloads(self) -> int:
        return self.emulator.counters.outer["blob.get"]


def break_ground(directory: Path, options: OrgOptions) -> Ground:
    """A new org that serves until its emulator is closed."""
    directory.mkdir(parents=True)
    outside = system_context(directory)
    org = Org(directory, now=outside.now, options=options)
    emulator = SalesforceEmulator(org)
    write_config(directory, {"salesforce": emulator}, outside)
    owner = org.user(username="owner@example.com")
    account = {"Name": "Müller GmbH", "BillingCountryCode": "DE", "OwnerId": owner}
    return Ground(
        directory,
        Sandbox(emulator.url, emulator.ca_file),
        emulator,
        org,
        owner,
        org.insert("Account", account),
        org.insert("Account", {**account, "Name": "Dupont SA", "BillingCountryCode": "FR"}),
    )
