"""The filesystem store's plugin: its options, and how it is opened."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from pydantic import Field, field_validator, model_validator

from offloader.plugins import Context, Options, StorePlugin
from offloader_connectors.filesystem.countries import ISO_3166_1
from offloader_connectors.filesystem.location import Attestation
from offloader_connectors.filesystem.store import FilesystemStore


class FilesystemOptions(Options):
    """Options of a filesystem store."""

    path: Path = Field(
        description="Folder that holds the objects; made when missing. Relative to the configuration's folder. "
        "The whole store must be one file system that allows hard links."
    )
    country: str = Field(description="Country that the disk is in: ISO 3166-1 alpha-2, as in DE.")
    subdivision: str | None = Field(
        default=None, description="Part of the country, ISO 3166-2, as in DE-BE; evidence only."
    )
    attested_by: str | None = Field(
        default=None,
        description="Who has confirmed where the disk is: a person or a contract. Without it nothing is written.",
    )
    attested_until: date | None = Field(
        default=None,
        description="Last day (UTC) on which the confirmation holds. Then nothing is written until it is renewed.",
    )
    filesystem: str | None = Field(
        default=None,
        description="Type of the file system, as /proc/mounts calls it (nfs4, tmpfs, overlay), when it is no plain "
        "local disk: says that the attestation covers its server, and that it keeps its bytes as long as they must be "
        "kept. `unknown` where the machine does not tell. Not needed for a local disk.",
    )

    @field_validator("country")
    @classmethod
    def _country(cls, value: str) -> str:
        if value not in ISO_3166_1:
            raise ValueError("must be an ISO 3166-1 alpha-2 code in capitals, as in DE; the United Kingdom is GB")
        return value

    @field_validator("attested_by", "filesystem")
    @classmethod
    def _named(cls, value: str | None) -> str | None:
        if value is not None and not value.strip():
            raise ValueError("must not be empty; leave it out instead")
        return value

    @model_validator(mode="after")
    def _within(self) -> FilesystemOptions:
        if self.subdivision is not None and not self.subdivision.startswith(f"{self.country}-"):
            raise ValueError(f"subdivision must be a part of {self.country}, as in {self.country}-XX")
        return self


def open_store(name: str, options: FilesystemOptions, context: Context) -> FilesystemStore:
    """Open a store; touches no disk."""
    attestation = Attestation(
        country=options.country,
        subdivision=options.subdivision,
        attested_by=options.attested_by,
        attested_until=options.attested_until,
        filesystem=options.filesystem,
    )
    return FilesystemStore(name, str((context.directory / options.path).absolute()), attestation, context.now)


STORE = StorePlugin(
    help="Keeps documents in a folder of this machine, in a country that somebody attests.",
    options=FilesystemOptions,
    open=open_store,
)
