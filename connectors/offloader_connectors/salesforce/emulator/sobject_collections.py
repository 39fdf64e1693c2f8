"""sObject Collections: up to 200 records in one call ("sObject Collections", REST API guide)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import Any

from offloader_connectors.emulation.blobs import Blob
from offloader_connectors.emulation.wire import Answer
from offloader_connectors.salesforce.emulator.calls import Call
from offloader_connectors.salesforce.emulator.dml import MultipleChoices
from offloader_connectors.salesforce.emulator.errors import SalesforceError
from offloader_connectors.salesforce.emulator.ids import normal
from offloader_connectors.salesforce.emulator.render import whole_record
from offloader_connectors.salesforce.emulator.rows import visible
from offloader_connectors.salesforce.emulator.schema import SObject

MAX_RECORDS, MAX_CHUNKS, MAX_RETRIEVED, MAX_RETRIEVED_IN_URL = 200, 10, 2000, 800
_ROLLED_BACK = "Record rolled back because not all records were valid and the request was using AllOrNone header"

Record = Mapping[str, Any]
Act = Callable[[Any], dict[str, Any]]


class _RollBack(Exception):
    """Not all records were valid."""


def _too_many(count: int, most: int = MAX_RECORDS) -> None:
    if count > most:
        text = f"record limit reached. cannot submit more than {most} records into this call"
        raise SalesforceError("EXCEEDED_ID_LIMIT", text)


def run(
    call: Call, items: Sequence[Any], act: Act, *, all_or_none: bool, keep_id: Callable[[Any], str | None]
) -> Answer:
    """Act on every item, in order; failures stay in their place."""
    failing = call.failing_items()
    results: list[dict[str, Any]] = []
    try:
        with call.app.org.store.transaction():
            for place, item in enumerate(items):
                results.append(_one(act, item, failing.get(place)))
            if all_or_none and not all(result["success"] for result in results):
                raise _RollBack
    except _RollBack:
        results = [
            result if not result["success"] else _rolled_back(keep_id(item))
            for result, item in zip(results, items, strict=True)
        ]
    call.subjects += [result["id"] for result in results if "id" in result]
    return Answer(data=results)


def _one(act: Act, item: Any, failure: SalesforceError | None) -> dict[str, Any]:
    try:
        if failure:
            raise failure
        return act(item)
    except SalesforceError as error:
        return error.item()
    except MultipleChoices as choices:
        text = f"Multiple records have this external id: {', '.join(choices.ids)}"
        return SalesforceError("DUPLICATE_EXTERNAL_ID", text, []).item()


def _rolled_back(key: str | None) -> dict[str, Any]:
    item = SalesforceError("ALL_OR_NONE_OPERATION_ROLLED_BACK", _ROLLED_BACK, []).item()
    return {"id": key, **item} if key else item


def _parts(call: Call) -> tuple[list[Record], bool, Mapping[str, Blob | bytes]]:
    """The records, allOrNone, and binary parts. Raises SalesforceError for a malformed body."""
    body, binary = call.multipart() if call.request.parts else (call.fields(), {})
    records = body.get("records") if isinstance(body, dict) else None
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise SalesforceError("JSON_PARSER_ERROR", "The body needs a list of records.")
    _too_many(len(records))
    if not records:
        raise SalesforceError("INVALID_INPUT", "The list of records must not be empty.")
    chunks = sum(
        1 for _ in groupby(str((record.get("attributes") or {}).get("type", "")).lower() for record in records)
    )
    if chunks > MAX_CHUNKS:
        text = f"The records have {chunks} chunks of types; at most {MAX_CHUNKS} are allowed in one call."
        raise SalesforceError("LIMIT_EXCEEDED", text)
    assert isinstance(body, dict)
    return records, bool(body.get("allOrNone", False)), binary


def _type(call: Call, record: Record) -> SObject:
    name = (record.get("attributes") or {}).get("type")
    if not name:
        raise SalesforceError(
            "INVALID_INPUT", "Include an entity type for each record: attributes.type is missing.", []
        )
    found = call.app.org.objects_lower.get(str(name).lower())
    if found is None:
        raise SalesforceError("INVALID_TYPE", f"sObject type '{name}' is not supported.", [])
    return found


def _bodies(record: Record, binary: Mapping[str, Blob | bytes]) -> Mapping[str, Blob | bytes]:
    """The record's own body among the binary parts, by `binaryPartName` and `binaryPartNameAlias` (its field)."""
    attributes = record.get("attributes") or {}
    part, alias = attributes.get("binaryPartName"), attributes.get("binaryPartNameAlias")
    if not part:
        return {}
    if part not in binary or not alias:
        raise SalesforceError("INVALID_MULTIPART_REQUEST", f"There is no binary part named {part}.", [])
    return {str(alias): binary[part]}


def _without_id(record: Record) -> Record:
    return {name: value for name, value in record.items() if name.lower() != "id"}


def _id(record: Record) -> str:
    found = next((value for name, value in record.items() if name.lower() == "id"), None)
    if not found:
        raise SalesforceError("MISSING_ARGUMENT", "Id not specified in an update call", [])
    return str(found)


def create(call: Call) -> Answer:
    records, all_or_none, binary = _parts(call)

    def act(record: Record) -> dict[str, Any]:
        new = call.app.writer.insert(_type(call, record), record, call.actor, _bodies(record, binary))
        return {"id": new, "success": True, "errors": []}

    return run(call, records, act, all_or_none=all_or_none, keep_id=lambda _: None)


def update(call: Call) -> Answer:
    records, all_or_none, binary = _parts(call)

    def act(record: Record) -> dict[str, Any]:
        sobject, key, bodies = _type(call, record), _id(record), _bodies(record, binary)
        call.app.writer.update(sobject, key, _without_id(record), call.actor, bodies)
        return {"id": normal(key), "success": True, "errors": []}

    return run(call, records, act, all_or_none=all_or_none, keep_id=lambda record: normal(_id(record)))


def upsert(call: Call) -> Answer:
    records, all_or_none, binary = _parts(call)
    sobject, name = call.sobject(call.args[0]), call.args[1]
    field = call.app.writer.external_field(sobject, name)

    def act(record: Record) -> dict[str, Any]:
        if _type(call, record).name != sobject.name:
            raise SalesforceError("INVALID_TYPE", f"All records must be of type {sobject.name}.", [])
        value = next((value for key, value in record.items() if key.lower() == field.name.lower()), None)
        rest = {key: item for key, item in record.items() if key.lower() != field.name.lower()}
        key, created = call.app.writer.upsert(sobject, field.name, value, rest, call.actor, _bodies(record, binary))
        return {"id": key, "success": True, "errors": [], "created": created}

    return run(call, records, act, all_or_none=all_or_none, keep_id=lambda _: None)


def delete(call: Call) -> Answer:
    ids = [key for key in call.request.query.get("ids", "").split(",") if key]
    _too_many(len(ids))
    if not ids:
        raise SalesforceError("MISSING_ARGUMENT", "The ids parameter is required.")

    def act(key: str) -> dict[str, Any]:
        call.app.writer.delete(None, key, call.actor)
        return {"id": normal(key), "success": True, "errors": []}

    all_or_none = call.request.query.get("allOrNone", "false").lower() == "true"
    return run(call, ids, act, all_or_none=all_or_none, keep_id=normal)


def retrieve(call: Call) -> Answer:
    """Records in the order of the ids; null for those that are not there or may not be seen."""
    sobject = call.sobject(call.args[0])
    if call.request.method == "GET":
        ids = [key for key in call.request.query.get("ids", "").split(",") if key]
        names = [name for name in call.request.query.get("fields", "").split(",") if name]
        most = MAX_RETRIEVED_IN_URL
    else:
        body = call.fields()
        ids, names, most = list(body.get("ids") or []), list(body.get("fields") or []), MAX_RETRIEVED
    _too_many(len(ids), most)
    if not ids or not names:
        raise SalesforceError("MISSING_ARGUMENT", "Both ids and fields are required.")
    wanted = []
    for name in names:
        field = sobject.lower.get(str(name).strip().lower())
        if field is None:
            raise SalesforceError("INVALID_FIELD", f"No such column '{name}' on entity '{sobject.name}'")
        wanted.append(field.name)
    if "Id" not in wanted:
        wanted.append("Id")
    return Answer(data=[_retrieved(call, sobject, str(key), wanted) for key in ids])


def _retrieved(call: Call, sobject: SObject, key: str, names: Sequence[str]) -> dict[str, Any] | None:
    if normal(key) is None:
        raise SalesforceError("MALFORMED_ID", f"malformed id {key}")
    try:
        row = visible(call, sobject, key)
    except SalesforceError:
        return None
    return whole_record(sobject, row, call.base, names)
