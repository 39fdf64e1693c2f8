"""Placeholders that went with their records stand again on records that are back, and nothing is written over."""

from __future__ import annotations

from dataclasses import replace

import pytest

from offloader.model import Parent
from offloader.ports import LinkRequest, Status

from .bench import World, fetch
from .test_restore import read, replaced, restored


def gone_with(world: World, wanted: LinkRequest) -> LinkRequest:
    """Delete the records that a replaced document hangs on, and make them again under their ids."""
    for parent in wanted.document.parents:
        fields = {key: value for key, value in (world.org.get(parent.type, parent.id) or {}).items() if key[0] != "_"}
        world.org.delete(parent.type, parent.id)
        world.org.insert(parent.type, fields)
    return replace(wanted, anew=True)


def rows_in(world: World) -> list[str]:
    return [str(row) for table in ("annotation", "activitymimeattachment") for row in world.org.rows(table)]


@pytest.mark.parametrize("kind", ["annotation", "activitymimeattachment", "filecolumn"])
def test_a_placeholder_stands_again_once(world: World, kind: str) -> None:
    """Every row is made under its own id, with the mails' own attachments; asked again nothing is made, and the bytes
    can be put back over it."""
    source = world.source()
    body = b"the bytes"
    made = {"annotation": world.note, "filecolumn": world.file}.get(kind, lambda b: world.shared(b, mails=2))(body)
    wanted = gone_with(world, replaced(source, fetch(source, kind, made)))
    assert [each.status for each in source.inspect([wanted])] == [Status.GONE]

    (outcome,) = source.link([wanted])

    assert outcome.status in (Status.DONE, Status.REPLACED), outcome.reason
    wanted = replace(wanted, link_ref=outcome.link_ref)
    assert [each.status for each in source.inspect([wanted])] == [Status.DONE]
    before = rows_in(world)
    assert source.link([wanted])[0].status in (Status.DONE, Status.REPLACED)
    assert rows_in(world) == before
    assert read(source, restored(source, wanted, body)) == body


def test_what_stands_in_the_way_is_said(world: World) -> None:
    """A file that somebody put there stays; a record with another id, none, or one that is gone takes no link."""
    source = world.source()
    taken = gone_with(world, replaced(source, fetch(source, "annotation", world.note())))
    parent = taken.document.parents[0]
    other = {"annotationid": taken.document.ref.id, "objectid": (parent.type, parent.id), "filename": "mine.txt"}
    world.org.insert("annotation", other)
    cell = gone_with(world, replaced(source, fetch(source, "filecolumn", world.file())))
    cell = replace(cell, document=replace(cell.document, parents=(Parent(type="account", id=parent.id),)))
    homeless = replace(taken, document=replace(taken.document, parents=()))
    lost = gone_with(world, replaced(source, fetch(source, "annotation", world.note())))
    world.org.delete("account", lost.document.parents[0].id)

    outcomes = source.link([taken, cell, homeless, lost])

    assert [each.status for each in outcomes] == [Status.CONFLICT, Status.GONE, Status.GONE, Status.REFUSED]
    assert (world.org.get("annotation", taken.document.ref.id) or {})["filename"] == "mine.txt"


def test_forms_and_owners_are_tried_until_one_is_taken(world: World) -> None:
    """Where shortcuts are blocked now a page is written, and where the owner has gone the application owns the note;
    where every form is blocked, nothing is written, and the reason says so."""
    source = world.source()
    wanted = gone_with(world, replaced(source, fetch(source, "annotation", world.note())))
    orphan = replace(wanted.document, owner="00000000-0000-0000-0000-00000000dead")
    world.org.options = world.org.options.changed({"blocked_extensions": ("url",)})
    assert source.link([replace(wanted, document=orphan)])[0].status is Status.REPLACED
    assert str((world.org.get("annotation", orphan.ref.id) or {})["filename"]).endswith(".html")
    again = gone_with(world, wanted)
    world.org.options = world.org.options.changed({"blocked_extensions": ("url", "html", "txt")})
    assert source.link([again])[0].status is Status.REFUSED
    assert source.link([again])[0].status is Status.REFUSED
