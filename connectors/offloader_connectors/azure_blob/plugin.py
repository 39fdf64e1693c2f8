"""The Azure Blob store's plugin."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from offloader.plugins import Context, StorePlugin, StoreSandbox
from offloader.ports import Store
from offloader_connectors.azure_blob.options import AzureBlobOptions


def open_store(name: str, options: AzureBlobOptions, context: Context) -> Store:
    """Open a store; makes no call."""
    from offloader_connectors.azure_blob.store import AzureBlobStore  # noqa: PLC0415  the client library loads slowly

    return AzureBlobStore(name, options, context)


def start_sandbox(directory: Path, countries: Sequence[str], context: Context) -> StoreSandbox:
    from offloader_connectors.azure_blob.sandbox import AzureSandbox  # noqa: PLC0415

    return AzureSandbox(directory, countries, context)


STORE = StorePlugin(
    help="Keeps documents in a container of an Azure storage account whose location Azure itself has shown.",
    options=AzureBlobOptions,
    open=open_store,
    sandbox=start_sandbox,
)
