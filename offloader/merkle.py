"""The Merkle tree of RFC 6962 (section 2.1): roots, inclusion and consistency proofs. Hashes are SHA-256, as bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

#: entries of the smallest subtree whose root is kept
_REMEMBERED = 64


def leaf_hash(data: bytes) -> bytes:
    """The hash of one entry."""
    return hashlib.sha256(b"\0" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of two neighbours."""
    return hashlib.sha256(b"\1" + left + right).digest()


class Frontier:
    """The right edge of a growing tree: all that is needed to add entries and to tell the root.

    `nodes` are the roots of the whole subtrees that the first `size` entries fall into, largest first: one for each
    one in the binary form of `size`.
    """

    __slots__ = ("nodes", "size")

    def __init__(self, size: int = 0, nodes: Iterable[bytes] = ()) -> None:
        self.size = size
        self.nodes = list(nodes)
        if len(self.nodes) != size.bit_count():
            raise ValueError(f"the edge of a tree of {size} entries has {size.bit_count()} nodes")

    def add(self, leaf: bytes) -> None:
        """Add an entry by its leaf hash."""
        node, size = leaf, self.size
        while size & 1:
            node = node_hash(self.nodes.pop(), node)
            size >>= 1
        self.nodes.append(node)
        self.size += 1

    def root(self) -> bytes:
        """The root over all entries so far."""
        if not self.nodes:
            return hashlib.sha256().digest()
        *rest, node = self.nodes
        for left in reversed(rest):
            node = node_hash(left, node)
        return node


class Tree:
    """A tree over leaf hashes in memory, for proofs: 32 bytes an entry."""

    def __init__(self, leaves: Sequence[bytes]) -> None:
        self._leaves = leaves
        self._known: dict[tuple[int, int], bytes] = {}

    def root(self, size: int) -> bytes:
        """The root over the first `size` entries."""
        return self._whole(0, size) if size else hashlib.sha256().digest()

    def inclusion(self, index: int, size: int) -> list[bytes]:
        """The proof (RFC 6962, 2.1.1) that entry `index` (from 0) is in the tree over the first `size` entries."""
        if not 0 <= index < size <= len(self._leaves):
            raise ValueError(f"no entry {index} in a tree of {size}")
        return self._path(index, 0, size)

    def consistency(self, old: int, new: int) -> list[bytes]:
        """The proof (RFC 6962, 2.1.2) that the tree over `old` entries is the beginning of the one over `new`."""
        if not 0 < old <= new <= len(self._leaves):
            raise ValueError(f"no tree of {old} in a tree of {new}")
        return self._subproof(old, 0, new, whole=True)

    def _whole(self, start: int, end: int) -> bytes:
        """The root over a part; small ones are reckoned again each time, so that memory stays with the leaves."""
        if end - start == 1:
            return self._leaves[start]
        known = self._known.get((start, end))
        if known is not None:
            return known
        middle = start + _split(end - start)
        node = node_hash(self._whole(start, middle), self._whole(middle, end))
        if end - start >= _REMEMBERED:
            self._known[start, end] = node
        return node

    def _path(self, index: int, start: int, end: int) -> list[bytes]:
        if end - start == 1:
            return []
        middle = start + _split(end - start)
        if index < middle:
            return [*self._path(index, start, middle), self._whole(middle, end)]
        return [*self._path(index, middle, end), self._whole(start, middle)]

    def _subproof(self, old: int, start: int, end: int, *, whole: bool) -> list[bytes]:
        if old == end:
            return [] if whole else [self._whole(start, end)]
        middle = start + _split(end - start)
        if old <= middle:
            return [*self._subproof(old, start, middle, whole=whole), self._whole(middle, end)]
        return [*self._subproof(old, middle, end, whole=False), self._whole(start, middle)]


def _split(count: int) -> int:
    """The largest power of two below the count."""
    return 1 << (count - 1).bit_length() - 1


def root_by_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes]) -> bytes:
    """The root that an inclusion proof leads to (RFC 9162, 2.1.3.2). Raises ValueError for one of a wrong length."""
    node, position, last = leaf, index, size - 1
    steps = iter(proof)
    if not 0 <= index < size:
        raise ValueError("the entry is not in the tree")
    while last:
        if position & 1 or position == last:
            node = node_hash(_next(steps), node)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            node = node_hash(node, _next(steps))
        position, last = position >> 1, last >> 1
    if next(steps, None) is not None:
        raise ValueError("the proof is too long")
    return node


def _next(steps: Iterable[bytes]) -> bytes:
    found = next(iter(steps), None)
    if found is None:
        raise ValueError("the proof is too short")
    return found
