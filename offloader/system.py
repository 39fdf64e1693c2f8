"""The outside world: the one place that reads the clock, the environment and random numbers."""

from __future__ import annotations

import ctypes
import gc
import os
import pwd
import random
import time
from datetime import UTC, datetime
from pathlib import Path

from offloader.plugins import Context

#: mallopt(3)
_ARENA_MAX, _MMAP_THRESHOLD, _TRIM_THRESHOLD = -8, -3, -1


def _now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251


def _account() -> str:
    """The account of the process: what the system enforces, not what the environment claims."""
    number = os.getuid()
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def system_context(directory: Path) -> Context:
    """The real clock, environment and random numbers; relative paths are relative to `directory`."""
    return Context(
        now=_now,
        sleep=time.sleep,  # noqa: TID251
        monotonic=time.monotonic,
        random=random.random,
        environ=os.environ,  # noqa: TID251
        directory=directory,
        account=_account(),
    )


def steady_memory() -> None:
    """Ask the C library to give large blocks back at once and to share its heaps between threads, and Python to look
    for reference cycles less often: there are hardly any, and looking costs a twentieth of a run.

    Bodies come and go in many threads; without this, glibc keeps a heap for each of them, and memory grows with the
    number of documents although nothing is held. A C library that knows no `mallopt` is left as it is.
    """
    gc.set_threshold(50_000, 20, 50)
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return
    for option, value in ((_ARENA_MAX, 2), (_MMAP_THRESHOLD, 128 << 10), (_TRIM_THRESHOLD, 128 << 10)):
        mallopt(option, value)
