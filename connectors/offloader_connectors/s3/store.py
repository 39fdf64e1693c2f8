"""The S3 store: one request for a small object, parts for a large one, each proven by the server's own checksum.

A server's checksum counts only after it has refused a wrong one, and its promise not to overwrite only after it has
kept it (`abilities`). Where it does neither, the store looks before it writes, and reads back what it wrote.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, closing
from datetime import datetime
from itertools import chain
from typing import Any

from offloader.errors import Conflict, Gone, IntegrityError, OffloaderError, Permanent, Transient, Unsupported
from offloader.model import Digest, LocationProof
from offloader.ports import Erased, Lock, StoreCapabilities, Stored
from offloader_connectors.s3 import locks, reading
from offloader_connectors.s3.abilities import Abilities, Server
from offloader_connectors.s3.bucket import Bucket, b64, told
from offloader_connectors.s3.client import Clients
from offloader_connectors.s3.cutting import Buffers, Part, cut
from offloader_connectors.s3.proof import prove
from offloader_connectors.s3.transfer import MOST_PARTS, Transfer

_PREFIX = re.compile(r"[A-Za-z0-9\-_./]*")
#: "Amazon S3 multipart upload limits" of the S3 user guide
_LARGEST = 50 << 40
_LONGEST_LINK_S = 3600
_DOWNLOAD = re.compile(r"attachment(?:;[ -~]*)?")
_MIME = re.compile(r"[A-Za-z0-9!#$&^_.+\-]+/[A-Za-z0-9!#$&^_.+\-]+")
#: so many writers at once of keys on a server that does not refuse to overwrite
_STRIPES = 64
#: inside of the store `list` is its method
Keys = list[str]
Locks = list[Lock]


class S3Store:
    """Implements `offloader.ports.Store` on a bucket. Safe for threads, and for several processes at once.

    On a server without conditional writes two processes that write other bytes under one key at the same moment
    may both succeed: `capabilities.conditional_create` says so once it is known.
    """

    def __init__(self, name: str, clients: Clients, now: Callable[[], datetime]) -> None:
        self.name = name
        self._options, self._clients, self._now = clients.options, clients, now
        self._bucket = Bucket(name, clients, now)
        self._server = Server(self._bucket)
        self._buffers = Buffers(self._options.max_concurrency, self._options.part_size)
        self._transfer = Transfer(self._bucket)
        self._alone = [threading.Lock() for _ in range(_STRIPES)]
        self._versions = True
        lock = self._options.object_lock
        self._retain = "none" if lock is None else lock.retain

    @property
    def capabilities(self) -> StoreCapabilities:
        known = self._server.known
        asked = self._options.conditional_create == "auto"
        return StoreCapabilities(
            conditional_create=asked if known is None else known.conditional,
            object_lock=self._options.object_lock is not None,
            retains=self._retain != "none",
            presign=True,
            max_size=min(_LARGEST, self._options.part_size * MOST_PARTS),
            concurrency=self._options.max_concurrency,
        )

    def prove(self) -> LocationProof:
        return prove(self._clients, self._options, self.name, self._now())

    def put(
        self, key: str, chunks: Iterable[bytes], *, size: int | None = None, digest: Digest | None = None
    ) -> Stored:
        """As the port says. With a `digest` a server that checks is the one to compare it: nothing is hashed here."""
        name = self._bucket.name(key)
        with closing(cut(chunks, self._buffers)) as parts:
            first = next(parts)
            try:
                if first.last:
                    return self._put_whole(key, name, first.body, size, digest)
                stored = self._put_parts(key, name, chain([first], parts), size, digest)
                self._bucket.ensure_locked(name)
                return stored
            finally:
                first.release()

    def stat(self, key: str) -> Stored | None:
        """As the port says. The server's checksum of the whole counts as read back where the server can be believed."""
        name = self._bucket.name(key)
        known = self._server.known
        if known.checksums if known is not None else self._options.is_aws and self._options.checksum == "auto":
            answer = reading.head(self._bucket, name)
            if answer is None:
                return None
            sha256 = _sha256(answer)
            if sha256 is not None:
                return Stored(key, int(told(answer, "ContentLength")), sha256)
        measured = reading.measure(self._bucket, name)
        return None if measured is None else Stored(key, *measured)

    def size(self, key: str) -> int | None:
        """Bytes as stored, by one HEAD request; None if there is no object."""
        answer = reading.head(self._bucket, self._bucket.name(key))
        return None if answer is None else int(told(answer, "ContentLength"))

    def presign(self, key: str, *, seconds: int, disposition: str, mime: str) -> str:
        """As the port says, for an hour at most; always a download. Makes no call. Raises AuthError, Permanent."""
        name = self._bucket.name(key)
        if not 1 <= seconds <= _LONGEST_LINK_S:
            raise Permanent(f"store {self.name}: a link lives from 1 to {_LONGEST_LINK_S} seconds, not {seconds}")
        if not _DOWNLOAD.fullmatch(disposition) or not _MIME.fullmatch(mime):
            raise Permanent(f"store {self.name}: a link needs a disposition that downloads, and a media type")
        return self._bucket.presign(
            name,
            seconds,
            ResponseContentDisposition=disposition,
            ResponseContentType=mime,
            ResponseCacheControl="private, no-store",
        )

    def read(self, key: str, *, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        return reading.read(self._bucket, self._bucket.name(key), offset, length)

    def delete(self, key: str) -> None:
        """As the port says: every version, and every delete marker, so that nothing can bring it back.

        Oldest first, so that a lock on any of them leaves the newest readable; markers last, so that none is
        taken away while a version below it stays.
        """
        name = self._bucket.name(key)
        if self._versions:
            try:
                versions, markers = self._all_versions(name)
            except Unsupported:
                self._versions = False
            else:
                for version in [*reversed(versions), *reversed(markers)]:
                    self._delete(name, VersionId=version)
                if versions or markers or self.size(key) is None:
                    return  # where nothing is, a plain deletion would leave a delete marker
        self._delete(name)

    def locked(self, key: str) -> Lock | None:
        """As the port says: of every version the longest, a legal hold before any date."""
        name = self._bucket.name(key)
        return locks.longest(self._locks(name, self._kept(name)[0]))

    def erase(self, key: str, *, bypass: bool = False) -> Erased:
        """As the port says, oldest first. Reads the list of versions back afterwards.

        `bypass` needs s3:BypassGovernanceRetention, and is asked for only where a lock of that kind is found.
        """
        name = self._bucket.name(key)
        versions, markers = self._kept(name)
        found = self._locks(name, versions)
        hard = locks.longest(lock for lock in found if not (bypass and lock.lifts))
        if hard is not None:
            return Erased(left=(hard,))
        lifted: dict[str, Any] = {"BypassGovernanceRetention": True} if found else {}
        for version in [*reversed(versions), *reversed(markers)]:
            self._delete(name, **({"VersionId": version} if version else {}), **lifted)
        still = sum(map(len, self._kept(name))) if versions or markers else 0
        left = (Lock(f"the server still lists {still} versions of it"),) if still else ()
        return Erased(len(versions), len(markers), left)

    def retain(self, key: str, until: datetime) -> None:
        if not self.capabilities.retains:
            raise Unsupported(f"store {self.name}: its options ask for no locks by retention (object_lock.retain)")
        locks.retain(self._bucket, self._bucket.name(key), self._retain, until)

    def list(self, prefix: str = "") -> Iterator[tuple[str, int]]:
        if not _PREFIX.fullmatch(prefix):
            raise Permanent(f"store {self.name}: {prefix[:200]!r} is no prefix of a key")
        found = self._listed(prefix)
        return iter(sorted(found)) if self._options.listing == "unordered" else self._in_order(found)

    def sweep(self) -> int:
        """As the port says: uploads in parts that nobody has completed, older than `abandoned_after_hours`."""
        return self._transfer.sweep(self._now())

    def _put_whole(
        self, key: str, name: str, body: bytes | bytearray, size: int | None, digest: Digest | None
    ) -> Stored:
        _check_size(key, len(body), size, digest)
        abilities = self._server.abilities()
        sha256 = digest.sha256 if digest and abilities.checksums else _hash(key, body, digest)
        expected = Stored(key, len(body), sha256)
        given = self._bucket.writing(sha256=sha256) | self._bucket.checked(sha256)
        if abilities.conditional:
            given["IfNoneMatch"] = "*"
        with self._writing(key, abilities):
            if not abilities.conditional and (there := self.stat(key)) is not None:
                return self._same(there, expected)
            try:
                # boto3 would wrap `bytes` in a file, and send it in small pieces after waiting to be asked for it
                raw = body if isinstance(body, bytearray) else bytearray(body)
                answer = self._bucket.call("put_object", "write", name, Body=raw, **given)
            except Conflict:
                _hash(key, body, digest)
                return self._same(self.stat(key), expected)
            except IntegrityError as error:
                _hash(key, body, digest)
                raise Transient(f"store {self.name}: {key} was damaged on its way to the server") from error
            return self._proven(name, expected, answer, b64(sha256), abilities, body)

    def _put_parts(self, key: str, name: str, parts: Iterator[Part], size: int | None, digest: Digest | None) -> Stored:
        """An object that is there already is not sent again, only compared."""
        abilities = self._server.in_parts()
        if self.size(key) is not None:
            expected = Stored(key, *_measured(parts))
            _check_announced(expected, size, digest)
            return self._same(self.stat(key), expected)
        with self._transfer.upload(name, digest.sha256 if digest else None) as upload:
            expected = Stored(key, *upload.send(parts))
            _check_announced(expected, size, digest)
            with self._writing(key, abilities):
                if not abilities.conditional and (there := self.stat(key)) is not None:
                    return self._same(there, expected)
                try:
                    answer = upload.complete(conditional=abilities.conditional)
                except Conflict:
                    return self._same(self.stat(key), expected)
                return self._proven(name, expected, answer, upload.composite, abilities)

    def _writing(self, key: str, abilities: Abilities) -> AbstractContextManager[Any]:
        """Where the server does not refuse to overwrite, writers of one key in this process wait for each other."""
        return contextlib.nullcontext() if abilities.conditional else self._alone[hash(key) % _STRIPES]

    def _same(self, there: Stored | None, expected: Stored) -> Stored:
        if there is None:
            raise Transient(f"store {self.name}: {expected.key} is being written and deleted by somebody else")
        if there != expected:
            raise Conflict(
                f"store {self.name}: {expected.key} already holds other bytes (SHA-256 {there.sha256}); they stay"
            )
        return there

    def _proven(
        self,
        name: str,
        expected: Stored,
        answer: Mapping[str, Any],
        checksum: str,
        abilities: Abilities,
        body: bytes | bytearray | None = None,
    ) -> Stored:
        """Return `expected` once it is certain that this is what is stored; `checksum` as S3 would answer it.

        A server that checks sums says so in its answer, or in a HEAD request; from any other the object is read back.
        """
        if abilities.checksums and self._confirmed(name, expected.size, answer, checksum, body):
            return expected
        measured = reading.measure(self._bucket, name)
        if measured == (expected.size, expected.sha256):
            return expected
        raise IntegrityError(
            f"store {self.name}: the server said that {expected.key} is stored, but "
            f"{f'it holds SHA-256 {measured[1]}' if measured else 'it is not there'}; "
            f"{expected.sha256} was written; {self._undone(name, answer, abilities)}"
        )

    def _confirmed(
        self, name: str, size: int, answer: Mapping[str, Any], checksum: str, body: bytes | bytearray | None
    ) -> bool:
        """Whether the server has answered with a digest of its own making.

        An ETag that is the MD5 is one too ("Object", ETag, in the S3 API reference): a server that refuses bytes of
        another SHA-256 than announced, and shows by it that it has seen these bytes, has compared them.
        """
        said = answer.get("ChecksumSHA256")
        if said is None and body is not None:
            md5 = hashlib.md5(body, usedforsecurity=False).hexdigest()
            if answer.get("ETag") == f'"{md5}"':
                return True
        if said is None:
            found = reading.head(self._bucket, name) or {}
            said = found.get("ChecksumSHA256") if found.get("ContentLength") == size else None
        return bool(said == checksum)

    def _undone(self, name: str, answer: Mapping[str, Any], abilities: Abilities) -> str:
        """Take back what was just written, if it is certain that it is ours; say what became of it."""
        version = answer.get("VersionId")
        named = {"VersionId": version} if version and version != "null" else {}
        if not named and not abilities.conditional:
            return "it may be somebody else's by now, so it stays: look at it, and delete it"
        try:
            self._delete(name, **named)
        except OffloaderError as error:
            return f"it could not be taken away ({error})"
        return "nothing of it is left behind"

    def _kept(self, name: str) -> tuple[Keys, Keys]:
        """Versions and delete markers, newest first; an empty id stands for an object on a server without versions."""
        if self._versions:
            try:
                versions, markers = self._all_versions(name)
            except Unsupported:
                self._versions = False
            else:
                if versions or markers:
                    return versions, markers
        return ([""] if reading.head(self._bucket, name) is not None else []), []

    def _locks(self, name: str, versions: Keys) -> Locks:
        found = (locks.lock_of(self._bucket, name, version, self._now()) for version in versions)
        return [lock for lock in found if lock is not None]

    def _all_versions(self, name: str) -> tuple[Keys, Keys]:
        """Ids of the versions and of the delete markers of exactly this object, newest first."""
        versions: Keys = []
        markers: Keys = []
        for page in self._bucket.pages("list_object_versions", name):
            names = []
            for found, into in ((page.get("Versions", ()), versions), (page.get("DeleteMarkers", ()), markers)):
                names += [told(each, "Key") for each in found]
                into += [told(each, "VersionId") for each in found if each["Key"] == name]
            if any(other != name for other in names):
                break  # an object's own name comes before longer ones that begin with it
        return versions, markers

    def _delete(self, name: str, **which: Any) -> None:
        with contextlib.suppress(Gone):
            self._bucket.call("delete_object", "delete", name, **which)

    def _listed(self, prefix: str) -> Iterator[tuple[str, int]]:
        for page in self._bucket.pages("list_objects_v2", self._options.prefix + prefix):
            for found in page.get("Contents", ()):
                key = self._bucket.key(found.get("Key"))
                if key is not None and key.startswith(prefix):
                    yield key, int(told(found, "Size"))

    def _in_order(self, found: Iterator[tuple[str, int]]) -> Iterator[tuple[str, int]]:
        last = ""
        for key, size in found:
            if key <= last:
                raise Permanent(
                    f"store {self.name}: the server does not list in key order ({key} after {last}): "
                    "set listing: unordered"
                )
            last = key
            yield key, size


def _check_size(key: str, came: int, size: int | None, digest: Digest | None) -> None:
    for announced in (size, digest and digest.size):
        if announced is not None and announced != came:
            raise IntegrityError(f"{key}: {came} bytes came, but {announced} were announced; nothing is stored")


def _check_announced(expected: Stored, size: int | None, digest: Digest | None) -> None:
    _check_size(expected.key, expected.size, size, digest)
    if digest is not None and digest.sha256 != expected.sha256:
        raise IntegrityError(
            f"{expected.key}: what came has SHA-256 {expected.sha256}, but {digest.sha256} was announced; "
            "nothing is stored"
        )


def _hash(key: str, body: bytes | bytearray, digest: Digest | None) -> str:
    """SHA-256 (hex) of a whole body. Raises IntegrityError if another was announced."""
    expected = Stored(key, len(body), hashlib.sha256(body).hexdigest())
    _check_announced(expected, None, digest)
    return expected.sha256


def _measured(parts: Iterable[Part]) -> tuple[int, str]:
    """Size and SHA-256 (hex) of parts that need not be sent."""
    sha256 = hashlib.sha256()
    size = 0
    for part in parts:
        sha256.update(part.body)
        size += len(part.body)
        part.release()
    return size, sha256.hexdigest()


def _sha256(answer: Mapping[str, Any]) -> str | None:
    """The SHA-256 (hex) of the whole object as a HEAD answer gives it.

    That of an object in parts is one of their digests: it ends in their number, is no base64, and comes out as None.
    """
    try:
        raw = base64.b64decode(str(answer.get("ChecksumSHA256", "")), validate=True)
    except (binascii.Error, ValueError):
        return None
    return raw.hex() if len(raw) == hashlib.sha256().digest_size else None
