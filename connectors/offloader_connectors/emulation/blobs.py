"""Bytes on disk, content addressed: an emulator never holds a large body in memory."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

CHUNK = 256 * 1024
_BLOCK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Synthetic:
    """A body of `size` bytes that is computed when read and takes no room on disk. Equal seeds give equal bytes."""

    size: int
    seed: int = 0


#: bytes in memory, a file to copy, or a computed body
Body = bytes | Path | Synthetic


@dataclass(frozen=True, slots=True)
class Blob:
    """A stored body: where it is, its size in bytes, its MD5 in lower-case hex."""

    ref: str
    size: int
    md5: str


def synthetic_chunks(body: Synthetic) -> Iterator[bytes]:
    """The bytes of a computed body, in chunks; every mebibyte carries its own number, so that no two are equal."""
    block = hashlib.shake_256(f"synthetic {body.seed}".encode()).digest(_BLOCK - 8)
    for index in range((body.size + _BLOCK - 1) // _BLOCK):
        whole = index.to_bytes(8, "big") + block
        wanted = whole[: min(_BLOCK, body.size - index * _BLOCK)]
        for start in range(0, len(wanted), CHUNK):
            yield wanted[start : start + CHUNK]


@lru_cache(maxsize=256)
def _synthetic_md5(body: Synthetic) -> str:
    md5 = hashlib.md5(usedforsecurity=False)
    for chunk in synthetic_chunks(body):
        md5.update(chunk)
    return md5.hexdigest()


class Spool:
    """Takes chunks as they arrive and becomes a blob at the end; left without `done`, it leaves nothing behind."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        self._sha256 = hashlib.sha256()
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._file: BinaryIO | None = None
        self._name: Path | None = None
        self.size = 0

    def __enter__(self) -> Spool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.discard()

    def write(self, chunk: bytes) -> None:
        if self._file is None:
            handle, name = tempfile.mkstemp(dir=self._blobs.directory, prefix=".spool-")
            self._file, self._name = os.fdopen(handle, "wb"), Path(name)
        self._sha256.update(chunk)
        self._md5.update(chunk)
        self.size += len(chunk)
        self._file.write(chunk)

    def done(self) -> Blob:
        if self._file is None:
            self.write(b"")
        assert self._file is not None
        assert self._name is not None
        self._file.close()
        ref = self._sha256.hexdigest()
        target = self._blobs.path(ref)
        target.parent.mkdir(exist_ok=True)
        self._name.replace(target)
        self._file = self._name = None
        return Blob(ref, self.size, self._md5.hexdigest())

    def discard(self) -> None:
        if self._file is not None and self._name is not None:
            self._file.close()
            self._name.unlink(missing_ok=True)
            self._file = self._name = None


class Blobs:
    """A folder of bodies named by their SHA-256."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        for leftover in directory.glob(".spool-*"):
            leftover.unlink()

    def path(self, ref: str) -> Path:
        return self.directory / ref[:2] / ref

    def spool(self) -> Spool:
        return Spool(self)

    def put(self, body: Body) -> Blob:
        """Keep a body; the same bytes are kept once."""
        if isinstance(body, Synthetic):
            return Blob(f"synthetic-{body.size}-{body.seed}", body.size, _synthetic_md5(body))
        if isinstance(body, bytes):
            ref = hashlib.sha256(body).hexdigest()
            target = self.path(ref)
            if not target.exists():
                with self.spool() as spool:
                    spool.write(body)
                    return spool.done()
            return Blob(ref, len(body), hashlib.md5(body, usedforsecurity=False).hexdigest())
        with self.spool() as spool, body.open("rb") as source:
            while chunk := source.read(CHUNK):
                spool.write(chunk)
            return spool.done()

    def sha256(self, ref: str) -> str:
        """The body's SHA-256 in lower-case hex. A kept body is named by it; a computed one has to be read."""
        if not ref.startswith("synthetic-"):
            return ref
        digest = hashlib.sha256()
        for chunk in self.chunks(ref):
            digest.update(chunk)
        return digest.hexdigest()

    def read(self, ref: str) -> bytes:
        """The whole body; for small ones."""
        return b"".join(self.chunks(ref)) if ref.startswith("synthetic-") else self.path(ref).read_bytes()

    def chunks(self, ref: str) -> Iterator[bytes]:
        if ref.startswith("synthetic-"):
            _, size, seed = ref.split("-")
            yield from synthetic_chunks(Synthetic(int(size), int(seed)))
            return
        with self.path(ref).open("rb") as source:
            while chunk := source.read(CHUNK):
                yield chunk

    def span(self, ref: str, start: int, size: int) -> Iterator[bytes]:
        """So many bytes of a body from `start` on, in chunks; fewer where it ends."""
        if not ref.startswith("synthetic-"):
            with self.path(ref).open("rb") as source:
                source.seek(start)
                while size > 0 and (chunk := source.read(min(CHUNK, size))):
                    size -= len(chunk)
                    yield chunk
            return
        at = 0
        for chunk in self.chunks(ref):
            part = chunk[max(0, start - at) : max(0, start + size - at)]
            at += len(chunk)
            if part:
                yield part
            if at >= start + size:
                return
