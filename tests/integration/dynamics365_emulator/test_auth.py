"""The login server and its tokens; msal and azure-identity as they are."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import jwt
import msal
import pytest
import requests
from azure.identity import CertificateCredential
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from offloader_connectors.dynamics365.emulator.auth import CERTIFICATE_FILE, SECRET_FILE
from tests.integration.dynamics365_emulator.conftest import NOON, Crm


def _app(crm: Crm, credential: Any, tenant: str = "") -> msal.ConfidentialClientApplication:
    return msal.ConfidentialClientApplication(
        crm.emulator.client_id,
        authority=f"{crm.emulator.url}/{tenant or crm.emulator.tenant}",
        client_credential=credential,
        instance_discovery=False,
        http_client=crm.anonymous(),
    )


def _token(crm: Crm, **form: str) -> requests.Response:
    given = {
        "grant_type": "client_credentials",
        "client_id": crm.emulator.client_id,
        "client_secret": crm.emulator.app.auth.client_secret,
        "scope": f"{crm.emulator.url}/.default",
        **form,
    }
    url = f"{crm.emulator.url}/{crm.emulator.tenant}/oauth2/v2.0/token"
    return crm.anonymous().post(url, data={name: value for name, value in given.items() if value})


def _opens(crm: Crm, token: str) -> bool:
    crm.session.headers["Authorization"] = f"Bearer {token}"
    return crm.get("WhoAmI").status_code == 200


def test_msal_with_a_secret(crm: Crm, directory: Path) -> None:
    """msal finds the endpoints by itself, and its token opens the environment."""
    secret = (directory / SECRET_FILE).read_text()
    answer = _app(crm, secret).acquire_token_for_client([f"{crm.emulator.url}/.default"])
    assert (answer["token_type"], answer["expires_in"]) == ("Bearer", 3599)
    assert _opens(crm, answer["access_token"])
    assert crm.emulator.counters.outer["oidc"] == 1
    assert crm.emulator.counters.outer["token"] == 1


def test_msal_with_the_tenants_domain(crm: Crm, directory: Path) -> None:
    """The tenant may be named by its domain."""
    secret = (directory / SECRET_FILE).read_text()
    answer = _app(crm, secret, "offloader.onmicrosoft.com").acquire_token_for_client([f"{crm.emulator.url}/.default"])
    assert _opens(crm, answer["access_token"])


@pytest.mark.parametrize("with_certificate", [True, False])
def test_msal_with_a_certificate(crm: Crm, directory: Path, with_certificate: bool) -> None:
    """An assertion signed with the certificate's key logs in, by the SHA-1 as by the SHA-256 thumbprint."""
    pem = (directory / CERTIFICATE_FILE).read_text()
    credential: dict[str, str] = {"private_key": pem}
    if with_certificate:
        credential |= {"public_certificate": pem[pem.index("-----BEGIN CERTIFICATE") :]}
    else:
        certificate = x509.load_pem_x509_certificate(pem.encode())
        credential["thumbprint"] = certificate.fingerprint(hashes.SHA1()).hex()
    answer = _app(crm, credential).acquire_token_for_client([f"{crm.emulator.url}/.default"])
    assert "access_token" in answer, answer
    assert _opens(crm, answer["access_token"])


def test_azure_identity_with_a_certificate(crm: Crm, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """azure-identity's own credential works as it is."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(crm.emulator.ca_file))
    with CertificateCredential(
        crm.emulator.tenant,
        crm.emulator.client_id,
        certificate_path=str(directory / CERTIFICATE_FILE),
        authority=crm.emulator.url,
        disable_instance_discovery=True,
    ) as credential:
        assert _opens(crm, credential.get_token(f"{crm.emulator.url}/.default").token)


@pytest.mark.parametrize(
    ("form", "status", "error", "code"),
    [
        ({"client_secret": "wrong"}, 401, "invalid_client", 7000215),
        ({"client_secret": ""}, 401, "invalid_client", 7000218),
        ({"client_id": "11111111-2222-3333-4444-555555555555"}, 400, "unauthorized_client", 700016),
        ({"grant_type": "password"}, 400, "unsupported_grant_type", 70003),
        ({"grant_type": ""}, 400, "invalid_request", 900144),
        ({"scope": "openid"}, 400, "invalid_scope", 1002012),
        ({"scope": "https://elsewhere.crm4.dynamics.com/.default"}, 400, "invalid_resource", 500011),
    ],
)
def test_a_refused_login_says_why(crm: Crm, form: dict[str, str], status: int, error: str, code: int) -> None:
    """Each mistake has its own error, number and text."""
    answer = _token(crm, **form)
    body = answer.json()
    assert (answer.status_code, body["error"], body["error_codes"]) == (status, error, [code])
    assert body["error_description"].startswith(f"AADSTS{code}: ")


def test_an_unknown_tenant(crm: Crm) -> None:
    """A tenant that does not exist has no login."""
    answer = crm.anonymous().get(f"{crm.emulator.url}/nobody.onmicrosoft.com/v2.0/.well-known/openid-configuration")
    assert (answer.status_code, answer.json()["error_codes"]) == (400, [90002])


def _assertion(crm: Crm, directory: Path, headers: dict[str, str] | None = None, **changes: Any) -> str:
    claims = {
        "iss": crm.emulator.client_id,
        "sub": crm.emulator.client_id,
        "aud": f"{crm.emulator.url}/{crm.emulator.tenant}/oauth2/v2.0/token",
        "exp": int((NOON + timedelta(minutes=10)).timestamp()),
        **changes,
    }
    registered = crm.emulator.app.auth._thumbprints["x5t"]
    pem = (directory / CERTIFICATE_FILE).read_text()
    return jwt.encode(claims, pem, algorithm="RS256", headers=headers or {"x5t": registered})


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"headers": {"x5t": "bm9ib2R5"}}, 700027),
        ({"iss": "11111111-2222-3333-4444-555555555555"}, 700021),
        ({"aud": "https://login.microsoftonline.com/x/oauth2/v2.0/token"}, 700023),
        ({"exp": int((NOON - timedelta(minutes=1)).timestamp())}, 700024),
    ],
)
def test_a_wrong_assertion_is_refused(crm: Crm, directory: Path, changes: dict[str, Any], code: int) -> None:
    """A certificate that is not registered, and each wrong claim, is told apart."""
    kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    assertion = _assertion(crm, directory, **changes)
    answer = _token(crm, client_secret="", client_assertion_type=kind, client_assertion=assertion)
    assert (answer.status_code, answer.json()["error_codes"]) == (401, [code])


def test_no_token_tells_the_tenant(crm: Crm) -> None:
    """A call without token is answered with an empty 401 whose header names login and resource."""
    answer = crm.anonymous().get(f"{crm.base}WhoAmI")
    assert (answer.status_code, answer.content) == (401, b"")
    url = crm.emulator.url
    wanted = f"Bearer authorization_uri={url}/{crm.emulator.tenant}/oauth2/authorize, resource_id={url}/"
    assert answer.headers["WWW-Authenticate"] == wanted


def test_expired_foreign_and_withdrawn_tokens_open_nothing(crm: Crm) -> None:
    """A token ends with its hour, with its generation, and opens only what it was made for."""
    assert crm.get("WhoAmI").status_code == 200
    crm.org.shift = timedelta(hours=1)
    assert crm.get("WhoAmI").status_code == 401
    crm.org.shift = timedelta()
    foreign = _token(crm, scope="https://graph.microsoft.com/.default").json()["access_token"]
    assert not _opens(crm, foreign)
    assert not _opens(crm, "nonsense")
    crm.login()
    crm.emulator.app.auth.expire_all()
    assert crm.get("WhoAmI").status_code == 401


def test_an_application_without_user_is_no_member(crm: Crm) -> None:
    """A valid token of an application that is no user of the environment gives 403."""
    crm.emulator.app.auth.run_as = None
    assert crm.error(crm.get("WhoAmI"))[:2] == (403, "0x80072560")


def test_who_am_i(crm: Crm) -> None:
    """WhoAmI names user, business unit and organization."""
    body = crm.get("WhoAmI").json()
    assert body["UserId"] == crm.org.integration_user
    assert body["OrganizationId"] == crm.org.organization_id
    assert body["@odata.context"].endswith("/api/data/v9.2/$metadata#Microsoft.Dynamics.CRM.WhoAmIResponse")
