"""Facts about the org that stay the same from call to call: object types, fields, the running user's permissions."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from offloader.errors import OffloaderError, Permanent
from offloader_connectors.salesforce import rows, soql
from offloader_connectors.salesforce.api import SUBS_PER_COMPOSITE, Answer, Api, Statement, Sub, is_absent
from offloader_connectors.salesforce.rows import Row

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
    "00T": "Task",
    "00U": "Event",
    "02s": "EmailMessage",
    "058": "ContentWorkspace",
    "068": "ContentVersion",
    "069": "ContentDocument",
    "0F9": "CollaborationGroup",
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
#: other names that an org may have for a permission
_OTHER_NAMES = {UPDATE_EMAIL: ("UpdateEmailMessages",)}
#: scans of several kinds, one after the other, ask once
_PERMISSIONS_HOLD = timedelta(minutes=1)


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
    """Reads and remembers facts about the org. Thread-safe; each fact costs one call per process at most."""

    def __init__(self, api: Api, external_id_field: str | None, now: Callable[[], datetime]) -> None:
        self.api = api
        self._external_id_field = external_id_field
        self._now = now
        self._lock = threading.RLock()
        self._fields: dict[str, Mapping[str, Field]] = {}
        self._describes_together = True
        #: permission by the name that the org has for it
        self._permission_names: Mapping[str, str] = {name: name for name in PERMISSIONS}
        self._permissions: tuple[datetime, Permissions] | None = None
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
            answer = self.api.get("describe", f"sobjects/{type_name}/describe")
        except Permanent as error:
            if is_absent(error):
                return {}
            raise
        return _described(type_name, answer)

    def learn(self, type_names: Sequence[str]) -> None:
        """Describe types that are not known yet, together in one call where the org allows that.

        Only success is believed: whether there is no such type, its own describe says.
        """
        with self._lock:
            missing = [each for each in soql.unique(type_names) if each not in self._fields and each.isidentifier()]
            for part in soql.chunks(missing, SUBS_PER_COMPOSITE):
                if self._describes_together and len(part) > 1:
                    self._learn_together(part)
            for each in type_names:
                self.fields(each)

    def _learn_together(self, type_names: Sequence[str]) -> None:
        try:
            answers = self.api.composite([Sub("GET", f"sobjects/{each}/describe") for each in type_names])
        except Permanent:
            self._describes_together = False
            return
        for each, answer in zip(type_names, answers, strict=True):
            if answer.ok:
                self._fields[each] = _described(each, answer)
        self._describes_together = any(answer.ok for answer in answers)

    def unknown_type(self, type_name: str, path: str) -> str | None:
        """The first type along a dotted field path that is not described yet."""
        with self._lock:
            fields = self._fields.get(type_name)
        if fields is None:
            return type_name
        head, dot, rest = path.partition(".")
        targets = next((field.targets for field in fields.values() if dot and field.relationship == head), ())
        return self.unknown_type(targets[0], rest) if len(targets) == 1 and targets[0] != "RecordType" else None

    def type_of(self, record_id: str) -> str:
        """Object type by the id's first three characters; "" if the org does not say."""
        prefix = record_id[:3]
        with self._lock:
            if prefix not in self._prefixes and not self._listed:
                found = self.api.get("sobjects", "sobjects").record().get("sobjects")
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
        with self._lock:
            self._permissions = None
        return self.permissions_beside(())[0]

    def permissions_beside(
        self, statements: Sequence[Statement]
    ) -> tuple[Permissions, list[list[Row] | OffloaderError]]:
        """Permissions, at most a minute old, and the answers to up to four queries, in one call."""
        with self._lock:
            known = self._permissions
        if known is not None and timedelta(0) <= self._now() - known[0] < _PERMISSIONS_HOLD:
            return known[1], self.api.each_query(statements) if statements else []
        asked_at = self._now()
        (found, *others), at = self.api.dated_queries([self._permission_statement(), *statements])
        if isinstance(found, OffloaderError):
            if not is_absent(found):
                raise found
            self._learn_permission_names()
            (found,), again = self.api.dated_queries([self._permission_statement()])
            at = at or again
        if isinstance(found, OffloaderError):
            raise found
        granted = {
            name: rows.flag(row, f"Permissions{own}")
            for name, own in self._permission_names.items()
            for row in found[:1]
        }
        permissions = Permissions(granted, at)
        with self._lock:
            self._permissions = asked_at, permissions
        return permissions, others

    def _permission_statement(self) -> Statement:
        fields = [f"Permissions{own}" for own in self._permission_names.values()]
        if not fields:
            return soql.select("Id", "User", f"Id = {soql.quote(self.api.user_id)}"), False
        return soql.select(", ".join(fields), "UserPermissionAccess"), False

    def _learn_permission_names(self) -> None:
        """Find out which of the permissions this org has, after it has refused the usual names."""
        known = self.fields("UserPermissionAccess")
        found = {
            name: next((each for each in (name, *_OTHER_NAMES.get(name, ())) if f"Permissions{each}" in known), None)
            for name in PERMISSIONS
        }
        self._permission_names = {name: own for name, own in found.items() if own is not None}


def _described(type_name: str, answer: Answer) -> Mapping[str, Field]:
    found = answer.record().get("fields")
    if not isinstance(found, list):
        raise rows.malformed("describe", f"no fields of {type_name}")
    return {
        each["name"]: _field(each) for each in found if isinstance(each, Mapping) and isinstance(each.get("name"), str)
    }


def _field(each: Mapping[str, Any]) -> Field:
    targets = each.get("referenceTo")
    relationship = each.get("relationshipName")
    return Field(
        relationship=relationship if isinstance(relationship, str) else None,
        targets=tuple(str(name) for name in targets) if isinstance(targets, list) else (),
        unique_external_id=each.get("externalId") is True and each.get("unique") is True,
    )
