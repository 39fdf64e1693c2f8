"""The gateway behind real sockets."""

from __future__ import annotations

import contextlib
import http.client
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import trustme

from offloader.errors import ConfigError
from offloader.gateway.app import LedgerLinks, make_app
from offloader.gateway.login import HeaderLogin
from offloader.gateway.server import serving
from offloader.ledger import Copy, Step, open_ledger
from offloader.model import Digest, Document, DocumentRef, Link, State, Version
from offloader.ports import Access, LinkRequest, Page
from offloader.testing import MemorySource, MemoryStore

LINK_ID = "abcdefgh234567abcdefgh2345"
BODY = bytes(range(256)) * 4000
KEY = "documents/crm/x/1"
LOGIN = {"X-Forwarded-User": "anna", "X-Proxy-Secret": "s"}


class Open(MemorySource):
    """A CRM in which everybody may read everything."""

    def may_read(self, user: str, requests: Sequence[LinkRequest]) -> Sequence[Access]:
        return [Access.YES for _ in requests]


class Slow(MemoryStore):
    """A store that stops after its first piece until it is told to go on, and notes when a read has ended."""

    def __init__(self) -> None:
        super().__init__("memory")
        self.go, self.started, self.ended = threading.Event(), threading.Event(), threading.Event()

    def read(self, key: str, *, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        return self._pieces(super().read(key, offset=offset, length=length))

    def _pieces(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        try:
            for piece in pieces:
                yield piece
                self.started.set()
                self.go.wait(60)
        finally:
            self.ended.set()


def now() -> datetime:
    return datetime(2026, 11, 22, tzinfo=UTC)


@pytest.fixture
def store() -> Slow:
    made = Slow()
    made.go.set()
    made.put(KEY, [BODY])
    return made


@pytest.fixture
def app(tmp_path: Path, store: Slow) -> Iterator[Any]:
    """The gateway on a real ledger that holds one moved document."""
    with open_ledger(tmp_path / "ledger.sqlite", now=now) as ledger:
        ref = DocumentRef("crm", "File", "1")
        version = Version(id="v", number=1, name="big.bin", size=len(BODY))
        document = Document(ref=ref, title="big", versions=(version,))
        ledger.record_page("crm", "File", Page(documents=(document,)), since=None)
        entry = ledger.entry(ref)
        assert entry is not None
        copy = Copy("memory", KEY, Digest.of(BODY), now())
        pk = entry.versions[0].pk
        for state in (State.PLANNED, State.COPIED, State.VERIFIED):
            ledger.advance([Step(pk, state, copy=copy if state is State.VERIFIED else None)])
        link = Link(LINK_ID, f"https://files.example.com/d/{LINK_ID}")
        ledger.advance([Step(pk, State.LINKED)], links=[(entry.pk, link, {})])
        links = LedgerLinks(ledger)
        yield make_app(links=links, sources={"crm": Open()}, stores={"memory": store}, login=HeaderLogin("s"))


@contextmanager
def ask(port: int, **headers: str) -> Iterator[http.client.HTTPResponse]:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        connection.request("GET", f"/d/{LINK_ID}", headers={**LOGIN, **headers})
        with connection.getresponse() as answer:
            yield answer


def test_over_a_socket(app: Any) -> None:
    """A real server serves the whole body and a range of it."""
    with serving(app) as port:
        with ask(port) as whole:
            assert (whole.status, whole.read()) == (200, BODY)
            assert "uvicorn" not in str(whole.headers)
        with ask(port, Range="bytes=10-19") as part:
            assert (part.status, part.read()) == (206, BODY[10:20])


def test_over_tls(app: Any, tmp_path: Path) -> None:
    """With a certificate the gateway speaks TLS."""
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    context = ssl.create_default_context()
    authority.configure_trust(context)
    with serving(app, certificate=tmp_path / "cert.pem", key=tmp_path / "key.pem") as port:
        connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=60, context=context)
        connection.request("GET", f"/d/{LINK_ID}", headers=LOGIN)

        assert connection.getresponse().read() == BODY
        connection.close()


def test_a_damaged_body_does_not_look_complete(app: Any, store: Slow) -> None:
    """A client of a body that is not what the ledger knows sees a broken connection, and fewer bytes than announced."""
    store.corrupt(KEY)
    with serving(app) as port, ask(port) as answer:
        assert answer.headers["Content-Length"] == str(len(BODY))
        with pytest.raises(http.client.IncompleteRead):
            answer.read()


def test_a_client_that_goes_away_frees_the_store(app: Any, store: Slow) -> None:
    """A read for a client that has gone away is ended."""
    store.go.clear()
    with serving(app) as port:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("GET", f"/d/{LINK_ID}", headers=LOGIN)
        answer = connection.getresponse()
        assert store.started.wait(60)
        answer.close()
        connection.close()
        store.go.set()

        assert store.ended.wait(60)


CHILD = """
import sys
from offloader.gateway.app import make_app
from offloader.gateway.login import HeaderLogin
from offloader.gateway.server import serve
serve(make_app(links=None, sources={}, stores={}, login=HeaderLogin("s")), port=int(sys.argv[1]))
"""


def connected(port: int, child: subprocess.Popen[bytes]) -> socket.socket:
    """Connect as soon as the child listens."""
    while child.poll() is None:
        with contextlib.suppress(ConnectionRefusedError):
            return socket.create_connection(("127.0.0.1", port), timeout=60)
    raise AssertionError("the child has ended")


def test_serving_ends_when_told() -> None:
    """A gateway in a process of its own answers, and ends by SIGTERM with no access log."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with subprocess.Popen([sys.executable, "-c", CHILD, str(port)], stderr=subprocess.PIPE) as child:
        with connected(port, child) as client:
            client.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert client.recv(64).startswith(b"HTTP/1.1 200")
        child.terminate()
        _, log = child.communicate(timeout=60)

    assert child.returncode in (0, -signal.SIGTERM)
    assert b"healthz" not in log


def test_a_taken_port_is_a_configuration_error(app: Any) -> None:
    """A second gateway on the same port is refused by name."""
    with serving(app) as port, pytest.raises(ConfigError, match=str(port)), serving(app, port=port):
        pass


def test_a_bad_certificate_is_a_configuration_error(app: Any, tmp_path: Path) -> None:
    """A certificate that cannot be read is named before anything is served."""
    with pytest.raises(ConfigError, match="certificate"), serving(app, certificate=tmp_path / "none.pem"):
        pass
