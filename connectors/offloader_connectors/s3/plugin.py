"""The S3 store's plugin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from offloader.plugins import Context, StorePlugin, StoreSandbox
from offloader.ports import Tariff
from offloader_connectors.s3.options import S3Options

if TYPE_CHECKING:
    from offloader_connectors.s3.store import S3Store


def open_store(name: str, options: S3Options, context: Context) -> S3Store:
    """Open a store; makes no call. Raises ConfigError if the environment names another region or server."""
    from offloader_connectors.s3.client import make_clients  # noqa: PLC0415  boto3 takes long to import
    from offloader_connectors.s3.store import S3Store  # noqa: PLC0415

    return S3Store(name, make_clients(options, context), context.now)


def permissions(options: S3Options) -> Mapping[str, Any] | None:
    """Give an IAM policy; only AWS is known to understand it."""
    from offloader_connectors.s3.proof import iam_policy  # noqa: PLC0415

    return iam_policy(options) if options.provider == "aws" else None


def start_sandbox(directory: Path, countries: Sequence[str], context: Context) -> StoreSandbox:
    from offloader_connectors.s3.sandbox import S3Sandbox  # noqa: PLC0415

    return S3Sandbox(directory, countries, context)


def tariff(options: S3Options) -> Tariff | None:
    """The price list row of a bucket: AWS's own only for AWS itself, not for a server that speaks S3 like it."""
    if options.provider == "aws" and not options.is_aws:
        return None
    provider = "aws-s3" if options.provider == "aws" else options.provider
    return provider, options.storage_class or "STANDARD", options.region


STORE = StorePlugin(
    help="Keeps documents in a bucket of AWS, or of a server that speaks S3, pinned to one region.",
    options=S3Options,
    open=open_store,
    sandbox=start_sandbox,
    tariff=tariff,
    permissions=permissions,
)
