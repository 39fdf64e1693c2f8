"""Small objects: one request each, proven by the server where it can be believed, read back where it cannot."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from offloader.errors import IntegrityError, Permanent, Refused, Throttled, Transient
from offloader.model import Digest
from offloader.testing import EPOCH
from offloader_connectors.s3.store import S3Store
from tests.integration.s3.servers import Server
from tests.integration.s3.stores import answer, counted, open_clients, open_store

KEY = "documents/crm/0123abcd/1"
BODY = b"a document" * 1000


def requests(server: Server, documents: int, **options: Any) -> list[str]:
    clients = open_clients(server, **options)
    store = S3Store("s3", clients, lambda: EPOCH)
    sent = counted(clients)
    for number in range(documents):
        store.put(f"{KEY}-{number}", [BODY], size=len(BODY), digest=Digest.of(BODY))
    return sent


def test_a_small_document_is_one_request(seaweedfs: Server) -> None:
    """On a server that answers with its checksum a document is one request, after three to try the server out."""
    place = seaweedfs.place()
    assert requests(seaweedfs, 20, **place) == ["PutObject"] * 23


def test_later_processes_try_the_server_with_two_requests(seaweedfs: Server) -> None:
    """The object by which the server was tried out stays, hidden, and serves the next process."""
    place = seaweedfs.place()
    requests(seaweedfs, 1, **place)
    assert requests(seaweedfs, 0, **place) == []
    clients = open_clients(seaweedfs, **place)
    store, sent = S3Store("s3", clients, lambda: EPOCH), counted(clients)

    store.put(KEY, [BODY])

    assert sent == ["PutObject"] * 3
    assert {key for key, _ in store.list()} == {KEY, f"{KEY}-0"}


def test_a_server_that_does_not_answer_with_its_checksum_is_asked(ministack: Server) -> None:
    """Where the answer has no SHA-256, the MD5 in it will do; where it has neither, a HEAD request fetches it."""
    place = ministack.place()
    assert requests(ministack, 3, **place)[3:] == ["PutObject"] * 3
    clients = open_clients(ministack, **place)
    store, sent = S3Store("s3", clients, lambda: EPOCH), counted(clients)
    clients.s3.meta.events.register("after-call.s3.PutObject", lambda parsed, **_: parsed.update(ETag='"opaque"'))
    store.put(KEY, [BODY])
    assert sent == ["PutObject", "PutObject", "PutObject", "HeadObject"]


def test_a_server_that_checks_nothing_is_read_back(rclone: Server) -> None:
    """Where wrong checksums are taken, and overwriting is not refused, the store looks first and reads back."""
    sent = requests(rclone, 2)[3:]
    assert sent == ["GetObject", "PutObject", "GetObject"] * 2


def test_capabilities_say_what_was_found(rclone: Server, ministack: Server) -> None:
    """Whether the server refuses to overwrite is declared as configured, and once it was tried, as it is."""
    for server, obeys in ((rclone, False), (ministack, True)):
        store = open_store(server)
        assert store.capabilities.conditional_create
        store.put(KEY, [BODY])
        assert store.capabilities.conditional_create is obeys
    assert not open_store(ministack, conditional_create="off").capabilities.conditional_create


def test_without_checksums_and_conditions(server: Server) -> None:
    """With both switched off every server is written to, and everything is read back."""
    clients = open_clients(server, checksum="off", conditional_create="off")
    store, sent = S3Store("s3", clients, lambda: EPOCH), counted(clients)
    headers: list[str] = []
    clients.s3.meta.events.register("before-send.s3", lambda request, **_: headers.extend(request.headers))
    store.put(KEY, [BODY], digest=Digest.of(BODY))
    assert sent == ["GetObject", "PutObject", "GetObject"]
    assert not {name.lower() for name in headers} & {"if-none-match", "x-amz-checksum-sha256", "x-amz-checksum-mode"}


def test_damage_on_the_way_is_tried_again(honest: Server) -> None:
    """Bytes that change on their way are refused by the server, and the error says that trying again may help."""
    clients = open_clients(honest)
    store = S3Store("s3", clients, lambda: EPOCH)
    store.put("documents/first", [BODY])

    def damage(params: Any, **_: Any) -> None:
        params["body"] = b"?" + bytes(params["body"][1:])

    clients.s3.meta.events.register("before-call.s3.PutObject", damage)
    with pytest.raises(Transient):
        store.put(KEY, [BODY], digest=Digest.of(BODY))
    assert store.size(KEY) is None


def test_how_objects_are_written(ministack: Server) -> None:
    """Class, key, tags and the digest are asked for with every object, small or in parts."""
    clients = open_clients(
        ministack, storage_class="STANDARD_IA", kms_key="alias/documents", tags={"for": "the CRM"}, part_size=5 << 20
    )
    store = S3Store("s3", clients, lambda: EPOCH)
    tagged: dict[str, bytes] = {}

    def look(request: Any, event_name: str, **_: Any) -> None:
        if "x-amz-tagging" in request.headers:
            tagged[event_name.rpartition(".")[2]] = request.headers["x-amz-tagging"]

    clients.s3.meta.events.register("before-send.s3", look)
    large = BODY * 700
    store.put("small", [BODY])
    store.put("large", [large[:9], large[9:]], digest=Digest.of(large))
    client = ministack.client()
    for key, body in (("small", BODY), ("large", large)):
        where = {"Bucket": clients.options.bucket, "Key": clients.options.prefix + key}
        head = client.head_object(**where)
        assert head["StorageClass"] == "STANDARD_IA"
        assert head["ServerSideEncryption"] == "aws:kms"
        assert head["Metadata"] == {"sha256": hashlib.sha256(body).hexdigest()}
    assert tagged == {"PutObject": b"for=the+CRM", "CreateMultipartUpload": b"for=the+CRM"}


def test_stat_reads_back_until_the_server_was_tried(ministack: Server) -> None:
    """A process that has not tried the server reads the object; one that has asks for the server's checksum."""
    place = ministack.place()
    stored = open_store(ministack, **place).put(KEY, [BODY])
    clients = open_clients(ministack, **place)
    store, sent = S3Store("s3", clients, lambda: EPOCH), counted(clients)
    assert store.stat(KEY) == stored
    assert sent == ["GetObject"]
    store.put(f"{KEY}-2", [BODY])
    sent.clear()
    assert store.stat(KEY) == stored
    assert sent == ["HeadObject"]


def test_a_checksum_of_another_form_is_no_proof(ministack: Server) -> None:
    """Where somebody else's upload left no SHA-256 of the whole, the bytes are read."""
    clients = open_clients(ministack)
    store = S3Store("s3", clients, lambda: EPOCH)
    store.put(KEY, [BODY])
    name = clients.options.prefix + "documents/by-hand"
    ministack.client().put_object(Bucket=clients.options.bucket, Key=name, Body=BODY, ChecksumAlgorithm="CRC32")
    stat = store.stat("documents/by-hand")
    assert stat is not None
    assert stat.sha256 == hashlib.sha256(BODY).hexdigest()


def test_a_bucket_that_is_gone_is_not_made_again(ministack: Server) -> None:
    """Writing, reading and listing in a deleted bucket is refused; nobody makes a new one in its place."""
    bucket = ministack.bucket()
    store = open_store(ministack, bucket=bucket)
    ministack.client().delete_bucket(Bucket=bucket)
    with pytest.raises(Refused, match="NoSuchBucket"):
        store.put(KEY, [BODY])
    with pytest.raises(Refused):
        [*store.list()]
    with pytest.raises(Refused):
        store.read(KEY)
    assert bucket not in {each["Name"] for each in ministack.client().list_buckets()["Buckets"]}


def test_a_server_that_asks_for_patience(ministack: Server) -> None:
    """503 SlowDown is a throttle with the server's own waiting time, and nothing is stored."""
    clients = open_clients(ministack)
    store = S3Store("s3", clients, lambda: EPOCH)
    store.put("documents/first", [BODY])
    clients.s3.meta.events.register("before-send.s3.PutObject", lambda **_: answer(503, "SlowDown", Retry_After="7"))
    with pytest.raises(Throttled) as caught:
        store.put(KEY, [BODY])
    assert caught.value.retry_after is not None
    assert caught.value.retry_after.total_seconds() == 7
    assert store.size(KEY) is None


def test_a_read_that_ends_early_is_an_error(ministack: Server) -> None:
    """A body that breaks off raises Transient and never ends quietly."""
    clients = open_clients(ministack)
    store = S3Store("s3", clients, lambda: EPOCH)
    store.put(KEY, [BODY])

    def shorten(parsed: Any, **_: Any) -> None:
        parsed["Body"]._content_length = len(BODY) + 1

    clients.s3.meta.events.register("after-call.s3.GetObject", shorten)
    with pytest.raises(Transient):
        b"".join(store.read(KEY))


def test_an_object_that_came_back_wrong_is_taken_away(ministack: Server) -> None:
    """What is not read back as it was written is an IntegrityError that names both digests, and is deleted."""
    clients = open_clients(ministack, checksum="off")
    store = S3Store("s3", clients, lambda: EPOCH)
    store.put("documents/first", [BODY])

    def damage(params: Any, **_: Any) -> None:
        params["body"] = b"?" + bytes(params["body"][1:])

    clients.s3.meta.events.register("before-call.s3.PutObject", damage)
    with pytest.raises(IntegrityError, match=hashlib.sha256(BODY).hexdigest()):
        store.put(KEY, [BODY])
    assert store.size(KEY) is None


def test_every_call_names_the_owner(ministack: Server) -> None:
    """With an expected owner no call goes out that a bucket of the same name in other hands would answer."""
    clients = open_clients(ministack, expected_owner="000000000000", part_size=5 << 20)
    store = S3Store("s3", clients, lambda: datetime.now(UTC) + timedelta(days=2))
    named: dict[str, bytes | None] = {}

    def look(request: Any, event_name: str, **_: Any) -> None:
        named[event_name.rpartition(".")[2]] = request.headers.get("x-amz-expected-bucket-owner")

    clients.s3.meta.events.register("before-send.s3", look)
    store.put(KEY, [BODY])
    store.put(f"{KEY}-large", [bytes(3 << 20), bytes(3 << 20)])
    ministack.client().create_multipart_upload(Bucket=clients.options.bucket, Key=clients.options.prefix + KEY)
    assert b"".join(store.read(KEY)) == BODY
    assert store.size(KEY) == len(BODY)
    assert len([*store.list()]) == 2
    assert store.sweep() == 1
    store.delete(KEY)
    assert len(named) == 11
    assert {*named.values()} == {b"000000000000"}


def test_what_is_announced_is_compared_where_the_object_exists(honest: Server) -> None:
    """Bytes that are not what was announced are an IntegrityError, even if the announced ones are stored already."""
    store = open_store(honest)
    store.put(KEY, [BODY])
    with pytest.raises(IntegrityError):
        store.put(KEY, [BODY[:-1] + b"?"], digest=Digest.of(BODY))


@pytest.mark.timeout(60)
def test_documents_that_come_in_pieces_give_their_buffer_back(ministack: Server) -> None:
    """One buffer is enough for one document after the other, whatever becomes of them."""
    store = open_store(ministack, max_concurrency=1)
    body = bytes(3 << 20)
    for number in range(3):
        assert store.put(f"{KEY}-{number}", [body[:9], body[9:]]).size == len(body)
        with pytest.raises(IntegrityError):
            store.put(KEY, [body[:9], body[9:]], size=1)


def test_a_server_that_lists_folder_by_folder(seaweedfs: Server) -> None:
    """Such a server is found out while listing, with what to set; told of it, the store sorts by itself."""
    place = seaweedfs.place()
    store = open_store(seaweedfs, **place)
    keys = ["a-b", "a/b", "a/b-c", "a0"]
    for key in keys:
        store.put(key, [b"x"])
    assert [key for key, _ in store.list()] == keys
    with pytest.raises(Permanent, match="listing: unordered"):
        [*open_store(seaweedfs, **place, listing="ordered").list()]


def test_what_is_not_ours_is_not_listed(honest: Server) -> None:
    """Names that are no keys, and everything beside the prefix, are passed over."""
    clients = open_clients(honest)
    store = S3Store("s3", clients, lambda: EPOCH)
    store.put(KEY, [BODY])
    prefix = clients.options.prefix
    for name in ("a b", "é", "~other", "line\nend", "x%2e", "documents/\u202etxt.exe"):
        honest.client().put_object(Bucket=clients.options.bucket, Key=prefix + name, Body=b"x")
    honest.client().put_object(Bucket=clients.options.bucket, Key=prefix.rstrip("/") + "-other/documents/1", Body=b"x")
    assert [*store.list()] == [(KEY, len(BODY))]


@pytest.mark.parametrize("header", ["if-none-match", "x-amz-checksum-sha256"])
def test_a_server_that_has_never_heard_of_a_header(ministack: Server, header: str) -> None:
    """A server that answers 501 to a condition or a checksum is taken for one that has it not, small or in parts."""
    clients = open_clients(ministack, part_size=5 << 20)
    store, sent = S3Store("s3", clients, lambda: EPOCH), counted(clients)

    def unknown(request: Any, **_: Any) -> Any:
        return answer(501, "NotImplemented") if header in request.headers and "~offloader" in request.url else None

    clients.s3.meta.events.register("before-send.s3", unknown)
    store.put(KEY, [BODY])
    assert store.capabilities.conditional_create is (header != "if-none-match")
    assert sent[-1] == ("GetObject" if header == "x-amz-checksum-sha256" else "PutObject")
    if header == "if-none-match":
        assert store.put(f"{KEY}-large", [bytes(3 << 20), bytes(3 << 20)]).size == 6 << 20


def test_an_object_that_comes_and_goes(ministack: Server) -> None:
    """Where an object is in the way and gone when it is looked at, trying again is the advice."""
    clients = open_clients(ministack)
    store = S3Store("s3", clients, lambda: EPOCH)
    store.put(KEY, [BODY])
    clients.s3.meta.events.register("before-send.s3.HeadObject", lambda **_: answer(404))
    with pytest.raises(Transient, match="somebody else"):
        store.put(KEY, [BODY])


def test_what_is_no_prefix_and_no_range(ministack: Server) -> None:
    """A prefix of other characters than keys have, and a negative range, are refused before anything is asked."""
    clients = open_clients(ministack)
    store, sent = S3Store("s3", clients, lambda: EPOCH), counted(clients)
    for prefix in ("a b", "é", "a\n", "~"):
        with pytest.raises(Permanent):
            store.list(prefix)
    for offset, length in ((-1, None), (0, -1)):
        with pytest.raises(Permanent):
            store.read(KEY, offset=offset, length=length)
    assert sent == []
