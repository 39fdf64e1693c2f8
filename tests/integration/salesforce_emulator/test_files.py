"""What the platform does with files, links between files and records, and attachments."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from offloader_connectors.salesforce.emulator.org import FileParent
from tests.integration.salesforce_emulator.conftest import NOON, Crm

READ_WRITE = (
    "Please check the security settings of this field and verify that it is read/write for your profile or permission "
    "set."
)
URL = "https://files.example.com/o/AbC"


def _create(crm: Crm, kind: str, **fields: Any) -> Any:
    return crm.request("POST", f"/sobjects/{kind}", json=fields)


def _links(crm: Crm, document: str) -> list[tuple[str, str, str]]:
    where = f"ContentDocumentId = '{document}' ORDER BY Id"
    text = f"SELECT LinkedEntityId, ShareType, Visibility FROM ContentDocumentLink WHERE {where}"
    return [(row["LinkedEntityId"], row["ShareType"], row["Visibility"]) for row in crm.rows(text)]


def _document(crm: Crm, version: str) -> str:
    return str((crm.org.get(version) or {})["ContentDocumentId"])


def test_a_version_makes_its_document_and_links(crm: Crm) -> None:
    """Inserting a version makes the document, the owner's link, and one to the publish location."""
    account = crm.account()
    answer = _create(
        crm, "ContentVersion", Title="t", PathOnClient="a.PDF", VersionData="aGk=", FirstPublishLocationId=account
    )
    assert answer.status_code == 201
    version = answer.json()["id"]
    assert answer.json() == {"id": version, "success": True, "errors": []}
    names = "IsLatest, VersionNumber, ContentLocation, Origin, FileType, FileExtension, ContentSize, Checksum"
    (row,) = crm.rows(f"SELECT {names} FROM ContentVersion WHERE Id = '{version}'")
    assert (crm.org.get(version) or {})["PublishStatus"] == "P"
    assert row == {
        "IsLatest": True,
        "VersionNumber": "1",
        "ContentLocation": "S",
        "Origin": "C",
        "FileType": "PDF",
        "FileExtension": "pdf",
        "ContentSize": 2,
        "Checksum": hashlib.md5(b"hi").hexdigest(),
    }
    document = _document(crm, version)
    owner = crm.org.integration_user
    assert _links(crm, document) == [(owner, "I", "AllUsers"), (account, "V", "InternalUsers")]
    (made,) = crm.rows(
        f"SELECT LatestPublishedVersionId, Title, OwnerId, FileType FROM ContentDocument WHERE Id = '{document}'"
    )
    assert made == {"LatestPublishedVersionId": version, "Title": "t", "OwnerId": owner, "FileType": "PDF"}


def test_a_link_file_has_no_bytes(crm: Crm) -> None:
    """A version with ContentUrl has size 0, the link type, no body, no checksum."""
    version = _create(crm, "ContentVersion", Title="c.pdf", ContentUrl=URL).json()["id"]
    (row,) = crm.rows(
        f"SELECT FileType, ContentSize, Checksum, VersionData, ContentUrl FROM ContentVersion WHERE Id = '{version}'"
    )
    assert row == {"FileType": "LINK", "ContentSize": 0, "Checksum": None, "VersionData": None, "ContentUrl": URL}
    assert crm.get(f"/sobjects/ContentVersion/{version}/VersionData").status_code == 404


@pytest.mark.parametrize(
    ("fields", "code", "message", "names"),
    [
        ({"Title": "t"}, "REQUIRED_FIELD_MISSING", "Required fields are missing: [VersionData]", ["VersionData"]),
        (
            {"VersionData": "aGk=", "ContentBodyId": "05TWz0000000001"},
            "FIELD_INTEGRITY_EXCEPTION",
            "Specify only one of these fields: VersionData or ContentBodyId.: Version Data",
            ["VersionData"],
        ),
        (
            {"VersionData": "aGk=", "ContentUrl": URL},
            "FIELD_INTEGRITY_EXCEPTION",
            "Specify only one of these fields: ContentUrl or VersionData.",
            ["VersionData"],
        ),
        (
            {"ContentUrl": URL, "PathOnClient": "a.pdf"},
            "FIELD_INTEGRITY_EXCEPTION",
            "Specify only one of these fields: ContentUrl or PathOnClient.",
            ["PathOnClient"],
        ),
        ({"foo": 1}, "INVALID_FIELD", "No such column 'foo' on sobject of type ContentVersion", []),
        (
            {"ContentUrl": URL, "OwnerId": "035000000000001"},
            "FIELD_INTEGRITY_EXCEPTION",
            "Owner ID: id value of incorrect type: 035000000000001AAA",
            ["OwnerId"],
        ),
        (
            {"ContentUrl": URL, "IsLatest": True},
            "INVALID_FIELD_FOR_INSERT_UPDATE",
            f"Unable to create/update fields: IsLatest. {READ_WRITE}",
            ["IsLatest"],
        ),
    ],
)
def test_a_wrong_version_is_refused(
    crm: Crm, fields: dict[str, Any], code: str, message: str, names: list[str]
) -> None:
    """Each broken rule of ContentVersion has its code, words and fields; nothing is left behind."""
    answer = _create(crm, "ContentVersion", **fields)
    assert answer.status_code == 400
    assert answer.json() == [{"message": message, "errorCode": code, "fields": names}]
    assert crm.rows("SELECT Id FROM ContentDocument") == []


def test_a_url_has_at_most_1300_characters(crm: Crm) -> None:
    """ContentUrl takes 1,300 characters and not one more."""
    assert _create(crm, "ContentVersion", Title="t", ContentUrl="https://x/".ljust(1300, "a")).status_code == 201
    answer = _create(crm, "ContentVersion", Title="t", ContentUrl="https://x/".ljust(1301, "a"))
    assert answer.json()[0]["errorCode"] == "STRING_TOO_LONG"


def test_documents_cannot_be_made_and_versions_not_deleted(crm: Crm) -> None:
    """ContentDocument is not createable, ContentVersion not deletable."""
    assert _create(crm, "ContentDocument", Title="t").json()[0]["errorCode"] == "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY"
    version = crm.file().version_ids[0]
    answer = crm.request("DELETE", f"/sobjects/ContentVersion/{version}")
    assert answer.json()[0]["errorCode"] == "INVALID_TYPE_FOR_OPERATION"
    assert crm.get(f"/sobjects/ContentVersion/{version}").status_code == 200


def test_a_new_version_becomes_the_latest(crm: Crm) -> None:
    """A version of an existing document takes the next number; the older one is no longer the latest."""
    first = crm.file()
    fields = {
        "ContentDocumentId": first.document_id,
        "PathOnClient": "b.txt",
        "VersionData": "aGk=",
        "ReasonForChange": "why",
    }
    second = _create(crm, "ContentVersion", **fields).json()["id"]
    where = f"ContentDocumentId = '{first.document_id}' ORDER BY Id"
    text = f"SELECT Id, VersionNumber, IsLatest FROM ContentVersion WHERE {where}"
    assert [(row["VersionNumber"], row["IsLatest"]) for row in crm.rows(text)] == [("1", False), ("2", True)]
    assert (crm.org.get(first.document_id) or {})["LatestPublishedVersionId"] == second
    placed = _create(crm, "ContentVersion", **fields, FirstPublishLocationId=crm.account())
    assert placed.json()[0]["errorCode"] == "INVALID_FIELD_FOR_INSERT_UPDATE"
    stale = crm.request("PATCH", f"/sobjects/ContentVersion/{first.version_ids[0]}", json={"Title": "x"})
    assert stale.status_code == 400


def test_deleting_a_document_takes_everything_to_the_bin(crm: Crm) -> None:
    """Versions and links go with the document; a second delete says it is gone; undelete brings all back."""
    account = crm.account()
    file = crm.file(account, body=[b"1", b"2"])
    path = f"/sobjects/ContentDocument/{file.document_id}"
    assert crm.request("DELETE", path).status_code == 204
    assert crm.rows("SELECT Id FROM ContentVersion") == crm.rows("SELECT Id FROM ContentDocumentLink") == []
    assert len(crm.rows("SELECT Id FROM ContentVersion", "queryAll")) == 2
    again = crm.request("DELETE", path)
    gone = [{"message": "entity is deleted", "errorCode": "ENTITY_IS_DELETED", "fields": []}]
    assert (again.status_code, again.json()) == (404, gone)
    crm.org.undelete(file.document_id)
    assert len(crm.rows("SELECT Id FROM ContentVersion")) == len(crm.rows("SELECT Id FROM ContentDocumentLink")) == 2
    never = crm.request("DELETE", "/sobjects/ContentDocument/069Wz0000099999")
    assert crm.error(never)[:2] == (404, "INVALID_CROSS_REFERENCE_KEY")


def test_deleting_a_record_leaves_the_file(crm: Crm) -> None:
    """A deleted account takes its attachments and link rows along, not the document."""
    account = crm.account()
    file = crm.file(account)
    user = crm.org.integration_user
    crm.org.add_attachment(parent=account, name="a", body=b"x", content_type="text/plain", owner=user, created=NOON)
    assert crm.request("DELETE", f"/sobjects/Account/{account}").status_code == 204
    assert crm.rows("SELECT Id FROM Attachment") == []
    assert [row["Id"] for row in crm.rows("SELECT Id FROM ContentDocument")] == [file.document_id]
    assert [entity for entity, _, _ in _links(crm, file.document_id)] == [user]


def test_a_second_link_to_the_same_record_is_a_duplicate(crm: Crm) -> None:
    """The duplicate's words name document and entity."""
    account = crm.account()
    document = crm.file(account).document_id
    answer = _create(crm, "ContentDocumentLink", ContentDocumentId=document, LinkedEntityId=account, ShareType="V")
    text = f"Document with ID: {document} is already linked with the entity with ID: {account}"
    assert answer.json() == [{"message": text, "errorCode": "DUPLICATE_VALUE", "fields": ["LinkedEntityId"]}]


def test_the_owner_s_link_stays_and_ids_of_links_are_fixed(crm: Crm) -> None:
    """The owner's link cannot be deleted; of a link only ShareType and Visibility can change."""
    account = crm.account()
    document = crm.file(account).document_id
    owner_link, link = (row["Id"] for row in crm.rows("SELECT Id FROM ContentDocumentLink ORDER BY Id"))
    refused = crm.request("DELETE", f"/sobjects/ContentDocumentLink/{owner_link}")
    assert crm.error(refused) == (400, "FIELD_INTEGRITY_EXCEPTION", "field integrity exception: []")
    path = f"/sobjects/ContentDocumentLink/{link}"
    moved = crm.request("PATCH", path, json={"LinkedEntityId": account})
    assert moved.json()[0]["errorCode"] == "INVALID_FIELD_FOR_INSERT_UPDATE"
    assert crm.request("PATCH", path, json={"ShareType": "C", "Visibility": "InternalUsers"}).status_code == 204
    assert _links(crm, document)[1] == (account, "C", "InternalUsers")
    assert crm.request("DELETE", path).status_code == 204
    assert len(_links(crm, document)) == 1


def test_visibility_follows_the_communities_switch(crm: Crm) -> None:
    """Without communities only AllUsers is taken, and it is the default; user links never take InternalUsers."""
    account, user = crm.account(), crm.org.user(username="x@example.com")
    document = crm.file().document_id
    text = "Visibility InternalUsers is not permitted for this linked record."

    def link(entity: str, **more: str) -> Any:
        return _create(
            crm, "ContentDocumentLink", ContentDocumentId=document, LinkedEntityId=entity, ShareType="V", **more
        )

    assert link(user, Visibility="InternalUsers").json()[0]["message"] == text
    crm.options(communities=False)
    assert link(account, Visibility="InternalUsers").json()[0]["message"] == text
    assert link(account).status_code == 201
    assert _links(crm, document)[1][2] == "AllUsers"


def test_files_are_not_linked_to_sent_emails(crm: Crm) -> None:
    """A link to an e-mail that is no draft needs Update Email Messages."""
    case = crm.org.insert("Case", {})
    sent = crm.org.insert("EmailMessage", {"ParentId": case, "Status": "3"})
    draft = crm.org.insert("EmailMessage", {"ParentId": case, "Status": "5"})
    crm.as_user("ViewAllData", "ModifyAllData", "QueryAllFiles")
    document = crm.file().document_id
    fields = {"ContentDocumentId": document, "ShareType": "V"}
    refused = _create(crm, "ContentDocumentLink", LinkedEntityId=sent, **fields)
    text = "You can't create a link for Email Message when it's not in draft state."
    assert refused.json() == [
        {"message": text, "errorCode": "INSUFFICIENT_ACCESS_OR_READONLY", "fields": ["LinkedEntityId"]}
    ]
    assert _create(crm, "ContentDocumentLink", LinkedEntityId=draft, **fields).status_code == 201
    crm.login()
    assert _create(crm, "ContentDocumentLink", LinkedEntityId=sent, **fields).status_code == 201
    assert (crm.org.get(sent) or {})["HasAttachment"] is True


def test_a_new_link_moves_the_file_s_dates(crm: Crm) -> None:
    """Sharing a file counts as a modification of it."""
    file = crm.file()
    before = (crm.org.get(file.document_id) or {})["LastModifiedDate"]
    _create(crm, "ContentDocumentLink", ContentDocumentId=file.document_id, LinkedEntityId=crm.account(), ShareType="V")
    assert before < (crm.org.get(file.document_id) or {})["LastModifiedDate"] == "2026-03-01T12:00:00.000+0000"
    assert (crm.org.get(file.version_ids[0]) or {})["SystemModstamp"] == "2026-03-01T12:00:00.000+0000"


def test_audit_dates_need_switch_and_permission_and_only_on_insert(crm: Crm) -> None:
    """CreatedDate can be set on insert by a user with the permission in an org with the switch."""
    fields = {
        "Title": "t",
        "ContentUrl": URL,
        "CreatedDate": "2019-05-07T22:07:19.000+0000",
        "CreatedById": crm.org.integration_user,
    }
    made = _create(crm, "ContentVersion", **fields)
    row = crm.org.get(made.json()["id"]) or {}
    assert (row["CreatedDate"], row["SystemModstamp"]) == (
        "2019-05-07T22:07:19.000+0000",
        "2026-03-01T12:00:00.000+0000",
    )
    patched = crm.request(
        "PATCH", f"/sobjects/ContentVersion/{row['Id']}", json={"CreatedDate": "2019-05-07T22:07:19Z"}
    )
    assert patched.json()[0]["errorCode"] == "INVALID_FIELD_FOR_INSERT_UPDATE"
    assert _create(crm, "ContentVersion", **fields, SystemModstamp="2019-05-07T22:07:19Z").status_code == 400
    crm.options(audit_fields=False)
    assert _create(crm, "ContentVersion", **fields).json()[0]["fields"] == ["CreatedDate", "CreatedById"]
    crm.options(audit_fields=True)
    crm.as_user("ViewAllData")
    assert _create(crm, "ContentVersion", **fields).status_code == 400


def test_ownership_moves_with_its_link(crm: Crm) -> None:
    """A new owner of the document gets the owner's link, the old one loses it; inactive users cannot own files."""
    account, new = crm.account(), crm.org.user(username="new@example.com")
    gone = crm.org.user(username="gone@example.com", active=False)
    file = crm.file(account)
    path = f"/sobjects/ContentDocument/{file.document_id}"
    refused = crm.request("PATCH", path, json={"OwnerId": gone})
    assert refused.json()[0]["errorCode"] == "INACTIVE_OWNER_OR_USER"
    assert crm.request("PATCH", path, json={"OwnerId": new}).status_code == 204
    assert sorted(_links(crm, file.document_id)) == sorted([(account, "V", "AllUsers"), (new, "I", "AllUsers")])
    assert (crm.org.get(file.version_ids[0]) or {})["OwnerId"] == new


def test_files_of_others_cannot_be_changed_without_rights(crm: Crm) -> None:
    """Query All Files shows a file, and lets nobody edit, share anew or delete it."""
    file = crm.file()
    crm.as_user("ViewAllData", "QueryAllFiles")
    assert crm.get(f"/sobjects/ContentVersion/{file.version_ids[0]}/VersionData").status_code == 200
    for method, keys in (("PATCH", {"json": {"Title": "x"}}), ("DELETE", {})):
        answer = crm.request(method, f"/sobjects/ContentDocument/{file.document_id}", **keys)
        assert crm.error(answer) == (400, "INSUFFICIENT_ACCESS_OR_READONLY", "insufficient access rights on object id")
    version = _create(crm, "ContentVersion", ContentDocumentId=file.document_id, PathOnClient="a", VersionData="aGk=")
    assert version.json()[0]["errorCode"] == "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY"
    crm.as_user("ViewAllData", "ModifyAllData", "QueryAllFiles", username="boss@example.com")
    crm.options(modify_all_deletes_files=False)
    assert crm.request("DELETE", f"/sobjects/ContentDocument/{file.document_id}").status_code == 400
    crm.options(modify_all_deletes_files=True)
    assert crm.request("DELETE", f"/sobjects/ContentDocument/{file.document_id}").status_code == 204


def test_frozen_sharing_blocks_new_links(crm: Crm) -> None:
    """SharingOption R stops others from sharing the file with anything new."""
    document = crm.file().document_id
    crm.org.update(document, {"SharingOption": "R"})
    crm.as_user("ViewAllData", "ModifyAllData")
    answer = _create(
        crm, "ContentDocumentLink", ContentDocumentId=document, LinkedEntityId=crm.account(), ShareType="V"
    )
    assert answer.json()[0]["errorCode"] == "INSUFFICIENT_ACCESS_OR_READONLY"


def test_an_attachment_is_replaced_in_place(crm: Crm) -> None:
    """PATCH of Body, Name and ContentType keeps id and parent; the old bytes are gone at once."""
    made: dict[str, Any] = {
        "body": b"x" * 100,
        "content_type": "text/plain",
        "owner": crm.org.integration_user,
        "created": NOON,
    }
    key = crm.org.add_attachment(parent=crm.account(), name="a.txt", **made)
    path = f"/sobjects/Attachment/{key}"
    assert (
        crm.request("PATCH", path, json={"Body": "aGk=", "Name": "a.url", "ContentType": "text/x-url"}).status_code
        == 204
    )
    record = crm.get(path).json()
    assert (record["Name"], record["BodyLength"], record["ContentType"]) == ("a.url", 2, "text/x-url")
    assert record["Body"] == f"/services/data/v66.0/sobjects/Attachment/{key}/Body"
    assert crm.get(f"{path}/body").content == b"hi"
    crm.options(blocked_extensions=["html"])
    assert crm.request("PATCH", path, json={"Name": "a.html"}).status_code == 400


def test_an_asset_file_names_its_asset(crm: Crm) -> None:
    """IsAssetEnabled makes a ContentAsset that the document points to; notes have the type SNOTE."""
    asset = crm.file(IsAssetEnabled=True)
    note = crm.file(path="n.snote")
    assert str((crm.org.get(asset.document_id) or {})["ContentAssetId"]).startswith("03S")
    assert [row["Id"] for row in crm.rows("SELECT Id FROM ContentNote")] == [note.document_id]


def test_files_come_through_groups_libraries_and_records(crm: Crm) -> None:
    """A user reads a file that is shared with a group or library of theirs, or with a record they can read."""
    user = crm.org.user(username="u@example.com")
    group = crm.org.insert("CollaborationGroup", {"Name": "g"})
    crm.org.insert("CollaborationGroupMember", {"CollaborationGroupId": group, "MemberId": user})
    account, closed = crm.account(), crm.account()
    crm.org.share(account, user)
    by_group, by_record, hidden = crm.file(group), crm.file(account), crm.file(closed)
    crm.login("u@example.com")
    status = [
        crm.get(f"/sobjects/ContentVersion/{f.version_ids[0]}/VersionData").status_code
        for f in (by_group, by_record, hidden)
    ]
    assert status == [200, 200, 404]
    assert [row["Id"] for row in crm.rows("SELECT Id FROM ContentDocument")] == [by_group.document_id]


def test_external_users_see_links_for_all_users_only(crm: Crm) -> None:
    """An external user gets at a file through a record only if the link's visibility is AllUsers."""
    user = crm.org.user(username="partner@example.com", external=True)
    account = crm.account()
    crm.org.share(account, user)
    made: dict[str, Any] = {
        "title": "t",
        "path_on_client": "a.pdf",
        "bodies": [b"x"],
        "owner": crm.org.integration_user,
        "created": NOON,
    }
    inside = crm.org.add_file(**made, parents=[FileParent(account, visibility="InternalUsers")])
    outside = crm.org.add_file(**made, parents=[FileParent(account)])
    crm.login("partner@example.com")
    assert crm.get(f"/sobjects/ContentVersion/{inside.version_ids[0]}/VersionData").status_code == 404
    assert crm.get(f"/sobjects/ContentVersion/{outside.version_ids[0]}/VersionData").status_code == 200
