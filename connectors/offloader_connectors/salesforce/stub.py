"""The placeholder that takes the place of an e-mail's attachment: a tiny file that leads to the link.

Attachment.Name holds 255 characters, Description 500 (Object Reference, Attachment).
"""

from __future__ import annotations

from dataclasses import dataclass

from offloader.model import Link
from offloader_connectors import placeholder
from offloader_connectors.placeholder import Form

MARK = "Moved to archive: "


@dataclass(frozen=True, slots=True)
class Stub:
    """Everything that is written over the attachment."""

    name: str
    content_type: str
    description: str
    body: bytes


def make(form: Form, name: str, link: Link) -> Stub:
    """Build the placeholder for an attachment of this name."""
    body = placeholder.content(form, name, link.url)
    return Stub(placeholder.file_name(form, name), placeholder.TYPES[form], MARK + link.url, body)


def is_stub(description: str, size: int | None) -> bool:
    """Whether an attachment so described is one of our placeholders."""
    return description.startswith(MARK) and size is not None and size <= placeholder.LARGEST


def leads_to(description: str, size: int | None, link: Link) -> bool:
    """Whether an attachment so described is the placeholder for this very link."""
    return is_stub(description, size) and description == MARK + link.url
