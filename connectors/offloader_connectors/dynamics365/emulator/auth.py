"""The login server of the emulated tenant, and the tokens that open its environment.

Sources: Microsoft identity platform, "OAuth 2.0 client credentials flow", "Certificate credentials", "OpenID Connect
metadata document", "Microsoft Entra authentication and authorization error codes"; Dataverse Web API guide,
"Authenticate to Dataverse with the Web API".
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from offloader_connectors.emulation.wire import Answer, Request

if TYPE_CHECKING:
    from offloader_connectors.dynamics365.emulator.org import Org

SECRET_FILE = "dynamics365_client_secret"  # noqa: S105 - a file's name
CERTIFICATE_FILE = "dynamics365_certificate.pem"
_SIGNING_FILE = "dynamics365_tokens.pem"
DOMAIN = "offloader.onmicrosoft.com"
#: the tenants that stand for any tenant
_ANY_TENANT = ("common", "organizations")
_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
#: resources of the same cloud that are not this environment: their tokens are real and open nothing here
_OTHER_RESOURCES = ("https://graph.microsoft.com", "https://management.azure.com")
#: seconds ("Configurable token lifetimes": an hour and some)
TOKEN_SECONDS = 3599
_MAX_KNOWN = 10_000


class OAuthError(Exception):
    """An answer of the token endpoint."""

    def __init__(self, error: str, number: int, description: str, status: int = 400) -> None:
        super().__init__(description)
        self.error = error
        self.number = number
        self.description = f"AADSTS{number}: {description}"
        self.status = status


class Unauthenticated(Exception):
    """No token, or one that does not open this environment."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom a token stands for: a user, or the application (user None)."""

    user: str | None
    expires: float


def _private_file(path: Path, data: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(data)


def _key_pem(key: rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _self_signed(key: rsa.RSAPrivateKey) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "offloader sandbox")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2060, 1, 1, tzinfo=UTC))
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM)


def _url64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Auth:
    """The tenant, its one app registration and the tokens. Secrets are made once and kept in the org's directory."""

    def __init__(self, org: Org) -> None:
        self._org = org
        organization = uuid.UUID(org.organization_id)
        self.tenant = str(uuid.uuid5(organization, "tenant"))
        self.client_id = str(uuid.uuid5(organization, "application"))
        #: object id of the application's service principal
        self.principal_id = str(uuid.uuid5(organization, "service principal"))
        directory = org.directory
        if not (directory / _SIGNING_FILE).exists():
            key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
            _private_file(directory / CERTIFICATE_FILE, _key_pem(key) + _self_signed(key))
            _private_file(directory / SECRET_FILE, secrets.token_urlsafe(30).encode())
            signing = rsa.generate_private_key(public_exponent=65537, key_size=2048)
            _private_file(directory / _SIGNING_FILE, _key_pem(signing))
        self.client_secret = (directory / SECRET_FILE).read_text()
        certificate = x509.load_pem_x509_certificate((directory / CERTIFICATE_FILE).read_bytes())
        self._certificate_key = certificate.public_key()
        der = certificate.public_bytes(serialization.Encoding.DER)
        self._thumbprints = {
            "x5t": _url64(hashlib.sha1(der, usedforsecurity=False).digest()),
            "x5t#S256": _url64(hashlib.sha256(der).digest()),
        }
        signing_key = serialization.load_pem_private_key((directory / _SIGNING_FILE).read_bytes(), None)
        assert isinstance(signing_key, rsa.RSAPrivateKey)
        self._signing = signing_key
        self._key_id = _url64(hashlib.sha256(_public_pem(signing_key)).digest()[:20])
        self.reload()

    def reload(self) -> None:
        meta = self._org.store.meta
        #: tokens of earlier generations are expired
        self._generation: int = meta.get("token_generation", 0)
        self._run_as: str | None = meta.get("run_as", self._org.integration_user)
        self._known: dict[tuple[str, str], Identity] = {}

    # -- whom a token stands for -------------------------------------------------------------------

    @property
    def run_as(self) -> str | None:
        """Systemuserid of the application user; None: the application is no user of the environment."""
        return self._run_as

    @run_as.setter
    def run_as(self, user: str | None) -> None:
        self._run_as = user
        self._org.store.set_meta("run_as", user)

    def expire_all(self) -> None:
        """No token given out so far opens the environment any more."""
        self._generation += 1
        self._known.clear()
        self._org.store.set_meta("token_generation", self._generation)

    def user_of(self, headers: Mapping[str, str]) -> str | None:
        """Systemuserid of the request's token, None for an application without user. Raises Unauthenticated."""
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            raise Unauthenticated
        host, token = headers.get("host", ""), token.strip()
        identity = self._known.get((host, token))
        if identity is None:
            if len(self._known) > _MAX_KNOWN:
                self._known.clear()
            identity = self._known[host, token] = self._read(token, host)
        if identity.expires <= self._org.now().timestamp():
            raise Unauthenticated
        return identity.user or self._run_as

    def _read(self, token: str, host: str) -> Identity:
        options: Any = {"verify_exp": False, "verify_aud": False, "verify_nbf": False, "verify_iat": False}
        try:
            claims = jwt.decode(token, self._signing.public_key(), algorithms=["RS256"], options=options)
            expires = float(claims["exp"])
        except (jwt.InvalidTokenError, KeyError, ValueError):
            raise Unauthenticated from None
        if str(claims.get("aud")).rstrip("/") != f"https://{host}" or claims.get("generation") != self._generation:
            raise Unauthenticated
        return Identity(claims.get("user"), expires)

    def challenge(self, host: str) -> Answer:
        """The 401 answer: no body, and a header that names tenant and resource."""
        login = f"https://{host}/{self.tenant}/oauth2/authorize"
        header = f"Bearer authorization_uri={login}, resource_id=https://{host}/"
        return Answer(401, body=b"", headers={"WWW-Authenticate": header})

    def token_for(self, user: str | None, host: str, *, seconds: int = TOKEN_SECONDS, resource: str = "") -> str:
        """A token of this environment for a user by systemuserid; None: for the application."""
        now = int(self._org.now().timestamp())
        claims = {
            "aud": resource or f"https://{host}",
            "iss": f"https://sts.windows.net/{self.tenant}/",
            "iat": now,
            "nbf": now,
            "exp": now + seconds,
            "appid": self.client_id,
            "oid": self.principal_id if user is None else user,
            "tid": self.tenant,
            "ver": "1.0",
            "uti": secrets.token_urlsafe(16),
            "generation": self._generation,
        }
        if user is not None:
            claims["user"] = user
        return jwt.encode(claims, self._signing, algorithm="RS256", headers={"kid": self._key_id, "x5t": self._key_id})

    # -- the login server --------------------------------------------------------------------------

    def operation(self, path: str) -> str | None:
        """`token` or `oidc` for a path of the login server, None for all others."""
        parts = path.strip("/").split("/")
        rest = "/".join(parts[1:])
        if rest in {"oauth2/v2.0/token", "oauth2/token"}:
            return "token"
        if rest in _DOCUMENTS or path.startswith("/common/discovery/instance"):
            return "oidc"
        return None

    def answer(self, request: Request) -> Answer:
        """A call of the login server."""
        tenant, _, rest = request.path.strip("/").partition("/")
        try:
            if rest == "discovery/instance":
                return self._instance(request)
            if tenant.lower() not in {self.tenant, DOMAIN, *_ANY_TENANT}:
                text = f"Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID."
                raise OAuthError("invalid_tenant", 90002, text)
            if rest in _DOCUMENTS:
                return Answer(data=_DOCUMENTS[rest](self, f"https://{request.headers.get('host', '')}", tenant))
            return self._token(request)
        except OAuthError as error:
            return self._refused(error)

    def _refused(self, error: OAuthError) -> Answer:
        trace, correlation = (
            str(uuid.UUID(bytes=secrets.token_bytes(16))),
            str(uuid.UUID(bytes=secrets.token_bytes(16))),
        )
        stamp = self._org.now().astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")
        text = f"{error.description} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {stamp}"
        body = {
            "error": error.error,
            "error_description": text,
            "error_codes": [error.number],
            "timestamp": stamp,
            "trace_id": trace,
            "correlation_id": correlation,
            "error_uri": f"https://login.microsoftonline.com/error?code={error.number}",
        }
        return Answer(error.status, body)

    def _instance(self, request: Request) -> Answer:
        host = request.headers.get("host", "")
        known = {"preferred_network": host, "preferred_cache": host, "aliases": [host]}
        return Answer(
            data={
                "tenant_discovery_endpoint": f"https://{host}/{self.tenant}/v2.0/.well-known/openid-configuration",
                "api-version": "1.1",
                "metadata": [known],
            }
        )

    def _openid(self, base: str, tenant: str) -> dict[str, Any]:
        root = f"{base}/{tenant}"
        return {
            "token_endpoint": f"{root}/oauth2/v2.0/token",
            "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", "client_secret_basic"],
            "jwks_uri": f"{root}/discovery/v2.0/keys",
            "response_modes_supported": ["query", "fragment", "form_post"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
            "scopes_supported": ["openid", "profile", "email", "offline_access"],
            "issuer": f"{base}/{self.tenant}/v2.0",
            "request_uri_parameter_supported": False,
            "userinfo_endpoint": "https://graph.microsoft.com/oidc/userinfo",
            "authorization_endpoint": f"{root}/oauth2/v2.0/authorize",
            "device_authorization_endpoint": f"{root}/oauth2/v2.0/devicecode",
            "end_session_endpoint": f"{root}/oauth2/v2.0/logout",
            "claims_supported": ["sub", "iss", "aud", "exp", "iat", "nonce", "name", "oid", "tid", "ver"],
            "tenant_region_scope": "EU",
            "cloud_instance_name": "microsoftonline.com",
        }

    def _keys(self, base: str, tenant: str) -> dict[str, Any]:
        key = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self._signing.public_key()))
        return {"keys": [{**key, "use": "sig", "kid": self._key_id, "x5t": self._key_id}]}

    def _token(self, request: Request) -> Answer:
        form, host = request.form(), request.headers.get("host", "")
        if "grant_type" not in form:
            text = "The request body must contain the following parameter: 'grant_type'."
            raise OAuthError("invalid_request", 900144, text)
        if form["grant_type"] != "client_credentials":
            text = f"The app requested an unsupported grant type '{form['grant_type']}'."
            raise OAuthError("unsupported_grant_type", 70003, text)
        self._check_client(form, request)
        resource = _resource(form, host)
        token = self.token_for(None, host, resource=resource)
        answer = {"token_type": "Bearer", "expires_in": TOKEN_SECONDS, "ext_expires_in": TOKEN_SECONDS}
        return Answer(data={**answer, "access_token": token}, headers={"Cache-Control": "no-store, no-cache"})

    def _check_client(self, form: Mapping[str, str], request: Request) -> None:
        client, secret = form.get("client_id", ""), form.get("client_secret")
        scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "basic":
            try:
                client, _, secret = base64.b64decode(encoded).decode().partition(":")
            except ValueError:
                client, secret = "", None
        if client.lower() != self.client_id:
            text = f"Application with identifier '{client[:64]}' was not found in the directory 'Offloader Sandbox'."
            raise OAuthError("unauthorized_client", 700016, text)
        if form.get("client_assertion_type") == _ASSERTION:
            self._check_assertion(form.get("client_assertion", ""), request)
            return
        if secret is None:
            text = "The request body must contain the following parameter: 'client_assertion' or 'client_secret'."
            raise OAuthError("invalid_client", 7000218, text, 401)
        if not hmac.compare_digest(secret.encode(), self.client_secret.encode()):
            text = (
                "Invalid client secret provided. Ensure the secret being sent in the request is the client secret "
                f"value, not the client secret ID, for a secret added to app '{self.client_id}'."
            )
            raise OAuthError("invalid_client", 7000215, text, 401)

    def _check_assertion(self, assertion: str, request: Request) -> None:
        options: Any = {"verify_exp": False, "verify_aud": False, "verify_nbf": False, "verify_iat": False}
        unsigned = OAuthError(
            "invalid_client",
            700027,
            "Client assertion contains an invalid signature. [Reason - The key was not found.]",
            401,
        )
        try:
            header = jwt.get_unverified_header(assertion)
            if all(str(header.get(name)).rstrip("=") != value for name, value in self._thumbprints.items()):
                raise unsigned
            claims = jwt.decode(assertion, self._certificate_key, algorithms=["RS256", "PS256"], options=options)  # type: ignore[arg-type]
            expires = float(claims["exp"])
        except (jwt.InvalidTokenError, KeyError, TypeError, ValueError):
            raise unsigned from None
        if {str(claims.get(name)).lower() for name in ("iss", "sub")} != {self.client_id}:
            text = "Client assertion application identifier doesn't match 'client_id' parameter."
            raise OAuthError("invalid_client", 700021, text, 401)
        own = f"https://{request.headers.get('host', '')}/"
        if not str(claims.get("aud")).startswith(own):
            text = "Client assertion audience claim does not match Realm issuer."
            raise OAuthError("invalid_client", 700023, text, 401)
        if expires <= self._org.now().timestamp():
            raise OAuthError("invalid_client", 700024, "Client assertion is not within its valid time range.", 401)


def _public_pem(key: rsa.RSAPrivateKey) -> bytes:
    public = key.public_key()
    return public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def _resource(form: Mapping[str, str], host: str) -> str:
    """The audience that a request is for, as it was written: `scope=RESOURCE/.default`, or `resource=RESOURCE`."""
    scopes = form.get("scope", "").split()
    wanted = form.get("resource", "")
    if scopes:
        if len(scopes) != 1 or not scopes[0].endswith("/.default"):
            text = (
                f"The provided value for the input parameter 'scope' is not valid. The scope {form['scope'][:200]} is "
                "not valid. Client credential flows must have a scope value with /.default suffixed to the resource."
            )
            raise OAuthError("invalid_scope", 1002012, text)
        wanted = scopes[0].removesuffix("/.default")
    elif not wanted:
        raise OAuthError("invalid_request", 900144, "The request body must contain the following parameter: 'scope'.")
    if wanted.rstrip("/") not in {f"https://{host}", *_OTHER_RESOURCES}:
        text = f"The resource principal named {wanted[:200]} was not found in the tenant named Offloader Sandbox."
        raise OAuthError("invalid_resource", 500011, text)
    return wanted


#: documents of the login server below the tenant
_DOCUMENTS: Mapping[str, Callable[[Auth, str, str], dict[str, Any]]] = {
    "v2.0/.well-known/openid-configuration": Auth._openid,
    ".well-known/openid-configuration": Auth._openid,
    "discovery/v2.0/keys": Auth._keys,
    "discovery/keys": Auth._keys,
}
