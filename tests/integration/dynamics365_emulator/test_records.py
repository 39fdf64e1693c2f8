"""Rows over HTTP: addresses, conditions, upserts, properties, navigation."""

from __future__ import annotations

import pytest

from tests.integration.dynamics365_emulator.conftest import Crm, encoded

NOBODY = "11111111-2222-3333-4444-555555555555"


def test_a_create_answers_with_the_address_or_the_row(crm: Crm) -> None:
    """204 with OData-EntityId, or 201 with the row and its etag if that is preferred."""
    plain = crm.post("accounts", {"name": "A"})
    assert (plain.status_code, plain.content) == (204, b"")
    assert plain.headers["OData-EntityId"].startswith(f"{crm.base}accounts(")
    assert plain.headers["OData-Version"] == "4.0"
    full = crm.post("accounts?$select=name", {"name": "B"}, Prefer="return=representation")
    assert full.status_code == 201
    assert full.headers["Preference-Applied"] == "return=representation"
    body = full.json()
    assert set(body) == {"@odata.context", "@odata.etag", "name", "accountid"}
    assert full.headers["ETag"] == body["@odata.etag"]
    assert full.headers["Content-Type"] == "application/json; odata.metadata=minimal"


def test_a_patch_without_if_match_creates(crm: Crm) -> None:
    """PATCH of an unknown id makes the row; with If-Match it is 404."""
    assert crm.patch(f"accounts({NOBODY})", {"name": "made"}, If_Match="*").status_code == 404
    assert crm.error(crm.patch(f"accounts({NOBODY})", {"name": "x"}, If_Match='W/"1"'))[:2] == (404, "0x80040217")
    assert crm.patch(f"accounts({NOBODY})", {"name": "made"}).status_code == 204
    row = crm.org.get("account", NOBODY)
    assert row is not None
    assert row["name"] == "made"


def test_a_stale_etag_is_refused(crm: Crm) -> None:
    """Update and delete happen only if the row is as it was read."""
    account = crm.account()
    etag = crm.etag("account", account)
    assert crm.patch(f"accounts({account})", {"name": "one"}, If_Match=etag).status_code == 204
    refused = crm.patch(f"accounts({account})", {"name": "two"}, If_Match=etag)
    text = "The version of the existing record doesn't match the RowVersion property provided."
    assert crm.error(refused) == (412, "0x80060882", text)
    assert crm.request("DELETE", f"accounts({account})", headers={"If-Match": etag}).status_code == 412
    current = crm.etag("account", account)
    assert crm.request("DELETE", f"accounts({account})", headers={"If-Match": current}).status_code == 204
    assert crm.request("DELETE", f"accounts({account})").status_code == 404


def test_if_none_match(crm: Crm) -> None:
    """PATCH with `*` only creates; GET with the current etag is 304, but not with annotations."""
    account = crm.account()
    text = "A record with matching key values already exists."
    refused = crm.patch(f"accounts({account})", {"name": "x"}, If_None_Match="*")
    assert crm.error(refused) == (412, "0x80040237", text)
    assert crm.patch(f"accounts({NOBODY})", {"name": "x"}, If_None_Match="*").status_code == 204
    etag = {"If-None-Match": crm.etag("account", account)}
    unchanged = crm.get(f"accounts({account})", headers=etag)
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    annotated = crm.get(f"accounts({account})", headers={**etag, "Prefer": 'odata.include-annotations="*"'})
    assert annotated.status_code == 200


def test_a_patch_can_answer_with_the_new_row(crm: Crm) -> None:
    """return=representation with $select gives exactly the new values and the new etag."""
    note = crm.note(crm.account())
    answer = crm.patch(
        f"annotations({note})?$select=filename,mimetype,filesize",
        {"documentbody": encoded(b"link"), "filename": "a.txt", "mimetype": "text/plain"},
        If_Match=crm.etag("annotation", note),
        Prefer="return=representation",
    )
    assert answer.status_code == 200
    body = answer.json()
    assert (body["filename"], body["mimetype"], body["filesize"]) == ("a.txt", "text/plain", 6)
    assert body["@odata.etag"] == crm.etag("annotation", note)
    assert "documentbody" not in body


def test_upserts_by_alternate_key(crm: Crm) -> None:
    """204 with the address in key form; with representation 201 for a new row and 200 for a changed one."""
    path = "new_shipments(new_number='S-1')"
    first = crm.patch(path, {"new_name": "a"})
    assert first.status_code == 204
    assert first.headers["OData-EntityId"].endswith("new_shipments(new_number='S-1')")
    again = crm.patch(path, {"new_name": "b"}, Prefer="return=representation")
    assert (again.status_code, again.json()["new_name"]) == (200, "b")
    made = crm.patch("new_shipments(new_number='S-2')", {"new_name": "c"}, Prefer="return=representation")
    assert (made.status_code, made.json()["new_number"]) == (201, "S-2")
    assert crm.get(path).json()["new_name"] == "b"
    assert crm.error(crm.get("new_shipments(new_number='none')"))[0] == 404
    assert crm.error(crm.get("accounts(accountnumber='x')"))[:2] == (400, "0x80060890")


def test_a_body_is_base64_text_by_value(crm: Crm) -> None:
    """`documentbody/$value` and `body/$value` are text/plain Base64, and 204 without a body."""
    note, attachment = crm.note(crm.account(), body=b"\x00\xffbytes"), crm.attachment(crm.mail(), body=b"mail")
    answer = crm.get(f"annotations({note})/documentbody/$value")
    assert (answer.headers["Content-Type"], answer.text) == ("text/plain", encoded(b"\x00\xffbytes"))
    assert crm.get(f"activitymimeattachments({attachment.id})/body/$value").text == encoded(b"mail")
    crm.org.update("annotation", note, {"documentbody": None})
    assert crm.get(f"annotations({note})/documentbody/$value").status_code == 204
    assert crm.emulator.counters.outer["value.annotation"] == 2


def test_properties(crm: Crm) -> None:
    """One property is read as JSON and as text, written by PUT and cleared by DELETE."""
    account = crm.account()
    body = crm.get(f"accounts({account})/name").json()
    assert body == {"@odata.context": f"{crm.base}$metadata#accounts({account})/name", "value": "Acme"}
    assert crm.get(f"accounts({account})/name/$value").text == "Acme"
    assert crm.request("PUT", f"accounts({account})/name", json={"value": "New"}).status_code == 204
    assert crm.request("DELETE", f"accounts({account})/name").status_code == 204
    assert crm.get(f"accounts({account})/name").status_code == 204
    assert crm.get(f"accounts({account})/nothing").status_code in {400, 404}


def test_navigation_leads_to_the_attachments_of_a_mail(crm: Crm) -> None:
    """The collection of a mail's attachments is a list of its own, with select, count and pages."""
    mail, other = crm.mail(), crm.mail()
    made = {crm.attachment(mail, body=bytes([number])).id for number in range(3)}
    crm.attachment(other)
    path = f"emails({mail})/activity_pointer_activity_mime_attachment"
    assert {row["activitymimeattachmentid"] for row in crm.rows(path, **{"$select": "filename,filesize"})} == made
    assert crm.get(f"{path}/$count").content == b"\xef\xbb\xbf3"
    first = crm.get(path, headers={"Prefer": "odata.maxpagesize=2"}).json()
    second = crm.get(first["@odata.nextLink"]).json()
    assert len(first["value"]) + len(second["value"]) == 3
    assert crm.emulator.counters.outer["list.activitymimeattachment"] == 3


def test_navigation_to_one_row(crm: Crm) -> None:
    """A lookup is followed to its row, and 204 where it leads nowhere."""
    parent = crm.account(name="Parent")
    child = crm.account(parentaccountid=parent)
    assert crm.get(f"accounts({child})/parentaccountid", params={"$select": "name"}).json()["name"] == "Parent"
    assert crm.get(f"accounts({parent})/parentaccountid").status_code == 204


def test_references(crm: Crm) -> None:
    """`$ref` sets, reads and takes away what a navigation property leads to."""
    parent, child = crm.account(), crm.account()
    reference = {"@odata.id": f"{crm.base}accounts({parent})"}
    assert crm.request("PUT", f"accounts({child})/parentaccountid/$ref", json=reference).status_code == 204
    found = crm.get(f"accounts({child})/parentaccountid/$ref").json()
    assert found["@odata.id"] == reference["@odata.id"]
    listed = crm.get(f"accounts({parent})/account_parent_account/$ref").json()["value"]
    assert listed == [{"@odata.id": f"{crm.base}accounts({child})"}]
    assert crm.request("DELETE", f"accounts({parent})/account_parent_account({child})/$ref").status_code == 204
    assert crm.get(f"accounts({child})/parentaccountid/$ref").status_code == 204
    own = {"@odata.id": f"{crm.base}accounts({child})"}
    assert crm.post(f"accounts({parent})/account_parent_account/$ref", own).status_code == 204
    assert crm.get(f"accounts({child})/parentaccountid").json()["accountid"] == parent


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "nothings", 404),
        ("GET", "accounts(no-guid)", 400),
        ("PUT", "accounts", 405),
        ("POST", "WhoAmI", 405),
        ("GET", "accounts/a/b/c", 400),
        ("POST", "annotations/Microsoft.Dynamics.CRM.CreateMultiple", 404),
    ],
)
def test_what_is_not_there(crm: Crm, method: str, path: str, status: int) -> None:
    """Wrong addresses and methods are refused in the shape of the Web API."""
    assert crm.error(crm.request(method, path))[0] == status


def test_attachments_of_the_shared_table_are_read_only(crm: Crm) -> None:
    """`attachments` can be listed, and never written."""
    attachment = crm.attachment(crm.mail(), body=b"shared")
    rows = crm.rows("attachments", **{"$select": "body"})
    assert [(row["attachmentid"], row["body"]) for row in rows] == [(attachment.attachment_id, encoded(b"shared"))]
    assert crm.error(crm.post("attachments", {"filename": "x"}))[:2] == (405, "0x80040315")
    path = f"attachments({attachment.attachment_id})"
    assert crm.error(crm.patch(path, {"filename": "x"}))[:2] == (405, "0x80040315")
    assert crm.error(crm.request("DELETE", path))[:2] == (405, "0x80040315")


def test_broken_json(crm: Crm) -> None:
    """A body that is no JSON, or no object, is 400."""
    for data in (b"{", b"[1]", b"\xff"):
        answer = crm.request("POST", "accounts", data=data, headers={"Content-Type": "application/json"})
        assert crm.error(answer)[:2] == (400, "0x80048d19")
