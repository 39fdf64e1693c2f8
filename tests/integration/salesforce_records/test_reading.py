"""Listing, describing and reading records."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from offloader.errors import ConfigError, Permanent
from offloader.ports import Status
from offloader.records import Child, OnDelete
from offloader_connectors.salesforce.emulator.options import OrgOptions

from .conftest import BEFORE, OLD, Desk, cascades, everything, query


def test_pages_are_as_large_as_a_query_gives(desk: Desk) -> None:
    """2,001 records come in two calls, and the cursor of the first page goes on where it ended."""
    refs = desk.cases(2001)
    desk.records.describe("Case")
    desk.world.reset_counters()
    first, second = desk.records.find(query())
    assert desk.calls() == {"query_all": 2}
    assert [len(each.records) for each in (first, second)] == [2000, 1]
    assert everything(desk.records.find(query(), cursor=first.cursor)) == list(second.records)
    assert {each.ref for each in (*first.records, *second.records)} == set(refs)


QUOTED = 'it\'s \\ "quoted"\n'
NARROWED: list[tuple[dict[str, Any], list[str]]] = [
    ({"equals": {"Subject": [QUOTED]}}, [QUOTED]),
    ({"equals": {"IsClosed": [False]}}, ["open"]),
    ({"equals": {"Priority": ["High", None]}}, ["open"]),
    ({"equals": {"Subject": []}}, []),
    ({"empty": ["ParentId"], "equals": {"Status": ["New", "Escalated"]}}, ["open"]),
    ({"equals": {"CreatedDate": [OLD.isoformat()]}}, [QUOTED, "open"]),
]


def test_values_are_written_as_their_fields_want_them(desk: Desk) -> None:
    """Quotes, booleans, empty values and dates narrow a list to exactly what has them."""
    desk.case(QUOTED)
    desk.case("open", Status="New", Priority="High")
    for narrowed, found in NARROWED:
        records = everything(desk.records.find(query(fields=["Subject"], **narrowed)))
        assert [each.fields["Subject"] for each in records] == found


WRONG = [
    query(age_field="Subject"),
    query(age_field="Nothing__c"),
    query(equals={"Description": ["long texts cannot be filtered by"]}),
    query(equals={"IsClosed": ["true"]}),
    query(equals={"AccountId": ["' OR Name != '"]}),
    query(equals={"Subject' OR Name != '": ["x"]}),
    query(fields=["Id FROM User"]),
    query(fields=["Account.Nothing__c"]),
    query("Case WHERE Id != null", "CreatedDate"),
    query("ContentWorkspaceMember", "Id"),
    query("Account", equals={"AnnualRevenue": [True]}),
    query(equals={"Subject": [7]}),
]


def test_what_cannot_be_asked_is_a_configuration_error(desk: Desk) -> None:
    """Wrong types, fields and values are named before anything is asked of the records."""
    for wrong in WRONG:
        with pytest.raises(ConfigError):
            list(desk.records.find(wrong))
    assert "query_all" not in desk.calls()
    with pytest.raises(Permanent):
        list(desk.records.find(query(), cursor="' OR Id != '"))


def test_numbers_days_and_ids_are_written_plain(desk: Desk) -> None:
    """Values of numbers, days and look-ups narrow a list too."""
    when = {"Delivered_On__c": "2018-05-06", "Weight__c": 2.5, "Account__c": desk.world.account}
    desk.org.insert("Shipment_Confirmation__c", {"Name": "one", **when})
    desk.org.insert("Shipment_Confirmation__c", {"Name": "two", "Delivered_On__c": "2018-05-07"})
    for field, value in when.items():
        asked = query("Shipment_Confirmation__c", "Delivered_On__c", equals={field: [value]})
        assert [each.label for each in everything(desk.records.find(asked))] == ["one"]


def test_a_field_of_the_parent_comes_along(desk: Desk) -> None:
    """A dotted path brings what the record's own fields do not say, such as its customer's country."""
    desk.case(AccountId=desk.world.account)
    (found,) = everything(desk.records.find(query(fields=["Account.BillingCountryCode"])))
    assert found.fields["Account.BillingCountryCode"] == "DE"


def test_dates_are_older_only_when_the_day_is_over(desk: Desk) -> None:
    """A day is older than a moment if it lies before that moment's day, and an empty day never is."""
    for delivered in ("2018-12-31", "2019-01-01", None):
        fields = {"Name": str(delivered), "Delivered_On__c": delivered}
        desk.org.insert("Shipment_Confirmation__c", fields)
    found = everything(desk.records.find(query("Shipment_Confirmation__c", "Delivered_On__c")))
    assert [(each.label, each.fields["Delivered_On__c"]) for each in found] == [("2018-12-31", "2018-12-31")]


def test_whole_rows_have_every_field_but_bodies(desk: Desk) -> None:
    """A row that is archived has each readable field as it stands, and no bytes of a document."""
    case = desk.case("=cmd|' /C calc'!A0\u202e", Description="d" * 32_000)
    (read,) = desk.records.fetch([case])
    assert read is not None
    assert set(read.fields) == {each.name for each in desk.records.describe("Case").fields}
    assert read.fields["Description"] == "d" * 32_000
    assert read.fields["Subject"] == "=cmd|' /C calc'!A0\u202e"
    assert read.modified == OLD
    attachment = desk.ref("Attachment", desk.world.attachment(case.id))
    (scan,) = desk.records.fetch([attachment])
    assert scan is not None
    assert "Body" not in scan.fields


def test_hostile_ids_find_nothing(desk: Desk) -> None:
    """Ids that are none, and ids of another type, are not there and harm nobody."""
    case = desk.case()
    refs = [desk.ref("Case", "') OR (Id != null"), case, desk.ref("Case", desk.world.account), desk.ref("Case", "")]
    assert [each and each.ref for each in desk.records.fetch(refs)] == [None, case, None, None]
    missing, there = Status.REFUSED, Status.CONFLICT
    assert list(desk.records.gone(refs)) == [missing, there, missing, missing]
    desk.org.delete(case.id)
    assert list(desk.records.gone([case])) == [Status.DONE]
    (version,) = desk.world.file().version_ids
    unlogged = desk.ref("ContentVersion", "068000000000000AAA")
    there = desk.ref("ContentVersion", version)
    assert list(desk.records.gone([unlogged, there])) == [missing, Status.CONFLICT]


def test_children_of_many_parents_in_one_call(desk: Desk) -> None:
    """E-mails of 2,000 cases come in one call, whole, and those in the recycle bin do not."""
    cases = desk.cases(2000)
    kept, binned = desk.email(cases[0], Subject="kept"), desk.email(cases[1])
    desk.org.delete(binned.id)
    (emails,) = [each for each in cascades(desk, "Case") if each.type == "EmailMessage"]
    list(desk.records.children(cases[:1], emails))
    desk.world.reset_counters()
    (found,) = everything(desk.records.children(cases, emails))
    assert (found.ref, found.fields["Subject"]) == (kept, "kept")
    assert desk.calls() == {"composite": 1}


def test_archived_activities_are_children_too(desk: Desk) -> None:
    """Tasks that Salesforce has archived, which plain queries leave out, are not forgotten."""
    case = desk.case()
    task = desk.org.insert("Task", {"Subject": "call back", "WhatId": case.id, "IsArchived": True})
    (found,) = everything(desk.records.children([case], Child("Task", "WhatId", OnDelete.CASCADE)))
    assert found.ref == desk.ref("Task", task)
    assert desk.records.fetch([found.ref]) == [found]


def test_files_stay_and_their_links_go(desk: Desk) -> None:
    """A record's files are documents that survive it; the rows that link them go with it, and are records."""
    case = desk.case()
    file = desk.world.file(parents=[case.id])
    attachment = desk.world.attachment(case.id)
    children = desk.records.describe("Case").children
    files = Child("ContentDocument", "LinkedEntityId", OnDelete.CLEAR, documents=True)
    links = Child("ContentDocumentLink", "LinkedEntityId", OnDelete.CASCADE)
    scans = Child("Attachment", "ParentId", OnDelete.CASCADE, documents=True)
    assert {files, links, scans} <= set(children)
    (document,) = everything(desk.records.children([case], files))
    assert document.ref == desk.ref("ContentDocument", file.document_id)
    assert document.fields["LinkedEntityId"] == case.id
    (link,) = everything(desk.records.children([case], links))
    assert (link.ref.type, link.fields["ContentDocumentId"]) == ("ContentDocumentLink", file.document_id)
    (scan,) = everything(desk.records.children([case], scans))
    assert scan.ref == desk.ref("Attachment", attachment)


class TestMetadata:
    """Describing a type."""

    @pytest.fixture
    def org_options(self) -> OrgOptions:
        return OrgOptions(restricted_lookups=("Case.ParentId",))

    def test_children_say_what_becomes_of_them(self, desk: Desk) -> None:
        """Cascading, restricting and emptied look-ups are told apart."""
        described = {(each.type, each.field): each.on_delete for each in desk.records.describe("Case").children}
        assert described["EmailMessage", "ParentId"] is OnDelete.CASCADE
        assert described["Case", "ParentId"] is OnDelete.RESTRICT
        assert described["Task", "WhatId"] is OnDelete.CLEAR

    def test_deletions_wake_triggers_and_flows(self, desk: Desk) -> None:
        """Active triggers and flows of deletions are named, by the object's name or its setup id."""
        name = "Shipment_Confirmation__c"
        durable = desk.world.source()._api.query(  # the setup's own id of a custom object
            f"SELECT DurableId FROM EntityDefinition WHERE QualifiedApiName = '{name}'"
        )[0]["DurableId"]
        used = {"UsageBeforeDelete": True, "UsageAfterDelete": True}
        for trigger, table, more in (
            ("Guard", durable, used),
            ("Insert", durable, {}),
            ("Off", durable, {**used, "Status": "Inactive"}),
            ("Cases", "Case", used),
        ):
            desk.org.insert("ApexTrigger", {"Name": trigger, "TableEnumOrId": table, **more})
        flow = {"Label": "Tell SAP\x1b[2J", "TriggerType": "RecordBeforeDelete", "TriggerObjectOrEventId": durable}
        desk.org.insert("FlowDefinitionView", {"ApiName": "Tell", "IsActive": True, **flow})
        woken = desk.records.describe(name).automation
        assert woken == ("flow Tell SAP [2J before delete", "trigger Guard before and after delete")
        assert desk.records.describe("Case").automation == ("trigger Cases before and after delete",)
        assert desk.records.describe("Account").automation == ()

    def test_hidden_automation_is_not_none_at_all(self, desk: Desk) -> None:
        """A user who may not look at the setup is told that nothing is known."""
        desk.org.user(username="integration@offloader.example", permissions=["ViewAllData"])
        assert desk.records.describe("Case").automation is None

    def test_metadata_are_read_again_after_a_while(self, desk: Desk) -> None:
        """A service that runs for days notices fields that were added meanwhile."""
        case = desk.case()
        desk.records.fetch([case])
        desk.world.reset_counters()
        desk.records.fetch([case])
        assert desk.calls() == {"query_all": 1}
        desk.clock.move(minutes=11)
        desk.records.fetch([case])
        assert desk.calls() == {"query_all": 2, "describe": 1, "describe_global": 1}


def test_children_that_cannot_be_read_stop_the_reading(desk: Desk) -> None:
    """A child that no query lists is an error, never an empty answer."""
    with pytest.raises(Permanent, match="stays unknown"):
        list(desk.records.children([desk.case()], Child("Task", "Nothing__c", OnDelete.CASCADE)))


def test_identity_and_storage(desk: Desk) -> None:
    """The org says who it is and what it holds; deleting shows in its numbers as soon as it counts again."""
    assert desk.records.identity() == {
        "organisation": desk.org.organization_id,
        "environment": "production",
        "address": desk.world.emulator.url,
    }
    with desk.org.store.transaction():
        cases = [desk.case() for _ in range(1024)]
    before = desk.records.storage()
    desk.records.delete(desk.deletions(cases))
    desk.clock.move(hours=1)
    after = desk.records.storage()
    assert before.used["data"] - after.used["data"] == 2 * 1024 * 1024
    assert (before.as_of, before.limit["file"]) == (None, 215_040 * 1024 * 1024)


def test_before_is_a_moment_in_any_zone(desk: Desk) -> None:
    """The same moment in another zone finds the same records."""
    zoned: datetime = BEFORE.astimezone()
    desk.case()
    asked = query()
    other = type(asked)(type="Case", age_field="CreatedDate", before=zoned)
    assert everything(desk.records.find(asked)) == everything(desk.records.find(other))
