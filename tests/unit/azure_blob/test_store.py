"""What the store sends, and what it makes of strange answers."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import traceback
from collections.abc import Callable
from datetime import timedelta

import pytest

from offloader.errors import AuthError, ConfigError, IntegrityError, OffloaderError, Permanent, Refused, Transient
from offloader.model import Digest
from offloader.ports import Erased
from offloader.testing import EPOCH
from offloader_connectors.azure_blob.store import AzureBlobStore

from .conftest import ACCOUNT_KEY, KEY, Asked, MakeStore, Said, Stub

SMALL = b"small"
LARGE = b"0123456789abcdef" * 8192
MD5 = {"Content-MD5": base64.b64encode(hashlib.md5(SMALL).digest()).decode()}


def created(asked: Asked) -> Said:
    """As Azure answers a write that it has checked."""
    if asked.operation == "PutBlockList":
        return Said(201)
    return Said(201, headers={"Content-MD5": base64.b64encode(hashlib.md5(asked.body).digest()).decode()})


@pytest.mark.parametrize("status", [301, 302, 307, 308])
@pytest.mark.parametrize("body", [SMALL, LARGE], ids=["small", "large"])
def test_a_redirect_is_refused(
    stub: Stub, make_stub: Callable[[], Stub], make_store: MakeStore, status: int, body: bytes
) -> None:
    """A server that redirects gets nothing sent elsewhere: Refused, and the other server is never asked."""
    elsewhere = make_stub()
    stub.says["*"] = lambda asked: Said(status, headers={"Location": elsewhere.url + asked.path})
    stub.says["GetBlobProperties"] = Said(404, headers={"x-ms-error-code": "BlobNotFound"})
    with pytest.raises(Refused) as caught:
        make_store(block_size=65536).put(KEY, [body])
    assert caught.value.rule == "region-pin"
    assert elsewhere.asked == []


def test_no_way_leads_to_another_host(make_stub: Callable[[], Stub], make_store: MakeStore) -> None:
    """Even a client that was talked into another address cannot send anything there."""
    elsewhere = make_stub()
    store = make_store()
    hosts = store._clients.service._hosts
    hosts["primary"] = elsewhere.url.removeprefix("https://") + "/account"
    store._clients.service._client._config.url = f"{elsewhere.url}/account"
    with pytest.raises(Refused) as caught:
        store.put(KEY, [SMALL])
    assert caught.value.rule == "region-pin"
    assert elsewhere.asked == []


@pytest.mark.parametrize("status", [500, 503])
def test_nothing_is_tried_again_inside(stub: Stub, make_store: MakeStore, status: int) -> None:
    """One call is one request: trying again is the wrapper's business."""
    stub.says["*"] = Said(status)
    with pytest.raises(Transient):
        make_store().put(KEY, [SMALL])
    assert len(stub.asked) == 1


def test_bytes_go_with_their_checksum_and_never_over_others(stub: Stub, make_store: MakeStore) -> None:
    """A small body is sent with its MD5, on the condition that there is none, and to the configured container."""
    stub.says["PutBlob"] = created
    make_store(prefix="crm/", api_version="2024-11-04").put(KEY, [SMALL])
    [asked] = stub.asked
    assert asked.path == f"/account/docs/crm/{KEY}"
    assert asked.body == SMALL
    assert asked.headers["content-md5"] == MD5["Content-MD5"]
    assert asked.headers["if-none-match"] == "*"
    assert asked.headers["x-ms-meta-sha256"] == hashlib.sha256(SMALL).hexdigest()
    assert asked.headers["x-ms-version"] == "2024-11-04"


def listed(*blocks: Asked) -> bytes:
    names = [each.path.partition("blockid=")[2].partition("&")[0] for each in blocks]
    inner = "".join(
        f"<Block><Name>{name.replace('%3D', '=').replace('%2B', '+').replace('%2F', '/')}</Name>"
        f"<Size>{len(each.body)}</Size></Block>"
        for name, each in zip(names, blocks, strict=True)
    )
    return f'<?xml version="1.0"?><BlockList><CommittedBlocks>{inner}</CommittedBlocks></BlockList>'.encode()


def as_azure(stub: Stub) -> None:
    stub.says["PutBlob"] = stub.says["PutBlock"] = stub.says["PutBlockList"] = created
    stub.says["GetBlobProperties"] = Said(404, headers={"x-ms-error-code": "BlobNotFound"})
    stub.says["DeleteBlob"] = Said(202)
    stub.says["GetBlockList"] = lambda _: Said(
        body=listed(*(each for each in stub.asked if each.operation == "PutBlock")),
        headers={"Content-Type": "application/xml"},
    )


def test_blocks_go_with_their_checksums_and_are_committed_once(stub: Stub, make_store: MakeStore) -> None:
    """Every block is sent with its MD5; the list is committed on the condition that there is no blob."""
    as_azure(stub)
    assert make_store(block_size=65536, concurrency=1).put(KEY, [LARGE]).sha256 == hashlib.sha256(LARGE).hexdigest()
    blocks = [each for each in stub.asked if each.operation == "PutBlock"]
    assert b"".join(each.body for each in blocks) == LARGE
    assert all(
        each.headers["content-md5"] == base64.b64encode(hashlib.md5(each.body).digest()).decode() for each in blocks
    )
    [commit] = [each for each in stub.asked if each.operation == "PutBlockList"]
    assert commit.headers["if-none-match"] == "*"
    assert commit.headers["x-ms-meta-sha256"] == hashlib.sha256(LARGE).hexdigest()
    assert "GetBlob" not in stub.operations()


@pytest.mark.parametrize("wrong", ["order", "missing", "size"])
def test_a_wrong_list_of_blocks_is_taken_away(stub: Stub, make_store: MakeStore, wrong: str) -> None:
    """When the server's own list is not what was sent, the blob is deleted, and it is an IntegrityError."""
    as_azure(stub)

    def answer(_: Asked) -> Said:
        blocks = [each for each in stub.asked if each.operation == "PutBlock"]
        if wrong == "order":
            blocks.reverse()
        elif wrong == "missing":
            blocks.pop()
        else:
            blocks[0] = Asked("PutBlock", blocks[0].path, {}, b"x")
        return Said(body=listed(*blocks), headers={"Content-Type": "application/xml"})

    stub.says["GetBlockList"] = answer
    with pytest.raises(IntegrityError):
        make_store(block_size=65536).put(KEY, [LARGE])
    assert stub.operations()[-1] == "DeleteBlob"


@pytest.mark.parametrize("body", [SMALL, LARGE], ids=["small", "large"])
def test_another_checksum_of_the_servers_is_believed(stub: Stub, make_store: MakeStore, body: bytes) -> None:
    """A server that has computed another MD5 has stored other bytes: they are deleted, and it is an IntegrityError."""
    as_azure(stub)
    stub.says["PutBlob"] = stub.says["PutBlock"] = Said(201, headers={"Content-MD5": "AAAAAAAAAAAAAAAAAAAAAA=="})
    with pytest.raises(IntegrityError, match="nothing of it is left"):
        make_store(block_size=65536).put(KEY, [body])
    assert stub.operations()[-1] == "DeleteBlob"


def test_bytes_that_cannot_be_taken_back_are_named(stub: Stub, make_store: MakeStore) -> None:
    """If wrong bytes cannot be deleted, the error says that they are still there."""
    stub.says["PutBlob"] = Said(201, headers={"Content-MD5": "AAAAAAAAAAAAAAAAAAAAAA=="})
    stub.says["DeleteBlob"] = Said(403)
    with pytest.raises(IntegrityError, match="delete it"):
        make_store().put(KEY, [SMALL])


PROTECTED = {
    "x-ms-immutability-policy-until-date": "Tue, 04 Feb 2026 09:00:00 GMT",
    "x-ms-immutability-policy-mode": "unlocked",
    "x-ms-legal-hold": "true",
    "Last-Modified": "Mon, 05 Jan 2026 09:00:00 GMT",
    "x-ms-blob-type": "BlockBlob",
}


@pytest.mark.parametrize("mode", ["Unlocked", "Locked"])
def test_terms_and_holds_are_asked_for_and_looked_at(stub: Stub, make_store: MakeStore, mode: str) -> None:
    """A configured term and hold go with the write, and are read back."""
    stub.says["PutBlob"] = created
    stub.says["GetBlobProperties"] = Said(headers=PROTECTED)
    store = make_store(immutability={"days": 30, "mode": mode}, legal_hold=True)
    store.put(KEY, [SMALL])
    sent, looked = stub.asked
    assert looked.operation == "GetBlobProperties"
    assert sent.headers["x-ms-immutability-policy-until-date"] == "Wed, 04 Feb 2026 09:00:00 GMT"
    assert sent.headers["x-ms-immutability-policy-mode"] == mode
    assert sent.headers["x-ms-legal-hold"].lower() == "true"


def test_a_term_is_unlocked_unless_said(stub: Stub, make_store: MakeStore) -> None:
    """A term that nobody could ever shorten must be asked for by name."""
    stub.says["PutBlob"] = created
    stub.says["GetBlobProperties"] = Said(headers=PROTECTED)
    make_store(immutability={"days": 1}).put(KEY, [SMALL])
    assert stub.asked[0].headers["x-ms-immutability-policy-mode"] == "Unlocked"


CUSTOMER_KEY = base64.b64encode(bytes(range(32))).decode()


def test_a_customers_key_goes_with_every_request(stub: Stub, make_store: MakeStore) -> None:
    """Writing in blocks, looking and reading all carry the customer's key; it is no part of the address."""
    as_azure(stub)
    store = make_store({"MINE": CUSTOMER_KEY}, customer_key="env:MINE", block_size=65536)
    store.put(KEY, [LARGE])
    stub.says["GetBlobProperties"] = Said(headers={"x-ms-blob-type": "BlockBlob"})
    store.size(KEY)
    stub.says["GetBlob"] = Said(404, headers={"x-ms-error-code": "BlobNotFound"})
    assert store.stat(KEY) is None
    needing = [each for each in stub.asked if each.operation in ("PutBlock", "PutBlockList", "GetBlob")]
    needing.append([each for each in stub.asked if each.operation == "GetBlobProperties"][-1])
    expected = base64.b64encode(hashlib.sha256(bytes(range(32))).digest()).decode()
    assert len(needing) == 5
    for each in needing:
        assert each.headers["x-ms-encryption-key"] == CUSTOMER_KEY
        assert each.headers["x-ms-encryption-key-sha256"] == expected


@pytest.mark.parametrize("key", ["c2hvcnQ=", "no base64!"])
def test_a_customers_key_must_be_one(make_store: MakeStore, key: str) -> None:
    """A key of another length, or none at all, is a ConfigError that does not show it."""
    with pytest.raises(ConfigError) as caught:
        make_store({"MINE": key}, customer_key="env:MINE").put(KEY, [SMALL])
    assert key not in str(caught.value)


def test_an_encryption_scope_goes_with_every_write(stub: Stub, make_store: MakeStore) -> None:
    """Blocks and blobs are written under the configured scope."""
    as_azure(stub)
    store = make_store(encryption_scope="eu-key", block_size=65536)
    store.put(KEY, [LARGE])
    store.put(KEY, [SMALL])
    written = [each for each in stub.asked if each.operation in ("PutBlob", "PutBlock", "PutBlockList")]
    assert len(written) == 4
    assert all(each.headers["x-ms-encryption-scope"] == "eu-key" for each in written)


TERM = "<ImmutabilityPolicyUntilDate>Tue, 06 Jan 2026 09:00:00 GMT</ImmutabilityPolicyUntilDate>"


def versions(*blobs: tuple[str, str]) -> Said:
    """A list of (name, further elements)."""
    inner = "".join(
        f"<Blob><Name>{name}</Name>{more}<Properties><Content-Length>1</Content-Length>"
        f"<BlobType>BlockBlob</BlobType>{'<LegalHold>true</LegalHold>' if 'held' in more else ''}"
        f"{TERM if 'term' in more else ''}"
        "</Properties></Blob>"
        for name, more in blobs
    )
    body = f'<?xml version="1.0"?><EnumerationResults><Blobs>{inner}</Blobs><NextMarker/></EnumerationResults>'
    return Said(body=body.encode(), headers={"Content-Type": "application/xml"})


def test_deleting_deletes_every_version(stub: Stub, make_store: MakeStore) -> None:
    """Where versions are kept, the blob and each of its versions are deleted, and no other blob's."""
    stub.says["DeleteBlob"] = Said(202)
    stub.says["ListBlobs"] = versions(
        (KEY, "<VersionId>2026-01-01T00:00:00.0000001Z</VersionId>"),
        (KEY, "<VersionId>2026-01-02T00:00:00.0000001Z</VersionId><IsCurrentVersion>true</IsCurrentVersion>"),
        (f"{KEY}0", "<VersionId>2026-01-03T00:00:00.0000001Z</VersionId>"),
    )
    make_store().delete(KEY)
    deleted = [each.path for each in stub.asked if each.operation == "DeleteBlob"]
    assert deleted[0] == f"/account/docs/{KEY}"
    assert [path.partition("versionid=")[2][:10] for path in deleted[1:]] == ["2026-01-01", "2026-01-02"]
    assert stub.asked[1].headers["x-ms-delete-snapshots"] == "include"


@pytest.mark.parametrize("lock", ["held", "term"])
def test_a_locked_version_keeps_the_whole_document(stub: Stub, make_store: MakeStore, lock: str) -> None:
    """If any version is locked, nothing is deleted: a document must not vanish from sight while its bytes stay."""
    stub.says["DeleteBlob"] = Said(202)
    stub.says["ListBlobs"] = versions(
        (KEY, f"<VersionId>1</VersionId><!--{lock}-->"), (KEY, "<VersionId>2</VersionId>")
    )
    with pytest.raises(Refused) as caught:
        make_store().delete(KEY)
    assert caught.value.rule == "lock"
    assert "DeleteBlob" not in stub.operations()


HOSTILE = [
    Said(200, b"<html>hello</html>", {"Content-Type": "text/html"}),
    Said(400, b"", {}),
    Said(
        500,
        b'<?xml version="1.0"?><Error><Code>X</Code><Message></Message></Error>',
        {"Content-Type": "application/xml"},
    ),
    Said(403, b"not xml <", {"Content-Type": "application/xml"}),
    Said(409, b'{"error": "text"}', {"Content-Type": "application/json"}),
    Said(418, b"\xff\xfe\x00", {"x-ms-error-code": "A" * 999}),
    Said(201, b"", {"Content-MD5": "é?"}),
    Said(200, b"", {"x-ms-creation-time": "yesterday", "Last-Modified": "never", "Content-Length": "0"}),
    Said(206, b"x", {"Content-Range": "bytes what"}),
]


@pytest.mark.parametrize("said", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize("body", [SMALL, LARGE], ids=["small", "large"])
def test_strange_answers_store_nothing(stub: Stub, make_store: MakeStore, said: Said, body: bytes) -> None:
    """Whatever a server answers that is not Azure's, a put is an error of ours, and short."""
    stub.says["*"] = said
    with pytest.raises(OffloaderError) as caught:
        make_store(block_size=65536).put(KEY, [body])
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("said", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize("act", ["stat", "size", "list", "delete"])
def test_strange_answers_are_errors_of_ours(stub: Stub, make_store: MakeStore, said: Said, act: str) -> None:
    """Whatever a server answers to a question, the store raises no other error than ours."""
    stub.says["*"] = said
    acts: dict[str, Callable[[AzureBlobStore], object]] = {
        "stat": lambda store: store.stat(KEY),
        "size": lambda store: store.size(KEY),
        "list": lambda store: [*store.list()],
        "delete": lambda store: store.delete(KEY),
    }
    with contextlib.suppress(OffloaderError):
        acts[act](make_store())
    assert stub.asked


def test_nothing_of_the_clients_errors_is_shown(stub: Stub, make_store: MakeStore) -> None:
    """The library's own words, which can hold addresses with signatures, are in no traceback."""
    sas = "sv=2026-06-06&sig=very%2Fsecret"
    for environ, url in (({"SAS": sas}, stub.url), ({"SAS": sas}, "https://127.0.0.1:1")):
        store = make_store(environ, sas="env:SAS", account_key=None, account_url=f"{url}/account")
        stub.says["*"] = Said(403, headers={"x-ms-error-code": "AuthenticationFailed"})
        with pytest.raises(OffloaderError) as caught:
            store.put(KEY, [SMALL])
        assert "very" not in "".join(traceback.format_exception(caught.value))


def test_no_connection_is_transient(make_store: MakeStore) -> None:
    """A server that cannot be reached has certainly done nothing."""
    with pytest.raises(Transient) as caught:
        make_store(account_url="https://127.0.0.1:1/account").put(KEY, [SMALL])
    assert not caught.value.maybe_done


def test_a_strange_certificate_is_permanent(stub: Stub, make_store: MakeStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server whose certificate is not trusted gets nothing, and the remedy is named."""
    store = make_store()
    monkeypatch.undo()
    with pytest.raises(Permanent, match="ca_file"):
        store.put(KEY, [SMALL])
    assert stub.asked == []


@pytest.mark.parametrize(
    "text",
    [
        "AccountName=account;AccountKey={key};BlobEndpoint=https://elsewhere.example/account",
        "AccountName=other;AccountKey={key};BlobEndpoint={url}/account",
        "AccountName=account;AccountKey={key}",
        "DefaultEndpointsProtocol=https",
        "BlobEndpoint={url}/account",
        "nonsense",
    ],
)
def test_a_connection_string_does_not_choose_the_place(stub: Stub, make_store: MakeStore, text: str) -> None:
    """A connection string for another address or account, or without a key, is a ConfigError: nothing is sent."""
    environ = {"TEXT": text.format(url=stub.url, key=ACCOUNT_KEY)}
    store = make_store(environ, connection_string="env:TEXT", account_key=None)
    with pytest.raises(ConfigError) as caught:
        store.put(KEY, [SMALL])
    assert ACCOUNT_KEY not in str(caught.value)
    assert stub.asked == []


def test_a_key_that_is_none_is_a_config_error(make_store: MakeStore) -> None:
    """An account key that is no base64 is a ConfigError that does not show it."""
    with pytest.raises(ConfigError, match="base64") as caught:
        make_store({"KEY": "!!not-a-key!!"}).put(KEY, [SMALL])
    assert "not-a-key" not in str(caught.value)


def test_opening_makes_no_call(stub: Stub, make_store: MakeStore) -> None:
    """Neither opening a store nor asking what it can do asks the server."""
    store = make_store()
    assert store.capabilities.max_size == 50_000 * (4 << 20)
    assert store.sweep() == 0
    assert stub.asked == []


def test_a_body_of_too_many_blocks_is_permanent(
    stub: Stub, make_store: MakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More blocks than a blob can have are refused before they are sent."""
    as_azure(stub)
    monkeypatch.setattr("offloader_connectors.azure_blob.uploads.MOST_BLOCKS", 1)
    with pytest.raises(Permanent, match="block_size"):
        make_store(block_size=65536).put(KEY, [LARGE])
    assert "PutBlockList" not in stub.operations()


def test_an_announced_digest_is_what_the_server_checks(stub: Stub, make_store: MakeStore) -> None:
    """The MD5 of an announced digest is sent as it is, so that nothing is digested twice."""
    stub.says["PutBlob"] = Said(201, headers=MD5)
    store = make_store()
    wrong = Digest(len(SMALL), hashlib.sha256(SMALL).hexdigest(), "0" * 32)
    with pytest.raises(IntegrityError):
        store.put(KEY, [SMALL], digest=wrong)
    assert base64.b64decode(stub.asked[0].headers["content-md5"]) == bytes(16)


def test_no_login_is_an_auth_error(make_store: MakeStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """If nothing in the login chain works, it is an AuthError that says what to set."""
    for name in ("AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_FEDERATED_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "EnvironmentCredential")
    with pytest.raises(AuthError, match="login"):
        make_store(account_key=None).put(KEY, [SMALL])


def test_erasing_says_what_soft_delete_keeps(stub: Stub, make_store: MakeStore) -> None:
    """Every version is removed and counted; what the account's soft delete holds is said with its last day."""
    kept = versions((KEY, "<VersionId>1</VersionId>"), (KEY, "<VersionId>2</VersionId>"), (f"{KEY}0", ""))
    binned = Said(
        body=kept.body.replace(
            b"<Properties>", b"<Deleted>true</Deleted><Properties><RemainingRetentionDays>7</RemainingRetentionDays>"
        ),
        headers=kept.headers,
    )
    stub.says["DeleteBlob"] = Said(202)
    stub.says["ListBlobs"] = lambda asked: binned if "deleted" in asked.path else kept
    erased = make_store().erase(KEY)
    assert erased.versions == 2
    assert [(lock.until, lock.lifts) for lock in erased.left] == [(EPOCH + timedelta(days=7), False)]
    assert "soft delete" in erased.left[0].reason
    assert stub.operations().count("DeleteBlob") == 3


@pytest.mark.parametrize(("mode", "lifts"), [("Unlocked", True), ("Locked", False)])
def test_only_an_unlocked_term_can_be_passed_by(stub: Stub, make_store: MakeStore, mode: str, lifts: bool) -> None:
    """A term in the future keeps everything; with `bypass` an unlocked one is taken off first, a locked one never."""
    listed = versions((KEY, "<!--term-->"))
    more = f"</ImmutabilityPolicyUntilDate><ImmutabilityPolicyMode>{mode}</ImmutabilityPolicyMode>".encode()
    said = Said(body=listed.body.replace(b"</ImmutabilityPolicyUntilDate>", more), headers=listed.headers)
    empty = versions()
    stub.says["ListBlobs"] = lambda asked: empty if "deleted" in asked.path else said
    stub.says["DeleteBlob"] = Said(202)
    stub.says["DELETE blob immutabilityPolicies"] = Said(200)
    store = make_store()
    lock = store.locked(KEY)
    assert lock is not None
    assert (lock.until, lock.lifts) == (EPOCH + timedelta(days=1), lifts)
    assert store.erase(KEY) == Erased(left=(lock,))
    assert "DeleteBlob" not in stub.operations()
    erased = store.erase(KEY, bypass=True)
    assert erased == (Erased(versions=1) if lifts else Erased(left=(lock,)))
    wanted = ["DELETE blob immutabilityPolicies", "DeleteBlob"] if lifts else []
    assert [name for name in stub.operations() if name.startswith("DELETE") or name == "DeleteBlob"] == wanted


@pytest.mark.parametrize(("retain", "header"), [("unlocked", "Unlocked"), ("locked", "Locked")])
def test_a_retention_is_set_in_the_mode_that_was_asked_for(
    stub: Stub, make_store: MakeStore, retain: str, header: str
) -> None:
    """The term ends at the given moment; a blob that is locked that long already is left alone."""
    stub.says["GetBlobProperties"] = Said(200)
    stub.says["PUT blob immutabilityPolicies"] = Said(200)
    store = make_store(retain=retain)
    store.retain(KEY, EPOCH + timedelta(days=1))
    sent = next(each for each in stub.asked if each.operation == "PUT blob immutabilityPolicies")
    assert sent.headers["x-ms-immutability-policy-mode"] == header
    assert sent.headers["x-ms-immutability-policy-until-date"] == "Tue, 06 Jan 2026 09:00:00 GMT"
    stub.says["GetBlobProperties"] = Said(
        200,
        headers={
            "x-ms-immutability-policy-until-date": "Wed, 07 Jan 2026 09:00:00 GMT",
            "x-ms-immutability-policy-mode": header,
        },
    )
    store.retain(KEY, EPOCH + timedelta(days=1))
    assert stub.operations().count("PUT blob immutabilityPolicies") == 1


def test_a_hold_is_put_where_holds_are_asked_for(stub: Stub, make_store: MakeStore) -> None:
    """With `retain: hold` the blob gets a legal hold and no term."""
    stub.says["PUT blob legalhold"] = Said(200, headers={"x-ms-legal-hold": "true"})
    make_store(retain="hold").retain(KEY, EPOCH)
    (sent,) = stub.asked
    assert sent.headers["x-ms-legal-hold"].lower() == "true"
