"""Functions and actions that are not about files: who am I, rights, sharing, counts, the recycle bin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from offloader_connectors.dynamics365.emulator import paths
from offloader_connectors.dynamics365.emulator.access import access_text, privileges_of
from offloader_connectors.dynamics365.emulator.calls import Call
from offloader_connectors.dynamics365.emulator.errors import DataverseError, not_found
from offloader_connectors.dynamics365.emulator.schema import Table
from offloader_connectors.emulation.wire import Answer

VERSION = "9.2.26042.00140"


def who_am_i(call: Call) -> Answer:
    values = {
        "BusinessUnitId": call.caller.business_unit,
        "UserId": call.caller.user_id,
        "OrganizationId": call.app.org.organization_id,
    }
    return call.response("WhoAmI", values)


def version(call: Call) -> Answer:
    return call.response("RetrieveVersion", {"Version": VERSION})


def current_organization(call: Call) -> Answer:
    org = call.app.org
    detail = {
        "OrganizationId": org.organization_id,
        "FriendlyName": org.settings.get("name"),
        "OrganizationVersion": VERSION,
        "EnvironmentId": org.organization_id,
        "TenantId": call.app.auth.tenant,
        "UrlName": "sandbox",
        "UniqueName": "sandbox",
        "State": "Enabled",
        "OrganizationType": org.options.organization_type,
        "Endpoints": {"Count": 1, "IsReadOnly": False, "Keys": ["WebApplication"], "Values": [f"{org.url}/"]},
    }
    return call.response("RetrieveCurrentOrganization", {"Detail": detail})


def total_record_count(call: Call) -> Answer:
    given = paths.named(call.segments[0].arguments, call.query).get("EntityNames")
    names = given if isinstance(given, list) else []
    values = []
    for name in names:
        if name not in call.app.org.schema.tables:
            raise DataverseError(
                404, "0x80041102", f"The entity with a name = '{name}' was not found in the MetadataCache."
            )
        call.caller.check("Read", name)
        values.append(call.app.counted(name))
    counted = {"Count": len(names), "IsReadOnly": False, "Keys": names, "Values": values}
    return call.response("RetrieveTotalRecordCount", {"EntityRecordCountCollection": counted})


# -- rights ----------------------------------------------------------------------------------------


def _user_of_path(call: Call) -> str:
    table = call.table(call.segments[0].name)
    if table.name != "systemuser":
        raise paths.bad_url()
    record = call.record(table, call.segments[0].arguments or "")
    if call.app.org.store.get("systemuser", record) is None:
        raise not_found("systemuser", record)
    return record


def principal_access(call: Call) -> Answer:
    """RetrievePrincipalAccess of a user: his rights on a row, for those who may read that row themselves."""
    user = _user_of_path(call)
    given = paths.named(call.segments[1].arguments, call.query)
    table, record = call.target(given.get("Target"))
    if table.ownership == "None" or table.name == "activitypointer":
        text = f"The 'RetrievePrincipalAccess' method does not support entities of type '{table.name}'."
        raise DataverseError(405, "0x80040315", text)
    row = call.row(table, record)
    call.about(table, record)
    person = call.app.access.user(user)
    enabled = not call.app.org.store.tables["systemuser"][user].get("isdisabled")
    rights = person.rights(table.name, row) if enabled else []
    return call.response("RetrievePrincipalAccess", {"AccessRights": access_text(rights)})


def user_privileges(call: Call) -> Answer:
    user = call.app.access.user(_user_of_path(call))
    return call.response("RetrieveUserPrivileges", {"RolePrivileges": privileges_of(user)})


def _shared_with(call: Call) -> tuple[Table, str, Mapping[str, Any]]:
    fields = call.fields()
    table, record = call.target(fields.get("Target"))
    call.caller.check("Share", table.name, call.row(table, record))
    return table, record, fields


def grant_access(call: Call) -> Answer:
    """GrantAccess and ModifyAccess: share a row with exactly these rights."""
    table, record, fields = _shared_with(call)
    access = fields.get("PrincipalAccess")
    if not isinstance(access, Mapping):
        raise DataverseError(400, "0x80040203", "PrincipalAccess is missing.")
    _, principal = call.target(access.get("Principal"))
    rights = [right.strip() for right in str(access.get("AccessMask", "")).split(",") if right.strip()]
    call.app.org.share(table.name, record, principal, rights)
    return Answer(204)


def revoke_access(call: Call) -> Answer:
    table, record, fields = _shared_with(call)
    _, principal = call.target(fields.get("Revokee"))
    call.app.org.share(table.name, record, principal, ())
    return Answer(204)


def shared_principals(call: Call) -> Answer:
    table, record = call.target(paths.named(call.segments[0].arguments, call.query).get("Target"))
    call.row(table, record)
    found = [
        {
            "AccessMask": ", ".join(rights),
            "Principal": {"@odata.type": "#Microsoft.Dynamics.CRM.systemuser", "systemuserid": principal},
        }
        for principal, rights in call.app.org.shares(record).items()
    ]
    return call.response("RetrieveSharedPrincipalsAndAccess", {"PrincipalAccesses": found})


# -- recycle bin -----------------------------------------------------------------------------------


def restore(call: Call) -> Answer:
    """Bring a row back from the bin ("Restore deleted records with code")."""
    target = call.fields().get("Target")
    if isinstance(target, Mapping) and "@odata.type" not in target and len(call.segments) > 1:
        name = call.table(call.segments[0].name).name
        target = {**target, "@odata.type": f"{paths.NAMESPACE}{name}"}
    table, record = call.target(target)
    call.caller.check("Create", table.name)
    call.app.org.undelete(table.name, record)
    call.about(table, record)
    return call.response("Restore", {"id": record})
