"""Reading bodies by the best way that the environment offers.

Small bodies of notes and mail attachments come many in one answer (`packed`). Large ones come from Azure Storage, else
in blocks, else as one text; what the environment refuses once is not tried again. Files and images of columns come as
they are. None of these ways but the list says of which state of the row the bytes are, so the etag that was read before
the download decides later whether the row may be replaced (developer guide, "Attachments and notes", "Use file column
data").
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from offloader.errors import AuthError, Gone, IntegrityError, OffloaderError, Permanent, Transient, Unsupported
from offloader.model import VersionRef
from offloader.plugins import Context
from offloader.ports import Delivery
from offloader_connectors import tls
from offloader_connectors.downloads import Connections
from offloader_connectors.dynamics365 import blocks, odata, places, trouble
from offloader_connectors.dynamics365.api import Api, Stream
from offloader_connectors.dynamics365.environment import Environment
from offloader_connectors.dynamics365.options import DynamicsOptions, Route
from offloader_connectors.dynamics365.packed import ByteCap, Packs
from offloader_connectors.dynamics365.places import Shelf
from offloader_connectors.dynamics365.scanner import Base64, Body
from offloader_connectors.dynamics365.storage import NotLetIn, NotReached, Storage

#: larger bodies go alone, in bytes
SMALL = 4 << 20
#: larger files of columns come in parts of this size (developer guide, "File attributes", speaks of 16 MB a call)
PART = 16 << 20
#: how often the storage may be out of reach before it is left alone
_STRIKES = 3
_ALONE: tuple[Route, ...] = ("sas", "blocks", "value")


@dataclass(frozen=True, slots=True)
class Place:
    """One row to read from. `column` is empty for the one file of a note or mail attachment, which has a shelf."""

    set_name: str
    id: str
    column: str = ""
    shelf: Shelf | None = None

    @property
    def path(self) -> str:
        return odata.record(self.set_name, self.id)


Opener = Callable[[Place, VersionRef], Body]


class Routes:
    """Which ways of reading large bodies the environment offers, as far as it was tried. Thread-safe."""

    def __init__(self, chosen: str) -> None:
        self.chosen = chosen
        self._refused: dict[str, str] = {}
        self._strikes: Counter[str] = Counter()
        self._lock = threading.Lock()

    def open(self) -> tuple[Route, ...]:
        """Ways to try, best first."""
        if self.chosen in _ALONE:
            return tuple(route for route in _ALONE if route == self.chosen)
        return tuple(route for route in _ALONE if route not in self._refused)

    def note(self, failures: Mapping[str, OffloaderError]) -> None:
        """Remember what failed where a later way brought the same body."""
        with self._lock:
            for route, error in failures.items():
                self._strikes[route] += 1
                if not isinstance(error, NotReached) or self._strikes[route] >= _STRIKES:
                    self._refused[route] = str(error)

    def shown(self) -> dict[str, str]:
        small = "list" if self.chosen == "auto" else self.chosen
        large = "list" if self.chosen == "list" else self.open()[0]
        return {"small": small, "large": large, **{f"no {route}": why for route, why in self._refused.items()}}


class Blobs:
    """Reads bodies. Thread-safe."""

    def __init__(self, api: Api, environment: Environment, options: DynamicsOptions, context: Context) -> None:
        self._api = api
        self._environment = environment
        self._routes = Routes(options.downloads)
        self._packs = Packs(api, ByteCap(options.read_bytes), options.read_batch)
        trust = tls.trusting(options.ca_file, context.directory)
        connections = Connections(trust, options.timeouts.connect, options.timeouts.read)
        self._storage = Storage(connections, options.storage_hosts, api.purse.count)
        self._connections = connections
        self._openers: Mapping[Route, Opener] = {
            "sas": self._sas,
            "blocks": self._blocks,
            "value": self._value,
        }

    def close(self) -> None:
        """Give up idle connections to the storage."""
        self._connections.close()

    @property
    def routes(self) -> Mapping[str, str]:
        """How small and large bodies are read as far as is known, and why not otherwise."""
        return self._routes.shown()

    def probe(self, ref: VersionRef) -> None:
        """Try the ways of reading with this body, so that `routes` tells. Raises what reading would raise."""
        self._open(ref).give_up()

    def read(self, refs: Sequence[VersionRef]) -> Iterator[Delivery]:
        """Deliver bodies; asking for the next one gives the one before up."""
        shelves = {places.NOTES: places.NOTE_ROWS, places.MAILS: places.ATTACHMENTS}
        packed = {ref for ref in refs if ref.document.kind in shelves and self._packable(ref)}
        alone = [ref for ref in refs if ref not in packed]
        for kind, shelf in shelves.items():
            for delivery in self._packs.read(
                shelf, [ref for ref in refs if ref in packed and ref.document.kind == kind]
            ):
                if delivery.error is not None and trouble.status_of(delivery.error) == 413:
                    alone.append(delivery.ref)
                else:
                    yield delivery
        for ref in alone:
            yield from self._one(ref)

    def _one(self, ref: VersionRef) -> Iterator[Delivery]:
        try:
            body = self._open(ref)
        except OffloaderError as error:
            yield Delivery(ref, error=error)
            return
        try:
            yield Delivery(ref, chunks=body)
        finally:
            body.give_up()

    def _packable(self, ref: VersionRef) -> bool:
        """Whether it goes into a list: what is unknown or large would break the measure."""
        small = ref.size is not None and ref.size <= SMALL
        return self._routes.chosen == "list" or (self._routes.chosen == "auto" and small)

    def _open(self, ref: VersionRef) -> Body:
        """Open one body by the first way that works."""
        place = self._place(ref)
        ways: dict[str, Opener] = {route: self._openers[route] for route in self._routes.open()}
        if place.column:
            large = (ref.size or 0) > PART
            ways = {**({"sas": self._sas} if large and "sas" in ways else {}), "column": self._column}
        failed: dict[str, OffloaderError] = {}
        for way, opener in ways.items():
            try:
                body = opener(place, ref)
            except (Gone, AuthError):
                raise
            except (Permanent, NotReached) as error:
                failed[way] = error
            else:
                self._routes.note(failed)
                return body
        raise list(failed.values())[-1]

    def _place(self, ref: VersionRef) -> Place:
        shelf = places.ROWS.get(ref.document.kind)
        if shelf is not None:
            row = odata.guid(ref.id) if shelf is places.NOTE_ROWS else self._row_of(odata.guid(ref.id), ref)
            return Place(shelf.set_name, row, shelf=shelf)
        cell = places.Cell.of(ref.document)
        return Place(self._environment.table(cell.table).set_name, cell.id, cell.column)

    def _row_of(self, attachment: str, ref: VersionRef) -> str:
        """Any row of a mail that shares the attachment: only these can be read alone."""
        query = odata.select(
            "activitymimeattachments",
            ("activitymimeattachmentid",),
            filter=odata.encode(f"_attachmentid_value eq {attachment}"),
            top=1,
        )
        for row in self._api.get("list.activitymimeattachment", query).rows():
            return odata.guid(str(row.get("activitymimeattachmentid")))
        raise Gone(f"{ref}: no mail has it any more, or none may be seen")

    def _sas(self, place: Place, ref: VersionRef) -> Body:
        target = quote(f"{{'@odata.id':'{place.path}'}}", safe="'(){}:@.,")
        path = f"GetFileSasUrl(Target=@p1,FileAttributeName='{place.column}')?@p1={target}"
        for last in (False, True):
            offered = self._api.get("sas", path).record().get("Result")
            address = offered.get("SasUrl") if isinstance(offered, Mapping) else None
            size = offered.get("FileSizeInBytes") if isinstance(offered, Mapping) else None
            if not isinstance(address, str) or not isinstance(size, int):
                raise Permanent(f"{ref}: the environment gives no address in the storage")
            try:
                return self._storage.open(address, size, str(ref))
            except NotLetIn:
                if last:
                    raise
        raise AssertionError("the second try returns or raises")

    def _blocks(self, place: Place, ref: VersionRef) -> Body:
        assert place.shelf is not None
        body = {"Target": blocks.target(place.shelf.table, place.shelf.key, place.id)}
        message = f"Initialize{blocks.WORDS[place.shelf]}BlocksDownload"
        return Body(blocks.download(self._api, message, body, str(ref)), lambda: None)

    def _value(self, place: Place, ref: VersionRef) -> Body:
        assert place.shelf is not None
        stream = self._api.stream(f"value.{place.shelf.table}", f"{place.path}/{place.shelf.body}/$value")
        return Body(_decoded(stream), stream.close)

    def _column(self, place: Place, ref: VersionRef) -> Body:
        path = f"{place.path}/{odata.name(place.column)}/$value"
        if ref.document.kind == places.IMAGES:
            path += "?size=full"
        reading = _Parts(self._api, path, ref)
        return Body(reading.chunks(), reading.close)


class _Parts:
    """A file of a column on its way, large ones part by part."""

    def __init__(self, api: Api, path: str, ref: VersionRef) -> None:
        self._api = api
        self._path = path
        self._ref = ref
        self._size = ref.size or 0
        try:
            self._stream = self._begin(0) if self._size > PART else self._ask({})
        except Unsupported:
            # files that are kept in the database come whole
            self._stream = self._ask({})

    def close(self) -> None:
        self._stream.close()

    def chunks(self) -> Iterator[bytes]:
        """All bytes; a server that does not divide the file sends it whole."""
        offset = 0
        while True:
            before = offset
            for chunk in _raw(self._stream, self._ref):
                offset += len(chunk)
                yield chunk
            if offset >= self._size or self._stream.status != 206:
                return
            if offset == before:
                raise Transient(f"{self._ref}: a part of the file is empty")
            self._stream = self._begin(offset)
            if self._stream.status != 206:
                self._stream.close()
                raise IntegrityError(f"{self._ref}: a part was asked for, the answer is another one")

    def _begin(self, offset: int) -> Stream:
        return self._ask({"Range": f"bytes={offset}-{min(offset + PART, self._size) - 1}"})

    def _ask(self, headers: Mapping[str, str]) -> Stream:
        try:
            return self._api.stream("column.get", self._path, headers=headers)
        except Permanent as error:
            if trouble.status_of(error) == 204:
                raise Gone(f"{self._ref}: the column is empty") from error
            raise


def _raw(stream: Stream, ref: VersionRef) -> Iterator[bytes]:
    declared = stream.headers.get("x-ms-file-size", "")
    total = 0
    try:
        for chunk in stream:
            total += len(chunk)
            yield chunk
    finally:
        stream.close()
    if stream.status == 200 and declared.isdigit() and int(declared) != total:
        raise IntegrityError(f"{ref}: the environment says {declared} bytes, {total} came")


def _decoded(text: Stream) -> Iterator[bytes]:
    decoder = Base64()
    try:
        for piece in text:
            data = decoder.decode(piece)
            if data:
                yield data
    finally:
        text.close()
    decoder.end()
