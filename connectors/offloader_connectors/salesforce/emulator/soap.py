"""The login call of the SOAP partner API, for clients that log in by user name and password."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

from offloader_connectors.emulation.wire import Answer, Request
from offloader_connectors.salesforce.emulator.auth import OAuthError, instance_url

if TYPE_CHECKING:
    from offloader_connectors.salesforce.emulator.app import Salesforce

_ENVELOPE = (
    '<?xml version="1.0" encoding="UTF-8"?><soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" '
    'xmlns="urn:partner.soap.sforce.com" xmlns:sf="urn:fault.partner.soap.sforce.com" '
    'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soapenv:Body>{}</soapenv:Body></soapenv:Envelope>'
)
_XML = "text/xml;charset=UTF-8"


def _answer(status: int, inside: str) -> Answer:
    return Answer(status, body=_ENVELOPE.format(inside).encode(), content_type=_XML)


def _failed(code: str, text: str) -> Answer:
    fault = f"<sf:exceptionCode>{code}</sf:exceptionCode><sf:exceptionMessage>{escape(text)}</sf:exceptionMessage>"
    return _answer(
        500,
        f"<soapenv:Fault><faultcode>sf:{code}</faultcode><faultstring>{code}: {escape(text)}</faultstring>"
        f"<detail><sf:LoginFault>{fault}</sf:LoginFault></detail></soapenv:Fault>",
    )


def soap(app: Salesforce, request: Request) -> Answer:
    """`login`; every other operation is refused."""
    if b"<!DOCTYPE" in request.body or b"<!ENTITY" in request.body:
        return _failed("INVALID_SOAP_HEADER", "a document type is not allowed")
    try:
        root = ET.fromstring(request.body)  # noqa: S314 - entities are refused above
    except ET.ParseError as error:
        return _failed("INVALID_SOAP_HEADER", str(error))
    login = next((item for item in root.iter() if item.tag.rpartition("}")[2] == "login"), None)
    if login is None:
        return _failed("INVALID_OPERATION", "this org's SOAP API knows only login")
    texts = {item.tag.rpartition("}")[2]: item.text or "" for item in login}
    try:
        user_id = app.auth.user_by_password(texts.get("username", ""), texts.get("password", ""))
    except OAuthError:
        text = "INVALID_LOGIN: Invalid username, password, security token; or user locked out."
        return _failed("INVALID_LOGIN", text.partition(": ")[2])
    user, organization = app.org.get(user_id) or {}, app.org.organization_id
    version = request.path.rstrip("/").rpartition("/")[2]
    server = f"{instance_url(request.headers.get('host', ''))}/services/Soap/u/{version}/{organization}"
    info = (
        f"<organizationId>{organization}</organizationId><organizationName>Offloader Sandbox</organizationName>"
        f"<userEmail>{escape(user.get('Email') or '')}</userEmail><userFullName>{escape(user['Name'])}</userFullName>"
        f"<userId>{user_id}</userId><userName>{escape(user['Username'])}</userName><userType>{user['UserType']}</userType>"
        f"<sessionSecondsValid>{app.org.options.session_seconds}</sessionSecondsValid>"
    )
    result = (
        f"<passwordExpired>false</passwordExpired><sandbox>{str(app.org.options.sandbox).lower()}</sandbox>"
        f"<serverUrl>{server}</serverUrl><sessionId>{app.auth.open_session(user_id)}</sessionId>"
        f"<userId>{user_id}</userId><userInfo>{info}</userInfo>"
    )
    return _answer(200, f"<loginResponse><result>{result}</result></loginResponse>")
