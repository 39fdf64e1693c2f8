"""`StoreContract`: the port's docstrings, clause by clause, as tests. Needs pytest.

class TestMyStore(StoreContract):
    @pytest.fixture
    def store(self) -> Store:
        return MyStore(...)
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar

import pytest

from offloader.errors import Conflict, Gone, IntegrityError, OffloaderError, Refused, StoreFull, Transient, Unsupported
from offloader.model import Assurance, Digest
from offloader.ports import Store, Stored

KEY = "documents/crm/0123abcd/1"
BODY = bytes(range(256)) * 1024
BAD_KEYS = ("", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", "a/./b", "a b", "é", "a\\b", "a\x00b", "a\n", "a%2e")


class StoreContract:
    """Every store must pass."""

    @pytest.fixture
    def store(self) -> Store:
        raise NotImplementedError("a contract's subclass brings the store, empty")

    @pytest.fixture
    def full_store(self) -> Store:
        """A store with room for 100 kB and not for 1 MB."""
        raise NotImplementedError("a contract's subclass brings a full store")

    #: whether the store holds exactly the bytes that were put (an encrypted one does not)
    holds_plain: ClassVar[bool] = True

    def check_sizes(self, store: Store, expected: Mapping[str, int]) -> None:
        """These objects are all that there is, and `list` and `size` tell what the store holds for each."""
        listed = dict(store.list())
        assert listed.keys() == expected.keys()
        assert {key: store.size(key) for key in listed} == listed
        if self.holds_plain:
            assert listed == expected

    def lock(self, store: Store, key: str) -> None:
        """Lock an object; only stores that declare `object_lock` need it."""
        raise NotImplementedError("a store that declares object_lock brings a way to lock")

    # put

    @pytest.mark.parametrize("body", [b"", b"x", BODY, BODY * 20], ids=["empty", "tiny", "medium", "large"])
    def test_put_stores_what_came(self, store: Store, body: bytes) -> None:
        """What was put, in pieces of any size, is there at once: measured, listed and read back equal."""
        pieces = [body[:1], b"", body[1:7], body[7:]]
        stored = store.put(KEY, iter(pieces), size=len(body), digest=Digest.of(body))
        assert stored == Stored(KEY, len(body), hashlib.sha256(body).hexdigest())
        assert store.stat(KEY) == stored
        self.check_sizes(store, {KEY: len(body)})
        assert b"".join(store.read(KEY)) == body

    def test_put_needs_no_announcement(self, store: Store) -> None:
        """Size and digest are optional; an iterable of no chunks is an empty object."""
        assert store.put(KEY, []).size == 0
        assert store.stat(KEY) == Stored(KEY, 0, hashlib.sha256(b"").hexdigest())

    def test_put_again_changes_nothing(self, store: Store) -> None:
        """The same key with the same bytes is a no-op with the same answer."""
        assert store.put(KEY, [BODY]) == store.put(KEY, [BODY[:9], BODY[9:]], digest=Digest.of(BODY))
        self.check_sizes(store, {KEY: len(BODY)})

    def test_other_bytes_never_replace_an_object(self, store: Store) -> None:
        """The same key with other bytes, even of the same size, is a Conflict, and the object stays as it was."""
        store.put(KEY, [b"first"])
        for other in (b"other", b"longer than that", b""):
            with pytest.raises(Conflict):
                store.put(KEY, [other])
        assert b"".join(store.read(KEY)) == b"first"

    @pytest.mark.parametrize("announced", ["size", "larger", "digest"])
    def test_what_does_not_match_is_not_stored(self, store: Store, announced: str) -> None:
        """Bytes that do not match the announced size or digest raise IntegrityError, and nothing is left."""
        sizes = {"size": len(BODY) - 1, "larger": len(BODY) + 1}
        digest = Digest.of(BODY[:-1] + b"?") if announced == "digest" else None
        with pytest.raises(IntegrityError):
            store.put(KEY, [BODY], size=sizes.get(announced), digest=digest)
        self.check_empty(store)

    @pytest.mark.parametrize("error", [Transient("cut"), ConnectionError("cut"), KeyError("cut")], ids=type)
    def test_an_error_of_the_chunks_leaves_nothing(self, store: Store, error: Exception) -> None:
        """An error raised by the chunks passes as it is, and nothing is left."""

        def broken() -> Iterator[bytes]:
            yield BODY
            raise error

        with pytest.raises(type(error)) as caught:
            store.put(KEY, broken())
        assert caught.value is error
        self.check_empty(store)

    def test_an_object_is_visible_only_when_whole(self, store: Store) -> None:
        """While its chunks are still coming, an object is not there; nor does a sweep disturb it."""

        def watching() -> Iterator[bytes]:
            for piece in (BODY, BODY, BODY):
                yield piece
                assert store.stat(KEY) is None
                assert [*store.list()] == []
                assert store.sweep() == 0

        assert store.put(KEY, watching()).size == 3 * len(BODY)
        assert b"".join(store.read(KEY)) == BODY * 3

    def test_a_full_store_says_so(self, full_store: Store) -> None:
        """Without room, put raises StoreFull and leaves nothing; what fits can still be stored."""
        with pytest.raises(StoreFull):
            full_store.put(KEY, [b"x" * 100_000] * 10)
        self.check_empty(full_store)
        assert full_store.put(KEY, [b"small"]).size == 5

    def test_concurrent_puts_of_one_key_leave_one_object(self, store: Store) -> None:
        """Of different bytes put at once one wins whole, the others raise Conflict; equal bytes all succeed."""
        contents = [bytes([number % 4]) * 70_000 for number in range(16)]

        def put(body: bytes) -> Stored | None:
            try:
                return store.put(KEY, [body[:30_000], body[30_000:]])
            except Conflict:
                return None

        with ThreadPoolExecutor(8) as threads:
            answers = [*threads.map(put, contents)]
        winner = b"".join(store.read(KEY))
        expected = Stored(KEY, len(winner), hashlib.sha256(winner).hexdigest())
        assert answers == [expected if body == winner else None for body in contents]

    def test_concurrent_puts_of_many_keys_all_arrive(self, store: Store) -> None:
        """Objects put from several threads are all there, each with its own bytes."""
        keys = [f"documents/{number % 5}/{number}" for number in range(60)]
        with ThreadPoolExecutor(8) as threads:
            stored = [*threads.map(lambda key: store.put(key, [key.encode()]), keys)]
        assert [each.key for each in stored] == keys
        assert {key: b"".join(store.read(key)) for key, _ in store.list()} == {key: key.encode() for key in keys}

    @pytest.mark.parametrize("key", BAD_KEYS)
    def test_bad_keys_are_refused(self, store: Store, key: str) -> None:
        """Every call with a key that is none raises an error of ours, and stores nothing."""
        with pytest.raises(OffloaderError):
            store.put(key, [b"x"])
        with pytest.raises(OffloaderError):
            store.stat(key)
        with pytest.raises(OffloaderError):
            store.delete(key)
        with pytest.raises(OffloaderError):
            [*store.read(key)]
        self.check_empty(store)

    # stat, size, read

    def test_size_says_how_long_an_object_is(self, store: Store) -> None:
        """Size tells the bytes of an object, and None where there is none, as in a folder of objects."""
        store.put(KEY, [BODY])
        store.put(KEY + "-empty", [])
        self.check_sizes(store, {KEY: len(BODY), KEY + "-empty": 0})
        assert store.size("documents/crm/none") is None
        assert store.size(KEY.rpartition("/")[0]) is None

    def test_presigning_is_declared(self, store: Store) -> None:
        """A store makes links to single objects if and only if it says so."""
        store.put(KEY, [BODY])
        if store.capabilities.presign:
            said = "attachment; filename*=UTF-8''a%20%C3%A9.pdf"
            link = store.presign(KEY, seconds=5, disposition=said, mime="application/pdf")
            assert link.startswith(("https://", "http://127.0.0.1"))
            return
        with pytest.raises(Unsupported):
            store.presign(KEY, seconds=5, disposition="attachment", mime="application/pdf")

    def test_what_is_not_there(self, store: Store) -> None:
        """Of a missing object there is nothing to measure, and reading it raises Gone."""
        assert store.stat(KEY) is None
        with pytest.raises(Gone):
            next(iter(store.read(KEY)))

    @pytest.mark.parametrize(
        ("offset", "length"),
        [
            (0, None),
            (0, 0),
            (0, 10),
            (255, 3),
            (len(BODY) - 1, None),
            (len(BODY) - 2, 99),
            (len(BODY), 5),
            (10**9, None),
        ],
    )
    def test_ranges(self, store: Store, offset: int, length: int | None) -> None:
        """A range is what slicing gives; beyond the end there is nothing."""
        store.put(KEY, [BODY])
        end = None if length is None else offset + length
        assert b"".join(store.read(KEY, offset=offset, length=length)) == BODY[offset:end]

    # delete

    def test_delete(self, store: Store) -> None:
        """A deleted object is gone, its neighbours stay; deleting again is no error; the key is free again."""
        neighbour = KEY[:-1] + "10"
        store.put(KEY, [b"x"])
        store.put(neighbour, [b"n"])
        for _ in range(2):
            store.delete(KEY)
        assert store.stat(KEY) is None
        self.check_sizes(store, {neighbour: 1})
        store.put(KEY, [b"other"])
        assert b"".join(store.read(KEY)) == b"other"

    def test_a_lock_forbids_deletion(self, store: Store) -> None:
        """A locked object is not deleted: Refused, and it is still there."""
        if not store.capabilities.object_lock:
            pytest.skip("capability: the store does not declare object_lock")
        store.put(KEY, [b"x"])
        self.lock(store, KEY)
        with pytest.raises(Refused):
            store.delete(KEY)
        assert b"".join(store.read(KEY)) == b"x"

    # erase

    def test_erase(self, store: Store) -> None:
        """An erased object is gone and was counted, its neighbours stay; erasing what is not there is no error."""
        neighbour = KEY[:-1] + "10"
        store.put(KEY, [b"x"])
        store.put(neighbour, [b"n"])
        assert store.locked(KEY) is None
        erased = store.erase(KEY)
        assert erased.versions >= 1
        assert store.size(KEY) is None
        self.check_sizes(store, {neighbour: 1})
        assert store.erase(KEY).versions == 0
        assert store.locked(KEY) is None
        assert b"".join(store.read(neighbour)) == b"n"

    def test_a_lock_forbids_erasure(self, store: Store) -> None:
        """While an object is locked, erasing says what is in the way and removes nothing."""
        if not store.capabilities.object_lock:
            pytest.skip("capability: the store does not declare object_lock")
        store.put(KEY, [b"x"])
        self.lock(store, KEY)
        lock = store.locked(KEY)
        assert lock is not None
        erased = store.erase(KEY)
        assert (erased.versions, erased.left) == (0, (lock,))
        assert b"".join(store.read(KEY)) == b"x"

    def test_nothing_is_retained_without_being_asked_for(self, store: Store) -> None:
        """A store that does not declare `retains` locks nothing."""
        if store.capabilities.retains:
            pytest.skip("capability: the store declares retains")
        store.put(KEY, [b"x"])
        with pytest.raises(Unsupported):
            store.retain(KEY, store.prove().taken)
        assert store.locked(KEY) is None

    # list

    def test_list_is_in_key_order(self, store: Store) -> None:
        """Keys come in the order of their characters, whatever folders a store may make of them."""
        keys = ["a", "a-b", "a.b", "b-c/d", "b.c/d", "b/c-d", "b/c/d", "b/c0", "b0/c", "B", "_/x", "catalog/1.jsonl"]
        for key in keys[1:]:
            store.put(key, [key.encode()])
        assert [key for key, _ in store.list()] == sorted(keys[1:])
        self.check_sizes(store, {key: len(key) for key in keys[1:]})

    @pytest.mark.parametrize("prefix", ["b", "b/", "b/c", "b/c/", "b/c/d", "c", "zz", "b/c/d/e", "cat"])
    def test_list_takes_any_prefix(self, store: Store, prefix: str) -> None:
        """A prefix is one of characters, not of folders."""
        keys = ["a", "b-c", "b/c/d", "b/c/e", "b/cc", "bb/c", "catalog/1"]
        for key in keys:
            store.put(key, [b"x"])
        assert [key for key, _ in store.list(prefix)] == [key for key in keys if key.startswith(prefix)]

    # sweep, prove

    def test_sweep_leaves_objects_alone(self, store: Store) -> None:
        """With nothing broken off, a sweep removes nothing."""
        store.put(KEY, [BODY])
        assert store.sweep() == 0
        assert store.stat(KEY) == Stored(KEY, len(BODY), hashlib.sha256(BODY).hexdigest())

    def test_a_proof_is_dated_evidence(self, store: Store) -> None:
        """A proof names its store, its countries and an end, and its digest is over its evidence's canonical JSON."""
        proof = store.prove()
        assert proof.store == store.name
        assert proof.assurance in (Assurance.PROVEN, Assurance.ATTESTED)
        assert proof.countries
        assert all(re.fullmatch("[A-Z]{2}", country) for country in proof.countries)
        assert proof.usable_at(proof.taken)
        assert not proof.usable_at(proof.expires)
        assert proof.summary
        canonical = json.dumps(dict(proof.evidence), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        assert proof.sha256 == hashlib.sha256(canonical.encode()).hexdigest()

    def test_the_same_place_has_the_same_evidence(self, store: Store) -> None:
        """As long as nothing about the place changes, neither does the digest of the evidence, used or not."""
        before = store.prove().sha256
        store.put(KEY, [BODY])
        assert store.prove().sha256 == before

    @staticmethod
    def check_empty(store: Store) -> None:
        """Nothing is visible, and nothing was left for a sweep to find."""
        assert [*store.list()] == []
        assert store.sweep() == 0
