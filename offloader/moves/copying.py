"""Copy: bring one version's bytes to a store once, measured on the way, and prove what lies there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from offloader.errors import Gone, IntegrityError
from offloader.ledger import Copy
from offloader.model import Digest, Digester, Document, Version
from offloader.moves.sharing import Sharing
from offloader.moves.site import Site, document_key
from offloader.ports import Store

#: up to this many bytes a body is held in memory, so that the CRM is not kept waiting for the store
SMALL = 2 << 20


@dataclass(frozen=True, slots=True)
class CopyTask:
    """One version to be copied to one store, and from there to further ones. `known`: copies that the ledger knows."""

    pk: int
    document: Document
    version: Version
    store: str
    further: tuple[str, ...] = ()
    known: tuple[Copy, ...] = ()

    @property
    def key(self) -> str:
        return document_key(self.document.ref, self.version)

    def known_in(self, store: str) -> Copy | None:
        """The copy that the ledger knows in this store."""
        return next((copy for copy in self.known if copy.store == store), None)

    @property
    def what(self) -> str:
        return f"{self.document.version_ref(self.version)} (version {self.version.number})"

    @property
    def held(self) -> int:
        """Bytes that this copy holds in memory, from the delivery until it is stored.

        While a body is put together from its chunks it is there twice, but in one thread only one body at a time.
        A size that the CRM does not say counts as half a mebibyte.
        """
        size = self.version.size
        return min(size if size is not None else 1 << 19, SMALL)


def buffer(chunks: Iterator[bytes], limit: int) -> tuple[bytes, bool]:
    """Read up to about `limit` bytes: what was read, and whether that was all."""
    held = []
    total = 0
    for chunk in chunks:
        held.append(chunk)
        total += len(chunk)
        if total > limit:
            return b"".join(held), False
    return b"".join(held), True


def put_small(store: Store, task: CopyTask, data: bytes, site: Site, sharing: Sharing) -> Copy:
    """Store a body that is held in memory, unless it may share an object that is stored already.

    Raises IntegrityError if it is not what the CRM has.
    """
    digest = Digest.of(data)
    check_against_crm(task, digest)
    return _put(store, task, [data], digest, site, sharing)


def _put(store: Store, task: CopyTask, chunks: Iterable[bytes], digest: Digest, site: Site, sharing: Sharing) -> Copy:
    """A copy of these bytes in this store: on an object that has them already, or else on one of its own."""
    with sharing.turn(task.document, store.name, digest) as may_share:
        shared = sharing.find(task.pk, task.document, store.name, digest, own=task.key) if may_share else None
        if shared is not None:
            return shared
        sharing.keep(task.pk, store.name, task.key)
        stored = store.put(task.key, chunks, size=digest.size, digest=digest)
        if (stored.sha256, stored.size) != (digest.sha256, digest.size):
            raise IntegrityError(f"{task.what}: the store {store.name} holds other bytes than were sent")
        copy = Copy(store.name, task.key, digest, site.context.now(), stored.held)
        if may_share:
            sharing.stored(task.pk, task.document, copy)
        return copy


def put_stream(store: Store, task: CopyTask, chunks: Iterable[bytes], site: Site, sharing: Sharing) -> Copy:
    """Store a body while it arrives. A body that turns out wrong, or to be stored already, is taken away again."""
    digester = Digester()

    def measured() -> Iterator[bytes]:
        for chunk in chunks:
            digester.update(chunk)
            yield chunk
        check_against_crm(task, digester.digest())

    sharing.keep(task.pk, store.name, task.key)
    stored = store.put(task.key, measured())
    digest = digester.digest()
    if stored.sha256 != digest.sha256 or stored.size != digest.size:
        with site.ledger.alone(store.name, task.key, versions={task.pk}, keeping=1) as free:
            if free:
                store.erase(task.key)
        raise IntegrityError(f"{task.what}: the store {task.store} holds other bytes than were sent")
    copy = Copy(task.store, task.key, digest, site.context.now(), stored.held)
    with sharing.turn(task.document, store.name, digest) as may_share:
        if not may_share:
            return copy
        shared = sharing.find(task.pk, task.document, store.name, digest, own=task.key)
        if shared is not None and _taken_back(store, task, site):
            return shared
        sharing.stored(task.pk, task.document, copy)
        return copy


def _taken_back(store: Store, task: CopyTask, site: Site) -> bool:
    """Remove an object that was written just now and is not needed; False if it is, or if the store keeps it."""
    with site.ledger.alone(store.name, task.key, versions={task.pk}, keeping=1) as free:
        return free and (not store.erase(task.key).left or store.size(task.key) is None)


def check_against_crm(task: CopyTask, digest: Digest) -> None:
    """Raise IntegrityError unless the bytes are those that the CRM describes.

    Where the CRM publishes a checksum it decides, sizes may lie; where it does not, the size must be right.
    """
    version = task.version
    if version.checksum is not None and version.checksum.algorithm in ("md5", "sha256"):
        if not digest.matches(version.checksum):
            raise IntegrityError(
                f"{task.what}: the bytes read ({digest.size}) do not match the CRM's own checksum; "
                "nothing was removed, it is tried again in the next run"
            )
    elif version.size is not None and abs(version.size - digest.size) > version.size_slack:
        raise IntegrityError(
            f"{task.what}: {digest.size} bytes were read, the CRM says {version.size}; "
            "nothing was removed, it is tried again in the next run"
        )


def duplicate(
    site: Site, task: CopyTask, first: Copy, name: str, sharing: Sharing, *, data: bytes | None, look: bool
) -> Copy:
    """A further copy of a verified one, from its bytes in memory or else read back from its store.

    `look`: one may be there already, so it is measured before anything is written. Raises IntegrityError if the
    first copy does not give what was verified, or the store holds other bytes than were sent.
    """
    store = site.stores[name]
    known = task.known_in(name)
    if known is not None or look:
        key = known.key if known is not None else task.key
        if known is None:
            sharing.keep(task.pk, name, key)
        there = store.stat(key)
        if there is not None and (there.sha256, there.size) == (first.digest.sha256, first.digest.size):
            return Copy(name, key, first.digest, site.context.now(), there.held)
    chunks = site.stores[first.store].read(first.key) if data is None else [data]
    return _put(store, task, chunks, first.digest, site, sharing)


def existing_copy(store: Store, task: CopyTask, site: Site, sharing: Sharing) -> Copy | None:
    """A copy that an earlier run left behind, if it is provably the right bytes; otherwise None.

    Known to the ledger: the stored bytes must have the digest that was verified then. Not known: they must
    have the CRM's own checksum. In both cases they are read back now.
    """
    known = task.known_in(task.store)
    if known is not None:
        stored = store.stat(known.key)
        if stored is not None and stored.sha256 == known.digest.sha256 and stored.size == known.digest.size:
            return Copy(known.store, known.key, known.digest, site.context.now(), stored.held)
        return None
    if task.version.checksum is None:
        return None
    sharing.keep(task.pk, store.name, task.key)
    # To prove the CRM's checksum, the bytes themselves are measured.
    digester = Digester()
    try:
        for chunk in store.read(task.key):
            digester.update(chunk)
    except Gone:
        return None
    digest = digester.digest()
    if not digest.matches(task.version.checksum):
        return None
    # Only where the store holds another form, the object is read again to measure that.
    stored = None if store.size(task.key) == digest.size else store.stat(task.key)
    return Copy(task.store, task.key, digest, site.context.now(), stored.held if stored else None)
