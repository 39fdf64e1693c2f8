"""What the pages say of Dynamics 365 holds on the emulated environment."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from offloader.cli.sandbox_files import start
from offloader.model import Severity
from offloader.plugins import SourcePlugin, load
from offloader.ports import Source
from offloader.testing import context
from offloader_connectors.dynamics365.emulator.emulator import DynamicsEmulator
from offloader_connectors.dynamics365.options import DynamicsOptions
from tests.docs.conftest import DOCS, text_of

PAGE = text_of(DOCS / "dynamics365.md")
#: what the page calls tables, and what their privileges are called
WORDS = {"Note": ["Note"], "Activity": ["Activity"], "User": ["User"], "File Attachment": ["Fileattachment"]}
WITH_COLUMNS = ["Account", "Contact"]
PARENTS = ["Account", "Contact", "Lead", "Opportunity", "Incident", "Quote", "Order", "Invoice", "Contract"]


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, DynamicsEmulator]]:
    directory = tmp_path_factory.mktemp("sandbox")
    emulators = start("dynamics365", directory, context(directory), 40, 1)
    emulator = emulators["dynamics365"]
    assert isinstance(emulator, DynamicsEmulator)
    yield directory, emulator
    emulator.close()


def role() -> list[str]:
    """The privileges of the page's table."""
    section = PAGE.partition("## The security role")[2].partition("```")[0]
    found = []
    for tables, rights in re.findall(r"^\| ([^|]+) \| ([A-Z][^|]+) \|", section, re.MULTILINE):
        names = {**WORDS, "every table in `parents`": PARENTS, "tables with such columns": WITH_COLUMNS}
        names["Organization; table and column definitions"] = ["Organization", "Entity", "Attribute"]
        found += [f"prv{right.replace(' ', '')}{name}" for right in rights.split(", ") for name in names[tables]]
    return found


@contextmanager
def opened(sandbox: tuple[Path, DynamicsEmulator], privileges: list[str]) -> Iterator[Source]:
    """The source with an application user that has these privileges."""
    directory, emulator = sandbox
    number, before = len(list(emulator.org.rows("systemuser"))), emulator.app.auth.run_as
    emulator.app.auth.run_as = emulator.org.user(username=f"app{number}@example.com", roles=privileges)
    options = {name: value for name, value in emulator.source_options.items() if name != "type"}
    try:
        plugin = load(SourcePlugin, "dynamics365")
        yield plugin.open("crm", DynamicsOptions.model_validate(options), context(directory))
    finally:
        emulator.app.auth.run_as = before


def test_the_security_role_is_enough(sandbox: tuple[Path, DynamicsEmulator]) -> None:
    """With the privileges of the page's table, and no other, nothing is missing and nothing is hidden."""
    with opened(sandbox, role()) as source:
        wrong = [each for each in source.check() if each.severity is not Severity.OK]
        pages = [page for kind in source.capabilities.kinds for page in source.scan(kind.kind)]

    assert wrong == []
    assert sum(len(page.documents) for page in pages) > 30
    assert [page.blind_spots for page in pages if page.blind_spots] == []


@pytest.mark.parametrize(
    ("taken", "code"),
    [
        ("prvReadNote", "notes-hidden"),
        ("prvWriteNote", "no-write-privilege"),
        ("prvReadActivity", "mails-hidden"),
        ("prvReadUser", "no-user-privilege"),
        ("prvReadIncident", "records-hidden"),
    ],
)
def test_a_missing_privilege_is_named_as_the_page_says(
    sandbox: tuple[Path, DynamicsEmulator], taken: str, code: str
) -> None:
    """Without one of them, the check says so with the code that the page explains."""
    with opened(sandbox, [each for each in role() if each != taken]) as source:
        found = source.check()

    assert code in {each.code for each in found if each.severity is not Severity.OK}
    assert f"`{code}`" in PAGE


@pytest.mark.parametrize(("kind", "word"), [("annotation", "Note"), ("activitymimeattachment", "Activity")])
def test_the_rights_for_erasing_are_enough_and_needed(
    sandbox: tuple[Path, DynamicsEmulator], kind: str, word: str
) -> None:
    """With the page's rights for erasing nothing is missing; without its Delete, the check says so."""
    section = PAGE.partition("## What erasing and re-homing need")[2].partition("\n## ")[0]
    assert f"| {word}: Delete |" in section
    delete, known = f"prvDelete{word}", load(SourcePlugin, "dynamics365").open_records
    assert known is not None
    for privileges, missing in (([*role(), delete], 0), ([each for each in role() if each != delete], 1)):
        with opened(sandbox, privileges) as source:
            found = known(source).check([kind], delete=True)
        errors = [each.code for each in found if each.severity is Severity.ERROR]
        assert errors == ["no-delete-privilege"] * missing


def test_microsofts_client_runs_as_the_page_says(sandbox: tuple[Path, DynamicsEmulator]) -> None:
    """The example of the page about the emulators lists notes with Microsoft's own, unchanged client."""
    directory, _ = sandbox
    environ = {**os.environ, "REQUESTS_CA_BUNDLE": str(directory / "ca.pem"), "NO_PROXY": "127.0.0.1"}
    script = DOCS / "examples/dataverse_client.py"

    done = subprocess.run(
        [sys.executable, str(script), str(directory)], env=environ, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 3
