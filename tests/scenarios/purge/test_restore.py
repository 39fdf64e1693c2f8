"""Bringing purged records back: out of the bin, or out of the archive with their relations."""

from __future__ import annotations

from dataclasses import replace

import pytest

from offloader.disposition.reviving import Revived, revive
from offloader.disposition.tombstones import bury
from offloader.errors import ConfigError
from offloader.model import DocumentRef
from offloader.records import RecordRef
from offloader.wrappers.faulty import Faulty
from tests.scenarios.purge.conftest import Yard
from tests.scenarios.purge.test_apply import Killed, end


def bring_back(yard: Yard, *what: str) -> Revived:
    with yard.site() as site:
        return revive(site, what)


def purge(yard: Yard, *, in_bin: bool = False) -> str:
    row = yard.plan()
    assert yard.apply(row.id).states["done"]
    if not in_bin:
        yard.crm.empty_bin()
    return row.id


def now(revived: Revived, ref: RecordRef) -> str:
    return revived.ids[str(ref)].rpartition("/")[2]


def test_the_bin_gives_records_back_as_they_were(yard: Yard) -> None:
    """While the CRM's bin holds a record, it comes back under its own id with what was deleted with it."""
    case, other = yard.case(), yard.case()
    comment = yard.comment(case)
    purge(yard, in_bin=True)

    revived = bring_back(yard, str(case))

    assert (revived.undeleted, revived.created, revived.failed) == (1, 0, 0)
    assert yard.there(case, comment, other) == [True, True, False]
    with pytest.raises(ConfigError, match="restored"):
        bring_back(yard, str(case))


def test_the_archive_gives_records_back_with_their_relations(yard: Yard) -> None:
    """Without a bin, records are made anew, parents first; children hang on the new ids, and the report maps them."""
    case = yard.case(Name="Zoë")
    comment = yard.comment(case)
    remark = yard.crm.add("Remark", {"CommentId": comment.id})
    plan = purge(yard)

    revived = bring_back(yard, plan)

    assert (revived.undeleted, revived.created, revived.failed) == (0, 3, 0)
    rows = yard.crm.rows
    assert rows[now(revived, case)].fields["Name"] == "Zoë"
    assert rows[now(revived, comment)].fields["CaseId"] == now(revived, case)
    assert rows[now(revived, remark)].fields["CommentId"] == now(revived, comment)


def test_a_reference_to_a_record_that_comes_later_is_set_afterwards(yard: Yard) -> None:
    """A record that names one made after it gets the new id once that is there."""
    one, two = yard.case(), yard.case()
    yard.crm.edit(one.id, ParentId=two.id)
    plan = purge(yard)

    revived = bring_back(yard, plan)

    assert revived.created == 2
    assert yard.crm.rows[now(revived, one)].fields["ParentId"] == now(revived, two)


def test_what_cannot_be_set_is_said(yard: Yard) -> None:
    """Fields that the CRM lets nobody set are named per record."""
    case = yard.case()
    plan = purge(yard)

    revived = bring_back(yard, plan)

    assert revived.lost == {str(case): ["ClosedDate"]}
    assert any("ClosedDate" in note for note in revived.notes)


def test_an_owner_who_has_left_does_not_keep_a_record_away(yard: Yard) -> None:
    """A record whose owner is inactive is made without its owner, and that is said."""
    case = yard.case()
    plan = purge(yard)
    yard.crm.inactive.add("u1")

    revived = bring_back(yard, plan)

    assert revived.created == 1
    assert "OwnerId" not in yard.crm.rows[now(revived, case)].fields
    assert any("made without OwnerId: the owner is inactive" in note for note in revived.notes)


def test_a_child_that_cannot_be_made_is_said(yard: Yard) -> None:
    """A record comes back without a child that the CRM refuses, and both are said; a second run makes nothing twice."""
    case = yard.case()
    comment = yard.comment(case)
    plan = purge(yard)
    yard.crm.types["Comment"] = replace(yard.crm.types["Comment"], creatable=False)

    revived = bring_back(yard, plan)
    again = bring_back(yard, plan)

    assert (revived.created, revived.failed) == (1, 2)
    assert (again.created, again.failed) == (0, 2)
    assert any(note.startswith(str(comment)) for note in revived.notes)


def test_an_archive_that_was_edited_gives_nothing_back(yard: Yard) -> None:
    """A segment that is not what was written is refused, and the record is said not to have come back."""
    yard.case()
    plan = purge(yard)
    (key,) = yard.archives()
    yard.de.delete(key)
    yard.de.put(key, [b"{}\n"])

    revived = bring_back(yard, plan)

    assert (revived.created, revived.failed) == (0, 1)
    assert any("is not what was written" in note for note in revived.notes)


@pytest.mark.parametrize(("nth", "moment"), [(1, "before"), (1, "after"), (2, "before"), (2, "after")])
def test_a_restore_that_was_ended_makes_nothing_twice(yard: Yard, nth: int, moment: str) -> None:
    """Ended around a creation, the next restore looks what it made; what is not there is made when no call can be at
    work any more."""
    cases = [yard.case() for _ in range(2)]
    for case in cases:
        yard.comment(case)
    plan = purge(yard)
    yard.wrapped = Faulty(yard.crm).on("create", nth=nth, **{moment: end}).port
    with pytest.raises(Killed):
        bring_back(yard, plan)
    yard.wrapped = None

    soon = bring_back(yard, plan)
    yard.later(minutes=16)
    late = bring_back(yard, plan) if moment == "before" else soon

    assert soon.unclear == (2 if moment == "before" else 0)
    assert (late.failed, late.unclear) == (0, 0)
    assert sorted(row.ref.type for row in yard.crm.rows.values()) == ["Case", "Case", "Comment", "Comment"]
    hang_on = sorted(str(row.fields["CaseId"]) for row in yard.crm.rows.values() if row.ref.type == "Comment")
    assert hang_on == sorted(row.ref.id for row in yard.crm.rows.values() if row.ref.type == "Case")


def test_a_lost_answer_makes_nothing_twice(yard: Yard) -> None:
    """When the answer to a creation is lost, what it made is claimed, equal records one by one."""
    cases = [yard.case(Name="twin") for _ in range(3)]
    plan = purge(yard)
    yard.wrapped = Faulty(yard.crm).on("create", lost=True).port

    stopped = bring_back(yard, plan)
    yard.wrapped = None
    again = bring_back(yard, plan)

    assert stopped.error is not None
    assert (again.created, again.unclear, again.failed) == (3, 0, 0)
    assert sorted(yard.crm.rows) == sorted(now(again, case) for case in cases)


def test_an_answer_lost_while_a_look_up_is_left_out_makes_nothing_twice(yard: Yard) -> None:
    """A record that is made without its owner, whose answer is lost then, is recognised nevertheless."""
    yard.case()
    plan = purge(yard)
    yard.crm.inactive.add("u1")
    yard.wrapped = Faulty(yard.crm).on("create", nth=2, lost=True).port
    bring_back(yard, plan)
    yard.wrapped = None

    assert bring_back(yard, plan).created == 1
    assert len(yard.crm.rows) == 1


def test_what_nobody_can_tell_is_for_a_person(yard: Yard) -> None:
    """If something changed what may have been made, nothing is made again: the answer says so, however often asked."""
    yard.case()
    plan = purge(yard)

    def changed() -> None:
        (row,) = yard.crm.rows.values()
        yard.crm.edit(row.ref.id, Name="renamed by a flow")
        end()

    yard.wrapped = Faulty(yard.crm).on("create", after=changed).port
    with pytest.raises(Killed):
        bring_back(yard, plan)
    yard.wrapped = None
    yard.later(hours=1)

    for _ in range(2):
        revived = bring_back(yard, plan)
        assert (revived.created, revived.unclear) == (0, 1)
        assert any("not quite the same" in note for note in revived.notes)
    assert len(yard.crm.rows) == 1


def test_a_lost_undeletion_makes_nothing_anew(yard: Yard) -> None:
    """A record that is there already, since the answer to its undeletion was lost, is not made a second time."""
    case = yard.case()
    plan = purge(yard, in_bin=True)
    yard.wrapped = Faulty(yard.crm).on("undelete", after=end).port
    with pytest.raises(Killed):
        bring_back(yard, plan)
    yard.wrapped = None

    revived = bring_back(yard, plan)

    assert (revived.undeleted, revived.created) == (1, 0)
    assert list(yard.crm.rows) == [case.id]


def test_a_restore_ended_before_late_references_sets_them_later(yard: Yard) -> None:
    """A reference that had to wait for a record made after it is set by the next restore."""
    one, two = yard.case(), yard.case()
    yard.crm.edit(one.id, ParentId=two.id)
    plan = purge(yard)
    yard.wrapped = Faulty(yard.crm).on("set_fields", before=end).port
    with pytest.raises(Killed):
        bring_back(yard, plan)
    yard.wrapped = None

    bring_back(yard, plan)

    parents = [row.fields.get("ParentId") for row in yard.crm.rows.values()]
    assert len(yard.crm.rows) == 2
    assert set(parents) & set(yard.crm.rows)


def test_what_nobody_purged_cannot_be_brought_back(yard: Yard) -> None:
    """A record without a purge and a word that is no plan are configuration errors; a plan not yet applied is empty."""
    case = yard.case()
    with pytest.raises(ConfigError, match="no purge"):
        bring_back(yard, str(case))
    with pytest.raises(ConfigError, match="neither"):
        bring_back(yard, "P-1")
    assert bring_back(yard, yard.plan().id).created == 0


def test_what_was_erased_at_a_person_s_request_does_not_come_back(yard: Yard) -> None:
    """A record with a tombstone stays in the bin, and takes what went with it along; others come back."""
    erased, comment_of, other = yard.case(), yard.case(), yard.case()
    comment = yard.comment(comment_of)
    plan = purge(yard, in_bin=True)
    with yard.site() as site:
        named = [DocumentRef(ref.source, ref.type, ref.id) for ref in (erased, comment)]
        bury(site, named, ground="art17", plan=plan)

    revived = bring_back(yard, plan)

    assert (revived.undeleted, revived.failed) == (1, 2)
    assert yard.there(erased, comment_of, comment, other) == [False, False, False, True]
    assert len([note for note in revived.notes if "erased" in note]) == 2
