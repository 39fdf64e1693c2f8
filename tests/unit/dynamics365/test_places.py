"""Ids of documents in columns are taken apart with suspicion."""

from __future__ import annotations

import pytest

from offloader.errors import Permanent
from offloader.model import DocumentRef
from offloader_connectors.dynamics365.places import Cell


@pytest.mark.parametrize(
    "id",
    ["", "a:b:c", "account:11111111-2222-3333-4444-555555555555", "a:b:c:d"]
    + [
        f"{table}:11111111-2222-3333-4444-555555555555:{column}"
        for table, column in (("a/b", "c"), ("a", "c?d"), ("", "c"))
    ],
)
def test_an_id_that_names_no_column_is_refused(id: str) -> None:
    """Nothing that could change an address gets into one."""
    with pytest.raises(Permanent):
        Cell.of(DocumentRef("crm", "filecolumn", id))
