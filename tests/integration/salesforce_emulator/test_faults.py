"""Scripted faults, counters, latency and the admin calls."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import requests
import urllib3

from offloader_connectors.emulation.faults import Faults
from tests.integration.salesforce_emulator.conftest import Crm


def _admin(crm: Crm, method: str, name: str, body: Any = None) -> requests.Response:
    return crm.request(method, f"{crm.emulator.url}/_emulator/{name}", json=body)


def _blob(crm: Crm, version: str) -> requests.Response:
    return crm.get(f"/sobjects/ContentVersion/{version}/VersionData")


def test_a_call_dropped_before_does_nothing(crm: Crm) -> None:
    """The connection breaks and the act is not carried out."""
    crm.emulator.faults.on("sobject.create", "drop_before", nth=1)
    with pytest.raises(requests.ConnectionError):
        crm.request("POST", "/sobjects/Account", json={"Name": "A"})
    assert crm.org.rows("Account") == []
    assert crm.request("POST", "/sobjects/Account", json={"Name": "A"}).status_code == 201


def test_a_call_dropped_after_commit_is_done(crm: Crm) -> None:
    """The connection breaks, but the act is carried out; also when the rule is about an inner operation."""
    crm.emulator.faults.on("sobject.create", "drop_after_commit", times=1)
    with pytest.raises(requests.ConnectionError):
        crm.request("POST", "/sobjects/Account", json={"Name": "A"})
    assert len(crm.org.rows("Account")) == 1
    crm.emulator.faults.on("collections.create", "drop_after_commit", times=1)
    body = {"records": [{"attributes": {"type": "Account"}, "Name": "B"}]}
    step = {"method": "POST", "url": "/services/data/v66.0/composite/sobjects", "referenceId": "x", "body": body}
    with pytest.raises(requests.ConnectionError):
        crm.composite(step)
    assert len(crm.org.rows("Account")) == 2


@pytest.mark.parametrize("size", [1000, 1_000_000])
def test_truncated_bodies(crm: Crm, size: int) -> None:
    """One kind ends short of Content-Length, the other is a clean but shorter answer; both with status 200."""
    version = crm.file(body=b"x" * size).version_ids[0]
    crm.emulator.faults.on("blob.get", "truncate", nth=1)
    crm.emulator.faults.on("blob.get", "truncate", nth=2, clean=True)
    pool = urllib3.PoolManager(ca_certs=str(crm.emulator.ca_file), retries=False)
    headers = {"Authorization": str(crm.session.headers["Authorization"])}
    with pytest.raises(urllib3.exceptions.ProtocolError):
        pool.request("GET", f"{crm.base}/sobjects/ContentVersion/{version}/VersionData", headers=headers)
    short = _blob(crm, version)
    assert (short.status_code, len(short.content), "Content-Length" in short.headers) == (200, size // 2, False)
    assert _blob(crm, version).content == b"x" * size
    pool.clear()


@pytest.mark.parametrize("size", [1000, 1_000_000])
def test_corrupt_bodies(crm: Crm, size: int) -> None:
    """Exactly one bit differs, and the length is right."""
    version = crm.file(body=b"x" * size).version_ids[0]
    crm.emulator.faults.on("blob.get", "corrupt", nth=1)
    got = _blob(crm, version).content
    assert len(got) == size
    assert [byte for byte in got if byte != ord("x")] == [ord("x") ^ 1]


def test_scripted_answers(crm: Crm) -> None:
    """Statuses come with the vendor's usual body or the scripted one, Retry-After included; the act is left out."""
    script = [
        {"on": "sobject.create", "do": "status", "status": 503, "nth": 1, "retry_after": 7},
        {"on": "sobject.create", "do": "status", "status": 403, "nth": 2},
        {"on": "sobject.create", "do": "status", "status": 500, "nth": 3, "body": [{"errorCode": "X", "message": "y"}]},
        {"on": "sobject.create", "do": "status", "status": 420, "nth": 4},
        {"on": "sobject.create", "do": "status", "status": 401, "nth": 5},
    ]
    assert _admin(crm, "PUT", "faults", script).status_code == 200
    answers = [crm.request("POST", "/sobjects/Account", json={"Name": "A"}) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [503, 403, 500, 420, 401, 201]
    assert (answers[0].headers["Retry-After"], answers[0].text[:6]) == ("7", "<html>")
    assert answers[1].json() == [{"message": "TotalRequests Limit exceeded.", "errorCode": "REQUEST_LIMIT_EXCEEDED"}]
    assert answers[2].json()[0]["errorCode"] == "X"
    assert answers[3].content == b""
    assert len(crm.org.rows("Account")) == 1


def test_items_of_a_collection_can_fail(crm: Crm) -> None:
    """A rule fails single items of a batch with UNABLE_TO_LOCK_ROW or what it says."""
    crm.emulator.faults.on("collections.create", "item", item=[0, 2])
    records = [{"attributes": {"type": "Account"}, "Name": str(number)} for number in range(3)]
    results = crm.request("POST", "/composite/sobjects", json={"records": records}).json()
    assert [result["success"] for result in results] == [False, True, False]
    assert results[0]["errors"][0]["statusCode"] == "UNABLE_TO_LOCK_ROW"


def test_somebody_edits_in_between(crm: Crm) -> None:
    """After the n-th call the change happens to what the call was about: a new version, a lost parent, a new share."""
    account, other = crm.account(), crm.account()
    one, two = crm.file(account), crm.file(account)
    faults = crm.emulator.faults
    faults.on("blob.get", "edit", nth=1, change={"action": "new_version", "body": "newer"})
    faults.on("blob.get", "edit", nth=2, change={"action": "link", "to": other})
    faults.on("blob.get", "edit", nth=3, change={"action": "delete_parent"})
    faults.on("blob.get", "edit", nth=4, change={"action": "expire_sessions"})
    assert _blob(crm, one.version_ids[0]).content == b"bytes"
    assert len(crm.rows(f"SELECT Id FROM ContentVersion WHERE ContentDocumentId = '{one.document_id}'")) == 2
    assert _blob(crm, two.version_ids[0]).status_code == 200
    assert len(crm.rows(f"SELECT Id FROM ContentDocumentLink WHERE LinkedEntityId = '{other}'")) == 1
    _blob(crm, two.version_ids[0])
    assert (crm.org.get(account) or {})["IsDeleted"]
    assert _blob(crm, two.version_ids[0]).status_code == 200
    assert _blob(crm, two.version_ids[0]).status_code == 401


def test_probability_follows_the_seed() -> None:
    """The same seed fires at the same calls."""

    def fired() -> list[bool]:
        faults = Faults()
        faults.load({"seed": 5, "rules": [{"on": "*", "do": "status", "probability": 0.5}]})
        return [bool(faults.hit("x")) for _ in range(20)]

    assert fired() == fired()
    assert len(set(fired())) == 2


def test_nth_every_and_times() -> None:
    """nth fires once, nth with times from there on, every again and again."""
    faults = Faults()
    script = [{"nth": 2}, {"nth": 2, "times": 2}, {"every": 2}, {"times": 1}]
    faults.load([{"on": "a.*", "do": "delay", **rule} for rule in script])
    assert [len(faults.hit("a.b")) for _ in range(4)] == [1, 3, 1, 1]
    assert faults.hit("b.a") == []


@pytest.mark.parametrize("rule", [{"on": "x", "do": "explode"}, {"on": "x"}, {"on": "x", "do": "delay", "when": 1}])
def test_a_wrong_script_is_refused(crm: Crm, rule: dict[str, Any]) -> None:
    """A script with an unknown act or key, or without one, is a 400 and changes nothing."""
    answer = _admin(crm, "PUT", "faults", [rule])
    assert answer.status_code == 400
    assert crm.emulator.faults.rules == []


def test_a_script_can_be_yaml(tmp_path: Path) -> None:
    """A fault file may be YAML or JSON."""
    rules = tmp_path / "faults.yaml"
    rules.write_text("seed: 3\nrules:\n  - {on: query, do: status, status: 503}\n")
    faults = Faults()
    faults.load_file(rules)
    assert faults.rules[0].status == 503
    rules.write_text(json.dumps([{"on": "query", "do": "delay", "seconds": 1}]))
    faults.load_file(rules)
    assert faults.rules[0].seconds == 1


def test_requests_are_counted_by_operation(crm: Crm) -> None:
    """Each operation has a stable name; inner ones are apart; admin calls are not counted; reset empties."""
    _admin(crm, "POST", "requests/reset")
    account = crm.account()
    (
        crm.get(f"/sobjects/Account/{account}"),
        crm.query("SELECT Id FROM Account"),
        crm.get("/services/data"),
        crm.get("/nope"),
    )
    crm.composite({"method": "GET", "url": "/services/data/v66.0/limits", "referenceId": "l"})
    assert _admin(crm, "GET", "requests").json() == {
        "outer": {"sobject.get": 1, "query": 1, "versions": 1, "unknown": 1, "composite": 1},
        "inner": {"limits": 1},
        "total": 5,
    }
    _admin(crm, "POST", "requests/reset")
    assert _admin(crm, "GET", "requests").json()["total"] == 0


def test_snapshots_bring_everything_back(crm: Crm) -> None:
    """A named snapshot restores rows, options and limits; an unknown name is 404; reset goes back to the start."""
    account = crm.account()
    assert _admin(crm, "POST", "snapshot", {"name": "one"}).status_code == 200
    crm.org.delete(account)
    crm.options(communities=False)
    assert _admin(crm, "POST", "restore", {"name": "one"}).status_code == 200
    assert _admin(crm, "GET", "state").json()["Account"] == {"live": 1, "deleted": 0}
    assert crm.org.options.communities is True
    assert _admin(crm, "POST", "restore", {"name": "none"}).status_code == 404
    assert _admin(crm, "POST", "restore", {"name": "../x"}).status_code == 400
    assert _admin(crm, "POST", "reset").status_code == 200
    assert "Account" not in _admin(crm, "GET", "state").json()


def test_admin_calls_change_the_org(crm: Crm) -> None:
    """Options, users, shares, edits and time can be set from another process."""
    assert _admin(crm, "GET", "health").json() == {"ok": True}
    assert _admin(crm, "PUT", "options", {"edition": "Developer Edition"}).status_code == 200
    assert crm.get("/limits").headers["Sforce-Limit-Info"].endswith("/15000")
    assert _admin(crm, "PUT", "options", {"colour": 1}).status_code == 400
    user = _admin(crm, "POST", "users", {"username": "n@example.com", "permissions": ["ViewAllData"]}).json()["id"]
    account = crm.account()
    assert _admin(crm, "POST", "shares", {"record": account, "user": user, "level": "Edit"}).status_code == 200
    assert _admin(crm, "POST", "edit", {"action": "delete", "id": account}).status_code == 200
    assert _admin(crm, "POST", "edit", {"action": "dance"}).status_code == 400
    assert _admin(crm, "PUT", "latency", {"ms": 1}).status_code == 200
    assert _admin(crm, "GET", "latency").json() == {"ms": 1.0}
    assert _admin(crm, "POST", "advance", {"seconds": 8000}).status_code == 200
    assert crm.get("/limits").status_code == 401
    assert _admin(crm, "POST", "nothing").status_code == 404
