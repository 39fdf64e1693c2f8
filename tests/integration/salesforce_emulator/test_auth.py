"""Logins and sessions."""

from __future__ import annotations

import base64
from datetime import timedelta
from pathlib import Path

import jwt
import pytest

from tests.integration.salesforce_emulator.conftest import NOON, Crm

JWT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


def _assertion(crm: Crm, directory: Path, **changes: object) -> str:
    claims = {
        "iss": crm.emulator.client_id,
        "sub": "integration@offloader.example",
        "aud": "https://login.salesforce.com",
        "exp": str(int((NOON + timedelta(minutes=3)).timestamp())),
        **changes,
    }
    return jwt.encode(claims, (directory / "salesforce_jwt.pem").read_text(), algorithm="RS256")


def _secret(directory: Path) -> str:
    return (directory / "salesforce_client_secret").read_text()


def test_client_credentials_in_the_body_give_a_session(crm: Crm, directory: Path) -> None:
    """A token from client credentials opens the REST API, and comes without refresh token and expiry."""
    answer = crm.token(
        grant_type="client_credentials", client_id=crm.emulator.client_id, client_secret=_secret(directory)
    )
    body = answer.json()
    assert answer.status_code == 200
    assert body["instance_url"] == crm.emulator.url
    assert body["token_type"] == "Bearer"
    assert body["access_token"].startswith("00D")
    assert not {"refresh_token", "expires_in"} & set(body)
    crm.session.headers["Authorization"] = f"Bearer {body['access_token']}"
    assert crm.get("/limits").status_code == 200


def test_client_credentials_by_basic_authorization_give_a_session(crm: Crm, directory: Path) -> None:
    """Client id and secret may come in the Authorization header."""
    pair = base64.b64encode(f"{crm.emulator.client_id}:{_secret(directory)}".encode()).decode()
    url = f"{crm.emulator.url}/services/oauth2/token"
    answer = crm.session.post(
        url, data={"grant_type": "client_credentials"}, headers={"Authorization": f"Basic {pair}"}
    )
    assert answer.status_code == 200


def test_jwt_bearer_with_a_textual_expiry_gives_a_session(crm: Crm, directory: Path) -> None:
    """An assertion signed by the registered key is accepted, even if `exp` is a string."""
    answer = crm.token(grant_type=JWT, assertion=_assertion(crm, directory))
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    ("changes", "error", "text"),
    [
        ({"aud": "https://example.com"}, "invalid_grant", "audience is invalid"),
        ({"sub": "nobody@example.com"}, "invalid_grant", "user hasn't approved this consumer"),
        ({"iss": "other"}, "invalid_client_id", "client identifier invalid"),
        ({"exp": 1}, "invalid_grant", "expired access/refresh token"),
    ],
)
def test_a_wrong_assertion_is_refused(
    crm: Crm, directory: Path, changes: dict[str, object], error: str, text: str
) -> None:
    """Each wrong claim is answered with its own OAuth error, an object with status 400."""
    answer = crm.token(grant_type=JWT, assertion=_assertion(crm, directory, **changes))
    assert answer.status_code == 400
    assert answer.json() == {"error": error, "error_description": text}


def test_an_assertion_of_another_key_is_refused(crm: Crm) -> None:
    """A signature that is not the registered key's gives no session."""
    forged = jwt.encode({"iss": crm.emulator.client_id}, "x" * 32, algorithm="HS256")
    assert crm.token(grant_type=JWT, assertion=forged).json()["error"] == "invalid_grant"


@pytest.mark.parametrize(
    ("form", "error", "text"),
    [
        ({"client_id": "?", "client_secret": "?"}, "invalid_client_id", "client identifier invalid"),
        ({"client_secret": "?"}, "invalid_client", "invalid client credentials"),
        ({"grant_type": "magic"}, "unsupported_grant_type", "grant type not supported"),
    ],
)
def test_wrong_client_credentials_are_refused(crm: Crm, form: dict[str, str], error: str, text: str) -> None:
    """Unknown clients, wrong secrets and unknown grants are told apart."""
    answer = crm.token(**{"grant_type": "client_credentials", "client_id": crm.emulator.client_id, **form})
    assert (answer.status_code, answer.json()) == (400, {"error": error, "error_description": text})


def test_client_credentials_need_a_run_as_user_and_the_org_s_own_host(crm: Crm, directory: Path) -> None:
    """Without run-as user, or on the login host, the flow is refused."""
    form = {
        "grant_type": "client_credentials",
        "client_id": crm.emulator.client_id,
        "client_secret": _secret(directory),
    }
    crm.session.headers["Host"] = "login.salesforce.com"
    assert crm.token(**form).json()["error_description"] == "request not supported on this domain"
    del crm.session.headers["Host"]
    crm.emulator.app.auth.run_as = None
    assert crm.token(**form).json()["error_description"] == "no client credentials user enabled"


def test_an_unknown_or_expired_session_is_refused(crm: Crm) -> None:
    """401 INVALID_SESSION_ID for a token never given, ended by the admin, or not used for the session's length."""
    assert crm.get("/limits").status_code == 200
    crm.org.shift = timedelta(hours=1.5)
    assert crm.get("/limits").status_code == 200
    crm.org.shift = timedelta(hours=3)
    assert crm.get("/limits").status_code == 200
    crm.org.shift = timedelta(hours=5.1)
    assert crm.error(crm.get("/limits")) == (401, "INVALID_SESSION_ID", "Session expired or invalid")
    crm.session.headers["Authorization"] = "Bearer nonsense"
    assert crm.get("/limits").status_code == 401
    del crm.session.headers["Authorization"]
    assert crm.get("/limits").status_code == 401


def test_identity_and_userinfo_name_the_user(crm: Crm, directory: Path) -> None:
    """The id URL of a login and userinfo tell who is logged in; without a session both are 403."""
    form = {"client_id": crm.emulator.client_id, "client_secret": _secret(directory)}
    body = crm.token(grant_type="client_credentials", **form).json()
    identity = crm.get(body["id"]).json()
    info = crm.get("/services/oauth2/userinfo").json()
    assert identity["username"] == info["preferred_username"] == "integration@offloader.example"
    assert identity["organization_id"] == info["organization_id"] == crm.org.organization_id
    assert identity["urls"]["rest"] == f"{crm.emulator.url}/services/data/v{{version}}/"
    crm.session.headers["Authorization"] = "Bearer nonsense"
    assert (crm.get(body["id"]).status_code, crm.get(body["id"]).text) == (403, "Bad_OAuth_Token")


def test_a_revoked_token_is_dead(crm: Crm) -> None:
    """After revocation the session is gone."""
    token = str(crm.session.headers["Authorization"]).partition(" ")[2]
    assert crm.request("POST", "/services/oauth2/revoke", data={"token": token}).status_code == 200
    assert crm.get("/limits").status_code == 401


def test_users_without_api_access_are_refused(crm: Crm) -> None:
    """Neither a user without API Enabled nor an org without API gets in."""
    crm.as_user("-ApiEnabled")
    assert crm.get("/limits").json()[0]["errorCode"] == "API_DISABLED_FOR_ORG"
    crm.login()
    crm.options(api_enabled=False)
    text = "The REST API is not enabled for this Organization."
    assert crm.error(crm.get("/limits")) == (403, "API_DISABLED_FOR_ORG", text)
