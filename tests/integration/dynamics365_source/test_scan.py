"""What a scan lists of each kind, what it says must stay, and how it finds what changed."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from offloader.errors import Permanent
from offloader.model import DocumentRef, Strategy
from offloader_connectors.dynamics365.emulator.options import OrgOptions
from offloader_connectors.dynamics365.source import DynamicsSource
from tests.integration.clock import CREATED

from .bench import World, request
from .conftest import Open, documents, mark, skips

KINDS = ("annotation", "activitymimeattachment", "filecolumn", "imagecolumn")
PNG = b"\x89PNG\r\n\x1a\n"


def test_a_note_as_a_document(world: World, source: DynamicsSource) -> None:
    """A note has its file's name, size up to the padding, type, owner, times, parent, and its row's etag."""
    account = world.record()
    note = world.note(b"hello!!", "Vertrag.pdf", ("account", account))
    found = documents(source.scan("annotation"))[note]
    row = world.org.get("annotation", note)

    assert row is not None
    assert found.strategy is Strategy.STUB_IN_PLACE
    assert found.etag == found.current.etag == f'W/"{row["versionnumber"]}"'
    assert (found.title, found.current.name, found.current.mime) == ("Vertrag.pdf", "Vertrag.pdf", "application/pdf")
    assert found.current.size is not None
    assert 0 <= found.current.size - 7 <= found.current.size_slack == 2
    assert (found.owner, found.created, found.modified) == (world.owner, CREATED, CREATED)
    assert [(each.type, each.id) for each in found.parents] == [("account", account)]
    assert found.extra == {"filename": "Vertrag.pdf", "mimetype": "application/pdf"}


def test_notes_that_must_stay(world: World, source: DynamicsSource) -> None:
    """Portal files, notes of other tables or without a record, and placeholders, ours and other programs'."""
    page = world.org.insert("adx_webfile", {"adx_name": "theme.css"})
    shipment = world.org.insert("new_shipment", {"new_name": "x"})
    free = world.org.insert("annotation", {"filename": "a.pdf", "documentbody": b"x", "ownerid": world.owner})
    expected = {
        world.note(parent=("adx_webfile", page)): "portal-file",
        world.note(parent=("new_shipment", shipment)): "table-not-listed",
        world.note(b'{"url":"x"}', "a.pdf.azure.txt"): "foreign-placeholder",
        free: "no-parent",
        world.note(): None,
    }
    stub = world.note()
    (found,) = source.fetch([DocumentRef("crm", "annotation", stub)])
    assert found is not None
    source.link([request(found)])
    expected[stub] = "own_link"

    assert skips(source.scan("annotation")) == expected


def test_text_notes_are_no_documents(world: World, source: DynamicsSource) -> None:
    """A note without a file is neither listed nor read."""
    text = world.org.insert("annotation", {"subject": "s", "notetext": "t", "objectid": ("account", world.record())})

    assert documents(source.scan("annotation")) == {}
    assert source.fetch([DocumentRef("crm", "annotation", text)]) == [None]


def test_small_documents_stay(world: World, open_source: Open) -> None:
    """Documents below min_size come with that reason, those of that size do not."""
    small, large = world.note(b"x" * 999), world.note(b"x" * 1002)
    file = world.file(b"x" * 999)

    source = open_source(min_size=1000)

    assert skips(source.scan("annotation")) == {small: "too-small", large: None}
    assert skips(source.scan("filecolumn")) == {file: "too-small"}


def test_a_shared_attachment_is_one_document(world: World, source: DynamicsSource) -> None:
    """Fifty mails that share an attachment are one document with fifty parents, on whichever pages their rows are."""
    attachment = world.shared(b"body", "offer.pdf", mails=50)
    other = world.shared(b"other")
    (document,) = [
        each for each in documents(source.scan("activitymimeattachment")).values() if each.ref.id == attachment
    ]

    rows = {str(row["objectid"][1]): str(row["activitymimeattachmentid"]) for row in world.rows_of(attachment)}
    assert {each.id: each.sharing["row"] for each in document.parents} == rows
    assert {each.type for each in document.parents} == {"email"}
    assert (document.title, document.skip, document.current.id) == ("offer.pdf", None, attachment)

    listed = [doc.ref.id for page in world.source(page_size=7).scan("activitymimeattachment") for doc in page.documents]
    assert sorted(listed) == sorted([attachment, other])


def test_two_rows_of_one_mail_are_one_parent(world: World, source: DynamicsSource) -> None:
    """A mail that carries the same attachment twice is one parent, with both rows."""
    attachment = world.shared()
    (row,) = world.rows_of(attachment)
    again = world.org.add_mail_attachment(mail=row["objectid"], file_name="", body=None, attachment=attachment)

    (parent,) = documents(source.scan("activitymimeattachment"))[attachment].parents

    assert parent.sharing["row"].split() == sorted([str(row["activitymimeattachmentid"]), again.id])


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"statecode": 1, "statuscode": 2}, None),
        ({"statecode": 1, "statuscode": 3}, None),
        ({"statecode": 1, "statuscode": 4}, None),
        ({"statecode": 0, "statuscode": 1}, "draft-mail"),
        ({"statecode": 1, "statuscode": 6}, "unsent-mail"),
        ({"statecode": 1, "statuscode": 7}, "unsent-mail"),
        ({"statecode": 0, "statuscode": 8}, "failed-mail"),
        ({"statecode": 2, "statuscode": 5}, "canceled-mail"),
    ],
)
@pytest.mark.parametrize("shared", [False, True])
def test_only_completed_mails_give_their_attachments(
    world: World, source: DynamicsSource, fields: dict[str, int], code: str | None, shared: bool
) -> None:
    """One mail that is not completed holds back an attachment, also where others share it."""
    attachment = world.shared(mails=4 if shared else 1)
    mail = world.rows_of(attachment)[-1]["objectid"][1]
    world.org.update("email", mail, {**fields, "modifiedon": CREATED})

    assert skips(source.scan("activitymimeattachment")) == {attachment: code}


def test_templates_and_appointments(world: World, source: DynamicsSource, open_source: Open) -> None:
    """Attachments of templates stay; those of appointments may move if their table is on the list."""
    template = world.org.insert("template", {"title": "t"})
    meeting = world.org.insert("appointment", {"subject": "s", "ownerid": world.owner})
    ids = [
        world.org.add_mail_attachment(mail=each, file_name="a.pdf", body=b"x").attachment_id
        for each in (("template", template), ("appointment", meeting))
    ]

    assert skips(source.scan("activitymimeattachment")) == dict(zip(ids, ("template", None), strict=True))
    strict = open_source(min_size=0, parents=["email"])
    assert skips(strict.scan("activitymimeattachment"))[ids[1]] == "table-not-listed"


def test_pictures_in_a_mail_stay(world: World, source: DynamicsSource) -> None:
    """An attachment that the mail's text shows stays; one with a content id that no text names does not."""
    mail = world.mail(description='<p>Hi</p><img src="cid:Logo%40x">')
    shown, named = (
        world.org.add_mail_attachment(mail=("email", mail), file_name="l.png", body=PNG, content_id=each).attachment_id
        for each in ("<logo@x>", "other@x")
    )
    plain = world.org.add_mail_attachment(mail=("email", mail), file_name="p.pdf", body=b"pdf").attachment_id

    assert skips(source.scan("activitymimeattachment")) == {shown: "inline-image", named: None, plain: None}


def test_texts_that_are_too_long_to_tell(world: World, source: DynamicsSource, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a mail's text is too large to be held, its attachments with a content id stay; other mails are not hit."""
    monkeypatch.setattr("offloader_connectors.dynamics365.inline.LARGEST", 2000)
    texts = ["x" * 100_000, "short", "<img src=cid:a>"]
    ids = [
        world.org.add_mail_attachment(
            mail=("email", world.mail(description=text)), file_name="l.png", body=PNG, content_id="a"
        ).attachment_id
        for text in texts
    ]

    found = skips(source.scan("activitymimeattachment"))

    assert [found[each] for each in ids] == ["inline-image", None, "inline-image"]


def test_texts_are_read_only_where_needed(world: World, source: DynamicsSource) -> None:
    """No mail's text is read when no attachment has a content id."""
    world.shared()
    documents(source.scan("activitymimeattachment"))
    assert world.calls().get("list.email", 0) == 0


def test_a_recent_mail_is_found_again_when_it_is_old_enough(world: World, source: DynamicsSource) -> None:
    """An attachment held back for its mail's age comes with the first incremental scan after that time, once."""
    recent = world.clock.now - timedelta(days=2)
    attachment = world.shared()
    mail = world.rows_of(attachment)[0]["objectid"][1]
    world.org.update("email", mail, {"modifiedon": recent})

    first = [*source.scan("activitymimeattachment")]
    assert skips(first) == {attachment: "recent-mail"}
    world.clock.move(days=4, hours=23)
    second = [*source.scan("activitymimeattachment", since=mark(first))]
    assert skips(second) == {}
    world.clock.move(hours=2)
    third = [*source.scan("activitymimeattachment", since=mark(second))]
    assert skips(third) == {attachment: None}
    world.clock.move(days=30)
    assert skips(source.scan("activitymimeattachment", since=mark(third))) == {}


def test_a_draft_is_found_again_when_it_was_sent(world: World, source: DynamicsSource) -> None:
    """Sending a mail changes no attachment, and yet an incremental scan finds it when the mail is old enough."""
    mail = world.mail(statecode=0, statuscode=1)
    made = world.org.add_mail_attachment(mail=("email", mail), file_name="a.pdf", body=b"x")
    first = [*source.scan("activitymimeattachment")]
    world.clock.move(hours=1)
    world.org.update("email", mail, {"statecode": 1, "statuscode": 3})
    world.clock.move(days=8)

    assert skips(first) == {made.attachment_id: "draft-mail"}
    assert skips(source.scan("activitymimeattachment", since=mark(first))) == {made.attachment_id: None}


def test_more_mails_than_a_page_become_old_enough(world: World, open_source: Open) -> None:
    """Mails that pass the age in numbers come page by page, and each page's cursor can be resumed."""
    source = open_source(min_size=0, page_size=2)
    ids = [world.shared() for _ in range(5)]
    for attachment in ids:
        mail = world.rows_of(attachment)[0]["objectid"][1]
        world.org.update("email", mail, {"modifiedon": world.clock.now})
    since = mark(source.scan("activitymimeattachment"))
    world.clock.move(days=8)

    pages = [*source.scan("activitymimeattachment", since=since)]
    assert skips(pages) == dict.fromkeys(ids)
    for number, page in enumerate(pages[:-1]):
        rest = open_source(min_size=0, page_size=2).scan("activitymimeattachment", since=since, cursor=page.cursor)
        assert skips([*pages[: number + 1], *rest]) == dict.fromkeys(ids)


def test_files_and_images_of_columns(world: World, source: DynamicsSource) -> None:
    """Each kind lists its own columns: exact size, the record as parent, the record's owner."""
    file, image = world.file(b"12345"), world.file(PNG, "p.png", "imagecolumn")

    (first,), (second,) = (documents(source.scan(kind)).values() for kind in ("filecolumn", "imagecolumn"))

    assert (first.ref.id, second.ref.id) == (file, image)
    assert (first.current.size, first.current.size_slack, first.owner) == (5, 0, world.owner)
    table, record, column = file.split(":")
    row = world.org.file_of(table, record, column)
    assert row is not None
    assert first.etag == f"{row['fileattachmentid']}:{row['versionnumber']}"
    assert [(each.type, each.id) for each in first.parents] == [(table, record)]
    assert first.strategy is Strategy.NEW_LINK_THEN_DELETE


def test_a_column_without_a_place_for_its_link_stays(world: World, open_source: Open) -> None:
    """A file of a table without notes stays, unless a column is named for the link."""
    record = world.org.insert("msdyn_richtextfile", {"msdyn_name": "x"})
    world.org.set_file("msdyn_richtextfile", record, "msdyn_fileblob", file_name="a.pdf", body=b"x")
    parents = ["account", "msdyn_richtextfile"]
    bare = open_source(min_size=0, parents=parents)
    named = open_source(min_size=0, parents=parents, link_columns={"msdyn_richtextfile.msdyn_fileblob": "msdyn_name"})

    assert [*skips(bare.scan("filecolumn")).values()] == ["no-link-place"]
    assert [*skips(named.scan("filecolumn")).values()] == [None]


# -- incremental ------------------------------------------------------------------------------------------------


def test_deletions_of_notes_are_certain(world: World, source: DynamicsSource) -> None:
    """A deleted note, and one whose file a user took away, are reported deleted; others are not."""
    deleted, emptied, kept, text = (world.note() for _ in range(4))
    world.org.update("annotation", text, {"documentbody": None})
    since = mark(source.scan("annotation"))
    world.org.delete("annotation", deleted)
    world.org.update("annotation", emptied, {"documentbody": None})

    pages = [*source.scan("annotation", since=since)]

    assert {ref.id for page in pages for ref in page.deleted} == {deleted, emptied}
    assert kept not in documents(pages)


def test_an_expired_token_makes_a_full_scan(world: World, source: DynamicsSource) -> None:
    """After the environment forgot the changes everything is listed again, and the watermark says so and works."""
    ids = {world.note() for _ in range(3)}
    since = mark(source.scan("annotation"))
    world.clock.move(days=10)
    ids.add(world.note())

    pages = [*source.scan("annotation", since=since)]

    assert documents(pages).keys() == ids
    assert json.loads(mark(pages))["full"] is True
    later = world.note()
    again = [*source.scan("annotation", since=mark(pages))]
    assert documents(again).keys() == {later}
    assert "full" not in json.loads(mark(again))


def test_a_refused_page_starts_over(world: World, open_source: Open) -> None:
    """A cursor that the environment does not take any more lists everything again, in a full scan and in a delta."""
    source = open_source(min_size=0, page_size=2)
    ids = {world.note() for _ in range(5)}
    first, *_ = source.scan("annotation")
    assert first.cursor is not None
    broken = json.loads(first.cursor)
    broken["link"] = broken["link"].replace("pagenumber", "pagenumbr")

    pages = [*open_source(min_size=0, page_size=2).scan("annotation", cursor=json.dumps(broken))]
    assert documents(pages).keys() == ids

    changed = {world.note() for _ in range(5)}
    since = mark(pages)
    delta, *_ = source.scan("annotation", since=since)
    assert delta.cursor is not None
    broken = json.loads(delta.cursor)
    broken["link"] = broken["link"].replace("pagenumber", "pagenumbr")
    again = open_source(min_size=0, page_size=2).scan("annotation", since=since, cursor=json.dumps(broken))
    assert documents(again).keys() >= changed


@pytest.mark.parametrize("kind", KINDS)
def test_every_cursor_can_be_resumed_by_another_process(world: World, open_source: Open, kind: str) -> None:
    """From each cursor of a full scan, and of an incremental one, another process lists the rest."""
    make = {"annotation": world.note, "activitymimeattachment": world.shared}

    def some() -> set[str]:
        return {make[kind]() if kind in make else world.file(PNG, "a.png", kind) for _ in range(5)}

    every = some()
    full = [*open_source(min_size=0, page_size=2).scan(kind)]
    since = mark(full)
    changed = some()
    delta = [*open_source(min_size=0, page_size=2).scan(kind, since=since)]

    for before, pages, wanted in ((None, full, every), (since, delta, changed)):
        assert documents(pages).keys() == wanted
        for number, page in enumerate(pages[:-1]):
            rest = [*open_source(min_size=0, page_size=2).scan(kind, since=before, cursor=page.cursor)]
            assert documents([*pages[: number + 1], *rest]).keys() >= wanted
            assert mark(rest)


class TestUntracked:
    """An environment that does not track changes of notes."""

    @pytest.fixture
    def org_options(self) -> OrgOptions:
        return OrgOptions(late_commit=3)

    def test_row_versions_with_overlap(self, world: World, open_source: Open, monkeypatch: pytest.MonkeyPatch) -> None:
        """Changes are found by row versions, those too whose transaction was open during the scan before."""
        monkeypatch.setattr(world.org.table("annotation"), "tracking", False)
        source = open_source(min_size=0, page_size=3)
        seen: set[str] = set()
        since = None
        for _ in range(6):
            made = {world.note() for _ in range(4)}
            pages = [*source.scan("annotation", since=since)]
            seen |= documents(pages).keys()
            assert made <= documents(pages).keys()
            since = mark(pages)
        assert len(seen) == 24


def test_what_was_open_during_a_scan_comes_with_the_next_one(
    tmp_path: Any, world: World, source: DynamicsSource
) -> None:
    """A row that appears with a version below the watermark is found once, and nothing else comes with it."""
    old = [world.shared() for _ in range(3)]
    since = mark(source.scan("activitymimeattachment"))
    late = world.shared()
    (row,) = world.rows_of(late)
    versions = sorted(int(each["versionnumber"]) for attachment in old for each in world.rows_of(attachment))
    hidden = world.org.store.tables["activitymimeattachment"][row["activitymimeattachmentid"]]
    with world.org.store.transaction():
        world.org.store.put("activitymimeattachment", {**hidden, "versionnumber": versions[-1] - 1})

    pages = [*source.scan("activitymimeattachment", since=since)]

    assert documents(pages).keys() == {late}
    assert skips(source.scan("activitymimeattachment", since=mark(pages))) == {}


@pytest.mark.parametrize("pages", [1, 3])
def test_changes_during_a_tracked_scan_of_many_pages(world: World, open_source: Open, pages: int) -> None:
    """What changed while several pages were read is found once, even if the token stands for the last of them."""
    source = open_source(min_size=0, page_size=6 // pages)
    ids = [world.note() for _ in range(6)]
    full = [*source.scan("annotation")]
    assert len(full) == pages
    world.org.update("annotation", ids[0], {"documentbody": b"edited meanwhile"})
    late = json.loads(mark(source.scan("annotation", since=mark(full))))["delta"]

    after = [*source.scan("annotation", since=json.dumps({**json.loads(mark(full)), "delta": late}))]

    assert documents(after).keys() == ({ids[0]} if pages > 1 else set())
    assert documents(source.scan("annotation", since=mark(after))) == {}


@pytest.mark.parametrize("kind", KINDS)
def test_other_options_make_a_full_scan(world: World, open_source: Open, kind: str) -> None:
    """A watermark made for other tables is worth nothing: what is on the list now is listed now."""
    world.note()
    since = mark(open_source(min_size=0, parents=["contact"]).scan(kind))
    made = {"annotation": world.note, "activitymimeattachment": world.shared}.get(kind) or (
        lambda: world.file(PNG, "a.png", kind)
    )
    made()
    source = open_source(min_size=0, parents=["account", "contact", "email"])

    assert documents(source.scan(kind, since=since)).keys() == documents(source.scan(kind)).keys() != set()


def test_what_cannot_be_read_is_said(source: DynamicsSource) -> None:
    """A watermark that is none, and a kind that is not configured, are errors that say what to do."""
    with pytest.raises(Permanent, match="scan in full"):
        [*source.scan("annotation", since="2026-01-01")]
    with pytest.raises(Permanent, match="no kind"):
        [*source.scan("Attachment")]


def test_fetch_reads_all_kinds_in_order(world: World, source: DynamicsSource) -> None:
    """Documents of several kinds come back in the order asked for, None for those that are not there."""
    wanted = [
        DocumentRef("crm", "imagecolumn", world.file(PNG, "a.png", "imagecolumn")),
        DocumentRef("crm", "annotation", "00000000-0000-4000-8000-000000000000"),
        DocumentRef("crm", "activitymimeattachment", world.shared()),
        DocumentRef("crm", "annotation", world.note()),
        DocumentRef("crm", "filecolumn", world.file()),
        DocumentRef("crm", "filecolumn", f"account:{world.record()}:new_dossier"),
    ]

    found = source.fetch(wanted)

    assert [each and each.ref for each in found] == [wanted[0], None, wanted[2], wanted[3], wanted[4], None]
    listed = {doc.ref: doc for kind in KINDS for doc in documents(source.scan(kind)).values()}
    assert {each.ref: each for each in found if each} == listed
