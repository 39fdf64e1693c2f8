"""The Salesforce source keeps the source contract."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from offloader.model import DocumentRef, Strategy, VersionRef
from offloader.ports import KindCapabilities
from offloader.testing.bench import SeenLink, SourceBench
from offloader.testing.source_contract import SourceContract
from offloader_connectors.salesforce.emulator.org import FileParent
from offloader_connectors.salesforce.source import KINDS

from .conftest import World

FILES, ATTACHMENTS = KINDS["ContentDocument"], KINDS["Attachment"]
STUBS = replace(ATTACHMENTS, strategy=Strategy.STUB_IN_PLACE)
SHARING = {"ShareType": "I", "Visibility": "InternalUsers"}


class SalesforceBench(SourceBench):
    """Users of the emulated org, who work on it directly."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.org = world.org
        self.source = world.source(page_size=2)
        self.readers = 0

    def _account(self) -> str:
        return self.org.insert("Account", {"Name": "a", "BillingCountryCode": "DE", "OwnerId": self.world.owner})

    def make(self, kind: KindCapabilities, *bodies: bytes, name: str = "report.pdf", parents: int = 1) -> DocumentRef:
        records = [self._account() for _ in range(parents)]
        if kind.kind == FILES.kind:
            ids = self.org.add_file(
                title=name,
                path_on_client=name,
                bodies=bodies,
                owner=self.world.owner,
                parents=[FileParent(each, *SHARING.values()) for each in records],
                created=self.world.clock.now,
            )
            return DocumentRef("sf", kind.kind, ids.document_id)
        parent = records[0]
        if kind.strategy.in_place:
            case = self.org.insert("Case", {"Subject": "s", "AccountId": parent, "OwnerId": self.world.owner})
            parent = self.world.email(ParentId=case)
        return DocumentRef(
            "sf", kind.kind, self.world.attachment(parent, name, bodies[0], created=self.world.clock.now)
        )

    def edit(self, ref: DocumentRef, data: bytes) -> None:
        self.world.clock.move(seconds=1)
        if ref.kind == ATTACHMENTS.kind:
            self.org.update(ref.id, {"Body": data})
            return
        latest = self.org.get(self.org.get(ref.id)["LatestPublishedVersionId"])
        names = {name: latest[name] for name in ("Title", "PathOnClient")}
        self.org.insert("ContentVersion", {**names, "ContentDocumentId": ref.id, "VersionData": data})

    def reparent(self, ref: DocumentRef) -> None:
        self.world.clock.move(seconds=1)
        if ref.kind == ATTACHMENTS.kind:
            self.org.update(ref.id, {"ParentId": self._account()})
        else:
            self.org.insert("ContentDocumentLink", {"ContentDocumentId": ref.id, "LinkedEntityId": self._account()})

    def delete(self, ref: DocumentRef) -> None:
        self.org.delete(ref.id)

    def bytes_of(self, ref: DocumentRef) -> Sequence[bytes] | None:
        if self.org.get(ref.id)["IsDeleted"]:
            return None
        if ref.kind == ATTACHMENTS.kind:
            return [self._body(self.org.get(ref.id)["_Body"])]
        versions = self.org.store.where("ContentVersion", "ContentDocumentId", ref.id)
        return [self._body(row["_VersionData"]) for row in sorted(versions, key=lambda row: int(row["VersionNumber"]))]

    def _body(self, stored: Mapping[str, object]) -> bytes:
        return self.org.blobs.read(str(stored["ref"]))

    def _links(self, url: str) -> list[Mapping[str, object]]:
        files = [r for r in self.org.rows("ContentVersion") if r.get("ContentUrl") == url and not r["IsDeleted"]]
        stubs = [r for r in self.org.rows("Attachment") if not r["IsDeleted"] and url in (r.get("Description") or "")]
        return [*files, *stubs]

    def links_to(self, url: str) -> int:
        return len(self._links(url))

    def link_at(self, url: str) -> SeenLink:
        (row,) = self._links(url)
        if "ContentDocumentId" not in row:
            return SeenLink(str(row["Name"]).removesuffix(".url"), str(row["OwnerId"]), {str(row["ParentId"]): {}})
        shares = self.org.store.where("ContentDocumentLink", "ContentDocumentId", row["ContentDocumentId"])
        names = ("ShareType", "Visibility")
        parents = {
            each["LinkedEntityId"]: {name: each[name] for name in names}
            for each in shares
            if each["LinkedEntityId"] != row["OwnerId"] and not each["IsDeleted"]
        }
        # an attachment of a record has no sharing of its own
        as_record = {
            key: {} if value == {"ShareType": "V", "Visibility": "AllUsers"} else value
            for key, value in parents.items()
        }
        return SeenLink(str(row["Title"]), str(row["OwnerId"]), as_record)

    def drop_link(self, url: str) -> None:
        (row,) = self._links(url)
        self.org.delete(str(row["ContentDocumentId"]))

    def cut_next_body(self, ref: VersionRef) -> None:
        self.world.fault(on="blob.get", do="truncate", times=1)

    def reader(self, ref: DocumentRef) -> str:
        self.readers += 1
        name = f"reader{self.readers}@example.com"
        user = self.org.user(username=name)
        if ref.kind == ATTACHMENTS.kind:
            parent = self.org.get(ref.id)["ParentId"]
            self.org.share(self.org.get(parent).get("ParentId") or parent, user)
        else:
            shares = self.org.store.where("ContentDocumentLink", "ContentDocumentId", ref.id)
            self.org.share(next(each["LinkedEntityId"] for each in shares if each["LinkedEntityId"][:3] == "001"), user)
        return name

    def stranger(self) -> str:
        self.org.user(username="stranger@example.com")
        return "stranger@example.com"

    def state(self) -> object:
        rows = {
            kind: self.org.rows(kind)
            for kind in ("ContentDocument", "ContentVersion", "ContentDocumentLink", "Attachment")
        }
        return hashlib.sha256(json.dumps(rows, sort_keys=True, default=str).encode()).hexdigest()

    def make_unmovable(self, kind: KindCapabilities) -> DocumentRef | None:
        if kind.kind == FILES.kind:
            return DocumentRef("sf", kind.kind, self.world.file("note", path="note.snote").document_id)
        return None

    def blind(self, ref: DocumentRef) -> bool:
        parent = "" if ref.kind == FILES.kind else self.org.get(ref.id)["ParentId"]
        if ref.kind == ATTACHMENTS.kind and not parent.startswith("02s"):
            return False
        self.org.user(username="integration@offloader.example", permissions=["ViewAllData"])
        return True


class TestSalesforceSource(SourceContract):
    """Files, attachments of records, attachments of e-mails."""

    kinds = (FILES, ATTACHMENTS, STUBS)

    @pytest.fixture
    def bench(self, world: World) -> SourceBench:
        return SalesforceBench(world)
