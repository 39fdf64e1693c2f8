"""What other people do in the CRM while a run is at work: their change wins, and the next run goes on from it."""

from __future__ import annotations

import pytest

from tests.integration.whole.bed import sha256
from tests.integration.whole.ground import Ground


def test_a_parent_deleted_after_the_read_takes_nothing_along(ground: Ground) -> None:
    """A file loses one of its two records in mid-run: it stays, and the next run moves it with the record left."""
    kept = ground.file("on two", parents=[ground.account, ground.other])
    ground.remember()
    ground.script({"on": "blob.get", "do": "edit", "times": 1, "change": {"action": "delete", "id": ground.other}})
    report = ground.offloader("run", expect=(3,))
    assert report["conflict"] == 1
    assert kept in report["errors"][0]
    assert ground.other in report["errors"][0] or "parents" in report["errors"][0]
    assert not ground.gone(kept)
    assert not ground.links()
    ground.nothing_lost()
    ground.converges(moved=1)


def test_the_only_parent_deleted_after_the_read(ground: Ground) -> None:
    """A file whose only record is deleted in mid-run stays in the CRM, with no link left about."""
    file = ground.file("orphaned")
    ground.remember()
    ground.script({"on": "blob.get", "do": "edit", "times": 1, "change": {"action": "delete", "id": ground.account}})
    report = ground.offloader("run", expect=(3,))
    assert report["conflict"] == 1
    assert file in report["errors"][0]
    assert not ground.gone(file)
    assert not ground.links()
    ground.nothing_lost()
    ground.converges(moved=0, expect=(0, 3))


def test_attachments_go_with_their_deleted_parent(ground: Ground) -> None:
    """An attachment that was deleted with its record in mid-run gets no link; what was copied of it stays."""
    case = ground.org.insert("Case", {"Subject": "c", "AccountId": ground.account})
    scan = ground.attachment(parent=case)
    ground.remember()
    ground.script({"on": "blob.get", "do": "edit", "times": 1, "change": {"action": "delete", "id": case}})
    report = ground.offloader("run", expect=(3,))
    assert report["moved"] == 0
    assert report["conflict"] == 1
    assert scan in report["errors"][0]
    assert not ground.links()
    ground.nothing_lost()
    ground.converges(moved=0)


@pytest.mark.parametrize("moment", ["read", "linked"])
def test_a_new_version_is_never_removed_unread(ground: Ground, moment: str) -> None:
    """A version uploaded between read and removal keeps the file in the CRM; the next run moves both versions, reading
    only the new one."""
    file = ground.file("edited", b"first")
    ground.remember()
    change = {"action": "new_version", "id": file, "body": "second"}
    rule = {"on": "blob.get", "nth": 1} if moment == "read" else {"on": "collections.upsert", "nth": 1}
    ground.script({**rule, "do": "edit", "change": change})
    report = ground.offloader("run", expect=(3,))
    assert ground.fired() == 1
    assert report["conflict"] == 1
    assert file in report["errors"][0]
    assert ground.bodies("ContentDocument", file) == (sha256(b"first"), sha256(b"second"))
    ground.remember()
    before = ground.downloads()
    ground.converges(moved=1)
    assert ground.downloads() == before + 1
    assert ground.gone(file)
    stored = {path.read_bytes() for path in (ground.directory / "stores/de/documents").rglob("*") if path.is_file()}
    assert {b"first", b"second"} <= stored


def test_an_attachment_overwritten_after_the_read_stays(ground: Ground) -> None:
    """A classic attachment has no versions: one whose body was replaced in mid-run stays, and moves as it is now."""
    plain, mailed = ground.attachment(), ground.email_attachment()
    ground.remember()
    ground.script({"on": "blob.get", "do": "edit", "change": {"action": "new_version", "body": "replaced"}, "times": 2})
    report = ground.offloader("run", expect=(3,))
    assert report["conflict"] == 2
    assert {ground.bodies("Attachment", each) for each in (plain, mailed)} == {(sha256(b"replaced"),)}
    ground.remembered.clear()
    ground.remember()
    ground.converges(moved=2)


def test_a_document_deleted_by_a_user_in_mid_run_is_left_alone(ground: Ground) -> None:
    """A file that a user deletes after the read gets no link; what was copied of it does no harm."""
    file, other = ground.file("deleted"), ground.file("stays")
    ground.script({"on": "blob.get", "do": "edit", "times": 1, "change": {"action": "delete", "id": file}})
    report = ground.offloader("run", expect=(0, 1, 3))
    assert report["moved"] >= 1
    assert ground.gone(other)
    ground.converges(expect=(0, 3))
