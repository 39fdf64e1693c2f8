"""An encrypted store keeps the contract of stores, and the plain `age` tool opens what it holds."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pyrage
import pytest

from offloader.errors import ConfigError, IntegrityError
from offloader.ports import Store
from offloader.testing import MemoryStore
from offloader.testing.store_contract import BODY, KEY, StoreContract
from offloader.wrappers.encrypted import SMALL, EncryptedStore, keys_of
from tests.tools import tool

OWN = pyrage.x25519.Identity.generate()
RECOVERY = pyrage.x25519.Identity.generate()
KEYS = keys_of([str(OWN.to_public())], str(RECOVERY.to_public()), str(OWN))
LARGE = BODY * 20


class TestEncryptedStore(StoreContract):
    holds_plain = False

    @pytest.fixture
    def store(self) -> Store:
        return EncryptedStore(MemoryStore("de", countries=["DE"]), KEYS)

    def lock(self, store: Store, key: str) -> None:
        assert isinstance(store, EncryptedStore)
        assert isinstance(store.inner, MemoryStore)
        store.inner.lock(key)

    @pytest.fixture
    def full_store(self) -> Store:
        return EncryptedStore(MemoryStore("de", countries=["DE"], capacity=100_000), KEYS)


@pytest.fixture
def age() -> str:
    return tool("age", "apt-get install age")


@pytest.fixture
def inner() -> MemoryStore:
    return MemoryStore("de", countries=["DE"])


@pytest.mark.parametrize("body", [b"", b"contract", LARGE], ids=["empty", "small", "large"])
def test_the_store_sees_no_plain_bytes_and_both_digests_are_told(inner: MemoryStore, body: bytes) -> None:
    """What the store holds is not what was put; the answer measures the plain bytes and what the store holds."""
    stored = EncryptedStore(inner, KEYS).put(KEY, [body])
    held = b"".join(inner.read(KEY))
    assert body not in held or not body
    assert (stored.size, stored.sha256) == (len(body), hashlib.sha256(body).hexdigest())
    assert stored.held is not None
    assert (stored.held.size, stored.held.sha256) == (len(held), hashlib.sha256(held).hexdigest())


@pytest.mark.parametrize("body", [b"", b"contract", LARGE], ids=["empty", "small", "large"])
@pytest.mark.parametrize("key", [OWN, RECOVERY], ids=["own", "recovery"])
def test_the_age_tool_opens_an_object_without_us(
    age: str, inner: MemoryStore, tmp_path: Path, body: bytes, key: object
) -> None:
    """Debian's age decrypts a stored object with the service's key, and with the recovery key."""
    EncryptedStore(inner, KEYS).put(KEY, iter([body[:7], body[7:]]))
    identity, sealed = tmp_path / "key.txt", tmp_path / "object"
    identity.write_text(f"{key}\n", encoding="ascii")
    sealed.write_bytes(b"".join(inner.read(KEY)))
    opened = subprocess.run([age, "--decrypt", "-i", identity, sealed], capture_output=True, check=True).stdout
    assert opened == body


def test_what_the_age_tool_wrote_can_be_read(age: str, inner: MemoryStore) -> None:
    """An object that was encrypted by hand, for the service's key, is read like any other."""
    sealed = subprocess.run([age, "-r", str(OWN.to_public())], input=LARGE, capture_output=True, check=True).stdout
    inner.put(KEY, [sealed])
    assert b"".join(EncryptedStore(inner, KEYS).read(KEY)) == LARGE


@pytest.mark.parametrize("body", [b"small", LARGE], ids=["small", "large"])
@pytest.mark.parametrize("damage", ["flipped", "cut", "foreign"])
def test_a_damaged_object_is_never_read_quietly(inner: MemoryStore, body: bytes, damage: str) -> None:
    """A flipped bit, a missing end or a foreign key ends in IntegrityError."""
    EncryptedStore(inner, KEYS).put(KEY, [body])
    held = b"".join(inner.read(KEY))
    inner.delete(KEY)
    if damage == "foreign":
        held = pyrage.encrypt(body, [pyrage.x25519.Identity.generate().to_public()])
    inner.put(KEY, [held[:-1] if damage == "cut" else held[:-30] + bytes([held[-30] ^ 1]) + held[-29:]])
    with pytest.raises(IntegrityError):
        b"".join(EncryptedStore(inner, KEYS).read(KEY))


def test_a_reader_that_stops_early_leaves_no_thread(inner: MemoryStore) -> None:
    """A large read that is given up ends its thread."""
    import threading  # noqa: PLC0415

    store = EncryptedStore(inner, KEYS)
    store.put(KEY, [LARGE * 4])
    before = threading.active_count()
    chunks: Iterator[bytes] = store.read(KEY)
    next(chunks)
    chunks.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before
    assert len(LARGE) > SMALL


@pytest.mark.parametrize(
    ("recipients", "recovery", "identity", "said"),
    [
        (["age1nonsense"], str(RECOVERY.to_public()), str(OWN), "no age recipient"),
        ([str(OWN.to_public())], str(RECOVERY.to_public()), "AGE-SECRET-KEY-1NONSENSE", "no age key"),
        ([str(RECOVERY.to_public())], str(RECOVERY.to_public()), str(OWN), "could not be read back"),
        ([str(OWN.to_public())], str(RECOVERY.to_public()), str(RECOVERY), "kept offline"),
    ],
    ids=["recipient", "identity", "not its own", "recovery"],
)
def test_wrong_keys_are_refused(recipients: list[str], recovery: str, identity: str, said: str) -> None:
    """Keys that would lose documents, or that are none, are configuration errors that show no secret."""
    with pytest.raises(ConfigError, match=said) as caught:
        keys_of(recipients, recovery, identity)
    assert "SECRET" not in str(caught.value).replace("AGE-SECRET-KEY-1;", "").replace("AGE-SECRET-KEY-1", "")
