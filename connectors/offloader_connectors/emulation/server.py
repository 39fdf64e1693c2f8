"""Serves an ASGI application over TLS on loopback, from a thread."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import trustme
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class _Protocol(HttpToolsProtocol):
    """Hands its transport to the application, which cuts connections on purpose."""

    open: set[asyncio.Transport]

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.open.add(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.open.discard(self.transport)
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        hooks: Any = {"offloader.transport": self.transport, "offloader.protocol": self}
        self.scope["extensions"] = hooks


class _Uvicorn(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, transports: set[asyncio.Transport]) -> None:
        super().__init__(config)
        self.ready = threading.Event()
        self._open = transports

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        asyncio.get_running_loop().set_exception_handler(_quiet)
        self.ready.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Ends at once: a client that does not answer the end of TLS would hold the loop open."""
        await super().shutdown(sockets)
        while self._open:
            for transport in list(self._open):
                transport.abort()
            await asyncio.sleep(0.001)


def _quiet(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """A client that goes away in mid-answer is not worth a line on stderr."""
    if not isinstance(context.get("exception"), OSError):
        loop.default_exception_handler(context)


def _authority(directory: Path) -> trustme.CA:
    """The directory's own certificate authority: made once, the same after a restart."""
    certificate, key = directory / "ca.pem", directory / "ca.key"
    if certificate.exists() and key.exists():
        return trustme.CA.from_pem(certificate.read_bytes(), key.read_bytes())
    authority = trustme.CA(organization_name="offloader sandbox")
    key.touch(mode=0o600)
    authority.private_key_pem.write_to_path(key)
    authority.cert_pem.write_to_path(certificate)
    return authority


def _listen(remembered: Path, port: int) -> socket.socket:
    """A listening socket on the wanted port, else on the port of the last time, else on any free one."""
    wanted = [port] if port else [int(remembered.read_text()) if remembered.exists() else 0, 0]
    for attempt, candidate in enumerate(wanted):
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", candidate))
        except OSError:
            listener.close()
            if attempt == len(wanted) - 1:
                raise
            continue
        break
    remembered.write_text(str(listener.getsockname()[1]))
    return listener


class TlsServer:
    """Serves until `close`. `directory` keeps the CA (`ca.pem`), so that a restart is trusted by the same clients.

    `others` are names of further servers of the same system: each gets a port of its own and the same application.
    Raises OSError if the wanted port is taken.
    """

    def __init__(self, application: Any, directory: Path, port: int = 0, others: Sequence[str] = ()) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        leaf = _authority(directory).issue_cert("127.0.0.1", "localhost")
        key = directory / "server.pem"
        key.touch(mode=0o600)
        leaf.private_key_and_cert_chain_pem.write_to_path(key)
        listeners = [_listen(directory / "port", port), *(_listen(directory / f"port-{name}", 0) for name in others)]
        self.port, *ports = (int(listener.getsockname()[1]) for listener in listeners)
        self.url = f"https://127.0.0.1:{self.port}"
        self.ports = dict(zip(others, ports, strict=True))
        self.ca_file = directory / "ca.pem"
        transports: set[asyncio.Transport] = set()
        config = uvicorn.Config(
            application,
            http=type("_Protocol", (_Protocol,), {"open": transports}),
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="critical",
            access_log=False,
            server_header=False,
            date_header=False,
            ssl_certfile=key,
            backlog=1024,
            timeout_keep_alive=60,
            timeout_graceful_shutdown=1,
        )
        self._server = _Uvicorn(config, transports)
        self._thread = threading.Thread(target=self._server.run, args=(listeners,), name="emulator", daemon=True)
        self._thread.start()
        while not self._server.ready.wait(0.05):
            if not self._thread.is_alive():
                raise OSError("the emulator's server did not start")

    def close(self) -> None:
        """Stop serving; calls under way are cut after a second."""
        self._server.should_exit = True
        self._thread.join()
