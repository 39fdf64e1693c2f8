"""Documents by the names that the source gives them: attachments that mails share, files and images in columns."""

from __future__ import annotations

from offloader.ports import Status
from offloader.records import Deletion, RecordRef

from .conftest import RecordsWorld
from .test_writing import delete, read, statuses

REFUSED = {"error": {"code": "0x80048d19", "message": "Files of this table stay."}}


def attachment(world: RecordsWorld, mails: int = 2) -> RecordRef:
    """An attachment that so many mails share."""
    first, *others = [world.child(world.cases[0]).id for _ in range(mails)]
    made = world.org.add_mail_attachment(mail=("email", first), file_name="a.pdf", body=b"shared")
    for mail in others:
        world.org.add_mail_attachment(mail=("email", mail), file_name="a.pdf", body=None, attachment=made.attachment_id)
    return RecordRef("crm", "activitymimeattachment", made.attachment_id)


def rows(world: RecordsWorld) -> int:
    return len(list(world.org.rows("activitymimeattachment")))


def filled(world: RecordsWorld) -> RecordRef:
    """A file in a column of the account."""
    world.org.set_file("account", world.account, "new_dossier", file_name="a.pdf", body=b"in a column")
    return RecordRef("crm", "filecolumn", f"account:{world.account}:new_dossier")


def photographed(world: RecordsWorld) -> RecordRef:
    """An image of a contact."""
    contact = world.org.insert("contact", {"lastname": "Smit"})
    world.org.set_file("contact", contact, "entityimage", file_name="a.png", body=b"an image")
    return RecordRef("crm", "imagecolumn", f"contact:{contact}:entityimage")


def test_a_shared_attachment_goes_from_all_mails(world: RecordsWorld) -> None:
    """It is one record with all its rows, and its deletion takes them all; its row's own id names the row alone."""
    shared, alone = attachment(world, 3), attachment(world, 1)
    (row,) = (each for each in world.org.rows("activitymimeattachment") if each["attachmentid"][1] == alone.id)
    own = RecordRef("crm", "activitymimeattachment", row["activitymimeattachmentid"])

    assert statuses(delete(world, [shared, own])) == [Status.DONE, Status.DONE]
    assert rows(world) == 0
    assert read(world, [shared, alone]) == []


def test_one_that_a_further_mail_shares_since_stays(world: RecordsWorld) -> None:
    """Another mail that got it after it was read is a change: nothing is deleted."""
    shared = attachment(world)
    (record,) = read(world, [shared])
    mail = world.child(world.cases[1]).id
    world.org.add_mail_attachment(mail=("email", mail), file_name="a.pdf", body=None, attachment=shared.id)

    assert statuses(world.records.delete([Deletion(shared, record.etag)])) == [Status.CONFLICT]
    assert rows(world) == 3


def test_files_and_images_go_out_of_their_columns(world: RecordsWorld) -> None:
    """The column is empty afterwards and its record stays; asked again, nothing is there."""
    both = [filled(world), photographed(world)]

    assert statuses(delete(world, both)) == [Status.DONE, Status.DONE]
    assert read(world, both) == []
    assert world.org.get("account", world.account) is not None
    assert statuses(world.records.delete([Deletion(each, "x") for each in both])) == [Status.GONE, Status.GONE]


def test_a_file_that_was_replaced_since_stays(world: RecordsWorld) -> None:
    """A file that somebody put there after it was read is not the one that was to be deleted."""
    ref = filled(world)
    (record,) = read(world, [ref])
    filled(world)

    assert statuses(world.records.delete([Deletion(ref, record.etag)])) == [Status.CONFLICT]
    assert len(read(world, [ref])) == 1


def test_a_refusal_has_the_environments_words(world: RecordsWorld) -> None:
    """What the environment does not let go stays, and the reason is its own."""
    shared = attachment(world)
    world.fault(on="delete.activitymimeattachment", do="status", status=400, body=REFUSED)

    (outcome,) = delete(world, [shared])

    assert (outcome.status, rows(world)) == (Status.REFUSED, 2)
    assert "Files of this table stay." in outcome.reason
