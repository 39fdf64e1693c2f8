"""Stores for tests: opened as the plugin opens them, with their clients at hand."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from botocore.awsrequest import AWSResponse, HeadersDict

from offloader.testing import EPOCH, context
from offloader_connectors.s3.client import Clients, make_clients
from offloader_connectors.s3.options import S3Options
from offloader_connectors.s3.store import S3Store
from tests.integration.s3.servers import Server


def open_clients(server: Server, **options: Any) -> Clients:
    """Clients for a place of this server, a new one unless a bucket is named."""
    given = options if "bucket" in options else server.place() | options
    return make_clients(S3Options.model_validate(server.options(**given)), context(Path(), environ=server.environ))


def open_store(server: Server, *, now: Callable[[], datetime] = lambda: EPOCH, **options: Any) -> S3Store:
    """A store in a place of this server, a new one unless a bucket is named."""
    return S3Store("s3", open_clients(server, **options), now)


class _Raw(io.BytesIO):
    def stream(self, *_: object, **__: object) -> Iterator[bytes]:
        yield self.getvalue()


def answer(status: int, code: str = "", *, body: str = "", **headers: str) -> AWSResponse:
    """What a server answers, for the hooks of boto3 that may answer in its place."""
    if code:
        body = f"<Error><Code>{code}</Code><Message>secret words of the server</Message></Error>"
    named = HeadersDict({name.replace("_", "-"): value for name, value in headers.items()})
    return AWSResponse("http://127.0.0.1/", status, named, _Raw(body.encode()))


def counted(clients: Clients) -> list[str]:
    """The operations that are sent from now on, in order."""
    sent: list[str] = []
    clients.s3.meta.events.register_first(
        "before-send.s3", lambda event_name, **_: sent.append(event_name.rpartition(".")[2])
    )
    return sent


def unfinished(server: Server, clients: Clients) -> list[str]:
    """Uploads in parts that the server still holds below the store's prefix."""
    found = server.client().list_multipart_uploads(Bucket=clients.options.bucket, Prefix=clients.options.prefix)
    return [upload["Key"] for upload in found.get("Uploads", ())]
