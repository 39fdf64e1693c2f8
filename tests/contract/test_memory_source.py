"""The in-memory CRM keeps the source contract."""

from __future__ import annotations

from dataclasses import replace

import pytest

from offloader.model import DocumentRef
from offloader.ports import KindCapabilities
from offloader.testing import MemorySource
from offloader.testing.bench import SourceBench
from offloader.testing.memory_bench import MemoryBench
from offloader.testing.memory_crm import KINDS, NOTE
from offloader.testing.source_contract import SourceContract


class TestMemorySource(SourceContract):
    """The fake runs the suite first."""

    kinds = tuple(KINDS.values())

    @pytest.fixture
    def bench(self) -> SourceBench:
        return MemoryBench()


class PoorBench(MemoryBench):
    """A CRM with one kind, that answers no questions about users and hides nothing."""

    def __init__(self) -> None:
        source = MemorySource(page=2)
        source.capabilities = replace(source.capabilities, kinds=(NOTE,), user_check=False)
        super().__init__(source)

    def make_unmovable(self, kind: KindCapabilities) -> DocumentRef | None:
        return SourceBench.make_unmovable(self, kind)

    def blind(self, ref: DocumentRef) -> bool:
        return SourceBench.blind(self, ref)


class TestPoorSource(SourceContract):
    """What a source does not declare is not asked of it, and is skipped by name."""

    kinds = (NOTE,)

    @pytest.fixture
    def bench(self) -> SourceBench:
        return PoorBench()
