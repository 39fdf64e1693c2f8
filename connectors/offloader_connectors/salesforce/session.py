"""Login: one token for all threads, renewed once when the org has dropped it.

Token requests as in "OAuth 2.0 Client Credentials Flow" and "OAuth 2.0 JWT Bearer Flow" of the Salesforce help.
Neither flow gives a refresh token or says how long the session lasts, so a new token is asked for when the old one is
refused.
"""

from __future__ import annotations

import base64
import json
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

import jwt
import urllib3

from offloader.errors import AuthError, ConfigError, Transient
from offloader.plugins import Context
from offloader_connectors.answers import harmless
from offloader_connectors.salesforce import soql, trouble
from offloader_connectors.salesforce.options import SalesforceOptions

TOKEN_PATH = "/services/oauth2/token"  # noqa: S105  the path, not a token
JWT_LIFETIME_S = 180
POOL_SIZE = 64


@dataclass(slots=True)
class Token:
    """A session. `proven` once any call succeeded with it: a fresh token that is refused at once is not renewed."""

    value: str = field(repr=False)
    instance_url: str
    user_id: str
    proven: bool = False


def open_pool(options: SalesforceOptions, tls: ssl.SSLContext) -> urllib3.PoolManager:
    """One connection pool for everything but downloads.

    urllib3 reads no environment; nothing is retried or redirected here.
    """
    return urllib3.PoolManager(
        maxsize=POOL_SIZE,
        block=False,
        retries=False,
        ssl_context=tls,
        timeout=urllib3.Timeout(connect=options.timeouts.connect, read=options.timeouts.read),
    )


class Session:
    """Holds the current token. Thread-safe; at most one login runs at a time."""

    def __init__(
        self, options: SalesforceOptions, context: Context, pool: urllib3.PoolManager, count: Callable[[str], None]
    ) -> None:
        self._options = options
        self._context = context
        self._pool = pool
        self._count = count
        self._lock = threading.Lock()
        self._token: Token | None = None

    def token(self) -> Token:
        """Return the current token, logging in first if there is none. Raises AuthError, Transient, ConfigError."""
        with self._lock:
            if self._token is None:
                self._token = self._login()
            return self._token

    def renew(self, refused: Token) -> Token:
        """Replace a token that the org refused; threads that were refused together share one login.

        Raises AuthError if that token never worked at all: another login would go in circles.
        """
        with self._lock:
            if self._token is not None and self._token is not refused:
                return self._token
            if not refused.proven:
                raise AuthError(
                    "Salesforce refuses a session that it has just granted; check the app's session policies"
                )
            self._token = None
            self._token = self._login()
            return self._token

    def _login(self) -> Token:
        options = self._options
        headers = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
        if options.private_key is not None:
            form = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": self._assertion()}
        else:
            assert options.client_secret is not None
            secret = options.client_secret.reveal(self._context.environ, self._context.directory)
            headers["Authorization"] = "Basic " + base64.b64encode(f"{options.client_id}:{secret}".encode()).decode()
            form = {"grant_type": "client_credentials"}
        self._count("oauth2/token")
        try:
            answer = self._pool.request(
                "POST",
                options.login_url + TOKEN_PATH,
                body=urlencode(form).encode(),
                headers=headers,
                redirect=False,
                retries=False,
            )
        except urllib3.exceptions.HTTPError as error:
            raise Transient(f"login: {options.login_url} cannot be reached ({network_reason(error)})") from error
        return _read_token(answer.status, answer.headers, answer.data)

    def _assertion(self) -> str:
        options = self._options
        assert options.private_key is not None
        key = options.private_key.reveal(self._context.environ, self._context.directory)
        claims = {
            "iss": options.client_id,
            "sub": options.username,
            "aud": options.audience or options.login_url,
            "exp": int(self._context.now().timestamp()) + JWT_LIFETIME_S,
        }
        try:
            return jwt.encode(claims, key, algorithm="RS256")
        except (ValueError, TypeError, jwt.PyJWTError) as error:
            raise ConfigError(f"private_key ({options.private_key}) is no usable RSA key in PEM form") from error


def network_reason(error: BaseException) -> str:
    """Name a network error without its text, which may hold an address with secrets in it."""
    cause = error
    while isinstance(cause, urllib3.exceptions.MaxRetryError) and cause.reason is not None:
        cause = cause.reason
    if "CERTIFICATE_VERIFY_FAILED" in str(cause):
        return "its certificate is not trusted; set ca_file"
    return type(cause).__name__


def _read_token(status: int, headers: Mapping[str, str], body: bytes) -> Token:
    answer = _object(body)
    if status >= 500 or status in (420, 429):
        raise trouble.translate("login", status, headers, b"")
    if status != 200:
        code = harmless(str(answer.get("error") or f"HTTP {status}"))
        said = harmless(str(answer.get("error_description") or ""))
        raise AuthError(
            f"login refused: {code}" + (f", {said}" if said else "") + "; check the connected app and its user"
        )
    value, instance, identity = (answer.get(name) for name in ("access_token", "instance_url", "id"))
    if not (isinstance(value, str) and value and isinstance(instance, str) and isinstance(identity, str)):
        raise AuthError("login: the answer holds no access_token, instance_url and id")
    parts = urlsplit(instance)
    if parts.scheme != "https" or not parts.hostname or not value.isprintable():
        raise AuthError("login: the answer names an instance_url that is not https")
    user_id = identity.rstrip("/").rsplit("/", 1)[-1]
    if not soql.is_id(user_id):
        raise AuthError("login: the answer names no user")
    return Token(value, f"https://{parts.netloc}", soql.id18(user_id))


def _object(body: bytes) -> dict[str, Any]:
    try:
        parsed = json.loads(body)
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}
