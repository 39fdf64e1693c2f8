"""A store in one SQLite file: the smallest whole example of a store plugin."""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from pydantic import Field

from offloader.errors import (
    Conflict,
    Gone,
    IntegrityError,
    OffloaderError,
    Permanent,
    StoreFull,
    Transient,
    Unsupported,
)
from offloader.model import Assurance, Digest, LocationProof
from offloader.plugins import Context, Options, StorePlugin
from offloader.ports import StoreCapabilities, Stored, Unlocked

KEY = re.compile(r"(?!.*(^|/)\.{0,2}(/|$))[A-Za-z0-9\-_./]+", re.DOTALL)
SCHEMA = "CREATE TABLE IF NOT EXISTS objects (key TEXT PRIMARY KEY, body BLOB NOT NULL)"


class SqliteOptions(Options):
    """Options of a SQLite store."""

    path: Path = Field(description="The database file.")
    country: str = Field(pattern="^[A-Z]{2}$", description="Country that the disk is in: ISO 3166-1 alpha-2.")
    attested_by: str = Field(min_length=1, description="Who has confirmed where the disk is.")
    attested_until: date = Field(description="Last day (UTC) on which the confirmation holds.")


class SqliteStore(Unlocked):
    """Implements `offloader.ports.Store`. Objects are held in memory while they are written, so they are bounded."""

    capabilities = StoreCapabilities(max_size=100 << 20, concurrency=4)

    def __init__(self, name: str, options: SqliteOptions, context: Context) -> None:
        self.name = name
        self._options = options
        self._path = context.directory / options.path
        self._now = context.now

    def prove(self) -> LocationProof:
        evidence = {"path": str(self._path), **self._options.model_dump(mode="json", exclude={"path"})}
        canonical = json.dumps(evidence, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        now = self._now()
        until = datetime.combine(self._options.attested_until + timedelta(days=1), time.min, UTC)
        good = now < until
        return LocationProof(
            store=self.name,
            assurance=Assurance.ATTESTED if good else Assurance.UNPROVEN,
            countries=frozenset({self._options.country}) if good else frozenset(),
            taken=now,
            expires=min(until, now + timedelta(hours=24)) if good else now,
            summary=f"{self._options.attested_by} attests it until {self._options.attested_until}",
            evidence=evidence,
            sha256=hashlib.sha256(canonical.encode()).hexdigest(),
        )

    def put(
        self, key: str, chunks: Iterable[bytes], *, size: int | None = None, digest: Digest | None = None
    ) -> Stored:
        self._check(key)
        body = b"".join(chunks)
        sent = _measured(key, body)
        if size not in (None, sent.size) or (digest and (digest.size, digest.sha256) != (sent.size, sent.sha256)):
            raise IntegrityError(f"store {self.name}: {key} is not what was announced")
        try:
            with closing(self._connect()) as connection, connection:
                connection.execute("INSERT INTO objects VALUES (?, ?) ON CONFLICT DO NOTHING", (key, body))
        except sqlite3.Error as error:
            raise self._translated(error) from error
        stored = self.stat(key)  # read back: the answer is about what is stored, not about what was sent
        if stored != sent:
            raise Conflict(f"store {self.name}: {key} already holds other bytes")
        return sent

    def stat(self, key: str) -> Stored | None:
        body = self._body(key)
        return None if body is None else _measured(key, body)

    def size(self, key: str) -> int | None:
        body = self._body(key)
        return None if body is None else len(body)

    def presign(self, key: str, *, seconds: int, disposition: str, mime: str) -> str:
        raise Unsupported(f"store {self.name} has no address that a browser could open")

    def read(self, key: str, *, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        body = self._body(key)
        if body is None:
            raise Gone(f"store {self.name} has no object {key}")
        wanted = body[offset : None if length is None else offset + length]
        return iter([wanted] if wanted else [])

    def delete(self, key: str) -> None:
        self._check(key)
        self._rows("DELETE FROM objects WHERE key = ?", key)

    def list(self, prefix: str = "") -> Iterator[tuple[str, int]]:
        found = "SELECT key, length(body) FROM objects WHERE substr(key, 1, length(?1)) = ?1 ORDER BY key"
        return iter([(key, size) for key, size in self._rows(found, prefix)])

    def sweep(self) -> int:
        return 0  # a transaction that broke off has left nothing

    def _body(self, key: str) -> bytes | None:
        self._check(key)
        return next((body for (body,) in self._rows("SELECT body FROM objects WHERE key = ?", key)), None)

    def _rows(self, statement: str, value: str) -> Sequence[Any]:
        try:
            with closing(self._connect()) as connection, connection:
                return connection.execute(statement, (value,)).fetchall()
        except sqlite3.Error as error:
            raise self._translated(error) from error

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=30)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(SCHEMA)
        return connection

    def _check(self, key: str) -> None:
        if not KEY.fullmatch(key):
            raise Permanent(f"store {self.name}: {key!r} is no valid key")

    def _translated(self, error: sqlite3.Error) -> OffloaderError:
        name = getattr(error, "sqlite_errorname", "")
        kinds: dict[str, type[OffloaderError]] = {"SQLITE_FULL": StoreFull, "SQLITE_BUSY": Transient}
        kind = kinds.get(name, Permanent)
        return kind(f"store {self.name}: {name or type(error).__name__}")


def _measured(key: str, body: bytes) -> Stored:
    return Stored(key, len(body), hashlib.sha256(body).hexdigest())


STORE = StorePlugin(help="Keeps documents in one SQLite file.", options=SqliteOptions, open=SqliteStore)
