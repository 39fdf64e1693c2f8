"""Bulk API 2.0 over plain requests."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.salesforce_emulator.conftest import Crm


def _query_job(crm: Crm, text: str, operation: str = "query") -> Any:
    return crm.request("POST", "/jobs/query", json={"operation": operation, "query": text})


def _ingest(crm: Crm, operation: str, kind: str, content: bytes, **more: Any) -> str:
    body = {"object": kind, "operation": operation, "contentType": "CSV", "lineEnding": "LF", **more}
    job = crm.request("POST", "/jobs/ingest", json=body).json()
    assert job["state"] == "Open"
    assert job["contentUrl"] == f"services/data/v66.0/jobs/ingest/{job['id']}/batches"
    assert job["jobType"] == "V2Ingest"
    headers = {"Content-Type": "text/csv"}
    uploaded = crm.request("PUT", f"/{job['contentUrl']}", data=content, headers=headers)
    assert (uploaded.status_code, uploaded.content) == (201, b"")
    assert crm.request("PATCH", f"/jobs/ingest/{job['id']}", json={"state": "UploadComplete"}).status_code == 200
    return str(job["id"])


def test_a_query_job_gives_csv_by_pages(crm: Crm) -> None:
    """Every value is quoted, the locator leads on, the last one is the word null."""
    account = crm.account(Name='A "quoted", name', BillingCountry="DE")
    crm.account(Name="B")
    answer = _query_job(crm, "SELECT Id, Name, BillingCountry, Owner.Name, IsDeleted, CreatedDate FROM Account")
    job = answer.json()
    assert answer.status_code == 200
    assert (job["state"], job["apiVersion"], job["object"]) == ("UploadComplete", 66.0, "Account")
    done = crm.get(f"/jobs/query/{job['id']}").json()
    assert (done["state"], done["jobType"], done["numberRecordsProcessed"]) == ("JobComplete", "V2Query", 2)
    first = crm.get(f"/jobs/query/{job['id']}/results", params={"maxRecords": 1})
    assert first.headers["Sforce-NumberOfRecords"] == "1"
    assert first.text.splitlines() == [
        '"Id","Name","BillingCountry","Owner.Name","IsDeleted","CreatedDate"',
        f'"{account}","A ""quoted"", name","DE","Integration","false","2026-03-01T12:00:00.000Z"',
    ]
    second = crm.get(
        f"/jobs/query/{job['id']}/results", params={"maxRecords": 1, "locator": first.headers["Sforce-Locator"]}
    )
    assert second.headers["Sforce-Locator"] == "null"
    pages = crm.get(f"/jobs/query/{job['id']}/resultPages").json()
    assert crm.get(pages["resultPages"][0]["resultUrl"]).text.count("\n") == 3
    assert crm.request("DELETE", f"/jobs/query/{job['id']}").status_code == 204
    assert crm.get(f"/jobs/query/{job['id']}").status_code == 404


def test_a_job_takes_its_time(crm: Crm) -> None:
    """With a duration set, a job is in progress first, and its results cannot be read yet."""
    crm.options(bulk_seconds=60.0)
    job = _query_job(crm, "SELECT Id FROM Account").json()["id"]
    assert crm.get(f"/jobs/query/{job}").json()["state"] == "InProgress"
    assert crm.get(f"/jobs/query/{job}/results").status_code == 400
    assert crm.request("PATCH", f"/jobs/query/{job}", json={"state": "Aborted"}).json()["state"] == "Aborted"


@pytest.mark.parametrize(
    ("text", "code", "part"),
    [
        ("SELECT Id FROM Attachment", "INVALIDENTITY", "is not supported by the Bulk API"),
        ("SELECT RecordId FROM UserRecordAccess", "INVALIDENTITY", "is not supported by the Bulk API"),
        ("SELECT COUNT(Id) FROM Account", "API_ERROR", "not supported in Bulk Query"),
        ("SELECT VersionData FROM ContentVersion", "API_ERROR", "not supported in Bulk Query"),
        ("SELECT Id FROM ContentDocumentLink", "API_ERROR", "Implementation restriction: ContentDocumentLink requires"),
        ("SELECT Id FROM Nope", "INVALID_TYPE", "sObject type 'Nope' is not supported"),
    ],
)
def test_what_bulk_queries_cannot_do(crm: Crm, text: str, code: str, part: str) -> None:
    """Objects and clauses that bulk queries do not know are refused when the job is made."""
    crm.as_user("ViewAllData")
    status, found, message = crm.error(_query_job(crm, text))
    assert (status, found) == (400, code)
    assert part in message


def test_ingest_reports_each_row(crm: Crm) -> None:
    """Successful and failed rows come back with their ids and errors, the given columns behind."""
    job = _ingest(crm, "insert", "Account", b"Name,BillingCountry\nA,DE\n,FR\n")
    info = crm.get(f"/jobs/ingest/{job}").json()
    assert (info["state"], info["numberRecordsProcessed"], info["numberRecordsFailed"]) == ("JobComplete", 2, 1)
    good = crm.get(f"/jobs/ingest/{job}/successfulResults/").text.splitlines()
    (account,) = crm.org.rows("Account")
    assert good == ['"sf__Id","sf__Created","Name","BillingCountry"', f'"{account["Id"]}","true","A","DE"']
    bad = crm.get(f"/jobs/ingest/{job}/failedResults/").text.splitlines()
    error = "REQUIRED_FIELD_MISSING:Required fields are missing: [Name]:Name --"
    assert bad == ['"sf__Id","sf__Error","Name","BillingCountry"', f'"","{error}","","FR"']
    assert crm.get(f"/jobs/ingest/{job}/unprocessedrecords/").text == '"Name","BillingCountry"\n'


def test_an_unknown_column_fails_the_job(crm: Crm) -> None:
    """A wrong header, a byte order mark included, fails the whole job with its name."""
    job = _ingest(crm, "insert", "Account", b"Nome\nA\n")
    info = crm.get(f"/jobs/ingest/{job}").json()
    assert (info["state"], info["errorMessage"]) == ("Failed", "InvalidBatch : Field name not found : Nome")
    marked = _ingest(crm, "delete", "Account", b"\xef\xbb\xbfId\n001Wz0000000001\n")
    assert crm.get(f"/jobs/ingest/{marked}").json()["state"] == "Failed"


def test_bulk_delete_and_its_fault(crm: Crm) -> None:
    """Deleted rows say created=false; a scripted lock fails its row alone; hardDelete leaves no trace."""
    files = [crm.file() for _ in range(3)]
    crm.emulator.faults.on("bulk.ingest.change", "item", item=1)
    content = "Id\n" + "\n".join(file.document_id for file in files) + "\n"
    job = _ingest(crm, "delete", "ContentDocument", content.encode())
    assert crm.get(f"/jobs/ingest/{job}/successfulResults").text.count('"false"') == 2
    assert (
        "UNABLE_TO_LOCK_ROW:unable to obtain exclusive access to this record:--"
        in crm.get(f"/jobs/ingest/{job}/failedResults").text
    )
    crm.emulator.faults.clear()
    _ingest(crm, "hardDelete", "ContentDocument", f"Id\n{files[1].document_id}\n".encode())
    assert len(crm.rows("SELECT Id FROM ContentDocument", "queryAll")) == 2


def test_hard_delete_needs_its_permission(crm: Crm) -> None:
    """Without Bulk API Hard Delete the job is refused."""
    crm.as_user("ViewAllData", "ModifyAllData")
    answer = crm.request("POST", "/jobs/ingest", json={"object": "Account", "operation": "hardDelete"})
    assert crm.error(answer)[:2] == (400, "FEATURENOTENABLED")


def test_a_multipart_job_needs_no_upload(crm: Crm) -> None:
    """Job and content in one request: complete at once."""
    job = '{"object":"Account","operation":"insert","contentType":"CSV","lineEnding":"LF"}'
    parts = {"job": (None, job, "application/json"), "content": ("content", "Name\nA\nB\n", "text/csv")}
    made = crm.request("POST", "/jobs/ingest", files=parts).json()
    assert made["state"] == "UploadComplete"
    assert crm.get(f"/jobs/ingest/{made['id']}").json()["numberRecordsProcessed"] == 2
