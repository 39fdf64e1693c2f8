"""Rows of the CRM as documents: which fields are read, and what they mean."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from offloader.model import Checksum, Document, DocumentRef, Parent, Strategy, Version
from offloader_connectors.salesforce import rows, skip, soql
from offloader_connectors.salesforce.org import Org
from offloader_connectors.salesforce.rows import Row

FILES = "ContentDocument"
ATTACHMENTS = "Attachment"
EMAIL = "EmailMessage"
#: how a link file takes the place of a record's attachment: who reads the record reads it, nobody edits it
ATTACHMENT_SHARING = {"ShareType": "V", "Visibility": "AllUsers"}

_VERSION_FIELDS = (
    "Id",
    "ContentDocumentId",
    "VersionNumber",
    "IsLatest",
    "Title",
    "PathOnClient",
    "Description",
    "ContentUrl",
    "FileType",
    "FileExtension",
    "ContentSize",
    "Checksum",
    "ContentLocation",
    "ContentModifiedDate",
    "ReasonForChange",
    "OwnerId",
    "CreatedDate",
    "CreatedById",
    "SystemModstamp",
    "ContentDocument.Title",
    "ContentDocument.Description",
    "ContentDocument.OwnerId",
    "ContentDocument.Owner.IsActive",
    "ContentDocument.CreatedDate",
    "ContentDocument.LastModifiedDate",
    "ContentDocument.LatestPublishedVersionId",
    "ContentDocument.ContentAssetId",
    "ContentDocument.IsArchived",
    "ContentDocument.SharingOption",
    "ContentDocument.SharingPrivacy",
)
_OPTIONAL_VERSION_FIELDS = ("ContentSizeLong", "MalwareScanStatus")
LINK_FIELDS = "Id, ContentDocumentId, LinkedEntityId, ShareType, Visibility, SystemModstamp"
ATTACHMENT_FIELDS = (
    "Id, Name, ParentId, BodyLength, ContentType, IsPrivate, OwnerId, Owner.IsActive, Description, "
    "CreatedDate, CreatedById, LastModifiedDate, SystemModstamp, IsDeleted"
)
_MD5 = re.compile(r"[0-9a-f]{32}")


def version_fields(org: Org) -> str:
    """The fields of ContentVersion to select, as far as the org has them."""
    known = org.fields("ContentVersion")
    more = [name for name in _OPTIONAL_VERSION_FIELDS if name in known]
    key = org.external_id()
    return ", ".join([*_VERSION_FIELDS, *more, *([key] if key else [])])


def digest(*parts: object) -> str:
    """A short fingerprint of values; the same values give the same one in any process."""
    return hashlib.sha256(json.dumps(parts, separators=(",", ":"), default=str).encode()).hexdigest()[:32]


def with_extension(title: str, extension: str | None) -> str:
    """Return the title ending in the extension, so that a name still tells the type."""
    if not extension or title.lower().endswith("." + extension.lower()):
        return title
    return f"{title}.{extension}"


def _size(row: Row) -> int | None:
    long = rows.size(row, "ContentSizeLong")
    return long if long is not None else rows.size(row, "ContentSize")


def _file_version(row: Row) -> Version:
    checksum = (rows.optional(row, "Checksum") or "").lower()
    md5 = Checksum("md5", checksum) if _MD5.fullmatch(checksum) else None
    version_id = rows.record_id(row, "Id")
    size = _size(row)
    path = rows.optional(row, "PathOnClient")
    title = rows.optional(row, "Title") or ""
    return Version(
        id=version_id,
        number=rows.number(row, "VersionNumber"),
        name=path or with_extension(title, rows.optional(row, "FileExtension")),
        size=size,
        checksum=md5,
        created=rows.when(row, "CreatedDate"),
        modified=rows.when(row, "ContentModifiedDate"),
        current=rows.flag(row, "IsLatest"),
        # sharing a file touches SystemModstamp too, so it only counts where there is no checksum
        etag=digest(version_id, size, checksum or rows.optional(row, "SystemModstamp"), title, path),
        extra={
            "title": title,
            "path": path,
            "description": rows.optional(row, "Description"),
            "reason": rows.optional(row, "ReasonForChange"),
            "created_by": rows.optional_id(row, "CreatedById"),
        },
    )


def is_link(row: Row) -> bool:
    """Whether this ContentVersion is a link and holds no bytes."""
    return rows.optional(row, "ContentUrl") is not None or rows.optional(row, "FileType") == "LINK"


def is_owner_link(link: Row, owner: str | None) -> bool:
    """Whether the link is the one to the owning user, which every file has and nobody can remove."""
    return owner is not None and rows.optional_id(link, "LinkedEntityId") == owner


def parents_of(links: Iterable[Row], owner: str | None, org: Org) -> tuple[Parent, ...]:
    """Everything that the file is shared with, except its owner, in the order of the ids."""
    found = {}
    for link in links:
        if is_owner_link(link, owner):
            continue
        entity = rows.record_id(link, "LinkedEntityId")
        sharing = {name: rows.text(link, name) for name in ("ShareType", "Visibility") if rows.optional(link, name)}
        found[entity] = Parent(type=org.type_of(entity), id=entity, sharing=sharing)
    return tuple(found[entity] for entity in sorted(found))


def file_document(source: str, versions: Sequence[Row], links: Sequence[Row], org: Org) -> Document:
    """Build one ContentDocument from all its versions and links. Raises Permanent for a malformed row."""
    ordered = sorted(versions, key=lambda row: (rows.number(row, "VersionNumber"), rows.text(row, "Id")))
    latest = ordered[-1]
    document_id = rows.record_id(latest, "ContentDocumentId")
    owner = rows.optional_id(latest, "ContentDocument.OwnerId") or rows.optional_id(latest, "OwnerId")
    mapped = tuple(_file_version(row) for row in ordered)
    title = rows.optional(latest, "ContentDocument.Title") or rows.optional(latest, "Title") or ""
    description = rows.optional(latest, "ContentDocument.Description")
    sharing = {
        "sharing_option": rows.optional(latest, "ContentDocument.SharingOption"),
        "sharing_privacy": rows.optional(latest, "ContentDocument.SharingPrivacy"),
    }
    parents = parents_of(links, owner, org)
    return Document(
        ref=DocumentRef(source, FILES, document_id),
        title=title,
        versions=mapped,
        parents=parents,
        owner=owner,
        created=rows.when(latest, "ContentDocument.CreatedDate"),
        modified=rows.when(latest, "ContentDocument.LastModifiedDate"),
        etag=digest(document_id, [each.etag for each in mapped], title, description, owner, sharing),
        skip=skip.of_file(ordered, parents),
        extra={
            "description": description,
            "extension": rows.optional(latest, "FileExtension"),
            "created_by": mapped[0].extra["created_by"],
            "owner_active": rows.told(latest, "ContentDocument.Owner.IsActive"),
            **sharing,
        },
    )


def attachment_document(source: str, row: Row, org: Org) -> Document:
    """Build the document of a classic Attachment. Raises Permanent for a malformed row."""
    attachment_id = rows.record_id(row, "Id")
    parent = rows.record_id(row, "ParentId")
    parent_type = org.type_of(parent)
    name = rows.optional(row, "Name") or ""
    extra: Mapping[str, str | int | bool | None] = {
        "content_type": rows.optional(row, "ContentType"),
        "description": rows.optional(row, "Description"),
        "is_private": rows.flag(row, "IsPrivate"),
        "created_by": rows.optional_id(row, "CreatedById"),
    }
    owner = rows.optional_id(row, "OwnerId")
    size = rows.size(row, "BodyLength")
    etag = digest(attachment_id, parent, name, size, owner, dict(extra), rows.optional(row, "SystemModstamp"))
    version = Version(
        id=attachment_id,
        number=1,
        name=name,
        size=size,
        mime=rows.optional(row, "ContentType"),
        created=rows.when(row, "CreatedDate"),
        modified=rows.when(row, "LastModifiedDate"),
        etag=etag,
    )
    return Document(
        ref=DocumentRef(source, ATTACHMENTS, attachment_id),
        title=name,
        versions=(version,),
        parents=(Parent(type=parent_type, id=parent),),
        owner=owner,
        created=version.created,
        modified=version.modified,
        strategy=Strategy.STUB_IN_PLACE if parent_type == EMAIL else Strategy.NEW_LINK_THEN_DELETE,
        etag=etag,
        skip=skip.of_attachment(row),
        # not in the etag: whoever leaves the company changes no document
        extra={**extra, "owner_active": rows.told(row, "Owner.IsActive")},
    )


def by_document(found: Iterable[Row]) -> dict[str, list[Row]]:
    """Group rows by their ContentDocumentId, in 18 characters."""
    grouped: dict[str, list[Row]] = {}
    for row in found:
        grouped.setdefault(rows.record_id(row, "ContentDocumentId"), []).append(row)
    return grouped


def links_by_document(ids: Sequence[str], size: int = soql.IDS_PER_QUERY) -> list[str]:
    """Statements that read the links of these documents."""
    return [
        soql.select(LINK_FIELDS, "ContentDocumentLink", f"ContentDocumentId IN {soql.id_list(part)}")
        for part in soql.chunks(ids, size)
    ]


def same_sharing(wanted: Iterable[Parent], found: Iterable[Parent], *, ids_only: bool = False) -> bool:
    """Whether both are shared with the same records, people and groups, in the same way."""

    def key(parent: Parent) -> tuple[str, ...]:
        return (
            (parent.id,)
            if ids_only
            else (parent.id, *(parent.sharing.get(name, "") for name in ("ShareType", "Visibility")))
        )

    return {key(each) for each in wanted} == {key(each) for each in found}


def shown_to_all(parent: Parent) -> Parent:
    """The parent with Visibility AllUsers, where the CRM accepts nothing else."""
    return replace(parent, sharing={**parent.sharing, "Visibility": "AllUsers"}) if parent.sharing else parent
