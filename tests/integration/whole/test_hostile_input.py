"""Documents as nobody would name or shape them: everything moves, reads back and comes home as it was."""

from __future__ import annotations

import pytest

from offloader_connectors.emulation.blobs import Synthetic
from tests import processes
from tests.integration.whole.bed import sha256
from tests.integration.whole.ground import Ground
from tests.integration.whole.plant import TIMEOUT_S

NAMES = (
    "../../../etc/passwd",
    "..\\..\\boot.ini",
    "nul\x00byte",
    "invoice\u202egpj.exe",
    "head\r\nSet-Cookie: a=b",
    "line\u2028break",
    "\U0001f9fe facture \u00e9\u0301 \u65e5\u672c\U0001f468\u200d\U0001f469\u200d\U0001f467",
    'quote\'s "double" back\\slash',
    "<script>alert(1)</script>",
    "n" * 240,
    "\U0001f600" * 100,
    " ",
    ".",
)
BIG = 2 << 30


def test_equal_titles_and_names_stay_apart(ground: Ground) -> None:
    """Documents with the same title, name, parent and even bytes each get a link and a copy of their own."""
    twins = [ground.file("twin", body, path="twin.pdf") for body in (b"one", b"two", b"one")]
    ground.attachment("twin.pdf", b"one"), ground.attachment("twin.pdf", b"one")
    ground.email_attachment("twin.pdf", b"one")
    ground.remember()
    ground.converges(moved=6)
    assert len(ground.links()) == 6
    restored = ground.offloader("restore", "--all", expect=(0,))
    assert restored["restored"] == restored["links_removed"] == 6
    held = sorted(document.sha256 for document in ground.witness().documents.values())
    assert held == sorted([(sha256(b"one"),)] * 5 + [(sha256(b"two"),)])
    assert ground.gone(*twins)


def test_an_empty_file_moves_and_comes_back(ground: Ground) -> None:
    """A document of no bytes is moved, verified and restored like any other."""
    ground.file("empty", b"")
    ground.attachment("empty.txt", b"")
    ground.email_attachment("empty-too.txt", b"")
    ground.remember()
    report = ground.converges()
    assert report["moved"] + report["kept"] == 3
    ground.offloader("restore", "--all", expect=(0,))
    assert [held.sha256 for held in ground.witness().documents.values()] == [(sha256(b""),)] * 3


def test_hostile_names_are_only_data(ground: Ground) -> None:
    """No name reaches a path, a header or a terminal; each comes back exactly as it was."""
    for name in NAMES:
        ground.file(name, path=f"{name}.pdf")
        ground.attachment(name)
        ground.email_attachment(name)
    before = _names(ground)
    ground.remember()
    ground.converges(moved=3 * len(NAMES))
    outside = {path.name for path in ground.directory.parent.iterdir()}
    assert outside == {ground.directory.name}
    reconciled = processes.run(ground.command("reconcile")[1:], timeout=TIMEOUT_S)
    assert reconciled.returncode == 0
    shown = reconciled.stdout
    assert all(char.isprintable() or char == "\n" for char in shown)
    restored = ground.offloader("restore", "--all", expect=(0,))
    assert restored["restored"] == 3 * len(NAMES), restored["errors"]
    assert _names(ground) == before


def _names(ground: Ground) -> list[tuple[str, str]]:
    files = [(str(row["Title"]), str(row["PathOnClient"])) for row in ground.org.rows("ContentVersion")]
    return sorted(files + [(str(row["Name"]), "") for row in ground.org.rows("Attachment")])


def test_a_document_without_parents_stays(ground: Ground) -> None:
    """Nothing says where a file that hangs on no record belongs, so it stays, with the reason."""
    alone = ground.file("alone", parents=[])
    ground.remember()
    report = ground.converges(moved=0, expect=(0, 3))
    assert report["kept"] + report["review"] + report["blocked"] == 1
    assert report["reasons"]
    assert ground.bodies("ContentDocument", alone)


def test_three_hundred_parents_all_get_the_link(ground: Ground) -> None:
    """A file on 300 records is replaced by one link on the same 300 records, and back."""
    parents = [
        ground.org.insert("Case", {"Subject": f"case {number}", "AccountId": ground.account}) for number in range(300)
    ]
    ground.file("everywhere", parents=parents)
    ground.remember()
    ground.converges(moved=1)
    (link,) = (row for row in ground.org.rows("ContentVersion") if row.get("ContentUrl"))
    assert _parents(ground, str(link["ContentDocumentId"])) == set(parents)
    ground.offloader("restore", "--all", expect=(0,))
    (back,) = ground.org.rows("ContentVersion")
    assert _parents(ground, str(back["ContentDocumentId"])) == set(parents)


def _parents(ground: Ground, document: str) -> set[str]:
    links = ground.org.rows("ContentDocumentLink")
    everybody = {str(row["LinkedEntityId"]) for row in links if row["ContentDocumentId"] == document}
    return everybody - {ground.owner, ground.org.integration_user}


@pytest.mark.slow
def test_two_gigabytes_move_in_little_memory(ground: Ground) -> None:
    """A file of 2 GiB is moved and verified with at most 200 MB of memory."""
    ground.file("recording", Synthetic(BIG))
    (before,) = ground.witness().documents.values()
    report = ground.offloader("run", expect=(0,))
    assert report["moved"] == 1
    assert report["bytes"] == BIG
    assert report["peak_rss_mb"] <= 200
    verified = ground.offloader("verify", expect=(0,))
    assert verified["counts"] == {"=": 1}
    (catalogued,) = (ground.directory / "stores/de").rglob("catalog/**/*.jsonl")
    assert before.sha256[0] in catalogued.read_text(encoding="utf-8")
