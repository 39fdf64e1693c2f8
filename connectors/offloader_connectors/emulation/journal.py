"""Write-through of an emulator's records to SQLite, so that a killed emulator continues where it was."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

_SCHEMA = "CREATE TABLE IF NOT EXISTS record (type TEXT, id TEXT, json TEXT, PRIMARY KEY (type, id)) WITHOUT ROWID"


class Journal:
    """One table of JSON values by type and id. Survives the end of the process, not the end of the machine."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._open()

    def _open(self) -> None:
        # the emulator serialises all access with its own lock
        self._database = sqlite3.connect(self.path, check_same_thread=False, isolation_level=None)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=OFF")
        self._database.execute(_SCHEMA)

    def load(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        for kind, key, text in self._database.execute("SELECT type, id, json FROM record ORDER BY type, id"):
            yield kind, key, json.loads(text)

    def write(self, changes: Iterable[tuple[str, str, Mapping[str, Any] | None]]) -> None:
        """Put (or, for None, forget) these values in one transaction."""
        self._database.execute("BEGIN")
        for kind, key, value in changes:
            if value is None:
                self._database.execute("DELETE FROM record WHERE type=? AND id=?", (kind, key))
            else:
                text = json.dumps(value, separators=(",", ":"))
                self._database.execute("INSERT OR REPLACE INTO record VALUES (?,?,?)", (kind, key, text))
        self._database.execute("COMMIT")

    def copy_to(self, path: Path) -> None:
        """Save everything as a database of its own."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        with closing(sqlite3.connect(path)) as target:
            self._database.backup(target)

    def copy_from(self, path: Path) -> None:
        """Replace everything by what `copy_to` saved. Raises FileNotFoundError."""
        if not path.exists():
            raise FileNotFoundError(path)
        with closing(sqlite3.connect(path)) as source:
            source.backup(self._database)

    def clear(self) -> None:
        self._database.execute("DELETE FROM record")

    def close(self) -> None:
        self._database.close()
