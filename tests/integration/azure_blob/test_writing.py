"""How blobs are written: few requests, never over another, and nothing believed that was not checked."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest
from azure.storage.blob import ContainerSasPermissions, generate_container_sas

from offloader.errors import (
    AuthError,
    Conflict,
    IntegrityError,
    OffloaderError,
    Permanent,
    Refused,
    Throttled,
    Transient,
    Unsupported,
)
from offloader.model import Digest
from offloader.plugins import Context
from offloader.ports import Stored
from offloader.testing import FakeClock, context
from offloader.wrappers.retrying import Retry, RetryingStore
from offloader_connectors.azure_blob.client import Clients
from offloader_connectors.azure_blob.options import AzureBlobOptions
from offloader_connectors.azure_blob.testparts.testbed import Testbed

from .conftest import MakeStore

KEY = "documents/crm/0123abcd/1"
SMALL = b"small enough for one request"
LARGE = bytes(range(256)) * 1024 + b"and a bit more"
BLOCKS = 5


@pytest.fixture
def clients(bed: Testbed, container: str, real_time: Context) -> Clients:
    """Another party that works on the same container, past the proxy."""
    return Clients(AzureBlobOptions.model_validate(bed.store_options(container, bare=True)), real_time)


def stored(body: bytes) -> Stored:
    return Stored(KEY, len(body), Digest.of(body).sha256)


def test_a_small_document_takes_one_request(bed: Testbed, make_store: MakeStore) -> None:
    """A body of up to a block is written and proven by one request."""
    assert make_store().put(KEY, [SMALL], digest=Digest.of(SMALL)) == stored(SMALL)
    assert bed.proxy.requests == {"PutBlob": 1}


def test_a_large_document_is_not_read_back_where_the_server_checks(bed: Testbed, make_store: MakeStore) -> None:
    """With the server's own MD5 of every block and its list of them, nothing has to be read back."""
    assert make_store().put(KEY, [LARGE]) == stored(LARGE)
    assert bed.proxy.requests == {"GetBlobProperties": 1, "PutBlock": BLOCKS, "PutBlockList": 1, "GetBlockList": 1}


def test_what_the_server_does_not_check_is_read_back(
    bed: Testbed, make_store: MakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that does not tell an MD5 of its own has proven nothing: the blob is read back, and must be equal."""
    monkeypatch.setattr(bed.proxy, "computes_md5", False)
    assert make_store().put(KEY, [LARGE]) == stored(LARGE)
    assert bed.proxy.requests["GetBlob"] > 0
    bed.proxy.faults.on("GetBlob", "corrupt")
    with pytest.raises(IntegrityError):
        make_store().put(f"{KEY}0", [LARGE])
    assert [*make_store().list()] == [(KEY, len(LARGE))]


def test_read_back_can_be_demanded(bed: Testbed, make_store: MakeStore) -> None:
    """With `read_back`, even what the server has checked is read, and taken away again if it is not right."""
    store = make_store(read_back=True)
    assert store.put(KEY, [SMALL]) == stored(SMALL)
    assert bed.proxy.requests == {"PutBlob": 1, "GetBlob": 1}
    bed.proxy.faults.on("GetBlob", "corrupt")
    with pytest.raises(IntegrityError):
        store.put(f"{KEY}0", [SMALL])
    assert [*store.list()] == [(KEY, len(SMALL))]


@pytest.mark.parametrize("body", [SMALL, LARGE], ids=["small", "large"])
def test_blobs_describe_themselves(make_store: MakeStore, clients: Clients, body: bytes) -> None:
    """A blob carries its SHA-256, is a download of plain bytes to whoever opens it, and is in the wanted tier."""
    make_store(tier="Cool", prefix="crm/eu/").put(KEY, [body])
    found = clients.blob(f"crm/eu/{KEY}").get_blob_properties()
    assert found.metadata == {"sha256": Digest.of(body).sha256}
    assert found.content_settings.content_type == "application/octet-stream"
    assert found.content_settings.content_disposition == "attachment"
    assert found.blob_tier == "Cool"


def test_what_is_there_is_not_sent_again(bed: Testbed, make_store: MakeStore) -> None:
    """Putting a large body again reads what is stored and sends nothing; other bytes are a Conflict."""
    store = make_store()
    store.put(KEY, [LARGE])
    bed.proxy.requests.clear()
    assert store.put(KEY, [LARGE[:9], LARGE[9:]]) == stored(LARGE)
    with pytest.raises(Conflict):
        store.put(KEY, [LARGE, b"!"])
    assert not bed.proxy.requests.keys() & {"PutBlob", "PutBlock", "PutBlockList"}


@pytest.mark.parametrize(("body", "operation"), [(SMALL, "PutBlob"), (LARGE, "PutBlockList")])
def test_a_lost_answer_is_found_out(bed: Testbed, make_store: MakeStore, body: bytes, operation: str) -> None:
    """When the answer to a write is lost, the error says that it may be done, and the next try finds it done."""
    store = make_store()
    bed.proxy.faults.on(operation, "drop_after_commit", nth=1)
    with pytest.raises(Transient) as lost:
        store.put(KEY, [body])
    assert lost.value.maybe_done
    assert store.put(KEY, [body]) == stored(body)


@pytest.mark.parametrize(("body", "operation"), [(SMALL, "PutBlob"), (LARGE, "PutBlock"), (LARGE, "PutBlockList")])
def test_throttles_say_how_long_to_wait(bed: Testbed, make_store: MakeStore, body: bytes, operation: str) -> None:
    """A busy server is Throttled with its own waiting time; a second try of the wrapper is enough."""
    clock = FakeClock()
    retry = Retry(sleep=clock.sleep, monotonic=clock.monotonic, random=lambda: 0.0)
    store = RetryingStore(make_store(), retry)
    bed.proxy.faults.on(operation, "status", nth=1, status=503, code="ServerBusy", retry_after=7)
    assert store.put(KEY, [body]) == stored(body)
    assert clock.slept == [7.0]


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (503, "ServerBusy", Throttled),
        (429, "", Throttled),
        (500, "OperationTimedOut", Transient),
        (500, "InternalError", Transient),
        (502, "", Transient),
        (403, "AuthenticationFailed", AuthError),
        (403, "AuthorizationPermissionMismatch", AuthError),
        (409, "ContainerBeingDeleted", Transient),
        (413, "RequestBodyTooLarge", Permanent),
        (501, "APINotImplemented", Unsupported),
    ],
)
@pytest.mark.parametrize(("body", "operation"), [(SMALL, "PutBlob"), (LARGE, "PutBlock"), (LARGE, "PutBlockList")])
def test_a_refused_write_leaves_nothing(
    bed: Testbed,
    make_store: MakeStore,
    body: bytes,
    operation: str,
    status: int,
    code: str,
    expected: type[OffloaderError],
) -> None:
    """Whatever the server answers to a write for ever, it is an error of ours, and nothing can be seen."""
    store = make_store()
    bed.proxy.faults.on(operation, "status", status=status, code=code)
    with pytest.raises(expected) as caught:
        store.put(KEY, [body])
    assert KEY in str(caught.value)
    assert [*store.list()] == []


@pytest.mark.parametrize(("body", "operation"), [(SMALL, "PutBlob"), (LARGE, "PutBlock")])
def test_bytes_damaged_on_their_way_are_not_stored(
    bed: Testbed, make_store: MakeStore, body: bytes, operation: str
) -> None:
    """The server itself refuses bytes that do not have the announced MD5; a second try may do better."""
    store = make_store()
    bed.proxy.faults.on(operation, "corrupt", nth=1)
    with pytest.raises(Transient, match="damaged"):
        store.put(KEY, [body])
    assert [*store.list()] == []
    assert store.put(KEY, [body]) == stored(body)


def test_a_wrong_announcement_is_not_taken_for_damage(bed: Testbed, make_store: MakeStore) -> None:
    """A body of one block that is not what was announced is an IntegrityError, though it is the server that notices;
    also when the key already holds what was announced.
    """
    store = make_store()
    announced = Digest.of(SMALL)
    for _ in range(2):
        with pytest.raises(IntegrityError, match="announced"):
            store.put(KEY, [SMALL[::-1]], digest=announced)
        assert bed.proxy.requests.pop("PutBlob") == 1
        store.put(KEY, [SMALL], digest=announced)
        bed.proxy.requests.clear()


@pytest.mark.parametrize(("body", "operation"), [(SMALL, "PutBlob"), (LARGE, "PutBlock"), (LARGE, "PutBlockList")])
def test_a_server_that_stores_nothing_is_found_out(
    bed: Testbed, make_store: MakeStore, body: bytes, operation: str
) -> None:
    """An answer that all is well is not believed when nothing of it is there."""
    store = make_store()
    bed.proxy.faults.on(operation, "status", nth=1, status=201)
    with pytest.raises((IntegrityError, Transient)):
        store.put(KEY, [body])
    assert store.stat(KEY) is None


def test_an_error_in_the_middle_leaves_no_block_under_way(bed: Testbed, make_store: MakeStore) -> None:
    """When the chunks fail, put returns only after the blocks under way have ended."""
    bed.proxy.faults.on("PutBlock", "delay", seconds=0.05)
    store = make_store()

    def broken() -> Iterator[bytes]:
        yield LARGE
        raise KeyError("cut")

    with pytest.raises(KeyError, match="cut"):
        store.put(KEY, broken())
    before = bed.proxy.requests["PutBlock"]
    assert store.put(f"{KEY}0", [SMALL]).size == len(SMALL)
    assert bed.proxy.requests["PutBlock"] == before


def test_uploads_share_one_bounded_pool(bed: Testbed, make_store: MakeStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many uploads there are, no more blocks are sent at once than the options allow."""
    store = make_store(concurrency=2)
    most, now, lock = 0, 0, threading.Lock()

    def watched(seconds: float) -> None:
        nonlocal most, now
        with lock:
            now += 1
            most = max(most, now)
        sleep(seconds)
        with lock:
            now -= 1

    sleep = bed.proxy.sleep
    monkeypatch.setattr(bed.proxy, "sleep", watched)
    bed.proxy.faults.on("PutBlock", "delay", seconds=0.02)
    with ThreadPoolExecutor(6) as threads:
        assert all(threads.map(lambda number: store.put(f"{KEY}{number}", [LARGE]), range(6)))
    assert most == 2


def test_uploads_of_other_bytes_do_not_mix(bed: Testbed, make_store: MakeStore) -> None:
    """Two stores with blocks of different sizes write the same key at once: the one that wins has its own bytes."""
    bed.proxy.faults.on("PutBlock", "delay", seconds=0.01)
    bodies = [bytes([number]) * 300_000 for number in range(2)]
    stores = [make_store(block_size=64 * 1024), make_store(block_size=100_000)]

    def put(number: int) -> Stored | None:
        try:
            return stores[number].put(KEY, [bodies[number]])
        except (Conflict, Transient):
            return None

    with ThreadPoolExecutor(2) as threads:
        answers = [*threads.map(put, range(2))]
    winner = b"".join(stores[0].read(KEY))
    assert winner in bodies
    assert answers[bodies.index(winner)] == stored(winner)
    assert answers[1 - bodies.index(winner)] is None


@pytest.mark.parametrize("code", ["", "InvalidBlockList"])
def test_somebody_else_may_be_faster(bed: Testbed, make_store: MakeStore, code: str) -> None:
    """When another process has written the key meanwhile, its commit took the blocks of this one away: the same bytes
    are a no-op, others a Conflict, however the server puts it.
    """
    store, faster = make_store(), make_store()
    if code:
        bed.proxy.faults.on("PutBlockList", "status", nth=2, status=400, code=code)
        bed.proxy.faults.on("PutBlockList", "status", nth=4, status=400, code=code)

    def overtaken(key: str, body: bytes) -> Iterator[bytes]:
        yield LARGE[:200_000]
        faster.put(key, [body])
        yield LARGE[200_000:]

    assert store.put(KEY, overtaken(KEY, LARGE)) == stored(LARGE)
    with pytest.raises(Conflict):
        store.put(f"{KEY}0", overtaken(f"{KEY}0", LARGE[::-1]))
    assert b"".join(store.read(f"{KEY}0")) == LARGE[::-1]


@pytest.mark.parametrize(("body", "operation"), [(SMALL, "PutBlob"), (LARGE, "PutBlockList")])
def test_a_taken_key_that_is_free_again_is_transient(
    bed: Testbed, make_store: MakeStore, body: bytes, operation: str
) -> None:
    """If the server says that the key is taken, and then has nothing there, the next try may succeed."""
    store = make_store()
    bed.proxy.faults.on(operation, "status", nth=1, status=409, code="BlobAlreadyExists")
    with pytest.raises(Transient, match="deleted"):
        store.put(KEY, [body])
    assert store.put(KEY, [body]) == stored(body)


def test_a_list_of_blocks_that_is_refused_for_ever_is_transient(bed: Testbed, make_store: MakeStore) -> None:
    """Blocks that are gone, and no blob in their place: the whole must be tried again."""
    bed.proxy.faults.on("PutBlockList", "status", status=400, code="InvalidBlockList")
    with pytest.raises(Transient, match="parts of it are gone"):
        make_store().put(KEY, [LARGE])


def test_a_missing_container_is_named(make_store: MakeStore) -> None:
    """Without its container the store says so, and does not take it for an empty one."""
    store = make_store(container="never-made")
    for act in (
        lambda: store.put(KEY, [SMALL]),
        lambda: store.put(KEY, [LARGE]),
        lambda: store.stat(KEY),
        lambda: store.size(KEY),
        lambda: [*store.list()],
        lambda: [*store.read(KEY)],
        lambda: store.delete(KEY),
    ):
        with pytest.raises(Permanent, match="container is not there"):
            act()


def test_a_recreated_container_is_used(
    bed: Testbed, make_store: MakeStore, clients: Clients, container: str, real_time: Context
) -> None:
    """After a container was deleted and made again nothing is assumed: what was put is not there, and can be put."""
    store = make_store()
    store.put(KEY, [LARGE])
    clients.container.delete_container()
    bed.make_container(container, real_time)
    assert store.stat(KEY) is None
    assert store.put(KEY, [LARGE]) == stored(LARGE)


def signature(bed: Testbed, container: str, ends: datetime, permission: str = "racwdl") -> str:
    return generate_container_sas(
        "sandbox",
        container,
        account_key=bed.azurite.key,
        permission=ContainerSasPermissions.from_string(permission),
        expiry=ends,
    )


def test_a_signature_is_enough(bed: Testbed, make_store: MakeStore, container: str, real_time: Context) -> None:
    """A store with a signature for its container writes, reads, lists and deletes."""
    sas = signature(bed, container, real_time.now() + timedelta(hours=1))
    given = context(real_time.directory, environ={"SAS": f"?{sas}"})
    store = make_store(context=given, sas="env:SAS", without="account_key")
    for body in (SMALL, LARGE):
        assert store.put(KEY, [body]) == store.stat(KEY)
        assert [*store.list()] == [(KEY, len(body))]
        store.delete(KEY)


@pytest.mark.parametrize(("body", "operation"), [(SMALL, "PutBlob"), (LARGE, "PutBlockList")])
def test_a_signature_that_may_only_create_conflicts_like_any_other(
    bed: Testbed, make_store: MakeStore, body: bytes, operation: str
) -> None:
    """Azure's other answer for a taken key, to a signature that may create and not write, is understood as well."""
    store = make_store()
    bed.proxy.faults.on(operation, "drop_after_commit", nth=1)
    with pytest.raises(Transient):
        store.put(KEY, [body])
    bed.proxy.faults.on(operation, "status", status=403, code="UnauthorizedBlobOverwrite")
    bed.proxy.faults.on("GetBlobProperties", "status", nth=1, status=404, code="BlobNotFound")
    assert store.put(KEY, [body]) == stored(body)


@pytest.mark.parametrize("expired", [True, False], ids=["expired", "of another key"])
def test_a_bad_signature_is_an_auth_error_without_secrets(
    bed: Testbed, make_store: MakeStore, container: str, real_time: Context, expired: bool
) -> None:
    """An expired signature, or a wrong one, is an AuthError that tells what to check and not the signature."""
    sas = signature(bed, container, real_time.now() + timedelta(hours=-1 if expired else 1))
    sas = sas if expired else re.sub("sig=...", "sig=AAA", sas)
    store = make_store(context=context(real_time.directory, environ={"SAS": sas}), sas="env:SAS", without="account_key")
    for body in (SMALL, LARGE):
        with pytest.raises(AuthError, match="expired") as caught:
            store.put(KEY, [body])
        assert sas.partition("sig=")[2][:9] not in str(caught.value)
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__


def test_a_login_that_ends_in_mid_upload_stops_it(bed: Testbed, make_store: MakeStore) -> None:
    """Credentials that expire between two blocks are an AuthError, and nothing can be seen."""
    store = make_store(concurrency=1)
    bed.proxy.faults.on("PutBlock", "status", nth=3, times=9, status=403, code="AuthenticationFailed")
    with pytest.raises(AuthError, match="clock"):
        store.put(KEY, [LARGE])
    assert [*store.list()] == []


def test_locks_that_the_server_ignores_are_found_out(make_store: MakeStore, bed: Testbed) -> None:
    """A server that takes a legal hold's header and holds nothing is not believed, and keeps nothing.

    Azurite is such a server.
    """
    store = make_store(legal_hold=True)
    assert store.capabilities.object_lock
    for body in (SMALL, LARGE):
        with pytest.raises(Unsupported, match="lock"):
            store.put(KEY, [body])
    assert [*make_store().list()] == []


def test_deleting_takes_snapshots_too(make_store: MakeStore, clients: Clients) -> None:
    """Snapshots that somebody made of a document go with it."""
    store = make_store()
    store.put(KEY, [SMALL])
    clients.blob(KEY).create_snapshot()
    store.delete(KEY)
    assert [*clients.container.list_blobs(include=["snapshots"])] == []


def test_a_lease_forbids_deletion(make_store: MakeStore, clients: Clients) -> None:
    """A document on which somebody has a lease is not deleted."""
    store = make_store()
    store.put(KEY, [SMALL])
    lease = clients.blob(KEY).acquire_lease()
    with pytest.raises(Refused):
        store.delete(KEY)
    assert store.stat(KEY) == stored(SMALL)
    lease.release()
    store.delete(KEY)
    assert store.stat(KEY) is None


@pytest.mark.parametrize("code", ["BlobImmutableDueToPolicy", "BlobImmutableDueToLegalHold"])
def test_immutable_blobs_are_refused_by_trying(bed: Testbed, make_store: MakeStore, code: str) -> None:
    """A deletion that Azure refuses for a term or a hold is Refused."""
    store = make_store()
    store.put(KEY, [SMALL])
    bed.proxy.faults.on("DeleteBlob", "status", status=409, code=code)
    with pytest.raises(Refused) as caught:
        store.delete(KEY)
    assert caught.value.rule == "lock"


def test_a_wrong_key_is_an_auth_error(make_store: MakeStore, real_time: Context) -> None:
    """A shared key that the server does not know is an AuthError that does not show it."""
    wrong = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXM="
    store = make_store(context=context(real_time.directory, environ={"KEY": wrong}), account_key="env:KEY")
    with pytest.raises(AuthError) as caught:
        store.put(KEY, [SMALL])
    assert wrong not in str(caught.value)


@pytest.mark.parametrize("key", ["documents/a./1", "a.", f"a/{'x' * 1024}"])
def test_names_that_azure_would_not_keep_are_refused(make_store: MakeStore, key: str) -> None:
    """Keys that Azure would cut or refuse are no keys of this store."""
    with pytest.raises(Permanent):
        make_store().put(key, [SMALL])
