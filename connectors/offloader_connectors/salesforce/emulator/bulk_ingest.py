"""Bulk API 2.0 ingest jobs ("Ingest Jobs", Bulk API 2.0 Developer Guide)."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import Any

from offloader_connectors.emulation.blobs import Blob
from offloader_connectors.emulation.wire import Answer
from offloader_connectors.salesforce.emulator.bulk_jobs import (
    DELIMITERS,
    QUERY_ONLY,
    UNSUPPORTED,
    Job,
    check_supported,
    csv_answer,
)
from offloader_connectors.salesforce.emulator.calls import Call, Resource
from offloader_connectors.salesforce.emulator.dml import MultipleChoices
from offloader_connectors.salesforce.emulator.errors import SalesforceError
from offloader_connectors.salesforce.emulator.ids import normal

_KIND = "V2Ingest"
_OPERATIONS = {"insert", "update", "upsert", "delete", "hardDelete"}
MAX_CONTENT = 150 * 1024 * 1024


def create(call: Call) -> Answer:
    raw, parts = call.multipart() if call.request.parts else (call.fields(), {})
    body: dict[str, Any] = dict(raw) if isinstance(raw, dict) else {}
    operation, name = body.get("operation"), str(body.get("object", ""))
    if operation not in _OPERATIONS:
        raise SalesforceError("INVALIDJOB", f"operation must be one of {', '.join(sorted(_OPERATIONS))}")
    found = call.app.org.objects_lower.get(name.lower())
    if found is None:
        raise SalesforceError("INVALIDENTITY", f"Entity '{name}' is not supported by the Bulk API.")
    check_supported(found.name, UNSUPPORTED | QUERY_ONLY)
    if operation == "hardDelete" and not call.actor.may("BulkApiHardDelete"):
        raise SalesforceError(
            "FEATURENOTENABLED",
            "hardDelete operation requires special user profile permission, please contact your system administrator",
        )
    external = body.get("externalIdFieldName")
    if operation == "upsert":
        if not external:
            raise SalesforceError("INVALIDJOB", "externalIdFieldName is required for upsert")
        external = call.app.writer.external_field(found, str(external)).name
    job = call.app.jobs.open(call, _KIND, str(operation), found.name, body, "Open")
    job.external_id = external if operation == "upsert" else None
    if parts:
        content = next(iter(parts.values()))
        job.content = call.app.blobs.read(content.ref) if isinstance(content, Blob) else content
        job.state = "UploadComplete"
        info = job.as_json(call.app.now(), full=False)
        _process(call, job)
        return Answer(data=info)
    return Answer(data=job.as_json(call.app.now(), full=False))


def upload(call: Call) -> Answer:
    job = call.app.jobs.get(call.args[0], _KIND)
    if job.state != "Open" or job.content:
        raise SalesforceError("INVALIDJOBSTATE", f"Can not upload to a job in state {job.state}, or twice")
    if len(call.request.body) > MAX_CONTENT:
        raise SalesforceError("EXCEEDEDQUOTA", "The content is larger than 150 MB.")
    job.content = call.request.body
    return Answer(201)


def change(call: Call) -> Answer:
    job, state = call.app.jobs.get(call.args[0], _KIND), call.fields().get("state")
    if job.state != "Open" or state not in {"UploadComplete", "Aborted"}:
        raise SalesforceError("INVALIDJOBSTATE", f"Can not change a job in state {job.state} to {state}")
    job.state = str(state)
    info = job.as_json(call.app.now(), full=False)
    if state == "UploadComplete":
        _process(call, job)
    else:
        _, job.unprocessed = _table(job)
    return Answer(data=info)


def _table(job: Job) -> tuple[list[str], list[list[str]]]:
    text = job.content.decode("utf-8", "replace")
    rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=DELIMITERS[job.delimiter]))
    job.header = rows[0] if rows else []
    return job.header, [row for row in rows[1:] if row]


def _process(call: Call, job: Job) -> None:
    header, rows = _table(job)
    job.error = _header_error(call, job, header)
    if job.error:
        job.unprocessed = rows
    else:
        failing = call.failing_items()
        call.app.limits.add("batches")
        for place, row in enumerate(rows):
            record = dict(zip(header, row, strict=False))
            try:
                if place in failing:
                    raise failing[place]
                key, created = _apply(call, job, record)
                job.succeeded.append([key, str(created).lower(), *row])
            except MultipleChoices as choices:
                text = f"Multiple records have this external id: {', '.join(choices.ids)}"
                job.failed.append(["", f"DUPLICATE_EXTERNAL_ID:{text}:--", *row])
            except SalesforceError as error:
                fields = ",".join(error.fields or ())
                given = normal(record.get("Id") or "") or ""
                job.failed.append([given, f"{error.code}:{error.message}:{fields}{' ' if fields else ''}--", *row])
    call.app.jobs.finish(job)


def _header_error(call: Call, job: Job, header: list[str]) -> str | None:
    if not header:
        return "InvalidBatch : The content is empty"
    if job.operation in {"delete", "hardDelete"} and header != ["Id"]:
        return f"InvalidBatch : Field name not found : {next((name for name in header if name != 'Id'), 'Id')}"
    sobject = call.app.org.objects[job.object]
    for name in header:
        relation, dot, _ = name.partition(".")
        known = relation.lower() in sobject.relations if dot else name.lower() in sobject.lower
        if not known:
            return f"InvalidBatch : Field name not found : {name}"
    return None


def _nested(record: Mapping[str, str]) -> dict[str, Any]:
    """`Account.External_Key__c` columns become nested objects; empty cells are left alone, `#N/A` empties a field."""
    fields: dict[str, Any] = {}
    for name, text in record.items():
        relation, dot, inner = name.partition(".")
        value = None if text == "#N/A" else text
        if text == "":
            continue
        if dot:
            fields[relation] = {inner: value}
        else:
            fields[name] = value
    return fields


def _apply(call: Call, job: Job, record: Mapping[str, str]) -> tuple[str, bool]:
    sobject, writer, actor = call.app.org.objects[job.object], call.app.writer, call.actor
    fields = _nested(record)
    if job.operation == "insert":
        return writer.insert(sobject, fields, actor), True
    if job.operation == "upsert":
        assert job.external_id is not None
        value = next((item for name, item in fields.items() if name.lower() == job.external_id.lower()), None)
        rest = {name: item for name, item in fields.items() if name.lower() != job.external_id.lower()}
        return writer.upsert(sobject, job.external_id, value, rest, actor)
    key = str(fields.pop("Id", "") or "")
    if not key:
        raise SalesforceError("MISSING_ARGUMENT", "Id not specified in an update call", [])
    if job.operation == "update":
        writer.update(sobject, key, fields, actor)
    else:
        writer.delete(sobject, key, actor, hard=job.operation == "hardDelete")
    return normal(key) or key, False


def status(call: Call) -> Answer:
    return Answer(data=call.app.jobs.get(call.args[0], _KIND).as_json(call.app.now(), full=True))


def delete(call: Call) -> Answer:
    call.app.jobs.drop(call.app.jobs.get(call.args[0], _KIND))
    return Answer(204)


def succeeded(call: Call) -> Answer:
    job = call.app.jobs.finished(call.args[0], _KIND)
    return csv_answer(job, [["sf__Id", "sf__Created", *job.header], *job.succeeded])


def failed(call: Call) -> Answer:
    job = call.app.jobs.finished(call.args[0], _KIND)
    return csv_answer(job, [["sf__Id", "sf__Error", *job.header], *job.failed])


def unprocessed(call: Call) -> Answer:
    job = call.app.jobs.finished(call.args[0], _KIND)
    return csv_answer(job, [job.header, *job.unprocessed])


def listed(call: Call) -> Answer:
    return call.app.jobs.listed(_KIND)


RESOURCES = (
    Resource("POST", "jobs/ingest", "bulk.ingest.create", create),
    Resource("GET", "jobs/ingest", "bulk.ingest.list", listed),
    Resource("GET", "jobs/ingest/{}", "bulk.ingest.get", status),
    Resource("PATCH", "jobs/ingest/{}", "bulk.ingest.change", change),
    Resource("DELETE", "jobs/ingest/{}", "bulk.ingest.delete", delete),
    Resource("PUT", "jobs/ingest/{}/batches", "bulk.ingest.upload", upload),
    Resource("GET", "jobs/ingest/{}/successfulResults", "bulk.ingest.results", succeeded),
    Resource("GET", "jobs/ingest/{}/failedResults", "bulk.ingest.results", failed),
    Resource("GET", "jobs/ingest/{}/unprocessedrecords", "bulk.ingest.results", unprocessed),
)
