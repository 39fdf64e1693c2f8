"""The Azure Blob store: one block blob per key, never overwritten, proven by the server's checksum or read back."""

from __future__ import annotations

import hashlib
import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

from azure.core.credentials import TokenCredential
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import BlobClient, BlobImmutabilityPolicyMode, BlobProperties, ImmutabilityPolicy

from offloader.errors import Gone, Permanent, Refused, Transient, Unsupported
from offloader.model import Digest, LocationProof
from offloader.plugins import Context
from offloader.ports import Erased, Lock, StoreCapabilities, Stored
from offloader_connectors.azure_blob import proof
from offloader_connectors.azure_blob.client import Clients
from offloader_connectors.azure_blob.links import Links
from offloader_connectors.azure_blob.options import MOST_BLOCKS, AzureBlobOptions
from offloader_connectors.azure_blob.trouble import answer_of, is_absent, translated
from offloader_connectors.azure_blob.uploads import Uploads

_KEY = re.compile(r"(?:(?!\.{1,2}(?:/|\Z))[A-Za-z0-9\-_.]+(?:/(?!\Z)|\Z))+")
_PREFIX = re.compile(r"[A-Za-z0-9\-_./]*")
#: "Naming and referencing containers, blobs, and metadata"
_LONGEST_NAME = 1024
_RANGE_NOT_SATISFIABLE = 416
_ENDLESS = datetime.max.replace(tzinfo=UTC)


class AzureBlobStore:
    """Implements `offloader.ports.Store` on a container. Safe for threads, and for several processes at once."""

    def __init__(
        self, name: str, options: AzureBlobOptions, context: Context, credential: TokenCredential | None = None
    ) -> None:
        """`credential` takes the place of the login that the options describe."""
        self.name = name
        self._options = options
        self._now = context.now
        self._clients = Clients(options, context, credential)
        self._links = Links(name, self._clients, context.now)
        self._uploads = Uploads(name, self._clients, context.now, self._measured)

    @cached_property
    def capabilities(self) -> StoreCapabilities:
        options = self._options
        return StoreCapabilities(
            conditional_create=True,
            object_lock=options.immutability is not None or options.legal_hold,
            retains=options.retain != "none",
            presign=self._links.possible,
            max_size=MOST_BLOCKS * options.block_size,
            concurrency=16,
        )

    def prove(self) -> LocationProof:
        return proof.prove(self._clients, self._options, self.name, self._now())

    def put(
        self, key: str, chunks: Iterable[bytes], *, size: int | None = None, digest: Digest | None = None
    ) -> Stored:
        """As the port says. A `digest` is compared by SHA-256 and size; its MD5 goes to the server to be checked."""
        return self._uploads.put(key, self._blob(key), chunks, size, digest)

    def stat(self, key: str) -> Stored | None:
        self._name(key)
        return self._measured(key)

    def size(self, key: str) -> int | None:
        blob = self._blob(key)
        with translated(self.name, "look at", key):
            try:
                return int(blob.get_blob_properties(**self._clients.keyed).size)
            except HttpResponseError as error:
                if is_absent(error):
                    return None
                raise

    def presign(self, key: str, *, seconds: int, disposition: str, mime: str) -> str:
        return self._links.make(self._name(key), seconds, disposition, mime)

    def read(self, key: str, *, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """As the port says, a block at a time; all of it of one and the same blob, or Conflict."""
        blob = self._blob(key)
        if offset < 0 or (length is not None and length < 0):
            raise Permanent(f"store {self.name}: cannot read {key}: a range must not be negative")
        return self._read(key, blob, offset, length)

    def _read(self, key: str, blob: BlobClient, offset: int, length: int | None) -> Iterator[bytes]:
        #: the library leaves an answer open that it does not understand
        last: deque[Any] = deque(maxlen=1)
        part: dict[str, Any] = {} if offset == 0 and length is None else {"offset": offset, "length": length}
        with translated(self.name, "read", key):
            try:
                if length == 0:
                    blob.get_blob_properties(**self._clients.keyed)
                    return
                stream = blob.download_blob(
                    max_concurrency=1, decompress=False, raw_response_hook=last.append, **part, **self._clients.keyed
                )
                yield from stream.chunks()
            except HttpResponseError as error:
                answer = answer_of(error)
                if answer is not None and answer.status == _RANGE_NOT_SATISFIABLE:
                    return
                if is_absent(error):
                    raise Gone(f"store {self.name} has no object {key}") from None
                raise
            finally:
                for answered in last:
                    answered.http_response.internal_response.close()

    def delete(self, key: str) -> None:
        """As the port says, with every snapshot and version: what Azure keeps longer is its soft delete's term.

        A lock on any of them refuses the whole, so that none is hidden without being removed.
        """
        name = self._name(key)
        blob = self._blob(key)
        with translated(self.name, "delete", key):
            kept = [*self._versions(name)]
            if any(self._lock(version) for version in kept):
                raise Refused(
                    f"store {self.name}: cannot delete {key}: a retention term or a legal hold is on it", rule="lock"
                )
            self._remove(blob, kept)

    def locked(self, key: str) -> Lock | None:
        """As the port says, of every version and snapshot, by one list."""
        name = self._name(key)
        with translated(self.name, "look at", key):
            return _longest(filter(None, map(self._lock, self._versions(name))))

    def erase(self, key: str, *, bypass: bool = False) -> Erased:
        """As the port says. `left` says how long the account's soft delete keeps what was removed: nobody can end it
        earlier but by its properties, and a list of what is deleted tells the days."""
        name = self._name(key)
        blob = self._blob(key)
        with translated(self.name, "erase", key):
            kept = [*self._versions(name)]
            locks = [lock for lock in map(self._lock, kept) if lock is not None]
            hard = _longest(lock for lock in locks if not (bypass and lock.lifts))
            if hard is not None:
                return Erased(left=(hard,))
            for version in kept if locks else ():
                if self._lock(version) is not None:
                    lifted = {} if version.version_id is None else {"version_id": version.version_id}
                    blob.delete_immutability_policy(**lifted)
            self._remove(blob, kept)
            binned = _longest(self._binned(name)) if kept else None
        return Erased(len(kept), left=() if binned is None else (binned,))

    def retain(self, key: str, until: datetime) -> None:
        how = self._options.retain
        if how == "none":
            raise Unsupported(f"store {self.name}: its options ask for no locks by retention (retain)")
        blob = self._blob(key)
        with translated(self.name, "lock", key):
            if how == "hold":
                blob.set_legal_hold(True)
                return
            found = blob.get_blob_properties(**self._clients.keyed).immutability_policy
            if found is not None and found.expiry_time is not None and found.expiry_time >= until:
                return
            mode = BlobImmutabilityPolicyMode(how.capitalize())
            blob.set_immutability_policy(ImmutabilityPolicy(expiry_time=until, policy_mode=mode))

    def _remove(self, blob: BlobClient, kept: Sequence[BlobProperties]) -> None:
        self._delete(blob, delete_snapshots="include")
        for version in kept:
            if version.version_id is not None:
                self._delete(blob, version_id=version.version_id)

    def _binned(self, name: str) -> Iterator[Lock]:
        """What soft delete still holds of one blob, and for how long."""
        for found in self._clients.container.list_blobs(name_starts_with=name, include=["deleted", "versions"]):
            if found.name != name:
                return
            days = found.remaining_retention_days
            until = None if days is None else self._now() + timedelta(days=days)
            said = "the account's soft delete keeps it" if found.deleted else "the account still lists a version of it"
            yield Lock(said, until)

    def list(self, prefix: str = "") -> Iterator[tuple[str, int]]:
        """As the port says. Asks for pages of 5,000, and needs an account without hierarchical namespace."""
        if not _PREFIX.fullmatch(prefix):
            raise Permanent(f"store {self.name}: {prefix!r} is no prefix of a key")
        return self._list(prefix)

    def sweep(self) -> int:
        """Nothing to do: see `uploads`. A list of Azure's does not say how old uncommitted blocks are, so that taking
        any away could break an upload under way in another process.
        """
        return 0

    def _list(self, prefix: str) -> Iterator[tuple[str, int]]:
        start = len(self._options.prefix)
        last = ""
        with translated(self.name, "list", prefix or "everything"):
            for found in self._clients.container.list_blobs(name_starts_with=self._options.prefix + prefix or None):
                key = str(found.name)[start:]
                if not _KEY.fullmatch(key):
                    continue
                if key <= last:
                    raise Permanent(
                        f"store {self.name}: the account does not list in the order of keys; it must be one without "
                        "hierarchical namespace"
                    )
                last = key
                yield key, int(found.size or 0)

    def _versions(self, name: str) -> Iterator[BlobProperties]:
        """Every version and snapshot of one blob; names come in order, its own first."""
        include = ["versions", "snapshots", "immutabilitypolicy", "legalhold"]
        for found in self._clients.container.list_blobs(name_starts_with=name, include=include):
            if found.name != name:
                return
            yield found

    def _lock(self, version: BlobProperties) -> Lock | None:
        if version.has_legal_hold:
            return Lock("a legal hold is on it: somebody has to lift it in the store")
        policy = version.immutability_policy
        ends = policy.expiry_time if policy is not None else None
        if ends is None or ends <= self._now():
            return None
        mode = str(policy.policy_mode or "").lower()
        return Lock(f"it is immutable ({mode}) until {ends:%Y-%m-%d}", ends, lifts=mode == "unlocked")

    @staticmethod
    def _delete(blob: BlobClient, **which: Any) -> None:
        try:
            blob.delete_blob(**which)
        except HttpResponseError as error:
            if not is_absent(error):
                raise

    def _measured(self, key: str) -> Stored | None:
        """Read a blob back and measure it; None if there is none."""
        sha256 = hashlib.sha256()
        size = 0
        try:
            for chunk in self._read(key, self._blob(key), 0, None):
                sha256.update(chunk)
                size += len(chunk)
        except Gone:
            if size:
                raise Transient(f"store {self.name}: {key} was deleted while it was read") from None
            return None
        return Stored(key, size, sha256.hexdigest())

    def _blob(self, key: str) -> BlobClient:
        return self._clients.blob(self._name(key))

    def _name(self, key: str) -> str:
        """The blob's name. Raises Permanent for what is no key, or no name that Azure keeps as it is."""
        name = self._options.prefix + key
        if not _KEY.fullmatch(key):
            raise Permanent(f"store {self.name}: {key!r} is no valid key")
        if len(name) > _LONGEST_NAME or any(part.endswith(".") for part in key.split("/")):
            raise Permanent(f"store {self.name}: Azure takes no name like {key!r}: too long, or a part ends in a dot")
        return name


def _longest(locks: Iterable[Lock]) -> Lock | None:
    """The lock that ends last; one without an end before all others."""
    return max(locks, key=lambda lock: (lock.until or _ENDLESS, not lock.lifts), default=None)
