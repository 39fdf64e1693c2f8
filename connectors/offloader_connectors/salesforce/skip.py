"""What must stay where it is, with a stable code and a sentence."""

from __future__ import annotations

from collections.abc import Sequence

from offloader.model import OWN_LINK, Parent, Skip
from offloader_connectors.salesforce import rows, stub
from offloader_connectors.salesforce.rows import Row

#: objects that show a file by its id, which a new link file does not have
_REFERRERS = frozenset({"EmailTemplate", "Dashboard", "Report", "Document", "BrandTemplate", "Network"})

NOTE = Skip("note", "a note of the CRM, not a file")
LINK = Skip("link", "already a link")
EXTERNAL = Skip("external", "its bytes live in an external system, not in the CRM")
ASSET = Skip("asset", "an asset file: sites and apps refer to it by its id")
ARCHIVED = Skip("archived", "archived in the CRM; bring it back there first")
MALICIOUS = Skip("malicious", "the CRM's malware scan condemned it")
REFERRED = Skip("referred", "used by a template, dashboard, report or site")
LIBRARY = Skip("library", "only in a library, where templates and branding may use it")
FEED = Skip("feed", "attached to a feed post, which would lose it")
SENT_EMAIL = Skip("sent-email", "on a sent e-mail, and the running user lacks the permission Update Email Messages")
STUB = Skip(OWN_LINK, "already replaced by a placeholder")
EMPTY = Skip("empty", "it has no bytes, and the CRM would not take an attachment without bytes back")


def of_file(versions: Sequence[Row], parents: Sequence[Parent]) -> Skip | None:
    """Say why a file must stay, from its versions (oldest first) and parents; None if nothing speaks against
    moving it.
    """
    latest = versions[-1]
    file_type = rows.optional(latest, "FileType")
    reasons = (
        (file_type == "SNOTE", NOTE),
        (any(rows.optional(row, "ContentUrl") for row in versions) or file_type == "LINK", LINK),
        (any((rows.optional(row, "ContentLocation") or "S") != "S" for row in versions), EXTERNAL),
        (rows.optional(latest, "ContentDocument.ContentAssetId") is not None, ASSET),
        (rows.flag(latest, "ContentDocument.IsArchived"), ARCHIVED),
        (any(rows.optional(row, "MalwareScanStatus") == "Malicious" for row in versions), MALICIOUS),
        (any(parent.type in _REFERRERS for parent in parents), REFERRED),
        (bool(parents) and all(parent.type == "ContentWorkspace" for parent in parents), LIBRARY),
    )
    return next((reason for applies, reason in reasons if applies), None)


def of_attachment(row: Row) -> Skip | None:
    """Say why a classic attachment must stay: our own placeholders, and what could not be put back."""
    description = rows.optional(row, "Description") or ""
    size = rows.size(row, "BodyLength")
    if stub.is_stub(description, size):
        return STUB
    return EMPTY if size == 0 else None
