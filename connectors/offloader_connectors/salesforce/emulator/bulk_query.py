"""Bulk API 2.0 query jobs ("Query Jobs", Bulk API 2.0 Developer Guide)."""

from __future__ import annotations

from typing import Any

from offloader_connectors.emulation.wire import Answer
from offloader_connectors.salesforce.emulator.bulk_jobs import (
    UNSUPPORTED,
    check_supported,
    csv_answer,
    locator,
    offset_of,
)
from offloader_connectors.salesforce.emulator.calls import Call, Resource
from offloader_connectors.salesforce.emulator.errors import SalesforceError
from offloader_connectors.salesforce.emulator.soql import Path, Query, parse

_KIND = "V2Query"
MAX_JOBS = 10_000
_PAGE = 50_000


def create(call: Call) -> Answer:
    body = dict(call.fields())
    operation, text = body.get("operation"), body.get("query")
    if operation not in {"query", "queryAll"} or not isinstance(text, str):
        raise SalesforceError("INVALIDJOB", "operation must be query or queryAll, and query is required")
    if call.app.limits.used("queries") >= MAX_JOBS:
        text = f"Max bulk v2 query jobs ({MAX_JOBS}) per 24 hrs has been reached"
        raise SalesforceError("LIMIT_EXCEEDED", text)
    parsed = parse(text)
    found = call.app.org.objects_lower.get(parsed.name.lower())
    check_supported(found.name if found else parsed.name, UNSUPPORTED)
    names = _columns(call, parsed)
    try:
        result = call.app.queries.run(
            text, call.actor, version=call.version, base=call.base, deleted=operation == "queryAll"
        )
    except SalesforceError as error:
        if error.message.startswith("Implementation restriction"):
            raise SalesforceError("API_ERROR", error.message) from None
        raise
    call.app.limits.add("queries")
    assert found is not None
    job = call.app.jobs.open(call, _KIND, operation, found.name, body, "UploadComplete")
    info = job.as_json(call.app.now(), full=False)
    job.header = names
    job.rows = [
        [_text(_value(record, name.split("."))) for name in names] for record in map(result.render, result.rows)
    ]
    call.app.jobs.finish(job)
    return Answer(data=info)


def _columns(call: Call, query: Query) -> list[str]:
    """The paths selected. Raises SalesforceError for what bulk queries cannot do."""
    names = []
    for item in query.items:
        if not isinstance(item.what, Path):
            raise SalesforceError("API_ERROR", "Aggregate Relationships not supported in Bulk Query")
        names.append(str(item.what))
    if query.group or query.offset is not None:
        raise SalesforceError("API_ERROR", "GROUP BY and OFFSET are not supported in Bulk Query")
    sobject = call.app.org.objects_lower.get(query.name.lower())
    if sobject is not None:
        for name in names:
            field = sobject.lower.get(name.lower())
            if field is not None and field.type == "base64":
                raise SalesforceError("API_ERROR", f"Selecting binary field {field.name} not supported in Bulk Query")
        names = [sobject.lower[name.lower()].name if name.lower() in sobject.lower else name for name in names]
    return names


def _value(record: Any, steps: list[str]) -> Any:
    for step in steps:
        if record is None:
            return None
        record = record.get(step, next((value for name, value in record.items() if name.lower() == step.lower()), None))
    return record


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    text = str(value)
    return text.removesuffix("+0000") + "Z" if text.endswith(".000+0000") and "T" in text else text


def status(call: Call) -> Answer:
    return Answer(data=call.app.jobs.get(call.args[0], _KIND).as_json(call.app.now(), full=True))


def change(call: Call) -> Answer:
    job = call.app.jobs.get(call.args[0], _KIND)
    if call.fields().get("state") != "Aborted":
        raise SalesforceError("INVALIDJOBSTATE", "A query job can only be aborted.")
    job.state, job.rows = "Aborted", []
    return Answer(data=job.as_json(call.app.now(), full=False))


def delete(call: Call) -> Answer:
    call.app.jobs.drop(call.app.jobs.get(call.args[0], _KIND))
    return Answer(204)


def results(call: Call) -> Answer:
    job = call.app.jobs.finished(call.args[0], _KIND)
    asked = call.request.query.get("maxRecords", "")
    page = int(asked) if asked.isdigit() and int(asked) else _PAGE
    given = call.request.query.get("locator")
    start = offset_of(given) if given and given != "null" else 0
    rows = job.rows[start : start + page]
    following = locator(start + page) if start + page < len(job.rows) else "null"
    headers = {"Sforce-Locator": following, "Sforce-NumberOfRecords": str(len(rows))}
    return csv_answer(job, [job.header, *rows], headers)


def result_pages(call: Call) -> Answer:
    """Addresses of up to five pages that can be read at the same time."""
    job = call.app.jobs.finished(call.args[0], _KIND)
    asked = call.request.query.get("locator")
    start = offset_of(asked) if asked else 0
    starts = range(start, max(len(job.rows), 1), _PAGE)
    base = f"{call.base}/jobs/query/{job.id}"
    pages = [{"resultUrl": f"{base}/results?locator={locator(at)}&maxRecords={_PAGE}"} for at in starts[:5]]
    done = len(starts) <= 5
    following = None if done else f"{base}/resultPages?locator={locator(starts[5])}"
    return Answer(data={"resultPages": pages, "nextRecordsUrl": following, "done": done})


def listed(call: Call) -> Answer:
    return call.app.jobs.listed(_KIND)


RESOURCES = (
    Resource("POST", "jobs/query", "bulk.query.create", create),
    Resource("GET", "jobs/query", "bulk.query.list", listed),
    Resource("GET", "jobs/query/{}", "bulk.query.get", status),
    Resource("PATCH", "jobs/query/{}", "bulk.query.abort", change),
    Resource("DELETE", "jobs/query/{}", "bulk.query.delete", delete),
    Resource("GET", "jobs/query/{}/results", "bulk.query.results", results),
    Resource("GET", "jobs/query/{}/resultPages", "bulk.query.result_pages", result_pages),
)
