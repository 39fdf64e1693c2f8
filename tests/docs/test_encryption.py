"""The commands of the page about encryption do what it says, with the plain `age` tool."""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from offloader.config import load_config
from offloader.ledger import open_ledger
from offloader.moves.run import run
from offloader.moves.site import Links, Site
from offloader.testing import FakeClock, MemorySource, context
from offloader.wiring import open_store
from offloader_connectors.filesystem.location import mount_of
from tests.docs.conftest import DOCS, blocks
from tests.docs.test_examples import MoveAll, python
from tests.tools import tool

IDENTITY = "/etc/offloader/age_identity"
STORE, PLAIN = "/srv/offloader/frankfurt", "/srv/offloader/plain"
BODIES = {"offer.pdf": b"one" * 50_000, "größe \u202e.txt": b"two"}


def commands(word: str, directory: Path) -> str:
    """The page's shell block with that word in it, with a test's own folders."""
    found = [block.text for block in blocks(DOCS / "stores.md") if block.language == "sh" and word in block.text]
    assert len(found) == 1
    text = found[0].replace(IDENTITY, str(directory / "identity"))
    return text.replace(STORE, str(directory / "store")).replace(PLAIN, str(directory / "plain"))


def shell(text: str, cwd: Path) -> str:
    done = subprocess.run(["sh", "-c", text], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def encrypted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with keys as the page makes them, and an encrypted store that a real run has filled."""
    tool("age", "apt-get install age")
    directory, clock = tmp_path_factory.mktemp("encrypted"), FakeClock()
    own = shell(commands("age-keygen", directory), directory).strip()
    (directory / "recovery").mkdir()
    recovery = shell(commands("age-keygen", directory / "recovery"), directory).strip()
    page = next(
        block.text for block in blocks(DOCS / "stores.md") if block.language == "yaml" and "encryption:" in block.text
    )
    keys = re.findall(r"age1\w+", page)
    store = page.replace(keys[0], own).replace(keys[1], recovery)
    store = store.replace(IDENTITY, "identity").replace(STORE, "store")
    store += f"    filesystem: {mount_of(str(directory.resolve())).type}\n"
    (directory / "key").write_text("key\n", encoding="ascii")
    (directory / "offloader.yaml").write_text(
        f"{store}gateway:\n  url: https://files.example.com\n  link_key: file:key\n"
        "sources:\n  crm: {type: salesforce, login_url: https://a.example.com, client_id: a, client_secret: file:key}\n"
        "policies:\n  residency: {type: residency}\n",
        encoding="utf-8",
    )
    config = load_config(directory / "offloader.yaml")
    outside = replace(context(directory, clock=clock), directory=directory)
    opened = open_store(config.stores["frankfurt"], config, outside, dry_run=False)
    source = MemorySource(now=clock.now)
    account = source.crm.record("Account", country="DE")
    for name, body in BODIES.items():
        source.crm.document("File", body, name=name, parents=[account])
    with open_ledger(directory / "ledger.sqlite", now=clock.now) as ledger:
        links = Links("https://files.example.com", b"key")
        report = run(Site(ledger, {"crm": source}, {"frankfurt": opened}, {"crm": MoveAll()}, links, outside))
    assert (report.moved, report.failed) == (len(BODIES), 0)
    return directory


def test_no_object_of_the_store_is_plain(encrypted: Path) -> None:
    """Documents and catalog alike begin as age files do, and no name or body stands in any of them."""
    found = [path.read_bytes() for path in (encrypted / "store").rglob("*") if path.is_file() and path.stat().st_size]
    sealed = [data for data in found if data.startswith(b"age-encryption.org/v1\n")]

    assert len(sealed) >= len(BODIES) + 3
    assert [data for data in found if b"offer" in data or b"one" * 3 in data] == []


@pytest.mark.parametrize("key", ["identity", "recovery/identity"])
def test_one_object_opens(encrypted: Path, key: str) -> None:
    """The page's line gives an object's plain bytes, with the service's key and with the recovery key."""
    largest = max((encrypted / "store/documents").rglob("*-*"), key=lambda path: path.stat().st_size)
    line = commands("contract.pdf", encrypted).replace(str(encrypted / "identity"), str(encrypted / key))

    shell(re.sub(r"documents/\S+", str(largest), line), encrypted)

    assert (encrypted / "contract.pdf").read_bytes() == BODIES["offer.pdf"]


def test_the_lists_check_what_the_store_holds(encrypted: Path) -> None:
    """The page's loop says nothing about a whole store, and names the list of an object that has another byte."""
    loop = commands("sha256sum", encrypted)
    whole = shell(loop, encrypted)
    blob = next(path for path in (encrypted / "store/documents").rglob("*-*") if path.is_file())
    body = blob.read_bytes()
    try:
        blob.write_bytes(body[:-1] + bytes([body[-1] ^ 1]))
        damaged = shell(loop, encrypted)
    finally:
        blob.write_bytes(body)

    assert whole == ""
    assert "see catalog/" in damaged


def test_the_whole_store_opens(encrypted: Path) -> None:
    """The page's loop makes the plain store, which the script for plain stores unpacks under its file names."""
    shell(commands("find catalog", encrypted), encrypted)

    done = python("unpack.py", encrypted / "plain", encrypted / "unpacked")

    assert done.returncode == 0, done.stderr
    found = {path.read_bytes() for path in (encrypted / "unpacked").rglob("*") if path.is_file()}
    assert found == set(BODIES.values())
