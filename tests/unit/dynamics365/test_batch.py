"""Batches: written so that nothing slips into a header, read so that nothing incomplete is believed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offloader.errors import Permanent, Transient
from offloader_connectors.dynamics365.batch import Part, decode, encode, units

ROOT = "/api/data/v9.2/"
OUTER = "multipart/mixed; boundary=batchresponse_1"


def gets(count: int) -> list[Part]:
    return [Part("GET", f"annotations({number})") for number in range(count)]


def one(status: str, body: str = "", headers: str = "", outer: str = "") -> str:
    return (
        f"Content-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n{outer}\r\n"
        f"HTTP/1.1 {status}\r\nOData-Version: 4.0\r\n{headers}\r\n{body}\r\n"
    )


def nested(*parts: str) -> str:
    inner = "".join(f"--changesetresponse_2\r\n{part}" for part in parts)
    return f"Content-Type: multipart/mixed; boundary=changesetresponse_2\r\n\r\n{inner}--changesetresponse_2--\r\n"


def whole(*parts: str, end: str = "--batchresponse_1--\r\n") -> bytes:
    return ("".join(f"--batchresponse_1\r\n{part}" for part in parts) + end).encode()


def test_a_batch_is_written_as_the_guide_shows_it() -> None:
    """CRLF everywhere, a change set of its own for parts that belong together, one line of JSON a part."""
    parts = [
        Part("GET", "WhoAmI"),
        Part("PATCH", "a(1)", {"x": "a\r\n--batch_offloader"}, {"If-Match": 'W/"5"'}, change_set=7),
        Part("PATCH", "a(2)", {}, change_set=7),
        Part("DELETE", "a(3)"),
    ]
    text = encode(parts, ROOT).decode()

    assert units(parts) == [[0], [1, 2], [3]]
    assert "\n" not in text.replace("\r\n", "")
    assert text.count("--batch_offloader\r\n") == 3
    assert text.endswith("--batch_offloader--\r\n")
    assert "PATCH /api/data/v9.2/a(1) HTTP/1.1\r\nAccept: application/json\r\nContent-Type: application/json" in text
    assert 'If-Match: W/"5"\r\n\r\n{"x":"a\\r\\n--batch_offloader"}\r\n--changeset_1\r\n' in text
    assert "Content-ID: 2\r\n" in text
    assert text.count("--changeset_1--\r\n") == 1


def test_neighbouring_change_sets_stay_apart() -> None:
    """Parts with another number form another change set."""
    parts = [Part("DELETE", "a", change_set=number) for number in (1, 1, 2)]

    assert units(parts) == [[0, 1], [2]]


@pytest.mark.parametrize(
    "part",
    [
        Part("GET", "x HTTP/1.1\r\nAuthorization: y"),
        Part("GET", "x", headers={"If-Match": "W/\r\nX: y"}),
        Part("GET", "x", headers={"X\n": "y"}),
    ],
)
def test_line_breaks_never_reach_a_header(part: Part) -> None:
    """An address or header with a line break is refused."""
    with pytest.raises(Permanent):
        encode([part], ROOT)


def test_answers_come_in_the_order_of_the_parts() -> None:
    """Each part has its status, headers and JSON; an error part has its own."""
    content = whole(
        one("200 OK", '{"value":[]}', "Content-Type: application/json\r\n"),
        one("204 No Content"),
        one(
            "429 Too Many Requests", '{"error":{"code":"0x80072322","message":"m"}}', "Retry-After: 9\r\nREQ_ID: 1\r\n"
        ),
    )
    first, second, third = decode(OUTER, content, gets(3))

    assert first is not None
    assert (first.status, first.body) == (200, {"value": []})
    assert second is not None
    assert (second.status, second.body) == (204, None)
    assert third is not None
    assert (third.status, third.headers["retry-after"]) == (429, "9")


def test_a_batch_that_stopped_leaves_the_rest_unanswered() -> None:
    """After an error as the last answer, parts without one were not carried out."""
    content = whole(one("204 No Content"), one("412 Precondition Failed", '{"error":{}}'))

    assert [reply and reply.status for reply in decode(OUTER, content, gets(4))] == [204, 412, None, None]


def test_answers_that_are_missing_without_an_error_are_not_believed() -> None:
    """Fewer answers than parts, the last one good: something was lost on the way."""
    with pytest.raises(Transient):
        decode(OUTER, whole(one("204 No Content")), gets(2))
    with pytest.raises(Transient):
        decode(OUTER, whole(), gets(1))


@pytest.mark.parametrize(
    ("content_type", "content"),
    [
        (OUTER, whole(one("204 No Content"), end="")),
        (OUTER, whole(one("204 No Content"), one("204 No Content"))),
        (OUTER, b""),
        (OUTER, b"--batchresponse_1"),
        (OUTER, whole(one("nonsense"))),
        (OUTER, whole(one("200 OK", '{"value":['))),
        (OUTER, whole("Content-Type: application/http\r\n\r\n")),
        ("multipart/mixed", whole(one("204 No Content"))),
        ("text/html", b"<html>"),
    ],
)
def test_what_is_not_whole_is_not_believed(content_type: str, content: bytes) -> None:
    """A cut, garbled or foreign answer is Transient, never a success."""
    with pytest.raises(Transient):
        decode(content_type, content, gets(1))


def sets(*numbers: int | None) -> list[Part]:
    return [Part("PATCH", "a", {}, change_set=number) for number in numbers]


def test_change_sets_are_answered_by_content_id() -> None:
    """Answers within a change set are matched by their Content-ID, in whatever order they come."""
    content = whole(
        nested(one("204 No Content", outer="Content-ID: 2\r\n"), one("200 OK", "{}", outer="Content-ID: 1\r\n")),
        one("204 No Content"),
    )
    replies = decode(OUTER, content, sets(1, 1, None))

    assert [reply and reply.status for reply in replies] == [200, 204, 204]


@pytest.mark.parametrize("inside", [True, False])
def test_a_failed_change_set_answers_all_its_parts(inside: bool) -> None:
    """One error stands for the whole change set, in a multipart of its own or not."""
    error = one("412 Precondition Failed", '{"error":{"code":"0x80060882"}}', outer="Content-ID: 2\r\n")
    content = whole(nested(error) if inside else error, one("204 No Content"))
    replies = decode(OUTER, content, sets(1, 1, 1, None))

    assert [reply and reply.status for reply in replies] == [412, 412, 412, 204]


def test_a_change_set_with_too_few_answers_is_not_believed() -> None:
    """Good answers for some parts of a change set say nothing of the others."""
    with pytest.raises(Transient):
        decode(OUTER, whole(nested(one("204 No Content"))), sets(1, 1))


@given(st.binary(max_size=300))
def test_garbage_is_never_a_success(content: bytes) -> None:
    """Random bytes after a good head do not make an answer."""
    try:
        replies: list[Any] = decode(OUTER, b"--batchresponse_1\r\n" + content, gets(1))
    except Transient:
        return
    assert all(reply is None or 100 <= reply.status < 600 for reply in replies)
