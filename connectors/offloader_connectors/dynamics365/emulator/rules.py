"""Creates, updates and deletes as the API carries them out: what the platform refuses, and what it does besides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from offloader_connectors.dynamics365.emulator.caller import Caller
from offloader_connectors.dynamics365.emulator.errors import DataverseError, invalid, not_found, unsupported
from offloader_connectors.dynamics365.emulator.ids import normal
from offloader_connectors.dynamics365.emulator.payload import Payload, read_payload
from offloader_connectors.dynamics365.emulator.schema import Table
from offloader_connectors.dynamics365.emulator.store import Row
from offloader_connectors.dynamics365.emulator.values import encoded_length

if TYPE_CHECKING:
    from offloader_connectors.dynamics365.emulator.org import Org

_BAD_NAME = set('\\/:*?"<>|')
_ATTACHMENT = "activitymimeattachment"
#: statuscodes of a mail that is on its way out
_ON_ITS_WAY = {6, 7}


def create(org: Org, caller: Caller, table: str, payload: Mapping[str, Any], *, id: str | None = None) -> str:
    """Create a row and return its id; `id` is the one that an upsert names. Raises DataverseError."""
    described = _writable(org, table, "Create")
    caller.check("Create", table)
    with org.store.transaction():
        org.tick()
        read = read_payload(org, described, payload, create=True)
        for column, (parent, fields) in read.parents.items():
            read.values[column] = (parent, create(org, caller, parent, fields))
        _check_required(described, read.values)
        _check_content(org, described, {}, read.values)
        if table == _ATTACHMENT:
            _check_mail(org, read.values, "0x8004022e", "The object cannot be updated because it is read-only.")
        record = org.writer.create(described, read.values, caller.user_id, normal(id) or read.id)
        _finish(org, caller, described, record, read)
    return record


def update(org: Org, caller: Caller, table: str, id: str, payload: Mapping[str, Any]) -> None:
    """Change a row. Raises DataverseError."""
    described = _writable(org, table, "Update")
    with org.store.transaction():
        org.tick()
        row = existing(org, described, id)
        caller.check("Write", table, row)
        read = read_payload(org, described, payload, create=False)
        for column, (parent, fields) in read.parents.items():
            read.values[column] = (parent, create(org, caller, parent, fields))
        _check_content(org, described, row, read.values)
        _check_state(described, row, read.values)
        if table == _ATTACHMENT:
            _check_mail(org, row, "0x8004022e", "The object cannot be updated because it is read-only.")
        org.writer.change(described, row[described.key], read.values, caller.user_id)
        if "_documentbody" in read.values or "_body" in read.values:
            org.resurrect(table, row)
        _finish(org, caller, described, row[described.key], read)


def delete(org: Org, caller: Caller, table: str, id: str, *, recoverable: bool = True) -> None:
    """Delete a row and what hangs on it; not `recoverable`: past the bin. Raises DataverseError."""
    described = _writable(org, table, "Delete")
    with org.store.transaction():
        org.tick()
        row = existing(org, described, id)
        caller.check("Delete", table, row)
        if table == _ATTACHMENT:
            _check_mail(org, row, "0x80040228", "The object cannot be deleted because it is read-only.")
        org.writer.remove(described, row[described.key], recoverable=recoverable)


def existing(org: Org, table: Table, id: str) -> Row:
    """The row with this id. Raises DataverseError 404."""
    row = org.store.get(table.name, normal(id) or "")
    if row is None:
        raise not_found(table.name, id)
    return row


def _writable(org: Org, table: str, message: str) -> Table:
    described = org.table(table)
    if not described.writable:
        raise unsupported(f"The '{message}' method does not support entities of type '{table}'.")
    return described


def _finish(org: Org, caller: Caller, table: Table, record: str, read: Payload) -> None:
    for column, blob in read.images.items():
        if blob is None:
            org.clear_file(table.name, record, column, actor=caller.user_id)
        else:
            name = f"{column}.img"
            org.set_file(table.name, record, column, file_name=name, body=blob, actor=caller.user_id)
    for child, lookup, fields in read.children:
        target = lookup.target(table.name)
        address = f"/{table.set_name}({record})"
        if target is None:
            raise invalid(f"{child}.{lookup.name} does not lead to {table.name}")
        create(org, caller, child, {**fields, f"{target.navigation}@odata.bind": address})


def _check_required(table: Table, values: Mapping[str, Any]) -> None:
    for column in table.columns.values():
        if column.required and column.default is None and values.get(column.name) is None:
            raise invalid(f"The required column '{column.name}' of '{table.name}' is missing.")
    if table.name == _ATTACHMENT and values.get("objectid") is None:
        raise DataverseError(400, "0x80050005", "An attachment needs the activity or template that it belongs to.")


def _check_state(table: Table, row: Row, values: Mapping[str, Any]) -> None:
    """A mail that went out or came in is never a draft again."""
    if table.name != "email" or row["statecode"] == 0:
        return
    if values.get("statecode") == 0 or values.get("statuscode") in {1, 8}:
        text = f"{values.get('statecode', 0)} is not a valid state transition of email with Id {row['activityid']}."
        raise DataverseError(400, "0x80048408", text)


def _check_mail(org: Org, row: Mapping[str, Any], code: str, message: str) -> None:
    """Attachments of a mail on its way out cannot be touched; of a completed one: open question."""
    kind, key = row.get("objectid") or ("", "")
    if kind != "email":
        return
    mail = org.store.get("email", key) or {}
    pending = mail.get("statuscode") in _ON_ITS_WAY and org.options.pending_mail_locked
    completed = mail.get("statecode", 0) != 0 and org.options.completed_mail_locked
    if pending or completed:
        raise DataverseError(400, code, message)


def _check_content(org: Org, table: Table, row: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """Names and sizes of files ("File size and type", attachments and notes)."""
    if table.name not in {"annotation", _ATTACHMENT}:
        return
    check_file(org, values.get("filename"), values.get("_documentbody") or values.get("_body"))
    touched = {"filename", "_documentbody", "_body"} & set(values)
    name = values["filename"] if "filename" in values else row.get("filename")
    if touched and name:
        check_extension(org, name)


def check_file(org: Org, name: str | None, body: Mapping[str, Any] | None) -> None:
    """Raises DataverseError for a name that cannot be one and for a body that is too large."""
    if name and (_BAD_NAME & set(name) or any(ord(char) < 32 for char in name)):
        raise DataverseError(400, "0x80044a08", "Attachment file name contains invalid characters.")
    if body is not None and encoded_length(body["size"]) > org.settings["maxuploadfilesize"]:
        raise DataverseError(400, "0x80044a02", "Attachment file size is too big.")


def check_extension(org: Org, name: str) -> None:
    """Raises DataverseError for an extension that the environment blocks."""
    blocked = {item.strip().lower() for item in (org.settings.get("blockedattachments") or "").split(";")}
    extension = name.rstrip(". ").rpartition(".")[2].lower() if "." in name else ""
    if extension and extension in blocked:
        text = "The attachment is either not a valid type or is too large. It cannot be uploaded or downloaded."
        raise DataverseError(400, "0x80043e09", text)
