"""What tables, columns, relationships and keys look like ("Query table definitions using the Web API")."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol
from uuid import UUID

from offloader_connectors.dynamics365.emulator.errors import DataverseError, invalid, no_segment
from offloader_connectors.dynamics365.emulator.ids import normal
from offloader_connectors.dynamics365.emulator.query.documents import Document, Kind, chosen, project
from offloader_connectors.dynamics365.emulator.schema import Choice, Column, Key, Table, Target

if TYPE_CHECKING:
    from offloader_connectors.dynamics365.emulator.org import Org

_NAMESPACE = "Microsoft.Dynamics.CRM."
_LANGUAGE = 1033
MANY_TO_MANY = "many_to_many"
#: by type of column: AttributeType, AttributeTypeName, type of its document
TYPES: Mapping[str, tuple[str, str, str]] = {
    "string": ("String", "StringType", "StringAttributeMetadata"),
    "body": ("String", "StringType", "StringAttributeMetadata"),
    "memo": ("Memo", "MemoType", "MemoAttributeMetadata"),
    "entityname": ("EntityName", "EntityNameType", "EntityNameAttributeMetadata"),
    "integer": ("Integer", "IntegerType", "IntegerAttributeMetadata"),
    "bigint": ("BigInt", "BigIntType", "BigIntAttributeMetadata"),
    "decimal": ("Decimal", "DecimalType", "DecimalAttributeMetadata"),
    "double": ("Double", "DoubleType", "DoubleAttributeMetadata"),
    "money": ("Money", "MoneyType", "MoneyAttributeMetadata"),
    "boolean": ("Boolean", "BooleanType", "BooleanAttributeMetadata"),
    "datetime": ("DateTime", "DateTimeType", "DateTimeAttributeMetadata"),
    "date": ("DateTime", "DateTimeType", "DateTimeAttributeMetadata"),
    "picklist": ("Picklist", "PicklistType", "PicklistAttributeMetadata"),
    "state": ("State", "StateType", "StateAttributeMetadata"),
    "status": ("Status", "StatusType", "StatusAttributeMetadata"),
    "lookup": ("Lookup", "LookupType", "LookupAttributeMetadata"),
    "customer": ("Customer", "CustomerType", "LookupAttributeMetadata"),
    "owner": ("Owner", "OwnerType", "LookupAttributeMetadata"),
    "uniqueidentifier": ("Uniqueidentifier", "UniqueidentifierType", "UniqueIdentifierAttributeMetadata"),
    "file": ("Virtual", "FileType", "FileAttributeMetadata"),
    "image": ("Virtual", "ImageType", "ImageAttributeMetadata"),
}


class Segment(Protocol):
    """One step of a path: its name, and what stands in its parentheses."""

    @property
    def name(self) -> str: ...

    @property
    def arguments(self) -> str | None: ...


def metadata_id(kind: str, name: str) -> str:
    """The MetadataId of a table, column, relationship or key, the same in every run."""
    return str(UUID(bytes=hashlib.sha256(f"{kind} {name}".encode()).digest()[:16], version=4))


def label(text: str) -> Document:
    localized = {"Label": text, "LanguageCode": _LANGUAGE, "IsManaged": True, "MetadataId": metadata_id("label", text)}
    return {"LocalizedLabels": [localized], "UserLocalizedLabel": localized}


def _managed(name: str, value: Any) -> Document:
    return {"Value": value, "CanBeChanged": True, "ManagedPropertyLogicalName": name}


# -- tables ----------------------------------------------------------------------------------------


def entity(table: Table) -> Document:
    """The document of a table."""
    plural = table.set_name
    image = next((column.name for column in table.columns.values() if column.type == "image"), None)
    return {
        "MetadataId": metadata_id("table", table.name),
        "LogicalName": table.name,
        "SchemaName": table.schema_name,
        "EntitySetName": table.set_name,
        "LogicalCollectionName": plural,
        "CollectionSchemaName": plural[:1].upper() + plural[1:] if not table.custom else f"{table.schema_name}s",
        "PrimaryIdAttribute": table.key,
        "PrimaryNameAttribute": table.name_column,
        "PrimaryImageAttribute": image,
        "ObjectTypeCode": table.otc,
        "OwnershipType": table.ownership,
        "TableType": "Standard",
        "HasNotes": table.notes,
        "HasActivities": f"regardingobjectid_{table.name}" in _ACTIVITY_LOOKUPS,
        "ChangeTrackingEnabled": table.tracking,
        "IsOptimisticConcurrencyEnabled": True,
        "IsActivity": table.activity,
        "IsCustomEntity": table.custom,
        "IsManaged": not table.custom,
        "IsPrivate": False,
        "IsIntersect": False,
        "IsLogicalEntity": False,
        "IsRetentionEnabled": False,
        "IsValidForAdvancedFind": True,
        "DisplayName": label(table.label),
        "DisplayCollectionName": label(f"{table.label}s"),
        "Description": label(table.label),
        "IsAuditEnabled": _managed("canmodifyauditsettings", False),
        "CanCreateAttributes": _managed("cancreateattributes", table.name != "annotation"),
        "IsCustomizable": _managed("iscustomizable", True),
        "SyncToExternalSearchIndex": table.name == "annotation",
    }


_ACTIVITY_LOOKUPS = {f"regardingobjectid_{name}" for name in ("account", "contact", "lead", "opportunity", "incident")}


# -- columns ---------------------------------------------------------------------------------------


def attribute(table: Table, column: Column, number: int) -> Document:
    """The document of a column, with the properties of its own type."""
    kind, kind_name, document = TYPES[column.type]
    level = "SystemRequired" if column.name == table.key else "ApplicationRequired" if column.required else "None"
    return {
        "@odata.type": f"#{_NAMESPACE}{document}",
        "MetadataId": metadata_id("column", f"{table.name}.{column.name}"),
        "LogicalName": column.name,
        "SchemaName": column.schema_name,
        "EntityLogicalName": table.name,
        "AttributeOf": None,
        "AttributeType": kind,
        "AttributeTypeName": {"Value": kind_name},
        "ColumnNumber": number,
        "DisplayName": label(column.label or column.name),
        "Description": label(column.label or column.name),
        "RequiredLevel": _managed("canmodifyrequirementlevelsettings", level),
        "IsCustomAttribute": column.custom,
        "IsManaged": not column.custom,
        "IsPrimaryId": column.name == table.key,
        "IsPrimaryName": column.name == table.name_column,
        "IsLogical": False,
        "IsValidForCreate": column.create,
        "IsValidForUpdate": column.update,
        "IsValidForRead": column.readable,
        "IsValidODataAttribute": True,
        "IsFilterable": column.type not in {"body", "image"},
        "IsSecured": False,
        "IsCustomizable": _managed("iscustomizable", True),
        "IsAuditEnabled": _managed("canmodifyauditsettings", False),
        **_of_type(column),
    }


def _of_type(column: Column) -> Document:
    """What only columns of this type have."""
    kind = column.type
    if kind in {"string", "body", "memo"}:
        length = column.length or (2000 if kind == "memo" else 100)
        found: Document = {"MaxLength": length, "FormatName": {"Value": column.format or "Text"}, "ImeMode": "Auto"}
        return found | {"Format": "Text" if kind != "memo" else "TextArea"}
    if kind in {"integer", "decimal", "double", "money"}:
        return _numeric(column)
    if kind in {"datetime", "date"}:
        shown = column.format or ("DateOnly" if kind == "date" else "DateAndTime")
        return {"Format": shown, "DateTimeBehavior": {"Value": "DateOnly" if kind == "date" else "UserLocal"}}
    if kind in {"file", "image"}:
        return _stored(column)
    if column.is_lookup:
        return {"Targets": [target.table for target in column.targets], "Format": "None"}
    default = -1 if column.default is None else column.default
    named = {"DefaultValue": bool(column.default)} if kind == "boolean" else {"DefaultFormValue": default}
    return named if column.choices or kind == "boolean" else {}


def _stored(column: Column) -> Document:
    if column.type == "file":
        return {"MaxSizeInKB": column.max_kib or 32_768}
    found: Document = {"MaxSizeInKB": column.max_kib or 10_240, "CanStoreFullImage": column.full, "MaxHeight": 144}
    return found | {"MaxWidth": 144, "IsPrimaryImage": column.name == "entityimage"}


def _numeric(column: Column) -> Document:
    widest = 2_147_483_647 if column.type == "integer" else 100_000_000_000.0
    found: Document = {"MinValue": -widest - 1 if column.type == "integer" else -widest, "MaxValue": widest}
    if column.low is not None:
        found["MinValue"] = column.low
    if column.high is not None:
        found["MaxValue"] = column.high
    if column.type == "integer":
        return found | {"Format": column.format or "None"}
    return found | {"Precision": 2 if column.precision is None else column.precision}


def option_set(table: Table, column: Column) -> Document | None:
    """The options of a choice or of a yes/no."""
    name = f"{table.name}_{column.name}"
    found: Document = {"MetadataId": metadata_id("options", name), "Name": name, "IsGlobal": False}
    found |= {"IsCustomOptionSet": column.custom, "DisplayName": label(column.label or column.name)}
    if column.type == "boolean":
        choices = column.choices or (Choice(0, "No"), Choice(1, "Yes"))
        ways = {"TrueOption": choices[1], "FalseOption": choices[0]}
        return found | {"OptionSetType": "Boolean"} | {way: _option(choice) for way, choice in ways.items()}
    if not column.choices:
        return None
    kind = {"state": "State", "status": "Status"}.get(column.type, "Picklist")
    return found | {"OptionSetType": kind, "Options": [_option(choice) for choice in column.choices]}


def _option(choice: Choice) -> Document:
    found: Document = {"Value": choice.value, "Label": label(choice.label), "Description": label(""), "Color": None}
    return found if choice.state is None else {**found, "State": choice.state}


# -- relationships and keys ------------------------------------------------------------------------


def relationships(org: Org) -> list[Document]:
    """The documents of all one-to-many relationships."""
    return [
        relationship(org, table, column, target)
        for table in org.schema.tables.values()
        for column in table.lookups
        for target in column.targets
    ]


def relationship(org: Org, table: Table, column: Column, target: Target) -> Document:
    """The document of one target of a lookup."""
    cascade = {"Assign": "NoCascade", "Delete": target.deletion, "Merge": "NoCascade", "Reparent": "NoCascade"}
    cascade |= {"Share": "NoCascade", "Unshare": "NoCascade", "RollupView": "NoCascade", "Archive": target.deletion}
    parent = org.schema.tables.get(target.table)
    return {
        "@odata.type": f"#{_NAMESPACE}OneToManyRelationshipMetadata",
        "MetadataId": metadata_id("relationship", f"{table.name}.{column.name}.{target.table}"),
        "SchemaName": target.collection,
        "RelationshipType": "OneToManyRelationship",
        "ReferencedEntity": target.table,
        "ReferencedAttribute": parent.key if parent else f"{target.table}id",
        "ReferencedEntityNavigationPropertyName": target.collection,
        "ReferencingEntity": table.name,
        "ReferencingAttribute": column.name,
        "ReferencingEntityNavigationPropertyName": target.navigation,
        "CascadeConfiguration": cascade,
        "IsCustomRelationship": table.custom or column.custom,
        "IsManaged": not (table.custom or column.custom),
        "IsValidForAdvancedFind": True,
        "SecurityTypes": "None",
    }


def many_to_many(org: Org) -> list[Document]:
    return list(org.store.meta.get(MANY_TO_MANY, ()))


def key_document(table: Table, key: Key) -> Document:
    return {
        "MetadataId": key.id or metadata_id("key", f"{table.name}.{key.name}"),
        "SchemaName": key.name,
        "LogicalName": key.name.lower(),
        "EntityLogicalName": table.name,
        "KeyAttributes": list(key.columns),
        "EntityKeyIndexStatus": "Active",
        "DisplayName": label(key.label or key.name),
        "IsManaged": not table.custom,
    }


# -- reading ---------------------------------------------------------------------------------------

_BASE = {
    "MetadataId", "LogicalName", "SchemaName", "EntityLogicalName", "AttributeOf", "AttributeType", "AttributeTypeName",
    "ColumnNumber", "DisplayName", "Description", "RequiredLevel", "IsCustomAttribute", "IsManaged", "IsPrimaryId",
    "IsPrimaryName", "IsLogical", "IsValidForCreate", "IsValidForUpdate", "IsValidForRead", "IsValidODataAttribute",
    "IsFilterable", "IsSecured", "IsCustomizable", "IsAuditEnabled",
}  # fmt: skip
_ARGUMENT = re.compile(r"\s*(?:(\w+)\s*=\s*)?'?([^']*)'?\s*")


def attributes(table: Table) -> list[Document]:
    """The documents of all columns of a table."""
    return [attribute(table, column, number) for number, column in enumerate(table.columns.values(), 1)]


def _plain(name: str, documents: Sequence[Document]) -> Kind:
    return Kind(name, {key for document in documents for key in document if not key.startswith("@")}, {})


class Definitions:
    """Answers for the resources below EntityDefinitions and RelationshipDefinitions."""

    def __init__(self, org: Org) -> None:
        self._org = org

    def table(self, arguments: str | None) -> Table:
        """By MetadataId or LogicalName. Raises DataverseError 404."""
        match = _ARGUMENT.fullmatch(arguments or "")
        value = (match[2] if match else "").lower()
        for table in self._org.schema.tables.values():
            if value in {table.name, metadata_id("table", table.name)}:
                return table
        raise DataverseError(
            404, "0x80041102", f"The entity with a name = '{value}' was not found in the MetadataCache."
        )

    def column(self, table: Table, arguments: str | None) -> Column:
        """By MetadataId or LogicalName. Raises DataverseError 404."""
        match = _ARGUMENT.fullmatch(arguments or "")
        value = (match[2] if match else "").lower()
        for column in table.columns.values():
            if value in {column.name, metadata_id("column", f"{table.name}.{column.name}")}:
                return column
        text = f"Could not find an attribute with name '{value}' in table '{table.name}'."
        raise DataverseError(404, "0x80044408", text)

    def read(self, segments: Sequence[Segment], options: Mapping[str, str]) -> Document:
        """JSON of a metadata resource. Raises DataverseError."""
        first, rest = segments[0], segments[1:]
        if first.name == "RelationshipDefinitions":
            return self._relationships(first, rest, options)
        if first.name == "GlobalOptionSetDefinitions":
            return self._answer(first.name, [])
        if first.name != "EntityDefinitions":
            raise no_segment(first.name)
        if first.arguments is None:
            documents = [entity(table) for table in self._org.schema.tables.values()]
            return self._answer(_selecting("EntityDefinitions", options), chosen(documents, options, self._entities()))
        table = self.table(first.arguments)
        if not rest:
            found = project(entity(table), options, self._entities())
            return {"@odata.context": self._context(_selecting("EntityDefinitions", options) + "/$entity"), **found}
        return self._below(table, rest, options)

    def _below(self, table: Table, rest: Sequence[Segment], options: Mapping[str, str]) -> Document:
        name = rest[0].name
        where = f"EntityDefinitions('{table.name}')/{name}"
        if name == "Attributes":
            return self._attributes(table, rest, options, where)
        if name in _RELATED:
            documents = _RELATED[name](self._org, table)
            return self._answer(where, chosen(documents, options, _plain("RelationshipMetadataBase", documents)))
        if name == "Keys":
            documents = [key_document(table, key) for key in table.keys.values()]
            if rest[0].arguments is not None:
                wanted = (_ARGUMENT.fullmatch(rest[0].arguments) or [""] * 3)[2]
                documents = [one for one in documents if wanted in {one["MetadataId"], one["LogicalName"]}]
                if not documents:
                    raise DataverseError(404, "0x80060890", "A record key specified is not defined.")
                return {"@odata.context": self._context(f"{where}/$entity"), **documents[0]}
            return self._answer(where, chosen(documents, options, _plain("EntityKeyMetadata", documents)))
        raise no_segment(name)

    def _attributes(self, table: Table, rest: Sequence[Segment], options: Mapping[str, str], where: str) -> Document:
        cast = rest[1].name.removeprefix(_NAMESPACE) if len(rest) > 1 else None
        if cast is not None and not any(cast == document for _, _, document in TYPES.values()):
            raise no_segment(rest[1].name)
        if cast is not None:
            where = f"{where}/{_NAMESPACE}{cast}"
        if rest[0].arguments is None:
            documents = [
                one for one in attributes(table) if cast is None or one["@odata.type"] == f"#{_NAMESPACE}{cast}"
            ]
            kind = self._columns(table, cast, documents)
            if cast is not None:
                documents = [_untyped(document) for document in documents]
            return self._answer(_selecting(where, options), chosen(documents, options, kind))
        column = self.column(table, rest[0].arguments)
        document = attribute(table, column, 1 + list(table.columns).index(column.name))
        if cast is not None and document["@odata.type"] != f"#{_NAMESPACE}{cast}":
            raise invalid(f"The column '{column.name}' is no {cast}.")
        if len(rest) > 2 and rest[2].name in {"OptionSet", "GlobalOptionSet"}:
            found = option_set(table, column) if rest[2].name == "OptionSet" else None
            return {"@odata.context": self._context(f"{where}/{rest[2].name}"), **(found or {})}
        kind = self._columns(table, cast, [document])
        if cast is not None:
            document = _untyped(document)
        elif not options.get("$select"):
            kind = Kind(kind.name, set(document), kind.expansions)
        context = self._context(f"{_selecting(where, options)}/$entity")
        return {"@odata.context": context, **project(document, options, kind)}

    def _columns(self, table: Table, cast: str | None, documents: Sequence[Document]) -> Kind:
        known = set(_BASE) if cast is None else _BASE.union(*documents)

        def options(document: Document) -> Document | None:
            return option_set(table, table.columns[document["LogicalName"]])

        expansions: dict[str, Callable[[Document], Any]] = {}
        if cast is not None:
            expansions = {"OptionSet": options, "GlobalOptionSet": lambda _: None}
        return Kind(cast or "AttributeMetadata", known, expansions)

    def _entities(self) -> Kind:
        org = self._org

        def columns(document: Document) -> Any:
            table = org.table(document["LogicalName"])
            return attributes(table), self._columns(table, None, ())

        def related(read: Callable[[Org, Table], list[Document]]) -> Callable[[Document], Any]:
            def expand(document: Document) -> Any:
                documents = read(org, org.table(document["LogicalName"]))
                return documents, _plain("RelationshipMetadataBase", documents)

            return expand

        def keys(document: Document) -> Any:
            table = org.table(document["LogicalName"])
            documents = [key_document(table, key) for key in table.keys.values()]
            return documents, _plain("EntityKeyMetadata", documents)

        expansions = {"Attributes": columns, "Keys": keys, **{name: related(read) for name, read in _RELATED.items()}}
        return Kind("EntityMetadata", set(_ENTITY), expansions)

    def _relationships(self, first: Segment, rest: Sequence[Segment], options: Mapping[str, str]) -> Document:
        documents = [*relationships(self._org), *many_to_many(self._org)]
        cast = rest[0].name.removeprefix(_NAMESPACE) if rest else None
        if cast is not None:
            documents = [one for one in documents if one["@odata.type"] == f"#{_NAMESPACE}{cast}"]
        kind = _plain("RelationshipMetadataBase", documents)
        if first.arguments is None:
            return self._answer("RelationshipDefinitions", chosen(documents, options, kind))
        match = _ARGUMENT.fullmatch(first.arguments)
        value = match[2] if match else ""
        wanted = normal(value) or value
        for document in documents:
            if wanted in {document["MetadataId"], document["SchemaName"]}:
                context = self._context("RelationshipDefinitions/$entity")
                return {"@odata.context": context, **project(document, options, kind)}
        raise DataverseError(404, "0x80040217", f"Could not find a relationship with name or id '{value}'.")

    def _context(self, what: str) -> str:
        return f"{self._org.root}$metadata#{what}"

    def _answer(self, what: str, documents: Iterable[Document]) -> Document:
        return {"@odata.context": self._context(what), "value": list(documents)}


def _selecting(where: str, options: Mapping[str, str]) -> str:
    names = (options.get("$select") or "").replace(" ", "")
    return f"{where}({names})" if names else where


def _untyped(document: Document) -> Document:
    return {name: value for name, value in document.items() if name != "@odata.type"}


def _one_to_many(org: Org, table: Table) -> list[Document]:
    return [_untyped(one) for one in relationships(org) if one["ReferencedEntity"] == table.name]


def _many_to_one(org: Org, table: Table) -> list[Document]:
    return [_untyped(relationship(org, table, column, target)) for column in table.lookups for target in column.targets]


def _many_to_many(org: Org, table: Table) -> list[Document]:
    ends = ("Entity1LogicalName", "Entity2LogicalName")
    return [_untyped(one) for one in many_to_many(org) if table.name in {one[end] for end in ends}]


_RELATED: Mapping[str, Callable[[Any, Table], list[Document]]] = {
    "OneToManyRelationships": _one_to_many,
    "ManyToOneRelationships": _many_to_one,
    "ManyToManyRelationships": _many_to_many,
}
_ENTITY = entity(
    Table(name="any", set_name="anys", key="anyid", name_column=None, otc=0, columns={}, schema_name="Any", label="any")
)


def changes(org: Org, query: Mapping[str, Any]) -> Document:
    """RetrieveMetadataChanges: tables and columns that fulfil a query, with the properties it names.

    Raises DataverseError.
    """
    found = []
    for table in org.schema.tables.values():
        document = entity(table)
        if _fulfils(document, query.get("Criteria")):
            names = (query.get("Properties") or {}).get("PropertyNames") or list(document)
            kept: Document = {name: document[name] for name in names if name in document}
            kept["MetadataId"] = document["MetadataId"]
            if query.get("AttributeQuery"):
                kept["Attributes"] = _columns_of(table, query["AttributeQuery"])
            found.append(kept)
    context = f"{org.root}$metadata#Microsoft.Dynamics.CRM.RetrieveMetadataChangesResponse"
    stamp = f"{org.store.version}!{org.moment()}"
    return {"@odata.context": context, "ServerVersionStamp": stamp, "DeletedMetadata": None, "EntityMetadata": found}


def _columns_of(table: Table, query: Mapping[str, Any]) -> list[Document]:
    found = []
    for document in attributes(table):
        if _fulfils(document, query.get("Criteria")):
            names = (query.get("Properties") or {}).get("PropertyNames") or list(document)
            kept = {name: document[name] for name in names if name in document}
            column = table.columns[document["LogicalName"]]
            if "OptionSet" in names and (options := option_set(table, column)):
                kept["OptionSet"] = options
            found.append({"@odata.type": document["@odata.type"], "MetadataId": document["MetadataId"], **kept})
    return found


def _fulfils(document: Document, criteria: Mapping[str, Any] | None) -> bool:
    tests = [_test(document, condition) for condition in (criteria or {}).get("Conditions") or ()]
    tests += [_fulfils(document, inner) for inner in (criteria or {}).get("Filters") or ()]
    return any(tests) if tests and (criteria or {}).get("FilterOperator") == "Or" else all(tests)


def _test(document: Document, condition: Mapping[str, Any]) -> bool:
    held = document.get(condition["PropertyName"])
    value = condition.get("Value")
    wanted = value.get("Value") if isinstance(value, Mapping) else value
    sign = condition.get("ConditionOperator", "Equals")
    if sign in {"Equals", "NotEquals"}:
        return (str(held).lower() == str(wanted).lower()) is (sign == "Equals")
    if sign in {"In", "NotIn"}:
        listed = wanted if isinstance(wanted, list) else str(wanted).split(",")
        return (held in listed) is (sign == "In")
    raise invalid(f"The operator '{sign}' is not supported on metadata.")
