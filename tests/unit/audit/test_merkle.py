"""The Merkle tree against RFC 6962: published roots, and the definition written out as the RFC has it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import pytest

from offloader.merkle import Frontier, Tree, leaf_hash, node_hash, root_by_inclusion

#: entries and roots that the Certificate Transparency project publishes for implementers of RFC 6962
ENTRIES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
LEAVES = [leaf_hash(b"%d" % number) for number in range(33)]


def by_definition(leaves: Sequence[bytes]) -> bytes:
    """MTH of RFC 6962, 2.1, word by word."""
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return node_hash(by_definition(leaves[:k]), by_definition(leaves[k:]))


def holds(old: int, new: int, old_root: bytes, new_root: bytes, proof: list[bytes]) -> bool:
    """The check of a consistency proof as RFC 9162, 2.1.4.2 describes it."""
    if old & (old - 1) == 0:
        proof = [old_root, *proof]
    position, last = old - 1, new - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    one = two = proof[0]
    for node in proof[1:]:
        if last == 0:
            return False
        if position & 1 or position == last:
            one, two = node_hash(node, one), node_hash(node, two)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            two = node_hash(two, node)
        position, last = position >> 1, last >> 1
    return one == old_root and two == new_root and last == 0


@pytest.mark.parametrize("size", range(1, 9))
def test_published_roots(size: int) -> None:
    """The tree and the growing edge have the roots that are published for the first entries."""
    edge = Frontier()
    for entry in ENTRIES[:size]:
        edge.add(leaf_hash(entry))

    assert edge.root().hex() == ROOTS[size - 1]
    assert Tree([leaf_hash(entry) for entry in ENTRIES]).root(size).hex() == ROOTS[size - 1]


def test_an_edge_grows_as_the_tree_does() -> None:
    """At every size the edge, also one that was put down and taken up again, has the root of the definition."""
    edge = Frontier()
    for size in range(len(LEAVES) + 1):
        assert edge.root() == by_definition(LEAVES[:size]) == Tree(LEAVES).root(size)
        if size < len(LEAVES):
            edge = Frontier(edge.size, edge.nodes)
            edge.add(LEAVES[size])


def test_every_entry_can_be_proven_in_every_tree() -> None:
    """Each inclusion proof leads to the root, and to no root with another entry, place, or a node more or less."""
    tree = Tree(LEAVES)
    for size in range(1, len(LEAVES) + 1):
        root = tree.root(size)
        for index in range(size):
            proof = tree.inclusion(index, size)
            assert root_by_inclusion(LEAVES[index], index, size, proof) == root
            assert root_by_inclusion(leaf_hash(b"another"), index, size, proof) != root
            if proof:
                assert root_by_inclusion(LEAVES[index], index ^ 1, size, proof) != root if index ^ 1 < size else True
                with pytest.raises(ValueError, match="short"):
                    root_by_inclusion(LEAVES[index], index, size, proof[:-1])
            with pytest.raises(ValueError, match="long"):
                root_by_inclusion(LEAVES[index], index, size, [*proof, root])


def test_every_tree_is_provably_the_beginning_of_every_later_one() -> None:
    """Each consistency proof is accepted by the check of the RFC, and refused for another earlier root."""
    tree = Tree(LEAVES)
    for new in range(1, len(LEAVES) + 1):
        for old in range(1, new):
            proof = tree.consistency(old, new)
            assert holds(old, new, tree.root(old), tree.root(new), proof)
            assert not holds(old, new, tree.root(old - 1), tree.root(new), proof)
        assert tree.consistency(new, new) == []


@pytest.mark.parametrize(("index", "size"), [(-1, 3), (3, 3), (0, 0), (0, 34)])
def test_what_is_not_there_has_no_proof(index: int, size: int) -> None:
    """An entry or a size beyond the tree is an error, never a proof of something else."""
    with pytest.raises(ValueError, match="no "):
        Tree(LEAVES).inclusion(index, size)


def test_an_edge_fits_its_size() -> None:
    """An edge that cannot belong to a tree of its size is refused."""
    with pytest.raises(ValueError, match="2 nodes"):
        Frontier(3, LEAVES[:1])
