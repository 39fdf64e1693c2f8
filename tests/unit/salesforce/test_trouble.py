"""The translation of Salesforce's errors."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from offloader.errors import AuthError, Exhausted, Gone, OffloaderError, Permanent, Throttled, Transient
from offloader.ports import Status
from offloader_connectors.salesforce import trouble


def body(code: str, message: str = "m") -> bytes:
    return json.dumps([{"message": message, "errorCode": code}]).encode()


@pytest.mark.parametrize(
    ("status", "content", "kind"),
    [
        (401, body("INVALID_SESSION_ID", "Session expired or invalid"), AuthError),
        (401, b"<html>", AuthError),
        (403, body("REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded."), Exhausted),
        (
            403,
            body("REQUEST_LIMIT_EXCEEDED", "ConcurrentRequests (Concurrent API Requests) Limit exceeded."),
            Throttled,
        ),
        (403, body("REQUEST_LIMIT_EXCEEDED", "ConcurrentPerOrgLongTxn Limit exceeded."), Throttled),
        (403, body("API_DISABLED_FOR_ORG"), AuthError),
        (403, body("INSUFFICIENT_ACCESS", "The REST API is not enabled for this Organization."), AuthError),
        (400, body("MALFORMED_QUERY", "unexpected token: 'FORM'"), Permanent),
        (400, body("INVALID_TYPE"), Permanent),
        (400, body("INVALID_FIELD"), Permanent),
        (400, body("QUERY_TIMEOUT"), Transient),
        (400, body("INVALID_QUERY_LOCATOR"), Transient),
        (400, body("LIMIT_EXCEEDED"), Permanent),
        (400, body("UNABLE_TO_LOCK_ROW"), Transient),
        (400, body("STORAGE_LIMIT_EXCEEDED"), Permanent),
        (400, body("TXN_SECURITY_METERING_ERROR"), Transient),
        (403, body("TXN_SECURITY_METERING_ERROR"), Transient),
        (404, body("NOT_FOUND"), Gone),
        (404, body("ENTITY_IS_DELETED"), Gone),
        (404, body("INVALID_CROSS_REFERENCE_KEY"), Gone),
        (404, b"", Gone),
        (405, body("METHOD_NOT_ALLOWED"), Permanent),
        (406, b"", Transient),
        (414, b"<html>URI too long</html>", Permanent),
        (431, b"", Permanent),
        (420, b"", Throttled),
        (429, b"", Throttled),
        (500, body("UNKNOWN_EXCEPTION"), Transient),
        (503, body("SERVER_UNAVAILABLE"), Transient),
        (503, b"<html>maintenance</html>", Transient),
        (302, b"", Permanent),
        (300, b'["/services/data/v66.0/sobjects/x"]', Permanent),
    ],
)
def test_kinds(status: int, content: bytes, kind: type[OffloaderError]) -> None:
    """Each answer becomes the error that says what the engine should do."""
    assert type(trouble.translate("query", status, {}, content)) is kind


def test_retry_after_is_kept() -> None:
    """What the server says about waiting reaches the engine."""
    error = trouble.translate("query", 503, {"Retry-After": "7"}, b"<html>")

    assert isinstance(error, Transient)
    assert error.retry_after == timedelta(seconds=7)


def test_the_daily_limit_says_when_to_resume() -> None:
    """A spent allocation carries the time after which it is worth trying again."""
    error = trouble.translate("query", 403, {}, body("REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded."))

    assert isinstance(error, Exhausted)
    assert error.resume_after


@pytest.mark.parametrize(("write", "maybe"), [(True, True), (False, False)])
def test_server_errors_on_writes_may_be_done(write: bool, maybe: bool) -> None:
    """After a server error, only a write is in doubt."""
    for content in (b"<html>", body("UNKNOWN_EXCEPTION")):
        error = trouble.translate("composite", 500, {}, content, write=write)

        assert isinstance(error, Transient)
        assert error.maybe_done is maybe


def test_messages_are_harmless() -> None:
    """Line breaks and direction marks from the CRM do not reach a log."""
    error = trouble.translate("query", 400, {}, body("INVALID_FIELD", "a\r\nb\u202ec\x00" + "x" * 1000))

    assert not set("\r\n\u202e\x00") & set(str(error))
    assert len(str(error)) < 400


class TestItems:
    @pytest.mark.parametrize(
        ("code", "status"),
        [
            ("UNABLE_TO_LOCK_ROW", Status.RETRY),
            ("INSUFFICIENT_ACCESS_OR_READONLY", Status.REFUSED),
            ("FIELD_INTEGRITY_EXCEPTION", Status.REFUSED),
            ("SOMETHING_NEW", Status.REFUSED),
        ],
    )
    def test_outcomes(self, code: str, status: Status) -> None:
        """A failed item is tried again only when the same item may succeed later."""
        errors = trouble.item_errors(
            {"success": False, "errors": [{"statusCode": code, "message": "m", "fields": ["A"]}]}
        )

        outcome = trouble.outcome_of(errors)

        assert outcome.status is status
        assert code in outcome.reason

    def test_limit(self) -> None:
        """An item refused for the org's limit stops the run."""
        with pytest.raises(Exhausted):
            trouble.outcome_of((trouble.ItemError("LIMIT_EXCEEDED", "m"),))

    @pytest.mark.parametrize("result", [{}, {"errors": None}, {"errors": []}, {"errors": ["x"]}])
    def test_malformed(self, result: dict[str, object]) -> None:
        """A failed item without a readable reason still has one."""
        assert trouble.item_errors(result)
