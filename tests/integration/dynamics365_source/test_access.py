"""Who may read a document now, in the environment's own words."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from offloader.model import Document
from offloader.ports import Access, LinkRequest
from offloader_connectors.dynamics365.source import DynamicsSource

from .bench import World, fetch, request

GUEST = "guest@example.com"


@pytest.fixture
def guest(world: World) -> str:
    return world.org.user(username=GUEST, roles=["Basic User"], oid="11111111-2222-4333-8444-555555555555")


def ask(source: DynamicsSource, user: str, *documents: Document | LinkRequest) -> list[Access]:
    requests = [each if isinstance(each, LinkRequest) else request(each) for each in documents]
    return list(source.may_read(user, requests))


def test_a_user_is_known_by_many_names(world: World, source: DynamicsSource, guest: str) -> None:
    """The id, the Entra object id, and the user name in any case are the same user."""
    document = fetch(source, "annotation", world.note())
    world.org.share("annotation", document.ref.id, guest)
    world.org.update("systemuser", guest, {"internalemailaddress": "g@corp.example"})

    names = (guest, guest.upper(), "11111111-2222-4333-8444-555555555555", GUEST, GUEST.upper(), "g@corp.example")

    assert [ask(source, name, document) for name in names] == [[Access.YES]] * len(names)


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "nobody@example.com",
        "x' or '1' eq '1",
        "guest@example.com' or domainname ne '",
        "guest@example.com%27",
        "guest@example.com&$top=5",
        "a\r\nHTTP/1.1 200",
        "\u202e" + GUEST,
        "x" * 5000,
        "00000000-0000-4000-8000-000000000000",
        "{11111111-2222-4333-8444-555555555555}",
    ],
)
def test_nobody_else_is_that_user(world: World, source: DynamicsSource, guest: str, name: str) -> None:
    """Whatever a login says that is no user's name is NO."""
    document = fetch(source, "annotation", world.note())
    world.org.share("annotation", document.ref.id, guest)

    assert ask(source, name, document) == [Access.NO]


def test_a_disabled_user_may_nothing(world: World, source: DynamicsSource, guest: str) -> None:
    """A user who is disabled reads nothing, whatever was shared."""
    document = fetch(source, "annotation", world.note())
    world.org.share("annotation", document.ref.id, guest)
    world.org.update("systemuser", guest, {"isdisabled": True})

    assert ask(source, GUEST, document) == [Access.NO]


def test_two_users_of_one_name_are_nobody(world: World, source: DynamicsSource, guest: str) -> None:
    """A name that fits two users lets neither in."""
    document = fetch(source, "annotation", world.note())
    world.org.share("annotation", document.ref.id, guest)
    other = world.org.user(username="other@example.com", roles=["Basic User"])
    world.org.share("annotation", document.ref.id, other)
    world.org.update("systemuser", other, {"internalemailaddress": GUEST})

    assert ask(source, GUEST, document) == [Access.NO]


def test_one_readable_mail_is_enough(world: World, source: DynamicsSource, guest: str) -> None:
    """Who may read one of the mails that carry an attachment may read it, until the mail loses it."""
    attachment = world.shared(mails=3)
    document = fetch(source, "activitymimeattachment", attachment)
    assert ask(source, GUEST, document) == [Access.NO]

    row = world.rows_of(attachment)[1]
    world.org.share(*row["objectid"], guest)
    assert ask(source, GUEST, document) == [Access.YES]

    world.org.delete("activitymimeattachment", row["activitymimeattachmentid"])
    assert ask(source, GUEST, document) == [Access.NO]


def test_columns_are_as_readable_as_their_record(world: World, source: DynamicsSource, guest: str) -> None:
    """A share of the record opens its files, also after they were removed; the end of the share closes them."""
    document = fetch(source, "filecolumn", world.file())
    table, record, column = document.ref.id.split(":")
    assert ask(source, GUEST, document) == [Access.NO]
    world.org.share(table, record, guest)
    assert ask(source, GUEST, document) == [Access.YES]
    world.org.clear_file(table, record, column)
    assert ask(source, GUEST, document) == [Access.YES]
    world.org.share(table, record, guest, ())
    assert ask(source, GUEST, document) == [Access.NO]


def test_what_is_gone_is_no(world: World, source: DynamicsSource, guest: str) -> None:
    """Documents whose rows were deleted, and ids that are none, are NO for everybody."""
    notes = [fetch(source, "annotation", world.note()) for _ in range(2)]
    mail = fetch(source, "activitymimeattachment", world.shared())
    for each in notes:
        world.org.share("annotation", each.ref.id, guest)
    world.org.delete("annotation", notes[0].ref.id)
    for row in world.rows_of(mail.ref.id):
        world.org.delete("activitymimeattachment", row["activitymimeattachmentid"])
    odd = replace(notes[1], ref=replace(notes[1].ref, id="x')"))
    strange = replace(notes[1], ref=replace(notes[1].ref, kind="filecolumn", id="account:5"))

    assert ask(source, GUEST, *notes, mail, odd, strange) == [Access.NO, Access.YES, *[Access.NO] * 3]


def test_many_documents_take_two_requests(world: World, source: DynamicsSource, guest: str) -> None:
    """One request finds the user and the mails, one asks for all rights."""
    documents = [fetch(source, "annotation", world.note()) for _ in range(20)]
    documents += [fetch(source, "activitymimeattachment", world.shared(mails=3)) for _ in range(5)]
    world.org.share("annotation", documents[3].ref.id, guest)
    world.reset_counters()

    answers = ask(source, GUEST, *documents)

    assert world.calls() == {"batch": 2}
    assert answers == [Access.YES if number == 3 else Access.NO for number in range(25)]
    assert ask(source, GUEST) == []


@pytest.mark.parametrize(
    "fault",
    [
        {"on": "access", "do": "status", "status": 403},
        {"on": "access", "do": "status", "status": 429, "retry_after": 9},
        {"on": "access", "do": "status", "status": 500},
        {"on": "batch", "do": "status", "status": 503},
        {"on": "batch", "do": "drop_before"},
        {"on": "list.systemuser", "do": "status", "status": 403},
    ],
)
def test_what_cannot_be_asked_is_unknown(
    world: World, source: DynamicsSource, guest: str, fault: dict[str, Any]
) -> None:
    """Any failure to ask is UNKNOWN, which lets nobody in; afterwards the answer is right again."""
    document = fetch(source, "annotation", world.note())
    world.org.share("annotation", document.ref.id, guest)
    world.fault(**fault, times=1)

    assert ask(source, GUEST, document) == [Access.UNKNOWN]
    world.clock.move(seconds=60)
    world.emulator.faults.clear()
    assert ask(source, GUEST, document) == [Access.YES]
