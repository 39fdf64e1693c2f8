"""Reading the environment's answers about users and their rights."""

from __future__ import annotations

from typing import Any

import pytest

from offloader.ports import Access
from offloader_connectors.dynamics365.access import _access, _reader
from offloader_connectors.dynamics365.api import Answer

ID = "11111111-2222-4333-8444-555555555555"


@pytest.mark.parametrize(
    ("rows", "reader"),
    [
        ([{"systemuserid": ID.upper(), "isdisabled": False}], ID),
        ([{"systemuserid": ID, "isdisabled": True}], None),
        ([{"systemuserid": ID, "isdisabled": None}], None),
        ([{"systemuserid": ID}], None),
        ([{"systemuserid": ID, "isdisabled": False}] * 2, None),
        ([], None),
    ],
)
def test_only_one_active_user_is_a_reader(rows: list[dict[str, Any]], reader: str | None) -> None:
    """Nobody is let in as a user who is disabled, unknown or not the only one."""
    assert _reader(rows) == reader


@pytest.mark.parametrize(
    ("status", "body", "access"),
    [
        (200, {"AccessRights": "ReadAccess, WriteAccess"}, Access.YES),
        (200, {"AccessRights": "WriteAccess,ReadAccess"}, Access.YES),
        (200, {"AccessRights": "None"}, Access.NO),
        (200, {"AccessRights": "WriteAccess"}, Access.NO),
        (200, {"AccessRights": "NoReadAccess"}, Access.NO),
        (200, {"AccessRights": ""}, Access.NO),
        (200, {"AccessRights": None}, Access.UNKNOWN),
        (200, {}, Access.UNKNOWN),
        (200, None, Access.UNKNOWN),
        (404, {"error": {"code": "0x80040217"}}, Access.NO),
        (404, None, Access.NO),
        (403, {"error": {"code": "0x80048306"}}, Access.UNKNOWN),
        (403, None, Access.UNKNOWN),
        (429, None, Access.UNKNOWN),
        (500, {"AccessRights": "ReadAccess"}, Access.UNKNOWN),
        (0, None, Access.UNKNOWN),
    ],
)
def test_rights_as_the_environment_says_them(status: int, body: Any, access: Access) -> None:
    """Only an answer that names ReadAccess is YES; only a clear one is NO."""
    assert _access(Answer("access", status, body)) is access
