"""A watched store is a store."""

from __future__ import annotations

import pytest

from offloader.ports import Store
from offloader.testing import MemoryStore
from offloader.testing.store_contract import StoreContract
from offloader.wrappers.watched import WatchedStore


class TestWatchedStore(StoreContract):
    """A store whose place is compared with an accepted one keeps the store contract."""

    @pytest.fixture
    def memory(self) -> MemoryStore:
        return MemoryStore()

    @pytest.fixture
    def store(self, memory: MemoryStore) -> Store:
        self.memory = memory
        return WatchedStore(memory, lambda name: None)

    @pytest.fixture
    def full_store(self) -> Store:
        return WatchedStore(MemoryStore(capacity=500_000), lambda name: None)

    def lock(self, store: Store, key: str) -> None:
        self.memory.lock(key)
