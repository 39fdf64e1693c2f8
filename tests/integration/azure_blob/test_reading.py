"""Reading, listing and linking."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import azure.storage.blob._download as download
import pytest
import requests
from azure.core.credentials import AccessToken

from offloader.errors import AuthError, Conflict, Gone, Permanent, Transient, Unsupported
from offloader.plugins import Context
from offloader.testing import context
from offloader_connectors.azure_blob.client import Clients
from offloader_connectors.azure_blob.options import AzureBlobOptions
from offloader_connectors.azure_blob.testparts.testbed import Testbed

from .conftest import MakeStore

KEY = "documents/crm/0123abcd/1"
LARGE = bytes(range(256)) * 1024 + b"and a bit more"
SAID = "attachment; filename=\"a_.pdf\"; filename*=UTF-8''a%C3%A9%22%0D%0A.pdf"


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client library waits a second before it asks again for the rest of a broken answer."""
    monkeypatch.setattr(download.time, "sleep", lambda seconds: None)


@pytest.fixture
def clients(bed: Testbed, container: str, real_time: Context) -> Clients:
    return Clients(AzureBlobOptions.model_validate(bed.store_options(container, bare=True)), real_time)


def test_a_broken_answer_is_taken_up_again(bed: Testbed, make_store: MakeStore) -> None:
    """An answer cut in its middle is asked for again, and the bytes are whole."""
    store = make_store()
    store.put(KEY, [LARGE])
    bed.proxy.faults.on("GetBlob", "truncate", nth=2)
    assert b"".join(store.read(KEY)) == LARGE


def test_an_answer_that_always_breaks_is_transient(bed: Testbed, make_store: MakeStore) -> None:
    """When every answer is cut, reading is a Transient error, and not a short body."""
    store = make_store()
    store.put(KEY, [LARGE])
    bed.proxy.faults.on("GetBlob", "truncate")
    with pytest.raises(Transient):
        store.stat(KEY)


def test_a_blob_that_changes_while_it_is_read_is_a_conflict(make_store: MakeStore, clients: Clients) -> None:
    """All bytes of one reading are of one blob: somebody's overwriting in between is a Conflict."""
    store = make_store()
    store.put(KEY, [LARGE])
    reading = store.read(KEY)
    first = next(reading)
    clients.blob(KEY).upload_blob(b"x" * len(LARGE), overwrite=True)
    with pytest.raises(Conflict):
        b"".join(reading)
    assert LARGE.startswith(first)


@pytest.mark.parametrize(("offset", "length"), [(-1, None), (0, -1)])
def test_negative_ranges_are_refused(make_store: MakeStore, offset: int, length: int | None) -> None:
    """A range that is none is Permanent, at once."""
    with pytest.raises(Permanent):
        make_store().read(KEY, offset=offset, length=length)


def test_an_empty_range_of_nothing_is_gone(make_store: MakeStore) -> None:
    """Even no bytes of a missing blob are Gone."""
    with pytest.raises(Gone):
        [*make_store().read(KEY, length=0)]


def test_an_archived_blob_says_what_to_do(bed: Testbed, make_store: MakeStore) -> None:
    """Reading what somebody has archived is Permanent, with the remedy."""
    store = make_store()
    store.put(KEY, [b"x"])
    bed.proxy.faults.on("GetBlob", "status", status=409, code="BlobArchived")
    with pytest.raises(Permanent, match="hot, cool or cold"):
        store.stat(KEY)


def test_listing_is_of_the_store_alone(make_store: MakeStore, clients: Clients) -> None:
    """What lies outside of the prefix, or has a name that is no key, is not listed; nor is what is not committed."""
    store = make_store(prefix="crm/")
    store.put("a/1", [b"one"])
    for name in ("other/1", "crm/b é", "crm/c//d", "crm"):
        clients.blob(name).upload_blob(b"x")
    clients.blob("crm/e").stage_block("0", b"x")
    assert [*store.list()] == [("a/1", 3)]
    assert [*store.list("a/")] == [("a/1", 3)]
    with pytest.raises(Permanent):
        store.list("crm é")


def test_listing_goes_over_many_pages(make_store: MakeStore, clients: Clients) -> None:
    """A list does not end with its first page."""
    store = make_store()
    for number in range(12):
        clients.blob(f"a/{number:02}").upload_blob(b"x" * number)
    pages = clients.container.list_blobs
    store._clients.container.list_blobs = lambda **given: pages(results_per_page=5, **given)  # type: ignore[method-assign]
    assert [*store.list()] == [(f"a/{number:02}", number) for number in range(12)]


def test_an_order_of_folders_is_refused(make_store: MakeStore, clients: Clients) -> None:
    """An account that lists folder by folder cannot be compared with anything in key order: Permanent, not a wrong
    list.
    """
    store = make_store()
    for key in ("a/b", "a-b"):
        store.put(key, [b"x"])
    pages = clients.container.list_blobs
    store._clients.container.list_blobs = (  # type: ignore[method-assign]
        lambda **given: sorted(pages(**given), key=lambda found: found.name.split("/"))
    )
    with pytest.raises(Permanent, match="hierarchical"):
        [*store.list()]


class Login:
    """A login that Azurite takes: any token that looks right and has not ended."""

    def __init__(self, now: float) -> None:
        self._ends = int(now) + 3600
        self.scopes: list[str] = []

    def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        self.scopes += scopes
        claims = {
            "aud": "https://storage.azure.com",
            "iss": "https://sts.windows-ppe.net/00000000-0000-4000-8000-000000000002/",
            "iat": self._ends - 7200,
            "nbf": self._ends - 7200,
            "exp": self._ends,
            "oid": "00000000-0000-4000-8000-000000000003",
            "tid": "00000000-0000-4000-8000-000000000002",
        }
        parts = [json.dumps({"alg": "HS256", "typ": "JWT"}), json.dumps(claims)]
        head = ".".join(base64.urlsafe_b64encode(part.encode()).decode().rstrip("=") for part in parts)
        mac = base64.urlsafe_b64encode(hmac.digest(b"key", head.encode(), hashlib.sha256)).decode().rstrip("=")
        return AccessToken(f"{head}.{mac}", self._ends)


def ask(method: str, url: str, ca_file: Path) -> requests.Response:
    session = requests.Session()
    session.trust_env = False
    return session.request(method, url, verify=str(ca_file), timeout=30)


@pytest.fixture(params=["key", "login", "connection string"])
def linking(request: pytest.FixtureRequest, bed: Testbed, make_store: MakeStore, real_time: Context) -> Any:
    """A store that can make links, by each of the ways to log in."""
    if request.param == "key":
        return make_store()
    if request.param == "login":
        return make_store(credential=Login(real_time.now().timestamp()), without="account_key")
    text = f"AccountName=sandbox;AccountKey={bed.azurite.key};BlobEndpoint={bed.proxy.url}/"
    given = context(real_time.directory, environ={"TEXT": text})
    given = Context(real_time.now, real_time.sleep, given.monotonic, given.random, given.environ, given.directory)
    return make_store(context=given, connection_string="env:TEXT", without="account_key")


def test_a_link_opens_one_blob_as_a_download(linking: Any, bed: Testbed) -> None:
    """A link gives exactly that blob's bytes, saved under the given name, as the given type, and kept by no cache."""
    linking.put(KEY, [LARGE])
    assert linking.capabilities.presign
    got = ask("GET", linking.presign(KEY, seconds=5, disposition=SAID, mime="application/pdf"), bed.ca_file)
    assert got.status_code == 200
    assert got.content == LARGE
    assert got.headers["Content-Disposition"] == SAID
    assert got.headers["Content-Type"] == "application/pdf"
    assert got.headers["Cache-Control"] == "private, no-store"


def test_a_link_does_nothing_else(linking: Any, bed: Testbed) -> None:
    """A link opens no other blob, and does not write, delete or list; over http it would not open at all."""
    linking.put(KEY, [b"x"])
    linking.put(f"{KEY}0", [b"x"])
    link = linking.presign(KEY, seconds=5, disposition="attachment", mime="text/plain")
    folder, _, query = link.partition(KEY)
    assert ask("GET", f"{folder}{KEY}0{query}", bed.ca_file).status_code == 403
    assert ask("GET", f"{folder.rstrip('/')}{query}&restype=container&comp=list", bed.ca_file).status_code == 403
    assert ask("DELETE", link, bed.ca_file).status_code == 403
    assert ask("PUT", link, bed.ca_file).status_code in (400, 403)
    assert linking.size(KEY) == 1
    asked = {name: values[0] for name, values in parse_qs(urlsplit(link).query).items()}
    assert (asked["sp"], asked["sr"], asked["spr"]) == ("r", "b", "https")


def test_a_link_ends(make_store: MakeStore, bed: Testbed, real_time: Context) -> None:
    """After its seconds a link opens nothing."""
    ago = Context(
        lambda: real_time.now() - timedelta(seconds=10),
        real_time.sleep,
        real_time.monotonic,
        real_time.random,
        {},
        real_time.directory,
    )
    store = make_store(context=ago)
    store.put(KEY, [b"x"])
    link = store.presign(KEY, seconds=5, disposition="attachment", mime="text/plain")
    assert ask("GET", link, bed.ca_file).status_code == 403


@pytest.mark.parametrize(
    ("mime", "expected"),
    [
        ("text/html", "application/octet-stream"),
        ("image/svg+xml", "application/octet-stream"),
        ("text/plain; charset=utf-8", "text/plain"),
        ("a\r\nSet-Cookie: x=y", "application/octet-stream"),
        ("application/vnd.mozilla.xul+xml", "application/octet-stream"),
        ("IMAGE/PNG", "image/png"),
    ],
)
def test_a_link_never_has_a_type_that_a_browser_runs(make_store: MakeStore, mime: str, expected: str) -> None:
    """Whatever type is asked for, one that a browser could run is said to be bytes."""
    link = make_store().presign(KEY, seconds=5, disposition="attachment", mime=mime)
    assert parse_qs(urlsplit(link).query)["rsct"] == [expected]


@pytest.mark.parametrize("disposition", ["inline", "", "attachment\r\nX: y", "attachment; filename=é"])
def test_a_link_is_always_a_download(make_store: MakeStore, disposition: str) -> None:
    """A disposition that shows the file in the browser, or smuggles a header, is refused."""
    with pytest.raises(Permanent):
        make_store().presign(KEY, seconds=5, disposition=disposition, mime="text/plain")


@pytest.mark.parametrize("seconds", [0, -1, 3601])
def test_a_link_is_short_lived(make_store: MakeStore, seconds: int) -> None:
    """A link that would be open for more than an hour, or not at all, is refused."""
    with pytest.raises(Permanent):
        make_store().presign(KEY, seconds=seconds, disposition="attachment", mime="text/plain")


@pytest.mark.parametrize(
    ("environ", "changes"),
    [
        ({"SAS": "sv=2026-06-06&sig=abc"}, {"sas": "env:SAS"}),
        ({"TEXT": "BlobEndpoint={url};SharedAccessSignature=sv=2026-06-06&sig=abc"}, {"connection_string": "env:TEXT"}),
        (
            {"KEY": base64.b64encode(b"k" * 32).decode(), "ACCOUNT": "a2V5"},
            {"account_key": "env:ACCOUNT", "customer_key": "env:KEY"},
        ),
    ],
)
def test_what_cannot_link_says_so(
    bed: Testbed, make_store: MakeStore, real_time: Context, environ: Mapping[str, str], changes: Mapping[str, str]
) -> None:
    """No link can be made out of a signature, nor one that would carry a customer's key."""
    filled = {name: value.format(url=bed.proxy.url) for name, value in environ.items()}
    store = make_store(context=context(real_time.directory, environ=filled), without="account_key", **changes)
    assert not store.capabilities.presign
    with pytest.raises(Unsupported):
        store.presign(KEY, seconds=5, disposition="attachment", mime="text/plain")


def test_a_user_delegation_key_is_kept(bed: Testbed, make_store: MakeStore, real_time: Context) -> None:
    """Logged in by Entra ID, many links take one request."""
    store = make_store(credential=Login(real_time.now().timestamp()), without="account_key")
    for number in range(3):
        store.presign(f"{KEY}{number}", seconds=5, disposition="attachment", mime="text/plain")
    assert bed.proxy.requests == {"GetUserDelegationKey": 1}


def test_a_token_that_is_refused_is_an_auth_error(make_store: MakeStore) -> None:
    """A login that the server does not take is an AuthError."""
    store = make_store(credential=Login(0), without="account_key")
    with pytest.raises(AuthError):
        store.put(KEY, [b"x"])
