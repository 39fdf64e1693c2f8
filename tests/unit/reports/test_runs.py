"""What a report says of a run, of the people behind a plan, and of its policies and stores."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from offloader.holds import Scope
from offloader.model import Assurance, Verdict
from offloader.moves import matters
from offloader.moves.apply import apply_plan
from offloader.moves.approving import Said, approve
from offloader.ports import Approvals, Terms
from offloader.reports import processing
from offloader.reports.gather import mode_of
from offloader.reports.model import Count, Mode
from offloader.reports.sums import Use
from tests.unit.reports.conftest import NOW, Desk, PersonOptions, date, decision, move

ANNE = PersonOptions(name="Anne Vos", role="data-protection officer", login="anne")


def test_a_run_tells_what_became_of_every_document(desk: Desk) -> None:
    """Done, changed meanwhile and left alone add up to the plan, and each planned move that is not done says why."""
    done = desk.document("a", b"1" * 10)
    changed = desk.document("b", b"2" * 20)
    desk.document("c", b"3" * 30, made=decision(Verdict.KEEP, "TOO_YOUNG", "it is young"))
    with desk.site() as site:
        plan = desk.plan(site)
    desk.source.crm.edit(changed, b"somebody's new words")
    desk.clock.advance(60)
    with desk.site() as site:
        apply_plan(site, plan)
        desk.clock.advance(60)
        report = desk.report(site, plan, Mode.RUN)
        rows = {row.id: row for row in report.rows()}

    assert report.outcomes == {"done": Count(1, 1, 10), "conflict": Count(1, 1, 20), "kept": Count(1, 1, 30)}
    assert [(state, count) for (state, _), count in report.unfinished.items()] == [("conflict", Count(1, 1, 20))]
    assert all(why and changed.id not in why for _, why in report.unfinished)
    assert (report.exceptions, report.exceptions_total) == ((rows[changed.id].number,), 1)
    assert (report.started, report.ended) == (NOW + timedelta(seconds=60), NOW + timedelta(seconds=60))
    moved, stuck = rows[done.id], rows[changed.id]
    stored = desk.stores["de"].stat(moved.stored[0][1])
    assert stored is not None
    assert (moved.outcome, moved.done_at, moved.stored[0][0]) == ("done", NOW + timedelta(seconds=60), "de")
    assert moved.sha256 == stored.sha256
    assert (moved.detail, moved.due) == ("", None)
    assert (stuck.outcome, stuck.done_at, stuck.due) == ("conflict", None, date(2026, 12, 22))
    assert stuck.detail


def test_a_plan_that_was_begun_has_a_run_report() -> None:
    """Only what was never carried out is a dry run."""
    modes = {status: mode_of(status) for status in ("sealed", "refused", "superseded", "applying", "done")}

    assert [status for status, mode in modes.items() if mode is Mode.RUN] == ["applying", "done"]


def test_who_said_what_about_the_plan(desk: Desk) -> None:
    """Every word has the person's name and role; it stands until its time is over, and the plan is approved so long."""
    desk.people = {"anne": ANNE}
    desk.policy.terms = Terms(approvals=Approvals(people=1, days=14))
    desk.document("a")
    with desk.site() as site:
        plan = desk.plan(site)
        before = desk.report(site, plan)
        anne = replace(site, context=replace(site.context, account="anne"))
        approve(anne, plan, Said.APPROVED, "looked at the sample", days=2)
        now = desk.report(site, plan)
    desk.clock.advance(3 * 86400)
    with desk.site() as site:
        later = desk.report(site, plan)

    said = now.sign_offs[0]
    assert (before.approvals_needed, before.approved, before.sign_offs) == (1, False, ())
    assert (said.person, said.role, said.said, said.stands) == ("Anne Vos", "data-protection officer", "approved", True)
    assert (said.at, said.valid_until, said.reason) == (NOW, NOW + timedelta(days=2), "looked at the sample")
    assert now.approved
    assert [each.stands for each in later.sign_offs] == [False]
    assert not later.approved


def test_people_are_named_as_the_configuration_names_them(desk: Desk) -> None:
    """Who made the plan and who wrote the report stand with their names, an account without a person as it is."""
    desk.people, desk.person = {"anne": ANNE}, "anne"
    desk.document("a")

    report = desk.planned(by="account:root")

    assert (report.preparer, report.by) == ("Anne Vos", "account:root")


def test_a_rejection_stands_and_no_plan_is_approved_with_one(desk: Desk) -> None:
    """Who rejected is told as standing."""
    desk.people = {"anne": ANNE}
    desk.document("a")
    with desk.site() as site:
        plan = desk.plan(site)
        approve(replace(site, context=replace(site.context, account="anne")), plan, Said.REJECTED, "too soon")
        report = desk.report(site, plan)

    assert [(each.said, each.stands) for each in report.sign_offs] == [("rejected", True)]
    assert not report.approved


def test_a_policy_is_told_as_it_was(desk: Desk) -> None:
    """Name, version, layers, tables and overdue reviews are the plan's; what a later policy says is not put to it."""
    desk.policy.terms = Terms(
        name="kade",
        version="2026-11",
        layers=(("policy.yaml", "ab" * 32),),
        tables={"rules": "2026-11-21"},
        reviews={"FR-01": date(2026, 10, 1), "DE-02": date(2027, 1, 1)},
        processing={"controller": "Kade B.V.", "processing_name": "Archive"},
    )
    desk.document("a")
    with desk.site() as site:
        plan = desk.plan(site)
        found = desk.report(site, plan).policies
        desk.policy.fingerprint = "2"
        desk.policy.terms = Terms(version="later", reviews={"XX-01": date(2020, 1, 1)})
        later = desk.report(site, plan).policies

    assert [(each.name, each.version, each.fingerprint, each.sources) for each in found] == [
        ("own", "2026-11", "1", ("crm",))
    ]
    assert (found[0].layers, found[0].tables) == ((("policy.yaml", "ab" * 32),), {"rules": "2026-11-21"})
    assert found[0].overdue == (("FR-01", date(2026, 10, 1)),)
    assert (later[0].version, later[0].fingerprint, later[0].overdue) == ("2026-11", "1", ())
    assert later[0].processing["controller"] == ""


def test_the_record_of_processing_comes_from_policy_and_plan(desk: Desk) -> None:
    """The columns of Article 30 in order: the policy's words; recipients, third countries, safeguards as planned."""
    desk.policy.terms = Terms(
        processing={"controller": "Kade B.V.", "purposes": ("archive", "duties"), "special_categories": "none"}
    )
    desk.document("a", made=move("us", bases=("scc-1",), categories=("invoices",), copies=("de",)))
    desk.document("b", made=decision(Verdict.BLOCKED, "NO_PROOF", categories=("health",), bases=("bcr",)))

    row = desk.planned().policies[0].processing

    assert tuple(row) == processing.COLUMNS
    assert (row["processing_name"], row["controller"], row["purposes"]) == ("own", "Kade B.V.", "archive; duties")
    assert (row["recipients"], row["third_countries"], row["safeguards"]) == ("de (DE); us (US)", "US", "scc-1")
    assert (row["data_categories"], row["special_categories"], row["legal_basis"]) == ("invoices", "none", "")
    assert "de: SHA-256 of every copy checked, object lock" in row["security_measures"]
    assert row["source"] == "generated(1)"


def test_encryption_of_a_store_is_a_security_measure() -> None:
    """Bytes that are encrypted before they leave the machine are said to be."""
    used = Use(stores={"de"}, countries={"DE"})

    row = processing.row("own", {}, used, {}, {"de": "encrypted"}, "f")

    assert (row["recipients"], row["third_countries"], row["security_measures"]) == ("de", "", "de: encrypted")


def test_a_store_is_told_by_the_proof_that_the_plan_rests_on(desk: Desk) -> None:
    """Verdict, places, dates, sentence and raw evidence are those of the plan, whatever the store shows later."""
    desk.document("a")
    with desk.site() as site:
        plan = desk.plan(site)
        desk.stores["de"].assurance = Assurance.VIOLATION
        target = desk.report(site, plan).targets[0]

    assert (target.name, target.assurance, target.countries) == ("de", "PROVEN", ("DE",))
    assert (target.taken, target.expires) == (NOW, NOW + timedelta(days=1))
    assert (target.summary, target.evidence["countries"]) == ("in this process's memory, for tests", "DE")
    assert len(target.sha256) == 64


def test_a_source_says_when_it_was_scanned_and_what_was_hidden(desk: Desk) -> None:
    """A scan counts when all kinds are through; what it could not see is told."""
    hidden = desk.document("hidden")
    desk.document("a")
    desk.source.crm.hidden.add(hidden)

    source = desk.planned().sources[0]

    assert (source.name, source.type, source.countries, source.scanned) == ("crm", "memory", ("US",), NOW)
    assert source.blind_spots == ("The offloader's user may not see all documents. documents of other users",)


def test_holds_that_stand_are_named_at_every_document_that_they_cover(desk: Desk) -> None:
    """A hold that came after the plan is in the rows as well."""
    desk.people = {"anne": ANNE}
    kept, free = desk.document("a"), desk.document("b")
    with desk.site() as site:
        plan = desk.plan(site)
        anne = replace(site, context=replace(site.context, account="anne"))
        hold = matters.add(anne, matter="M-1", scope=Scope(documents=(str(kept),)), reason="asked for")
        rows = {row.id: row.holds for row in desk.report(site, plan).rows()}

    assert rows == {kept.id: (hold.id,), free.id: ()}
