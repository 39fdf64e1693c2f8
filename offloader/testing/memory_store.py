"""A store in memory: implements the whole port, so that engines can be tested without a disk."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta

from offloader.errors import Conflict, Gone, IntegrityError, Permanent, Refused, StoreFull, Unsupported
from offloader.model import Assurance, Digest, LocationProof
from offloader.ports import Erased, Lock, StoreCapabilities, Stored
from offloader.testing.clock import FakeClock

_KEY = re.compile(r"[A-Za-z0-9\-_./]+")
_PIECE = 1 << 16


class MemoryStore:
    """Keeps objects in a dictionary, in made-up countries.

    `assurance` and `countries` may be changed to change the next proof; `capacity` in bytes, None for no limit;
    `lock(key)` makes deletion refused (until a moment, if one is given), and so does `retain` where `retains` is set;
    `corrupt(key)` spoils what is kept, as a bad disk does.
    """

    def __init__(
        self,
        name: str = "memory",
        *,
        countries: Iterable[str] = ("DE",),
        assurance: Assurance = Assurance.PROVEN,
        capacity: int | None = None,
        retains: bool = False,
        now: Callable[[], datetime] | None = None,
    ) -> None:
        self.name = name
        self.capabilities = StoreCapabilities(conditional_create=True, object_lock=True, retains=retains)
        self.countries = frozenset(countries)
        self.assurance = assurance
        self.capacity = capacity
        self.validity = timedelta(hours=24)
        #: more answers for the next proof
        self.evidence: dict[str, str] = {}
        self._now = now or FakeClock().now
        self._objects: dict[str, bytes] = {}
        self._locked: dict[str, Lock] = {}
        self._lock = threading.RLock()

    def prove(self) -> LocationProof:
        evidence = {"kind": "memory", "countries": " ".join(sorted(self.countries)), **self.evidence}
        canonical = json.dumps(evidence, sort_keys=True, separators=(",", ":"))
        good = self.assurance in (Assurance.PROVEN, Assurance.ATTESTED)
        taken = self._now()
        return LocationProof(
            store=self.name,
            assurance=self.assurance,
            countries=self.countries,
            taken=taken,
            expires=taken + (self.validity if good else timedelta()),
            summary="in this process's memory, for tests",
            evidence=evidence,
            sha256=hashlib.sha256(canonical.encode()).hexdigest(),
        )

    def put(
        self, key: str, chunks: Iterable[bytes], *, size: int | None = None, digest: Digest | None = None
    ) -> Stored:
        _check(self.name, key)
        body = b"".join(chunks)
        stored = _stored(key, body)
        if size is not None and stored.size != size:
            raise IntegrityError(f"{key}: {stored.size} bytes came, but {size} were announced")
        if digest is not None and (digest.size, digest.sha256) != (stored.size, stored.sha256):
            raise IntegrityError(f"{key}: what came has SHA-256 {stored.sha256}, but {digest.sha256} was announced")
        with self._lock:
            there = self.stat(key)
            if there is None:
                self._make_room(key, stored.size)
                self._objects[key] = body
            elif there != stored:
                raise Conflict(f"store {self.name}: {key} already holds other bytes")
        return stored

    def stat(self, key: str) -> Stored | None:
        _check(self.name, key)
        body = self._objects.get(key)
        return None if body is None else _stored(key, body)

    def size(self, key: str) -> int | None:
        _check(self.name, key)
        body = self._objects.get(key)
        return None if body is None else len(body)

    def presign(self, key: str, *, seconds: int, disposition: str, mime: str) -> str:
        raise Unsupported(f"store {self.name} has no address that a browser could open")

    def read(self, key: str, *, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        _check(self.name, key)
        if offset < 0 or (length is not None and length < 0):
            raise Permanent(f"store {self.name}: cannot read {key}: a range must not be negative")
        body = self._objects.get(key)
        if body is None:
            raise Gone(f"store {self.name} has no object {key}")
        wanted = body[offset : None if length is None else offset + length]
        return (wanted[start : start + _PIECE] for start in range(0, len(wanted), _PIECE))

    def delete(self, key: str) -> None:
        _check(self.name, key)
        if self.locked(key) is not None:
            raise Refused(f"store {self.name}: {key} is locked")
        self._objects.pop(key, None)

    def locked(self, key: str) -> Lock | None:
        _check(self.name, key)
        lock = self._locked.get(key)
        return lock if lock is not None and (lock.until is None or lock.until > self._now()) else None

    def erase(self, key: str, *, bypass: bool = False) -> Erased:
        lock = self.locked(key)
        if lock is not None and not (bypass and lock.lifts):
            return Erased(left=(lock,))
        self._locked.pop(key, None)
        return Erased(versions=int(self._objects.pop(key, None) is not None))

    def retain(self, key: str, until: datetime) -> None:
        if not self.capabilities.retains:
            raise Unsupported(f"store {self.name} was not asked to lock anything")
        if key not in self._objects:
            raise Gone(f"store {self.name} has no object {key}")
        lock = self.locked(key)
        if lock is None or (lock.until is not None and lock.until < until):
            self._locked[key] = Lock("locked by its retention", until, lifts=True)

    def list(self, prefix: str = "") -> Iterator[tuple[str, int]]:
        with self._lock:
            found = sorted((key, len(body)) for key, body in self._objects.items() if key.startswith(prefix))
        return iter(found)

    def sweep(self) -> int:
        return 0  # a write that broke off has left nothing

    def lock(self, key: str, until: datetime | None = None, *, lifts: bool = False) -> None:
        self._locked[key] = Lock("somebody has locked it", until, lifts)

    def corrupt(self, key: str) -> None:
        body = self._objects[key]
        self._objects[key] = bytes([body[0] ^ 1]) + body[1:] if body else b"?"

    def _make_room(self, key: str, size: int) -> None:
        if self.capacity is None:
            return
        used = sum(len(body) for body in self._objects.values())
        if used + size > self.capacity:
            raise StoreFull(f"store {self.name}: no room for {key}")


def _check(store: str, key: str) -> None:
    if not _KEY.fullmatch(key) or any(part in ("", ".", "..") for part in key.split("/")):
        raise Permanent(f"store {store}: {key!r} is no valid key")


def _stored(key: str, body: bytes) -> Stored:
    return Stored(key, len(body), hashlib.sha256(body).hexdigest())
