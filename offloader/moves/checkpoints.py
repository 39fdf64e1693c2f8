"""Checkpoints: signed roots of the event log's Merkle tree, copied to where they cannot be taken back."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from offloader import signing
from offloader.audit import GENESIS, canonical
from offloader.errors import IntegrityError, OffloaderError
from offloader.ledger.checkpointing import EDGE, CheckpointRow, EventText
from offloader.ledger.journal import stamp
from offloader.merkle import Frontier, leaf_hash
from offloader.moves import mirrored
from offloader.moves.identity import check_owner
from offloader.moves.site import Site

#: what a checkpoint's statement calls itself
FORMAT = "offloader-checkpoint-1"
PREFIX = "checkpoints/"
PAGE = 5000
_UNSIGNED = "the checkpoint is not signed: there is no `audit.key` in the configuration"
#: how many older checkpoints are copied later to a store that did not take them
_LATE = 50


@dataclass(slots=True)
class Checkpointed:
    """The newest checkpoint: over how many events, its root, whether it is signed, where copies lie, what to know."""

    size: int
    root: str
    signed: bool
    stores: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        return {
            "size": self.size,
            "root": self.root,
            "signed": self.signed,
            "stores": self.stores,
            "notes": self.notes,
        }


def checkpoint(site: Site) -> Checkpointed | None:
    """Make a checkpoint if there are new events, and copy what is not copied yet, statements about holds too; None for
    an empty log.

    Only new events are read. Raises IntegrityError naming the event if the log does not go on from the last checkpoint,
    ConfigError if the key cannot be read. A store that takes no copy is a note, and asked again the next time.
    """
    site.ledger.note_holds()
    unkept = mirrored.keep(site)
    rows = site.ledger.checkpoints()
    size = site.ledger.head().seq
    if rows and size < rows[-1].size:
        raise IntegrityError(f"the event log ends at {size}, but there is a checkpoint over {rows[-1].size} events")
    if size and (not rows or size > rows[-1].size):
        rows.append(_make(site, rows[-1] if rows else None, size))
    if not rows:
        return None
    made = Checkpointed(rows[-1].size, rows[-1].root, bool(rows[-1].signature))
    if not made.signed:
        made.notes.append(_UNSIGNED)
    for name in site.audit.stores:
        missing = [row for row in rows[-_LATE:] if name not in row.stores]
        note = _copy(site, name, missing) if missing else ""
        if note:
            made.notes.append(note)
        else:
            made.stores.append(name)
    made.notes += unkept
    return made


def close(site: Site) -> dict[str, Any] | None:
    """Make a checkpoint at the end of other work, which it never fails: what is wrong is in the answer, as `error`."""
    try:
        made = checkpoint(site)
        if made is not None and site.audit.key() is None and not site.audit.stores:
            made.notes = [note for note in made.notes if note != _UNSIGNED]  # nobody asked for more than the ledger's
    except OffloaderError as error:
        return {"error": f"no checkpoint of the event log was made: {error}"}
    return None if made is None else made.as_json()


def ledger_id(first_hash: str) -> str:
    """What a log is called: the beginning of its first event's hash. A copy of a ledger has the same."""
    return first_hash[:32]


def key_of(ledger: str, row: CheckpointRow) -> str:
    """Under which key a store keeps a copy of a checkpoint."""
    return f"{PREFIX}{ledger}/{row.size:012d}.{'jws' if row.signature else 'json'}"


def statement(ledger: str, row: CheckpointRow, head: str) -> dict[str, Any]:
    """What is signed. `head`: hash of the last event that it is over."""
    return {"format": FORMAT, "ledger": ledger, "size": row.size, "root": row.root, "head": head, "at": row.at}


def texts(site: Site, *, after: int = 0) -> Iterator[EventText]:
    """Every event above a number as its text, a page at a time."""
    while page := site.ledger.event_texts(after=after, limit=PAGE):
        after = page[-1].seq
        yield from page


def chained(previous: str, event: EventText) -> bool:
    """Whether an event has the hash that follows from the one before it and from its own text."""
    text = (previous + event.text).encode("utf-8", "surrogatepass")
    return hashlib.sha256(text).hexdigest() == event.hash


def leaf_of(event: EventText) -> bytes:
    """The tree's leaf for an event."""
    return leaf_hash(event.leaf.encode("utf-8", "surrogatepass"))


def _make(site: Site, last: CheckpointRow | None, size: int) -> CheckpointRow:
    edge, head = _edge(site, last)
    for event in texts(site, after=edge.size):
        if event.seq > size:
            break
        if event.seq != edge.size + 1 or not chained(head, event):
            raise IntegrityError(
                f"the event log does not hold at event {edge.size + 1}: no checkpoint is made of it; "
                "see `offloader audit verify`"
            )
        edge.add(leaf_of(event))
        head = event.hash
        if last is not None and edge.size == last.size and edge.root().hex() != last.root:
            raise IntegrityError(
                f"event {edge.size}, or one before it, is not what the last checkpoint was made of; "
                "see `offloader audit verify`"
            )
    at = stamp(site.context.now())
    row = CheckpointRow(size, edge.root().hex(), at, "")
    key = site.audit.key()
    if key is not None:
        row = CheckpointRow(size, row.root, at, signing.sign(statement(_id(site), row, head), key))
    nodes = [node.hex() for node in edge.nodes]
    site.ledger.add_checkpoint(row, canonical({"size": size, "nodes": nodes, "head": head}))
    return row


def _edge(site: Site, last: CheckpointRow | None) -> tuple[Frontier, str]:
    """Where the last checkpoint ended, if what was kept of it fits it; otherwise the log's beginning."""
    try:
        kept: Mapping[str, Any] = json.loads(site.ledger.meta(EDGE) or "{}")
        edge, head = Frontier(kept["size"], map(bytes.fromhex, kept["nodes"])), str(kept["head"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return Frontier(), GENESIS
    if last is None or edge.size != last.size or edge.root().hex() != last.root:
        return Frontier(), GENESIS
    there = site.ledger.event_texts(after=last.size - 1, limit=1)
    if not there or (there[0].seq, there[0].hash) != (last.size, head):
        return Frontier(), GENESIS
    return edge, head


def _id(site: Site) -> str:
    return ledger_id(site.ledger.event_texts(limit=1)[0].hash)


def _copy(site: Site, name: str, rows: list[CheckpointRow]) -> str:
    """Copy checkpoints to a store; return why not, empty if all are there."""
    store = site.stores.get(name)
    if store is None:
        return f"no checkpoint is copied to {name}: there is no such store"
    try:
        proof = store.prove()
        if not proof.usable_at(site.context.now()):
            return f"no checkpoint is copied to the store {name}: its place is not proven ({proof.summary})"
        check_owner(site, name, site.sources)
        ledger = _id(site)
        for row in rows:
            key = key_of(ledger, row)
            store.put(key, [body_of(site, ledger, row)])
            site.ledger.set_checkpoint_stores(row.size, {**_stores(site, row.size), name: key})
    except OffloaderError as error:
        return f"no checkpoint is copied to the store {name}: {error}"
    return ""


def body_of(site: Site, ledger: str, row: CheckpointRow) -> bytes:
    """What a copy holds: the JWS, or the bare statement where nobody signed."""
    if row.signature:
        return row.signature.encode("ascii")
    head = site.ledger.event_texts(after=row.size - 1, limit=1)[0].hash
    return canonical(statement(ledger, row, head)).encode("ascii")


def _stores(site: Site, size: int) -> Mapping[str, str]:
    return next(row.stores for row in site.ledger.checkpoints() if row.size == size)
