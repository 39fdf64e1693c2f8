"""The resources of the REST API that the emulator answers, with the names under which they are counted."""

from __future__ import annotations

from offloader_connectors.salesforce.emulator import bulk_ingest, bulk_query, composite, reading, rows
from offloader_connectors.salesforce.emulator import sobject_collections as collections
from offloader_connectors.salesforce.emulator.calls import Resource, Routes

ROUTES = Routes(
    [
        Resource("GET", "", "resources", reading.resources),
        Resource("GET", "query", "query", reading.query),
        Resource("GET", "queryAll", "query_all", reading.query_all),
        Resource("GET", "query/{}", "query_more", reading.query_more),
        Resource("GET", "queryAll/{}", "query_more", reading.query_more),
        Resource("GET", "recent", "recent", reading.recent),
        Resource("GET", "limits", "limits", reading.limits),
        Resource("GET", "limits/recordCount", "record_count", reading.record_count),
        Resource("GET", "sobjects", "describe_global", reading.describe_global),
        Resource("GET", "sobjects/{}", "sobject.basic", reading.basic),
        Resource("POST", "sobjects/{}", "sobject.create", rows.create),
        Resource("GET", "sobjects/{}/describe", "describe", reading.describe),
        Resource("GET", "sobjects/{}/updated", "sobject.updated", rows.updated),
        Resource("GET", "sobjects/{}/deleted", "sobject.deleted", rows.deleted),
        Resource("GET", "sobjects/{}/{}", "sobject.get", rows.read),
        Resource("PATCH", "sobjects/{}/{}", "sobject.update", rows.update),
        Resource("DELETE", "sobjects/{}/{}", "sobject.delete", rows.delete),
        Resource("GET", "sobjects/{}/{}/{}", "blob.get", rows.blob),
        Resource("PATCH", "sobjects/{}/{}/{}", "sobject.upsert", rows.upsert),
        Resource("DELETE", "sobjects/{}/{}/{}", "sobject.delete", rows.delete_by_external_id),
        Resource("POST", "composite", "composite", composite.composite),
        Resource("POST", "composite/batch", "composite.batch", composite.batch),
        Resource("POST", "composite/graph", "composite.graph", composite.graph),
        Resource("POST", "composite/tree/{}", "composite.tree", composite.tree),
        Resource("POST", "composite/sobjects", "collections.create", collections.create),
        Resource("PATCH", "composite/sobjects", "collections.update", collections.update),
        Resource("DELETE", "composite/sobjects", "collections.delete", collections.delete),
        Resource("GET", "composite/sobjects/{}", "collections.retrieve", collections.retrieve),
        Resource("POST", "composite/sobjects/{}", "collections.retrieve", collections.retrieve),
        Resource("PATCH", "composite/sobjects/{}/{}", "collections.upsert", collections.upsert),
        *bulk_query.RESOURCES,
        *bulk_ingest.RESOURCES,
    ]
)
