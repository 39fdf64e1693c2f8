"""Requests and their legal clock, limits of a plan, and who a request is about."""

from __future__ import annotations

from datetime import date

import pytest

from offloader.disposition.erasing import apply_erasure
from offloader.disposition.erasure import extend
from offloader.disposition.subjects import add_months, days_left, receive, request_of, subject_of
from offloader.errors import ConfigError, Refused
from offloader.model import DocumentRef
from offloader.moves.tombstoned import mark
from offloader.ports import Caps, Terms
from tests.scenarios.conftest import CountryPolicy
from tests.scenarios.erasure.conftest import Case


@pytest.mark.parametrize(
    ("received", "months", "due"),
    [
        (date(2024, 1, 31), 1, date(2024, 2, 29)),
        (date(2025, 1, 31), 1, date(2025, 2, 28)),
        (date(2025, 3, 15), 1, date(2025, 4, 15)),
        (date(2025, 12, 31), 3, date(2026, 3, 31)),
        (date(2025, 11, 30), 3, date(2026, 2, 28)),
    ],
)
def test_a_month_ends_on_the_same_day_or_the_last_one(received: date, months: int, due: date) -> None:
    """A period of months ends on the day of that number, or on the month's last day where there is none."""
    assert add_months(received, months) == due


def test_the_clock_is_extended_once_and_in_time(case: Case) -> None:
    """A request gets three months in all, with a reason, once, and not when it is late already."""
    with case.at() as site:
        subject = subject_of(site, [case.subject])
        request = receive(site, "erasure", subject, date(2026, 1, 4))
        assert (request.due, days_left(request, date(2026, 2, 6))) == (date(2026, 2, 4), -2)
        with pytest.raises(ConfigError, match="say why"):
            extend(site, request, " ")
        longer = extend(site, request, "four archives")
        assert longer.due == date(2026, 4, 4)
        with pytest.raises(Refused, match="one extension"):
            extend(site, request_of(site, request.id), "again")
        late = receive(site, "access", subject, date(2025, 11, 1))
        with pytest.raises(Refused, match="cannot be extended any more"):
            extend(site, late, "too late")


def test_a_second_plan_belongs_to_the_same_request(case: Case) -> None:
    """While a request is open, asking for the same person again opens no second one, and keeps its day."""
    with case.at() as site:
        first = receive(site, "erasure", subject_of(site, [case.subject]), date(2026, 1, 4))
        second = receive(site, "erasure", subject_of(site, [case.subject], names=["Jansen"]))
        assert (second.id, second.due) == (first.id, first.due)
        with pytest.raises(ConfigError, match="still to come"):
            receive(site, "erasure", subject_of(site, [case.other]), date(2026, 3, 1))


def test_a_plan_over_a_limit_is_refused(case: Case) -> None:
    """A policy that lets one document go refuses a plan of two, and nothing is touched."""
    case.house.policy = CountryPolicy(terms=Terms(caps=Caps(documents=1)))
    with case.at() as site:
        made = case.plan(site)
        assert made.row is not None
        with pytest.raises(Refused, match="the limit is 1") as refused:
            apply_erasure(site, made.row.id)

    assert refused.value.rule == "limits.documents"
    assert len(case.house.blobs(case.house.de)) == 5


def test_the_subject_s_own_records_get_tombstones(case: Case) -> None:
    """Once something was erased, the person's own records cannot come back out of a bin or an archive either."""
    assert case.erase().states["done"]

    with case.at() as site:
        type_, _, name = case.subject.partition(":")
        stone = mark(site.links, DocumentRef(next(iter(site.sources)), type_, name))
        assert stone in site.ledger.tombstones()


@pytest.mark.parametrize(
    ("records", "names", "message"),
    [([], [], "say who"), (["Contact"], [], "TYPE:ID"), ([], ["x"], "too short")],
)
def test_nobody_is_not_a_subject(case: Case, records: list[str], names: list[str], message: str) -> None:
    """Nothing, half a record, or a single letter is refused: it would find nobody, or everybody."""
    with case.at() as site, pytest.raises(ConfigError, match=message):
        subject_of(site, records, names=names)
