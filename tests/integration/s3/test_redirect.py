"""The region pin: two servers under the names of two AWS regions; the second never gets a byte of a document."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme

from offloader.errors import Refused
from offloader.testing import EPOCH, context
from offloader_connectors.s3 import client as client_module
from offloader_connectors.s3.client import make_clients
from offloader_connectors.s3.options import S3Options
from offloader_connectors.s3.store import S3Store
from tests.integration.s3.stubs import Reply, Request, Stub, error, serving

HOME, AWAY = "eu-central-1", "us-east-1"
BUCKET = "documents"
KEY = "documents/crm/0123abcd/1"
BODY = b"what must never leave the country" * 100


def permanent(request: Request) -> Reply:
    where = f"<Endpoint>{BUCKET}.s3.{AWAY}.amazonaws.com</Endpoint><Bucket>{BUCKET}</Bucket>"
    return error(301, "PermanentRedirect", inside=where, x_amz_bucket_region=AWAY)


def temporary(request: Request) -> Reply:
    target = f"https://{BUCKET}.s3.{AWAY}.amazonaws.com{request.path}"
    return error(307, "TemporaryRedirect", Location=target, x_amz_bucket_region=AWAY)


def malformed(request: Request) -> Reply:
    if request.method == "HEAD":
        return Reply(400, b"", {"x-amz-bucket-region": AWAY})
    return error(400, "AuthorizationHeaderMalformed", inside=f"<Region>{AWAY}</Region>")


def accepting(request: Request) -> Reply:
    """The bucket's own region takes everything."""
    if request.method == "POST" and request.path.endswith("?uploads"):
        return Reply(200, b"<InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>")
    return Reply(200, b"", {"ETag": '"0"', "x-amz-bucket-region": AWAY})


@dataclass
class World:
    """Both regions, and a store that is pinned to the first."""

    store: S3Store
    clients: client_module.Clients
    home: Stub
    away: Stub


@pytest.fixture
def authority(tmp_path: Path) -> tuple[ssl.SSLContext, Path]:
    authority = trustme.CA()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(
        *[f"{name}s3.{region}.amazonaws.com" for name in ("", "*.") for region in (HOME, AWAY)]
    ).configure_cert(tls)
    ca_file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(ca_file)
    return tls, ca_file


@pytest.fixture(params=[permanent, temporary, malformed])
def world(
    request: pytest.FixtureRequest,
    authority: tuple[ssl.SSLContext, Path],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Iterator[World]:
    """Names of AWS lead to the stubs; nothing else is changed."""
    tls, ca_file = authority
    with serving(request.param, tls) as home, serving(accepting, tls) as away:
        ports = {HOME: home.port, AWAY: away.port}

        def connect(address: tuple[str, int], *arguments: Any, **_: Any) -> socket.socket:
            region = address[0].removesuffix(".amazonaws.com").rpartition("s3.")[2]
            return socket.create_connection(("127.0.0.1", ports[region]), 10)

        monkeypatch.setattr("urllib3.util.connection.create_connection", connect)
        options = S3Options.model_validate(
            {"bucket": BUCKET, "region": HOME, "access_key": "env:A", "secret_key": "env:B", "ca_file": str(ca_file)}
        )
        clients = make_clients(options, context(tmp_path, environ={"A": "key", "B": "secret"}))
        yield World(S3Store("s3", clients, lambda: EPOCH), clients, home, away)
        clients.close()


CALLS: dict[str, Callable[[S3Store], object]] = {
    "small": lambda store: store.put(KEY, [BODY]),
    "large": lambda store: store.put(KEY, [bytes(5 << 20), bytes(4 << 20)]),
    "size": lambda store: store.size(KEY),
    "stat": lambda store: store.stat(KEY),
    "read": lambda store: store.read(KEY),
    "list": lambda store: [*store.list()],
    "delete": lambda store: store.delete(KEY),
}


@pytest.mark.parametrize("call", CALLS)
def test_a_redirect_is_refused_and_both_regions_are_named(world: World, call: str) -> None:
    """Whatever the redirect looks like, nothing at all reaches the other region; the error names both."""
    with pytest.raises(Refused, match=rf"{AWAY}.*{HOME}") as caught:
        CALLS[call](world.store)
    assert caught.value.rule == "region-pin"
    assert "secret words" not in str(caught.value)
    assert world.home.seen
    assert world.away.seen == []


def put(world: World) -> object:
    """One document, without trying the server out first."""
    return world.clients.s3.put_object(Bucket=BUCKET, Key=KEY, Body=BODY)


def test_without_the_pin_the_document_leaves_the_region(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the pin is for: the same call without it is carried out, and the document lies in the other region."""
    monkeypatch.setattr(client_module, "pin", lambda *_: None)
    put(world)
    assert world.away.received == BODY


def test_the_pin_holds_where_the_redirector_comes_back(world: World) -> None:
    """Should botocore's redirector act again, its request is refused before a byte is sent."""

    def undo(request_dict: Any, **_: Any) -> None:
        request_dict["context"]["s3_redirect"].pop("redirected", None)

    world.clients.s3.meta.events.register_first("needs-retry.s3", undo)
    with pytest.raises(Refused, match="nothing was sent"):
        put(world)
    assert world.away.seen == []


def test_questions_to_other_regions_do_not_wander_either(world: World) -> None:
    """A client for another region's questions is pinned to that region, as the store's own is to its."""
    away = world.clients.other("s3", AWAY)
    away.head_bucket(Bucket=BUCKET)
    assert [request.method for request in world.away.seen] == ["HEAD"]
    assert world.home.seen == []
