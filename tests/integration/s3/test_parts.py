"""Objects in parts: whole or not at all, sent once, and proven part by part."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from offloader.errors import AuthError, Conflict, IntegrityError, OffloaderError, Permanent, Refused, Transient
from offloader.model import Digest
from offloader.ports import Stored
from offloader.testing import EPOCH
from offloader_connectors.s3.store import S3Store
from tests.integration.s3.servers import Server
from tests.integration.s3.stores import answer, counted, open_clients, unfinished

MIB = 1 << 20
PART = 5 * MIB
KEY = "documents/crm/0123abcd/1"
BODY = bytes(range(256)) * (11 * MIB // 256) + b"the end"


def pieces(body: bytes = BODY, size: int = 700_001) -> Iterator[bytes]:
    for start in range(0, len(body), size):
        yield body[start : start + size]


class Ground:
    """A store with small parts, its clients, and what was sent."""

    def __init__(self, server: Server, **options: Any) -> None:
        self.server = server
        self.clients = open_clients(server, part_size=PART, **options)
        self.store = S3Store("s3", self.clients, lambda: EPOCH)
        self.sent = counted(self.clients)

    def fail(self, operation: str, number: int, status: int, code: str) -> None:
        """From the given call on, the server answers so."""
        calls = iter(range(1, 10_000))

        def broken(**_: Any) -> Any:
            return answer(status, code) if next(calls) >= number else None

        self.clients.s3.meta.events.register(f"before-send.s3.{operation}", broken)

    def is_empty(self) -> bool:
        visible = [*self.store.list()]
        return not visible and self.store.size(KEY) is None and not self._unfinished()

    def _unfinished(self) -> list[str]:
        try:
            return unfinished(self.server, self.clients)
        except self.clients.s3.exceptions.NoSuchUpload:
            return []  # how rclone says that there is none


@pytest.fixture
def ground(server: Server) -> Ground:
    return Ground(server)


def test_a_large_object_arrives_whole_and_is_visible_only_then(ground: Ground) -> None:
    """Of an object in parts nothing is visible before its end; then it is measured, listed and read back equal."""

    def watching() -> Iterator[bytes]:
        for piece in pieces():
            assert ground.store.size(KEY) is None
            yield piece

    stored = ground.store.put(KEY, watching(), size=len(BODY), digest=Digest.of(BODY))

    assert stored == Stored(KEY, len(BODY), hashlib.sha256(BODY).hexdigest())
    assert ground.store.stat(KEY) == stored
    assert [*ground.store.list()] == [(KEY, len(BODY))]
    assert b"".join(ground.store.read(KEY)) == BODY
    assert b"".join(ground.store.read(KEY, offset=PART - 1, length=3)) == BODY[PART - 1 : PART + 2]
    assert ground.sent.count("UploadPart") >= 3


@pytest.mark.parametrize("size", [PART - 1, PART, PART + 1, 2 * PART, 2 * PART + 1])
def test_sizes_around_the_edges_of_parts(ministack: Server, size: int) -> None:
    """An object of up to one part goes in one request, a larger one in parts; no byte is lost at their edges."""
    ground = Ground(ministack)
    body = BODY[:size]
    for number, chunks in enumerate(([body], pieces(body, MIB), pieces(body, PART), pieces(body, 3))):
        if number == 3 and size != PART + 1:
            continue
        key = f"{KEY}/{number}"
        assert ground.store.put(key, chunks) == Stored(key, size, hashlib.sha256(body).hexdigest())
        assert b"".join(ground.store.read(key)) == body
    assert ("CompleteMultipartUpload" in ground.sent) == (size > PART)


def test_a_large_object_is_not_sent_twice(ground: Ground) -> None:
    """The same large object again is compared, not sent; other bytes are a Conflict, and the object stays."""
    stored = ground.store.put(KEY, pieces())
    ground.sent.clear()

    assert ground.store.put(KEY, pieces()) == stored
    with pytest.raises(Conflict):
        ground.store.put(KEY, pieces(BODY[:-1] + b"?"))

    assert "UploadPart" not in ground.sent
    assert b"".join(ground.store.read(KEY)) == BODY


def test_what_is_announced_is_compared_for_large_objects(ground: Ground) -> None:
    """A large object that is not what was announced is an IntegrityError, and nothing is left."""
    with pytest.raises(IntegrityError):
        ground.store.put(KEY, pieces(), digest=Digest.of(BODY[:-1] + b"?"))
    with pytest.raises(IntegrityError):
        ground.store.put(KEY, pieces(), size=len(BODY) + 1)
    assert ground.is_empty()

    ground.store.put(KEY, pieces())
    with pytest.raises(IntegrityError):
        ground.store.put(KEY, pieces(), digest=Digest.of(BODY[:-1] + b"?"))


def test_an_error_of_the_chunks_takes_all_parts_back(ground: Ground) -> None:
    """An error in the middle of a large object passes as it is, and no part is left at the server."""
    error = KeyError("cut")

    def broken() -> Iterator[bytes]:
        yield from pieces(BODY[: 2 * PART + 9])
        raise error

    with pytest.raises(KeyError) as caught:
        ground.store.put(KEY, broken())

    assert caught.value is error
    assert ground.is_empty()


@pytest.mark.parametrize(
    ("operation", "status", "code", "expected"),
    [
        ("UploadPart", 500, "InternalError", Transient),
        ("UploadPart", 400, "ExpiredToken", AuthError),
        ("UploadPart", 404, "NoSuchUpload", Transient),
        ("CompleteMultipartUpload", 500, "InternalError", Transient),
        ("CompleteMultipartUpload", 200, "InternalError", Transient),
    ],
)
def test_a_failure_on_the_way_leaves_nothing(
    ministack: Server, operation: str, status: int, code: str, expected: type[OffloaderError]
) -> None:
    """A part that fails for ever, or an end that is refused, even by a 200 with an error in it, leaves nothing."""
    ground = Ground(ministack)
    ground.store.put("documents/first", pieces())  # the server was tried out before
    ground.store.delete("documents/first")
    ground.fail(operation, 2 if operation == "UploadPart" else 1, status, code)
    with pytest.raises(expected, match=r"^(?!.*secret words)"):
        ground.store.put(KEY, pieces())
    assert ground.is_empty()


def test_every_buffer_is_given_back(ministack: Server) -> None:
    """After more failures than there are buffers, a large object still passes."""
    ground = Ground(ministack, max_concurrency=2)

    def broken() -> Iterator[bytes]:
        yield from pieces(BODY[: PART + 9])
        raise KeyError

    for _ in range(3):
        with pytest.raises(KeyError):
            ground.store.put(KEY, broken())
    ground.store.put(KEY, pieces())
    for _ in range(3):
        ground.store.put(KEY, pieces())
    assert b"".join(ground.store.read(KEY)) == BODY


def test_whoever_completes_first_wins(ground: Ground) -> None:
    """An object that appears while another of its name is being sent stays; the other is a Conflict, or the same."""
    other = S3Store("s3", ground.clients, lambda: EPOCH)

    def overtaken(body: bytes) -> Iterator[bytes]:
        yield from pieces()
        other.put(KEY, pieces(body))

    with pytest.raises(Conflict):
        ground.store.put(KEY, overtaken(BODY[:-1] + b"?"))
    assert b"".join(ground.store.read(KEY)) == BODY[:-1] + b"?"

    ground.store.delete(KEY)
    assert ground.store.put(KEY, overtaken(BODY)).sha256 == hashlib.sha256(BODY).hexdigest()


def test_too_many_parts_are_refused(ministack: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """An object of more parts than S3 allows is refused, with what to change, and nothing is left."""
    ground = Ground(ministack)
    monkeypatch.setattr("offloader_connectors.s3.transfer.MOST_PARTS", 2)
    with pytest.raises(Permanent, match="part_size"):
        ground.store.put(KEY, pieces())
    assert ground.is_empty()


def test_sweeping_takes_old_uploads_of_this_store_only(honest: Server) -> None:
    """A sweep aborts uploads below the prefix that are older than a day: not young ones, not those of others."""
    ground = Ground(honest)
    client, options = honest.client(), ground.clients.options
    prefix = options.prefix
    neighbour = prefix.rstrip("/") + "-other/documents/1"
    for name in (prefix + KEY, neighbour, prefix + "no key of ours"):
        client.create_multipart_upload(Bucket=options.bucket, Key=name)
    tomorrow = S3Store("s3", ground.clients, lambda: datetime.now(UTC) + timedelta(hours=25))
    today = S3Store("s3", ground.clients, lambda: datetime.now(UTC))

    assert today.sweep() == 0
    assert tomorrow.sweep() == 1
    assert tomorrow.sweep() == 0

    left = client.list_multipart_uploads(Bucket=options.bucket)["Uploads"]
    assert neighbour in {upload["Key"] for upload in left}


def test_a_sweep_spares_what_this_process_is_sending(honest: Server) -> None:
    """However old an upload is, a sweep does not abort it while this store is sending it."""
    ground = Ground(honest)
    store = S3Store("s3", ground.clients, lambda: datetime.now(UTC) + timedelta(days=3))

    def sweeping() -> Iterator[bytes]:
        yield from pieces()
        assert unfinished(honest, ground.clients)
        assert store.sweep() == 0

    assert store.put(KEY, sweeping()).size == len(BODY)


@pytest.mark.parametrize("taken", ["UploadPart", "CompleteMultipartUpload"])
def test_parts_are_tried_out_too(ministack: Server, taken: str) -> None:
    """A server that checks small objects but no parts is read back; one that would overwrite is looked at before."""
    ground = Ground(ministack)

    def accept(request: Any, **_: Any) -> Any:
        return answer(200, ETag='"0"') if "~offloader" in request.url else None

    ground.clients.s3.meta.events.register(f"before-send.s3.{taken}", accept)
    ground.store.put(KEY, pieces())
    end = [*ground.sent][-3:]
    if taken == "UploadPart":
        assert end == ["UploadPart", "CompleteMultipartUpload", "GetObject"]
    else:
        assert end == ["UploadPart", "HeadObject", "CompleteMultipartUpload"]


@pytest.mark.timeout(60)
def test_a_failed_part_ends_the_whole(ministack: Server) -> None:
    """Once a part has failed no more is asked of the stream, however long it is, and its error is the one raised."""
    ground = Ground(ministack, max_concurrency=1)
    ground.store.put("documents/first", pieces())
    ground.fail("UploadPart", 2, 403, "AccessDenied")

    def endless() -> Iterator[bytes]:
        while True:
            yield bytes(MIB)

    with pytest.raises(Refused, match="s3:PutObject"):
        ground.store.put(KEY, endless())
    ground.store.delete("documents/first")
    assert ground.is_empty()


def test_a_part_that_came_out_other_is_not_completed(ministack: Server) -> None:
    """A part whose checksum the server answers otherwise than it was sent is an IntegrityError, and nothing is left."""
    ground = Ground(ministack)

    def spoil(parsed: Any, **_: Any) -> None:
        parsed["ChecksumSHA256"] = "AAAA"

    ground.store.put("documents/first", pieces())
    ground.store.delete("documents/first")
    ground.clients.s3.meta.events.register("after-call.s3.UploadPart", spoil)
    with pytest.raises(IntegrityError, match="damaged"):
        ground.store.put(KEY, pieces())
    assert ground.is_empty()
