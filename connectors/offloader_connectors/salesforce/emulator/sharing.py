"""Who may do what: permissions of a user, record access, access to files.

The sharing model is small: the organisation-wide default of an object, ownership, explicit shares, View All and Modify
All Data. Sources: Object Reference, UserRecordAccess, ContentVersion, ContentDocument, Attachment.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from offloader_connectors.salesforce.emulator.objects import PERMISSIONS
from offloader_connectors.salesforce.emulator.store import Row, kind_of

if TYPE_CHECKING:
    from offloader_connectors.salesforce.emulator.org import Org

#: objects whose access is that of another record
_CONTROLLED = {
    "Contact": ("AccountId",),
    "EmailMessage": ("ParentId", "RelatedToId"),
    "Attachment": ("ParentId",),
    "Note": ("ParentId",),
    "FeedItem": ("ParentId",),
}
#: in the order of strength
LEVELS = ("None", "Read", "Edit", "Delete", "Transfer", "All")


@dataclass(frozen=True, slots=True)
class Actor:
    """A logged-in user."""

    user_id: str
    permissions: frozenset[str]
    external: bool = False

    def may(self, permission: str) -> bool:
        return permission in self.permissions


class Access:
    """Answers questions about access; knows nothing of calls and queries."""

    def __init__(self, org: Org) -> None:
        self._org = org
        self._actors: dict[str, tuple[int, Actor]] = {}

    def actor(self, user_id: str) -> Actor:
        """The user with its permissions: the union of its permission sets."""
        store = self._org.store
        version = store.changes["PermissionSetAssignment"] + store.changes["PermissionSet"] + store.changes["User"]
        known = self._actors.get(user_id)
        if known and known[0] == version:
            return known[1]
        granted: set[str] = set()
        for assignment in store.where("PermissionSetAssignment", "AssigneeId", user_id):
            found = store.get(assignment["PermissionSetId"], "PermissionSet") or {}
            granted |= {name for name in PERMISSIONS if found.get(f"Permissions{name}")}
        user = store.get(user_id, "User") or {}
        actor = Actor(user_id, frozenset(granted), user.get("UserType") not in {None, "Standard"})
        self._actors[user_id] = (version, actor)
        return actor

    def level(self, actor: Actor, row: Row) -> str:
        """None, Read, Edit or All: the access of a user to a record."""
        kind = kind_of(row["Id"]) or ""
        if actor.may("ModifyAllData"):
            return "All"
        if kind in {"ContentDocument", "ContentVersion"}:
            return self._file_level(actor, row)
        if kind in _CONTROLLED:
            return self._controlled(actor, kind, row)
        if row.get("OwnerId") == actor.user_id:
            return "All"
        shared = self._org.store.meta.get("shares", {}).get(row["Id"], {}).get(actor.user_id, "None")
        default = self._org.options.sharing.get(kind, "Read")
        general = {"Private": "None", "Read": "Read", "ReadWrite": "Edit"}[default]
        if actor.may("ViewAllData") and general == "None":
            general = "Read"
        return str(max(shared, general, key=LEVELS.index))

    def _controlled(self, actor: Actor, kind: str, row: Row) -> str:
        if kind == "Attachment" and row.get("IsPrivate") and row["OwnerId"] != actor.user_id:
            return "None"
        parents = [self._org.store.get(row[name]) for name in _CONTROLLED[kind] if row.get(name)]
        if not parents:
            return "All" if row.get("OwnerId", row.get("CreatedById")) == actor.user_id else "None"
        levels = [self.level(actor, parent) for parent in parents if parent]
        return max(levels, key=LEVELS.index, default="None")

    def can_read(self, actor: Actor, row: Row) -> bool:
        return self.level(actor, row) != "None"

    def can_edit(self, actor: Actor, row: Row) -> bool:
        return LEVELS.index(self.level(actor, row)) >= LEVELS.index("Edit")

    def can_delete(self, actor: Actor, row: Row) -> bool:
        """Files: the owner, and Modify All Data where the org's option says so."""
        if kind_of(row["Id"]) == "ContentDocument" and row["OwnerId"] != actor.user_id:
            return actor.may("ModifyAllData") and self._org.options.modify_all_deletes_files
        return self.level(actor, row) == "All" or (row.get("OwnerId") is None and self.can_edit(actor, row))

    # -- files -------------------------------------------------------------------------------------

    def _file_level(self, actor: Actor, row: Row) -> str:
        document = row if kind_of(row["Id"]) == "ContentDocument" else self._org.store.get(row["ContentDocumentId"])
        if document is None:
            return "None"
        if document["OwnerId"] == actor.user_id:
            return "All"
        best = "Read" if actor.may("QueryAllFiles") else "None"
        for link in self._org.store.where("ContentDocumentLink", "ContentDocumentId", document["Id"]):
            best = max(best, self._through(actor, link), key=LEVELS.index)
        return best

    def _through(self, actor: Actor, link: Row) -> str:
        """The access to a file that one of its links gives."""
        if actor.external and link["Visibility"] != "AllUsers":
            return "None"
        entity = link["LinkedEntityId"]
        given = "Edit" if link["ShareType"] == "C" else "Read"
        if entity == actor.user_id or self._is_member(actor, entity):
            return given
        if kind_of(entity) in {"User", "Group", "CollaborationGroup", "ContentWorkspace", "Organization"}:
            return "Read" if kind_of(entity) == "Organization" else "None"
        record = self._org.store.get(entity)
        level = self.level(actor, record) if record and not record.get("IsDeleted") else "None"
        if level == "None":
            return "None"
        return given if link["ShareType"] != "I" else min(level, "Edit", key=LEVELS.index)

    def _is_member(self, actor: Actor, entity: str) -> bool:
        places = {
            "Group": ("GroupMember", "GroupId", "UserOrGroupId"),
            "CollaborationGroup": ("CollaborationGroupMember", "CollaborationGroupId", "MemberId"),
            "ContentWorkspace": ("ContentWorkspaceMember", "ContentWorkspaceId", "MemberId"),
        }
        place = places.get(kind_of(entity) or "")
        if not place:
            return False
        kind, group, member = place
        return any(row[member] == actor.user_id for row in self._org.store.where(kind, group, entity))

    def listed(self, actor: Actor, document_id: str) -> bool:
        """Whether a query that names no ids shows this file: owned, or shared with the user, its groups or libraries.

        Files that are reachable only through a record are not shown; View All Data does not help, Query All Files does.
        """
        if actor.may("QueryAllFiles"):
            return True
        document = self._org.store.get(document_id, "ContentDocument")
        if document is None:
            return False
        if document["OwnerId"] == actor.user_id:
            return True
        links = self._org.store.where("ContentDocumentLink", "ContentDocumentId", document_id)
        return any(
            link["LinkedEntityId"] == actor.user_id or self._is_member(actor, link["LinkedEntityId"]) for link in links
        )

    def link_visible(self, actor: Actor, link: Row) -> bool:
        """A link is seen by whoever can see its file or the thing that the file hangs on."""
        if actor.may("QueryAllFiles") or link["LinkedEntityId"] == actor.user_id:
            return True
        document = self._org.store.get(link["ContentDocumentId"], "ContentDocument")
        if document and self.can_read(actor, document):
            return True
        record = self._org.store.get(link["LinkedEntityId"])
        return bool(record and kind_of(record["Id"]) not in {"User", "Group"} and self.can_read(actor, record))

    def attachment_visible(self, actor: Actor, row: Row) -> bool:
        """Attachments of e-mails are listed for users with Modify All Data only."""
        if actor.may("ModifyAllData"):
            return True
        return kind_of(row["ParentId"]) != "EmailMessage" and self.can_read(actor, row)
