"""Answers and failures of S3, said in the words of `offloader.errors`.

Codes as in "Error responses" of the Amazon S3 API reference; what other servers send beside them is named where it
stands. Nothing that a server wrote goes into a message unless it has the form of a code, a region or a request id:
messages of servers may repeat signatures and addresses.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from botocore import exceptions as boto
from botocore.parsers import ResponseParserError

from offloader.errors import (
    AuthError,
    Conflict,
    Gone,
    IntegrityError,
    OffloaderError,
    Permanent,
    Refused,
    StoreFull,
    Throttled,
    Transient,
    Unsupported,
)
from offloader_connectors.s3.client import PIN

#: everything that a call of boto3 can raise and that is no mistake of ours
CAUGHT = (boto.ClientError, boto.BotoCoreError, ResponseParserError)
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._\-]{0,63}")
_SECONDS = re.compile(r"\d{1,5}")
_REDIRECTED = frozenset({301, 302, 303, 307, 308})
_ELSEWHERE = frozenset(
    {
        "AuthorizationHeaderMalformed",
        "IllegalLocationConstraintException",
        "PermanentRedirect",
        "Redirect",
        "TemporaryRedirect",
    }
)
_LOGIN = frozenset(
    {
        "ExpiredToken",
        "InvalidAccessKeyId",
        "InvalidToken",
        "NotSignedUp",
        "RequestExpired",
        "RequestTimeTooSkewed",
        "SignatureDoesNotMatch",
        "TokenRefreshRequired",
    }
)
_SLOWER = frozenset(
    {
        "BandwidthLimitExceeded",
        "RequestLimitExceeded",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "TooManyRequests",
    }
)
#: QuotaExceeded: Ceph; XMinioStorageFull, XMinioAdminBucketQuotaExceeded: MinIO; InsufficientStorage: several
_FULL = frozenset(
    {"InsufficientStorage", "QuotaExceeded", "XMinioAdminBucketQuotaExceeded", "XMinioStorageFull", "StorageFull"}
)
#: the same call may succeed later, whatever the status
_PASSING = frozenset(
    {
        "ConditionalRequestConflict",
        "IncompleteBody",
        "InternalError",
        "OperationAborted",
        "RequestTimeout",
        "ServiceUnavailable",
    }
)
_DAMAGED = frozenset({"BadDigest", "ChecksumMismatch", "InvalidDigest", "XAmzContentSHA256Mismatch"})
_REMEDY = {
    "ExpiredToken": "the credentials have expired: renew them and run again",
    "RequestTimeTooSkewed": "this machine's clock is wrong: set it, and keep it set by NTP",
    "SignatureDoesNotMatch": "the secret key does not belong to the access key",
    "InvalidAccessKeyId": "the server does not know the access key",
    "InvalidObjectState": "the object was moved to an archive tier: restore it there first",
    "EntityTooLarge": "the server takes no object of this size",
    "InvalidPart": "a part that was sent is not there any more",
}
_WRITING = (
    "s3:PutObject, and where the options ask for them s3:PutObjectTagging, s3:PutObjectRetention, "
    "s3:PutObjectLegalHold, kms:GenerateDataKey and kms:Decrypt"
)
_PERMISSION = {
    "AbortMultipartUpload": "s3:AbortMultipartUpload",
    "DeleteObject": "s3:DeleteObject and s3:DeleteObjectVersion, unless a lock or a hold protects the object",
    "GetObject": "s3:GetObject, and s3:ListBucket for an object that is not there",
    "HeadObject": "s3:GetObject, and s3:ListBucket for an object that is not there",
    "ListMultipartUploads": "s3:ListBucketMultipartUploads",
    "ListObjectVersions": "s3:ListBucketVersions",
    "ListObjectsV2": "s3:ListBucket",
}
_CREDENTIALS = (
    boto.CredentialRetrievalError,
    boto.NoCredentialsError,
    boto.PartialCredentialsError,
    boto.SSOError,
    boto.TokenRetrievalError,
)
_NEVER_SENT = (boto.ConnectTimeoutError, boto.EndpointConnectionError, boto.ProxyConnectionError)


class OutOfRange(Permanent):
    """The object ends before the range that was asked for begins."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """What was tried, for the message: the store's name, its region, a verb, and the key or prefix."""

    store: str
    region: str
    action: str
    subject: str
    #: whether a lost answer may hide an act that was carried out
    writes: bool = False

    def __str__(self) -> str:
        return f"store {self.store}: cannot {self.action} {self.subject}"


def translate(error: Exception, attempt: Attempt) -> OffloaderError:
    """Say what the engine should do about an error of boto3."""
    if isinstance(error, boto.ClientError):
        return _answered(_Answer(error), attempt)
    what = type(error).__name__
    if isinstance(error, _CREDENTIALS):
        return AuthError(f"{attempt}: there are no usable credentials ({what})")
    if isinstance(error, boto.SSLError):
        return Permanent(f"{attempt}: the server's certificate is not trusted, or TLS failed; see ca_file")
    if isinstance(error, _NEVER_SENT):
        return Transient(f"{attempt}: the server cannot be reached ({what})")
    if isinstance(error, (boto.HTTPClientError, boto.IncompleteReadError, ResponseParserError)):
        return Transient(f"{attempt}: the answer did not arrive whole ({what})", maybe_done=attempt.writes)
    return Permanent(f"{attempt}: {what}")


class _Answer:
    """A refusal as the server sent it, each part checked for its form."""

    def __init__(self, error: boto.ClientError) -> None:
        response: Mapping[str, Any] = error.response
        meta = _mapping(response.get("ResponseMetadata"))
        self._error, self._headers = _mapping(response.get("Error")), _mapping(meta.get("HTTPHeaders"))
        status = meta.get("HTTPStatusCode")
        self.status = status if isinstance(status, int) else 0
        self.code = _word(self._error.get("Code")) or "unknown"
        self.request = _word(meta.get("RequestId"))
        self.region = _word(self._headers.get("x-amz-bucket-region")) or _word(self._error.get("Region"))
        self.operation = error.operation_name

    @property
    def retry_after(self) -> timedelta | None:
        seconds = self._headers.get("retry-after")
        return timedelta(seconds=int(seconds)) if seconds and _SECONDS.fullmatch(seconds) else None

    def __str__(self) -> str:
        named = f"HTTP {self.status}" if self.code == str(self.status) else f"{self.code}, HTTP {self.status}"
        return f"{named}, request {self.request}" if self.request else named


def _answered(answer: _Answer, attempt: Attempt) -> OffloaderError:
    message = f"{attempt}: {answer}"
    if answer.code in _REMEDY:
        message = f"{message}; {_REMEDY[answer.code]}"
    if _is_elsewhere(answer, attempt.region):
        return Refused(
            f"{attempt}: the bucket is in region {answer.region or 'unknown'}, the store is pinned to "
            f"{attempt.region} ({answer}): nothing is written there",
            rule=PIN,
        )
    if answer.code == "NoSuchBucket":
        return Refused(f"{message}; the bucket is not there: nothing is made in its place", rule="bucket-gone")
    if answer.code in _SLOWER or answer.status == 429:
        return Throttled(f"{message}: the server asks for fewer calls", retry_after=answer.retry_after)
    if answer.code in _FULL or answer.status == 507:
        return StoreFull(f"{message}; nothing of it is left behind: make room or raise the quota, then run again")
    return _by_code(answer, attempt, message) or _by_status(answer, attempt, message)


def _is_elsewhere(answer: _Answer, region: str) -> bool:
    told = bool(answer.region) and answer.region != region
    return answer.code in _ELSEWHERE or answer.status in _REDIRECTED or told


def _by_code(answer: _Answer, attempt: Attempt, message: str) -> OffloaderError | None:
    code = answer.code
    if code in _LOGIN:
        return AuthError(message)
    if code in _DAMAGED:
        return IntegrityError(f"{message}; the server received other bytes than were announced")
    if code in _PASSING:
        return Transient(message, retry_after=answer.retry_after, maybe_done=attempt.writes)
    if code == "InvalidObjectState":
        return Refused(message)
    if code == "NotImplemented":
        return Unsupported(message)
    return None


#: by status alone, as HEAD answers have nothing else
_BY_STATUS: Mapping[int, type[OffloaderError]] = {
    401: Refused,
    403: Refused,
    404: Gone,
    405: Unsupported,
    412: Conflict,
    416: OutOfRange,
    501: Unsupported,
}


def _by_status(answer: _Answer, attempt: Attempt, message: str) -> OffloaderError:
    if answer.status in (401, 403):
        message = f"{message}; it needs {_PERMISSION.get(answer.operation, _WRITING)}"
    elif answer.status not in _BY_STATUS and (answer.status >= 500 or answer.status == 408):
        return Transient(message, retry_after=answer.retry_after, maybe_done=attempt.writes)
    return _BY_STATUS.get(answer.status, Permanent)(message)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _word(value: object) -> str:
    return value if isinstance(value, str) and _WORD.fullmatch(value) else ""
