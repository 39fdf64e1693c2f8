"""The filesystem store: one file per object, visible only when whole, durable, and read back from the disk.

An object is written to a file below `.incoming`, forced to disk, read back past the page cache, and given its
name by a hard link, which never replaces a file that is already there. Folders are 0700 and files 0600.
Emptied folders stay: removing one could take away a folder that another process has just made durable.
"""

# A small object costs two dozen system calls: a Path object for each would show in the bill.
# ruff: noqa: PTH102, PTH108, PTH112, PTH120, PTH208
from __future__ import annotations

import contextlib
import fcntl
import hashlib
import itertools
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime

from offloader.errors import Conflict, Gone, IntegrityError, Permanent, Transient, Unsupported
from offloader.model import Digest, LocationProof
from offloader.ports import StoreCapabilities, Stored, Unlocked
from offloader_connectors.filesystem import location
from offloader_connectors.filesystem.translate import translate, translated

INCOMING = ".incoming"
CHUNK = 1 << 20
_KEY = re.compile(r"(?:(?!\.{1,2}(?:/|\Z))[A-Za-z0-9\-_.]+(?:/(?!\Z)|\Z))+")
_PREFIX = re.compile(r"[A-Za-z0-9\-_./]+")
#: how many folders are remembered as durable before starting afresh
_REMEMBERED = 10_000
#: how often a race with another process (a name taken, then deleted) is run again
_ROUNDS = 20


class FilesystemStore(Unlocked):
    """Implements `offloader.ports.Store` on a folder. Safe for threads, and for several processes at once."""

    capabilities = StoreCapabilities(conditional_create=True, object_lock=False, max_size=None, concurrency=16)

    def __init__(self, name: str, path: str, attestation: location.Attestation, now: Callable[[], datetime]) -> None:
        self.name = name
        self._root = path.rstrip("/") or "/"
        self._attestation = attestation
        self._now = now
        #: folders whose names are known to be on disk
        self._durable: set[str] = set()
        self._numbers = itertools.count()

    def prove(self) -> LocationProof:
        return location.prove(self.name, self._root, self._attestation, self._now())

    def put(
        self, key: str, chunks: Iterable[bytes], *, size: int | None = None, digest: Digest | None = None
    ) -> Stored:
        """As the port says. A `digest` is compared by SHA-256 and size; its MD5 adds nothing to them.

        With a `digest` the bytes are digested once, as they come back from the disk; without one twice.
        """
        path = self._path(key)
        try:
            fd, temporary = self._new_file()
        except OSError as error:
            raise translate(error, self.name, "write", key) from error
        try:
            expected = self._write(key, fd, chunks, size, digest)
            try:
                self._settle(fd, path)
                stored = Stored(key, *_measure(fd, expected.size))
                if stored != expected:
                    raise IntegrityError(
                        f"store {self.name}: {key} came back from the disk with SHA-256 {stored.sha256}, but "
                        f"{expected.sha256} was {'announced' if digest else 'written'}; nothing of it is left behind"
                    )
                self._publish(key, temporary, path, stored)
            except OSError as error:
                raise translate(error, self.name, "write", key) from error
        finally:
            _discard(fd, temporary)
        return stored

    def stat(self, key: str) -> Stored | None:
        try:
            fd = self._open(self._path(key))
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None
        except OSError as error:
            raise translate(error, self.name, "read", key) from error
        try:
            with translated(self.name, "read", key):
                size, sha256 = _measure(fd, os.fstat(fd).st_size)
        finally:
            os.close(fd)
        return Stored(key, size, sha256)

    def size(self, key: str) -> int | None:
        with translated(self.name, "read", key):
            try:
                found = os.lstat(self._path(key))
            except (FileNotFoundError, NotADirectoryError):
                return None
        return found.st_size if stat.S_ISREG(found.st_mode) else None

    def presign(self, key: str, *, seconds: int, disposition: str, mime: str) -> str:
        raise Unsupported(f"store {self.name} is a folder: no browser can open its files; the gateway hands them out")

    def read(self, key: str, *, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        if offset < 0 or (length is not None and length < 0):
            raise Permanent(f"store {self.name}: cannot read {key}: a range must not be negative")
        try:
            fd = self._open(self._path(key))
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
            raise Gone(f"store {self.name} has no object {key}") from error
        except OSError as error:
            raise translate(error, self.name, "read", key) from error
        return _Reading(self.name, key, fd, offset, length)

    def delete(self, key: str) -> None:
        path = self._path(key)
        with translated(self.name, "delete", key):
            try:
                os.unlink(path)
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
                return
            _sync_folder(os.path.dirname(path))

    def list(self, prefix: str = "") -> Iterator[tuple[str, int]]:
        """As the port says. Holds the names of one folder at a time (per level) in memory."""
        folder = prefix.rpartition("/")[0]
        if prefix and not (_PREFIX.fullmatch(prefix) and ("/" not in prefix or _KEY.fullmatch(folder))):
            raise Permanent(f"store {self.name}: {prefix!r} is no prefix of a key")
        return self._walk(f"{folder}/" if folder else "", prefix)

    def sweep(self) -> int:
        """As the port says: a file below `.incoming` whose writer has ended holds no lock any more."""
        swept = 0
        folder = f"{self._root}/{INCOMING}"
        with translated(self.name, "sweep", INCOMING):
            try:
                names = os.listdir(folder)
            except FileNotFoundError:
                return 0
            for name in names:
                swept += _remove_abandoned(f"{folder}/{name}")
        return swept

    def _path(self, key: str) -> str:
        if not _KEY.fullmatch(key) or key.partition("/")[0] == INCOMING:
            raise Permanent(f"store {self.name}: {key!r} is no valid key")
        return f"{self._root}/{key}"

    @staticmethod
    def _open(path: str) -> int:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise IsADirectoryError(path)
        return fd

    def _new_file(self) -> tuple[int, str]:
        """Make a file below `.incoming` and lock it, so that a sweep leaves it alone while this process lives."""
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        while True:
            path = f"{self._root}/{INCOMING}/{os.getpid()}-{id(self):x}-{next(self._numbers)}"
            try:
                fd = os.open(path, flags, 0o600)
            except FileExistsError:
                continue
            except FileNotFoundError:
                self._make_root()
                continue
            try:
                if _locked(fd) and os.fstat(fd).st_nlink:
                    return fd, path
            except OSError:
                _discard(fd, path)
                raise
            os.close(fd)  # a sweep came between, and has taken the file away

    def _make_root(self) -> None:
        folder = self._root
        missing = []
        while not os.path.isdir(folder):
            missing.append(folder)
            folder = os.path.dirname(folder)
        for folder in [*reversed(missing), f"{self._root}/{INCOMING}"]:
            with contextlib.suppress(FileExistsError):
                os.mkdir(folder, 0o700)
                _sync_folder(os.path.dirname(folder))

    def _write(self, key: str, fd: int, chunks: Iterable[bytes], size: int | None, digest: Digest | None) -> Stored:
        """Write what comes; return what must come back. An error of `chunks` passes as it is, an OSError too."""
        sha256 = hashlib.sha256()
        written = 0
        for chunk in chunks:
            if digest is None:
                sha256.update(chunk)
            try:
                done = os.write(fd, chunk)
                while done < len(chunk):
                    done += os.write(fd, memoryview(chunk)[done:])
            except OSError as error:
                raise translate(error, self.name, "write", key) from error
            written += len(chunk)
        for announced in (size, digest and digest.size):
            if announced is not None and announced != written:
                raise IntegrityError(f"{key}: {written} bytes came, but {announced} were announced; nothing is stored")
        return Stored(key, written, digest.sha256 if digest else sha256.hexdigest())

    def _settle(self, fd: int, path: str) -> None:
        """Make the object's folders, and force them and the file to disk."""
        folder = path.rpartition("/")[0]
        made = () if folder in self._durable else self._make_folders(folder)
        os.fsync(fd)
        for parent in made:
            _sync_folder(parent)
        if made:
            if len(self._durable) > _REMEMBERED:
                self._durable.clear()
            self._durable.update(self._below_root(folder))

    def _make_folders(self, folder: str) -> Sequence[str]:
        """Make missing folders below the root; return the parents whose new entries are not known to be on disk.

        A folder that is there already counts as new to a process that has not seen it: whoever made it may have
        died before forcing it to disk.
        """
        fresh = [*itertools.takewhile(lambda each: each not in self._durable, self._below_root(folder))]
        for each in reversed(fresh):
            with contextlib.suppress(FileExistsError):
                os.mkdir(each, 0o700)
        return [os.path.dirname(each) for each in fresh]

    def _below_root(self, folder: str) -> Iterator[str]:
        while len(folder) > len(self._root):
            yield folder
            folder = os.path.dirname(folder)

    def _publish(self, key: str, temporary: str, path: str, stored: Stored) -> None:
        """Give the file its name, or find the same bytes there already. Raises Conflict for other bytes."""
        for _ in range(_ROUNDS):
            try:
                os.link(temporary, path)
            except FileExistsError:
                if os.path.isdir(path):
                    raise Permanent(f"store {self.name}: {key} is a folder of other objects") from None
                there = self.stat(key)
                if there is None:
                    continue  # deleted in between
                if there != stored:
                    raise Conflict(
                        f"store {self.name}: {key} already holds other bytes (SHA-256 {there.sha256}); they stay"
                    ) from None
            except FileNotFoundError as error:
                self._durable.clear()
                raise Transient(f"store {self.name}: the folder of {key} was taken away by somebody else") from error
            _sync_folder(path.rpartition("/")[0])
            return
        raise Transient(f"store {self.name}: {key} is being written and deleted by somebody else all the time")

    def _walk(self, folder: str, prefix: str) -> Iterator[tuple[str, int]]:
        """Yield objects below `folder` ("" or "a/b/"), sorted as whole keys: "a-b" comes before "a/b"."""
        entries = []
        with translated(self.name, "list", folder or "/"):
            try:
                with os.scandir(f"{self._root}/{folder}") as found:
                    for entry in found:
                        is_folder = entry.is_dir(follow_symlinks=False)
                        name = folder + entry.name + ("/" if is_folder else "")
                        if name.startswith(prefix):
                            entries.append(name)
            except (FileNotFoundError, NotADirectoryError):
                return
        for name in sorted(entries):
            if name == f"{INCOMING}/":
                continue
            if name.endswith("/"):
                yield from self._walk(name, prefix)
                continue
            try:
                status = os.lstat(f"{self._root}/{name}")
            except FileNotFoundError:
                continue
            if stat.S_ISREG(status.st_mode) and _KEY.fullmatch(name):
                yield name, status.st_size


class _Reading:
    """A stream of one object's bytes; closes its file at the end, on `close`, or when it is dropped."""

    def __init__(self, store: str, key: str, fd: int, offset: int, length: int | None) -> None:
        self._store, self._key = store, key
        self._fd, self._offset, self._left = fd, offset, length

    def __iter__(self) -> _Reading:
        return self

    def __next__(self) -> bytes:
        want = CHUNK if self._left is None else min(CHUNK, self._left)
        if self._fd < 0 or not want:
            self.close()
            raise StopIteration
        with translated(self._store, "read", self._key):
            chunk = os.pread(self._fd, want, self._offset)
        if not chunk:
            self.close()
            raise StopIteration
        self._offset += len(chunk)
        if self._left is not None:
            self._left -= len(chunk)
        return chunk

    def close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def __del__(self) -> None:
        self.close()


def _measure(fd: int, size: int) -> tuple[int, str]:
    """Read a whole file of `size` bytes from the disk, past the page cache where the system allows.

    Returns size and SHA-256 of what came. Of a file that is longer one byte more is read, so that it shows.
    """
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    sha256 = hashlib.sha256()
    offset = 0
    while chunk := os.pread(fd, want := min(CHUNK, size - offset + 1), offset):
        sha256.update(chunk)
        offset += len(chunk)
        if offset == size and len(chunk) < want:
            break  # less than asked, right where it should end: nothing follows
    return offset, sha256.hexdigest()


def _sync_folder(folder: str) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _discard(fd: int, temporary: str) -> None:
    """Take the temporary name away, then the lock. What cannot be removed is left to the next sweep."""
    with contextlib.suppress(OSError):
        os.unlink(temporary)
    os.close(fd)


def _locked(fd: int) -> bool:
    """Try to take the lock of an open file; the system gives it back when the process ends, however it ends."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _remove_abandoned(path: str) -> int:
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return 0  # its writer has just finished
    try:
        if not _locked(fd):
            return 0
        os.unlink(path)
    except FileNotFoundError:
        return 0
    else:
        return 1
    finally:
        os.close(fd)
