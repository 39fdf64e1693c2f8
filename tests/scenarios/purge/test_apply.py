"""Carrying out a purge: archived and verified first, only what was approved, and whole after any crash."""

from __future__ import annotations

import json

import pytest

from offloader.disposition.acts import export_acts
from offloader.disposition.archive import Segment, read
from offloader.errors import Drift, Refused, Transient
from offloader.holds import Scope
from offloader.moves.run import run
from offloader.testing import MemoryStore
from offloader.testing.memory_records import MemoryRecords
from offloader.wrappers.faulty import Faulty
from tests.scenarios.purge.conftest import POLICY, Yard
from tests.scenarios.purge.test_plan import hold


class Killed(BaseException):
    """The end of the process: nothing catches it."""


def end() -> None:
    raise Killed


def test_records_are_archived_then_deleted(yard: Yard) -> None:
    """Everything that goes stands in a verified segment with its metadata; the report tells deleted from freed."""
    case = yard.case(Name="Zoë \ud83d")
    comment = yard.comment(case)

    row = yard.plan()
    report = yard.apply(row.id)

    assert yard.there(case, comment) == [False, False]
    assert report.states == {"done": 1}
    assert any("Deleted is not freed" in line for line in report.lines)
    segment = Segment.from_detail(yard.acts(row.id)[case.id].detail)
    assert segment is not None
    archived = read(yard.de, segment)
    assert [each.ref for each in archived.families[0].records] == [case, comment]
    assert archived.families[0].root.fields["Name"] == "Zoë \ud83d"
    assert {each.name for each in archived.types["Case"].fields} >= {"Status", "ClosedDate"}
    with yard.site() as site:
        types = [event.type for event in site.ledger.events(limit=10_000)]
        assert types.index("records_archived") < types.index("records_purged")
        assert site.ledger.plan(row.id).status == "done"


def test_what_changed_since_the_plan_stays(yard: Yard) -> None:
    """A record that somebody touched, or on which something new or changed hangs, is dropped from the run and said."""
    touched, grown, stirred, quiet = (yard.case() for _ in range(4))
    comment = yard.comment(stirred)
    row = yard.plan()
    yard.crm.edit(touched.id, Name="b")
    yard.comment(grown)
    yard.crm.edit(comment.id, Body="other")

    report = yard.apply(row.id)

    assert yard.there(touched, grown, stirred, quiet) == [True, True, True, False]
    assert report.states == {"conflict": 3, "done": 1}


def test_what_has_left_a_family_does_not_matter(yard: Yard) -> None:
    """A child that a user deleted meanwhile does not keep its record."""
    case = yard.case()
    comment = yard.comment(case)
    row = yard.plan()
    yard.crm.drop(comment.id)

    assert yard.apply(row.id).states == {"done": 1}
    assert yard.there(case) == [False]


def test_a_trigger_that_refuses_keeps_only_its_record(yard: Yard) -> None:
    """One refusal in a batch is said in the CRM's words; its neighbours go."""
    stays, goes = yard.case(), yard.case()
    yard.crm.refuses[stays.id] = "trigger: no"

    row = yard.plan()
    report = yard.apply(row.id)

    assert yard.there(stays, goes) == [True, False]
    assert report.states == {"skipped": 1, "done": 1}
    assert "trigger: no" in yard.acts(row.id)[stays.id].detail


def test_what_is_busy_is_tried_again(yard: Yard) -> None:
    """A row that is locked for a moment is deleted by a later try; one that stays locked has failed."""
    soon, never = yard.case(), yard.case()
    yard.crm.busy = {soon.id: 1, never.id: 99}

    report = yard.apply(yard.plan().id)

    assert yard.there(soon, never) == [False, True]
    assert report.states == {"done": 1, "failed": 1}


def test_what_a_user_deleted_before_is_passed_over(yard: Yard) -> None:
    """A record that is gone is skipped; one that vanished without a trace has failed. Neither is archived."""
    dropped, vanished = yard.case(), yard.case()
    row = yard.plan()
    yard.crm.drop(dropped.id)
    yard.crm.forget(vanished.id)

    assert yard.apply(row.id).states == {"skipped": 1, "failed": 1}
    assert yard.archives() == []


def test_a_hold_that_is_added_in_mid_run_saves_the_next_batch(yard: Yard) -> None:
    """A hold that comes while the first batch is being deleted keeps the records of the second."""
    first, second = yard.case(), yard.case()
    yard.crm.batch = 1
    faulty = Faulty(yard.crm).on("delete", after=lambda: hold(yard, Scope(records=(f"Case:{second.id}",))))
    row = yard.plan()
    yard.wrapped = faulty.port

    report = yard.apply(row.id)

    assert yard.there(first, second) == [False, True]
    assert report.states == {"done": 1, "held": 1}


@pytest.mark.parametrize("method", ["put", "stat"])
def test_without_an_archive_nothing_is_purged(yard: Yard, method: str) -> None:
    """A store that does not take the archive, or does not give it back, stops the run before any deletion."""
    cases = [yard.case() for _ in range(3)]
    row = yard.plan()
    yard.stores["de"] = Faulty(yard.de).on(method, repeat=99, raise_=Transient("the store is down")).port

    report = yard.apply(row.id)

    assert report.stopped is not None
    assert yard.there(*cases) == [True] * 3
    assert len(yard.crm._log) == 0
    del yard.stores["de"]
    assert yard.apply(row.id).states == {"done": 3}
    assert len(yard.archives()) == 1


def test_an_archive_that_is_not_what_was_written_stops_the_run(yard: Yard) -> None:
    """A segment that reads back otherwise is no archive: nothing is deleted."""
    case = yard.case()
    row = yard.plan()

    class Liar(MemoryStore):
        def stat(self, key):  # type: ignore[no-untyped-def]
            found = super().stat(key)
            return None if key.startswith("archive/") else found

    yard.stores["de"] = Liar("de", countries=["DE"], now=yard.clock.now)

    report = yard.apply(row.id)

    assert "archive/" in (report.stopped or "")
    assert yard.there(case) == [True]


@pytest.mark.parametrize(
    ("port", "method", "moment"),
    [
        ("store", "put", "before"),
        ("store", "put", "after"),
        ("crm", "delete", "before"),
        ("crm", "delete", "after"),
        ("crm", "gone", "before"),
    ],
)
def test_a_killed_run_goes_on_where_it_was(yard: Yard, port: str, method: str, moment: str) -> None:
    """Ended around the archive, the deletion or the ledger's note, the next run ends as one clean run would."""
    cases = [yard.case() for _ in range(3)]
    comments = [yard.comment(case) for case in cases]
    yard.crm.batch = 2
    row = yard.plan()
    before, after = (end, None) if moment == "before" else (None, end)
    if port == "store":
        yard.stores["de"] = Faulty(yard.de).on(method, before=before, after=after).port
    else:
        yard.wrapped = Faulty(yard.crm).on(method, before=before, after=after).port

    with pytest.raises(Killed):
        yard.apply(row.id)
    yard.stores.clear()
    yard.wrapped = None
    report = yard.apply(row.id)

    assert report.states["done"] == 3
    assert yard.there(*cases, *comments) == [False] * 6
    assert len(yard.archives()) == 1
    with yard.site() as site:
        events = [event for event in site.ledger.events(limit=10_000) if event.type == "records_purged"]
        purged = sorted(line[1] for event in events for line in event.data["records"])
    assert purged == sorted(case.id for case in cases)


def test_a_lost_answer_is_looked_up(yard: Yard) -> None:
    """When the answer to a deletion is lost, what is certainly deleted counts as done, and nothing is done twice."""
    cases = [yard.case() for _ in range(3)]
    faulty = Faulty(yard.crm).on("delete", lost=True)
    row = yard.plan()
    yard.wrapped = faulty.port

    report = yard.apply(row.id)

    assert report.states == {"done": 3}
    assert faulty.count("delete") == 1
    assert yard.there(*cases) == [False] * 3


@pytest.mark.parametrize(
    ("cap", "rule"),
    [
        ("    max_records: 3\n", "purge.old-cases.max_records"),
        ("    max_percent: 50\n", "purge.old-cases.max_percent"),
        ("caps: {documents: 3}\n", "limits.documents"),
        ("caps: {kinds: {Comment: 1}}\n", "limits.kinds.Comment"),
    ],
)
def test_a_plan_over_a_cap_is_refused(yard: Yard, cap: str, rule: str) -> None:
    """Caps count what goes along, too; a plan over one says so and is refused, with nothing done."""
    cases = [yard.case() for _ in range(2)]
    for case in cases:
        yard.comment(case)
    yard.policy = POLICY + cap

    row = yard.plan()
    with pytest.raises(Refused) as refused:
        yard.apply(row.id)

    assert refused.value.rule == rule
    assert row.totals["over"]
    assert yard.there(*cases) == [True, True]


def test_a_plan_needs_its_approvals(yard: Yard) -> None:
    """Where the policy wants people to approve, an unapproved purge is refused; no `run` takes it for a move."""
    case = yard.case()
    yard.policy = POLICY + "approvals: {people: 1, preparer: true}\n"
    row = yard.plan()

    with pytest.raises(Refused, match="not approved"):
        yard.apply(row.id)
    with yard.site() as site:
        run(site)
        assert site.ledger.plan(row.id).status == "sealed"
    assert yard.there(case) == [True]


def test_another_policy_or_an_edited_file_is_drift(yard: Yard) -> None:
    """A plan made under another policy, and a file that is not the plan line by line, are refused."""
    case = yard.case()
    row = yard.plan()
    with yard.site() as site:
        lines = list(export_acts(site, row.id))
    edited = json.loads(lines[1])
    edited["subject"] = "crm/Case/other"

    with pytest.raises(Drift, match="subject"):
        yard.apply(row.id, [lines[0], json.dumps(edited).encode()])
    yard.policy = POLICY.replace("P7Y", "P6Y")
    with pytest.raises(Drift, match="policy"):
        yard.apply(row.id)
    assert yard.there(case) == [True]


def test_a_plan_is_carried_out_once(yard: Yard) -> None:
    """A plan that is done is refused a second time."""
    yard.case()
    row = yard.plan()
    yard.apply(row.id)

    with pytest.raises(Refused, match="done"):
        yard.apply(row.id)


def test_hard_deletion_passes_the_bin_by(yard: Yard) -> None:
    """Only a rule that says so deletes past the bin."""
    yard.policy = POLICY + "    hard: true\n"
    case = yard.case()

    report = yard.apply(yard.plan().id)

    assert report.states == {"done": 1}
    assert yard.crm._bin == {}
    assert not any("bin" in line for line in report.lines)
    assert yard.there(case) == [False]


def test_calls_per_record_are_few(yard: Yard) -> None:
    """A thousand records with their children cost few calls each, planning and archive included."""
    for _ in range(1000):
        yard.comment(yard.case())

    row = yard.plan()
    yard.apply(row.id)

    assert isinstance(yard.crm, MemoryRecords)
    assert sum(yard.crm.requests.values()) <= 0.04 * 1000
