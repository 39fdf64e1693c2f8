"""Serving the gateway with uvicorn. No access log: who opens which document is between them and the CRM."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from offloader.errors import ConfigError


def serve(
    app: ASGIApp, *, host: str = "127.0.0.1", port: int = 8480, certificate: Path | None = None, key: Path | None = None
) -> None:
    """Serve until the process is told to stop. Raises ConfigError if the address is taken."""
    with _listening(host, port) as listener:
        uvicorn.Server(_config(app, certificate, key)).run(sockets=[listener])


@contextmanager
def serving(
    app: ASGIApp, *, host: str = "127.0.0.1", port: int = 0, certificate: Path | None = None, key: Path | None = None
) -> Iterator[int]:
    """Serve in a thread while the block runs; gives the port. Raises ConfigError if the address is taken."""
    with _listening(host, port) as listener:
        server = uvicorn.Server(_config(app, certificate, key))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="gateway", daemon=True)
        thread.start()
        try:
            # the socket listens already: who connects before the server accepts just waits
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join()


def _config(app: ASGIApp, certificate: Path | None, key: Path | None) -> uvicorn.Config:
    config = uvicorn.Config(
        app,
        access_log=False,
        lifespan="off",
        log_config=None,
        server_header=False,
        ssl_certfile=certificate,
        ssl_keyfile=key,
        timeout_graceful_shutdown=5,
        ws="none",
    )
    try:
        config.load()
    except OSError as error:
        raise ConfigError(f"the gateway's certificate {certificate} or its key cannot be used: {error}") from error
    return config


@contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    try:
        listener = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise ConfigError(f"the gateway cannot listen on {host} port {port}: {error.strerror}") from error
    with listener:
        yield listener
