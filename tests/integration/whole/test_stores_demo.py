"""`offloader demo --stores s3,azure`: the whole job into both servers, and what it says where they are missing."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from offloader.cli.main import main
from offloader_connectors.azure_blob.testparts.azurite import how_to_install, is_installed
from tests import processes
from tests.integration.whole.plant import TIMEOUT_S
from tests.tools import missing


def test_the_demo_moves_documents_into_both() -> None:
    """Documents go to buckets and containers, each law is proven, and Azurite on its own is refused, with a reason."""
    if not is_installed(os.environ):
        missing("Azurite", how_to_install(os.environ))
    program = ["-m", "offloader", "demo", "--documents", "20", "--stores", "s3,azure", "--json"]
    done = processes.run(program, timeout=TIMEOUT_S)
    assert done.returncode == 0, done.stderr[-2000:]
    answer: dict[str, Any] = json.loads(done.stdout)
    proof = answer["proof"]
    assert proof["holds"]
    assert answer["moved"] == answer["links_verified"] == answer["originals_removed"] > 10
    assert {store for store, count in proof["by_store"].items() if count} >= {"de", "us"}
    assert [*answer["stores_refused"]] == ["azure"]
    assert "UNPROVEN" in answer["stores_refused"]["azure"]
    assert "management API" in answer["stores_refused"]["azure"]
    purge = answer["purge"]
    assert (purge["records"], purge["deleted"], purge["problems"]) == (18, 10, [])
    assert purge["sorts"]["closed cases"] == {"records": 6, "deleted": 3}
    assert [len(purge[name]) for name in ("held", "restored", "archives", "reports")] == [2, 2, 2, 2]
    erasure = answer["erasure"]
    assert (erasure["documents"], erasure["problems"]) == (erasure["copies"], [])
    assert {Path(file).suffixes[-2] for file in erasure["files"] if file.endswith(".html")} == {".en", ".nl"}


@pytest.mark.parametrize(
    ("stores", "command"),
    [("s3", "pip install ministack"), ("azure", "npm install --prefix {place} azurite@")],
)
def test_what_is_missing_is_named_with_its_command(
    stores: str, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a server the demo ends with exit 2 and the command that installs it, and leaves nothing behind."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("OFFLOADER_AZURITE", str(tmp_path / "azurite"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(SystemExit) as ended:
        main(["demo", "--documents", "1", "--stores", stores, "--json"])
    answer = json.loads(capsys.readouterr().out)
    assert (ended.value.code, answer["error"]) == (2, "ConfigError")
    assert command.format(place=tmp_path / "azurite") in answer["message"]
    assert [*tmp_path.iterdir()] == []
