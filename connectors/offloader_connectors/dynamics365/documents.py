"""Rows of the CRM as documents: which columns are read, and what they mean."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from offloader.model import Document, DocumentRef, Parent, Skip, Strategy, Version
from offloader_connectors.dynamics365 import mails, odata, rows, skip
from offloader_connectors.dynamics365.batch import MOST_PARTS
from offloader_connectors.dynamics365.mails import Shared
from offloader_connectors.dynamics365.places import FILES, IMAGES, MAILS, NOTES
from offloader_connectors.dynamics365.rows import Row

NOTE_COLUMNS = (
    "annotationid",
    "subject",
    "filename",
    "mimetype",
    "filesize",
    "isdocument",
    "_objectid_value",
    "objecttypecode",
    "_ownerid_value",
    "versionnumber",
    "createdon",
    "modifiedon",
)
#: what is read of a mail to judge its attachments
MAIL_COLUMNS = ("activityid", "statecode", "statuscode", "modifiedon")
CELL_COLUMNS = (
    "fileattachmentid",
    "filename",
    "mimetype",
    "filesizeinbytes",
    "regardingfieldname",
    "_objectid_value",
    "objecttypecode",
    "versionnumber",
    "createdon",
)
#: `filesize` can be computed from the Base64 text with its padding
SLACK = 2


@dataclass(frozen=True, slots=True)
class Rules:
    """What may be moved at all, as the operator says."""

    parents: Collection[str]
    min_size: int


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is known of the mails around attachments."""

    #: by id; appointments and mails that may not be seen are not there
    mails: Mapping[str, Row]
    #: rows whose picture a mail's text shows, by id
    inline: Collection[str]
    #: mails that were changed later are too recent
    cut: datetime


def note_document(source: str, row: Row, rules: Rules) -> Document:
    """Build the document of a note with a file. Raises Permanent for a malformed row."""
    note, etag = rows.guid(row, "annotationid"), rows.etag(row)
    parent = rows.optional_guid(row, "_objectid_value")
    table = _table(row) if parent else None
    name = rows.optional(row, "filename") or ""
    version = Version(
        id=note,
        number=1,
        name=name,
        size=rows.size(row, "filesize"),
        size_slack=SLACK,
        mime=rows.optional(row, "mimetype"),
        created=rows.when(row, "createdon"),
        modified=rows.when(row, "modifiedon"),
        etag=etag,
    )
    reasons = (
        skip.of_file(row),
        skip.of_table(table, rules.parents),
        skip.of_size(version.size, rules.min_size),
    )
    return Document(
        ref=DocumentRef(source, NOTES, note),
        title=name,
        versions=(version,),
        parents=(Parent(type=table, id=parent),) if table and parent else (),
        owner=rows.optional_guid(row, "_ownerid_value"),
        created=version.created,
        modified=version.modified,
        strategy=Strategy.STUB_IN_PLACE,
        etag=etag,
        skip=skip.first(reasons),
        extra=_set(row, "subject", "filename", "mimetype"),
    )


def mail_document(source: str, shared: Shared, rules: Rules, around: Surroundings) -> Document:
    """Build the document of an attachment that one or more mails share. Raises Permanent for a malformed row."""
    skips = [skip.of_file(row) for row in shared.members]
    shown = next((row for row, reason in zip(shared.members, skips, strict=True) if reason is None), shared.members[0])
    name, size = rows.optional(shown, "filename") or "", rows.size(shown, "filesize")
    version = Version(
        id=shared.id,
        number=1,
        name=name,
        size=size,
        size_slack=SLACK,
        mime=rows.optional(shown, "mimetype"),
        etag=shared.etag,
    )
    replaced = skips[0] if all(reason is not None for reason in skips) else None
    reasons = (
        replaced,
        *(_mail_skip(row, rules, around) for row in shared.members),
        skip.TOO_WIDE if len(shared.members) > MOST_PARTS else None,
        skip.of_size(size, rules.min_size),
    )
    return Document(
        ref=DocumentRef(source, MAILS, shared.id),
        title=name,
        versions=(version,),
        parents=_mail_parents(shared.members),
        strategy=Strategy.STUB_IN_PLACE,
        etag=shared.etag,
        skip=skip.first(reasons),
        extra=_set(shown, "filename", "mimetype"),
    )


def cell_document(source: str, kind: str, row: Row, rules: Rules, *, link_place: bool) -> Document:
    """Build the document of a file or image column. Raises Permanent for a malformed row.

    `link_place`: the record can hold a link. The owner is the record's, which this row does not tell.
    """
    table, record = _table(row), rows.guid(row, "_objectid_value")
    column, name = rows.text(row, "regardingfieldname"), rows.optional(row, "filename") or ""
    if table is None:
        raise rows.malformed("list", "no objecttypecode")
    etag = f"{rows.guid(row, 'fileattachmentid')}:{rows.number(row, 'versionnumber')}"
    version = Version(
        id=f"{table}:{record}:{column}",
        number=1,
        name=name,
        size=rows.size(row, "filesizeinbytes"),
        mime=rows.optional(row, "mimetype"),
        created=rows.when(row, "createdon"),
        etag=etag,
    )
    reasons = (
        skip.of_table(table, rules.parents),
        None if link_place else skip.NO_PLACE,
        skip.of_size(version.size, rules.min_size),
    )
    return Document(
        ref=DocumentRef(source, kind, version.id),
        title=name,
        versions=(version,),
        parents=(Parent(type=table, id=record),),
        created=version.created,
        etag=etag,
        skip=skip.first(reasons),
        extra=_set(row, "filename", "mimetype"),
    )


def cell_id(row: Row) -> tuple[str, str, str] | None:
    """Table, record and column that a file attachment stands in; None for one that stands in none."""
    table, record, column = (
        _table(row),
        rows.optional_guid(row, "_objectid_value"),
        rows.optional(row, "regardingfieldname"),
    )
    return (table, record, column) if table and record and column else None


def kind_of_column(kind: str) -> str | None:
    """The kind of column, file or image, whose files documents of a kind are; None for other kinds."""
    return {FILES: "file", IMAGES: "image"}.get(kind)


def _mail_skip(row: Row, rules: Rules, around: Surroundings) -> Skip | None:
    mail, table = rows.optional_guid(row, "_objectid_value"), _table(row)
    if mail is None:
        return skip.NO_PARENT
    elsewhere = skip.of_table(table, rules.parents)
    if elsewhere is not None:
        return elsewhere
    if table == "email":
        state = skip.of_mail(around.mails.get(mail), around.cut)
        if state is not None:
            return state
    return skip.INLINE if rows.guid(row, mails.KEY) in around.inline else None


def _mail_parents(members: Iterable[Row]) -> tuple[Parent, ...]:
    """One parent for each mail, with the rows that stand on it."""
    standing: dict[tuple[str, str], list[str]] = {}
    for row in members:
        mail, table = rows.optional_guid(row, "_objectid_value"), _table(row)
        if mail and table:
            standing.setdefault((mail, table), []).append(rows.guid(row, mails.KEY))
    return tuple(
        Parent(type=table, id=mail, sharing={"row": " ".join(sorted(own))})
        for (mail, table), own in sorted(standing.items())
    )


def _table(row: Row) -> str | None:
    """The logical name of the record's table."""
    named = rows.optional(row, "objecttypecode")
    if named and named != "none" and odata.is_name(named):
        return named
    return rows.table_of(row, "_objectid_value")


def _set(row: Row, *names: str) -> dict[str, str | int | bool | None]:
    """These columns, as far as they are set, for putting them back."""
    return {name: value for name in names if (value := rows.optional(row, name)) is not None}
