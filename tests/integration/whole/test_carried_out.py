"""Acts carried out just before a kill, so that the ledger could not say so: they are recognised, not repeated."""

from __future__ import annotations

import pytest

from tests.integration.whole.bed import sha256
from tests.integration.whole.ground import Ground

BODY = b"precious"


@pytest.mark.parametrize("command", ["run", "scan"])
@pytest.mark.parametrize("kind", ["file", "attachment", "mailed"])
def test_a_removal_just_before_the_kill_is_recognised(ground: Ground, kind: str, command: str) -> None:
    """After a kill between the last act in the CRM and the ledger's word the document is done, and can come home."""
    make = {
        "file": lambda: ground.file("kept", BODY),
        "attachment": lambda: ground.attachment(body=BODY),
        "mailed": lambda: ground.email_attachment(body=BODY),
    }
    make[kind]()
    ground.remember()
    method = "link" if kind == "mailed" else "remove"
    assert ground.crash("source", method, 1, "after") == -9
    ground.nothing_lost()
    ground.offloader(command)
    ground.converges()
    assert ground.offloader("status")["versions"] == {"done": 1}
    restored = ground.offloader("restore", "--all", expect=(0,))
    assert restored["restored"] == 1
    assert [held.sha256 for held in ground.witness().documents.values()] == [(sha256(BODY),)]
    assert not ground.links()
