"""Deleting records: only what is as it was, in few calls, and read back."""

from __future__ import annotations

import pytest

from offloader.errors import AuthError, Exhausted, Permanent, Transient
from offloader.ports import Status
from offloader.records import Deletion
from offloader_connectors.salesforce.emulator.options import OrgOptions

from .conftest import Desk, Opener, cascades, everything, query

COLLECTIONS = "collections.delete"


def test_ten_thousand_records_cost_few_calls(desk: Desk) -> None:
    """Found, read whole with their children, deleted and read back: 10,000 cases cost under 0.03 calls each."""
    cases = desk.cases(10_000)
    for each in cases[::100]:
        desk.email(each)
    children = desk.records.describe("Case").children
    desk.world.reset_counters()
    found = everything(desk.records.find(query()))
    for start in range(0, len(found), 2000):
        part = [each.ref for each in found[start : start + 2000]]
        whole = [each for each in desk.records.fetch(part) if each is not None]
        rows = [everything(desk.records.children(part, each)) for each in children if each.on_delete != "clear"]
        assert sum(map(len, rows)) == 20
        outcomes = desk.records.delete([Deletion(each.ref, each.etag) for each in whole])
        assert {each.status for each in outcomes} == {Status.DONE}
    assert set(desk.records.gone(cases)) == {Status.DONE}
    assert sum(desk.calls().values()) / len(cases) < 0.009
    assert not any(map(desk.lives, cases))


def test_each_is_as_it_was_or_stays(desk: Desk) -> None:
    """Changed, deleted, unknown and hostile ones are told apart, in order, and only the rest goes."""
    same, changed, binned, gone = desk.cases(4)
    asked = desk.deletions([same, changed, binned, gone])
    desk.touch(changed)
    desk.org.delete(binned.id)
    desk.org.remove(gone.id, hard=True)
    hostile = Deletion(desk.ref("Case", "500000000000000&ids=x"), "etag")
    outcomes = desk.records.delete([*asked, hostile])
    expected = [Status.DONE, Status.CONFLICT, Status.GONE, Status.GONE, Status.REFUSED]
    assert [each.status for each in outcomes] == expected
    assert not desk.lives(same)
    assert desk.lives(changed)


def test_types_may_be_mixed(desk: Desk) -> None:
    """Cases and e-mails in one list are each compared by their own rows."""
    case = desk.case()
    email = desk.email(desk.case())
    other = desk.case()
    outcomes = desk.records.delete(desk.deletions([case, email, other]))
    assert [each.status for each in outcomes] == [Status.DONE] * 3


class TestRefusals:
    """An org whose triggers and look-ups forbid deletions."""

    @pytest.fixture
    def org_options(self) -> OrgOptions:
        return OrgOptions(restricted_lookups=("Case.ParentId",), refused_deletions={"Account": "Ask SAP first"})

    def test_words_of_the_org_are_handed_on(self, desk: Desk) -> None:
        """A restricting look-up and a trigger refuse their records, with their words, and no others."""
        parent, other = desk.cases(2)
        desk.case(ParentId=parent.id)
        account = desk.ref("Account", desk.world.account)
        kept, done, refused = desk.records.delete(desk.deletions([parent, other, account]))
        assert (kept.status, done.status, refused.status) == (Status.REFUSED, Status.DONE, Status.REFUSED)
        assert "associated with the following cases" in kept.reason
        assert "Ask SAP first" in refused.reason


def test_permissions_of_the_record_count(desk: Desk) -> None:
    """Records that the user may read but not delete are REFUSED."""
    case = desk.case()
    asked = desk.deletions([case])
    desk.org.user(username="integration@offloader.example", permissions=["ViewAllData"])
    (outcome,) = desk.records.delete(asked)
    assert outcome.status is Status.REFUSED
    assert "INSUFFICIENT_ACCESS" in outcome.reason


ITEMS = {
    "UNABLE_TO_LOCK_ROW": Status.RETRY,
    "LIMIT_EXCEEDED": Status.RETRY,
    "ENTITY_IS_DELETED": Status.GONE,
    "SOMETHING_NEW": Status.REFUSED,
}


def test_each_failure_has_its_meaning(desk: Desk) -> None:
    """A locked row is RETRY, one that is gone is GONE, an unforeseen one REFUSED; the rest of the batch is deleted."""
    for code, status in ITEMS.items():
        cases = desk.cases(3)
        asked = desk.deletions(cases)
        desk.world.fault(on=COLLECTIONS, do="item", item=1, code=code)
        assert [each.status for each in desk.records.delete(asked)] == [Status.DONE, status, Status.DONE]
        assert desk.lives(cases[1])


def test_a_lost_answer_is_looked_up(desk: Desk) -> None:
    """Deletions whose answer was lost are found in the recycle bin."""
    cases = desk.cases(3)
    asked = desk.deletions(cases)
    desk.world.fault(on="composite", do="drop_after_commit", times=1)
    assert {each.status for each in desk.records.delete(asked)} == {Status.DONE}


def test_nothing_done_is_an_error(desk: Desk) -> None:
    """When no call gets through nothing is deleted, and the error says what to do."""
    cases = desk.cases(2)
    asked = desk.deletions(cases)
    for status, error in ((503, Transient), (403, Exhausted), (401, AuthError)):
        desk.world.fault(on="composite", do="status", status=status, times=2)
        with pytest.raises(error):
            desk.records.delete(asked)
    assert all(map(desk.lives, cases))


def test_what_was_done_before_a_stop_is_told(desk: Desk) -> None:
    """When the allocation ends between two calls, those of the first are DONE and the others wait."""
    cases = desk.cases(1500)
    asked = desk.deletions(cases)
    look_and_first_thousand = 2
    desk.world.fault(on="composite", do="status", status=403, nth=look_and_first_thousand + 1)
    outcomes = desk.records.delete(asked)
    assert {each.status for each in outcomes[:1000]} == {Status.DONE}
    assert {each.status for each in outcomes[1000:]} == {Status.RETRY}
    assert all(map(desk.lives, cases[1000:]))


def test_what_cannot_be_read_back_waits(desk: Desk) -> None:
    """A deletion that could not be looked at afterwards is tried again, and is GONE then."""
    asked = desk.deletions([desk.case()])
    desk.world.fault(on="query_all", do="status", status=403, nth=2)
    with pytest.raises(Exhausted):
        desk.records.delete(asked)
    assert [each.status for each in desk.records.delete(asked)] == [Status.GONE]


def test_a_stop_between_types_keeps_what_is_known(desk: Desk) -> None:
    """When the allocation ends after the cases, they are DONE and the accounts are RETRY, untouched."""
    case, account = desk.case(), desk.ref("Account", desk.world.account)
    email = desk.email(desk.case())
    asked = desk.deletions([case, account, email])
    desk.world.fault(on="query_all", do="status", status=403, nth=3)
    assert [each.status for each in desk.records.delete(asked)] == [Status.DONE, Status.RETRY, Status.RETRY]
    assert desk.lives(account)
    assert desk.lives(email)


def test_parts_that_fail_are_told_apart(desk: Desk) -> None:
    """A part of a call that broke is tried again, one that was refused is REFUSED, and nothing is called done."""
    case = desk.case()
    asked = desk.deletions([case])
    refused = [{"errorCode": "INVALID_TYPE_FOR_OPERATION", "message": "not this one"}]
    desk.world.fault(on=COLLECTIONS, do="status", status=400, body=refused, times=1)
    (outcome,) = desk.records.delete(asked)
    assert (outcome.status, "not this one" in outcome.reason) == (Status.REFUSED, True)
    desk.world.fault(on=COLLECTIONS, do="status", status=500, times=1)
    (outcome,) = desk.records.delete(asked)
    assert outcome.status is Status.RETRY
    assert desk.lives(case)


def test_rows_without_a_stamp_are_never_deleted(desk: Desk) -> None:
    """A type whose rows do not tell a change is REFUSED."""
    feed = desk.org.insert("FeedItem", {"ParentId": desk.case().id, "Body": "b"})
    attachment = desk.ref("FeedAttachment", desk.org.insert("FeedAttachment", {"FeedEntityId": feed, "Title": "t"}))
    (outcome,) = desk.records.delete(desk.deletions([attachment]))
    assert (outcome.status, desk.lives(attachment)) == (Status.REFUSED, True)


def test_a_deletion_is_not_believed_before_it_is_seen(desk: Desk) -> None:
    """Records that are back at once, by somebody's undelete, are not said to be gone."""
    (case,) = desk.cases(1)
    asked = desk.deletions([case])
    change = {"action": "undelete", "id": case.id}
    desk.world.fault(on=COLLECTIONS, do="edit", change=change)
    (outcome,) = desk.records.delete(asked)
    assert outcome.status is Status.RETRY
    assert "still there" in outcome.reason


class TestJobs:
    """Many deletions at once are one Bulk API job."""

    def test_large_batches_are_one_job(self, desk: Desk) -> None:
        """5,000 deletions are one job of five calls, with a look before and after; only the unchanged go."""
        cases = desk.cases(5000)
        asked = desk.deletions(cases)
        desk.touch(cases[7])
        desk.world.reset_counters()
        outcomes = desk.records.delete(asked)
        assert outcomes[7].status is Status.CONFLICT
        assert [each.status for each in outcomes].count(Status.DONE) == 4999
        assert desk.lives(cases[7])
        job = {f"bulk.ingest.{name}": 1 for name in ("create", "upload", "change", "get", "results")}
        assert desk.calls() == {**job, "composite": 2}

    def test_failures_of_a_job_are_told_one_by_one(self, desk: Desk, open_records: Opener) -> None:
        """A job's failed rows have their own words, and the job is waited for."""
        desk.records = open_records(bulk_delete_from=1)
        desk.world.org.options = OrgOptions(bulk_seconds=5)
        cases = desk.cases(3)
        asked = desk.deletions(cases)
        desk.world.fault(on="bulk.ingest.change", do="item", item=1)
        first, locked, last = desk.records.delete(asked)
        assert (first.status, locked.status, last.status) == (Status.DONE, Status.RETRY, Status.DONE)
        assert "unable to obtain exclusive access" in locked.reason
        assert desk.calls()["bulk.ingest.get"] == 3

    def test_types_without_jobs_go_the_other_way(self, desk: Desk, open_records: Opener) -> None:
        """Attachments, which the Bulk API does not take, are deleted in collections."""
        desk.records = open_records(bulk_delete_from=1)
        attachment = desk.ref("Attachment", desk.world.attachment(desk.case().id))
        (outcome,) = desk.records.delete(desk.deletions([attachment]))
        assert outcome.status is Status.DONE
        assert desk.calls()["composite"] >= 1

    def test_hard_deletion_passes_the_bin_by(self, desk: Desk) -> None:
        """A hard deletion leaves nothing in the recycle bin; for two weeks the log of deletions proves it."""
        case = desk.case()
        (outcome,) = desk.records.delete(desk.deletions([case]), hard=True)
        assert outcome.status is Status.DONE
        assert desk.org.get(case.id) is None
        assert list(desk.records.gone([case, desk.ref("Case", "500000000000000AAA")])) == [Status.DONE, Status.REFUSED]
        desk.clock.move(days=15)
        assert list(desk.records.gone([case])) == [Status.REFUSED]
        log_refused = [{"errorCode": "EXCEEDED_ID_LIMIT", "message": "too many"}]
        desk.world.fault(on="sobject.deleted", do="status", status=400, body=log_refused)
        assert list(desk.records.gone([case])) == [Status.REFUSED]

    def test_hard_deletion_needs_its_permission(self, desk: Desk) -> None:
        """Without Bulk API Hard Delete the record is REFUSED, not moved to the bin in silence."""
        desk.org.user(
            username="integration@offloader.example", permissions=["ViewAllData", "ModifyAllData", "QueryAllFiles"]
        )
        case = desk.case()
        (outcome,) = desk.records.delete(desk.deletions([case]), hard=True)
        assert outcome.status is Status.REFUSED
        assert "special user profile permission" in outcome.reason
        assert desk.lives(case)

    def test_a_refused_job_is_an_error(self, desk: Desk, open_records: Opener) -> None:
        """When Salesforce will not make the job, nothing is deleted and its words are raised."""
        desk.records = open_records(bulk_delete_from=1)
        case = desk.case()
        asked = desk.deletions([case])
        refused = [{"errorCode": "INVALIDJOB", "message": "no more jobs"}]
        desk.world.fault(on="bulk.ingest.create", do="status", status=400, body=refused)
        with pytest.raises(Permanent, match="no more jobs"):
            desk.records.delete(asked)
        lost = [{"errorCode": "INVALID_AUTH_HEADER", "message": "who"}]
        desk.world.fault(on="bulk.ingest.create", do="status", status=403, body=lost)
        for hard in (False, True):
            with pytest.raises(AuthError):
                desk.records.delete(asked, hard=hard)
        assert desk.lives(case)

    def test_a_job_that_was_never_started_deletes_nothing(self, desk: Desk, open_records: Opener) -> None:
        """An answer lost before the start leaves every record where it is, and a later try deletes it."""
        desk.records = open_records(bulk_delete_from=1)
        case = desk.case()
        asked = desk.deletions([case])
        for step, act in (("create", "drop_after_commit"), ("upload", "drop_after_commit"), ("change", "drop_before")):
            desk.world.fault(on=f"bulk.ingest.{step}", do=act, times=1)
            with pytest.raises(Transient):
                desk.records.delete(asked)
            assert desk.lives(case)
        assert [each.status for each in desk.records.delete(asked)] == [Status.DONE]

    def test_a_lost_end_is_looked_up(self, desk: Desk, open_records: Opener) -> None:
        """When the answers after the start are lost, the recycle bin says what was deleted."""
        desk.records = open_records(bulk_delete_from=1)
        for step in ("change", "get", "results"):
            asked = desk.deletions(desk.cases(3))
            desk.world.fault(on=f"bulk.ingest.{step}", do="drop_after_commit", times=1)
            assert {each.status for each in desk.records.delete(asked)} == {Status.DONE}

    def test_a_start_without_answer_is_followed(self, desk: Desk, open_records: Opener) -> None:
        """When only the answer to the start is lost, the job is waited for and its failures are read."""
        desk.records = open_records(bulk_delete_from=1)
        asked = desk.deletions(desk.cases(2))
        rules = [{"on": "bulk.ingest.change", "do": do, "times": 1} for do in ("item", "drop_after_commit")]
        desk.world.emulator.faults.load(rules)
        locked, done = desk.records.delete(asked)
        assert (locked.status, done.status) == (Status.RETRY, Status.DONE)
        assert "unable to obtain exclusive access" in locked.reason

    def test_a_job_that_never_ends_is_called_off(self, desk: Desk, open_records: Opener) -> None:
        """After an hour the job is stopped, and what is left is tried again."""
        desk.records = open_records(bulk_delete_from=1)
        desk.world.org.options = OrgOptions(bulk_seconds=100_000)
        case = desk.case()
        asked = desk.deletions([case])
        desk.world.fault(on="bulk.ingest.change", do="item", item=0)
        with pytest.raises(Transient, match="still at work"):
            desk.records.delete(asked)
        assert desk.calls()["bulk.ingest.change"] == 2


def test_children_go_and_are_named_before(desk: Desk) -> None:
    """What describe calls a cascade is what the org deletes."""
    case = desk.case()
    desk.email(case)
    desk.world.file(parents=[case.id])
    going = [each.ref for child in cascades(desk, "Case") for each in everything(desk.records.children([case], child))]
    desk.records.delete(desk.deletions([case]))
    assert len(going) == 2
    assert not any(map(desk.lives, going))
