"""What the org's metadata say of object types: their fields, what hangs on them, what their deletion wakes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from offloader.errors import ConfigError, OffloaderError, Permanent
from offloader.records import Child, FieldType, OnDelete, RecordType
from offloader_connectors.answers import harmless
from offloader_connectors.salesforce import documents, rows, soql
from offloader_connectors.salesforce.api import Api, is_absent
from offloader_connectors.salesforce.rows import Row

STAMP = "SystemModstamp"
DELETED = "IsDeleted"
LINK, LINKED = "ContentDocumentLink", "LinkedEntityId"
#: days in the recycle bin (Salesforce Help, "View, Restore, and Manage Your Deleted Records")
BIN_DAYS = 15
#: metadata change while a service runs: a field added today must be in tomorrow's archive
_HOLD = timedelta(minutes=10)
#: bodies are read as documents; compound fields repeat others ("Compound Fields", Object Reference)
_NOT_IN_ROWS = frozenset({"base64", "address", "location"})
#: read-only views of other objects (Object Reference), which no query lists by themselves
VIEWS = frozenset(
    {
        "ActivityHistory",
        "AttachedContentDocument",
        "AttachedContentNote",
        "CombinedAttachment",
        "EmailStatus",
        "FolderedContentDocument",
        "LookedUpFromActivity",
        "NoteAndAttachment",
        "OpenActivity",
        "OwnedContentDocument",
        "UserRecordAccess",
    }
)


@dataclass(frozen=True, slots=True)
class Column:
    """One field, as far as queries and writes need it."""

    type: str
    filterable: bool
    creatable: bool


@dataclass(frozen=True, slots=True)
class Known:
    """One type, as described a while ago at most. `whole`: the fields that make a row."""

    type: RecordType
    columns: Mapping[str, Column]
    whole: tuple[str, ...]
    name_field: str | None
    queryable: bool
    deletable: bool
    #: whether the org keeps a log of its deletions
    logged: bool

    @property
    def name(self) -> str:
        return self.type.name


class Types:
    """Reads metadata and remembers them for some minutes. Thread-safe."""

    def __init__(self, api: Api, now: Callable[[], datetime]) -> None:
        self._api = api
        self._now = now
        self._lock = threading.RLock()
        self._known: dict[str, tuple[datetime, Known]] = {}
        self._listed: tuple[datetime, Mapping[str, bool]] | None = None

    def known(self, name: str) -> Known:
        """A type by its API name. Raises ConfigError if the org has none such, or hides it from the user."""
        with self._lock:
            held = self._known.get(name)
            return held[1] if held is not None and self._fresh(held[0]) else self._describe(name)

    def described(self, name: str) -> RecordType:
        """As `known`, read afresh, with what a deletion wakes."""
        with self._lock:
            known = self._describe(name)
        return replace(known.type, automation=self._automation(name))

    def queryable(self) -> Mapping[str, bool]:
        """Every type that the user may see, and whether it can be queried."""
        with self._lock:
            if self._listed is None or not self._fresh(self._listed[0]):
                found = self._api.get("sobjects", "sobjects").record().get("sobjects")
                if not isinstance(found, list):
                    raise rows.malformed("sobjects", "no list of types")
                named = {str(each.get("name")): each.get("queryable") is True for each in found if _is_row(each)}
                self._listed = self._now(), named
            return self._listed[1]

    def _fresh(self, at: datetime) -> bool:
        return timedelta(0) <= self._now() - at < _HOLD

    def _describe(self, name: str) -> Known:
        unknown = ConfigError(
            f"the object type {harmless(name, 80)!r} is not in this Salesforce org, or the running user may not see it"
        )
        if not (name.isascii() and name.isidentifier()):
            raise unknown
        try:
            answer = self._api.get("describe", f"sobjects/{name}/describe").record()
        except Permanent as error:
            raise unknown if is_absent(error) else error from error
        known = _known(answer, self.queryable())
        self._known[name] = self._known[known.name] = self._now(), known
        return known

    # -- what a deletion wakes ----------------------------------------------------------------------------------

    def _automation(self, name: str) -> tuple[str, ...] | None:
        """Active triggers and flows that run when a record of the type is deleted; None if the org does not tell all.

        "ApexTrigger" and "FlowDefinitionView" (Object Reference) name the object by its API name, or, a custom one,
        by the id that "EntityDefinition" calls DurableId. Triggers of deletions are few, so all are read and picked
        from here.
        """
        asked = (
            soql.select(
                "Name, TableEnumOrId, UsageBeforeDelete, UsageAfterDelete",
                "ApexTrigger",
                "Status = 'Active' AND (UsageBeforeDelete = true OR UsageAfterDelete = true)",
            ),
            soql.select(
                "ApiName, Label, TriggerObjectOrEventId",
                "FlowDefinitionView",
                "IsActive = true AND TriggerType = 'RecordBeforeDelete'",
            ),
            soql.select("DurableId, QualifiedApiName", "EntityDefinition", f"QualifiedApiName = {soql.quote(name)}"),
        )
        triggers, flows, entities = self._api.each_query([(each, False) for each in asked])
        if isinstance(triggers, OffloaderError) or isinstance(flows, OffloaderError):
            return None
        if isinstance(entities, OffloaderError):
            return None
        names = {name, *(str(row.get("DurableId"))[:15] for row in entities)}
        woken = [_trigger(row) for row in triggers if _short(row, "TableEnumOrId") in names]
        woken += [f"flow {_shown(row, 'Label', 'ApiName')} before delete" for row in flows if _of(row, names)]
        return tuple(sorted(woken))


def _of(row: Row, names: set[str]) -> bool:
    return _short(row, "TriggerObjectOrEventId") in names


def _short(row: Row, field: str) -> str:
    """An object's name, or the first fifteen characters of its id."""
    value = rows.optional(row, field) or ""
    return value[:15] if value.startswith("01I") else value


def _shown(row: Row, *fields: str) -> str:
    return harmless(next((value for each in fields if (value := rows.optional(row, each))), "without name"), 120)


def _trigger(row: Row) -> str:
    when = [
        word
        for field, word in (("UsageBeforeDelete", "before"), ("UsageAfterDelete", "after"))
        if rows.flag(row, field)
    ]
    return f"trigger {_shown(row, 'Name')} {' and '.join(when)} delete"


def _known(answer: Row, queryable: Mapping[str, bool]) -> Known:
    name = rows.text(answer, "name", "describe")
    fields = _list(answer, "fields", name)
    columns = {
        str(each.get("name")): Column(
            str(each.get("type") or ""), each.get("filterable") is True, each.get("createable") is True
        )
        for each in fields
    }
    described = RecordType(
        name=name,
        label=harmless(rows.optional(answer, "label") or name, 120),
        fields=tuple(_field_type(each) for each in fields),
        children=tuple(_children(_list(answer, "childRelationships", name), queryable)),
        bin_days=BIN_DAYS if answer.get("undeletable") is True else None,
        creatable=answer.get("createable") is True,
    )
    return Known(
        described,
        columns,
        tuple(each for each, column in columns.items() if column.type not in _NOT_IN_ROWS),
        next((str(each.get("name")) for each in fields if each.get("nameField") is True), None),
        answer.get("queryable") is True,
        answer.get("deletable") is True,
        answer.get("replicateable") is True,
    )


def _list(answer: Row, key: str, name: str) -> Sequence[Row]:
    found = answer.get(key)
    if not isinstance(found, list):
        raise rows.malformed("describe", f"no {key} of {name}")
    return [each for each in found if _is_row(each)]


def _is_row(each: Any) -> bool:
    return isinstance(each, Mapping)


def _field_type(each: Row) -> FieldType:
    targets = each.get("referenceTo")
    return FieldType(
        name=rows.text(each, "name", "describe"),
        label=harmless(rows.optional(each, "label") or "", 120),
        type=str(each.get("type") or ""),
        creatable=each.get("createable") is True,
        refers_to=tuple(str(target) for target in targets) if isinstance(targets, list) else (),
    )


def _children(relations: Sequence[Row], queryable: Mapping[str, bool]) -> Iterator[Child]:
    """Children of which anything can be said ("ChildRelationship", SOAP API guide, DescribeSObjectResult).

    One that goes with its parent is named even if it cannot be queried: reading it is an error then, and an error
    keeps the record. A file's link goes with the record, the file itself stays with its owner.
    """
    for each in relations:
        type_name, field = rows.optional(each, "childSObject"), rows.optional(each, "field")
        if type_name is None or field is None or type_name in VIEWS or each.get("deprecatedAndHidden") is True:
            continue
        on_delete = _on_delete(each)
        if on_delete is OnDelete.CLEAR and not queryable.get(type_name):
            continue
        yield Child(type_name, field, on_delete, documents=type_name == documents.ATTACHMENTS)
        if (type_name, field) == (LINK, LINKED):
            yield Child(documents.FILES, LINKED, OnDelete.CLEAR, documents=True)


def _on_delete(relation: Row) -> OnDelete:
    if relation.get("restrictedDelete") is True:
        return OnDelete.RESTRICT
    return OnDelete.CASCADE if relation.get("cascadeDelete") is True else OnDelete.CLEAR
