"""Single records, collections, composite, graph, batch, tree."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.integration.salesforce_emulator.conftest import NOON, Crm

URL = "https://files.example.com/o/"


def _records(count: int, kind: str = "Account", **fields: Any) -> list[dict[str, Any]]:
    return [{"attributes": {"type": kind}, "Name": f"n{number}", **fields} for number in range(count)]


def _collection(
    crm: Crm, method: str, records: list[dict[str, Any]], path: str = "", *, all_or_none: bool = False
) -> Any:
    return crm.request(method, f"/composite/sobjects{path}", json={"allOrNone": all_or_none, "records": records})


# -- single records --------------------------------------------------------------------------------


def test_a_record_lives_and_dies(crm: Crm) -> None:
    """201 with Location, 200, 204, 204, then 404: create, read, update, delete."""
    answer = crm.request("POST", "/sobjects/Account/", json={"Name": "A"})
    key = answer.json()["id"]
    path = f"/sobjects/Account/{key}"
    assert answer.headers["Location"] == f"/services/data/v66.0{path}"
    patched = crm.request("PATCH", path, json={"BillingCountry": "NL"})
    assert (patched.status_code, patched.content) == (204, b"")
    assert crm.get(path[:-3], params={"fields": "BillingCountry,Name"}).json() == {
        "attributes": {"type": "Account", "url": f"/services/data/v66.0{path}"},
        "Id": key,
        "BillingCountry": "NL",
        "Name": "A",
    }
    assert crm.request("DELETE", path).status_code == 204
    assert crm.error(crm.get(path)) == (404, "NOT_FOUND", "The requested resource does not exist")


def test_missing_required_fields_are_listed(crm: Crm) -> None:
    """The missing fields stand in the message and in `fields`."""
    answer = crm.request("POST", "/sobjects/Contact", json={})
    error = {
        "message": "Required fields are missing: [LastName]",
        "errorCode": "REQUIRED_FIELD_MISSING",
        "fields": ["LastName"],
    }
    assert (answer.status_code, answer.json()) == (400, [error])


def test_upsert_by_external_id(crm: Crm) -> None:
    """201 and created on the first, 200 on the second; a value held by two records is 300 with their URLs."""
    path = "/sobjects/Account/External_Key__c/k%2F1"
    first = crm.request("PATCH", path, json={"Name": "A"})
    assert (first.status_code, first.json()["created"]) == (201, True)
    second = crm.request("PATCH", path, json={"Name": "B"})
    assert (second.status_code, second.json()) == (
        200,
        {"id": first.json()["id"], "success": True, "errors": [], "created": False},
    )
    assert crm.get(path).json()["Name"] == "B"
    unknown = crm.request("PATCH", "/sobjects/Account/23foo/x", json={"Name": "A"})
    text = "Provided external ID field does not exist or is not accessible: 23foo"
    assert crm.error(unknown) == (404, "NOT_FOUND", text)


def test_the_same_external_id_twice_is_a_duplicate(crm: Crm) -> None:
    """A second record with the same unique key is refused, naming the first."""
    fields = {"Title": "t", "ContentUrl": URL, "Offload_Key__c": "K1"}
    first = crm.request("POST", "/sobjects/ContentVersion", json=fields).json()["id"]
    answer = crm.request("POST", "/sobjects/ContentVersion", json={**fields, "Offload_Key__c": "k1"})
    text = f"duplicate value found: Offload_Key__c duplicates value on record with id: {first}"
    assert crm.error(answer) == (400, "DUPLICATE_VALUE", text)


def test_the_external_id_field_can_be_missing(crm: Crm) -> None:
    """In an org without the field, describe does not list it and writing it fails."""
    names = {field["name"] for field in crm.get("/sobjects/ContentVersion/describe").json()["fields"]}
    assert "Offload_Key__c" in names
    crm.options(external_id_field=False)
    names = {field["name"] for field in crm.get("/sobjects/ContentVersion/describe").json()["fields"]}
    assert "Offload_Key__c" not in names
    answer = crm.request(
        "POST", "/sobjects/ContentVersion", json={"Title": "t", "ContentUrl": URL, "Offload_Key__c": "k"}
    )
    assert answer.json()[0]["message"] == "No such column 'Offload_Key__c' on sobject of type ContentVersion"


def test_conditional_reads(crm: Crm) -> None:
    """If-Modified-Since answers 304 without a body for an unchanged record."""
    path = f"/sobjects/Account/{crm.account()}"
    assert crm.get(path, headers={"If-Modified-Since": "Sun, 01 Mar 2026 13:00:00 GMT"}).status_code == 304
    assert crm.get(path, headers={"If-Modified-Since": "Sun, 01 Feb 2026 13:00:00 GMT"}).status_code == 200


def test_wrong_methods_and_resources(crm: Crm) -> None:
    """405 names what is allowed; unknown resources and versions are 404."""
    wrong = crm.request("PUT", "/query")
    assert crm.error(wrong) == (405, "METHOD_NOT_ALLOWED", "HTTP Method 'PUT' not allowed. Allowed are GET")
    for path in ("/nope", "/sobjects/Nope", "/services/data/v99.0/limits"):
        assert crm.error(crm.get(path)) == (404, "NOT_FOUND", "The requested resource does not exist")
    account = crm.account()
    assert crm.request("POST", f"/sobjects/Account/{account}?_HttpMethod=PATCH", json={"Name": "X"}).status_code == 204


def test_a_broken_body_is_a_parser_error(crm: Crm) -> None:
    """What is no JSON is refused as such."""
    answer = crm.request("POST", "/sobjects/Account", data="{", headers={"Content-Type": "application/json"})
    assert crm.error(answer)[:2] == (400, "JSON_PARSER_ERROR")


def test_multipart_upload(crm: Crm) -> None:
    """entity_content and VersionData make a file without base64."""
    meta = json.dumps({"Title": "t", "PathOnClient": "a.bin"})
    parts = {
        "entity_content": ("", meta, "application/json"),
        "VersionData": ("a.bin", b"\x00\xff\r\n--x", "application/octet-stream"),
    }
    version = crm.request("POST", "/sobjects/ContentVersion", files=parts).json()["id"]
    assert crm.get(f"/sobjects/ContentVersion/{version}/VersionData").content == b"\x00\xff\r\n--x"
    parts["VersionData"] = ("b.bin", b"new", "application/octet-stream")
    parts["entity_content"] = ("", "{}", "application/json")
    assert crm.request("PATCH", f"/sobjects/ContentVersion/{version}", files=parts).status_code == 204
    assert crm.get(f"/sobjects/ContentVersion/{version}/VersionData").content == b"new"


# -- collections -----------------------------------------------------------------------------------


def test_collections_answer_200_with_every_item_in_its_place(crm: Crm) -> None:
    """Good and bad items keep their order; failures have no id and use statusCode."""
    records = [*_records(1), {"attributes": {"type": "Contact"}, "FirstName": "x"}, *_records(1)]
    answer = _collection(crm, "POST", records)
    first, second, third = answer.json()
    assert answer.status_code == 200
    assert (first["success"], third["success"]) == (True, True)
    assert second == {
        "success": False,
        "errors": [
            {
                "statusCode": "REQUIRED_FIELD_MISSING",
                "message": "Required fields are missing: [LastName]",
                "fields": ["LastName"],
            }
        ],
    }
    assert len(crm.rows("SELECT Id FROM Account")) == 2


def test_all_or_none_rolls_back(crm: Crm) -> None:
    """One failure undoes all; updated records keep their id in the answer, created ones have none."""
    created = _collection(crm, "POST", [*_records(1), {"attributes": {"type": "Account"}}], all_or_none=True).json()
    text = "Record rolled back because not all records were valid and the request was using AllOrNone header"
    rolled = {"statusCode": "ALL_OR_NONE_OPERATION_ROLLED_BACK", "message": text, "fields": []}
    assert created[0] == {"success": False, "errors": [rolled]}
    assert crm.rows("SELECT Id FROM Account") == []
    account = crm.account()
    bad = {"attributes": {"type": "Account"}, "id": "001Wz0000099999", "Name": "x"}
    updated = _collection(
        crm, "PATCH", [{"attributes": {"type": "Account"}, "id": account, "Name": "x"}, bad], all_or_none=True
    ).json()
    assert updated[0] == {"id": account, "success": False, "errors": [rolled]}
    assert crm.rows("SELECT Name FROM Account") == [{"Name": "Acme"}]


def test_collections_have_caps(crm: Crm) -> None:
    """201 records, or eleven chunks of types, are refused as a whole."""
    refused = _collection(crm, "POST", _records(201))
    text = "record limit reached. cannot submit more than 200 records into this call"
    assert crm.error(refused) == (400, "EXCEEDED_ID_LIMIT", text)
    mixed = [{"attributes": {"type": kind}, "Name": "x"} for _ in range(6) for kind in ("Account", "Campaign")]
    assert _collection(crm, "POST", mixed).status_code == 400
    assert _collection(crm, "POST", mixed[:10]).status_code == 200
    ids = ",".join(["069Wz0000000001"] * 201)
    assert crm.error(crm.request("DELETE", f"/composite/sobjects?ids={ids}")) == (400, "EXCEEDED_ID_LIMIT", text)


def test_a_collection_delete_may_mix_types(crm: Crm) -> None:
    """Documents and attachments go in one call; gone, unknown and malformed ids fail one by one."""
    user = crm.org.integration_user
    attachment = crm.org.add_attachment(
        parent=crm.account(), name="a", body=b"x", content_type="text/plain", owner=user, created=NOON
    )
    document = crm.file().document_id
    ids = f"{document},{attachment},{document},069Wz0000099999,001RM000003oLrB000"
    results = crm.request("DELETE", f"/composite/sobjects?ids={ids}&allOrNone=false").json()
    assert [result["success"] for result in results] == [True, True, False, False, False]
    assert results[0] == {"id": document, "success": True, "errors": []}
    errors = [result["errors"][0] for result in results[2:]]
    assert errors == [
        {"statusCode": "ENTITY_IS_DELETED", "message": "entity is deleted", "fields": []},
        {"statusCode": "INVALID_CROSS_REFERENCE_KEY", "message": "invalid cross reference id", "fields": []},
        {"statusCode": "MALFORMED_ID", "message": "malformed id 001RM000003oLrB000", "fields": []},
    ]


def test_an_update_with_an_id_of_another_object(crm: Crm) -> None:
    """An id of the wrong object is a MALFORMED_ID in its item."""
    record = {"attributes": {"type": "Contact"}, "id": crm.account()[:15], "LastName": "x"}
    (result,) = _collection(crm, "PATCH", [record]).json()
    text = f"Contact ID: id value of incorrect type: {record['id']}"
    assert result["errors"] == [{"statusCode": "MALFORMED_ID", "message": text, "fields": ["Id"]}]


def test_a_collection_upsert_says_what_was_created(crm: Crm) -> None:
    """The second try of the same keys updates; null as Id creates."""
    records = _records(2, "Account")
    for number, record in enumerate(records):
        record["External_Key__c"] = f"k{number}"
    first = _collection(crm, "PATCH", records, "/Account/External_Key__c").json()
    second = _collection(crm, "PATCH", records, "/Account/External_Key__c").json()
    assert [result["created"] for result in first + second] == [True, True, False, False]
    assert [result["id"] for result in first] == [result["id"] for result in second]
    created = _collection(
        crm, "PATCH", [{"attributes": {"type": "Account"}, "Id": None, "Name": "x"}], "/Account/Id"
    ).json()
    assert created[0]["created"] is True


def test_a_collection_retrieve_keeps_order_and_gaps(crm: Crm) -> None:
    """Records come in the order of the ids, null for what is not there; GET and POST alike."""
    one, two = crm.file(), crm.file()
    ids = [two.version_ids[0], "068Wz0000099999", one.version_ids[0]]
    posted = crm.request(
        "POST", "/composite/sobjects/ContentVersion", json={"ids": ids, "fields": ["Id", "ContentDocumentId"]}
    ).json()
    got = crm.get(
        "/composite/sobjects/ContentVersion", params={"ids": ",".join(ids), "fields": "Id,ContentDocumentId"}
    ).json()
    assert posted == got
    assert [record and record["ContentDocumentId"] for record in posted] == [two.document_id, None, one.document_id]


def test_bodies_in_a_collection(crm: Crm) -> None:
    """Binary parts belong to the records that name them; Body may also come as base64 in JSON."""
    account = crm.account()
    records = [
        {
            "attributes": {"type": "Attachment", "binaryPartName": f"p{number}", "binaryPartNameAlias": "Body"},
            "ParentId": account,
            "Name": "n",
        }
        for number in range(2)
    ]
    parts = {"collection": ("", json.dumps({"allOrNone": False, "records": records}), "application/json")}
    parts |= {f"p{number}": (f"{number}.txt", f"body {number}", "text/plain") for number in range(2)}
    results = crm.request("POST", "/composite/sobjects", files=parts).json()
    bodies = [crm.get(f"/sobjects/Attachment/{result['id']}/Body").content for result in results]
    assert bodies == [b"body 0", b"body 1"]
    record = {"attributes": {"type": "Attachment"}, "id": results[0]["id"], "Body": "aGk="}
    assert _collection(crm, "PATCH", [record]).json()[0]["success"]
    assert crm.get(f"/sobjects/Attachment/{results[0]['id']}/Body").content == b"hi"


# -- composite -------------------------------------------------------------------------------------


def _step(reference: str, method: str, path: str, body: Any = None) -> dict[str, Any]:
    return {
        "method": method,
        "url": f"/services/data/v66.0{path}",
        "referenceId": reference,
        **({"body": body} if body else {}),
    }


def test_a_chain_makes_link_files_with_their_shares(crm: Crm) -> None:
    """Create, retrieve and share in one call, by references into the arrays of collections."""
    account = crm.account()
    versions = {
        "records": [
            {"attributes": {"type": "ContentVersion"}, "Title": f"{n}", "ContentUrl": f"{URL}{n}"} for n in range(2)
        ]
    }
    shares = [
        {
            "attributes": {"type": "ContentDocumentLink"},
            "ContentDocumentId": f"@{{cd[{number}].ContentDocumentId}}",
            "LinkedEntityId": account,
            "ShareType": "V",
        }
        for number in range(2)
    ]
    chain = (
        _step("cv", "POST", "/composite/sobjects", versions),
        _step("cd", "GET", "/composite/sobjects/ContentVersion?ids=@{cv[0].id},@{cv[1].id}&fields=ContentDocumentId"),
        _step("cdl", "POST", "/composite/sobjects", {"records": shares}),
    )
    crm.emulator.counters.clear()
    found = crm.composite(*chain)
    assert [result["httpStatusCode"] for result in found] == [200, 200, 200]
    assert all(item["success"] for item in found[2]["body"])
    assert dict(crm.emulator.counters.outer) == {"composite": 1}
    assert dict(crm.emulator.counters.inner) == {"collections.create": 2, "collections.retrieve": 1}
    assert len(crm.rows(f"SELECT Id FROM ContentDocumentLink WHERE LinkedEntityId = '{account}'")) == 2
    crm.options(array_references=False)
    assert crm.composite(*chain)[1]["body"][0]["errorCode"] == "PROCESSING_HALTED"


def test_composite_results_have_headers_and_status(crm: Crm) -> None:
    """A create has its Location; an unknown resource is a 404 of its own; 304 has a null body."""
    account = crm.account()
    seen = {
        **_step("seen", "GET", f"/sobjects/Account/{account}"),
        "httpHeaders": {"If-Modified-Since": "Sun, 01 Mar 2026 13:00:00 GMT"},
    }
    made, lost, unchanged, parent = crm.composite(
        _step("made", "POST", "/sobjects/Account", {"Name": "A"}),
        _step("lost", "GET", "/nope"),
        seen,
        _step("parent", "PATCH", "/sobjects/Account/@{made.id}", {"Name": "B @{made.id}"}),
    )
    assert made["httpHeaders"] == {"Location": f"/services/data/v66.0/sobjects/Account/{made['body']['id']}"}
    assert (made["httpStatusCode"], made["referenceId"]) == (201, "made")
    assert lost["body"] == [{"errorCode": "NOT_FOUND", "message": "The requested resource does not exist"}]
    assert (lost["httpStatusCode"], unchanged["httpStatusCode"], unchanged["body"]) == (404, 304, None)
    assert parent["httpStatusCode"] == 204
    assert (crm.org.get(made["body"]["id"]) or {})["Name"] == f"B {made['body']['id']}"


def test_all_or_none_halts_the_series(crm: Crm) -> None:
    """A failing subrequest rolls the others back, which then say so."""
    text = "The transaction was rolled back since another operation in the same transaction failed."
    good, bad = crm.composite(
        _step("good", "POST", "/sobjects/Account", {"Name": "A"}),
        _step("bad", "POST", "/sobjects/Account", {"x": 1}),
        all_or_none=True,
    )
    assert good["httpStatusCode"] == bad["httpStatusCode"] == 400
    assert good["body"] == [{"errorCode": "PROCESSING_HALTED", "message": text}]
    assert crm.rows("SELECT Id FROM Account") == []


def test_composite_has_caps(crm: Crm) -> None:
    """26 subrequests, or six queries or collections, are refused; blobs cannot be read in it."""
    many = [_step(f"r{number}", "GET", "/limits") for number in range(26)]
    assert crm.request("POST", "/composite", json={"compositeRequest": many}).status_code == 400
    heavy = [_step(f"r{number}", "GET", "/query?q=SELECT+Id+FROM+Account") for number in range(6)]
    assert crm.request("POST", "/composite", json={"compositeRequest": heavy}).status_code == 400
    assert len(crm.composite(*heavy[:5])) == 5
    version = crm.file().version_ids[0]
    (blob,) = crm.composite(_step("b", "GET", f"/sobjects/ContentVersion/{version}/VersionData"))
    assert blob["httpStatusCode"] >= 400


def test_queries_in_a_composite_are_paged_too(crm: Crm) -> None:
    """A query inside a composite takes more ids than a URL, and can be followed by its next page."""
    ids = ",".join(f"'{crm.account(Name=str(number))}'" for number in range(700))
    (found,) = crm.composite(_step("q", "GET", f"/query?q=SELECT Id FROM Account WHERE Id IN ({ids})"))
    assert found["body"]["totalSize"] == 700


def test_a_graph_is_all_or_nothing_by_itself(crm: Crm) -> None:
    """One graph fails as a whole, the other stays."""
    graphs = [
        {"graphId": "1", "compositeRequest": [_step("a", "POST", "/sobjects/Account", {"Name": "A"})]},
        {
            "graphId": "2",
            "compositeRequest": [
                _step("a", "POST", "/sobjects/Account", {"Name": "B"}),
                _step("b", "POST", "/sobjects/Account", {"x": 1}),
            ],
        },
    ]
    answer = crm.request("POST", "/composite/graph", json={"graphs": graphs}).json()["graphs"]
    assert [graph["isSuccessful"] for graph in answer] == [True, False]
    assert crm.rows("SELECT Name FROM Account") == [{"Name": "A"}]


def test_a_batch_counts_each_of_its_calls(crm: Crm) -> None:
    """Two subrequests cost two calls; haltOnError stops the rest; blobs are refused."""
    version = crm.file().version_ids[0]

    def used() -> int:
        return int(crm.get("/limits").headers["Sforce-Limit-Info"].partition("=")[2].partition("/")[0])

    before = used()
    requests_ = [
        {"method": "GET", "url": "v66.0/limits"},
        {"method": "GET", "url": f"v66.0/sobjects/ContentVersion/{version}/VersionData"},
        {"method": "GET", "url": "v66.0/limits"},
    ]
    body = crm.request("POST", "/composite/batch", json={"batchRequests": requests_, "haltOnError": True}).json()
    assert used() == before + 4
    assert body["hasErrors"] is True
    status = [result["statusCode"] for result in body["results"]]
    assert (status[0], status[2]) == (200, 412)
    assert status[1] >= 400
    assert body["results"][2]["result"][0]["errorCode"] == "BATCH_PROCESSING_HALTED"


def test_a_tree_makes_parents_and_children(crm: Crm) -> None:
    """Children get their parent's id; one failure undoes the tree."""
    child = {"attributes": {"type": "Contact", "referenceId": "c"}, "LastName": "Doe"}
    account = {"attributes": {"type": "Account", "referenceId": "a"}, "Name": "A", "Contacts": {"records": [child]}}
    made = crm.request("POST", "/composite/tree/Account", json={"records": [account]})
    assert made.status_code == 201
    assert [result["referenceId"] for result in made.json()["results"]] == ["a", "c"]
    assert crm.rows("SELECT Account.Name FROM Contact")[0]["Account"]["Name"] == "A"
    del child["LastName"]
    failed = crm.request("POST", "/composite/tree/Account", json={"records": [account]})
    assert (failed.status_code, failed.json()["hasErrors"]) == (400, True)
    assert len(crm.rows("SELECT Id FROM Account")) == 1


@pytest.mark.parametrize("kind", ["Account", "ContentVersion", "Shipment_Confirmation__c"])
def test_describe_names_prefix_and_fields(crm: Crm, kind: str) -> None:
    """Global describe and describe agree, and carry what clients read."""
    listed = {entry["name"]: entry for entry in crm.get("/sobjects").json()["sobjects"]}
    described = crm.get(f"/sobjects/{kind}/describe/").json()
    assert described["keyPrefix"] == listed[kind]["keyPrefix"] != None  # noqa: E711
    ids = [field for field in described["fields"] if field["type"] == "id"]
    assert [field["name"] for field in ids] == ["Id"]
    assert all(
        {"createable", "updateable", "filterable", "nillable", "relationshipName"} <= set(field)
        for field in described["fields"]
    )
    assert described["urls"]["rowTemplate"] == f"/services/data/v66.0/sobjects/{kind}/{{ID}}"


def test_cascades_of_an_account_are_described(crm: Crm) -> None:
    """Attachments and link rows go with an account, published versions and e-mails do not."""
    children = crm.get("/sobjects/Account/describe").json()["childRelationships"]
    cascades = {(child["childSObject"], child["field"]): child["cascadeDelete"] for child in children}
    assert cascades["Attachment", "ParentId"] is cascades["ContentDocumentLink", "LinkedEntityId"] is True
    assert cascades["ContentVersion", "FirstPublishLocationId"] is cascades["EmailMessage", "RelatedToId"] is False


def test_updated_and_deleted_records(crm: Crm) -> None:
    """Replication lists ids of a span with the date covered; files have none."""
    kept, gone = crm.account(), crm.account()
    crm.org.delete(gone)
    span = {"start": "2026-03-01T11:00:00+00:00", "end": "2026-03-01T13:00:00Z"}
    updated = crm.get("/sobjects/Account/updated/", params=span).json()
    assert updated == {"ids": [kept], "latestDateCovered": "2026-03-01T12:00:00.000+0000"}
    deleted = crm.get("/sobjects/Account/deleted/", params=span).json()
    assert deleted["deletedRecords"] == [{"deletedDate": "2026-03-01T12:00:00.000+0000", "id": gone}]
    short = {"start": "2026-03-01T11:00:00Z", "end": "2026-03-01T11:00:30Z"}
    assert crm.get("/sobjects/Account/updated", params=short).json()[0]["errorCode"] == "INVALID_REPLICATION_DATE"
    assert crm.get("/sobjects/ContentVersion/updated", params=span).status_code == 400
