"""The emulated Salesforce: takes a request, finds who asks and for what, answers as the REST API does.

Calls below `/_emulator/` beyond those of `emulation.harness`:

| call | does |
| --- | --- |
| `GET /_emulator/witness`, `GET /_emulator/links` | what the org holds (see `witness`) |
| `GET`, `PUT /_emulator/options` | the org's options (see `options.OrgOptions`); PUT changes those named |
| `POST /_emulator/edit` | a change by somebody else (see `edits`) |
| `POST /_emulator/users` | `{"username", "permissions", "active", "external"}` makes or changes a user |
| `POST /_emulator/shares` | `{"record", "user", "level"}` shares a record |
| `POST /_emulator/expire` | ends all sessions |
| `POST /_emulator/advance` | `{"seconds": 3600}` lets time pass |
| `POST /_emulator/run_as` | `{"username": … or null}` whom client credentials run as |
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from offloader_connectors.emulation.faults import Rule
from offloader_connectors.emulation.harness import Harness
from offloader_connectors.emulation.wire import Answer, Request
from offloader_connectors.salesforce.emulator import witness
from offloader_connectors.salesforce.emulator.auth import Auth
from offloader_connectors.salesforce.emulator.bulk_jobs import Jobs
from offloader_connectors.salesforce.emulator.calls import Call, split_version
from offloader_connectors.salesforce.emulator.dml import Writer
from offloader_connectors.salesforce.emulator.edits import apply_edit
from offloader_connectors.salesforce.emulator.errors import SalesforceError
from offloader_connectors.salesforce.emulator.limits import Limits
from offloader_connectors.salesforce.emulator.org import INTEGRATION_USER, Org
from offloader_connectors.salesforce.emulator.query import Queries
from offloader_connectors.salesforce.emulator.reading import Cursors, versions
from offloader_connectors.salesforce.emulator.resources import ROUTES
from offloader_connectors.salesforce.emulator.sharing import Access
from offloader_connectors.salesforce.emulator.soap import soap

#: bytes of a request's target and headers ("414 URI Too Long", REST API guide)
MAX_HEAD = 16_384
INITIAL = "initial"
_IDENTITY = re.compile(r"/id/(\w{15,18})/(\w{15,18})/?")
_UNEXPECTED = "An unexpected error occurred. Please include this ErrorId if you contact support: 1-1"
_HTML = "text/html;charset=UTF-8"
_PAGE = "<html><head><title>{0}</title></head><body><h1>{0}</h1></body></html>"


class Salesforce:
    """One org behind its REST API. Implements `emulation.harness.Vendor`."""

    def __init__(self, org: Org, harness: Harness) -> None:
        self.org = org
        self.blobs = org.blobs
        self.harness = harness
        self.access = Access(org)
        self.limits = Limits(org)
        self.writer = Writer(org, self.access, self.limits)
        self.queries = Queries(org, self.access)
        self.cursors = Cursors()
        self.auth = Auth(org)
        self.auth.run_as = org.store.meta.get("run_as", INTEGRATION_USER)
        self.jobs = Jobs(self)

    def now(self) -> datetime:
        return self.org.now().astimezone(UTC)

    # -- calls -------------------------------------------------------------------------------------

    def operation(self, request: Request) -> str:
        path = request.path.rstrip("/")
        if path == "/services/data":
            return "versions"
        if path.startswith("/services/oauth2/"):
            return path.removeprefix("/services/")
        if path.startswith("/services/Soap/"):
            return "soap"
        if path.startswith("/id/"):
            return "identity"
        try:
            _, rest = split_version(request.path)
            return ROUTES.find(_method(request), rest)[0].operation
        except SalesforceError:
            return "unknown"

    def answer(self, request: Request, operation: str, rules: Sequence[Rule]) -> Answer:
        if request.head_size > MAX_HEAD:
            return Answer(414, body=_PAGE.format("414 Request-URI Too Large").encode(), content_type=_HTML)
        with self.org.store.lock:
            if operation == "versions":
                return versions()
            known = self._unversioned(request, operation)
            return known if known is not None else self._counted(request, rules)

    def _unversioned(self, request: Request, operation: str) -> Answer | None:
        calls: Mapping[str, Callable[[Request], Answer]] = {
            "oauth2/token": self.auth.token,
            "oauth2/revoke": self.auth.revoke,
            "oauth2/userinfo": self.auth.userinfo,
        }
        if operation in calls:
            return calls[operation](request)
        if operation == "soap":
            return soap(self, request)
        match = _IDENTITY.fullmatch(request.path)
        return self.auth.identity(request, match[1], match[2]) if match else None

    def _counted(self, request: Request, rules: Sequence[Rule]) -> Answer:
        """A call of the REST API: needs a session, is counted, carries the limit header."""
        try:
            if not self.org.options.api_enabled:
                text = "The REST API is not enabled for this Organization."
                raise SalesforceError("API_DISABLED_FOR_ORG", text, status=403)
            actor = self.access.actor(self.auth.user_of(request.headers))
            if not actor.may("ApiEnabled"):
                raise SalesforceError("API_DISABLED_FOR_ORG", "API is disabled for this User", status=403)
            running = self.harness.running_longer_than(self.org.options.long_request_seconds)
            self.limits.check_requests(running)
            self.limits.add("requests")
            version, rest = split_version(request.path)
            resource, args = ROUTES.find(_method(request), rest)
            call = Call(self, request, actor, version, args, rules)
            answer = self._carried_out(call, resource.handler)
        except SalesforceError as error:
            answer = Answer(error.status, error.top_level())
        if answer.status != 401:
            answer.headers["Sforce-Limit-Info"] = self.limits.header()
        answer.headers.setdefault("Cache-Control", "no-cache,must-revalidate,max-age=0,no-store,private")
        if request.method == "HEAD":
            answer.body, answer.data, answer.stream = b"", None, None
        return answer

    def _carried_out(self, call: Call, handler: Callable[[Call], Answer]) -> Answer:
        with self.org.store.transaction():
            answer = handler(call)
        answer.effects, answer.subjects = call.effects, call.subjects
        return answer

    def inner(self, outer: Call, request: Request) -> Answer:
        """A call inside a composite or a batch: counted apart, open to the fault script, without the outer's costs."""
        try:
            version, rest = split_version(request.path)
            resource, args = ROUTES.find(request.method, rest)
        except SalesforceError as error:
            return Answer(error.status, error.top_level())
        self.harness.counters.inner[resource.operation] += 1
        rules = self.harness.faults.hit(resource.operation)
        self.harness.edit(rules, (), before=True)
        refused = self.harness.refused(rules, resource.operation)
        if refused is not None:
            return refused
        inner_headers = {**request.headers, "host": outer.host}
        request.headers = inner_headers
        call = Call(self, request, outer.actor, version, args, rules, inner=True)
        try:
            answer = self._carried_out(call, resource.handler)
        except SalesforceError as error:
            answer = Answer(error.status, error.top_level())
        self.harness.edit(rules, call.subjects, before=False)
        outer.effects += [rule for rule in rules if rule.do not in {"item", "edit", "status"}]
        outer.subjects += call.subjects
        return answer

    def reader(self, request: Request, operation: str) -> None:
        return None

    def fault(self, status: int, operation: str) -> Answer:
        errors = {
            400: ("UNKNOWN_EXCEPTION", "An unexpected error occurred."),
            401: ("INVALID_SESSION_ID", "Session expired or invalid"),
            403: ("REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded."),
            404: ("NOT_FOUND", "The requested resource does not exist"),
            405: ("METHOD_NOT_ALLOWED", "HTTP Method not allowed."),
            500: (
                "UNKNOWN_EXCEPTION",
                _UNEXPECTED,
            ),
        }
        if status in errors:
            code, text = errors[status]
            return Answer(status, [{"message": text, "errorCode": code}])
        if status in {406, 420, 429}:
            return Answer(status, body=b"", content_type=_HTML)
        titles = {503: "Service Unavailable", 502: "Bad Gateway", 504: "Gateway Timeout"}
        return Answer(status, body=_PAGE.format(f"{status} {titles.get(status, 'Error')}").encode(), content_type=_HTML)

    # -- what the harness asks ---------------------------------------------------------------------

    def edit(self, change: Mapping[str, Any], subjects: Sequence[str]) -> None:
        apply_edit(self, change, subjects)

    def state(self) -> Mapping[str, Any]:
        with self.org.store.lock:
            return self.org.store.counts()

    def snapshot(self, name: str) -> None:
        self.limits.save()
        self.org.store.snapshot(name)

    def restore(self, name: str) -> None:
        self.org.restore(name)
        self.cursors.clear()
        self.auth.reload()
        self.limits.reload()

    def reset(self) -> None:
        self.restore(INITIAL)

    def admin(self, request: Request) -> Answer | None:
        name = request.path.removeprefix("/_emulator/").strip("/")
        if (request.method, name) == ("GET", "options"):
            return Answer(data=self.org.options.as_json())
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
            ("PUT", "options"): lambda body: setattr(self.org, "options", self.org.options.changed(body)),
            ("POST", "edit"): lambda body: self.edit(body, ()),
            ("POST", "users"): lambda body: {"id": self.org.user(**body)},
            ("POST", "shares"): lambda body: self.org.share(body["record"], body["user"], body.get("level", "Read")),
            ("POST", "expire"): lambda _: self.auth.expire_all(),
            ("POST", "advance"): lambda body: self._advance(float(body["seconds"])),
            ("POST", "run_as"): lambda body: self._set_run_as(body.get("username")),
        }

    def _advance(self, seconds: float) -> None:
        self.org.shift += timedelta(seconds=seconds)

    def _set_run_as(self, username: str | None) -> None:
        self.auth.run_as = username
        self.org.store.set_meta("run_as", username)


def _method(request: Request) -> str:
    """POST can stand for another method ("_HttpMethod", REST API guide)."""
    return request.query.get("_HttpMethod", request.method).upper() if request.method == "POST" else request.method
