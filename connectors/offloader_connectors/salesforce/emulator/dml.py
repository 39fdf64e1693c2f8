"""Inserts, updates, upserts and deletes as a user may do them: field rules, references, rights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from offloader_connectors.emulation.blobs import Blob
from offloader_connectors.salesforce.emulator import files
from offloader_connectors.salesforce.emulator.errors import (
    SalesforceError,
    bad_id,
    bad_reference,
    deleted,
    integrity,
    no_reference_access,
    no_such_field,
    read_only,
    unwritable,
)
from offloader_connectors.salesforce.emulator.ids import normal
from offloader_connectors.salesforce.emulator.schema import Field, SObject
from offloader_connectors.salesforce.emulator.store import Row, kind_of
from offloader_connectors.salesforce.emulator.values import convert

if TYPE_CHECKING:
    from offloader_connectors.salesforce.emulator.limits import Limits
    from offloader_connectors.salesforce.emulator.org import Org
    from offloader_connectors.salesforce.emulator.sharing import Access, Actor

Bodies = Mapping[str, Blob | bytes]
#: fields of which only the listed values are taken
_RESTRICTED = {"ShareType", "Visibility", "SharingOption", "SharingPrivacy", "ContentLocation", "Origin"}


class MultipleChoices(Exception):
    """An external id names several records."""

    def __init__(self, ids: list[str]) -> None:
        super().__init__(ids)
        self.ids = ids


class Writer:
    """Carries out changes for a user. Each call is all or nothing; the caller holds the store's lock."""

    def __init__(self, org: Org, access: Access, limits: Limits) -> None:
        self._org = org
        self._access = access
        self._limits = limits

    # -- the four operations -----------------------------------------------------------------------

    def insert(self, sobject: SObject, raw: Mapping[str, Any], actor: Actor, bodies: Bodies | None = None) -> str:
        """Returns the new id. Raises SalesforceError."""
        if not sobject.createable:
            text = f"entity type cannot be inserted: {_words(sobject.name)}"
            raise SalesforceError("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", text, [])
        with self._org.store.transaction():
            values = self._values(sobject, raw, actor, bodies or {}, create=True)
            self._check_required(sobject, values)
            self._check_insert(sobject.name, values, actor)
            return self._org.create(sobject.name, values, actor.user_id)

    def update(
        self, sobject: SObject, record_id: str, raw: Mapping[str, Any], actor: Actor, bodies: Bodies | None = None
    ) -> None:
        """Raises SalesforceError."""
        row = self.living(sobject, record_id)
        if not sobject.updateable:
            text = f"entity type cannot be updated: {_words(sobject.name)}"
            raise SalesforceError("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", text, [])
        with self._org.store.transaction():
            values = self._values(sobject, raw, actor, bodies or {}, create=False)
            emptied = [name for name, value in values.items() if value is None and _is_required(sobject, name)]
            if emptied:
                raise _missing(emptied)
            self._check_update(sobject.name, row, values, actor)
            self._org.change(row["Id"], values, actor.user_id)

    def upsert(
        self,
        sobject: SObject,
        field_name: str,
        value: object,
        raw: Mapping[str, Any],
        actor: Actor,
        bodies: Bodies | None = None,
    ) -> tuple[str, bool]:
        """Update the record with this external id, or insert one; returns its id and whether it was inserted.

        Raises SalesforceError, or MultipleChoices.
        """
        field = self.external_field(sobject, field_name)
        if value is None or value == "":
            return self.insert(sobject, raw, actor, bodies), True
        key = convert(field, value)
        if field.name == "Id":
            self.update(sobject, key, raw, actor, bodies)
            return key, False
        found = self._org.store.where(sobject.name, field.name, key)
        if len(found) > 1:
            raise MultipleChoices([row["Id"] for row in found])
        if found:
            self.update(sobject, found[0]["Id"], raw, actor, bodies)
            return found[0]["Id"], False
        return self.insert(sobject, {**raw, field.name: value}, actor, bodies), True

    def delete(self, sobject: SObject | None, record_id: str, actor: Actor, *, hard: bool = False) -> None:
        """Raises SalesforceError; for a record that is gone, the errors that mean "done already"."""
        row = self.living(sobject, record_id)
        kind = kind_of(row["Id"]) or ""
        if not self._org.objects[kind].deletable:
            raise SalesforceError("INVALID_TYPE_FOR_OPERATION", f"entity type cannot be deleted: {_words(kind)}", [])
        if kind == "ContentDocumentLink":
            if files.is_owner_link(self._org, row):
                raise integrity("field integrity exception: []")
            document = self._org.store.get(row["ContentDocumentId"], "ContentDocument")
            allowed = bool(document and self._access.can_edit(actor, document)) or self._entity_editable(row, actor)
        else:
            allowed = self._access.can_delete(actor, row)
        if not allowed:
            raise read_only()
        self._check_deletion(kind, row)
        with self._org.store.transaction():
            self._org.remove(row["Id"], hard=hard)

    def _check_deletion(self, kind: str, row: Row) -> None:
        """Triggers, and look-ups that forbid it ("Lookup Relationship", Salesforce Help). Raises SalesforceError."""
        said = self._org.options.refused_deletions.get(kind)
        if said:
            raise SalesforceError("FIELD_CUSTOM_VALIDATION_EXCEPTION", said, [])
        for lookup in self._org.options.restricted_lookups:
            child, _, name = lookup.partition(".")
            if kind not in self._org.objects[child].fields[name].targets:
                continue
            rows = self._org.store.tables[child].values()
            using = [each for each in rows if each.get(name) == row["Id"] and not each.get("IsDeleted")]
            if using:
                shown = ", ".join(str(each.get("Name") or each.get("CaseNumber") or each["Id"]) for each in using)
                text = (
                    f"Your attempt to delete {row.get('Name') or row['Id']} could not be completed because it is "
                    f"associated with the following {self._org.objects[child].plural.lower()}.: {shown}\n"
                )
                raise SalesforceError("DELETE_FAILED", text, [])

    def _entity_editable(self, link: Row, actor: Actor) -> bool:
        record = self._org.store.get(link["LinkedEntityId"])
        return bool(record and kind_of(record["Id"]) != "User" and self._access.can_edit(actor, record))

    def living(self, sobject: SObject | None, record_id: str) -> Row:
        """The record with this id. Raises SalesforceError: malformed, never there, or in the bin."""
        key = normal(record_id)
        if key is None or (sobject is None and kind_of(key) is None):
            raise SalesforceError("MALFORMED_ID", f"malformed id {record_id}", [])
        if sobject is not None and kind_of(key) != sobject.name:
            raise bad_id(f"{sobject.name} ID", record_id, "Id")
        row = self._org.store.get(key)
        if row is None:
            raise bad_reference()
        if row.get("IsDeleted"):
            raise deleted()
        return row

    def external_field(self, sobject: SObject, name: str) -> Field:
        """The field that an upsert goes by. Raises SalesforceError."""
        field = sobject.lower.get(name.lower())
        if field is None or not (field.external_id or field.name == "Id" or (field.id_lookup and field.unique)):
            text = f"Provided external ID field does not exist or is not accessible: {name}"
            raise SalesforceError("NOT_FOUND", text)
        return field

    # -- values ------------------------------------------------------------------------------------

    def _values(self, sobject: SObject, raw: Mapping[str, Any], actor: Actor, bodies: Bodies, *, create: bool) -> Row:
        values: Row = {}
        refused: list[str] = []
        for name, value in raw.items():
            if name == "attributes":
                continue
            if name.lower() == "id":
                raise SalesforceError("INVALID_FIELD", "The Id field should not be specified in the sobject data.", [])
            relation = sobject.relations.get(name.lower())
            if relation is not None and isinstance(value, Mapping):
                values[relation.name] = self._by_external_id(relation, value)
                continue
            field = sobject.lower.get(name.lower())
            if field is None:
                raise no_such_field(name, sobject.name)
            if self._writable(field, actor, create=create):
                values.update(self._value(field, value))
            else:
                refused.append(field.name)
        if refused:
            raise unwritable(refused)
        for name, body in bodies.items():
            field = sobject.lower.get(name.lower())
            if field is None or field.type != "base64":
                raise no_such_field(name, sobject.name)
            values[f"_{field.name}"] = self._org.body(field, body)
        return values

    def _writable(self, field: Field, actor: Actor, *, create: bool) -> bool:
        if field.audit:
            return create and self._org.options.audit_fields and actor.may("CreateAuditFields")
        return field.createable if create else field.updateable

    def _value(self, field: Field, value: object) -> Row:
        if field.type == "base64":
            return {f"_{field.name}": None if value in {None, ""} else self._org.body(field, value)}
        converted = convert(field, value)
        self._check_value(field, converted)
        return {field.name: converted}

    def _check_value(self, field: Field, value: Any) -> None:
        if value is None:
            return
        if field.name in _RESTRICTED and value not in field.values:
            text = f"{field.label}: bad value for restricted picklist field: {value}"
            raise SalesforceError("INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", text, [field.name])
        if not field.targets:
            return
        if kind_of(value) not in field.targets:
            if field.name == "OwnerId":
                raise integrity(f"Owner ID: id value of incorrect type: {value}", ["OwnerId"])
            raise bad_id(field.label, value, field.name)
        target = self._org.store.get(value)
        if target is None and kind_of(value) == "ContentBody":
            return
        if target is None:
            raise bad_reference([field.name])
        if target.get("IsDeleted"):
            raise SalesforceError("ENTITY_IS_DELETED", "entity is deleted", [], 400)

    def _by_external_id(self, relation: Field, value: Mapping[str, Any]) -> str:
        keys = {name: key for name, key in value.items() if name != "attributes"}
        kind = value.get("attributes", {}).get("type") or relation.targets[0]
        target = self._org.objects.get(str(kind))
        if target is None or len(keys) != 1:
            raise SalesforceError("INVALID_FIELD", f"{relation.relation}: one external id is needed", [])
        name, key = next(iter(keys.items()))
        field = self.external_field(target, name)
        found = self._org.store.where(target.name, field.name, convert(field, key)) if field.name != "Id" else []
        if len(found) != 1:
            text = f"Foreign key external ID: {key} not found for field {name} in entity {target.name}"
            raise SalesforceError("INVALID_FIELD", text, [])
        return str(found[0]["Id"])

    def _check_required(self, sobject: SObject, values: Row) -> None:
        missing = [
            field.name
            for field in sobject.fields.values()
            if field.required
            and values.get(f"_{field.name}" if field.type == "base64" else field.name) is None
            and field.default is None
        ]
        if missing:
            raise _missing(missing)

    # -- rules of objects --------------------------------------------------------------------------

    def _check_insert(self, kind: str, values: Row, actor: Actor) -> None:
        if kind == "ContentVersion":
            self._check_version(values, actor)
        elif kind == "ContentDocumentLink":
            self._check_link(values, actor)
        elif kind in {"Attachment", "Note"}:
            parent = self._org.store.get(values["ParentId"])
            if parent is None or not self._access.can_edit(actor, parent):
                raise no_reference_access()
            self._limits.check_storage((values.get("_Body") or {"size": 0})["size"] if kind == "Attachment" else 0)
        self._check_owner(kind, values, actor)

    def _check_version(self, values: Row, actor: Actor) -> None:
        files.check_version(values)
        document_id = values.get("ContentDocumentId")
        if document_id:
            if values.get("FirstPublishLocationId"):
                raise unwritable(["FirstPublishLocationId"])
            document = self._org.store.get(document_id, "ContentDocument")
            if document is None or not self._access.can_edit(actor, document):
                raise no_reference_access(["ContentDocumentId"])
        elif values.get("ReasonForChange"):
            raise unwritable(["ReasonForChange"])
        place = values.get("FirstPublishLocationId")
        if place and kind_of(place) == "EmailMessage":
            link = {"LinkedEntityId": place, "Visibility": "AllUsers"}
            files.check_link(self._org, link, update_email=actor.may("CanUpdateEmailMessage"))
        if place and kind_of(place) not in {"User", "ContentWorkspace", "CollaborationGroup", "Organization"}:
            record = self._org.store.get(place)
            if record is None or not self._access.can_read(actor, record):
                raise no_reference_access(["FirstPublishLocationId"])
        if kind_of(place or "") == "User" and values.get("OwnerId", place) != place:
            text = "Documents in a user's private library must always be owned by that user."
            raise integrity(text, ["OwnerId"])
        self._limits.add_version((values.get("_VersionData") or {"size": 0})["size"])

    def _check_link(self, values: Row, actor: Actor) -> None:
        document = self._org.store.get(values["ContentDocumentId"], "ContentDocument")
        if document is None or not self._access.can_read(actor, document):
            raise no_reference_access(["ContentDocumentId"])
        if document.get("SharingOption") == "R" and document["OwnerId"] != actor.user_id:
            raise SalesforceError(
                "INSUFFICIENT_ACCESS_OR_READONLY", "You can't share this file: sharing is frozen.", []
            )
        record = self._org.store.get(values["LinkedEntityId"])
        open_kinds = {"User", "Group", "CollaborationGroup", "ContentWorkspace", "Organization"}
        if record is None or (kind_of(record["Id"]) not in open_kinds and not self._access.can_read(actor, record)):
            raise no_reference_access(["LinkedEntityId"])
        files.check_link(self._org, values, update_email=actor.may("CanUpdateEmailMessage"))

    def _check_owner(self, kind: str, values: Row, actor: Actor) -> None:
        owner = values.get("OwnerId")
        if not owner or kind_of(owner) != "User":
            return
        inactive = self._org.options.audit_fields and actor.may("UpdateWithInactiveOwner")
        allowed = inactive and kind not in {"ContentVersion", "ContentDocument"}
        files.check_owner(self._org, owner, inactive_allowed=allowed)

    def _check_update(self, kind: str, row: Row, values: Row, actor: Actor) -> None:
        if kind == "ContentDocumentLink":
            if files.is_owner_link(self._org, row):
                raise integrity("field integrity exception: []")
            self._check_link({**row, **values}, actor)
            return
        if not self._access.can_edit(actor, row):
            raise read_only()
        if kind == "ContentVersion":
            self._check_version_update(row, values)
        if kind == "EmailMessage" and row.get("Status") != "5":
            fixed = [name for name in values if name != "IsExternallyVisible" and not name.endswith("__c")]
            if fixed:
                raise SalesforceError("INSUFFICIENT_ACCESS_OR_READONLY", "Only draft emails can be edited.", fixed)
        gives_away = kind == "ContentDocument" and values.get("OwnerId", row["OwnerId"]) != row["OwnerId"]
        if gives_away and actor.user_id != row["OwnerId"] and not actor.may("ModifyAllData"):
            raise read_only()
        if values.get("OwnerId") != row.get("OwnerId"):
            self._check_owner(kind, values, actor)

    def _check_version_update(self, row: Row, values: Row) -> None:
        if not row["IsLatest"]:
            raise integrity("Only the latest version of a document can be updated.", ["Id"])
        is_link = bool(row.get("ContentUrl"))
        if is_link and "_VersionData" in values:
            raise integrity("VersionData can't be set for links.", ["VersionData"])
        if not is_link and values.get("ContentUrl"):
            raise integrity("Specify only one of these fields: ContentUrl or VersionData.", ["ContentUrl"])


def _is_required(sobject: SObject, name: str) -> bool:
    field = sobject.fields.get(name.removeprefix("_"))
    return field is not None and field.required


def _missing(names: list[str]) -> SalesforceError:
    return SalesforceError("REQUIRED_FIELD_MISSING", f"Required fields are missing: [{', '.join(names)}]", names)


def _words(name: str) -> str:
    return "".join(f" {char}" if char.isupper() and place else char for place, char in enumerate(name))
