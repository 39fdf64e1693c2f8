"""The Azure Blob store keeps the store contract, against Azurite."""

from __future__ import annotations

import pytest

from offloader.ports import Store
from offloader.testing.store_contract import StoreContract
from offloader_connectors.azure_blob.testparts.testbed import Testbed

from .conftest import MakeStore


class TestAzureBlobStore(StoreContract):
    """Blocks are small, so that the suite's larger bodies go in several.

    Azurite has no locks; a full account is what the proxy says to blocks.
    """

    @pytest.fixture
    def store(self, make_store: MakeStore) -> Store:
        return make_store()

    @pytest.fixture
    def full_store(self, store: Store, bed: Testbed) -> Store:
        bed.proxy.faults.on("PutBlock", "status", status=507)
        return store
