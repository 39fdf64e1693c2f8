"""`offloader report` by the command line."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from offloader.cli.main import main
from offloader.ledger import open_ledger
from offloader.model import Document, DocumentRef, Parent, Version
from offloader.ports import Page
from offloader.system import system_context

CONFIG = """
gateway: {url: "https://files.example.com", link_key: "file:key"}
sources:
  crm:
    type: salesforce
    login_url: https://kade.my.salesforce.com
    client_id: app
    client_secret: file:key
    held_in: [US]
stores:
  frankfurt: {type: filesystem, path: frankfurt, country: DE, attested_by: J. de Vries}
policies:
  residency: {type: residency}
reports: {organisation: Kade B.V.}
"""
AT = datetime(2026, 3, 1, tzinfo=UTC)
Run = Callable[..., tuple[int, dict[str, Any]]]


def made(number: int, country: str) -> Document:
    version = Version(id=f"068{number}", number=1, name=f"contract {number}.pdf", size=100, etag="1", created=AT)
    parent = Parent(type="Account", id=f"001{number}", signals={"country": country})
    ref = DocumentRef("crm", "ContentDocument", f"069{number}")
    return Document(ref=ref, title=version.name, versions=(version,), parents=(parent,), created=AT, etag="1")


@pytest.fixture
def offloader(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command line in a folder with a configuration and a scanned ledger; its exit code and its JSON."""
    monkeypatch.chdir(tmp_path)
    config = tmp_path / "offloader.yaml"
    config.write_text(CONFIG, "utf-8")
    (tmp_path / "key").write_text("0" * 64, "ascii")
    page = Page(documents=(made(1, "DE"), made(2, "CN"), made(3, "")), watermark="1")
    with open_ledger(tmp_path / "ledger.sqlite", now=system_context(tmp_path).now) as ledger:
        ledger.record_page("crm", "ContentDocument", page, since=None)

    def run(*arguments: str) -> tuple[int, dict[str, Any]]:
        with pytest.raises(SystemExit) as ended:
            main([*arguments, "--json"])
        return int(ended.value.code or 0), json.loads(capsys.readouterr().out)

    return run


def test_a_plan_is_reported_in_the_formats_asked_for(offloader: Run, tmp_path: Path) -> None:
    """The files stand in the folder under the report's id, the numbers on stdout, and no file name in any of them."""
    _, planned = offloader("plan")

    code, answer = offloader("report", planned["plan"], "--format", "csv, jsonl", "--out", "out/reports")

    assert code == 0
    assert (answer["mode"], answer["plan"], answer["sha256"]) == ("dry-run", planned["plan"], planned["sha256"])
    assert answer["verdicts"] == {verdict: planned["verdicts"].get(verdict, 0) for verdict in answer["verdicts"]}
    assert answer["exceptions"] == answer["verdicts"]["BLOCKED"] + answer["verdicts"]["REVIEW"] >= 1
    files = {name: tmp_path / path for name, path in answer["files"].items()}
    assert {path.name for path in (tmp_path / "out/reports").iterdir()} == {
        f"{answer['report']}.csv",
        f"{answer['report']}.jsonl",
    }
    texts = {name: path.read_text("utf-8-sig") for name, path in files.items()}
    rows = list(csv.DictReader(texts["csv"].splitlines()))
    assert sorted(row["id"] for row in rows) == ["0691", "0692", "0693"]
    assert not any("contract 1" in text for text in texts.values())
    assert {row["source_countries"] for row in rows} == {"US"}


def test_names_seed_number_and_folder_of_a_report(offloader: Run, tmp_path: Path) -> None:
    """Names are printed when asked for, the seed is the given one, the next report has the next number."""
    _, planned = offloader("plan")
    _, first = offloader("report", planned["plan"], "--format", "csv")

    code, second = offloader("report", planned["plan"], "--format", "csv", "--names", "--seed", "7")

    refused, answer = offloader("report", planned["plan"], "--out", "offloader.yaml")

    assert (refused, answer["error"]) == (2, "ConfigError")
    assert (code, second["seed"]) == (0, 7)
    assert int(second["report"][-4:]) == int(first["report"][-4:]) + 1
    assert "contract 1.pdf" in (tmp_path / second["files"]["csv"]).read_text("utf-8-sig")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("P-20000101-0001",), "P-20000101-0001"),
        (("P-1", "--format", "docx"), "html, xlsx, csv, jsonl, pdf"),
        (("P-1", "--format", ","), "html, xlsx"),
        (("P-1", "--lang", "de"), "en, nl"),
    ],
)
def test_what_cannot_be_reported_is_said(offloader: Run, arguments: tuple[str, ...], words: str) -> None:
    """An unknown plan, format or language is a mistake in the command and is named."""
    code, answer = offloader("report", *arguments)

    assert (code, answer["error"]) == (2, "ConfigError")
    assert words in answer["message"]
