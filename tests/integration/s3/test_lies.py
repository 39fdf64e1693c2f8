"""A server that says 200 and stored nothing, in all its shades."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from offloader.errors import IntegrityError, OffloaderError, Permanent
from tests.integration.s3.servers import Server
from tests.integration.s3.stores import open_store
from tests.integration.s3.stubs import Reply, Request, error, serving

KEY = "documents/crm/0123abcd/1"
BODY = b"a document"
PLACE: dict[str, Any] = {"bucket": "documents", "prefix": "test/"}


def forgetting(request: Request) -> Reply:
    """Says yes to every write, and has never heard of anything."""
    return Reply(200, b"", {"ETag": '"0"'}) if request.method == "PUT" else _nothing(request)


def scrupulous(request: Request) -> Reply:
    """Keeps every promise that it is tried by, and then stores nothing."""
    if request.path.endswith("~offloader"):
        if "if-none-match" in request.headers:
            return error(412, "PreconditionFailed")
        return error(400, "BadDigest")
    return forgetting(request)


def half(request: Request) -> Reply:
    """Keeps half of what it is sent."""
    if request.method == "GET":
        return Reply(200, BODY[:5], {"ETag": '"0"'}) if _written else _nothing(request)
    if request.method == "PUT" and request.path.endswith(KEY):
        _written.append(request.path)
    return forgetting(request)


_written: list[str] = []


def _nothing(request: Request) -> Reply:
    if "versions" in request.path:
        return error(501, "NotImplemented")
    return Reply(204) if request.method == "DELETE" else error(404, "NoSuchKey")


@pytest.mark.parametrize("reply", [forgetting, scrupulous, half])
@pytest.mark.parametrize("options", [{}, {"checksum": "off", "conditional_create": "off"}], ids=["auto", "off"])
def test_what_was_not_stored_is_not_believed(reply: object, options: dict[str, Any]) -> None:
    """Whatever a server says, an object that cannot be found or read back as it was written is an IntegrityError."""
    _written.clear()
    assert callable(reply)
    with serving(reply) as stub:
        store = open_store(Server(stub.url, "key", "secret"), **PLACE, provider="stub", **options)
        with pytest.raises(IntegrityError, match=hashlib.sha256(BODY).hexdigest()):
            store.put(KEY, [BODY])
    assert any(request.body == BODY for request in stub.seen)


def test_what_may_be_somebody_elses_is_not_deleted() -> None:
    """On a server that lets anybody overwrite, other bytes at the key stay: they may be a second writer's."""
    _written.clear()
    with serving(half) as stub:
        store = open_store(Server(stub.url, "key", "secret"), **PLACE, provider="stub")
        with pytest.raises(IntegrityError, match="it stays"):
            store.put(KEY, [BODY])
    assert not [request for request in stub.seen if request.method == "DELETE"]


def test_a_server_that_ignores_ranges_is_found_out() -> None:
    """The whole is never taken for a part of it."""
    with serving(lambda request: Reply(200, BODY, {"ETag": '"0"'})) as stub:
        store = open_store(Server(stub.url, "key", "secret"), **PLACE, provider="stub")
        with pytest.raises(Permanent, match="whole"):
            store.read(KEY, offset=1, length=2)
        assert b"".join(store.read(KEY)) == BODY


@pytest.mark.parametrize("call", ["put", "large", "stat", "size", "read", "list", "delete", "sweep"])
@pytest.mark.parametrize("body", [b"", b"<html>", b"<ListBucketResult><Contents/></ListBucketResult>", b"\x00\xff"])
def test_an_answer_that_is_no_s3_is_an_error_of_ours(call: str, body: bytes) -> None:
    """A server that answers 200 with junk to everything raises errors of ours, and never makes an object of it."""
    with serving(lambda _: Reply(200, body)) as stub:
        store = open_store(Server(stub.url, "key", "secret"), **PLACE, provider="stub", part_size=5 << 20)
        calls = {
            "put": lambda: store.put(KEY, [BODY]),
            "large": lambda: store.put(KEY, [bytes(5 << 20), b"x"]),
            "stat": lambda: store.stat(KEY),
            "size": lambda: store.size(KEY),
            "read": lambda: b"".join(store.read(KEY)),
            "list": lambda: [*store.list()],
            "delete": lambda: store.delete(KEY),
            "sweep": store.sweep,
        }
        try:
            result = calls[call]()
        except OffloaderError:
            return
    assert call not in {"put", "large"}, result
