"""What the emulated org holds, told without any client: for tests and demonstrations that check a client's work.

Two admin calls:

| call | answers |
| --- | --- |
| `GET /_emulator/witness` | `documents`: `kind`, `id`, `sha256` by version (oldest first) and `country` of the store where the bytes belong (null: must stay), `reader` and `stranger`: user names who may read everything and nothing |
| `GET /_emulator/links` | how many link files and placeholders lead to each address |
"""  # noqa: E501 - a table row is one line

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from offloader_connectors.salesforce.emulator.org import INTEGRATION_USER
from offloader_connectors.salesforce.emulator.seed import EXPECTATIONS

if TYPE_CHECKING:
    from offloader_connectors.salesforce.emulator.org import Org

_ADDRESS = re.compile(r"https?://\S+")
_STRANGER = "user-1@sales.example.com"


def held(org: Org) -> Mapping[str, Any]:
    """Every live document that has bytes."""
    countries = _expectations(org)
    documents = [
        {"kind": kind, "id": key, "sha256": digests, "country": countries.get(key)}
        for kind, key, digests in (*_files(org), *_attachments(org))
    ]
    return {"documents": documents, "reader": INTEGRATION_USER, "stranger": _STRANGER}


def links(org: Org) -> Mapping[str, int]:
    """How often each address is linked to."""
    found: Counter[str] = Counter(row["ContentUrl"] for row in org.rows("ContentVersion") if row.get("ContentUrl"))
    for row in org.rows("Attachment"):
        found.update(_ADDRESS.findall(row.get("Description") or ""))
    return found


def _expectations(org: Org) -> dict[str, str | None]:
    path = org.directory / EXPECTATIONS
    if not path.exists():
        return {}
    lines = (json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())
    return {line["id"]: None if line["must_stay"] else line["country"] for line in lines}


def _files(org: Org) -> list[tuple[str, str, list[str]]]:
    versions: dict[str, list[tuple[int, str]]] = {}
    for row in org.rows("ContentVersion"):
        body = row.get("_VersionData")
        if body:
            versions.setdefault(row["ContentDocumentId"], []).append((int(row["VersionNumber"]), _sha256(org, body)))
    return [("ContentDocument", key, [digest for _, digest in sorted(found)]) for key, found in versions.items()]


def _attachments(org: Org) -> list[tuple[str, str, list[str]]]:
    return [
        ("Attachment", row["Id"], [_sha256(org, row["_Body"])]) for row in org.rows("Attachment") if row.get("_Body")
    ]


def _sha256(org: Org, body: Mapping[str, Any]) -> str:
    """A kept body is named by its SHA-256; a computed one has to be read."""
    ref = str(body["ref"])
    if not ref.startswith("synthetic-"):
        return ref
    digest = hashlib.sha256()
    for chunk in org.blobs.chunks(ref):
        digest.update(chunk)
    return digest.hexdigest()
