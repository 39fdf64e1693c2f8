"""Bytes that arrive wrong, and servers that answer with something else: no document is removed on such a read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tests.integration.whole.ground import Ground

DAMAGE: Mapping[str, Mapping[str, Any]] = {
    "flipped bit": {"do": "corrupt"},
    "closed early": {"do": "truncate"},
    "shorter body with 200": {"do": "truncate", "clean": True},
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_one_damaged_read_is_read_again(ground: Ground, damage: str) -> None:
    """A body that is damaged once is read once more, and moved."""
    ground.files(2)  # of an attachment the CRM publishes no checksum, so a flipped bit would not show
    ground.remember()
    ground.script({"on": "blob.get", "nth": 1, **DAMAGE[damage]})
    report = ground.offloader("run", expect=(0,))
    assert ground.fired() == 1
    assert report["moved"] == 2
    assert ground.downloads() == 3
    ground.converges(moved=0)


@pytest.mark.parametrize("damage", DAMAGE)
def test_reads_that_stay_damaged_remove_nothing(ground: Ground, damage: str) -> None:
    """Documents whose bodies never arrive right stay in the CRM, each named with what to do; a later run moves them."""
    stays = [ground.file(), ground.file("long", bytes(9 << 20))]
    if DAMAGE[damage]["do"] == "truncate":  # the CRM publishes no checksum of attachments
        stays.append(ground.attachment())
    ground.configure("pace", attempts=2)
    ground.remember()
    ground.script({"on": "blob.get", **DAMAGE[damage]})
    report = ground.offloader("run", expect=(1,))
    assert report["failed"] == len(stays)
    assert report["moved"] == 0
    for document in stays:
        (line,) = (line for line in report["errors"] if document in line)
        assert "run" in line
        assert not ground.gone(document)
    assert not ground.links()
    ground.nothing_lost()
    ground.converges(moved=len(stays))


def test_a_page_of_html_with_503_is_waited_out(ground: Ground) -> None:
    """An overloaded server's HTML page instead of the answer, once at each operation, costs time and nothing else."""
    ground.file(), ground.file("second", b"1", b"2"), ground.attachment(), ground.email_attachment()
    ground.remember()
    operations = ("oauth2/token", "query", "describe", "blob.get", "composite", "collections.*")
    ground.script(*({"on": each, "nth": 1, "do": "status", "status": 503, "retry_after": 1} for each in operations))
    report = ground.offloader("run", expect=(0,))
    assert ground.fired() == len(operations)
    assert report["moved"] == 4
    ground.converges(moved=0)
