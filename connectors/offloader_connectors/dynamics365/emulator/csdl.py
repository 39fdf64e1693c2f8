"""The service document and $metadata: the model in CSDL 4.0 ("Web API service documents", OData CSDL)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import quoteattr

from offloader_connectors.dynamics365.emulator.schema import EDM, Column, Schema, Table

if TYPE_CHECKING:
    from offloader_connectors.dynamics365.emulator.org import Org

_HEAD = (
    '<?xml version="1.0" encoding="utf-8"?>'
    '<edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx">'
    "<edmx:DataServices>"
    '<Schema Namespace="Microsoft.Dynamics.CRM" Alias="mscrm" xmlns="http://docs.oasis-open.org/odata/ns/edm">'
)
_TAIL = "</Schema></edmx:DataServices></edmx:Edmx>"
_BASE = '<EntityType Name="crmbaseentity" Abstract="true" />'
_ACCESS_RIGHTS = "ReadAccess WriteAccess AppendAccess AppendToAccess CreateAccess DeleteAccess ShareAccess AssignAccess"
_ENTITY = "mscrm.crmbaseentity"
_STRING, _INT, _LONG, _GUID, _BOOL = "Edm.String", "Edm.Int32", "Edm.Int64", "Edm.Guid", "Edm.Boolean"
_PRINCIPAL = "mscrm.systemuser"

_RESPONSES = {
    "WhoAmIResponse": {"BusinessUnitId": _GUID, "UserId": _GUID, "OrganizationId": _GUID},
    "RetrievePrincipalAccessResponse": {"AccessRights": "mscrm.AccessRights"},
    "RetrieveUserPrivilegesResponse": {"RolePrivileges": "Collection(mscrm.RolePrivilege)"},
    "RolePrivilege": {"Depth": "mscrm.PrivilegeDepth", "PrivilegeId": _GUID, "BusinessUnitId": _GUID,
                      "PrivilegeName": _STRING},
    "FileSasUrlResponse": {"FileName": _STRING, "FileSizeInBytes": _LONG, "MimeType": _STRING, "SasUrl": _STRING},
    "GetFileSasUrlResponse": {"Result": "mscrm.FileSasUrlResponse"},
    "InitializeAnnotationBlocksDownloadResponse": {"FileContinuationToken": _STRING, "FileSizeInBytes": _INT,
                                                   "FileName": _STRING},
    "InitializeAttachmentBlocksDownloadResponse": {"FileContinuationToken": _STRING, "FileSizeInBytes": _INT,
                                                   "FileName": _STRING},
    "InitializeFileBlocksDownloadResponse": {"FileContinuationToken": _STRING, "FileSizeInBytes": _LONG,
                                             "FileName": _STRING, "IsChunkingSupported": _BOOL},
    "DownloadBlockResponse": {"Data": "Edm.Binary"},
    "InitializeAnnotationBlocksUploadResponse": {"FileContinuationToken": _STRING},
    "InitializeAttachmentBlocksUploadResponse": {"FileContinuationToken": _STRING},
    "InitializeFileBlocksUploadResponse": {"FileContinuationToken": _STRING},
    "CommitAnnotationBlocksUploadResponse": {"AnnotationId": _GUID, "FileSizeInBytes": _INT},
    "CommitAttachmentBlocksUploadResponse": {"ActivityMimeAttachmentId": _GUID, "FileSizeInBytes": _INT},
    "CommitFileBlocksUploadResponse": {"FileId": _GUID, "FileSizeInBytes": _LONG},
    "BulkDeleteResponse": {"JobId": _GUID},
    "RetrieveTotalRecordCountResponse": {"EntityRecordCountCollection": "mscrm.EntityRecordCountCollection"},
    "EntityRecordCountCollection": {"Count": _INT, "IsReadOnly": _BOOL, "Keys": "Collection(Edm.String)",
                                    "Values": "Collection(Edm.Int64)"},
    "CreateMultipleResponse": {"Ids": "Collection(Edm.Guid)"},
}  # fmt: skip
#: bound to: nothing, one row, or all rows of a type
_FUNCTIONS: tuple[tuple[str, str | None, dict[str, str], str], ...] = (
    ("WhoAmI", None, {}, "WhoAmIResponse"),
    ("RetrievePrincipalAccess", _PRINCIPAL, {"Target": _ENTITY}, "RetrievePrincipalAccessResponse"),
    ("RetrieveUserPrivileges", _PRINCIPAL, {}, "RetrieveUserPrivilegesResponse"),
    ("GetFileSasUrl", None, {"Target": _ENTITY, "FileAttributeName": _STRING, "DataSource": _STRING},
     "GetFileSasUrlResponse"),
    ("RetrieveTotalRecordCount", None, {"EntityNames": "Collection(Edm.String)"}, "RetrieveTotalRecordCountResponse"),
)  # fmt: skip
_TARGETED = {"Target": _ENTITY}
_COMMIT = {"Target": _ENTITY, "BlockList": "Collection(Edm.String)", "FileContinuationToken": _STRING}
_ACTIONS: tuple[tuple[str, str | None, dict[str, str], str | None], ...] = (
    ("InitializeAnnotationBlocksDownload", None, _TARGETED, "InitializeAnnotationBlocksDownloadResponse"),
    ("InitializeAttachmentBlocksDownload", None, _TARGETED, "InitializeAttachmentBlocksDownloadResponse"),
    ("InitializeFileBlocksDownload", None, {**_TARGETED, "FileAttributeName": _STRING},
     "InitializeFileBlocksDownloadResponse"),
    ("DownloadBlock", None, {"Offset": _LONG, "BlockLength": _LONG, "FileContinuationToken": _STRING},
     "DownloadBlockResponse"),
    ("InitializeAnnotationBlocksUpload", None, _TARGETED, "InitializeAnnotationBlocksUploadResponse"),
    ("InitializeAttachmentBlocksUpload", None, _TARGETED, "InitializeAttachmentBlocksUploadResponse"),
    ("InitializeFileBlocksUpload", None, {**_TARGETED, "FileName": _STRING, "FileAttributeName": _STRING},
     "InitializeFileBlocksUploadResponse"),
    ("UploadBlock", None, {"BlockId": _STRING, "BlockData": "Edm.Binary", "FileContinuationToken": _STRING}, None),
    ("CommitAnnotationBlocksUpload", None, _COMMIT, "CommitAnnotationBlocksUploadResponse"),
    ("CommitAttachmentBlocksUpload", None, _COMMIT, "CommitAttachmentBlocksUploadResponse"),
    ("CommitFileBlocksUpload", None, {"FileName": _STRING, "MimeType": _STRING, "BlockList": "Collection(Edm.String)",
                                      "FileContinuationToken": _STRING}, "CommitFileBlocksUploadResponse"),
    ("DeleteFile", None, {"FileId": _GUID}, None),
    ("BulkDelete", None, {"QuerySet": "Collection(mscrm.QueryExpression)", "JobName": _STRING,
                          "SendEmailNotification": _BOOL, "ToRecipients": f"Collection({_ENTITY})",
                          "CCRecipients": f"Collection({_ENTITY})", "RecurrencePattern": _STRING,
                          "StartDateTime": "Edm.DateTimeOffset"}, "BulkDeleteResponse"),
    ("Restore", None, _TARGETED, None),
    ("GrantAccess", None, {"Target": _ENTITY, "PrincipalAccess": "mscrm.PrincipalAccess"}, None),
    ("RevokeAccess", None, {"Target": _ENTITY, "Revokee": _ENTITY}, None),
)  # fmt: skip


def service_document(org: Org) -> dict[str, Any]:
    """All entity sets, by name and address."""
    sets = sorted(table.set_name for table in org.schema.tables.values())
    listed = [{"name": name, "kind": "EntitySet", "url": name} for name in sets]
    return {"@odata.context": f"{org.root}$metadata", "value": listed}


def document(org: Org) -> bytes:
    """$metadata as XML."""
    return "".join([_HEAD, *_schema(org.schema), _TAIL]).encode()


def _schema(schema: Schema) -> Iterator[str]:
    yield _BASE
    rights = [f'<Member Name="{name}" Value="{1 << bit}" />' for bit, name in enumerate(_ACCESS_RIGHTS.split())]
    yield f'<EnumType Name="AccessRights" IsFlags="true"><Member Name="None" Value="0" />{"".join(rights)}</EnumType>'
    depths = [
        f'<Member Name="{name}" Value="{value}" />' for value, name in enumerate(("Basic", "Local", "Deep", "Global"))
    ]
    yield f'<EnumType Name="PrivilegeDepth">{"".join(depths)}</EnumType>'
    for name in ("expando", "QueryExpression"):
        yield f'<ComplexType Name="{name}" OpenType="true" />'
    yield (
        '<ComplexType Name="PrincipalAccess"><Property Name="AccessMask" Type="mscrm.AccessRights" Nullable="false" />'
        '<NavigationProperty Name="Principal" Type="mscrm.crmbaseentity" /></ComplexType>'
    )
    for name, properties in _RESPONSES.items():
        inside = "".join(f'<Property Name="{key}" Type={quoteattr(kind)} />' for key, kind in properties.items())
        yield f'<ComplexType Name="{name}">{inside}</ComplexType>'
    for table in schema.tables.values():
        yield from _entity(schema, table)
    yield from _operations(schema)
    yield from _container(schema)


def _entity(schema: Schema, table: Table) -> Iterator[str]:
    base = "activitypointer" if table.activity and table.name != "activitypointer" else "crmbaseentity"
    inherited = schema.tables["activitypointer"] if base == "activitypointer" else None
    yield f'<EntityType Name="{table.name}" BaseType="mscrm.{base}">'
    if inherited is None:
        yield f'<Key><PropertyRef Name="{table.key}" /></Key>'
    for column in table.columns.values():
        if inherited is None or column.wire not in inherited.wires:
            yield f'<Property Name="{column.wire}" Type="{EDM[column.type]}"{_facets(column)} />'
    known: set[str] = set(inherited.single) if inherited else set()
    for name, (column, targets) in table.single.items():
        if name not in known:
            yield _single(schema, name, column, table, [target.table for target in targets])
    known = set(schema.collections["activitypointer"]) if inherited else set()
    for name, (child, column) in schema.collections[table.name].items():
        if name not in known:
            yield _collection(schema, name, child, column, table)
    yield _alternate_keys(table)
    yield "</EntityType>"


def _facets(column: Column) -> str:
    if column.type in {"decimal", "money"}:
        return ' Scale="Variable"'
    return ' Unicode="false"' if column.type in {"string", "memo", "body", "entityname"} else ""


def _single(schema: Schema, name: str, column: Column, table: Table, targets: list[str]) -> str:
    kind = targets[0] if len(targets) == 1 else "crmbaseentity"
    back = ""
    if len(targets) == 1:
        target = column.target(targets[0])
        partner = schema.collections.get(targets[0], {}).get(target.collection) if target else None
        if target and partner and partner[0] == table.name and partner[1].name == column.name:
            back = f' Partner="{target.collection}"'
    refers = ""
    if len(targets) == 1 and targets[0] in schema.tables:
        key = schema.tables[targets[0]].key
        refers = f'<ReferentialConstraint Property="{column.wire}" ReferencedProperty="{key}" />'
    return f'<NavigationProperty Name="{name}" Type="mscrm.{kind}" Nullable="true"{back}>{refers}</NavigationProperty>'


def _collection(schema: Schema, name: str, child: str, column: Column, table: Table) -> str:
    target = column.target(table.name) or column.target("activitypointer")
    only = target and len(schema.tables[child].single[target.navigation][1]) == 1
    back = f' Partner="{target.navigation}"' if target and only else ""
    return f'<NavigationProperty Name="{name}" Type="Collection(mscrm.{child})"{back} />'


def _alternate_keys(table: Table) -> str:
    if not table.keys:
        return ""
    records = []
    for key in table.keys.values():
        wires = [table.columns[name].wire for name in key.columns]
        refs = "".join(
            '<Record Type="OData.Community.Keys.V1.PropertyRef">'
            f'<PropertyValue Property="Alias" String="{wire}" /><PropertyValue Property="Name" PropertyPath="{wire}" />'
            "</Record>"
            for wire in wires
        )
        records.append(
            '<Record Type="OData.Community.Keys.V1.AlternateKey"><PropertyValue Property="Key">'
            f"<Collection>{refs}</Collection></PropertyValue></Record>"
        )
    inside = "".join(records)
    return f'<Annotation Term="OData.Community.Keys.V1.AlternateKeys"><Collection>{inside}</Collection></Annotation>'


def _operations(schema: Schema) -> Iterator[str]:
    for name, bound, parameters, response in _FUNCTIONS:
        yield _operation("Function", name, bound, parameters, response)
    for action, bound, parameters, answer in _ACTIONS:
        yield _operation("Action", action, bound, parameters, answer)
    for table in schema.tables.values():
        if table.multiple and table.writable:
            rows = f"Collection(mscrm.{table.name})"
            for message, returned in (("CreateMultiple", "CreateMultipleResponse"), ("UpdateMultiple", None)):
                yield _operation("Action", message, rows, {"Targets": rows}, returned)


def _operation(kind: str, name: str, bound: str | None, parameters: dict[str, str], response: str | None) -> str:
    first = "" if bound is None else f'<Parameter Name="entity" Type="{bound}" Nullable="false" />'
    inside = "".join(f'<Parameter Name="{key}" Type="{value}" />' for key, value in parameters.items())
    back = f'<ReturnType Type="mscrm.{response}" Nullable="false" />' if response else ""
    is_bound = "" if bound is None else ' IsBound="true"'
    return f'<{kind} Name="{name}"{is_bound}>{first}{inside}{back}</{kind}>'


def _container(schema: Schema) -> Iterator[str]:
    yield '<EntityContainer Name="System">'
    for table in schema.tables.values():
        yield f'<EntitySet Name="{table.set_name}" EntityType="Microsoft.Dynamics.CRM.{table.name}">'
        for name, (_, targets) in table.single.items():
            if len(targets) == 1 and targets[0].table in schema.tables:
                goal = schema.tables[targets[0].table].set_name
                yield f'<NavigationPropertyBinding Path="{name}" Target="{goal}" />'
        for name, (child, _) in schema.collections[table.name].items():
            yield f'<NavigationPropertyBinding Path="{name}" Target="{schema.tables[child].set_name}" />'
        yield "</EntitySet>"
    for name, bound, _, _ in _FUNCTIONS:
        if bound is None:
            yield f'<FunctionImport Name="{name}" Function="Microsoft.Dynamics.CRM.{name}" />'
    for name, _, _, _ in _ACTIONS:
        yield f'<ActionImport Name="{name}" Action="Microsoft.Dynamics.CRM.{name}" />'
    yield "</EntityContainer>"
