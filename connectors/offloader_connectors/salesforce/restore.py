"""Putting documents back: every version uploaded in order, shared and owned as before.

Uploads stream (2 GB for ContentVersion; REST API guide, "Insert or Update Blob Data"); attachments have 25 MB at most
and travel as base64.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from offloader.errors import IntegrityError, OffloaderError, Permanent
from offloader.model import Document, DocumentRef, Version
from offloader.ports import LinkRequest, Outcome, Status
from offloader_connectors.salesforce import documents, rows, soql, stub
from offloader_connectors.salesforce.api import Api
from offloader_connectors.salesforce.link import Job, Linker
from offloader_connectors.salesforce.multipart import Multipart, boundary_for
from offloader_connectors.salesforce.org import Org
from offloader_connectors.salesforce.rows import Row
from offloader_connectors.salesforce.scan import Scanner

Bodies = Callable[[Version], Iterable[bytes]]

_DUPLICATE_OF = re.compile(r"record with id: (068\w{12,15})")
_AUDIT_FIELDS = ("CreatedDate", "CreatedById", "LastModifiedDate", "ContentModifiedDate")


@dataclass(frozen=True, slots=True)
class Shape:
    """Which fields of a first version the org still takes."""

    dates: bool = True
    owner: bool = True
    placed: bool = False


class Restorer:
    """Uploads documents. Thread-safe."""

    def __init__(self, api: Api, org: Org, scanner: Scanner, linker: Linker, random: Callable[[], float]) -> None:
        self._api = api
        self._org = org
        self._scanner = scanner
        self._linker = linker
        self._random = random

    def restore(self, request: LinkRequest, bodies: Bodies) -> Outcome:
        """Put one document back; DONE with what now stands. An original that is still there is left as it is."""
        if request.document.ref.kind == documents.ATTACHMENTS:
            return self._attachment(request, bodies)
        (standing,) = self._scanner.fetch([request.document.ref])
        if standing is not None:
            return Outcome(status=Status.DONE, document=standing, reason="the original is still there")
        document = self._find(request) if request.attempted else None
        present = {version.number for version in document.versions} if document else set()
        document_id = document.ref.id if document else None
        for number, version in enumerate(request.document.versions, start=1):
            if number in present:
                continue
            made = self._upload(request, document_id, number, version, bodies)
            document_id = document_id or self._document_of(made)
        assert document_id is not None
        job = Job(
            request, request.document.parents, document=document_id, version=document_id, is_link=False, shared=True
        )
        self._linker.mend([job])
        if job.outcome is None or job.outcome.status is not Status.DONE:
            return replace(job.outcome or Outcome(status=Status.RETRY, reason="not finished"), link_ref={})
        return self._verified(request, DocumentRef(request.document.ref.source, documents.FILES, document_id))

    def _verified(self, request: LinkRequest, ref: DocumentRef) -> Outcome:
        (fresh,) = self._scanner.fetch([ref])
        if fresh is None or len(fresh.versions) < len(request.document.versions):
            return Outcome(status=Status.RETRY, reason="the restored file cannot be read back")
        for wanted, found in zip(request.document.versions, fresh.versions, strict=False):
            if (wanted.size is not None and found.size != wanted.size) or (
                wanted.checksum and found.checksum and wanted.checksum != found.checksum
            ):
                raise IntegrityError(
                    f"restoring {request.document.ref}: version {wanted.number} differs in size or checksum"
                )
        return Outcome(status=Status.DONE, document=fresh)

    # -- files --------------------------------------------------------------------------------------------------

    def _find(self, request: LinkRequest) -> Document | None:
        """Look for what an earlier try has uploaded: by external id, or by title, size and checksum of our own
        files.
        """
        key = self._org.external_id()
        first = request.document.versions[0]
        if key:
            where = f"{key} = {soql.quote(_key(request, 1))}"
        else:
            title = str(first.extra.get("title") or first.name)
            where = f"Title = {soql.quote(title)} AND ContentSize = {first.size or 0}"
        fields = "Id, ContentDocumentId, Checksum, VersionNumber, CreatedById, CreatedDate"
        for row in self._api.query(soql.select(fields, "ContentVersion", where, "ORDER BY Id DESC")):
            if rows.number(row, "VersionNumber") == 1 and (key or self._is_ours(row, request.document)):
                (found,) = self._scanner.read_files([rows.record_id(row, "ContentDocumentId")]) or (None,)
                return found
        return None

    def _is_ours(self, row: Row, document: Document) -> bool:
        """Whether a first version has the bytes that we upload, and the creator that we give it or are."""
        first = document.versions[0]
        same = first.checksum is None or (rows.optional(row, "Checksum") or "").lower() == first.checksum.hex
        creator = first.extra.get("created_by") or document.extra.get("created_by")
        dated = (rows.optional_id(row, "CreatedById"), rows.when(row, "CreatedDate")) == (creator, first.created)
        return same and (dated or rows.optional_id(row, "CreatedById") == self._api.user_id)

    def _upload(
        self, request: LinkRequest, document_id: str | None, number: int, version: Version, bodies: Bodies
    ) -> str:
        """Upload one version; drops field by field what the org refuses. Returns the ContentVersion's id."""
        shape = Shape()
        while True:
            fields = self._fields(request, document_id, number, version, shape)
            body = Multipart(
                "entity_content",
                fields,
                bodies(version),
                blob="VersionData",
                file_name=version.name,
                size=version.size,
                boundary=boundary_for(fields, self._random()),
            )
            try:
                answer = self._api.upload("blob.post", "POST", "sobjects/ContentVersion", body.headers, body)
            except Permanent as error:
                duplicate = _DUPLICATE_OF.search(str(error))
                if duplicate:
                    return soql.id18(duplicate[1])
                shape = _adapted(shape, error, request)
                continue
            return rows.record_id(answer.record(), "id", "blob.post")

    def _fields(
        self, request: LinkRequest, document_id: str | None, number: int, version: Version, shape: Shape
    ) -> dict[str, Any]:
        document = request.document
        key = self._org.external_id()
        path = version.extra.get("path")
        fields: dict[str, Any] = {
            "Title": version.extra.get("title") or document.title,
            "PathOnClient": path if isinstance(path, str) else version.name or "file",
            "Description": version.extra.get("description"),
            **({key: _key(request, number)} if key else {}),
        }
        if document_id is not None:
            fields |= {"ContentDocumentId": document_id, "ReasonForChange": version.extra.get("reason")}
        else:
            fields["OwnerId"] = document.owner if shape.owner else self._api.user_id
            fields["FirstPublishLocationId"] = document.parents[0].id if shape.placed else None
            fields["SharingPrivacy"] = "P" if document.extra.get("sharing_privacy") == "P" else None
            if shape.dates:
                fields |= _dates(document, version)
        return {name: value for name, value in fields.items() if value is not None}

    def _document_of(self, version_id: str) -> str:
        found = self._api.query(soql.select("ContentDocumentId", "ContentVersion", f"Id = {soql.quote(version_id)}"))
        if not found:
            raise Permanent("restore: the version just uploaded cannot be read")
        return rows.record_id(found[0], "ContentDocumentId")

    # -- attachments --------------------------------------------------------------------------------------------

    def _attachment(self, request: LinkRequest, bodies: Bodies) -> Outcome:
        document = request.document
        (standing,) = self._scanner.fetch([document.ref])
        if standing is not None:
            description = standing.extra.get("description")
            if not (isinstance(description, str) and stub.is_stub(description, standing.size)):
                return Outcome(status=Status.DONE, document=standing, reason="the original is still there")
            if not stub.leads_to(description, standing.size, request.link):
                return Outcome(status=Status.CONFLICT, reason="another placeholder stands there")
            self._api.send(
                "row.update", "PATCH", f"sobjects/Attachment/{document.ref.id}", _attachment_fields(document, bodies)
            )
            return self._verified(request, document.ref)
        if document.strategy.in_place:
            return Outcome(status=Status.GONE, reason="the attachment was deleted in the CRM")
        return self._new_attachment(request, bodies)

    def _new_attachment(self, request: LinkRequest, bodies: Bodies) -> Outcome:
        document = request.document
        found = self._earlier_attachment(document, bodies) if request.attempted else None
        if found is None:
            private = {"IsPrivate": True} if document.extra.get("is_private") else {}
            fields = {**_attachment_fields(document, bodies), "ParentId": document.parents[0].id, **private}
            found = self._insert_attachment(request, fields)
        return self._verified(request, DocumentRef(document.ref.source, documents.ATTACHMENTS, found))

    def _insert_attachment(self, request: LinkRequest, fields: dict[str, Any]) -> str:
        """Make the row; drops what the org refuses: dates, and an owner who is inactive now."""
        document = request.document
        shape = Shape()
        while True:
            owner = {"OwnerId": document.owner} if shape.owner and document.owner else {}
            dates = _dates(document, document.current) if shape.dates else {}
            try:
                answer = self._api.send("row.create", "POST", "sobjects/Attachment", {**fields, **owner, **dates})
            except Permanent as error:
                shape = _adapted(shape, error, request)
                continue
            return rows.record_id(answer.record(), "id", "row.create")

    def _earlier_attachment(self, document: Document, bodies: Bodies) -> str | None:
        """What an earlier try made: the newest with the same parent, name and bytes."""
        where = (
            f"ParentId = {soql.quote(document.parents[0].id)} AND Name = {soql.quote(document.title)} "
            f"AND BodyLength = {document.size}"
        )
        found = self._api.query(soql.select("Id", "Attachment", where, "ORDER BY Id DESC"))
        wanted = b"".join(bodies(document.current)) if found else b""
        for row in found:
            record = rows.record_id(row, "Id")
            if self._api.blob(f"sobjects/Attachment/{record}/Body") == wanted:
                return record
        return None


def _key(request: LinkRequest, number: int) -> str:
    return f"{request.link.id}:restore:{number}"


def _dates(document: Document, version: Version) -> dict[str, Any]:
    created = version.created or document.created
    creator = version.extra.get("created_by") or document.extra.get("created_by")
    dates = {
        "CreatedDate": soql.timestamp(created) if created else None,
        "CreatedById": creator if created else None,
        "ContentModifiedDate": soql.timestamp(version.modified) if version.modified else None,
    }
    if document.ref.kind == documents.ATTACHMENTS:
        dates.pop("ContentModifiedDate")
    return {name: value for name, value in dates.items() if value}


def _attachment_fields(document: Document, bodies: Bodies) -> dict[str, Any]:
    return {
        "Name": document.title,
        "ContentType": document.extra.get("content_type"),
        "Description": document.extra.get("description"),
        "Body": base64.b64encode(b"".join(bodies(document.current))).decode(),
    }


def _adapted(shape: Shape, error: OffloaderError, request: LinkRequest) -> Shape:
    """The next shape to try after a refusal; raises the refusal when nothing is left to drop."""
    text = str(error)
    if shape.dates and any(name in text for name in _AUDIT_FIELDS):
        return replace(shape, dates=False)
    if not shape.placed and "private library" in text and request.document.parents:
        return replace(shape, placed=True)
    if shape.owner and any(word in text for word in ("private library", "OwnerId", "Owner ID", "INACTIVE_OWNER")):
        return replace(shape, owner=False, placed=False)
    raise error
