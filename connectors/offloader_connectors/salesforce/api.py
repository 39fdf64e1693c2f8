"""Requests to the REST API: one place for tokens, counting, errors and the shapes of answers.

No retries, except once after a new login. Every call counts against the org's allocation, a composite as one
(REST API guide, "Composite"; "API Request Limits and Allocations").
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

import urllib3

from offloader.errors import AuthError, Gone, OffloaderError, Permanent, Throttled, Transient
from offloader.plugins import Context
from offloader_connectors import tls
from offloader_connectors.answers import harmless, http_date
from offloader_connectors.downloads import Connections, Reply
from offloader_connectors.salesforce import rows, soql, trouble
from offloader_connectors.salesforce.budget import Purse
from offloader_connectors.salesforce.options import SalesforceOptions
from offloader_connectors.salesforce.rows import Row
from offloader_connectors.salesforce.session import Session, Token, network_reason, open_pool

#: a composite takes 25 subrequests, of which 5 may be queries or collections (REST API guide, "Composite")
SUBS_PER_COMPOSITE = 25
HEAVY_PER_COMPOSITE = 5
#: records in one collection, deletions included (REST API guide, "sObject Collections")
RECORDS_PER_COLLECTION = 200
#: URI and headers together may take 16,384 bytes; longer queries travel in a composite's body
LONGEST_QUERY_IN_URI = 6000


R = TypeVar("R", bound=Reply)
#: a query, and whether it includes deleted and archived rows
Statement = tuple[str, bool]


@dataclass(frozen=True, slots=True)
class Sub:
    """One subrequest of a composite. `path` is below /services/data/vXX.0/."""

    method: str
    path: str
    body: Any = None
    reference: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """Answer to one subrequest, or to a request of its own."""

    operation: str
    status: int
    body: Any
    #: the server's clock when the request was sent, or a little before
    date: datetime | None = None

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    def require(self, *, write: bool = False) -> Answer:
        """Return self, or raise the error that the answer is."""
        if not self.ok:
            raise trouble.translate(self.operation, self.status, {}, json.dumps(self.body).encode(), write=write)
        return self

    def record(self) -> Row:
        """The body as one JSON object. Raises Permanent."""
        if not isinstance(self.body, Mapping):
            raise rows.malformed(self.operation, "no object")
        return self.body

    def results(self, expected: int) -> list[Row]:
        """The body as a collection's results, one per record sent. Raises Permanent."""
        body = self.body
        if not isinstance(body, list) or len(body) != expected or not all(isinstance(each, Mapping) for each in body):
            raise rows.malformed(self.operation, f"not {expected} results")
        return body


class Api:
    """Calls one org. Thread-safe."""

    def __init__(self, options: SalesforceOptions, context: Context) -> None:
        self._options = options
        self.purse = Purse(options.budget, context.now)
        trust = tls.trusting(options.ca_file, context.directory)
        self._pool = open_pool(options, trust)
        self._downloads = Connections(trust, options.timeouts.connect, options.timeouts.read)
        self.session = Session(options, context, self._pool, self.purse.count)
        self.root = f"/services/data/v{options.api_version}/"
        self._monotonic = context.monotonic

    def close(self) -> None:
        self._pool.clear()
        self._downloads.close()

    @property
    def user_id(self) -> str:
        """The running user's id."""
        return self.session.token().user_id

    def get(self, operation: str, path: str) -> Answer:
        return self._json(operation, "GET", self.root + path)

    def blob(self, path: str, operation: str = "blob.get") -> bytes:
        """A small body as a whole. Raises Gone, Transient."""
        response = self.wire(operation, "GET", self.root + path, {"Accept-Encoding": "identity"})
        content = self._content(operation, response, write=False)
        if response.status != 200:
            raise trouble.translate(operation, response.status, response.headers, content)
        return content

    def exchange(self, operation: str, path: str, content_type: str, body: bytes) -> tuple[int, bytes]:
        """Post something that is not JSON to a path of the host; the status and the answer, whatever they are."""
        headers = {"Content-Type": content_type, "SOAPAction": '""'}
        response = self.wire(operation, "POST", path, headers, body, write=True)
        return response.status, self._content(operation, response, write=True)

    def send(self, operation: str, method: str, path: str, body: Any = None, *, write: bool = True) -> Answer:
        return self._json(operation, method, self.root + path, body, write=write)

    def versions(self) -> list[str]:
        """API versions that the org speaks; free of charge (REST API guide, "List Available REST API Versions")."""
        answer = self._json("versions", "GET", "/services/data/")
        found = answer.body if isinstance(answer.body, list) else []
        return [each["version"] for each in found if isinstance(each, Mapping) and isinstance(each.get("version"), str)]

    # -- queries ------------------------------------------------------------------------------------------------

    def query(self, statement: str, *, all_rows: bool = False) -> list[Row]:
        """Run one query to its end; `all_rows` includes deleted and archived ones."""
        return self.queries([statement], all_rows=all_rows)[0]

    def queries(self, statements: Sequence[str], *, all_rows: bool = False) -> list[list[Row]]:
        """Run queries together, five to a call, each to its end. Results in the order of the statements."""
        found = []
        for each in self.each_query([(statement, all_rows) for statement in statements]):
            if isinstance(each, OffloaderError):
                raise each
            found.append(each)
        return found

    def each_query(self, statements: Sequence[Statement]) -> list[list[Row] | OffloaderError]:
        """As `queries`, with errors of single queries in the place of their rows."""
        return self.dated_queries(statements)[0]

    def pages(self, statements: Sequence[str], *, all_rows: bool = False) -> Iterator[Sequence[Row]]:
        """As `queries`, one page of rows after the other, so that no whole result is held."""
        for group in soql.chunks([self._query_path(each, all_rows) for each in statements], HEAVY_PER_COMPOSITE):
            for answer in self._together(group):
                if isinstance(answer, OffloaderError):
                    raise answer
                yield from self._pages(answer.require())

    def dated_queries(
        self, statements: Sequence[Statement]
    ) -> tuple[list[list[Row] | OffloaderError], datetime | None]:
        """As `each_query`, with the server's time just before the first of them, where its answer says it."""
        found: list[list[Row] | OffloaderError] = []
        at = None
        for group in soql.chunks([self._query_path(*each) for each in statements], HEAVY_PER_COMPOSITE):
            for answer in self._together(group):
                at = at or (answer.date if isinstance(answer, Answer) else None)
                found.append(self._rows_or_error(answer))
        return found, at

    def _together(self, paths: Sequence[str]) -> Sequence[Answer | OffloaderError]:
        if len(paths) > 1 or len(paths[0]) > LONGEST_QUERY_IN_URI:
            return self.composite([Sub("GET", path) for path in paths])
        try:
            return [self._json("query", "GET", self.root + paths[0])]
        except AuthError:
            raise
        except Permanent as error:
            return [error]

    def _rows_or_error(self, answer: Answer | OffloaderError) -> list[Row] | OffloaderError:
        if isinstance(answer, OffloaderError):
            return answer
        try:
            return list(self._all_rows(answer.require()))
        except AuthError:
            raise
        except (Permanent, Transient) as error:
            if isinstance(error, Throttled):
                raise
            return error

    @staticmethod
    def _query_path(statement: str, all_rows: bool) -> str:
        return f"{'queryAll' if all_rows else 'query'}/?q={quote(statement, safe='')}"

    def _all_rows(self, answer: Answer) -> Iterator[Row]:
        for page in self._pages(answer):
            yield from page

    def _pages(self, answer: Answer) -> Iterator[Sequence[Row]]:
        while True:
            page = answer.record()
            found = page.get("records")
            if not isinstance(found, list) or not all(isinstance(row, Mapping) for row in found):
                raise rows.malformed(answer.operation, "no records")
            yield found
            if page.get("done") is True:
                return
            following = rows.text(page, "nextRecordsUrl", answer.operation)
            if not following.startswith("/services/data/"):
                raise rows.malformed(answer.operation, "nextRecordsUrl leads elsewhere")
            answer = self._json("query_more", "GET", following)

    # -- several acts in one call -------------------------------------------------------------------------------

    def composite(self, subs: Sequence[Sub], *, write: bool = False) -> list[Answer]:
        """Carry out subrequests in order in one call; a failed one does not stop the others."""
        requests = []
        for index, sub in enumerate(subs):
            request = {"method": sub.method, "url": self.root + sub.path, "referenceId": sub.reference or f"r{index}"}
            if sub.body is not None:
                request["body"] = sub.body
            requests.append(request)
        body = {"allOrNone": False, "compositeRequest": requests}
        answer = self._json("composite", "POST", self.root + "composite", body, write=write)
        parts = answer.record().get("compositeResponse")
        if not isinstance(parts, list) or len(parts) != len(subs):
            raise rows.malformed("composite", f"not {len(subs)} answers")
        return [self._part(sub, part, answer.date) for sub, part in zip(subs, parts, strict=True)]

    @staticmethod
    def _part(sub: Sub, part: Any, date: datetime | None) -> Answer:
        status = part.get("httpStatusCode") if isinstance(part, Mapping) else None
        if not isinstance(status, int):
            raise rows.malformed("composite", "an answer without status")
        return Answer(f"composite {sub.method} {sub.path.partition('?')[0]}", status, part.get("body"), date)

    # -- the wire -----------------------------------------------------------------------------------------------

    def _json(self, operation: str, method: str, path: str, body: Any = None, *, write: bool = False) -> Answer:
        data = None if body is None else json.dumps(body, separators=(",", ":")).encode()
        headers = {"Content-Type": "application/json"} if data is not None else {}
        began = self._monotonic()
        response = self.wire(operation, method, path, headers, data, write=write)
        content = self._content(operation, response, write=write)
        if not 200 <= response.status < 300:
            raise trouble.translate(operation, response.status, response.headers, content, write=write)
        try:
            parsed = json.loads(content) if content else None
        except ValueError as error:
            raise Transient(f"{operation}: the answer is no JSON", maybe_done=write) from error
        date = http_date(response.headers.get("Date"))
        elapsed = timedelta(seconds=self._monotonic() - began)
        return Answer(operation, response.status, parsed, date - elapsed if date else None)

    @staticmethod
    def _content(operation: str, response: Reply, *, write: bool) -> bytes:
        try:
            return response.read(decode_content=True)
        except urllib3.exceptions.HTTPError as error:
            reason = network_reason(error)
            raise Transient(f"{operation}: the answer broke off ({reason})", maybe_done=write) from error
        finally:
            response.release_conn()

    def wire(
        self,
        operation: str,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes | None = None,
        *,
        write: bool = False,
    ) -> urllib3.BaseHTTPResponse:
        """Send one request; the body of the answer is unread. Logs in again once if the session was refused."""
        return self._logged_in(
            operation, lambda token: self._once(operation, method, path, headers, body, token, write=write)
        )

    def download(self, operation: str, path: str) -> Reply:
        """As `wire` for a GET whose body is neither compressed nor decoded, at less than half of the CPU."""
        return self._logged_in(operation, lambda token: self._get(operation, path, token))

    def _logged_in(self, operation: str, send: Callable[[Token], R]) -> R:
        token = self.session.token()
        response = send(token)
        if response.status == 401:
            token = self._renewed(operation, response, token)
            response = send(token)
            if response.status == 401:
                content = self._content(operation, response, write=False)
                raise trouble.translate(operation, 401, response.headers, content)
        token.proven = token.proven or 200 <= response.status < 300
        return response

    def _renewed(self, operation: str, response: Reply, token: Token) -> Token:
        content = self._content(operation, response, write=False)
        if trouble.hopeless_session(content):
            raise AuthError(f"{operation}: a new login will not help, {harmless(content.decode('utf-8', 'replace'))}")
        return self.session.renew(token)

    def _once(
        self,
        operation: str,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes | Iterable[bytes] | None,
        token: Token,
        *,
        write: bool,
    ) -> urllib3.BaseHTTPResponse:
        self.purse.spend(operation)
        every = {"Authorization": f"Bearer {token.value}", "Accept-Encoding": "gzip", **headers}
        read_s = self._options.timeouts.upload if write else self._options.timeouts.read
        try:
            response = self._pool.request(
                method,
                token.instance_url + path,
                body=body,
                headers=every,
                redirect=False,
                retries=False,
                preload_content=False,
                timeout=urllib3.Timeout(connect=self._options.timeouts.connect, read=read_s),
            )
        except urllib3.exceptions.HTTPError as error:
            unsent = isinstance(error, urllib3.exceptions.NewConnectionError | urllib3.exceptions.ConnectTimeoutError)
            raise _no_answer(operation, token, error, maybe_done=write and not unsent) from error
        self.purse.note(response.headers.get("Sforce-Limit-Info"))
        return response

    def _get(self, operation: str, path: str, token: Token) -> Reply:
        self.purse.spend(operation)
        headers = {"Authorization": f"Bearer {token.value}", "Accept-Encoding": "identity"}
        try:
            response = self._downloads.get(token.instance_url, path, headers)
        except urllib3.exceptions.HTTPError as error:
            raise _no_answer(operation, token, error, maybe_done=False) from error
        self.purse.note(response.headers.get("Sforce-Limit-Info"))
        return response

    def upload(
        self, operation: str, method: str, path: str, headers: Mapping[str, str], body: Iterable[bytes]
    ) -> Answer:
        """Send a streamed body. The stream can be read only once, so a refused session raises Transient instead."""
        token = self.session.token()
        response = self._once(operation, method, self.root + path, headers, body, token, write=True)
        content = self._content(operation, response, write=True)
        if response.status == 401:
            self.session.renew(token)
            raise Transient(f"{operation}: the session had ended, logged in again")
        if not 200 <= response.status < 300:
            raise trouble.translate(operation, response.status, response.headers, content, write=True)
        token.proven = True
        try:
            return Answer(operation, response.status, json.loads(content) if content else None)
        except ValueError as error:
            raise Transient(f"{operation}: the answer is no JSON", maybe_done=True) from error


def _no_answer(operation: str, token: Token, error: urllib3.exceptions.HTTPError, *, maybe_done: bool) -> Transient:
    host = urlsplit(token.instance_url).hostname
    return Transient(f"{operation}: no answer from {host} ({network_reason(error)})", maybe_done=maybe_done)


def is_absent(error: OffloaderError) -> bool:
    """Whether the error says that an object, a field or a record does not exist for this user."""
    return isinstance(error, Gone) or (
        isinstance(error, Permanent)
        and any(code in str(error) for code in ("INVALID_TYPE", "INVALID_FIELD", "NOT_FOUND"))
    )
