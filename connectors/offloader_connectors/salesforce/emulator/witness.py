"""What the emulated org holds, told without any client: for tests and demonstrations that check a client's work.

Two admin calls:

| call | answers |
| --- | --- |
| `GET /_emulator/witness` | `documents`: `kind`, `id`, `sha256` by version (oldest first) and `country` of the store where the bytes belong (null: must stay), `reader` and `stranger`: user names who may read everything and nothing |
| `GET /_emulator/links` | how many link files and placeholders lead to each address |
"""  # noqa: E501 - a table row is one line

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from offloader_connectors.emulation.expectations import addresses, testimony
from offloader_connectors.salesforce.emulator.org import INTEGRATION_USER

if TYPE_CHECKING:
    from offloader_connectors.salesforce.emulator.org import Org


def held(org: Org) -> Mapping[str, Any]:
    """Every live document that has bytes."""
    return testimony(org.directory, (*_files(org), *_attachments(org)), reader=INTEGRATION_USER)


def links(org: Org) -> Mapping[str, int]:
    """How often each address is linked to."""
    found: Counter[str] = Counter(row["ContentUrl"] for row in org.rows("ContentVersion") if row.get("ContentUrl"))
    for row in org.rows("Attachment"):
        found.update(addresses(row.get("Description") or ""))
    return found


def _files(org: Org) -> list[tuple[str, str, list[str]]]:
    versions: dict[str, list[tuple[int, str]]] = {}
    for row in org.rows("ContentVersion"):
        body = row.get("_VersionData")
        if body:
            versions.setdefault(row["ContentDocumentId"], []).append(
                (int(row["VersionNumber"]), org.blobs.sha256(body["ref"]))
            )
    return [("ContentDocument", key, [digest for _, digest in sorted(found)]) for key, found in versions.items()]


def _attachments(org: Org) -> list[tuple[str, str, list[str]]]:
    return [
        ("Attachment", row["Id"], [org.blobs.sha256(row["_Body"]["ref"])])
        for row in org.rows("Attachment")
        if row.get("_Body")
    ]
