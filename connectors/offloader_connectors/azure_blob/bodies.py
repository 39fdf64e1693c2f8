"""Bodies on their way into a store: cut in blocks, measured once, and compared with what was announced."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

from offloader.errors import IntegrityError
from offloader.model import Digest


class Body:
    """A body that is gone through once. After the last block, `size` (bytes) and `sha256` (hex) are of all of it.

    A body of one block whose digest was announced is not digested here: the server compares the MD5, and only if
    that is wrong, or never came to it, `verify` says whether the announcement was.
    """

    def __init__(
        self, key: str, chunks: Iterable[bytes], block_size: int, size: int | None, digest: Digest | None
    ) -> None:
        self._key, self._chunks, self._block_size = key, chunks, block_size
        sizes = (size, digest.size if digest is not None else None)
        self._announced = [each for each in sizes if each is not None]
        self._digest = digest
        self._hash = hashlib.sha256()
        self._hashed = 0
        self.size = 0

    @property
    def sha256(self) -> str:
        """SHA-256 of what has come so far."""
        if self._digest is not None and not self._hashed:
            return self._digest.sha256
        return self._hash.hexdigest()

    def blocks(self) -> Iterator[tuple[bytes, bool]]:
        """Yield (block, whether it is the last); all but the last have the block size, an empty body has one.

        Raises IntegrityError, before the last block, if the bytes are not those that were announced. Errors of
        the chunks pass.
        """
        held: list[memoryview] = []
        room = self._block_size
        for chunk in self._chunks:
            rest = memoryview(chunk)
            while rest:
                if not room:
                    yield self._joined(held, hashing=True), False
                    room = self._block_size
                held.append(rest[:room])
                rest = rest[room:]
                room -= len(held[-1])
        last = self._joined(held, hashing=self._hashed > 0 or self._digest is None)
        if any(size != self.size for size in self._announced):
            raise IntegrityError(
                f"{self._key}: {self.size} bytes came, but {self._announced[0]} were announced; nothing is stored"
            )
        if self._hashed:
            self._compare()
        yield last, True

    def verify(self, block: bytes) -> None:
        """Digest a body of one block, unless that is done. Raises IntegrityError if another digest was announced."""
        if not self._hashed:
            self._update(block)
        self._compare()

    def _compare(self) -> None:
        found = self._hash.hexdigest()
        if self._digest is not None and self._digest.sha256 != found:
            raise IntegrityError(
                f"{self._key}: the bytes have SHA-256 {found}, but {self._digest.sha256} was announced; "
                "nothing is stored"
            )

    def _joined(self, held: list[memoryview], *, hashing: bool) -> bytes:
        """The block that was held, which is held no longer: of many uploads at once each has no more than one."""
        chunk = held[0].obj if len(held) == 1 else None
        block = chunk if isinstance(chunk, bytes) and len(chunk) == held[0].nbytes else b"".join(held)
        held.clear()
        self.size += len(block)
        if any(self.size > size for size in self._announced):
            raise IntegrityError(
                f"{self._key}: more bytes came than the {min(self._announced)} that were announced; nothing is stored"
            )
        if hashing:
            self._update(block)
        return block

    def _update(self, block: bytes) -> None:
        self._hash.update(block)
        self._hashed += len(block)
