"""Logins: OAuth token, revocation, userinfo, identity; sessions that expire.

Sources: Salesforce Help, "OAuth 2.0 JWT Bearer Flow", "OAuth 2.0 Client Credentials Flow".
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from offloader_connectors.emulation.wire import Answer, Request
from offloader_connectors.salesforce.emulator.errors import SalesforceError

if TYPE_CHECKING:
    from offloader_connectors.salesforce.emulator.org import Org

SECRET_FILE = "salesforce_client_secret"  # noqa: S105 - a file's name
KEY_FILE = "salesforce_jwt.pem"
PASSWORD_FILE = "salesforce_password"  # noqa: S105
_JWT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


class OAuthError(Exception):
    """An answer of the token endpoint: an object, never the array of the REST API."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(description)
        self.error = error
        self.description = description


def _private_file(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)


class Auth:
    """The connected app and its sessions. Secrets are made once and kept as files in the org's directory."""

    def __init__(self, org: Org) -> None:
        self._org = org
        directory = org.directory
        self.client_id = f"3MVG9{hashlib.sha256(org.organization_id.encode()).hexdigest()[:80]}"
        if not (directory / KEY_FILE).exists():
            key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
            pem = key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            _private_file(directory / KEY_FILE, pem.decode())
            _private_file(directory / SECRET_FILE, secrets.token_hex(32))
            _private_file(directory / PASSWORD_FILE, secrets.token_urlsafe(12))
        self.client_secret = (directory / SECRET_FILE).read_text()
        self.password = (directory / PASSWORD_FILE).read_text()
        private = serialization.load_pem_private_key((directory / KEY_FILE).read_bytes(), None)
        assert isinstance(private, rsa.RSAPrivateKey)
        self._certificate = private.public_key()
        #: username that client credentials run as; None = not enabled
        self.run_as: str | None = None
        self.reload()

    def reload(self) -> None:
        self._sessions: dict[str, tuple[str, datetime]] = {
            token: (user, self._org.now()) for token, user in self._org.store.meta.get("sessions", {}).items()
        }

    # -- sessions ----------------------------------------------------------------------------------

    def open_session(self, user_id: str) -> str:
        token = f"{self._org.organization_id[:15]}!AQ{secrets.token_urlsafe(60).replace('-', '.')}"
        self._sessions[token] = (user_id, self._org.now())
        self._save()
        return token

    def _save(self) -> None:
        self._org.store.set_meta("sessions", {token: user for token, (user, _) in self._sessions.items()})

    def user_of(self, headers: Mapping[str, str]) -> str:
        """The user of the request's session; using it keeps it alive. Raises SalesforceError INVALID_SESSION_ID."""
        scheme, _, token = headers.get("authorization", "").partition(" ")
        known = self._sessions.get(token.strip()) if scheme.lower() in {"bearer", "oauth"} else None
        now = self._org.now()
        if known is None or now - known[1] > timedelta(seconds=self._org.options.session_seconds):
            raise SalesforceError("INVALID_SESSION_ID", "Session expired or invalid", status=401)
        self._sessions[token.strip()] = (known[0], now)
        return known[0]

    def close_session(self, headers: Mapping[str, str]) -> None:
        self._sessions.pop(headers["authorization"].partition(" ")[2].strip(), None)
        self._save()

    def expire_all(self) -> None:
        self._sessions.clear()
        self._save()

    # -- token endpoint ----------------------------------------------------------------------------

    def token(self, request: Request) -> Answer:
        form, host = request.form(), request.headers.get("host", "")
        try:
            user = self._grant(form, request.headers, host)
        except OAuthError as error:
            return Answer(400, {"error": error.error, "error_description": error.description})
        issued = str(int(self._org.now().timestamp() * 1000))
        url = instance_url(host)
        token = self.open_session(user)
        identity = f"{url}/id/{self._org.organization_id}/{user}"
        sign = hmac.new(self.client_secret.encode(), f"{identity}{issued}".encode(), hashlib.sha256).digest()
        return Answer(
            data={
                "access_token": token,
                "signature": base64.b64encode(sign).decode(),
                "scope": "api id",
                "instance_url": url,
                "id": identity,
                "token_type": "Bearer",
                "issued_at": issued,
            }
        )

    def _grant(self, form: Mapping[str, str], headers: Mapping[str, str], host: str) -> str:
        grant = form.get("grant_type", "")
        if grant == _JWT:
            return self._by_assertion(form.get("assertion", ""), host)
        if grant == "client_credentials":
            self._check_client(form, headers)
            if host.startswith(("login.salesforce.com", "test.salesforce.com")):
                raise OAuthError("invalid_grant", "request not supported on this domain")
            if self.run_as is None:
                raise OAuthError("invalid_grant", "no client credentials user enabled")
            return self._user(self.run_as)
        if grant == "password":
            self._check_client(form, headers)
            return self.user_by_password(form.get("username", ""), form.get("password", ""))
        raise OAuthError("unsupported_grant_type", "grant type not supported")

    def _check_client(self, form: Mapping[str, str], headers: Mapping[str, str]) -> None:
        client, secret = form.get("client_id", ""), form.get("client_secret", "")
        scheme, _, encoded = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "basic":
            try:
                client, _, secret = base64.b64decode(encoded).decode().partition(":")
            except (binascii.Error, UnicodeDecodeError):
                raise OAuthError("invalid_client", "invalid client credentials") from None
        if client != self.client_id:
            raise OAuthError("invalid_client_id", "client identifier invalid")
        if not hmac.compare_digest(secret.encode(), self.client_secret.encode()):
            raise OAuthError("invalid_client", "invalid client credentials")

    def user_by_password(self, username: str, password: str) -> str:
        """Raises OAuthError."""
        if not hmac.compare_digest(password.encode(), self.password.encode()):
            raise OAuthError("invalid_grant", "authentication failure")
        return self._user(username)

    def _user(self, username: str) -> str:
        found = self._org.store.where("User", "Username", username)
        if not found or not found[0]["IsActive"]:
            raise OAuthError("invalid_grant", "authentication failure")
        return str(found[0]["Id"])

    def _by_assertion(self, assertion: str, host: str) -> str:
        try:
            options = {"verify_exp": False, "verify_aud": False, "verify_iat": False}
            claims = jwt.decode(assertion, self._certificate, algorithms=["RS256"], options=options)  # type: ignore[arg-type]
            client = json.loads(base64.urlsafe_b64decode(assertion.split(".")[1] + "==")).get("iss")
        except (jwt.InvalidTokenError, ValueError):
            raise OAuthError("invalid_grant", "invalid assertion") from None
        if client != self.client_id:
            raise OAuthError("invalid_client_id", "client identifier invalid")
        self._check_claims(claims, host)
        username = str(claims.get("sub") or claims.get("prn") or "")
        approved = self._org.options.approved_users
        if approved and username not in approved:
            raise OAuthError("invalid_grant", "user hasn't approved this consumer")
        found = self._org.store.where("User", "Username", username)
        if not found or not found[0]["IsActive"]:
            raise OAuthError("invalid_grant", "user hasn't approved this consumer")
        return str(found[0]["Id"])

    def _check_claims(self, claims: Mapping[str, Any], host: str) -> None:
        audience = claims.get("aud")
        listed = audience if isinstance(audience, list) else [audience]
        login = "https://test.salesforce.com" if self._org.options.sandbox else "https://login.salesforce.com"
        if not any(item in {login, f"https://{host}"} or str(item).endswith(".my.salesforce.com") for item in listed):
            raise OAuthError("invalid_grant", "audience is invalid")
        try:
            expires = float(claims.get("exp", 0))
        except (TypeError, ValueError):
            raise OAuthError("invalid_grant", "invalid assertion") from None
        if expires <= self._org.now().timestamp():
            raise OAuthError("invalid_grant", "expired access/refresh token")

    def revoke(self, request: Request) -> Answer:
        token = request.form().get("token") or request.query.get("token", "")
        if self._sessions.pop(token, None) is None:
            return Answer(400, {"error": "invalid_token", "error_description": "token not found"})
        self._save()
        return Answer(200)

    # -- who am I ----------------------------------------------------------------------------------

    def userinfo(self, request: Request) -> Answer:
        try:
            user = self._org.store.get(self.user_of(request.headers), "User") or {}
        except SalesforceError:
            return _bad_token(request)
        url, organization = instance_url(request.headers.get("host", "")), self._org.organization_id
        return Answer(
            data={
                "sub": f"{url}/id/{organization}/{user['Id']}",
                "user_id": user["Id"],
                "organization_id": organization,
                "preferred_username": user["Username"],
                "nickname": user.get("Alias"),
                "name": user["Name"],
                "email": user.get("Email"),
                "email_verified": True,
                "given_name": user.get("FirstName"),
                "family_name": user.get("LastName"),
                "zoneinfo": user.get("TimeZoneSidKey"),
                "urls": _urls(url, organization, user["Id"]),
                "active": user["IsActive"],
                "user_type": user["UserType"].upper(),
                "language": user.get("LanguageLocaleKey"),
                "locale": user.get("LocaleSidKey"),
                "utcOffset": 0,
                "updated_at": user["SystemModstamp"],
            }
        )

    def identity(self, request: Request, organization: str, user_id: str) -> Answer:
        try:
            user = self._org.store.get(self.user_of(request.headers), "User") or {}
        except SalesforceError:
            return _bad_token(request)
        if user["Id"][:15] != user_id[:15] or organization[:15] != self._org.organization_id[:15]:
            return _bad_token(request)
        url = instance_url(request.headers.get("host", ""))
        return Answer(
            data={
                "id": f"{url}/id/{self._org.organization_id}/{user['Id']}",
                "asserted_user": True,
                "user_id": user["Id"],
                "organization_id": self._org.organization_id,
                "username": user["Username"],
                "nick_name": user.get("Alias"),
                "display_name": user["Name"],
                "email": user.get("Email"),
                "email_verified": True,
                "first_name": user.get("FirstName"),
                "last_name": user.get("LastName"),
                "timezone": user.get("TimeZoneSidKey"),
                "urls": _urls(url, self._org.organization_id, user["Id"]),
                "active": user["IsActive"],
                "user_type": user["UserType"].upper(),
                "language": user.get("LanguageLocaleKey"),
                "locale": user.get("LocaleSidKey"),
                "utcOffset": 0,
                "last_modified_date": user["LastModifiedDate"],
                "is_app_installed": True,
            }
        )


def _bad_token(request: Request) -> Answer:
    missing = "authorization" not in request.headers
    return Answer(
        403, body=b"Missing_OAuth_Token" if missing else b"Bad_OAuth_Token", content_type="text/html;charset=UTF-8"
    )


def instance_url(host: str) -> str:
    """Where a client of this login host finds its org: the same host."""
    return f"https://{host}"


def _urls(url: str, organization: str, user_id: str) -> dict[str, str]:
    rest = f"{url}/services/data/v{{version}}/"
    return {
        "enterprise": f"{url}/services/Soap/c/{{version}}/{organization[:15]}",
        "metadata": f"{url}/services/Soap/m/{{version}}/{organization[:15]}",
        "partner": f"{url}/services/Soap/u/{{version}}/{organization[:15]}",
        "rest": rest,
        "sobjects": f"{rest}sobjects/",
        "search": f"{rest}search/",
        "query": f"{rest}query/",
        "recent": f"{rest}recent/",
        "tooling_rest": f"{rest}tooling/",
        "profile": f"{url}/{user_id}",
        "custom_domain": url,
    }
