"""The made documents open in the programs of their kind, differ from each other, and come out the same every time."""

from __future__ import annotations

import csv
import email
import email.policy
import hashlib
import io
import statistics
import subprocess
import sys
import zipfile
from collections.abc import Callable
from xml.etree import ElementTree as ET

import docx
import openpyxl
import pypdf
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from offloader_connectors.emulation.corpus import AWKWARD_NAMES, EMPTY_INDEX, KINDS, MIME, Corpus, corpus
from offloader_connectors.emulation.texts import LANGUAGES


@pytest.fixture(scope="module")
def documents() -> Corpus:
    return corpus(1)


def _pdf(data: bytes) -> str:
    start = int(data.split(b"startxref")[-1].split()[0])
    section = data[start:].split()
    assert section[0] == b"xref"
    assert data[int(section[3]) :].startswith(section[1] + b" 0 obj")
    reader = pypdf.PdfReader(io.BytesIO(data), strict=True)
    assert reader.metadata is not None
    return str(reader.metadata.subject) + "".join(page.extract_text() for page in reader.pages)


def _docx(data: bytes) -> str:
    letter = docx.Document(io.BytesIO(data))
    return str(letter.core_properties.identifier) + "".join(paragraph.text for paragraph in letter.paragraphs)


def _xlsx(data: bytes) -> str:
    book = openpyxl.load_workbook(io.BytesIO(data))
    assert book.active is not None
    return f"{book.properties.identifier}{book.active.title}{book.active['A1'].value}"


def _picture(kind: str) -> Callable[[bytes], str]:
    def look(data: bytes) -> str:
        with Image.open(io.BytesIO(data)) as picture:
            picture.load()
            assert picture.format == kind
            texts = (picture.info.get("comment"), picture.info.get("Reference"), picture.getexif().get(270))
            return "".join(text.decode() if isinstance(text, bytes) else text or "" for text in texts)

    return look


def _eml(data: bytes) -> str:
    message = email.message_from_bytes(data, policy=email.policy.default)
    assert [part for part in message.walk() if part.get_content_type() == "text/html"]
    assert not [part.defects for part in message.walk() if part.defects]
    body = message.get_body(("plain",))
    assert body is not None
    return str(message["X-Reference"]) + str(body.get_content())


def _zip(data: bytes) -> str:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        assert len(archive.namelist()) == 5
        return archive.read("reference.txt").decode() + "".join(archive.namelist())


def _csv(data: bytes) -> str:
    rows = list(csv.reader(io.StringIO(data.decode(), newline=""), delimiter=";"))
    return "".join(rows[0]) + rows[-1][0]


def _xml(data: bytes) -> str:
    return data.decode() if ET.fromstring(data).tag == "invoice" else ""


OPEN: dict[str, Callable[[bytes], str]] = {
    "pdf": _pdf,
    "docx": _docx,
    "xlsx": _xlsx,
    "jpeg": _picture("JPEG"),
    "png": _picture("PNG"),
    "tiff": _picture("TIFF"),
    "eml": _eml,
    "zip": _zip,
    "txt": bytes.decode,
    "csv": _csv,
    "xml": _xml,
}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_opens_in_its_own_library(documents: Corpus, kind: str, language: str) -> None:
    """A made document opens in the library of its kind and shows the reference that makes it unique."""
    made = documents.make(41, kind, language)

    assert made.mime == MIME[kind]
    assert "1-29" in OPEN[kind](made.data)


@pytest.mark.parametrize("kind", ["pdf", "tiff", "jpeg", "png", "zip"])
def test_large_documents_open(documents: Corpus, kind: str) -> None:
    """The rare large documents have 1 to 8 MB and open too."""
    made = documents.make(60, kind)

    assert 1_000_000 <= len(made.data) <= 8_500_000
    assert OPEN[kind](made.data)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", ["docx", "eml", "txt", "pdf"])
def test_text_is_in_the_language_asked_for(documents: Corpus, kind: str, language: str) -> None:
    """The text inside is in the language asked for, readable as Unicode."""
    shown = OPEN[kind](documents.make(41, kind, language).data)

    words = LANGUAGES[language]
    sentences = (*words.sentences, words.invoice)
    assert any(sentence[:8] in shown for sentence in sentences)


def test_the_same_seed_gives_the_same_bytes() -> None:
    """Two corpora of one seed agree on every kind, whichever documents were made before."""
    one, other = corpus(5), corpus(5)
    forwards = [one.make(index, kind) for index, kind in enumerate(KINDS)]
    backwards = [other.make(index, kind) for index, kind in reversed(list(enumerate(KINDS)))]

    assert forwards == backwards[::-1]


def test_another_process_gives_the_same_bytes() -> None:
    """Neither the process, its hash seed, its time zone nor the clock changes a byte."""
    program = (
        "import hashlib; from offloader_connectors.emulation.corpus import KINDS, corpus; made = corpus(5);"
        "print(hashlib.sha256(b''.join(made.make(41, kind, 'de').data for kind in KINDS)).hexdigest())"
    )
    environment = {"PYTHONHASHSEED": "7", "TZ": "Pacific/Auckland"}
    told = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, check=True, text=True)

    made = corpus(5)
    here = hashlib.sha256(b"".join(made.make(41, kind, "de").data for kind in KINDS)).hexdigest()
    assert told.stdout.strip() == here


def test_another_seed_gives_other_bytes() -> None:
    """Corpora of different seeds share no bytes."""
    assert corpus(5).make(3, "txt").data != corpus(6).make(3, "txt").data


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kind=st.sampled_from(KINDS),
    language=st.sampled_from(sorted(LANGUAGES)),
    one=st.integers(0, 10**9),
    other=st.integers(0, 10**9),
)
def test_different_indices_have_different_bytes(
    documents: Corpus, kind: str, language: str, one: int, other: int
) -> None:
    """Bytes are equal exactly if the index is."""
    same = documents.make(one, kind, language).data == documents.make(other, kind, language).data

    assert same == (one == other)


def test_sizes_are_those_of_a_crm(documents: Corpus) -> None:
    """The median is about 60 KB, few are large, some tiny, one is empty, and none equals another."""
    made = [documents.make(index).data for index in range(1000)]
    sizes = [len(data) for data in made]

    assert 45_000 <= statistics.median(sizes) <= 75_000
    assert 1 <= sum(size > 1_000_000 for size in sizes) <= 10
    assert 5 <= sum(0 < size < 50 for size in sizes) <= 20
    assert [index for index, size in enumerate(sizes) if size == 0] == [EMPTY_INDEX]
    assert len({hashlib.sha256(data).digest() for data in made}) == 1000


def test_awkward_names_hold_what_breaks_careless_code() -> None:
    """The list has the traps that it promises, and some names more than once."""
    joined = "\n".join(AWKWARD_NAMES)

    for trap in ("../", "\x00", "\u202e", "\r\n", '"', "=HYPERLINK", "CON.txt", "%2F", ";", "🧾", ".exe"):
        assert trap in joined
    assert any(len(name) == 300 for name in AWKWARD_NAMES)
    assert any(name.endswith(" ") for name in AWKWARD_NAMES)
    assert any(name.startswith(".") for name in AWKWARD_NAMES)
    assert len(set(AWKWARD_NAMES)) < len(AWKWARD_NAMES)
