"""`offloader hold` and `offloader audit` on the command line, from the key to the proof."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from offloader.cli.main import main
from offloader.config import load_config
from offloader.ledger import open_ledger
from offloader.ledger.lock import Lock
from offloader.model import Document, DocumentRef, Parent, Version
from offloader.ports import Page
from offloader.system import system_context

Run = Callable[..., tuple[int, dict[str, Any]]]
CONFIG = """
gateway: {{url: "https://files.example.com", link_key: env:LINK_KEY}}
sources:
  sales:
    type: salesforce
    login_url: https://acme.my.salesforce.com
    client_id: id
    client_secret: env:NEVER_SET
stores:
  here: {{type: filesystem, path: store, country: DE, attested_by: me, attested_until: 2199-12-31}}
policies:
  residency: {{type: residency}}
audit: {{key: "file:audit.jwk"}}
people:
  anna: {{name: Anna, login: {account}}}
  carl: {{name: Carl, public_key: {public}}}
"""


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command line on a configuration of its own: exit code and JSON."""
    monkeypatch.setenv("LINK_KEY", "secret")

    def call(*arguments: str) -> tuple[int, dict[str, Any]]:
        with pytest.raises(SystemExit) as ended:
            main(["-c", str(tmp_path / "offloader.yaml"), *arguments, "--json"])
        answer = json.loads(capsys.readouterr().out)
        assert answer["exit_code"] == int(ended.value.code or 0)
        return answer["exit_code"], answer

    public = call("audit", "key", "--out", str(tmp_path / "carl.jwk"))[1]["public_key"]
    call("audit", "key", "--out", str(tmp_path / "audit.jwk"))
    account = system_context(tmp_path).account
    text = CONFIG.format(account=json.dumps(account), public=json.dumps(public))
    (tmp_path / "offloader.yaml").write_text(text, encoding="utf-8")
    return call


@pytest.fixture
def ledger(run: Run, tmp_path: Path) -> Path:
    """A ledger with two documents, one of them on an account."""
    path = load_config(tmp_path / "offloader.yaml").ledger_path
    version = Version(id="v", number=1, name="n", size=1)
    one = Document(
        ref=DocumentRef("sales", "ContentDocument", "069A"),
        title="t",
        versions=(version,),
        parents=(Parent(type="Account", id="001A"),),
    )
    two = replace(one, ref=DocumentRef("sales", "ContentDocument", "069B"), parents=())
    with open_ledger(path, now=system_context(tmp_path).now) as opened:
        opened.record_page("sales", "ContentDocument", Page(documents=(one, two)), since=None)
    return path


def test_a_key_is_secret_and_never_overwritten(run: Run, tmp_path: Path) -> None:
    """A new key is readable by its owner alone; an existing file is left as it is."""
    path = tmp_path / "carl.jwk"
    before = path.read_bytes()

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert run("audit", "key", "--out", str(path))[0] == 2
    assert path.read_bytes() == before


def test_a_hold_from_its_beginning_to_its_end(run: Run, ledger: Path, tmp_path: Path) -> None:
    """A hold is added, listed with what it covers, and ends when two different people have released it."""
    said = ("--reason", "counsel says so")
    code, added = run("hold", "add", "--matter", "Doe", "--record", "Account:001A", *said)
    assert (code, added["documents"], added["by"], added["moves_allowed"]) == (0, 1, "anna", False)
    hold = added["hold"]

    first = run("hold", "release", hold, *said)
    twice = run("hold", "release", hold, *said)
    second = run("hold", "release", hold, *said, "--key", str(tmp_path / "carl.jwk"))

    assert (first[0], first[1]["released"]) == (0, False)
    assert (twice[0], twice[1]["error"]) == (4, "Refused")
    assert (second[0], second[1]["released"]) == (0, True)
    listed = run("hold", "list", "--matter", "Doe")[1]["holds"]
    assert [(each["hold"], each["released"], each["documents"]) for each in listed] == [(hold, True, 1)]
    assert [each["person"] for each in listed[0]["agreed"]] == ["anna", "carl"]
    assert run("hold", "list", "--matter", "Roe")[1]["holds"] == []


def test_a_record_is_held_by_either_of_its_names(run: Run, ledger: Path) -> None:
    """TYPE:ID and SOURCE/TYPE/ID, as other commands print it, hold the same record."""
    for name in ("Account:001A", "salesforce/Account/001A"):
        code, added = run("hold", "add", "--matter", "Doe", "--record", name, "--reason", "r")
        assert (code, added["documents"], added["scope"]["records"]) == (0, 1, ["Account:001A"]), name


@pytest.mark.parametrize(
    "scope",
    [
        [],
        ["--record", "Account"],
        ["--record", "crm/Account"],
        ["--query", "title=x"],
        ["--created-from", "yesterday"],
        ["--document", "069A"],
    ],
)
def test_a_scope_that_cannot_be_meant_is_refused(run: Run, ledger: Path, scope: list[str]) -> None:
    """Without a scope, or with one that cannot be understood, no hold is added."""
    code, _ = run("hold", "add", "--matter", "Doe", "--reason", "r", *scope)

    assert code in (1, 2)
    assert run("hold", "list")[1]["holds"] == []


def test_a_hold_is_added_while_a_run_has_the_ledger(run: Run, ledger: Path, tmp_path: Path) -> None:
    """While another process has the ledger a hold is written at once, and its event by the next one that may."""
    lock = Lock(ledger, system_context(tmp_path).now())
    try:
        code, added = run("hold", "add", "--matter", "Doe", "--owner", "005A", "--reason", "r")
    finally:
        lock.release()

    assert code == 0
    code, found = run("audit", "verify")
    assert any("not in the log yet" in note for note in found["notes"])
    run("audit", "checkpoint")
    assert run("audit", "verify")[1]["notes"] == []
    assert added["hold"] == run("hold", "list")[1]["holds"][0]["hold"]


def test_the_log_is_sealed_verified_proven_and_exported(run: Run, ledger: Path, tmp_path: Path) -> None:
    """A checkpoint is made and signed, verified against a kept copy, and documents are proven from it."""
    code, made = run("audit", "checkpoint")
    assert (code, made["size"], made["signed"], made["notes"]) == (0, 2, True, [])
    proof = tmp_path / "proof.json"

    assert run("audit", "prove", "sales/ContentDocument/069A", "--out", str(proof))[1]["events"] == 1
    kept = tmp_path / "kept.jws"
    kept.write_text(json.loads(proof.read_text(encoding="ascii"))["signature"], encoding="ascii")
    assert run("audit", "verify", "--checkpoint", str(kept))[1]["signatures"] == 2
    assert run("audit", "export", "--out", str(tmp_path / "export"))[1]["events"] == 2
    assert run("audit", "prove", "sales/ContentDocument/none", "--out", str(proof))[0] == 1
    assert run("audit", "verify", "--public", "A" * 43)[0] == 1
