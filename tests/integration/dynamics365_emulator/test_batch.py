"""$batch: order, stopping, change sets, limits, faults of single operations."""

from __future__ import annotations

import pytest

from tests.integration.dynamics365_emulator.conftest import Crm, change_set, encoded, part, statuses

ROOT = "/api/data/v9.2/"
GO_ON = {"Prefer": "odata.continue-on-error"}
NOBODY = "11111111-2222-3333-4444-555555555555"


def test_operations_are_answered_in_order(crm: Crm) -> None:
    """Reads and writes of one batch see each other, and each has its own status, headers and body."""
    account = crm.account()
    answer = crm.batch(
        part("PATCH", f"{ROOT}accounts({account})", '{"name": "New"}', If_Match="*"),
        part("GET", f"{ROOT}accounts({account})?$select=name"),
        part("DELETE", f"{crm.base}accounts({account})"),
    )
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("multipart/mixed; boundary=batchresponse_")
    assert statuses(answer) == [204, 200, 204]
    assert f"OData-EntityId: {crm.base}accounts({account})" in answer.text
    assert "Content-Type: application/json; odata.metadata=minimal; odata.streaming=true" in answer.text
    assert '"name":"New"' in answer.text
    assert crm.emulator.counters.inner == {"patch.account": 1, "get.account": 1, "delete.account": 1}
    assert crm.emulator.counters.outer == {"batch": 1}


def test_a_failure_stops_the_batch_unless_told_to_go_on(crm: Crm) -> None:
    """Without continue-on-error the batch has the failure's status and ends there; with it, 200 and all parts."""
    parts = [part("POST", f"{ROOT}accounts", '{"name": "a"}'), part("GET", f"{ROOT}accounts({NOBODY})")]
    parts.append(part("POST", f"{ROOT}accounts", '{"name": "c"}'))
    stopped = crm.batch(*parts)
    assert (stopped.status_code, list(statuses(stopped))) == (404, [204, 404])
    went_on = crm.batch(*parts, **GO_ON)
    assert (went_on.status_code, list(statuses(went_on))) == (200, [204, 404, 204])
    assert "REQ_ID: " in went_on.text


def test_a_server_may_ignore_continue_on_error(crm: Crm) -> None:
    """A front end that does not heed the preference stops at the first failure."""
    crm.protocol(continue_on_error=False)
    get = part("GET", f"{ROOT}accounts({NOBODY})")
    assert list(statuses(crm.batch(get, get, **GO_ON))) == [404]


def test_a_change_set_is_all_or_none(crm: Crm) -> None:
    """A failing change set leaves nothing, and answers with one part inside a change set's boundary."""
    account = crm.account()
    answer = crm.batch(
        change_set(
            part("PATCH", f"{ROOT}accounts({account})", '{"name": "New"}', content_id="1"),
            part("PATCH", f"{ROOT}accounts({NOBODY})", '{"name": "x"}', content_id="2", If_Match="*"),
        ),
        part("GET", f"{ROOT}accounts({account})?$select=name"),
        **GO_ON,
    )
    assert list(statuses(answer)) == [404, 200]
    assert "--changesetresponse_" in answer.text
    assert '"name":"Acme"' in answer.text


def test_content_ids_refer_to_earlier_operations(crm: Crm) -> None:
    """`$1` stands for what operation 1 made, as URL and as value; an unknown one is refused."""
    answer = crm.batch(
        change_set(
            part("POST", f"{ROOT}accounts", '{"name": "New"}', content_id="1"),
            part("PATCH", "$1", '{"description": "by reference"}', content_id="2"),
            part("POST", f"{ROOT}contacts", '{"parentcustomerid_account@odata.bind": "$1"}', content_id="3"),
        )
    )
    assert list(statuses(answer)) == [204, 204, 204]
    assert [f"Content-ID: {number}" in answer.text for number in (1, 2, 3)] == [True] * 3
    (row,) = crm.rows(
        "accounts", **{"$select": "description", "$expand": "contact_customer_accounts($select=fullname)"}
    )
    assert row["description"] == "by reference"
    assert len(row["contact_customer_accounts"]) == 1
    unknown = crm.batch(change_set(part("PATCH", "$7", "{}", content_id="1")))
    assert "Content-ID Reference: '$7' does not exist in the batch context." in unknown.text
    assert unknown.status_code == 400


@pytest.mark.parametrize(
    "inner",
    [
        part("GET", f"{ROOT}accounts", content_id="1"),
        part("POST", f"{ROOT}accounts", "{}"),
    ],
)
def test_what_a_change_set_cannot_hold(crm: Crm, inner: str) -> None:
    """A read, or an operation without Content-ID, makes the whole batch wrong."""
    assert crm.error(crm.batch(change_set(inner)))[0] == 400


def test_at_most_a_thousand_operations(crm: Crm) -> None:
    """The thousand-and-first operation makes the whole batch wrong."""
    one = part("GET", f"{ROOT}WhoAmI")
    assert len(statuses(crm.batch(*[one] * 1000))) == 1000
    assert crm.error(crm.batch(*[one] * 1001))[0] == 400


def test_lines_end_in_crlf(crm: Crm) -> None:
    """Bare line feeds, a missing last boundary and a wrong content type are refused with plain JSON."""
    body = f"--b\r\n{part('GET', f'{ROOT}WhoAmI')}\r\n--b--\r\n"
    kind = {"Content-Type": "multipart/mixed; boundary=b"}
    for data, headers in (
        (body.replace("\r\n", "\n"), kind),
        (body.replace("--b\r\n", "--b\n", 1), kind),
        (body.removesuffix("--b--\r\n"), kind),
        (body, {"Content-Type": "application/json"}),
    ):
        answer = crm.request("POST", "$batch", data=data, headers=headers)
        assert crm.error(answer)[:2] == (400, "0x80048d19")
    assert crm.request("POST", "$batch", data=body, headers=kind).status_code == 200


def test_no_batch_in_a_batch(crm: Crm) -> None:
    """A batch cannot hold a batch."""
    assert list(statuses(crm.batch(part("POST", f"{ROOT}$batch", "")))) == [400]


def test_each_part_has_its_own_preferences(crm: Crm) -> None:
    """Annotations asked for by the whole batch do not reach its parts; those of a part do."""
    get = f"{ROOT}accounts({crm.account()})?$select=statecode"
    annotated = {"Prefer": 'odata.include-annotations="*"'}
    assert "FormattedValue" not in crm.batch(part("GET", get), **annotated).text
    assert "FormattedValue" in crm.batch(part("GET", get, **annotated)).text


def test_large_bodies_come_through_a_batch(crm: Crm) -> None:
    """A part that reads a body of some megabytes is whole, between the parts around it."""
    data = bytes(range(256)) * 9000
    note, account = crm.note(crm.account(), body=data), crm.account()
    answer = crm.batch(
        part("GET", f"{ROOT}accounts({account})?$select=name"),
        part("GET", f"{ROOT}annotations({note})?$select=documentbody"),
        part("GET", f"{ROOT}annotations({note})/documentbody/$value"),
    )
    assert list(statuses(answer)) == [200, 200, 200]
    assert answer.text.count(encoded(data)) == 2
    assert answer.text.endswith("--\r\n")


def test_single_parts_fail_by_script(crm: Crm) -> None:
    """A rule on an inner operation fails that part only; one on the batch fails the parts it numbers."""
    account = crm.account()
    patch = part("PATCH", f"{ROOT}accounts({account})", '{"name": "x"}')
    crm.emulator.faults.on("patch.account", "status", nth=2, status=503)
    assert list(statuses(crm.batch(patch, patch, patch, **GO_ON))) == [204, 503, 204]
    crm.emulator.faults.clear()
    crm.emulator.faults.on(
        "batch", "item", item=[1, 2], status=429, code="0x80072322", message="too many", retry_after=7
    )
    answer = crm.batch(patch, patch, patch, **GO_ON)
    assert list(statuses(answer)) == [204, 429, 429]
    assert answer.text.count("Retry-After: 7") == 2


def test_get_file_sas_url_in_a_batch(crm: Crm) -> None:
    """Download addresses of many notes come with one request."""
    notes = [crm.note(crm.account(), body=bytes([number])) for number in range(3)]
    path = f"{ROOT}GetFileSasUrl(Target=@p1,FileAttributeName='')?@p1={{'@odata.id':'annotations(%s)'}}"
    answer = crm.batch(*(part("GET", (path % note).replace(" ", "%20")) for note in notes))
    assert list(statuses(answer)) == [200, 200, 200]
    assert answer.text.count('"SasUrl":') == 3
    assert crm.emulator.counters.inner["sas"] == 3
