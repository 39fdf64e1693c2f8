"""Options of the Dynamics 365 source; the field descriptions are the documentation."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from offloader.plugins import Options
from offloader.secrets import SecretRef
from offloader_connectors.placeholder import Form

Kind = Literal["annotation", "activitymimeattachment", "filecolumn", "imagecolumn"]
_COLUMN = re.compile(r"[a-z_][a-z0-9_]{0,127}")
_PLACE = re.compile(rf"{_COLUMN.pattern}\.{_COLUMN.pattern}")
#: how bodies of notes and mail attachments are read, fastest for small ones first
Route = Literal["list", "sas", "blocks", "value"]


class Budget(Options):
    """How many requests may be spent."""

    daily_requests: int | None = Field(
        default=None,
        ge=1,
        description="Most requests this process makes in a rolling day, by its own count, each operation of a batch "
        "as one; unset: no limit.",
    )


class Timeouts(Options):
    """Seconds to wait."""

    connect: float = Field(default=10, gt=0, description="To reach the server.")
    read: float = Field(default=150, gt=0, description="For the next bytes of an answer.")


class DynamicsOptions(Options):
    """How to reach a Dynamics 365 (Dataverse) environment, and what to read of it."""

    url: str = Field(description="Address of the environment, https://NAME.crm4.dynamics.com (no path).")
    client_id: str = Field(description="Application (client) id of the app registration of the application user.")
    client_secret: SecretRef | None = Field(default=None, description="Client secret of the app registration.")
    certificate: SecretRef | None = Field(
        default=None,
        description="PEM with the private key and the certificate that the app registration holds, instead of "
        "client_secret.",
    )
    tenant: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9.-]+$",
        description="Tenant id or domain; unset: asked of the environment itself.",
    )
    login_url: str = Field(
        default="https://login.microsoftonline.com",
        description="Where to log in; national clouds: https://login.microsoftonline.us (GCC High, DoD), "
        "https://login.partner.microsoftonline.cn (21Vianet).",
    )
    ca_file: Path | None = Field(
        default=None,
        description="PEM bundle trusted in addition to the system's certificate authorities. Bundles and proxies "
        "named by environment variables (REQUESTS_CA_BUNDLE, HTTPS_PROXY, …) are ignored: only this option counts.",
    )
    api_version: str = Field(default="9.2", pattern=r"^9\.[0-9]$", description="Web API version.")
    kinds: tuple[Kind, ...] = Field(
        default=("annotation", "activitymimeattachment", "filecolumn", "imagecolumn"),
        min_length=1,
        description="What to read: notes, attachments of e-mails, file columns, full images of image columns.",
    )
    parents: tuple[str, ...] = Field(
        default=(
            "account",
            "contact",
            "lead",
            "opportunity",
            "incident",
            "quote",
            "salesorder",
            "invoice",
            "contract",
            "email",
            "phonecall",
            "task",
            "appointment",
            "letter",
            "fax",
        ),
        min_length=1,
        description="Tables whose records' documents may be moved, by logical name; documents of all other tables "
        "(portals, templates, settings, …) stay.",
    )
    signals: dict[str, dict[str, str | tuple[str, ...]]] = Field(
        default_factory=dict,
        description="Per table, signal name to column (or several, the first with a value counts), added to the "
        "defaults; `*` is for every table. A column of a record that a lookup leads to is written "
        "`lookup/column`. An empty list takes a default away.",
    )
    link_columns: dict[str, str] = Field(
        default_factory=dict,
        description="Where the link of a file or image column goes: `table.column` to a text or URL column of the same "
        "table. Without an entry a note with the link is put on the record, where its table has notes.",
    )
    mail_min_age_days: int = Field(
        default=7, ge=0, description="Attachments of mails that were changed more recently stay for now."
    )
    min_size: int = Field(default=1024, ge=0, description="Smaller documents stay, in bytes.")
    placeholder: Literal["auto"] | Form = Field(
        default="auto",
        description="Form of the placeholder file: `auto` takes the first of url, html and txt that the environment "
        "does not block.",
    )
    downloads: Literal["auto"] | Route = Field(
        default="auto",
        description="How bodies are read: `auto` packs small ones into lists and reads large ones by the best way "
        "that the environment offers (Azure Storage, else blocks, else one by one).",
    )
    storage_hosts: tuple[str, ...] = Field(
        default=(".blob.core.windows.net", ".blob.core.usgovcloudapi.net", ".blob.core.chinacloudapi.cn"),
        description="Hosts that a download address of the environment may lead to; with a leading dot: and below.",
    )
    bypass_custom_logic: bool = Field(
        default=False,
        description="Ask that custom plug-ins and workflows are not run by our writes (needs the privilege "
        "prvBypassCustomBusinessLogic).",
    )
    suppress_flows: bool = Field(default=False, description="Ask that our writes start no Power Automate flows.")
    budget: Budget = Field(default_factory=Budget, description="Requests that may be spent.")
    timeouts: Timeouts = Field(default_factory=Timeouts, description="Seconds to wait.")
    page_size: int = Field(default=5000, ge=1, le=5000, description="Rows asked for in one page of a scan.")
    overlap: int = Field(
        default=5000,
        ge=0,
        description="Row versions that an incremental scan looks back before its watermark, for transactions that "
        "were still open.",
    )
    read_bytes: int = Field(
        default=6 << 20, ge=64 << 10, le=64 << 20, description="Most bytes of documents packed into one download."
    )
    read_batch: int = Field(default=100, ge=1, le=700, description="Most documents packed into one download.")
    link_batch: int = Field(default=100, ge=1, le=1000, description="Most placeholders written by one request.")
    concurrency: int = Field(
        default=8, ge=1, le=52, description="Most calls at once; never more than the environment recommends."
    )

    @field_validator("url", "login_url")
    @classmethod
    def _https(cls, value: str) -> str:
        parts = urlsplit(value)
        bare = parts.path in ("", "/") and not parts.query and not parts.fragment and not parts.username
        if parts.scheme != "https" or not parts.hostname or not bare:
            raise ValueError("must be https://HOST without a path, such as https://acme.crm4.dynamics.com")
        return value.rstrip("/")

    @field_validator("link_columns")
    @classmethod
    def _places(cls, value: dict[str, str]) -> dict[str, str]:
        for place, column in value.items():
            if not (_PLACE.fullmatch(place) and _COLUMN.fullmatch(column)):
                raise ValueError(f"{place}: {column} must be as in account.new_dossier: new_dossierlink")
        return value

    @model_validator(mode="after")
    def _one_credential(self) -> Self:
        if (self.client_secret is None) == (self.certificate is None):
            raise ValueError("give either client_secret or certificate")
        return self
