"""The records of an emulated environment keep the contract, with a recycle bin and without one."""

from __future__ import annotations

import pytest

from offloader.testing.records_contract import RecordsContract

from .conftest import Make, RecordsWorld


class TestWithBin(RecordsContract):
    @pytest.fixture
    def world(self, make_world: Make) -> RecordsWorld:
        return make_world()


class TestWithAuditLog(RecordsContract):
    """No bin; deletions stand in the audit log."""

    @pytest.fixture
    def world(self, make_world: Make) -> RecordsWorld:
        return make_world(recycle_bin=False, auditing=True)
