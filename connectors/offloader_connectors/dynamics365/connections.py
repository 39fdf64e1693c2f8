"""Connections: pooled, over TLS with our own trust, and nothing read from the environment.

Bundles and proxies that environment variables name are ignored; nothing is redirected or retried; cookies are not
kept, for an affinity cookie would pin all requests to one web server (Web API guide, "Send parallel requests").
"""

from __future__ import annotations

import ssl
from http.cookiejar import DefaultCookiePolicy
from importlib.metadata import version
from pathlib import Path
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.cookies import RequestsCookieJar

from offloader_connectors import tls
from offloader_connectors.dynamics365.options import DynamicsOptions

POOL_SIZE = 64
USER_AGENT = f"offloader/{version('offloader')}"


class _Adapter(HTTPAdapter):
    """Trusts what its own context trusts, and nothing else."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        super().__init__(pool_connections=8, pool_maxsize=POOL_SIZE, max_retries=0, pool_block=False)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, ssl_context=self._context, **kwargs)

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        conn.cert_reqs = "CERT_REQUIRED"


def open_session(options: DynamicsOptions, directory: Path) -> requests.Session:
    """A session for one or more hosts, usable by many threads. Raises ConfigError for an unusable `ca_file`."""
    session = requests.Session()
    session.trust_env = False
    session.cookies = RequestsCookieJar(policy=DefaultCookiePolicy(allowed_domains=[]))
    session.headers.clear()
    session.headers["User-Agent"] = USER_AGENT
    session.mount("https://", _Adapter(tls.trusting(options.ca_file, directory)))
    session.adapters.pop("http://")
    return session


def reason(error: BaseException) -> str:
    """Name a network error without its text, which may hold an address with secrets in it."""
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return "its certificate is not trusted; set ca_file"
    return type(root_of(error)).__name__


def never_sent(error: BaseException) -> bool:
    """Whether the request has certainly not reached the server."""
    unsent = (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError)
    return isinstance(error, requests.exceptions.ConnectTimeout) or isinstance(root_of(error), unsent)


def root_of(error: BaseException) -> BaseException:
    """The error that requests and urllib3 wrapped."""
    while True:
        inner = getattr(error, "reason", None)
        if not isinstance(inner, BaseException):
            inner = error.args[0] if error.args and isinstance(error.args[0], BaseException) else None
        if inner is None:
            return error
        error = inner
