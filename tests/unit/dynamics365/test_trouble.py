"""The translation of Dataverse's errors."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from offloader.errors import (
    AuthError,
    Conflict,
    Exhausted,
    Gone,
    OffloaderError,
    Permanent,
    Throttled,
    Transient,
    Unsupported,
)
from offloader_connectors.dynamics365 import trouble


def body(code: str, message: str = "m") -> bytes:
    return json.dumps({"error": {"code": code, "message": message}}).encode()


@pytest.mark.parametrize(
    ("status", "content", "kind"),
    [
        (400, body("0x80060888"), Permanent),
        (400, body(""), Permanent),
        (400, body("0x0"), Permanent),
        (400, body("0x80043e09"), Permanent),
        (400, body("0x80040265"), Permanent),
        (400, body("0x8004112a"), Permanent),
        (400, body("0x80044352"), Permanent),
        (400, body("0x80072491"), Unsupported),
        (400, body("0x80090017"), Unsupported),
        (401, b"", AuthError),
        (401, b"<html>", AuthError),
        (403, body("0x80040220"), Permanent),
        (403, body("0x80048306"), Gone),
        (403, body("0x80072560"), AuthError),
        (403, body("0x80042f09"), AuthError),
        (403, body("0x8004a112"), AuthError),
        (404, body("0x80040217"), Gone),
        (404, body(""), Gone),
        (404, body("0x80060888"), Permanent),
        (405, body("0x8004023b"), Unsupported),
        (408, b"", Transient),
        (409, body("0x80040237"), Conflict),
        (412, body("0x80060882"), Conflict),
        (412, body(""), Conflict),
        (412, body("0x80040333"), Conflict),
        (413, b"<html>", Permanent),
        (414, b"", Permanent),
        (429, body("0x80072322"), Throttled),
        (429, body("0x80072321"), Throttled),
        (429, body("0x80072326"), Throttled),
        (429, body("-2147015902"), Throttled),
        (429, b"too many", Throttled),
        (503, body("-2147015903"), Throttled),
        (400, body("-2147015898"), Throttled),
        (500, body("0x80072325"), Exhausted),
        (500, body("0x80044150", "Sql error: Sql Number: 1205"), Transient),
        (500, body("0x80044151"), Transient),
        (500, body("0x80040216"), Transient),
        (500, b"", Transient),
        (501, b"not implemented", Unsupported),
        (502, b"<html>", Transient),
        (503, json.dumps({"Message": "down"}).encode(), Transient),
        (504, b"", Transient),
        (302, b"", Permanent),
        (304, b"", Permanent),
    ],
)
def test_kinds(status: int, content: bytes, kind: type[OffloaderError]) -> None:
    """Each answer becomes the error that says what the engine should do; status and code go along."""
    error = trouble.translate("list", status, {}, content)

    assert type(error) is kind
    assert trouble.status_of(error) == status


@pytest.mark.parametrize(
    ("code", "normal"),
    [
        ("0x80072322", "0x80072322"),
        ("0X80072322", ""),
        ("0x8007232A", "0x8007232a"),
        ("-2147015902", "0x80072322"),
        (-2147015902, "0x80072322"),
        (2147951394, "0x80072322"),
        ("0x0", ""),
        ("", ""),
        (None, ""),
        (True, ""),
        ("abc", ""),
        ("0x80072322; drop", ""),
    ],
)
def test_codes_in_both_spellings(code: object, normal: str) -> None:
    """Hexadecimal and signed decimal codes are the same; anything else is no code."""
    assert trouble.normal(code) == normal


@pytest.mark.parametrize(
    "content", [b"[]", b"null", b'"x"', b'{"error":null}', b'{"error":"x"}', b'{"error":{"code":5,"message":7}}', b"{"]
)
def test_bodies_of_any_shape(content: bytes) -> None:
    """An error body that is not as documented leaves the status to decide."""
    assert type(trouble.translate("list", 404, {}, content)) is Gone


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7),
        ({"Retry-After": "Thu, 01 Jan 2026 00:00:09 GMT"}, 9),
        ({}, trouble.THROTTLE_PAUSE.total_seconds()),
    ],
)
def test_a_throttle_says_how_long(headers: dict[str, str], seconds: float) -> None:
    """Every throttle has a pause: as the server says it, in seconds or as a date, else our own."""
    error = trouble.translate("list", 429, headers, b"", now=datetime(2026, 1, 1, tzinfo=UTC))

    assert isinstance(error, Throttled)
    assert error.retry_after == timedelta(seconds=seconds)


@pytest.mark.parametrize("status", [500, 502, 503, 504, 408])
@pytest.mark.parametrize("write", [True, False])
def test_a_failed_write_may_be_done(status: int, write: bool) -> None:
    """After a server error or a timeout only a write is in doubt."""
    error = trouble.translate("batch", status, {}, body("0x80040216"), write=write)

    assert isinstance(error, Transient)
    assert error.maybe_done is write


def test_a_refused_write_is_not_in_doubt() -> None:
    """A throttled write was not carried out."""
    error = trouble.translate("batch", 429, {}, b"", write=True)

    assert isinstance(error, Throttled)
    assert not error.maybe_done


def test_messages_are_harmless_and_say_what_to_do() -> None:
    """Control and direction characters do not reach a log; a known code has a remedy."""
    error = trouble.translate("list", 403, {}, body("0x80040220", "missing\r\nprvReadNote\u202e" + "x" * 900))

    assert not set("\r\n\u202e") & set(str(error))
    assert "security role" in str(error)
    assert len(str(error)) < 420
    assert trouble.code_of(error) == trouble.NO_PRIVILEGE
