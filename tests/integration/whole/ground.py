"""An emulated org in this process: a test says exactly what it holds, the command line works on it from outside."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from offloader.cli.demo_proof import Witness
from offloader.cli.demo_sandbox import Sandbox
from offloader.cli.sandbox_files import write_config
from offloader.system import system_context
from offloader_connectors.emulation.blobs import Body
from offloader_connectors.salesforce.emulator.emulator import SalesforceEmulator
from offloader_connectors.salesforce.emulator.options import OrgOptions
from offloader_connectors.salesforce.emulator.org import FileParent, Org
from tests.integration.whole.plant import Plant, everything_is_readable

CREATED = datetime(2024, 3, 4, 5, 6, 7, tzinfo=UTC)


@dataclass(frozen=True)
class Ground(Plant):
    """An org with one owner, one account in Germany and one in France, and shortcuts to fill it and to disturb it."""

    org: Org
    emulator: SalesforceEmulator
    owner: str
    account: str
    other: str
    #: what the org held when `remember` was last called
    remembered: list[Witness] = field(default_factory=list)

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

    # -- disturbing ------------------------------------------------------------------------------------------------

    def script(self, *rules: Mapping[str, Any]) -> None:
        """Replace the script of faults."""
        self.emulator.faults.load(rules)

    def calm(self) -> None:
        """No more faults."""
        self.emulator.faults.clear()

    def fired(self) -> int:
        """How often the scripted faults went off."""
        return sum(rule.fired for rule in self.emulator.faults.rules)

    def configure(self, section: str, **values: Any) -> None:
        """Change a section of the configuration; a value that is a mapping is changed in the same way."""
        yaml = YAML(typ="safe", pure=True)
        value = yaml.load(self.config.read_text(encoding="utf-8"))
        merge(value.setdefault(section, {}), values)
        with self.config.open("w", encoding="utf-8") as file:
            yaml.dump(value, file)

    # -- judging ---------------------------------------------------------------------------------------------------

    def remember(self) -> None:
        """What the org holds now must be readable from here on."""
        self.remembered.append(self.witness())

    def nothing_lost(self) -> None:
        for before in self.remembered:
            everything_is_readable(self, before)

    def converges(self, *, moved: int | None = None, expect: tuple[int, ...] = (0,)) -> dict[str, Any]:
        """With the faults gone, one run ends the job: nothing lost, nothing twice, everything the same everywhere."""
        self.calm()
        report = self.offloader("run", expect=expect)
        assert report["failed"] == report["conflict"] == 0, report["errors"]
        if moved is not None:
            assert report["moved"] == moved, report
        self.nothing_lost()
        assert set(self.links().values()) <= {1}
        reconciled = self.offloader("reconcile", "--deep", expect=(0, 1))
        assert set(reconciled["counts"]) <= {"="}, reconciled["differences"]
        return report

    def gone(self, *ids: str) -> bool:
        """Whether the org holds none of these any more."""
        return all((self.org.get(each) or {"IsDeleted": True})["IsDeleted"] for each in ids)

    def bodies(self, kind: str, record: str) -> tuple[str, ...]:
        """SHA-256 of the bytes that the org holds for a document, oldest version first; () if it holds none."""
        held = self.witness().documents.get((kind, record))
        return held.sha256 if held else ()

    def downloads(self) -> int:
        return self.emulator.counters.outer["blob.get"]


def merge(value: dict[str, Any], changes: Mapping[str, Any]) -> None:
    for name, change in changes.items():
        if isinstance(change, Mapping):
            merge(value[name], change)
        else:
            value[name] = change


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


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
        org,
        emulator,
        owner,
        org.insert("Account", account),
        org.insert("Account", {**account, "Name": "Dupont SA", "BillingCountryCode": "FR"}),
    )
