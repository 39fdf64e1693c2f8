"""Who asks: what the data side needs to know of the caller's rights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Protocol

Right = Literal["Create", "Read", "Write", "Delete", "Append", "AppendTo", "Assign", "Share"]


class Caller(Protocol):
    """A user of the environment."""

    @property
    def user_id(self) -> str: ...

    def may_read(self, table: str, row: Mapping[str, Any]) -> bool:
        """Whether the user may read this row."""

    def check(self, right: Right, table: str, row: Mapping[str, Any] | None = None) -> None:
        """Raises DataverseError 403 unless the user has the right on the table, and on the row if one is given."""


class System:
    """May do everything."""

    def __init__(self, user_id: str) -> None:
        self._user_id = user_id

    @property
    def user_id(self) -> str:
        return self._user_id

    def may_read(self, table: str, row: Mapping[str, Any]) -> bool:
        return True

    def check(self, right: Right, table: str, row: Mapping[str, Any] | None = None) -> None:
        return None
