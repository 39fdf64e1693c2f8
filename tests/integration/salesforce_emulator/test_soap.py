"""The SOAP calls that REST has no twin for."""

from __future__ import annotations

from pathlib import Path

from tests.integration.salesforce_emulator.conftest import Crm

ENVELOPE = (
    '<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/" xmlns="urn:partner.soap.sforce.com"><e:Header>'
    "<SessionHeader><sessionId>{}</sessionId></SessionHeader></e:Header><e:Body>{}</e:Body></e:Envelope>"
)


def _soap(crm: Crm, inside: str, token: str = "") -> tuple[int, str]:
    answer = crm.request("POST", "/services/Soap/u/66.0", data=ENVELOPE.format(token, inside))
    return answer.status_code, answer.text


def test_login_and_logout(crm: Crm, directory: Path) -> None:
    """A password opens a session, logout ends it, a wrong password is an INVALID_LOGIN fault."""
    password = (directory / "salesforce_password").read_text()
    login = "<login><username>integration@offloader.example</username><password>{}</password></login>"
    status, text = _soap(crm, login.format(password))
    assert status == 200
    token = text.partition("<sessionId>")[2].partition("</sessionId>")[0]
    crm.session.headers["Authorization"] = f"Bearer {token}"
    assert crm.get("/limits").status_code == 200
    assert _soap(crm, "<logout/>", token)[0] == 200
    assert crm.get("/limits").status_code == 401
    status, text = _soap(crm, login.format("wrong"))
    assert status == 500
    assert "<sf:exceptionCode>INVALID_LOGIN</sf:exceptionCode>" in text


def test_undelete_brings_a_document_back(crm: Crm) -> None:
    """A deleted document comes back with versions and links; one that is not in the bin is an error of its own."""
    document = crm.file(crm.account()).document_id
    token = str(crm.session.headers["Authorization"]).partition(" ")[2]
    call = f"<undelete><ids>{document}</ids></undelete>"
    assert "UNDELETE_FAILED" in _soap(crm, call, token)[1]
    crm.org.delete(document)
    assert "<success>true</success>" in _soap(crm, call, token)[1]
    assert len(crm.rows("SELECT Id FROM ContentDocumentLink")) == 2
    assert "INVALID_SESSION_ID" in _soap(crm, call, "none")[1]


def test_entities_are_refused(crm: Crm) -> None:
    """A document type in the envelope is not read."""
    answer = crm.request("POST", "/services/Soap/u/66.0", data="<!DOCTYPE x [<!ENTITY a 'b'>]><x>&a;</x>")
    assert answer.status_code == 500


def test_recent_records(crm: Crm) -> None:
    """The user's last changed records are listed."""
    account = crm.account()
    assert [record["Id"] for record in crm.get("/recent", params={"limit": 1}).json()] == [account]
