"""Answers of S3 in our words: what the engine should do, and nothing that a server wrote."""

from __future__ import annotations

from typing import Any

import pytest
from botocore import exceptions as boto
from botocore.parsers import ResponseParserError
from hypothesis import given
from hypothesis import strategies as st

from offloader import errors
from offloader.errors import OffloaderError
from offloader_connectors.s3.trouble import Attempt, OutOfRange, translate

WRITE = Attempt("de", "eu-central-1", "write", "documents/1", writes=True)
READ = Attempt("de", "eu-central-1", "read", "documents/1")


def answered(
    status: int, code: str, *, operation: str = "PutObject", headers: Any = None, **more: Any
) -> OffloaderError:
    said = {"Code": code, "Message": "https://x/?X-Amz-Signature=abc hidden", **more}
    meta = {"HTTPStatusCode": status, "HTTPHeaders": headers or {}, "RequestId": "REQ1"}
    return translate(boto.ClientError({"Error": said, "ResponseMetadata": meta}, operation), WRITE)


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (403, "AccessDenied", errors.Refused),
        (403, "403", errors.Refused),
        (403, "InvalidAccessKeyId", errors.AuthError),
        (403, "SignatureDoesNotMatch", errors.AuthError),
        (400, "ExpiredToken", errors.AuthError),
        (403, "RequestTimeTooSkewed", errors.AuthError),
        (404, "NoSuchKey", errors.Gone),
        (404, "404", errors.Gone),
        (404, "NoSuchBucket", errors.Refused),
        (405, "MethodNotAllowed", errors.Unsupported),
        (409, "ConditionalRequestConflict", errors.Transient),
        (409, "OperationAborted", errors.Transient),
        (409, "SomethingElse", errors.Permanent),
        (412, "PreconditionFailed", errors.Conflict),
        (416, "InvalidRange", OutOfRange),
        (400, "BadDigest", errors.IntegrityError),
        (400, "RequestTimeout", errors.Transient),
        (400, "EntityTooLarge", errors.Permanent),
        (403, "InvalidObjectState", errors.Refused),
        (503, "SlowDown", errors.Throttled),
        (429, "429", errors.Throttled),
        (500, "InternalError", errors.Transient),
        (502, "502", errors.Transient),
        (501, "NotImplemented", errors.Unsupported),
        (507, "InsufficientStorage", errors.StoreFull),
        (403, "QuotaExceeded", errors.StoreFull),
        (301, "PermanentRedirect", errors.Refused),
        (307, "TemporaryRedirect", errors.Refused),
        (400, "AuthorizationHeaderMalformed", errors.Refused),
        (400, "IllegalLocationConstraintException", errors.Refused),
    ],
)
def test_every_answer_has_its_meaning(status: int, code: str, expected: type[OffloaderError]) -> None:
    """A code, or a bare status where HEAD has no more, becomes exactly one error; the server's words are left out."""
    error = answered(status, code)
    assert type(error) is expected
    assert "hidden" not in str(error)
    assert "Signature=" not in str(error)
    assert "store de" in str(error)
    assert "documents/1" in str(error)


def test_the_missing_permission_is_named() -> None:
    """A refusal says which permission the call needs."""
    assert "s3:ListBucketMultipartUploads" in str(answered(403, "AccessDenied", operation="ListMultipartUploads"))
    assert "s3:PutObject" in str(answered(403, "AccessDenied"))
    assert "lock" in str(answered(403, "AccessDenied", operation="DeleteObject"))


def test_another_region_is_named_wherever_the_server_tells_it() -> None:
    """The bucket's region, in a header or in the body, stands beside ours; the same region is no redirect."""
    away = {"x-amz-bucket-region": "us-east-1"}
    for error in (
        answered(301, "301", headers=away),
        answered(403, "AccessDenied", headers=away),
        answered(400, "AuthorizationHeaderMalformed", Region="us-east-1"),
    ):
        assert isinstance(error, errors.Refused)
        assert error.rule == "region-pin"
        assert "us-east-1" in str(error)
        assert "eu-central-1" in str(error)
    here = answered(404, "NoSuchKey", headers={"x-amz-bucket-region": "eu-central-1"})
    assert isinstance(here, errors.Gone)


@pytest.mark.parametrize(
    ("error", "expected", "maybe_done"),
    [
        (boto.EndpointConnectionError(endpoint_url="https://x/?X-Amz-Signature=abc"), errors.Transient, False),
        (boto.ConnectTimeoutError(endpoint_url="https://x"), errors.Transient, False),
        (boto.ReadTimeoutError(endpoint_url="https://x/?X-Amz-Signature=abc"), errors.Transient, True),
        (boto.ConnectionClosedError(endpoint_url="https://x"), errors.Transient, True),
        (boto.IncompleteReadError(actual_bytes=1, expected_bytes=2), errors.Transient, True),
        (ResponseParserError("<junk secret>"), errors.Transient, True),
        (boto.SSLError(endpoint_url="https://x", error="secret"), errors.Permanent, None),
        (boto.NoCredentialsError(), errors.AuthError, None),
        (boto.CredentialRetrievalError(provider="x", error_msg="secret"), errors.AuthError, None),
        (boto.ParamValidationError(report="secret"), errors.Permanent, None),
    ],
)
def test_failures_of_the_line(error: Exception, expected: type[OffloaderError], maybe_done: bool | None) -> None:
    """What never arrived was never done; what may have arrived may have been done; addresses are left out."""
    said = translate(error, WRITE)
    assert type(said) is expected
    assert "secret" not in str(said)
    assert "Signature" not in str(said)
    if isinstance(said, errors.Transient):
        assert said.maybe_done is maybe_done
        again = translate(error, READ)
        assert isinstance(again, errors.Transient)
        assert not again.maybe_done


def test_a_throttle_carries_the_servers_waiting_time() -> None:
    """Retry-After in seconds is passed on; anything else in it is ignored."""
    for value, seconds in (("7", 7.0), ("soon", None), ("-1", None), ("99999999", None)):
        error = answered(503, "SlowDown", headers={"retry-after": value})
        assert isinstance(error, errors.Throttled)
        assert (error.retry_after and error.retry_after.total_seconds()) == seconds


HOSTILE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(HOSTILE, HOSTILE, HOSTILE, HOSTILE)
def test_no_answer_is_too_strange(code: Any, region: Any, meta: Any, headers: Any) -> None:
    """Whatever a server sends, the result is one of our errors, in one line."""
    status = meta if isinstance(meta, int) else None
    response = {
        "Error": {"Code": code, "Region": region},
        "ResponseMetadata": {"HTTPStatusCode": status, "HTTPHeaders": headers, "RequestId": code},
    }
    error = translate(boto.ClientError(response, "PutObject"), WRITE)
    assert isinstance(error, OffloaderError)
    assert str(error).isprintable()
