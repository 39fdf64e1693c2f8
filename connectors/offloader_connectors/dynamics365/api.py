"""Requests to the Dataverse Web API: one place for tokens, counting, pacing, errors and the shapes of answers.

No retries, except once after a new login. Paths are below /api/data/v9.x/ and encoded (see odata).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from email.utils import format_datetime
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
import urllib3

from offloader.errors import AuthError, Exhausted, OffloaderError, Permanent, Throttled, Transient
from offloader.plugins import Context
from offloader_connectors.dynamics365 import batch as multipart
from offloader_connectors.dynamics365 import connections, rows, trouble
from offloader_connectors.dynamics365.batch import Part, Reply
from offloader_connectors.dynamics365.lanes import Lane, Lanes
from offloader_connectors.dynamics365.options import DynamicsOptions
from offloader_connectors.dynamics365.purse import Purse
from offloader_connectors.dynamics365.rows import Row
from offloader_connectors.dynamics365.session import Session, Token

__all__ = ["Answer", "Api", "Part", "Stream"]

CHUNK = 256 << 10
_BASIC = {"Accept": "application/json", "OData-MaxVersion": "4.0", "OData-Version": "4.0"}
_NOTHING: Mapping[str, str] = {}
_BROKEN = (requests.RequestException, urllib3.exceptions.HTTPError, OSError)
Data = bytes | Iterable[bytes] | None


@dataclass(frozen=True, slots=True)
class _Ask:
    """One request. `operations` counts for the daily entitlement."""

    operation: str
    method: str
    url: str
    headers: Mapping[str, str]
    data: Data = None
    write: bool = False
    operations: int = 1


@dataclass(frozen=True, slots=True)
class Answer:
    """Answer to a request, or to one operation of a batch. `status` 0: the batch ended before this operation."""

    operation: str
    status: int
    body: Any
    headers: Mapping[str, str] = field(default_factory=dict)
    write: bool = False

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    @property
    def etag(self) -> str | None:
        """The row's etag, from the body or the header."""
        own = self.body.get(rows.ETAG) if isinstance(self.body, Mapping) else None
        return own if isinstance(own, str) else self.headers.get("ETag")

    @property
    def code(self) -> str:
        """The error's code in lower-case hexadecimal, "" if there is none."""
        return trouble.fault(self.status, self.body).code

    def error(self) -> OffloaderError | None:
        """The error that the answer is, if it is one."""
        if self.ok:
            return None
        if self.status == 0:
            return Transient(f"{self.operation}: not carried out, the batch ended before")
        return trouble.translate(self.operation, self.status, self.headers, self.body, write=self.write)

    def require(self) -> Answer:
        """Return self, or raise the error that the answer is."""
        error = self.error()
        if error is not None:
            raise error
        return self

    def record(self) -> Row:
        """The body as one JSON object. Raises Permanent."""
        if not isinstance(self.body, Mapping):
            raise rows.malformed(self.operation, "no object")
        return self.body

    def rows(self) -> list[Row]:
        """The rows of a list. Raises Permanent."""
        found = self.record().get("value")
        if not isinstance(found, list) or not all(isinstance(row, Mapping) for row in found):
            raise rows.malformed(self.operation, "no list of rows")
        return found

    @property
    def next_link(self) -> str | None:
        return rows.optional(self.record(), "@odata.nextLink")


class Stream:
    """A body on its way. Holds a lane until closed; close it in every case."""

    def __init__(self, operation: str, response: requests.Response, leave: Callable[[], None]) -> None:
        self.status = response.status_code
        self.headers: Mapping[str, str] = response.headers
        self._operation = operation
        self._response = response
        self._leave = leave
        self._whole = False

    def __iter__(self) -> Iterator[bytes]:
        """The body in pieces of at most 256 KiB, as it comes over the wire. Raises Transient when it breaks off."""
        try:
            while chunk := self._response.raw.read(CHUNK, decode_content=False):
                yield chunk
        except _BROKEN as error:
            raise Transient(f"{self._operation}: the answer broke off ({connections.reason(error)})") from error
        self._whole = True

    def close(self) -> None:
        """Give the lane back, and the connection if the body was read to its end."""
        try:
            if self._whole:
                self._response.raw.release_conn()
            else:
                self._response.raw.close()
        finally:
            self._leave()


class Api:
    """Calls one environment. Thread-safe."""

    def __init__(self, options: DynamicsOptions, context: Context) -> None:
        self.root = f"/api/data/v{options.api_version}/"
        self.purse = Purse(options.budget, context.now)
        self.lanes = Lanes(options.concurrency, context.monotonic)
        self._options = options
        self._now = context.now
        self._connection = connections.open_session(options, context.directory)
        self._timeout = (options.timeouts.connect, options.timeouts.read)
        self._session = Session(options, context, self._connection, self.purse.count, self._challenge)

    def close(self) -> None:
        """Give up idle connections; the next request opens new ones."""
        self._connection.close()

    def get(
        self, operation: str, path: str, *, prefer: Sequence[str] = (), headers: Mapping[str, str] = _NOTHING
    ) -> Answer:
        """Ask for JSON. Raises what `trouble.translate` makes of an unsuccessful answer."""
        return self.ask(operation, path, prefer=prefer, headers=headers).require()

    def ask(
        self, operation: str, path: str, *, prefer: Sequence[str] = (), headers: Mapping[str, str] = _NOTHING
    ) -> Answer:
        """As `get`, but refusals come back as answers; raises only what is no answer to this request at all."""
        every = {**_BASIC, "Accept-Encoding": "gzip", **_preferring(headers, prefer)}
        answer = self._answer(_Ask(operation, "GET", self._url(path), every))
        error = answer.error()
        if isinstance(error, Transient | AuthError | Exhausted):
            raise error
        return answer

    def pages(self, operation: str, path: str, *, prefer: Sequence[str] = ()) -> Iterator[Answer]:
        """A list, page by page; the links to the next ones are used exactly as they come."""
        following: str | None = path
        while following is not None:
            answer = self.get(operation, following, prefer=prefer)
            yield answer
            before, following = following, answer.next_link
            if following == before:
                raise rows.malformed(operation, "a page that leads to itself")

    def send(
        self,
        operation: str,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: Mapping[str, str] = _NOTHING,
        data: Data = None,
        write: bool = True,
    ) -> Answer:
        """Send JSON (`body`) or bytes (`data`; a stream is sent once, chunked unless headers say Content-Length).

        Raises what `trouble.translate` makes of an unsuccessful answer.
        """
        every = {**_BASIC, "Accept-Encoding": "gzip", **headers}
        if body is not None:
            data = json.dumps(body, separators=(",", ":")).encode()
            every.setdefault("Content-Type", "application/json")
        return self._answer(_Ask(operation, method, self._url(path), every, data, write)).require()

    def stream(
        self, operation: str, path: str, *, prefer: Sequence[str] = (), headers: Mapping[str, str] = _NOTHING
    ) -> Stream:
        """Ask for a body, which is neither compressed nor decoded. 200 or 206, else raises."""
        every = {**_preferring(headers, prefer), "Accept-Encoding": "identity"}
        ask = _Ask(operation, "GET", self._url(path), every)
        response, lane = self._in_lane(ask)
        if response.status_code in (200, 206):
            return Stream(operation, response, lambda: self.lanes.leave(lane))
        try:
            raise self._refusal(ask, response, _content(ask, response))
        finally:
            self.lanes.leave(lane)

    def batch(self, operation: str, parts: Sequence[Part]) -> list[Answer]:
        """Carry out many operations in one request, going on after errors. Answers in the order of the parts.

        A failed change set answers all its parts with its error. Raises if the request as a whole is refused or
        throttled, and Transient if its answer is lost or not whole.
        """
        if not 0 < len(parts) <= multipart.MOST_PARTS:
            raise Permanent(f"{operation}: a batch of {len(parts)} operations")
        write = any(part.method != "GET" for part in parts)
        headers = {**_BASIC, "Content-Type": multipart.CONTENT_TYPE, "Prefer": "odata.continue-on-error"}
        content = multipart.encode(parts, self.root)
        ask = _Ask(operation, "POST", self._url("$batch"), headers, content, write, len(parts))
        response, content = self._whole(ask)
        content_type = response.headers.get("Content-Type", "")
        if not multipart.is_multipart(content_type):
            if _good(response):
                raise Transient(f"{operation}: the answer has no parts", maybe_done=write)
            raise self._refusal(ask, response, content)
        try:
            replies = multipart.decode(content_type, content, parts)
        except Transient as error:
            raise Transient(f"{operation}: {error}", maybe_done=write) from error
        return [self._part(operation, part, reply) for part, reply in zip(parts, replies, strict=True)]

    def spare(self, error: OffloaderError | None) -> None:
        """Let nothing through for as long as a refused request or operation was told to wait."""
        if isinstance(error, Throttled) and error.retry_after is not None:
            self.lanes.hold_back(error.retry_after)

    def below(self, path: str) -> str | None:
        """An address that an answer gave, as a path below the root; None where it is above. Raises Permanent."""
        start = f"{self._options.url}{self.root}"
        url = self._url(path)
        return url.removeprefix(start) if url.startswith(start) else None

    # -- the wire -----------------------------------------------------------------------------------------------

    def _url(self, path: str) -> str:
        """The whole address; one that an answer gave must lead to the same environment. Raises Permanent."""
        if not path.startswith(("https://", "http://", "/")):
            return f"{self._options.url}{self.root}{path}"
        url = urljoin(self._options.url, path)
        ours, found = urlsplit(self._options.url), urlsplit(url)
        if (found.scheme, found.netloc.lower()) != (ours.scheme, ours.netloc.lower()):
            raise Permanent("Dynamics 365 names an address on another host; it is not followed")
        if not found.path.startswith("/api/data/"):
            raise Permanent("Dynamics 365 names an address that is none of its Web API; it is not followed")
        return url

    def _answer(self, ask: _Ask) -> Answer:
        response, content = self._whole(ask)
        body = trouble.parsed(content) if content else None
        if body is None and content and _good(response):
            raise Transient(f"{ask.operation}: the answer is no JSON", maybe_done=ask.write)
        return self._heeded(Answer(ask.operation, response.status_code, body, response.headers, ask.write))

    def _part(self, operation: str, part: Part, reply: Reply | None) -> Answer:
        name, write = part.operation or operation, part.method != "GET"
        if reply is None:
            return Answer(name, 0, None, {}, write)
        return self._heeded(Answer(name, reply.status, reply.body, reply.headers, write))

    def _heeded(self, answer: Answer) -> Answer:
        """The answer, after holding back if it asks for that."""
        if not answer.ok:
            if "Retry-After" in answer.headers and "Date" not in answer.headers:
                answer = replace(answer, headers={**answer.headers, "Date": format_datetime(self._now(), usegmt=True)})
            self.spare(answer.error())
        return answer

    def _refusal(self, ask: _Ask, response: requests.Response, content: bytes) -> OffloaderError:
        error = trouble.translate(
            ask.operation, response.status_code, response.headers, content, write=ask.write, now=self._now()
        )
        self.spare(error)
        return error

    def _whole(self, ask: _Ask) -> tuple[requests.Response, bytes]:
        response, lane = self._in_lane(ask)
        try:
            return response, _content(ask, response)
        finally:
            self.lanes.leave(lane)

    def _in_lane(self, ask: _Ask) -> tuple[requests.Response, Lane]:
        """Send in a lane, which stays taken unless that fails."""
        lane = self.lanes.enter()
        try:
            return self._logged_in(ask), lane
        except BaseException:
            self.lanes.leave(lane)
            raise

    def _logged_in(self, ask: _Ask) -> requests.Response:
        token = self._session.token()
        response = self._once(ask, token)
        if response.status_code == 401:
            _content(ask, response)
            token = self._session.renew(token)
            if ask.data is not None and not isinstance(ask.data, bytes):
                raise Transient(f"{ask.operation}: the token had expired, logged in again")
            response = self._once(ask, token)
        token.proven = token.proven or _good(response)
        return response

    def _once(self, ask: _Ask, token: Token) -> requests.Response:
        self.purse.spend(ask.operation, ask.operations)
        response = self._wire(ask, {"Authorization": f"Bearer {token.value}"})
        self.lanes.note(response.headers)
        return response

    def _wire(self, ask: _Ask, more: Mapping[str, str]) -> requests.Response:
        headers = {**ask.headers, **more}
        asked = requests.Request(ask.method, self._options.url, headers=headers, data=ask.data)
        prepared = self._connection.prepare_request(asked)
        # addresses that answers give are used exactly as they came
        prepared.url = ask.url
        if "Content-Length" in headers:
            prepared.headers.pop("Transfer-Encoding", None)
        try:
            return self._connection.send(prepared, stream=True, timeout=self._timeout, allow_redirects=False)
        except _BROKEN as error:
            host = urlsplit(self._options.url).hostname
            raise Transient(
                f"{ask.operation}: no answer from {host} ({connections.reason(error)})",
                maybe_done=ask.write and not connections.never_sent(error),
            ) from error

    def _challenge(self) -> Mapping[str, str]:
        """The headers of an answer to a request without a token."""
        self.purse.count("whoami")
        ask = _Ask("whoami", "GET", self._url("WhoAmI"), _BASIC)
        response = self._wire(ask, {})
        _content(ask, response)
        return response.headers


def _good(response: requests.Response) -> bool:
    return 200 <= response.status_code < 300


def _preferring(headers: Mapping[str, str], prefer: Sequence[str]) -> dict[str, str]:
    return {**headers, "Prefer": ",".join(prefer)} if prefer else dict(headers)


def _content(ask: _Ask, response: requests.Response) -> bytes:
    """The whole body, unpacked."""
    try:
        return response.content
    except _BROKEN as error:
        raise Transient(
            f"{ask.operation}: the answer broke off ({connections.reason(error)})", maybe_done=ask.write
        ) from error
    finally:
        response.close()
