"""The emulated org: its records, its users, its clock. Permissions are for `dml` and `query` to check."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from offloader_connectors.emulation.blobs import Blob, Blobs, Body
from offloader_connectors.salesforce.emulator import files
from offloader_connectors.salesforce.emulator.errors import SalesforceError, deleted
from offloader_connectors.salesforce.emulator.ids import normal
from offloader_connectors.salesforce.emulator.objects import EXTERNAL_ID, OBJECTS, PERMISSIONS
from offloader_connectors.salesforce.emulator.options import OrgOptions
from offloader_connectors.salesforce.emulator.schema import Field, SObject, complete
from offloader_connectors.salesforce.emulator.store import Row, Store, kind_of
from offloader_connectors.salesforce.emulator.values import convert, decode_base64, stamp

INTEGRATION_USER = "integration@offloader.example"
_CLOSED = {"Case": {"Closed"}, "Opportunity": {"Closed_Won", "Closed_Lost", "Closed Won", "Closed Lost"}}


@dataclass(frozen=True, slots=True)
class FileParent:
    """A record, user, group or library that a file is shared with."""

    id: str
    share_type: str = "V"
    visibility: str = "AllUsers"


@dataclass(frozen=True, slots=True)
class FileIds:
    document_id: str
    #: oldest first
    version_ids: tuple[str, ...]


class Org:
    """An org that lives in `directory` and continues from what it holds.

    `options` replaces the org's options; left out, the directory's own (or the defaults) stand. Rows that are handed
    out hold datetimes as the API writes them and must not be changed.
    """

    def __init__(self, directory: Path, *, now: Callable[[], datetime], options: OrgOptions | None = None) -> None:
        self.directory = directory
        self._clock = now
        #: added to the clock, so that a test can let hours pass
        self.shift = timedelta()
        #: time and id of what was deleted past the bin; the log lives as long as the process
        self.purged: list[tuple[str, str]] = []
        self.store = Store(directory)
        self.blobs = Blobs(directory / "blobs")
        self.is_new = not self.store.tables["Organization"]
        self._set_options(options or OrgOptions().changed(self.store.meta.get("options", {})))
        if self.is_new:
            self._found()

    def now(self) -> datetime:
        return self._clock() + self.shift

    @property
    def organization_id(self) -> str:
        return next(iter(self.store.tables["Organization"]))

    @property
    def options(self) -> OrgOptions:
        return self._options

    @options.setter
    def options(self, options: OrgOptions) -> None:
        with self.store.lock:
            self._set_options(options)

    def _set_options(self, options: OrgOptions) -> None:
        self._options = options
        self.objects = dict(OBJECTS)
        if not options.external_id_field:
            version = OBJECTS["ContentVersion"]
            fields = {name: field for name, field in version.fields.items() if name != EXTERNAL_ID}
            self.objects["ContentVersion"] = complete(SObject(**{**_as_keys(version), "fields": fields}))
        self.objects_lower = {name.lower(): item for name, item in self.objects.items()}
        self.store.set_meta("options", options.as_json())

    def _found(self) -> None:
        """A new org: itself, its integration user with all permissions, a private folder for documents."""
        with self.store.transaction():
            moment = stamp(self.now())
            organization = self.store.next_id("Organization")
            user = self.store.next_id("User")
            audit = {"CreatedDate": moment, "LastModifiedDate": moment, "SystemModstamp": moment}
            audit |= {"CreatedById": user, "LastModifiedById": user}
            org: Row = {"Id": organization, "Name": "Offloader Sandbox", "OrganizationType": self.options.edition}
            org |= {"InstanceName": "EMU1", "IsSandbox": self.options.sandbox, "Country": "NL", "CountryCode": "NL"}
            self.store.put("Organization", org | audit | {"IsDeleted": False})
            names = {"Username": INTEGRATION_USER, "LastName": "Integration", "Name": "Integration", "Alias": "integ"}
            person = names | {"Email": INTEGRATION_USER, "IsActive": True, "UserType": "Standard"}
            self.store.put("User", {"Id": user, "IsDeleted": False, **_DEFAULTS["User"], **person, **audit})
        self.user(username=INTEGRATION_USER, permissions=PERMISSIONS)

    @property
    def integration_user(self) -> str:
        return next(iter(self.store.tables["User"]))

    def moment(self) -> str:
        """The time stamp of a change made now."""
        if self.options.late_commit:
            return stamp(self.now() - timedelta(seconds=self.options.late_commit))
        return stamp(self.now())

    # -- rows, in system mode ----------------------------------------------------------------------

    def insert(self, type: str, fields: Mapping[str, Any]) -> str:
        """Insert one record, any field allowed, and return its 18-character id. Bodies are bytes, paths or Synthetic.

        Raises SalesforceError where the platform itself would refuse (a duplicate link, a version without body).
        """
        with self.store.transaction():
            return self.create(type, self._values(type, fields))

    def update(self, record_id: str, fields: Mapping[str, Any]) -> None:
        """Change one record, any field allowed. Raises SalesforceError for a record that is not there."""
        key = self._known(record_id)
        with self.store.transaction():
            self.change(key, self._values(kind_of(key) or "", fields))

    def delete(self, record_id: str) -> None:
        """Move one record and what hangs on it to the recycle bin. Raises SalesforceError."""
        with self.store.transaction():
            self.remove(self._known(record_id))

    def get(self, record_id: str) -> Mapping[str, Any] | None:
        """The row of an id (15 or 18 characters), also a deleted one (`IsDeleted`)."""
        with self.store.lock:
            return self.store.get(normal(record_id) or "")

    def rows(self, type: str, *, deleted: bool = False) -> list[Mapping[str, Any]]:
        """All living rows of an object (or all of them), in the order of their ids."""
        with self.store.lock:
            rows = list(self.store.tables[type].values())
        return [row for row in rows if deleted or not row.get("IsDeleted")]

    def _known(self, record_id: str) -> str:
        key = normal(record_id) or ""
        row = self.store.get(key)
        if row is None:
            raise SalesforceError("INVALID_CROSS_REFERENCE_KEY", f"invalid cross reference id {record_id}")
        if row.get("IsDeleted"):
            raise deleted()
        return key

    def _values(self, type: str, fields: Mapping[str, Any]) -> Row:
        sobject, values = OBJECTS[type], {}
        for name, value in fields.items():
            field = sobject.fields[name]
            if field.type == "base64":
                values[f"_{name}"] = None if value is None else self.body(field, value)
            else:
                values[name] = convert(field, value)
        return values

    def body(self, field: Field, value: object) -> dict[str, Any]:
        """Keep a body that came as bytes, a path, base64 text or an already kept blob."""
        if isinstance(value, Blob):
            return files.blob_value(value)
        if isinstance(value, str):
            value = decode_base64(field, value)
        return files.blob_value(self.blobs.put(value))  # type: ignore[arg-type]

    def create(self, kind: str, values: Row, actor: str | None = None) -> str:
        """Insert already converted values inside a transaction of the caller; returns the id."""
        user, moment = actor or self.integration_user, self.moment()
        row: Row = {"Id": values.get("Id") or self.store.next_id(kind), **_DEFAULTS[kind]}
        fields = OBJECTS[kind].fields
        if "CreatedDate" in fields:
            created = values.get("CreatedDate") or moment
            row |= {"CreatedDate": created, "CreatedById": user, "LastModifiedById": values.get("CreatedById") or user}
            row["LastModifiedDate"] = values.get("LastModifiedDate") or created
        if "SystemModstamp" in fields:
            row["SystemModstamp"] = row.get("LastModifiedDate") if values.get("CreatedDate") and not actor else moment
        row.update({name: value for name, value in values.items() if value is not None})
        if "OwnerId" in fields and not row.get("OwnerId") and kind != "ContentVersion":
            row["OwnerId"] = user
        self._complete(kind, row)
        self._check_unique(kind, row)
        if kind == "ContentVersion":
            files.check_version(row)
            self._check_document(row)
            files.create_version(self, row)
        elif kind == "ContentDocumentLink":
            files.create_link(self, row)
        else:
            self.store.put(kind, row)
        return str(row["Id"])

    def _check_document(self, row: Row) -> None:
        document_id = row.get("ContentDocumentId")
        if document_id and not (self.store.get(document_id, "ContentDocument") or {"IsDeleted": True})["IsDeleted"]:
            return
        if document_id:
            raise SalesforceError("ENTITY_IS_DELETED", "entity is deleted", ["ContentDocumentId"])

    def _complete(self, kind: str, row: Row) -> None:
        """Fields that the platform computes."""
        if kind in {"Contact", "User", "Lead"}:
            row["Name"] = " ".join(filter(None, [row.get("FirstName"), row.get("LastName")]))
        if kind in _CLOSED:
            row["IsClosed"] = row.get("Status" if kind == "Case" else "StageName") in _CLOSED[kind]
        if kind == "Case":
            row.setdefault("CaseNumber", f"{1000 + len(self.store.tables['Case']):08d}")
        if kind == "Shipment_Confirmation__c":
            row.setdefault("Name", row["Id"])
        for field in OBJECTS[kind].blob_fields():
            if "BodyLength" in OBJECTS[kind].fields:
                row["BodyLength"] = (row.get(f"_{field.name}") or {"size": 0})["size"]
        if kind == "Attachment":
            files.check_attachment(self, row)
            files.note_email(self, row["ParentId"])

    def _check_unique(self, kind: str, row: Row) -> None:
        for field in OBJECTS[kind].fields.values():
            if field.unique and row.get(field.name) is not None:
                for other in self.store.where(kind, field.name, row[field.name]):
                    if other["Id"] != row["Id"]:
                        text = f"duplicate value found: {field.name} duplicates value on record with id: {other['Id']}"
                        raise SalesforceError("DUPLICATE_VALUE", text, [])

    def change(self, record_id: str, values: Row, actor: str | None = None, *, touch: bool = True) -> None:
        """Change a living record by already converted values, inside a transaction of the caller."""
        kind = kind_of(record_id)
        assert kind is not None
        old = self.store.tables[kind][record_id]
        row, moment = {**old, **values}, self.moment()
        if touch:
            if "LastModifiedDate" in OBJECTS[kind].fields:
                row["LastModifiedDate"] = values.get("LastModifiedDate") or moment
                row["LastModifiedById"] = values.get("LastModifiedById") or actor or self.integration_user
            if "SystemModstamp" in OBJECTS[kind].fields:
                row["SystemModstamp"] = values.get("SystemModstamp") or moment
        self._complete(kind, row)
        self._check_unique(kind, row)
        if kind == "ContentVersion" and ("_VersionData" in values or "ContentUrl" in values):
            row.update(files.body_fields(self, row))
        if kind == "ContentDocument" and row.get("IsArchived") and not old.get("IsArchived"):
            row["ArchivedDate"], row["ArchivedById"] = moment[:10], actor or self.integration_user
        self.store.put(kind, row)
        files.after_change(self, kind, old, row)

    def remove(self, record_id: str, *, hard: bool = False) -> None:
        """Delete a record with everything that goes with it, inside a transaction of the caller."""
        self._remove(record_id, f"{record_id}@{self.moment()}", hard=hard)

    def _remove(self, record_id: str, deletion: str, *, hard: bool) -> None:
        kind = kind_of(record_id)
        assert kind is not None
        row = self.store.tables[kind][record_id]
        if row.get("IsDeleted") and not hard:
            return
        if hard:
            self.purged.append((self.moment(), record_id))
            self.store.forget(kind, record_id)
        else:
            moment = self.moment()
            gone = {"IsDeleted": True, "SystemModstamp": moment, "_deletion": deletion}
            if "LastModifiedDate" in OBJECTS[kind].fields:
                gone["LastModifiedDate"] = moment
            self.store.put(kind, {**row, **gone})
        for child_kind, field in _CASCADES[kind]:
            for key in self.store.keys_where(child_kind, field, record_id):
                if key in self.store.tables[child_kind]:
                    self._remove(key, deletion, hard=hard)

    def undelete(self, record_id: str) -> None:
        """Bring a record back from the bin, with everything that was deleted with it. Raises SalesforceError."""
        key = normal(record_id) or ""
        row = self.store.get(key)
        if row is None or not row.get("IsDeleted"):
            raise SalesforceError("UNDELETE_FAILED", "Entity is not in the recycle bin", [])
        with self.store.transaction():
            self._undelete(key, row["_deletion"])

    def _undelete(self, record_id: str, deletion: str) -> None:
        kind = kind_of(record_id)
        assert kind is not None
        row = self.store.tables[kind][record_id]
        if not row.get("IsDeleted") or row.get("_deletion") != deletion:
            return
        back = {name: value for name, value in row.items() if name != "_deletion"}
        self.store.put(kind, back | {"IsDeleted": False, "SystemModstamp": self.moment()})
        for child_kind, field in _CASCADES[kind]:
            for key in self.store.keys_where(child_kind, field, record_id):
                self._undelete(key, deletion)

    # -- seeding -----------------------------------------------------------------------------------

    def add_file(
        self,
        *,
        title: str,
        path_on_client: str,
        bodies: Sequence[Body],
        owner: str,
        parents: Sequence[FileParent],
        created: datetime,
        extra: Mapping[str, Any] | None = None,
    ) -> FileIds:
        """A file with one version for each body, oldest first, shared with `parents`; `extra` goes to every version."""
        dates = {"CreatedDate": created, "LastModifiedDate": created, "SystemModstamp": created}
        people = {"OwnerId": owner, "CreatedById": owner, "LastModifiedById": owner}
        names = {"Title": title, "PathOnClient": path_on_client}
        versions: list[str] = []
        document_id = None
        with self.store.transaction():
            for body in bodies:
                fields = {**names, "VersionData": body, **people, **dates, **(extra or {})}
                if document_id:
                    fields["ContentDocumentId"] = document_id
                version = self.create("ContentVersion", self._values("ContentVersion", fields))
                document_id = self.store.tables["ContentVersion"][version]["ContentDocumentId"]
                versions.append(version)
            assert document_id is not None
            for parent in parents:
                key = normal(parent.id)
                assert key is not None
                files.put_link(
                    self,
                    document_id,
                    key,
                    share_type=parent.share_type,
                    visibility=parent.visibility,
                    moment=stamp(created),
                )
                files.note_email(self, key)
            if parents:
                self.change(document_id, {"PublishStatus": "P"}, touch=False)
        return FileIds(document_id, tuple(versions))

    def add_attachment(
        self,
        *,
        parent: str,
        name: str,
        body: Body,
        content_type: str,
        owner: str,
        created: datetime,
        is_private: bool = False,
        description: str | None = None,
    ) -> str:
        """A classic Attachment on a record or an e-mail; returns its id."""
        fields = {
            "ParentId": parent,
            "Name": name,
            "Body": body,
            "ContentType": content_type,
            "Description": description,
        }
        people = {"OwnerId": owner, "CreatedById": owner, "LastModifiedById": owner, "IsPrivate": is_private}
        dates = {"CreatedDate": created, "LastModifiedDate": created, "SystemModstamp": created}
        return self.insert("Attachment", fields | people | dates)

    # -- users and sharing -------------------------------------------------------------------------

    def user(
        self,
        *,
        username: str,
        permissions: Iterable[str] = (),
        active: bool = True,
        name: str | None = None,
        external: bool = False,
    ) -> str:
        """Make (or change) the user of this name, with exactly these permissions; returns its id.

        API Enabled is given too, unless "-ApiEnabled" is named.

        Raises ValueError for an unknown permission.
        """
        wanted = (
            frozenset(permissions) | {"ApiEnabled"}
            if "-ApiEnabled" not in permissions
            else frozenset(permissions) - {"-ApiEnabled"}
        )
        if unknown := wanted - set(PERMISSIONS):
            raise ValueError(f"unknown permissions: {', '.join(sorted(unknown))}")
        with self.store.transaction():
            profile = self._profile(wanted)
            kind = "PowerPartner" if external else "Standard"
            values = {"ProfileId": profile, "IsActive": active, "UserType": kind}
            known = self.store.where("User", "Username", username)
            if known:
                user = known[0]["Id"]
                self.change(user, values | ({"LastName": name} if name else {}))
            else:
                shown = name or username.partition("@")[0]
                named = {"Username": username, "LastName": shown, "Email": username, "Alias": shown[:8]}
                user = self.create("User", named | values)
            for assignment in self.store.where("PermissionSetAssignment", "AssigneeId", user):
                self.remove(assignment["Id"], hard=True)
            sets = self.store.tables["PermissionSet"].values()
            own = next(item["Id"] for item in sets if item.get("ProfileId") == profile)
            self.create("PermissionSetAssignment", {"AssigneeId": user, "PermissionSetId": own})
        return str(user)

    def _profile(self, permissions: frozenset[str]) -> str:
        flags = {f"Permissions{name}": name in permissions for name in PERMISSIONS}
        for profile in self.store.tables["Profile"].values():
            if all(profile.get(name, False) == value for name, value in flags.items()):
                return str(profile["Id"])
        digest = hashlib.sha256(repr(sorted(permissions)).encode()).hexdigest()[:8]
        name = "System Administrator" if permissions == set(PERMISSIONS) else f"Profile {digest}"
        profile_id = self.create("Profile", {"Name": name, **flags})
        owned = {"Name": f"X{profile_id}", "Label": name, "IsOwnedByProfile": True, "ProfileId": profile_id}
        self.create("PermissionSet", owned | flags)
        return profile_id

    def share(self, record_id: str, user_id: str, level: str = "Read") -> None:
        """Share a record with a user at level `Read`, `Edit` or `All`; the level `"None"` takes it back."""
        shares = dict(self.store.meta.get("shares", {}))
        record, user = normal(record_id) or "", normal(user_id) or ""
        shares[record] = {**shares.get(record, {}), user: level}
        with self.store.lock:
            self.store.set_meta("shares", shares)

    def restore(self, name: str) -> None:
        """Back to a snapshot. Raises FileNotFoundError."""
        self.store.restore(name)
        self.purged.clear()
        self._set_options(OrgOptions().changed(self.store.meta.get("options", {})))

    def close(self) -> None:
        self.store.journal.close()


def _as_keys(sobject: SObject) -> dict[str, Any]:
    return {name: getattr(sobject, name) for name in SObject.__slots__}


_DEFAULTS: Mapping[str, Row] = {
    kind: {field.name: field.default for field in sobject.fields.values() if field.default is not None}
    for kind, sobject in OBJECTS.items()
}


_CASCADES: dict[str, tuple[tuple[str, str], ...]] = {
    kind: tuple(
        (child.name, field.name)
        for child in OBJECTS.values()
        for field in child.fields.values()
        if kind in field.targets
        and (field.cascade or (child.name, field.name) == ("ContentVersion", "ContentDocumentId"))
    )
    for kind in OBJECTS
}
