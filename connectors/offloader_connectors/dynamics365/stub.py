"""The placeholder that takes the place of a note's file or of a mail attachment: a tiny file that leads to the link.

The mark is a parameter of the mime type, so that a scan recognises a placeholder without reading its body.
`filename` holds 255 characters and `mimetype` 256 (Dataverse table reference, annotation and
activitymimeattachment).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, unquote

from offloader.model import Link
from offloader_connectors import placeholder
from offloader_connectors.placeholder import FORMS, TYPES, Form

NAME_LENGTH = 255
MIME_LENGTH = 256
#: `filesize` can be computed from the Base64 text with its padding, so it is up to two bytes too large
SLACK = 2
#: rows made by imports can have names that the API refuses (0x80044a08); a placeholder's name must pass
_REFUSED = re.compile(r'[\x00-\x1f\x7f\\/:*?"<>|]')
_FORM_OF: Mapping[str, Form] = {TYPES[form]: form for form in FORMS}
_MARKED = re.compile(r"(?P<type>[a-z]+/[a-z0-9.+-]+); link=(?P<link>[A-Za-z0-9._~%-]+)")


@dataclass(frozen=True, slots=True)
class Stub:
    """Everything that is written over the document."""

    name: str
    mime: str
    body: bytes


def make(form: Form, name: str, link: Link) -> Stub:
    """Build the placeholder for a document of this name."""
    kept = _REFUSED.sub("_", _cut(name, NAME_LENGTH - len(form) - 1)) or "file"
    body = placeholder.content(form, kept, link.url)
    mime = f"{TYPES[form]}; link={quote(link.id, safe='')}"
    return Stub(placeholder.file_name(form, kept), mime, body)


def link_id(mime: str | None) -> str | None:
    """The id of the link that a file of this mime type leads to, if it is a placeholder of ours."""
    found = _marked(mime)
    return unquote(found["link"]) if found else None


def form_of(mime: str | None) -> Form | None:
    """The form of a placeholder of this mime type."""
    found = _marked(mime)
    return _FORM_OF[found["type"]] if found else None


def is_stub(mime: str | None, size: int | None) -> bool:
    """Whether a file so described is one of our placeholders."""
    return _marked(mime) is not None and size is not None and size <= placeholder.LARGEST


def leads_to(mime: str | None, size: int | None, name: str, link: Link) -> bool:
    """Whether a file so described is the placeholder by which this link replaced the document of this name."""
    form = form_of(mime)
    return form is not None and link_id(mime) == link.id and fits(make(form, name, link), size)


def fits(stub: Stub, size: int | None) -> bool:
    """Whether a `filesize` can be that of this placeholder."""
    return size is not None and 0 <= size - len(stub.body) <= SLACK


def _marked(mime: str | None) -> re.Match[str] | None:
    found = _MARKED.fullmatch(mime or "")
    return found if found and found["type"] in _FORM_OF else None


def _cut(name: str, longest: int) -> str:
    """The beginning of a name, of as many UTF-16 units as the CRM counts characters."""
    if len(name.encode("utf-16-le", "surrogatepass")) <= 2 * longest:
        return name
    return name.encode("utf-16-le", "surrogatepass")[: 2 * longest].decode("utf-16-le", "ignore")
