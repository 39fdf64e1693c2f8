"""Limits: requests, versions, storage, sizes of requests."""

from __future__ import annotations

import threading
from datetime import timedelta

from tests.integration.salesforce_emulator.conftest import Crm


def _used(crm: Crm) -> int:
    return int(crm.get("/sobjects/Nope").headers["Sforce-Limit-Info"].removeprefix("api-usage=").partition("/")[0])


def test_each_call_counts_one_and_says_so(crm: Crm) -> None:
    """Every call raises api-usage by one, errors included; /limits shows the same counter; the version list is free."""
    before = _used(crm)
    versions = crm.get("/services/data/")
    assert versions.json()[-1]["version"] == "67.0"
    assert versions.json()[26] == {"label": "Spring '26", "url": "/services/data/v66.0", "version": "66.0"}
    assert "Sforce-Limit-Info" not in versions.headers
    answer = crm.get("/limits")
    assert answer.headers["Sforce-Limit-Info"] == f"api-usage={before + 1}/200000"
    assert answer.json()["DailyApiRequests"]["Remaining"] == 200_000 - before - 1
    assert crm.request("POST", "/composite", json={"compositeRequest": []}).status_code == 200
    assert _used(crm) == before + 3


def test_the_window_rolls(crm: Crm) -> None:
    """Calls of more than a day ago do not count any more."""
    for _ in range(5):
        crm.get("/limits")
    crm.org.shift = timedelta(hours=25)
    crm.login()
    assert _used(crm) == 1


def test_at_the_cap_every_call_is_403(crm: Crm) -> None:
    """The daily cap answers 403 REQUEST_LIMIT_EXCEEDED and nothing is carried out."""
    crm.options(daily_requests=_used(crm) + 1)
    assert crm.get("/limits").status_code == 200
    refused = crm.request("POST", "/sobjects/Account", json={"Name": "A"})
    assert crm.error(refused) == (403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.")
    assert crm.org.rows("Account") == []


def test_too_many_long_requests_are_refused(crm: Crm) -> None:
    """While as many long requests as allowed are running, another call is refused."""
    crm.options(long_request_seconds=0.05, long_requests=1)
    crm.emulator.faults.on("limits", "delay", seconds=0.6, times=1)
    slow = threading.Thread(target=crm.get, args=("/limits",))
    slow.start()
    text = "ConcurrentRequests (Concurrent API Requests) Limit exceeded."
    answer = crm.get("/sobjects")
    while slow.is_alive() and answer.status_code == 200:
        answer = crm.get("/sobjects")
    slow.join()
    assert crm.error(answer) == (403, "REQUEST_LIMIT_EXCEEDED", text)
    assert crm.get("/sobjects").status_code == 200


def test_versions_are_capped_by_day(crm: Crm) -> None:
    """Only so many versions can be made in 24 hours; items beyond fail in their place."""
    crm.options(daily_versions=2)
    records = [{"attributes": {"type": "ContentVersion"}, "Title": "t", "ContentUrl": "https://x"} for _ in range(3)]
    results = crm.request("POST", "/composite/sobjects", json={"records": records}).json()
    assert [result["success"] for result in results] == [True, True, False]
    assert results[2]["errors"][0]["statusCode"] == "LIMIT_EXCEEDED"


def test_storage_follows_late_and_without_the_bin(crm: Crm) -> None:
    """File storage is what was last computed; deleted files do not count; a full org takes no more bytes."""
    crm.options(storage_delay=600.0, file_mb=10)

    def free() -> int:
        return int(crm.get("/limits").json()["FileStorageMB"]["Remaining"])

    assert free() == 10
    file = crm.file(body=b"x" * 4 * 1024 * 1024)
    assert free() == 10
    crm.org.shift = timedelta(minutes=11)
    assert free() == 6
    crm.org.delete(file.document_id)
    crm.org.shift = timedelta(minutes=22)
    assert free() == 10
    crm.options(file_mb=0)
    fields = {"Title": "t", "PathOnClient": "a", "VersionData": "aGk="}
    refused = crm.request("POST", "/sobjects/ContentVersion", json=fields)
    assert crm.error(refused) == (400, "STORAGE_LIMIT_EXCEEDED", "storage limit exceeded")


def test_a_long_request_line_is_414(crm: Crm) -> None:
    """More than 16,384 bytes of URI and headers are refused with a page that is no JSON."""
    answer = crm.query("SELECT Id FROM Account WHERE Name = '" + "x" * 16_384 + "'")
    assert answer.status_code == 414
    assert answer.headers["Content-Type"].startswith("text/html")
    assert crm.query("SELECT Id FROM Account WHERE Name = '" + "x" * 15_000 + "'").status_code == 200


def test_counts_by_object(crm: Crm) -> None:
    """recordCount gives the living records of the objects asked for."""
    crm.account()
    crm.org.delete(crm.account())
    answer = crm.get("/limits/recordCount", params={"sObjects": "Account"})
    assert answer.json() == {"sObjects": [{"count": 1, "name": "Account"}]}


def test_answers_are_dated_and_zipped(crm: Crm) -> None:
    """The Date header is the org's clock; JSON is gzipped for who takes it."""
    answer = crm.get("/sobjects")
    assert answer.headers["Date"] == "Sun, 01 Mar 2026 12:00:00 GMT"
    assert answer.headers["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in crm.get("/sobjects", headers={"Accept-Encoding": "identity"}).headers
