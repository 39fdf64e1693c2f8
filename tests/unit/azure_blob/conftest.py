"""A server that answers what a test tells it to, and remembers what was asked."""

from __future__ import annotations

import base64
import ssl
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from offloader.testing import context
from offloader_connectors import tls
from offloader_connectors.azure_blob.options import AzureBlobOptions
from offloader_connectors.azure_blob.store import AzureBlobStore
from offloader_connectors.azure_blob.testparts.proxy import operation
from offloader_connectors.azure_blob.testparts.serving import Handler, Server, make_certificate

KEY = "documents/crm/0123abcd/1"
ACCOUNT_KEY = base64.b64encode(b"made-up-account-key".ljust(32, b".")).decode()


@dataclass
class Asked:
    operation: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass
class Said:
    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Stub:
    url: str = ""
    ca_file: Path = Path()
    asked: list[Asked] = field(default_factory=list)
    #: by operation; "*" for all others
    says: dict[str, Said | Callable[[Asked], Said]] = field(default_factory=dict)

    def operations(self) -> list[str]:
        return [each.operation for each in self.asked]


class _Scripted(Handler):
    stub: Stub

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        asked = Asked(operation(self.command, self.path), self.path, headers, body)
        self.stub.asked.append(asked)
        says = self.stub.says.get(asked.operation) or self.stub.says.get("*", Said(404))
        said = says(asked) if callable(says) else says
        self.send_response_only(said.status)
        for name, value in said.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(said.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(said.body)

    do_PUT = do_HEAD = do_DELETE = do_POST = do_GET  # noqa: N815


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(scope="session")
def trusted(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    """Reading the system's authorities takes longer than most tests: once is enough."""
    return tls.trusting(certificate[0], Path())


@pytest.fixture
def make_stub(certificate: tuple[Path, Path]) -> Iterator[Callable[[], Stub]]:
    servers = []

    def make() -> Stub:
        stub = Stub(ca_file=certificate[0])
        servers.append(Server(type("_Bound", (_Scripted,), {"stub": stub}), certificate[1]))
        stub.url = servers[-1].url
        return stub

    yield make
    for server in servers:
        server.close()


@pytest.fixture
def stub(make_stub: Callable[[], Stub]) -> Stub:
    return make_stub()


MakeStore = Callable[..., AzureBlobStore]


@pytest.fixture
def make_store(stub: Stub, trusted: ssl.SSLContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakeStore:
    monkeypatch.setattr(tls, "trusting", lambda ca_file, directory: trusted)

    def make(environ: Mapping[str, str] | None = None, **changes: Any) -> AzureBlobStore:
        # one block after the other, so that what was asked stands in the body's order
        given_here = {
            "account_url": f"{stub.url}/account",
            "container": "docs",
            "account_key": "env:KEY",
            "concurrency": 1,
        }
        options = {**given_here, **changes}
        given = context(tmp_path, environ={"KEY": ACCOUNT_KEY, **(environ or {})})
        return AzureBlobStore("azure", AzureBlobOptions.model_validate(options), given)

    return make
