"""Who may do what to which row ("Security concepts in Dataverse"; RetrievePrincipalAccess)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from offloader_connectors.dynamics365.emulator.caller import Right
from offloader_connectors.dynamics365.emulator.errors import DataverseError
from offloader_connectors.dynamics365.emulator.ids import normal
from offloader_connectors.dynamics365.emulator.privileges import (
    ACT_ON_BEHALF,
    BASIC,
    DEEP,
    DEPTHS,
    GLOBAL,
    LOCAL,
    privilege,
    privilege_id,
    role_privileges,
)

if TYPE_CHECKING:
    from offloader_connectors.dynamics365.emulator.org import Org

#: the order in which AccessRights names them
SHOWN: tuple[Right, ...] = ("Read", "Write", "Append", "AppendTo", "Create", "Delete", "Share", "Assign")
#: tables whose rows have no rights of their own: the lookup to the row that has them
_FROM_PARENT = {"activitymimeattachment": "objectid", "fileattachment": "objectid"}
#: rights on a row that has none of its own, and what they need on its parent
_NEEDS: Mapping[Right, Right] = {"Read": "Read"}


class User:
    """A user of the environment with the privileges of all roles. Implements `caller.Caller`."""

    def __init__(self, org: Org, row: Mapping[str, Any]) -> None:
        self._org = org
        self._row = row
        self.roles: Sequence[str] = row.get("_roles", ())
        self.privileges: dict[str, int] = {}
        for role in self.roles:
            for name, depth in role_privileges(role, org.schema).items():
                self.privileges[name] = max(depth, self.privileges.get(name, 0))
        #: tables of which all rows can be read
        self._all: dict[str, bool] = {}

    @property
    def user_id(self) -> str:
        return str(self._row["systemuserid"])

    @property
    def business_unit(self) -> str:
        unit = self._row.get("businessunitid")
        return str(unit[1]) if unit else ""

    def has(self, name: str) -> bool:
        return name in self.privileges

    def _depth(self, right: Right, table: str) -> int:
        return self.privileges.get(privilege(right, self._org.table(table)), 0)

    def may_read(self, table: str, row: Mapping[str, Any]) -> bool:
        if table not in self._all:
            self._all[table] = self._depth("Read", table) >= GLOBAL and table not in {*_FROM_PARENT, "attachment"}
        return self._all[table] or self.may("Read", table, row)

    def may(self, right: Right, table: str, row: Mapping[str, Any]) -> bool:
        """Whether the user has a right on a row, by privilege, ownership or sharing."""
        if table in _FROM_PARENT:
            parent = self._parent(row)
            return parent is not None and self.may(_NEEDS.get(right, "Write"), *parent)
        if table == "attachment":
            rows = self._org.store.where("activitymimeattachment", "attachmentid", row["attachmentid"])
            return right == "Read" and any(self.may("Read", "activitymimeattachment", each) for each in rows)
        depth = self._depth(right, table)
        return bool(depth) and (self._reaches(depth, table, row) or self._shared(right, table, row))

    def _parent(self, row: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]] | None:
        reference = row.get("objectid")
        parent = self._org.store.get(*reference) if reference else None
        return (reference[0], parent) if reference and parent is not None else None

    def _reaches(self, depth: int, table: str, row: Mapping[str, Any]) -> bool:
        if depth >= GLOBAL or "ownerid" not in self._org.table(table).columns:
            return True
        if depth >= BASIC and row.get("ownerid") == ("systemuser", self.user_id):
            return True
        unit = row.get("owningbusinessunit")
        if unit is None:
            return False
        return (depth >= LOCAL and unit[1] == self.business_unit) or (depth >= DEEP and self._below(unit[1]))

    def _below(self, unit: str) -> bool:
        units = self._org.store.tables["businessunit"]
        seen: set[str] = set()
        while unit in units and unit not in seen:
            seen.add(unit)
            if unit == self.business_unit:
                return True
            parent = units[unit].get("parentbusinessunitid")
            unit = parent[1] if parent else ""
        return False

    def _shared(self, right: Right, table: str, row: Mapping[str, Any]) -> bool:
        """Shared with the user, or (a note) hangs on a row that is."""
        wanted = f"{right}Access"
        key = row[self._org.table(table).key]
        found = self._org.store.where("principalobjectaccess", "objectid", key)
        if table == "annotation" and row.get("objectid"):
            found = [*found, *self._org.store.where("principalobjectaccess", "objectid", row["objectid"][1])]
        return any(share["principalid"] == self.user_id and wanted in share["_rights"] for share in found)

    def rights(self, table: str, row: Mapping[str, Any]) -> list[Right]:
        return [right for right in SHOWN if self.may(right, table, row)]

    def check(self, right: Right, table: str, row: Mapping[str, Any] | None = None) -> None:
        """Raises DataverseError 403 unless the user has the right on the table, and on the row if one is given."""
        if not self._depth(right, table):
            raise self._missing(right, table)
        if row is not None and not self.may(right, table, row):
            key = row[self._org.table(table).key]
            text = (
                f"Principal user (Id={self.user_id}, type=8) does not have {right}Access right(s) for record with id "
                f"{key} of entity {table}."
            )
            raise DataverseError(403, "0x80048306", text)

    def _missing(self, right: Right, table: str) -> DataverseError:
        name, described = privilege(right, self._org.table(table)), self._org.table(table)
        return self.lacking(name, f" on OTC={described.otc} for entity '{table}'")

    def lacking(self, name: str, where: str = "") -> DataverseError:
        text = (
            f"Principal user (Id={self.user_id}, type=8, roleCount={len(self.roles)}, "
            f"privilegeCount={len(self.privileges)}, accessMode={self._row.get('accessmode', 0)}), is missing {name} "
            f"privilege (Id={privilege_id(name)}){where}. context.Caller={self.user_id}"
        )
        return DataverseError(403, "0x80040220", text)


class Impersonation(User):
    """A user, but with no more rights than the one who speaks for him ("Impersonate another user")."""

    def __init__(self, org: Org, row: Mapping[str, Any], by: User) -> None:
        super().__init__(org, row)
        self._by = by
        self.privileges = {
            name: min(depth, by.privileges[name]) for name, depth in self.privileges.items() if name in by.privileges
        }

    def may(self, right: Right, table: str, row: Mapping[str, Any]) -> bool:
        return super().may(right, table, row) and self._by.may(right, table, row)


class Access:
    """Finds users. What was found is kept until a user, a role or a table changes."""

    def __init__(self, org: Org) -> None:
        self._org = org
        self._known: dict[str, tuple[tuple[int, int], User]] = {}

    def user(self, user: str | None) -> User:
        """The user of an id. Raises DataverseError for one who may not enter."""
        row = self._org.store.get("systemuser", user or "")
        if row is None or user is None:
            raise DataverseError(403, "0x80072560", "The user is not a member of the organization.")
        state = (self._org.store.changes["systemuser"], len(self._org.schema.tables))
        known = self._known.get(user)
        if known is None or known[0] != state:
            known = self._known[user] = (state, User(self._org, row))
        return known[1]

    def caller(self, user: str | None, headers: Mapping[str, str]) -> User:
        """Who a call acts for: its user, or the one it names. Raises DataverseError for one who may not enter."""
        by = self.user(user)
        if by._row.get("isdisabled"):
            text = f"The user with id {by.user_id} is disabled."
            raise DataverseError(403, "0x8004a112", text)
        if not by.roles:
            text = f"The user with id {by.user_id} has not been assigned any License or role."
            raise DataverseError(403, "0x80042f09", text)
        row = self._named(headers)
        if row is None or row["systemuserid"] == by.user_id:
            return by
        if not by.has(ACT_ON_BEHALF):
            raise by.lacking(ACT_ON_BEHALF)
        if row.get("isdisabled"):
            raise DataverseError(403, "0x8004a112", f"The user with id {row['systemuserid']} is disabled.")
        return Impersonation(self._org, row, by)

    def _named(self, headers: Mapping[str, str]) -> Mapping[str, Any] | None:
        """The user of CallerObjectId or MSCRMCallerID. Raises DataverseError if there is none."""
        oid, user = headers.get("callerobjectid"), headers.get("mscrmcallerid")
        if oid is None and user is None:
            return None
        store = self._org.store
        if oid is not None:
            found = store.where("systemuser", "azureactivedirectoryobjectid", normal(oid) or "")
            row: Mapping[str, Any] | None = found[0] if found else None
        else:
            row = store.get("systemuser", normal(user) or "")
        if row is None:
            text = f"CrmUser with id {str(oid or user)[:64]} was not found, or may not be impersonated."
            raise DataverseError(403, "0x8004a110", text)
        return row


def access_text(rights: Sequence[Right]) -> str:
    """What RetrievePrincipalAccess answers: `ReadAccess, WriteAccess`, or `None`."""
    return ", ".join(f"{right}Access" for right in rights) or "None"


def privileges_of(user: User) -> list[dict[str, str]]:
    """What RetrieveUserPrivileges answers."""
    return [
        {
            "Depth": DEPTHS[depth],
            "PrivilegeId": privilege_id(name),
            "BusinessUnitId": user.business_unit,
            "PrivilegeName": name,
        }
        for name, depth in sorted(user.privileges.items())
    ]
