"""The placeholder for an e-mail's attachment."""

from __future__ import annotations

import pytest

from offloader.model import Link
from offloader_connectors.salesforce import stub

LINK = Link("k1", "https://files.example.com/o/AbC")


@pytest.mark.parametrize("form", ["url", "html", "txt"])
def test_leads_to_its_link(form: stub.Form) -> None:
    """A placeholder holds the address, and is recognised as the one for this link and no other."""
    made = stub.make(form, "scan.pdf", LINK)

    assert LINK.url.encode() in made.body
    assert made.name == f"scan.pdf.{form}"
    assert stub.leads_to(made.description, len(made.body), LINK)
    assert not stub.leads_to(made.description, len(made.body), Link("k2", "https://files.example.com/o/Xyz"))


def test_html_is_escaped() -> None:
    """A hostile name adds no markup."""
    made = stub.make("html", "<script>alert(1)</script>.pdf", LINK)

    assert b"<script>" not in made.body


def test_long_names_fit() -> None:
    """A name of 255 characters still fits with the new ending."""
    made = stub.make("url", "n" * 255, LINK)

    assert len(made.name) == 255
    assert made.name.endswith(".url")


@pytest.mark.parametrize(
    ("description", "size"), [("", 10), ("Moved", 10), (stub.MARK + LINK.url, 10**6), (stub.MARK, None)]
)
def test_real_attachments_are_no_stubs(description: str, size: int | None) -> None:
    """An attachment without the mark, or far larger than a placeholder, is not taken for one."""
    assert not stub.is_stub(description, size)
