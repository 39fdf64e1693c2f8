"""Microsoft's own Python client, unchanged, against the emulator."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from azure.identity import ClientSecretCredential
from PowerPlatform.Dataverse import col
from PowerPlatform.Dataverse.client import DataverseClient
from PowerPlatform.Dataverse.core.errors import HttpError

from tests.integration.dynamics365_emulator.conftest import NOON, Crm


@pytest.fixture
def client(crm: Crm, monkeypatch: pytest.MonkeyPatch) -> Iterator[DataverseClient]:
    """The client as its user starts it: with a credential of azure-identity and the CA bundle in the environment."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(crm.emulator.ca_file))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    credential = ClientSecretCredential(
        crm.emulator.tenant,
        crm.emulator.client_id,
        crm.emulator.app.auth.client_secret,
        authority=crm.emulator.url,
        disable_instance_discovery=True,
    )
    with credential, DataverseClient(crm.emulator.url, credential) as client:
        yield client


def test_one_record_lives_and_dies(client: DataverseClient) -> None:
    """Create, retrieve, update and delete one record; what is gone is None."""
    made = client.records.create("account", {"name": "Contoso", "telephone1": "555-0100"})
    client.records.update("account", made, {"telephone1": "555-0199"})
    found = client.records.retrieve("account", made, select=["name", "telephone1"])
    assert found is not None
    assert (found["name"], found["telephone1"]) == ("Contoso", "555-0199")
    client.records.delete("account", made)
    assert client.records.retrieve("account", made, select=["name"]) is None


def test_many_records_at_once(crm: Crm, client: DataverseClient) -> None:
    """CreateMultiple, UpdateMultiple (one change for all, and one each) and BulkDelete."""
    # the client asks for a deletion that starts now, by its own clock
    crm.org.shift = datetime.now(UTC) - NOON + timedelta(hours=1)
    made = client.records.create("account", [{"name": f"A{number}"} for number in range(5)])
    client.records.update("account", made, {"description": "same"})
    client.records.update("account", made[:2], [{"name": "B0"}, {"name": "B1"}])
    rows = client.records.list("account", filter="description eq 'same'", select=["name"], orderby=["name"])
    assert [row["name"] for row in rows] == ["A2", "A3", "A4", "B0", "B1"]
    job = client.records.delete("account", made[:3])
    found = client.records.retrieve("asyncoperation", str(job), select=["statecode", "statuscode"])
    assert found is not None
    assert (found["statecode"], found["statuscode"]) == (3, 30)
    assert {row["accountid"] for row in client.records.list("account", select=["name"])} == set(made[3:])
    assert crm.emulator.counters.outer["bulkdelete"] == 1


def test_pages_and_the_query_builder(client: DataverseClient) -> None:
    """Pages follow each other without loss, and filters, orders, expansions and counts come as asked."""
    parent = client.records.create("account", {"name": "Parent"})
    client.records.create(
        "contact",
        [{"lastname": f"C{number:02}", "address1_country": "DE" if number % 2 else "FR"} for number in range(12)],
    )
    pages = list(client.records.list_pages("contact", select=["lastname"], orderby=["lastname"], page_size=5))
    assert [len(list(page)) for page in pages] == [5, 5, 2]
    assert [row["lastname"] for page in pages for row in page] == [f"C{number:02}" for number in range(12)]
    built: Any = (
        client.query.builder("contact")
        .select("lastname", "address1_country")
        .where((col("address1_country") == "DE") & (col("lastname") > "C04"))
        .order_by("lastname", descending=True)
        .top(2)
        .execute()
    )
    assert [row["lastname"] for row in built] == ["C11", "C09"]
    child = client.records.create("account", {"name": "Child", "parentaccountid@odata.bind": f"/accounts({parent})"})
    found = client.records.retrieve("account", child, select=["name"], expand=["parentaccountid"])
    assert found is not None
    assert found["parentaccountid"]["name"] == "Parent"


def test_a_batch_with_change_sets(client: DataverseClient) -> None:
    """Single operations and a change set whose later parts refer to earlier ones, in one request."""
    batch = client.batch.new()
    batch.records.create("account", {"name": "Alone"})
    with batch.changeset() as changes:
        lead = changes.records.create("account", {"name": "Lead"})
        changes.records.update("account", lead, {"description": "set by reference"})
        changes.records.create("contact", {"lastname": "Doe", "parentcustomerid_account@odata.bind": lead})
    batch.records.list("account", select=["name", "description"], orderby=["name"])
    result = batch.execute()
    assert [response.status_code for response in result.responses] == [204, 204, 204, 204, 200]
    assert [response.content_id for response in result.responses][1:4] == ["1", "2", "3"]
    rows = (result.responses[-1].data or {})["value"]
    assert [(row["name"], row["description"]) for row in rows] == [("Alone", None), ("Lead", "set by reference")]
    contact = client.records.list("contact", select=["_parentcustomerid_value"]).first()
    assert contact is not None
    assert contact["_parentcustomerid_value"] == result.responses[1].entity_id


def test_a_failing_change_set_is_rolled_back(client: DataverseClient) -> None:
    """Of a failing change set only the failure is answered, nothing of it stays, and the batch goes on if asked to."""
    batch = client.batch.new()
    with batch.changeset() as changes:
        changes.records.create("account", {"name": "Never"})
        changes.records.update("account", "11111111-2222-3333-4444-555555555555", {"name": "Nobody"})
    batch.records.create("account", {"name": "After"})
    result = batch.execute(continue_on_error=True)
    assert [response.status_code for response in result.responses] == [404, 204]
    assert result.responses[0].error_code == "0x80040217"
    assert [row["name"] for row in client.records.list("account", select=["name"])] == ["After"]


def test_a_batch_stops_at_the_first_error(client: DataverseClient) -> None:
    """Without continue-on-error what comes after the failure is not done."""
    batch = client.batch.new()
    batch.records.create("account", {"name": "First"})
    batch.records.create("account", {"no_such_column": 1})
    batch.records.create("account", {"name": "Third"})
    result = batch.execute()
    assert [response.status_code for response in result.responses] == [204, 400]
    assert [row["name"] for row in client.records.list("account", select=["name"])] == ["First"]


def test_definitions_in_a_batch(client: DataverseClient) -> None:
    """A batch asks for tables, with blanks in the URL of a part, and makes one."""
    batch = client.batch.new()
    batch.tables.get("account")
    batch.tables.create("new_Ticket", {"new_Seat": "string"})
    result = batch.execute()
    assert [response.status_code for response in result.responses] == [200, 200]
    assert (result.responses[0].data or {})["value"][0]["EntitySetName"] == "accounts"
    assert client.tables.get("new_Ticket") is not None


def test_upserts_by_alternate_key(client: DataverseClient) -> None:
    """One and several upserts create what is missing and change what is there."""
    key = {"new_number": "S-1"}
    client.records.upsert("new_shipment", [{"alternate_key": key, "record": {"new_name": "made"}}])
    client.records.upsert("new_shipment", [{"alternate_key": key, "record": {"new_name": "changed"}}])
    client.records.upsert(
        "new_shipment",
        [
            {"alternate_key": {"new_number": number}, "record": {"new_name": f"many {number}"}}
            for number in ("S-1", "S-2")
        ],
    )
    rows = client.records.list("new_shipment", select=["new_name", "new_number"], orderby=["new_number"])
    assert [(row["new_number"], row["new_name"]) for row in rows] == [("S-1", "many S-1"), ("S-2", "many S-2")]


@pytest.mark.parametrize("mode", ["small", "chunk"])
def test_files_go_into_a_file_column(crm: Crm, client: DataverseClient, tmp_path: Path, mode: str) -> None:
    """A file goes up whole or in chunks, only into an empty column unless told to overwrite."""
    crm.protocol(block_bytes=1024)
    shipment = client.records.create("new_shipment", {"new_name": "with file"})
    path = tmp_path / "packing list.pdf"
    path.write_bytes(bytes(range(256)) * 18)
    client.files.upload("new_shipment", shipment, "new_contract", str(path), mode=mode)
    held = crm.org.file_of("new_shipment", shipment, "new_contract")
    assert held is not None
    assert b"".join(crm.org.chunks(held["_body"])) == path.read_bytes()
    assert held["filename"] == "packing list.pdf"
    with pytest.raises(HttpError) as refused:
        client.files.upload("new_shipment", shipment, "new_contract", str(path), mode=mode)
    assert refused.value.status_code == 412
    client.files.upload("new_shipment", shipment, "new_contract", str(path), mode=mode, if_none_match=False)


def test_tables_and_columns_come_and_go(client: DataverseClient) -> None:
    """A custom table is made, described, changed, used and deleted."""
    made = client.tables.create("new_Ticket", {"new_Seat": "string", "new_Price": "decimal", "new_Scan": "file"})
    assert made["entity_set_name"] == "new_tickets"
    client.tables.add_columns("new_Ticket", {"new_Row": "int"})
    client.tables.create_alternate_key("new_Ticket", "new_SeatKey", ["new_seat"])
    assert [key.schema_name for key in client.tables.get_alternate_keys("new_Ticket")] == ["new_SeatKey"]
    ticket = client.records.create("new_ticket", {"new_name": "T", "new_seat": "12A", "new_row": 12})
    row = client.records.retrieve("new_ticket", ticket, select=["new_seat", "new_row"])
    assert row is not None
    assert (row["new_seat"], row["new_row"]) == ("12A", 12)
    client.tables.remove_columns("new_Ticket", ["new_Row"])
    names = {column["LogicalName"] for column in client.tables.list_columns("new_Ticket", select=["LogicalName"])}
    assert {"new_seat", "new_scan", "new_ticketid"} <= names
    assert "new_row" not in names
    client.tables.delete("new_Ticket")
    assert client.tables.get("new_Ticket") is None


def test_relationships(client: DataverseClient) -> None:
    """A lookup is made between two tables, used, found and deleted."""
    made = client.tables.create_lookup_field("new_shipment", "new_CarrierId", "account", display_name="Carrier")
    account = client.records.create("account", {"name": "Carrier"})
    client.records.create("new_shipment", {"new_name": "S", "new_CarrierId@odata.bind": f"/accounts({account})"})
    row = client.records.list("new_shipment", select=["_new_carrierid_value"]).first()
    assert row is not None
    assert row["_new_carrierid_value"] == account
    assert client.tables.get_relationship(made.relationship_schema_name) is not None
    client.tables.delete_relationship(str(made.relationship_id))
    assert client.tables.get_relationship(made.relationship_schema_name) is None


def test_fetchxml_in_pages(client: DataverseClient) -> None:
    """FetchXML with a small page size gives every row once, by its paging cookie."""
    client.records.create("account", [{"name": f"A{number}"} for number in range(7)])
    fetch = '<fetch count="3"><entity name="account"><attribute name="name"/><order attribute="name"/></entity></fetch>'
    pages = list(client.query.fetchxml(fetch).execute_pages())
    assert [len(page.records) for page in pages] == [3, 3, 1]
    assert [row["name"] for page in pages for row in page] == [f"A{number}" for number in range(7)]


def test_errors_carry_the_code_of_the_service(client: DataverseClient) -> None:
    """A refused call raises the client's error with the service's code, message and request id."""
    with pytest.raises(HttpError) as refused:
        client.records.create("annotation", {"subject": "x", "filename": "run.exe", "documentbody": "AAAA"})
    assert refused.value.details["service_error_code"] == "0x80043e09"
    assert refused.value.status_code == 400
    assert refused.value.details["service_request_id"]
