"""A filesystem store in a temporary folder, and its options."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from offloader.testing import context
from offloader_connectors.filesystem.location import mount_of
from offloader_connectors.filesystem.plugin import STORE
from offloader_connectors.filesystem.store import FilesystemStore


@pytest.fixture
def options(tmp_path: Path) -> dict[str, Any]:
    """Options that prove the temporary folder's place, whatever file system it is on."""
    return {
        "path": "de",
        "country": "DE",
        "attested_by": "the data centre's contract",
        "attested_until": "2026-03-31",
        "filesystem": mount_of(os.path.realpath(tmp_path)).type,
    }


@pytest.fixture
def store(tmp_path: Path, options: dict[str, Any]) -> FilesystemStore:
    opened = STORE.open("de", STORE.options.model_validate(options), context(tmp_path))
    assert isinstance(opened, FilesystemStore)
    return opened
