"""The examples of the pages do what the pages say."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import pytest

from offloader.ledger import open_ledger
from offloader.model import Decision, Document, DocumentRef, Reason, Verdict
from offloader.moves.run import run
from offloader.moves.sealing import export_plan
from offloader.moves.site import Links, Site
from offloader.ports import Store, Target, Terms
from offloader.testing import FakeClock, MemorySource, context
from offloader.testing.store_contract import StoreContract
from offloader_connectors.filesystem.location import mount_of
from offloader_connectors.filesystem.plugin import STORE as FILESYSTEM
from tests.docs.conftest import DOCS, blocks, load_module

sqlite_store = load_module(DOCS / "examples/sqlite_store.py")


class TestSqliteStore(StoreContract):
    """The example store of the page about connectors keeps the store contract."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> Store:
        options = {"path": "objects.sqlite", "country": "DE", "attested_by": "me", "attested_until": "2027-12-31"}
        opened: Store = sqlite_store.STORE.open(
            "de", sqlite_store.SqliteOptions.model_validate(options), context(tmp_path)
        )
        return opened

    @pytest.fixture
    def full_store(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> Store:
        connect = store._connect  # type: ignore[attr-defined]

        def limited() -> sqlite3.Connection:
            connection: sqlite3.Connection = connect()
            connection.execute("PRAGMA max_page_count = 64")
            return connection

        monkeypatch.setattr(store, "_connect", limited)
        return store


@dataclass
class MoveAll:
    """A policy that moves everything to the one store."""

    fingerprint: str = "1"
    terms: Terms = field(default_factory=Terms)

    def decide(self, document: Document, targets: Sequence[Target], now: datetime) -> Decision:
        return Decision(verdict=Verdict.MOVE, reasons=(Reason("PLACED", "Köln"),), store=targets[0].store)


@dataclass(frozen=True)
class Archive:
    """What a run has left on the disk."""

    directory: Path
    bodies: dict[DocumentRef, tuple[bytes, ...]]

    @property
    def ledger(self) -> Path:
        return self.directory / "ledger.sqlite"

    @property
    def store(self) -> Path:
        return self.directory / "store"

    def blob(self) -> Path:
        """One of the stored bodies that is not empty."""
        return next(path for path in self.store.rglob("documents/**/*") if path.is_file() and path.stat().st_size)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    """Documents with awkward names, moved by a real run to a real store; a plan of it as `plan --out` writes it."""
    directory, clock = tmp_path_factory.mktemp("archive"), FakeClock()
    source = MemorySource(now=clock.now)
    made = {
        ("../../evil\r\n.txt", b"one"),
        ("Größe \u202e 🧾.pdf", b"two", b"three"),
        ("", b""),
        ("x" * 300 + ".pdf", b"four"),
    }
    account = source.crm.record("Account", country="DE")
    bodies = {source.crm.document("File", *body, name=name, parents=[account]): body for name, *body in made}
    options = {"path": "store", "country": "DE", "attested_by": "me", "attested_until": "2027-12-31"}
    options["filesystem"] = mount_of(str(directory.resolve())).type
    store = FILESYSTEM.open("de", FILESYSTEM.options.model_validate(options), context(directory, clock=clock))
    with open_ledger(directory / "ledger.sqlite", now=clock.now) as ledger:
        links, outside = Links("https://files.example.com", b"key"), context(directory, clock=clock)
        site = Site(ledger, {"crm": source}, {"de": store}, {"crm": MoveAll()}, links, outside)
        report = run(site)
        assert (report.moved, report.failed) == (len(made), 0)
        assert report.plan
        (directory / "plan.jsonl").write_bytes(b"".join(export_plan(site, report.plan)))
    return Archive(directory, {ref: tuple(body) for ref, body in bodies.items()})


def python(script: str, *arguments: Path) -> subprocess.CompletedProcess[str]:
    """Run a script of the pages in a Python that cannot import offloader."""
    command = [sys.executable, "-I", "-S", str(DOCS / "examples" / script), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_log_checker_agrees_with_the_ledger(archive: Archive) -> None:
    """The page's checker, which knows nothing of offloader, finds the head that the ledger has."""
    with open_ledger(archive.ledger, now=FakeClock().now, exclusive=False) as opened:
        head = opened.head()

    done = python("check_log.py", archive.ledger)

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{head.seq} events")
    assert head.hash in done.stdout


@pytest.mark.parametrize("act", ["UPDATE events SET data = '{}' WHERE seq = 3", "DELETE FROM events WHERE seq = 3"])
def test_the_log_checker_finds_a_changed_event(archive: Archive, tmp_path: Path, act: str) -> None:
    """An event that somebody changed or took out of the file is named."""
    ledger = tmp_path / "ledger.sqlite"
    ledger.write_bytes(archive.ledger.read_bytes())
    connection = sqlite3.connect(ledger)
    for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        connection.execute(f'DROP TRIGGER "{name}"')
    connection.execute(act)
    connection.commit()
    connection.close()

    done = python("check_log.py", ledger)

    assert done.returncode == 1
    assert "event 3" in done.stderr


def test_a_plan_can_be_checked(archive: Archive, tmp_path: Path) -> None:
    """The exported plan has the SHA-256 that was sealed, and another one when a line is changed."""
    plan = archive.directory / "plan.jsonl"
    changed = tmp_path / "plan.jsonl"
    changed.write_bytes(plan.read_bytes().replace(b'"store":"de"', b'"store":"us"', 1))

    good, bad = python("check_plan.py", plan), python("check_plan.py", changed)

    assert good.returncode == 0, good.stderr
    assert json.loads(plan.read_bytes().splitlines()[0])["sha256"] in good.stdout
    assert bad.returncode == 1


def sums(archive: Archive) -> subprocess.CompletedProcess[str]:
    """The page's own sha256sum command, in the store's folder."""
    found = [block.text.strip() for block in blocks(DOCS / "prove.md") if "sha256sum" in block.text]
    folder, _, command = next(text for text in found if text.startswith("cd ")).partition(" && ")
    assert folder == "cd /srv/offloader/frankfurt"
    return subprocess.run(["sh", "-c", command], cwd=archive.store, capture_output=True, text=True, check=False)


def test_the_store_can_be_checked_by_sha256sum(archive: Archive) -> None:
    """The page's command is silent on a store as it is, and names an object when a byte of it is another one."""
    good = sums(archive)
    blob = archive.blob()
    body = blob.read_bytes()
    try:
        blob.write_bytes(bytes([body[0] ^ 1]) + body[1:])
        bad = sums(archive)
    finally:
        blob.write_bytes(body)

    assert (good.returncode, good.stdout) == (0, ""), good.stderr
    assert bad.returncode == 1
    assert str(blob.relative_to(archive.store)) in bad.stdout


def test_the_store_can_be_unpacked(archive: Archive, tmp_path: Path) -> None:
    """The page's script gives back every version's bytes, one file each, and no name leads out of the folder."""
    target = tmp_path / "inside" / "unpacked"

    done = python("unpack.py", archive.store, target)

    assert done.returncode == 0, done.stderr
    found = {path.parent.relative_to(target): path.read_bytes() for path in target.rglob("*") if path.is_file()}
    expected = {
        Path(ref.kind) / ref.id / str(number): body
        for ref, versions in archive.bodies.items()
        for number, body in enumerate(versions, 1)
    }
    assert found == expected
    assert [path for path in tmp_path.rglob("*") if path.is_file() and target not in path.parents] == []


def test_the_unpacker_stops_at_a_wrong_byte(archive: Archive, tmp_path: Path) -> None:
    """A stored body that is not what was stored is named, not unpacked."""
    blob = archive.blob()
    body = blob.read_bytes()
    try:
        blob.write_bytes(body + b"?")
        done = python("unpack.py", archive.store, tmp_path)
    finally:
        blob.write_bytes(body)

    assert done.returncode == 1
    assert "is not what was stored" in done.stderr
