"""The one place where Salesforce's errors become offloader's.

Two shapes exist: answers to a whole request (`errorCode`, REST API guide, "Status Codes and Error
Responses"), and results of single items in a collection (`statusCode`, REST API guide, "sObject Collections").
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from offloader.errors import AuthError, Exhausted, Gone, OffloaderError, Permanent, Throttled, Transient
from offloader.ports import Outcome, Status
from offloader_connectors.answers import harmless, retry_after

#: the org's allocation is a rolling day; within an hour some of it is free again
RESUME_AFTER = timedelta(hours=1)
CONCURRENCY_PAUSE = timedelta(seconds=10)
SERVER_PAUSE = timedelta(seconds=5)
#: sessions that no new login of the same kind can mend
HOPELESS_SESSION = (
    "This session is not valid for use with the REST API",
    "Connected app is not attached to Agent",
)
GONE = frozenset({"ENTITY_IS_DELETED", "INVALID_CROSS_REFERENCE_KEY"})
_GONE_ANSWER = GONE | {"NOT_FOUND"}
_TRANSIENT = frozenset(
    {
        "UNABLE_TO_LOCK_ROW",
        "QUERY_TIMEOUT",
        "TXN_SECURITY_METERING_ERROR",
        "SERVER_UNAVAILABLE",
        "UNKNOWN_EXCEPTION",
        "INVALID_QUERY_LOCATOR",
        "API_CURRENTLY_DISABLED",
        "REQUEST_RUNNING_TOO_LONG",
    }
)
_LOGIN = frozenset({"INVALID_SESSION_ID", "API_DISABLED_FOR_ORG", "INVALID_AUTH_HEADER"})
#: per item: the same item may succeed later
RETRY_ITEM = _TRANSIENT | {"ALL_OR_NONE_OPERATION_ROLLED_BACK", "PROCESSING_HALTED"}
_BUDGET_ITEM = frozenset({"REQUEST_LIMIT_EXCEEDED", "LIMIT_EXCEEDED"})


@dataclass(frozen=True, slots=True)
class ItemError:
    """Why one item of a collection failed: the CRM's status code, its message made harmless, the fields it names."""

    code: str
    message: str
    fields: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.code}: {self.message}" if self.message else self.code


def item_errors(result: Mapping[str, Any]) -> tuple[ItemError, ...]:
    """Read the `errors` of one item's result; never empty for a failed item."""
    raw = result.get("errors")
    found = []
    for each in raw if isinstance(raw, list) else []:
        if isinstance(each, Mapping):
            fields = each.get("fields")
            names = tuple(str(name) for name in fields) if isinstance(fields, list) else ()
            code = str(each.get("statusCode") or each.get("errorCode") or "UNKNOWN")
            found.append(ItemError(code, harmless(str(each.get("message") or "")), names))
    return tuple(found) or (ItemError("UNKNOWN", "the CRM names no reason"),)


def outcome_of(errors: Sequence[ItemError], link_ref: Mapping[str, str] | None = None) -> Outcome:
    """Say what a failed item means for the engine. Raises Exhausted for a budget of the whole org."""
    first = errors[0]
    if any(error.code in _BUDGET_ITEM for error in errors):
        raise Exhausted(f"Salesforce refuses more for now: {first}", resume_after=RESUME_AFTER)
    retry = all(error.code in RETRY_ITEM for error in errors)
    return Outcome(status=Status.RETRY if retry else Status.REFUSED, reason=str(first), link_ref=link_ref or {})


def _body_errors(body: bytes) -> tuple[ItemError, ...]:
    try:
        parsed = json.loads(body)
    except ValueError:
        return ()
    if isinstance(parsed, Mapping):
        parsed = [parsed]
    if not isinstance(parsed, list):
        return ()
    return item_errors({"errors": parsed}) if any(isinstance(each, Mapping) for each in parsed) else ()


def hopeless_session(body: bytes) -> bool:
    text = body.decode("utf-8", "replace")
    return any(phrase in text for phrase in HOPELESS_SESSION)


def translate(
    operation: str, status: int, headers: Mapping[str, str], body: bytes, *, write: bool = False
) -> OffloaderError:
    """Turn an unsuccessful answer into the error to raise.

    `write`: the request may change something, so a server error leaves open whether it did.
    """
    errors = _body_errors(body)
    if errors:
        known = _by_code(operation, errors[0], headers, maybe_done=write and status >= 500)
        if known is not None:
            return known
    return _by_status(operation, status, errors, headers, write=write)


def _by_code(
    operation: str, error: ItemError, headers: Mapping[str, str], *, maybe_done: bool
) -> OffloaderError | None:
    said = f"{operation}: {error}"
    if error.code == "REQUEST_LIMIT_EXCEEDED":
        if "concurrent" in error.message.lower():
            return Throttled(said, retry_after=retry_after(headers) or CONCURRENCY_PAUSE)
        return Exhausted(
            f"{said}; the org's API allocation of a rolling day is used up",
            resume_after=retry_after(headers) or RESUME_AFTER,
        )
    if error.code in _LOGIN or "REST API is not enabled" in error.message:
        return AuthError(f"{said}; check the Salesforce connected app, its session policies and the source's user")
    if error.code in _GONE_ANSWER:
        return Gone(said)
    if error.code in _TRANSIENT:
        return Transient(said, retry_after=retry_after(headers) or SERVER_PAUSE, maybe_done=maybe_done)
    return None


def _by_status(
    operation: str, status: int, errors: Sequence[ItemError], headers: Mapping[str, str], *, write: bool
) -> OffloaderError:
    said = f"{operation}: HTTP {status}" + (f", {errors[0]}" if errors else "")
    pause = retry_after(headers)
    if status == 401:
        return AuthError(f"{said}; check the connected app and its user")
    if status in (420, 429):
        return Throttled(said, retry_after=pause or CONCURRENCY_PAUSE)
    if status >= 500 or status in (406, 408):
        return Transient(said, retry_after=pause or SERVER_PAUSE, maybe_done=write and status != 406)
    if status in (404, 410):
        return Gone(said)
    if 300 <= status < 400:
        return Permanent(f"{said}; redirects are never followed, set login_url to the org's My Domain")
    return Permanent(said)
