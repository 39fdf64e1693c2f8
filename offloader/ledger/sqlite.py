"""Everything that is SQLite's own at run time: connections, durability, errors, copies of the file.

The triggers stand in the migrations, marked as SQLite's.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Engine, NullPool, QueuePool, create_engine, event
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError, IntegrityError

from offloader.errors import ConfigError, OffloaderError, Permanent, Refused, StoreFull, Transient

#: how long to wait for somebody else's lock on the file, seconds
_BUSY = 30.0
_REFUSALS = (
    "illegal transition",
    "a version begins as seen",
    "append-only",
    "sealed",
    "plans are kept",
    "a hold",
    "holds are",
)


def _connect(path: Path) -> sqlite3.Connection:
    # mode=rw: a missing file is an error here, never made in passing.
    # isolation_level=None: the driver begins nothing by itself, the "begin" event below does.
    return sqlite3.connect(
        f"file:{quote(str(path))}?mode=rw",
        uri=True,
        timeout=_BUSY,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,
    )


def writing_engine(path: Path) -> Engine:
    """An engine whose transactions hold the write lock from their beginning and are durable at commit."""
    engine = create_engine(
        "sqlite+pysqlite://", creator=lambda: _connect(path), poolclass=NullPool, hide_parameters=True
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _record: Any) -> None:
        mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        if mode != "wal":
            raise ConfigError(f"the ledger {path} is on a file system that cannot do SQLite's WAL mode")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA cache_size = -32000")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def reading_engine(path: Path) -> Engine:
    """An engine whose connections cannot write; each transaction sees one moment."""
    engine = create_engine(
        "sqlite+pysqlite://",
        creator=lambda: _connect(path),
        poolclass=QueuePool,
        pool_size=4,
        max_overflow=-1,
        hide_parameters=True,
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _record: Any) -> None:
        connection.execute("PRAGMA query_only = ON")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN")

    return engine


def translate(error: DBAPIError, path: Path) -> OffloaderError:
    """Say in the engine's words what the database said, naming the ledger."""
    name = getattr(error.orig, "sqlite_errorname", "") or ""
    text = str(error.orig)
    if isinstance(error, IntegrityError):
        if any(refusal in text for refusal in _REFUSALS):
            return Refused(f"the ledger {path} refuses: {text}", rule="ledger")
        return Permanent(f"the ledger {path} refuses: {text}")
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return Transient(f"the ledger {path} is locked by another program for more than {_BUSY:.0f} seconds")
    if name.startswith("SQLITE_FULL"):
        return StoreFull(f"no room left for the ledger {path}; free some space and start again")
    if name.startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")):
        return Permanent(f"the ledger {path} is damaged ({text}); bring back a copy of it")
    return Permanent(f"the ledger {path} cannot be used: {text} ({name or type(error.orig).__name__})")


def compact(path: Path) -> None:
    """Write the ledger's file anew, so that no free page and no log keeps what was deleted or overwritten.

    Takes as long as copying the file. Raises Transient if somebody else writes for too long, and as `translate` says.
    """
    try:
        with closing(_connect(path)) as connection:
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.Error as error:
        raise translate(DBAPIError("VACUUM", None, error), path) from error


def back_up(path: Path, target: Path) -> None:
    """Copy the ledger, whole and consistent, into `target`, over what stood there. Raises ConfigError."""
    part = target.with_name(f"{target.name}.part")
    part.unlink(missing_ok=True)
    part.touch(0o600)
    try:
        with closing(_connect(path)) as source, closing(_connect(part)) as copy:
            source.backup(copy)
    except sqlite3.Error as error:
        part.unlink()
        raise ConfigError(f"the ledger {path} cannot be copied to {target}: {error}") from error
    part.replace(target)
