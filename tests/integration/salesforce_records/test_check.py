"""What check says before a purge."""

from __future__ import annotations

import pytest

from offloader.model import Severity
from offloader_connectors.salesforce.emulator.objects import PERMISSIONS

from .conftest import Desk, Opener

USER = "integration@offloader.example"


def test_a_user_with_everything_has_no_findings(desk: Desk) -> None:
    """With all permissions nothing is missing, and what field-level security may hide is said."""
    found = desk.records.check(["Case", "Shipment_Confirmation__c"], delete=True)
    assert {each.severity for each in found} == {Severity.OK}
    assert any("field-level security" in each.message for each in found)


@pytest.mark.parametrize(
    ("missing", "code", "hides"),
    [("ViewAllData", "no-view-all-data", True), ("ModifyAllData", "no-modify-all-data", False)],
)
def test_missing_permissions_are_named(desk: Desk, missing: str, code: str, hides: bool) -> None:
    """A missing permission is a warning with a remedy, and one that hides records says so."""
    desk.org.user(username=USER, permissions=set(PERMISSIONS) - {missing})
    (found,) = [each for each in desk.records.check(["Case"], delete=True) if each.severity is not Severity.OK]
    assert (found.severity, found.code, bool(found.hides)) == (Severity.WARNING, code, hides)
    assert found.remedy
    if missing == "ModifyAllData":
        assert all(each.severity is Severity.OK for each in desk.records.check(["Case"], delete=False))


def test_types_that_cannot_be_purged_are_errors(desk: Desk) -> None:
    """A type that is not there, cannot be deleted or cannot be compared is an error that names it."""
    expected = {
        "Nothing__c": "no-type",
        "a'; b": "no-type",
        "User": "not-deletable",
        "FeedAttachment": "not-queryable",
    }
    found = [each for each in desk.records.check(list(expected), delete=True) if each.severity is Severity.ERROR]
    assert [each.code for each in found] == list(expected.values())


def test_a_wrong_login_is_one_finding(desk: Desk, open_records: Opener) -> None:
    """A login that fails is the only finding, and holds no secret."""
    records = open_records(client_id="nobody")
    (found,) = records.check(["Case"], delete=True)
    assert (found.severity, found.code) == (Severity.ERROR, "login")


def test_children_that_cannot_be_read_are_named(desk: Desk) -> None:
    """Children that go with a record and that the user may not see are named, with what that means."""
    visible = {"sobjects": [{"name": "Case", "queryable": True}, {"name": "ContentDocumentLink", "queryable": True}]}
    desk.world.fault(on="describe_global", do="status", status=200, body=visible)
    (found,) = [each for each in desk.records.check(["Case"], delete=True) if each.code == "children-hidden"]
    assert "EmailMessage" in found.message
    assert "ContentDocumentLink" not in found.message
    assert "Task" not in found.message
