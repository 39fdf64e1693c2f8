"""Calls about tables and columns themselves: the service document, `$metadata`, `EntityDefinitions` and its like."""

from __future__ import annotations

from offloader_connectors.dynamics365.emulator import csdl, metadata, paths
from offloader_connectors.dynamics365.emulator.calls import Call
from offloader_connectors.dynamics365.emulator.definitions import Designer
from offloader_connectors.dynamics365.emulator.privileges import CUSTOMIZE
from offloader_connectors.emulation.wire import Answer

SETS = {"EntityDefinitions", "RelationshipDefinitions", "GlobalOptionSetDefinitions", "ManagedPropertyDefinitions"}


def service_document(call: Call) -> Answer:
    return Answer(data=csdl.service_document(call.app.org))


def schema(call: Call) -> Answer:
    """`$metadata`: always XML."""
    return Answer(body=csdl.document(call.app.org), content_type="application/xml")


def definitions(call: Call) -> Answer:
    """EntityDefinitions, RelationshipDefinitions and what is below them."""
    if call.request.method in {"GET", "HEAD"}:
        return Answer(data=metadata.Definitions(call.app.org).read(call.segments, call.query))
    if not call.caller.has(CUSTOMIZE):
        raise call.caller.lacking(CUSTOMIZE)
    payload = call.fields() if call.request.body or call.request.data else {}
    made = Designer(call.app.org).write(call.request.method, call.segments, payload)
    return Answer(204, headers={"OData-EntityId": f"{call.root}{made}"} if made else {})


def changes(call: Call) -> Answer:
    """RetrieveMetadataChanges(Query=@p1)."""
    query = paths.named(call.segments[0].arguments, call.query).get("Query")
    return Answer(data=metadata.changes(call.app.org, query if isinstance(query, dict) else {}))


def create_tables(call: Call) -> Answer:
    """CreateEntities."""
    if not call.caller.has(CUSTOMIZE):
        raise call.caller.lacking(CUSTOMIZE)
    return Answer(data=Designer(call.app.org).create_tables(call.fields()))


def publish(call: Call) -> Answer:
    """Everything is published at once here."""
    return Answer(204)
