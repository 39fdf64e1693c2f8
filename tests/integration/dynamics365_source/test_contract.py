"""The Dynamics 365 source keeps the source contract."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from offloader.testing.bench import SourceBench
from offloader.testing.source_contract import SourceContract
from offloader_connectors.dynamics365.source import KINDS

from .bench import DynamicsBench, opened


class TestDynamicsSource(SourceContract):
    """Notes, attachments of mails (shared ones too), files and images of columns."""

    kinds = tuple(KINDS.values())

    @pytest.fixture
    def bench(self, tmp_path: Path) -> Iterator[SourceBench]:
        with opened(tmp_path) as world:
            yield DynamicsBench(world)
