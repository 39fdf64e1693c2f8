"""What goes wrong between a Dynamics environment and the offloader: nothing is lost, and the next run converges."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from offloader_connectors.dynamics365.emulator.options import BLOCKED, OrgOptions
from offloader_connectors.emulation.blobs import Synthetic
from tests.integration.whole.bed import sha256
from tests.integration.whole.dynamics import Field, large

NEWER = "the user's newer text " * 100


@pytest.mark.parametrize("nth", range(1, 9))
def test_a_lost_answer_writes_nothing_twice(field: Field, nth: int) -> None:
    """Whichever batch loses its answer after it was carried out: one link each, no original, no second download."""
    field.one_of_each()
    field.remember()
    field.script({"on": "batch", "nth": nth, "do": "drop_after_commit"})
    report = field.offloader("run", expect=(0,))
    assert (report["moved"], report["versions_copied"]) == (4, 4)
    assert sorted(field.links().values()) == [1, 1, 1, 1]
    assert not field.originals()
    field.converges(moved=0)


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_batch_that_is_refused_is_tried_again(field: Field, status: int) -> None:
    """A batch answered by a front end's error is made again after a pause."""
    field.one_of_each()
    field.remember()
    field.script({"on": "batch", "nth": 2, "times": 1, "do": "status", "status": status, "retry_after": 1})
    assert field.offloader("run", expect=(0,))["moved"] == 4
    assert field.fired() == 1
    field.converges(moved=0)


LIMITS = ["0x80072322", "0x80072321", "0x80072326"]


@pytest.mark.parametrize("code", LIMITS)
def test_each_kind_of_throttling_is_waited_out(field: Field, code: str) -> None:
    """Too many requests, too much time, too many at once: the read is made again after Retry-After."""
    field.one_of_each()
    field.remember()
    body = {"error": {"code": code, "message": "Number of requests exceeded the limit."}}
    field.script({"on": "list.*", "nth": 3, "times": 2, "do": "status", "status": 429, "body": body, "retry_after": 1})
    assert field.offloader("run", expect=(0,))["moved"] == 4
    assert field.fired() == 2
    field.converges(moved=0)


def test_parts_of_a_batch_that_are_throttled_are_written_later(field: Field) -> None:
    """Of a batch that is half answered with 429 the written half stays written, and the other half follows."""
    for number in range(6):
        field.note(f"note {number}.pdf")
    field.remember()
    field.script({"on": "patch.annotation", "nth": 3, "times": 4, "do": "status", "status": 429, "retry_after": 1})
    report = field.offloader("run", expect=(0,))
    assert (report["moved"], report["versions_copied"]) == (6, 6)
    assert field.fired() == 4
    field.converges(moved=0)


def test_a_batch_that_stops_at_the_first_error_is_gone_on_with(field: Field) -> None:
    """Where a server stops at the first failing part, the parts behind it are written by the next batch."""
    field.emulator.app.protocol = field.emulator.app.protocol.changed({"continue_on_error": False})
    notes = [field.note(f"note {number}.pdf") for number in range(5)]
    row = {"table": "annotation", "id": notes[2]}
    named = {"filename": "newer.pdf", "mimetype": "application/pdf"}
    when = {"on": "patch.annotation", "nth": 2, "do": "edit", "before": True}
    field.script({**when, "change": {"body": NEWER, **row}}, {**when, "change": {"update": {**row, "fields": named}}})
    report = field.offloader("run", expect=(3,))
    assert (report["moved"], report["conflict"], report["failed"]) == (4, 1, 0)
    field.remember()
    field.converges(moved=1)


def test_an_edit_between_download_and_placeholder_wins(field: Field) -> None:
    """A note that a user saves after it was read is not touched; the next run moves the newer bytes."""
    note = field.note()
    change = {"body": NEWER, "table": "annotation", "id": note}
    field.script({"on": "patch.annotation", "nth": 1, "do": "edit", "before": True, "change": change})

    report = field.offloader("run", expect=(3,))

    assert (report["moved"], report["conflict"], report["originals_removed"]) == (0, 1, 0)
    assert field.bodies("annotation", note) == (sha256(NEWER.encode()),)
    field.remember()
    field.converges(moved=1)
    assert not field.originals()


def test_of_a_shared_attachment_all_or_none(field: Field) -> None:
    """When one of the mails' rows changes after the read, no row is replaced; the next run replaces all."""
    attachment = field.mailed("campaign.pdf", mails=[field.mail() for _ in range(4)])
    field.remember()
    row = field.rows_of(attachment)[2]["activitymimeattachmentid"]
    change = {"update": {"table": "activitymimeattachment", "id": row, "fields": {"subject": "edited"}}}
    field.script({"on": "list.attachment", "nth": 1, "do": "edit", "change": change})

    report = field.offloader("run", expect=(3,))

    assert (report["moved"], report["conflict"]) == (0, 1)
    assert {row["filename"] for row in field.rows_of(attachment)} == {"campaign.pdf"}
    field.converges(moved=1)
    assert {row["filename"] for row in field.rows_of(attachment)} == {"campaign.pdf.url"}


def test_a_note_that_is_not_there_for_a_moment_moves_later(field: Field) -> None:
    """A 404 that another web server gives just after the note was made is no reason to lose sight of it."""
    field.note()
    field.note("other.pdf")
    field.remember()
    field.script({"on": "patch.annotation", "nth": 1, "do": "status", "status": 404})
    field.offloader("run", expect=(0, 1, 3))
    field.nothing_lost()
    field.converges()
    assert len(field.links()) == 2


@pytest.mark.parametrize("clean", [False, True], ids=["cut", "short"])
@pytest.mark.parametrize("kind", ["annotation", "attachment"])
def test_an_answer_cut_in_mid_body_is_read_again(field: Field, kind: str, clean: bool) -> None:
    """A list that ends in the middle of a body, with or without its promised length, gives no document its bytes."""
    field.one_of_each()
    field.remember()
    nth = 3 if kind == "annotation" else 1
    field.script({"on": f"list.{kind}", "nth": nth, "do": "truncate", "clean": clean})
    assert field.offloader("run", expect=(0,))["moved"] == 4
    assert field.fired() == 1
    field.converges(moved=0)


def _listed(note: str, text: str) -> str:
    row = {"@odata.etag": 'W/"1"', "annotationid": note, "documentbody": text}
    return json.dumps({"@odata.context": "c", "value": [row]})


@pytest.mark.parametrize("text", ["QUJDR", "QU*D", "QUJD=Q==", "QUJD"], ids=["quantum", "alphabet", "padding", "short"])
def test_a_body_that_is_no_base64_or_too_short_is_never_stored(field: Field, text: str) -> None:
    """A body that ends inside a quantum, is no Base64 or is shorter than announced is read again."""
    note = field.note()
    field.remember()
    json_type = {"Content-Type": "application/json; odata.metadata=minimal"}
    field.script(
        {
            "on": "list.annotation",
            "nth": 3,
            "do": "status",
            "status": 200,
            "body": _listed(note, text),
            "headers": json_type,
        }
    )
    assert field.offloader("run", expect=(0,))["moved"] == 1
    assert field.fired() == 1
    field.converges(moved=0)


class TestBlocked:
    """The environment refuses file names with these extensions."""

    @pytest.fixture(params=["html", "txt", None])
    def left(self, request: pytest.FixtureRequest) -> str | None:
        return None if request.param is None else str(request.param)

    @pytest.fixture
    def environment_options(self, left: str | None) -> OrgOptions:
        blocked = {"html": ("url",), "txt": ("url", "html"), None: ("url", "html", "txt")}[left]
        return OrgOptions(blocked_extensions=(*BLOCKED, *blocked))

    def test_the_next_form_of_placeholder_is_taken(self, field: Field, left: str | None) -> None:
        """url, else html, else txt; where all are blocked the originals stay, with the reason."""
        note = field.note()
        field.remember()
        report = field.offloader("run", expect=(0,) if left else (3,))
        row = field.org.get("annotation", note)
        assert row is not None
        if left is None:
            assert (report["moved"], report["review"]) == (0, 1)
            assert row["filename"] == "note.pdf"
            assert len(field.originals()) == 1
            return
        assert row["filename"] == f"note.pdf.{left}"
        field.converges(moved=0)


class TestLockedMails:
    """The environment lets nobody change the attachments of completed mails."""

    @pytest.fixture
    def environment_options(self) -> OrgOptions:
        return OrgOptions(completed_mail_locked=True)

    def test_a_mail_that_is_read_only_keeps_its_attachment(self, field: Field) -> None:
        """The attachment stays, and a person is told why; notes move all the same."""
        field.mailed()
        field.note()
        field.remember()
        report = field.offloader("run", expect=(3,))
        assert (report["moved"], report["review"], report["failed"]) == (1, 1, 0)
        assert len(field.originals()) == 1
        field.nothing_lost()


class TestForeignPlugin:
    """Another offloader's plug-in puts bodies back after they were written over."""

    @pytest.fixture
    def environment_options(self) -> OrgOptions:
        return OrgOptions(resurrect_after=1)

    def test_a_body_that_is_put_back_is_no_success(self, field: Field) -> None:
        """The run does not count the document as moved, says what happened, and loses nothing."""
        field.note()
        field.remember()
        report = field.offloader("run", expect=(3,))
        assert (report["moved"], report["conflict"]) == (0, 1)
        assert report["errors"]
        assert len(field.originals()) == 1
        field.nothing_lost()


def test_a_body_that_is_put_back_later_is_reported(field: Field) -> None:
    """After the run, a program or a user puts a file over the placeholder: the next scan names the document."""
    note = field.note()
    field.remember()
    field.offloader("run", expect=(0,))
    field.org.update(
        "annotation", note, {"filename": "again.pdf", "mimetype": "application/pdf", "documentbody": large("x")}
    )
    report = field.offloader("run", expect=(3,))
    assert report["returned"] == [f"dynamics365/annotation/{note}"]
    field.nothing_lost()


@pytest.mark.parametrize("how", ["retain", "delete"])
def test_stored_bytes_stay_when_the_row_vanishes(field: Field, how: str) -> None:
    """A placeholder that long-term retention or a user takes away does not purge what is stored."""
    note = field.note()
    field.remember()
    field.offloader("run", expect=(0,))
    field.emulator.app.edit({how: {"table": "annotation", "id": note}}, ())
    field.offloader("run", "--full", expect=(0, 3))
    field.nothing_lost()
    assert field.offloader("verify", expect=(0,))["counts"] == {"=": 1}


@pytest.mark.parametrize("operation", ["delta.annotation", "list.activitymimeattachment"])
def test_a_mark_that_ran_out_means_a_full_scan(field: Field, operation: str) -> None:
    """Where the environment no longer knows what changed since the last scan, everything is listed again."""
    field.one_of_each()
    field.remember()
    field.offloader("run", expect=(0,))
    later = field.note("later.pdf")
    expired = {"error": {"code": "0x80044352", "message": "Version stamp associated with the client has expired."}}
    field.script(
        {"on": operation, "nth": 1, "do": "status", "status": 400 if "delta" in operation else 503, "body": expired}
    )
    assert field.offloader("run", expect=(0,))["moved"] == 1
    assert field.bodies("annotation", later) != (sha256(large("the note later.pdf")),)
    field.converges(moved=0)


def test_a_storage_address_that_ran_out_is_asked_for_again(field: Field) -> None:
    """A download address that expired between its making and its use is replaced; nothing of it is told."""
    field.note("film.mp4", Synthetic(9_000_000))
    field.script({"on": "storage.get", "nth": 1, "do": "status", "status": 403})
    report = field.offloader("run", expect=(0,))
    assert report["moved"] == 1
    assert field.fired() == 1
    assert "sig=" not in json.dumps(report)


@pytest.mark.parametrize("rule", [{"do": "truncate"}, {"do": "truncate", "clean": True}, {"do": "corrupt"}], ids=str)
def test_a_damaged_download_from_storage_is_noticed(field: Field, rule: Mapping[str, Any]) -> None:
    """A large body that arrives cut is read again; a flipped bit has no checksum in Dynamics to betray it."""
    field.note("film.mp4", Synthetic(9_000_000))
    field.script({"on": "storage.get", "nth": 1, **rule})
    report = field.offloader("run", expect=(0,))
    assert (report["moved"], report["bytes"]) == (1, 9_000_000)


def test_a_session_that_ends_in_mid_run_is_renewed(field: Field) -> None:
    """A token that the environment drops is replaced by one login."""
    field.one_of_each()
    field.script({"on": "batch", "nth": 2, "do": "edit", "before": True, "change": {"expire_tokens": {}}})
    assert field.offloader("run", expect=(0,))["moved"] == 4
    field.converges(moved=0)


def test_a_wrong_secret_is_an_error_that_says_so(field: Field) -> None:
    """A login that is refused ends the command with a sentence, an exit code, and no secret in either."""
    field.note()
    (field.directory / "dynamics365_client_secret").write_text("wrong-secret\n", encoding="ascii")
    report = field.offloader("run", expect=(1,))
    assert "wrong-secret" not in json.dumps(report)
    assert "login" in json.dumps(report).lower()


def test_a_page_of_html_with_503_is_waited_out(field: Field) -> None:
    """A front end's HTML page with 503 is an interruption, not an answer."""
    field.one_of_each()
    page = "<html><body>Service Unavailable</body></html>"
    field.script({"on": "list.*", "nth": 2, "do": "status", "status": 503, "body": page})
    assert field.offloader("run", expect=(0,))["moved"] == 4
    field.converges(moved=0)
