"""Clients that stay in their region: no redirect, no other host, no setting from outside can move them.

botocore follows a redirect to another region: it signs the request again for that region and sends the body there.
Here its redirector finds every request already redirected and leaves it alone, and whatever is about to be signed for
another region or another host is refused before a connection is opened.
"""

from __future__ import annotations

import threading
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from offloader.errors import ConfigError, Refused
from offloader.plugins import Context
from offloader_connectors.s3.options import S3Options

#: a client of boto3, which has no types: its methods are made from data when it is created
Client = Any
PIN = "region-pin"
_REGION_VARIABLES = ("AWS_REGION", "AWS_DEFAULT_REGION")
_ENDPOINT_VARIABLES = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3")


class Clients:
    """Makes each client once, when it is first needed. Safe for threads; clients may be shared by them."""

    def __init__(self, options: S3Options, context: Context) -> None:
        self.options = options
        self._context = context
        self._lock = threading.RLock()
        self._session: Any = None
        self._clients: dict[tuple[str, str], Client] = {}
        self._s3: Client = None

    @property
    def s3(self) -> Client:
        """The store's own client: pinned to its region, with the expected owner in every request."""
        if self._s3 is None:
            with self._lock:
                if self._s3 is None:
                    client = self._make("s3", self.options.region)
                    if self.options.expected_owner is not None:
                        _expect_owner(client, self.options.expected_owner)
                    self._s3 = client
        return self._s3

    def other(self, service: str, region: str | None = None) -> Client:
        """A client for questions to any service (s3 too) in any region. It sends no document and names no owner."""
        where = region or self.options.region
        with self._lock:
            if (service, where) not in self._clients:
                self._clients[service, where] = self._make(service, where)
            return self._clients[service, where]

    def close(self) -> None:
        """Close every connection. A client that is asked for later is made afresh."""
        with self._lock:
            clients = [*self._clients.values(), *filter(None, [self._s3])]
            self._clients, self._s3 = {}, None
        for client in clients:
            client.close()

    def _make(self, service: str, region: str) -> Client:
        from botocore.exceptions import BotoCoreError  # noqa: PLC0415  boto3 takes long to import

        try:
            client = self._open_session().client(
                service,
                region_name=region,
                endpoint_url=self._endpoint(service),
                verify=self._bundle(),
                config=self._config(service),
            )
        except (BotoCoreError, ValueError) as error:
            raise ConfigError(f"no client for {service} in {region}: {type(error).__name__}") from error
        if service == "s3":
            pin(client, region)
        return client

    def _open_session(self) -> Any:
        if self._session is None:
            from boto3.session import Session  # noqa: PLC0415
            from botocore.session import get_session  # noqa: PLC0415

            options, context = self.options, self._context
            core = get_session()
            core.register_component("data_loader", _models())
            self._session = Session(
                botocore_session=core,
                **{
                    name: secret.reveal(context.environ, context.directory)
                    for name, secret in (
                        ("aws_access_key_id", options.access_key),
                        ("aws_secret_access_key", options.secret_key),
                        ("aws_session_token", options.session_token),
                    )
                    if secret is not None
                },
            )
        return self._session

    def _endpoint(self, service: str) -> str | None:
        """The address of a service; credentials of another provider's server are never shown to AWS."""
        options = self.options
        if service in options.service_endpoints:
            return options.service_endpoints[service]
        return options.endpoint_url if service == "s3" or not options.is_aws else None

    def _bundle(self) -> str | bool:
        """The authorities to trust: named here, because the environment would otherwise name them."""
        if self.options.ca_file is None:
            return True
        path = self._context.directory / self.options.ca_file
        if not path.is_file():
            raise ConfigError(f"ca_file {path} is no readable PEM bundle")
        return str(path)

    def _config(self, service: str) -> Any:
        """Everything that the environment or a profile could otherwise decide is said here."""
        from botocore.config import Config  # noqa: PLC0415

        options = self.options
        return Config(
            signature_version="s3v4" if service == "s3" else None,
            retries={"total_max_attempts": 1, "mode": "standard"},
            connect_timeout=options.timeouts.connect,
            read_timeout=options.timeouts.read,
            max_pool_connections=2 * options.max_concurrency,
            tcp_keepalive=True,
            proxies={},
            use_dualstack_endpoint=False,
            use_fips_endpoint=False,
            ignore_configured_endpoint_urls=True,
            inject_host_prefix=options.is_aws,
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            s3={
                "addressing_style": "virtual" if options.endpoint_url is None else "path",
                "use_accelerate_endpoint": False,
                "use_arn_region": False,
                "us_east_1_regional_endpoint": "regional",
            },
        )


def make_clients(options: S3Options, context: Context) -> Clients:
    """Clients for these options; makes no call. Raises ConfigError if the environment says something else."""
    if not options.ignore_environment:
        _check_environment(options, context)
    return Clients(options, context)


@cache
def _models() -> Any:
    """What services can do, as data: read once per process, it takes most of the time that a client takes."""
    from botocore.loaders import create_loader  # noqa: PLC0415

    return create_loader()


def _check_environment(options: S3Options, context: Context) -> None:
    meant = dict.fromkeys(_REGION_VARIABLES, options.region) | dict.fromkeys(_ENDPOINT_VARIABLES, options.endpoint_url)
    for name, value in meant.items():
        found = context.environ.get(name, "").rstrip("/")
        if found and found != value:
            what = "region" if name in _REGION_VARIABLES else "endpoint_url"
            raise ConfigError(
                f"the environment variable {name} names another {what} than the store's {value or 'own'}: "
                "remove it, or set ignore_environment: true, which uses the store's"
            )


def pin(client: Client, region: str) -> None:
    """Refuse every request of an S3 client that would go to another region or host, before it is signed or sent."""
    home = urlsplit(client.meta.endpoint_url).hostname

    def already_redirected(params: Any, context: Any, **_: Any) -> None:
        context.setdefault("s3_redirect", {})["redirected"] = True

    def check(request: Any, region_name: str | None = None, operation_name: str = "", **_: Any) -> None:
        signed_for = (request.context.get("signing") or {}).get("region") or region_name
        host = urlsplit(request.url).hostname or ""
        if signed_for != region or not (host == home or host.endswith(f".{home}")):
            raise Refused(
                f"{operation_name} would go to region {signed_for} at {host}; the store is pinned to {region} "
                f"at {home}: nothing was sent",
                rule=PIN,
            )

    events = client.meta.events
    events.register_last("before-parameter-build.s3", already_redirected)
    events.register_last("before-sign.s3", check)


def _expect_owner(client: Client, owner: str) -> None:
    """Name the owner in every call that can; not in a pre-signed link, whose browser cannot send the header."""

    def add(params: Any, model: Any, context: Any, **_: Any) -> None:
        shape = model.input_shape
        if shape is not None and "ExpectedBucketOwner" in shape.members and not context.get("is_presign_request"):
            params.setdefault("ExpectedBucketOwner", owner)

    client.meta.events.register("before-parameter-build.s3", add)
