"""Replacing attachments of e-mails in place: re-read, overwritten by a placeholder, and read back.

The Attachment keeps its id and its e-mail, whose files cannot be changed otherwise once it is sent. There are no
versions, so the old bytes go in the same act. Base64 in JSON is good for 37.5 MB (REST API guide, "Insert or Update
Blob Data").
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

from offloader.model import Document
from offloader.ports import LinkRequest, Outcome, Status
from offloader_connectors import placeholder
from offloader_connectors.placeholder import Form
from offloader_connectors.salesforce import documents, rows, soql, stub, trouble
from offloader_connectors.salesforce.api import RECORDS_PER_COLLECTION, Api
from offloader_connectors.salesforce.rows import Row
from offloader_connectors.salesforce.scan import Scanner

_FIELDS = "Id, Name, BodyLength, Description"


class Stubber:
    """Overwrites attachments by placeholders. Thread-safe."""

    def __init__(self, api: Api, scanner: Scanner, form: Form) -> None:
        self._api = api
        self._scanner = scanner
        self._form = form

    def link(self, requests: Sequence[LinkRequest]) -> list[Outcome]:
        """Overwrite and read back, in order: REPLACED, or CONFLICT if the attachment changed."""
        outcomes: dict[int, Outcome] = {}
        for part in soql.chunks(range(len(requests)), RECORDS_PER_COLLECTION):
            asked = {index: requests[index] for index in part}
            found = {each.ref.id: each for each in self._read_documents(list(asked.values()))}
            for index, request in asked.items():
                verdict = _judge(request, found.get(request.document.ref.id))
                if verdict is not None:
                    outcomes[index] = verdict
            self._overwrite({index: each for index, each in asked.items() if index not in outcomes}, outcomes)
        return [outcomes[index] for index in range(len(requests))]

    def inspect(self, requests: Sequence[LinkRequest]) -> list[Outcome]:
        """Read placeholders back: DONE if they lead where they should."""
        found = self._rows([each.document.ref.id for each in requests])
        return [_inspected(request, found.get(request.document.ref.id)) for request in requests]

    def look_again(self, requests: Sequence[LinkRequest]) -> list[Outcome]:
        """DONE where the placeholder still stands, or nothing does; CONFLICT where something else does."""
        found = self._rows([each.document.ref.id for each in requests])
        return [_settled_still(request, found.get(request.document.ref.id)) for request in requests]

    def _read_documents(self, requests: Sequence[LinkRequest]) -> list[Document]:
        return self._scanner.read_attachments([each.document.ref.id for each in requests])

    def _overwrite(self, requests: dict[int, LinkRequest], outcomes: dict[int, Outcome]) -> None:
        if not requests:
            return
        made = {index: stub.make(self._form, each.document.title, each.link) for index, each in requests.items()}
        records = [_record(requests[index].document, made[index]) for index in requests]
        body = {"allOrNone": False, "records": records}
        answer = self._api.send("collections.update", "PATCH", "composite/sobjects", body)
        results = dict(zip(requests, answer.results(len(records)), strict=True))
        found = self._rows([each.document.ref.id for each in requests.values()])
        for index, request in requests.items():
            outcomes[index] = _settled(request, made[index], results[index], found.get(request.document.ref.id))

    def _rows(self, ids: Sequence[str]) -> dict[str, Row]:
        statements = [
            soql.select(_FIELDS, "Attachment", f"Id IN {soql.id_list(part)}")
            for part in soql.chunks(soql.unique(ids), soql.IDS_PER_QUERY)
        ]
        found = self._api.queries(statements) if statements else []
        return {rows.record_id(row, "Id"): row for part in found for row in part}


def _record(document: Document, made: stub.Stub) -> dict[str, Any]:
    return {
        "attributes": {"type": "Attachment"},
        "id": document.ref.id,
        "Name": made.name,
        "ContentType": made.content_type,
        "Description": made.description[:500],
        "Body": base64.b64encode(made.body).decode(),
    }


def _judge(request: LinkRequest, found: Document | None) -> Outcome | None:
    """Say why this attachment must not be overwritten, or that it was already; None if it may."""
    if found is None:
        return Outcome(status=Status.GONE, reason="the attachment is not there any more")
    if len(request.link.url) > 500 - len(stub.MARK):
        return Outcome(status=Status.REFUSED, reason="the link is too long for an attachment's description")
    description = found.extra.get("description")
    if isinstance(description, str) and stub.leads_to(description, found.current.size, request.link):
        return Outcome(status=Status.REPLACED, reason="replaced earlier", link_ref={"attachment": found.ref.id})
    if found.etag != request.document.etag:
        return Outcome(status=Status.CONFLICT, reason="the attachment was changed since it was read")
    return None


def _settled(request: LinkRequest, made: stub.Stub, result: Row, found: Row | None) -> Outcome:
    if result.get("success") is not True:
        errors = trouble.item_errors(result)
        if errors[0].code in trouble.GONE:
            return Outcome(status=Status.GONE, reason=str(errors[0]))
        return trouble.outcome_of(errors)
    good = (
        found is not None
        and rows.size(found, "BodyLength") == len(made.body)
        and stub.leads_to(rows.optional(found, "Description") or "", len(made.body), request.link)
    )
    if not good:
        return Outcome(status=Status.RETRY, reason="the placeholder cannot be read back as written")
    return Outcome(status=Status.REPLACED, link_ref={"attachment": request.document.ref.id})


def _inspected(request: LinkRequest, found: Row | None) -> Outcome:
    if found is None:
        return Outcome(status=Status.GONE, reason="the attachment is not there any more")
    if _stands(request, found):
        return Outcome(status=Status.DONE, link_ref={"attachment": request.document.ref.id})
    if stub.is_stub(rows.optional(found, "Description") or "", rows.size(found, "BodyLength")):
        return Outcome(status=Status.CONFLICT, reason="the placeholder leads elsewhere")
    return Outcome(status=Status.GONE, reason="no placeholder stands there")


def _stands(request: LinkRequest, found: Row) -> bool:
    """Whether this is the placeholder for the link, down to its length: users can put a file over the body alone."""
    size = rows.size(found, "BodyLength")
    lengths = {len(stub.make(form, request.document.title, request.link).body) for form in placeholder.FORMS}
    return size in lengths and stub.leads_to(rows.optional(found, "Description") or "", size, request.link)


def _settled_still(request: LinkRequest, found: Row | None) -> Outcome:
    if found is None or _inspected(request, found).status is Status.DONE:
        return Outcome(status=Status.DONE)
    return Outcome(status=Status.CONFLICT, reason="a file was put over the placeholder, by a user or another program")


def is_in_place(request: LinkRequest) -> bool:
    return request.document.ref.kind == documents.ATTACHMENTS and request.document.strategy.in_place
