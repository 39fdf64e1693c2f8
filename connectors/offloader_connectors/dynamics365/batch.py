"""Many operations in one request: multipart bodies, written and read.

Web API guide, "Execute batch operations using the Web API": parts in order, CRLF everywhere; parts of one change set
succeed or fail together; a failed change set is answered by the one error. Answers come in the order of the requests.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from requests.structures import CaseInsensitiveDict

from offloader.errors import Permanent, Transient

#: operations in one batch
MOST_PARTS = 1000
_BOUNDARY = "batch_offloader"
CONTENT_TYPE = f'multipart/mixed; boundary="{_BOUNDARY}"'
_PART = "Content-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n"
_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5][0-9][0-9])(?: [^\r\n]*)?")
_BOUNDARY_OF = re.compile(
    r"multipart/mixed\s*;(?:.*;)?\s*boundary=(?:\"([^\"]{1,200})\"|([^;,\s\"]{1,200}))", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Part:
    """One operation. `path` is below /api/data/v9.x/, encoded; parts with the same `change_set` form one."""

    method: str
    path: str
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    change_set: int | None = None
    #: for messages and counts: "patch.annotation"
    operation: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer of a batch. `body` is parsed JSON, None where there is none."""

    status: int
    headers: Mapping[str, str]
    body: Any


def units(parts: Sequence[Part]) -> list[list[int]]:
    """The numbers of the parts that are answered together: single parts, and neighbours of one change set."""

    def unit(number: int) -> tuple[bool, int | None]:
        part = parts[number]
        return (True, part.change_set) if _in_set(part) else (False, number)

    return [list(members) for _, members in groupby(range(len(parts)), key=unit)]


def encode(parts: Sequence[Part], root: str) -> bytes:
    """The body of the request. Raises Permanent for what must not stand in a header."""
    pieces = []
    for unit in units(parts):
        pieces.append(f"--{_BOUNDARY}\r\n")
        if not _in_set(parts[unit[0]]):
            pieces.append(_written(parts[unit[0]], root))
            continue
        boundary = f"changeset_{unit[0]}"
        pieces.append(f'Content-Type: multipart/mixed; boundary="{boundary}"\r\n\r\n')
        pieces += [f"--{boundary}\r\n{_written(parts[index], root, content_id=index + 1)}" for index in unit]
        pieces.append(f"--{boundary}--\r\n")
    pieces.append(f"--{_BOUNDARY}--\r\n")
    return "".join(pieces).encode()


def decode(content_type: str, content: bytes, parts: Sequence[Part]) -> list[Reply | None]:
    """The answers, in the order of the parts; None where the batch ended before.

    A failed change set answers all its parts with its error. Raises Transient for an answer that is not whole.
    """
    answers = list(_split(content_type, content))
    asked = units(parts)
    if len(answers) > len(asked):
        raise Transient("batch: more answers than operations")
    replies: list[Reply | None] = [None] * len(parts)
    for unit, (headers, body) in zip(asked, answers, strict=False):
        found = _change_set(headers, body) if _boundary(headers.get("Content-Type", "")) else [_reply(headers, body)]
        for index, reply in zip(unit, _matched(unit, found), strict=True):
            replies[index] = reply
    if len(answers) < len(asked) and (not answers or _succeeded(replies, asked[len(answers) - 1])):
        raise Transient("batch: answers are missing")
    return replies


def _in_set(part: Part) -> bool:
    return part.change_set is not None


def _succeeded(replies: Sequence[Reply | None], unit: Sequence[int]) -> bool:
    return all(reply is not None and reply.status < 400 for reply in (replies[index] for index in unit))


def _written(part: Part, root: str, content_id: int | None = None) -> str:
    lines = [f"{part.method} {root}{part.path} HTTP/1.1", "Accept: application/json"]
    if part.body is not None:
        lines.append("Content-Type: application/json; type=entry")
    lines += [f"{name}: {value}" for name, value in part.headers.items()]
    if any("\r" in line or "\n" in line for line in lines):
        raise Permanent("batch: a line break in an address or a header")
    own = _PART + (f"Content-ID: {content_id}\r\n" if content_id else "")
    body = "" if part.body is None else json.dumps(part.body, separators=(",", ":"))
    return f"{own}\r\n" + "\r\n".join(lines) + f"\r\n\r\n{body}\r\n"


def _boundary(content_type: str) -> bytes | None:
    found = _BOUNDARY_OF.match(content_type)
    return (found[1] or found[2]).encode("latin-1", "replace") if found else None


def is_multipart(content_type: str) -> bool:
    return _boundary(content_type) is not None


def _split(content_type: str, content: bytes) -> list[tuple[Mapping[str, str], bytes]]:
    """The parts of a multipart body, each with its headers. Raises Transient if its end is missing."""
    boundary = _boundary(content_type)
    if boundary is None:
        raise Transient("batch: the answer is no multipart")
    pieces = (b"\n" + content).split(b"\n--" + boundary)
    if len(pieces) < 2 or not pieces[-1].startswith(b"--"):
        raise Transient("batch: the answer broke off")
    return [_headed(piece) for piece in pieces[1:-1]]


def _headed(piece: bytes) -> tuple[Mapping[str, str], bytes]:
    """Headers and body of a part, which begins after its boundary line's own end and ends with a line break."""
    _, _, rest = piece.partition(b"\n")
    return _headers(rest)


def _headers(text: bytes) -> tuple[Mapping[str, str], bytes]:
    headers: CaseInsensitiveDict[str] = CaseInsensitiveDict()
    while text:
        line, _, text = text.partition(b"\n")
        line = line.rstrip(b"\r")
        if not line:
            break
        name, colon, value = line.partition(b":")
        if colon:
            headers[name.strip().decode("latin-1")] = value.strip().decode("latin-1")
    return headers, text


def _reply(headers: Mapping[str, str], body: bytes) -> tuple[str, Reply]:
    """One HTTP answer within a part, with the Content-ID that it names."""
    first, _, rest = body.lstrip(b"\r\n").partition(b"\n")
    status = _STATUS.fullmatch(first.rstrip(b"\r"))
    if status is None:
        raise Transient("batch: an answer without a status")
    own, content = _headers(rest)
    reply = Reply(int(status[1]), own, _json(content, ok=int(status[1]) < 300))
    return headers.get("Content-ID") or own.get("Content-ID") or "", reply


def _json(content: bytes, *, ok: bool) -> Any:
    content = content.strip()
    if not content:
        return None
    try:
        return json.loads(content)
    except ValueError as error:
        if ok:
            raise Transient("batch: an answer is no JSON") from error
        return None


def _change_set(headers: Mapping[str, str], body: bytes) -> list[tuple[str, Reply]]:
    return [_reply(*each) for each in _split(headers.get("Content-Type", ""), body)]


def _matched(unit: Sequence[int], found: Sequence[tuple[str, Reply]]) -> list[Reply]:
    """One answer for each part of a unit, by Content-ID where all have one, else by order."""
    failed = next((reply for _, reply in found if reply.status >= 400), None)
    if failed is not None:
        return [failed] * len(unit)
    if len(found) != len(unit):
        raise Transient("batch: answers of a change set are missing")
    named = {content_id: reply for content_id, reply in found if content_id}
    wanted = [str(index + 1) for index in unit]
    if named.keys() == set(wanted):
        return [named[each] for each in wanted]
    return [reply for _, reply in found]
