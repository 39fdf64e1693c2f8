"""What can be configured of an Azure Blob store, and what is refused before anything is opened."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from offloader.errors import ConfigError
from offloader.plugins import Options
from offloader.secrets import SecretRef

KIB = 1 << 10
MIB = 1 << 20
#: blocks in one blob ("Scalability and performance targets for Blob storage")
MOST_BLOCKS = 50_000
#: "Naming and referencing containers, blobs, and metadata"
_CONTAINER = re.compile(r"(?!.*--)[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
_ACCOUNT = re.compile(r"[a-z0-9]{3,24}")
_PREFIX = re.compile(r"(?:[A-Za-z0-9\-_.]*[A-Za-z0-9\-_]/)*")
#: a name of a subscription, resource group, region or scope: nothing that could change a path
_NAME = r"^[A-Za-z0-9_.()-]+$"


class Timeouts(Options):
    """Seconds to wait for a connection, and between two packets of an answer."""

    connect: float = Field(default=10.0, gt=0, description="Seconds to wait for a connection.")
    read: float = Field(default=60.0, gt=0, description="Seconds to wait for the next bytes of an answer.")


class Immutability(Options):
    """A retention term on every blob, from its writing on. Needs a container with version-level immutability."""

    days: int = Field(ge=1, le=146_000, description="Days during which a blob can be neither changed nor deleted.")
    mode: Literal["Unlocked", "Locked"] = Field(
        default="Unlocked",
        description="An `Unlocked` term can be shortened by those who are allowed to; a `Locked` one by nobody.",
    )


class Arm(Options):
    """Where Azure's management API describes the storage account. It alone knows where the account is."""

    subscription: str = Field(pattern=_NAME, description="Id of the subscription.")
    resource_group: str = Field(pattern=_NAME, description="Name of the resource group.")
    account: str | None = Field(
        default=None, pattern=_NAME, description="Name of the storage account; left out, that of the store."
    )
    endpoint: str = Field(
        default="https://management.azure.com", description="The management API; each national cloud has its own."
    )
    api_version: str = Field(
        default="2023-05-01", pattern=r"^\d{4}-\d{2}-\d{2}$", description="Version of the management API."
    )
    token: SecretRef | None = Field(
        default=None,
        description="An access token for the management API that somebody else renews; left out, the login's own.",
    )

    @field_validator("endpoint")
    @classmethod
    def _address(cls, value: str) -> str:
        checked_url(value, path=False)
        return value.rstrip("/")


class AzureBlobOptions(Options):
    """Options of an Azure Blob store. Without `sas`, `account_key` and `connection_string` it logs in by Entra ID."""

    account_url: str = Field(description="Blob endpoint of the account, as in https://account.blob.core.windows.net.")
    account: str | None = Field(
        default=None,
        pattern="^[a-z0-9]{3,24}$",
        description="The account's name, where the address does not begin with it.",
    )
    container: str = Field(description="Name of the container; it must be there.")
    prefix: str = Field(
        default="",
        description="Where in the container the store is, as in `crm/`. Everything below it belongs to the store.",
    )
    sas: SecretRef | None = Field(
        default=None, description="Shared access signature for the container: read, create, write, delete, list."
    )
    account_key: SecretRef | None = Field(default=None, description="Shared key of the account.")
    connection_string: SecretRef | None = Field(
        default=None, description="Connection string with a key or a signature; it must name the same address."
    )
    authority: str | None = Field(
        default=None,
        pattern=r"^[a-z0-9.-]+(:\d+)?$",
        description="Login host of a national cloud or of Azure Stack, as in login.microsoftonline.us.",
    )
    api_version: str | None = Field(
        default=None,
        pattern=r"^\d{4}-\d{2}-\d{2}$",
        description="Version of the storage API, for clouds that lag behind; left out, the client library's.",
    )
    tier: Literal["Hot", "Cool", "Cold"] | None = Field(
        default=None, description="Access tier; left out, the account's. Archive is none: a link must open at once."
    )
    redundancy: Literal["LRS", "ZRS", "GRS", "RAGRS"] | None = Field(
        default=None,
        description="Redundancy by which the account is paid, for the prices in reports only; the location proof asks "
        "the account itself.",
    )
    customer_key: SecretRef | None = Field(
        default=None,
        description="Base64 of a 256-bit key of your own, sent with every request. If it is lost, so are the bytes.",
    )
    encryption_scope: str | None = Field(default=None, pattern=_NAME, description="Encryption scope of every blob.")
    immutability: Immutability | None = Field(default=None, description="A retention term on every blob.")
    legal_hold: bool = Field(default=False, description="Put each blob under legal hold, until somebody lifts it.")
    retain: Literal["none", "unlocked", "locked", "hold"] = Field(
        default="none",
        description="Lock each document until its own retention ends, once it is verified. `unlocked`: those who are "
        "allowed to can lift it. `locked`: nobody can, not even if the date was wrong. `hold`: a legal hold, which "
        "somebody has to lift in the store. Needs a container with version-level immutability.",
    )
    region: str | None = Field(
        default=None, pattern="^[a-z0-9]+$", description="Region that the account must be in, as in germanywestcentral."
    )
    country: str | None = Field(
        default=None,
        pattern="^[A-Z]{2}$",
        description="Country that every copy must be in, ISO 3166-1 alpha-2; any other place is a violation.",
    )
    attested_by: str | None = Field(
        default=None,
        min_length=1,
        description="Who has confirmed region and country, where the management API cannot be asked.",
    )
    attested_until: date | None = Field(default=None, description="Last day (UTC) on which the confirmation holds.")
    arm: Arm | None = Field(default=None, description="Without it, nobody but a person can say where the account is.")
    ca_file: Path | None = Field(
        default=None, description="PEM bundle of further certificate authorities to trust, for every address."
    )
    timeouts: Timeouts = Timeouts()
    block_size: int = Field(
        default=4 * MIB, ge=64 * KIB, le=100 * MIB, description="Bytes in a block; blobs up to it go in one request."
    )
    concurrency: int = Field(default=8, ge=1, le=64, description="Blocks sent at once, by all uploads together.")
    read_back: bool = Field(
        default=False,
        description="Read every blob back after writing, even if the server has checked its checksums by itself.",
    )
    proof_hours: float = Field(default=24.0, gt=0, le=168, description="Hours for which a location proof may be used.")

    @field_validator("account_url")
    @classmethod
    def _address(cls, value: str) -> str:
        host = checked_url(value, path=True)
        if host.split(".")[0].endswith("-secondary"):
            raise ValueError("must be the primary endpoint: the secondary one is a copy, in another region")
        return value.rstrip("/")

    @field_validator("container")
    @classmethod
    def _container(cls, value: str) -> str:
        if not _CONTAINER.fullmatch(value):
            raise ValueError("must be 3 to 63 of a-z 0-9 and single hyphens, as in documents-de")
        return value

    @field_validator("prefix")
    @classmethod
    def _folder(cls, value: str) -> str:
        if not _PREFIX.fullmatch(value) or len(value) > 256:
            raise ValueError("must be empty or folders ending in a slash, as in crm/europe/; no folder ends in a dot")
        return value

    @model_validator(mode="after")
    def _together(self) -> AzureBlobOptions:
        if sum(ref is not None for ref in (self.sas, self.account_key, self.connection_string)) > 1:
            raise ValueError("only one of sas, account_key and connection_string")
        if self.customer_key is not None and self.encryption_scope is not None:
            raise ValueError("only one of customer_key and encryption_scope")
        if self.account is None and not _ACCOUNT.fullmatch(self.account_name):
            raise ValueError("account_url does not begin with the account's name: set account")
        if (self.attested_by is None) != (self.attested_until is None):
            raise ValueError("attested_by and attested_until go together")
        if self.attested_by is not None and self.country is None:
            raise ValueError("attested_by needs country: what is confirmed")
        return self

    @property
    def account_name(self) -> str:
        """Name of the storage account: as configured, else the first part of the address."""
        parts = urlsplit(self.account_url)
        return self.account or parts.path.strip("/") or (parts.hostname or "").split(".")[0]

    @property
    def attestation_ends(self) -> datetime | None:
        """The first moment (UTC) at which the confirmation no longer holds; None without one."""
        if self.attested_until is None:
            return None
        if self.attested_until == date.max:
            return datetime.max.replace(tzinfo=UTC)
        return datetime.combine(self.attested_until + timedelta(days=1), time.min, UTC)


def checked_url(value: str, *, path: bool) -> str:
    """Return the host of an address that documents may be sent to. Raises ValueError for any other."""
    parts = urlsplit(value)
    host = parts.hostname or ""
    folder = parts.path.strip("/")
    numeric = _is_this_machine(host)
    if not host or parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("must be an address and nothing more; a signature belongs into sas")
    if folder and not (path and numeric and _ACCOUNT.fullmatch(folder)):
        raise ValueError("must be the address of the account, without a path")
    if parts.scheme != "https":
        raise ValueError("must be https: documents do not go over the net in the clear")
    return host


def decoded_key(value: str, what: str) -> bytes:
    """Decode a base64 key. Raises ConfigError, which does not show it."""
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise ConfigError(f"{what} is no base64") from None


def _is_this_machine(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
