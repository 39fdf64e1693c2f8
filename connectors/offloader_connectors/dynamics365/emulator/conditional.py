"""If-Match and If-None-Match ("Perform conditional operations using the Web API")."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from offloader_connectors.dynamics365.emulator.calls import Call, etag_of
from offloader_connectors.dynamics365.emulator.errors import exists, not_found, stale
from offloader_connectors.dynamics365.emulator.schema import Table
from offloader_connectors.emulation.wire import Answer


def _tags(header: str) -> list[str]:
    return [tag.strip() for tag in header.split(",")]


def check_write(call: Call, table: Table, record: str, row: Mapping[str, Any] | None) -> None:
    """Raises DataverseError if the row is not as the request wants it: 404 missing, 412 changed or already there."""
    if_match, if_none = call.header("if-match"), call.header("if-none-match")
    if if_match is not None:
        if row is None:
            raise not_found(table.name, record)
        tags = _tags(if_match)
        if "*" not in tags and etag_of(row) not in tags:
            raise stale()
    if if_none is not None and row is not None and ("*" in _tags(if_none) or etag_of(row) in _tags(if_none)):
        raise exists()


def unchanged(call: Call, row: Mapping[str, Any]) -> Answer | None:
    """304 for a reader who has the row as it is; not where the answer says more than the row."""
    if_none = call.header("if-none-match")
    if if_none is None or "$expand" in call.query or call.prefer.annotations is not None:
        return None
    return Answer(304, body=b"", headers={"ETag": etag_of(row)}) if etag_of(row) in _tags(if_none) else None
