"""Locks on objects: what forbids a deletion, and how an object is locked until its retention ends.

As in "Locking objects with Object Lock" of the S3 user guide: a retention can be made longer by anybody who may set
one, in GOVERNANCE shorter by those who may bypass it; a legal hold has no end of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from offloader.errors import Gone
from offloader.ports import Lock
from offloader_connectors.s3.bucket import Bucket

_ENDLESS = datetime.max.replace(tzinfo=UTC)
_GOVERNANCE = "GOVERNANCE"


def lock_of(bucket: Bucket, name: str, version: str, now: datetime) -> Lock | None:
    """What forbids to delete one version, by one HEAD request; an empty version is the only one there is."""
    which: dict[str, Any] = {"VersionId": version} if version else {}
    try:
        head = bucket.call("head_object", "look at", name, **which)
    except Gone:
        return None
    if head.get("ObjectLockLegalHoldStatus") == "ON":
        return Lock("a legal hold is on it: somebody has to lift it in the store")
    until = head.get("ObjectLockRetainUntilDate")
    if not isinstance(until, datetime) or until <= now:
        return None
    mode = str(head.get("ObjectLockMode"))
    return Lock(f"it is locked ({mode.lower()}) until {until:%Y-%m-%d}", until, lifts=mode == _GOVERNANCE)


def longest(locks: Iterable[Lock]) -> Lock | None:
    """The lock that ends last; one without an end before all others."""
    return max(locks, key=lambda lock: (lock.until or _ENDLESS, not lock.lifts), default=None)


def retain(bucket: Bucket, name: str, how: str, until: datetime) -> None:
    """Lock the newest version until then (`hold`: until somebody lifts it), unless it is locked that long."""
    head = bucket.call("head_object", "look at", name)
    if how == "hold":
        if head.get("ObjectLockLegalHoldStatus") != "ON":
            bucket.call("put_object_legal_hold", "lock", name, LegalHold={"Status": "ON"})
        return
    standing = head.get("ObjectLockRetainUntilDate")
    if isinstance(standing, datetime) and standing >= until:
        return
    # a COMPLIANCE that somebody has set can be made longer, never softer
    mode = "COMPLIANCE" if head.get("ObjectLockMode") == "COMPLIANCE" else how.upper()
    bucket.call("put_object_retention", "lock", name, Retention={"Mode": mode, "RetainUntilDate": until})
