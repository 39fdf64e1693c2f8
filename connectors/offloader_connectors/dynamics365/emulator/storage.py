"""The emulated Azure Storage behind download addresses ("Get Blob", "Create a service SAS", Blob service REST API)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlencode

from offloader_connectors.dynamics365.emulator.values import parse_stamp, stamp
from offloader_connectors.emulation.blobs import Blobs
from offloader_connectors.emulation.wire import Answer, Request

_KEY_FILE = "dynamics365_storage_key"
_VERSION = "2023-11-03"
_PATH = re.compile(r"/([a-z0-9-]+)/([^/]+)/([^/]+)")
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")
_SIGNED = ("sv", "st", "se", "sr", "sp", "spr", "rscd", "rsct")
_NOT_IN_HEADERS = re.compile(r"[^\x20-\x7e]")
_CLOCK_SKEW = timedelta(minutes=5)


class Storage:
    """Serves bodies to whoever has an address that was signed for them and is still valid."""

    def __init__(self, directory: Path, blobs: Blobs, now: Callable[[], datetime], container: str) -> None:
        path = directory / _KEY_FILE
        if not path.exists():
            path.touch(mode=0o600)
            path.write_bytes(secrets.token_bytes(32))
        self._key = path.read_bytes()
        self._blobs = blobs
        self._now = now
        self._container = container
        #: https://HOST:PORT
        self.url = ""

    def sign(self, ref: str, size: int, file_name: str, mime_type: str, seconds: int) -> str:
        """An address from which the body can be read for so long."""
        now = self._now()
        path = f"/{self._container}/{size}/{quote(ref)}"
        query = {
            "sv": _VERSION,
            "st": stamp(now - _CLOCK_SKEW),
            "se": stamp(now + timedelta(seconds=seconds)),
            "sr": "b",
            "sp": "r",
            "spr": "https",
            "rscd": f"attachment; filename*=UTF-8''{quote(file_name, safe='')}",
            "rsct": _NOT_IN_HEADERS.sub("?", mime_type),
        }
        return f"{self.url}{path}?{urlencode({**query, 'sig': self._signature(path, query)})}"

    def _signature(self, path: str, query: dict[str, str]) -> str:
        text = "\n".join([path, *(query.get(name, "") for name in _SIGNED)])
        return base64.b64encode(hmac.new(self._key, text.encode(), hashlib.sha256).digest()).decode()

    def answer(self, request: Request) -> Answer:
        match = _PATH.fullmatch(request.path)
        answer = self._checked(request) or (self._blob(request, match) if match else self.error(404))
        answer.headers |= {
            "x-ms-version": _VERSION,
            "x-ms-request-id": _request_id(),
            "Server": "Windows-Azure-Blob/1.0",
        }
        if request.method == "HEAD":
            answer.stream, answer.body = None, b""
        return answer

    def _checked(self, request: Request) -> Answer | None:
        """The refusal, if the address does not open anything."""
        if request.method not in {"GET", "HEAD"}:
            return self.error(403)
        query = request.query
        if "authorization" in request.headers or "sig" not in query:
            return self.error(403)
        if not hmac.compare_digest(self._signature(request.path, query).encode(), query["sig"].encode()):
            return self.error(403, "Signature did not match.")
        now = stamp(self._now())
        if not (parse_stamp(query.get("st", "")) or "9") <= now < (parse_stamp(query.get("se", "")) or ""):
            return self.error(403, f"Signature not valid in the specified time frame: Expiry [{query.get('se', '')}]")
        return None

    def _blob(self, request: Request, match: re.Match[str]) -> Answer:
        size, ref = int(match[2]), unquote(match[3])
        headers = {
            "Accept-Ranges": "bytes",
            "ETag": f'"0x{hashlib.sha256(ref.encode()).hexdigest()[:15].upper()}"',
            "Last-Modified": format_datetime(self._now().replace(hour=0, minute=0, second=0), usegmt=True),
            "x-ms-blob-type": "BlockBlob",
            "Content-Disposition": request.query.get("rscd", ""),
        }
        content_type = request.query.get("rsct") or "application/octet-stream"
        wanted = request.headers.get("x-ms-range") or request.headers.get("range")
        if wanted is None:
            return Answer(stream=self._blobs.chunks(ref), length=size, content_type=content_type, headers=headers)
        span = parse_range(wanted, size)
        if span is None:
            return self.error(416)
        start, length = span
        headers["Content-Range"] = f"bytes {start}-{start + length - 1}/{size}"
        stream = self._blobs.span(ref, start, length)
        return Answer(206, stream=stream, length=length, content_type=content_type, headers=headers)

    def error(self, status: int, detail: str = "") -> Answer:
        """An error in the words of the service."""
        code, text = _ERRORS.get(status, ("InternalError", "The server encountered an internal error."))
        told = f"<AuthenticationErrorDetail>{detail}</AuthenticationErrorDetail>" if detail else ""
        body = (
            f'\ufeff<?xml version="1.0" encoding="utf-8"?><Error><Code>{code}</Code><Message>{text}\n'
            f"RequestId:{_request_id()}\nTime:{stamp(self._now())}</Message>{told}</Error>"
        )
        return Answer(status, body=body.encode(), content_type="application/xml", headers={"x-ms-error-code": code})


_UNSIGNED = (
    "Server failed to authenticate the request. Make sure the value of Authorization header is formed correctly "
    "including the signature."
)
_ERRORS = {
    403: (
        "AuthenticationFailed",
        _UNSIGNED,
    ),
    404: ("BlobNotFound", "The specified blob does not exist."),
    409: ("PublicAccessNotPermitted", "Public access is not permitted on this storage account."),
    416: ("InvalidRange", "The range specified is invalid for the current size of the resource."),
    500: ("InternalError", "The server encountered an internal error. Please retry the request."),
    503: ("ServerBusy", "The server is currently unable to receive requests. Please retry your request."),
}


def _request_id() -> str:
    raw = secrets.token_hex(16)
    return f"{raw[:8]}-{raw[8:12]}-{raw[12:16]}-{raw[16:20]}-{raw[20:]}"


def parse_range(header: str, size: int) -> tuple[int, int] | None:
    """Start and length of `bytes=a-b` in a body of `size` bytes; None if there is nothing there."""
    match: Any = _RANGE.fullmatch(header.strip())
    if match is None:
        return None
    start = int(match[1])
    end = min(int(match[2]) if match[2] else size - 1, size - 1)
    return (start, end - start + 1) if start <= end else None
