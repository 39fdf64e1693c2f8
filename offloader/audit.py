"""The hash chain over the event log: pure functions, so that anybody can check a log without us.

Each event's hash is SHA-256 over the previous event's hash (its 64 ASCII hex digits) followed by the event's
canonical JSON. The first event follows `GENESIS`. Canonical JSON has sorted keys, no white space, and nothing
but ASCII (RFC 8259 escapes), so two programs that hold the same values hold the same bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

#: canonical JSON of a value; raises ValueError for NaN and infinities, TypeError for what JSON has not
canonical: Callable[[Any], str] = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False).encode

#: what the first event's hash is chained to
GENESIS = "0" * 64


@dataclass(frozen=True, slots=True)
class Head:
    """The end of a log: the last event's number (0: no event yet) and its hash in lower-case hex."""

    seq: int = 0
    hash: str = GENESIS


@dataclass(frozen=True, slots=True)
class Verification:
    """What checking a log found: how far it holds, and where and why it first does not."""

    head: Head
    broken_at: int | None = None
    reason: str = ""

    @property
    def ok(self) -> bool:
        return self.broken_at is None


def next_hash(previous: str, event: Mapping[str, Any]) -> str:
    """Return the hash (lower-case hex) of an event that follows the one with hash `previous`."""
    return hashlib.sha256((previous + canonical(event)).encode("ascii")).hexdigest()


def verify(
    events: Iterable[tuple[Mapping[str, Any], str]], *, start: Head = Head(), remembered: Head | None = None
) -> Verification:
    """Check events in order, each with the hash that the log holds for it, and name the first bad number.

    `start` is where the given events continue. `remembered` is a head noted earlier, away from the log: without
    one a log that lost its newest events, or was written anew as a whole, cannot be told from a good one.
    """
    head = start
    for event, claimed in events:
        due = head.seq + 1
        if event["seq"] != due:
            return Verification(head, due, f"event {due} is missing or out of order: {event['seq']} stands there")
        if next_hash(head.hash, event) != claimed:
            return Verification(head, due, f"event {due} does not match its hash: it was changed, or one before it")
        head = Head(due, claimed)
        if remembered is not None and remembered.seq == due and remembered.hash != claimed:
            return Verification(head, due, f"event {due} has another hash than the one remembered")
    if remembered is not None and head.seq < remembered.seq:
        missing = f"the log ends at {head.seq}, but event {remembered.seq} is remembered"
        return Verification(head, head.seq + 1, missing)
    return Verification(head)
