"""What connectors share for reading a CRM's answers."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from offloader.errors import ConfigError
from offloader_connectors import fields, tls
from offloader_connectors.answers import LONGEST_WAIT, harmless, http_date, retry_after

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7),
        (" 300 ", 300),
        ("0", 0),
        ("99999999", LONGEST_WAIT.total_seconds()),
        ("Thu, 01 Jan 2026 12:00:30 GMT", 30),
        ("Thu, 01 Jan 2026 11:00:00 GMT", 0),
        ("Fri, 02 Jan 2099 00:00:00 GMT", LONGEST_WAIT.total_seconds()),
    ],
)
def test_retry_after_in_seconds_and_as_a_date(value: str, seconds: float) -> None:
    """Both forms are read; neither gives a negative wait, or one of more than a day."""
    assert retry_after({"Retry-After": value}, NOW) == timedelta(seconds=seconds)


def test_the_date_of_the_answer_is_the_measure() -> None:
    """A date is measured against the server's own clock where the answer has it, not against ours."""
    headers = {"Retry-After": "Thu, 01 Jan 2026 10:00:30 GMT", "Date": "Thu, 01 Jan 2026 10:00:00 GMT"}

    assert retry_after(headers, NOW) == timedelta(seconds=30)
    assert retry_after(headers) == timedelta(seconds=30)


@pytest.mark.parametrize("value", ["", "-1", "soon", "1.5", "١٢", "12 monkeys", "Thu, 99 Jan 2026"])
def test_an_unreadable_wait_is_none(value: str) -> None:
    """What is neither seconds nor a date says nothing."""
    assert retry_after({"Retry-After": value}, NOW) is None
    assert retry_after({}, NOW) is None


def test_dates_are_in_a_time_zone_or_none() -> None:
    """A date without a zone, or none at all, is no moment."""
    assert http_date("Thu, 01 Jan 2026 12:00:00 GMT") == NOW
    assert http_date("Thu, 01 Jan 2026 12:00:00 -0000") is None
    assert http_date(None) is None


def test_messages_are_harmless() -> None:
    """Control and direction characters are gone, and the text is short."""
    assert harmless("a\r\nb\u202ec\x00" + "x" * 1000, 10) == "a b c xxxx"


def test_fields_are_what_they_must_be_or_none() -> None:
    """Values of another type than expected count as missing."""
    assert [fields.optional(each) for each in ("x", "", None, 5)] == ["x", None, None, None]
    assert [fields.integer(each) for each in (5, "5", True, "x", None)] == [5, 5, None, None, None]
    assert [fields.size(each) for each in (0, -1, True, "5")] == [0, None, None, None]
    assert [fields.told(each) for each in (True, False, "true", 1)] == [True, False, None, None]
    assert [fields.scalar(each) for each in (None, True, 5, "x", {}, [1])] == ["", "true", "5", "x", "", ""]


def test_only_the_operators_bundle_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bundle named by the environment is not trusted; an unreadable one of the operator is an error naming it."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "nowhere.pem"))
    context = tls.trusting(None, tmp_path)
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname

    (tmp_path / "bad.pem").write_text("no certificate")
    with pytest.raises(ConfigError, match=r"bad\.pem"):
        tls.trusting(Path("bad.pem"), tmp_path)
