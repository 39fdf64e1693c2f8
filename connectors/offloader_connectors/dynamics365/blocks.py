"""Block messages: bodies in pieces of 4 MiB, down and up (developer guide, "Use file column data", "Attachments and
notes").

A download begins with a token and a size; an upload takes effect as a whole with its commit. Attachments of mails can
be created by blocks, but not changed.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pybase64

from offloader.errors import IntegrityError
from offloader_connectors.dynamics365.api import Api
from offloader_connectors.dynamics365.places import MAIL_ROWS, NOTE_ROWS, Shelf

BLOCK = 4 << 20
#: what the messages call the tables
WORDS: Mapping[Shelf, str] = {NOTE_ROWS: "Annotation", MAIL_ROWS: "Attachment"}


def target(table: str, key: str, id: str, **columns: str | None) -> dict[str, Any]:
    """How a message names a row, and what else it is to write there."""
    return {"@odata.type": f"Microsoft.Dynamics.CRM.{table}", key: id, **columns}


def download(api: Api, message: str, body: Mapping[str, Any], what: str) -> Iterator[bytes]:
    """Begin a download by `Initialize…BlocksDownload`, and return its blocks. The first one is already there."""
    begun = api.send("blocks.init", "POST", message, body, write=False).require().record()
    token, size = begun.get("FileContinuationToken"), begun.get("FileSizeInBytes")
    if not isinstance(token, str) or not isinstance(size, int):
        raise IntegrityError(f"{what}: the environment does not say how large the file is")
    return _blocks(api, token, size, _block(api, token, 0, size, what), what)


def _blocks(api: Api, token: str, size: int, first: bytes, what: str) -> Iterator[bytes]:
    if first:
        yield first
    offset = len(first)
    while offset < size:
        block = _block(api, token, offset, size, what)
        offset += len(block)
        yield block


def _block(api: Api, token: str, offset: int, size: int, what: str) -> bytes:
    length = min(BLOCK, size - offset)
    if length <= 0:
        return b""
    asked = {"Offset": offset, "BlockLength": length, "FileContinuationToken": token}
    data = api.send("blocks.download", "POST", "DownloadBlock", asked, write=False).require().record().get("Data")
    try:
        block: bytes = pybase64.b64decode(data if isinstance(data, str) else "", validate=True)
    except ValueError:
        raise IntegrityError(f"{what}: a block is no Base64") from None
    if len(block) != length:
        raise IntegrityError(f"{what}: a block of {length} bytes was asked for, {len(block)} came")
    return block


def upload(api: Api, token: str, chunks: Iterable[bytes]) -> tuple[list[str], int]:
    """Send the chunks as blocks of one size. Returns the blocks' ids in order, and the bytes sent."""
    ids: list[str] = []
    total = 0
    for block in _sized(chunks):
        name = base64.b64encode(f"{len(ids):08d}".encode()).decode()
        body = {"BlockId": name, "BlockData": pybase64.b64encode_as_string(block), "FileContinuationToken": token}
        api.send("blocks.upload", "POST", "UploadBlock", body).require()
        ids.append(name)
        total += len(block)
    return ids, total


def _sized(chunks: Iterable[bytes]) -> Iterator[bytes]:
    held = bytearray()
    for chunk in chunks:
        held += chunk
        while len(held) >= BLOCK:
            yield bytes(held[:BLOCK])
            del held[:BLOCK]
    if held:
        yield bytes(held)
