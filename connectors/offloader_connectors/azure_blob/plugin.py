"""The Azure Blob store's plugin."""

from __future__ import annotations

from offloader.plugins import Context, StorePlugin
from offloader.ports import Store
from offloader_connectors.azure_blob.options import AzureBlobOptions


def open_store(name: str, options: AzureBlobOptions, context: Context) -> Store:
    """Open a store; makes no call."""
    from offloader_connectors.azure_blob.store import AzureBlobStore  # noqa: PLC0415  the client library loads slowly

    return AzureBlobStore(name, options, context)


STORE = StorePlugin(
    help="Keeps documents in a container of an Azure storage account whose location Azure itself has shown.",
    options=AzureBlobOptions,
    open=open_store,
)
