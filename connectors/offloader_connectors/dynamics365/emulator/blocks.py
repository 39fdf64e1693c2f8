"""Bodies in blocks, and their download addresses ("Use file column data", "Use file data with Attachment and Note
records").
"""

from __future__ import annotations

import base64
import binascii
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from offloader_connectors.dynamics365.emulator import paths, rules
from offloader_connectors.dynamics365.emulator.bodies import DEFAULT_MIME, body_value
from offloader_connectors.dynamics365.emulator.calls import Call, file_column
from offloader_connectors.dynamics365.emulator.errors import DataverseError, no_property
from offloader_connectors.dynamics365.emulator.schema import Column, Table
from offloader_connectors.dynamics365.emulator.store import RETAINED
from offloader_connectors.emulation.blobs import Blob
from offloader_connectors.emulation.wire import Answer

if TYPE_CHECKING:
    from offloader_connectors.dynamics365.emulator.org import Org

NOTE, ATTACHMENT = "annotation", "activitymimeattachment"
#: the column that holds the body of a note or an attachment
BODY = {NOTE: "documentbody", ATTACHMENT: "body"}
#: bytes of the decoded id of a block
_MAX_BLOCK_ID = 64


@dataclass(slots=True)
class Transfer:
    """A download or an upload that was begun: what it is for, by whom, and until when its token can be used."""

    user: str
    expires: datetime
    table: Table
    record: str | None
    column: Column | None
    #: of a download: the body
    body: Mapping[str, Any] | None = None
    file_name: str = ""
    #: of an upload: the bodies of its blocks by id
    blocks: dict[str, Blob] = field(default_factory=dict)
    #: of a chunked upload: what has arrived
    chunks: list[Blob] = field(default_factory=list)


class Transfers:
    """Downloads and uploads under way, by token. A restart forgets them."""

    def __init__(self, org: Org) -> None:
        self._org = org
        self._known: dict[str, Transfer] = {}

    def clear(self) -> None:
        self._known.clear()

    def begin(self, call: Call, seconds: int, **keys: Any) -> str:
        now = self._org.now()
        for token in [token for token, known in self._known.items() if known.expires <= now]:
            del self._known[token]
        token = secrets.token_urlsafe(48)
        self._known[token] = Transfer(user=call.caller.user_id, expires=now + timedelta(seconds=seconds), **keys)
        return token

    def get(self, call: Call, token: object) -> Transfer:
        """Raises DataverseError for a token that is unknown, expired, or somebody else's."""
        found = self._known.get(token) if isinstance(token, str) else None
        if found is None or found.expires <= self._org.now() or found.user != call.caller.user_id:
            raise DataverseError(400, "0x80090002", "The file continuation token is not valid, or it has expired.")
        return found

    def end(self, token: str) -> None:
        self._known.pop(token, None)


# -- what there is to read -------------------------------------------------------------------------


def no_file(column: str, record: str) -> DataverseError:
    text = f"No file attachment found for attribute: {column} EntityId: {record}."
    return DataverseError(404, "0x80040217", text)


@dataclass(frozen=True, slots=True)
class Held:
    """A body with what is told of it."""

    body: Mapping[str, Any]
    file_name: str
    mime_type: str

    @property
    def size(self) -> int:
        return int(self.body["size"])

    @property
    def ref(self) -> str:
        return str(self.body["ref"])


def held(org: Org, table: Table, record: str, column: Column | None, row: Mapping[str, Any]) -> Held:
    """The body of a note, an attachment, or a file or image column. Raises DataverseError 404 if it has none."""
    if column is None:
        name = BODY[table.name]
        body = row.get("_foreign") or row.get(f"_{name}")
        if body is None:
            raise no_file(name, record)
        return Held(body, row.get("filename") or "", row.get("mimetype") or DEFAULT_MIME)
    found = org.file_of(table.name, record, column.name)
    if found is None:
        raise no_file(column.name, record)
    return Held(found["_body"], found.get("filename") or "", found.get("mimetype") or DEFAULT_MIME)


def target_column(table: Table, name: object) -> Column | None:
    """The column that a message names; None for the body of a note or an attachment. Raises DataverseError."""
    if table.name in BODY and name in {"", None, BODY[table.name]}:
        return None
    column = file_column(table, str(name))
    if column is None:
        raise no_property(str(name), table.name)
    return column


def download_address(call: Call) -> Answer:
    """GetFileSasUrl(Target=…,FileAttributeName=…,DataSource=…)."""
    org, protocol = call.app.org, call.app.protocol
    given = paths.named(call.segments[0].arguments, call.query)
    if call.inner and not protocol.sas_in_batch:
        raise DataverseError(400, "0x80040203", "GetFileSasUrl cannot be part of a batch.")
    if not org.options.sas or not org.options.chunking:
        text = "Downloading with a shared access signature is not supported for the files stored in the database."
        raise DataverseError(400, "0x80090017", text)
    table, record = call.target(given.get("Target"))
    column = target_column(table, given.get("FileAttributeName"))
    row = _row_of(call, table, record, given.get("DataSource"))
    found = held(org, table, record, column, row)
    call.about(table, record)
    url = call.app.storage.sign(found.ref, found.size, found.file_name, found.mime_type, protocol.sas_seconds)
    result = {"FileName": found.file_name, "FileSizeInBytes": found.size, "MimeType": found.mime_type, "SasUrl": url}
    return call.response("GetFileSasUrl", {"Result": result})


def _row_of(call: Call, table: Table, record: str, source: object) -> Mapping[str, Any]:
    if source == "retained":
        entry = call.app.org.store.get(RETAINED, f"{table.name}/{record}")
        if entry is not None:
            call.caller.check("Read", table.name)
            row: Mapping[str, Any] = entry["row"]
            return row
    return call.row(table, record)


# -- down ------------------------------------------------------------------------------------------


def begin_note_download(call: Call) -> Answer:
    return _begin_download(call, NOTE)


def begin_attachment_download(call: Call) -> Answer:
    return _begin_download(call, ATTACHMENT)


def _begin_download(call: Call, wanted: str) -> Answer:
    table, record = _message_target(call, wanted)
    return _download(call, table, record, None, f"Initialize{_WORDS[wanted]}BlocksDownload", {})


def begin_file_download(call: Call) -> Answer:
    fields = call.fields()
    table, record = call.target(fields.get("Target"))
    column = target_column(table, fields.get("FileAttributeName"))
    extra = {"IsChunkingSupported": call.app.org.options.chunking}
    return _download(call, table, record, column, "InitializeFileBlocksDownload", extra)


_WORDS = {NOTE: "Annotation", ATTACHMENT: "Attachment"}


def _message_target(call: Call, wanted: str) -> tuple[Table, str]:
    table, record = call.target(call.fields().get("Target"))
    if table.name != wanted:
        raise DataverseError(400, "0x80040203", f"The target must be a record of {wanted}.")
    return table, record


def _download(
    call: Call, table: Table, record: str, column: Column | None, message: str, extra: Mapping[str, Any]
) -> Answer:
    found = held(call.app.org, table, record, column, call.row(table, record))
    call.about(table, record)
    keys = {"table": table, "record": record, "column": column, "body": found.body, "file_name": found.file_name}
    token = call.app.transfers.begin(call, call.app.protocol.token_seconds, **keys)
    values = {"FileContinuationToken": token, "FileSizeInBytes": found.size, "FileName": found.file_name}
    return call.response(message, {**values, **extra})


def download_block(call: Call) -> Answer:
    fields = call.fields()
    transfer = call.app.transfers.get(call, fields.get("FileContinuationToken"))
    offset, length = fields.get("Offset", 0), fields.get("BlockLength", 0)
    if transfer.body is None or not _whole(offset) or not _whole(length):
        raise DataverseError(400, "0x80040203", "Offset and BlockLength must be numbers, of a download.")
    size = int(transfer.body["size"])
    if not 0 <= offset <= size or not 0 < length <= max(size, call.app.protocol.block_bytes):
        raise DataverseError(400, "0x80040203", f"Offset {offset} with BlockLength {length} is outside of the file.")
    if not call.app.org.options.chunking and (offset or length < size):
        text = "Downloading in multiple chunks is not supported for the files stored in the database."
        raise DataverseError(400, "0x80090017", text)
    if transfer.record:
        call.about(transfer.table, transfer.record)
    data = b"".join(call.app.org.blobs.span(str(transfer.body["ref"]), offset, length))
    return call.response("DownloadBlock", {"Data": base64.b64encode(data).decode()})


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


# -- up --------------------------------------------------------------------------------------------


def begin_note_upload(call: Call) -> Answer:
    return _begin_upload(call, NOTE)


def begin_attachment_upload(call: Call) -> Answer:
    return _begin_upload(call, ATTACHMENT)


def _begin_upload(call: Call, wanted: str) -> Answer:
    table, record = _entity(call, wanted)
    call.caller.check("Write" if record else "Create", table.name)
    return _upload(call, table, record, None, f"Initialize{_WORDS[wanted]}BlocksUpload")


def _entity(call: Call, wanted: str) -> tuple[Table, str | None]:
    """The table of an entity in a body, and its id if it names one. Raises DataverseError."""
    target = call.fields().get("Target")
    table = call.app.org.table(wanted)
    if not isinstance(target, Mapping) or not str(target.get("@odata.type", "")).endswith(f".{wanted}"):
        raise DataverseError(400, "0x80040203", f"The target must be a record of {wanted} with its @odata.type.")
    key = target.get(table.key)
    return table, call.record(table, str(key)) if key else None


def begin_file_upload(call: Call) -> Answer:
    fields = call.fields()
    table, record = call.target(fields.get("Target"))
    column = target_column(table, fields.get("FileAttributeName"))
    call.caller.check("Write", table.name, call.row(table, record))
    return _upload(call, table, record, column, "InitializeFileBlocksUpload", str(fields.get("FileName") or ""))


def _upload(
    call: Call, table: Table, record: str | None, column: Column | None, message: str, file_name: str = ""
) -> Answer:
    keys = {"table": table, "record": record, "column": column, "file_name": file_name}
    token = call.app.transfers.begin(call, call.app.protocol.token_seconds, **keys)
    return call.response(message, {"FileContinuationToken": token})


def upload_block(call: Call) -> Answer:
    fields = call.fields()
    transfer = call.app.transfers.get(call, fields.get("FileContinuationToken"))
    block, data = fields.get("BlockId"), fields.get("BlockData")
    try:
        length = len(base64.b64decode(str(block), validate=True))
        blob = (
            data if isinstance(data, Blob) else call.app.org.blobs.put(binascii.a2b_base64(str(data), strict_mode=True))
        )
    except ValueError:
        raise DataverseError(400, "0x80040203", "BlockId and BlockData must be Base64.") from None
    lengths = {len(known) for known in transfer.blocks} | {len(str(block))}
    if not 0 < length <= _MAX_BLOCK_ID or len(lengths) > 1:
        text = f"The ids of all blocks must be of one length, of at most {_MAX_BLOCK_ID} bytes."
        raise DataverseError(400, "0x80040203", text)
    if blob.size > call.app.protocol.block_bytes:
        text = f"A block can have at most {call.app.protocol.block_bytes} bytes."
        raise DataverseError(400, "0x80044a02", text)
    transfer.blocks[str(block)] = blob
    return Answer(204)


def commit_note(call: Call) -> Answer:
    return _commit_body(call, NOTE, "CommitAnnotationBlocksUpload", "AnnotationId")


def commit_attachment(call: Call) -> Answer:
    return _commit_body(call, ATTACHMENT, "CommitAttachmentBlocksUpload", "ActivityMimeAttachmentId")


def _commit_body(call: Call, wanted: str, message: str, answered: str) -> Answer:
    """A note is created or changed; an attachment can only be created."""
    org, fields = call.app.org, call.fields()
    token = fields.get("FileContinuationToken")
    transfer = call.app.transfers.get(call, token)
    table, record = _entity(call, wanted)
    if transfer.table.name != wanted or transfer.column is not None or transfer.record != record:
        raise DataverseError(400, "0x80090002", "The file continuation token was given for another record.")
    blob = joined(org, transfer, fields.get("BlockList"))
    if blob.size > org.settings["maxuploadfilesize"]:
        raise DataverseError(400, "0x80044a02", "Attachment file size is too big.")
    values = {name: value for name, value in fields["Target"].items() if name not in {BODY[wanted], table.key}}
    exists = record is not None and org.store.get(wanted, record) is not None
    if exists and wanted == ATTACHMENT:
        raise DataverseError(412, "0x80040237", "A record with matching key values already exists.")
    if exists and record is not None:
        rules.update(org, call.caller, wanted, record, values)
    else:
        record = rules.create(org, call.caller, wanted, values, id=record)
    org.writer.change(table, record, {f"_{BODY[wanted]}": body_value(blob)}, call.caller.user_id)
    call.about(table, record)
    call.app.transfers.end(str(token))
    return call.response(message, {answered: record, "FileSizeInBytes": blob.size})


def commit_file(call: Call) -> Answer:
    org, fields = call.app.org, call.fields()
    token = fields.get("FileContinuationToken")
    transfer = call.app.transfers.get(call, token)
    if transfer.column is None or transfer.record is None:
        raise DataverseError(400, "0x80090002", "The file continuation token was not given for a file column.")
    blob = joined(org, transfer, fields.get("BlockList"))
    name = str(fields.get("FileName") or transfer.file_name)
    mime = str(fields.get("MimeType") or DEFAULT_MIME)
    call.caller.check("Write", transfer.table.name, call.row(transfer.table, transfer.record))
    file_id = keep_file(call, transfer.table, transfer.record, transfer.column, blob, name, mime)
    call.app.transfers.end(str(token))
    return call.response("CommitFileBlocksUpload", {"FileId": file_id, "FileSizeInBytes": blob.size})


def keep_file(call: Call, table: Table, record: str, column: Column, blob: Blob, name: str, mime: str) -> str:
    """Put a file into a column; its id. Raises DataverseError for one that the column or the environment refuses."""
    org = call.app.org
    if not name:
        raise DataverseError(400, "0x80044a08", "A file needs a name: x-ms-file-name is missing.")
    if blob.size > column.max_kib * 1024:
        raise DataverseError(400, "0x80044a02", "Attachment file size is too big.")
    rules.check_file(org, name, None)
    rules.check_extension(org, name)
    call.about(table, record)
    return org.set_file(
        table.name, record, column.name, file_name=name, body=blob, mime_type=mime, actor=call.caller.user_id
    )


def joined(org: Org, transfer: Transfer, listed: object) -> Blob:
    """One body of the blocks in the order of the list. Raises DataverseError for a block that is not there."""
    if not isinstance(listed, list) or any(block not in transfer.blocks for block in listed):
        raise DataverseError(400, "0x80040203", "The block list names a block that was not uploaded.")
    return put_together(org, [transfer.blocks[block] for block in listed])


def put_together(org: Org, parts: list[Blob]) -> Blob:
    with org.blobs.spool() as spool:
        for part in parts:
            for chunk in org.blobs.chunks(part.ref):
                spool.write(chunk)
        return spool.done()
