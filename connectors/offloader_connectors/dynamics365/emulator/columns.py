"""File and image columns by their addresses ("Use file column data", "Use image column data")."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, unquote

from offloader_connectors.dynamics365.emulator.blocks import Held, held, keep_file, put_together
from offloader_connectors.dynamics365.emulator.bodies import DEFAULT_MIME
from offloader_connectors.dynamics365.emulator.calls import Call, file_column
from offloader_connectors.dynamics365.emulator.conditional import check_write
from offloader_connectors.dynamics365.emulator.errors import DataverseError, exists, no_segment, not_found
from offloader_connectors.dynamics365.emulator.render import LazyText, base64_chunks
from offloader_connectors.dynamics365.emulator.schema import Column, Table
from offloader_connectors.dynamics365.emulator.storage import parse_range
from offloader_connectors.emulation.blobs import Blob
from offloader_connectors.emulation.wire import Answer

_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")
_EXPOSED = "x-ms-file-name, x-ms-file-size, x-ms-chunk-size, mimetype, Content-Disposition"
_NOT_IN_HEADERS = re.compile(r"[^\x20-\x7e]")
#: most bytes of an upload by a single request
_SINGLE = 128 * 1024 * 1024


def _named(call: Call) -> tuple[Table, str, Column]:
    table = call.table(call.segments[0].name)
    record = call.record(table, call.segments[0].arguments or "")
    column = file_column(table, call.segments[1].name)
    if column is None:
        raise no_segment(call.segments[1].name)
    call.about(table, record)
    return table, record, column


def read(call: Call) -> Answer:
    """`…/column/$value`: raw bytes; `…/column`: the same as JSON. 204 for an empty column."""
    table, record, column = _named(call)
    row = call.row(table, record)
    raw = call.segments[-1].name == "$value"
    thumbnail = column.type == "image" and call.query.get("size", "").lower() != "full"
    if thumbnail:
        return _thumbnail(call, table, record, column, row, raw=raw)
    try:
        found = held(call.app.org, table, record, column, row)
    except DataverseError as error:
        if error.status == 404:
            return Answer(204)
        raise
    return _file(call, table, record, column, found, raw=raw)


def _thumbnail(call: Call, table: Table, record: str, column: Column, row: Mapping[str, Any], *, raw: bool) -> Answer:
    body = row.get(f"_{column.name}")
    if body is None:
        return Answer(204)
    if raw:
        headers = {"mimetype": "image/png", "Access-Control-Expose-Headers": _EXPOSED}
        stream = call.app.org.chunks(body)
        return Answer(stream=stream, length=body["size"], content_type=DEFAULT_MIME, headers=headers)
    context = call.context(f"{table.set_name}({record})/{column.name}")
    return Answer(data={**context, "value": LazyText(body["ref"], size=body["size"])})


def _file(call: Call, table: Table, record: str, column: Column, found: Held, *, raw: bool) -> Answer:
    status, start, length = 200, 0, found.size
    headers = {
        "x-ms-file-name": quote(found.file_name, safe=" !#$&'()+,-.;=@[]^_`{}~"),
        "x-ms-file-size": str(found.size),
        "mimetype": _NOT_IN_HEADERS.sub("?", found.mime_type),
        "Access-Control-Expose-Headers": _EXPOSED,
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(found.file_name, safe='')}",
    }
    wanted = call.header("range")
    if wanted is not None:
        span = parse_range(wanted, found.size)
        if span is None:
            raise DataverseError(416, "0x80040203", "The requested range is outside of the file.")
        start, length = span
        if not call.app.org.options.chunking and length < found.size:
            text = "Downloading in multiple chunks is not supported for the files stored in the database."
            raise DataverseError(400, "0x80090017", text)
        status = 206
        headers["x-ms-chunk-size"] = str(call.app.protocol.block_bytes)
        headers["Content-Range"] = f"bytes {start}-{start + length - 1}/{found.size}"
    chunks = call.app.org.blobs.span(found.ref, start, length)
    if raw:
        return Answer(status, stream=chunks, length=length, content_type=DEFAULT_MIME, headers=headers)
    headers["Location"] = f"{call.root}{table.set_name}({record})/{column.name}?size=full"
    context = f'{{"@odata.context":"{call.root}$metadata#{table.set_name}({record})/{column.name}","value":"'
    return Answer(status, stream=_json(context, chunks), headers=headers)


def _json(head: str, chunks: Iterator[bytes]) -> Iterator[bytes]:
    yield head.encode()
    yield from base64_chunks(chunks)
    yield b'"}'


def write(call: Call) -> Answer:
    """PATCH: a whole file, the beginning of an upload in chunks, or one chunk of it."""
    table, record, column = _named(call)
    if "sessiontoken" in call.query:
        return _chunk(call, table, record, column)
    row = call.app.org.store.get(table.name, record)
    if row is None:
        raise not_found(table.name, record)
    call.caller.check("Write", table.name, row)
    _check_empty(call, table, record, column, row)
    name = unquote(call.header("x-ms-file-name") or call.query.get("x-ms-file-name", ""))
    if call.header("x-ms-transfer-mode") == "chunked":
        return _begin(call, table, record, column, name)
    blob = _body(call)
    if blob.size > _SINGLE:
        raise DataverseError(413, "0x80044a02", "A single request can upload at most 128 MB.")
    file_id = keep_file(call, table, record, column, blob, name, _mime(call))
    return Answer(204, headers={"x-ms-file-id": file_id})


def _check_empty(call: Call, table: Table, record: str, column: Column, row: Mapping[str, Any]) -> None:
    """`If-None-Match: null` (or `*`) wants an empty column; If-Match is about the row. Raises DataverseError 412."""
    none = (call.header("if-none-match") or "").strip().strip('"')
    if none.lower() in {"null", "*"}:
        if call.app.org.file_of(table.name, record, column.name) is not None:
            raise exists()
    else:
        check_write(call, table, record, row)


def _body(call: Call) -> Blob:
    return call.request.blob or call.app.org.blobs.put(call.request.body)


def _mime(call: Call) -> str:
    return (call.header("content-type") or DEFAULT_MIME).partition(";")[0].strip()


def _begin(call: Call, table: Table, record: str, column: Column, name: str) -> Answer:
    protocol = call.app.protocol
    keys = {"table": table, "record": record, "column": column, "file_name": name}
    token = call.app.transfers.begin(call, protocol.token_seconds, **keys)
    location = f"{call.root}{table.set_name}({record})/{column.name}?sessiontoken={token}"
    headers = {"Location": location, "x-ms-chunk-size": str(protocol.block_bytes), "Accept-Ranges": "bytes"}
    return Answer(200, body=b"", headers={**headers, "Access-Control-Expose-Headers": "Location, x-ms-chunk-size"})


def _chunk(call: Call, table: Table, record: str, column: Column) -> Answer:
    token = call.query["sessiontoken"]
    transfer = call.app.transfers.get(call, token)
    if (transfer.table.name, transfer.record) != (table.name, record) or transfer.column is not column:
        raise DataverseError(400, "0x80090002", "The session token was given for another file.")
    match = _CONTENT_RANGE.fullmatch(call.header("content-range") or "")
    blob, arrived = _body(call), sum(part.size for part in transfer.chunks)
    if match is None or int(match[2]) - int(match[1]) + 1 != blob.size or int(match[1]) != arrived:
        text = f"The Content-Range does not fit: the next chunk begins at {arrived}, and its length must be the body's."
        raise DataverseError(400, "0x80040203", text)
    transfer.chunks.append(blob)
    end, total = int(match[2]) + 1, int(match[3])
    if end < total:
        return Answer(206, body=b"", headers={"x-ms-chunk-size": str(call.app.protocol.block_bytes)})
    whole = put_together(call.app.org, transfer.chunks)
    name = transfer.file_name or unquote(call.header("x-ms-file-name") or "")
    file_id = keep_file(call, table, record, column, whole, name, _mime(call))
    call.app.transfers.end(token)
    return Answer(204, headers={"x-ms-file-id": file_id})


def delete(call: Call) -> Answer:
    table, record, column = _named(call)
    row = call.app.org.store.get(table.name, record)
    if row is None:
        raise not_found(table.name, record)
    call.caller.check("Write", table.name, row)
    check_write(call, table, record, row)
    call.app.org.clear_file(table.name, record, column.name, actor=call.caller.user_id)
    return Answer(204)


def delete_file(call: Call) -> Answer:
    """The message DeleteFile: a file by its own id, wherever it is."""
    org, file_id = call.app.org, str(call.fields().get("FileId", "")).lower()
    found = org.store.get("fileattachment", file_id)
    if found is None:
        raise DataverseError(404, "0x80040217", f"fileattachment With Id = {file_id[:64]} Does Not Exist")
    name, record = found["objectid"]
    table = org.table(name)
    call.caller.check("Write", name, org.store.tables[name][record])
    org.clear_file(name, record, found["regardingfieldname"], actor=call.caller.user_id)
    call.about(table, record)
    return Answer(204)
