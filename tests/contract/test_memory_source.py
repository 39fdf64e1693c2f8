"""The in-memory CRM keeps the source contract."""

from __future__ import annotations

import pytest

from offloader.testing.bench import SourceBench
from offloader.testing.memory_bench import MemoryBench
from offloader.testing.memory_crm import KINDS
from offloader.testing.source_contract import SourceContract


class TestMemorySource(SourceContract):
    """The fake runs the suite first."""

    kinds = tuple(KINDS.values())

    @pytest.fixture
    def bench(self) -> SourceBench:
        return MemoryBench()
