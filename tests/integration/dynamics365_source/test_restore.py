"""What was replaced comes back byte for byte, of any size, and only where the placeholder still stands."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from offloader.errors import Gone, IntegrityError, Transient
from offloader.model import Document, Version
from offloader.ports import LinkRequest, Outcome, Status
from offloader_connectors.dynamics365.emulator.options import OrgOptions
from offloader_connectors.dynamics365.source import DynamicsSource

from .bench import World, consumed, fetch, opened, request

MIB = 1 << 20
Bodies = Callable[[Version], Iterable[bytes]]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with opened(tmp_path) as made:
        yield made


def replaced(source: DynamicsSource, document: Document) -> LinkRequest:
    """Replace the document by its link, and remove the original."""
    wanted = request(document)
    (outcome,) = source.link([wanted])
    assert outcome.status in (Status.DONE, Status.REPLACED), outcome.reason
    wanted = replace(wanted, link_ref=outcome.link_ref)
    assert [each.status for each in source.remove([wanted])] == [Status.DONE]
    return wanted


def streamed(body: bytes) -> Bodies:
    """The body in pieces of uneven size, as often as it is asked for."""
    return lambda _: (body[start : start + 77_777] for start in range(0, len(body), 77_777))


def restored(source: DynamicsSource, wanted: LinkRequest, body: bytes) -> Document:
    outcome = source.restore(wanted, streamed(body))
    assert outcome.status is Status.DONE, outcome.reason
    assert outcome.document is not None
    return outcome.document


def read(source: DynamicsSource, document: Document) -> bytes:
    return next(consumed(delivery) for delivery in source.read([document.version_ref(document.current)]))


@pytest.mark.parametrize("kind", ["annotation", "activitymimeattachment", "filecolumn", "imagecolumn"])
@pytest.mark.parametrize("size", [1, 2, 3, 4 * MIB, 4 * MIB + 1, 9 * MIB + 2])
def test_bodies_of_any_size_come_back(world: World, kind: str, size: int) -> None:
    """Below, at and above the limit of a plain request, with name and mime type, everything as it was."""
    source = world.source()
    body = (hashlib.shake_256(b"%d" % size).digest(MIB) * 10)[:size]
    makers = {"annotation": world.note, "activitymimeattachment": world.shared}
    made = makers[kind](body) if kind in makers else world.file(body, kind=kind)
    document = fetch(source, kind, made)
    back = restored(source, replaced(source, document), body)
    assert read(source, back) == body
    assert (back.current.name, back.current.mime, back.current.size) == (
        document.current.name,
        document.current.mime,
        document.current.size,
    )
    assert back.extra == document.extra


def test_a_large_note_goes_in_blocks_and_a_large_mail_attachment_in_one_request(world: World) -> None:
    """Rows of mails can be created by blocks but not changed, so they take one large request."""
    source = world.source()
    body = b"large" * MIB
    note = replaced(source, fetch(source, "annotation", world.note(body)))
    mail = replaced(source, fetch(source, "activitymimeattachment", world.shared(body)))
    world.reset_counters()
    restored(source, note, body)
    restored(source, mail, body)
    calls = world.calls()
    assert calls["blocks.upload"] == 2
    assert calls["patch.activitymimeattachment"] == 1
    assert "patch.annotation" not in calls


def test_a_large_note_comes_back_without_blocks_too(world: World) -> None:
    """Where block messages are refused, one large request takes their place."""
    source = world.source()
    body = b"large" * MIB
    wanted = replaced(source, fetch(source, "annotation", world.note(body)))
    world.fault(on="blocks.init", do="status", status=405)
    assert read(source, restored(source, wanted, body)) == body


@pytest.mark.parametrize("kind", ["annotation", "activitymimeattachment"])
@pytest.mark.parametrize("size", [60_000, 5 * MIB])
def test_what_is_larger_than_the_environment_takes_now_is_refused(world: World, kind: str, size: int) -> None:
    """The outcome names the setting to raise, and the placeholder stays."""
    source = world.source()
    body = b"x" * size
    made = world.note(body) if kind == "annotation" else world.shared(body)
    document = fetch(source, kind, made)
    world.org.options = world.org.options.changed({"max_upload": size // 2})
    wanted = replaced(source, document)
    outcome = source.restore(wanted, streamed(body))
    assert outcome.status is Status.REFUSED
    assert "maxuploadfilesize" in outcome.reason
    assert [each.status for each in source.inspect([wanted])] == [Status.DONE]


@pytest.mark.parametrize("kind", ["annotation", "activitymimeattachment", "filecolumn"])
@pytest.mark.parametrize("size", [500, 5 * MIB])
def test_what_a_user_put_there_meanwhile_stays(world: World, kind: str, size: int) -> None:
    """Another file in the placeholder's place, or in the empty column, is never overwritten."""
    source = world.source()
    body = b"x" * size
    makers = {"annotation": world.note, "activitymimeattachment": world.shared, "filecolumn": world.file}
    document = fetch(source, kind, makers[kind](body))
    wanted = replaced(source, document)
    newer = b"newer" * 700
    if kind == "annotation":
        world.org.update(kind, document.ref.id, {"documentbody": newer, "filename": "newer.pdf", "mimetype": "a/b"})
    elif kind == "activitymimeattachment":
        row = wanted.link_ref["rows"]
        world.org.update(kind, row, {"body": newer, "filename": "newer.pdf", "mimetype": "a/b"})
    else:
        world.org.set_file(*document.ref.id.split(":"), file_name="newer.pdf", body=newer)
    outcome = source.restore(wanted, streamed(body))
    assert outcome.status is Status.CONFLICT
    assert read(source, fetch(source, kind, document.ref.id)) == newer


@pytest.mark.parametrize(
    ("kind", "before", "table"),
    [("annotation", "blocks.commit", "annotation"), ("filecolumn", "column.patch", "")],
)
def test_an_edit_in_the_same_moment_stays(world: World, kind: str, before: str, table: str) -> None:
    """A file that comes between the last reading and the writing is not overwritten."""
    source = world.source()
    body = b"large" * MIB
    document = fetch(source, kind, world.note(body) if kind == "annotation" else world.file(body))
    wanted = replaced(source, document)
    if table:
        change = {"table": table, "id": document.ref.id, "body": b"newer" * 100}
        # blocks take effect with their commit, which compares nothing: the row is read again right before it
        world.fault(on="blocks.upload", do="edit", change=change, times=1)
    else:
        name, record, column = document.ref.id.split(":")
        change = {"table": name, "id": record, "column": column, "body": b"newer" * 100}
        world.fault(on=before, do="edit", change=change, before=True, times=1)
    assert source.restore(wanted, streamed(body)).status is Status.CONFLICT
    assert read(source, fetch(source, kind, document.ref.id)) == b"newer" * 100


@pytest.mark.parametrize("kind", ["annotation", "activitymimeattachment", "filecolumn"])
@pytest.mark.parametrize("size", [500, 5 * MIB])
def test_a_lost_answer_is_found_by_the_next_try(world: World, kind: str, size: int) -> None:
    """After a lost answer nothing is sent again."""
    source = world.source()
    body = b"x" * size
    makers = {"annotation": world.note, "activitymimeattachment": world.shared, "filecolumn": world.file}
    wanted = replaced(source, fetch(source, kind, makers[kind](body)))
    last = {"annotation": "blocks.commit" if size > 4 * MIB else "patch.annotation", "filecolumn": "column.patch"}
    world.fault(on=last.get(kind, f"patch.{kind}"), do="drop_after_commit", times=1)
    with pytest.raises(Transient) as caught:
        source.restore(wanted, streamed(body))
    assert caught.value.maybe_done

    def never(version: Version) -> Iterable[bytes]:
        raise AssertionError("the bytes are there already")

    outcome = source.restore(replace(wanted, attempted=True), never)
    assert outcome.status is Status.DONE
    assert outcome.document is not None
    assert read(source, outcome.document) == body


@pytest.mark.parametrize("shared_update", ["shared", "touching", "own"])
def test_every_mail_that_shares_an_attachment_gets_it_back(tmp_path: Path, shared_update: Any) -> None:
    """All rows have the original's bytes and name again; where the platform lets them share, it is sent once."""
    with opened(tmp_path, OrgOptions(shared_update=shared_update)) as world:
        source = world.source()
        body = b"shared" * 1000
        wanted = replaced(source, fetch(source, "activitymimeattachment", world.shared(body, mails=4)))
        world.reset_counters()
        back = restored(source, wanted, body)
        assert world.calls()["patch.activitymimeattachment"] == (4 if shared_update == "own" else 1)
        for row in wanted.link_ref["rows"].split():
            assert (world.org.get("activitymimeattachment", row) or {})["filename"] == "report.pdf"
            assert world.body_of("activitymimeattachment", row) == body
        assert len(back.parents) == (1 if shared_update == "own" else 4)


def test_a_mail_that_was_deleted_does_not_keep_the_others_from_coming_back(world: World) -> None:
    """Of the rows that were replaced, those that are left are restored; with none left it is GONE."""
    source = world.source()
    body = b"shared" * 100
    wanted = replaced(source, fetch(source, "activitymimeattachment", world.shared(body, mails=3)))
    first, *others = wanted.link_ref["rows"].split()
    world.org.delete("activitymimeattachment", first)
    assert len(restored(source, wanted, body).parents) == 2
    for row in others:
        world.org.delete("activitymimeattachment", row)
    assert source.restore(wanted, streamed(body)).status is Status.GONE


def test_an_extension_that_is_blocked_now_is_said(world: World) -> None:
    """The outcome names the setting, and the placeholder stays."""
    source = world.source()
    document = fetch(source, "annotation", world.note(b"MZ" * 500, name="setup.exe"))
    wanted = replaced(source, document)
    outcome = source.restore(wanted, streamed(b"MZ" * 500))
    assert outcome.status is Status.REFUSED
    assert "blockedattachments" in outcome.reason


@pytest.mark.parametrize("kind", ["annotation", "activitymimeattachment", "filecolumn"])
@pytest.mark.parametrize("error", [Gone("the store has lost it"), IntegrityError("the copy is damaged")])
@pytest.mark.parametrize("at", [100, 5 * MIB])
def test_errors_of_the_store_pass_and_nothing_is_written(world: World, kind: str, error: Exception, at: int) -> None:
    """A store that cannot give the bytes is no outcome of the CRM's; the placeholder stays whole."""
    source = world.source()
    body = b"x" * 6 * MIB
    makers = {"annotation": world.note, "activitymimeattachment": world.shared, "filecolumn": world.file}
    wanted = replaced(source, fetch(source, kind, makers[kind](body)))

    def broken(version: Version) -> Iterator[bytes]:
        yield body[:at]
        raise error

    with pytest.raises(type(error)):
        source.restore(wanted, broken)
    assert [each.status for each in source.inspect([wanted])] == [Status.DONE]
    assert read(source, restored(source, replace(wanted, attempted=True), body)) == body


def test_a_store_that_gives_other_bytes_the_second_time_harms_nothing(world: World) -> None:
    """A large body is measured before it is sent; one that changes meanwhile is not taken."""
    source = world.source()
    body = b"x" * 5 * MIB
    wanted = replaced(source, fetch(source, "activitymimeattachment", world.shared(body)))
    reads: list[int] = []

    def shrinking(version: Version) -> Iterator[bytes]:
        reads.append(1)
        yield body if len(reads) < 3 else body[:-1]

    with pytest.raises(IntegrityError):
        source.restore(wanted, shrinking)
    assert [each.status for each in source.inspect([wanted])] == [Status.DONE]


def outcomes(found: Iterable[Outcome]) -> list[Status]:
    return [each.status for each in found]


def test_unlink_leaves_a_restored_note_alone(world: World) -> None:
    """There is no link beside a note to be taken away."""
    source = world.source()
    wanted = replaced(source, fetch(source, "annotation", world.note(b"body" * 100)))
    back = restored(source, wanted, b"body" * 100)
    world.reset_counters()
    assert outcomes(source.unlink([wanted])) == [Status.DONE]
    assert world.calls() == {}
    assert read(source, back) == b"body" * 100
