"""Links to single objects: a download under the name asked for, for a short time; nobody can change them."""

from __future__ import annotations

import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from offloader.errors import AuthError, Permanent
from offloader.testing import context
from offloader_connectors.s3.client import make_clients
from offloader_connectors.s3.options import S3Options
from offloader_connectors.s3.store import S3Store
from tests.integration.s3.servers import Server
from tests.integration.s3.stores import counted, open_clients, open_store

KEY = "documents/crm/0123abcd/1"
NAME = "attachment; filename=\"a_.pdf\"; filename*=UTF-8''a%22%3B%20%C3%A9%0D%0A.pdf"
OPEN = urllib.request.build_opener(urllib.request.ProxyHandler({})).open


def link(store: S3Store, seconds: int = 30) -> str:
    return store.presign(KEY, seconds=seconds, disposition=NAME, mime="application/pdf")


def status(url: str) -> int:
    try:
        with OPEN(url, timeout=10) as reply:
            return int(reply.status)
    except urllib.error.HTTPError as error:
        with error:
            return int(error.code)


def test_a_link_downloads_under_the_name(seaweedfs: Server) -> None:
    """The link needs no login, gives the object's bytes, and says name, type and that nobody may keep them."""
    clients = open_clients(seaweedfs)
    store = S3Store("s3", clients, lambda: datetime.now(UTC))
    store.put(KEY, [b"the bytes"])
    sent = counted(clients)
    url = link(store)
    assert sent == []
    with OPEN(url, timeout=10) as reply:
        assert reply.read() == b"the bytes"
        assert reply.headers["Content-Disposition"] == NAME
        assert reply.headers["Content-Type"] == "application/pdf"
        assert reply.headers["Cache-Control"] == "private, no-store"


def test_a_link_is_for_one_object_and_a_short_time(seaweedfs: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another key, another name or a later time make the link worthless."""
    store = open_store(seaweedfs)
    store.put(KEY, [b"the bytes"])
    store.put(KEY + "0", [b"others"])
    url = link(store)
    assert status(url) == 200
    assert status(url.replace(f"{KEY}?", f"{KEY}0?")) == 403
    assert status(url.replace("a_.pdf", "b_.pdf")) == 403
    earlier = datetime.now(UTC).replace(tzinfo=None) - timedelta(seconds=31)
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda **_: earlier)
    assert status(link(store)) == 403


def test_a_link_needs_no_header_that_a_browser_cannot_send(ministack: Server) -> None:
    """The expected owner, which goes with every other call, is not part of a link."""
    url = link(open_store(ministack, expected_owner="123456789012"))
    assert parse_qs(urlsplit(url).query)["X-Amz-SignedHeaders"] == ["host"]
    assert "owner" not in url.lower()


@pytest.mark.parametrize("seconds", [0, -1, 3601])
def test_no_link_lives_long(ministack: Server, seconds: int) -> None:
    """A link lives from one second to an hour."""
    with pytest.raises(Permanent):
        link(open_store(ministack), seconds)


@pytest.mark.parametrize("disposition", ["inline", "attachment\r\nSet-Cookie: a=b", "attachmentx", "", "attachment; é"])
def test_links_always_download(ministack: Server, disposition: str) -> None:
    """A disposition that would show the file, or smuggle a header, is refused."""
    with pytest.raises(Permanent):
        open_store(ministack).presign(KEY, seconds=5, disposition=disposition, mime="application/pdf")
    with pytest.raises(Permanent):
        open_store(ministack).presign(KEY, seconds=5, disposition="attachment", mime="text/html\r\nX: y")


def test_without_credentials_there_is_no_link(
    ministack: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Nobody's signature is no link: AuthError."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", f"{tmp_path}/none")
    monkeypatch.setenv("AWS_CONFIG_FILE", f"{tmp_path}/none")
    options = ministack.options(**ministack.place(), access_key=None, secret_key=None)
    store = S3Store("s3", make_clients(S3Options.model_validate(options), context(tmp_path)), lambda: datetime.now(UTC))
    with pytest.raises(AuthError):
        link(store)
    with pytest.raises(AuthError):
        store.put(KEY, [b"x"])


def test_a_clock_that_is_wrong_is_named(seaweedfs: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that refuses our time is answered with what to do: set the clock."""
    store = open_store(seaweedfs)
    wrong = datetime.now(UTC).replace(tzinfo=None) - timedelta(hours=3)
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda **_: wrong)
    with pytest.raises(AuthError, match="clock"):
        store.put(KEY, [b"x"])
