"""Rows by their addresses: list, read, create, change, delete; their properties, and the rows that hang on them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from offloader_connectors.dynamics365.emulator import query, rules
from offloader_connectors.dynamics365.emulator.calls import Call, etag_of
from offloader_connectors.dynamics365.emulator.conditional import check_write, unchanged
from offloader_connectors.dynamics365.emulator.errors import DataverseError, no_segment
from offloader_connectors.dynamics365.emulator.payload import find
from offloader_connectors.dynamics365.emulator.prefer import Prefer
from offloader_connectors.dynamics365.emulator.privileges import BACKDATE
from offloader_connectors.dynamics365.emulator.render import LazyText, base64_chunks
from offloader_connectors.dynamics365.emulator.schema import Column, Table
from offloader_connectors.emulation.wire import Answer

#: what stands unescaped in an alternate key
_KEY_SIGNS = "'=,!$&()*+;:@"
_ROW_OPTIONS = ("$select", "$expand")


def applied(call: Call, answer: Mapping[str, Any]) -> dict[str, str]:
    """Preference-Applied, for what was heeded."""
    names = []
    if call.prefer.max_page_size is not None and "value" in answer:
        names.append(f"odata.maxpagesize={call.prefer.max_page_size}")
    if call.prefer.track_changes and "value" in answer:
        names.append("odata.track-changes")
    if call.prefer.annotations is not None:
        names.append(f'odata.include-annotations="{call.prefer.annotations}"')
    return {"Preference-Applied": ",".join(names)} if names else {}


def listed(call: Call) -> Answer:
    return _list(call, call.table(call.segments[0].name))


def _list(call: Call, table: Table, **keys: Any) -> Answer:
    call.caller.check("Read", table.name)
    if "sql" in call.query:
        raise DataverseError(400, "0x80060888", "The query parameter sql is not supported by this environment.")
    found = query.records(call.app.org, call.caller, table.name, call.query, call.prefer, **keys)
    if any(rule.do == "edit" for rule in call.rules):
        call.subjects += [f"{table.name}/{row[table.key]}" for row in found.get("value", ()) if table.key in row]
    return Answer(data=found, headers=applied(call, found))


def counted(call: Call) -> Answer:
    """`…/$count`: digits after a byte order mark."""
    return _counted(call, call.table(call.segments[0].name), call.query)


def _counted(call: Call, table: Table, options: Mapping[str, str]) -> Answer:
    call.caller.check("Read", table.name)
    count = query.count(call.app.org, call.caller, table.name, options, call.prefer)
    return Answer(body=b"\xef\xbb\xbf" + str(count).encode(), content_type="text/plain")


def created(call: Call) -> Answer:
    table, fields = call.table(call.segments[0].name), call.fields()
    if fields.get("overriddencreatedon") is not None and not call.caller.has(BACKDATE):
        raise call.caller.lacking(BACKDATE)
    record = rules.create(call.app.org, call.caller, table.name, fields)
    return written(call, table, record, is_new=True)


def written(call: Call, table: Table, record: str, *, is_new: bool, key: str = "") -> Answer:
    """204 with the row's address, or the row if the client prefers that."""
    call.about(table, record)
    address = f"{call.root}{table.set_name}({quote(key, safe=_KEY_SIGNS) or record})"
    headers = {"OData-EntityId": address}
    if is_new:
        headers = {"Location": address, **headers}
    if not call.prefer.representation:
        return Answer(204, headers=headers)
    data = query.record(call.app.org, call.caller, table.name, record, _options(call), call.prefer)
    row = call.app.org.store.tables[table.name][record]
    applied_ = {"Preference-Applied": "return=representation", "ETag": etag_of(row)}
    return Answer(201 if is_new else 200, data, headers={**headers, **applied_})


def _options(call: Call) -> dict[str, str]:
    return {name: value for name, value in call.query.items() if name in _ROW_OPTIONS or name.startswith("@")}


def read(call: Call) -> Answer:
    table = call.table(call.segments[0].name)
    record = call.record(table, call.segments[0].arguments or "")
    return _read(call, table, record)


def _read(call: Call, table: Table, record: str) -> Answer:
    row = call.row(table, record)
    call.about(table, record)
    not_modified = unchanged(call, row)
    if not_modified is not None:
        return not_modified
    data = query.record(call.app.org, call.caller, table.name, record, call.query, call.prefer)
    return Answer(data=data, headers={**applied(call, {}), "ETag": etag_of(row)})


def changed(call: Call) -> Answer:
    """PATCH: an update, or without If-Match an upsert ("Update and delete table rows using the Web API")."""
    table, org = call.table(call.segments[0].name), call.app.org
    arguments = call.segments[0].arguments or ""
    key, fields = call.key(table, arguments), call.fields()
    record = key if isinstance(key, str) else find(org, table, key)
    row = org.store.get(table.name, record) if record else None
    check_write(call, table, record or arguments, row)
    by_key = "" if isinstance(key, str) else arguments
    if row is None:
        values = fields if isinstance(key, str) else {**fields, **_key_fields(table, key)}
        record = rules.create(org, call.caller, table.name, values, id=key if isinstance(key, str) else None)
        return written(call, table, record, is_new=True, key=by_key)
    assert record is not None
    rules.update(org, call.caller, table.name, record, fields)
    return written(call, table, record, is_new=False, key=by_key)


def _key_fields(table: Table, key: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of an alternate key as they stand in a payload."""
    plain = {name: value for name, value in key.items() if not table.columns[name].is_lookup}
    for name in key.keys() - plain.keys():
        target = table.columns[name].targets[0]
        plain[f"{target.navigation}@odata.bind"] = f"/{target.table}s({key[name]})"
    return plain


def deleted(call: Call) -> Answer:
    table = call.table(call.segments[0].name)
    record = call.record(table, call.segments[0].arguments or "")
    row = call.app.org.store.get(table.name, record)
    check_write(call, table, record, row)
    rules.delete(call.app.org, call.caller, table.name, record)
    call.about(table, record)
    return Answer(204)


# -- properties ------------------------------------------------------------------------------------


def _property(call: Call) -> tuple[Table, str, Column]:
    table = call.table(call.segments[0].name)
    record = call.record(table, call.segments[0].arguments or "")
    column = table.wires.get(call.segments[1].name)
    if column is None:
        raise no_segment(call.segments[1].name)
    call.row(table, record)
    call.about(table, record)
    return table, record, column


def _value(call: Call, table: Table, record: str, column: Column) -> Any:
    found = query.record(call.app.org, call.caller, table.name, record, {"$select": column.wire}, Prefer())
    return found.get(column.wire)


def read_property(call: Call) -> Answer:
    table, record, column = _property(call)
    value = _value(call, table, record, column)
    if value is None:
        return Answer(204)
    return Answer(data={**call.context(f"{table.set_name}({record})/{column.wire}"), "value": value})


def read_raw(call: Call) -> Answer:
    """`…/$value`: a body is its Base64 text, all else its plain text."""
    value = _value(call, *_property(call))
    if value is None:
        return Answer(204)
    if isinstance(value, LazyText):
        stream = base64_chunks(call.app.org.chunks(value.ref))
        return Answer(stream=stream, length=value.length, content_type="text/plain")
    text = {True: "true", False: "false"}.get(value, str(value)) if isinstance(value, bool) else str(value)
    return Answer(body=text.encode(), content_type="text/plain")


def write_property(call: Call) -> Answer:
    """PUT of one value: `{"value": …}`."""
    table, record, column = _property(call)
    check_write(call, table, record, call.app.org.store.get(table.name, record))
    rules.update(call.app.org, call.caller, table.name, record, {column.wire: call.fields().get("value")})
    return Answer(204)


def clear_property(call: Call) -> Answer:
    table, record, column = _property(call)
    check_write(call, table, record, call.app.org.store.get(table.name, record))
    rules.update(call.app.org, call.caller, table.name, record, {column.wire: None})
    return Answer(204)


# -- navigation ------------------------------------------------------------------------------------


def collection_of(call: Call, table: Table, name: str) -> tuple[Table, Column] | None:
    """The child table and its lookup behind a collection-valued navigation property."""
    schema = call.app.org.schema
    found = schema.collections[table.name].get(name)
    if found is None and table.activity:
        found = schema.collections["activitypointer"].get(name)
    return (schema.tables[found[0]], found[1]) if found else None


def navigated(call: Call) -> Answer:
    """`accounts(…)/primarycontactid`, `emails(…)/activity_pointer_activity_mime_attachment`."""
    table = call.table(call.segments[0].name)
    record = call.record(table, call.segments[0].arguments or "")
    step = call.segments[1]
    row = call.row(table, record)
    children = collection_of(call, table, step.name)
    if children is None:
        target = _single(call, table, row, step.name)
        return _read(call, *target) if target else Answer(204)
    child, column = children
    if step.arguments is not None:
        key = call.record(child, step.arguments)
        if (call.row(child, key).get(column.name) or ("", ""))[1] != record:
            raise DataverseError(404, "0x80040217", f"{child.name} With Id = {key} Does Not Exist")
        return _read(call, child, key)
    if len(call.segments) > 2:
        own = f"{column.wire} eq {record}"
        given = call.query.get("$filter")
        options = {**call.query, "$filter": f"{own} and ({given})" if given else own}
        return _counted(call, child, options)
    path = f"{table.set_name}({record})/{step.name}"
    return _list(call, child, within=(column, record), path=path)


def _single(call: Call, table: Table, row: Mapping[str, Any], name: str) -> tuple[Table, str] | None:
    """Where a single-valued navigation property leads, None if nowhere. Raises DataverseError if there is none."""
    if name not in table.single:
        raise no_segment(name)
    column, targets = table.single[name]
    reference = row.get(column.name)
    if reference is None or reference[0] not in {target.table for target in targets}:
        return None
    return call.app.org.schema.tables[reference[0]], reference[1]


def references(call: Call) -> Answer:
    """`…/$ref`: the addresses of the rows instead of the rows."""
    table = call.table(call.segments[0].name)
    record = call.record(table, call.segments[0].arguments or "")
    row, name = call.row(table, record), call.segments[1].name
    children = collection_of(call, table, name)
    if children is None:
        target = _single(call, table, row, name)
        if target is None:
            return Answer(204)
        return Answer(data={**call.context("$ref"), "@odata.id": call.address(*target)})
    child, column = children
    own = call.app.org.store.where(child.name, column.name, record)
    rows = [each for each in own if call.caller.may_read(child.name, each)]
    value = [{"@odata.id": call.address(child, each[child.key])} for each in rows]
    return Answer(data={**call.context("Collection($ref)"), "value": value})


def associated(call: Call) -> Answer:
    """POST or PUT to `…/$ref`: set the lookup behind the navigation property."""
    table = call.table(call.segments[0].name)
    record = call.record(table, call.segments[0].arguments or "")
    row, name = call.row(table, record), call.segments[1].name
    other, key = call.target(call.fields())
    children = collection_of(call, table, name)
    if children is None:
        if name not in table.single:
            raise no_segment(name)
        check_write(call, table, record, row)
        fields = {f"{name}@odata.bind": f"/{other.set_name}({key})"}
        rules.update(call.app.org, call.caller, table.name, record, fields)
    else:
        child, column = children
        call.row(child, key)
        _point(call, child, column, key, table, record)
    return Answer(204)


def _point(call: Call, child: Table, column: Column, key: str, table: Table, record: str) -> None:
    navigation = next(target.navigation for target in column.targets if target.table == table.name)
    fields = {f"{navigation}@odata.bind": f"/{table.set_name}({record})"}
    rules.update(call.app.org, call.caller, child.name, key, fields)


def disassociated(call: Call) -> Answer:
    """DELETE of `…/$ref`, with the other row in the path or in `$id`."""
    table = call.table(call.segments[0].name)
    record = call.record(table, call.segments[0].arguments or "")
    step = call.segments[1]
    call.row(table, record)
    children = collection_of(call, table, step.name)
    if children is None:
        if step.name not in table.single:
            raise no_segment(step.name)
        rules.update(call.app.org, call.caller, table.name, record, {step.name: None})
        return Answer(204)
    child, column = children
    if step.arguments is not None:
        key = call.record(child, step.arguments)
    else:
        _, key = call.target({"@odata.id": call.query.get("$id", "")})
    if (call.row(child, key).get(column.name) or ("", ""))[1] == record:
        navigation = next(target.navigation for target in column.targets if target.table == table.name)
        rules.update(call.app.org, call.caller, child.name, key, {navigation: None})
    return Answer(204)
