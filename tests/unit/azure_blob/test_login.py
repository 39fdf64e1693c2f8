"""Logging in by Azure's own chain, at a login host that the options name."""

from __future__ import annotations

import json
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import pytest

from offloader.errors import AuthError

from .conftest import KEY, Asked, MakeStore, Said, Stub

TENANT = "00000000-0000-4000-8000-000000000002"


def as_entra(login: Stub) -> Callable[[Asked], Said]:
    """A login server that knows one application."""
    base = f"{login.url}/{TENANT}"

    def answer(asked: Asked) -> Said:
        if asked.path.startswith(f"/{TENANT}/v2.0/.well-known/openid-configuration"):
            found = {
                "issuer": f"{base}/v2.0",
                "token_endpoint": f"{base}/oauth2/v2.0/token",
                "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
            }
            return Said(200, json.dumps(found).encode(), {"Content-Type": "application/json"})
        form = parse_qs(asked.body.decode())
        if form.get("client_secret") != ["made-up-secret"]:
            refused = {"error": "invalid_client", "error_description": "AADSTS7000215: Invalid client secret provided."}
            return Said(401, json.dumps(refused).encode(), {"Content-Type": "application/json"})
        token = {"access_token": f"token for {form['scope'][0]}", "expires_in": 3600, "token_type": "Bearer"}
        return Said(200, json.dumps(token).encode(), {"Content-Type": "application/json"})

    return answer


@pytest.fixture
def login(make_stub: Callable[[], Stub], monkeypatch: pytest.MonkeyPatch) -> Stub:
    stub = make_stub()
    stub.says["*"] = as_entra(stub)
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "EnvironmentCredential")
    monkeypatch.setenv("AZURE_TENANT_ID", TENANT)
    monkeypatch.setenv("AZURE_CLIENT_ID", "00000000-0000-4000-8000-000000000004")
    monkeypatch.setenv("AZURE_CLIENT_SECRET", "made-up-secret")
    return stub


def test_a_login_host_of_ones_own_is_used_and_no_other(stub: Stub, login: Stub, make_store: MakeStore) -> None:
    """With `authority` the chain asks that host alone, and its token goes with every request, asked for once."""
    stub.says["PutBlob"] = Said(403, headers={"x-ms-error-code": "AuthorizationPermissionMismatch"})
    store = make_store(account_key=None, authority=urlsplit(login.url).netloc)
    for _ in range(2):
        with pytest.raises(AuthError, match="Storage Blob Data Contributor"):
            store.put(KEY, [b"x"])
    assert stub.asked[0].headers["authorization"] == "Bearer token for https://storage.azure.com/.default"
    assert len([each for each in login.asked if each.path.endswith("/token")]) == 1


def test_a_refused_login_shows_no_secret(
    stub: Stub, login: Stub, make_store: MakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A login that is refused is an AuthError; nothing is sent to the store, and the secret is not shown."""
    monkeypatch.setenv("AZURE_CLIENT_SECRET", "wrong-secret")
    with pytest.raises(AuthError) as caught:
        make_store(account_key=None, authority=urlsplit(login.url).netloc).put(KEY, [b"x"])
    assert "wrong-secret" not in str(caught.value)
    assert stub.asked == []


def test_the_management_api_gets_a_token_of_its_own(stub: Stub, login: Stub, make_store: MakeStore) -> None:
    """Asked for the location, the store logs in to the management API too, and sends it no storage token."""
    arm = {"subscription": "s", "resource_group": "g", "endpoint": stub.url}
    proof = make_store(account_key=None, authority=urlsplit(login.url).netloc, arm=arm, country="DE").prove()
    assert "knows nothing of that name" in proof.summary
    [asked, *_] = [each for each in stub.asked if each.path.startswith("/subscriptions/s/resourceGroups/g/")]
    assert asked.headers["authorization"] == f"Bearer token for {stub.url}/.default"
