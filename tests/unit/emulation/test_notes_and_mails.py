"""The world of notes, mails and fields has every sort of trouble of its own, in believable shares."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pytest

from offloader_connectors.emulation.corpus import EMPTY_INDEX, Corpus, is_large, is_tiny
from offloader_connectors.emulation.making import CAMPAIGN, REFERENCE, SMALL_CAMPAIGN, make_world
from offloader_connectors.emulation.mixes import NOTES_AND_MAILS, Plan
from offloader_connectors.emulation.places import PLACES
from offloader_connectors.emulation.world import Document, Email, Hang, Sort, Special, Stage, World

#: what sources leave in the CRM as too small, in bytes
TOO_SMALL = 1024


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(2000, 1, NOTES_AND_MAILS)


def _of(world: World, special: Special) -> Sequence[Document]:
    return [document for document in world.documents if document.special is special]


def _emails(world: World) -> dict[str, Email]:
    return {email.key: email for email in world.emails}


def test_a_world_is_made_again_the_same() -> None:
    """The same number and seed give an equal world, another seed another one."""
    assert make_world(200, 3, NOTES_AND_MAILS) == make_world(200, 3, NOTES_AND_MAILS)
    assert make_world(200, 3, NOTES_AND_MAILS).documents != make_world(200, 4, NOTES_AND_MAILS).documents


@pytest.mark.parametrize("count", [0, 1, 2, 29, 59, 60, 333])
def test_a_world_has_as_many_documents_as_asked_for(count: int) -> None:
    """The number of documents is exact in every size; notes without a file are none."""
    documents = make_world(count, 1, NOTES_AND_MAILS).documents

    assert len({document.key for document in documents}) == len(documents) == count


def test_shares_are_those_promised(world: World) -> None:
    """Notes, attachments of mails, files and pictures in fields come in their shares; most may leave."""
    hangs = Counter(document.hang for document in world.documents)

    assert hangs[Hang.RECORD_ATTACHMENT] / 2000 == pytest.approx(0.48, abs=0.03)
    assert hangs[Hang.EMAIL_ATTACHMENT] / 2000 == pytest.approx(0.50, abs=0.03)
    assert hangs[Hang.FILE_FIELD] == 30
    assert hangs[Hang.PICTURE_FIELD] == 10
    assert 0.75 < sum(not world.must_stay(document) for document in world.documents) / 2000 < 0.9
    assert len(world.remarks) == 80


@pytest.mark.parametrize("count", [60, 200, 2000])
def test_every_trouble_is_there(count: int) -> None:
    """Even a small world has each special sort, each country, torn and allied attachments and empty ones."""
    world = make_world(count, 1, NOTES_AND_MAILS)
    combinations = {world.countries(document) for document in world.documents}

    assert {document.special for document in world.documents} == {None, *NOTES_AND_MAILS.specials}
    assert set().union(*combinations) == {None, *PLACES}
    assert {frozenset({"DE", "US"}), frozenset({"DE", "CN"}), frozenset()} <= combinations
    assert any(document.bodies == (EMPTY_INDEX,) for document in world.documents)
    leavers = {user.key for user in world.users if not user.active}
    assert any(document.owner in leavers for document in world.documents)
    assert world.remarks


@pytest.mark.parametrize(("count", "reach"), [(60, SMALL_CAMPAIGN), (499, SMALL_CAMPAIGN), (500, CAMPAIGN)])
def test_one_attachment_went_out_with_a_campaign(count: int, reach: int) -> None:
    """An attachment of 50 mails (of 5 in a small world), all sent and all in Europe, may leave."""
    world = make_world(count, 1, NOTES_AND_MAILS)
    widest = max(world.documents, key=lambda document: len(document.parents))

    assert len(set(widest.parents)) == reach
    assert {_emails(world)[parent].stage for parent in widest.parents} == {Stage.SENT}
    assert world.countries(widest) <= {"DE", "FR", "NL"}
    assert world.expected_country(widest) == "DE"
    assert not world.must_stay(widest)


def test_what_is_special_shows_in_the_records(world: World) -> None:
    """Drafts, outgoing and recent mails, templates, web pages and unlisted records are what the documents hang on."""
    emails = _emails(world)
    sorts = {item.key: item.sort for item in world.furnishings}

    for special, stage in ((Special.DRAFT, Stage.DRAFT), (Special.OUTGOING, Stage.OUTGOING)):
        assert {emails[document.parents[-1]].stage for document in _of(world, special)} == {stage}
    recent = [emails[document.parents[0]] for document in _of(world, Special.RECENT)]
    assert {(email.stage, email.sent) for email in recent} == {(Stage.RECENT, REFERENCE)}
    assert {sorts[document.parents[0]] for document in _of(world, Special.TEMPLATE)} == {Sort.TEMPLATE}
    assert {sorts[document.parents[0]] for document in _of(world, Special.WEB_PAGE)} == {Sort.WEB_PAGE}
    shipments = {shipment.key for shipment in world.shipments}
    assert {document.parents[0] for document in _of(world, Special.UNLISTED)} == shipments
    assert any(len(document.parents) > 1 for document in _of(world, Special.DRAFT))


def test_only_special_documents_hang_on_special_records(world: World) -> None:
    """Whatever may leave hangs on sent mails, on records of companies, or on nothing."""
    emails = _emails(world)
    odd = {item.key for item in world.furnishings} | {shipment.key for shipment in world.shipments}
    for document in world.documents:
        if document.special is None:
            assert not odd & set(document.parents)
            assert {emails[parent].stage for parent in document.parents if parent in emails} <= {Stage.SENT}


def test_inline_pictures_are_those_that_the_mail_shows(world: World) -> None:
    """A mail's text shows exactly its inline pictures; other attachments may have a content id that nothing uses."""
    emails = _emails(world)
    shown = {picture for email in world.emails for picture in email.pictures}
    inline = _of(world, Special.INLINE)

    assert {document.content_id for document in inline} == shown
    assert all(document.content_id in emails[document.parents[0]].pictures for document in inline)
    idle = [document for document in world.documents if document.content_id and document.special is None]
    assert idle
    assert not shown & {document.content_id for document in idle}


def test_a_field_holds_one_file(world: World) -> None:
    """No two documents lie in the same field, also in a world with more of them than records to begin with."""
    crowded = make_world(300, 2, replace(NOTES_AND_MAILS, plain=Plan(Hang.FILE_FIELD)))
    assert len(crowded.accounts) > len(make_world(300, 2, NOTES_AND_MAILS).accounts)
    for each in (world, crowded):
        fields = [(d.hang, d.parents) for d in each.documents if d.hang in (Hang.FILE_FIELD, Hang.PICTURE_FIELD)]
        assert len(set(fields)) == len(fields)
        assert all(len(parents) == 1 for _, parents in fields)


def test_what_may_leave_is_not_too_small(world: World) -> None:
    """Everything that sources leave behind as too small is marked, and a mail has no large attachment of its own."""
    for document in world.documents:
        index = document.bodies[0] if document.bodies else None
        if document.special is Special.TINY:
            assert index is not None
            assert is_tiny(index) or index == EMPTY_INDEX
        else:
            assert index is None or not (is_tiny(index) or index == EMPTY_INDEX)
    own = [each.bodies[0] for each in _of(world, Special.DRAFT) if each.hang is Hang.EMAIL_ATTACHMENT]
    assert not any(is_large(index) for index in own)
    made = Corpus(1)
    small = [each for each in world.documents if each.kind in ("txt", "xml", "csv") and each.special is None]
    assert len(small) > 100
    assert min(len(made.make(each.bodies[0], each.kind, each.language).data) for each in small) > TOO_SMALL


def test_equal_bytes_lie_in_different_places(world: World) -> None:
    """Some bodies stand in several documents, in notes and in mails, also across countries."""
    by_body: dict[tuple[int, ...], list[Document]] = {}
    for document in world.documents:
        if document.special is None and document.bodies:
            by_body.setdefault(document.bodies, []).append(document)
    twins = [group for group in by_body.values() if len(group) > 1]

    assert len(twins) > 10
    assert any(len({document.hang for document in group}) > 1 for group in twins)
    assert any(len({world.countries(document) for document in group}) > 1 for group in twins)
    assert all(len({(document.kind, document.language) for document in group}) == 1 for group in twins)


def test_every_reference_leads_somewhere(world: World) -> None:
    """Owners are users, parents are records, content and times are there."""
    records = {
        each.key
        for part in (
            world.accounts, world.people, world.cases, world.opportunities, world.emails, world.shipments,
            world.furnishings,
        )
        for each in part
    }  # fmt: skip
    users = {user.key for user in world.users}
    for document in world.documents:
        assert document.owner in users
        assert records >= set(document.parents)
        assert len(document.bodies) == (document.special is not Special.POINTER)
        assert len(document.created) == 1
        assert document.created[0] <= REFERENCE
    assert all(remark.parent in records for remark in world.remarks)


def test_names_are_those_that_a_careful_crm_takes_back(world: World) -> None:
    """Awkward names are among them, but none with a path, a control character or a program's extension."""
    names = {document.name for document in world.documents}

    assert {"CON.txt", ".htaccess", "~$Vertrag.docx", "'; DROP TABLE documents; --.xlsx"} <= names
    assert not [name for name in names if set('\\/:*?"<>|\r\n\t\0') & set(name) or name.endswith(".exe")]
