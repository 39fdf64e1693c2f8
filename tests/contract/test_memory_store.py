"""The in-memory store keeps the store contract."""

from __future__ import annotations

import subprocess
import sys

import pytest

from offloader.ports import Store
from offloader.testing import MemoryStore
from offloader.testing.store_contract import StoreContract


class TestMemoryStore(StoreContract):
    """The fake runs the suite first."""

    @pytest.fixture
    def store(self) -> Store:
        return MemoryStore()

    @pytest.fixture
    def full_store(self) -> Store:
        return MemoryStore(capacity=500_000)

    def lock(self, store: Store, key: str) -> None:
        assert isinstance(store, MemoryStore)
        store.lock(key)


def test_the_fakes_need_no_pytest() -> None:
    """Whoever uses the fakes in a sandbox need not install pytest."""
    script = "import sys, offloader.testing, offloader.testing.memory_bench; sys.exit('pytest' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)
