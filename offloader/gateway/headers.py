"""Headers that make a stored file harmless: always a download, never rendered, never kept by a cache."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from urllib.parse import quote

#: on every answer, whatever it says
SAFETY: Mapping[str, str] = {
    "Cache-Control": "private, no-store",
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
#: types that no browser runs; everything else is bytes
_TYPES: Mapping[str, str] = {
    "csv": "text/csv",
    "doc": "application/msword",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "eml": "message/rfc822",
    "gif": "image/gif",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "json": "application/json",
    "mp3": "audio/mpeg",
    "mp4": "video/mp4",
    "msg": "application/vnd.ms-outlook",
    "odt": "application/vnd.oasis.opendocument.text",
    "pdf": "application/pdf",
    "png": "image/png",
    "ppt": "application/vnd.ms-powerpoint",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "rtf": "application/rtf",
    "tif": "image/tiff",
    "tiff": "image/tiff",
    "txt": "text/plain",
    "wav": "audio/wav",
    "webp": "image/webp",
    "xls": "application/vnd.ms-excel",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "zip": "application/zip",
}
#: characters that file systems, shells or quoted strings give a meaning
_UNSAFE = re.compile(r'[/\\:*?"<>|]')
_PLAIN = re.compile(r"[^A-Za-z0-9 ()+,\-._=@]")
#: device names that Windows opens whatever their extension ("Naming Files, Paths, and Namespaces", Win32)
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)
#: RFC 8187 attr-char, beside letters and digits
_ATTRIBUTE = "!#$&+-.^_`|~"
_LONGEST_EXTENSION = 16
_LONGEST_BYTES = 200


def media_type(name: str) -> str:
    """Return a harmless media type for a file name's extension."""
    return _TYPES.get(name.rpartition(".")[2].lower(), "application/octet-stream")


def disposition(name: str) -> str:
    """Return a Content-Disposition that saves the file under a tame form of its name (RFC 6266)."""
    tame = safe_name(name)
    plain = _PLAIN.sub("_", unicodedata.normalize("NFKD", tame).encode("ascii", "replace").decode("ascii"))
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(tame, safe=_ATTRIBUTE)}"


def safe_name(name: str) -> str:
    """Return a name without control, invisible or direction characters and separators, of at most 200 bytes."""
    kept = "".join(" " if char.isspace() else char for char in name if not _is_hidden(char))
    tame = _shorten(_UNSAFE.sub("_", kept).strip(" .")).strip(" .")
    return f"_{tame}" if _DEVICES.match(tame) else tame or "document"


def _is_hidden(char: str) -> bool:
    """Control, format, surrogate, private and unassigned characters; line ends count as space before."""
    return unicodedata.category(char).startswith("C") and not char.isspace()


def _shorten(name: str) -> str:
    """Cut the stem, not the extension."""
    if len(name.encode()) <= _LONGEST_BYTES:
        return name
    stem, dot, extension = name.rpartition(".")
    if not dot or len(extension.encode()) > _LONGEST_EXTENSION:
        stem, dot, extension = name, "", ""
    room = _LONGEST_BYTES - len(f"{dot}{extension}".encode())
    return f"{stem.encode()[:room].decode('utf-8', 'ignore')}{dot}{extension}"
