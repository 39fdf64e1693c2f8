"""Evidence to hand out: the proof that a document's events are in the log, and the whole log as files."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

from offloader import signing
from offloader.audit import canonical
from offloader.errors import ConfigError, IntegrityError, Refused
from offloader.ledger import Entry
from offloader.ledger.checkpointing import CheckpointRow
from offloader.merkle import Tree
from offloader.moves.checkpoints import leaf_of, ledger_id, statement, texts
from offloader.moves.site import Site

PROOF = "offloader-proof-1"
README = """\
The event log of offloader, as it stood when this folder was written.

events.jsonl.gz     one event a line, oldest first: number, time, type, document and version (numbers of the ledger),
                    states before and after, the rule that caused it, what goes with it, and its hash
events.schema.json  JSON Schema of a line
checkpoints.jsonl   one checkpoint a line: the Merkle tree's root (RFC 6962) and the newest hash at so many events, the
                    signature (compact JWS, Ed25519), and the consistency proof from the checkpoint before it
public_key.txt      the public key (base64url) of whoever signs them; compare it with what you were told before
check_export.py     checks all of this with nothing but Python: python3 check_export.py

An event's hash is the SHA-256 of the hash before it (64 zeros before the first) followed by the event as JSON without
its hash: sorted keys, no spaces, ASCII. A leaf of the tree is the SHA-256 of a zero byte and the event with its hash.

Events hold ids of the CRM (documents, records, links), keys and digests of stored copies, sentences about what went
wrong, which may quote the CRM, and short names and accounts of those who planned, approved, held and released. They
hold no file name, no title and no content, and no reason that a person gave for a hold.
"""
_NUMBER = {"type": ["integer", "null"]}
_WORD = {"type": ["string", "null"]}
SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Event of offloader",
    "type": "object",
    "additionalProperties": False,
    "required": ["at", "data", "document", "from", "hash", "rule", "seq", "to", "type", "version"],
    "properties": {
        "seq": {"type": "integer", "minimum": 1},
        "at": {"type": "string", "format": "date-time"},
        "type": {"type": "string"},
        "document": _NUMBER,
        "version": _NUMBER,
        "from": _WORD,
        "to": _WORD,
        "rule": _WORD,
        "data": {"type": "object"},
        "hash": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
    },
}


def prove(site: Site, entry: Entry) -> dict[str, Any]:
    """All events of a document, each with its inclusion proof up to the newest checkpoint.

    Raises Refused while there is no checkpoint, or none that is over the newest of these events; IntegrityError if the
    log is not what the checkpoint was made of.
    """
    rows = site.ledger.checkpoints()
    if not rows:
        raise Refused("there is no checkpoint yet; `offloader audit checkpoint` makes one", rule="audit")
    row, leaves, mine, hashes = rows[-1], [], [], []
    for event in texts(site):
        leaves.append(leaf_of(event))
        hashes.append(event.hash)
        if event.document == entry.pk:
            mine.append(event)
    tree = Tree(leaves)
    if len(leaves) < row.size or tree.root(row.size).hex() != row.root:
        raise IntegrityError(
            "the event log is not what its newest checkpoint was made of; see `offloader audit verify`"
        )
    if mine and mine[-1].seq > row.size:
        raise Refused(
            f"event {mine[-1].seq} is newer than the newest checkpoint; run `offloader audit checkpoint` first",
            rule="audit",
        )
    return {
        "format": PROOF,
        "document": str(entry.document.ref),
        "number": entry.pk,
        "checkpoint": statement(ledger_id(hashes[0]), row, hashes[row.size - 1]),
        "signature": row.signature,
        "public_key": _public(site),
        "events": [
            {
                "event": json.loads(event.leaf),
                "proof": [node.hex() for node in tree.inclusion(event.seq - 1, row.size)],
            }
            for event in mine
        ],
    }


def export(site: Site, folder: Path) -> dict[str, int]:
    """Write the whole log, its checkpoints and what checks them into a new or empty folder; return counts.

    Raises ConfigError if the folder holds something, or cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise ConfigError(f"the folder {folder} is not empty")
        return _export(site, folder)
    except OSError as error:
        raise ConfigError(f"{folder} cannot be written: {error.strerror}") from error


def _export(site: Site, folder: Path) -> dict[str, int]:
    leaves: list[bytes] = []
    hashes: list[str] = []
    with gzip.GzipFile(folder / "events.jsonl.gz", "wb", mtime=0) as lines:
        for event in texts(site):
            lines.write(event.leaf.encode("ascii", "backslashreplace") + b"\n")
            leaves.append(leaf_of(event))
            hashes.append(event.hash)
    rows = [row for row in site.ledger.checkpoints() if row.size <= len(leaves)]
    with (folder / "checkpoints.jsonl").open("w", encoding="ascii") as out:
        for line in _checkpoints(rows, Tree(leaves), hashes):
            out.write(canonical(line) + "\n")
    (folder / "public_key.txt").write_text(_public(site) + "\n", encoding="ascii")
    (folder / "events.schema.json").write_text(json.dumps(SCHEMA, indent=2) + "\n", encoding="ascii")
    (folder / "README.txt").write_text(README, encoding="ascii")
    checker = files("offloader.checkers").joinpath("check_export.py").read_bytes()
    (folder / "check_export.py").write_bytes(checker)
    return {"events": len(leaves), "checkpoints": len(rows)}


def _checkpoints(rows: list[CheckpointRow], tree: Tree, hashes: list[str]) -> Iterator[dict[str, Any]]:
    before = 0
    for row in rows:
        yield {
            "checkpoint": statement(ledger_id(hashes[0]), row, hashes[row.size - 1]),
            "signature": row.signature,
            "consistency": {
                "from": before,
                "proof": [node.hex() for node in tree.consistency(before, row.size)] if before else [],
            },
        }
        before = row.size


def _public(site: Site) -> str:
    key = site.audit.key()
    return "" if key is None else signing.public_key(key)
