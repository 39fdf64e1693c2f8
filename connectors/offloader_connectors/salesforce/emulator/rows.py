"""sObject rows and their bodies: create, read, update, upsert, delete, blobs, updated and deleted records."""

from __future__ import annotations

from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from offloader_connectors.emulation.wire import Answer
from offloader_connectors.salesforce.emulator.calls import Call
from offloader_connectors.salesforce.emulator.dml import MultipleChoices
from offloader_connectors.salesforce.emulator.errors import SalesforceError, not_found
from offloader_connectors.salesforce.emulator.ids import normal
from offloader_connectors.salesforce.emulator.render import record_url, whole_record
from offloader_connectors.salesforce.emulator.schema import SObject
from offloader_connectors.salesforce.emulator.store import Row, kind_of
from offloader_connectors.salesforce.emulator.values import moment_of, parse_stamp, stamp

#: bodies up to this size are answered in one piece
_SMALL = 256 * 1024
_BIN_DAYS, _UPDATED_DAYS = 15, 30


def create(call: Call) -> Answer:
    sobject = call.sobject(call.args[0])
    if call.request.parts:
        raw, bodies = call.multipart()
        if not isinstance(raw, dict):
            raise SalesforceError("JSON_PARSER_ERROR", "The record must be one JSON object.")
    else:
        raw, bodies = call.fields(), {}
    new = call.app.writer.insert(sobject, raw, call.actor, bodies)
    call.subjects.append(new)
    headers = {"Location": record_url(call.base, sobject.name, new)}
    return Answer(201, {"id": new, "success": True, "errors": []}, headers=headers)


def visible(call: Call, sobject: SObject, record_id: str) -> Row:
    """The record, if it is there and the user may see it. Raises SalesforceError NOT_FOUND."""
    row = call.app.org.store.tables[sobject.name].get(normal(record_id) or "")
    if row is None or row.get("IsDeleted") or not _readable(call, sobject, row):
        raise not_found()
    call.subjects.append(row["Id"])
    return row


def _readable(call: Call, sobject: SObject, row: Row) -> bool:
    access, actor = call.app.access, call.actor
    if sobject.name == "ContentDocumentLink":
        return access.link_visible(actor, row)
    if sobject.name in {"ContentVersion", "ContentDocument"} and actor.may("QueryAllFiles"):
        return True
    return bool(actor.may("ViewAllData") or access.can_read(actor, row))


def read(call: Call) -> Answer:
    sobject = call.sobject(call.args[0])
    row = visible(call, sobject, call.args[1])
    since = call.request.headers.get("if-modified-since")
    if since and "SystemModstamp" in row and _unmodified(row["SystemModstamp"], since):
        return Answer(304)
    return Answer(data=whole_record(sobject, row, call.base, _names(call, sobject)))


def _unmodified(modified: str, since: str) -> bool:
    try:
        return moment_of(modified) <= parsedate_to_datetime(since)
    except ValueError:
        return False


def _names(call: Call, sobject: SObject) -> list[str] | None:
    listed = call.request.query.get("fields")
    if not listed:
        return None
    names = []
    for name in listed.split(","):
        field = sobject.lower.get(name.strip().lower())
        if field is None:
            text = f"No such column '{name.strip()}' on entity '{sobject.name}'"
            raise SalesforceError("INVALID_FIELD", text)
        names.append(field.name)
    return ["Id", *(name for name in names if name != "Id")] if "Id" not in names else names


def update(call: Call) -> Answer:
    sobject = call.sobject(call.args[0])
    raw, bodies = call.multipart() if call.request.parts else (call.fields(), {})
    if not isinstance(raw, dict):
        raise SalesforceError("JSON_PARSER_ERROR", "The record must be one JSON object.")
    try:
        call.app.writer.update(sobject, call.args[1], raw, call.actor, bodies)
    except SalesforceError as error:
        raise _single(error) from None
    call.subjects.append(normal(call.args[1]) or "")
    return Answer(204)


def delete(call: Call) -> Answer:
    sobject = call.sobject(call.args[0])
    call.subjects.append(normal(call.args[1]) or "")
    try:
        call.app.writer.delete(sobject, call.args[1], call.actor)
    except SalesforceError as error:
        raise _single(error) from None
    return Answer(204)


def _single(error: SalesforceError) -> SalesforceError:
    """Single-record resources do not know ids of other objects."""
    if error.code == "MALFORMED_ID" and "incorrect type" in error.message:
        return not_found()
    return error


def by_external_id(call: Call) -> Answer:
    sobject = call.sobject(call.args[0])
    field = call.app.writer.external_field(sobject, call.args[1])
    key = normal(call.args[2]) if field.name == "Id" else call.args[2]
    if field.name == "Id":
        return Answer(data=whole_record(sobject, visible(call, sobject, key or ""), call.base))
    found = call.app.org.store.where(sobject.name, field.name, key)
    if len(found) > 1:
        return _choices(call, sobject, [row["Id"] for row in found])
    if not found:
        raise not_found()
    return Answer(data=whole_record(sobject, visible(call, sobject, found[0]["Id"]), call.base, _names(call, sobject)))


def _choices(call: Call, sobject: SObject, ids: list[str]) -> Answer:
    return Answer(300, [record_url(call.base, sobject.name, key) for key in ids])


def upsert(call: Call) -> Answer:
    sobject = call.sobject(call.args[0])
    raw, bodies = call.multipart() if call.request.parts else (call.fields(), {})
    assert isinstance(raw, dict)
    try:
        key, created = call.app.writer.upsert(sobject, call.args[1], call.args[2], raw, call.actor, bodies)
    except MultipleChoices as choices:
        return _choices(call, sobject, choices.ids)
    call.subjects.append(key)
    data = {"id": key, "success": True, "errors": [], "created": created}
    if created:
        return Answer(201, data, headers={"Location": record_url(call.base, sobject.name, key)})
    return Answer(200, data)


def delete_by_external_id(call: Call) -> Answer:
    sobject = call.sobject(call.args[0])
    field = call.app.writer.external_field(sobject, call.args[1])
    found = call.app.org.store.where(sobject.name, field.name, call.args[2])
    if len(found) > 1:
        return _choices(call, sobject, [row["Id"] for row in found])
    if not found:
        raise not_found()
    call.app.writer.delete(sobject, found[0]["Id"], call.actor)
    return Answer(204)


def blob(call: Call) -> Answer:
    """The bytes of a body field. Range is ignored; not allowed inside composite and batch."""
    if call.inner:
        raise SalesforceError("NOT_FOUND", "The requested resource does not exist", status=404)
    sobject = call.sobject(call.args[0])
    field = sobject.lower.get(call.args[2].lower())
    if field is None or field.type != "base64":
        return related(call)
    row = visible(call, sobject, call.args[1])
    body = row.get(f"_{field.name}")
    if body is None:
        raise not_found()
    answer = Answer(content_type="application/octet-stream")
    if sobject.name == "Attachment" and call.app.org.options.attachment_content_type and row.get("ContentType"):
        answer.content_type = str(row["ContentType"]).replace("\r", " ").replace("\n", " ")
    blobs = call.app.blobs
    if body["size"] <= _SMALL and call.app.org.options.content_length:
        answer.body = blobs.read(body["ref"])
        return answer
    answer.stream = blobs.chunks(body["ref"])
    answer.length = body["size"] if call.app.org.options.content_length else None
    return answer


def related(call: Call) -> Answer:
    """A parent by its relationship name: `Contact/003…/Account`."""
    sobject = call.sobject(call.args[0])
    relation = sobject.relations.get(call.args[2].lower())
    if relation is None:
        return by_external_id(call)
    row = visible(call, sobject, call.args[1])
    parent = call.app.org.store.get(row.get(relation.name) or "")
    if parent is None:
        raise not_found()
    target = call.app.org.objects[kind_of(parent["Id"]) or ""]
    return Answer(data=whole_record(target, visible(call, target, parent["Id"]), call.base, _names(call, target)))


# -- replication -----------------------------------------------------------------------------------


def _span(call: Call, days: int) -> tuple[SObject, str, str]:
    """The object and the asked span, whole minutes as the API rounds them. Raises SalesforceError."""
    sobject = call.sobject(call.args[0])
    if not sobject.replicateable:
        raise SalesforceError("INVALID_TYPE_FOR_OPERATION", f"object {sobject.name} is not replicateable")
    start, end = (parse_stamp(call.request.query.get(name, "").replace(" ", "+")) for name in ("start", "end"))
    if start is None or end is None:
        raise SalesforceError(
            "INVALID_REPLICATION_DATE", "start and end must be dates of the form 2026-01-31T12:00:00Z"
        )
    first, last = moment_of(start), moment_of(end)
    if (last - first).total_seconds() < 60:
        raise SalesforceError("INVALID_REPLICATION_DATE", "startDate before endDate by more than one minute is needed")
    if first < call.app.now() - timedelta(days=days):
        raise SalesforceError("INVALID_REPLICATION_DATE", f"startDate cannot be more than {days} days ago")
    return sobject, start, end


def updated(call: Call) -> Answer:
    sobject, start, end = _span(call, _UPDATED_DAYS)
    pairs = call.app.org.store.between(sobject.name, "SystemModstamp", start, end)
    table = call.app.org.store.tables[sobject.name]
    ids = [key for _, key in pairs if not table[key].get("IsDeleted")]
    return Answer(data={"ids": ids, "latestDateCovered": _covered(call, end)})


def deleted(call: Call) -> Answer:
    sobject, start, end = _span(call, _BIN_DAYS)
    pairs = call.app.org.store.between(sobject.name, "SystemModstamp", start, end)
    table = call.app.org.store.tables[sobject.name]
    records: list[Any] = [{"deletedDate": at, "id": key} for at, key in pairs if table[key].get("IsDeleted")]
    purged = call.app.org.purged
    records += [{"deletedDate": at, "id": key} for at, key in purged if kind_of(key) == sobject.name and at >= start]
    earliest = stamp(call.app.now() - timedelta(days=_BIN_DAYS))
    return Answer(
        data={"deletedRecords": records, "earliestDateAvailable": earliest, "latestDateCovered": _covered(call, end)}
    )


def _covered(call: Call, end: str) -> str:
    now = call.app.now().replace(second=0)
    return min(end, stamp(now))
