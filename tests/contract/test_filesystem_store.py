"""The filesystem store keeps the store contract."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from offloader.ports import Store
from offloader.testing import context
from offloader.testing.store_contract import StoreContract
from offloader_connectors.filesystem.location import mount_of
from offloader_connectors.filesystem.plugin import STORE


class TestFilesystemStore(StoreContract):
    """On whatever file system the tests' folder lies."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> Store:
        options = STORE.options.model_validate(
            {
                "path": "objects/de",
                "country": "DE",
                "attested_by": "the data centre's contract",
                "attested_until": "2026-12-31",
                "filesystem": mount_of(os.path.realpath(tmp_path)).type,
            }
        )
        return STORE.open("de", options, context(tmp_path))

    @pytest.fixture
    def full_store(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> Store:
        """A disk can only be filled by its owner, so the system call that meets the full disk is made to fail."""
        write = os.write

        def limited(fd: int, data: Any) -> int:
            if os.fstat(fd).st_size + len(data) > 500_000:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return write(fd, data)

        monkeypatch.setattr(os, "write", limited)
        return store
