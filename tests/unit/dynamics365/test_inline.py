"""Content ids that the text of a mail shows."""

from __future__ import annotations

import pytest

from offloader_connectors.dynamics365.inline import names


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('<img src="cid:image001.png@01D9">', {"image001.png@01d9"}),
        ("<IMG SRC='CID:Logo'>", {"logo"}),
        ("<img src=cid:a><img src=cid:b>", {"a", "b"}),
        ('<div style="background:url(cid:bg)">', {"bg"}),
        ('<img src="cid:a%40b">', {"a@b"}),
        ('<img src="cid:a&amp;b">', {"a&b"}),
        ("no pictures", set()),
        ("", set()),
    ],
)
def test_names(text: str, found: set[str]) -> None:
    """Every way of writing a reference is found, in lower case and decoded."""
    assert names(text) == found
