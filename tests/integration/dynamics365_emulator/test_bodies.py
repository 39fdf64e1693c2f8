"""Bodies of requests and answers that are never held as a whole."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offloader_connectors.dynamics365.emulator import uploads
from offloader_connectors.dynamics365.emulator.render import LazyText, Rendered, base64_chunks
from offloader_connectors.emulation.blobs import Blob, Blobs, Synthetic
from offloader_connectors.emulation.wire import Request
from tests.integration.dynamics365_emulator.conftest import Crm

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@pytest.fixture(scope="module")
def blobs(tmp_path_factory: pytest.TempPathFactory) -> Blobs:
    return Blobs(tmp_path_factory.mktemp("blobs"))


@pytest.fixture(scope="module", autouse=True)
def short() -> Iterator[None]:
    """Strings count as long from 40 characters on."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(uploads, "LONG", 40)
        yield


def _read(blobs: Blobs, body: bytes, cuts: list[int]) -> Any:
    reader, request = uploads.LongTexts(blobs), Request("PATCH", "/", {}, {})
    at = 0
    for cut in [*sorted(cut % (len(body) + 1) for cut in cuts), len(body)]:
        reader.write(body[at:cut])
        at = max(at, cut)
    reader.done(request)
    reader.discard()
    return request.json()


def _whole(blobs: Blobs, value: Any) -> Any:
    """The same value with its blobs as the bytes that they hold."""
    if isinstance(value, Blob):
        return base64.b64encode(blobs.read(value.ref)).decode()
    if isinstance(value, dict):
        return {name: _whole(blobs, item) for name, item in value.items()}
    return [_whole(blobs, item) for item in value] if isinstance(value, list) else value


@given(data=st.data(), other=VALUES, body=st.binary(max_size=200), ascii_only=st.booleans())
@settings(max_examples=150, deadline=None)
def test_long_texts_are_what_json_says(
    blobs: Blobs, data: st.DataObject, other: Any, body: bytes, ascii_only: bool
) -> None:
    """Whatever the values, the escapes and the cuts: the same as json.loads, with long Base64 as blobs."""
    value = {"first": other, "documentbody": base64.b64encode(body).decode(), "last": other}
    text, written = json.dumps(value, ensure_ascii=ascii_only), value["documentbody"]
    if data.draw(st.booleans()):
        text, written = (each.replace("/", "\\/").replace("+", "\\u002b") for each in (text, written))
    cuts = data.draw(st.lists(st.integers(0, 10_000), max_size=6))
    found = _read(blobs, text.encode("utf-8", "surrogatepass"), cuts)
    assert isinstance(found["documentbody"], Blob) is (len(written) > uploads.LONG)
    assert _whole(blobs, found) == value


@pytest.mark.parametrize("bad", ["A" * 41, "A" * 43 + "!", "AAA=" * 12, "A" * 44 + "\\u00e4", "A" * 43 + "=AAAA"])
def test_a_long_text_that_is_no_base64_is_told(blobs: Blobs, bad: str) -> None:
    """A text cut inside a quantum, with a foreign sign, or with padding in its middle, is marked as wrong."""
    assert _read(blobs, f'{{"documentbody": "{bad}"}}'.encode(), [20, 50, 62]) == {"documentbody": uploads.NOT_BASE64}


def test_a_body_that_breaks_off_leaves_nothing(blobs: Blobs) -> None:
    """A reader that is discarded in the middle of a long text leaves no file behind."""
    reader = uploads.LongTexts(blobs)
    reader.write(b'{"documentbody": "' + b"AAAA" * 20)
    reader.discard()
    assert list(blobs.directory.glob(".spool-*")) == []


@given(data=st.binary(max_size=300), size=st.integers(1, 50))
@settings(max_examples=100, deadline=None)
def test_base64_in_pieces_is_base64(data: bytes, size: int) -> None:
    """Chunks of any size give the same text as the whole."""
    pieces = (data[start : start + size] for start in range(0, len(data), size))
    assert b"".join(base64_chunks(pieces)) == base64.b64encode(data)


def test_an_answer_with_bodies_streams_in_place(tmp_path: Path) -> None:
    """Large texts stand where they belong, between hostile neighbours, and the length is known beforehand."""
    blobs = Blobs(tmp_path)
    refs = [blobs.put(b"one"), blobs.put(Synthetic(1000, 3))]
    texts = [LazyText(blob.ref, size=blob.size) for blob in refs]
    value = {"a": '\ud800 \u2028 "{}', "b": texts[0], "c": [{"d": texts[1]}, {"e": None}]}
    rendered = Rendered(value, blobs.chunks)
    assert rendered.whole is None
    sent = b"".join(rendered.stream())
    assert len(sent) == rendered.length
    found = json.loads(sent)
    assert (found["a"], found["b"]) == (value["a"], base64.b64encode(b"one").decode())
    assert base64.b64decode(found["c"][0]["d"]) == blobs.read(refs[1].ref)


@pytest.mark.parametrize("start", [0, 1, 300_000, 1_048_575, 1_048_577, 2_999_999, 3_000_000])
def test_spans_of_bodies(tmp_path: Path, start: int) -> None:
    """A span of a stored and of a computed body is the same as of the whole."""
    blobs = Blobs(tmp_path)
    computed = blobs.put(Synthetic(3_000_000, 1))
    whole = blobs.read(computed.ref)
    stored = blobs.put(whole)
    for size in (0, 1, 262_144, 1_500_000):
        for ref in (computed.ref, stored.ref):
            assert b"".join(blobs.span(ref, start, size)) == whole[start : start + size]


def test_hostile_names_stay_in_their_header(crm: Crm) -> None:
    """Line breaks in types and alternate keys cannot end a header."""
    shipment = crm.org.insert("new_shipment", {"new_name": "S"})
    evil = "x/y\r\nInjected: yes"
    crm.org.set_file("new_shipment", shipment, "new_contract", file_name="a\r\nb", body=b"x", mime_type=evil)
    answer = crm.get(f"new_shipments({shipment})/new_contract/$value")
    assert answer.headers["mimetype"] == "x/y??Injected: yes"
    assert "Injected" not in answer.headers
    made = crm.patch("new_shipments(new_number='a%0D%0AInjected: yes')", {"new_name": "x"})
    assert made.status_code == 204
    assert "Injected" not in made.headers
