"""One login a command: who the CRM is, its files and its records are asked over one session."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.whole.ground import Ground


@pytest.fixture(params=["salesforce", "dynamics365"])
def logins(request: pytest.FixtureRequest) -> tuple[Any, Callable[[], int]]:
    """An emulated CRM with one document that can move, and how often somebody logged in since the last look."""
    bed = request.getfixturevalue("ground" if request.param == "salesforce" else "field")
    name = "oauth2/token" if isinstance(bed, Ground) else "token"
    bed.file("first") if isinstance(bed, Ground) else bed.note("first.pdf")
    seen = 0

    def count() -> int:
        nonlocal seen
        before, seen = seen, int(bed.emulator.counters.outer[name])
        return seen - before

    return bed, count


def test_every_command_logs_in_once(logins: tuple[Any, Callable[[], int]]) -> None:
    """Commands that ask the CRM who it is, read its files and its records, and write there, take one token each."""
    bed, count = logins
    commands = (["run"], ["expire", "watch"], ["expire", "plan", "--refresh-all"], ["restore", "--all"])
    spent = {}
    for command in commands:
        bed.offloader(*command, expect=(0, 3))
        spent[" ".join(command)] = count()
    assert spent == dict.fromkeys(spent, 1)
