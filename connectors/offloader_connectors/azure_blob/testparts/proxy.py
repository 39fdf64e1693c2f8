"""A reverse proxy before a blob server: it rewrites response headers, counts requests, and does scripted faults."""

from __future__ import annotations

import hashlib
import http.client
import ssl
import threading
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import cast
from urllib.parse import parse_qs, urlsplit

from offloader_connectors.azure_blob.testparts.serving import Handler, Server
from offloader_connectors.emulation.faults import Faults, Rule

_PIECE = 256 * 1024
_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "date", "server", "content-length"})
_SERVICE = {"properties": "GetServiceProperties", "list": "ListContainers", "userdelegationkey": "GetUserDelegationKey"}
_BLOB = {
    ("PUT", ""): "PutBlob",
    ("PUT", "block"): "PutBlock",
    ("PUT", "blocklist"): "PutBlockList",
    ("GET", "blocklist"): "GetBlockList",
    ("GET", ""): "GetBlob",
    ("HEAD", ""): "GetBlobProperties",
    ("DELETE", ""): "DeleteBlob",
}


def operation(method: str, target: str) -> str:
    """Name a request as the REST guide does; what is not used here by method and path."""
    parts = urlsplit(target)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    comp = query.get("comp", "")
    if query.get("restype") == "account":
        return "GetAccountInformation"
    if query.get("restype") == "service" or (comp in _SERVICE and parts.path.strip("/").count("/") == 0):
        return _SERVICE.get(comp, f"{method} service {comp}")
    if query.get("restype") == "container":
        return {"list": "ListBlobs", "": f"{method} container"}.get(comp, f"{method} container {comp}")
    return _BLOB.get((method, comp), f"{method} blob {comp}")


class Proxy:
    """Serves until `close`. `url` stands for `upstream` (both with the account's path, if it has one).

    `rewrite` gives other values to response headers of these names. `requests` counts by operation. `faults` are as
    in `offloader_connectors.emulation.faults`, by operation; `corrupt` damages what a PUT sends or a GET answers.
    `computes_md5`: Azure answers a block with the MD5 that it has computed, which Azurite compares and does not tell.
    """

    def __init__(
        self,
        upstream: str,
        authority: Path,
        certificate: Path,
        sleep: Callable[[float], None],
        rewrite: Mapping[str, str],
    ) -> None:
        parts = urlsplit(upstream)
        self.requests: Counter[str] = Counter()
        self.faults = Faults()
        self.rewrite = dict(rewrite)
        self.computes_md5 = True
        self.sleep = sleep
        self._lock = threading.Lock()
        self._host = parts.netloc
        self._tls = ssl.create_default_context(cafile=authority)
        self._server = Server(type("_Bound", (_Forwarding,), {"proxy": self}), certificate)
        self.url = f"{self._server.url}{parts.path}"

    def close(self) -> None:
        self._server.close()

    def met(self, name: str) -> list[Rule]:
        """Count a request; return the faults that it meets."""
        with self._lock:
            self.requests[name] += 1
            return self.faults.hit(name)

    def connect(self) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection(self._host, context=self._tls, timeout=120)


class _Forwarding(Handler):
    proxy: Proxy
    _upstream: http.client.HTTPSConnection | None = None

    def do_GET(self) -> None:  # noqa: N802  named by the standard library
        self._forward()

    do_PUT = do_HEAD = do_DELETE = do_POST = do_GET  # noqa: N815

    def finish(self) -> None:
        if self._upstream is not None:
            self._upstream.close()
        super().finish()

    def _forward(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        rules = self.proxy.met(operation(self.command, self.path))
        for rule in rules:
            if rule.do == "delay":
                self.proxy.sleep(rule.seconds)
            elif rule.do == "drop_before":
                self._cut()
                return
            elif rule.do == "status":
                self._answer(rule)
                return
            elif rule.do == "corrupt" and body:
                body = _damaged(body)
        response = self._ask(body)
        stored = response.status == 201 and operation(self.command, self.path) == "PutBlock"
        md5 = hashlib.md5(body, usedforsecurity=False).digest() if stored and self.proxy.computes_md5 else None
        if any(rule.do == "drop_after_commit" for rule in rules):
            response.read()
            self._cut()
            return
        self._relay(response, {rule.do for rule in rules}, md5)

    def _ask(self, body: bytes) -> http.client.HTTPResponse:
        if self._upstream is None:
            self._upstream = self.proxy.connect()
        headers = {name: value for name, value in self.headers.items() if name.lower() != "connection"}
        try:
            self._upstream.request(self.command, self.path, body or None, headers)
            return self._upstream.getresponse()
        except (http.client.HTTPException, OSError):
            self._upstream.close()  # it had been idle for too long
            self._upstream.request(self.command, self.path, body or None, headers)
            return self._upstream.getresponse()

    def _relay(self, response: http.client.HTTPResponse, acts: set[str], md5: bytes | None) -> None:
        self.send_response_only(response.status, response.reason)
        for name, value in response.getheaders():
            if name.lower() not in _HOP:
                self.send_header(name, self.proxy.rewrite.get(name.lower(), value))
        if md5 is not None and response.getheader("Content-MD5") is None:
            self.send_header("Content-MD5", b64encode(md5).decode())
        told = response.getheader("Content-Length")
        length = int(told) if told is not None else None
        body = response.read() if length is None and self.command != "HEAD" else None
        self.send_header("Content-Length", str(len(body) if body is not None else length or 0))
        self.end_headers()
        if self.command == "HEAD":
            response.read()
            return
        pieces = iter([body]) if body is not None else _pieces(response)
        if "truncate" in acts:
            self.wfile.write(next(pieces, b"")[:-1][: (length or 2) // 2])
            self._cut()
            return
        for number, piece in enumerate(pieces):
            self.wfile.write(_damaged(piece) if "corrupt" in acts and not number and piece else piece)

    def _answer(self, rule: Rule) -> None:
        code = rule.code or str(rule.headers.get("x-ms-error-code", ""))
        text = (
            f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{rule.message or code}</Message></Error>"
            if code
            else ""
        )
        self.send_response_only(rule.status)
        for name, value in rule.headers.items():
            self.send_header(name, value)
        if code and "x-ms-error-code" not in rule.headers:
            self.send_header("x-ms-error-code", code)
        if rule.retry_after is not None:
            self.send_header("Retry-After", str(rule.retry_after))
        data = b"" if self.command == "HEAD" else text.encode()
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _cut(self) -> None:
        self.close_connection = True
        if self._upstream is not None:
            self._upstream.close()
            self._upstream = None


def _pieces(response: http.client.HTTPResponse) -> Iterator[bytes]:
    while piece := response.read(_PIECE):
        yield piece


def _damaged(data: bytes) -> bytes:
    changed = bytearray(data)
    changed[len(changed) // 2] ^= 1
    return bytes(cast(bytes, changed))
