"""The environment's witness tells what it holds and where links lead, from its rows alone."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from offloader_connectors import placeholder
from offloader_connectors.dynamics365.emulator import witness
from offloader_connectors.dynamics365.emulator.options import OrgOptions
from offloader_connectors.dynamics365.emulator.org import INTEGRATION_USER, Org
from offloader_connectors.dynamics365.emulator.seed import seed
from offloader_connectors.emulation.world import OUTSIDER

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
LINK = "https://files.example.org/d/abcdefgh"
BODY = b"%PDF-1.4 a whole document"


@pytest.fixture
def org(tmp_path: Path) -> Iterator[Org]:
    org = Org(tmp_path, now=lambda: NOW)
    yield org
    org.close()


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _held(org: Org) -> dict[tuple[str, str], list[str]]:
    return {(each["kind"], each["id"]): each["sha256"] for each in witness.held(org)["documents"]}


def _mails(org: Org, count: int) -> list[tuple[str, str]]:
    return [("email", org.insert("email", {"subject": f"mail {number}"})) for number in range(count)]


def _shared(org: Org, count: int) -> tuple[str, list[str]]:
    """An attachment of several mails: its id, and those of the rows."""
    first, *others = _mails(org, count)
    made = org.add_mail_attachment(mail=first, file_name="a.pdf", body=BODY)
    rows = [
        org.add_mail_attachment(mail=mail, file_name="a.pdf", body=None, attachment=made.attachment_id)
        for mail in others
    ]
    return made.attachment_id, [made.id, *(row.id for row in rows)]


def _replace(org: Org, table: str, record: str, form: placeholder.Form) -> bytes:
    body = placeholder.content(form, "a.pdf", LINK)
    column = "documentbody" if table == "annotation" else "body"
    org.update(table, record, {column: body, "filename": placeholder.file_name(form, "a.pdf")})
    return body


def test_every_document_of_a_seeded_environment_is_told(tmp_path: Path) -> None:
    """All documents of the world are told with the country of their store, null for those that must stay."""
    org = Org(tmp_path, now=lambda: NOW)
    seed(org, documents=60, seed=1)
    told = witness.held(org)

    assert len(told["documents"]) == 60
    assert {each["kind"] for each in told["documents"]} == {
        "annotation", "activitymimeattachment", "filecolumn", "imagecolumn",
    }  # fmt: skip
    assert {each["country"] for each in told["documents"]} == {"DE", "US", "AU", "BR", None}
    assert (told["reader"], told["stranger"]) == (INTEGRATION_USER, OUTSIDER)
    assert {row["domainname"] for row in org.rows("systemuser")} >= {INTEGRATION_USER, OUTSIDER}
    org.close()


@pytest.mark.parametrize("form", placeholder.FORMS)
def test_a_replaced_note_holds_its_placeholder(org: Org, form: placeholder.Form) -> None:
    """A note is told by the bytes that it has now, and a placeholder of any form counts as one link."""
    note = org.add_note(parent=None, file_name="a.pdf", body=BODY, owner=org.integration_user, created=NOW)
    assert _held(org) == {("annotation", note): [_sha256(BODY)]}
    assert dict(witness.links(org)) == {}

    body = _replace(org, "annotation", note, form)

    assert _held(org) == {("annotation", note): [_sha256(body)]}
    assert dict(witness.links(org)) == {LINK: 1}


def test_a_note_without_a_file_is_no_document(org: Org) -> None:
    """A note of text alone is not told."""
    org.insert("annotation", {"notetext": "call back"})

    assert _held(org) == {}


def test_a_shared_attachment_is_one_document_and_one_link(org: Org) -> None:
    """Rows of several mails that share an attachment are told once, under the attachment's id."""
    attachment, rows = _shared(org, 3)
    assert _held(org) == {("activitymimeattachment", attachment): [_sha256(BODY)]}

    body = _replace(org, "activitymimeattachment", rows[0], "url")

    assert _held(org) == {("activitymimeattachment", attachment): [_sha256(body)]}
    assert dict(witness.links(org)) == {LINK: 1}


def test_rows_with_attachments_of_their_own_are_told_under_those(org: Org) -> None:
    """Where a changed row gets its own attachment, what is left of the shared one is told until no row shows it."""
    org.options = OrgOptions(shared_update="own")
    attachment, rows = _shared(org, 2)

    body = _replace(org, "activitymimeattachment", rows[0], "url")
    own = (org.get("activitymimeattachment", rows[0]) or {})["attachmentid"][1]
    held = _held(org)
    _replace(org, "activitymimeattachment", rows[1], "url")

    assert held == {
        ("activitymimeattachment", own): [_sha256(body)],
        ("activitymimeattachment", attachment): [_sha256(BODY)],
    }
    assert own != attachment
    assert set(map(tuple, _held(org).values())) == {(_sha256(body),)}
    org.delete("email", (org.get("activitymimeattachment", rows[1]) or {})["objectid"][1])
    assert set(_held(org)) == {("activitymimeattachment", own)}


def test_a_column_is_told_until_it_is_empty(org: Org) -> None:
    """Files and whole pictures of columns are told under table, record and column; a cleared column is not."""
    account, contact = org.insert("account", {"name": "A"}), org.insert("contact", {"lastname": "B"})
    org.set_file("account", account, "new_dossier", file_name="a.pdf", body=BODY)
    org.set_file("contact", contact, "entityimage", file_name="b.png", body=BODY + b"2")
    assert _held(org) == {
        ("filecolumn", f"account:{account}:new_dossier"): [_sha256(BODY)],
        ("imagecolumn", f"contact:{contact}:entityimage"): [_sha256(BODY + b"2")],
    }

    org.clear_file("account", account, "new_dossier")
    org.clear_file("contact", contact, "entityimage")

    assert _held(org) == {}


def test_link_notes_and_link_columns_are_links(org: Org) -> None:
    """A note whose text or file leads to an address counts once, one in a column of the operator's own once more."""
    body = placeholder.content("url", "a.pdf", LINK)
    org.insert("annotation", {"notetext": f"moved: {LINK}", "filename": "a.pdf.url", "documentbody": body})
    org.insert("new_shipment", {"new_name": f"see {LINK}", "new_contractlink": LINK})

    assert dict(witness.links(org)) == {LINK: 2}


def test_an_ordinary_file_is_no_link(org: Org) -> None:
    """Addresses in documents, in file names and in large text files lead nowhere."""
    owner = org.integration_user
    org.add_note(parent=None, file_name="a.pdf", body=LINK.encode(), owner=owner, created=NOW)
    org.add_note(parent=None, file_name=f"{LINK}.txt", body=b"x", owner=owner, created=NOW)
    org.add_note(parent=None, file_name="b.txt", body=LINK.encode() + b" " * 8192, owner=owner, created=NOW)
    account = org.insert("account", {"name": "A"})
    org.set_file("account", account, "new_dossier", file_name=f"x {LINK}", body=BODY)

    assert dict(witness.links(org)) == {}
