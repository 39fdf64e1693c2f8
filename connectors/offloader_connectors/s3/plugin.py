"""The S3 store's plugin."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from offloader.plugins import Context, StorePlugin, StoreSandbox
from offloader_connectors.s3.options import S3Options

if TYPE_CHECKING:
    from offloader_connectors.s3.store import S3Store


def open_store(name: str, options: S3Options, context: Context) -> S3Store:
    """Open a store; makes no call. Raises ConfigError if the environment names another region or server."""
    from offloader_connectors.s3.client import make_clients  # noqa: PLC0415  boto3 takes long to import
    from offloader_connectors.s3.store import S3Store  # noqa: PLC0415

    return S3Store(name, make_clients(options, context), context.now)


def start_sandbox(directory: Path, countries: Sequence[str], context: Context) -> StoreSandbox:
    from offloader_connectors.s3.sandbox import S3Sandbox  # noqa: PLC0415

    return S3Sandbox(directory, countries, context)


STORE = StorePlugin(
    help="Keeps documents in a bucket of AWS, or of a server that speaks S3, pinned to one region.",
    options=S3Options,
    open=open_store,
    sandbox=start_sandbox,
)
