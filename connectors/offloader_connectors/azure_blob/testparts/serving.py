"""A small HTTPS server on loopback, one thread per connection."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import trustme


class Server(ThreadingHTTPServer):
    """Serves until `close`; TLS with the certificate in `certificate` (key and chain in one PEM file)."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, handler: type[BaseHTTPRequestHandler], certificate: Path) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(certificate)
        self.url = f"https://127.0.0.1:{self.server_address[1]}"
        self._open: set[socket.socket] = set()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True, name="testpart")
        self._thread.start()

    def finish_request(self, request: socket.socket, client_address: tuple[str, int]) -> None:  # type: ignore[override]
        """Shake hands in the connection's own thread; a client that goes away is no error."""
        with contextlib.suppress(OSError):
            secured = self._tls.wrap_socket(request, server_side=True)
            self._open.add(secured)
            try:
                self.RequestHandlerClass(secured, client_address, self)  # type: ignore[arg-type]
            finally:
                self._open.discard(secured)
                secured.close()

    def close(self) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class Handler(BaseHTTPRequestHandler):
    """Keeps connections open and says nothing on stderr."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: object) -> None:
        """Silence."""


def make_certificate(directory: Path) -> tuple[Path, Path]:
    """Make a certificate authority and a certificate for loopback: (`ca.pem`, `server.pem`) below `directory`."""
    directory.mkdir(parents=True, exist_ok=True)
    authority, certificate = directory / "ca.pem", directory / "server.pem"
    if not (authority.exists() and certificate.exists()):
        ca = trustme.CA(organization_name="offloader sandbox")
        certificate.touch(mode=0o600)
        ca.issue_cert("127.0.0.1", "localhost").private_key_and_cert_chain_pem.write_to_path(certificate)
        ca.cert_pem.write_to_path(authority)
    return authority, certificate
