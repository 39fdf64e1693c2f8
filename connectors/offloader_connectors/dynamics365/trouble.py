"""The one place where Dataverse's errors become offloader's.

Status and code decide, never the text of a message (Web API guide, "Compose HTTP requests and handle errors";
"Service protection API limits"). Codes come in hexadecimal, or in decimal as signed 32-bit numbers. What the front end
answers by itself may be HTML or plain text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

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
from offloader_connectors.answers import harmless, retry_after

SERVER_PAUSE = timedelta(seconds=2)
#: the window of the service protection limits is five minutes; an answer without Retry-After is not expected
THROTTLE_PAUSE = timedelta(seconds=10)

NOT_FOUND = "0x80040217"
STALE = "0x80060882"
EXISTS = "0x80040237"
BLOCKED_FILE = "0x80043e09"
TOO_LARGE = "0x80044a02"
NO_PRIVILEGE = "0x80040220"
NO_ROW_ACCESS = "0x80048306"
NO_CHUNKS = "0x80090017"
NOT_TRACKED = "0x80072491"
UNKNOWN_PATH = "0x80060888"
#: the row, its parent or the state it is in cannot be written
READ_ONLY = frozenset({"0x8004022e", "0x80040230", "0x80040228", "0x80043b09"})

#: service protection limits (requests, execution time, concurrency) and other ways to say "slower"
_THROTTLED = frozenset({"0x80072322", "0x80072321", "0x80072326", "0x80072324", "0x8005f103", "0x80048544"})
_DATABASE_FULL = "0x80072325"
_LOGIN = frozenset({"0x80072560", "0x80042f09", "0x8004a112", "0x8004a110"})
_GONE = frozenset({NOT_FOUND, "0x80060891", NO_ROW_ACCESS})
_CONFLICT = frozenset({STALE, EXISTS, "0x80040333", "0x80060892"})
_TRANSIENT = frozenset({"0x80044150", "0x80044151"})
_UNSUPPORTED = frozenset({NO_CHUNKS, "0x8006088d", "0x80040315", NOT_TRACKED})
_BY_STATUS: Mapping[int, type[Permanent]] = {
    404: Gone,
    405: Unsupported,
    409: Conflict,
    410: Gone,
    412: Conflict,
    501: Unsupported,
}
_HEX = re.compile(r"0x[0-9a-fA-F]{1,8}")
_DECIMAL = re.compile(r"-?[0-9]{1,10}")
_REMEDIES: Mapping[str, str] = {
    "0x80072560": "add the app registration as an application user of the environment",
    "0x80042f09": "give the application user a security role",
    "0x8004a112": "the application user is disabled",
    NO_PRIVILEGE: "give the application user's security role the privilege that the message names",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """What an unsuccessful answer says: `code` in lower-case hexadecimal, "" where it has none; a harmless message."""

    status: int
    code: str = ""
    message: str = ""

    def __str__(self) -> str:
        said = ", ".join(each for each in (f"HTTP {self.status}", self.code) if each)
        return f"{said}: {self.message}" if self.message else said


def normal(code: object) -> str:
    """A code as hexadecimal text in lower case; "" for what is none."""
    if isinstance(code, int) and not isinstance(code, bool):
        code = str(code)
    if not isinstance(code, str):
        return ""
    if _HEX.fullmatch(code):
        value = int(code, 16)
    elif _DECIMAL.fullmatch(code):
        value = int(code) & 0xFFFFFFFF
    else:
        return ""
    return f"0x{value:08x}" if value else ""


def fault(status: int, body: Any) -> Fault:
    """Read the error in a parsed body, of any shape."""
    error = body.get("error") if isinstance(body, Mapping) else None
    if isinstance(error, Mapping):
        return Fault(status, normal(error.get("code")), harmless(str(error.get("message") or "")))
    said = body.get("Message") if isinstance(body, Mapping) else None
    return Fault(status, "", harmless(said) if isinstance(said, str) else "")


def parsed(content: bytes) -> Any:
    """The body of an unsuccessful answer, None where it is no JSON."""
    try:
        return json.loads(content)
    except ValueError:
        return None


def translate(
    operation: str,
    status: int,
    headers: Mapping[str, str],
    body: Any,
    *,
    write: bool = False,
    now: datetime | None = None,
) -> OffloaderError:
    """Turn an unsuccessful answer into the error to raise; it has the attributes `status` and `code`.

    `body`: bytes, or parsed JSON. `write`: the request may change something, so a server error leaves open whether
    it did.
    """
    found = fault(status, parsed(body) if isinstance(body, bytes) else body)
    remedy = _REMEDIES.get(found.code)
    said = f"{operation}: {found}" + (f"; {remedy}" if remedy else "")
    pause = retry_after(headers, now)
    error = _by_code(found, said, pause, write=write) or _by_status(status, said, pause, write=write)
    vars(error).update(status=status, code=found.code)
    return error


def code_of(error: OffloaderError) -> str:
    """The code of the answer that an error was translated from; "" where there is none."""
    code = getattr(error, "code", "")
    return code if isinstance(code, str) else ""


def status_of(error: OffloaderError) -> int | None:
    """The HTTP status of the answer that an error was translated from."""
    status = getattr(error, "status", None)
    return status if isinstance(status, int) else None


def _by_code(found: Fault, said: str, pause: timedelta | None, *, write: bool) -> OffloaderError | None:
    if found.code in _THROTTLED:
        return Throttled(said, retry_after=pause or THROTTLE_PAUSE)
    if found.code == _DATABASE_FULL:
        return Exhausted(f"{said}; the environment's database is full, free or buy capacity")
    if found.code in _TRANSIENT:
        return Transient(said, retry_after=pause or SERVER_PAUSE, maybe_done=write)
    kinds: tuple[tuple[frozenset[str], type[Permanent]], ...] = (
        (_LOGIN, AuthError),
        (_GONE, Gone),
        (_CONFLICT, Conflict),
        (_UNSUPPORTED, Unsupported),
        (frozenset({UNKNOWN_PATH}), Permanent),
    )
    return next((kind(said) for codes, kind in kinds if found.code in codes), None)


def _by_status(status: int, said: str, pause: timedelta | None, *, write: bool) -> OffloaderError:
    if status == 401:
        return AuthError(f"{said}; check the app registration and its application user")
    if status == 429:
        return Throttled(said, retry_after=pause or THROTTLE_PAUSE)
    if status in _BY_STATUS:
        return _BY_STATUS[status](said)
    if status >= 500 or status == 408:
        return Transient(said, retry_after=pause or SERVER_PAUSE, maybe_done=write)
    if 300 <= status < 400:
        said += "; redirects are never followed, set url to the environment's own address"
    return Permanent(said)
