"""ReadOnly: refuses every call that would change something. A dry run is wired with it, belt and braces."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import NoReturn

from offloader.errors import Refused
from offloader.model import Digest, Document, DocumentRef, Finding, LocationProof, Version, VersionRef
from offloader.ports import (
    Access,
    Delivery,
    Erased,
    LinkRequest,
    Lock,
    Outcome,
    Page,
    Source,
    SourceCapabilities,
    Store,
    StoreCapabilities,
    Stored,
    Usage,
)


def _refuse(action: str, subject: str) -> NoReturn:
    raise Refused(f"about to {action} {subject}, but this is a dry run", rule="dry-run")


def _refuse_all(action: str, requests: Sequence[LinkRequest]) -> NoReturn:
    first = str(requests[0].document.ref) if requests else "nothing"
    _refuse(action, first if len(requests) < 2 else f"{len(requests)} documents, the first {first}")


class ReadOnlySource:
    """A source that can be looked at only. `link`, `remove`, `restore` and `unlink` raise Refused."""

    def __init__(self, source: Source) -> None:
        self.name = source.name
        self._source = source

    @property
    def capabilities(self) -> SourceCapabilities:
        return self._source.capabilities

    def check(self) -> Sequence[Finding]:
        return self._source.check()

    def scan(self, kind: str, *, since: str | None = None, cursor: str | None = None) -> Iterator[Page]:
        return self._source.scan(kind, since=since, cursor=cursor)

    def fetch(self, refs: Sequence[DocumentRef]) -> Sequence[Document | None]:
        return self._source.fetch(refs)

    def read(self, refs: Sequence[VersionRef]) -> Iterator[Delivery]:
        return self._source.read(refs)

    def link(self, requests: Sequence[LinkRequest]) -> Sequence[Outcome]:
        _refuse_all("link", requests)

    def inspect(self, requests: Sequence[LinkRequest]) -> Sequence[Outcome]:
        return self._source.inspect(requests)

    def remove(self, requests: Sequence[LinkRequest]) -> Sequence[Outcome]:
        _refuse_all("remove", requests)

    def restore(self, request: LinkRequest, bodies: Callable[[Version], Iterable[bytes]]) -> Outcome:
        _refuse_all("restore", [request])

    def unlink(self, requests: Sequence[LinkRequest]) -> Sequence[Outcome]:
        _refuse_all("unlink", requests)

    def may_read(self, user: str, requests: Sequence[LinkRequest]) -> Sequence[Access]:
        return self._source.may_read(user, requests)

    def refresh(self, documents: Sequence[Document]) -> Sequence[Document]:
        return self._source.refresh(documents)

    def usage(self) -> Usage:
        return self._source.usage()


class ReadOnlyStore:
    """A store that can be looked at only. `put`, `delete`, `erase`, `retain` and `sweep` raise Refused."""

    def __init__(self, store: Store) -> None:
        self.name = store.name
        self._store = store

    @property
    def capabilities(self) -> StoreCapabilities:
        return self._store.capabilities

    def prove(self) -> LocationProof:
        return self._store.prove()

    def put(
        self, key: str, chunks: Iterable[bytes], *, size: int | None = None, digest: Digest | None = None
    ) -> Stored:
        _refuse("put", f"{self.name}:{key}")

    def stat(self, key: str) -> Stored | None:
        return self._store.stat(key)

    def size(self, key: str) -> int | None:
        return self._store.size(key)

    def presign(self, key: str, *, seconds: int, disposition: str, mime: str) -> str:
        return self._store.presign(key, seconds=seconds, disposition=disposition, mime=mime)

    def read(self, key: str, *, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        return self._store.read(key, offset=offset, length=length)

    def delete(self, key: str) -> None:
        _refuse("delete", f"{self.name}:{key}")

    def locked(self, key: str) -> Lock | None:
        return self._store.locked(key)

    def erase(self, key: str, *, bypass: bool = False) -> Erased:
        _refuse("erase", f"{self.name}:{key}")

    def retain(self, key: str, until: datetime) -> None:
        _refuse("lock", f"{self.name}:{key}")

    def list(self, prefix: str = "") -> Iterator[tuple[str, int]]:
        return self._store.list(prefix)

    def sweep(self) -> int:
        _refuse("sweep", self.name)
