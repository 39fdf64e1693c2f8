"""Writing blobs: small ones in one request, large ones in blocks, never over another, and proven to be there.

Every request carries an MD5 that the server compares with what arrives; a server that answers with the MD5 that it
has computed itself has proven it, for any other the blob is read back. Blocks are named by the SHA-256 of the body up
to and with them, so that uploads of other bytes to the same key never share one, and an upload that broke off is
continued with the same names. What it left behind cannot be read by anybody, and Azure drops it a week after the last
block (REST guide, Put Block, remarks).
"""

from __future__ import annotations

import hashlib
import threading
from base64 import b64encode
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import datetime, timedelta
from itertools import chain
from typing import Any

from azure.core import MatchConditions
from azure.core.exceptions import AzureError, HttpResponseError
from azure.storage.blob import (
    BlobBlock,
    BlobClient,
    BlobImmutabilityPolicyMode,
    ContentSettings,
    ImmutabilityPolicy,
    StandardBlobTier,
)

from offloader.errors import Conflict, IntegrityError, Permanent, Transient, Unsupported
from offloader.model import Digest
from offloader.ports import Stored
from offloader_connectors.azure_blob.bodies import Body
from offloader_connectors.azure_blob.client import Clients
from offloader_connectors.azure_blob.options import MOST_BLOCKS
from offloader_connectors.azure_blob.trouble import answer_of, exists_already, is_absent, translated

#: characters of a block's name before encoding ("Put Block": at most 64 bytes, all of a blob equally long)
_DIGEST_LENGTH = 56
_CONTENT = ContentSettings(content_type="application/octet-stream", content_disposition="attachment")


class Uploads:
    """Writes blobs for one store. All uploads share one pool of threads, and with it a bound on memory:

    each upload holds the block that it gathers, and all together at most `concurrency` that are being sent.
    """

    def __init__(
        self,
        store: str,
        clients: Clients,
        now: Callable[[], datetime],
        measure: Callable[[str], Stored | None],
    ) -> None:
        """`measure(key)` reads a blob back."""
        self._store, self._clients, self._now, self._measure = store, clients, now, measure
        self._options = options = clients.options
        self._pool = ThreadPoolExecutor(options.concurrency, thread_name_prefix="azure-blob")
        self._slots = threading.BoundedSemaphore(options.concurrency)

    def put(
        self, key: str, blob: BlobClient, chunks: Iterable[bytes], size: int | None, digest: Digest | None
    ) -> Stored:
        """As the port's `put`."""
        body = Body(key, chunks, self._options.block_size, size, digest)
        blocks = body.blocks()
        block, last = next(blocks)
        if last:
            stored = self._put_whole(key, blob, block, body, digest)
        else:
            first = iter([(block, False)])
            del block  # as everywhere here: a block that was sent is not held any more
            stored = self._put_blocks(key, blob, chain(first, blocks), body)
        if self._options.immutability is not None or self._options.legal_hold:
            self._confirm_lock(key, blob)
        return stored

    @property
    def _encrypted(self) -> dict[str, Any]:
        scope = self._options.encryption_scope
        return self._clients.keyed if scope is None else {"encryption_scope": scope}

    def _put_whole(self, key: str, blob: BlobClient, data: bytes, body: Body, digest: Digest | None) -> Stored:
        md5 = bytes.fromhex(digest.md5) if digest is not None else _md5(data)
        with translated(self._store, "write", key):
            try:
                answer = blob.upload_blob(
                    data, length=len(data), overwrite=False, headers=_announcing(md5), **self._settings(body)
                )
            except HttpResponseError as error:
                body.verify(data)  # a wrong announcement comes before whatever the server says
                if exists_already(error):
                    return self._found(key, body)
                raise
        return self._proven(key, blob, body, by_server=_agrees(answer, md5))

    def _put_blocks(self, key: str, blob: BlobClient, blocks: Iterator[tuple[bytes, bool]], body: Body) -> Stored:
        if self._is_there(key, blob):
            deque(blocks, maxlen=0)
            return self._found(key, body)
        staging = _Staging(self._store, key, blob, self._pool, self._slots, self._encrypted)
        try:
            for block, _ in blocks:
                staging.add(block, body.sha256)
                del block
            staging.finish()
        finally:
            staging.end()
        with translated(self._store, "write", key):
            try:
                blob.commit_block_list(
                    [BlobBlock(name) for name, _ in staging.blocks],
                    match_condition=MatchConditions.IfMissing,
                    validate_content=True,
                    **self._settings(body),
                )
            except HttpResponseError as error:
                if exists_already(error) or (_blocks_are_gone(error) and self._is_there(key, blob)):
                    return self._found(key, body)
                raise
        if self._committed(key, blob) != staging.blocks:
            raise self._damaged(key, blob, "other blocks than were sent")
        return self._proven(key, blob, body, by_server=staging.proven)

    def _committed(self, key: str, blob: BlobClient) -> list[tuple[str, int]]:
        with translated(self._store, "check", key):
            try:
                committed, _ = blob.get_block_list("committed")
            except HttpResponseError as error:
                if is_absent(error):
                    return []
                raise
        return [(block.id, block.size) for block in committed]

    def _settings(self, body: Body) -> Mapping[str, Any]:
        options = self._options
        settings: dict[str, Any] = {
            **self._encrypted,
            "content_settings": _CONTENT,
            "metadata": {"sha256": body.sha256},
        }
        if options.tier is not None:
            settings["standard_blob_tier"] = StandardBlobTier(options.tier)
        if options.immutability is not None:
            settings["immutability_policy"] = ImmutabilityPolicy(
                expiry_time=self._now() + timedelta(days=options.immutability.days),
                policy_mode=BlobImmutabilityPolicyMode(options.immutability.mode),
            )
        if options.legal_hold:
            settings["legal_hold"] = True
        return settings

    def _is_there(self, key: str, blob: BlobClient) -> bool:
        with translated(self._store, "look for", key):
            return blob.exists()

    def _found(self, key: str, body: Body) -> Stored:
        """The key is taken: by the same bytes, or by others. Raises Conflict."""
        there = self._measure(key)
        if there is None:
            raise Transient(f"store {self._store}: {key} was deleted by somebody else just now")
        if (there.size, there.sha256) != (body.size, body.sha256):
            raise Conflict(f"store {self._store}: {key} already holds other bytes (SHA-256 {there.sha256}); they stay")
        return there

    def _proven(self, key: str, blob: BlobClient, body: Body, *, by_server: bool | None) -> Stored:
        """What is stored. `by_server`: whether the server's own checksums agree; None: it gave none."""
        expected = Stored(key, body.size, body.sha256)
        if by_server is False:
            raise self._damaged(key, blob, "an MD5 of other bytes than were sent")
        if (by_server is None or self._options.read_back) and self._measure(key) != expected:
            raise self._damaged(key, blob, "other bytes than were sent")
        return expected

    def _damaged(self, key: str, blob: BlobClient, what: str) -> IntegrityError:
        """Take away what was just written, and say why."""
        left = "nothing of it is left behind"
        try:
            blob.delete_blob(delete_snapshots="include")
        except AzureError:
            left = "it could not be taken away again: delete it"
        return IntegrityError(f"store {self._store}: after writing {key} the server has {what}; {left}")

    def _confirm_lock(self, key: str, blob: BlobClient) -> None:
        """See that the lock stands; some servers take the headers and do nothing. Raises Unsupported."""
        with translated(self._store, "check the lock of", key):
            found = blob.get_blob_properties(**self._clients.keyed)
        policy = found.immutability_policy
        termed = policy is not None and policy.expiry_time is not None and bool(policy.policy_mode)
        if (self._options.immutability is None or termed) and (not self._options.legal_hold or found.has_legal_hold):
            return
        with translated(self._store, "take back", key):
            blob.delete_blob(delete_snapshots="include")
        raise Unsupported(
            f"store {self._store}: the server took {key} without the lock that was asked for, so it was taken back; "
            "the container needs version-level immutability"
        )


class _Staging:
    """The blocks of one upload on their way."""

    def __init__(
        self,
        store: str,
        key: str,
        blob: BlobClient,
        pool: ThreadPoolExecutor,
        slots: threading.BoundedSemaphore,
        encrypted: Mapping[str, Any],
    ) -> None:
        self._store, self._key, self._blob = store, key, blob
        self._pool, self._slots, self._encrypted = pool, slots, encrypted
        self._pending: deque[Future[bool | None]] = deque()
        #: (name, bytes), in order
        self.blocks: list[tuple[str, int]] = []
        #: whether the server has computed the right MD5 of every block; None if it did not say
        self.proven: bool | None = True

    def add(self, block: bytes, so_far: str) -> None:
        """Send a block, now or as soon as there is a place. `so_far`: SHA-256 of the body up to and with it."""
        if len(self.blocks) == MOST_BLOCKS:
            raise Permanent(f"store {self._store}: {self._key} has more than {MOST_BLOCKS} blocks; raise block_size")
        name = f"{so_far[:_DIGEST_LENGTH]}{len(block):08x}"
        self.blocks.append((name, len(block)))
        self._slots.acquire()
        try:
            future = self._pool.submit(self._send, name, block)
        except BaseException:
            self._slots.release()
            raise
        future.add_done_callback(lambda _: self._slots.release())
        self._pending.append(future)
        while self._pending and self._pending[0].done():
            self._take()

    def finish(self) -> None:
        """Wait for all blocks; raise what went wrong with any."""
        while self._pending:
            self._take()

    def end(self) -> None:
        """After an error: no block is under way any more when this returns."""
        for future in self._pending:
            future.cancel()
        wait(self._pending)

    def _take(self) -> None:
        proven = self._pending.popleft().result()
        if self.proven is True or proven is False:
            self.proven = proven

    def _send(self, name: str, block: bytes) -> bool | None:
        md5 = _md5(block)
        with translated(self._store, "write", self._key):
            answer = self._blob.stage_block(name, block, length=len(block), headers=_announcing(md5), **self._encrypted)
        return _agrees(answer, md5)


def _blocks_are_gone(error: HttpResponseError) -> bool:
    """Whether a commit failed because somebody else's took all uncommitted blocks away."""
    answer = answer_of(error)
    return answer is not None and answer.code == "InvalidBlockList"


def _md5(data: bytes) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).digest()


def _announcing(md5: bytes) -> dict[str, str]:
    return {"Content-MD5": b64encode(md5).decode()}


def _agrees(answer: Mapping[str, Any], md5: bytes) -> bool | None:
    """Compare the MD5 that the server computed; None if it gave none ("Put Blob", response headers)."""
    computed = answer.get("content_md5")
    return None if computed is None else bytes(computed) == md5
