"""One offloader at a time: an advisory lock of the operating system on a file beside the ledger.

The lock ends with the process that holds it, however it ends; the file stays, and says who held it last.
"""

from __future__ import annotations

import fcntl
import os
from datetime import datetime
from pathlib import Path

from offloader.errors import Refused


class Lock:
    """Held from construction until `release`. Raises Refused naming the process that holds it."""

    def __init__(self, ledger: Path, started: datetime) -> None:
        path = ledger.with_name(ledger.name + ".lock")
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(self._descriptor, 200, 0).decode("ascii", "replace").strip() or "an unknown process"
            os.close(self._descriptor)
            raise Refused(
                f"the ledger {ledger} is in use by another offloader ({holder}); "
                "wait until it has finished, or stop it, and start again",
                rule="one-offloader-per-ledger",
            ) from error
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"pid {os.getpid()}, started {started.isoformat()}\n".encode("ascii"), 0)

    def release(self) -> None:
        os.close(self._descriptor)
