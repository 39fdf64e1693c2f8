"""Options of the Salesforce source; the field descriptions are the documentation."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from offloader.plugins import Options
from offloader.secrets import SecretRef

Kind = Literal["ContentDocument", "Attachment"]


class Budget(Options):
    """How many API calls may be spent."""

    daily_calls: int | None = Field(
        default=None,
        ge=1,
        description="Most calls this process makes in a rolling day, by its own count; unset: no limit.",
    )
    leave: float = Field(
        default=0.2,
        ge=0,
        lt=1,
        description="Share of the org's API allocation that is left to others, by what the Sforce-Limit-Info "
        "header says.",
    )


class Timeouts(Options):
    """Seconds to wait."""

    connect: float = Field(default=10, gt=0, description="To reach the server.")
    read: float = Field(default=120, gt=0, description="For the next bytes of an answer.")
    upload: float = Field(default=600, gt=0, description="For the answer to an uploaded file.")


class SalesforceOptions(Options):
    """How to reach a Salesforce org, and what to read of it."""

    login_url: str = Field(description="The org's My Domain address, https://NAME.my.salesforce.com (no path).")
    client_id: str = Field(description="Consumer key of the connected app.")
    client_secret: SecretRef | None = Field(
        default=None, description="Consumer secret, for the client-credentials flow (the app's run-as user works)."
    )
    username: str | None = Field(default=None, description="User to work as, for the JWT bearer flow.")
    private_key: SecretRef | None = Field(
        default=None, description="PEM private key whose certificate the connected app holds, for the JWT bearer flow."
    )
    audience: str | None = Field(
        default=None,
        description="Audience of the JWT: https://login.salesforce.com, https://test.salesforce.com; unset: login_url.",
    )
    ca_file: Path | None = Field(
        default=None,
        description="PEM bundle trusted in addition to the system's certificate authorities. Bundles and proxies "
        "named by "
        "environment variables (REQUESTS_CA_BUNDLE, SSL_CERT_FILE, HTTPS_PROXY, …) are ignored: only this option "
        "counts.",
    )
    api_version: str = Field(default="66.0", pattern=r"^[1-9]\d\.0$", description="REST API version; 59.0 at least.")
    kinds: tuple[Kind, ...] = Field(
        default=("ContentDocument", "Attachment"), min_length=1, description="What to read."
    )
    external_id_field: str | None = Field(
        default="Offload_Key__c",
        pattern=r"^[A-Za-z]\w{0,39}__c$",
        description="Custom text field of ContentVersion, external id and unique, that makes links idempotent. "
        "Where the org "
        "has it not, links are found by reading the parents' files, which costs more calls after an interruption.",
    )
    signals: dict[str, dict[str, str | tuple[str, ...]]] = Field(
        default_factory=dict,
        description="Per object type, signal name to field path (or several, the first with a value counts), "
        "added to the "
        "defaults; `*` is for every type. An empty list takes a default away.",
    )
    overlap: int = Field(
        default=600, ge=0, description="Seconds that an incremental scan looks back before its watermark."
    )
    budget: Budget = Field(default_factory=Budget, description="API calls that may be spent.")
    max_long_requests: int = Field(
        default=10,
        ge=1,
        description="Downloads above 8 MiB at once; Salesforce caps requests of 20 seconds and more at 25 (5 in "
        "trial orgs).",
    )
    chained_references: Literal["auto", "off"] = Field(
        default="auto",
        description="Whether links are made by one chained composite call; `auto` falls back to single steps when "
        "refused.",
    )
    bulk_delete_from: int | None = Field(
        default=2001,
        ge=1,
        description="Purge: so many deletions at once go as one Bulk API job, which may wait for its turn between the "
        "last look at a record and its deletion; unset: always 1,000 to a call, without waiting.",
    )
    stub: Literal["url", "html", "txt"] = Field(
        default="url",
        description="Form of the placeholder that replaces an e-mail's attachment; orgs may block html uploads.",
    )
    timeouts: Timeouts = Field(default_factory=Timeouts, description="Seconds to wait.")
    page_size: int = Field(default=2000, ge=1, le=2000, description="Rows asked for in one scan query.")
    concurrency: int = Field(default=16, ge=1, le=64, description="Calls at once.")

    @field_validator("login_url", "audience")
    @classmethod
    def _https(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        if (
            parts.scheme != "https"
            or not parts.hostname
            or parts.path not in ("", "/")
            or parts.query
            or parts.username
        ):
            raise ValueError("must be https://HOST without a path, such as https://acme.my.salesforce.com")
        return value.rstrip("/")

    @field_validator("api_version")
    @classmethod
    def _recent(cls, value: str) -> str:
        if float(value) < 59:
            raise ValueError("must be 59.0 or newer: older versions cannot list all file links")
        return value

    @model_validator(mode="after")
    def _one_flow(self) -> Self:
        jwt = self.private_key is not None
        if jwt == (self.client_secret is not None):
            raise ValueError("give either client_secret (client credentials) or username and private_key (JWT bearer)")
        if jwt and not self.username:
            raise ValueError("private_key needs username")
        return self
