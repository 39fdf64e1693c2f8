"""Opening a ledger: the lock, the file, its schema, the clock."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from sqlalchemy import Engine, text
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from offloader.errors import ConfigError
from offloader.ledger.journal import Journal
from offloader.ledger.ledger import Ledger
from offloader.ledger.lock import Lock
from offloader.ledger.schema import HEAD, meta
from offloader.ledger.sqlite import back_up, reading_engine, translate, writing_engine
from offloader.ledger.writer import Writer

#: alembic's name for the folder of migrations
SCRIPTS = "offloader.ledger:migrations"


def open_ledger(path: Path, *, now: Callable[[], datetime], exclusive: bool = True, create: bool = True) -> Ledger:
    """Open the ledger in the file `path`. `now` gives timezone-aware times.

    exclusive: for writing, as the only one; an older ledger is brought up to date, with a copy of it kept
    beside it. Otherwise for reading, beside whoever writes. create: make a missing ledger (exclusive only).

    Raises Refused naming the process that has it open; ConfigError if the file is missing, is no ledger, is
    damaged, was written by a newer program, or needs an upgrade that only an exclusive opening may do.
    """
    # One lock for one file, whatever links lead to it.
    path = path.resolve()
    if not exclusive or not create:
        _must_exist(path)
    try:
        if not exclusive:
            return _open_for_reading(path, now)
        path.parent.mkdir(parents=True, exist_ok=True)
        return _open_locked(path, now, create)
    except OSError as error:
        raise ConfigError(f"the ledger {path} cannot be opened: {error.strerror}") from error


@contextmanager
def made_anew(path: Path, now: datetime) -> Iterator[Path]:
    """A file in which to open a ledger that is `path` only when the block has ended well; there is none before.

    A ledger that lacks holds or documents would be worked with like a whole one. Nobody else makes one meanwhile.
    Raises ConfigError if there is a ledger, Refused naming the process that is making it, StoreFull.
    """
    path = path.resolve()
    half = path.with_name(f"{path.name}.rebuilding")
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = Lock(path, now)
    try:
        if path.exists():
            raise ConfigError(f"there is a ledger at {path}; move it away first, it is never overwritten")
        _remove(half)
        yield half
        back_up(half, path)
    finally:
        _remove(half)
        lock.release()


def _remove(half: Path) -> None:
    for ending in ("", "-wal", "-shm", ".lock"):
        half.with_name(half.name + ending).unlink(missing_ok=True)


def _open_locked(path: Path, now: Callable[[], datetime], create: bool) -> Ledger:
    lock = Lock(path, now())
    try:
        return _open_for_writing(path, now, lock, create)
    except BaseException:
        lock.release()
        raise


def _must_exist(path: Path) -> None:
    if not path.is_file():
        raise ConfigError(f"there is no ledger at {path}; check the path, or run a scan to make one")


def _open_for_reading(path: Path, now: Callable[[], datetime]) -> Ledger:
    readers = reading_engine(path)
    try:
        with readers.connect() as connection:
            revision = _revision(connection, path)
            if revision != HEAD:
                raise ConfigError(
                    f"the ledger {path} is of an older version ({revision or 'empty'}); run `offloader ledger upgrade`"
                )
            return Ledger(readers, path, Journal(connection, now), None)
    except DBAPIError as error:
        readers.dispose()
        raise _unusable(error, path) from error
    except ConfigError:
        readers.dispose()
        raise


def _open_for_writing(path: Path, now: Callable[[], datetime], lock: Lock, create: bool) -> Ledger:
    if create and not path.exists():
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    engine = writing_engine(path)
    try:
        _bring_up_to_date(engine, path)
        with engine.begin() as connection:
            journal = Journal(connection, now)
        writer = Writer(engine.connect(), journal, path)
    except DBAPIError as error:
        raise _unusable(error, path) from error
    return Ledger(reading_engine(path), path, journal, (writer, lock))


def _bring_up_to_date(engine: Engine, path: Path) -> None:
    with engine.connect() as connection:
        revision = _revision(connection, path)
    if revision == HEAD:
        return
    if revision:
        back_up(path, path.with_name(f"{path.name}.{revision}.backup"))
    with engine.begin() as connection:
        _migrate(connection)


def _revision(connection: Connection, path: Path) -> str:
    """The schema's revision; empty for a file without any table, which an interrupted creation leaves."""
    tables = set(connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'table'")).scalars())
    if not tables:
        return ""
    if not {"alembic_version", meta.name} <= tables:
        raise ConfigError(f"{path} is a database, but no ledger of offloader; the configuration's `ledger` is wrong")
    revision = str(connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one())
    if revision > HEAD:
        raise ConfigError(
            f"the ledger {path} was written by a newer offloader (schema {revision}, this one knows {HEAD}); "
            "upgrade the program"
        )
    return revision


def _migrate(connection: Connection) -> None:
    # Only here: alembic takes longer to import than a ledger takes to open.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", SCRIPTS)
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _unusable(error: DBAPIError, path: Path) -> ConfigError:
    name = getattr(error.orig, "sqlite_errorname", "")
    if name in ("SQLITE_NOTADB", "SQLITE_CORRUPT"):
        return ConfigError(f"{path} is no ledger, or a damaged one ({error.orig}); bring back a copy of it")
    return ConfigError(str(translate(error, path)))
