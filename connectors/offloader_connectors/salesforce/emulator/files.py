"""What the platform does by itself with files, links between files and records, and attachments.

Sources: Object Reference, ContentVersion, ContentDocument, ContentDocumentLink, Attachment, EmailMessage.
"""

from __future__ import annotations

from pathlib import PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Any

from offloader_connectors.emulation.blobs import Blob
from offloader_connectors.salesforce.emulator.errors import SalesforceError, integrity
from offloader_connectors.salesforce.emulator.store import Row, kind_of

if TYPE_CHECKING:
    from offloader_connectors.salesforce.emulator.org import Org

_SAME = (
    "pdf",
    "csv",
    "png",
    "jpg",
    "gif",
    "bmp",
    "zip",
    "xml",
    "html",
    "rtf",
    "mp3",
    "mp4",
    "mov",
    "json",
    "svg",
    "exe",
)
_TYPES = {name: name.upper() for name in _SAME} | {
    "doc": "WORD",
    "docx": "WORD_X",
    "xls": "EXCEL",
    "xlsx": "EXCEL_X",
    "ppt": "POWER_POINT",
    "pptx": "POWER_POINT_X",
    "txt": "TEXT",
    "jpeg": "JPG",
    "htm": "HTML",
    "snote": "SNOTE",
}
MAX_VERSION = 2 * 1024**3


def extension(path: str) -> str:
    """The extension of a client's path, Windows or POSIX, without the dot."""
    name = PureWindowsPath(path).name if "\\" in path else PurePosixPath(path).name
    return name.rpartition(".")[2].lower()[:40] if "." in name else ""


def file_type(path: str) -> str:
    return _TYPES.get(extension(path), "UNKNOWN")


def check_version(values: Row) -> None:
    """The either-or rules between a body, a path and a URL. Raises SalesforceError."""
    body, url, body_id = values.get("_VersionData"), values.get("ContentUrl"), values.get("ContentBodyId")
    if body is not None and body_id:
        raise integrity(
            "Specify only one of these fields: VersionData or ContentBodyId.: Version Data", ["VersionData"]
        )
    if url and (body is not None or values.get("PathOnClient")):
        other = "VersionData" if body is not None else "PathOnClient"
        raise integrity(f"Specify only one of these fields: ContentUrl or {other}.", [other])
    if not url and body is None and not body_id:
        raise SalesforceError("REQUIRED_FIELD_MISSING", "Required fields are missing: [VersionData]", ["VersionData"])
    if not url and not values.get("PathOnClient"):
        raise SalesforceError("REQUIRED_FIELD_MISSING", "Required fields are missing: [PathOnClient]", ["PathOnClient"])
    if isinstance(body, dict) and body["size"] > MAX_VERSION:
        raise SalesforceError("FILE_SIZE_LIMIT_EXCEEDED", "The file exceeds the maximum size of 2 GB.", ["VersionData"])


def body_fields(org: Org, row: Row) -> Row:
    """The fields of a version that follow from its body or URL."""
    if row.get("ContentUrl"):
        kind = org.options.link_file_type
        return {"FileType": kind, "FileExtension": None, "ContentSize": 0, "ContentSizeLong": 0, "Checksum": None}
    body, path = row.get("_VersionData") or {"size": 0, "md5": None}, row.get("PathOnClient") or ""
    found = {"ContentSize": min(body["size"], 2**31 - 1), "ContentSizeLong": body["size"], "Checksum": body["md5"]}
    return {"FileType": file_type(path), "FileExtension": extension(path) or None, **found}


def create_version(org: Org, row: Row) -> None:
    """Everything that inserting a ContentVersion does, in the transaction of the caller."""
    row.setdefault("Title", default_title(row))
    row.update({name: value for name, value in body_fields(org, row).items() if row.get(name) is None})
    row.setdefault("ContentModifiedDate", row["CreatedDate"])
    row.setdefault("ContentModifiedById", row["CreatedById"])
    row["ContentBodyId"] = row.get("ContentBodyId") or (
        None if row.get("ContentUrl") else org.store.next_id("ContentBody")
    )
    row["IsLatest"] = True
    document_id = row.get("ContentDocumentId")
    if document_id:
        _add_version(org, row, document_id)
        return
    row.setdefault("OwnerId", row["CreatedById"])
    row["ContentDocumentId"] = document_id = org.store.next_id("ContentDocument")
    row["VersionNumber"] = "1"
    place = row.get("FirstPublishLocationId") or row["OwnerId"]
    row["FirstPublishLocationId"] = place
    row["PublishStatus"] = "R" if place == row["OwnerId"] else "P"
    org.store.put("ContentVersion", row)
    document = {name: row.get(name) for name in _SHARED}
    document |= {name: row.get(name) for name in ("CreatedById", "CreatedDate", "LastModifiedById", "LastModifiedDate")}
    document |= {"Id": document_id, "IsDeleted": False, "IsArchived": False, "LatestPublishedVersionId": row["Id"]}
    document |= {"SystemModstamp": row["SystemModstamp"], "OwnerId": row["OwnerId"], "IsInternalOnly": False}
    if kind_of(place) == "ContentWorkspace":
        document["ParentId"] = place
    org.store.put("ContentDocument", document)
    if row.get("IsAssetEnabled"):
        _make_asset(org, document)
    put_link(org, document_id, row["OwnerId"], share_type="I", visibility="AllUsers", moment=row["SystemModstamp"])
    if place != row["OwnerId"]:
        external = kind_of(place) in _RECORDLESS or not org.options.communities
        visibility = "AllUsers" if external else "InternalUsers"
        share = "I" if kind_of(place) == "ContentWorkspace" else "V"
        put_link(org, document_id, place, share_type=share, visibility=visibility, moment=row["SystemModstamp"])


_SHARED = ("Title", "Description", "FileType", "FileExtension", "ContentSize", "SharingOption", "SharingPrivacy",
           "PublishStatus", "ContentModifiedDate")  # fmt: skip
#: linked things that are no records: links to them know no InternalUsers
_RECORDLESS = {"User", "Group", "CollaborationGroup", "ContentWorkspace", "Organization"}


def default_title(row: Row) -> str:
    path = row.get("PathOnClient") or ""
    name = PureWindowsPath(path).name if "\\" in path else PurePosixPath(path).name
    return (name.rpartition(".")[0] or name)[:255] or (row.get("ContentUrl") or "Untitled")[:255]


def _make_asset(org: Org, document: Row) -> None:
    name = "".join(char if char.isalnum() and char.isascii() else "_" for char in document["Title"])[:80]
    asset = org.create(
        "ContentAsset", {"ContentDocumentId": document["Id"], "DeveloperName": name, "MasterLabel": name}
    )
    org.change(document["Id"], {"ContentAssetId": asset}, touch=False)


def _add_version(org: Org, row: Row, document_id: str) -> None:
    document = org.store.get(document_id, "ContentDocument")
    assert document is not None
    latest = org.store.get(document["LatestPublishedVersionId"], "ContentVersion")
    assert latest is not None
    numbers = [
        int(version["VersionNumber"]) for version in org.store.where("ContentVersion", "ContentDocumentId", document_id)
    ]
    org.store.put(
        "ContentVersion",
        {**latest, "IsLatest": False, "SystemModstamp": max(latest["SystemModstamp"], row["SystemModstamp"])},
    )
    row["VersionNumber"] = str(max(numbers) + 1)
    row["OwnerId"] = document["OwnerId"]
    row["PublishStatus"] = latest["PublishStatus"]
    row["FirstPublishLocationId"] = latest.get("FirstPublishLocationId")
    org.store.put("ContentVersion", row)
    shared = {name: row.get(name) for name in _SHARED}
    shared |= {"LatestPublishedVersionId": row["Id"], "LastModifiedDate": row["CreatedDate"]}
    shared |= {"LastModifiedById": row["CreatedById"], "SystemModstamp": row["SystemModstamp"]}
    org.store.put("ContentDocument", {**document, **shared})


def put_link(org: Org, document_id: str, entity_id: str, *, share_type: str, visibility: str, moment: str) -> str:
    """Store a ContentDocumentLink row without any check."""
    link_id = org.store.next_id("ContentDocumentLink")
    row = {"Id": link_id, "ContentDocumentId": document_id, "LinkedEntityId": entity_id, "ShareType": share_type}
    org.store.put("ContentDocumentLink", row | {"Visibility": visibility, "IsDeleted": False, "SystemModstamp": moment})
    return link_id


def find_link(org: Org, document_id: str, entity_id: str) -> Row | None:
    links = org.store.where("ContentDocumentLink", "ContentDocumentId", document_id)
    return next((link for link in links if link["LinkedEntityId"] == entity_id), None)


def create_link(org: Org, row: Row) -> None:
    """Insert a ContentDocumentLink as a user does it: duplicates are refused, the file counts as modified."""
    document_id, entity_id = row["ContentDocumentId"], row["LinkedEntityId"]
    if find_link(org, document_id, entity_id):
        text = f"Document with ID: {document_id} is already linked with the entity with ID: {entity_id}"
        raise SalesforceError("DUPLICATE_VALUE", text, ["LinkedEntityId"])
    if not row.get("Visibility"):
        record = kind_of(entity_id) not in _RECORDLESS
        row["Visibility"] = "InternalUsers" if record and org.options.communities else "AllUsers"
    org.store.put("ContentDocumentLink", row)
    document = org.store.get(document_id, "ContentDocument")
    assert document is not None
    for kind, key in (("ContentDocument", document_id), ("ContentVersion", document["LatestPublishedVersionId"])):
        file = org.store.get(key, kind)
        if file:
            moment = row["SystemModstamp"]
            org.store.put(kind, {**file, "LastModifiedDate": moment, "SystemModstamp": moment, "PublishStatus": "P"})
    note_email(org, entity_id)


def check_link(org: Org, row: Row, *, update_email: bool) -> None:
    """The rules of a new or changed ContentDocumentLink. Raises SalesforceError."""
    entity, visibility = kind_of(row["LinkedEntityId"]), row.get("Visibility")
    if visibility in {"InternalUsers", "SharedUsers"} and (entity in _RECORDLESS or not org.options.communities):
        raise integrity(f"Visibility {visibility} is not permitted for this linked record.", ["Visibility"])
    if entity == "EmailMessage" and not update_email:
        message = org.store.get(row["LinkedEntityId"], "EmailMessage")
        if message and message.get("Status") != "5":
            text = "You can't create a link for Email Message when it's not in draft state."
            raise SalesforceError("INSUFFICIENT_ACCESS_OR_READONLY", text, ["LinkedEntityId"])


def check_owner(org: Org, owner: str, *, inactive_allowed: bool) -> None:
    """A file's owner is an active user. Raises SalesforceError."""
    user = org.store.get(owner, "User")
    if kind_of(owner) != "User":
        raise integrity(f"Owner ID: id value of incorrect type: {owner}", ["OwnerId"])
    if user is None:
        raise SalesforceError("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id", ["OwnerId"])
    if not user.get("IsActive") and not inactive_allowed:
        text = f"operation performed with inactive user [{owner}] as owner of contentdocument"
        raise SalesforceError("INACTIVE_OWNER_OR_USER", text, [])


def is_owner_link(org: Org, link: Row) -> bool:
    document = org.store.get(link["ContentDocumentId"], "ContentDocument")
    return bool(document and document["OwnerId"] == link["LinkedEntityId"] and link["ShareType"] == "I")


def change_owner(org: Org, document_id: str, old: str, new: str, moment: str) -> None:
    """The owner's link goes with the ownership."""
    if existing := find_link(org, document_id, new):
        org.store.put("ContentDocumentLink", {**existing, "IsDeleted": True, "SystemModstamp": moment})
    if link := find_link(org, document_id, old):
        org.store.put("ContentDocumentLink", {**link, "IsDeleted": True, "SystemModstamp": moment})
    put_link(org, document_id, new, share_type="I", visibility="AllUsers", moment=moment)
    for version in org.store.where("ContentVersion", "ContentDocumentId", document_id):
        if version["OwnerId"] != new:
            org.store.put("ContentVersion", {**version, "OwnerId": new, "SystemModstamp": moment})


def after_change(org: Org, kind: str, old: Row, row: Row) -> None:
    """Keep a document and its latest version alike after one of them changed."""
    if kind == "ContentDocument":
        _follow_document(org, old, row)
    elif kind == "ContentVersion" and row["IsLatest"]:
        document = org.store.get(row["ContentDocumentId"], "ContentDocument")
        assert document is not None
        if row["OwnerId"] != document["OwnerId"]:
            change_owner(org, document["Id"], document["OwnerId"], row["OwnerId"], row["SystemModstamp"])
        shared = {name: row.get(name) for name in _SHARED} | {"OwnerId": row["OwnerId"]}
        moved = {name: row[name] for name in ("LastModifiedDate", "LastModifiedById", "SystemModstamp")}
        org.store.put("ContentDocument", {**document, **shared, **moved})


def _follow_document(org: Org, old: Row, row: Row) -> None:
    if old["OwnerId"] != row["OwnerId"]:
        change_owner(org, row["Id"], old["OwnerId"], row["OwnerId"], row["SystemModstamp"])
    names = ("Title", "Description", "SharingOption", "SharingPrivacy")
    changed = {name: row.get(name) for name in names if old.get(name) != row.get(name)}
    latest = org.store.get(row["LatestPublishedVersionId"], "ContentVersion")
    if changed and latest:
        org.store.put("ContentVersion", {**latest, **changed, "SystemModstamp": row["SystemModstamp"]})


def check_attachment(org: Org, row: Row) -> None:
    """Size and extension of an Attachment. Raises SalesforceError."""
    body = row.get("_Body")
    if body and body["size"] > org.options.attachment_limit:
        text = f"Attachment exceeds the maximum size of {org.options.attachment_limit} bytes"
        raise SalesforceError("FILE_SIZE_LIMIT_EXCEEDED", text, ["Body"])
    if extension(row.get("Name") or "") in org.options.blocked_extensions:
        text = "Your company doesn't support the following file types: " + ", ".join(org.options.blocked_extensions)
        raise SalesforceError("FIELD_INTEGRITY_EXCEPTION", text, ["Name"])


def note_email(org: Org, entity_id: str) -> None:
    """EmailMessage.HasAttachment follows from what hangs on the message."""
    message = org.store.get(entity_id, "EmailMessage") if kind_of(entity_id) == "EmailMessage" else None
    if message and not message.get("HasAttachment"):
        org.store.put("EmailMessage", {**message, "HasAttachment": True})


def blob_value(blob: Blob) -> dict[str, Any]:
    return {"ref": blob.ref, "size": blob.size, "md5": blob.md5}
