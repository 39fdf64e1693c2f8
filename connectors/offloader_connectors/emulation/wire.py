"""Requests and answers as values, so that an inner request of a batch is handled like an outer one."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from offloader_connectors.emulation.blobs import Blob
from offloader_connectors.emulation.faults import Rule


@dataclass(slots=True)
class Part:
    """One part of a multipart body: small ones and those without a file name as bytes, all others as a blob."""

    name: str
    file_name: str | None
    content_type: str
    data: bytes | Blob


@dataclass(slots=True)
class Request:
    """One call. The path is as it came, with its percent signs; header names are in lower case.

    Of a repeated query key the first value counts.
    """

    method: str
    path: str
    query: dict[str, str]
    headers: Mapping[str, str]
    body: bytes = b""
    parts: Sequence[Part] = ()
    #: set for an inner request of a batch: its already parsed body
    data: Any = None
    #: bytes of the request line's target and of all headers
    head_size: int = 0
    #: bytes of the request line's target alone
    target_size: int = 0
    #: the port that the call came in by
    port: int = 0
    #: a body that was too large to be held, if the vendor reads such bodies
    blob: Blob | None = None

    def json(self) -> Any:
        """The body as JSON; None for an empty one. Raises ValueError."""
        if self.data is not None:
            return self.data
        return json.loads(self.body) if self.body.strip() else None

    def form(self) -> dict[str, str]:
        return dict(reversed(parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True)))

    @classmethod
    def inner(cls, method: str, url: str, data: Any, headers: Mapping[str, str]) -> Request:
        path, _, query = url.partition("?")
        lower = {name.lower(): str(value) for name, value in headers.items()}
        return cls(method.upper(), path, parse_query(query), lower, data=data)


def parse_query(text: str) -> dict[str, str]:
    return dict(reversed(parse_qsl(text, keep_blank_values=True)))


@dataclass(slots=True)
class Answer:
    """What is sent back: JSON `data`, raw `body`, or a `stream` of `length` bytes."""

    status: int = 200
    data: Any = None
    body: bytes | None = None
    stream: Iterator[bytes] | None = None
    length: int | None = None
    #: whether the length is told; without, a stream is sent in pieces
    announced: bool = True
    content_type: str = "application/json;charset=UTF-8"
    headers: dict[str, str] = field(default_factory=dict)
    #: rules of inner operations that act on the whole answer
    effects: list[Rule] = field(default_factory=list)
    #: the records that the call was about, for edits "to the same document"
    subjects: Sequence[str] = ()

    def payload(self, *, pretty: bool) -> bytes:
        if self.body is not None:
            return self.body
        if self.data is None:
            return b""
        if pretty:
            return pretty_json(self.data).encode()
        return json.dumps(self.data, ensure_ascii=False, separators=(",", ":")).encode()


def pretty_json(value: Any, indent: str = "") -> str:
    """Jackson's default indentation: `"a" : 1`, lists as `[ 1, 2 ]`, objects in lists as `[ {…}, {…} ]`."""
    if isinstance(value, Mapping):
        if not value:
            return "{ }"
        inner = indent + "  "
        lines = ",\n".join(f"{inner}{json.dumps(key)} : {pretty_json(item, inner)}" for key, item in value.items())
        return f"{{\n{lines}\n{indent}}}"
    if isinstance(value, list | tuple):
        return f"[ {', '.join(pretty_json(item, indent) for item in value)} ]" if value else "[ ]"
    return json.dumps(value, ensure_ascii=False)


def zipped(body: bytes) -> bytes:
    return gzip.compress(body, compresslevel=1, mtime=0)
