"""What is found, described and read, and what is said of rows that are not there."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import pytest

from offloader.errors import ConfigError
from offloader.model import Severity
from offloader.ports import Status
from offloader.records import Child, Deletion, OnDelete, Record, RecordPage, RecordQuery, RecordRef

from .conftest import BEFORE, OLD, Make, RecordsWorld


def query(**more: Any) -> RecordQuery:
    return RecordQuery(**{"type": "incident", "age_field": "createdon", "before": BEFORE, **more})


def found(pages: Iterable[RecordPage]) -> list[Record]:
    return [record for page in pages for record in page.records]


def refs(pages: Iterable[RecordPage]) -> set[RecordRef]:
    return {record.ref for record in found(pages)}


# -- definitions ------------------------------------------------------------------------------------------------


def test_children_come_with_what_becomes_of_them(world: RecordsWorld) -> None:
    """Cascading and emptied look-ups are told apart, documents are marked, bookkeeping is left out."""
    children = world.records.describe("incident").children

    assert Child("email", "regardingobjectid", OnDelete.CASCADE) in children
    assert Child("annotation", "objectid", OnDelete.CASCADE, documents=True) in children
    assert Child("incident", "parentcaseid", OnDelete.CLEAR) in children
    assert not {"activitypointer", "audit"} & {child.type for child in children}
    restricting = world.records.describe("businessunit").children
    assert Child("systemuser", "businessunitid", OnDelete.RESTRICT) in restricting


def test_fields_are_columns_with_one_value(world: RecordsWorld) -> None:
    """Look-ups say where they lead; bodies and files are no fields; read-only columns cannot be created."""
    fields = {field.name: field for field in world.records.describe("incident").fields}

    assert fields["customerid"].refers_to == ("account", "contact")
    assert fields["customerid@table"].creatable
    assert (fields["title"].creatable, fields["modifiedon"].creatable) == (True, False)
    assert "documentbody" not in {field.name for field in world.records.describe("annotation").fields}
    shipment = {field.name for field in world.records.describe("new_shipment").fields}
    assert not {"new_contract", "new_photo"} & shipment


def test_the_bin_is_told_by_table(world: RecordsWorld, make_world: Make) -> None:
    """The days of the bin are those of its configuration; without one there is no bin."""
    assert world.records.describe("incident").bin_days == 30
    own = next(row for row in world.org.rows("recyclebinconfig") if row["name"] == "incident")
    world.org.update("recyclebinconfig", own["recyclebinconfigid"], {"cleanupintervalindays": -1})
    world.org.insert(
        "recyclebinconfig", {"name": "organization", "cleanupintervalindays": 9, "isreadyforrecyclebin": True}
    )
    row = next(row for row in world.org.rows("recyclebinconfig") if row["name"] == "organization")
    world.org.update("recyclebinconfig", row["recyclebinconfigid"], {"cleanupintervalindays": 9})

    assert world.records.describe("incident").bin_days == 9
    assert make_world(recycle_bin=False).records.describe("incident").bin_days is None


def test_automation_of_deletions_is_named(world: RecordsWorld) -> None:
    """Steps, workflows and flows that a deletion wakes are named; those of other tables and messages are not."""
    org = world.org
    message = org.insert("sdkmessage", {"name": "Delete"})
    only = {
        table: org.insert("sdkmessagefilter", {"primaryobjecttypecode": table, "sdkmessageid": message})
        for table in ("incident", "account")
    }
    for name, table in (("guard cases", "incident"), ("guard accounts", "account")):
        org.insert(
            "sdkmessageprocessingstep", {"name": name, "sdkmessageid": message, "sdkmessagefilterid": only[table]}
        )
    org.insert("sdkmessageprocessingstep", {"name": "guard all", "sdkmessageid": message})
    org.insert("sdkmessageprocessingstep", {"name": "platform", "sdkmessageid": message, "stage": 30})
    told = {"name": "tell", "primaryentity": "incident", "triggerondelete": True, "statecode": 1}
    org.insert("workflow", told)
    org.insert("workflow", {**told, "name": "asleep", "statecode": 0})
    org.insert("callbackregistration", {"name": "flow\u202e1", "entityname": "incident", "message": 6})
    org.insert("callbackregistration", {"name": "flow 2", "entityname": "incident", "message": 3})

    automation = world.records.describe("incident").automation

    assert sorted(automation or ()) == ["flow: flow 1", "plug-in: guard all", "plug-in: guard cases", "workflow: tell"]


def test_automation_that_may_not_be_seen_is_unknown(world: RecordsWorld) -> None:
    """Without the right to read steps nothing is said of automation, rather than that there is none."""
    world.org.user(username=_user(world), roles=["prvReadIncident", "prvReadUser"])

    assert world.records.describe("incident").automation is None


# -- lists ------------------------------------------------------------------------------------------------------


def test_values_are_compared_as_their_columns_want_it(world: RecordsWorld) -> None:
    """Choices, look-ups, texts with quotes and empty cells narrow a list."""
    other = world.case("it's 100% 'odd' & <b>", statecode=2, caseorigincode=1)
    own = world.records

    assert refs(own.find(query(equals={"statecode": [1]}))) == set(world.cases)
    assert refs(own.find(query(equals={"statecode": [2, 0]}))) == {other}
    assert refs(own.find(query(equals={"title": ["it's 100% 'odd' & <b>"]}))) == {other}
    assert refs(own.find(query(equals={"customerid": [world.account]}, empty=["caseorigincode"]))) == set(world.cases)
    assert refs(own.find(query(equals={"caseorigincode": [None]}))) == set(world.cases)


@pytest.mark.parametrize(
    ("column", "value"),
    [("statecode", "Resolved"), ("statecode", True), ("customerid", "1 or 1 eq 1"), ("createdon", "yesterday")],
)
def test_a_value_that_cannot_be_is_a_configuration_error(world: RecordsWorld, column: str, value: Any) -> None:
    """A value of another type never reaches the filter: the column is named."""
    with pytest.raises(ConfigError, match=column):
        list(world.records.find(query(equals={column: [value]})))


def test_an_age_must_be_a_date(world: RecordsWorld) -> None:
    """Text columns are no age; a column of days is compared by days; an empty one is never old."""
    dated = world.org.insert("contract", {"title": "old", "expireson": "2018-12-31"})
    world.org.insert("contract", {"title": "of the day", "expireson": "2019-01-01"})
    world.org.insert("contract", {"title": "undated"})

    with pytest.raises(ConfigError, match="title"):
        list(world.records.find(query(age_field="title")))
    with pytest.raises(ConfigError, match="time zone"):
        list(world.records.find(query(before=datetime(2019, 1, 1))))  # noqa: DTZ001
    old = world.records.find(query(type="contract", age_field="expireson", before=datetime(2019, 1, 1, 5, tzinfo=UTC)))
    assert refs(old) == {RecordRef("crm", "contract", dated)}


def test_documents_have_the_names_that_the_source_gives(world: RecordsWorld) -> None:
    """Notes, attachments of mails and files of columns come with the ids of the documents, never with bodies."""
    note = world.org.add_note(
        parent=("incident", world.parent.id),
        file_name="a.pdf",
        body=b"x" * 99,
        owner=world.org.integration_user,
        created=OLD,
    )
    mime = world.org.add_mail_attachment(mail=("email", world.mail.id), file_name="b.pdf", body=b"y")
    shipment = RecordRef("crm", "new_shipment", world.org.insert("new_shipment", {"new_name": "s"}))
    world.org.set_file("new_shipment", shipment.id, "new_contract", file_name="c.pdf", body=b"z")

    def below(parent: RecordRef, type: str, field: str) -> list[Record]:
        return found(world.records.children([parent], Child(type, field, OnDelete.CASCADE, documents=True)))

    (first,) = below(world.parent, "annotation", "objectid")
    (second,) = below(world.mail, "activitymimeattachment", "objectid")
    (third,) = below(shipment, "fileattachment", "objectid")
    assert first.ref == RecordRef("crm", "annotation", note)
    assert second.ref == RecordRef("crm", "activitymimeattachment", mime.attachment_id)
    assert third.ref == RecordRef("crm", "filecolumn", f"new_shipment:{shipment.id}:new_contract")
    assert (first.fields["objectid"], first.fields["objectid@table"]) == (world.parent.id, "incident")
    assert not {"documentbody", "body"} & {name for each in (first, second) for name in each.fields}


def test_hostile_ids_are_never_asked_for(world: RecordsWorld) -> None:
    """What is no id is not found, not deleted, and not said to be deleted."""
    hostile = RecordRef("crm", "incident", "x') or 1 eq 1\r\nDELETE /accounts")

    assert list(world.records.fetch([hostile])) == [None]
    assert list(world.records.gone([hostile])) == [Status.REFUSED]
    (outcome,) = world.records.delete([Deletion(hostile, 'W/"1"')])
    assert outcome.status is Status.REFUSED
    (outcome,) = world.records.delete([Deletion(world.parent, 'W/"1"\r\nX-Own: 1')])
    assert outcome.status is Status.CONFLICT


# -- deleted, or only not seen ----------------------------------------------------------------------------------


def test_rows_in_long_term_retention_are_not_deleted(world: RecordsWorld) -> None:
    """A row that the vendor's retention took away is not listed, and nothing says that it was deleted."""
    world.org.retain("incident", world.parent.id)

    assert world.parent not in refs(world.records.find(query()))
    assert list(world.records.gone([world.parent, world.cases[1]])) == [Status.REFUSED, Status.CONFLICT]


def test_the_audit_log_is_evidence_only_without_retention(make_world: Make) -> None:
    """A deletion as the last entry says it; once retention is configured, it does not, for its own are not known."""
    world = make_world(recycle_bin=False, auditing=True)
    world.remove(world.parent)
    assert list(world.records.gone([world.parent])) == [Status.DONE]

    world.org.insert("retentionconfig", {"name": "closed cases", "entitylogicalname": "incident"})

    assert list(world.records.gone([world.parent])) == [Status.REFUSED]


def test_a_row_made_again_and_hidden_is_not_deleted(make_world: Make) -> None:
    """A deletion that is not the last entry of the audit log is no evidence: the row may be there, and unseen."""
    world = make_world(recycle_bin=False, auditing=True)
    world.remove(world.parent)
    world.clock.move(seconds=5)
    world.org.insert("incident", {"title": "again", "customerid": ("account", world.account)}, id=world.parent.id)
    world.org.retain("incident", world.parent.id)

    assert list(world.records.gone([world.parent])) == [Status.REFUSED]


# -- who we are, what is missing --------------------------------------------------------------------------------


def test_a_sandbox_says_so(make_world: Make) -> None:
    """The identity has the organisation's id, the kind of environment and its address."""
    world = make_world(organization_type="CustomerTest")

    identity = world.records.identity()

    assert identity == {
        "organisation": world.org.organization_id,
        "environment": "sandbox",
        "address": world.emulator.url,
    }


def test_missing_privileges_are_named(world: RecordsWorld) -> None:
    """A user who may neither read all nor delete is told so before anything is done; unknown tables are named."""
    world.org.user(username=_user(world), roles=["Reader", "prvDeleteActivity"])
    codes = {each.code: each for each in world.records.check(["incident", "no_table"], delete=True)}
    assert codes["no-delete-privilege"].severity is Severity.ERROR
    assert "no_table" in codes["no-table"].message

    world.org.user(username=_user(world), roles=["Basic User"])
    world.clock.move(minutes=5)
    (hidden,) = [each for each in world.records.check(["incident"], delete=False) if each.hides]
    assert hidden.code == "records-hidden"


def _user(world: RecordsWorld) -> str:
    row = world.org.get("systemuser", world.org.integration_user)
    assert row is not None
    return str(row["domainname"])
