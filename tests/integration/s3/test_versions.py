"""Deleting in buckets that keep versions, and locks: erasure is real, and a lock is believed when it was tried."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from offloader.errors import Conflict, IntegrityError, Refused, Unsupported
from offloader.ports import Erased
from offloader.testing import EPOCH
from offloader_connectors.s3.store import S3Store
from tests.integration.s3.servers import Server
from tests.integration.s3.stores import answer, counted, open_clients, open_store

KEY = "documents/crm/0123abcd/1"


def now() -> datetime:
    """Locks end by the server's clock."""
    return datetime.now(UTC)


def held(server: Server, place: dict[str, Any]) -> int:
    """Versions and delete markers of the key that the server still holds."""
    found = server.client().list_object_versions(Bucket=place["bucket"], Prefix=place["prefix"] + KEY)
    return len([*found.get("Versions", ()), *found.get("DeleteMarkers", ())])


def test_every_version_is_deleted(honest: Server) -> None:
    """In a bucket with versions a deletion leaves no version and no delete marker, and spares the neighbour's."""
    place = honest.place(locked=True)
    store, client = open_store(honest, **place), honest.client()
    name = {"Bucket": place["bucket"], "Key": place["prefix"] + KEY}
    store.put(KEY, [b"first"])
    store.put(f"{KEY}0", [b"neighbour"])
    client.delete_object(**name)
    client.put_object(**name, Body=b"second")
    client.put_object(**name, Body=b"third")
    assert held(honest, place) == 5

    store.delete(KEY)

    assert held(honest, place) == 1
    assert [*store.list()] == [(f"{KEY}0", 9)]
    assert store.put(KEY, [b"other"]).size == 5


def test_a_locked_version_below_leaves_the_newest_readable(honest: Server) -> None:
    """Where an old version is locked the deletion is refused before anything newer was removed."""
    place = honest.place(locked=True)
    store, client = open_store(honest, **place), honest.client()
    name = {"Bucket": place["bucket"], "Key": place["prefix"] + KEY}
    client.put_object(**name, Body=b"old", ObjectLockLegalHoldStatus="ON")
    client.put_object(**name, Body=b"new")
    with pytest.raises(Refused):
        store.delete(KEY)
    assert b"".join(store.read(KEY)) == b"new"


def test_objects_are_locked_as_they_are_written(honest: Server) -> None:
    """With days every object, small or in parts, cannot be deleted, is not written twice, and keeps its bytes."""
    place = honest.place(locked=True)
    store = open_store(honest, now=now, object_lock={"days": 2}, part_size=5 << 20, **place)
    large = [bytes(3 << 20), bytes(3 << 20)]
    for key, body in ((KEY, [b"small"]), (f"{KEY}-large", large)):
        stored = store.put(key, body)
        with pytest.raises(Refused):
            store.delete(key)
        assert store.put(key, body) == stored
        with pytest.raises(Conflict):
            store.put(key, [b"other"])
        assert sum(map(len, store.read(key))) == stored.size
        head = honest.client().head_object(Bucket=place["bucket"], Key=place["prefix"] + key)
        assert head["ObjectLockMode"] == "GOVERNANCE"
        assert 1.9 < (head["ObjectLockRetainUntilDate"] - now()).total_seconds() / 86_400 < 2.1
    assert held(honest, place) == 2


def test_a_legal_hold_can_be_asked_for(honest: Server) -> None:
    """With legal_hold an object cannot be deleted until somebody lifts it."""
    place = honest.place(locked=True)
    store = open_store(honest, now=now, object_lock={"legal_hold": True}, **place)
    store.put(KEY, [b"held"])
    with pytest.raises(Refused):
        store.delete(KEY)
    name = {"Bucket": place["bucket"], "Key": place["prefix"] + KEY}
    honest.client().put_object_legal_hold(**name, LegalHold={"Status": "OFF"})
    store.delete(KEY)
    assert held(honest, place) == 0


def test_a_lock_that_holds_nothing_is_found_out(rclone: Server) -> None:
    """A server that takes lock headers and deletes all the same is not written to."""
    clients = open_clients(rclone, object_lock={"days": 2})
    store, sent = S3Store("s3", clients, lambda: EPOCH), counted(clients)
    with pytest.raises(Refused, match="locks hold nothing"):
        store.put(KEY, [b"x"])
    assert "DeleteObject" in sent
    assert store.size(KEY) is None


def test_later_processes_find_the_lock_proven(honest: Server) -> None:
    """Each process tries the lock on the marker; that lock is short, and while it holds no new version is made."""
    place = honest.place(locked=True)
    for _ in range(3):
        open_store(honest, now=now, object_lock={"days": 900}, **place).put(KEY, [b"x"])
    found = honest.client().list_object_versions(Bucket=place["bucket"], Prefix=place["prefix"] + "~offloader")
    assert len(found["Versions"]) == 1
    assert "DeleteMarkers" not in found
    head = honest.client().head_object(Bucket=place["bucket"], Key=place["prefix"] + "~offloader")
    assert (head["ObjectLockRetainUntilDate"] - now()).days < 2


@pytest.mark.parametrize(("status", "code", "body"), [(200, "", "<ListVersionsResult/>"), (501, "NotImplemented", "")])
def test_a_server_that_lists_no_versions_deletes_all_the_same(
    ministack: Server, status: int, code: str, body: str
) -> None:
    """Where the list of versions is empty, or is none, an object that is there is deleted plainly."""
    clients = open_clients(ministack)
    store = S3Store("s3", clients, lambda: EPOCH)
    store.put(KEY, [b"x"])
    clients.s3.meta.events.register("before-send.s3.ListObjectVersions", lambda **_: answer(status, code, body=body))
    store.delete(KEY)
    assert store.size(KEY) is None
    store.delete(KEY)


def test_deleting_what_is_not_there_leaves_no_marker(honest: Server) -> None:
    """In a bucket with versions the deletion of nothing adds nothing."""
    place = honest.place(locked=True)
    open_store(honest, **place).delete(KEY)
    assert held(honest, place) == 0


def test_what_cannot_be_taken_back_is_told(ministack: Server) -> None:
    """If an object that came back wrong cannot be deleted either, the error is still about its bytes, and says so."""
    clients = open_clients(ministack)
    store = S3Store("s3", clients, lambda: EPOCH)
    store.put("documents/first", [b"x"])
    events = clients.s3.meta.events
    events.register("before-send.s3.PutObject", lambda **_: answer(200, ETag='"0"'))
    events.register("before-send.s3.DeleteObject", lambda **_: answer(403, "AccessDenied"))
    with pytest.raises(IntegrityError, match="could not be taken away"):
        store.put(KEY, [b"y"])


def test_erasing_leaves_no_version_and_tells_how_many_there_were(ministack: Server) -> None:
    """Erasure removes versions and delete markers, counts them, spares the neighbour, and may be asked for again."""
    place = ministack.place(locked=True)
    store, client = open_store(ministack, **place), ministack.client()
    name = {"Bucket": place["bucket"], "Key": place["prefix"] + KEY}
    store.put(KEY, [b"first"])
    store.put(f"{KEY}0", [b"neighbour"])
    client.delete_object(**name)
    client.put_object(**name, Body=b"second")

    assert store.erase(KEY) == Erased(versions=2, markers=1)

    assert [*store.list()] == [(f"{KEY}0", 9)]
    assert held(ministack, place) == 1
    assert store.erase(KEY) == Erased()


def test_a_retention_is_set_once_and_only_grows(ministack: Server) -> None:
    """An object is locked until its retention's end; an earlier end does not shorten it; nothing is erased before.

    With `bypass` a lock that some people may lift is passed by.
    """
    place = ministack.place(locked=True)
    store = open_store(ministack, now=now, object_lock={"retain": "governance"}, **place)
    store.put(KEY, [b"first"])
    assert store.locked(KEY) is None
    end = (now() + timedelta(days=9)).replace(microsecond=0)
    store.retain(KEY, end)
    store.retain(KEY, end - timedelta(days=5))
    lock = store.locked(KEY)
    assert lock is not None
    assert (lock.until, lock.lifts) == (end, True)
    assert store.erase(KEY) == Erased(left=(lock,))
    assert b"".join(store.read(KEY)) == b"first"
    assert store.erase(KEY, bypass=True) == Erased(versions=1)
    assert store.size(KEY) is None


def test_a_legal_hold_is_never_passed_by(ministack: Server) -> None:
    """A hold that somebody has put on an old version keeps every version, with `bypass` too."""
    place = ministack.place(locked=True)
    store, client = open_store(ministack, now=now, **place), ministack.client()
    name = {"Bucket": place["bucket"], "Key": place["prefix"] + KEY}
    client.put_object(**name, Body=b"old", ObjectLockLegalHoldStatus="ON")
    client.put_object(**name, Body=b"new")
    erased = store.erase(KEY, bypass=True)
    assert (erased.versions, [lock.until for lock in erased.left]) == (0, [None])
    assert held(ministack, place) == 2


def test_locks_are_not_set_without_being_asked_for(ministack: Server) -> None:
    """A store whose options say nothing of retention refuses to lock."""
    store = open_store(ministack)
    assert not store.capabilities.retains
    with pytest.raises(Unsupported):
        store.retain(KEY, now())
