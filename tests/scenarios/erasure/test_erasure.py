"""Erasing a data subject's documents: what goes, what a person decides, what a hold or a lock keeps."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import timedelta

import pytest

from offloader.disposition.erasing import apply_erasure, evidence_of
from offloader.disposition.erasure import ERASE, LEFT, REVIEW, plan_erasure, plan_returned
from offloader.disposition.subjects import receive, request_of, search, subject_of
from offloader.disposition.terms import follow
from offloader.disposition.tombstones import returned
from offloader.errors import ConfigError, Refused
from offloader.model import State
from offloader.moves.rebuild import rebuild
from offloader.moves.scan import scan
from offloader.testing.memory_crm import Row
from offloader.wrappers.faulty import Faulty
from tests.scenarios.erasure.conftest import NAME, Case
from tests.scenarios.test_expiry import TermPolicy


class Killed(BaseException):
    """Ends the work as a kill would: nothing catches it."""


def test_everything_of_the_subject_alone_goes(case: Case) -> None:
    """Copies, links and all names of her documents are gone, from the ledger's file too; everything of others stays."""
    others = [case.house.entry(ref) for ref in (case.shared, case.foreign)]
    with closing(sqlite3.connect(case.house.directory / "ledger.sqlite")) as connection, connection:
        connection.execute("PRAGMA secure_delete = OFF")
        connection.execute("CREATE TABLE earlier AS SELECT ? AS title", (NAME * 50_000,))
        connection.execute("DROP TABLE earlier")

    report = case.erase()

    assert report.states == {"done": 2, "skipped": 1}
    assert NAME.encode() not in case.everything()
    left = b"".join(path.read_bytes() for path in case.house.directory.glob("ledger.sqlite*") if path.is_file())
    assert b"his.pdf" in left
    assert NAME.encode() not in left
    assert [case.house.entry(ref) for ref in (case.shared, case.foreign)] == others
    for entry in others:
        assert entry.link is not None
        assert case.house.source.crm.links_to(entry.link.url)
        assert all(case.house.de.stat(version.copies[0].key) for version in entry.versions)
    assert len(case.house.blobs(case.house.de)) == len(others)


def test_the_plan_names_nobody(case: Case) -> None:
    """What is kept of the plan has no name, no id of the CRM and no title in it."""
    with case.at() as site:
        made = case.plan(site)
        assert made.row is not None
        lines = [line for _, line in site.ledger.act_lines(made.row.id)]

    for word in (NAME, case.subject.partition(":")[2], case.mine["file"].id, "lease"):
        assert not any(word in line for line in lines)


def test_a_shared_document_is_for_a_person(case: Case) -> None:
    """One that hangs on somebody else's record too goes only if a person includes it, and the other is named."""
    with case.at() as site:
        first = case.plan(site)
        (shared,) = first.of(REVIEW)
        assert shared.others == (case.other,)
        second = case.plan(site, include=(str(case.shared),))
        assert {each.ref for each in second.of(ERASE)} == {*case.mine.values(), case.shared}
        with pytest.raises(ConfigError, match="none of the documents that were found"):
            case.plan(site, include=(str(case.foreign),))


def test_a_name_alone_is_not_enough(case: Case) -> None:
    """A title that has the name in it is found, with why, and left to a person."""
    case.house.source.crm.document("File", b"alone", name=f"{NAME}.pdf")
    with case.at() as site:
        scan(site)
        subject = subject_of(site, [], names=[NAME.upper()])
        found = search(site, subject)
        made = plan_erasure(site, receive(site, "erasure", subject), found)

    assert not made.of(ERASE)
    assert len(made.of(REVIEW)) == len(found.hits) == len(case.mine) + 1
    assert {hit.entry.document.ref for hit in found.hits} >= set(case.mine.values())
    assert all("title" in hit.why and not hit.sure for hit in found.hits)


def test_the_catalog_is_searched(case: Case) -> None:
    """A document whose earlier name stands in a catalog only is found by it."""
    with case.at() as site:
        assert NAME.encode() in case.everything()
        with closing(sqlite3.connect(site.ledger.path)) as connection, connection:
            connection.execute("UPDATE documents SET body = replace(body, ?, 'x')", (NAME,))
            connection.execute("UPDATE versions SET body = replace(body, ?, 'x')", (NAME,))
        found = search(site, subject_of(site, [], names=[NAME]))

    assert [hit.why for hit in found.hits] == [["catalog"]] * 2


@pytest.mark.parametrize(
    ("planned", "applied", "states"),
    [
        ("2026-01-05", "", {"skipped": 3}),
        ("", "2026-01-05", {"skipped": 1, "conflict": 2}),
        ("2026-03-01 2026-01-02", "", {"skipped": 3}),
        ("2026-01-04", "", {"skipped": 1, "done": 2}),
    ],
    ids=["last day", "since the plan", "shorter now", "over"],
)
def test_what_must_be_kept_today_by_the_crm_s_dates_is_not_erased(
    case: Case, planned: str, applied: str, states: dict[str, int]
) -> None:
    """The CRM is asked for its dates at the plan and again before anything goes; the last day counts, and a date that
    became earlier waits for a person.
    """
    case.house.policy = TermPolicy()
    records = case.house.source.crm.records
    type_, _, name = case.subject.partition(":")

    def says(day: str) -> None:
        records[type_, name] = {**records[type_, name], "keep_until": day}

    with case.at() as site:
        for day in planned.split():
            says(day)
            follow(site, [case.house.entry(ref) for ref in case.mine.values()], site.targets())
        made = case.plan(site)
        assert made.row is not None
        says(applied or planned.rsplit(maxsplit=1)[-1])
        report = apply_erasure(site, made.row.id)

    assert report.states == states
    assert len(case.house.blobs(case.house.de)) == (2 if "done" in states else 5)


def test_a_hold_beats_erasure_and_its_release_resumes_it(case: Case) -> None:
    """What is held stays whole and the request stays open with its day; after the release the same plan ends it."""
    hold = case.hold()
    with case.at() as site:
        made = case.plan(site)
        assert made.row is not None
        (held,) = [each for each in made.planned if each.ref == case.mine["file"]]
        assert held.holds == (hold,)

    first = case.apply(made.row.id)

    assert (first.states["held"], first.states["done"]) == (1, 1)
    assert isinstance(first.stop_error, Refused)
    kept = case.house.entry(case.mine["file"])
    assert kept.document.title == f"{NAME} passport.pdf"
    assert all(case.house.de.stat(version.copies[0].key) for version in kept.versions)
    with case.at() as site:
        (request,) = site.ledger.requests()
        assert (request.state, request.due.isoformat()) == ("held", "2026-02-05")
    case.release(hold)
    assert case.apply(made.row.id).states["done"] == 1
    assert NAME.encode() not in case.everything()


def test_a_request_is_done_when_nothing_is_left_to_do(case: Case) -> None:
    """The request forgets who it was about once everything is erased, and not before."""
    with case.at() as site:
        first = case.plan(site)
        assert first.row is not None
        apply_erasure(site, first.row.id)
        (request,) = site.ledger.requests()
        assert request.state == "open"
        assert request.subject["records"] == [case.subject]
        second = case.plan(site, include=(str(case.shared),))
        assert second.row is not None
        apply_erasure(site, second.row.id)
        done = request_of(site, request.id)

    assert (done.state, done.subject) == ("done", {})
    assert case.subject not in str(done)


def test_a_lock_keeps_what_it_keeps(case: Case) -> None:
    """A document with a locked copy stays known until the lock has ended, and its other copies are gone."""
    kept, gone = (version.copies[0].key for version in case.house.entry(case.mine["file"]).versions)
    case.house.de.lock(kept, case.house.clock.now() + timedelta(hours=1))
    with case.at() as site:
        made = case.plan(site)
        assert made.row is not None
        plan = made.row.id

    first = case.apply(plan)

    assert first.states["held"] == 1
    assert case.house.de.stat(kept) is not None
    assert case.house.de.stat(gone) is None
    with case.at() as site:
        (act,) = [act for act in site.ledger.acts(plan) if act.state == "held"]
    assert [copy["gone"] for copy in evidence_of(act)["copies"]].count(False) == 1
    case.house.clock.advance(3600)
    assert case.apply(plan).states["done"] == 1
    assert not case.house.blobs(case.house.us)
    assert NAME.encode() not in case.everything()


@pytest.mark.parametrize(
    ("method", "nth", "after"),
    [("erase", 1, False), ("erase", 2, True), ("put", 1, False), ("put", 1, True), ("put", 3, True)],
)
def test_killed_anywhere_it_ends_the_same(case: Case, method: str, nth: int, *, after: bool) -> None:
    """A kill at any step leaves others' documents alone, and the next run ends as one that was never killed."""

    def die() -> None:
        raise Killed

    faulty = Faulty(case.house.de)
    faulty.on(method, nth=nth, **({"after": die} if after else {"before": die}))
    case.house.wrapped_stores = {"de": faulty.port}
    with pytest.raises(Killed):
        case.erase()
    case.house.wrapped_stores = {}
    with case.at() as site:
        (row,) = [row for row in site.ledger.plans() if row.status == "applying"]

    report = case.apply(row.id)

    assert report.states["done"] == 2
    assert NAME.encode() not in case.everything()
    with case.at() as site:
        acts = [act for act in site.ledger.acts(row.id) if act.state == "done"]
        assert all(copy["gone"] for act in acts for copy in evidence_of(act)["copies"])
        assert len(site.ledger.tombstones()) == 3  # two documents, and the person


def test_a_document_that_became_shared_is_dropped(case: Case) -> None:
    """What hangs on somebody else's record since the plan is not touched, and said."""
    with case.at() as site:
        made = case.plan(site)
        assert made.row is not None
        entry = site.ledger.entry(case.mine["file"])
        assert entry is not None
        with closing(sqlite3.connect(site.ledger.path)) as connection, connection:
            connection.execute(
                'UPDATE documents SET body = replace(body, \'"parents":[\', \'"parents":[["Contact","x",{},{}],\') '
                "WHERE pk = ?",
                (entry.pk,),
            )
        report = apply_erasure(site, made.row.id)

    assert (report.states["conflict"], report.states["done"]) == (1, 1)
    assert len(case.house.blobs(case.house.de)) == 4


def test_an_original_in_the_crm_is_left_to_its_administrator(case: Case) -> None:
    """A document that was never moved is not erased by itself, and the request stays open for it."""
    crm = case.house.source.crm
    type_, _, name = case.subject.partition(":")
    ref = crm.document("File", b"new", name="new.pdf", parents=[(type_, name)])
    with case.at() as site:
        scan(site)
        made = case.plan(site)
        assert [each.ref for each in made.of(LEFT)] == [ref]
        assert made.row is not None
        apply_erasure(site, made.row.id)

    assert crm.bytes_of(ref) == [b"new"]


def test_bytes_that_somebody_else_shares_stay(case: Case) -> None:
    """A blob that another document's copy points at is not removed with hers."""
    mine, his = case.house.entry(case.mine["file"]), case.house.entry(case.foreign)
    key = his.versions[0].copies[0].key
    with closing(sqlite3.connect(case.house.directory / "ledger.sqlite")) as connection, connection:
        connection.execute("UPDATE copies SET key = ? WHERE version = ?", (key, mine.versions[0].pk))

    case.erase()

    assert case.house.de.stat(key) is not None


def test_bytes_that_only_the_erased_share_go(case: Case) -> None:
    """A blob that two of her documents share is erased with them, and the certificate's evidence says when."""
    first, second = (case.house.entry(ref) for ref in case.mine.values())
    key = second.versions[0].copies[0].key
    with closing(sqlite3.connect(case.house.directory / "ledger.sqlite")) as connection, connection:
        connection.execute("UPDATE copies SET key = ? WHERE version = ?", (key, first.versions[0].pk))

    report = case.erase()

    assert report.states["done"] == 2
    assert case.house.de.stat(key) is None
    with case.at() as site:
        acts = [act for act in site.ledger.acts(report.plan) if act.state == "done"]
    assert not any(copy.get("shared") for act in acts for copy in evidence_of(act)["copies"])


def test_the_erased_stay_erased_after_a_restore(case: Case) -> None:
    """A document that a restored CRM shows again is not moved: it goes into a new plan, which erases it again."""
    crm, ref = case.house.source.crm, case.mine["file"]
    with case.at() as site:
        before = site.ledger.entry(case.shared)
    case.erase()
    now = case.house.clock.now()
    row = Row(ref=ref, title="back.pdf", owner=crm.admin, created=now, modified=now)
    type_, _, name = case.subject.partition(":")
    row.parents[type_, name] = {}
    crm.write(row, "back.pdf", b"back")
    crm.rows[ref] = row
    with case.at() as site:
        scan(site, full=True)
        assert [entry.document.ref for entry in returned(site, {State.SEEN})] == [ref]

    report = case.house.run(full=True)

    assert report.moved == 0
    assert report.reasons.get("REVIEW RETURNED", report.reasons.get("RETURNED")) == 1
    assert crm.bytes_of(ref) == [b"back"]
    with case.at() as site:
        assert [entry.document.ref for entry in returned(site)] == [ref]
        assert site.ledger.entry(case.shared) == before


def test_tombstones_outlive_the_ledger(case: Case) -> None:
    """A ledger made anew from a store that was restored from a back-up knows at once what must not be there."""
    backup = dict(case.house.de._objects)
    case.erase()
    stones = {key: body for key, body in case.house.de._objects.items() if key.startswith("tombstones/")}
    assert stones
    case.house.de._objects = {**backup, **stones}
    for path in case.house.directory.glob("ledger.sqlite*"):
        path.unlink()
    with case.at() as site:
        rebuild(site)
        assert {entry.document.ref for entry in returned(site)} == set(case.mine.values())
        made = plan_returned(site, returned(site))
        assert made.row is not None
        assert not returned(site)
        assert apply_erasure(site, made.row.id).states["done"] == 2

    assert NAME.encode() not in case.everything()
