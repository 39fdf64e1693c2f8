"""The few calls of the SOAP partner API that REST has no twin for: login by password, logout, undelete."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

from offloader_connectors.emulation.wire import Answer, Request
from offloader_connectors.salesforce.emulator.auth import OAuthError, instance_url
from offloader_connectors.salesforce.emulator.errors import SalesforceError, read_only

if TYPE_CHECKING:
    from offloader_connectors.salesforce.emulator.app import Salesforce
    from offloader_connectors.salesforce.emulator.sharing import Actor

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
    """`login`, `logout` and `undelete`; every other operation is refused."""
    try:
        if b"<!DOCTYPE" in request.body or b"<!ENTITY" in request.body:
            raise ET.ParseError("a document type is not allowed")
        root = ET.fromstring(request.body)  # noqa: S314 - entities are refused above
    except ET.ParseError as error:
        return _failed("INVALID_SOAP_HEADER", str(error))
    by_name = {item.tag.rpartition("}")[2]: item for item in root.iter()}
    if "login" in by_name:
        return _login(app, request, by_name["login"])
    session = by_name.get("sessionId")
    headers = {"authorization": f"Bearer {session.text if session is not None else ''}"}
    try:
        actor = app.access.actor(app.auth.user_of(headers))
    except SalesforceError as error:
        return _failed(error.code, error.message)
    if "logout" in by_name:
        app.auth.close_session(headers)
        return _answer(200, "<logoutResponse/>")
    if "undelete" in by_name:
        ids = [item.text or "" for item in by_name["undelete"]]
        return _answer(
            200, f"<undeleteResponse>{''.join(_undelete(app, actor, key) for key in ids)}</undeleteResponse>"
        )
    return _failed("INVALID_OPERATION", "this org's SOAP API knows only login, logout and undelete")


def _undelete(app: Salesforce, actor: Actor, key: str) -> str:
    try:
        row = app.org.get(key)
        if row is not None and not app.access.can_delete(actor, dict(row)):
            raise read_only()
        app.org.undelete(key)
    except SalesforceError as error:
        errors = f"<errors><message>{escape(error.message)}</message><statusCode>{error.code}</statusCode></errors>"
        return f"<result>{errors}<success>false</success></result>"
    return f"<result><id>{key}</id><success>true</success></result>"


def _login(app: Salesforce, request: Request, login: ET.Element) -> Answer:
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
