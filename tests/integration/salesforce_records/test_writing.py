"""Bringing records back: from the recycle bin, or anew."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from offloader.errors import AuthError, Exhausted, OffloaderError, Transient
from offloader.ports import Status
from offloader.records import Record

from .conftest import Desk


def _whole(desk: Desk, *refs: object) -> list[Record]:
    return [each for each in desk.records.fetch(refs) if each is not None]


def _made(desk: Desk, type_name: str, **fields: str) -> Record:
    stamp = datetime(2026, 1, 1, tzinfo=UTC)
    return Record(ref=desk.ref(type_name, "old"), etag="", modified=stamp, fields=fields)


def test_undelete_brings_back_what_the_bin_holds(desk: Desk) -> None:
    """Records come back with their children, in the session that REST uses; others are REFUSED with the org's words."""
    case = desk.case()
    email = desk.email(case)
    desk.records.delete(desk.deletions([case]))
    hostile = desk.ref("Case", "<ids>500</ids>")
    back, never, wrong = desk.records.undelete([case, desk.case("never deleted"), hostile])
    assert (back.status, back.ref) == (Status.DONE, case)
    assert (never.status, wrong.status) == (Status.REFUSED, Status.REFUSED)
    assert "not in the recycle bin" in never.reason
    assert desk.lives(case)
    assert desk.lives(email)


def test_undelete_takes_two_hundred_at_once(desk: Desk) -> None:
    """Each call of the SOAP API brings 200 back, and a session that has ended is renewed."""
    cases = desk.cases(201)
    desk.records.delete(desk.deletions(cases))
    desk.world.reset_counters()
    desk.world.emulator.app.auth.expire_all()
    assert {each.status for each in desk.records.undelete(cases)} == {Status.DONE}
    assert desk.calls() == {"soap": 3}
    more = desk.cases(201)
    desk.records.delete(desk.deletions(more))
    desk.world.fault(on="soap", do="drop_before", nth=2)
    outcomes = [each.status for each in desk.records.undelete(more)]
    assert (set(outcomes[:200]), outcomes[200]) == ({Status.DONE}, Status.RETRY)


STRANGE = {
    b"<!DOCTYPE x [<!ENTITY a 'b'>]><x>&a;</x>": "document type",
    b"<html>maintenance": "without a readable answer",
    b"<e><result><success>true</success></result><result/></e>": "not 1 results",
    b"<e><Fault><faultcode>sf:API_DISABLED</faultcode></Fault></e>": "API_DISABLED",
}


def test_strange_answers_are_no_success(desk: Desk) -> None:
    """An answer that is not what the SOAP API says never counts as brought back."""
    case = desk.case()
    desk.org.delete(case.id)
    for body, error in STRANGE.items():
        desk.world.fault(on="soap", do="status", status=200, body=body.decode(), times=1)
        with pytest.raises(OffloaderError, match=error):
            desk.records.undelete([case])


def test_a_refused_session_is_no_riddle(desk: Desk) -> None:
    """A user who may not use the API at all is an AuthError that holds no session."""
    desk.org.user(username="integration@offloader.example", permissions=["-ApiEnabled"])
    with pytest.raises(AuthError):
        desk.records.fetch([desk.case()])


def test_creation_keeps_order_and_says_what_it_refuses(desk: Desk) -> None:
    """New records get ids of their own; what the org refuses has its words; fields that cannot be set are left out."""
    records = [
        _made(desk, "Case", Subject="it's back", CaseNumber="00000001", CreatedDate="2017-01-01T00:00:00.000+0000"),
        _made(desk, "Account", Industry="has no name"),
        _made(desk, "Case", Subject="x" * 300),
        _made(desk, "Account", Name="Müller"),
    ]
    first, nameless, long, last = desk.records.create(records)
    assert [each.status for each in (first, nameless, long, last)] == [Status.DONE, *[Status.REFUSED] * 2, Status.DONE]
    assert "Required fields are missing" in nameless.reason
    assert "STRING_TOO_LONG" in long.reason
    assert first.ref is not None
    (made,) = _whole(desk, first.ref)
    assert made.fields["Subject"] == "it's back"
    assert made.fields["CaseNumber"] != "00000001"


def test_a_thousand_are_created_in_one_call(desk: Desk) -> None:
    """Records of two types by turns still go in few collections."""
    records = [_made(desk, "Case" if number // 20 % 2 else "Lead", Subject="s", LastName="l", Company="c")
               for number in range(1000)]  # fmt: skip
    desk.records.create(records[:1])
    desk.records.create(records[20:21])
    desk.world.reset_counters()
    assert {each.status for each in desk.records.create(records)} == {Status.DONE}
    assert desk.calls() == {"composite": 1}
    assert len(desk.org.rows("Lead")) == 501


def test_a_lost_creation_is_never_repeated_blindly(desk: Desk) -> None:
    """When the answer is lost the record may be there: nothing is sent again, and `made` finds what was made."""
    lead = _made(desk, "Lead", LastName="l", Company="c")
    desk.org.insert("Lead", {"LastName": "another's", "Company": "c", "CreatedById": desk.world.owner})
    desk.records.describe("Lead")
    began = desk.clock()
    assert desk.records.made([lead], began) == []
    desk.world.fault(on="composite", do="drop_after_commit", times=1)
    (outcome,) = desk.records.create([lead])
    assert outcome.status is Status.RETRY
    assert "look before" in outcome.reason
    assert len(desk.org.rows("Lead")) == 2
    (found,) = desk.records.made([lead], began)
    assert found.fields["LastName"] == "l"


def test_creations_that_never_were_are_errors_or_wait(desk: Desk) -> None:
    """With no call through an error is raised; after the first call, the rest is to be tried again."""
    lead = _made(desk, "Lead", LastName="l", Company="c")
    desk.records.describe("Lead")
    desk.world.fault(on="composite", do="status", status=403, nth=1)
    with pytest.raises(Exhausted):
        desk.records.create([lead])
    refused = [{"errorCode": "INVALID_INPUT", "message": "not so"}]
    desk.world.fault(on="collections.create", do="status", status=400, body=refused, times=1)
    (outcome,) = desk.records.create([lead])
    assert (outcome.status, "not so" in outcome.reason) == (Status.REFUSED, True)
    desk.world.fault(on="collections.create", do="status", status=500, times=1)
    (outcome,) = desk.records.create([lead])
    assert (outcome.status, "look before" in outcome.reason) == (Status.RETRY, True)
    desk.world.fault(on="composite", do="status", status=403, nth=2)
    outcomes = desk.records.create([lead] * 1001)
    assert {each.status for each in outcomes[:1000]} == {Status.DONE}
    assert outcomes[1000].status is Status.RETRY


def test_references_are_set_afterwards(desk: Desk) -> None:
    """Fields are set on the records named, and a record that is not there says so."""
    child, parent, gone = desk.cases(3)
    desk.org.delete(gone.id)
    asked = [replace(each, fields={"ParentId": parent.id, "Id": "x"}) for each in _whole(desk, child)]
    missing = replace(asked[0], ref=gone)
    done, refused = desk.records.set_fields([*asked, missing])
    assert (done.status, done.ref, refused.status) == (Status.DONE, child, Status.REFUSED)
    assert desk.org.get(child.id)["ParentId"] == parent.id


def test_a_lost_change_may_be_made_again(desk: Desk) -> None:
    """A change whose answer never came is an error, since making it twice does no harm."""
    (read,) = _whole(desk, desk.case())
    desk.world.fault(on="composite", do="drop_after_commit", times=1)
    asked = [replace(read, fields={"Subject": "new"})]
    with pytest.raises(Transient):
        desk.records.set_fields(asked)
    assert [each.status for each in desk.records.set_fields(asked)] == [Status.DONE]
