"""Answers with bodies are read as they arrive: the same rows as a JSON parser finds, and never a broken one."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offloader.errors import IntegrityError, Transient
from offloader_connectors.dynamics365.scanner import Base64, ListScanner

HELD = 1 << 20
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
NAMES = TEXT.filter(lambda name: name not in ("body", "id", "value"))


@st.composite
def answers(draw: st.DrawFn) -> dict[str, Any]:
    """An answer with rows whose columns come in any order."""
    rows = []
    for number in range(draw(st.integers(0, 4))):
        members = draw(st.dictionaries(NAMES, VALUES, max_size=3))
        body = draw(st.none() | st.binary(max_size=40))
        members |= {"id": number, "body": body if body is None else base64.b64encode(body).decode()}
        rows.append(dict(draw(st.permutations(list(members.items())))))
    around = draw(st.dictionaries(NAMES, VALUES, max_size=3)) | {"value": rows}
    return dict(draw(st.permutations(list(around.items()))))


def escaped(text: str, luck: random.Random) -> str:
    """The same JSON, with some characters of strings written as escapes."""
    written, inside = [], False
    for place, character in enumerate(text):
        if character == '"' and (place == 0 or text[place - 1] != "\\" or (place > 1 and text[place - 2] == "\\")):
            inside = not inside
        plain = inside and character.isalnum() and character.isascii() and text[max(0, place - 6) : place].isalnum()
        if inside and character in "/+" and luck.random() < 0.5:
            written.append("\\/" if character == "/" else f"\\u00{ord(character):02x}")
        elif plain and luck.random() < 0.05:
            written.append(f"\\u00{ord(character):02X}")
        else:
            written.append(character)
    return "".join(written)


def cut(data: bytes, luck: random.Random, longest: int) -> Iterator[bytes]:
    start = 0
    while start < len(data):
        length = luck.randint(1, longest)
        yield data[start : start + length]
        start += length


def read(chunks: Iterator[bytes] | list[bytes], held: int = HELD) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    scanner = ListScanner(chunks, body="body", key="id", held=held)
    rows = []
    for row in scanner:
        body = None if row.chunks is None else b"".join(row.chunks)
        rows.append(row.members | ({} if body is None else {"body": body}))
    return rows, scanner.members


@given(answers(), st.randoms(use_true_random=False), st.integers(1, 50), st.sampled_from([None, 1]))
def test_any_answer_in_any_pieces_reads_as_a_parser_reads_it(
    answer: dict[str, Any], luck: random.Random, longest: int, indent: int | None
) -> None:
    """Rows, members and bodies are what the standard parser finds, however the text is cut, escaped or indented."""
    text = escaped(json.dumps(answer, indent=indent, ensure_ascii=luck.random() < 0.5), luck)
    expected = json.loads(text)
    rows = [
        row if row["body"] is None else row | {"body": base64.b64decode(row["body"])} for row in expected.pop("value")
    ]
    assert read(cut(text.encode(), luck, longest)) == (rows, expected)


@given(answers(), st.randoms(use_true_random=False))
def test_a_shortened_answer_is_never_taken_for_whole(answer: dict[str, Any], luck: random.Random) -> None:
    """An answer that lacks its end raises Transient."""
    data = json.dumps(answer).encode()
    with pytest.raises(Transient):
        read(cut(data[: luck.randrange(len(data))], luck, 9))


@given(st.binary(max_size=30), st.randoms(use_true_random=False))
def test_bytes_that_are_no_answer_are_refused(data: bytes, luck: random.Random) -> None:
    """Whatever a server sends, it is an error or a list of rows that a parser reads alike."""
    try:
        rows, members = read(cut(data, luck, 9))
    except Transient:
        return
    assert len(json.loads(data)["value"]) == len(rows)
    assert {*json.loads(data)} == {*members, "value"}


@pytest.mark.parametrize(
    "text",
    [
        '{"value":[{"id":1,"body":"QUJD"}]}x',
        '{"value":[{"id":1,"body":"QUJD"}]}{}',
        '{"value":[{"id":1,"body":"QUJD"}]',
        '{"value":[{"id":1,"body":"QUJD"},]}',
        '{"value":[{"id":1,"body":"QUJD",}]}',
        '{"value":[{"id":1,"body":"QUJD"} {"id":2,"body":"QUJD"}]}',
        '{"value":[{"id":1,"body":"QUJD" "x":1}]}',
        '{"value":[{"id":1,"body":"QUJD","body":"QUJD"}]}',
        '{"value":[{"id":1,"body":"QUJD"}],"value":[]}',
        '{"value":[{"id":1,"body":"QUJD","x":NaN}]}',
        '{"value":[{"id":1,"body":"QUJD","x":[1}]}]}',
        '{"value":[[]]}',
        '{"value":{}}',
        '{"error":{"code":"0x0","message":""}}',
        "[]",
        "",
    ],
)
def test_garbled_answers_are_refused(text: str) -> None:
    """What is not JSON, or no list of rows, raises Transient."""
    with pytest.raises(Transient):
        read([text.encode()])


@pytest.mark.parametrize(
    "rest", ["", "}", "}]", "}]x", "}]}x", "}]}{", '}],"value":[]}', '"x":1}]}', ',"body":"QUJD"}]}']
)
def test_the_last_body_ends_well_only_with_the_whole_answer(rest: str) -> None:
    """A body whose text is whole, in an answer that is not, raises Transient at its end."""
    row = next(iter(ListScanner([b'{"value":[{"id":1,"body":"QUJD"', rest.encode()], body="body", key="id", held=9)))
    assert row.chunks is not None
    assert next(row.chunks) == b"ABC"
    with pytest.raises(Transient):
        next(row.chunks)


@pytest.mark.parametrize(
    "body", ["QUJ", "QQ==QQ==", "QU=D", "Q*JD", "QUJD=", "QUJ\\\\D", 'QUJ\\"', "QUJ\\u00e4", "Ä", "A"]
)
@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize("order", ["first", "last"])
def test_a_body_that_is_no_base64_spoils_nothing_else(body: str, size: int, order: str) -> None:
    """It raises IntegrityError, and the bodies before and after it are read."""
    key, text = '"id":{}', '"body":"{}"'
    row = "{{" + (f"{key},{text}" if order == "first" else f"{text},{key}") + "}}"
    whole = ",".join(
        row.format(*((number, data) if order == "first" else (data, number)))
        for number, data in enumerate(["QUJD", body, "REVG"])
    )
    data = ('{"value":[' + whole + "]}").encode()
    seen: list[bytes | None] = []
    for each in ListScanner(cut(data, random.Random(1), size), body="body", key="id", held=HELD):
        assert each.chunks is not None
        try:
            seen.append(b"".join(each.chunks))
        except IntegrityError:
            seen.append(None)
    assert seen == [b"ABC", None, b"DEF"]


@pytest.mark.parametrize("text", ["QU JD\r\nREVG", "QUJD\\r\\nREVG\\n", " QUJDRE\\u000dVG\t"])
def test_line_breaks_in_a_body_are_passed_over(text: str) -> None:
    """Blanks and line breaks are no part of Base64, however they are written."""
    for longest in (1, 5, 100):
        rows, _ = read([*cut(f'{{"value":[{{"id":1,"body":"{text}"}}]}}'.encode(), random.Random(2), longest)])
        assert rows == [{"id": 1, "body": b"ABCDEF"}]


def test_a_body_is_streamed_when_its_key_came_first() -> None:
    """The first bytes come before the answer's last ones were asked for."""

    def chunks() -> Iterator[bytes]:
        yield b'{"value":[{"id":1,"body":"QUJD'
        yield b"REVG"
        raise AssertionError("read too far")

    row = next(iter(ListScanner(chunks(), body="body", key="id", held=HELD)))
    assert row.members == {"id": 1}
    assert row.chunks is not None
    assert [next(row.chunks), next(row.chunks)] == [b"ABC", b"DEF"]


def test_a_body_before_its_key_is_held_up_to_a_limit() -> None:
    """More than was expected is never held; it raises IntegrityError, and the next row is read."""
    long, short = base64.b64encode(b"x" * 101).decode(), base64.b64encode(b"x" * 100).decode()
    data = json.dumps({"value": [{"body": long, "id": 1}, {"body": short, "id": 2}]}).encode()
    first, second = iter(ListScanner(cut(data, random.Random(3), 9), body="body", key="id", held=100))
    assert first.members == {"id": 1}
    assert first.chunks is not None
    assert second.chunks is not None
    with pytest.raises(IntegrityError):
        next(first.chunks)
    assert b"".join(second.chunks) == b"x" * 100


def test_a_body_that_was_given_up_never_ends_quietly() -> None:
    """Asking for the next row gives the body before up: going on with it raises."""
    rows = iter(ListScanner([b'{"value":[{"id":1,"body":"QUJD"},{"id":2}]}'], body="body", key="id", held=HELD))
    given_up = next(rows).chunks
    assert next(rows).members == {"id": 2}
    assert given_up is not None
    with pytest.raises(Transient):
        next(given_up)


def test_other_members_are_bounded() -> None:
    """A member that is no body and never ends is refused instead of being gathered."""

    def endless(start: bytes, more: bytes) -> Iterator[bytes]:
        yield start
        while True:
            yield more * 4096

    for start, more in ((b'{"value":[{"id":"', b"x"), (b'{"value":[{"id":', b"1"), (b'{"value":[{"id":', b"[")):
        with pytest.raises(Transient):
            read(endless(start, more))


@given(st.binary(max_size=200), st.randoms(use_true_random=False))
def test_base64_in_pieces_is_the_same_as_in_one(data: bytes, luck: random.Random) -> None:
    """Any cutting of the text decodes to the same bytes."""
    decoder = Base64()
    assert b"".join(decoder.decode(piece) for piece in cut(base64.b64encode(data), luck, 7)) == data
    decoder.end()
