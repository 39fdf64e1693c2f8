"""Names in a query: fields, parent paths, child relationships, and how to read them from a row."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from offloader_connectors.salesforce.emulator.objects import OBJECTS
from offloader_connectors.salesforce.emulator.schema import Field, SObject
from offloader_connectors.salesforce.emulator.soql import Path, located
from offloader_connectors.salesforce.emulator.store import Row, kind_of

if TYPE_CHECKING:
    from offloader_connectors.salesforce.emulator.org import Org
    from offloader_connectors.salesforce.emulator.sharing import Access, Actor

#: what can be asked of a parent that may be of several objects ("Name" in the Object Reference)
_NAME_FIELDS = (
    *("Id", "Name", "Type", "FirstName", "LastName", "Email", "Username", "Alias", "IsActive", "Phone", "Title"),
    *("ProfileId", "UserRoleId", "RecordTypeId"),
)
NAME = SObject(
    name="Name",
    prefix=None,
    fields={name: Field(name=name, type="boolean" if name == "IsActive" else "string") for name in _NAME_FIELDS},
    lower={name.lower(): Field(name=name, type="boolean" if name == "IsActive" else "string") for name in _NAME_FIELDS},
)
_APPEND = (
    "{kind} '{name}'. If you are attempting to use a custom {what}, be sure to append the '__{suffix}' after the "
    "{after} name. Please reference your WSDL or the describe call for the appropriate names."
)


@cache
def child_relations(kind: str) -> Mapping[str, tuple[str, str, str]]:
    """Lower-case relationship name -> (relationship name, child object, its field)."""
    found: dict[str, tuple[str, str, str]] = {}
    for child in OBJECTS.values():
        for field in child.fields.values():
            if kind not in field.targets or field.audit or field.name in {"OwnerId", "LatestPublishedVersionId"}:
                continue
            base = child.name.removesuffix("__c")
            plural = base[:-1] + "ies" if base.endswith("y") else base + "s"
            name = f"{plural}__r" if child.custom else plural
            found.setdefault(name.lower(), (name, child.name, field.name))
    return found


@dataclass(frozen=True, slots=True)
class Target:
    """What a path leads to: the steps over relations, the last field, and whether that is the object's `Type`."""

    steps: tuple[Field, ...]
    field: Field
    names: tuple[str, ...]


class Resolver:
    """Resolves the names of one query on one object for one user."""

    def __init__(self, org: Org, access: Access, actor: Actor, text: str, sobject: SObject, alias: str | None) -> None:
        self._org = org
        self._access = access
        self._actor = actor
        self._text = text
        self.sobject = sobject
        self._own_names = {
            sobject.name.lower(),
            alias.lower() if alias and sobject.name != "ContentDocumentLink" else "",
        }

    def target(self, path: Path) -> Target:
        """Raises SalesforceError INVALID_FIELD."""
        names, sobject, steps, shown = path.names, self.sobject, [], []
        if len(names) > 1 and names[0].lower() in self._own_names:
            names = names[1:]
        for name in names[:-1]:
            relation = sobject.relations.get(name.lower())
            if relation is None:
                raise self._no_relation(path, name, sobject)
            steps.append(relation)
            shown.append(relation.relation or name)
            sobject = self._org.objects[relation.targets[0]] if len(relation.targets) == 1 else NAME
        field = sobject.lower.get(names[-1].lower())
        linked = sobject is NAME and steps[-1].name == "LinkedEntityId" and not self._org.options.linked_entity_type
        if field is None or (linked and field.name == "Type"):
            raise self._no_column(path, names[-1], sobject)
        return Target(tuple(steps), field, (*shown, field.name))

    def _no_column(self, path: Path, name: str, sobject: SObject) -> Exception:
        start = f"No such column '{name}' on entity"
        tail = _APPEND.format(kind=start, name=sobject.name, what="field", suffix="c", after="custom field")
        return located(self._text, path.at, "INVALID_FIELD", tail)

    def _no_relation(self, path: Path, name: str, sobject: SObject) -> Exception:
        text = (
            f"Didn't understand relationship '{name}' in field path. If you are attempting to use a custom "
            "relationship, be sure to append the '__r' after the custom relationship name. Please reference your WSDL "
            "or the describe call for the appropriate names."
        )
        return located(self._text, path.at, "INVALID_FIELD", text)

    def parent(self, row: Row, relation: Field) -> Row | None:
        """The row that a reference leads to; None if there is none, it is deleted, or the user may not see it."""
        key = row.get(relation.name)
        found = self._org.store.get(key) if key else None
        if found is None or found.get("IsDeleted"):
            return None
        if self._actor.may("ViewAllData") or kind_of(found["Id"]) in _OPEN or self._access.can_read(self._actor, found):
            return found
        return None

    def getter(self, target: Target) -> Callable[[Row], Any]:
        """A function that reads the target from a row of the query's object."""
        last = leaf(target.field)
        if not target.steps:
            return last
        steps, parent = target.steps, self.parent

        def read(row: Row) -> Any:
            for step in steps:
                found = parent(row, step)
                if found is None:
                    return None
                row = found
            return last(row)

        return read


#: objects that every user may read
_OPEN = {
    "User",
    "Group",
    "RecordType",
    "Organization",
    "Profile",
    "ContentDocument",
    "ContentVersion",
    "ContentWorkspace",
}


def leaf(field: Field) -> Callable[[Row], Any]:
    """A function that reads one field from its own object's row, as SOQL compares and shows it."""
    name = field.name
    if name == "Type" and field.type == "string":
        return lambda row: kind_of(row["Id"])
    if name == "Name" and field.type == "string":
        return lambda row: row.get("Name") or row.get("Subject") or row.get("CaseNumber") or row.get("Title")
    if field.type == "boolean":
        return lambda row: bool(row.get(name))
    if field.type == "base64":
        return lambda row: row.get(f"_{name}") is not None
    return lambda row: row.get(name)
