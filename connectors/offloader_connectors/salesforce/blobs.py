"""Downloads: one GET for one version, streamed.

`sobjects/ContentVersion/{id}/VersionData` and `sobjects/Attachment/{id}/Body` give raw bytes of one record and cannot
be part of a composite (REST API guide, "sObject Blob Retrieve"). Nothing is documented on ranges, so a broken
download starts again.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator

import urllib3

from offloader.errors import OffloaderError, Permanent, Transient
from offloader.model import VersionRef
from offloader.ports import Delivery
from offloader_connectors.downloads import Reply
from offloader_connectors.salesforce import documents, soql, trouble
from offloader_connectors.salesforce.api import Api
from offloader_connectors.salesforce.session import network_reason

CHUNK = 256 * 1024
#: downloads above this may run for 20 seconds, of which an org bears few at once
LARGE = 8 * 1024 * 1024


class Blobs:
    """Reads bodies. Thread-safe; large ones wait for each other."""

    def __init__(self, api: Api, max_long_requests: int) -> None:
        self._api = api
        self._slots = threading.BoundedSemaphore(max_long_requests)
        #: something on the way compresses bodies although that was not asked for
        self._compressed = False

    def read(self, refs: Iterable[VersionRef]) -> Iterator[Delivery]:
        """Deliver one body after the other; asking for the next gives the one before up."""
        chunks: _Body | None = None
        for ref in refs:
            if chunks is not None:
                chunks.close()
            try:
                chunks = self._open(ref)
            except OffloaderError as error:
                chunks = None
                yield Delivery(ref, error=error)
            else:
                yield Delivery(ref, chunks=chunks)

    def _open(self, ref: VersionRef) -> _Body:
        path = self._api.root + _path(ref)
        slot = _Slot(self._slots)
        if (ref.size or 0) > LARGE:
            slot.take()
        try:
            response = self._get(path, ref)
            length = response.headers.get("Content-Length", "")
            if not slot.taken and (not length.isdigit() or int(length) > LARGE) and not slot.try_take():
                response.close()
                slot.take()
                response = self._get(path, ref)
        except BaseException:
            slot.give()
            raise
        return _Body(response, slot, ref)

    def _get(self, path: str, ref: VersionRef) -> Reply:
        response: Reply
        if self._compressed:
            response = self._api.wire("blob.get", "GET", path, {"Accept-Encoding": "identity"})
        else:
            response = self._api.download("blob.get", path)
            self._compressed = response.headers.get("Content-Encoding", "identity") != "identity"
            if self._compressed:
                response.close()
                return self._get(path, ref)
        if response.status == 200:
            return response
        try:
            content = response.read(decode_content=True)
        except urllib3.exceptions.HTTPError:
            content = b""
        finally:
            response.release_conn()
        raise trouble.translate(f"reading {ref}", response.status, response.headers, content)


class _Slot:
    """A place among the large downloads, given back once."""

    def __init__(self, slots: threading.BoundedSemaphore) -> None:
        self._slots = slots
        self.taken = False

    def take(self) -> None:
        self._slots.acquire()
        self.taken = True

    def try_take(self) -> bool:
        self.taken = self._slots.acquire(blocking=False)
        return self.taken

    def give(self) -> None:
        if self.taken:
            self.taken = False
            self._slots.release()


class _Body(Iterator[bytes]):
    """Chunks of one answer.

    Ending early raises Transient: Content-Length and chunk marks are compared. So does going on after `close`.
    """

    def __init__(self, response: Reply, slot: _Slot, ref: VersionRef) -> None:
        self._response = response
        self._chunks = response.stream(CHUNK, decode_content=True)
        self._slot = slot
        self._ref = ref
        self._ended = False
        self._whole = False

    def __del__(self) -> None:
        self.close()

    def __next__(self) -> bytes:
        if self._whole:
            raise StopIteration
        if self._ended:
            raise Transient(f"reading {self._ref}: the body was given up before its end")
        try:
            return next(self._chunks)
        except StopIteration:
            self._whole = True
            self._end(reusable=True)
            raise
        except urllib3.exceptions.HTTPError as error:
            self._end(reusable=False)
            raise Transient(f"reading {self._ref}: the body broke off ({network_reason(error)})") from error

    def close(self) -> None:
        """Give the connection up if the body was not read to its end."""
        if not self._ended:
            self._end(reusable=False)

    def _end(self, *, reusable: bool) -> None:
        self._ended = True
        if reusable:
            self._response.release_conn()
        else:
            self._response.close()
        self._slot.give()


def _path(ref: VersionRef) -> str:
    record = soql.id18(ref.id)
    if ref.document.kind == documents.FILES:
        return f"sobjects/ContentVersion/{record}/VersionData"
    if ref.document.kind == documents.ATTACHMENTS:
        return f"sobjects/Attachment/{record}/Body"
    raise Permanent(f"{ref}: no such kind in Salesforce")
