"""Bodies in blocks, by download address, and in file and image columns."""

from __future__ import annotations

import base64
import io
from datetime import timedelta
from typing import Any

import pytest
import requests
from PIL import Image

from offloader_connectors.emulation.blobs import Synthetic
from tests.integration.dynamics365_emulator.conftest import Crm, encoded

NOTE, MAIL = "annotation", "activitymimeattachment"
TYPE = "Microsoft.Dynamics.CRM."


def _target(table: str, key: str) -> dict[str, str]:
    names = {NOTE: "annotationid", MAIL: "activitymimeattachmentid", "account": "accountid", "contact": "contactid"}
    return {names.get(table, f"{table}id"): key, "@odata.type": f"{TYPE}{table}"}


def _address(crm: Crm, path: str, column: str = "", **more: str) -> requests.Response:
    extra = "".join(f",{name}='{value}'" for name, value in more.items())
    return crm.get(f"GetFileSasUrl(Target=@p1,FileAttributeName='{column}'{extra})?@p1={{'@odata.id':'{path}'}}")


# -- blocks ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("table", [NOTE, MAIL])
def test_a_body_comes_down_in_blocks(crm: Crm, table: str) -> None:
    """Blocks by offset and length make up the body that was told."""
    data = bytes(range(256)) * 40
    key = crm.note(crm.account(), body=data) if table == NOTE else crm.attachment(crm.mail(), body=data).id
    word = "Annotation" if table == NOTE else "Attachment"
    begun = crm.post(f"Initialize{word}BlocksDownload", {"Target": _target(table, key)}).json()
    assert begun["FileSizeInBytes"] == len(data)
    assert begun["FileName"] in {"contract.pdf", "a.pdf"}
    token, got = begun["FileContinuationToken"], b""
    for offset in range(0, len(data), 4096):
        block = crm.post("DownloadBlock", {"Offset": offset, "BlockLength": 4096, "FileContinuationToken": token})
        assert block.json()["@odata.context"].endswith(f"#{TYPE}DownloadBlockResponse")
        got += base64.b64decode(block.json()["Data"])
    assert got == data


def test_block_tokens_expire_and_belong_to_their_user(crm: Crm) -> None:
    """A token of another user, an invented one, and one past its hour give nothing."""
    crm.protocol(token_seconds=60)
    begun = crm.post("InitializeAnnotationBlocksDownload", {"Target": _target(NOTE, crm.note(crm.account()))}).json()
    ask = {"Offset": 0, "BlockLength": 4, "FileContinuationToken": begun["FileContinuationToken"]}
    assert crm.post("DownloadBlock", ask).status_code == 200
    assert crm.post("DownloadBlock", {**ask, "FileContinuationToken": "x"}).status_code == 400
    crm.as_user("System Administrator")
    assert crm.post("DownloadBlock", ask).status_code == 400
    crm.login()
    crm.org.shift = timedelta(seconds=61)
    assert crm.post("DownloadBlock", ask).status_code == 400


def test_files_in_the_database_come_in_one_piece(crm: Crm) -> None:
    """Without chunking, a part of a file is refused and the whole is given; there is no download address."""
    crm.options(chunking=False)
    shipment = crm.org.insert("new_shipment", {"new_name": "S"})
    crm.org.set_file("new_shipment", shipment, "new_contract", file_name="a.bin", body=b"x" * 100)
    ask = {"Target": _target("new_shipment", shipment), "FileAttributeName": "new_contract"}
    begun = crm.post("InitializeFileBlocksDownload", ask).json()
    assert begun["IsChunkingSupported"] is False
    block = {"Offset": 0, "BlockLength": 50, "FileContinuationToken": begun["FileContinuationToken"]}
    assert crm.error(crm.post("DownloadBlock", block))[:2] == (400, "0x80090017")
    assert crm.post("DownloadBlock", {**block, "BlockLength": 100}).status_code == 200
    path = f"new_shipments({shipment})"
    assert crm.error(_address(crm, path, "new_contract"))[0] == 400
    ranged = crm.get(f"{path}/new_contract/$value", headers={"Range": "bytes=0-9"})
    assert crm.error(ranged)[:2] == (400, "0x80090017")


def _upload(crm: Crm, word: str, target: dict[str, Any], data: bytes, size: int = 1000) -> requests.Response:
    token = crm.post(f"Initialize{word}BlocksUpload", {"Target": target}).json()["FileContinuationToken"]
    ids = []
    for number, start in enumerate(range(0, len(data), size)):
        ids.append(encoded(f"{number:06}".encode()))
        block = {"BlockId": ids[-1], "BlockData": encoded(data[start : start + size]), "FileContinuationToken": token}
        assert crm.post("UploadBlock", block).status_code == 204
    commit = {"Target": target, "BlockList": ids, "FileContinuationToken": token}
    return crm.post(f"Commit{word}BlocksUpload", commit)


def test_a_note_goes_up_in_blocks(crm: Crm) -> None:
    """Blocks make a new note, or replace the body of one that is there."""
    data = bytes(range(256)) * 20
    target = {"@odata.type": f"{TYPE}annotation", "subject": "s", "filename": "a.bin", "mimetype": "x/y"}
    made = _upload(crm, "Annotation", target, data).json()
    assert made["FileSizeInBytes"] == len(data)
    row = crm.org.get(NOTE, made["AnnotationId"])
    assert row is not None
    assert (row["filename"], row["isdocument"]) == ("a.bin", True)
    assert b"".join(crm.org.chunks(row["_documentbody"])) == data
    again = _upload(crm, "Annotation", {**target, "annotationid": made["AnnotationId"]}, b"second")
    assert again.json()["AnnotationId"] == made["AnnotationId"]
    row = crm.org.get(NOTE, made["AnnotationId"])
    assert row is not None
    assert b"".join(crm.org.chunks(row["_documentbody"])) == b"second"


def test_blocks_of_an_attachment_only_create(crm: Crm) -> None:
    """An attachment that is there cannot be replaced by blocks."""
    mail = crm.mail()
    target = {"@odata.type": f"{TYPE}{MAIL}", "filename": "a.bin", "objectid_email@odata.bind": f"/emails({mail})"}
    made = _upload(crm, "Attachment", target, b"new").json()
    assert crm.org.get(MAIL, made["ActivityMimeAttachmentId"]) is not None
    existing = crm.attachment(mail)
    refused = _upload(crm, "Attachment", {**target, "activitymimeattachmentid": existing.id}, b"other")
    assert crm.error(refused)[:2] == (412, "0x80040237")


def test_blocks_can_be_larger_than_a_plain_write(crm: Crm) -> None:
    """The limit is on the Base64 text of a plain write, and on the bytes of blocks."""
    crm.options(max_upload=4000)
    note = crm.note(crm.account())
    refused = crm.patch(f"annotations({note})", {"documentbody": encoded(b"x" * 3500)}, If_Match="*")
    assert crm.error(refused)[:2] == (400, "0x80044a02")
    target = {**_target(NOTE, note), "filename": "a.bin"}
    assert _upload(crm, "Annotation", target, b"x" * 3500).status_code == 200
    assert crm.error(_upload(crm, "Annotation", target, b"x" * 4001))[:2] == (400, "0x80044a02")


# -- download addresses ----------------------------------------------------------------------------


def test_a_download_address_serves_raw_bytes_from_another_host(crm: Crm) -> None:
    """The address opens without a token, whole and in ranges; a token on it opens nothing."""
    data = bytes(range(256)) * 4
    note = crm.note(crm.account(), body=data, mime_type="application/pdf", file_name="naïve file.pdf")
    result = _address(crm, f"annotations({note})").json()["Result"]
    assert (result["FileName"], result["FileSizeInBytes"]) == ("naïve file.pdf", len(data))
    assert result["MimeType"] == "application/pdf"
    url = result["SasUrl"]
    assert url.startswith(f"{crm.emulator.storage_url}/")
    plain = crm.anonymous()
    whole = plain.get(url)
    assert (whole.status_code, whole.content, whole.headers["Content-Type"]) == (200, data, "application/pdf")
    part = plain.get(url, headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, data[10:20])
    assert part.headers["Content-Range"] == f"bytes 10-19/{len(data)}"
    assert plain.get(url, headers={"x-ms-range": "bytes=1020-"}).content == data[1020:]
    assert plain.get(url, headers={"Range": "bytes=9999-"}).status_code == 416
    assert crm.session.get(url).status_code == 403
    assert crm.emulator.counters.outer["storage.get"] == 5
    assert crm.emulator.counters.outer["sas"] == 1


def test_a_download_address_ends_and_cannot_be_changed(crm: Crm) -> None:
    """After its hour, or with another path or end, the storage answers 403 AuthenticationFailed."""
    url = _address(crm, f"annotations({crm.note(crm.account())})").json()["Result"]["SasUrl"]
    other = _address(crm, f"annotations({crm.note(crm.account(), body=b'other')})").json()["Result"]["SasUrl"]
    plain = crm.anonymous()
    mixed = other.partition("?")[0] + "?" + url.partition("?")[2]
    later = url.replace("se=2026", "se=2027")
    for changed in (mixed, later, url.partition("?")[0]):
        assert plain.get(changed).status_code == 403
    crm.org.shift = timedelta(seconds=3601)
    refused = plain.get(url)
    assert (refused.status_code, refused.headers["Content-Type"]) == (403, "application/xml")
    assert "<Code>AuthenticationFailed</Code>" in refused.text


def test_download_addresses_of_everything(crm: Crm) -> None:
    """Attachments and columns have addresses too; a row without a file, or one not to be read, has none."""
    attachment = crm.attachment(crm.mail(), body=b"mail")
    shipment = crm.org.insert("new_shipment", {"new_name": "S"})
    crm.org.set_file("new_shipment", shipment, "new_contract", file_name="c.pdf", body=b"file")
    found = {
        path: crm.anonymous().get(_address(crm, path, column).json()["Result"]["SasUrl"]).content
        for path, column in (
            (f"activitymimeattachments({attachment.id})", ""),
            (f"new_shipments({shipment})", "new_contract"),
        )
    }
    assert list(found.values()) == [b"mail", b"file"]
    empty = crm.org.insert("new_shipment", {"new_name": "E"})
    assert _address(crm, f"new_shipments({empty})", "new_contract").status_code == 404
    note = crm.note(crm.account())
    crm.as_user("prvReadNote:Basic")
    assert _address(crm, f"annotations({note})").status_code == 403


def test_retained_bodies_have_addresses(crm: Crm) -> None:
    """DataSource='retained' finds a body whose row is in long-term retention."""
    note = crm.note(crm.account(), body=b"old")
    crm.org.retain(NOTE, note)
    assert _address(crm, f"annotations({note})").status_code == 404
    url = _address(crm, f"annotations({note})", DataSource="retained").json()["Result"]["SasUrl"]
    assert crm.anonymous().get(url).content == b"old"


# -- columns ---------------------------------------------------------------------------------------


def test_a_file_column_by_value(crm: Crm) -> None:
    """Raw bytes with name, size and type in headers; ranges as 206; 204 when empty."""
    shipment = crm.org.insert("new_shipment", {"new_name": "S"})
    path = f"new_shipments({shipment})/new_contract"
    assert crm.get(f"{path}/$value").status_code == 204
    data = bytes(range(200))
    crm.org.set_file("new_shipment", shipment, "new_contract", file_name="Maß 1.pdf", body=data, mime_type="x/pdf")
    whole = crm.get(f"{path}/$value")
    assert (whole.status_code, whole.content) == (200, data)
    assert whole.headers["Content-Type"] == "application/octet-stream"
    assert whole.headers["x-ms-file-name"] == "Ma%C3%9F 1.pdf"
    assert (whole.headers["x-ms-file-size"], whole.headers["mimetype"]) == ("200", "x/pdf")
    part = crm.get(f"{path}/$value", headers={"Range": "bytes=50-99"})
    assert (part.status_code, part.content) == (206, data[50:100])
    assert part.headers["x-ms-chunk-size"] == "4194304"
    as_json = crm.get(f"{path}?size=full")
    assert base64.b64decode(as_json.json()["value"]) == data
    assert "Content-Disposition" in as_json.headers
    (row,) = crm.rows("fileattachments", **{"$select": "filename,filesizeinbytes,regardingfieldname,_objectid_value"})
    assert (row["filename"], row["filesizeinbytes"], row["_objectid_value"]) == ("Maß 1.pdf", 200, shipment)


def test_a_file_goes_up_whole_and_in_chunks(crm: Crm) -> None:
    """One PATCH, or a session whose chunks must follow each other."""
    crm.protocol(block_bytes=100)
    shipment = crm.org.insert("new_shipment", {"new_name": "S"})
    path = f"new_shipments({shipment})/new_contract"
    raw = {"Content-Type": "application/octet-stream"}
    whole = crm.request("PATCH", path, data=b"one", headers={**raw, "x-ms-file-name": "one.txt"})
    assert whole.status_code == 204
    data = bytes(range(250))
    begun = crm.request("PATCH", f"{path}?x-ms-file-name=two.bin", headers={"x-ms-transfer-mode": "chunked"})
    assert (begun.status_code, begun.headers["x-ms-chunk-size"]) == (200, "100")
    assert "sessiontoken=" in begun.headers["Location"]
    answers = []
    for start in (0, 100, 200):
        piece = data[start : start + 100]
        headers = {**raw, "Content-Range": f"bytes {start}-{start + len(piece) - 1}/250"}
        if start == 100:
            wrong = {**raw, "Content-Range": "bytes 200-299/250"}
            assert crm.request("PATCH", begun.headers["Location"], data=piece, headers=wrong).status_code == 400
        answers.append(crm.request("PATCH", begun.headers["Location"], data=piece, headers=headers).status_code)
    assert answers == [206, 206, 204]
    assert crm.get(f"{path}/$value").content == data
    row = crm.get(path.rpartition("/")[0], params={"$select": "new_contract,new_contract_name"}).json()
    assert row["new_contract_name"] == "two.bin"


def test_what_a_file_column_refuses(crm: Crm) -> None:
    """Blocked extensions, a missing name, a full column with If-None-Match, too many bytes, a null in PATCH."""
    shipment = crm.org.insert("new_shipment", {"new_name": "S"})
    path = f"new_shipments({shipment})/new_contract"
    put = {"Content-Type": "application/octet-stream", "x-ms-file-name": "a.txt"}
    assert (
        crm.error(crm.request("PATCH", path, data=b"x", headers={**put, "x-ms-file-name": "a.exe"}))[1] == "0x80043e09"
    )
    assert crm.request("PATCH", path, data=b"x", headers={"Content-Type": "x/y"}).status_code == 400
    assert crm.request("PATCH", path, data=b"x", headers={**put, "If-None-Match": "null"}).status_code == 204
    assert crm.request("PATCH", path, data=b"y", headers={**put, "If-None-Match": "null"}).status_code == 412
    assert crm.request("PATCH", path, data=b"y", headers={**put, "If-Match": 'W/"1"'}).status_code == 412
    assert crm.patch(path.rpartition("/")[0], {"new_contract": None}).status_code == 400
    assert crm.get(f"{path}/$value").content == b"x"


def test_a_file_is_deleted_by_column_or_by_id(crm: Crm) -> None:
    """DELETE of the column empties it if the row is unchanged; DeleteFile hits exactly the file it names."""
    shipment = crm.org.insert("new_shipment", {"new_name": "S"})
    path = f"new_shipments({shipment})/new_contract"
    first = crm.org.set_file("new_shipment", shipment, "new_contract", file_name="a.txt", body=b"a")
    stale = crm.etag("new_shipment", shipment)
    second = crm.org.set_file("new_shipment", shipment, "new_contract", file_name="b.txt", body=b"b")
    assert crm.request("DELETE", path, headers={"If-Match": stale}).status_code == 412
    assert crm.error(crm.post("DeleteFile", {"FileId": first}))[0] == 404
    assert crm.get(f"{path}/$value").content == b"b"
    assert crm.post("DeleteFile", {"FileId": second}).status_code == 204
    assert crm.get(f"{path}/$value").status_code == 204
    crm.org.set_file("new_shipment", shipment, "new_contract", file_name="c.txt", body=b"c")
    current = crm.etag("new_shipment", shipment)
    assert crm.request("DELETE", path, headers={"If-Match": current}).status_code == 204
    assert crm.rows("fileattachments") == []


def test_an_image_column_has_a_thumbnail_and_the_whole(crm: Crm) -> None:
    """By default 144 pixels; with size=full the bytes that went in; JSON of the row has the thumbnail."""
    out = io.BytesIO()
    Image.new("RGB", (600, 300), (10, 200, 30)).save(out, "JPEG")
    contact = crm.org.insert("contact", {"lastname": "L"})
    path = f"contacts({contact})/entityimage"
    assert crm.get(f"{path}/$value?size=full").status_code == 204
    put = {"Content-Type": "application/octet-stream", "x-ms-file-name": "face.jpg"}
    assert crm.request("PATCH", path, data=out.getvalue(), headers=put).status_code == 204
    small = crm.get(f"{path}/$value")
    assert Image.open(io.BytesIO(small.content)).size == (144, 72)
    assert "x-ms-file-size" not in small.headers
    assert crm.get(f"{path}/$value?size=full").content == out.getvalue()
    row = crm.get(f"contacts({contact})", params={"$select": "entityimage"}).json()
    assert base64.b64decode(row["entityimage"]) == small.content
    assert crm.request("DELETE", path, headers={"If-Match": crm.etag("contact", contact)}).status_code == 204
    assert crm.get(f"{path}/$value?size=full").status_code == 204


# -- large -----------------------------------------------------------------------------------------


def test_a_large_body_in_a_write_is_read_as_it_comes(crm: Crm) -> None:
    """A note of some megabytes is written through JSON, escaped or not; a broken one is refused and changes nothing."""
    note, data = crm.note(crm.account()), bytes(range(256)) * 20_000
    text = encoded(data)
    for sent in (text, text.replace("/", "\\/").replace("+", "\\u002b")):
        body = f'{{"filename": "a.bin", "documentbody": "{sent}"}}'
        headers = {"Content-Type": "application/json", "If-Match": "*"}
        assert crm.request("PATCH", f"annotations({note})", data=body, headers=headers).status_code == 204
        row = crm.org.get(NOTE, note)
        assert row is not None
        assert row["_documentbody"]["size"] == len(data)
        assert b"".join(crm.org.chunks(row["_documentbody"])) == data
    before = crm.etag(NOTE, note)
    for broken in (f"{text[:-1]}", f"{text}AAAA", "!" + text[1:]):
        refused = crm.patch(f"annotations({note})", {"documentbody": broken}, If_Match="*")
        assert crm.error(refused)[:2] == (400, "0x80040203")
    assert crm.etag(NOTE, note) == before


def test_a_list_with_a_huge_body_streams(crm: Crm) -> None:
    """A list whose bodies are 30 MB is whole, in the order of its rows, and sent in pieces."""
    account = crm.account()
    crm.note(account, body=Synthetic(30 << 20, 7), file_name="huge.bin")
    crm.note(account, body=b"small", file_name="small.bin")
    answer = crm.request("GET", "annotations?$select=filename,documentbody&$orderby=filename", stream=True)
    assert answer.headers["Transfer-Encoding"] == "chunked"
    huge, small = answer.json()["value"]
    assert (huge["filename"], base64.b64decode(small["documentbody"])) == ("huge.bin", b"small")
    assert len(base64.b64decode(huge["documentbody"])) == 30 << 20
