"""Scripted faults, changes by somebody else, admin calls, restart."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests

from offloader_connectors.dynamics365.emulator.emulator import DynamicsEmulator
from offloader_connectors.dynamics365.emulator.org import Org
from tests.integration.dynamics365_emulator.conftest import Crm, encoded, part


@pytest.mark.parametrize(
    ("status", "code", "json_body"),
    [(429, "0x80072322", True), (500, "0x80044150", True), (503, "", False), (502, "", False), (413, "", False)],
)
def test_a_status_looks_as_it_usually_does(crm: Crm, status: int, code: str, json_body: bool) -> None:
    """API errors are JSON with their usual code, front-end failures are HTML pages; both leave nothing done."""
    crm.emulator.faults.on("create.account", "status", status=status, retry_after=5, times=1)
    answer = crm.post("accounts", {"name": "x"})
    assert answer.status_code == status
    assert answer.headers["Retry-After"] == "5"
    if json_body:
        assert crm.error(answer)[1] == code
    else:
        assert answer.headers["Content-Type"].startswith("text/html")
    assert list(crm.org.rows("account")) == []


def test_other_shapes_of_errors(crm: Crm) -> None:
    """A script can answer `{"Message": …}`, plain text, and Retry-After as a date."""
    crm.emulator.faults.on("whoami", "status", status=500, body={"Message": "An error has occurred."}, times=1)
    assert crm.get("WhoAmI").json() == {"Message": "An error has occurred."}
    date = "Sun, 01 Mar 2026 12:00:09 GMT"
    crm.emulator.faults.on("whoami", "status", status=429, headers={"Retry-After": date}, times=1)
    assert crm.get("WhoAmI").headers["Retry-After"] == date


def test_an_answer_is_lost_after_the_act(crm: Crm) -> None:
    """The row is changed although the connection was cut."""
    account = crm.account()
    crm.emulator.faults.on("patch.account", "drop_after_commit", times=1)
    with pytest.raises(requests.ConnectionError):
        crm.patch(f"accounts({account})", {"name": "New"}, If_Match="*")
    row = crm.org.get("account", account)
    assert row is not None
    assert row["name"] == "New"


@pytest.mark.parametrize("clean", [True, False])
def test_a_list_with_bodies_is_cut_short(crm: Crm, clean: bool) -> None:
    """Half of the JSON arrives: with an orderly end, or with a broken connection."""
    crm.note(crm.account(), body=b"x" * 3_000_000)
    crm.emulator.faults.on("list.annotation", "truncate", clean=clean)
    answer = crm.request("GET", "annotations?$select=documentbody", stream=True)
    if clean:
        with pytest.raises(requests.JSONDecodeError):
            answer.json()
    else:
        with pytest.raises(requests.RequestException):
            answer.content  # noqa: B018


def test_one_bit_of_a_download_is_wrong(crm: Crm) -> None:
    """A corrupted download has the length of the body and other bytes."""
    note = crm.note(crm.account(), body=b"x" * 300_000)
    path = f"GetFileSasUrl(Target=@p1,FileAttributeName='')?@p1={{'@odata.id':'annotations({note})'}}"
    url = crm.get(path).json()["Result"]["SasUrl"]
    crm.emulator.faults.on("storage.get", "corrupt", times=1)
    damaged = crm.anonymous().get(url).content
    assert (len(damaged), damaged == b"x" * 300_000) == (300_000, False)
    crm.emulator.faults.on("storage.get", "status", status=503, times=1)
    assert "<Code>ServerBusy</Code>" in crm.anonymous().get(url).text
    assert crm.anonymous().get(url).content == b"x" * 300_000


def test_somebody_edits_what_a_list_was_about(crm: Crm) -> None:
    """A change after the n-th list hits the row that the script names by its number, so that the old etag is stale."""
    notes = [crm.note(crm.account()) for _ in range(2)]
    crm.emulator.faults.on("list.annotation", "edit", change={"body": "edited", "subject": 1}, times=1)
    rows = crm.rows("annotations", **{"$select": "filename"})
    stale, fresh = rows[1], rows[0]
    assert {stale["annotationid"], fresh["annotationid"]} == set(notes)
    refused = crm.patch(f"annotations({stale['annotationid']})", {"subject": "x"}, If_Match=stale["@odata.etag"])
    assert refused.status_code == 412
    done = crm.patch(f"annotations({fresh['annotationid']})", {"subject": "x"}, If_Match=fresh["@odata.etag"])
    assert done.status_code == 204
    assert crm.get(f"annotations({stale['annotationid']})/documentbody/$value").text == encoded(b"edited")


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"update": {"fields": {"subject": "by hand"}}}, 412),
        ({"delete": {}}, 404),
        ({"retain": {}}, 404),
    ],
)
def test_changes_inside_a_batch(crm: Crm, change: dict[str, Any], status: int) -> None:
    """A change after one inner operation is seen by the next one of the same batch."""
    note = crm.note(crm.account())
    path = f"/api/data/v9.2/annotations({note})"
    crm.emulator.faults.on("get.annotation", "edit", change=change, times=1)
    patch = part("PATCH", path, '{"subject": "ours"}', If_Match=crm.etag("annotation", note))
    answer = crm.batch(part("GET", f"{path}?$select=subject"), patch, Prefer="odata.continue-on-error")
    assert f"HTTP/1.1 {status} " in answer.text


def test_a_batch_is_about_what_its_operations_are_about(crm: Crm) -> None:
    """A change after a whole batch finds the row of its n-th operation."""
    one, two = crm.note(crm.account()), crm.note(crm.account())
    crm.emulator.faults.on("batch", "edit", change={"delete": {}, "subject": 1}, times=1)
    paths = [f"/api/data/v9.2/annotations({note})?$select=subject" for note in (one, two)]
    assert crm.batch(*(part("GET", path) for path in paths)).status_code == 200
    assert crm.org.get("annotation", one) is not None
    assert crm.org.get("annotation", two) is None


def test_a_file_column_and_a_share_are_edited(crm: Crm) -> None:
    """The changes `body` with a column, `share` and `insert` do what they say; an unknown one is refused."""
    user = crm.org.user(username="u@example.com", roles=("Basic User",))
    account = crm.account()
    edit = f"{crm.emulator.url}/_emulator/edit"
    row = {"table": "account", "id": account}
    assert crm.session.post(edit, json={"body": "file", "column": "new_dossier", **row}).status_code == 200
    assert crm.session.post(edit, json={"share": {**row, "user": user, "rights": ["ReadAccess"]}}).status_code == 200
    assert crm.session.post(edit, json={"insert": {"table": "account", "fields": {"name": "new"}}}).status_code == 200
    assert crm.session.post(edit, json={"explode": {}}).status_code == 400
    assert crm.get(f"accounts({account})/new_dossier/$value").content == b"file"
    assert crm.org.shares(account) == {user: ["ReadAccess"]}
    assert len(list(crm.org.rows("account"))) == 2


def test_admin_calls(crm: Crm) -> None:
    """Options, users, tokens, time and the reset are reached over HTTP without a token."""
    admin, plain = f"{crm.emulator.url}/_emulator", crm.anonymous()
    assert plain.put(f"{admin}/options", json={"max_upload": 1234}).status_code == 200
    assert plain.get(f"{admin}/options").json()["max_upload"] == 1234
    assert plain.put(f"{admin}/protocol", json={"parallelism": 3}).status_code == 200
    assert crm.get("organizations").json()["value"][0]["maxuploadfilesize"] == 1234
    user = plain.post(f"{admin}/users", json={"username": "a@example.com", "roles": ["Reader"]}).json()["id"]
    token = plain.post(f"{admin}/token", json={"user": user}).json()["access_token"]
    answer = plain.get(f"{crm.base}WhoAmI", headers={"Authorization": f"Bearer {token}"})
    assert (answer.json()["UserId"], answer.headers["x-ms-dop-hint"]) == (user, "3")
    assert plain.get(f"{admin}/requests").json()["outer"] == {"list.organization": 1, "whoami": 1}
    plain.post(f"{admin}/advance", json={"seconds": 3600})
    assert crm.get("WhoAmI").status_code == 401
    assert plain.post(f"{admin}/reset").status_code == 200
    assert plain.get(f"{admin}/options").json()["max_upload"] == 131_072_000
    assert plain.get(f"{admin}/protocol").json()["parallelism"] == 16
    assert plain.get(f"{admin}/witness").json()["documents"] == []


def test_a_restart_goes_on(tmp_path: Path) -> None:
    """After a restart on the same directory, rows, bodies, tokens, secrets and addresses are as before."""
    org = Org(tmp_path, now=lambda: datetime(2026, 3, 1, tzinfo=UTC))
    first = DynamicsEmulator(org)
    crm = Crm(first)
    note = crm.note(crm.account(), body=b"kept")
    first.protocol = first.protocol.changed({"parallelism": 5})
    url, storage, token, options = first.url, first.storage_url, first.token(), first.source_options
    crm.session.close()
    first.close()
    second = DynamicsEmulator(Org(tmp_path, now=lambda: datetime(2026, 3, 1, tzinfo=UTC)))
    try:
        assert (second.url, second.storage_url, second.source_options) == (url, storage, options)
        crm = Crm(second)
        crm.session.headers["Authorization"] = f"Bearer {token}"
        answer = crm.get(f"annotations({note})/documentbody/$value")
        assert (answer.text, answer.headers["x-ms-dop-hint"]) == (encoded(b"kept"), "5")
        crm.session.close()
    finally:
        second.close()


def test_a_script_from_a_file(tmp_path: Path) -> None:
    """A fault file is in force from the first call."""
    script = tmp_path / "faults.json"
    script.write_text(json.dumps([{"on": "oidc", "do": "status", "status": 503}]))
    emulator = DynamicsEmulator(Org(tmp_path / "org", now=lambda: datetime(2026, 3, 1, tzinfo=UTC)), faults=script)
    try:
        crm = Crm(emulator)
        url = f"{emulator.url}/{emulator.tenant}/v2.0/.well-known/openid-configuration"
        assert crm.anonymous().get(url).status_code == 503
        crm.session.close()
    finally:
        emulator.close()
