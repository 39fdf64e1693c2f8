"""Plain simple-salesforce, unchanged, against the emulator."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest
import requests
from requests.adapters import HTTPAdapter
from simple_salesforce import Salesforce
from simple_salesforce.exceptions import (
    SalesforceExpiredSession,
    SalesforceMalformedRequest,
    SalesforceResourceNotFound,
)

from tests.integration.salesforce_emulator.conftest import Crm


class ToEmulator(HTTPAdapter):
    """Sends what is meant for a My Domain host to the emulator."""

    def __init__(self, url: str) -> None:
        self._netloc = urlsplit(url).netloc
        super().__init__()

    def send(self, request: requests.PreparedRequest, *args: Any, **keys: Any) -> requests.Response:
        parts = urlsplit(str(request.url))
        request.headers.setdefault("Host", parts.netloc)
        request.url = urlunsplit(("https", self._netloc, parts.path, parts.query, ""))
        return super().send(request, *args, **keys)


@pytest.fixture
def session(crm: Crm) -> requests.Session:
    session = requests.Session()
    session.trust_env = False
    session.verify = str(crm.emulator.ca_file)
    for host in ("acme.my", "login", "test"):
        session.mount(f"https://{host}.salesforce.com", ToEmulator(crm.emulator.url))
    return session


@pytest.fixture
def sf(crm: Crm, session: requests.Session) -> Salesforce:
    token = str(crm.session.headers["Authorization"]).partition(" ")[2]
    instance = crm.emulator.url.removeprefix("https://")
    return Salesforce(instance=instance, session_id=token, session=session, version="66.0")


def test_all_logins(crm: Crm, session: requests.Session, directory: Path) -> None:
    """JWT, client credentials, and user name with password and token each end in a working client."""
    key, user = crm.emulator.client_id, "integration@offloader.example"
    secret = (directory / "salesforce_client_secret").read_text()
    password = (directory / "salesforce_password").read_text()
    logins: list[dict[str, Any]] = [
        {
            "username": user,
            "consumer_key": key,
            "privatekey_file": str(directory / "salesforce_jwt.pem"),
            "domain": "login",
        },
        {"consumer_key": key, "consumer_secret": secret, "domain": "acme.my"},
        {"username": user, "password": password, "security_token": "", "domain": "login"},
        {"username": user, "password": password, "consumer_key": key, "consumer_secret": secret, "domain": "login"},
    ]
    for login in logins:
        if login["domain"] == "login":
            session.mount("https://login.salesforce.com", ToEmulator(crm.emulator.url))
        client = Salesforce(session=session, version="66.0", **login)
        assert client.query("SELECT COUNT() FROM Account")["totalSize"] == 0


def test_records(sf: Salesforce) -> None:
    """Create, get, update, upsert, delete, describe and metadata of an object."""
    made = sf.Account.create({"Name": "A", "External_Key__c": "k"})
    assert made["success"] is True
    assert sf.Account.get(made["id"])["Name"] == "A"
    assert sf.Account.get_by_custom_id("External_Key__c", "k")["Id"] == made["id"]
    assert sf.Account.update(made["id"], {"Name": "B"}) == 204
    assert sf.Account.upsert("External_Key__c/k", {"Name": "C"}) == 200
    assert sf.Account.upsert("External_Key__c/new", {"Name": "D"}) == 201
    assert sf.Account.describe()["keyPrefix"] == "001"
    assert sf.Account.metadata()["objectDescribe"]["name"] == "Account"
    assert sf.Account.delete(made["id"]) == 204
    with pytest.raises(SalesforceResourceNotFound):
        sf.Account.get(made["id"])
    with pytest.raises(SalesforceMalformedRequest) as caught:
        sf.Contact.create({})
    assert caught.value.content[0]["errorCode"] == "REQUIRED_FIELD_MISSING"


def test_queries(crm: Crm, sf: Salesforce) -> None:
    """query, query_all and query_more walk all pages."""
    with crm.org.store.transaction():
        for number in range(2100):
            crm.account(Name=f"n{number}")
    first = sf.query("SELECT Name FROM Account")
    assert (first["done"], len(first["records"])) == (False, 2000)
    assert len(sf.query_more(first["nextRecordsUrl"], identifier_is_url=True)["records"]) == 100
    assert sf.query_all("SELECT Name FROM Account")["totalSize"] == 2100
    assert sum(1 for _ in sf.query_all_iter("SELECT Name FROM Account", include_deleted=True)) == 2100


def test_collections_and_limits(crm: Crm, sf: Salesforce) -> None:
    """restful() reaches collections; limits, describe and api_usage are read."""
    records = [{"attributes": {"type": "Account"}, "Name": str(number)} for number in range(3)]
    made = sf.restful("composite/sobjects", method="POST", json={"allOrNone": False, "records": records})
    ids = ",".join(item["id"] for item in made)
    assert all(item["success"] for item in sf.restful("composite/sobjects", method="DELETE", params={"ids": ids}))
    assert sf.limits()["DailyApiRequests"]["Max"] == 200_000
    assert sf.api_usage["api-usage"].total == 200_000
    assert {entry["name"] for entry in sf.describe()["sobjects"]} >= {"Account", "ContentVersion"}
    assert sf.is_sandbox() is False


def test_bodies(crm: Crm, sf: Salesforce) -> None:
    """A body uploaded as base64 comes back as raw bytes."""
    made = sf.ContentVersion.create({"Title": "t", "PathOnClient": "a.txt", "VersionData": "aGVsbG8="})
    assert sf.ContentVersion.get_base64(made["id"], "VersionData") == b"hello"


def test_a_dead_session(crm: Crm, sf: Salesforce) -> None:
    """A session that ends is an expired session for the client."""
    crm.emulator.app.auth.expire_all()
    with pytest.raises(SalesforceExpiredSession):
        sf.query("SELECT Id FROM Account")


def test_bulk2(crm: Crm, sf: Salesforce) -> None:
    """Insert, query, update, upsert and delete through Bulk API 2.0."""
    made = sf.bulk2.Account.insert(
        records=[{"Name": f"n{number}", "External_Key__c": f"k{number}"} for number in range(20)], wait=0.01
    )
    assert made[0]["numberRecordsProcessed"] == 20
    assert made[0]["numberRecordsFailed"] == 0
    pages = list(sf.bulk2.Account.query("SELECT Id, Name FROM Account ORDER BY Name", max_records=15, wait=0.01))
    assert len(pages) == 2
    assert pages[0].splitlines()[0] == '"Id","Name"'
    upserted = sf.bulk2.Account.upsert(
        records=[{"External_Key__c": "k1", "Name": "up"}], external_id_field="External_Key__c", wait=0.01
    )
    assert upserted[0]["numberRecordsFailed"] == 0
    ids = [row["Id"] for row in crm.org.rows("Account")]
    gone = sf.bulk2.Account.delete(records=[{"Id": key} for key in ids], wait=0.01)
    assert gone[0]["numberRecordsProcessed"] == 20
    assert crm.org.rows("Account") == []
