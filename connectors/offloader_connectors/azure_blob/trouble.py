"""Azure's errors, said in the words of `offloader.errors`.

The text of Azure's errors never gets into ours, nor are they chained: it can hold an address with a signature in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from xml.etree.ElementTree import ParseError

from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    HttpResponseError,
    ServiceRequestError,
    ServiceResponseError,
)
from requests.exceptions import InvalidSchema

from offloader.errors import (
    AuthError,
    Conflict,
    Gone,
    OffloaderError,
    Permanent,
    Refused,
    StoreFull,
    Throttled,
    Transient,
    Unsupported,
)

#: what the client library raises over answers that it does not expect
STUMBLES = (AttributeError, IndexError, KeyError, ParseError, TypeError, ValueError)
_LOCKED = "a retention term, a legal hold or a lease is on it; it stays until that ends"
_LOGIN = "check the key or signature, whether it has expired, and this machine's clock"
_RIGHTS = "give the offloader's identity the role Storage Blob Data Contributor, or a signature with racwdl"
_LONGEST_WAIT = timedelta(minutes=15)

#: "Blob service error codes" and "Common REST API error codes", with what to do
_CODES: Mapping[str, tuple[type[OffloaderError], str]] = {
    "AccountIsDisabled": (Permanent, "the storage account is disabled"),
    "AuthenticationFailed": (AuthError, _LOGIN),
    "AuthorizationFailure": (AuthError, f"{_LOGIN}; {_RIGHTS}; or let the account's firewall admit this machine"),
    "AuthorizationPermissionMismatch": (AuthError, _RIGHTS),
    "AuthorizationProtocolMismatch": (AuthError, _RIGHTS),
    "AuthorizationResourceTypeMismatch": (AuthError, _RIGHTS),
    "AuthorizationServiceMismatch": (AuthError, _RIGHTS),
    "AuthorizationSourceIPMismatch": (AuthError, "the signature is for other machines"),
    "BlobAlreadyExists": (Conflict, "it is there already"),
    "BlobArchived": (Permanent, "it is in the archive tier: bring it back to hot, cool or cold first"),
    "BlobBeingRehydrated": (Transient, "it is on its way back from the archive tier"),
    "BlobImmutableDueToLegalHold": (Refused, _LOCKED),
    "BlobImmutableDueToPolicy": (Refused, _LOCKED),
    "BlobNotFound": (Gone, "there is none"),
    "ConditionNotMet": (Conflict, "somebody else has changed it"),
    "ContainerBeingDeleted": (Transient, "somebody is deleting the container"),
    "ContainerDisabled": (Permanent, "the container is disabled"),
    "ContainerNotFound": (Permanent, "the container is not there: make it, in the right account"),
    "Crc64Mismatch": (Transient, "the bytes were damaged on their way, and are not stored"),
    "FeatureVersionMismatch": (Permanent, "set a newer api_version"),
    "InsufficientAccountPermissions": (AuthError, _RIGHTS),
    "InvalidAuthenticationInfo": (AuthError, _LOGIN),
    "InvalidBlockList": (Transient, "parts of it are gone: somebody else wrote it, or it took longer than a week"),
    "LeaseIdMissing": (Refused, _LOCKED),
    "Md5Mismatch": (Transient, "the bytes were damaged on their way, and are not stored"),
    "NoAuthenticationInformation": (AuthError, _LOGIN),
    "ResourceNotFound": (Gone, "there is none"),
    "ServerBusy": (Throttled, ""),
    "StorageAccountQuotaExceeded": (StoreFull, "the storage account is full"),
    "UnauthorizedBlobOverwrite": (Conflict, "it is there already"),
}
_STATUSES: Mapping[int, tuple[type[OffloaderError], str]] = {
    401: (AuthError, _LOGIN),
    403: (AuthError, _RIGHTS),
    404: (Gone, "there is none"),
    408: (Transient, ""),
    409: (Conflict, ""),
    412: (Conflict, "somebody else has changed it"),
    429: (Throttled, ""),
    501: (Unsupported, "this server cannot do it"),
    503: (Throttled, ""),
    507: (StoreFull, "there is no room left"),
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What is looked at of an answer that is an error."""

    status: int
    code: str
    retry_after: timedelta | None


def answer_of(error: BaseException) -> Answer | None:
    """Return what the server answered; None if it did not."""
    response: Any = error.response if isinstance(error, AzureError) and isinstance(error, HttpResponseError) else None
    if response is None:
        return None
    raw = getattr(error, "error_code", None) or response.headers.get("x-ms-error-code") or ""
    code = re.sub(r"[^A-Za-z0-9]", "", str(getattr(raw, "value", raw)))[:64]
    wait = str(response.headers.get("Retry-After") or "")
    seconds = timedelta(seconds=int(wait)) if re.fullmatch(r"[0-9]{1,6}", wait) else None
    return Answer(int(response.status_code or 0), code, seconds and min(seconds, _LONGEST_WAIT))


def exists_already(error: BaseException) -> bool:
    """Whether a conditional write was refused because the key is taken.

    A signature that allows creating and not writing says so in another way ("Create a service SAS").
    """
    answer = answer_of(error)
    return answer is not None and answer.code in ("BlobAlreadyExists", "UnauthorizedBlobOverwrite")


def is_absent(error: BaseException) -> bool:
    """Whether the blob is not there; a missing container is another matter."""
    answer = answer_of(error)
    return answer is not None and answer.status == 404 and answer.code in ("", "BlobNotFound", "ResourceNotFound")


def translate(error: AzureError, store: str, action: str, subject: str) -> OffloaderError:
    """Say what the engine should do about an error of the client library."""
    said = f"store {store}: cannot {action} {subject}"
    answer = answer_of(error)
    if answer is not None:
        return _answered(answer, said)
    if isinstance(error, ClientAuthenticationError):
        return AuthError(f"{said}: no login of the credential chain works; set sas or account_key, or log in")
    return _unanswered(error, said)


def _unanswered(error: AzureError, said: str) -> OffloaderError:
    inner = error.inner_exception
    if isinstance(inner, InvalidSchema):
        return Refused(f"{said}: the request would have gone to another host than account_url", rule="region-pin")
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return Permanent(f"{said}: the server's certificate is not trusted; set ca_file")
    reason = type(inner or error).__name__
    if isinstance(error, ServiceRequestError):
        return Transient(f"{said}: no connection ({reason})")
    if isinstance(error, (ServiceResponseError, HttpResponseError)):
        return Transient(f"{said}: the answer was lost ({reason})", maybe_done=True)
    return AuthError(f"{said}: the request cannot be signed ({reason}); {_LOGIN}")


def _answered(answer: Answer, said: str) -> OffloaderError:
    if 300 <= answer.status < 400:
        return Refused(f"{said}: the server redirects to another address; that is refused", rule="region-pin")
    kind, remedy = _CODES.get(answer.code) or _STATUSES.get(answer.status) or _other(answer.status)
    message = f"{said} (HTTP {answer.status}{f' {answer.code}' if answer.code else ''})"
    if remedy:
        message = f"{message}: {remedy}"
    if issubclass(kind, Transient):
        return kind(message, retry_after=answer.retry_after, maybe_done=answer.status >= 500)
    return Refused(message, rule="lock") if kind is Refused else kind(message)


def _other(status: int) -> tuple[type[OffloaderError], str]:
    return (Transient if status >= 500 else Permanent), ""


@contextmanager
def translated(store: str, action: str, subject: str) -> Iterator[None]:
    """Translate every error of the client library raised in the block.

    Over an answer that no Azure server would give, the library itself stumbles.
    """
    try:
        yield
    except AzureError as error:
        raise translate(error, store, action, subject) from None
    except STUMBLES as error:
        raise Transient(
            f"store {store}: cannot {action} {subject}: the answer cannot be understood ({type(error).__name__})",
            maybe_done=True,
        ) from None
