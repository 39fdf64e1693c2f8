"""What comes, and how it was reckoned."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from offloader.audit import canonical
from offloader.errors import OffloaderError, Permanent
from offloader.moves.apply import apply_plan
from offloader.moves.scan import scan
from offloader.ports import Usage
from offloader.records import Storage
from offloader.reports.model import Forecast, Mode, Report
from tests.unit.reports.conftest import NOW, Desk


def forecast(desk: Desk) -> Forecast:
    found = desk.planned().forecast
    assert found is not None
    return found


def made_in(desk: Desk, sizes: dict[str, int]) -> None:
    """Put a document of so many bytes into each month."""
    for month, size in sizes.items():
        ref = desk.document(f"d{month}", b"x" * size)
        desk.source.crm.rows[ref].created = datetime.fromisoformat(f"{month}-15").replace(tzinfo=UTC)


def test_growth_is_the_mean_of_full_months(desk: Desk) -> None:
    """The month that runs is not counted, a month without documents is, from the first month on."""
    made_in(desk, {"2026-07": 300, "2026-09": 600, "2026-10": 300, "2026-11": 9000})

    found = forecast(desk)

    assert (found.growth_month, found.measured_months) == (300, 4)


def test_growth_looks_back_a_year(desk: Desk) -> None:
    """What is older than twelve full months counts nothing but shows that empty months are real."""
    made_in(desk, {"2024-01": 9000, "2026-10": 1200})

    found = forecast(desk)

    assert (found.growth_month, found.measured_months) == (100, 12)


def test_two_months_say_nothing_of_growth(desk: Desk) -> None:
    """With fewer than three full months there is no growth, and the notes say why."""
    made_in(desk, {"2026-09": 600, "2026-10": 300})

    found = forecast(desk)

    assert (found.growth_month, found.measured_months) == (None, 0)
    assert "growth: not reckoned, only 2 full months have documents" in found.notes


def test_what_users_deleted_is_no_growth(desk: Desk) -> None:
    """A document that the CRM no longer has is not counted."""
    made_in(desk, {"2026-08": 300, "2026-09": 300, "2026-10": 300})
    gone = desk.document("gone", b"x" * 5000)
    desk.source.crm.rows[gone].created = NOW - timedelta(days=40)
    with desk.site() as site:
        desk.plan(site)
    desk.source.crm.delete(gone)

    assert forecast(desk).growth_month == 300


def test_requests_come_from_the_batches_that_the_crm_takes(desk: Desk) -> None:
    """Nine versions of six documents, read four at a time, linked and removed 200 at a time: 3 + 2 + 2 requests."""
    for number in range(6):
        desk.document(f"d{number}", *([b"1", b"2"] if number < 3 else [b"1"]))

    found = forecast(desk)

    assert (found.requests, found.requests_day, found.days) == (7, None, None)
    assert any("no run has measured it yet" in note for note in found.notes)
    assert "days of crm: not reckoned, no daily budget is known" in found.notes


def test_what_a_run_has_done_needs_no_more_requests(desk: Desk) -> None:
    """A run report foretells only what is still ahead."""
    for number in range(3):
        desk.document(f"d{number}")
    with desk.site() as site:
        plan = desk.plan(site)
        before = desk.report(site, plan).forecast
        apply_plan(site, plan)
        after = desk.report(site, plan, Mode.RUN).forecast

    assert before is not None
    assert after is not None
    assert before.requests > 0 == after.requests


def test_days_come_from_the_daily_budget(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seven requests at three a day take three days."""
    monkeypatch.setattr(desk.source, "usage", lambda: Usage(requests={}, limit=3))
    for number in range(6):
        desk.document(f"d{number}", *([b"1", b"2"] if number < 3 else [b"1"]))

    found = forecast(desk)

    assert (found.requests, found.requests_day, found.days) == (7, 3, 3)


@pytest.mark.parametrize(("versions", "requests", "days"), [(100, 12, 2), (19, 4, None)])
def test_a_run_that_was_large_enough_is_the_measure(desk: Desk, versions: int, requests: int, days: int | None) -> None:
    """What an earlier run over the same sources took is believed, with the limit that it saw; a tiny one is not."""
    desk.document("a")
    with desk.site() as site:
        first = desk.plan(site)
        told = {"plan": first, "versions": versions, "requests": versions * 6, "limits": {"crm": 10}}
        site.ledger.set_meta(f"outcome:{first}", canonical(told))
    desk.document("b")

    found = forecast(desk)

    assert found.days == days
    assert (found.requests == requests) is (days is not None)


@dataclass
class Counting:
    """Records of a CRM that says how full it is, or fails to; `asked` counts."""

    used: int = 0
    limit: int = 0
    error: OffloaderError | None = None
    asked: int = 0

    def identity(self) -> dict[str, str]:
        return {"organisation": "00D1", "environment": "sandbox", "address": "https://kade.example:8443/x"}

    def storage(self) -> Storage:
        self.asked += 1
        if self.error is not None:
            raise self.error
        meters = {"file": self.limit} if self.limit else {}
        return Storage(used={"file": self.used, "data": 7} if meters else {}, limit=meters)


def told(desk: Desk, crm: Any, **options: Any) -> Report:
    """Scan, plan and report with these records."""
    with desk.site() as opened:
        site = replace(opened, records=lambda source: crm)
        return desk.report(site, desk.plan(site), **options)


def test_the_day_on_which_the_crm_is_full_follows_from_its_growth(desk: Desk) -> None:
    """It grows by 3,000 bytes a month and has 6,000 left: two months; the plan frees 9,000 more: five months."""
    made_in(desk, {"2026-08": 3000, "2026-09": 3000, "2026-10": 3000})
    crm: Any = Counting(used=14_000, limit=20_000)

    found = told(desk, crm).forecast

    assert found is not None
    (one,) = found.storages
    assert (one.source, one.used, one.limit, one.as_of, one.freed) == ("crm", 14_000, 20_000, NOW, 9000)
    assert (one.full_without, one.full_with) == (date(2027, 1, 21), date(2027, 4, 23))
    assert (found.full_without, found.full_with) == (one.full_without, one.full_with)
    assert crm.asked == 1


@pytest.mark.parametrize(
    ("used", "limit", "days", "note"),
    [
        (20_000, 20_000, (NOW.date(), date(2027, 2, 21)), "it was full already when it was asked"),
        (0, 10**9, (None, None), "if it grows on as it did"),
        (0, 0, None, "its API does not say how full it is"),
    ],
)
def test_full_already_never_and_not_said(
    desk: Desk, used: int, limit: int, days: tuple[date | None, date | None] | None, note: str
) -> None:
    """A CRM that is full is so on the day it was asked; beyond a hundred years no day is named; nothing is guessed."""
    made_in(desk, {"2026-08": 3000, "2026-09": 3000, "2026-10": 3000})

    found = told(desk, Counting(used=used, limit=limit)).forecast

    assert found is not None
    assert [(one.full_without, one.full_with) for one in found.storages] == ([] if days is None else [days])
    assert any(note in line for line in found.notes)


def test_a_crm_without_growth_has_no_day(desk: Desk) -> None:
    """What is not known to grow is not full on any day."""
    desk.document("a")

    found = told(desk, Counting(used=5, limit=10_000)).forecast

    assert found is not None
    assert (found.full_without, found.full_with) == (None, None)
    assert any("its growth is not known" in note for note in found.notes)


def test_a_failed_question_changes_nothing(desk: Desk) -> None:
    """A CRM that does not answer is noted as such; an earlier answer outlives it, with its own date."""
    made_in(desk, {"2026-08": 3000, "2026-09": 3000, "2026-10": 3000})
    failing = Counting(error=Permanent("no"))

    first = told(desk, failing).forecast
    second = told(desk, Counting(used=14_000, limit=20_000)).forecast
    desk.clock.advance(86_400)
    third = told(desk, failing).forecast

    assert first is not None
    assert second is not None
    assert third is not None
    assert first.storages == ()
    assert any("did not answer" in note for note in first.notes)
    assert third.storages == second.storages != ()


def test_a_run_does_not_free_storage_twice(desk: Desk) -> None:
    """What was moved before the CRM was asked again is not counted as still to be freed."""
    made_in(desk, {"2026-08": 3000, "2026-09": 3000, "2026-10": 3000})
    crm: Any = Counting(used=14_000, limit=20_000)
    with desk.site() as opened:
        site = replace(opened, records=lambda source: crm)
        plan = desk.plan(site)
        apply_plan(site, plan)
        before = desk.report(site, plan, Mode.RUN).forecast
        desk.clock.advance(3600)
        scan(site)
        after = desk.report(site, plan, Mode.RUN).forecast

    assert before is not None
    assert after is not None
    assert [one.freed for one in (*before.storages, *after.storages)] == [9000, 0]


def test_without_records_when_the_crm_is_full_is_not_guessed(desk: Desk) -> None:
    """Without an answer there is no date, and the notes say so."""
    desk.document("a")

    found = forecast(desk)

    assert (found.full_without, found.full_with, found.storages) == (None, None, ())
    assert any("its API does not say how full it is" in note for note in found.notes)


def test_the_report_names_the_organisation_that_the_crm_is(desk: Desk) -> None:
    """The organisation's id, its kind and its host come from the CRM; the marks of its scan are those of the plan."""
    desk.document("a")

    (source,) = told(desk, Counting()).sources

    assert (source.organisation, source.environment, source.address) == ("00D1", "sandbox", "kade.example")
    assert set(source.marks) == {"Entry", "File", "Note"}
