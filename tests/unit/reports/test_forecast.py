"""What comes, and how it was reckoned."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from offloader.audit import canonical
from offloader.moves.apply import apply_plan
from offloader.ports import Usage
from offloader.reports.model import Forecast, Mode
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


def test_when_the_crm_is_full_is_not_guessed(desk: Desk) -> None:
    """Without the CRM's limit there is no date, and the notes say so."""
    desk.document("a")

    found = forecast(desk)

    assert (found.full_without, found.full_with) == (None, None)
    assert any("its limit is not known" in note for note in found.notes)
