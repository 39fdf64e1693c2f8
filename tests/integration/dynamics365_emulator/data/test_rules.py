"""What the platform refuses in a create, update or delete, and what it does besides."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from offloader_connectors.dynamics365.emulator.errors import DataverseError
from offloader_connectors.dynamics365.emulator.options import OrgOptions
from offloader_connectors.dynamics365.emulator.org import Org
from offloader_connectors.emulation.blobs import Synthetic
from tests.integration.dynamics365_emulator.data.conftest import NOON, Plain, encoded, refusal


def _row(plain: Plain, table: str, record: str) -> dict[str, Any]:
    row = plain.org.get(table, record)
    assert row is not None
    return dict(row)


def test_every_write_takes_the_next_row_version(plain: Plain) -> None:
    """Row versions grow across all tables, and a change gives a row a new one."""
    account = plain.account()
    note = plain.note()
    first = _row(plain, "annotation", note)["versionnumber"]
    assert first > _row(plain, "account", account)["versionnumber"]
    plain.change("annotation", note, subject="new")
    assert _row(plain, "annotation", note)["versionnumber"] > first


def test_note_of_a_payload(plain: Plain) -> None:
    """A created note knows its parent, its size and type, its owner; a missing type is octet-stream."""
    account = plain.account()
    body = encoded(b"hello")
    payload = {"filename": "a.bin", "documentbody": body, "objectid_account@odata.bind": f"/accounts({account})"}
    row = _row(plain, "annotation", plain.create("annotation", payload))
    assert row["objectid"] == ("account", account)
    assert row["objecttypecode"] == "account"
    assert row["mimetype"] == "application/octet-stream"
    assert (row["isdocument"], row["filesize"]) == (True, 6)
    assert row["ownerid"] == ("systemuser", plain.org.integration_user)
    assert plain.bytes_of("annotation", row["annotationid"]) == b"hello"


def test_base64_with_line_breaks(plain: Plain) -> None:
    """White space in a body's Base64 text does not count."""
    note = plain.create("annotation", {"filename": "a", "documentbody": "aGVs\r\n bG8=\n"})
    assert plain.bytes_of("annotation", note) == b"hello"


@pytest.mark.parametrize(("mode", "size"), [("padded", 3), ("exact", 1)])
def test_filesize_of_one_byte(plain: Plain, mode: str, size: int) -> None:
    """filesize counts the Base64 padding, unless the environment is exact."""
    plain.set(filesize=mode)
    note = plain.note(b" ")
    assert _row(plain, "annotation", note)["filesize"] == size
    row = plain.attach(plain.mail(), b" ")
    assert _row(plain, "activitymimeattachment", row.id)["filesize"] == size


def test_isdocument_follows_the_body(plain: Plain) -> None:
    """Emptying the body makes a note no document any more, whatever the payload says; null is refused."""
    note = plain.note()
    plain.change("annotation", note, documentbody=None, isdocument=True)
    assert _row(plain, "annotation", note)["isdocument"] is False
    plain.change("annotation", note, documentbody=encoded(b"x"))
    assert _row(plain, "annotation", note)["isdocument"] is True
    with pytest.raises(DataverseError) as caught:
        plain.change("annotation", note, isdocument=None)
    assert caught.value.status == 400


def test_isdocument_of_the_payload_is_a_switch(plain: Plain) -> None:
    """With the switch, isdocument in a payload beats the rule."""
    plain.set(isdocument="payload")
    note = plain.note()
    plain.change("annotation", note, documentbody=None, isdocument=True)
    assert _row(plain, "annotation", note)["isdocument"] is True


def test_read_only_columns(plain: Plain) -> None:
    """Read-only columns of a payload are ignored, or refused with the switch; they never change anything."""
    note = plain.note()
    before = _row(plain, "annotation", note)
    plain.change("annotation", note, filesize=99, createdon="2000-01-01T00:00:00Z", versionnumber=1, subject="s")
    after = _row(plain, "annotation", note)
    assert (after["filesize"], after["createdon"]) == (before["filesize"], before["createdon"])
    assert after["versionnumber"] > before["versionnumber"]
    plain.set(read_only_columns="refused")
    with pytest.raises(DataverseError) as caught:
        plain.change("annotation", note, filesize=99)
    assert caught.value.status == 400


@pytest.mark.parametrize(
    "payload",
    [
        {"nonsense": 1},
        {"subject": 5},
        {"_objectid_value": "x"},
        {"objectid": "x"},
        {"objectid@odata.bind": "/accounts(6f1d1c1e-0000-4000-8000-000000000001)"},
        {"objectid_account@odata.bind": "/contacts(6f1d1c1e-0000-4000-8000-000000000001)"},
        {"objectid_account@odata.bind": "nonsense"},
        {"documentbody": "not base64!"},
        {"documentbody": "aGVsbG8"},
        {"documentbody": "aGVs!!!!bG8="},
        {"subject": "x" * 501},
    ],
)
def test_bad_payload(plain: Plain, payload: dict[str, Any]) -> None:
    """What the table does not have or cannot take is a 400, and nothing is written."""
    with pytest.raises(DataverseError) as caught:
        plain.create("annotation", payload)
    assert caught.value.status == 400
    assert plain.ask("annotation")["value"] == []


def test_text_that_is_too_long(plain: Plain) -> None:
    """The error of a text that is too long has its own code."""
    with pytest.raises(DataverseError, match="maximum allowed length of '500'") as caught:
        plain.create("annotation", {"subject": "x" * 501})
    assert refusal(caught) == (400, "0x80044331")


def test_binding_to_nothing(plain: Plain) -> None:
    """A lookup to a row that is not there is a 404."""
    with pytest.raises(DataverseError) as caught:
        plain.create("annotation", {"objectid_account@odata.bind": "/accounts(6f1d1c1e-0000-4000-8000-000000000001)"})
    assert refusal(caught) == (404, "0x80040217")


@pytest.mark.parametrize("name", ["a.url", "A.URL", "contract.pdf.url", "a.url ."])
def test_blocked_extensions(plain: Plain, name: str) -> None:
    """The organization's list of extensions holds for new notes, changed notes and mail attachments."""
    plain.set(blocked_extensions=["exe", "url"])
    note, row = plain.note(), plain.attach(plain.mail())
    for attempt in (
        lambda: plain.create("annotation", {"filename": name, "documentbody": encoded(b"x")}),
        lambda: plain.change("annotation", note, filename=name, documentbody=encoded(b"x")),
        lambda: plain.change("activitymimeattachment", row.id, filename=name, body=encoded(b"x")),
    ):
        with pytest.raises(DataverseError) as caught:
            attempt()
        assert refusal(caught) == (400, "0x80043e09")
    assert plain.bytes_of("annotation", note) == b"hello"


def test_blocked_extensions_of_the_organization_row(plain: Plain) -> None:
    """An administrator changes the list by a PATCH of the organization."""
    plain.change("organization", plain.org.organization_id, blockedattachments="pdf;url")
    with pytest.raises(DataverseError):
        plain.create("annotation", {"filename": "a.pdf", "documentbody": encoded(b"x")})
    assert plain.create("annotation", {"filename": "a.exe", "documentbody": encoded(b"x")})


def test_upload_limit_counts_base64(plain: Plain) -> None:
    """maxuploadfilesize limits the Base64 text: three quarters of it are bytes."""
    plain.set(max_upload=400)
    assert plain.create("annotation", {"filename": "a", "documentbody": encoded(bytes(300))})
    with pytest.raises(DataverseError, match="Attachment file size is too big") as caught:
        plain.create("annotation", {"filename": "a", "documentbody": encoded(bytes(301))})
    assert refusal(caught) == (400, "0x80044a02")
    row = plain.attach(plain.mail())
    with pytest.raises(DataverseError) as caught:
        plain.change("activitymimeattachment", row.id, body=encoded(bytes(301)))
    assert refusal(caught) == (400, "0x80044a02")


@pytest.mark.parametrize("name", ["a/b.pdf", "a\\b.pdf", "a:b", 'a"b', "a\nb", "what?.pdf"])
def test_file_names(plain: Plain, name: str) -> None:
    """A file name with characters that no file can have is refused."""
    with pytest.raises(DataverseError) as caught:
        plain.create("annotation", {"filename": name, "documentbody": encoded(b"x")})
    assert refusal(caught) == (400, "0x80044a08")


def test_attachments_cannot_be_written(plain: Plain) -> None:
    """The shared table can only be read."""
    shared = plain.attach(plain.mail()).attachment_id
    for attempt in (
        lambda: plain.create("attachment", {"filename": "x"}),
        lambda: plain.change("attachment", shared, filename="x"),
        lambda: plain.remove("attachment", shared),
    ):
        with pytest.raises(DataverseError) as caught:
            attempt()
        assert refusal(caught) == (405, "0x80040315")


def test_shared_attachment(plain: Plain) -> None:
    """A second row with the same attachment has its content; the attachment goes with the last row."""
    mails = [plain.mail(), plain.mail()]
    first = plain.attach(mails[0], b"shared")
    payload = {
        "objectid_email@odata.bind": f"/emails({mails[1]})",
        "attachmentid@odata.bind": f"/attachments({first.attachment_id})",
    }
    second = plain.create("activitymimeattachment", payload)
    assert plain.bytes_of("activitymimeattachment", second) == b"shared"
    assert _row(plain, "activitymimeattachment", second)["attachmentid"] == ("attachment", first.attachment_id)
    plain.remove("activitymimeattachment", first.id)
    assert plain.bytes_of("attachment", first.attachment_id) == b"shared"
    plain.remove("email", mails[1])
    assert plain.org.get("attachment", first.attachment_id) is None


@pytest.mark.parametrize("mode", ["shared", "touching", "own"])
def test_update_of_one_sibling(plain: Plain, mode: str) -> None:
    """What a change of one row does to the rows that share its attachment is a switch."""
    plain.set(shared_update=mode)
    first = plain.attach(plain.mail(), b"old")
    second = plain.attach(plain.mail(), None, attachment=first.attachment_id)
    before = _row(plain, "activitymimeattachment", second.id)["versionnumber"]
    plain.change("activitymimeattachment", first.id, body=encoded(b"new"), filename="new.url", mimetype="text/plain")
    changed, sibling = (_row(plain, "activitymimeattachment", one.id) for one in (first, second))
    assert plain.bytes_of("activitymimeattachment", first.id) == b"new"
    assert plain.bytes_of("activitymimeattachment", second.id) == (b"old" if mode == "own" else b"new")
    assert (changed["attachmentid"] == sibling["attachmentid"]) is (mode != "own")
    assert (sibling["versionnumber"] > before) is (mode == "touching")
    assert plain.bytes_of("attachment", changed["attachmentid"][1]) == b"new"
    assert sibling["filename"] == ("m.pdf" if mode == "own" else "new.url")


def test_change_that_leaves_the_content_alone(plain: Plain) -> None:
    """A change of a row's own columns does not touch the attachment."""
    row = plain.attach(plain.mail())
    before = _row(plain, "attachment", row.attachment_id)["versionnumber"]
    plain.change("activitymimeattachment", row.id, attachmentcontentid="cid-1")
    assert _row(plain, "attachment", row.attachment_id)["versionnumber"] == before


def test_parent_takes_its_notes_and_attachments_along(plain: Plain) -> None:
    """Deleting a case deletes its notes, its mails, and their attachments and notes."""
    account = plain.account()
    case = plain.org.insert("incident", {"title": "c", "customerid": ("account", account)})
    mail = plain.mail(regardingobjectid=("incident", case))
    kept = plain.note(parent=("account", account))
    plain.note(parent=("incident", case)), plain.note(parent=("email", mail)), plain.attach(mail)
    plain.remove("incident", case)
    assert [row["annotationid"] for row in plain.org.rows("annotation")] == [kept]
    for table in ("email", "activitypointer", "activitymimeattachment", "attachment"):
        assert list(plain.org.rows(table)) == []


def test_lookup_to_a_deleted_row_is_emptied(plain: Plain) -> None:
    """Where nothing cascades, the lookup is emptied."""
    parent = plain.account("parent")
    child = plain.account("child", parentaccountid=parent)
    plain.remove("account", parent)
    assert "parentaccountid" not in _row(plain, "account", child)


def test_restricted_delete(plain: Plain) -> None:
    """A business unit with users stays."""
    unit = next(iter(plain.org.rows("businessunit")))["businessunitid"]
    with pytest.raises(DataverseError) as caught:
        plain.remove("businessunit", unit)
    assert refusal(caught) == (405, "0x80040227")
    assert plain.org.get("businessunit", unit)


@pytest.mark.parametrize("status", [6, 7])
def test_attachments_of_pending_mails_are_locked(plain: Plain, status: int) -> None:
    """While a mail is about to be sent its attachments can be neither changed nor deleted, unless the switch is off."""
    row = plain.attach(plain.mail(statuscode=status))
    with pytest.raises(DataverseError) as caught:
        plain.change("activitymimeattachment", row.id, body=encoded(b"x"))
    assert refusal(caught) == (400, "0x8004022e")
    with pytest.raises(DataverseError) as caught:
        plain.remove("activitymimeattachment", row.id)
    assert refusal(caught) == (400, "0x80040228")
    plain.set(pending_mail_locked=False)
    plain.change("activitymimeattachment", row.id, body=encoded(b"x"))
    assert plain.bytes_of("activitymimeattachment", row.id) == b"x"


def test_attachments_of_completed_mails_are_a_switch(plain: Plain) -> None:
    """Attachments of sent mails can be changed, unless the environment locks them."""
    row = plain.attach(plain.mail(statecode=1, statuscode=3))
    plain.change("activitymimeattachment", row.id, body=encoded(b"one"))
    plain.set(completed_mail_locked=True)
    with pytest.raises(DataverseError, match="read-only") as caught:
        plain.change("activitymimeattachment", row.id, body=encoded(b"two"))
    assert refusal(caught) == (400, "0x8004022e")
    assert plain.bytes_of("activitymimeattachment", row.id) == b"one"


def test_status_of_mails(plain: Plain) -> None:
    """State and status always fit, and a mail that was sent is never a draft again."""
    mail = plain.mail()
    assert (_row(plain, "email", mail)["statecode"], _row(plain, "email", mail)["statuscode"]) == (0, 1)
    plain.change("email", mail, statuscode=3)
    assert _row(plain, "email", mail)["statecode"] == 1
    with pytest.raises(DataverseError) as caught:
        plain.change("email", mail, statecode=0)
    assert refusal(caught) == (400, "0x80048408")
    other = plain.mail()
    with pytest.raises(DataverseError):
        plain.change("email", other, statecode=0, statuscode=3)
    plain.change("email", other, statecode=1)
    assert _row(plain, "email", other)["statuscode"] == 2


def test_mail_counts_its_attachments(plain: Plain) -> None:
    """attachmentcount follows, without that being a change of the mail."""
    mail = plain.mail()
    before = _row(plain, "email", mail)["versionnumber"]
    row = plain.attach(mail)
    plain.attach(mail, b"x")
    assert _row(plain, "email", mail)["attachmentcount"] == 2
    plain.remove("activitymimeattachment", row.id)
    assert _row(plain, "email", mail)["attachmentcount"] == 1
    assert _row(plain, "email", mail)["versionnumber"] == before


def test_attachment_bound_through_the_activity(plain: Plain) -> None:
    """`objectid_activitypointer@odata.bind` leads to the activity's own table."""
    mail = plain.mail()
    address = f"/activitypointers({mail})"
    payload = {"objectid_activitypointer@odata.bind": address, "filename": "a.txt", "body": encoded(b"x")}
    assert _row(plain, "activitymimeattachment", plain.create("activitymimeattachment", payload))["objectid"] == (
        "email",
        mail,
    )


def test_alternate_key(plain: Plain) -> None:
    """Two rows cannot have the same value of an alternate key."""
    plain.create("new_shipment", {"new_name": "a", "new_number": "N-1"})
    with pytest.raises(DataverseError) as caught:
        plain.create("new_shipment", {"new_name": "b", "new_number": "n-1"})
    assert refusal(caught) == (412, "0x80060892")
    assert len(plain.ask("new_shipment")["value"]) == 1


def test_deep_insert(plain: Plain) -> None:
    """A row can bring its parent and its children along."""
    payload = {
        "name": "child",
        "parentaccountid": {"name": "parent"},
        "Account_Annotation": [{"filename": "a.txt", "documentbody": encoded(b"x")}],
    }
    account = plain.create("account", payload)
    (note,) = plain.org.rows("annotation")
    assert note["objectid"] == ("account", account)
    assert sorted(plain.values("account", "name")) == ["child", "parent"]


def test_file_column(plain: Plain) -> None:
    """A file column holds a row of fileattachment; replacing and clearing the file changes the record."""
    account = plain.account()
    first = plain.org.set_file("account", account, "new_dossier", file_name="a.pdf", body=b"one")
    version = _row(plain, "account", account)["versionnumber"]
    second = plain.org.set_file("account", account, "new_dossier", file_name="b.pdf", body=b"two", mime_type="a/b")
    (row,) = plain.ask("fileattachment")["value"]
    assert row["fileattachmentid"] == second != first
    assert (row["filename"], row["mimetype"], row["filesizeinbytes"]) == ("b.pdf", "a/b", 3)
    assert (row["regardingfieldname"], row["objecttypecode"]) == ("new_dossier", "account")
    shown = plain.one("account", account, select="new_dossier,new_dossier_name")
    assert (shown["new_dossier"], shown["new_dossier_name"]) == (second, "b.pdf")
    assert _row(plain, "account", account)["versionnumber"] > version
    with pytest.raises(DataverseError):
        plain.change("account", account, new_dossier=None)
    plain.org.clear_file("account", account, "new_dossier")
    assert plain.ask("fileattachment")["value"] == []
    assert plain.one("account", account, select="new_dossier")["new_dossier"] is None


def test_image_column(plain: Plain) -> None:
    """A full image column keeps the whole image and shows a thumbnail; null takes both away."""
    contact = plain.org.insert("contact", {"lastname": "M"})
    plain.org.set_file("contact", contact, "entityimage", file_name="p.png", body=b"whole")
    file = plain.org.file_of("contact", contact, "entityimage")
    assert file is not None
    assert b"".join(plain.org.chunks(file["_body"])) == b"whole"
    shown = plain.one("contact", contact, select="entityimage,entityimageid,entityimage_url")
    assert b"".join(plain.org.chunks(shown["entityimage"].ref)).startswith(b"\x89PNG")
    assert shown["entityimageid"] == file["fileattachmentid"]
    plain.change("contact", contact, entityimage=None)
    assert plain.org.file_of("contact", contact, "entityimage") is None
    assert plain.one("contact", contact, select="entityimage")["entityimage"] is None


def test_image_without_whole_image(plain: Plain) -> None:
    """An image column that keeps no whole image has a thumbnail and no file."""
    account = plain.account()
    plain.org.set_file("account", account, "entityimage", file_name="p.png", body=b"x")
    assert plain.org.file_of("account", account, "entityimage") is None
    assert plain.one("account", account, select="entityimage")["entityimage"] is not None


def test_recycle_bin(plain: Plain) -> None:
    """With a bin, a deleted record comes back with everything that went with it; without one it does not."""
    gone = plain.note()
    plain.remove("annotation", gone)
    with pytest.raises(DataverseError) as caught:
        plain.org.undelete("annotation", gone)
    assert refusal(caught) == (404, "0x80040217")
    plain.set(recycle_bin=True)
    account = plain.account()
    note = plain.note(parent=("account", account))
    plain.remove("account", account)
    assert plain.org.get("annotation", note) is None
    plain.org.undelete("account", account)
    assert plain.bytes_of("annotation", note) == b"hello"
    assert plain.org.get("account", account)
    assert "annotation" in plain.values("recyclebinconfig", "name", filter="cleanupintervalindays eq 30")


def test_bin_is_emptied(plain: Plain) -> None:
    """After the days of the bin a deleted row cannot be restored, nor seen in the bin."""
    plain.set(recycle_bin=True)
    note = plain.note()
    plain.remove("annotation", note)
    text = '<fetch datasource="bin"><entity name="annotation"><attribute name="filename"/></entity></fetch>'
    plain.org.shift = timedelta(days=30)
    assert len(plain.ask("annotation", fetchXml=text)["value"]) == 1
    plain.org.shift = timedelta(days=30, seconds=1)
    assert plain.ask("annotation", fetchXml=text)["value"] == []
    with pytest.raises(DataverseError):
        plain.org.undelete("annotation", note)


def test_foreign_plugin_puts_the_body_back(plain: Plain) -> None:
    """Some calls after an update a foreign plug-in writes the old body again."""
    plain.set(resurrect_after=3)
    note = plain.note(b"old")
    plain.change("annotation", note, filename="a.url", documentbody=encoded(b"stub"))
    assert plain.bytes_of("annotation", note) == b"stub"
    version = _row(plain, "annotation", note)["versionnumber"]
    for _ in range(3):
        plain.one("annotation", note, select="filename")
    assert plain.bytes_of("annotation", note) == b"old"
    assert _row(plain, "annotation", note)["filename"] == "a.pdf"
    assert _row(plain, "annotation", note)["versionnumber"] > version


def test_refused_change_leaves_nothing_behind(plain: Plain) -> None:
    """A write that fails in its middle is undone: rows, indexes and row versions of others."""
    account = plain.account()
    payload = {"name": "x", "Account_Annotation": [{"filename": "a.txt"}, {"filename": "a/b.txt"}]}
    with pytest.raises(DataverseError):
        plain.create("account", payload)
    assert plain.values("account", "accountid") == [account]
    assert plain.ask("annotation")["value"] == []


def test_users_and_shares(plain: Plain) -> None:
    """A user keeps the id, has exactly the roles that were given last, and the rights that were shared."""
    user = plain.org.user(username="a@example.com", full_name="Ann Ex", roles=("Reader", "Writer"))
    again = plain.org.user(username="a@example.com", full_name="Ann Ex", roles=("Reader",), active=False)
    row = _row(plain, "systemuser", user)
    assert (again, row["fullname"], row["isdisabled"], row["_roles"]) == (user, "Ann Ex", True, ["Reader"])
    note = plain.note()
    plain.org.share("annotation", note, user, ("ReadAccess", "WriteAccess"))
    assert plain.org.shares(note) == {user: ["ReadAccess", "WriteAccess"]}
    plain.org.share("annotation", note, user, ())
    assert plain.org.shares(note) == {}


def test_restart(tmp_path: Path) -> None:
    """A new process finds rows, lookups, bodies, options, deleted rows, and goes on counting row versions."""
    org = Org(tmp_path, now=lambda: NOON, options=OrgOptions(recycle_bin=True))
    first = Plain(org)
    account = first.account()
    note = first.note(Synthetic(3_000_000, 5), parent=("account", account))
    gone = first.note(parent=("account", account))
    first.remove("annotation", gone)
    version, digest = org.store.version, org.sha256(_row(first, "annotation", note)["_documentbody"])
    org.close()
    second = Plain(Org(tmp_path, now=lambda: NOON + timedelta(hours=1)))
    assert not second.org.is_new
    assert second.org.options.recycle_bin
    assert second.org.store.version == version
    assert _row(second, "annotation", note)["objectid"] == ("account", account)
    assert second.org.sha256(_row(second, "annotation", note)["_documentbody"]) == digest
    second.org.undelete("annotation", gone)
    assert second.note() not in {note, gone}
    second.org.close()


def test_snapshot(plain: Plain) -> None:
    """Restoring a snapshot brings rows, options and custom tables back."""
    note = plain.note(b"before")
    plain.org.store.snapshot("s")
    plain.change("annotation", note, documentbody=encoded(b"after"))
    plain.set(page_cap=1)
    plain.org.store.restore("s")
    assert plain.bytes_of("annotation", note) == b"before"
    assert plain.org.options.page_cap == 5000
    with pytest.raises(FileNotFoundError):
        plain.org.store.restore("unknown")


@pytest.mark.parametrize("changes", [{"nonsense": 1}, {"filesize": "roughly"}])
def test_bad_options(changes: dict[str, Any]) -> None:
    """An unknown option, and a value that an option cannot have, are refused."""
    with pytest.raises(ValueError, match="option"):
        OrgOptions().changed(changes)
