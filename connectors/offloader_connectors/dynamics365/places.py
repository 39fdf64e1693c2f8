"""Where documents stand in Dataverse, by kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from offloader.errors import Permanent
from offloader.model import Document, DocumentRef
from offloader.ports import LinkRequest, Outcome
from offloader_connectors import sorting
from offloader_connectors.dynamics365 import odata
from offloader_connectors.sorting import Act

NOTES = "annotation"
MAILS = "activitymimeattachment"
FILES = "filecolumn"
IMAGES = "imagecolumn"


@dataclass(frozen=True, slots=True)
class Shelf:
    """Where bodies stand as Base64 text: the table, its set, its key, and the column with the text."""

    table: str
    set_name: str
    key: str
    body: str

    @property
    def described(self) -> tuple[str, ...]:
        """Columns that tell a placeholder from a file without its body."""
        return (self.key, "filename", "mimetype", "filesize")


NOTE_ROWS = Shelf("annotation", "annotations", "annotationid", "documentbody")
MAIL_ROWS = Shelf("activitymimeattachment", "activitymimeattachments", "activitymimeattachmentid", "body")
#: the table behind the attachments of mails has each shared body once; it can be read and not written
ATTACHMENTS = Shelf("attachment", "attachments", "attachmentid", "body")
#: where placeholders are written
ROWS: Mapping[str, Shelf] = {NOTES: NOTE_ROWS, MAILS: MAIL_ROWS}


@dataclass(frozen=True, slots=True)
class Cell:
    """A column of a record: the id of a document there is `table:record:column`."""

    table: str
    id: str
    column: str

    @classmethod
    def of(cls, ref: DocumentRef) -> Self:
        """Raises Permanent for what is no such id."""
        parts = ref.id.split(":")
        if len(parts) != 3:
            raise Permanent(f"{ref.id[:90]!a} names no column of a record")
        return cls(odata.name(parts[0]), odata.guid(parts[1]), odata.name(parts[2]))


def rows_of(document: Document, link_ref: Mapping[str, str]) -> list[str]:
    """The rows of a document that is replaced in place: as the link was written, else as they were listed."""
    if document.ref.kind == NOTES:
        return [odata.guid(document.ref.id)]
    known = link_ref.get("rows") or " ".join(parent.sharing.get("row", "") for parent in document.parents)
    return odata.unique(odata.guid(each) for each in known.split())


def split(requests: Sequence[LinkRequest], in_place: Act, columns: Act) -> list[Outcome]:
    """Hand rows to the one act and columns to the other; answers in order."""
    return sorting.split(requests, lambda each: each.document.ref.kind in ROWS, in_place, columns)
