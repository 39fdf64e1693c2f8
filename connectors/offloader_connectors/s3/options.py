"""What can be configured of an S3 store, and what is refused before anything is opened."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from offloader.plugins import Options
from offloader.secrets import SecretRef

#: "Bucket naming rules" of the S3 user guide; aliases of access points and multi-region access points end or start so
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_ALIAS_ENDINGS = ("-s3alias", "--ol-s3", "--x-s3", "--table-s3", "--op-s3", ".mrap")
_REGION = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
#: names that the AWS client understands and that are no place: it would choose a region by itself
_NO_REGIONS = frozenset({"aws-global", "aws-cn-global", "aws-us-gov-global", "us-east-1-as-default", "global"})
_PREFIX = re.compile(r"(?:(?!\.{1,2}/)[A-Za-z0-9\-_.]+/)*")
#: a link must open at once, so classes that must be restored first are no target; nor are those outside the region
_NO_CLASSES = frozenset({"GLACIER", "DEEP_ARCHIVE", "OUTPOSTS", "SNOW", "EXPRESS_ONEZONE", "REDUCED_REDUNDANCY"})
_AWS_SUFFIXES = (".amazonaws.com", ".amazonaws.com.cn", ".amazonaws.eu")
MIB = 1 << 20


class ObjectLock(Options):
    """How each object is locked when it is written. Without days and legal hold: by the bucket's default only."""

    mode: Literal["GOVERNANCE", "COMPLIANCE"] = Field(
        default="GOVERNANCE",
        description="GOVERNANCE can be lifted by those who are allowed to. COMPLIANCE by nobody, not even by AWS: "
        "a term set too long can then never be shortened.",
    )
    days: int | None = Field(default=None, ge=1, le=36_500, description="Days from writing during which it is locked.")
    legal_hold: bool = Field(default=False, description="Put each object under legal hold, until somebody lifts it.")
    retain: Literal["none", "governance", "compliance", "hold"] = Field(
        default="none",
        description="Lock each document until its own retention ends, once it is verified. `governance`: those who "
        "are allowed to can lift it. `compliance`: nobody can, not even if the date was wrong. `hold`: a legal hold, "
        "which somebody has to lift in the store.",
    )

    @model_validator(mode="after")
    def _term(self) -> ObjectLock:
        if self.mode == "COMPLIANCE" and self.days is None:
            raise ValueError("mode COMPLIANCE needs days")
        return self


class Timeouts(Options):
    """How long to wait for the server."""

    connect: float = Field(default=10.0, gt=0, description="Seconds to wait for a connection.")
    read: float = Field(default=60.0, gt=0, description="Seconds to wait for the next bytes of an answer.")


class Proof(Options):
    """Which questions the location proof asks, and how long its answer holds."""

    hours: float = Field(default=24.0, gt=0, le=168, description="Hours for which a proof may be used.")
    required: tuple[str, ...] | None = Field(
        default=None, description="Probes without which nothing is proven. Left out: those of the provider's table."
    )
    skip: tuple[str, ...] = Field(default=(), description="Probes that are not run; the proof says so.")
    kms: bool = Field(default=True, description="Ask the key service where the bucket's key and its replicas are.")
    account: bool = Field(
        default=True, description="Ask the account which regions are enabled. Evidence only; needs account:ListRegions."
    )
    control_plane: bool = Field(
        default=True, description="Ask for batch jobs, multi-region access points, backup copies and distributions."
    )


class S3Options(Options):
    """Options of an S3 store."""

    bucket: str = Field(description="The bucket's name; no ARN and no access point alias.")
    region: str = Field(description="The region that the bucket is in. Requests for any other are refused.")
    provider: str = Field(
        default="aws",
        description="Whose region names these are (aws, wasabi, ovh, hetzner, …): the same name is another country "
        "at another provider.",
    )
    endpoint_url: str | None = Field(
        default=None, description="Address of the server; left out for AWS itself. https, except on this machine."
    )
    service_endpoints: Mapping[str, str] = Field(
        default={}, description="Addresses of other services, by name (kms, s3control), where they have their own."
    )
    access_key: SecretRef | None = Field(
        default=None, description="Access key id. Left out with its secret: the usual chain of AWS credentials."
    )
    secret_key: SecretRef | None = Field(default=None, description="Secret access key.")
    session_token: SecretRef | None = Field(default=None, description="Session token of temporary credentials.")
    expected_owner: str | None = Field(
        default=None,
        pattern=r"^\d{12}$",
        description="Account number that the bucket must belong to; sent with every request, so that a bucket of the "
        "same name in other hands is refused.",
    )
    prefix: str = Field(
        default="",
        description="Where in the bucket the store is, as in `crm/`. Everything below it belongs to the store.",
    )
    storage_class: str | None = Field(
        default=None, pattern="^[A-Z][A-Z0-9_]*$", description="Storage class, as in STANDARD_IA."
    )
    kms_key: str | None = Field(default=None, min_length=1, description="Key (id or ARN) to encrypt with (SSE-KMS).")
    tags: Mapping[str, str] = Field(default={}, description="Tags of every object.")
    object_lock: ObjectLock | None = Field(
        default=None, description="Set for a bucket with Object Lock. A lock is believed once a deletion was refused."
    )
    conditional_create: Literal["auto", "off"] = Field(
        default="auto",
        description="`auto`: ask the server not to overwrite, and try whether it obeys. `off`: look before writing.",
    )
    checksum: Literal["auto", "off"] = Field(
        default="auto",
        description="`auto`: send SHA-256, and trust the server's own if it refused a wrong one; otherwise every "
        "object is read back. `off`: for servers that cannot read the header.",
    )
    listing: Literal["ordered", "unordered"] = Field(
        default="ordered",
        description="`unordered`: for servers that list folder by folder; every listing is then sorted in memory.",
    )
    ca_file: Path | None = Field(
        default=None, description="PEM bundle that signs the server's certificate; then no other is trusted."
    )
    timeouts: Timeouts = Field(default=Timeouts(), description="How long to wait for the server.")
    country: str | None = Field(
        default=None, pattern="^[A-Z]{2}$", description="Country of a server that cannot prove it, ISO 3166-1 alpha-2."
    )
    attested_by: str | None = Field(
        default=None, min_length=1, description="Who has confirmed where it is: a person or a contract."
    )
    attested_until: date | None = Field(default=None, description="Last day (UTC) on which the confirmation holds.")
    proof: Proof = Field(default=Proof(), description="What the location proof asks, and how long it holds.")
    ignore_environment: bool = Field(
        default=False,
        description="Pass over AWS_REGION, AWS_DEFAULT_REGION and AWS_ENDPOINT_URL* that differ from these options, "
        "in place of refusing to start. They never have an effect.",
    )
    max_concurrency: Annotated[
        int, Field(ge=1, le=64, description="Requests at once; also parts held in memory at once.")
    ] = 16
    part_size: int = Field(
        default=8 * MIB, ge=5 * MIB, le=512 * MIB, description="Bytes in a part; objects up to it go in one request."
    )
    abandoned_after_hours: float = Field(
        default=24.0, ge=1, description="Age in hours from which an unfinished upload counts as broken off."
    )

    @field_validator("bucket")
    @classmethod
    def _plain_bucket(cls, value: str) -> str:
        if not _BUCKET.fullmatch(value) or ".." in value:
            raise ValueError("must be a bucket's own name, 3 to 63 of a-z 0-9 . and -; an ARN or alias is refused")
        if value.endswith(_ALIAS_ENDINGS) or value.startswith(("xn--", "sthree-", "amzn-s3-demo-")):
            raise ValueError("must be a bucket's own name: bytes sent to an alias may land in another region")
        if re.fullmatch(r"\d+(\.\d+){3}", value):
            raise ValueError("must not look like an IP address")
        return value

    @field_validator("region")
    @classmethod
    def _one_region(cls, value: str) -> str:
        if not _REGION.fullmatch(value) or value in _NO_REGIONS:
            raise ValueError("must name one region, as in eu-central-1")
        return value

    @field_validator("endpoint_url")
    @classmethod
    def _endpoint(cls, value: str | None) -> str | None:
        return None if value is None else _checked_url(value)

    @field_validator("service_endpoints")
    @classmethod
    def _endpoints(cls, value: Mapping[str, str]) -> Mapping[str, str]:
        return {name: _checked_url(url) for name, url in value.items()}

    @field_validator("prefix")
    @classmethod
    def _folder(cls, value: str) -> str:
        if not _PREFIX.fullmatch(value) or len(value) > 256:
            raise ValueError("must be empty or folders ending in a slash, as in crm/europe/")
        return value

    @field_validator("storage_class")
    @classmethod
    def _readable_class(cls, value: str | None) -> str | None:
        if value in _NO_CLASSES:
            raise ValueError("an object of this class cannot be opened at once, or is not kept in the region")
        return value

    @model_validator(mode="after")
    def _together(self) -> S3Options:
        if (self.access_key is None) != (self.secret_key is None):
            raise ValueError("access_key and secret_key go together")
        if self.session_token is not None and self.access_key is None:
            raise ValueError("session_token needs access_key and secret_key")
        if self.provider != "aws" and self.endpoint_url is None:
            raise ValueError("a provider other than aws needs endpoint_url")
        host = urlsplit(self.endpoint_url or "").hostname
        if host is not None and host.endswith(_AWS_SUFFIXES) and self.region not in host.split("."):
            raise ValueError(f"endpoint_url is not an address of AWS in {self.region}: bytes would go elsewhere")
        if self.object_lock is not None and self.checksum == "off":
            raise ValueError("object_lock needs checksum: auto, servers demand a checksum with a lock")
        return self

    @property
    def is_aws(self) -> bool:
        """Whether requests go to AWS itself, by its own addresses."""
        host = urlsplit(self.endpoint_url or "").hostname
        return self.provider == "aws" and (host is None or host.endswith(_AWS_SUFFIXES))


def _checked_url(value: str) -> str:
    parts = urlsplit(value)
    host = parts.hostname or ""
    if not host or parts.username or parts.password or parts.query or parts.fragment or parts.path.strip("/"):
        raise ValueError("must be an address and nothing more, as in https://s3.example.net:9000")
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_this_machine(host)):
        raise ValueError("must be https: documents do not go over the net in the clear")
    return value.rstrip("/")


def _is_this_machine(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
