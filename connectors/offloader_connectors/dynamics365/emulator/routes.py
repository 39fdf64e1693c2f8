"""Which call a method and a path are, its stable name, and what carries it out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from offloader_connectors.dynamics365.emulator import blocks, bulk, columns, messages, records, routes_metadata
from offloader_connectors.dynamics365.emulator.batch import Batch, boundary_of, parse_batch
from offloader_connectors.dynamics365.emulator.calls import Call, Handler, file_column
from offloader_connectors.dynamics365.emulator.errors import DataverseError, no_segment
from offloader_connectors.dynamics365.emulator.paths import NAMESPACE, Segment, bad_url
from offloader_connectors.dynamics365.emulator.schema import Schema, Table
from offloader_connectors.emulation.wire import Answer


@dataclass(frozen=True, slots=True)
class Resource:
    """What a call does, and the name under which it is counted."""

    operation: str
    handler: Handler


def batch(call: Call) -> Answer:
    """`$batch`."""
    if call.inner:
        raise DataverseError(400, "0x80060888", "A batch request cannot be part of a batch request.")
    boundary = boundary_of(call.header("content-type") or "")
    return Batch(call, parse_batch(call.request.body, boundary, call.app.protocol.batch_operations)).run()


#: functions and actions of the root: (method, name) -> resource
_MESSAGES: Mapping[tuple[str, str], Resource] = {
    ("GET", "WhoAmI"): Resource("whoami", messages.who_am_i),
    ("GET", "RetrieveVersion"): Resource("RetrieveVersion", messages.version),
    ("GET", "RetrieveCurrentOrganization"): Resource("RetrieveCurrentOrganization", messages.current_organization),
    ("GET", "RetrieveTotalRecordCount"): Resource("count", messages.total_record_count),
    ("GET", "RetrieveSharedPrincipalsAndAccess"): Resource(
        "RetrieveSharedPrincipalsAndAccess", messages.shared_principals
    ),
    ("GET", "GetFileSasUrl"): Resource("sas", blocks.download_address),
    ("GET", "RetrieveMetadataChanges"): Resource("metadata", routes_metadata.changes),
    ("POST", "CreateEntities"): Resource("metadata", routes_metadata.create_tables),
    ("POST", "PublishXml"): Resource("metadata", routes_metadata.publish),
    ("POST", "PublishAllXml"): Resource("metadata", routes_metadata.publish),
    ("POST", "GrantAccess"): Resource("GrantAccess", messages.grant_access),
    ("POST", "ModifyAccess"): Resource("ModifyAccess", messages.grant_access),
    ("POST", "RevokeAccess"): Resource("RevokeAccess", messages.revoke_access),
    ("POST", "Restore"): Resource("Restore", messages.restore),
    ("POST", "BulkDelete"): Resource("bulkdelete", bulk.bulk_delete),
    ("POST", "DeleteFile"): Resource("deletefile", columns.delete_file),
    ("POST", "InitializeAnnotationBlocksDownload"): Resource("blocks.init", blocks.begin_note_download),
    ("POST", "InitializeAttachmentBlocksDownload"): Resource("blocks.init", blocks.begin_attachment_download),
    ("POST", "InitializeFileBlocksDownload"): Resource("blocks.init", blocks.begin_file_download),
    ("POST", "InitializeAnnotationBlocksUpload"): Resource("blocks.init", blocks.begin_note_upload),
    ("POST", "InitializeAttachmentBlocksUpload"): Resource("blocks.init", blocks.begin_attachment_upload),
    ("POST", "InitializeFileBlocksUpload"): Resource("blocks.init", blocks.begin_file_upload),
    ("POST", "DownloadBlock"): Resource("blocks.download", blocks.download_block),
    ("POST", "UploadBlock"): Resource("blocks.upload", blocks.upload_block),
    ("POST", "CommitAnnotationBlocksUpload"): Resource("blocks.commit", blocks.commit_note),
    ("POST", "CommitAttachmentBlocksUpload"): Resource("blocks.commit", blocks.commit_attachment),
    ("POST", "CommitFileBlocksUpload"): Resource("blocks.commit", blocks.commit_file),
}
_NAMES = {name for _, name in _MESSAGES}
#: actions bound to a set, functions bound to a record
_BOUND: Mapping[tuple[str, str], Resource] = {
    ("POST", "CreateMultiple"): Resource("CreateMultiple", bulk.create_multiple),
    ("POST", "UpdateMultiple"): Resource("UpdateMultiple", bulk.update_multiple),
    ("POST", "UpsertMultiple"): Resource("UpsertMultiple", bulk.upsert_multiple),
    ("POST", "DeleteMultiple"): Resource("DeleteMultiple", bulk.delete_multiple),
    ("POST", "Restore"): Resource("Restore", messages.restore),
    ("GET", "RetrievePrincipalAccess"): Resource("access", messages.principal_access),
    ("GET", "RetrieveUserPrivileges"): Resource("privileges", messages.user_privileges),
}


def resource(schema: Schema, method: str, path: tuple[Segment, ...], query: Mapping[str, str]) -> Resource:
    """Raises DataverseError for a call that there is not."""
    if not path:
        return Resource("metadata", routes_metadata.service_document)
    first = path[0]
    if first.name == "$batch" and len(path) == 1:
        return _only(method, "POST", Resource("batch", batch))
    if first.name == "$metadata" and len(path) == 1:
        return _only(method, "GET", Resource("metadata", routes_metadata.schema))
    if first.name in routes_metadata.SETS:
        return Resource("metadata", routes_metadata.definitions)
    if first.name in _NAMES and len(path) == 1:
        found = _MESSAGES.get((method, first.name))
        if found is None:
            raise _not_allowed(method)
        return found
    table = schema.sets.get(first.name)
    if table is None:
        raise no_segment(first.name)
    steps = {1: _row_or_set, 2: _below, 3: _deeper}.get(len(path))
    found = steps(schema, table, method, path, query) if steps else None
    if found is None:
        raise bad_url()
    return found


def _not_allowed(method: str) -> DataverseError:
    return DataverseError(405, "0x8006088b", f"The requested resource does not support http method '{method}'.")


def _only(method: str, wanted: str, found: Resource) -> Resource:
    if method != wanted:
        raise _not_allowed(method)
    return found


def _choice(method: str, known: Mapping[str, Resource]) -> Resource:
    found = known.get("GET" if method == "HEAD" else method)
    if found is None:
        raise _not_allowed(method)
    return found


Steps = tuple[Segment, ...]


def _row_or_set(schema: Schema, table: Table, method: str, path: Steps, query: Mapping[str, str]) -> Resource:
    name = table.name
    if path[0].arguments is not None:
        known = {
            "GET": Resource(f"get.{name}", records.read),
            "PATCH": Resource(f"patch.{name}", records.changed),
            "DELETE": Resource(f"delete.{name}", records.deleted),
        }
        return _choice(method, known)
    tracked = "$deltatoken" in query
    lists = Resource(f"{'delta' if tracked else 'list'}.{name}", records.listed)
    return _choice(method, {"GET": lists, "POST": Resource(f"create.{name}", records.created)})


def _below(schema: Schema, table: Table, method: str, path: Steps, query: Mapping[str, str]) -> Resource | None:
    step = path[1]
    if step.name == "$count":
        return _only(method, "GET", Resource("count", records.counted))
    if step.name.startswith(NAMESPACE):
        found = _BOUND.get((method, step.name.removeprefix(NAMESPACE)))
        if found is None:
            raise no_segment(step.name)
        return found
    if path[0].arguments is None:
        return None
    if file_column(table, step.name) is not None:
        known = {
            "GET": Resource("column.get", columns.read),
            "PATCH": Resource("column.patch", columns.write),
            "PUT": Resource("column.patch", columns.write),
            "DELETE": Resource("column.delete", columns.delete),
        }
        return _choice(method, known)
    if step.name in table.wires:
        name = table.name
        known = {
            "GET": Resource(f"get.{name}", records.read_property),
            "PUT": Resource(f"patch.{name}", records.write_property),
            "PATCH": Resource(f"patch.{name}", records.write_property),
            "DELETE": Resource(f"patch.{name}", records.clear_property),
        }
        return _choice(method, known)
    return _only(method, "GET", Resource(_navigation(schema, table, step.name), records.navigated))


def _navigation(schema: Schema, table: Table, name: str) -> str:
    """`list.<child>` or `get.<table>`; raises DataverseError for a property that there is not."""
    found = schema.collections[table.name].get(name)
    if found is None and table.activity:
        found = schema.collections["activitypointer"].get(name)
    if found is not None:
        return f"list.{found[0]}"
    if name not in table.single:
        raise no_segment(name)
    return f"get.{table.single[name][1][0].table}"


def _deeper(schema: Schema, table: Table, method: str, path: Steps, query: Mapping[str, str]) -> Resource | None:
    step, last = path[1], path[2].name
    if last == "$value":
        if file_column(table, step.name) is not None:
            known = {"GET": Resource("column.get", columns.read), "DELETE": Resource("column.delete", columns.delete)}
            return _choice(method, known)
        return _only(method, "GET", Resource(f"value.{table.name}", records.read_raw))
    if last == "$ref":
        associate = Resource("associate", records.associated)
        known = {
            "GET": Resource(_navigation(schema, table, step.name), records.references),
            "POST": associate,
            "PUT": associate,
            "DELETE": Resource("disassociate", records.disassociated),
        }
        return _choice(method, known)
    if last == "$count":
        _navigation(schema, table, step.name)
        return _only(method, "GET", Resource("count", records.navigated))
    return None
