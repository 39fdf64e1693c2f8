"""Around the job: disks, clocks, other offloaders, configuration, permissions, and kills in the middle of a restore."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import processes
from tests.integration.whole.ground import Ground

BACKWARDS = """
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from offloader.config import load_config
from offloader.moves.run import run
from offloader.system import system_context
from offloader.wiring import open_site

path = Path(sys.argv[1])
context = system_context(path.parent)
with open_site(load_config(path), replace(context, now=lambda: context.now() - timedelta(days=1))) as site:
    report = run(site)
    print(report.moved, report.failed, report.conflict)
"""


@pytest.fixture
def small_disk(ground: Ground) -> Iterator[Path]:
    """The German store's folder is a disk of one megabyte."""
    folder = ground.directory / "stores/de"
    folder.mkdir(parents=True)
    ground.configure("stores", de={"filesystem": "tmpfs"})
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], check=True, capture_output=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True, capture_output=True)


def test_a_full_disk_stops_the_store_and_loses_nothing(ground: Ground, small_disk: Path) -> None:
    """Documents for a full store stay in the CRM, the message names the store; with room again they move."""
    for number in range(8):
        ground.file(f"large {number}", os.urandom(300_000))
    ground.remember()
    report = ground.offloader("run", expect=(1,))
    assert report["failed"] >= 1
    assert "store de" in report["stopped"]
    assert "room" in report["stopped"]
    assert report["moved"] + len(ground.witness().documents) == 8
    ground.nothing_lost()
    subprocess.run(["mount", "-o", "remount,size=20m", str(small_disk)], check=True, capture_output=True)
    ground.converges(moved=8 - report["moved"])


def test_a_second_offloader_is_sent_away(ground: Ground) -> None:
    """While one offloader works the second refuses, naming the first, and disturbs nothing."""
    ground.files(6)
    ground.remember()
    ground.script({"on": "blob.get", "do": "delay", "seconds": 3})
    with processes.started(ground.command("run")[1:]) as first:
        while not ground.downloads():
            assert first.is_alive()
        second = ground.offloader("run", expect=(4,))
        assert f"pid {first.pid}" in second["message"]
        first.join()
        assert first.exitcode == 0
    ground.converges(moved=0)


def test_a_clock_that_went_backwards_changes_nothing(ground: Ground) -> None:
    """A run on a machine whose clock is a day behind the last run's moves new documents, and events stay in order."""
    ground.files(2)
    ground.offloader("run", expect=(0,))
    ground.file("later", created=ground.org.now())
    ground.remember()
    command = [sys.executable, "-c", BACKWARDS, str(ground.config)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "0", "0"]
    with sqlite3.connect(ground.directory / "ledger.sqlite") as ledger:
        times = [row[0] for row in ledger.execute("SELECT at FROM events ORDER BY seq")]
    assert times == sorted(times)
    ground.converges(moved=0)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (("gateway:", "gatewai: {}\ngateway:"), "gatewai: unknown key"),
        (("file:salesforce_client_secret", "a-literal-secret"), "must be a reference"),
        (("country: DE", "country: ZZ"), "country"),
        (("ca.pem", "missing.pem"), "missing.pem"),
        (("file:link_key", "file:missing_key"), "missing_key"),
    ],
    ids=["unknown-key", "literal-secret", "no-such-country", "missing-ca-file", "missing-secret-file"],
)
def test_a_wrong_configuration_is_named_with_its_place(ground: Ground, damage: tuple[str, str], says: str) -> None:
    """A mistake in the configuration ends every command with exit 2 and its place, and never shows a secret."""
    text = ground.config.read_text(encoding="utf-8")
    assert damage[0] in text
    ground.config.write_text(text.replace(*damage, 1), encoding="utf-8")
    for command in ("run", "scan"):
        answer = ground.offloader(command, expect=(2,))
        assert answer["error"] == "ConfigError"
        assert says in answer["message"]
        assert "a-literal-secret" not in str(answer)
    assert not ground.emulator.counters.total


def test_a_missing_configuration_is_named(ground: Ground) -> None:
    """Without its file every command ends with exit 2, and says how to make one."""
    ground.config.unlink()
    answer = ground.offloader("run", expect=(2,))
    assert str(ground.config) in answer["message"]
    assert "offloader init" in answer["message"]


def test_a_ledger_of_a_newer_version_is_left_alone(ground: Ground) -> None:
    """A ledger that a newer program wrote is neither changed nor used."""
    ground.files(1)
    ground.offloader("run", expect=(0,))
    path = ground.directory / "ledger.sqlite"
    with sqlite3.connect(path) as ledger:
        ledger.execute("UPDATE alembic_version SET version_num = 'r9999'")
    ledger.close()
    before = path.read_bytes()
    answer = ground.offloader("run", expect=(2,))
    assert "newer" in answer["message"]
    assert str(path) in answer["message"]
    assert path.read_bytes() == before


def test_an_expired_attestation_moves_nothing(ground: Ground) -> None:
    """Documents whose store is no longer proven to be in their country stay, and move once it is attested again."""
    ground.files(2)
    ground.remember()
    text = ground.config.read_text(encoding="utf-8")
    ground.configure("stores", **{name: {"attested_until": "2020-01-01"} for name in ("de", "us", "au", "br")})
    report = ground.offloader("run", expect=(0, 3))
    assert report["moved"] == report["versions_copied"] == 0
    assert report["blocked"] + report["review"] + report["kept"] == 2
    assert not [path for path in (ground.directory / "stores").rglob("*") if path.is_file()]
    ground.config.write_text(text, encoding="utf-8")
    ground.converges(moved=2)


@pytest.mark.parametrize("missing", ["QueryAllFiles", "ModifyAllData"])
def test_a_scan_that_cannot_see_everything_says_so(ground: Ground, missing: str) -> None:
    """Without a permission that shows all documents a scan is NOT complete, says what is hidden, and exits with 3."""
    ground.file(), ground.email_attachment()
    rows = ground.org.rows("PermissionSet")
    everything = {name.removeprefix("Permissions") for row in rows for name, value in row.items() if value is True}
    granted = {name for name in everything if not name.startswith("Is")} - {missing}
    ground.org.user(username="integration@offloader.example", permissions=granted)
    answer = ground.offloader("scan", expect=(3,))
    assert answer["complete"] is False
    assert any("Hidden:" in spot for spot in answer["blind_spots"])
    shown = processes.run(ground.command("scan")[1:], timeout=60)
    assert "NOT complete" in shown.stdout
    assert shown.returncode == 3
