"""Bodies come many in one answer or alone, by the ways that the environment offers, whole or not at all."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from offloader.errors import Gone, IntegrityError, OffloaderError, Permanent, Transient
from offloader.model import Document, DocumentRef, VersionRef
from offloader_connectors.dynamics365.emulator.options import OrgOptions
from offloader_connectors.dynamics365.source import DynamicsSource
from offloader_connectors.emulation.blobs import Synthetic, synthetic_chunks

from .bench import World, consumed, fetch, opened

MIB = 1 << 20


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with opened(tmp_path) as made:
        yield made


def notes(world: World, source: DynamicsSource, bodies: Sequence[bytes]) -> list[Document]:
    return [fetch(source, "annotation", world.note(body)) for body in bodies]


def refs(documents: Sequence[Document]) -> list[VersionRef]:
    return [document.version_ref(document.current) for document in documents]


def read(source: DynamicsSource, wanted: Sequence[VersionRef]) -> dict[str, bytes | OffloaderError]:
    """The bytes of each, or the error, whether it came with the delivery or with its chunks."""
    found: dict[str, bytes | OffloaderError] = {}
    for delivery in source.read(wanted):
        assert delivery.ref.id not in found
        try:
            found[delivery.ref.id] = consumed(delivery)
        except OffloaderError as error:
            found[delivery.ref.id] = error
    return found


def all_right(
    found: Mapping[str, bytes | OffloaderError], documents: Sequence[Document], bodies: Sequence[bytes]
) -> bool:
    return found == {document.ref.id: body for document, body in zip(documents, bodies, strict=True)}


@pytest.mark.parametrize("key_position", ["first", "last"])
def test_many_small_bodies_come_with_one_request(tmp_path: Path, key_position: Any) -> None:
    """A hundred notes are one request, wherever the key stands in a row."""
    with opened(tmp_path, OrgOptions(key_position=key_position)) as world:
        source = world.source()
        bodies = [b"%d" % number * (1 + 100 * number) for number in range(100)]
        documents = notes(world, source, bodies)
        world.reset_counters()
        assert all_right(read(source, refs(documents)), documents, bodies)
        assert world.calls() == {"list.annotation": 1}


def test_packs_keep_to_their_bytes_and_their_number(world: World) -> None:
    """Neither more bytes nor more documents than configured go into one answer."""
    source = world.source(read_bytes=64 << 10, read_batch=4)
    bodies = [b"a" * (30 << 10)] * 4 + [b"b" * 10] * 6
    documents = notes(world, source, bodies)
    world.reset_counters()
    assert all_right(read(source, refs(documents)), documents, bodies)
    assert world.calls() == {"list.annotation": 3}


def test_an_attachment_that_many_mails_share_is_downloaded_once(world: World) -> None:
    """Fifty mails with one attachment are one document, and one body."""
    source = world.source()
    document = fetch(source, "activitymimeattachment", world.shared(b"campaign" * 500, mails=50))
    assert len(document.parents) == 50
    world.reset_counters()
    assert all_right(read(source, refs([document])), [document], [b"campaign" * 500])
    assert world.calls() == {"list.attachment": 1}


def test_an_answer_that_breaks_off_costs_one_body(world: World) -> None:
    """The body that it hit raises Transient; the others are asked for again and arrive."""
    source = world.source()
    bodies = [bytes([number]) * 40_000 for number in range(10)]
    documents = notes(world, source, bodies)
    world.reset_counters()
    world.fault(on="list.annotation", do="truncate", times=1)
    found = read(source, refs(documents))
    broken = [each for each in found.values() if isinstance(each, OffloaderError)]
    assert len(broken) == 1
    assert isinstance(broken[0], Transient)
    assert sorted(each for each in found.values() if isinstance(each, bytes)) == sorted(
        body for body, document in zip(bodies, documents, strict=True) if found[document.ref.id] is not broken[0]
    )
    assert world.calls() == {"list.annotation": 2}


def test_a_whole_answer_that_is_too_short_is_no_whole_answer(world: World) -> None:
    """A proxy that ends an answer early and properly does not make a short body whole."""
    source = world.source()
    (document,) = notes(world, source, [b"0123456789" * 9000])
    world.fault(on="list.annotation", do="truncate", clean=True, times=1)
    (error,) = read(source, refs([document])).values()
    assert isinstance(error, Transient)


@pytest.mark.parametrize("status", [503, 504, 500])
def test_a_server_that_cannot_cope_is_asked_for_less(world: World, status: int) -> None:
    """After a server error the next answers carry half the bytes."""
    source = world.source()
    bodies = [b"x" * 50_000] * 10
    documents = notes(world, source, bodies)
    world.fault(on="list.annotation", do="status", status=status, times=1)
    with pytest.raises(Transient):
        read(source, refs(documents))
    world.reset_counters()
    assert all_right(read(source, refs(documents)), documents, bodies)
    assert world.calls() == {"list.annotation": 2}


def test_the_measure_grows_back(world: World) -> None:
    """Answers that come whole may carry more again, up to what is configured."""
    source = world.source(read_bytes=512 << 10)
    bodies = [b"x" * (50 << 10)] * 10
    documents = notes(world, source, bodies)
    world.fault(on="list.annotation", do="status", status=503, times=1)
    with pytest.raises(Transient):
        read(source, refs(documents))
    counts = []
    for _ in range(3):
        world.reset_counters()
        assert all_right(read(source, refs(documents)), documents, bodies)
        counts.append(world.calls()["list.annotation"])
    assert counts == [2, 1, 1]


def test_an_answer_that_is_too_large_is_divided(world: World) -> None:
    """A 413 is no reason to fail: smaller answers are asked for at once."""
    source = world.source()
    bodies = [b"x" * 70_000] * 8
    documents = notes(world, source, bodies)
    world.fault(on="list.annotation", do="status", status=413, times=2)
    world.reset_counters()
    assert all_right(read(source, refs(documents)), documents, bodies)
    assert 4 <= world.calls()["list.annotation"] <= 7


def test_a_body_that_is_too_large_for_any_list_comes_alone(world: World) -> None:
    """Where even one body is too much for a list, the other ways are tried."""
    source = world.source()
    bodies = [b"x" * 70_000] * 2
    documents = notes(world, source, bodies)
    world.fault(on="list.annotation", do="status", status=413)
    assert all_right(read(source, refs(documents)), documents, bodies)


def test_bodies_above_a_small_measure_are_packed_nevertheless(world: World) -> None:
    """However small the measure has become, lists go on, so that it can grow again."""
    source = world.source(read_bytes=64 << 10)
    bodies = [b"x" * 200_000] * 3
    documents = notes(world, source, bodies)
    world.reset_counters()
    assert all_right(read(source, refs(documents)), documents, bodies)
    assert world.calls() == {"list.annotation": 3}


def test_a_refusal_is_not_asked_about_again_and_again(world: World) -> None:
    """A table that may not be read is an error of every body, after one request."""
    source = world.source()
    documents = notes(world, source, [b"x" * 1000] * 8)
    world.reset_counters()
    world.fault(on="list.annotation", do="status", status=403)
    found = read(source, refs(documents))
    assert len(found) == 8
    assert all(isinstance(each, Permanent) for each in found.values())
    assert world.calls() == {"list.annotation": 1}


def test_a_row_that_vanished_is_gone_and_disturbs_nobody(world: World) -> None:
    """Ids that an answer leaves out silently are Gone."""
    source = world.source()
    documents = notes(world, source, [b"one" * 100, b"two" * 100, b"three" * 100])
    world.org.delete("annotation", documents[1].ref.id)
    found = read(source, refs(documents))
    assert isinstance(found.pop(documents[1].ref.id), Gone)
    assert sorted(found.values(), key=str) == [b"one" * 100, b"three" * 100]


def answer(*rows: Mapping[str, Any], **more: Any) -> str:
    return json.dumps({"@odata.context": "x", **more, "value": list(rows)})


def served(world: World, text: str) -> None:
    """The next list of notes is this text."""
    headers = {"Content-Type": "application/json; odata.metadata=minimal"}
    world.fault(on="list.annotation", do="status", status=200, body=text, headers=headers, times=1)


def test_base64_that_ends_inside_a_quantum_is_no_body(world: World) -> None:
    """It raises IntegrityError, and the other bodies of the answer arrive."""
    source = world.source()
    first, second = notes(world, source, [b"first", b"second"])
    body = base64.b64encode(b"second").decode()
    served(
        world,
        answer(
            {"annotationid": first.ref.id, "documentbody": "Zmlyc3"},
            {"annotationid": second.ref.id, "documentbody": body},
        ),
    )
    found = read(source, refs([first, second]))
    assert isinstance(found[first.ref.id], IntegrityError)
    assert found[second.ref.id] == b"second"


@pytest.mark.parametrize("row", [{"documentbody": None}, {}])
def test_a_body_that_is_not_shown_is_no_empty_file(world: World, row: dict[str, None]) -> None:
    """A body that the CRM hides, of a file that has bytes, is an error and never an empty file."""
    source = world.source()
    (document,) = notes(world, source, [b"hidden"])
    served(world, answer({"annotationid": document.ref.id, **row}))
    (error,) = read(source, refs([document])).values()
    assert isinstance(error, IntegrityError)


def test_a_server_that_divides_its_answer_has_lost_nothing(world: World) -> None:
    """What an answer with another page leaves out is asked for again, not taken for gone."""
    source = world.source()
    first, second = notes(world, source, [b"first", b"second"])
    body = base64.b64encode(b"first").decode()
    following = {"@odata.nextLink": f"{world.emulator.url}/api/data/v9.2/annotations?$skiptoken=x"}
    served(world, answer({"annotationid": first.ref.id, "documentbody": body}, **following))
    assert all_right(read(source, refs([first, second])), [first, second], [b"first", b"second"])


def test_rows_that_nobody_asked_for_are_passed_over(world: World) -> None:
    """A row of another id, or one that comes twice, is delivered to nobody."""
    source = world.source()
    (document,) = notes(world, source, [b"first"])
    body = base64.b64encode(b"first").decode()
    other = {"annotationid": "11111111-2222-3333-4444-555555555555", "documentbody": "AAAA"}
    own = {"annotationid": document.ref.id.upper(), "documentbody": body}
    served(world, answer(other, own, {**own, "documentbody": "AAAA"}))
    assert all_right(read(source, refs([document])), [document], [b"first"])


def test_an_id_that_is_none_is_never_sent(world: World) -> None:
    """An id with quotes is refused before it reaches an address."""
    source = world.source()
    ref = DocumentRef("crm", "annotation", "x') or (1 eq 1")
    world.reset_counters()
    with pytest.raises(Permanent):
        list(source.read([VersionRef(ref, ref.id, 5)]))
    assert world.calls() == {}


# -- large bodies ---------------------------------------------------------------------------------------------------

LARGE = bytes(range(256)) * 4 * 1024 * 5


@pytest.mark.parametrize("kind", ["annotation", "activitymimeattachment"])
@pytest.mark.parametrize(
    ("route", "options", "calls"),
    [
        ("sas", {}, {"sas", "storage.get"}),
        ("blocks", {"sas": False}, {"sas", "blocks.init", "blocks.download"}),
        ("value", {"sas": False, "chunking": False}, {"sas", "blocks.init", "blocks.download", "value"}),
    ],
)
def test_a_large_body_comes_by_the_best_way_there_is(
    tmp_path: Path, kind: str, route: str, options: dict[str, bool], calls: set[str]
) -> None:
    """What the environment refuses is tried once, and shown; the bytes are the same by every way."""
    with opened(tmp_path, OrgOptions(**options)) as world:  # type: ignore[arg-type]
        source = world.source()
        made = [world.note(LARGE) if kind == "annotation" else world.shared(LARGE) for _ in range(2)]
        documents = [fetch(source, kind, each) for each in made]
        world.reset_counters()
        assert all_right(read(source, refs(documents[:1])), documents[:1], [LARGE])
        assert {name.partition(".list")[0].removesuffix(f".{kind}") for name in world.calls()} - {"list"} == calls
        assert source.routes["large"] == route
        world.reset_counters()
        assert all_right(read(source, refs(documents[1:])), documents[1:], [LARGE])
        assert ("sas" in world.calls()) == (route == "sas")


@pytest.mark.parametrize("route", ["sas", "blocks", "value", "list"])
def test_a_way_that_the_operator_chose_is_the_only_one(world: World, route: str) -> None:
    """Small and large bodies go the configured way."""
    source = world.source(downloads=route)
    bodies = [b"small", LARGE]
    documents = notes(world, source, bodies)
    world.reset_counters()
    assert all_right(read(source, refs(documents)), documents, bodies)
    expected = {
        "sas": {"sas", "storage.get"},
        "blocks": {"blocks.init", "blocks.download"},
        "value": {"value.annotation"},
        "list": {"list.annotation"},
    }
    assert world.calls().keys() == expected[route]


def test_an_address_that_has_expired_is_asked_for_once_more(world: World) -> None:
    """A storage that refuses the address gets one new address."""
    source = world.source()
    (document,) = notes(world, source, [LARGE])
    world.reset_counters()
    world.fault(on="storage.get", do="status", status=403, times=1)
    assert all_right(read(source, refs([document])), [document], [LARGE])
    assert world.calls() == {"sas": 2, "storage.get": 2}


@pytest.mark.parametrize(
    "fault", [{"do": "status", "status": 403}, {"do": "status", "status": 302, "headers": {"Location": "https://x/"}}]
)
def test_a_storage_that_lets_nobody_in_is_left_alone(world: World, fault: dict[str, Any]) -> None:
    """A network that may not use the storage, or a redirect, leads to the next way, for this body and all others."""
    source = world.source()
    documents = notes(world, source, [LARGE, LARGE])
    world.fault(on="storage.get", **fault)
    assert all_right(read(source, refs(documents)), documents, [LARGE, LARGE])
    assert source.routes["large"] == "blocks"
    assert "storage" in source.routes["no sas"]


def test_an_address_on_a_host_that_is_not_allowed_is_not_used(world: World) -> None:
    """Nothing is fetched from hosts outside of storage_hosts."""
    source = world.source(storage_hosts=[".blob.core.windows.net"])
    (document,) = notes(world, source, [LARGE])
    world.reset_counters()
    assert all_right(read(source, refs([document])), [document], [LARGE])
    assert "storage.get" not in world.calls()
    assert "storage_hosts" in source.routes["no sas"]


@pytest.mark.parametrize("do", ["drop_before", "truncate"])
def test_an_address_in_the_storage_is_in_no_error(world: World, do: str, caplog: pytest.LogCaptureFixture) -> None:
    """Errors and logs of a download from the storage do not hold its address."""
    caplog.set_level("DEBUG")
    source = world.source(downloads="sas")
    (document,) = notes(world, source, [LARGE])
    world.fault(on="storage.get", do=do)
    (error,) = read(source, refs([document])).values()
    assert isinstance(error, Transient)
    causes: list[BaseException] = [error]
    while causes[-1].__cause__ is not None:
        causes.append(causes[-1].__cause__)
    ours = [record.getMessage() for record in caplog.records if not record.name.startswith(("uvicorn", "asyncio"))]
    assert not [text for text in (*map(str, causes), *ours) if "sig=" in text]


def test_a_storage_out_of_reach_is_left_alone_after_a_while(world: World) -> None:
    """One broken connection is no reason to give a way up; several are."""
    source = world.source()
    documents = notes(world, source, [LARGE] * 4)
    world.fault(on="storage.get", do="drop_before")
    for number, document in enumerate(documents):
        assert ("no sas" in source.routes) == (number >= 3)
        assert all_right(read(source, refs([document])), [document], [LARGE])


def test_a_large_body_that_is_given_up_never_ends_quietly(world: World) -> None:
    """Asking for the next delivery gives the one before up: going on with it raises."""
    source = world.source()
    deliveries = source.read(refs(notes(world, source, [LARGE, LARGE])))
    first = next(deliveries)
    assert first.chunks is not None
    next(first.chunks)
    assert len(consumed(next(deliveries))) == len(LARGE)
    with pytest.raises(Transient):
        next(first.chunks)


def test_a_size_that_the_environment_says_is_compared(world: World) -> None:
    """A storage that sends more or less than was declared has not sent the file."""
    source = world.source(downloads="sas")
    (document,) = notes(world, source, [LARGE])
    world.fault(on="storage.get", do="status", status=200, body="short", times=1)
    (error,) = read(source, refs([document])).values()
    assert isinstance(error, IntegrityError)


# -- columns --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["filecolumn", "imagecolumn"])
def test_a_column_s_file_comes_as_it_is(world: World, kind: str) -> None:
    """Files and full images are one request, in raw bytes."""
    source = world.source()
    document = fetch(source, kind, world.file(b"\x00raw\xff" * 1000, kind=kind))
    world.reset_counters()
    assert all_right(read(source, refs([document])), [document], [b"\x00raw\xff" * 1000])
    assert world.calls()["column.get"] == 1


def test_a_column_that_was_emptied_is_gone(world: World) -> None:
    """A file that is not there any more is an error of its delivery."""
    source = world.source()
    document = fetch(source, "filecolumn", world.file(b"x"))
    world.org.clear_file(*document.ref.id.split(":"))
    (error,) = read(source, refs([document])).values()
    assert isinstance(error, Gone)


@pytest.mark.parametrize(
    ("options", "calls"),
    [
        ({}, {"sas": 1, "storage.get": 1}),
        ({"sas": False}, {"sas": 1, "column.get": 3}),
        ({"sas": False, "chunking": False}, {"sas": 1, "column.get": 2}),
    ],
)
def test_a_very_large_file_comes_from_the_storage_or_in_parts(
    tmp_path: Path, options: dict[str, bool], calls: dict[str, int]
) -> None:
    """Where neither is offered, it comes in one answer."""
    size = 40 * MIB
    with opened(tmp_path, OrgOptions(**options)) as world:  # type: ignore[arg-type]
        source = world.source()
        record = world.record()
        world.org.set_file("account", record, "new_dossier", file_name="a.bin", body=Synthetic(size, 7))
        document = fetch(source, "filecolumn", f"account:{record}:new_dossier")
        world.reset_counters()
        (found,) = read(source, refs([document])).values()
        assert isinstance(found, bytes)
        assert found == b"".join(synthetic_chunks(Synthetic(size, 7)))
        assert {name: count for name, count in world.calls().items() if name != "metadata"} == calls
