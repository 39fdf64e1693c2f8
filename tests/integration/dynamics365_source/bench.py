"""An emulated environment with people and records, and its users for the source contract."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from offloader.model import Document, DocumentRef, Link, VersionRef
from offloader.plugins import Context
from offloader.ports import Delivery, KindCapabilities, LinkRequest
from offloader.testing.bench import HOSTILE_NAMES, SeenLink, SourceBench
from offloader_connectors.dynamics365.emulator.emulator import DynamicsEmulator
from offloader_connectors.dynamics365.emulator.options import OrgOptions
from offloader_connectors.dynamics365.emulator.org import Org
from offloader_connectors.dynamics365.options import DynamicsOptions
from offloader_connectors.dynamics365.source import DynamicsSource
from tests.integration.clock import CREATED, Clock

#: characters that the platform refuses in the names of files
REFUSED = frozenset('\\/:*?"<>|')
#: columns for files and full images, by kind: table and column
COLUMNS: Mapping[str, tuple[str, str]] = {
    "filecolumn": ("account", "new_dossier"),
    "imagecolumn": ("contact", "entityimage"),
}
TABLES = ("account", "contact", "email", "annotation", "activitymimeattachment", "attachment", "fileattachment")


@dataclass(slots=True)
class World:
    """The environment, its server, and shortcuts for tests."""

    org: Org
    emulator: DynamicsEmulator
    clock: Clock
    directory: Path
    owner: str
    sources: list[DynamicsSource] = field(default_factory=list)

    def source(self, **options: Any) -> DynamicsSource:
        """A source with its own session, which takes documents of any size."""
        base = {name: value for name, value in self.emulator.source_options.items() if name != "type"}
        context = Context(
            now=self.clock,
            sleep=self.clock.slept.append,
            monotonic=lambda: 0.0,
            random=lambda: 0.5,
            environ={},
            directory=self.directory,
        )
        made = DynamicsSource("crm", DynamicsOptions.model_validate({**base, "min_size": 0, **options}), context)
        self.sources.append(made)
        return made

    def record(self, table: str = "account", **fields: Any) -> str:
        named = {"account": {"name": "a", "address1_country": "DE"}, "contact": {"lastname": "c"}}.get(table, {})
        return self.org.insert(table, {**named, "ownerid": ("systemuser", self.owner), "createdon": CREATED, **fields})

    def mail(self, **fields: Any) -> str:
        """A mail that was sent long ago, about a new account."""
        sent = {"subject": "s", "statecode": 1, "statuscode": 3, "createdon": CREATED, "modifiedon": CREATED}
        return self.record("email", **{**sent, "regardingobjectid": ("account", self.record()), **fields})

    def note(self, body: bytes = b"hello", name: str = "report.pdf", parent: tuple[str, str] | None = None) -> str:
        return self.org.add_note(
            parent=parent or ("account", self.record()),
            file_name=name,
            body=body,
            mime_type="application/pdf",
            owner=self.owner,
            created=CREATED,
        )

    def shared(self, body: bytes = b"hello", name: str = "report.pdf", mails: int = 1) -> str:
        """An attachment that several mails share; returns its attachmentid."""
        first = self.org.add_mail_attachment(
            mail=("email", self.mail()), file_name=name, body=body, mime_type="application/pdf"
        )
        for _ in range(mails - 1):
            self.org.add_mail_attachment(
                mail=("email", self.mail()), file_name=name, body=None, attachment=first.attachment_id
            )
        return first.attachment_id

    def rows_of(self, attachment: str) -> list[Mapping[str, Any]]:
        """The rows of mails that share an attachment, by id."""
        found = [
            row for row in self.org.rows("activitymimeattachment") if row["attachmentid"] == ("attachment", attachment)
        ]
        return sorted(found, key=lambda row: str(row["activitymimeattachmentid"]))

    def file(self, body: bytes = b"hello", name: str = "report.pdf", kind: str = "filecolumn") -> str:
        """A file or image in a column of a new record; returns the document's id."""
        table, column = COLUMNS[kind]
        record = self.record(table)
        self.org.set_file(table, record, column, file_name=name, body=body, mime_type="application/pdf")
        return f"{table}:{record}:{column}"

    def body_of(self, table: str, id: str) -> bytes | None:
        """The bytes of a note, a row of a mail or an attachment."""
        row = self.org.get(table, id)
        stored = row and row.get("_documentbody" if table == "annotation" else "_body")
        return b"".join(self.org.chunks(stored)) if stored else None

    def fault(self, **rule: Any) -> None:
        self.emulator.faults.load([rule])

    def reset_counters(self) -> None:
        self.emulator.counters.clear()

    def calls(self) -> dict[str, int]:
        """Requests since the last reset, by operation, logins left out."""
        logins = ("token", "oidc", "discovery")
        return {name: count for name, count in self.emulator.counters.outer.items() if name not in logins}


@contextmanager
def opened(directory: Path, options: OrgOptions | None = None) -> Iterator[World]:
    """Serve an environment, and end everything with the block."""
    clock = Clock()
    org = Org(directory, now=clock, options=options or OrgOptions())
    emulator = DynamicsEmulator(org)
    world = World(org, emulator, clock, directory, org.user(username="owner@example.com", roles=["Basic User"]))
    clock.move(days=1)
    try:
        yield world
    finally:
        for each in world.sources:
            each.close()
        emulator.close()
        org.close()


def fetch(source: DynamicsSource, kind: str, id: str) -> Document:
    """A document that must be there."""
    (found,) = source.fetch([DocumentRef(source.name, kind, id)])
    assert found is not None
    return found


def request(document: Document, **more: Any) -> LinkRequest:
    """Replace a document by a link of its own, with an id such as the engine makes."""
    name = hashlib.sha256(str(document.ref).encode()).hexdigest()[:32]
    return LinkRequest(document=document, link=Link(name, f"https://files.example.com/d/{name}"), **more)


def consumed(delivery: Delivery) -> bytes:
    if delivery.error is not None:
        raise delivery.error
    assert delivery.chunks is not None
    return b"".join(delivery.chunks)


class DynamicsBench(SourceBench):
    """Users of the emulated environment, who work on it directly."""

    #: a note without a byte is no document
    empty = False
    #: what the platform takes, and by default does not block
    names = tuple(name for name in HOSTILE_NAMES if not REFUSED & set(name) and not name.endswith(".exe"))

    def __init__(self, world: World, **options: Any) -> None:
        self.world = world
        self.org = world.org
        self.source = world.source(page_size=2, **options)
        self.readers = 0

    def make(self, kind: KindCapabilities, *bodies: bytes, name: str = "report.pdf", parents: int = 1) -> DocumentRef:
        if kind.kind == "annotation":
            return DocumentRef("crm", kind.kind, self.world.note(bodies[0], name))
        if kind.kind == "activitymimeattachment":
            return DocumentRef("crm", kind.kind, self.world.shared(bodies[0], name, parents))
        return DocumentRef("crm", kind.kind, self.world.file(bodies[0], name, kind.kind))

    def edit(self, ref: DocumentRef, data: bytes) -> None:
        self.world.clock.move(seconds=1)
        if ref.kind == "annotation":
            self.org.update("annotation", ref.id, {"documentbody": data})
        elif ref.kind == "activitymimeattachment":
            row = self.world.rows_of(ref.id)[0]["activitymimeattachmentid"]
            self.org.update("activitymimeattachment", row, {"body": data})
        else:
            table, record, column = ref.id.split(":")
            self.org.set_file(table, record, column, file_name="edited.pdf", body=data)

    def reparent(self, ref: DocumentRef) -> bool | None:
        if ref.kind != "annotation":
            return False
        self.org.update("annotation", ref.id, {"objectid": ("account", self.world.record())})
        return True

    def delete(self, ref: DocumentRef) -> None:
        if ref.kind == "annotation":
            self.org.delete("annotation", ref.id)
        elif ref.kind == "activitymimeattachment":
            for row in self.world.rows_of(ref.id):
                self.org.delete("activitymimeattachment", row["activitymimeattachmentid"])
        else:
            self.org.clear_file(*ref.id.split(":"))

    def bytes_of(self, ref: DocumentRef) -> Sequence[bytes] | None:
        if ref.kind in COLUMNS:
            row = self.org.file_of(*ref.id.split(":"))
            return [b"".join(self.org.chunks(row["_body"]))] if row else None
        if ref.kind == "activitymimeattachment":
            body = self.world.body_of("attachment", ref.id)
        else:
            body = self.world.body_of("annotation", ref.id)
        return None if body is None else [body]

    def _links(self, url: str) -> list[tuple[str, Mapping[str, Any]]]:
        """Notes and attachments whose bytes lead to the URL."""
        found = []
        for table, key in (("annotation", "annotationid"), ("attachment", "attachmentid")):
            for row in self.org.rows(table):
                body = self.world.body_of(table, str(row[key]))
                if body is not None and len(body) < 8192 and f"URL={url}\r\n".encode() in body:
                    found.append((table, row))
        return found

    def links_to(self, url: str) -> int:
        return len(self._links(url))

    def link_at(self, url: str) -> SeenLink:
        ((table, row),) = self._links(url)
        if table == "attachment":
            rows = self.world.rows_of(str(row["attachmentid"]))
            parents = {each["objectid"][1]: {"row": str(each["activitymimeattachmentid"])} for each in rows}
            return SeenLink(str(row["filename"]).removesuffix(".url"), None, parents)
        _, record = row["objectid"]
        beside = row["createdon"] != CREATED.strftime("%Y-%m-%dT%H:%M:%SZ")
        title = str(row["subject"]) if beside else str(row["filename"]).removesuffix(".url")
        return SeenLink(title, str(row["ownerid"][1]), {record: {}})

    def drop_link(self, url: str) -> None:
        ((_, row),) = self._links(url)
        self.org.delete("annotation", str(row["annotationid"]))

    def cut_next_body(self, ref: VersionRef) -> None:
        operations = {"annotation": "list.annotation", "activitymimeattachment": "list.attachment"}
        self.world.fault(on=operations.get(ref.document.kind, "column.get"), do="truncate", times=1)

    def reader(self, ref: DocumentRef) -> str:
        self.readers += 1
        name = f"reader{self.readers}@example.com"
        user = self.org.user(username=name, roles=["Basic User"])
        if ref.kind in COLUMNS:
            table, record, _ = ref.id.split(":")
            self.org.share(table, record, user)
        else:
            table, key = ("annotation", ref.id)
            row = self.org.get(table, key) if ref.kind == "annotation" else self.world.rows_of(ref.id)[0]
            assert row is not None
            self.org.share(*row["objectid"], user)
        return name

    def stranger(self) -> str:
        self.org.user(username="stranger@example.com", roles=["Basic User"])
        return "stranger@example.com"

    def state(self) -> object:
        rows = {table: list(self.org.rows(table)) for table in TABLES}
        return hashlib.sha256(json.dumps(rows, sort_keys=True, default=str).encode()).hexdigest()

    def make_unmovable(self, kind: KindCapabilities) -> DocumentRef | None:
        if kind.kind == "annotation":
            page = self.org.insert("adx_webfile", {"adx_name": "theme.css"})
            return DocumentRef("crm", kind.kind, self.world.note(b"css", "theme.css", ("adx_webfile", page)))
        if kind.kind == "activitymimeattachment":
            draft = self.world.mail(statecode=0, statuscode=1)
            made = self.org.add_mail_attachment(mail=("email", draft), file_name="draft.pdf", body=b"draft")
            return DocumentRef("crm", kind.kind, made.attachment_id)
        column = {"filecolumn": "new_contract", "imagecolumn": "new_photo"}[kind.kind]
        record = self.org.insert("new_shipment", {"new_name": "not on the list of parents"})
        self.org.set_file("new_shipment", record, column, file_name="waybill.pdf", body=b"waybill")
        return DocumentRef("crm", kind.kind, f"new_shipment:{record}:{column}")

    def blind(self, ref: DocumentRef) -> bool:
        user = self.org.get("systemuser", self.org.integration_user)
        assert user is not None
        self.org.user(username=str(user["domainname"]), roles=["Basic User"])
        return True
