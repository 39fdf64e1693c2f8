from __future__ import annotations

import unicodedata
from email.message import Message
from email.utils import collapse_rfc2231_value

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offloader.gateway.headers import disposition, media_type, safe_name


def saved_as(name: str) -> str:
    """The name that a client (here: the standard library) reads from the header."""
    message = Message()
    message["Content-Disposition"] = disposition(name).replace('filename="', 'old="', 1)
    value = message.get_param("filename", header="content-disposition")
    assert value is not None
    return collapse_rfc2231_value(value)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("report.pdf", "report.pdf"),
        ("Größe 中国 📎.pdf", "Größe 中国 📎.pdf"),
        ('a"b.pdf', "a_b.pdf"),
        ("a\r\nSet-Cookie: x=1.pdf", "a  Set-Cookie_ x=1.pdf"),
        ("../../etc/passwd", "_.._etc_passwd"),
        ("a\0b.pdf", "ab.pdf"),
        ("invoice\u202efdp.exe", "invoicefdp.exe"),
        ("\u200bx.txt", "x.txt"),
        ("a\\b.txt", "a_b.txt"),
        ("CON.txt", "_CON.txt"),
        ("com1", "_com1"),
        ("console.txt", "console.txt"),
        (" .hidden. ", "hidden"),
        ("", "document"),
        ("...", "document"),
        ("\ud800x", "x"),
        ("100%25.txt", "100%25.txt"),
    ],
)
def test_hostile_names(name: str, expected: str) -> None:
    """Names are saved without control, direction and path characters."""
    assert safe_name(name) == expected
    assert saved_as(name) == expected


def test_plain_name_is_ascii_in_quotes() -> None:
    """Clients that know no UTF-8 names get one of letters that mean nothing else."""
    assert disposition('Ré"su%me;é.pdf').startswith('attachment; filename="Re?_su_me_e?.pdf";'.replace("?", "_"))


def test_long_names_keep_their_extension() -> None:
    """Three hundred characters become two hundred bytes, and the extension stays."""
    assert safe_name("ä" * 300 + ".pdf").endswith("ä.pdf")
    assert len(safe_name("ä" * 300 + ".pdf").encode()) <= 200
    assert len(safe_name("x." + "y" * 300).encode()) <= 200


@given(st.text(max_size=300))
def test_any_name_is_one_safe_header(name: str) -> None:
    """Whatever the name, the header is one printable ASCII line with two names in it, and no path."""
    header = disposition(name)
    tame = safe_name(name)

    assert header.isascii()
    assert header.isprintable()
    assert header.count('"') == 2
    assert header.startswith('attachment; filename="')
    assert tame
    assert len(tame.encode()) <= 201
    assert not set(tame) & set('/\\:*?"<>|\r\n\0')
    assert not any(unicodedata.category(char).startswith("C") for char in tame)
    assert saved_as(name) == tame


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.PDF", "application/pdf"),
        ("a.html", "application/octet-stream"),
        ("a.svg", "application/octet-stream"),
        ("a.xhtml", "application/octet-stream"),
        ("a.js", "application/octet-stream"),
        ("a", "application/octet-stream"),
        ("a.pdf.exe", "application/octet-stream"),
        ("a.pdf\r\nX: y", "application/octet-stream"),
    ],
)
def test_media_types(name: str, expected: str) -> None:
    """Only types that no browser runs are named."""
    assert media_type(name) == expected
