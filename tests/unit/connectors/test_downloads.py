"""Bodies of downloads, byte for byte or not at all."""

from __future__ import annotations

import io
from collections import deque
from http.client import HTTPResponse, HTTPSConnection
from typing import Any, cast

import pytest
from urllib3.exceptions import HTTPError

from offloader_connectors.downloads import Download


class Wire:
    """A socket with an answer in it, as far as http.client looks at one."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer

    def makefile(self, mode: str) -> io.BytesIO:
        return io.BytesIO(self._answer)

    def close(self) -> None:
        """Nothing is held open."""


def download(head: str, body: bytes) -> tuple[Download, deque[tuple[str, HTTPSConnection]]]:
    """A download, and the idle connections that it may give its own back to."""
    wire = cast("Any", Wire(f"HTTP/1.1 200 OK\r\n{head}\r\n\r\n".encode() + body))
    response = HTTPResponse(wire, method="GET")
    response.begin()
    connection = HTTPSConnection("crm.example.com")
    connection.sock = wire
    idle: deque[tuple[str, HTTPSConnection]] = deque()
    return Download(idle, "crm.example.com", connection, response), idle


@pytest.mark.parametrize(
    ("head", "body"),
    [("Content-Length: 5", b"12345"), ("Transfer-Encoding: chunked", b"3\r\n123\r\n2\r\n45\r\n0\r\n\r\n")],
)
def test_whole(head: str, body: bytes) -> None:
    """A whole body comes in chunks, and its connection is kept for the next download."""
    reply, idle = download(head, body)

    assert b"".join(reply.stream(2, decode_content=True)) == b"12345"
    reply.release_conn()

    assert [host for host, _ in idle] == ["crm.example.com"]


def test_empty() -> None:
    """An empty body is whole."""
    reply, _ = download("Content-Length: 0", b"")
    assert reply.read(decode_content=True) == b""


@pytest.mark.parametrize(
    ("head", "body"),
    [
        ("Content-Length: 6", b"12345"),
        ("Content-Length: 6", b""),
        ("Content-Length: six", b"12345"),
        ("Transfer-Encoding: chunked", b"3\r\n123\r\n"),
        ("Transfer-Encoding: chunked", b"3\r\n12"),
        ("Transfer-Encoding: chunked", b"x\r\n12"),
    ],
)
def test_cut_off(head: str, body: bytes) -> None:
    """A body that ends too early is an error, and its connection is not used again."""
    reply, idle = download(head, body)

    with pytest.raises(HTTPError):
        list(reply.stream(4, decode_content=True))
    reply.release_conn()

    assert not idle


def test_given_up() -> None:
    """A connection whose body was not read to its end is not used again."""
    reply, idle = download("Content-Length: 5", b"12345")
    next(reply.stream(2, decode_content=True))
    reply.release_conn()
    assert not idle


def test_closed_by_the_server() -> None:
    """A connection that the server is about to close is not used again."""
    reply, idle = download("Content-Length: 5\r\nConnection: close", b"12345")
    assert reply.read(decode_content=True) == b"12345"
    reply.release_conn()
    assert not idle
