"""The Azure Blob store's plugin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from offloader.plugins import Context, StorePlugin, StoreSandbox
from offloader.ports import Store, Tariff
from offloader_connectors.azure_blob.options import AzureBlobOptions


def open_store(name: str, options: AzureBlobOptions, context: Context) -> Store:
    """Open a store; makes no call."""
    from offloader_connectors.azure_blob.store import AzureBlobStore  # noqa: PLC0415  the client library loads slowly

    return AzureBlobStore(name, options, context)


def permissions(options: AzureBlobOptions) -> Mapping[str, Any]:
    """Give an Azure role."""
    from offloader_connectors.azure_blob.proof import role  # noqa: PLC0415

    return role(options)


def start_sandbox(directory: Path, countries: Sequence[str], context: Context) -> StoreSandbox:
    from offloader_connectors.azure_blob.sandbox import AzureSandbox  # noqa: PLC0415

    return AzureSandbox(directory, countries, context)


def tariff(options: AzureBlobOptions) -> Tariff | None:
    """The price list row of a container: known only where tier, redundancy and region are written down."""
    if options.tier is None or options.redundancy is None or options.region is None:
        return None
    return "azure-blob", f"{options.tier} {options.redundancy}", options.region


STORE = StorePlugin(
    help="Keeps documents in a container of an Azure storage account whose location Azure itself has shown.",
    options=AzureBlobOptions,
    open=open_store,
    sandbox=start_sandbox,
    tariff=tariff,
    permissions=permissions,
)
