"""A Dynamics environment, from the scan to the placeholders and back, by the command line."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from offloader_connectors.dynamics365.emulator.options import OrgOptions
from offloader_connectors.emulation.blobs import Synthetic
from tests.integration.whole.bed import sha256
from tests.integration.whole.dynamics import Field, large


def test_every_kind_moves_and_comes_back(field: Field) -> None:
    """A note, mail attachments and a file column leave one link each; restore puts back exactly what was there."""
    made = field.one_of_each()
    field.remember()
    before = field.witness()

    report = field.offloader("run", expect=(0,))

    assert (report["moved"], report["links_verified"], report["originals_removed"]) == (4, 4, 4)
    assert sorted(field.links().values()) == [1, 1, 1, 1]
    assert not field.originals()
    field.converges(moved=0)
    field.offloader("restore", "--all", expect=(0,))
    assert {key: field.witness().documents.get(key) for key in made} == {key: before.documents[key] for key in made}
    assert not field.links()
    assert field.offloader("run", expect=(0,))["moved"] == 0


@pytest.mark.parametrize("short", [0, 1, 2])
def test_a_size_that_the_crm_rounds_up_is_no_damage(field: Field, short: int) -> None:
    """Where the CRM computes the size from the Base64 text, bodies of any length move, and are stored exactly."""
    body = large("any length", 3000 - short)
    field.note(body=body)
    field.remember()
    assert field.offloader("run", expect=(0,))["bytes"] == len(body)
    field.converges(moved=0)


def test_a_shared_attachment_is_read_once_and_replaced_everywhere(field: Field) -> None:
    """Fifty mails that share an attachment: one download, one link, fifty placeholders."""
    attachment = field.mailed("campaign.pdf", mails=[field.mail() for _ in range(50)])
    field.remember()
    field.emulator.counters.clear()

    report = field.offloader("run", expect=(0,))

    assert (report["moved"], report["versions_copied"]) == (1, 1)
    assert field.calls("list.attachment", "storage.get", "value.attachment") == 1
    assert {row["filename"] for row in field.rows_of(attachment)} == {"campaign.pdf.url"}
    field.converges(moved=0)


class TestOwnCopies:
    """The platform gives a mail's row an attachment of its own when its body is written."""

    @pytest.fixture
    def environment_options(self) -> OrgOptions:
        return OrgOptions(shared_update="own")

    def test_a_shared_attachment_is_replaced_everywhere(self, field: Field) -> None:
        """All rows get their placeholder, none keeps the bytes, and a restore gives them back to all mails."""
        field.mailed("campaign.pdf", mails=[field.mail() for _ in range(5)])
        field.remember()
        assert field.offloader("run", expect=(0,))["moved"] == 1
        assert not field.originals()
        assert field.offloader("run", expect=(0,))["moved"] == 0
        field.nothing_lost()
        field.offloader("restore", "--all", expect=(0,))
        rows = list(field.org.rows("activitymimeattachment"))
        assert {row["filename"] for row in rows} == {"campaign.pdf"}
        assert field.originals() == {sha256(large("the attachment campaign.pdf"))}


ROUTES = {"sas": OrgOptions(), "blocks": OrgOptions(sas=False), "value": OrgOptions(sas=False, chunking=False)}


class TestLarge:
    """A body of 120 MB, by each way that an environment may offer."""

    @pytest.fixture(params=sorted(ROUTES))
    def environment_options(self, request: pytest.FixtureRequest) -> OrgOptions:
        return ROUTES[str(request.param)]

    def test_a_large_note_moves_in_little_memory(self, field: Field) -> None:
        """The note moves whole, and the program takes no more than 200 MB."""
        field.note("film.mp4", Synthetic(120_000_000))
        report = field.offloader("run", expect=(0,))
        assert (report["moved"], report["bytes"]) == (1, 120_000_000)
        assert report["peak_rss_mb"] <= 200
        assert field.offloader("verify", expect=(0,))["counts"] == {"=": 1}


HOSTILE = ["..", "bill\u202egpj.exe", "' or 1 eq 1 & 'b", "=HYPERLINK(1)", "смета 🧾 報價", "%2e%2e {0}", "x" * 251]
#: names that an import can leave behind and that the API itself does not take
UNTAKEN = ["../../etc/passwd", 'say "x" <b>', "c:\\boot"]


def test_hostile_names_are_only_data(field: Field) -> None:
    """Names with directions, quotes, formulas and escapes move, stay data everywhere, and come back as they were."""
    for number, name in enumerate(HOSTILE):
        field.note(f"{name}.pdf", large(f"note {number}"))
    field.remember()
    before = {row["annotationid"]: row["filename"] for row in field.org.rows("annotation")}
    assert field.offloader("run", expect=(0,))["moved"] == len(HOSTILE)
    field.converges(moved=0)
    field.offloader("restore", "--all", expect=(0,))
    assert {row["annotationid"]: row["filename"] for row in field.org.rows("annotation")} == before


def test_names_that_the_api_refuses_do_not_keep_a_document(field: Field) -> None:
    """A note whose name the API would not take gets a placeholder with a tame name; its bytes are safe."""
    for number, name in enumerate(UNTAKEN):
        field.note(f"{name}.pdf", large(f"note {number}"))
    field.remember()
    assert field.offloader("run", expect=(0,))["moved"] == len(UNTAKEN)
    assert not field.originals()
    field.converges(moved=0)


def test_what_must_stay_stays_with_a_reason(field: Field) -> None:
    """Drafts, inline pictures, templates, portal files and records of tables that are not listed keep their files."""
    draft = field.mail(statecode=0, statuscode=1)
    field.mailed("draft.pdf", mails=[draft])
    shown = field.mail(description='<img src="cid:picture">')
    field.mailed("picture.png", mails=[shown], content_id="picture")
    field.mailed("recent.pdf", mails=[field.mail(modified=datetime.now(UTC))])
    field.note("theme.css", parent=("adx_webfile", field.org.insert("adx_webfile", {"adx_name": "theme"})))
    field.note("tiny.txt", b"x")
    field.remember()

    report = field.offloader("run", expect=(0,))

    assert (report["moved"], report["kept"]) == (0, 5)
    assert not field.links()
    assert len(field.originals()) == 5
