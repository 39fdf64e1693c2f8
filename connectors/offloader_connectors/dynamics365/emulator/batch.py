"""Several operations in one request ("Execute batch operations using the Web API"; OData 4.0, 11.7)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from email.message import Message
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from offloader_connectors.dynamics365.emulator.errors import DataverseError
from offloader_connectors.dynamics365.emulator.render import Rendered, dumps, together
from offloader_connectors.emulation.faults import Rule
from offloader_connectors.emulation.wire import Answer, Request, parse_query

if TYPE_CHECKING:
    from offloader_connectors.dynamics365.emulator.calls import Call

_CRLF = b"\r\n"
_END = b"\r\n\r\n"
#: the URL is what stands between the first and the last blank, and may have blanks itself
_LINE = re.compile(rb"([A-Z]+) (.+) HTTP/1\.1")
_REFERENCE = re.compile(r"\$(\w+)")
#: headers of an answer that belong to the connection, not to a part
_OUTER = ("x-ms-", "set-cookie", "date", "authactivityid", "vary", "cache-control")
_WRITES = ("POST", "PUT", "PATCH", "DELETE")


@dataclass(slots=True)
class Operation:
    """One operation as it came; header names in lower case."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes
    content_id: str | None


@dataclass(slots=True)
class ChangeSet:
    operations: list[Operation] = field(default_factory=list)


def _malformed(text: str) -> DataverseError:
    return DataverseError(400, "0x80048d19", text)


def boundary_of(content_type: str) -> bytes:
    """Raises DataverseError if a body is not multipart/mixed."""
    header = Message()
    header["content-type"] = content_type
    boundary = header.get_boundary()
    if header.get_content_type() != "multipart/mixed" or not boundary:
        raise _malformed("The batch request must have Content-Type multipart/mixed.")
    return boundary.encode()


def parse_batch(body: bytes, boundary: bytes, most: int) -> list[Operation | ChangeSet]:
    """The operations in order. Raises DataverseError for a body that is no batch, or one of more than `most`."""
    items: list[Operation | ChangeSet] = []
    count = 0
    for headers, content in _parts(body, boundary):
        kind = headers.get("content-type", "")
        if kind.lower().startswith("multipart/mixed"):
            item: Operation | ChangeSet = _change_set(content, boundary_of(kind))
            count += len(item.operations)  # type: ignore[union-attr]
        else:
            item = _operation(headers, content)
            count += 1
        items.append(item)
        if count > most:
            text = (
                "The current batch message contains too many parts. Only batch messages with a maximum number of "
                f"'{most}' query operations and change sets are allowed."
            )
            raise DataverseError(400, "0x80060888", text)
    if not items:
        raise _malformed("The batch request has no operations.")
    return items


def _parts(body: bytes, boundary: bytes) -> Iterator[tuple[dict[str, str], bytes]]:
    """Headers and content of each part; every line must end in CRLF. Raises DataverseError."""
    delimiter = b"\r\n--" + boundary
    text = body if body.startswith(b"\r\n") else _CRLF + body
    position = text.find(delimiter)
    while position >= 0:
        start = position + len(delimiter)
        if text.startswith(b"--", start):
            return
        if not text.startswith(_CRLF, start):
            raise _malformed("Each line of a batch request must end in CRLF.")
        position = text.find(delimiter, start)
        if position < 0:
            break
        yield _head(text[start + 2 : position])
    raise _malformed("The batch request is incomplete: its last boundary is missing, or lines do not end in CRLF.")


def _head(part: bytes) -> tuple[dict[str, str], bytes]:
    head, found, content = part.partition(_END)
    if not found and part.startswith(_CRLF):
        head, content = b"", part[2:]
    headers = {}
    for line in head.split(_CRLF):
        name, colon, value = line.partition(b":")
        if line and (not colon or b"\n" in line):
            raise _malformed("A header of a batch request is malformed.")
        if line:
            headers[name.decode("latin-1").strip().lower()] = value.decode("utf-8", "replace").strip()
    return headers, content


def _operation(outer: Mapping[str, str], content: bytes) -> Operation:
    if not outer.get("content-type", "").lower().startswith("application/http"):
        raise _malformed("A part of a batch request must have Content-Type application/http or multipart/mixed.")
    line, _, rest = content.lstrip(b"\r\n").partition(_CRLF)
    match = _LINE.fullmatch(line.rstrip())
    if match is None:
        raise _malformed("The request line of a batch operation is malformed: METHOD URL HTTP/1.1 is expected.")
    headers, body = _head(rest)
    content_id = outer.get("content-id") or headers.pop("content-id", None)
    return Operation(match[1].decode(), match[2].decode("utf-8", "replace"), headers, body, content_id)


def _change_set(content: bytes, boundary: bytes) -> ChangeSet:
    found, seen = ChangeSet(), set()
    for headers, part in _parts(content if content.endswith(_CRLF) else content + _CRLF, boundary):
        operation = _operation(headers, part)
        if operation.method not in _WRITES:
            text = (
                f"An invalid HTTP method '{operation.method}' was detected for a request in a change set. Requests in "
                "change sets only support the HTTP methods 'POST', 'PUT', 'DELETE', and 'PATCH'."
            )
            raise DataverseError(400, "0x80060888", text)
        if operation.content_id is None:
            raise _malformed("Each operation of a change set must have a header Content-ID.")
        if operation.content_id in seen:
            text = (
                f"The content ID '{operation.content_id}' was found more than once in the same change set. Content "
                "IDs have to be unique across all operations of a change set."
            )
            raise DataverseError(400, "0x80060888", text)
        seen.add(operation.content_id)
        found.operations.append(operation)
    return found


class _RollBack(Exception):
    """One operation of a change set failed."""


#: text of an answer: bytes, or a JSON value with large texts in it
_Piece = bytes | Rendered | Answer


class Batch:
    """One batch on its way through."""

    def __init__(self, call: Call, items: Sequence[Operation | ChangeSet]) -> None:
        self._call = call
        self._items = items
        protocol = call.app.protocol
        self._go_on = call.prefer.continue_on_error and protocol.continue_on_error
        self._boundary = f"batchresponse_{call.app.new_guid()}"
        self._pieces: list[_Piece] = []
        self._number = 0
        self._failing = {number: rule for rule in call.rules if rule.do == "item" for number in rule.items()}

    def run(self) -> Answer:
        status = 200
        for item in self._items:
            failed = self._change_set(item) if isinstance(item, ChangeSet) else self._single(item)
            if failed and not self._go_on:
                status = failed
                break
        self._pieces.append(f"--{self._boundary}--\r\n".encode())
        return self._answer(status)

    def _answer(self, status: int) -> Answer:
        content_type = f"multipart/mixed; boundary={self._boundary}"
        lengths = [_length(piece) for piece in self._pieces]
        if all(isinstance(piece, bytes) for piece in self._pieces):
            whole = b"".join(piece for piece in self._pieces if isinstance(piece, bytes))
            return Answer(status, body=whole, content_type=content_type)
        total = None if None in lengths else sum(length for length in lengths if length is not None)
        stream = together(_flow(self._pieces))
        return Answer(status, stream=stream, length=total, announced=False, content_type=content_type)

    def _single(self, operation: Operation) -> int:
        """Carry out one operation; its status if it failed, else 0."""
        answer = self._carried_out(operation, {})
        self._put(self._boundary, answer, None)
        return answer.status if answer.status >= 400 else 0

    def _change_set(self, change_set: ChangeSet) -> int:
        """All or none; of a failure only the failing operation is answered."""
        known: dict[str, str] = {}
        answers: list[tuple[Answer, str | None]] = []
        failed = 0
        try:
            with self._call.app.org.store.transaction():
                for operation in change_set.operations:
                    answer = self._carried_out(operation, known)
                    if answer.status >= 400:
                        answers, failed = [(answer, operation.content_id)], answer.status
                        raise _RollBack
                    answers.append((answer, operation.content_id))
                    if operation.content_id and "OData-EntityId" in answer.headers:
                        known[operation.content_id] = answer.headers["OData-EntityId"]
        except _RollBack:
            pass
        boundary = f"changesetresponse_{self._call.app.new_guid()}"
        head = f"--{self._boundary}\r\nContent-Type: multipart/mixed; boundary={boundary}\r\n\r\n"
        self._pieces.append(head.encode())
        for answer, content_id in answers:
            self._put(boundary, answer, content_id)
        self._pieces.append(f"--{boundary}--\r\n".encode())
        return failed

    def _carried_out(self, operation: Operation, known: Mapping[str, str]) -> Answer:
        number, self._number = self._number, self._number + 1
        app = self._call.app
        try:
            rule = self._failing.get(number)
            if rule is not None:
                return _scripted(rule)
            if len(operation.url.encode()) > app.protocol.batch_url_bytes:
                raise DataverseError(414, "0x80060888", "Request-URI Too Long")
            url = _resolved(operation.url, known)
            return app.inner(self._call, self._request(operation, url, known))
        except DataverseError as error:
            return app.refused(error)

    def _request(self, operation: Operation, url: str, known: Mapping[str, str]) -> Request:
        root = self._call.root
        path = url.removeprefix(root.removesuffix("/api/data/v9.2/")) if "://" in url else url
        if "://" in path:
            raise DataverseError(400, "0x80060888", "An operation of a batch must address the same environment.")
        if not path.startswith("/"):
            path = "/api/data/v9.2/" + path
        path, _, query = path.partition("?")
        body = operation.body
        if known and b'"$' in body:
            body = re.sub(rb'"\$(\w+)"', lambda match: _bound(match, known), body)
        return Request(operation.method, path, parse_query(query), operation.headers, body.strip(b"\r\n"))

    def _put(self, boundary: str, answer: Answer, content_id: str | None) -> None:
        lines = [f"--{boundary}", "Content-Type: application/http", "Content-Transfer-Encoding: binary"]
        if content_id is not None:
            lines.append(f"Content-ID: {content_id}")
        lines += ["", f"HTTP/1.1 {answer.status} {_phrase(answer.status)}"]
        if answer.status >= 400:
            lines.append(f"REQ_ID: {self._call.app.new_guid()}")
        if answer.data is not None or answer.body or answer.stream is not None:
            lines.append(f"Content-Type: {answer.content_type}")
        lines.append("OData-Version: 4.0")
        lines += [f"{name}: {value}" for name, value in answer.headers.items() if not name.lower().startswith(_OUTER)]
        head = "\r\n".join((*lines, "", "")).encode("utf-8", "replace")
        if answer.stream is not None:
            self._pieces += [head, answer, _CRLF]
        elif answer.body is not None:
            self._pieces.append(head + answer.body + _CRLF)
        elif answer.data is not None:
            self._pieces.append(head + dumps(answer.data) + _CRLF)
        else:
            self._pieces.append(head + _CRLF)


def _length(piece: _Piece) -> int | None:
    return len(piece) if isinstance(piece, bytes) else piece.length


def _flow(pieces: Sequence[_Piece]) -> Iterator[bytes]:
    for piece in pieces:
        if isinstance(piece, bytes):
            yield piece
        elif isinstance(piece, Rendered):
            yield from piece.stream()
        else:
            yield from piece.stream or ()


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"


def _scripted(rule: Rule) -> Answer:
    """An operation's failure as the fault script wants it."""
    error: dict[str, Any] = {
        "code": rule.code or "0x80040216",
        "message": rule.message or "An unexpected error occurred.",
    }
    answer = Answer(rule.status, {"error": error}, headers=dict(rule.headers))
    if rule.retry_after is not None:
        answer.headers["Retry-After"] = str(rule.retry_after)
    return answer


def _known(name: str, known: Mapping[str, str]) -> str:
    if name not in known:
        text = f"Content-ID Reference: '${name}' does not exist in the batch context."
        raise DataverseError(400, "0x80060888", text)
    return known[name]


def _resolved(url: str, known: Mapping[str, str]) -> str:
    """The URL with a leading `$1` replaced by the address of what operation 1 wrote. Raises DataverseError."""
    match = _REFERENCE.match(url)
    if match is None or match[1] in {"metadata", "batch"}:
        return url
    return _known(match[1], known) + url[match.end() :]


def _bound(match: re.Match[bytes], known: Mapping[str, str]) -> bytes:
    return dumps(_known(match[1].decode(), known))
