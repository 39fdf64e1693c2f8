"""The CRM says no: to the login, to more calls, to single items. Each refusal costs what it must and no more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tests.integration.whole.ground import Ground

TOTAL = [{"errorCode": "REQUEST_LIMIT_EXCEEDED", "message": "TotalRequests Limit exceeded."}]
CONCURRENT = [
    {"errorCode": "REQUEST_LIMIT_EXCEEDED", "message": "ConcurrentRequests (Concurrent API Requests) Limit exceeded."}
]


def test_a_session_that_ends_in_mid_run_is_renewed_once(ground: Ground) -> None:
    """When all sessions end, one new login is made for all threads, and the run goes on."""
    ground.files(12)
    ground.remember()
    ground.script({"on": "blob.get", "nth": 4, "do": "edit", "before": True, "change": {"action": "expire_sessions"}})
    report = ground.offloader("run", expect=(0,))
    assert report["moved"] == 12
    assert ground.requests()["oauth2/token"] == 1 + 1
    ground.converges(moved=0)


@pytest.mark.parametrize("at", ["query", "blob.get", "composite"])
def test_a_login_refused_for_ever_ends_the_run(ground: Ground, at: str) -> None:
    """Sessions that are refused again and again end the run with what to check, without a storm of logins."""
    ground.files(12)
    ground.remember()
    ground.script({"on": at, "do": "status", "status": 401})
    answer = ground.offloader("run", expect=(1,))
    said = str(answer.get("stopped") or answer.get("message"))
    assert "check" in said
    assert "salesforce" in said.lower()
    assert ground.requests()["oauth2/token"] <= 3
    assert not ground.links()
    ground.nothing_lost()
    ground.converges(moved=12)


def test_a_wrong_secret_is_an_error_that_says_so(ground: Ground) -> None:
    """A refused login names what to check, tries no more than once, and never shows the secret."""
    ground.files(1)
    secret = ground.directory / "salesforce_client_secret"
    right = secret.read_text()
    secret.write_text("wrong-secret-value")
    answer = ground.offloader("run", expect=(1,))
    assert answer["error"] == "AuthError"
    assert "check the connected app" in answer["message"]
    assert "wrong-secret-value" not in str(answer)
    assert ground.requests()["oauth2/token"] == 1
    secret.write_text(right)
    ground.converges(moved=1)


@pytest.mark.parametrize("at", ["query", "blob.get", "composite"])
def test_a_spent_allocation_stops_the_run(ground: Ground, at: str) -> None:
    """When the org's daily calls are used up the run stops at once, says when to come back, and is taken up later,
    reading nothing twice."""
    ground.files(12)
    ground.remember()
    nth = {"query": 1, "blob.get": 5, "composite": 2}[at]
    ground.script({"on": at, "nth": nth, "times": 1000, "do": "status", "status": 403, "body": TOTAL})
    answer = ground.offloader("run", expect=(4,))
    said = str(answer.get("stopped") or answer.get("message"))
    assert "allocation" in said
    assert "again in" in said
    assert ground.fired() <= 20
    ground.nothing_lost()
    refused = ground.fired() if at == "blob.get" else 0
    ground.converges(moved=12)
    assert ground.downloads() - refused == 12


def test_too_many_calls_at_once_are_waited_out(ground: Ground) -> None:
    """The limit of concurrent calls slows the run down and fails nothing."""
    ground.files(6)
    ground.remember()
    ground.script(
        {"on": "blob.get", "nth": 2, "times": 3, "do": "status", "status": 403, "body": CONCURRENT, "retry_after": 1},
    )
    report = ground.offloader("run", expect=(0,))
    assert report["moved"] == 6
    ground.converges(moved=0)


def item(on: str, code: str, message: str = "", **keys: Any) -> Mapping[str, Any]:
    return {"on": on, "do": "item", "code": code, "message": message, **keys}


LOCKED = "unable to obtain exclusive access to this record or 1 records: 001000000000001AAA"
WRITES = ["collections.upsert", "collections.create", "collections.update", "collections.delete"]


def test_a_locked_row_is_tried_again(ground: Ground) -> None:
    """A record that somebody else has locked for a moment, at any write, is done a moment later in the same run."""
    ground.files(3)
    ground.file("on two", parents=[ground.account, ground.other])
    ground.attachment(), ground.email_attachment()
    ground.remember()
    ground.script(*(item(write, "UNABLE_TO_LOCK_ROW", LOCKED, item=0, times=1) for write in WRITES))
    report = ground.offloader("run", expect=(0,))
    assert ground.fired() == len(WRITES)
    assert report["moved"] == 6
    ground.converges(moved=0)


@pytest.mark.parametrize("write", ["collections.upsert", "collections.delete"])
def test_a_row_that_stays_locked_fails_alone(ground: Ground, write: str) -> None:
    """A record that stays locked is reported by name and left for the next run; the others are moved."""
    ground.files(3)
    ground.file("on two", parents=[ground.account, ground.other])
    ground.attachment(), ground.email_attachment()
    ground.configure("pace", attempts=2)
    ground.remember()
    ground.script(item(write, "UNABLE_TO_LOCK_ROW", LOCKED, item=0))
    report = ground.offloader("run", expect=(1,))
    assert report["failed"] >= 1
    assert report["moved"] + report["failed"] == 6
    assert all("LOCK" in line and "next run" in line for line in report["errors"])
    ground.nothing_lost()
    ground.converges(moved=report["failed"])


@pytest.mark.parametrize("write", WRITES)
def test_one_refused_item_hurts_no_other(ground: Ground, write: str) -> None:
    """An item that the CRM will not take stays whole, with the reason and nothing half-made; the others move."""
    ground.files(3)
    ground.file("on two", parents=[ground.account, ground.other])
    ground.attachment(), ground.email_attachment()
    ground.remember()
    ground.script(item(write, "FIELD_CUSTOM_VALIDATION_EXCEPTION", "Files are frozen here", item=0))
    report = ground.offloader("run", expect=(3,))
    assert report["review"] >= 1
    assert report["moved"] + report["review"] == 6
    assert all("Files are frozen here" in line for line in report["errors"])
    ground.nothing_lost()
    removal = write == "collections.delete"
    assert len(ground.links()) == (6 if removal else report["moved"])
    ground.calm()
    reconciled = ground.offloader("reconcile", "--deep", expect=(0,))
    assert set(reconciled["counts"]) == {"="}
