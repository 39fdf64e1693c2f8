"""Watched: a store whose place has changed since its proof was last accepted says so, and takes no new document."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import datetime

from offloader.evidence import Baseline, drift
from offloader.model import Assurance, Digest, LocationProof
from offloader.ports import Erased, Lock, Store, StoreCapabilities, Stored


def against(baseline: Baseline | None, proof: LocationProof) -> LocationProof:
    """The proof itself, or DRIFT if it differs from the baseline in what matters for the place."""
    changes = drift(baseline, proof) if baseline is not None else []
    if baseline is None or not changes:
        return proof
    return replace(
        proof,
        assurance=Assurance.DRIFT,
        expires=proof.taken,
        summary=f"drift: {'; '.join(changes)}",
        changes=tuple(changes),
        accepted=frozenset(baseline.countries),
    )


class WatchedStore:
    """A store whose every proof is compared with the one that `baseline` gives; all else passes through."""

    def __init__(self, store: Store, baseline: Callable[[str], Baseline | None]) -> None:
        self.name = store.name
        self._store, self._baseline = store, baseline

    @property
    def capabilities(self) -> StoreCapabilities:
        return self._store.capabilities

    def prove(self) -> LocationProof:
        return against(self._baseline(self.name), self._store.prove())

    def put(
        self, key: str, chunks: Iterable[bytes], *, size: int | None = None, digest: Digest | None = None
    ) -> Stored:
        return self._store.put(key, chunks, size=size, digest=digest)

    def stat(self, key: str) -> Stored | None:
        return self._store.stat(key)

    def size(self, key: str) -> int | None:
        return self._store.size(key)

    def presign(self, key: str, *, seconds: int, disposition: str, mime: str) -> str:
        return self._store.presign(key, seconds=seconds, disposition=disposition, mime=mime)

    def read(self, key: str, *, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        return self._store.read(key, offset=offset, length=length)

    def delete(self, key: str) -> None:
        self._store.delete(key)

    def locked(self, key: str) -> Lock | None:
        return self._store.locked(key)

    def erase(self, key: str, *, bypass: bool = False) -> Erased:
        return self._store.erase(key, bypass=bypass)

    def retain(self, key: str, until: datetime) -> None:
        self._store.retain(key, until)

    def list(self, prefix: str = "") -> Iterator[tuple[str, int]]:
        return self._store.list(prefix)

    def sweep(self) -> int:
        return self._store.sweep()
