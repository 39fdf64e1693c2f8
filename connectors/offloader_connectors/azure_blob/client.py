"""Clients that talk to one address: nothing is redirected, retried, or read from the environment but the login.

The client library would follow a redirect with the body, and retry on the secondary endpoint; both are switched off,
and the connections of the storage client know no way to any other host.
"""

from __future__ import annotations

import hashlib
import ssl
import threading
from base64 import b64encode
from functools import cached_property
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urlsplit

import requests
from azure.core.credentials import AzureNamedKeyCredential, AzureSasCredential, TokenCredential
from azure.core.pipeline.transport import RequestsTransport
from azure.storage.blob import (
    BlobClient,
    BlobServiceClient,
    ContainerClient,
    CustomerProvidedEncryptionKey,
    ExponentialRetry,
)
from requests.adapters import HTTPAdapter
from requests.cookies import RequestsCookieJar

from offloader.errors import ConfigError
from offloader.plugins import Context
from offloader.secrets import SecretRef
from offloader_connectors import tls
from offloader_connectors.azure_blob.options import AzureBlobOptions, decoded_key

_POOL = 64
_AES_256 = 32


class _Adapter(HTTPAdapter):
    """Trusts what its own context trusts, and nothing else."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        super().__init__(pool_connections=4, pool_maxsize=_POOL, max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, ssl_context=self._context, **kwargs)

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        conn.cert_reqs = "CERT_REQUIRED"


class Clients:
    """Makes each client once, when it is first needed. Safe for threads.

    `credential` takes the place of the login that the options describe.
    """

    def __init__(self, options: AzureBlobOptions, context: Context, credential: TokenCredential | None = None) -> None:
        self.options = options
        self._context = context
        self._lock = threading.RLock()
        self._login = credential
        self._service: BlobServiceClient | None = None
        self._container: ContainerClient | None = None
        self._arm: requests.Session | None = None

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        return tls.trusting(self.options.ca_file, self._context.directory)

    @property
    def service(self) -> BlobServiceClient:
        """The account's client. Raises ConfigError for unusable secrets."""
        if self._service is None:
            with self._lock:
                if self._service is None:
                    self._service = self._open_service()
        return self._service

    @property
    def container(self) -> ContainerClient:
        if self._container is None:
            self._container = self.service.get_container_client(self.options.container)
        return self._container

    def blob(self, name: str) -> BlobClient:
        return self.container.get_blob_client(name)

    @property
    def arm(self) -> requests.Session:
        """Connections to the management API alone."""
        with self._lock:
            if self._arm is None:
                assert self.options.arm is not None
                self._arm = self._session(_origin(self.options.arm.endpoint))
            return self._arm

    def arm_token(self, scope: str) -> str:
        """A token for the management API. Raises ConfigError, or AzureError if nobody can log in."""
        arm = self.options.arm
        if arm is not None and arm.token is not None:
            return self._reveal(arm.token)
        return self._credential().get_token(scope).token

    def account_key(self) -> str | None:
        """The shared key, if the store has one. Raises ConfigError."""
        options = self.options
        if options.account_key is not None:
            return self._reveal(options.account_key)
        return self._connection_string().get("accountkey") if options.connection_string is not None else None

    @cached_property
    def keyed(self) -> dict[str, Any]:
        """What a request to a blob under the customer's own key carries. Raises ConfigError."""
        if self.options.customer_key is None:
            return {}
        text = self._reveal(self.options.customer_key)
        key = decoded_key(text, "customer_key")
        if len(key) != _AES_256:
            raise ConfigError("customer_key must be the base64 of 32 bytes")
        return {"cpk": CustomerProvidedEncryptionKey(text, b64encode(hashlib.sha256(key).digest()).decode())}

    def _open_service(self) -> BlobServiceClient:
        options = self.options
        transport = self._transport(self._session(_origin(options.account_url)))
        block = options.block_size
        settings: dict[str, Any] = {"api_version": options.api_version} if options.api_version else {}
        return BlobServiceClient(
            options.account_url,
            credential=self._storage_credential(),
            transport=transport,
            retry_policy=ExponentialRetry(retry_total=0),
            permit_redirects=False,
            max_single_put_size=block,
            max_single_get_size=block,
            max_chunk_get_size=block,
            **settings,
        )

    def _storage_credential(self) -> Any:
        options = self.options
        if options.sas is not None:
            return AzureSasCredential(self._reveal(options.sas).removeprefix("?"))
        key = self.account_key()
        if key is not None:
            decoded_key(key, "account_key")
            return AzureNamedKeyCredential(options.account_name, key)
        if options.connection_string is not None:
            signature = self._connection_string().get("sharedaccesssignature")
            if not signature:
                raise ConfigError("connection_string holds neither AccountKey nor SharedAccessSignature")
            return AzureSasCredential(signature.removeprefix("?"))
        return self._credential()

    def _credential(self) -> TokenCredential:
        """The login: Azure's own chain (environment, workload and managed identity, command line)."""
        with self._lock:
            if self._login is None:
                from azure.identity import DefaultAzureCredential  # noqa: PLC0415  not needed with a key or signature

                authority = self.options.authority
                named: dict[str, Any] = {"authority": authority} if authority else {}
                self._login = DefaultAzureCredential(
                    disable_instance_discovery=authority is not None,
                    transport=self._transport(self._session("https://", "http://")),
                    **named,
                )
            return self._login

    def _connection_string(self) -> dict[str, str]:
        """The parts by lower-case name. Raises ConfigError if they are for another account than account_url."""
        assert self.options.connection_string is not None
        text = self._reveal(self.options.connection_string)
        parts = {
            name.strip().lower(): value for name, _, value in (part.partition("=") for part in text.split(";")) if name
        }
        account = parts.get("accountname", "")
        suffix = parts.get("endpointsuffix", "core.windows.net")
        named = parts.get("blobendpoint") or f"https://{account}.blob.{suffix}"
        if named.rstrip("/") != self.options.account_url or account not in ("", self.options.account_name):
            raise ConfigError("connection_string is for another account than account_url; documents go to account_url")
        return parts

    def _session(self, *origins: str) -> requests.Session:
        session = requests.Session()
        session.trust_env = False
        session.cookies = RequestsCookieJar(policy=DefaultCookiePolicy(allowed_domains=[]))
        session.adapters.clear()
        for origin in origins:
            session.mount(origin, _Adapter(self._tls))
        return session

    def _transport(self, session: requests.Session) -> RequestsTransport:
        timeouts = self.options.timeouts
        return RequestsTransport(
            session=session,
            session_owner=False,
            use_env_settings=False,
            connection_timeout=timeouts.connect,
            read_timeout=timeouts.read,
        )

    def _reveal(self, secret: SecretRef) -> str:
        return secret.reveal(self._context.environ, self._context.directory)


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}/"
