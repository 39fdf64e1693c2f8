"""Reading many small bodies with one request: ids packed into an In() list by their known sizes.

No limit on the bytes of a list answer is documented; what is, are times (a request ends after two minutes) and the
length of an address (Web API guide, "Compose HTTP requests and handle errors": 32 KiB). So the bytes asked for at once
adapt to what the environment bears: they halve when an answer fails or breaks off, and grow while answers succeed.
"""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence

from offloader.errors import AuthError, Gone, IntegrityError, OffloaderError, Permanent, Throttled, Transient
from offloader.model import VersionRef
from offloader.ports import Delivery
from offloader_connectors.dynamics365 import odata, trouble
from offloader_connectors.dynamics365.api import Api
from offloader_connectors.dynamics365.places import Shelf
from offloader_connectors.dynamics365.scanner import ListScanner, Row

#: the cap never goes below, in bytes of documents
LEAST = 64 << 10
#: the cap grows by this after each answer that came whole
STEP = 256 << 10
#: a body that comes before its key may have so many bytes, or as many as the CRM says
HELD = 8 << 20


class ByteCap:
    """How many bytes of documents one answer may carry now. Shared by all threads of a source."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._now = most
        self._lock = threading.Lock()

    @property
    def now(self) -> int:
        return self._now

    def failed(self, size: int) -> None:
        """An answer of this size did not come whole. Answers that fail together halve it once."""
        with self._lock:
            self._now = max(min(LEAST, self._most), min(self._now, size // 2))

    def succeeded(self) -> None:
        with self._lock:
            self._now = min(self._most, self._now + STEP)


class Packs:
    """Delivers small bodies. Thread-safe."""

    def __init__(self, api: Api, cap: ByteCap, most: int) -> None:
        self._api = api
        self._cap = cap
        self._most = most

    def read(self, shelf: Shelf, refs: Sequence[VersionRef]) -> Iterator[Delivery]:
        """Deliver each body once. What an answer that breaks off did not bring is asked for again, in smaller packs.

        Raises Transient when an answer brings nothing at all: time has to pass first.
        """
        waiting = {odata.guid(ref.id): ref for ref in refs}
        while waiting:
            pack = self._pack(waiting)
            before = len(waiting)
            try:
                yield from self._one(shelf, pack, waiting)
            except AuthError:
                raise
            except Permanent as error:
                self._cap.failed(_size(pack.values()))
                if len(pack) == 1 or not _too_much(error):
                    yield from (Delivery(waiting.pop(each), error=error) for each in pack if each in waiting)
            except Transient as error:
                if isinstance(error, Throttled):
                    raise
                self._cap.failed(_size(pack.values()))
                if len(waiting) == before:
                    raise

    def _pack(self, waiting: Mapping[str, VersionRef]) -> dict[str, VersionRef]:
        """The next ids, up to the cap; at least one."""
        cap, size = self._cap.now, 0
        pack: dict[str, VersionRef] = {}
        for each, ref in waiting.items():
            size += ref.size or 0
            if pack and (size > cap or len(pack) >= self._most):
                break
            pack[each] = ref
        return pack

    def _one(
        self, shelf: Shelf, pack: Mapping[str, VersionRef], waiting: dict[str, VersionRef]
    ) -> Generator[Delivery, None, None]:
        """Ask for one pack, and take what is delivered off the waiting ones."""
        path = odata.select(shelf.set_name, (shelf.key, shelf.body), filter=odata.in_list(shelf.key, list(pack)))
        stream = self._api.stream(f"list.{shelf.table}", path)
        held = max(HELD, *(ref.size or 0 for ref in pack.values()))
        scanner = ListScanner(stream, body=shelf.body, key=shelf.key, held=held)
        try:
            for row in scanner:
                name = str(row.members.get(shelf.key, "")).lower()
                if name in pack and name in waiting:
                    yield _delivery(waiting.pop(name), row)
        finally:
            stream.close()
        missing = [each for each in pack if each in waiting]
        if missing and "@odata.nextLink" in scanner.members:
            # the server divided the answer by its own measure
            self._cap.failed(_size(pack.values()))
            if len(missing) == len(pack):
                raise Transient("the answer holds none of the documents that were asked for")
            return
        for each in missing:
            ref = waiting.pop(each)
            yield Delivery(ref, error=Gone(f"{ref}: it is not there any more, or may not be seen"))
        self._cap.succeeded()


def _size(refs: Iterable[VersionRef]) -> int:
    return sum(ref.size or 0 for ref in refs)


def _too_much(error: OffloaderError) -> bool:
    """Whether fewer documents in one request may help."""
    return trouble.status_of(error) in (413, 414)


def _delivery(ref: VersionRef, row: Row) -> Delivery:
    if row.chunks is not None:
        return Delivery(ref, chunks=row.chunks)
    if ref.size == 0:
        return Delivery(ref, chunks=iter(()))
    # never an empty file: a body that may not be seen looks like this too
    return Delivery(ref, error=IntegrityError(f"{ref}: the CRM says {ref.size} bytes and shows no body"))
