"""UserRecordAccess: what a user may do with records, asked by query ("UserRecordAccess", Object Reference)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from offloader_connectors.salesforce.emulator.conditions import conjuncts
from offloader_connectors.salesforce.emulator.errors import SalesforceError
from offloader_connectors.salesforce.emulator.ids import normal
from offloader_connectors.salesforce.emulator.sharing import LEVELS
from offloader_connectors.salesforce.emulator.soql import Compare, Literal, Path, Query, Within
from offloader_connectors.salesforce.emulator.store import Row

if TYPE_CHECKING:
    from offloader_connectors.salesforce.emulator.org import Org
    from offloader_connectors.salesforce.emulator.sharing import Access

MAX_ROWS = 200
_FLAGS = {
    "HasReadAccess": "Read",
    "HasEditAccess": "Edit",
    "HasDeleteAccess": "Delete",
    "HasTransferAccess": "Transfer",
    "HasAllAccess": "All",
}
_SELECTABLE = {name.lower() for name in (*_FLAGS, "RecordId", "MaxAccessLevel")}


def record_access_rows(org: Org, access: Access, query: Query) -> list[Row]:
    """One row for each record asked for, all flags false where there is no access. Raises SalesforceError."""
    for item in query.items:
        if not isinstance(item.what, Path) or str(item.what).lower() not in _SELECTABLE:
            raise SalesforceError("MALFORMED_QUERY", f"{item.what} can not be selected from UserRecordAccess")
    users: list[str] = []
    records: list[str] = []
    for part in conjuncts(query.where):
        name, values = _ids(part)
        if name == "userid" and isinstance(part, Compare):
            users += values
        elif name == "recordid":
            records += values
        elif name == "userid":
            raise SalesforceError("MALFORMED_QUERY", "UserId must be filtered with the equals operator")
        else:
            raise SalesforceError("MALFORMED_QUERY", "Can only filter UserRecordAccess by UserId and RecordId")
    if len(users) != 1 or not records:
        raise SalesforceError("MALFORMED_QUERY", "UserRecordAccess needs filters by one UserId and by RecordId")
    if len(records) > MAX_ROWS:
        raise SalesforceError("LIMIT_EXCEEDED", f"Number of records exceeds limit: {MAX_ROWS}")
    return [_row(org, access, users[0], record) for record in dict.fromkeys(records)][: query.limit]


def _ids(part: object) -> tuple[str, list[str]]:
    if not isinstance(part, Compare | Within) or part.operator not in {"=", "IN"} or not isinstance(part.left, Path):
        return "", []
    literals = part.values if isinstance(part, Within) else (part.right,)
    return str(part.left).lower(), [_id(literal) for literal in literals]


def _id(literal: Literal) -> str:
    found = normal(str(literal.value))
    if found is None:
        raise SalesforceError("INVALID_QUERY_FILTER_OPERATOR", f"invalid ID field: {literal.value}")
    return found


def _row(org: Org, access: Access, user_id: str, record_id: str) -> Row:
    record, user = org.store.get(record_id), org.store.get(user_id, "User")
    there = record is not None and not record.get("IsDeleted") and user is not None and user.get("IsActive")
    level = access.level(access.actor(user_id), record) if there and record else "None"
    strength = LEVELS.index(level)
    flags = {name: strength >= LEVELS.index(needed) for name, needed in _FLAGS.items()}
    return {"Id": None, "RecordId": record_id, "UserId": user_id, "MaxAccessLevel": level, **flags}
