"""Deleting, bringing back, creating: what the environment refuses, loses, throttles and changes meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from offloader.errors import Throttled
from offloader.ports import Status
from offloader.records import Child, Deleted, Deletion, OnDelete, Record, RecordQuery, RecordRef

from .conftest import BEFORE, OLD, Make, RecordsWorld

MAILS = Child("email", "regardingobjectid", OnDelete.CASCADE)
THROTTLED = {"error": {"code": "0x80072322", "message": "Number of requests exceeded the limit of 6000."}}
ABORTED = {"error": {"code": "0x80040265", "message": "Cases of O'Brien\u202e stay."}}


def read(world: RecordsWorld, refs: Sequence[RecordRef]) -> list[Record]:
    return [record for record in world.records.fetch(refs) if record is not None]


def delete(world: RecordsWorld, refs: Sequence[RecordRef], *, hard: bool = False) -> list[Deleted]:
    return list(world.records.delete([Deletion(each.ref, each.etag) for each in read(world, refs)], hard=hard))


def statuses(outcomes: Sequence[Deleted]) -> list[Status]:
    return [outcome.status for outcome in outcomes]


def there(world: RecordsWorld, refs: Sequence[RecordRef]) -> list[bool]:
    return [world.org.get(ref.type, ref.id) is not None for ref in refs]


# -- deleting ---------------------------------------------------------------------------------------------------


def test_a_plug_in_that_refuses_keeps_only_its_record(world: RecordsWorld) -> None:
    """The plug-in's words come back, harmless, and the rest of the batch is deleted."""
    world.fault(on="delete.incident", do="status", nth=2, status=400, body=ABORTED)

    outcomes = delete(world, world.cases)

    assert statuses(outcomes) == [Status.DONE, Status.REFUSED, Status.DONE]
    assert "Cases of O'Brien  stay." in outcomes[1].reason
    assert there(world, world.cases) == [False, True, False]


def test_a_look_up_that_restricts_is_a_refusal(world: RecordsWorld) -> None:
    """A record on which others depend stays, and the reason says why."""
    unit = RecordRef("crm", "businessunit", next(iter(world.org.rows("businessunit")))["businessunitid"])

    (outcome,) = delete(world, [unit])

    assert outcome.status is Status.REFUSED
    assert "forbids the deletion" in outcome.reason
    assert there(world, [unit]) == [True]


def test_parts_that_are_throttled_are_tried_again(world: RecordsWorld) -> None:
    """A throttled part is for later, the others are done; once the pause is over, the rest goes too."""
    rule = {"on": "delete.incident", "do": "status", "nth": 2, "status": 429, "body": THROTTLED}
    world.fault(**rule, headers={"Retry-After": "30"})
    assert statuses(delete(world, world.cases)) == [Status.DONE, Status.RETRY, Status.DONE]

    with pytest.raises(Throttled):
        world.records.fetch(world.cases)
    world.clock.move(seconds=31)

    assert statuses(delete(world, [world.cases[1]])) == [Status.DONE]


def test_a_throttled_batch_deletes_nothing(world: RecordsWorld) -> None:
    """A batch that is refused as a whole is said to be throttled, and every record is there."""
    records = read(world, world.cases)
    world.fault(on="batch", do="status", status=429, body=THROTTLED, retry_after=7)

    with pytest.raises(Throttled) as caught:
        world.records.delete([Deletion(each.ref, each.etag) for each in records])

    assert caught.value.retry_after is not None
    assert there(world, world.cases) == [True] * 3


def test_a_lost_answer_is_read_back(world: RecordsWorld) -> None:
    """Deletions whose answer was lost count as done when the records are gone."""
    records = read(world, world.cases)
    world.fault(on="batch", do="drop_after_commit", times=1)

    outcomes = world.records.delete([Deletion(each.ref, each.etag) for each in records])

    assert statuses(outcomes) == [Status.DONE] * 3


def test_a_batch_that_never_arrived_is_tried_again(world: RecordsWorld) -> None:
    """Deletions whose request was lost are for later, and the next requests are smaller."""
    records = read(world, world.cases)
    before = world.records._deleter.portion.size
    world.fault(on="batch", do="drop_before", times=1)

    outcomes = world.records.delete([Deletion(each.ref, each.etag) for each in records])

    assert statuses(outcomes) == [Status.RETRY] * 3
    assert world.records._deleter.portion.size == before // 2
    assert statuses(delete(world, world.cases)) == [Status.DONE] * 3


def test_a_user_who_touches_a_record_within_the_batch_wins(world: RecordsWorld) -> None:
    """A record that is changed between its neighbours' deletions stays as the user left it."""
    records = read(world, world.cases)
    change = {"update": {"table": "incident", "id": world.cases[1].id, "fields": {"title": "mine"}}}
    world.fault(on="delete.incident", do="edit", nth=1, change=change)

    outcomes = world.records.delete([Deletion(each.ref, each.etag) for each in records])

    assert statuses(outcomes) == [Status.DONE, Status.CONFLICT, Status.DONE]
    assert read(world, [world.cases[1]])[0].label == "mine"


def test_without_optimistic_concurrency_rows_are_compared_before(world: RecordsWorld) -> None:
    """Where the table does not compare versions, we do, in the same breath."""
    records = read(world, world.cases)
    types = world.records._types
    kind = types.of("incident")
    types._kinds["incident"] = replace(kind, table=replace(kind.table, optimistic=False))
    world.touch(world.cases[1])
    world.remove(world.cases[2])

    outcomes = world.records.delete([Deletion(each.ref, each.etag) for each in records])

    assert statuses(outcomes) == [Status.DONE, Status.CONFLICT, Status.GONE]


def test_without_the_privilege_every_deletion_is_refused(world: RecordsWorld) -> None:
    """A user who may not delete is told which privilege is missing, and nothing goes."""
    user = world.org.get("systemuser", world.org.integration_user)
    assert user is not None
    world.org.user(username=str(user["domainname"]), roles=["Reader"])

    outcomes = delete(world, world.cases)

    assert statuses(outcomes) == [Status.REFUSED] * 3
    assert all("prvDelete" in outcome.reason for outcome in outcomes)


def test_mails_and_shipments_are_deleted_like_cases(world: RecordsWorld) -> None:
    """Activities go with their attachments; tables of one's own are found by a date of their own."""
    world.org.add_mail_attachment(mail=("email", world.mail.id), file_name="b.pdf", body=b"y")
    shipment = RecordRef("crm", "new_shipment", world.org.insert("new_shipment", {"new_name": "s", "new_due": OLD}))
    world.org.insert("new_shipment", {"new_name": "not due"})
    (page,) = world.records.find(RecordQuery(type="new_shipment", age_field="new_due", before=BEFORE))
    assert [each.ref for each in page.records] == [shipment]

    assert statuses(delete(world, [world.mail, shipment])) == [Status.DONE] * 2

    assert list(world.org.rows("activitymimeattachment")) == []


# -- past the bin -----------------------------------------------------------------------------------------------


def test_hard_deletion_leaves_nothing_in_the_bin(world: RecordsWorld) -> None:
    """A job deletes what is as it was; what a user has touched stays; nothing can be brought back."""
    records = read(world, world.cases)
    world.touch(world.cases[1])

    outcomes = world.records.delete([Deletion(each.ref, each.etag) for each in records], hard=True)

    assert statuses(outcomes) == [Status.DONE, Status.CONFLICT, Status.DONE]
    assert statuses(world.records.undelete([world.cases[0]])) == [Status.REFUSED]
    assert world.org.get("email", world.mail.id) is None


def test_a_job_that_may_not_be_made_is_a_refusal(world: RecordsWorld) -> None:
    """Without the privilege for jobs nothing is deleted past the bin."""
    user = world.org.get("systemuser", world.org.integration_user)
    assert user is not None
    world.org.user(username=str(user["domainname"]), roles=["Reader", "prvDeleteIncident"])

    (outcome,) = delete(world, [world.parent], hard=True)

    assert (outcome.status, "prvBulkDelete" in outcome.reason) == (Status.REFUSED, True)
    assert there(world, [world.parent]) == [True]


def test_what_a_job_could_not_delete_is_told(world: RecordsWorld) -> None:
    """A failure of the job is a refusal in the environment's words; a job without an end is for later."""
    unit = RecordRef("crm", "businessunit", next(iter(world.org.rows("businessunit")))["businessunitid"])
    (outcome,) = delete(world, [unit], hard=True)
    assert outcome.status is Status.REFUSED
    assert "associated with another object" in outcome.reason

    world.fault(on="get.asyncoperation", do="status", status=200, body={"statecode": 2})
    world.emulator.protocol = world.emulator.protocol.changed({"bulk_delete_calls": 10_000})

    assert statuses(delete(world, [world.parent], hard=True)) == [Status.RETRY]
    assert sum(world.clock.slept) == 600


# -- back -------------------------------------------------------------------------------------------------------


def test_bringing_back_twice_is_the_same(world: RecordsWorld) -> None:
    """A record that is there already counts as brought back; one whose days are over is refused."""
    delete(world, world.cases[:2])
    assert statuses(world.records.undelete([world.parent])) == [Status.DONE]
    assert statuses(world.records.undelete([world.parent])) == [Status.DONE]
    assert there(world, [world.mail]) == [True]

    world.clock.move(days=31)

    assert statuses(world.records.undelete([world.cases[1]])) == [Status.REFUSED]


def test_a_closed_case_is_created_again_as_it_was(make_world: Make) -> None:
    """Without a bin a record is made again under its own id, with customer, state and age; a mail finds it again."""
    world = make_world(recycle_bin=False)
    before, mail = read(world, [world.parent, world.mail])
    delete(world, [world.parent])

    first, second = world.records.create([before, mail])

    assert (first.status, first.ref, second.status) == (Status.DONE, world.parent, Status.DONE)
    after = read(world, [world.parent])[0].fields
    kept = ("title", "customerid", "customerid@table", "ownerid", "statecode", "statuscode", "createdon")
    assert {name: after[name] for name in kept} == {name: before.fields[name] for name in kept}
    (page,) = world.records.children([world.parent], MAILS)
    assert [each.ref for each in page.records] == [world.mail]


def test_without_the_privilege_for_it_a_record_is_of_today(make_world: Make) -> None:
    """A user who may not set the date of creation is told so by the definition, and creates all the same."""
    world = make_world(recycle_bin=False)
    user = world.org.get("systemuser", world.org.integration_user)
    assert user is not None
    rights = ["prvCreateIncident", "prvWriteIncident", "prvDeleteIncident"]
    world.org.user(username=str(user["domainname"]), roles=["Reader", *rights])
    (before,) = read(world, [world.parent])
    delete(world, [world.parent])

    (outcome,) = world.records.create([before])

    assert outcome.status is Status.DONE
    assert read(world, [world.parent])[0].fields["createdon"] != before.fields["createdon"]
    created = {field.name: field.creatable for field in world.records.describe("incident").fields}
    assert (created["createdon"], created["overriddencreatedon"]) == (False, False)


def test_a_creation_whose_answer_was_lost_is_not_made_twice(make_world: Make) -> None:
    """The record is found under its own id, and there is one."""
    world = make_world(recycle_bin=False)
    (before,) = read(world, [world.cases[2]])
    delete(world, [world.cases[2]])
    count = len(list(world.org.rows("incident")))
    world.fault(on="batch", do="drop_after_commit", times=1)

    (outcome,) = world.records.create([before])

    assert (outcome.status, outcome.ref) == (Status.DONE, world.cases[2])
    assert len(list(world.org.rows("incident"))) == count + 1


def test_a_reference_to_what_is_not_there_is_a_refusal(make_world: Make) -> None:
    """A record whose customer is gone, or hostile, is not created, and its neighbour is."""
    world = make_world(recycle_bin=False)
    first, second, third = read(world, world.cases)
    delete(world, world.cases)
    gone = replace(first, fields={**first.fields, "customerid": world.cases[0].id})
    hostile = replace(second, fields={**second.fields, "customerid": "1)/x@odata.bind"})
    nowhere = {name: value for name, value in third.fields.items() if name != "customerid@table"}

    assert [each.status for each in world.records.create([gone, hostile, third])][2] is Status.DONE
    refused = world.records.create([hostile, replace(second, fields=nowhere)])
    assert statuses(refused) == [Status.REFUSED] * 2
    assert there(world, world.cases) == [False, False, True]


def test_references_are_set_afterwards(world: RecordsWorld) -> None:
    """A look-up is set and emptied again; a record that a user has touched, or that is gone, is left alone."""
    case = read(world, [world.cases[1]])[0]
    (outcome,) = world.records.set_fields([replace(case, fields={"parentcaseid": world.parent.id}, etag="")])
    assert outcome.status is Status.DONE
    assert read(world, [world.cases[1]])[0].fields["parentcaseid"] == world.parent.id
    world.records.set_fields([replace(case, fields={"parentcaseid": None}, etag="")])
    assert read(world, [world.cases[1]])[0].fields["parentcaseid"] is None

    world.remove(world.cases[2])
    stale = replace(case, fields={"title": "late"})
    gone = replace(case, ref=world.cases[2], fields={"title": "late"}, etag="")

    assert statuses(world.records.set_fields([stale, gone])) == [Status.CONFLICT, Status.GONE]
    assert there(world, [world.cases[2]]) == [False]


# -- how many requests ------------------------------------------------------------------------------------------


def test_two_thousand_records_take_few_requests(world: RecordsWorld) -> None:
    """Found, described, archived with children, re-read and deleted: at most 0.03 requests for each record."""
    with world.org.store.transaction():
        refs = [world.case(f"many {number}") for number in range(1997)]
        for ref in refs[:300]:
            world.child(ref)
    records = world.records = world.open()
    world.emulator.counters.clear()

    query = RecordQuery(type="incident", age_field="createdon", before=BEFORE)
    refs = [each.ref for page in records.find(query) for each in page.records]
    below = [child for child in records.describe("incident").children if child.on_delete is not OnDelete.CLEAR]
    mails = sum(len(page.records) for child in below for page in records.children(refs, child))
    outcomes: list[Deleted] = []
    for start in range(0, len(refs), records.batch):
        some = read(world, refs[start : start + records.batch])
        outcomes += records.delete([Deletion(each.ref, each.etag) for each in some])
        assert set(records.gone([each.ref for each in some])) == {Status.DONE}

    assert (len(outcomes), mails) == (2000, 301)
    assert set(statuses(outcomes)) == {Status.DONE}
    assert world.calls() <= 0.03 * len(refs)
