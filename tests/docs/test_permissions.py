"""What the pages say of permissions is what the connectors say of them."""

from __future__ import annotations

import re

import pytest

from tests.docs.conftest import DOCS, ROOT, text_of

_CODE = re.compile(r"(?:Severity\.[A-Z]+|Severity\.[A-Z]+ if [^,]*),\s*\"([a-z-]+)\"")


@pytest.mark.parametrize("crm", ["salesforce", "dynamics365"])
def test_every_code_is_explained(crm: str) -> None:
    """Every code that a check of the CRM gives stands in the CRM's page."""
    files = (ROOT / "connectors/offloader_connectors" / crm).glob("*.py")
    codes = {code for path in files for code in _CODE.findall(path.read_text(encoding="utf-8"))}

    assert len(codes) > 10
    assert [code for code in sorted(codes) if f"`{code}`" not in text_of(DOCS / f"{crm}.md")] == []
