"""Addresses in the storage are used only where they may lead, and never shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import pytest
from urllib3.exceptions import ProtocolError

from offloader.errors import IntegrityError, Permanent, Transient
from offloader_connectors.downloads import Connections, Download
from offloader_connectors.dynamics365.storage import NotLetIn, NotReached, Storage

HOSTS = (".blob.core.windows.net", "files.example.com")
ADDRESS = "https://org1.blob.core.windows.net/c/b?sv=1&sig=secret%3D"


class Reply:
    """An answer of the storage."""

    def __init__(self, status: int, body: bytes = b"", headers: Mapping[str, str] | None = None) -> None:
        self.status = status
        self.headers = headers or {}
        self._body = body
        self.ended = ""

    def stream(self, amt: int, decode_content: bool) -> Any:
        assert not decode_content
        yield from (self._body[start : start + 3] for start in range(0, len(self._body), 3))

    def close(self) -> None:
        self.ended = "closed"

    def release_conn(self) -> None:
        self.ended = "released"


class Asked:
    """Connections that answer as told, and remember what they were asked."""

    def __init__(self, answer: Reply | Exception) -> None:
        self.answer = answer
        self.calls: list[tuple[str, str, Mapping[str, str]]] = []

    def get(self, base_url: str, path: str, headers: Mapping[str, str]) -> Download:
        self.calls.append((base_url, path, headers))
        if isinstance(self.answer, Exception):
            raise self.answer
        return cast("Download", self.answer)


def storage(asked: Asked) -> Storage:
    return Storage(cast("Connections", asked), HOSTS, lambda operation: None)


def test_an_address_is_used_as_it_is_and_without_credentials() -> None:
    """Path and query go to the storage unchanged, and no header says who we are."""
    asked = Asked(Reply(200, b"0123456789"))
    assert b"".join(storage(asked).open(ADDRESS, 10, "x")) == b"0123456789"
    ((base, path, headers),) = asked.calls
    assert (base, path) == ("https://org1.blob.core.windows.net", "/c/b?sv=1&sig=secret%3D")
    assert not {"authorization", "cookie"} & {name.lower() for name in headers}


@pytest.mark.parametrize(
    "address",
    [
        "http://org1.blob.core.windows.net/c/b?sig=x",
        "https://evilblob.core.windows.net/c/b?sig=x",
        "https://blob.core.windows.net.evil.example/c/b?sig=x",
        "https://org1.blob.core.windows.net@evil.example/c/b?sig=x",
        "https://user:pw@org1.blob.core.windows.net/c/b?sig=x",
        "https://sub.files.example.com/c/b?sig=x",
        "https:///c/b?sig=x",
        "//org1.blob.core.windows.net/c/b?sig=x",
        "ftp://files.example.com/b?sig=x",
    ],
)
def test_other_addresses_are_not_asked(address: str) -> None:
    """Only https, only hosts that are allowed, and no user in the address."""
    asked = Asked(Reply(200))
    with pytest.raises(Permanent) as caught:
        storage(asked).open(address, 1, "x")
    assert not asked.calls
    assert "sig=" not in str(caught.value)


@pytest.mark.parametrize("address", ["https://FILES.example.com/b", "https://Org1.Blob.Core.Windows.Net:444/b"])
def test_hosts_are_compared_without_case(address: str) -> None:
    """A host is allowed in any spelling, on any port."""
    assert b"".join(storage(Asked(Reply(200, b"a"))).open(address, 1, "x")) == b"a"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Reply(403), NotLetIn),
        (Reply(401), NotLetIn),
        (Reply(302, headers={"Location": "https://evil.example/"}), Permanent),
        (Reply(404), Permanent),
        (Reply(200, headers={"Content-Encoding": "gzip"}), Permanent),
        (Reply(503), Transient),
        (Reply(429), Transient),
        (ProtocolError("GET /c/b?sig=secret"), NotReached),
    ],
)
def test_refusals_say_what_to_do_and_nothing_of_the_address(answer: Reply | Exception, error: type[Exception]) -> None:
    """Each answer without the body is an error of its kind, and its connection is given up."""
    with pytest.raises(error) as caught:
        storage(Asked(answer)).open(ADDRESS, 1, "x")
    assert "sig" not in str(caught.value)
    assert caught.value.__cause__ is None
    if isinstance(answer, Reply):
        assert answer.ended == "closed"


@pytest.mark.parametrize("size", [9, 11])
def test_another_size_than_was_declared_is_no_file(size: int) -> None:
    """Neither more nor fewer bytes are taken for the file."""
    with pytest.raises(IntegrityError):
        b"".join(storage(Asked(Reply(200, b"0123456789"))).open(ADDRESS, size, "x"))


@pytest.mark.parametrize("begun", [False, True])
def test_a_body_that_is_given_up_gives_its_connection_up(begun: bool) -> None:
    """Whether it was begun or not, the connection is not kept for another download."""
    answer = Reply(200, b"0123456789")
    body = storage(Asked(answer)).open(ADDRESS, 10, "x")
    if begun:
        next(body)
    body.give_up()
    assert answer.ended == "closed"
    with pytest.raises(Transient):
        next(body)
