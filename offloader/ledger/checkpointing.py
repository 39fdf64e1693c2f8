"""Checkpoints in the ledger, and events as the text that hashes are over."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from sqlalchemy import delete, insert, select, text, update
from sqlalchemy.engine import Connection

from offloader.audit import canonical
from offloader.ledger.journal import Journal, event_text
from offloader.ledger.schema import checkpoints, meta

#: key of the Merkle tree's right edge at the newest checkpoint
EDGE = "merkle_edge"
_TEXTS = text(
    "SELECT seq, at, type, document, version, from_state, to_state, rule, data, hash FROM events "
    "WHERE seq > :after ORDER BY seq LIMIT :limit"
)


@dataclass(frozen=True, slots=True)
class CheckpointRow:
    """A checkpoint as the ledger keeps it: how many events, the tree's root (hex), when, and the compact JWS.

    `stores`: name of a store that holds a copy → its key there.
    """

    size: int
    root: str
    at: str
    signature: str
    stores: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EventText:
    """One event as it stands in the table, whatever somebody may have put there."""

    seq: int
    document: int | None
    #: hex
    hash: str
    #: canonical JSON without the hash, as the chain has it, and with it, as the tree has it
    text: str
    leaf: str


def texts(connection: Connection, after: int, limit: int) -> list[EventText]:
    """Up to `limit` events numbered above `after`, in order of their numbers."""
    found = []
    for each in connection.execute(_TEXTS, {"after": after, "limit": limit}):
        row = each._asdict()
        digest = row["hash"].hex() if isinstance(row["hash"], bytes) else ""
        found.append(EventText(row["seq"], row["document"], digest, event_text(row), event_text(row, hash=digest)))
    return found


def add(row: CheckpointRow, edge: str) -> Callable[[Connection, Journal], None]:
    """A job that writes a checkpoint down with the tree's edge, from which the next one goes on."""

    def job(connection: Connection, _journal: Journal) -> None:
        values = {"size": row.size, "root": row.root, "at": row.at, "signature": row.signature, "stores": "{}"}
        connection.execute(insert(checkpoints).values(**values))
        connection.execute(delete(meta).where(meta.c.key == EDGE))
        connection.execute(insert(meta).values(key=EDGE, value=edge))

    return job


def set_stores(size: int, stores: Mapping[str, str]) -> Callable[[Connection, Journal], None]:
    """A job that notes which stores hold a copy of a checkpoint."""

    def job(connection: Connection, _journal: Journal) -> None:
        where = update(checkpoints).where(checkpoints.c.size == size)
        connection.execute(where.values(stores=canonical(dict(stores))))

    return job


def read(connection: Connection) -> list[CheckpointRow]:
    """All checkpoints, smallest first."""
    rows = connection.execute(select(checkpoints).order_by(checkpoints.c.size))
    return [CheckpointRow(row.size, row.root, row.at, row.signature, json.loads(row.stores)) for row in rows]
