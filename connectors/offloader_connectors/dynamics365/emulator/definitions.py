"""Tables, columns, relationships and keys come, change and go ("Create and update table definitions using Web API")."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from offloader_connectors.dynamics365.emulator.errors import DataverseError, invalid, unsupported
from offloader_connectors.dynamics365.emulator.metadata import (
    MANY_TO_MANY,
    TYPES,
    Definitions,
    Segment,
    many_to_many,
    metadata_id,
    relationships,
)
from offloader_connectors.dynamics365.emulator.schema import (
    Choice,
    Column,
    Deletion,
    Key,
    Table,
    Target,
    companions,
    read_column,
)
from offloader_connectors.dynamics365.emulator.tables import COMMON

if TYPE_CHECKING:
    from offloader_connectors.dynamics365.emulator.org import Org

_FIRST_TYPE_CODE = 10_300
#: type of column by type of document; of two, the first
_BY_DOCUMENT = {document: name for name, (_, _, document) in reversed(list(TYPES.items()))}


class Designer:
    """Changes the environment's definitions. Every method raises DataverseError."""

    def __init__(self, org: Org) -> None:
        self._org = org
        self._definitions = Definitions(org)

    def write(self, method: str, segments: Sequence[Segment], payload: Mapping[str, Any]) -> str | None:
        """Carry out a POST, PUT or DELETE; the address of what was created, below the root of the API."""
        names = [segment.name for segment in segments[:2]]
        if names == ["EntityDefinitions"]:
            return self._table(method, segments[0], payload)
        if names == ["EntityDefinitions", "Attributes"]:
            return self._attribute(method, segments, payload)
        if names == ["EntityDefinitions", "Keys"]:
            return self._key(method, segments, payload)
        if names == ["RelationshipDefinitions"]:
            return self._relationship(method, segments[0], payload)
        raise unsupported(f"{method} is not supported on this resource.")

    # -- tables ------------------------------------------------------------------------------------

    def _table(self, method: str, segment: Segment, payload: Mapping[str, Any]) -> str | None:
        if method == "POST":
            return f"EntityDefinitions({self.create_table(payload)})"
        table = self._definitions.table(segment.arguments)
        if method == "DELETE":
            if not table.custom:
                raise DataverseError(400, "0x8004f026", f"The table '{table.name}' is a system table and stays.")
            self._forget_targets(table.name)
            self._org.store.drop(table.name)
            return None
        if "DisplayName" in payload:
            table.label = text_of(payload["DisplayName"]) or table.label
        table.notes = bool(payload.get("HasNotes", table.notes))
        table.tracking = bool(payload.get("ChangeTrackingEnabled", table.tracking))
        self._org.store.define(table)
        return None

    def _forget_targets(self, gone: str) -> None:
        """No lookup of another table leads to a table that goes."""
        for table, column, _ in list(self._org.schema.children(gone)):
            left = tuple(target for target in column.targets if target.table != gone)
            if table.name != gone and left:
                table.columns[column.name] = replace(column, targets=left)
                self._org.store.define(table)
            elif table.name != gone:
                self._drop(table, column)

    def create_tables(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        """The action CreateEntities."""
        created = [self.create_table(item) for item in payload.get("Entities") or ()]
        context = f"{self._org.root}$metadata#Microsoft.Dynamics.CRM.CreateEntitiesResponse"
        return {"@odata.context": context, "EntityIds": created}

    def create_table(self, payload: Mapping[str, Any]) -> str:
        """Make a table and return its MetadataId."""
        schema_name = str(payload.get("SchemaName") or "")
        name = schema_name.lower()
        if "_" not in name or not name.replace("_", "").isalnum():
            raise invalid(f"The name '{schema_name}' is not valid: it needs the publisher's prefix.")
        if name in self._org.schema.tables:
            text = f"An entity with the specified name {name} already exists. Specify a unique name."
            raise DataverseError(400, "0x80044363", text)
        given = [_column(item) for item in payload.get("Attributes") or ()]
        primary = next(
            (str(item["SchemaName"]).lower() for item in payload.get("Attributes") or () if item.get("IsPrimaryName")),
            None,
        )
        if primary is None:
            raise invalid("A table needs a primary name column.")
        key = Column(name=f"{name}id", type="uniqueidentifier", update=False, schema_name=f"{schema_name}Id")
        owned = payload.get("OwnershipType", "UserOwned") == "UserOwned"
        common = [*(("owner",) if owned else ()), "state", "audit"]
        lines = [line for block in common for line in COMMON[block].strip().splitlines()]
        version = Column(name="versionnumber", type="bigint", create=False, update=False, schema_name="VersionNumber")
        listed = [key, *given, *(read_column(line, name) for line in lines), version]
        table = Table(
            name=name,
            set_name=plural(name),
            key=key.name,
            name_column=primary,
            otc=max([_FIRST_TYPE_CODE, *(other.otc for other in self._org.schema.tables.values())]) + 1,
            columns={column.name: column for column in listed},
            schema_name=schema_name,
            label=text_of(payload.get("DisplayName")) or schema_name,
            ownership="UserOwned" if owned else "OrganizationOwned",
            notes=bool(payload.get("HasNotes")),
            tracking=bool(payload.get("ChangeTrackingEnabled", True)),
            custom=True,
        )
        for column in given:
            table.columns.update({extra.name: extra for extra in companions(column)})
        self._org.store.define(table.complete())
        self._org.describe(table)
        if table.notes:
            self._allow_notes(table)
        return metadata_id("table", name)

    def _allow_notes(self, table: Table) -> None:
        """Notes can hang on a table whose notes are enabled."""
        notes = self._org.table("annotation")
        lookup = notes.columns["objectid"]
        target = Target(table.name, f"objectid_{table.name}", f"{table.name}_Annotations", "Cascade")
        notes.columns["objectid"] = replace(lookup, targets=(*lookup.targets, target))
        self._org.store.define(notes)

    # -- columns -----------------------------------------------------------------------------------

    def _attribute(self, method: str, segments: Sequence[Segment], payload: Mapping[str, Any]) -> str | None:
        table = self._definitions.table(segments[0].arguments)
        if method == "POST":
            column = _column(payload)
            if column.name in table.columns:
                text = f"An attribute with the specified name {column.name} already exists"
                raise DataverseError(400, "0x80044153", text)
            if table.name == "annotation":
                raise invalid("Columns cannot be added to the table 'annotation'.")
            self._add(table, column)
            return f"{self._address(table)}/Attributes({_column_id(table, column)})"
        column = self._definitions.column(table, segments[1].arguments)
        if method == "DELETE":
            if not column.custom or column.name in {table.key, table.name_column}:
                raise DataverseError(400, "0x8004f026", f"The column '{column.name}' cannot be deleted.")
            self._drop(table, column)
            return None
        changed = _column({**payload, "SchemaName": column.schema_name})
        table.columns[column.name] = replace(
            changed,
            name=column.name,
            type=column.type,
            create=column.create,
            update=column.update,
            targets=column.targets,
            choices=changed.choices or column.choices,
        )
        self._org.store.define(table)
        return None

    def _add(self, table: Table, column: Column) -> None:
        for item in (column, *companions(column)):
            table.columns[item.name] = item
        self._org.store.define(table)
        if column.type == "image":
            fields = {"parententitylogicalname": table.name, "attributelogicalname": column.name}
            self._org.insert("attributeimageconfig", {**fields, "canstorefullimage": column.full})

    def _drop(self, table: Table, column: Column) -> None:
        names = {column.name, *(extra.name for extra in companions(column))}
        with self._org.store.transaction():
            for key, row in list(self._org.store.tables[table.name].items()):
                if names & set(row):
                    if column.type in {"file", "image"}:
                        self._org.clear_file(table.name, key, column.name)
                    left = self._org.store.tables[table.name][key].items()
                    self._org.store.put(table.name, {name: value for name, value in left if name not in names})
        for name in names:
            table.columns.pop(name, None)
        table.keys = {name: key for name, key in table.keys.items() if column.name not in key.columns}
        self._org.store.define(table)

    # -- keys --------------------------------------------------------------------------------------

    def _key(self, method: str, segments: Sequence[Segment], payload: Mapping[str, Any]) -> str | None:
        table = self._definitions.table(segments[0].arguments)
        if method == "POST":
            name = str(payload.get("SchemaName") or "")
            columns = tuple(str(item).lower() for item in payload.get("KeyAttributes") or ())
            if not name or not columns or any(column not in table.columns for column in columns):
                raise invalid("A key needs a name and columns of the table.")
            key_id = metadata_id("key", f"{table.name}.{name}")
            table.keys[name] = Key(
                name=name, columns=columns, id=key_id, label=text_of(payload.get("DisplayName")) or name
            )
            self._org.store.define(table)
            return f"{self._address(table)}/Keys({key_id})"
        if method != "DELETE":
            raise unsupported("A key cannot be changed.")
        document = self._definitions.read(segments, {})
        table.keys = {name: key for name, key in table.keys.items() if name != document["SchemaName"]}
        self._org.store.define(table)
        return None

    # -- relationships -----------------------------------------------------------------------------

    def _relationship(self, method: str, segment: Segment, payload: Mapping[str, Any]) -> str | None:
        if method == "POST":
            many = str(payload.get("@odata.type", "")).endswith("ManyToManyRelationshipMetadata")
            made = self._many_to_many(payload) if many else self._one_to_many(payload)
            return f"RelationshipDefinitions({made})"
        if method != "DELETE":
            raise unsupported("A relationship cannot be changed here.")
        document = self._definitions.read([segment], {})
        if document["RelationshipType"] == "ManyToManyRelationship":
            kept = [one for one in many_to_many(self._org) if one["MetadataId"] != document["MetadataId"]]
            self._org.store.set_meta(MANY_TO_MANY, kept)
            return None
        table = self._org.table(document["ReferencingEntity"])
        column = table.columns[document["ReferencingAttribute"]]
        left = tuple(target for target in column.targets if target.collection != document["SchemaName"])
        if left:
            table.columns[column.name] = replace(column, targets=left)
            self._org.store.define(table)
        else:
            self._drop(table, column)
        return None

    def _one_to_many(self, payload: Mapping[str, Any]) -> str:
        lookup = payload.get("Lookup") or {}
        parent, child = str(payload.get("ReferencedEntity")), str(payload.get("ReferencingEntity"))
        tables = self._org.schema.tables
        if parent not in tables or child not in tables or not lookup.get("SchemaName"):
            raise invalid("A relationship needs two tables that are there, and a lookup.")
        schema_name = str(lookup["SchemaName"])
        name, collection = schema_name.lower(), str(payload.get("SchemaName"))
        if name in tables[child].columns or any(one["SchemaName"] == collection for one in relationships(self._org)):
            raise DataverseError(400, "0x80044153", f"An attribute with the specified name {name} already exists")
        delete = (payload.get("CascadeConfiguration") or {}).get("Delete", "RemoveLink")
        deletion: Deletion = delete if delete in {"Cascade", "Restrict"} else "RemoveLink"
        single = str(payload.get("ReferencingEntityNavigationPropertyName") or schema_name)
        back = str(payload.get("ReferencedEntityNavigationPropertyName") or collection)
        target = Target(parent, single, back, deletion)
        shown = text_of(lookup.get("DisplayName")) or schema_name
        column = Column(name=name, type="lookup", schema_name=schema_name, label=shown, targets=(target,))
        self._add(tables[child], column)
        return metadata_id("relationship", f"{child}.{name}.{parent}")

    def _many_to_many(self, payload: Mapping[str, Any]) -> str:
        name = str(payload.get("SchemaName"))
        first, second = str(payload.get("Entity1LogicalName")), str(payload.get("Entity2LogicalName"))
        if first not in self._org.schema.tables or second not in self._org.schema.tables:
            raise invalid("A relationship needs two tables that are there.")
        if any(one["SchemaName"] == name for one in many_to_many(self._org)):
            raise DataverseError(400, "0x80044153", f"A relationship with the name {name} already exists")
        made = {
            "@odata.type": "#Microsoft.Dynamics.CRM.ManyToManyRelationshipMetadata",
            "MetadataId": metadata_id("relationship", name),
            "SchemaName": name,
            "RelationshipType": "ManyToManyRelationship",
            "Entity1LogicalName": first,
            "Entity1IntersectAttribute": f"{first}id",
            "Entity1NavigationPropertyName": name,
            "Entity2LogicalName": second,
            "Entity2IntersectAttribute": f"{second}id",
            "Entity2NavigationPropertyName": name,
            "IntersectEntityName": str(payload.get("IntersectEntityName") or name).lower(),
            "IsCustomRelationship": True,
        }
        self._org.store.set_meta(MANY_TO_MANY, [*many_to_many(self._org), made])
        return made["MetadataId"] if isinstance(made["MetadataId"], str) else ""

    def _address(self, table: Table) -> str:
        return f"EntityDefinitions({metadata_id('table', table.name)})"


def _column_id(table: Table, column: Column) -> str:
    return metadata_id("column", f"{table.name}.{column.name}")


def text_of(label: Any) -> str | None:
    """The text of a Label document."""
    labels = label.get("LocalizedLabels") if isinstance(label, Mapping) else None
    return str(labels[0].get("Label")) if labels else None


def plural(name: str) -> str:
    """The set name that the platform gives to a new table."""
    if name.endswith("y") and name[-2:-1] not in "aeiou":
        return f"{name[:-1]}ies"
    return f"{name}es" if name.endswith(("s", "x", "z", "ch", "sh")) else f"{name}s"


def _column(payload: Mapping[str, Any]) -> Column:
    """A column from its document, in either of the two spellings of its type."""
    document = str(payload.get("@odata.type", "")).lstrip("#").removeprefix("Microsoft.Dynamics.CRM.")
    kind = _BY_DOCUMENT.get(document.removeprefix("Complex"))
    schema_name = str(payload.get("SchemaName") or "")
    if kind is None or not schema_name:
        raise invalid(f"A column needs a name and a known type; '{document}' is none.")
    if kind == "datetime" and payload.get("Format") == "DateOnly":
        kind = "date"
    required = (payload.get("RequiredLevel") or {}).get("Value", "None")
    text_format = (payload.get("FormatName") or {}).get("Value") or payload.get("Format")
    return Column(
        name=schema_name.lower(),
        type=kind,
        schema_name=schema_name,
        label=text_of(payload.get("DisplayName")) or schema_name,
        length=int(payload.get("MaxLength") or 0),
        required=required in {"ApplicationRequired", "SystemRequired"},
        choices=_choices(payload.get("OptionSet") or {}),
        default=False if kind == "boolean" else None,
        max_kib=int(payload.get("MaxSizeInKB") or (32_768 if kind == "file" else 10_240 if kind == "image" else 0)),
        full=bool(payload.get("CanStoreFullImage")),
        low=payload.get("MinValue"),
        high=payload.get("MaxValue"),
        precision=payload.get("Precision"),
        format=str(text_format) if text_format else None,
    )


def _choices(options: Mapping[str, Any]) -> tuple[Choice, ...]:
    if "TrueOption" in options:
        return tuple(
            Choice(value, text_of(options[way].get("Label")) or way)
            for value, way in ((0, "FalseOption"), (1, "TrueOption"))
        )
    listed = options.get("Options") or ()
    return tuple(Choice(int(item["Value"]), text_of(item.get("Label")) or str(item["Value"])) for item in listed)
