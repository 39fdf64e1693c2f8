"""Programs that tests need and no Python package brings: `.ci/run` installs them, elsewhere they may be missing."""

from __future__ import annotations

import os
import shutil

import pytest


def tool(name: str, how: str) -> str:
    """The program's path. Where it is missing the test is skipped, but in CI it fails. `how` says how to install it."""
    found = shutil.which(name)
    if found is None:
        missing(name, how)
    return found or ""


def missing(name: str, how: str) -> None:
    """Skip the test, or fail it where everything must be there."""
    if os.environ.get("CI"):
        pytest.fail(f"{name} is missing: {how}")
    pytest.skip(f"capability: {name} is not installed here ({how})")
