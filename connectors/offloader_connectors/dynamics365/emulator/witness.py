"""What the emulated environment holds, told without any client: for tests and demonstrations that check a client's work.

Two admin calls:

| call | answers |
| --- | --- |
| `GET /_emulator/witness` | `documents`: `kind`, `id`, `sha256` (one value, but several where the rows of one mail attachment differ) and `country` of the store where the bytes belong (null: must stay), `reader` and `stranger`: user names who may read everything and nothing |
| `GET /_emulator/links` | how many placeholders, link notes and link columns lead to each address; a placeholder that several mails share counts once |

The kinds are `annotation` (id of the note), `activitymimeattachment` (id of the shared attachment), `filecolumn` and
`imagecolumn` (`table:record:column`).
"""  # noqa: E501 - a table row is one line

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from offloader_connectors.emulation.expectations import addresses, testimony

if TYPE_CHECKING:
    from offloader_connectors.dynamics365.emulator.org import Org

Told = tuple[str, str, list[str]]
#: a file that leads somewhere else is smaller, in bytes
_LARGEST_POINTER = 8192
_POINTERS = (".url", ".html", ".txt")
_SCHEMES = ("https://", "http://")


def held(org: Org) -> Mapping[str, Any]:
    """Every live document that has bytes."""
    reader = org.get("systemuser", org.integration_user) or {}
    told = (*_notes(org), *_attachments(org), *_columns(org))
    return testimony(org.directory, told, reader=reader["domainname"])


def links(org: Org) -> Mapping[str, int]:
    """How often each address is linked to."""
    found: Counter[str] = Counter()
    for row in org.rows("annotation"):
        pointed = addresses(row.get("notetext") or "") + _pointed(org, row, row.get("_documentbody"))
        found.update(set(pointed))
    for row in org.rows("attachment"):
        found.update(set(_pointed(org, row, row.get("_body"))))
    for table in org.schema.tables.values():
        names = [column.name for column in table.columns.values() if column.type == "string" and column.custom]
        for row in org.rows(table.name) if names else ():
            found.update(value for name in names if (value := row.get(name) or "").startswith(_SCHEMES))
    return found


def _pointed(org: Org, row: Mapping[str, Any], body: Mapping[str, Any] | None) -> list[str]:
    """The addresses that a file leads to, if it is of those that lead somewhere."""
    name = (row.get("filename") or "").lower()
    if body is None or not name.endswith(_POINTERS) or body["size"] > _LARGEST_POINTER:
        return []
    return addresses(b"".join(org.chunks(body)).decode("utf-8", "replace"))


def _notes(org: Org) -> Iterator[Told]:
    for row in org.rows("annotation"):
        if body := row.get("_documentbody"):
            yield "annotation", row["annotationid"], [org.sha256(body)]


def _attachments(org: Org) -> Iterator[Told]:
    """What the rows of mails show, by the attachment that they refer to."""
    digests: dict[str, dict[str, None]] = {}
    for row in org.rows("activitymimeattachment"):
        if body := row.get("_body"):
            digests.setdefault(row["attachmentid"][1], {})[org.sha256(body)] = None
    for key, found in digests.items():
        yield "activitymimeattachment", key, list(found)


def _columns(org: Org) -> Iterator[Told]:
    for row in org.rows("fileattachment"):
        table, record = row["objectid"]
        column = org.table(table).columns[row["regardingfieldname"]]
        kind = "imagecolumn" if column.type == "image" else "filecolumn"
        yield kind, f"{table}:{record}:{column.name}", [org.sha256(row["_body"])]
