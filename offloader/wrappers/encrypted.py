"""Encrypted: a store whose objects only the holders of a key can open. The format is age (age-encryption.org/v1).

Each object is encrypted for all recipients, among them one for recovery whose key is kept offline: with either key,
the plain `age` tool opens an object without this program. The store sees neither plain bytes nor keys.
"""

from __future__ import annotations

import hashlib
import itertools
import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol

from offloader.errors import ConfigError, Conflict, Gone, IntegrityError, Permanent, Unsupported
from offloader.model import Digest, Held, LocationProof
from offloader.ports import Erased, Lock, Store, StoreCapabilities, Stored

#: bodies up to this size, in bytes, are handled in one piece; larger ones stream through a thread
SMALL = 1 << 20
_CHUNK = 1 << 16
_AHEAD = 8
FORM = "age"


@dataclass(frozen=True, slots=True)
class Keys:
    """Who can open what is written, and our own key. Values of the age library."""

    recipients: tuple[Any, ...]
    identity: Any


def keys_of(recipients: Iterable[str], recovery: str, identity: str) -> Keys:
    """Read the keys. Raises ConfigError, never with a secret in it."""
    try:
        import pyrage  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise ConfigError("encryption needs offloader[encryption]") from error
    names = list(dict.fromkeys([*recipients, recovery]))
    found = []
    for name in names:
        try:
            found.append(pyrage.x25519.Recipient.from_str(name))
        except pyrage.RecipientError as error:
            raise ConfigError(f"{name[:80]!r} is no age recipient; they begin with age1") from error
    try:
        own = pyrage.x25519.Identity.from_str(identity)
    except pyrage.IdentityError as error:
        raise ConfigError("the identity is no age key; they begin with AGE-SECRET-KEY-1") from error
    if str(own.to_public()) not in names:
        raise ConfigError("the identity belongs to none of the recipients: what is written could not be read back")
    if str(own.to_public()) == recovery:
        raise ConfigError("the identity is the recovery key, which must be kept offline; give the service its own")
    return Keys(tuple(found), own)


class EncryptedStore:
    """Encrypts on the way in, decrypts on the way out. Digests in answers are of the plain bytes; `held` tells what
    the store itself holds. `list` and `size` tell the sizes that the store holds."""

    def __init__(self, store: Store, keys: Keys) -> None:
        self.name = store.name
        self.inner, self._keys = store, keys

    @property
    def capabilities(self) -> StoreCapabilities:
        return replace(self.inner.capabilities, presign=False)

    def prove(self) -> LocationProof:
        return self.inner.prove()

    def put(
        self, key: str, chunks: Iterable[bytes], *, size: int | None = None, digest: Digest | None = None
    ) -> Stored:
        plain = _Measure(iter(chunks))
        sealed = _Measure(self._encrypted(plain.announced(key, size, digest)))
        try:
            stored = self.inner.put(key, sealed)
        except Conflict:
            return self._same(key, plain)
        if (stored.size, stored.sha256) != (sealed.size, sealed.sha256):
            self.inner.delete(key)
            raise IntegrityError(f"store {self.name}: {key} holds other bytes than were sent")
        return Stored(key, plain.size, plain.sha256, Held(stored.size, stored.sha256, FORM))

    def stat(self, key: str) -> Stored | None:
        try:
            sealed = _Measure(self.inner.read(key))
        except Gone:
            return None
        plain = _Measure(self._decrypted(key, sealed))
        plain.drain()
        return Stored(key, plain.size, plain.sha256, Held(sealed.size, sealed.sha256, FORM))

    def size(self, key: str) -> int | None:
        return self.inner.size(key)

    def presign(self, key: str, *, seconds: int, disposition: str, mime: str) -> str:
        raise Unsupported(f"store {self.name} is encrypted: only the gateway can open its objects")

    def read(self, key: str, *, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        if offset < 0 or (length is not None and length < 0):
            raise Permanent(f"store {self.name}: cannot read {key}: a range must not be negative")
        return _cut(self._decrypted(key, self.inner.read(key)), offset, length)

    def delete(self, key: str) -> None:
        self.inner.delete(key)

    def locked(self, key: str) -> Lock | None:
        return self.inner.locked(key)

    def erase(self, key: str, *, bypass: bool = False) -> Erased:
        return self.inner.erase(key, bypass=bypass)

    def retain(self, key: str, until: datetime) -> None:
        self.inner.retain(key, until)

    def list(self, prefix: str = "") -> Iterator[tuple[str, int]]:
        return self.inner.list(prefix)

    def sweep(self) -> int:
        return self.inner.sweep()

    def _same(self, key: str, plain: _Measure) -> Stored:
        """The object that stands there already, if it is the same one: its encrypted bytes always differ."""
        plain.drain()
        there = self.stat(key)
        if there is None or (there.size, there.sha256) != (plain.size, plain.sha256):
            raise Conflict(f"store {self.name}: {key} already holds other bytes")
        return there

    def _encrypted(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        import pyrage  # noqa: PLC0415

        recipients = list(self._keys.recipients)
        start, whole = _start(chunks)
        if whole:
            yield pyrage.encrypt(start, recipients)
            return
        yield from _piped(
            itertools.chain([start], chunks), lambda reader, writer: pyrage.encrypt_io(reader, writer, recipients)
        )

    def _decrypted(self, key: str, chunks: Iterator[bytes]) -> Iterator[bytes]:
        import pyrage  # noqa: PLC0415

        identities = [self._keys.identity]
        damaged = IntegrityError(f"store {self.name}: {key} cannot be opened with the configured key, or was changed")

        def decrypt(reader: _Reads, writer: Any) -> None:
            try:
                pyrage.decrypt_io(reader, writer, identities)
            except (pyrage.DecryptError, OSError) as error:
                raise damaged from error

        start, whole = _start(chunks)
        if not whole:
            yield from _piped(itertools.chain([start], chunks), decrypt)
            return
        try:
            yield pyrage.decrypt(start, identities)
        except pyrage.DecryptError as error:
            raise damaged from error


class _Measure(Iterator[bytes]):
    """Chunks, measured while they pass."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self.size = 0
        self._hash = hashlib.sha256()
        self._chunks = chunks

    def __next__(self) -> bytes:
        chunk = next(self._chunks)
        self.size += len(chunk)
        self._hash.update(chunk)
        return chunk

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    def drain(self) -> None:
        for _ in self:
            pass

    def announced(self, key: str, size: int | None, digest: Digest | None) -> Iterator[bytes]:
        """The chunks; raises IntegrityError at their end unless they are what was announced."""
        yield from self
        if size is not None and size != self.size:
            raise IntegrityError(f"{key}: {self.size} bytes came, but {size} were announced")
        if digest is not None and (digest.size, digest.sha256) != (self.size, self.sha256):
            raise IntegrityError(f"{key}: what came has SHA-256 {self.sha256}, but {digest.sha256} was announced")


def _start(chunks: Iterator[bytes]) -> tuple[bytes, bool]:
    """Read up to about `SMALL` bytes: what was read, and whether that was all."""
    held, total = [], 0
    for chunk in chunks:
        held.append(chunk)
        total += len(chunk)
        if total > SMALL:
            return b"".join(held), False
    return b"".join(held), True


def _cut(chunks: Iterator[bytes], offset: int, length: int | None) -> Iterator[bytes]:
    """The bytes from offset on: age authenticates from the start, so what lies before is read and left out."""
    left = length
    for chunk in chunks:
        wanted = chunk[offset:]
        offset = max(0, offset - len(chunk))
        if left is not None:
            wanted = wanted[:left]
            left -= len(wanted)
        for start in range(0, len(wanted), _CHUNK * 4):
            yield wanted[start : start + _CHUNK * 4]
        if left == 0:
            return


class _Reads(Protocol):
    def read(self, size: int = -1) -> bytes: ...


class _Stopped(Exception):
    """Nobody wants the rest."""


class _Reader:
    """Chunks as a file to read from."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = memoryview(b"")
        self.error: BaseException | None = None

    def read(self, size: int = -1) -> bytes:
        try:
            while not self._rest:
                self._rest = memoryview(next(self._chunks))
        except StopIteration:
            return b""
        except BaseException as error:
            # the library would turn it into one of its own
            self.error = error
            raise
        cut = len(self._rest) if size < 0 else size
        given, self._rest = self._rest[:cut], self._rest[cut:]
        return bytes(given)


class _Writer:
    """A file to write to whose bytes are handed to another thread."""

    def __init__(self) -> None:
        self.queue: queue.Queue[bytes | None] = queue.Queue(_AHEAD)
        self.stopped = threading.Event()

    def write(self, data: bytes) -> int:
        if self.stopped.is_set():
            raise _Stopped
        self.queue.put(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""


def _piped(chunks: Iterator[bytes], act: Callable[[_Reads, Any], None]) -> Iterator[bytes]:
    """What `act(reader, writer)` writes while it reads the chunks, in constant memory."""
    reader, writer = _Reader(chunks), _Writer()
    failed: list[BaseException] = []

    def work() -> None:
        try:
            act(reader, writer)
        except BaseException as error:  # noqa: BLE001 - handed to the thread that asked
            failed.append(error)
        finally:
            writer.queue.put(None)

    thread = threading.Thread(target=work, name="age", daemon=True)
    thread.start()
    try:
        while (data := writer.queue.get()) is not None:
            yield data
    finally:
        writer.stopped.set()
        while thread.is_alive():
            try:
                writer.queue.get(timeout=0.01)
            except queue.Empty:
                continue
        thread.join()
    if reader.error is not None:
        raise reader.error
    if failed:
        raise failed[0]
