"""Multipart bodies."""

from __future__ import annotations

from collections.abc import Iterable
from email import message_from_bytes
from email.policy import HTTP

import pytest

from offloader.errors import IntegrityError
from offloader_connectors.salesforce.multipart import Multipart, boundary_for

FIELDS = {"Title": 'a "quoted" ü', "PathOnClient": "x.pdf"}


def make(chunks: Iterable[bytes], size: int | None, name: str = "x.pdf") -> Multipart:
    return Multipart(
        "entity_content",
        FIELDS,
        chunks,
        blob="VersionData",
        file_name=name,
        size=size,
        boundary=boundary_for(FIELDS, 0.5),
    )


def test_parses_as_mime() -> None:
    """An independent parser finds both parts, byte for byte."""
    data = bytes(range(256)) * 3
    body = make([data[:100], b"", data[100:]], len(data))
    raw = b"".join(body)
    parsed = message_from_bytes(
        b"Content-Type: " + body.headers["Content-Type"].encode() + b"\r\n\r\n" + raw, policy=HTTP
    )
    first, second = parsed.iter_parts()

    assert first.get_param("name", header="content-disposition") == "entity_content"
    assert first.get_content_type() == "application/json"
    assert second.get_param("name", header="content-disposition") == "VersionData"
    assert second.get_payload(decode=True) == data
    assert int(body.headers["Content-Length"]) == len(raw)


@pytest.mark.parametrize("chunks", [[b"12"], [b"12", b"3456"], []])
def test_wrong_size_is_an_error(chunks: list[bytes]) -> None:
    """A body that is shorter or longer than declared never ends quietly."""
    with pytest.raises(IntegrityError):
        b"".join(make(chunks, 5))


def test_unknown_size_declares_none() -> None:
    """Without a size no length is declared."""
    assert "Content-Length" not in make([b"1"], None).headers


@pytest.mark.parametrize("name", ['a"b.pdf', "a\r\nX: y", "../../ü\u202e", "", "\\"])
def test_file_names_cannot_break_out(name: str) -> None:
    """A hostile file name adds no header and ends no quote."""
    head = b"".join(make([b""], 0, name)).split(b"\r\n\r\n")[1].split(b"\r\n")
    disposition = next(line for line in head if line.startswith(b"Content-Disposition"))

    assert disposition.count(b'"') == 4
    assert all(not line.startswith(b"X:") for line in head)


def test_boundaries_differ() -> None:
    """Two uploads of the same fields have different boundaries."""
    assert boundary_for(FIELDS, 0.1) != boundary_for(FIELDS, 0.2)
