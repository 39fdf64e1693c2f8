"""Login: client credentials of an app registration, one token for all threads, renewed once when it is refused.

Microsoft identity platform, "OAuth 2.0 client credentials flow"; msal does the talking and keeps the token until it
expires. Secrets and tokens go to the host of `login_url` and, as a bearer, to the environment, and nowhere else.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import msal
import requests

from offloader.errors import AuthError, ConfigError, OffloaderError, Transient
from offloader.plugins import Context
from offloader_connectors.answers import harmless
from offloader_connectors.dynamics365 import connections, trouble
from offloader_connectors.dynamics365.options import DynamicsOptions

#: a token is asked for anew this long before it expires, as msal does it, in seconds
MARGIN_S = 300
_AUTHORITY = re.compile(r"authorization_uri=\"?([^\",\s]+)")
_TENANT = re.compile(r"[A-Za-z0-9.-]+")
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.+?-----END [A-Z ]*PRIVATE KEY-----", re.DOTALL)
_TRANSIENT_LOGIN = frozenset({"temporarily_unavailable", "server_error"})


@dataclass(slots=True, eq=False)
class Token:
    """A bearer token. `until` is monotonic, in seconds. `proven` once any call succeeded with it."""

    value: str = field(repr=False)
    until: float
    proven: bool = False


class _Reply:
    """An answer in the shape that msal reads."""

    def __init__(self, answer: requests.Response) -> None:
        self.status_code = answer.status_code
        self.text = answer.text
        self.headers = answer.headers

    def raise_for_status(self) -> None:
        if self.status_code >= 400:
            raise trouble.translate("login", self.status_code, self.headers, None)


class _Http:
    """msal's way out: our own connections, to the login host only."""

    def __init__(self, session: requests.Session, options: DynamicsOptions, count: Callable[[str], None]) -> None:
        self._session = session
        self._origin = urlsplit(options.login_url).netloc.lower()
        self._timeout = (options.timeouts.connect, options.timeouts.read)
        self._count = count

    def get(self, url: str, params: Any = None, headers: Any = None, **_: Any) -> _Reply:
        return self._ask("oidc", "GET", url, params=params, headers=headers)

    def post(self, url: str, params: Any = None, data: Any = None, headers: Any = None, **_: Any) -> _Reply:
        return self._ask("token", "POST", url, params=params, data=data, headers=headers)

    def close(self) -> None:
        """The connections are the source's."""

    def _ask(self, operation: str, method: str, url: str, **rest: Any) -> _Reply:
        parts = urlsplit(url)
        if parts.scheme != "https" or parts.netloc.lower() != self._origin:
            raise AuthError("login: the login server names an address on another host; set login_url to that host")
        self._count(operation)
        try:
            answer = self._session.request(method, url, timeout=self._timeout, allow_redirects=False, **rest)
        except requests.RequestException as error:
            raise Transient(f"login: {self._origin} cannot be reached ({connections.reason(error)})") from error
        if answer.status_code >= 500 or answer.status_code == 429:
            raise trouble.translate("login", answer.status_code, answer.headers, None)
        return _Reply(answer)


class Session:
    """Holds the current token. Thread-safe; at most one login runs at a time."""

    def __init__(
        self,
        options: DynamicsOptions,
        context: Context,
        connection: requests.Session,
        count: Callable[[str], None],
        challenge: Callable[[], Mapping[str, str]],
    ) -> None:
        """`challenge()` returns the headers of an answer to a request without a token."""
        self._options = options
        self._context = context
        self._http = _Http(connection, options, count)
        self._challenge = challenge
        self._lock = threading.Lock()
        self._app: Any = None
        self._token: Token | None = None

    def token(self) -> Token:
        """Return the current token, logging in first if need be. Raises AuthError, Transient, ConfigError."""
        with self._lock:
            token = self._token
            if token is None or token.until <= self._context.monotonic():
                before, token = token, self._login()
                # msal may hand out the same one again
                token.proven = before is not None and before.proven and before.value == token.value
                self._token = token
            return token

    def renew(self, refused: Token) -> Token:
        """Replace a token that the environment refused; threads that were refused together share one login.

        Raises AuthError if that token never worked at all: another login would go in circles.
        """
        with self._lock:
            if self._token is not None and self._token is not refused:
                return self._token
            if not refused.proven:
                raise AuthError(
                    "the environment refuses a token that was just granted; check that url is this environment's own "
                    "address, and that the app registration is an application user there"
                )
            self._app.remove_tokens_for_client()
            self._token = None
            self._token = self._login()
            return self._token

    def _login(self) -> Token:
        try:
            if self._app is None:
                self._app = self._application()
            answer = self._app.acquire_token_for_client([f"{self._options.url}/.default"])
        except OffloaderError:
            raise
        except (ValueError, KeyError, TypeError, RuntimeError) as error:
            # its text may quote an answer, or the key
            raise AuthError(
                f"login: {self._options.login_url} does not answer as a login server for this tenant, or the "
                f"certificate is unusable ({type(error).__name__}); check login_url, tenant and certificate"
            ) from None
        return self._read(answer)

    def _application(self) -> Any:
        options = self._options
        tenant = options.tenant or _tenant(self._challenge(), options.login_url)
        return msal.ConfidentialClientApplication(
            options.client_id,
            client_credential=self._credential(),
            authority=f"{options.login_url}/{tenant}",
            # the operator says where to log in; nobody else is asked whether that is right
            instance_discovery=False,
            http_client=self._http,
        )

    def _credential(self) -> str | dict[str, str]:
        options, context = self._options, self._context
        if options.certificate is None:
            assert options.client_secret is not None
            return options.client_secret.reveal(context.environ, context.directory)
        pem = options.certificate.reveal(context.environ, context.directory)
        key, certificates = _PRIVATE_KEY.search(pem), _CERTIFICATE.findall(pem)
        if key is None or not certificates:
            raise ConfigError(f"certificate ({options.certificate}) must be PEM with a private key and its certificate")
        return {"private_key": key[0], "public_certificate": "\n".join(certificates)}

    def _read(self, answer: Any) -> Token:
        answer = answer if isinstance(answer, Mapping) else {}
        value, lasts = answer.get("access_token"), answer.get("expires_in")
        if isinstance(value, str) and value and value.isascii() and value.isprintable():
            seconds = lasts if isinstance(lasts, int) else 0
            return Token(value, self._context.monotonic() + max(seconds - MARGIN_S, min(seconds, 60)))
        code = harmless(str(answer.get("error") or "no access_token in the answer"), 80)
        numbers = answer.get("error_codes")
        known = [f"AADSTS{each}" for each in numbers if isinstance(each, int)] if isinstance(numbers, list) else []
        said = f"login refused: {code}" + (f" ({', '.join(known)})" if known else "")
        if code in _TRANSIENT_LOGIN:
            raise Transient(said)
        raise AuthError(f"{said}; check client_id, client_secret or certificate, and tenant")


def _tenant(headers: Mapping[str, str], login_url: str) -> str:
    """The tenant that an environment names when asked without a token (Power Apps guide, "Authenticate with OAuth")."""
    found = _AUTHORITY.search(headers.get("WWW-Authenticate", ""))
    if found is None:
        raise AuthError("the environment does not say which tenant it belongs to; set tenant, and check url")
    parts, expected = urlsplit(found[1]), urlsplit(login_url)
    tenant = parts.path.lstrip("/").partition("/")[0]
    if parts.scheme != "https" or parts.netloc.lower() != expected.netloc.lower() or not _TENANT.fullmatch(tenant):
        where = harmless(parts.netloc, 100)
        raise ConfigError(
            f"the environment logs in at {where}, not at login_url ({login_url}); set login_url, or tenant"
        )
    return tenant
