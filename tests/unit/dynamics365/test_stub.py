"""Placeholders are recognised by their mime type, and only those that are ours."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offloader.model import Link
from offloader_connectors.dynamics365 import stub
from offloader_connectors.placeholder import FORMS

LINK = Link("0123456789abcdef0123456789abcdef", "https://files.example.com/d/0123456789abcdef0123456789abcdef")


@pytest.mark.parametrize("form", FORMS)
def test_a_placeholder_says_which_link_it_leads_to(form: str) -> None:
    """Mime type and size are enough to recognise a placeholder and its link."""
    made = stub.make(form, "contract.pdf", LINK)  # type: ignore[arg-type]
    assert made.name == f"contract.pdf.{form}"
    assert stub.link_id(made.mime) == LINK.id
    assert stub.form_of(made.mime) == form
    assert stub.is_stub(made.mime, len(made.body))
    assert LINK.url.encode() in made.body
    for off in (0, 1, 2):
        assert stub.leads_to(made.mime, len(made.body) + off, "contract.pdf", LINK)


@pytest.mark.parametrize("size", [None, 0, 1, 500, 100_000])
def test_another_size_is_no_placeholder_of_this_link(size: int | None) -> None:
    """A file that somebody has put there under the placeholder's mime type is not taken for it."""
    made = stub.make("url", "contract.pdf", LINK)
    assert not stub.leads_to(made.mime, size, "contract.pdf", LINK)
    assert not stub.leads_to(made.mime, len(made.body), "contract.pdf", Link("other", LINK.url))


@pytest.mark.parametrize(
    "mime",
    [None, "", "text/html", "text/plain; charset=utf-8", "application/pdf; link=abc", "text/html; link=", "; link=a"],
)
def test_other_files_are_no_placeholders(mime: str | None) -> None:
    """Files of the same types without the mark, and other types with it, are not ours."""
    assert stub.link_id(mime) is None
    assert not stub.is_stub(mime, 100)


@given(st.text(min_size=1, max_size=50), st.text(max_size=300))
def test_any_link_id_and_name_survive(link_id: str, name: str) -> None:
    """Ids with any characters can be marked, and names fit the column by its own counting."""
    made = stub.make(
        "url",
        name.encode("utf-8", "ignore").decode(),
        Link(link_id.encode("utf-8", "ignore").decode(), "https://x.example/d/1"),
    )
    assert len(made.name.encode("utf-16-le")) <= 2 * stub.NAME_LENGTH
    if link_id.encode("utf-8", "ignore"):
        assert stub.link_id(made.mime) == link_id.encode("utf-8", "ignore").decode()
