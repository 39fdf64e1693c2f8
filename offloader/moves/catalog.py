"""Catalog segments: the description of stored documents, kept in the store beside the blobs.

A segment is JSON Lines, one document a line, named by its own SHA-256; the same batch written twice is one
segment. Beside it stands a list that `sha256sum -c` checks from the store's root.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from offloader.ledger import Copy
from offloader.model import Document, Link, Version
from offloader.ports import Store

FORMAT = "offloader-catalog-1"
_encode = json.JSONEncoder(separators=(",", ":"), sort_keys=True).encode


def _line(document: Document, link: Link, copies: Sequence[tuple[Version, Copy]]) -> bytes:
    value: dict[str, Any] = {
        "format": FORMAT,
        "source": document.ref.source,
        "kind": document.ref.kind,
        "id": document.ref.id,
        "title": document.title,
        "owner": document.owner,
        "created": document.created.isoformat() if document.created else None,
        "modified": document.modified.isoformat() if document.modified else None,
        "strategy": document.strategy.value,
        "etag": document.etag,
        "link": {"id": link.id, "url": link.url},
        "extra": dict(document.extra),
        "parents": [
            {"type": p.type, "id": p.id, "signals": dict(p.signals), "sharing": dict(p.sharing)}
            for p in document.parents
        ],
        "versions": [
            {
                "id": version.id,
                "number": version.number,
                "name": version.name,
                "mime": version.mime,
                "size": copy.digest.size,
                "sha256": copy.digest.sha256,
                "md5": copy.digest.md5,
                "key": copy.key,
                "etag": version.etag,
                "created": version.created.isoformat() if version.created else None,
                "modified": version.modified.isoformat() if version.modified else None,
                "extra": dict(version.extra),
            }
            for version, copy in copies
        ],
    }
    # ASCII only: names that are no valid Unicode survive, and any editor can show the file.
    return _encode(value).encode("ascii") + b"\n"


def write_segments(
    stores: dict[str, Store], batch: Iterable[tuple[Document, Link, Sequence[tuple[Version, Copy]]]]
) -> None:
    """Describe a batch of verified documents in the stores that hold them, before any original is removed."""
    lines: dict[tuple[str, str], list[bytes]] = defaultdict(list)
    sums: dict[tuple[str, str], list[str]] = defaultdict(list)
    for document, link, copies in batch:
        for store in {copy.store for _, copy in copies}:
            there = [(version, copy) for version, copy in copies if copy.store == store]
            lines[store, document.ref.source].append(_line(document, link, there))
            sums[store, document.ref.source].extend(f"{copy.digest.sha256}  {copy.key}\n" for _, copy in there)
    for (store, source), written in lines.items():
        body = b"".join(written)
        name = f"catalog/{source}/{hashlib.sha256(body).hexdigest()[:32]}"
        stores[store].put(f"{name}.jsonl", [body])
        stores[store].put(f"{name}.sha256", ["".join(sums[store, source]).encode("ascii")])
