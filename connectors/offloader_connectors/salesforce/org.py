"""Facts about the org that stay the same from call to call: object types, fields, the running user's permissions."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from offloader.errors import Permanent
from offloader_connectors.salesforce import rows, soql
from offloader_connectors.salesforce.api import Api, is_absent

#: fixed prefixes of standard objects; all others are read from the global describe
_PREFIXES = {
    "001": "Account",
    "003": "Contact",
    "005": "User",
    "006": "Opportunity",
    "00D": "Organization",
    "00G": "Group",
    "00P": "Attachment",
    "00Q": "Lead",
    "068": "ContentVersion",
    "069": "ContentDocument",
    "500": "Case",
    "701": "Campaign",
}
#: types that a file is shared with which are no records: they have no signals
PEOPLE = frozenset({"User", "Group", "CollaborationGroup", "ContentWorkspace", "Organization"})
#: user permissions by their API names (UserPermissionAccess has one boolean field for each)
QUERY_ALL_FILES = "QueryAllFiles"
MODIFY_ALL_DATA = "ModifyAllData"
VIEW_ALL_DATA = "ViewAllData"
AUDIT_FIELDS = "CreateAuditFields"
UPDATE_EMAIL = "CanUpdateEmailMessage"
PERMISSIONS = ("ApiEnabled", VIEW_ALL_DATA, MODIFY_ALL_DATA, QUERY_ALL_FILES, AUDIT_FIELDS, UPDATE_EMAIL)


@dataclass(frozen=True, slots=True)
class Field:
    """What describe says of a field: its relationship, where that leads, and whether it can key an upsert."""

    relationship: str | None
    targets: tuple[str, ...]
    unique_external_id: bool


@dataclass(frozen=True, slots=True)
class Permissions:
    """Which of PERMISSIONS the running user has; None for those that the org does not tell."""

    granted: Mapping[str, bool]
    #: the server's clock when they were read
    at: datetime | None

    def get(self, name: str) -> bool | None:
        return self.granted.get(name)


class Org:
    """Reads and remembers facts about the org. Thread-safe; each fact costs one call per process."""

    def __init__(self, api: Api, external_id_field: str | None) -> None:
        self._api = api
        self._external_id_field = external_id_field
        self._lock = threading.RLock()
        self._fields: dict[str, Mapping[str, Field]] = {}
        self._prefixes = dict(_PREFIXES)
        self._listed = False

    def fields(self, type_name: str) -> Mapping[str, Field]:
        """Fields of an object type by name; empty if there is no such type for this user."""
        with self._lock:
            if type_name not in self._fields:
                self._fields[type_name] = self._describe(type_name)
            return self._fields[type_name]

    def _describe(self, type_name: str) -> Mapping[str, Field]:
        if not type_name.isidentifier():
            return {}
        try:
            found = self._api.get("describe", f"sobjects/{type_name}/describe").record().get("fields")
        except Permanent as error:
            if is_absent(error):
                return {}
            raise
        if not isinstance(found, list):
            raise rows.malformed("describe", f"no fields of {type_name}")
        return {
            each["name"]: _field(each)
            for each in found
            if isinstance(each, Mapping) and isinstance(each.get("name"), str)
        }

    def type_of(self, record_id: str) -> str:
        """Object type by the id's first three characters; "" if the org does not say."""
        prefix = record_id[:3]
        with self._lock:
            if prefix not in self._prefixes and not self._listed:
                found = self._api.get("sobjects", "sobjects").record().get("sobjects")
                for each in found if isinstance(found, list) else []:
                    if isinstance(each, Mapping) and isinstance(each.get("keyPrefix"), str):
                        self._prefixes.setdefault(each["keyPrefix"], str(each.get("name") or ""))
                self._listed = True
            return self._prefixes.get(prefix, "")

    def external_id(self) -> str | None:
        """The configured external-id field, if the org has it as such; else None."""
        field = self._external_id_field and self.fields("ContentVersion").get(self._external_id_field)
        return self._external_id_field if field and field.unique_external_id else None

    def has_path(self, type_name: str, path: str) -> bool:
        """Whether a dotted field path can be selected from this type."""
        head, dot, rest = path.partition(".")
        fields = self.fields(type_name)
        if not dot:
            return head in fields
        targets = next((field.targets for field in fields.values() if field.relationship == head), ())
        if len(targets) != 1:
            return bool(targets) and rest in {"Id", "Name", "Type"}
        return (
            rest in {"Id", "Name", "DeveloperName"} if targets[0] == "RecordType" else self.has_path(targets[0], rest)
        )

    def permissions(self) -> Permissions:
        """Read the running user's permissions afresh.

        UserPermissionAccess answers for the running user alone and needs no setup rights (Object Reference). A
        permission whose field the org does not have stays unknown.
        """
        asked = [name for name in PERMISSIONS if f"Permissions{name}" in self.fields("UserPermissionAccess")]
        if not asked:
            _, at = self._api.dated_query(soql.select("Id", "User", f"Id = {soql.quote(self._api.user_id)}"))
            return Permissions({}, at)
        statement = soql.select(", ".join(f"Permissions{name}" for name in asked), "UserPermissionAccess")
        found, at = self._api.dated_query(statement)
        row: Mapping[str, Any] = found[0] if found else {}
        return Permissions({name: rows.flag(row, f"Permissions{name}") for name in asked if found}, at)


def _field(each: Mapping[str, Any]) -> Field:
    targets = each.get("referenceTo")
    relationship = each.get("relationshipName")
    return Field(
        relationship=relationship if isinstance(relationship, str) else None,
        targets=tuple(str(name) for name in targets) if isinstance(targets, list) else (),
        unique_external_id=each.get("externalId") is True and each.get("unique") is True,
    )
