"""What must stay where it is, with a stable code and a sentence."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime

from offloader.model import Skip
from offloader_connectors.dynamics365 import rows, stub
from offloader_connectors.dynamics365.batch import MOST_PARTS
from offloader_connectors.dynamics365.rows import Row

#: the engine passes over what has this code: it is no document, and tells nothing new of the one it stands for
STUB = Skip("own_link", "already replaced by a placeholder")
FOREIGN = Skip("foreign-placeholder", "another program has moved the file and left a placeholder")
NO_PARENT = Skip("no-parent", "it hangs on no record, so nothing says whose it is")
PORTAL = Skip("portal-file", "content of a portal: a style sheet, script or picture that pages need")
TEMPLATE = Skip("template", "part of a template: the link would go out to recipients")
TABLE = Skip("table-not-listed", "its record's table is not among those whose documents may be moved (parents)")
SMALL = Skip("too-small", "smaller than min_size")
DRAFT = Skip("draft-mail", "on a mail that is a draft: the link would be sent instead of the file")
SENDING = Skip("unsent-mail", "on a mail that is about to be sent: the link would be sent instead of the file")
FAILED = Skip("failed-mail", "on a mail that could not be sent and may be tried again")
CANCELED = Skip("canceled-mail", "on a mail that was canceled, which the CRM keeps read-only")
UNSEEN = Skip("unseen-mail", "on a mail whose state may not be seen")
RECENT = Skip("recent-mail", "on a mail that was changed not long ago (mail_min_age_days)")
INLINE = Skip("inline-image", "shown within a mail's text, which would break")
TOO_WIDE = Skip("shared-too-widely", f"more than {MOST_PARTS} mails share it, which cannot be changed together")
NO_PLACE = Skip("no-link-place", "its table has no notes to hold a link; name a text column in link_columns")

_PORTAL_TABLES = frozenset({"adx_webfile", "mspp_webfile", "powerpagecomponent"})
#: placeholder of the Power Pages feature that keeps notes' files in Azure storage
_FOREIGN_SUFFIX = ".azure.txt"
_FOREIGN_LARGEST = 4096
#: statuscode of a mail (table reference, email)
_STATUSES: Mapping[int, Skip] = {1: DRAFT, 5: CANCELED, 6: SENDING, 7: SENDING, 8: FAILED}
_COMPLETED = 1


def of_file(row: Row) -> Skip | None:
    """Why a note's or mail's file must stay whatever it hangs on."""
    name, mime, size = rows.optional(row, "filename"), rows.optional(row, "mimetype"), rows.size(row, "filesize")
    if stub.is_stub(mime, size):
        return STUB
    if (name or "").lower().endswith(_FOREIGN_SUFFIX) and size is not None and size <= _FOREIGN_LARGEST:
        return FOREIGN
    return None


def of_table(table: str | None, allowed: Collection[str]) -> Skip | None:
    """Why documents of a record's table must stay."""
    if table is None:
        return NO_PARENT
    if table in _PORTAL_TABLES:
        return PORTAL
    if table == "template":
        return TEMPLATE
    return None if table in allowed else TABLE


def of_size(size: int | None, least: int) -> Skip | None:
    return SMALL if size is not None and size < least else None


def of_mail(mail: Row | None, cut: datetime) -> Skip | None:
    """Why attachments of an e-mail must stay for now. `cut`: mails that were changed later are too recent."""
    if mail is None:
        return UNSEEN
    status = _STATUSES.get(rows.integer(mail, "statuscode") or 0)
    if status is not None:
        return status
    if rows.integer(mail, "statecode") != _COMPLETED:
        return DRAFT
    modified = rows.when(mail, "modifiedon")
    return RECENT if modified is None or modified > cut else None


def first(reasons: Iterable[Skip | None]) -> Skip | None:
    """The first reason of several."""
    return next((reason for reason in reasons if reason is not None), None)
