"""Writes that the CRM carried out and whose answer was lost: they are found again, and never done twice."""

from __future__ import annotations

import pytest

from offloader_connectors.salesforce.emulator.options import OrgOptions
from tests.integration.whole.bed import sha256
from tests.integration.whole.ground import Ground

#: by operation, and the how-manieth of it
WRITES = [
    ("collections.upsert", 1),
    ("collections.create", 1),
    ("collections.update", 1),
    ("collections.delete", 1),
    ("composite", 2),
    ("composite", 3),
    ("composite", 4),
]
PLAIN_WRITES = ["collections.create", "collections.delete"]


def fill(ground: Ground) -> None:
    ground.file("same title", b"one")
    ground.file("same title", b"two")
    ground.file("on two", b"v1", b"v2", parents=[ground.account, ground.other])
    ground.attachment(body=b"scan")
    ground.email_attachment(body=b"mailed")
    ground.remember()


def bodies(ground: Ground) -> list[tuple[str, ...]]:
    return sorted(held.sha256 for held in ground.witness().documents.values())


ALL = sorted([*((sha256(body),) for body in (b"one", b"two", b"scan", b"mailed")), (sha256(b"v1"), sha256(b"v2"))])


@pytest.mark.parametrize(("write", "nth"), WRITES)
def test_a_lost_answer_makes_no_second_link(ground: Ground, write: str, nth: int) -> None:
    """Each document ends with one link and no original, whichever write of the run lost its answer."""
    fill(ground)
    ground.script({"on": write, "nth": nth, "do": "drop_after_commit"})
    report = ground.offloader("run", expect=(0,))
    assert report["moved"] == 5
    assert report["versions_copied"] == 6
    assert len(ground.links()) == 5
    assert not bodies_of_originals(ground)
    ground.converges(moved=0)


def bodies_of_originals(ground: Ground) -> set[str]:
    originals = {digest for before in ground.remembered for held in before.documents.values() for digest in held.sha256}
    return originals & {digest for held in ground.witness().documents.values() for digest in held.sha256}


class TestWithoutExternalId:
    """The org has no field to find a link by."""

    @pytest.fixture
    def org_options(self) -> OrgOptions:
        return OrgOptions(external_id_field=False)

    @pytest.mark.parametrize("write", PLAIN_WRITES)
    def test_a_lost_answer_makes_no_second_link(self, ground: Ground, write: str) -> None:
        """The link that a lost write has made is found by its parents' files."""
        fill(ground)
        ground.script({"on": write, "nth": 1, "do": "drop_after_commit"})
        report = ground.offloader("run", expect=(0,))
        assert report["moved"] == 5
        assert len(ground.links()) == 5
        ground.converges(moved=0)

    @pytest.mark.parametrize("nth", [1, 4])
    def test_a_lost_upload_restores_nothing_twice(self, ground: Ground, nth: int) -> None:
        """What a lost upload has put back is found by its name, size and checksum."""
        restores_once(ground, "sobject.create", nth)


@pytest.mark.parametrize(
    ("write", "nth"),
    [
        ("sobject.create", 1),
        ("sobject.create", 2),
        ("sobject.create", 4),
        ("sobject.create", 5),
        ("sobject.update", 1),
        ("collections.create", 1),
        ("collections.delete", 1),
        ("collections.delete", 3),
    ],
)
def test_a_lost_answer_restores_nothing_twice(ground: Ground, write: str, nth: int) -> None:
    """Each document is back once, with all its versions and without its link, whichever write lost its answer."""
    restores_once(ground, write, nth)


def restores_once(ground: Ground, write: str, nth: int) -> None:
    fill(ground)
    assert ground.offloader("run", expect=(0,))["moved"] == 5
    ground.script({"on": write, "nth": nth, "do": "drop_after_commit"})
    restored = ground.offloader("restore", "--all", expect=(0,))
    assert restored["restored"] == restored["links_removed"] == 5
    assert bodies(ground) == ALL
    assert not ground.links()
    ground.converges(moved=0)


def test_a_restored_twin_is_not_taken_for_an_upload_that_never_arrived(ground: Ground) -> None:
    """Of two attachments alike in everything both come back, also when the second's upload breaks off unheard."""
    ground.attachment("twin", b"same"), ground.attachment("twin", b"same")
    ground.remember()
    ground.offloader("run", expect=(0,))
    ground.script({"on": "sobject.create", "nth": 2, "do": "drop_before"})
    restored = ground.offloader("restore", "--all", expect=(0,))
    assert ground.fired() == 1
    assert restored["restored"] == restored["links_removed"] == 2
    assert bodies(ground) == [(sha256(b"same"),)] * 2
