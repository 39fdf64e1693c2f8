"""What `check` says before any run."""

from __future__ import annotations

from dataclasses import replace

import pytest

from offloader.model import Finding, Severity
from offloader_connectors.salesforce.emulator.options import OrgOptions
from offloader_connectors.salesforce.source import SalesforceSource

from .conftest import World


def by_code(source: SalesforceSource) -> dict[str, Finding]:
    return {each.code: each for each in source.check()}


ALL = ("ApiEnabled", "ViewAllData", "QueryAllFiles", "ModifyAllData", "CreateAuditFields")


def test_all_well(source: SalesforceSource) -> None:
    """A well-prepared user has no errors, and the numbers of the org are told."""
    found = by_code(source)

    assert not [each for each in found.values() if each.severity is Severity.ERROR]
    assert {"login", "api-version", "api-budget", "file-storage", "no-query-all-files"} <= set(found)
    assert found["no-query-all-files"].severity is Severity.OK


@pytest.mark.parametrize(
    ("permission", "code", "hides"),
    [
        ("ViewAllData", "no-view-all-data", True),
        ("QueryAllFiles", "no-query-all-files", True),
        ("ModifyAllData", "no-modify-all-data", True),
        ("CreateAuditFields", "no-audit-fields", False),
    ],
)
def test_missing_permissions(world: World, source: SalesforceSource, permission: str, code: str, hides: bool) -> None:
    """Each missing permission is named with what it hides and the remedy, and only that one."""
    world.org.user(username="integration@offloader.example", permissions=[each for each in ALL if each != permission])

    missing = {each.code: each for each in source.check() if each.severity is not Severity.OK}

    assert code in missing
    assert missing[code].remedy
    assert bool(missing[code].hides) is hides
    assert set(missing) <= {code, "no-update-email-messages"}


def test_other_name_of_a_permission(world: World, source: SalesforceSource, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the org has not the usual fields, those that it has are asked for, by either name."""
    fields = world.org.objects["UserPermissionAccess"].lower
    usual = fields["permissionscanupdateemailmessage"]
    renamed = replace(usual, name="PermissionsUpdateEmailMessages")
    known = world.org.objects["UserPermissionAccess"].fields
    for names, old, new in (
        (fields, usual.name.lower(), renamed.name.lower()),
        (known, usual.name, renamed.name),
    ):
        monkeypatch.delitem(names, old)
        monkeypatch.setitem(names, new, renamed)
    monkeypatch.delitem(known, "PermissionsCreateAuditFields")
    monkeypatch.delitem(fields, "permissionscreateauditfields")

    found = by_code(source)
    world.reset_counters()
    list(source.scan("Attachment"))

    assert found["no-query-all-files"].severity is Severity.OK
    assert "lacks" in found["no-update-email-messages"].message
    assert "does not offer" in found["no-audit-fields"].message
    assert sum(world.calls().values()) == 1


def test_external_id(world: World, source: SalesforceSource) -> None:
    """A missing external-id field is a warning with the remedy."""
    world.org.options = OrgOptions(external_id_field=False)

    found = by_code(source)["no-external-id"]

    assert found.severity is Severity.WARNING
    assert "Offload_Key__c" in found.message


def test_version_and_signals(world: World) -> None:
    """A version that the org lacks and a signal of no field are named."""
    found = by_code(world.source(api_version="99.0", signals={"Account": {"x": "Nope__c"}}))

    assert found["api-version"].severity is Severity.ERROR
    found = by_code(world.source(signals={"Account": {"x": "Nope__c"}}))
    assert "'x' of Account" in found["no-signal-field"].message


def test_login(world: World) -> None:
    """A refused login is a finding, not an exception."""
    found = by_code(world.source(client_id="nobody"))

    assert found["login"].severity is Severity.ERROR
    assert found["login"].remedy
