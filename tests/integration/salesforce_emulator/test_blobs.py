"""Bodies: raw bytes, streaming, large ones in little memory."""

from __future__ import annotations

import hashlib
import resource
from collections.abc import Iterator

from offloader_connectors.emulation.blobs import Synthetic, synthetic_chunks
from tests.integration.salesforce_emulator.conftest import NOON, Crm

LARGE = 200 * 1024 * 1024


def test_a_body_comes_raw_and_whole(crm: Crm) -> None:
    """Raw bytes with their length; Range is ignored; the path is not case-sensitive; 15-character ids do."""
    version = crm.file(body=b"0123456789").version_ids[0]
    path = f"/sobjects/ContentVersion/{version[:15]}/versiondata"
    answer = crm.get(path, headers={"Range": "bytes=2-4", "X-PrettyPrint": "1"})
    assert (answer.status_code, answer.content) == (200, b"0123456789")
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["Content-Length"] == "10"
    crm.options(content_length=False)
    chunked = crm.get(path)
    assert ("Content-Length" in chunked.headers, chunked.content) == (False, b"0123456789")


def test_missing_bodies_are_not_found(crm: Crm) -> None:
    """Unknown, deleted and invisible ids are 404 NOT_FOUND."""
    file = crm.file()
    crm.as_user()
    hidden = crm.get(f"/sobjects/ContentVersion/{file.version_ids[0]}/VersionData")
    crm.login()
    crm.org.delete(file.document_id)
    deleted = crm.get(f"/sobjects/ContentVersion/{file.version_ids[0]}/VersionData")
    unknown = crm.get("/sobjects/ContentVersion/068Wz0000099999/VersionData")
    for answer in (hidden, deleted, unknown):
        assert crm.error(answer) == (404, "NOT_FOUND", "The requested resource does not exist")


def test_an_attachment_may_come_with_its_own_type(crm: Crm) -> None:
    """The record's ContentType is the answer's, and cannot break the header."""
    key = crm.org.add_attachment(
        parent=crm.account(),
        name="a",
        body=b"",
        content_type="text/x\r\nX-Evil: 1",
        owner=crm.org.integration_user,
        created=NOON,
    )
    answer = crm.get(f"/sobjects/Attachment/{key}/Body")
    assert (answer.status_code, answer.content) == (200, b"")
    assert "X-Evil" not in answer.headers
    crm.options(attachment_content_type=False)
    assert crm.get(f"/sobjects/Attachment/{key}/Body").headers["Content-Type"] == "application/octet-stream"


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def test_large_bodies_stream_in_little_memory(crm: Crm) -> None:
    """200 MB go out and come in without being held in memory, and keep their MD5."""
    body = Synthetic(LARGE, seed=7)
    version = crm.file(body=body).version_ids[0]
    checksum = crm.rows(f"SELECT Checksum FROM ContentVersion WHERE Id = '{version}'")[0]["Checksum"]
    before = _peak_mb()
    md5, size = hashlib.md5(), 0
    with crm.get(f"/sobjects/ContentVersion/{version}/VersionData", stream=True) as answer:
        for chunk in answer.iter_content(256 * 1024):
            md5.update(chunk)
            size += len(chunk)
    assert (size, md5.hexdigest()) == (LARGE, checksum)

    def upload() -> Iterator[bytes]:
        head = '--b\r\nContent-Disposition: form-data; name="entity_content"\r\nContent-Type: application/json\r\n\r\n'
        yield (head + '{"PathOnClient":"big.bin"}\r\n').encode()
        yield b'--b\r\nContent-Disposition: form-data; name="VersionData"; filename="big.bin"\r\n\r\n'
        yield from synthetic_chunks(body)
        yield b"\r\n--b--\r\n"

    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    new = crm.request("POST", "/sobjects/ContentVersion", data=upload(), headers=headers).json()["id"]
    assert crm.rows(f"SELECT Checksum, ContentSize FROM ContentVersion WHERE Id = '{new}'") == [
        {"Checksum": checksum, "ContentSize": LARGE}
    ]
    assert _peak_mb() - before < 64


def test_a_computed_body_never_repeats_itself() -> None:
    """Equal seeds give equal bytes, other seeds other ones, and no two blocks are the same."""
    whole = b"".join(synthetic_chunks(Synthetic(3 * 1024 * 1024 + 5, seed=1)))
    assert len(whole) == 3 * 1024 * 1024 + 5
    assert whole == b"".join(synthetic_chunks(Synthetic(len(whole), seed=1)))
    blocks = {whole[start : start + 1024 * 1024] for start in range(0, len(whole), 1024 * 1024)}
    assert len(blocks) == 4
    assert whole[:100] != b"".join(synthetic_chunks(Synthetic(100, seed=2)))
