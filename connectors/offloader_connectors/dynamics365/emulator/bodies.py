"""What the platform computes for notes, attachments of activities, and file and image columns."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from PIL import Image

from offloader_connectors.dynamics365.emulator.schema import Column, Table
from offloader_connectors.dynamics365.emulator.store import Row
from offloader_connectors.dynamics365.emulator.values import encoded_length
from offloader_connectors.emulation.blobs import Blob, Blobs

if TYPE_CHECKING:
    from offloader_connectors.dynamics365.emulator.org import Org

#: what a note or attachment without a type gets
DEFAULT_MIME = "application/octet-stream"
#: what a row of activitymimeattachment shows of its attachment
SHARED = ("filename", "mimetype", "subject", "filesize", "_body")
_PICTURE_LIMIT = 16 * 1024 * 1024
_THUMBNAIL = (144, 144)


def body_value(blob: Blob) -> Row:
    """A body as a row holds it."""
    return {"ref": blob.ref, "size": blob.size, "md5": blob.md5}


def file_size(org: Org, body: Mapping[str, Any] | None) -> int | None:
    """What `filesize` says of a body, in bytes."""
    if body is None:
        return None
    return int(body["size"]) if org.options.filesize == "exact" else encoded_length(body["size"]) * 3 // 4


def compute(org: Org, table: Table, row: Row, given: Mapping[str, Any]) -> None:
    """Set the computed columns of a row of which `given` is new."""
    name = table.name
    if name in {"contact", "lead", "systemuser"}:
        row["fullname"] = " ".join(filter(None, [row.get("firstname"), row.get("lastname")])) or None
    elif name == "annotation":
        _note(org, row, given)
    elif name in {"activitymimeattachment", "attachment"} and "_body" in given:
        row["filesize"] = file_size(org, row.get("_body"))
    if table.activity:
        row["activitytypecode"] = name
    if "objecttypecode" in table.columns and row.get("objectid") and "objectid" in given:
        row["objecttypecode"] = row["objectid"][0] if isinstance(row["objectid"], tuple) else row.get("objecttypecode")
    if "_body" in given or "_documentbody" in given:
        if row.get("mimetype") is None and (row.get("_body") or row.get("_documentbody")):
            row["mimetype"] = DEFAULT_MIME
        if "_foreign" not in given:
            row.pop("_foreign", None)


def _note(org: Org, row: Row, given: Mapping[str, Any]) -> None:
    if "_documentbody" in given:
        row["filesize"] = file_size(org, row.get("_documentbody"))
        if org.options.isdocument == "body" or "isdocument" not in given:
            row["isdocument"] = bool(row.get("_documentbody"))


# -- attachments of activities ---------------------------------------------------------------------


def share_attachment(org: Org, row: Row) -> None:
    """Give a new row of activitymimeattachment its attachment: the one it names, or one of its own."""
    reference = row.get("attachmentid")
    siblings = org.store.where("activitymimeattachment", "objectid", row["objectid"]) if row.get("objectid") else []
    row.setdefault("attachmentnumber", len(siblings) + 1)
    if reference is not None:
        shared = org.store.tables["attachment"][reference[1]]
        row.update({name: shared[name] for name in SHARED if shared.get(name) is not None})
        return
    row["attachmentid"] = ("attachment", _new_attachment(org, row))


def _new_attachment(org: Org, row: Row) -> str:
    fields = {name: row[name] for name in SHARED if row.get(name) is not None}
    return org.writer.create(org.table("attachment"), fields, org.integration_user)


def update_shared(org: Org, row: Row, given: Mapping[str, Any], actor: str) -> Row:
    """Carry a change of a row's content to its attachment and to the rows that share it; the row as it is now."""
    changed = {name: row.get(name) for name in SHARED if name in given or name == "filesize"}
    if len(changed) < 2 or row.get("attachmentid") is None:
        return row
    reference = row["attachmentid"][1]
    rows = org.store.where("activitymimeattachment", "attachmentid", reference)
    others = [other for other in rows if other["activitymimeattachmentid"] != row["activitymimeattachmentid"]]
    if others and org.options.shared_update == "own":
        return row | {"attachmentid": ("attachment", _new_attachment(org, row))}
    org.writer.change(org.table("attachment"), reference, changed, actor)
    for other in others:
        fresh = {**other, **changed}
        if org.options.shared_update == "touching":
            fresh["versionnumber"] = org.store.next_version(other["versionnumber"])
        org.store.put("activitymimeattachment", fresh)
    return row


def drop_attachment(org: Org, row: Row) -> None:
    """After a row of activitymimeattachment went: its attachment goes with the last one."""
    reference = row.get("attachmentid")
    if reference and not org.store.keys_where("activitymimeattachment", "attachmentid", reference[1]):
        org.writer.remove(org.table("attachment"), reference[1])


def count_attachments(org: Org, reference: tuple[str, str] | None) -> None:
    """Keep an activity's own count; that is no change of the activity."""
    row = org.store.get(*reference) if reference else None
    if row is not None and reference is not None and "attachmentcount" in org.table(reference[0]).columns:
        count = len(org.store.keys_where("activitymimeattachment", "objectid", reference[1]))
        org.store.put(reference[0], {**row, "attachmentcount": count})


# -- file and image columns ------------------------------------------------------------------------


def set_file(org: Org, table: Table, record: str, column: Column, blob: Blob, name: str, mime: str, actor: str) -> str:
    """Put a file into a column of a record, in place of the one that was there; the id of the new file."""
    row = org.store.tables[table.name][record]
    old = row.get(_file_key(column))
    values: Row = {}
    file_id = org.store.next_id("fileattachment")
    if column.type == "image":
        moment = org.moment()
        token = int(moment.translate(str.maketrans("", "", "-T:Z")))
        url = f"/Image/download.aspx?Entity={table.name}&Attribute={column.name}&Id={record}&Timestamp={token}"
        values = {f"_{column.name}": body_value(org.blobs.put(thumbnail(org.blobs, blob)))}
        values |= {f"{column.name}_timestamp": token, f"{column.name}_url": url, f"{column.name}id": file_id}
    else:
        values = {column.name: file_id, f"{column.name}_name": name}
    org.writer.change(table, record, values, actor)
    if old and old in org.store.tables["fileattachment"]:
        org.writer.remove(org.table("fileattachment"), old)
    if column.type == "file" or column.full:
        fields = {"filename": name, "mimetype": mime, "filesizeinbytes": blob.size, "regardingfieldname": column.name}
        fields |= {"objectid": (table.name, record), "_body": body_value(blob), "createdon": org.moment()}
        org.writer.create(org.table("fileattachment"), fields, actor, file_id)
    return file_id


def _file_key(column: Column) -> str:
    return f"{column.name}id" if column.type == "image" else column.name


def file_of(org: Org, table: str, record: str, column: Column) -> Row | None:
    """The row of fileattachment that a column of a record holds."""
    row = org.store.tables[table].get(record)
    return org.store.tables["fileattachment"].get(row.get(_file_key(column)) or "") if row else None


def clear_file(org: Org, table: Table, record: str, column: Column, actor: str) -> None:
    """Empty a file or image column, its whole image included."""
    row = org.store.tables[table.name][record]
    old = row.get(_file_key(column))
    names = [column.name, f"{column.name}_name"]
    if column.type == "image":
        names = [f"_{column.name}", *(column.name + tail for tail in ("id", "_timestamp", "_url"))]
    org.writer.change(table, record, dict.fromkeys(names), actor)
    if old and old in org.store.tables["fileattachment"]:
        org.writer.remove(org.table("fileattachment"), old)


def thumbnail(blobs: Blobs, blob: Blob) -> bytes:
    """A picture of at most 144 by 144 pixels; a grey one for what is no picture."""
    picture = Image.new("RGB", _THUMBNAIL, (128, 128, 128))
    if blob.size <= _PICTURE_LIMIT and not blob.ref.startswith("synthetic-"):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                picture = Image.open(io.BytesIO(blobs.read(blob.ref))).convert("RGB")
                picture.thumbnail(_THUMBNAIL)
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
            pass
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()
