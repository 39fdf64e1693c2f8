"""The emulated Dataverse: takes a request, finds who asks and for what, answers as the Web API does.

Calls below `/_emulator/` beyond those of `emulation.harness`:

| call | does |
| --- | --- |
| `GET /_emulator/witness`, `GET /_emulator/links` | what the environment holds (see `witness`) |
| `GET`, `PUT /_emulator/options` | the environment's options (see `options.OrgOptions`); PUT changes those named |
| `GET`, `PUT /_emulator/protocol` | limits and habits of the front end (see `protocol.ProtocolOptions`) |
| `POST /_emulator/edit` | a change by somebody else (see `edits`) |
| `POST /_emulator/users` | `{"username", "full_name", "oid", "roles", "active"}` makes or changes a user |
| `POST /_emulator/shares` | `{"table", "id", "user", "rights"}` shares a row |
| `POST /_emulator/token` | `{"user": systemuserid or null}`: a token for a user, or for the application |
| `POST /_emulator/expire` | no token given out so far is valid any more |
| `POST /_emulator/advance` | `{"seconds": 3600}` lets time pass |
| `POST /_emulator/run_as` | `{"user": systemuserid or null}`: which user the application is |
"""

from __future__ import annotations

import hashlib
import secrets
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from offloader_connectors.dynamics365.emulator import bulk, paths, witness
from offloader_connectors.dynamics365.emulator.access import Access, User
from offloader_connectors.dynamics365.emulator.auth import Auth, Unauthenticated
from offloader_connectors.dynamics365.emulator.blocks import Transfers
from offloader_connectors.dynamics365.emulator.calls import JSON, JSON_IN_BATCH, Call
from offloader_connectors.dynamics365.emulator.edits import apply_edit
from offloader_connectors.dynamics365.emulator.errors import DataverseError
from offloader_connectors.dynamics365.emulator.limits import Limits, Throttled
from offloader_connectors.dynamics365.emulator.org import Org
from offloader_connectors.dynamics365.emulator.prefer import Prefer
from offloader_connectors.dynamics365.emulator.privileges import BYPASS, BYPASS_OLD
from offloader_connectors.dynamics365.emulator.protocol import ProtocolOptions
from offloader_connectors.dynamics365.emulator.render import Rendered
from offloader_connectors.dynamics365.emulator.routes import resource
from offloader_connectors.dynamics365.emulator.storage import Storage
from offloader_connectors.dynamics365.emulator.uploads import LONG, LongTexts, Nothing, RawFile, Whole
from offloader_connectors.emulation.faults import Rule
from offloader_connectors.emulation.harness import BodyReader, Harness
from offloader_connectors.emulation.wire import Answer, Request

INITIAL = "initial"
_HTML = "text/html; charset=utf-8"
_PAGE = "<!DOCTYPE html><html><head><title>{0}</title></head><body><h2>{0}</h2></body></html>"
_BYPASSES = {
    "mscrm.bypassbusinesslogicexecution": BYPASS,
    "mscrm.bypassbusinesslogicexecutionstepids": BYPASS,
    "mscrm.bypasscustompluginexecution": BYPASS_OLD,
}
_STORAGE = "storage.get"


class Dataverse:
    """One environment behind its Web API, its login server and its storage. Implements `emulation.harness.Vendor`."""

    def __init__(self, org: Org, harness: Harness) -> None:
        self.org = org
        self.blobs = org.blobs
        self.harness = harness
        self.access = Access(org)
        self.limits = Limits(org.now)
        self.auth = Auth(org)
        self.storage = Storage(org.directory, org.blobs, org.now, f"env-{org.organization_id}")
        self.transfers = Transfers(org)
        self.protocol = ProtocolOptions().changed(org.store.meta.get("protocol", {}))
        self._counts: dict[str, tuple[datetime, int]] = {}
        #: set once it is served
        self.storage_port = 0
        self.port = 0

    @property
    def protocol(self) -> ProtocolOptions:
        return self.limits.options

    @protocol.setter
    def protocol(self, options: ProtocolOptions) -> None:
        self.limits.options = options
        self.org.store.set_meta("protocol", options.as_json())

    def now(self) -> datetime:
        return self.org.now().astimezone(UTC)

    def new_guid(self) -> str:
        return str(uuid.UUID(bytes=secrets.token_bytes(16), version=4))

    def counted(self, table: str) -> int:
        """Rows of a table as of the last time that they were counted."""
        known, now = self._counts.get(table), self.org.now()
        if known is None or not 0 <= (now - known[0]).total_seconds() < self.protocol.count_seconds:
            known = self._counts[table] = (now, len(self.org.store.tables[table]))
        return known[1]

    # -- calls -------------------------------------------------------------------------------------

    def operation(self, request: Request) -> str:
        if request.port == self.storage_port:
            return _STORAGE
        rest = paths.rest_of(request.path)
        if rest is None:
            return self.auth.operation(request.path) or "unknown"
        try:
            return resource(self.org.schema, request.method, paths.segments(rest), request.query).operation
        except DataverseError:
            return "unknown"

    def reader(self, request: Request, operation: str) -> BodyReader | None:
        length = request.headers.get("content-length", "")
        size = int(length) if length.isdigit() else LONG + 1
        if length.isdigit() and size > self.protocol.body_bytes:
            return Nothing()
        if operation == "column.patch":
            return RawFile(self.blobs)
        json_body = "json" in request.headers.get("content-type", "").lower()
        return LongTexts(self.blobs) if json_body and size > LONG else Whole()

    def answer(self, request: Request, operation: str, rules: Sequence[Rule]) -> Answer:
        with self.org.store.lock:
            if operation == _STORAGE:
                return self.storage.answer(request)
            too_large = self._too_large(request)
            if too_large is not None:
                return too_large
            self.org.url = f"https://{request.headers.get('host', '')}"
            if operation in {"token", "oidc"}:
                return self.auth.answer(request)
            return self._entered(request, rules)

    def _too_large(self, request: Request) -> Answer | None:
        """What the front end refuses without a look at it."""
        if request.target_size > self.protocol.url_bytes:
            return _page(414, "414 Request-URI Too Long")
        length = request.headers.get("content-length", "0")
        if length.isdigit() and int(length) > self.protocol.body_bytes:
            return _page(413, "413 Request Entity Too Large")
        return None

    def _entered(self, request: Request, rules: Sequence[Rule]) -> Answer:
        """A call of the Web API: needs a token, is counted, and says what is left."""
        rest = paths.rest_of(request.path)
        if rest is None:
            return _page(404, "404 - File or directory not found.")
        try:
            user = self.auth.user_of(request.headers)
        except Unauthenticated:
            return self.auth.challenge(request.headers.get("host", ""))
        limited = user or self.auth.client_id
        operations, call = 1, None
        try:
            caller = self.access.caller(user, request.headers)
            limited = caller.user_id
            self.limits.check(limited, self.harness.running_at(self.port))
            call = self._call(request, caller, rest, list(rules))
            inner_before = self.harness.counters.inner.total()
            answer = self._carried_out(call)
            operations += self.harness.counters.inner.total() - inner_before
        except Throttled as error:
            return self._finished(request, self.refused(error), limited)
        except DataverseError as error:
            answer = self.refused(error, request)
        size = answer.length or len(answer.body or b"")
        self.limits.spend(limited, 1, self.limits.cost(operations, size + len(request.body)))
        return self._finished(request, answer, limited)

    def _finished(self, request: Request, answer: Answer, user: str) -> Answer:
        request_id = self.new_guid()
        answer.headers = {
            "OData-Version": "4.0",
            **answer.headers,
            **self.limits.headers(user),
            "REQ_ID": request_id,
            "x-ms-service-request-id": f"{self.new_guid()},{request_id}",
            "AuthActivityId": self.new_guid(),
            "Cache-Control": "no-cache",
            "Allow": "OPTIONS,GET,HEAD,POST",
        }
        if self.protocol.affinity_cookies:
            affinity = hashlib.sha256(self.org.organization_id.encode()).hexdigest()
            # two cookies: header names are looked at without regard to case, the keys of a dict are not
            answer.headers["Set-Cookie"] = f"ARRAffinity={affinity}; path=/; secure; HttpOnly; SameSite=None"
            answer.headers["set-cookie"] = f"ReqClientId={request_id}; path=/; secure; HttpOnly; SameSite=None"
        if request.method == "HEAD":
            answer.body, answer.data, answer.stream = b"", None, None
        return answer

    def _call(self, request: Request, caller: User, rest: str, rules: list[Rule], *, inner: bool = False) -> Call:
        for header, privilege in _BYPASSES.items():
            if header in request.headers and not caller.has(privilege):
                raise caller.lacking(privilege)
        prefer = Prefer.parse(request.headers.get("prefer"))
        return Call(self, request, caller, paths.segments(rest), prefer, self.org.root, rules, inner)

    def _carried_out(self, call: Call) -> Answer:
        found = resource(self.org.schema, call.request.method, call.segments, call.query)
        looked_at = any(found.operation.endswith(f".{name}") for name in bulk.JOB_TABLES)
        bulk.run_due(self, looked_at=looked_at)
        with self.org.store.transaction() if found.operation != "batch" else self.org.store.lock:
            answer = found.handler(call)
        answer.effects, answer.subjects = call.effects, call.subjects
        return self._rendered(answer, JSON_IN_BATCH if call.inner else JSON)

    def _rendered(self, answer: Answer, content_type: str) -> Answer:
        if answer.data is not None:
            text = Rendered(answer.data, self.org.chunks)
            answer.data, answer.body, answer.content_type = None, text.whole, content_type
            if text.whole is None:
                answer.stream, answer.length, answer.announced = text.stream(), text.length, False
        elif answer.stream is not None and answer.content_type.startswith("application/json"):
            answer.content_type, answer.announced = content_type, False
        return answer

    def inner(self, outer: Call, request: Request) -> Answer:
        """An operation of a batch: counted apart, open to the fault script."""
        rest = paths.rest_of(request.path)
        if rest is None:
            raise paths.bad_url()
        path = paths.segments(rest)
        operation = resource(self.org.schema, request.method, path, request.query).operation
        self.harness.counters.inner[operation] += 1
        rules = self.harness.faults.hit(operation)
        self.harness.edit(rules, (), before=True)
        refused = self.harness.refused(rules, operation)
        if refused is not None:
            return self._rendered(refused, JSON)
        caller = outer.caller
        if self.protocol.batch_throttle == "parts":
            self.limits.check(caller.user_id, 0)
            self.limits.spend(caller.user_id, 1, 0)
        request.headers = {"host": outer.header("host") or "", **request.headers}
        call = self._call(request, caller, rest, rules, inner=True)
        try:
            answer = self._carried_out(call)
        except DataverseError as error:
            answer = self.refused(error, request)
        self.harness.edit(rules, call.subjects, before=False)
        outer.effects += [rule for rule in rules if rule.do not in {"item", "edit", "status"}]
        outer.subjects += call.subjects
        return answer

    def refused(self, error: DataverseError, request: Request | None = None) -> Answer:
        """An error in the shape of the Web API."""
        told: dict[str, Any] = {"code": error.code, "message": error.message}
        if request is not None and Prefer.parse(request.headers.get("prefer")).annotations == "*":
            told["@Microsoft.PowerApps.CDS.ErrorDetails.HttpStatusCode"] = str(error.status)
            told["@Microsoft.PowerApps.CDS.HelpLink"] = (
                f"http://go.microsoft.com/fwlink/?LinkID=398563&error={error.code}"
            )
            told["@Microsoft.PowerApps.CDS.InnerError.Message"] = error.message
        answer = Answer(error.status, body=Rendered({"error": told}, self.org.chunks).whole, content_type=JSON)
        if isinstance(error, Throttled):
            answer.headers["Retry-After"] = self.limits.retry_after(error.wait)
        return answer

    def fault(self, status: int, operation: str) -> Answer:
        if operation == _STORAGE:
            return self.storage.error(status)
        if status in _FAULTS:
            code, text = _FAULTS[status]
            return self.refused(DataverseError(status, code, text))
        if status == 401:
            return self.auth.challenge(self.org.url.removeprefix("https://"))
        titles = {
            413: "Request Entity Too Large",
            502: "Bad Gateway",
            503: "Service Unavailable",
            504: "Gateway Timeout",
        }
        return _page(status, f"{status} {titles.get(status, 'Error')}")

    # -- what the harness asks ---------------------------------------------------------------------

    def edit(self, change: Mapping[str, Any], subjects: Sequence[str]) -> None:
        apply_edit(self, change, subjects)

    def state(self) -> Mapping[str, Any]:
        with self.org.store.lock:
            return {name: len(rows) for name, rows in self.org.store.tables.items() if rows}

    def snapshot(self, name: str) -> None:
        self.org.store.snapshot(name)

    def restore(self, name: str) -> None:
        self.org.restore(name)
        self.auth.reload()
        self.limits.clear()
        self.transfers.clear()
        self._counts.clear()
        self.limits.options = ProtocolOptions().changed(self.org.store.meta.get("protocol", {}))

    def reset(self) -> None:
        self.restore(INITIAL)

    def admin(self, request: Request) -> Answer | None:
        name = request.path.removeprefix("/_emulator/").strip("/")
        act = self._admin_calls().get((request.method, name))
        if act is None:
            return None
        with self.org.store.lock:
            told = act(request.json() or {})
        return Answer(data={"ok": True} if told is None else told)

    def _admin_calls(self) -> Mapping[tuple[str, str], Callable[[dict[str, Any]], Any]]:
        return {
            ("GET", "witness"): lambda _: witness.held(self.org),
            ("GET", "links"): lambda _: witness.links(self.org),
            ("GET", "options"): lambda _: self.org.options.as_json(),
            ("PUT", "options"): lambda body: setattr(self.org, "options", self.org.options.changed(body)),
            ("GET", "protocol"): lambda _: self.protocol.as_json(),
            ("PUT", "protocol"): lambda body: setattr(self, "protocol", self.protocol.changed(body)),
            ("POST", "edit"): lambda body: self.edit(body, ()),
            ("POST", "users"): lambda body: {"id": self.org.user(**body)},
            ("POST", "shares"): lambda body: self.org.share(**body),
            ("POST", "token"): lambda body: {"access_token": self.auth.token_for(body.get("user"), self._host())},
            ("POST", "expire"): lambda _: self.auth.expire_all(),
            ("POST", "advance"): lambda body: self._advance(float(body["seconds"])),
            ("POST", "run_as"): lambda body: setattr(self.auth, "run_as", body.get("user")),
        }

    def _host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def _advance(self, seconds: float) -> None:
        self.org.shift += timedelta(seconds=seconds)


#: errors that the scripted faults of a status usually mean
_FAULTS: Mapping[int, tuple[str, str]] = {
    400: ("0x80040203", "Invalid argument."),
    403: ("0x80040220", "The caller does not have the privilege that is needed."),
    404: ("0x80040217", "The record does not exist."),
    405: ("0x8006088b", "The requested resource does not support this http method."),
    412: ("0x80060882", "The version of the existing record doesn't match the RowVersion property provided."),
    429: ("0x80072322", "Number of requests exceeded the limit of 6000 over time window of 300 seconds."),
    500: ("0x80044150", "SQL Server error. Sql Number: 1205"),
}


def _page(status: int, title: str) -> Answer:
    return Answer(status, body=_PAGE.format(title).encode(), content_type=_HTML)
