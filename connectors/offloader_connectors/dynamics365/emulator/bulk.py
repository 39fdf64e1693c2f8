"""Many rows at once: CreateMultiple and its like, and deletion in the background ("Bulk Operation messages",
"Delete data in bulk").
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from offloader_connectors.dynamics365.emulator import paths, query, rules
from offloader_connectors.dynamics365.emulator.calls import Call
from offloader_connectors.dynamics365.emulator.errors import DataverseError, invalid, no_property, no_segment
from offloader_connectors.dynamics365.emulator.ids import normal
from offloader_connectors.dynamics365.emulator.payload import find
from offloader_connectors.dynamics365.emulator.prefer import Prefer
from offloader_connectors.dynamics365.emulator.privileges import BULK_DELETE
from offloader_connectors.dynamics365.emulator.schema import Column, Table
from offloader_connectors.dynamics365.emulator.values import parse_stamp
from offloader_connectors.emulation.wire import Answer

if TYPE_CHECKING:
    from offloader_connectors.dynamics365.emulator.access import User
    from offloader_connectors.dynamics365.emulator.app import Dataverse

JOB_TABLES = ("asyncoperation", "bulkdeleteoperation", "bulkdeletefailure")
_JOBS = "bulk_deletions"
_SUCCEEDED, _FAILED = 30, 31
_PAGE = 5000


# -- messages on a set -----------------------------------------------------------------------------


def _targets(call: Call) -> tuple[Table, list[dict[str, Any]]]:
    table = call.table(call.segments[0].name)
    if not table.multiple or not table.writable:
        raise no_segment(call.segments[1].name)
    targets = call.fields().get("Targets")
    if not isinstance(targets, list) or not targets or not all(isinstance(item, dict) for item in targets):
        raise invalid("Targets must be a list of at least one record.")
    for item in targets:
        if str(item.get("@odata.type", "")).removeprefix("#") != f"{paths.NAMESPACE}{table.name}":
            raise invalid(f"Each target needs the @odata.type {paths.NAMESPACE}{table.name}.")
    return table, targets


def create_multiple(call: Call) -> Answer:
    table, targets = _targets(call)
    ids = [rules.create(call.app.org, call.caller, table.name, item) for item in targets]
    call.subjects += [f"{table.name}/{record}" for record in ids]
    return call.response("CreateMultiple", {"Ids": ids})


def update_multiple(call: Call) -> Answer:
    table, targets = _targets(call)
    for item in targets:
        record = _record(call, table, item)
        if record is None:
            raise DataverseError(404, "0x80060891", "A record with the specified key values does not exist.")
        rules.update(call.app.org, call.caller, table.name, record, item)
        call.about(table, record)
    return Answer(204)


def upsert_multiple(call: Call) -> Answer:
    table, targets = _targets(call)
    org = call.app.org
    for item in targets:
        record = _record(call, table, item)
        if record is not None and org.store.get(table.name, record) is not None:
            rules.update(org, call.caller, table.name, record, item)
        else:
            fields = {**item, **_key_values(call, table, item)}
            record = rules.create(org, call.caller, table.name, fields, id=normal(item.get(table.key)))
        call.about(table, record)
    return Answer(204)


def delete_multiple(call: Call) -> Answer:
    raise DataverseError(501, "0x80040216", "DeleteMultiple has not yet been implemented.")


def _key_values(call: Call, table: Table, item: Mapping[str, Any]) -> dict[str, Any]:
    address = item.get("@odata.id")
    if not isinstance(address, str):
        return {}
    key = call.key(table, paths.reference(address)[1])
    return {table.key: key} if isinstance(key, str) else key


def _record(call: Call, table: Table, item: Mapping[str, Any]) -> str | None:
    """The id of a target, by its primary key or by the address in @odata.id; None for a key of no row."""
    own = normal(item.get(table.key))
    if own is not None:
        return own
    found = _key_values(call, table, item)
    if not found:
        raise invalid("Each target needs its primary key, or an alternate key in @odata.id.")
    return found[table.key] if table.key in found else find(call.app.org, table, found)


# -- deletion in the background --------------------------------------------------------------------


def bulk_delete(call: Call) -> Answer:
    """Make the job; the query is evaluated when it runs."""
    org, fields = call.app.org, call.fields()
    if not call.caller.has(BULK_DELETE):
        raise call.caller.lacking(BULK_DELETE)
    queries = fields.get("QuerySet")
    if not isinstance(queries, list) or not queries:
        raise invalid("QuerySet must be a list of at least one query.")
    for item in queries:
        filter_of(call.app, item)
    name = str(fields.get("JobName") or "Bulk delete")
    job = org.insert("asyncoperation", {"name": name, "operationtype": 13})
    operation = org.insert("bulkdeleteoperation", {"name": name, "asyncoperationid": job})
    start = parse_stamp(str(fields.get("StartDateTime") or "")) or org.moment()
    entry: dict[str, Any] = {"job": job, "operation": operation, "queries": queries, "user": call.caller.user_id}
    options = fields.get("Options")
    entry["recoverable"] = not isinstance(options, Mapping) or options.get("CanRecoverDeletedRecords") is not False
    entry |= {"start": start, "asked": org.moment(), "calls": call.app.protocol.bulk_delete_calls}
    org.store.set_meta(_JOBS, [*org.store.meta.get(_JOBS, []), entry])
    return call.response("BulkDelete", {"JobId": job})


def run_due(app: Dataverse, *, looked_at: bool) -> None:
    """Run the jobs whose time has come; called before every call."""
    waiting = app.org.store.meta.get(_JOBS)
    if not waiting:
        return
    left = []
    for entry in waiting:
        calls = entry["calls"] - 1
        if (looked_at or calls <= 0) and entry["start"] <= app.org.moment():
            _run(app, entry)
        else:
            left.append({**entry, "calls": calls})
    app.org.store.set_meta(_JOBS, left)


def _run(app: Dataverse, entry: Mapping[str, Any]) -> None:
    org, user = app.org, app.access.user(entry["user"])
    started, done, failed = org.moment(), 0, 0
    with org.store.transaction():
        for index, item in enumerate(entry["queries"]):
            for table, record in list(_found(app, user, item, entry["asked"])):
                try:
                    rules.delete(org, user, table.name, record, recoverable=entry.get("recoverable", True))
                    done += 1
                except DataverseError as error:
                    failed += 1
                    _fail(app, entry, index, table, record, error)
        finished = {"statecode": 3, "statuscode": _SUCCEEDED, "startedon": started, "completedon": org.moment()}
        org.update("asyncoperation", entry["job"], finished)
        counts = {"successcount": done, "failurecount": failed, "statecode": 3, "statuscode": _SUCCEEDED}
        org.update("bulkdeleteoperation", entry["operation"], counts)


def _fail(
    app: Dataverse, entry: Mapping[str, Any], index: int, table: Table, record: str, error: DataverseError
) -> None:
    fields = {
        "bulkdeleteoperationid": entry["operation"],
        "asyncoperationid": entry["job"],
        "errornumber": int(error.code or "0", 16) - 2**32,
        "errordescription": error.message[:512],
        "orderedquerysetindex": index,
        "regardingobjectid": record,
        "regardingobjecttypecode": table.name,
    }
    app.org.insert("bulkdeletefailure", fields)


def _found(app: Dataverse, user: User, item: Mapping[str, Any], asked: str) -> Iterator[tuple[Table, str]]:
    """The rows that a query finds now, made before it was asked."""
    table, text = filter_of(app, item)
    options = {"$select": table.key, **({"$filter": text} if text else {})}
    while True:
        found = query.records(app.org, user, table.name, options, Prefer())
        for row in found["value"]:
            created = (app.org.get(table.name, row[table.key]) or {}).get("createdon")
            if created is None or created <= asked:
                yield table, row[table.key]
        link = found.get("@odata.nextLink")
        if link is None:
            return
        options = {**options, "$skiptoken": _skip_token(link)}


def _skip_token(link: str) -> str:
    return parse_qs(urlsplit(link).query)["$skiptoken"][0]


# -- QueryExpression as $filter --------------------------------------------------------------------


def filter_of(app: Dataverse, item: object) -> tuple[Table, str]:
    """Table and $filter of a QueryExpression. Raises DataverseError for one that cannot be understood."""
    if not isinstance(item, Mapping) or item.get("EntityName") not in app.org.schema.tables:
        raise invalid("A query needs the EntityName of a table.")
    table = app.org.table(str(item["EntityName"]))
    return table, _filter(table, item.get("Criteria") or {})


def _filter(table: Table, criteria: Mapping[str, Any]) -> str:
    word = " or " if str(criteria.get("FilterOperator", "And")).lower().endswith("or") else " and "
    parts = [_condition(table, item) for item in criteria.get("Conditions") or ()]
    parts += [f"({inner})" for item in criteria.get("Filters") or () if (inner := _filter(table, item))]
    return word.join(parts)


_COMPARED = {
    "Equal": "eq",
    "NotEqual": "ne",
    "GreaterThan": "gt",
    "GreaterEqual": "ge",
    "LessThan": "lt",
    "LessEqual": "le",
    "OnOrBefore": "le",
    "OnOrAfter": "ge",
}
_TEXTS = {"BeginsWith": "startswith", "EndsWith": "endswith", "Contains": "contains"}


def _condition(table: Table, item: Mapping[str, Any]) -> str:
    column = table.columns.get(str(item.get("AttributeName")))
    if column is None:
        raise no_property(str(item.get("AttributeName")), table.name)
    operator, values = str(item.get("Operator")), _values(item.get("Values") or ())
    name = column.wire
    if operator in {"Null", "NotNull"}:
        return f"{name} {'eq' if operator == 'Null' else 'ne'} null"
    if operator in {"In", "NotIn"}:
        listed = " or ".join(f"{name} eq {_literal(column, value)}" for value in values) or "1 eq 2"
        return f"({listed})" if operator == "In" else f"not ({listed})"
    if not values:
        raise invalid(f"The condition on '{column.name}' has no value.")
    if operator in _COMPARED:
        return f"{name} {_COMPARED[operator]} {_literal(column, values[0])}"
    if operator in _TEXTS:
        return f"{_TEXTS[operator]}({name},{_literal(column, values[0])})"
    if operator == "Like":
        text = str(values[0])
        start, end = not text.startswith("%"), not text.endswith("%")
        function = {(True, True): "eq", (True, False): "startswith", (False, True): "endswith"}.get(
            (start, end), "contains"
        )
        bare = _literal(column, text.strip("%"))
        return f"{name} eq {bare}" if function == "eq" else f"{function}({name},{bare})"
    raise invalid(f"The condition operator '{operator}' is not supported here.")


def _values(values: Sequence[Any]) -> list[Any]:
    return [item.get("Value") if isinstance(item, Mapping) else item for item in values]


def _literal(column: Column, value: Any) -> str:
    if value is None:
        return "null"
    if column.type in {"string", "memo", "entityname"}:
        return "'" + str(value).replace("'", "''") + "'"
    if isinstance(value, bool):
        return str(value).lower()
    if column.type in {"datetime", "date"}:
        found = parse_stamp(str(value)) or str(value)
        return found[:10] if column.type == "date" else found
    return str(value)
