"""Placeholders and links are written many at once, and never over what somebody has changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from offloader.errors import Throttled, Transient
from offloader.model import Document
from offloader.ports import LinkRequest, Outcome, Status
from offloader_connectors.dynamics365.emulator.options import OrgOptions
from offloader_connectors.dynamics365.emulator.privileges import BYPASS, role_privileges
from offloader_connectors.dynamics365.emulator.protocol import ProtocolOptions
from offloader_connectors.dynamics365.source import DynamicsSource

from .bench import World, fetch, opened, request

REPLACED, CONFLICT, RETRY, REFUSED, DONE, GONE = (
    Status.REPLACED,
    Status.CONFLICT,
    Status.RETRY,
    Status.REFUSED,
    Status.DONE,
    Status.GONE,
)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with opened(tmp_path) as made:
        yield made


def note_requests(world: World, source: DynamicsSource, count: int = 3) -> list[LinkRequest]:
    """Notes with bodies of their own, as they were read."""
    made = [world.note(b"note %d " % number * 500, f"note {number}.pdf") for number in range(count)]
    return [request(fetch(source, "annotation", each)) for each in made]


def mail_request(world: World, source: DynamicsSource, mails: int) -> LinkRequest:
    return request(fetch(source, "activitymimeattachment", world.shared(b"shared " * 500, mails=mails)))


def statuses(outcomes: Sequence[Outcome]) -> list[Status]:
    return [outcome.status for outcome in outcomes]


def rows(document: Document) -> list[str]:
    return [row for parent in document.parents for row in parent.sharing["row"].split()]


def names(world: World, document: Document) -> set[str]:
    """What the rows of a mail attachment are called now."""
    found = (world.org.get("activitymimeattachment", row) for row in rows(document))
    return {str(row["filename"]) for row in found if row is not None}


# -- notes ----------------------------------------------------------------------------------------------------------


def test_many_notes_are_replaced_by_one_request(world: World) -> None:
    """A hundred notes are one batch, whose answers are the read-back too."""
    source = world.source()
    wanted = note_requests(world, source, 100)
    world.reset_counters()
    assert set(statuses(source.link(wanted))) == {REPLACED}
    assert world.calls() == {"batch": 1, "list.organization": 1}
    assert world.emulator.counters.inner == {"patch.annotation": 100}


def test_a_placeholder_is_a_small_file_that_leads_to_the_link(world: World) -> None:
    """Name, mime type and body are the placeholder's; subject, text, owner and parent stay as they were."""
    source = world.source()
    (wanted,) = note_requests(world, source, 1)
    note = wanted.document.ref.id
    world.org.update("annotation", note, {"subject": "Contract", "notetext": "<b>signed</b>"})
    wanted = request(fetch(source, "annotation", note))
    before = world.org.get("annotation", note)
    assert statuses(source.link([wanted])) == [REPLACED]
    after = world.org.get("annotation", note)
    assert before
    assert after
    assert after["filename"] == "note 0.pdf.url"
    assert world.body_of("annotation", note) == f"[InternetShortcut]\r\nURL={wanted.link.url}\r\n".encode()
    kept = ("subject", "notetext", "ownerid", "objectid", "createdon", "isdocument")
    assert [after[name] for name in kept] == [before[name] for name in kept]


def test_each_item_has_its_own_outcome(world: World) -> None:
    """A changed note, one that is gone and good ones share a request without disturbing each other."""
    source = world.source()
    wanted = note_requests(world, source, 4)
    world.org.update("annotation", wanted[1].document.ref.id, {"documentbody": b"edited"})
    world.org.delete("annotation", wanted[2].document.ref.id)
    assert statuses(source.link(wanted)) == [REPLACED, CONFLICT, GONE, REPLACED]
    assert world.body_of("annotation", wanted[1].document.ref.id) == b"edited"
    assert world.org.get("annotation", wanted[2].document.ref.id) is None, "never created anew"


def test_a_lost_answer_is_resolved_by_reading(world: World) -> None:
    """After a lost answer the next try finds what was written, and writes nothing twice."""
    source = world.source()
    wanted = note_requests(world, source)
    world.fault(on="batch", do="drop_after_commit", times=1)
    with pytest.raises(Transient) as caught:
        source.link(wanted)
    assert caught.value.maybe_done
    etags = [fetch(source, "annotation", each.document.ref.id).etag for each in wanted]
    world.reset_counters()
    again = source.link([replace(each, attempted=True) for each in wanted])
    assert statuses(again) == [REPLACED] * 3
    assert [fetch(source, "annotation", each.document.ref.id).etag for each in wanted] == etags
    assert "patch.annotation" not in world.emulator.counters.inner


def test_an_edit_after_a_lost_answer_wins(world: World) -> None:
    """What a user has put over a placeholder is not overwritten by the next try."""
    source = world.source()
    wanted = note_requests(world, source, 2)
    world.fault(on="batch", do="drop_before", times=1)
    with pytest.raises(Transient):
        source.link(wanted)
    world.org.update("annotation", wanted[0].document.ref.id, {"documentbody": b"edited meanwhile"})
    again = source.link([replace(each, attempted=True) for each in wanted])
    assert statuses(again) == [CONFLICT, REPLACED]


def test_a_batch_that_stops_at_the_first_error_is_gone_on_with(world: World) -> None:
    """Where the server does not go on after errors, the rest is tried again, and then done."""
    world.emulator.protocol = ProtocolOptions(continue_on_error=False)
    source = world.source()
    wanted = note_requests(world, source, 4)
    world.org.update("annotation", wanted[1].document.ref.id, {"documentbody": b"edited"})
    first = source.link(wanted)
    assert statuses(first) == [REPLACED, CONFLICT, RETRY, RETRY]
    assert statuses(source.link([replace(each, attempted=True) for each in wanted[2:]])) == [REPLACED] * 2


def test_a_batch_answered_half_with_429_is_half_done(world: World) -> None:
    """Parts that are throttled are tried again, after the pause that they ask for."""
    source = world.source()
    wanted = note_requests(world, source, 4)
    world.fault(on="batch", do="item", item=[2, 3], status=429, code="0x80072322", retry_after=7, times=1)
    assert statuses(source.link(wanted)) == [REPLACED, REPLACED, RETRY, RETRY]
    with pytest.raises(Throttled) as caught:
        source.link([replace(each, attempted=True) for each in wanted[2:]])
    assert caught.value.retry_after
    assert caught.value.retry_after.total_seconds() == 7


@pytest.mark.parametrize("code", ["0x80044150", "0x80044151"])
def test_a_locked_row_is_tried_again(world: World, code: str) -> None:
    """A deadlock or a time-out of the database is no refusal."""
    source = world.source()
    wanted = note_requests(world, source, 2)
    world.fault(on="batch", do="item", item=0, status=500, code=code, times=1)
    assert statuses(source.link(wanted)) == [RETRY, REPLACED]


@pytest.mark.parametrize("code", ["0x8004022e", "0x80040230", "0x80043b09", "0x80040220", "0x80040265"])
def test_what_the_crm_never_allows_is_refused_with_a_reason(world: World, code: str) -> None:
    """The document stays, and the reason is a sentence."""
    source = world.source()
    wanted = note_requests(world, source, 2)
    world.fault(on="batch", do="item", item=0, status=400, code=code, message="The record is what it is.")
    refused, replaced = source.link(wanted)
    assert statuses([refused, replaced]) == [REFUSED, REPLACED]
    assert len(refused.reason) > 20
    assert world.body_of("annotation", wanted[0].document.ref.id) == b"note 0 " * 500


def test_a_failure_after_the_first_request_is_no_failure_of_all(world: World) -> None:
    """What was replaced before is said, so that the next try does not take it for somebody else's change."""
    source = world.source(link_batch=2)
    wanted = note_requests(world, source, 5)
    world.fault(on="batch", do="status", status=503, nth=2)
    assert statuses(source.link(wanted)) == [REPLACED, REPLACED, RETRY, RETRY, RETRY]


def test_a_failure_after_the_writing_is_no_failure_of_all(tmp_path: Path) -> None:
    """Where something has to be read again after the writing, and cannot, what was replaced is said nevertheless."""
    with opened(tmp_path, OrgOptions(shared_update="touching")) as world:
        source = world.source()
        wanted = [*note_requests(world, source, 1), mail_request(world, source, 2)]
        world.fault(on="batch", do="status", status=503, nth=3)
        assert statuses(source.link(wanted)) == [REPLACED, RETRY]
        assert statuses(source.link([replace(wanted[1], attempted=True)])) == [REPLACED]


@pytest.mark.parametrize(
    ("blocked", "form", "body"),
    [
        (("url",), "html", b'<a href="https://files.example.com/d/'),
        (("url", "html"), "txt", b"\r\nhttps://files.example.com/d/"),
    ],
)
def test_the_placeholder_has_a_form_that_is_not_blocked(
    tmp_path: Path, blocked: tuple[str, ...], form: str, body: bytes
) -> None:
    """Of url, html and txt the first is taken that the environment's settings allow, without trying the others."""
    with opened(tmp_path, OrgOptions(blocked_extensions=blocked)) as world:
        source = world.source()
        wanted = note_requests(world, source)
        assert statuses(source.link(wanted)) == [REPLACED] * 3
        assert world.emulator.counters.inner["patch.annotation"] == 3
        row = world.org.get("annotation", wanted[0].document.ref.id)
        assert row
        assert row["filename"] == f"note 0.pdf.{form}"
        assert body in (world.body_of("annotation", wanted[0].document.ref.id) or b"")
        assert statuses(source.inspect(wanted)) == [DONE] * 3
        assert statuses(source.remove(wanted)) == [DONE] * 3


def test_a_form_that_turns_out_to_be_blocked_is_not_tried_again(world: World) -> None:
    """A setting that has changed shows when it is tried: the next form is taken at once, and from then on."""
    source = world.source()
    assert statuses(source.link(note_requests(world, source, 1))) == [REPLACED]
    world.org.options = world.org.options.changed({"blocked_extensions": ("url", "html")})
    wanted = note_requests(world, source, 2)
    assert statuses(source.link(wanted)) == [REPLACED, REPLACED]
    row = world.org.get("annotation", wanted[0].document.ref.id)
    assert row
    assert row["filename"] == "note 0.pdf.txt"
    world.reset_counters()
    assert statuses(source.link(note_requests(world, source, 2))) == [REPLACED, REPLACED]
    assert world.emulator.counters.inner["patch.annotation"] == 2


@pytest.mark.parametrize("chosen", ["auto", "url"])
def test_without_any_form_nothing_is_replaced(tmp_path: Path, chosen: str) -> None:
    """Where all placeholders are blocked, or the chosen one is, documents stay, and the reason names the setting."""
    with opened(tmp_path, OrgOptions(blocked_extensions=("url", "html", "txt"))) as world:
        source = world.source(placeholder=chosen)
        wanted = note_requests(world, source, 2)
        outcomes = source.link(wanted)
        assert statuses(outcomes) == [REFUSED, REFUSED]
        assert "blockedattachments" in outcomes[0].reason
        assert world.body_of("annotation", wanted[0].document.ref.id) == b"note 0 " * 500


def test_a_foreign_plug_in_that_puts_the_body_back_is_noticed(tmp_path: Path) -> None:
    """A body that comes back after the placeholder was read back makes remove answer CONFLICT."""
    with opened(tmp_path, OrgOptions(resurrect_after=2)) as world:
        source = world.source()
        wanted = note_requests(world, source, 1)
        assert statuses(source.link(wanted)) == [REPLACED]
        for _ in range(3):
            fetch(source, "annotation", wanted[0].document.ref.id)
        (outcome,) = source.remove(wanted)
        assert outcome.status is CONFLICT
        assert "another program" in outcome.reason


def test_inspect_compares_the_bytes(world: World) -> None:
    """A placeholder of the same size that leads elsewhere is a CONFLICT."""
    source = world.source()
    wanted = note_requests(world, source, 2)
    source.link(wanted)
    body = world.body_of("annotation", wanted[0].document.ref.id)
    assert body
    world.org.update("annotation", wanted[0].document.ref.id, {"documentbody": body.replace(b"files.", b"filez.")})
    assert statuses(source.inspect(wanted)) == [CONFLICT, DONE]


def test_a_second_look_is_one_request_for_each_kind(world: World) -> None:
    """Five hundred placeholders are looked at again by one list."""
    source = world.source()
    wanted = [*note_requests(world, source, 60), mail_request(world, source, 3)]
    source.link(wanted)
    world.reset_counters()
    assert set(statuses(source.remove(wanted))) == {DONE}
    assert world.calls() == {"list.annotation": 1, "list.activitymimeattachment": 1}


def test_writes_ask_for_what_the_operator_chose(world: World) -> None:
    """Only with bypass_custom_logic do writes need, and use, the privilege to pass custom plug-ins by."""
    user = world.org.get("systemuser", world.org.integration_user)
    assert user
    allowed = role_privileges("Offloader", world.org.schema).keys() - {BYPASS}
    world.org.user(username=str(user["domainname"]), roles=sorted(allowed))
    for options, expected in (
        ({}, REPLACED),
        ({"suppress_flows": True}, REPLACED),
        ({"bypass_custom_logic": True}, REFUSED),
    ):
        source = world.source(**options)
        assert statuses(source.link(note_requests(world, source, 1))) == [expected]


# -- attachments of mails -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shared_update", ["shared", "touching", "own"])
def test_rows_that_share_an_attachment_are_replaced_together(tmp_path: Path, shared_update: Any) -> None:
    """However the platform treats the other rows when one is changed, all of them have the placeholder afterwards."""
    with opened(tmp_path, OrgOptions(shared_update=shared_update)) as world:
        source = world.source()
        wanted = [mail_request(world, source, 5), mail_request(world, source, 1), mail_request(world, source, 2)]
        outcomes = source.link(wanted)
        assert statuses(outcomes) == [REPLACED] * 3
        assert [len(outcome.link_ref["rows"].split()) for outcome in outcomes] == [5, 1, 2]
        assert {name for each in wanted for name in names(world, each.document)} == {"report.pdf.url"}
        found = [replace(each, link_ref=outcome.link_ref) for each, outcome in zip(wanted, outcomes, strict=True)]
        assert statuses(source.inspect(found)) == [DONE] * 3
        assert statuses(source.remove(found)) == [DONE] * 3
        again = source.link([replace(each, attempted=True) for each in wanted])
        assert statuses(again) == [REPLACED] * 3
        assert [outcome.link_ref for outcome in again] == [outcome.link_ref for outcome in outcomes]


def test_many_attachments_are_one_request_to_read_and_one_to_write(world: World) -> None:
    """The rows are read again and written together, shared ones among them."""
    source = world.source()
    wanted = [mail_request(world, source, 1 + number % 3) for number in range(30)]
    source.link([mail_request(world, source, 1)])
    world.reset_counters()
    assert set(statuses(source.link(wanted))) == {REPLACED}
    assert world.calls() == {"batch": 2}


@pytest.mark.parametrize("change", ["body", "one more mail", "one mail less"])
def test_all_rows_stay_when_one_has_changed(world: World, change: str) -> None:
    """A change of one row, or of who shares the attachment, keeps all as they are."""
    source = world.source()
    wanted, other = mail_request(world, source, 3), mail_request(world, source, 2)
    row = rows(wanted.document)[1]
    if change == "body":
        world.org.update("activitymimeattachment", row, {"body": b"edited"})
    elif change == "one more mail":
        world.org.add_mail_attachment(
            mail=("email", world.mail()), file_name="x.pdf", body=None, attachment=wanted.document.ref.id
        )
    else:
        world.org.delete("activitymimeattachment", row)
    assert statuses(source.link([wanted, other])) == [CONFLICT, REPLACED]
    assert not {name for name in names(world, wanted.document) if name.endswith(".url")}


def test_an_edit_in_the_same_moment_keeps_all_rows_as_they_are(world: World) -> None:
    """A row that changes between the last reading and the writing undoes the writing of its siblings."""
    source = world.source()
    wanted = mail_request(world, source, 3)
    source.link([mail_request(world, source, 1)])
    change = {"update": {"table": "activitymimeattachment", "id": rows(wanted.document)[2], "fields": {"body": b"new"}}}
    world.fault(on="batch", do="edit", change=change, before=True, nth=2)
    assert statuses(source.link([wanted])) == [CONFLICT]
    assert names(world, wanted.document) == {"report.pdf"}


def test_a_mail_that_is_locked_keeps_its_attachment(tmp_path: Path) -> None:
    """Where the environment does not let attachments of completed mails be changed, they stay, with the reason."""
    with opened(tmp_path, OrgOptions(completed_mail_locked=True)) as world:
        source = world.source()
        wanted = [mail_request(world, source, 2), mail_request(world, source, 1)]
        outcomes = source.link(wanted)
        assert statuses(outcomes) == [REFUSED, REFUSED]
        assert "read-only" in outcomes[0].reason
        assert names(world, wanted[0].document) == {"report.pdf"}


# -- columns --------------------------------------------------------------------------------------------------------


def column_request(world: World, source: DynamicsSource, kind: str = "filecolumn") -> LinkRequest:
    return request(fetch(source, kind, world.file(b"in a column " * 100, kind=kind)))


def test_the_link_s_note_has_the_link_s_own_id(world: World) -> None:
    """It can be made only once: a second try finds the first one's note."""
    source = world.source()
    source.link([column_request(world, source)])
    wanted = column_request(world, source)
    world.fault(on="batch", do="drop_after_commit", times=1)
    with pytest.raises(Transient):
        source.link([wanted])
    world.emulator.faults.clear()
    (outcome,) = source.link([wanted])
    assert outcome.status is DONE
    note = outcome.link_ref["note"]
    assert note.replace("-", "") == wanted.link.id
    assert [row["annotationid"] for row in world.org.rows("annotation")].count(note) == 1
    assert len([*world.org.rows("annotation")]) == 2


def test_a_link_goes_into_the_column_that_the_operator_named(world: World) -> None:
    """An empty link column takes the address, is read back, cleared by unlink, and never overwritten."""
    source = world.source(link_columns={"account.new_dossier": "websiteurl"})
    wanted = column_request(world, source)
    record = wanted.document.ref.id.split(":")[1]
    (outcome,) = source.link([wanted])
    assert (outcome.status, outcome.link_ref) == (DONE, {"column": "account.websiteurl"})
    assert (world.org.get("account", record) or {}).get("websiteurl") == wanted.link.url
    assert not [*world.org.rows("annotation")]
    assert statuses(source.link([replace(wanted, attempted=True)])) == [DONE]
    assert statuses(source.inspect([wanted])) == [DONE]
    assert statuses(source.remove([wanted])) == [DONE]
    assert world.org.file_of("account", record, "new_dossier") is None
    for _ in range(2):
        assert statuses(source.unlink([wanted])) == [DONE]
    assert not (world.org.get("account", record) or {}).get("websiteurl")


def test_a_link_column_that_is_taken_is_left_alone(world: World) -> None:
    """What a user wrote into the link column stays, and so does the file."""
    source = world.source(link_columns={"account.new_dossier": "websiteurl"})
    wanted = column_request(world, source)
    record = wanted.document.ref.id.split(":")[1]
    world.org.update("account", record, {"websiteurl": "https://a.example"})
    assert statuses(source.link([wanted])) == [REFUSED]
    assert statuses(source.inspect([wanted])) == [CONFLICT]
    assert statuses(source.remove([wanted])) == [CONFLICT]
    assert statuses(source.unlink([wanted])) == [CONFLICT]
    assert (world.org.get("account", record) or {}).get("websiteurl") == "https://a.example"


@pytest.mark.parametrize("kind", ["filecolumn", "imagecolumn"])
def test_a_file_that_a_user_puts_there_in_the_same_moment_stays(world: World, kind: str) -> None:
    """Removing never hits a newer file, even one that comes between the last reading and the deletion."""
    source = world.source()
    wanted = column_request(world, source, kind)
    assert statuses(source.link([wanted])) == [DONE]
    table, record, column = wanted.document.ref.id.split(":")
    change = {"body": b"newer", "table": table, "id": record, "column": column}
    world.fault(on="batch", do="edit", change=change, before=True, times=1)
    source.remove([wanted])
    left = world.org.file_of(table, record, column)
    assert left
    assert b"".join(world.org.chunks(left["_body"])) == b"newer"


def test_many_files_are_removed_by_a_few_requests(world: World) -> None:
    """Links and originals are read again in lists, and removed in one batch."""
    source = world.source()
    wanted = [column_request(world, source, kind) for kind in ("filecolumn", "imagecolumn") for _ in range(10)]
    assert set(statuses(source.link(wanted))) == {DONE}
    world.reset_counters()
    assert set(statuses(source.remove(wanted))) == {DONE}
    assert sum(world.calls().values()) <= 5
    assert world.emulator.counters.inner == {"deletefile": 10, "column.delete": 10}


@pytest.mark.parametrize("change", ["file", "record"])
def test_a_note_that_was_changed_is_no_link_any_more(world: World, change: str) -> None:
    """A link note with another file, or on another record, keeps the original and is neither written nor deleted."""
    source = world.source()
    wanted = column_request(world, source)
    (outcome,) = source.link([wanted])
    note = outcome.link_ref["note"]
    file = {"documentbody": b"x" * 300, "mimetype": "text/plain"}
    world.org.update("annotation", note, file if change == "file" else {"objectid": ("account", world.record())})
    before = world.org.get("annotation", note)
    assert statuses(source.link([replace(wanted, attempted=True)])) == [CONFLICT]
    assert statuses(source.inspect([wanted])) == [CONFLICT]
    assert statuses(source.remove([wanted])) == [CONFLICT]
    if change == "file":
        assert statuses(source.unlink([wanted])) == [CONFLICT]
    assert world.org.get("annotation", note) == before


def test_a_record_whose_owner_may_have_no_notes_gets_its_link_nevertheless(world: World) -> None:
    """Where the owner is refused, the application user owns the note."""
    source = world.source()
    source.link([column_request(world, source)])
    wanted = column_request(world, source)
    world.fault(on="batch", do="item", item=0, status=400, code="0x80040203", times=1)
    (outcome,) = source.link([wanted])
    assert outcome.status is DONE
    note = world.org.get("annotation", outcome.link_ref["note"])
    assert note
    assert note["ownerid"] == ("systemuser", world.org.integration_user)
