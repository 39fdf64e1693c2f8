"""The outside world: the one place that reads the clock, the environment and random numbers."""

from __future__ import annotations

import os
import random
import time
from datetime import UTC, datetime
from pathlib import Path

from offloader.plugins import Context


def _now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251


def system_context(directory: Path) -> Context:
    """The real clock, environment and random numbers; relative paths are relative to `directory`."""
    return Context(
        now=_now,
        sleep=time.sleep,  # noqa: TID251
        monotonic=time.monotonic,
        random=random.random,
        environ=os.environ,  # noqa: TID251
        directory=directory,
    )
