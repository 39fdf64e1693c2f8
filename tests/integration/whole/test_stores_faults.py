"""The whole job into a bucket, by command line, with the server's own faults in between."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.integration.s3.servers import Server
from tests.integration.whole.bed import sha256
from tests.integration.whole.depot import MIB, Depot, opened
from tests.integration.whole.ground import Ground

PART = 5 * MIB


@pytest.fixture
def of_parts(ground: Ground, ministack: Server) -> Iterator[Depot]:
    """Objects above 5 MiB go in parts; what fails is tried twice."""
    ground.configure("pace", attempts=2)
    with opened(ground, ministack, part_size=PART) as made:
        yield made


def test_passing_trouble_is_no_trouble(depot: Depot) -> None:
    """Throttling, a failure of the server and a body damaged on its way are tried again, and all documents move."""
    depot.files(4)
    depot.remember()
    depot.fault("document PUT", "status", nth=1, status=503, code="SlowDown")
    depot.fault("document PUT", "corrupt", nth=2)
    depot.fault("document PUT", "status", nth=3, status=500, code="InternalError")
    report = depot.offloader("run", expect=(0,))
    assert [rule.fired for rule in depot.between.faults.rules] == [1, 1, 1]
    assert report["moved"] == len(depot.held()) == 4
    assert len(depot.between.sent("document PUT")) == 7
    depot.nothing_lost()


def test_a_server_that_stored_nothing_is_not_believed(depot: Depot) -> None:
    """Where the server says 200 and holds nothing, the document stays in the CRM and is named, and moves later."""
    depot.files(3)
    depot.remember()
    depot.fault("document PUT", "status", nth=2, times=99, status=200)
    report = depot.offloader("run", expect=(1,))
    assert (report["moved"], report["failed"]) == (1, 2)
    assert all("said that" in error and "it is not there" in error for error in report["errors"])
    assert len(depot.links()) == len(depot.held()) == 1
    depot.converges(moved=2)


def test_other_bytes_under_its_name_stay(depot: Depot) -> None:
    """A document whose name in the store is taken by other bytes stays in the CRM; nothing is written over them."""
    depot.files(1)
    depot.remember()
    depot.fault("document PUT", "status", status=400, code="InvalidRequest")
    depot.offloader("run", expect=(1,))
    key = depot.between.sent("document PUT")[0].removeprefix(f"/{depot.bucket}/")
    depot.s3.put_object(Bucket=depot.bucket, Key=key, Body=b"somebody else's")
    depot.calm()
    report = depot.offloader("run", expect=(1,))
    assert (report["moved"], report["failed"]) == (0, 1)
    assert f"{key} already holds other bytes" in report["errors"][0]
    assert depot.held() == {key: sha256(b"somebody else's")}
    depot.nothing_lost()


def test_a_part_that_fails_for_ever_holds_nothing_else_up(of_parts: Depot) -> None:
    """A large document that cannot be sent whole stays, leaves nothing at the server, and the small ones move."""
    of_parts.file("large", os.urandom(PART * 2))
    of_parts.files(2)
    of_parts.remember()
    of_parts.fault("document part", "status", nth=2, times=99, status=500, code="InternalError")
    report = of_parts.offloader("run", expect=(1,))
    assert (report["moved"], report["failed"]) == (2, 1)
    assert "nothing is lost" in report["errors"][0]
    assert of_parts.unfinished() == []
    of_parts.nothing_lost()


def test_credentials_that_expire_amid_a_document(of_parts: Depot) -> None:
    """The run ends and says so; a day later, with new ones, the next sweeps what was left and moves everything."""
    of_parts.file("large", os.urandom(PART * 2))
    of_parts.remember()
    for act in ("document part", "document abort"):
        of_parts.fault(act, "status", nth=1, times=99, status=400, code="ExpiredToken")
    report = of_parts.offloader("run", expect=(1,))
    assert report["moved"] == 0
    assert "ExpiredToken" in report["stopped"]
    assert len(of_parts.unfinished()) == 1
    of_parts.calm()
    assert of_parts.later(25)["moved"] == 1
    assert of_parts.unfinished() == []
    of_parts.nothing_lost()


def test_a_clock_that_is_wrong_is_named(depot: Depot) -> None:
    """Where the server refuses this machine's time the run stops, says so, and moves nothing."""
    depot.files(2)
    depot.fault("document PUT", "status", status=403, code="RequestTimeTooSkewed")
    report = depot.offloader("run", expect=(1,))
    assert report["moved"] == 0
    assert "clock" in report["stopped"]
    assert not depot.links()


def test_a_lock_keeps_what_must_go_and_lets_the_rest_come_back(ground: Ground, ministack: Server) -> None:
    """A locked copy of a document that is to stay after all is named by every run; others move, and are restored."""
    with opened(ground, ministack, locked=True, object_lock={"days": 1}) as depot:
        depot.file("to a country without a store")
        depot.remember()
        assert depot.crash("source", "link", 1, "before") == -9
        depot.org.update(depot.account, {"BillingCountryCode": "CN"})
        depot.file("other", b"y", parents=[depot.other])
        depot.remember()
        for arguments, moved in ((["--full"], 1), ([], 0)):
            report = depot.offloader("run", *arguments, expect=(1,))
            assert (report["moved"], report["failed"]) == (moved, 1)
            assert "copy" in report["errors"][0]
            assert "a lock or a hold" in report["errors"][0]
        assert len(depot.held()) == 2
        assert depot.offloader("restore", "--all", expect=(0,))["restored"] == 1
        assert not depot.links()
        assert sha256(b"y") in {body for each in depot.witness().documents.values() for body in each.sha256}
        assert len(depot.held()) == 2
