"""The tiny file that stands in the CRM in place of a document and leads to its link."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Literal

Form = Literal["url", "html", "txt"]
#: in order of preference
FORMS: tuple[Form, ...] = ("url", "html", "txt")
TYPES: Mapping[Form, str] = {"url": "application/internet-shortcut", "html": "text/html", "txt": "text/plain"}
#: placeholders are smaller, in bytes
LARGEST = 8192


def file_name(form: Form, name: str, longest: int = 255) -> str:
    """The placeholder's file name: the document's, cut where needed, with the form's extension."""
    suffix = f".{form}"
    return name[: longest - len(suffix)] + suffix


def content(form: Form, name: str, address: str) -> bytes:
    """The placeholder's bytes for a document of this name."""
    address = address.replace("\r", "").replace("\n", "")
    if form == "url":
        text = f"[InternetShortcut]\r\nURL={address}\r\n"
    elif form == "html":
        shown, target = html.escape(name), html.escape(address, quote=True)
        text = f'<!doctype html><meta charset="utf-8"><title>{shown}</title><p><a href="{target}">{shown}</a></p>\n'
    else:
        text = f"{name}\r\n{address}\r\n"
    return text.encode("utf-8", "replace")
