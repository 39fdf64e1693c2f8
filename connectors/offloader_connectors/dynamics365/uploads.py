"""Writing bodies of any size: as JSON in one request, in blocks, or as they are into a column.

Plain requests are good for about 4 MB (developer guide, "Attachments and notes"), but larger ones are taken too, up to
the environment's limit for files; the Base64 text is made while it is sent, so that nothing large is ever held.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import pybase64

from offloader.errors import AuthError, Conflict, Gone, IntegrityError, Permanent, Refused
from offloader.model import Version
from offloader_connectors.dynamics365 import blocks, odata, rows, stub
from offloader_connectors.dynamics365.api import Api
from offloader_connectors.dynamics365.environment import Environment, Table
from offloader_connectors.dynamics365.places import NOTE_ROWS, Cell, Shelf

#: larger bodies are not sent as one piece of JSON, in bytes
PLAIN = 4 << 20
#: larger files are not sent to a column in one request (developer guide, "Use file column data")
WHOLE = 128 << 20
TOO_LARGE = (
    "it is larger than the environment takes now; raise the size limit for attachments (organization setting "
    "maxuploadfilesize) and try again"
)
Source = Callable[[], Iterable[bytes]]
#: names that mean the same in a header whether it is decoded or not
_PLAIN_NAME = re.compile(r"[A-Za-z0-9 ._()\[\]{}=@#$!&'~^,;+-]+")
_PLAIN_MIME = re.compile(r"[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+")
_OCTETS = "application/octet-stream"


class Uploads:
    """Writes bodies. Thread-safe. `source` begins a body anew each time it is called."""

    def __init__(self, api: Api, environment: Environment, headers: Mapping[str, str]) -> None:
        self._api = api
        self._environment = environment
        self._headers = headers

    def to_row(
        self,
        shelf: Shelf,
        row: str,
        etag: str,
        names: Mapping[str, str | None],
        source: Source,
        unchanged: Callable[[], bool],
    ) -> None:
        """Write name, mime type and body of a row that is still as it was read, and compare its size.

        `unchanged` asks once more, where the CRM itself does not compare. Raises Conflict if the row changed, Refused
        for what is larger than the environment takes, IntegrityError if the row shows another size afterwards.
        """
        data = _small(source())
        if data is not None:
            body = {**names, shelf.body: pybase64.b64encode_as_string(data)}
            self._patch(shelf, row, etag, len(data), body=body)
        elif shelf is not NOTE_ROWS or not self._in_blocks(row, names, source, unchanged):
            self._streamed(shelf, row, etag, names, source)

    def to_column(
        self, table: Table, cell: Cell, version: Version, source: Source, unchanged: Callable[[], bool]
    ) -> None:
        """Put a file into a column that is empty. Raises Conflict if it is not, Refused for what is too large.

        One request can bring the file only if there is no file yet; but names other than plain ones, and mime types
        with parameters, arrive unchanged only in the messages for blocks.
        """
        mime = version.mime or _OCTETS
        size = version.size
        if size is not None and size <= WHOLE and _PLAIN_NAME.fullmatch(version.name) and _PLAIN_MIME.fullmatch(mime):
            headers = {
                "Content-Type": mime,
                "Content-Length": str(size),
                "If-None-Match": "null",
                "x-ms-file-name": version.name,
                **self._headers,
            }
            path = f"{odata.record(table.set_name, cell.id)}/{cell.column}"
            self._api.send("column.patch", "PATCH", path, data=_exactly(source(), size), headers=headers)
            return
        begin = {
            "Target": blocks.target(table.logical_name, table.primary_id, cell.id),
            "FileAttributeName": cell.column,
            "FileName": version.name,
        }
        token = self._begin("InitializeFileBlocksUpload", begin)
        listed, sent = blocks.upload(self._api, token, source())
        if not unchanged():
            raise Conflict("a file was put there in this moment")
        end = {"FileName": version.name, "MimeType": mime, "BlockList": listed, "FileContinuationToken": token}
        self._commit("CommitFileBlocksUpload", end, sent)

    # -- rows ---------------------------------------------------------------------------------------------------

    def _patch(self, shelf: Shelf, row: str, etag: str, size: int, **content: Any) -> None:
        query = "?$select=" + ",".join(shelf.described[1:])
        headers = {
            "If-Match": etag,
            "Prefer": "return=representation",
            **self._headers,
            **content.pop("headers", {}),
        }
        path = odata.record(shelf.set_name, row) + query
        answer = self._api.send(f"patch.{shelf.table}", "PATCH", path, headers=headers, **content)
        found = rows.size(answer.record(), "filesize") if isinstance(answer.body, Mapping) else size
        if found is None or not 0 <= found - size <= stub.SLACK:
            raise IntegrityError(f"{size} bytes were put back, the CRM shows {found}")

    def _streamed(self, shelf: Shelf, row: str, etag: str, names: Mapping[str, str | None], source: Source) -> None:
        """Send the body as one JSON text. It is gone through twice: the first time only measures and proves it."""
        size = sum(len(chunk) for chunk in source())
        text = 4 * ((size + 2) // 3)
        if text > self._environment.settings().max_upload:
            raise Refused(TOO_LARGE)
        head = json.dumps({**names, shelf.body: ""}, separators=(",", ":")).encode().removesuffix(b'"}')
        headers = {"Content-Type": "application/json", "Content-Length": str(len(head) + text + 2)}
        self._patch(shelf, row, etag, size, data=_json(head, source(), size), headers=headers)

    def _in_blocks(
        self, row: str, names: Mapping[str, str | None], source: Source, unchanged: Callable[[], bool]
    ) -> bool:
        """Send a note's body in blocks, which take effect together. False where the environment takes none."""
        target = blocks.target(NOTE_ROWS.table, NOTE_ROWS.key, row, **names)
        try:
            token = self._begin("InitializeAnnotationBlocksUpload", {"Target": target})
        except (AuthError, Gone):
            raise
        except Permanent:
            return False
        listed, size = blocks.upload(self._api, token, source())
        if not unchanged():
            raise Conflict("it was changed in this moment")
        body = {"Target": target, "BlockList": listed, "FileContinuationToken": token}
        self._commit("CommitAnnotationBlocksUpload", body, size)
        return True

    # -- messages -----------------------------------------------------------------------------------------------

    def _begin(self, message: str, body: Mapping[str, Any]) -> str:
        answer = self._api.send("blocks.init", "POST", message, body)
        return rows.text(answer.record(), "FileContinuationToken", "blocks.init")

    def _commit(self, message: str, body: Mapping[str, Any], size: int) -> None:
        answer = self._api.send("blocks.commit", "POST", message, body, headers=self._headers).record()
        found = rows.integer(answer, "FileSizeInBytes")
        if found is not None and found != size:
            raise IntegrityError(f"{size} bytes were put back, the CRM says {found}")


def _small(chunks: Iterable[bytes]) -> bytes | None:
    """The whole body, or None if it is large."""
    held: list[bytes] = []
    total = 0
    for chunk in chunks:
        held.append(chunk)
        total += len(chunk)
        if total > PLAIN:
            return None
    return b"".join(held)


def _exactly(chunks: Iterable[bytes], size: int) -> Iterator[bytes]:
    total = 0
    for chunk in chunks:
        total += len(chunk)
        if total > size:
            break
        yield chunk
    if total != size:
        raise IntegrityError(f"a file of {size} bytes has {total} or more when it is read again")


def _json(head: bytes, chunks: Iterable[bytes], size: int) -> Iterator[bytes]:
    """The text of a JSON object that ends with a body of that size."""
    yield head
    carry, total = b"", 0
    for chunk in chunks:
        total += len(chunk)
        whole = carry + chunk
        cut = len(whole) - len(whole) % 3
        carry = whole[cut:]
        if cut and total <= size:
            yield pybase64.b64encode(memoryview(whole)[:cut])
    if total != size:
        raise IntegrityError(f"a body of {size} bytes has {total} when it is read again")
    yield pybase64.b64encode(carry) + b'"}'
