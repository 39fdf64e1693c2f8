"""SOQL over REST: shapes, error texts, paging, what a user may see."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.integration.salesforce_emulator.conftest import NOON, Crm

LINK_FILTER = (
    "Implementation restriction: ContentDocumentLink requires a filter by a single Id on ContentDocumentId or "
    "LinkedEntityId using the equals operator or multiple Id's using the IN operator."
)
CRITERION = "value of filter criterion for field"
TAIL = "Please reference your WSDL or the describe call for the appropriate names."


def test_a_record_has_attributes_and_its_fields_in_the_asked_order(crm: Crm) -> None:
    """Records carry type and url, nulls included, ids with 18 characters."""
    account = crm.account(BillingCountry="DE")
    record = crm.query("select NAME, id, BillingCity from account").json()["records"][0]
    url = f"/services/data/v66.0/sobjects/Account/{account}"
    assert list(record.items()) == [
        ("attributes", {"type": "Account", "url": url}),
        ("Name", "Acme"),
        ("Id", account),
        ("BillingCity", None),
    ]


def test_pretty_print_is_jackson_s(crm: Crm) -> None:
    """X-PrettyPrint gives blanks around the colon and one-line brackets."""
    crm.account()
    answer = crm.query("SELECT Name FROM Account", **{"X-PrettyPrint": "1"})
    assert answer.text.startswith('{\n  "totalSize" : 1,\n  "done" : true,\n  "records" : [ {\n    "attributes" : {\n')
    assert crm.query("SELECT COUNT() FROM Case", **{"X-PrettyPrint": "1"}).text.endswith('"records" : [ ]\n}')
    assert " : " not in crm.query("SELECT Name FROM Account").text


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        (
            "select count() from XYZZY",
            "INVALID_TYPE",
            "\nselect count() from XYZZY\n                    ^\nERROR at Row:1:Column:21\nsObject type 'XYZZY' is not "
            "supported. If you are attempting to use a custom object, be sure to append the '__c' after the entity "
            "name. " + TAIL,
        ),
        (
            "SELECT Nope FROM Account",
            "INVALID_FIELD",
            "\nSELECT Nope FROM Account\n       ^\nERROR at Row:1:Column:8\nNo such column 'Nope' on entity 'Account'. "
            "If you are attempting to use a custom field, be sure to append the '__c' after the custom field name. "
            + TAIL,
        ),
        (
            "SELECT Id FORM Account",
            "MALFORMED_QUERY",
            "\nSELECT Id FORM Account\n          ^\nERROR at Row:1:Column:11\nunexpected token: 'FORM'",
        ),
        ("SELECT Id FROM ContentDocumentLink", "MALFORMED_QUERY", LINK_FILTER),
        (
            "SELECT Id FROM Account WHERE Id IN (SELECT WhatId FROM Task)",
            "MALFORMED_QUERY",
            "Entity 'Task' is not supported for semi join inner selects",
        ),
        (
            "SELECT Id FROM Account WHERE CreatedDate > '2026-01-01T00:00:00Z'",
            "INVALID_FIELD",
            f"{CRITERION} 'CreatedDate' must be of type dateTime and should not be enclosed in quotes",
        ),
        ("SELECT Id FROM Account WHERE Id = 'short'", "INVALID_QUERY_FILTER_OPERATOR", "invalid ID field: short"),
        ("SELECT Id FROM Account OFFSET 2001", "NUMBER_OUTSIDE_VALID_RANGE", "Maximum SOQL offset allowed is 2000"),
    ],
)
def test_a_wrong_query_says_what_is_wrong(crm: Crm, text: str, code: str, message: str) -> None:
    """Each mistake has the REST API's own code and words, with the place where there is one."""
    crm.as_user("ViewAllData")
    assert crm.error(crm.query(text)) == (400, code, message)


def test_counts_have_no_records_and_aggregates_no_url(crm: Crm) -> None:
    """COUNT() is a total; COUNT(Id) is an AggregateResult with expr0; groups carry their names."""
    crm.account(BillingCountry="DE"), crm.account(BillingCountry="DE"), crm.account(BillingCountry="FR")
    assert crm.query("SELECT COUNT() FROM Account").json() == {"totalSize": 3, "done": True, "records": []}
    only = crm.query("SELECT count(Id) FROM Account").json()["records"]
    assert only == [{"attributes": {"type": "AggregateResult"}, "expr0": 3}]
    text = "SELECT BillingCountry, COUNT(Id) n FROM Account GROUP BY BillingCountry HAVING COUNT(Id) > 1"
    assert crm.rows(text) == [{"BillingCountry": "DE", "n": 2}]


@pytest.mark.parametrize(
    ("where", "names"),
    [
        ("Name = 'ALPHA'", ["Alpha"]),
        ("Name LIKE 'a%' AND NumberOfEmployees > 1", ["Alpha"]),
        ("(Name = 'Alpha' OR Name = 'Beta') AND (NOT Name = 'Beta')", ["Alpha"]),
        ("Name NOT IN ('Alpha', 'Beta')", ["O'Hara \\ Co"]),
        ("Name = 'O\\'Hara \\\\ Co'", ["O'Hara \\ Co"]),
        ("BillingCountry = null", ["Beta", "O'Hara \\ Co"]),
        ("BillingCountry != 'DE'", ["Beta", "O'Hara \\ Co"]),
        ("NumberOfEmployees <= 5", ["Alpha", "Beta"]),
        ("CreatedDate = LAST_N_DAYS:30", ["Alpha"]),
        ("CreatedDate < 2026-01-01T01:00:00+01:00", ["Beta", "O'Hara \\ Co"]),
        ("Id IN (SELECT AccountId FROM Contact WHERE LastName = 'Doe')", ["Beta"]),
        ("Owner.Name = 'Integration' AND Name > 'b'", ["Beta", "O'Hara \\ Co"]),
    ],
)
def test_filters(crm: Crm, where: str, names: list[str]) -> None:
    """Filters compare text without case, keep nulls out of ranges, and follow parents and semi-joins."""
    old = NOON - timedelta(days=365)
    crm.account(Name="Alpha", BillingCountry="DE", NumberOfEmployees=5, CreatedDate=NOON - timedelta(days=3))
    beta = crm.account(Name="Beta", NumberOfEmployees=1, CreatedDate=old)
    crm.account(Name="O'Hara \\ Co", CreatedDate=old)
    crm.org.insert("Contact", {"LastName": "Doe", "AccountId": beta})
    assert [row["Name"] for row in crm.rows(f"SELECT Name FROM Account WHERE {where} ORDER BY Name")] == names


def test_order_puts_nulls_first_unless_told(crm: Crm) -> None:
    """ORDER BY sorts by several keys, with nulls where they are asked for."""
    for name, city in (("a", "x"), ("b", None), ("c", "X"), ("d", "a")):
        crm.account(Name=name, BillingCity=city)
    names = [
        row["Name"] for row in crm.rows("SELECT Name FROM Account ORDER BY BillingCity DESC NULLS LAST, Name DESC")
    ]
    assert names == ["c", "a", "d", "b"]
    assert [row["Name"] for row in crm.rows("SELECT Name FROM Account ORDER BY BillingCity, Name")] == [
        "b",
        "d",
        "a",
        "c",
    ]
    assert [row["Name"] for row in crm.rows("SELECT Name FROM Account ORDER BY Name LIMIT 2 OFFSET 1")] == ["b", "c"]


def test_parents_are_nested_and_children_are_results(crm: Crm) -> None:
    """A parent path gives nested objects to depth two, a child query a result of its own."""
    account = crm.account()
    file = crm.file(account)
    text = (
        "SELECT LinkedEntity.Type, ContentDocument.LatestPublishedVersion.Checksum, ContentDocument.ContentAssetId "
        f"FROM ContentDocumentLink WHERE LinkedEntityId = '{account}'"
    )
    (row,) = crm.rows(text)
    assert row["LinkedEntity"]["Type"] == "Account"
    assert row["ContentDocument"]["ContentAssetId"] is None
    version = crm.org.get(file.version_ids[0]) or {}
    assert row["ContentDocument"]["LatestPublishedVersion"]["Checksum"] == version["Checksum"]
    (parent,) = crm.rows("SELECT (SELECT ContentDocumentId FROM ContentDocumentLinks) FROM Account")
    assert parent["ContentDocumentLinks"]["totalSize"] == 1


def _fill(crm: Crm, count: int) -> None:
    with crm.org.store.transaction():
        for number in range(count):
            crm.account(Name=f"{number:04d}")


def test_long_results_come_in_pages(crm: Crm) -> None:
    """nextRecordsUrl leads through all rows once; batchSize is kept between 200 and 2000."""
    _fill(crm, 450)
    seen: list[str] = []
    page = crm.query("SELECT Name FROM Account", **{"Sforce-Query-Options": "batchSize=10"}).json()
    sizes = []
    while True:
        sizes.append(len(page["records"]))
        seen += [row["Name"] for row in page["records"]]
        assert page["totalSize"] == 450
        if page["done"]:
            break
        assert page["nextRecordsUrl"].startswith("/services/data/v66.0/query/01g")
        page = crm.get(page["nextRecordsUrl"]).json()
    assert sizes == [200, 200, 50]
    assert seen == [f"{number:04d}" for number in range(450)]
    assert "nextRecordsUrl" not in page


def test_locators_expire_and_the_oldest_makes_room(crm: Crm) -> None:
    """A locator is dead after 15 minutes without use, or when the user opens an eleventh."""
    _fill(crm, 201)
    option = {"Sforce-Query-Options": "batchSize=200"}
    urls = [crm.query("SELECT Id FROM Account", **option).json()["nextRecordsUrl"] for _ in range(11)]
    gone = (400, "INVALID_QUERY_LOCATOR", "invalid query locator")
    assert crm.error(crm.get(urls[0])) == gone
    assert crm.get(urls[1]).status_code == 200
    crm.org.shift = timedelta(minutes=16)
    assert crm.error(crm.get(urls[2])) == gone


def test_bodies_are_urls_and_come_one_row_a_page(crm: Crm) -> None:
    """A selected body is a relative URL, and a page has one row then; links have none."""
    first, _ = crm.file(), crm.file()
    page = crm.query("SELECT VersionData FROM ContentVersion").json()
    assert (page["totalSize"], len(page["records"]), page["done"]) == (2, 1, False)
    url = f"/services/data/v66.0/sobjects/ContentVersion/{first.version_ids[0]}/VersionData"
    assert page["records"][0]["VersionData"] == url
    assert crm.get(url).content == b"bytes"
    link = crm.org.insert("ContentVersion", {"Title": "l", "ContentUrl": "https://example.com"})
    assert crm.rows(f"SELECT VersionData, VersionDataUrl FROM ContentVersion WHERE Id = '{link}'") == [
        {"VersionData": None, "VersionDataUrl": None}
    ]


def test_files_of_records_are_hidden_without_query_all_files(crm: Crm) -> None:
    """An unfiltered query shows own and directly shared files only; naming the id shows those of readable records."""
    account = crm.account()
    hidden, shared = crm.file(account), crm.file(account)
    user = crm.as_user("ViewAllData")
    mine = crm.file(owner=user)
    crm.org.insert(
        "ContentDocumentLink", {"ContentDocumentId": shared.document_id, "LinkedEntityId": user, "ShareType": "V"}
    )
    for kind, name in (("ContentDocument", "Id"), ("ContentVersion", "ContentDocumentId")):
        seen = {row[name] for row in crm.rows(f"SELECT {name} FROM {kind}")}
        assert seen == {mine.document_id, shared.document_id}
        named = crm.rows(f"SELECT {name} FROM {kind} WHERE {name} = '{hidden.document_id}'")
        assert [row[name] for row in named] == [hidden.document_id]
    crm.as_user("ViewAllData", "QueryAllFiles")
    assert len(crm.rows("SELECT Id FROM ContentDocument")) == 3


def test_links_need_a_filter_unless_all_files_may_be_queried(crm: Crm) -> None:
    """ContentDocumentLink may be read unfiltered only from version 59 on and with Query All Files."""
    account = crm.account()
    file = crm.file(account)
    assert len(crm.rows("SELECT Id FROM ContentDocumentLink")) == 2
    old = crm.get("/services/data/v58.0/query", params={"q": "SELECT Id FROM ContentDocumentLink"})
    assert crm.error(old) == (400, "MALFORMED_QUERY", LINK_FILTER)
    crm.as_user("ViewAllData")
    where = f"ContentDocumentId IN ('{file.document_id}')"
    assert len(crm.rows(f"SELECT Id FROM ContentDocumentLink WHERE {where}")) == 2
    by_parent = f"LinkedEntityId = '{account}' AND ContentDocument.Title = 'contract'"
    assert len(crm.rows(f"SELECT Id FROM ContentDocumentLink WHERE {by_parent}")) == 1
    refused = crm.query(f"SELECT Id FROM ContentDocumentLink WHERE {where} AND ContentDocument.Title = 'contract'")
    assert refused.json()[0]["errorCode"] == "MALFORMED_QUERY"


def _email(crm: Crm, status: str = "3") -> str:
    case = crm.org.insert("Case", {"Subject": "s"})
    return crm.org.insert("EmailMessage", {"ParentId": case, "Status": status, "Subject": "mail"})


def test_attachments_of_emails_are_hidden_without_modify_all_data(crm: Crm) -> None:
    """A user without Modify All Data sees the attachments of records only."""
    user = crm.org.integration_user
    made: dict[str, Any] = {"name": "a.txt", "body": b"x", "content_type": "text/plain", "owner": user, "created": NOON}
    on_record = crm.org.add_attachment(parent=crm.account(), **made)
    on_email = crm.org.add_attachment(parent=_email(crm), **made)
    assert {row["Id"] for row in crm.rows("SELECT Id FROM Attachment")} == {on_record, on_email}
    crm.as_user("ViewAllData", "QueryAllFiles")
    assert {row["Id"] for row in crm.rows("SELECT Id FROM Attachment")} == {on_record}


def test_record_access_is_told_for_one_user(crm: Crm) -> None:
    """UserRecordAccess has a row for each record, all flags false without access, and its own restrictions."""
    mine, other = crm.account(), crm.account()
    user = crm.org.user(username="reader@example.com")
    crm.org.share(mine, user)
    where = f"UserId = '{user}' AND RecordId IN ('{mine}','{other}')"
    rows = crm.rows(
        f"SELECT RecordId, HasReadAccess, HasEditAccess, MaxAccessLevel FROM UserRecordAccess WHERE {where}"
    )
    assert rows == [
        {"RecordId": mine, "HasReadAccess": True, "HasEditAccess": False, "MaxAccessLevel": "Read"},
        {"RecordId": other, "HasReadAccess": False, "HasEditAccess": False, "MaxAccessLevel": "None"},
    ]
    code = crm.query(f"SELECT UserId FROM UserRecordAccess WHERE {where}").json()[0]["errorCode"]
    several = f"SELECT RecordId FROM UserRecordAccess WHERE UserId IN ('{user}') AND RecordId = '{mine}'"
    assert code == crm.query(several).json()[0]["errorCode"] == "MALFORMED_QUERY"
    many = ",".join(f"'001Wz00000{number:05d}'" for number in range(201))
    answer = crm.query(f"SELECT RecordId FROM UserRecordAccess WHERE UserId = '{user}' AND RecordId IN ({many})")
    assert crm.error(answer) == (400, "LIMIT_EXCEEDED", "Number of records exceeds limit: 200")


def test_the_own_permissions_can_be_asked(crm: Crm) -> None:
    """UserPermissionAccess and PermissionSetAssignment tell what the running user may do."""
    user = crm.as_user("ViewAllData")
    (own,) = crm.rows("SELECT PermissionsViewAllData, PermissionsQueryAllFiles FROM UserPermissionAccess")
    assert own == {"PermissionsViewAllData": True, "PermissionsQueryAllFiles": False}
    where = f"AssigneeId = '{user}' AND PermissionSet.PermissionsViewAllData = true"
    text = f"SELECT Id FROM PermissionSetAssignment WHERE {where}"
    assert len(crm.rows(text)) == 1


def test_query_all_shows_the_bin_and_the_archive(crm: Crm) -> None:
    """Deleted and archived files are only in queryAll; deleting moves SystemModstamp."""
    deleted, archived = crm.file(), crm.file()
    crm.org.update(archived.document_id, {"IsArchived": True})
    crm.org.delete(deleted.document_id)
    assert crm.rows("SELECT Id FROM ContentDocument") == []
    rows = crm.rows("SELECT Id, IsDeleted, SystemModstamp FROM ContentDocument ORDER BY Id", "queryAll")
    assert [row["IsDeleted"] for row in rows] == [True, False]
    assert rows[0]["SystemModstamp"] == "2026-03-01T12:00:00.000+0000"


def test_keyset_pages_over_ties_lose_nothing(crm: Crm) -> None:
    """`field > last ORDER BY field LIMIT n` walks all versions in order, whatever the ties."""
    for _ in range(5):
        crm.file(body=[b"1", b"2", b"3"])
    last, seen = "069000000000000", []
    while True:
        text = f"SELECT Id, ContentDocumentId FROM ContentVersion WHERE ContentDocumentId > '{last}'"
        rows = crm.rows(f"{text} ORDER BY ContentDocumentId, VersionNumber LIMIT 4")
        if not rows:
            break
        whole = (
            rows
            if len(rows) < 4
            else [row for row in rows if row["ContentDocumentId"] != rows[-1]["ContentDocumentId"]]
        )
        seen += [row["Id"] for row in whole]
        last = whole[-1]["ContentDocumentId"]
    assert seen == [row["Id"] for row in crm.org.rows("ContentVersion")]


def test_fields_all_needs_a_limit_and_is_not_for_versions(crm: Crm) -> None:
    """FIELDS(ALL) wants LIMIT 200 or less; ContentVersion knows no FIELDS at all."""
    crm.account()
    assert "BillingCountry" in crm.rows("SELECT FIELDS(ALL) FROM Account LIMIT 200")[0]
    assert crm.query("SELECT FIELDS(ALL) FROM Account").status_code == 400
    assert crm.query("SELECT FIELDS(STANDARD) FROM ContentVersion").json()[0]["errorCode"] == "INVALID_FIELD"


def test_late_commits_carry_an_earlier_time(crm: Crm) -> None:
    """With a commit delay, a record appears with a time stamp that lies before the moment it can be seen."""
    crm.options(late_commit=120.0)
    crm.request("POST", "/sobjects/Account", json={"Name": "late"})
    assert crm.rows("SELECT SystemModstamp FROM Account") == [{"SystemModstamp": "2026-03-01T11:58:00.000+0000"}]
