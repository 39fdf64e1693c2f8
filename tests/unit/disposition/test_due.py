"""Whose time is up: every combination of duties, by the day."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from offloader.disposition.due import Due, Fate, Ground, due
from offloader.ledger.expiring import Waiting
from offloader.model import Decision, Reason, Retention, Verdict
from offloader.ports import Ends

KEEP, DELETE = Ends(), Ends(after="delete")
DAY = date(2026, 1, 5)
BEFORE, AFTER = date(2026, 1, 4), date(2026, 1, 6)
GONE = Waiting(1, datetime(2025, 11, 1, tzinfo=UTC), datetime(2025, 12, 1, tzinfo=UTC), "in the bin")


def fate(
    retention: Retention | None, ends: Ends = KEEP, gone: Waiting | None = None, verdict: Verdict = Verdict.MOVE
) -> tuple[Fate, Ground] | None:
    decision = Decision(verdict=verdict, reasons=(Reason("R", "because"),), retention=retention)
    found: Due | None = due(decision, ends, gone, DAY)
    return None if found is None else (found.fate, found.ground)


def test_the_last_day_still_counts() -> None:
    """On the last day a document must be there and may be there; it is due on the day after, never before."""
    assert fate(Retention(erase_by=DAY)) is None
    assert fate(Retention(erase_by=AFTER)) is None
    assert fate(Retention(erase_by=BEFORE)) == (Fate.ERASE, Ground.ERASE_BY)
    assert fate(Retention(keep_until=DAY), DELETE) is None
    assert fate(Retention(keep_until=BEFORE), DELETE) == (Fate.ERASE, Ground.KEPT)


def test_what_need_not_be_kept_stays_unless_the_policy_says_delete() -> None:
    """A minimum that is over is no reason to delete by itself, and no retention at all never is."""
    assert fate(Retention(keep_until=BEFORE)) is None
    assert fate(None, DELETE) is None
    assert fate(Retention(), DELETE) is None


def test_duties_that_contradict_each_other_are_for_a_person() -> None:
    """A maximum that is over while a minimum runs is reviewed; once both are over, it is erased."""
    assert fate(Retention(keep_until=AFTER, erase_by=BEFORE), DELETE) == (Fate.REVIEW, Ground.ERASE_BY)
    assert fate(Retention(keep_until=BEFORE, erase_by=date(2026, 1, 2))) == (Fate.ERASE, Ground.ERASE_BY)


@pytest.mark.parametrize(
    ("retention", "ends", "gone"),
    [
        (Retention(erase_by=BEFORE, waiting=("contract",)), KEEP, None),
        (Retention(keep_until=BEFORE, waiting=("contract",)), DELETE, None),
        (Retention(waiting=("contract",)), KEEP, GONE),
    ],
)
def test_a_term_that_has_not_begun_holds_everything_back(
    retention: Retention, ends: Ends, gone: Waiting | None
) -> None:
    """While the CRM does not say when a duty's event was, nothing is erased without a person."""
    found = fate(retention, ends, gone)
    assert found is not None
    assert found[0] is Fate.REVIEW


def test_a_deletion_ends_a_document_that_need_not_be_kept() -> None:
    """After its grace a deleted document goes, unless a duty still keeps it."""
    assert fate(None, KEEP, GONE) == (Fate.ERASE, Ground.DELETED)
    assert fate(Retention(keep_until=BEFORE), KEEP, GONE) == (Fate.ERASE, Ground.DELETED)
    assert fate(Retention(keep_until=AFTER), DELETE, GONE) is None


@pytest.mark.parametrize("verdict", [Verdict.REVIEW, Verdict.KEEP])
def test_a_policy_that_cannot_decide_may_not_know_every_duty(verdict: Verdict) -> None:
    """Where the policy reviews a document, or a clause keeps it, its duties are not all known: a person decides."""
    assert fate(None, KEEP, GONE, verdict) == (Fate.REVIEW, Ground.DELETED)
    assert fate(Retention(erase_by=BEFORE), KEEP, None, verdict) == (Fate.REVIEW, Ground.ERASE_BY)
