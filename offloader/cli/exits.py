"""Exit codes: the same for every command."""

from __future__ import annotations

import enum

from offloader.errors import ConfigError, Drift, Exhausted, Refused


class Exit(enum.IntEnum):
    DONE = 0
    FAILED = 1
    USAGE = 2
    REVIEW = 3
    REFUSED = 4
    DRIFT = 5


TABLE = (
    "Exit codes: 0 done · 1 failed · 2 usage or configuration · 3 finished with items that need review · "
    "4 refused by policy, approval or limit · 5 drift"
)


def exit_for(error: BaseException) -> Exit:
    """The exit code of an error that ended a command."""
    if isinstance(error, ConfigError):
        return Exit.USAGE
    if isinstance(error, Drift):
        return Exit.DRIFT
    if isinstance(error, Refused | Exhausted):
        return Exit.REFUSED
    return Exit.FAILED
