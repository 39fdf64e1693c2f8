"""An emulated Dynamics 365 environment in this process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from offloader.cli.demo_sandbox import Sandbox
from offloader.cli.sandbox_files import write_config
from offloader.system import system_context
from offloader_connectors.dynamics365.emulator.emulator import DynamicsEmulator
from offloader_connectors.dynamics365.emulator.options import OrgOptions
from offloader_connectors.dynamics365.emulator.org import Org
from offloader_connectors.emulation.blobs import Body
from tests.integration.whole.bed import CREATED, Bed

#: the least size that is moved, in bytes
LEAST = 1024


def large(text: str, size: int = 3000) -> bytes:
    """Bytes that are large enough to be moved, and unlike those of any other text."""
    return (f"{text} ".encode() * (size // (len(text) + 1) + 1))[:size]


@dataclass(frozen=True)
class Field(Bed):
    """An environment with one owner, one account in Germany and one in France."""

    org: Org
    owner: str
    account: str
    other: str

    # -- filling ---------------------------------------------------------------------------------------------------

    def note(self, name: str = "note.pdf", body: Body | None = None, *, parent: tuple[str, str] | None = None) -> str:
        """A note with a file, on the account or another record; returns its id."""
        return self.org.add_note(
            parent=parent or ("account", self.account),
            file_name=name,
            body=large(f"the note {name}") if body is None else body,
            mime_type="application/pdf",
            owner=self.owner,
            created=CREATED,
        )

    def mail(self, *, account: str | None = None, modified: datetime = CREATED, **fields: Any) -> str:
        """A mail that was sent long ago, about an account; returns its id."""
        sent = {"subject": "s", "statecode": 1, "statuscode": 3, "createdon": CREATED, "modifiedon": modified}
        about = {"regardingobjectid": ("account", account or self.account)}
        return self.org.insert("email", {**sent, **about, "ownerid": ("systemuser", self.owner), **fields})

    def mailed(
        self, name: str = "mailed.pdf", body: Body | None = None, *, mails: Sequence[str] = (), **row: Any
    ) -> str:
        """An attachment of a mail, or shared by several; returns its attachmentid."""
        first, *others = mails or [self.mail()]
        made = self.org.add_mail_attachment(
            mail=("email", first),
            file_name=name,
            body=large(f"the attachment {name}") if body is None else body,
            mime_type="application/pdf",
            **row,
        )
        for mail in others:
            self.org.add_mail_attachment(mail=("email", mail), file_name=name, body=None, attachment=made.attachment_id)
        return made.attachment_id

    def column(self, name: str = "dossier.pdf", body: Body | None = None) -> str:
        """A file in the account's file column; returns the document's id."""
        stored = large(f"the column {name}") if body is None else body
        self.org.set_file("account", self.account, "new_dossier", file_name=name, body=stored)
        return f"account:{self.account}:new_dossier"

    def one_of_each(self) -> list[tuple[str, str]]:
        """A note, a mail's attachment, one that three mails share, and a file column: kind and id."""
        shared = self.mailed("shared.pdf", mails=[self.mail() for _ in range(3)])
        return [
            ("annotation", self.note()),
            ("activitymimeattachment", self.mailed()),
            ("activitymimeattachment", shared),
            ("filecolumn", self.column()),
        ]

    # -- disturbing, judging ---------------------------------------------------------------------------------------

    def rows_of(self, attachment: str) -> list[Mapping[str, Any]]:
        """The rows of mails that share an attachment."""
        return [
            row for row in self.org.rows("activitymimeattachment") if row["attachmentid"] == ("attachment", attachment)
        ]

    def originals(self) -> set[str]:
        """SHA-256 of what the CRM held when it was remembered, and still holds."""
        before = {digest for each in self.remembered for held in each.documents.values() for digest in held.sha256}
        return before & {digest for held in self.witness().documents.values() for digest in held.sha256}

    def calls(self, *operations: str) -> int:
        return sum(self.emulator.counters.outer[each] for each in operations)


def plough(directory: Path, options: OrgOptions) -> Field:
    """A new environment that serves until its emulator is closed."""
    directory.mkdir(parents=True)
    outside = system_context(directory)
    org = Org(directory, now=outside.now, options=options)
    emulator = DynamicsEmulator(org)
    write_config(directory, {"dynamics365": emulator}, outside)
    owner = org.user(username="owner@example.com", roles=["Basic User"])
    account = {"ownerid": ("systemuser", owner), "createdon": CREATED}
    return Field(
        directory,
        Sandbox(emulator.url, emulator.ca_file),
        emulator,
        org,
        owner,
        org.insert("account", {**account, "name": "Müller GmbH", "address1_country": "DE"}),
        org.insert("account", {**account, "name": "Dupont SA", "address1_country": "FR"}),
    )
