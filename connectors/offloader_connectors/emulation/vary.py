"""Makes a base document unique by a short reference, in a place where its format has room for one.

The result opens in every program that opens the base. All of it is byte work: no document is rendered again.
"""

from __future__ import annotations

import io
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping

from offloader_connectors.emulation.render import CORE_PROPERTIES, TIFF_REFERENCE

_ZIP_DATE = (2024, 5, 17, 9, 30, 0)
_PNG_HEADER = 8 + 25  # signature and IHDR
_CORE = (
    '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
    '<cp:coreProperties xmlns:cp="http://schemas.openxmlformats.org/package/2006/metadata/core-properties" '
    'xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:dcterms="http://purl.org/dc/terms/" '
    'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">'
    "<dc:identifier>{reference}</dc:identifier><dc:creator>Sales</dc:creator>"
    '<dcterms:created xsi:type="dcterms:W3CDTF">2024-05-17T09:30:00Z</dcterms:created></cp:coreProperties>'
)
_PDF_SIZE = re.compile(rb"/Size (\d+)")
_PDF_ROOT = re.compile(rb"/Root (\d+ \d+ R)")
_PDF_START = re.compile(rb"startxref\s+(\d+)\s+%%EOF\s*$")


def _pdf(base: bytes, reference: str) -> bytes:
    """An incremental update (ISO 32000-1, 7.5.6) that adds an information dictionary."""
    tail = base[-1024:]
    size, root, start = _PDF_SIZE.search(tail), _PDF_ROOT.search(tail), _PDF_START.search(tail)
    if size is None or root is None or start is None:
        raise ValueError("a base PDF without a classic trailer")
    number = int(size[1])
    info = b"%d 0 obj\n<< /Subject (%s) >>\nendobj\n" % (number, reference.encode())
    table = b"xref\n%d 1\n%010d 00000 n \n" % (number, len(base))
    trailer = b"trailer\n<< /Size %d /Root %s /Info %d 0 R /Prev %s >>\n" % (number + 1, root[1], number, start[1])
    return b"".join((base, info, table, trailer, b"startxref\n%d\n%%%%EOF\n" % (len(base) + len(info))))


def _zip_member(base: bytes, name: str, content: str) -> bytes:
    out = io.BytesIO()
    out.write(base)
    with zipfile.ZipFile(out, "a") as archive:
        archive.writestr(zipfile.ZipInfo(name, _ZIP_DATE), content, zipfile.ZIP_STORED)
    return out.getvalue()


def _office(base: bytes, reference: str) -> bytes:
    """The core properties (ECMA-376-2, 11) with the reference as identifier."""
    return _zip_member(base, CORE_PROPERTIES, _CORE.format(reference=reference))


def _zip(base: bytes, reference: str) -> bytes:
    return _zip_member(base, "reference.txt", reference + "\r\n")


def _jpeg(base: bytes, reference: str) -> bytes:
    """A comment segment right after the start of the image (ITU-T T.81, B.2.4.5)."""
    comment = reference.encode()
    return b"".join((base[:2], b"\xff\xfe", struct.pack(">H", len(comment) + 2), comment, base[2:]))


def _png(base: bytes, reference: str) -> bytes:
    """A tEXt chunk after the header (PNG, 11.3.3.2)."""
    body = b"tEXtReference\0" + reference.encode()
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    return base[:_PNG_HEADER] + chunk + base[_PNG_HEADER:]


def _tiff(base: bytes, reference: str) -> bytes:
    """The image description, overwritten in place."""
    return base.replace(TIFF_REFERENCE.encode(), reference.encode().ljust(len(TIFF_REFERENCE))[:24], 1)


def _eml(base: bytes, reference: str) -> bytes:
    first, _, rest = base.partition(b"\n")  # programs know an e-mail by its first line
    return b"".join((first, b"\nX-Reference: ", reference.encode(), b"\n", rest))


def _lines(base: bytes, reference: str) -> bytes:
    return base + reference.encode() + b"\r\n"


def _xml(base: bytes, reference: str) -> bytes:
    return base + f"<!-- {reference} -->\n".encode()


VARIATIONS: Mapping[str, Callable[[bytes, str], bytes]] = {
    "pdf": _pdf,
    "docx": _office,
    "xlsx": _office,
    "jpeg": _jpeg,
    "png": _png,
    "tiff": _tiff,
    "eml": _eml,
    "zip": _zip,
    "txt": _lines,
    "csv": _lines,
    "xml": _xml,
}
