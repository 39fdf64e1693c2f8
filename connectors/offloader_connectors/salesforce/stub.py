"""The placeholder that takes the place of an e-mail's attachment: a tiny file that leads to the link.

Attachment.Name holds 255 characters, Description 500 (Object Reference, Attachment).
"""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import Literal

from offloader.model import Link

MARK = "Moved to archive: "
_LARGEST = 8192
_NAME = 255
_TYPES = {"url": "application/internet-shortcut", "html": "text/html", "txt": "text/plain"}

Form = Literal["url", "html", "txt"]


@dataclass(frozen=True, slots=True)
class Stub:
    """Everything that is written over the attachment."""

    name: str
    content_type: str
    description: str
    body: bytes


def make(form: Form, name: str, link: Link) -> Stub:
    """Build the placeholder for an attachment of this name."""
    suffix = f".{form}"
    address = link.url.replace("\r", "").replace("\n", "")
    if form == "url":
        body = f"[InternetShortcut]\r\nURL={address}\r\n"
    elif form == "html":
        shown, target = html.escape(name), html.escape(address, quote=True)
        body = f'<!doctype html><meta charset="utf-8"><title>{shown}</title><p><a href="{target}">{shown}</a></p>\n'
    else:
        body = f"{name}\r\n{address}\r\n"
    return Stub(name[: _NAME - len(suffix)] + suffix, _TYPES[form], MARK + address, body.encode())


def is_stub(description: str, size: int | None) -> bool:
    """Whether an attachment so described is one of our placeholders."""
    return description.startswith(MARK) and size is not None and size <= _LARGEST


def leads_to(description: str, size: int | None, link: Link) -> bool:
    """Whether an attachment so described is the placeholder for this very link."""
    return is_stub(description, size) and description == MARK + link.url
