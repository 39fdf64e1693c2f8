"""What is handed out to auditors, and the programs that check it in a Python without offloader."""

from __future__ import annotations

import base64
import gzip
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from offloader.errors import ConfigError, IntegrityError, Refused
from offloader.moves import evidence
from offloader.signing import new_key, public_key
from tests.unit.audit.conftest import Office

ROOT = Path(__file__).resolve().parents[3]
INCLUSION = ROOT / "docs/examples/check_inclusion.py"


def python(script: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", "-S", str(script), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def proof(office: Office, tmp_path: Path) -> Path:
    """The proof of a document whose event is the eighth of thirteen."""
    office.grow(7)
    ref = office.seen("D1")
    office.grow(5)
    path = tmp_path / "proof.json"
    with office.site(exclusive=False) as site:
        entry = site.ledger.entry(ref)
        assert entry is not None
        path.write_text(json.dumps(evidence.prove(site, entry)), encoding="ascii")
    return path


def edited(path: Path, *keys: Any, value: Any) -> Path:
    whole = json.loads(path.read_text(encoding="ascii"))
    part = whole
    for key in keys[:-1]:
        part = part[key]
    part[keys[-1]] = value
    path.write_text(json.dumps(whole), encoding="ascii")
    return path


def test_the_checker_is_short_and_needs_only_python() -> None:
    """The program that an auditor reads before trusting it has under 80 lines."""
    assert len(INCLUSION.read_text(encoding="ascii").splitlines()) < 80


def test_a_proof_is_accepted(office: Office, proof: Path) -> None:
    """A document's events are proven to be in the signed log, by the page's program alone."""
    done = python(INCLUSION, proof, office.public)

    assert done.returncode == 0, done.stderr
    assert "crm/File/D1: 1 events are in the log" in done.stdout
    assert ("signature: good" in done.stdout) is (shutil.which("openssl") is not None)


@pytest.mark.parametrize(
    ("keys", "value", "said"),
    [
        (("events", 0, "event", "data"), {"ref": "crm/File/D2"}, "event 8 is not in the log"),
        (("events", 0, "event", "seq"), 7, "event 7 is not in the log"),
        (("events", 0, "proof"), [], "event 8 is not in the log"),
        (("checkpoint", "at"), "2020-01-01", "the signature is over another checkpoint"),
    ],
)
def test_a_forged_proof_is_refused(proof: Path, keys: tuple[Any, ...], value: Any, said: str) -> None:
    """A proof of which anything was changed is refused."""
    done = python(INCLUSION, edited(proof, *keys, value=value))

    assert done.returncode == 1
    assert said in done.stderr


def test_a_proof_signed_by_somebody_else_is_refused(office: Office, proof: Path) -> None:
    """The auditor's own public key decides, not the one in the file."""
    done = python(INCLUSION, proof, public_key(new_key()))

    assert (done.returncode, "not by this key" in done.stderr) == (1, True)


def test_a_proof_needs_a_checkpoint_over_all_its_events(office: Office) -> None:
    """Without a checkpoint, or with events since the newest, there is no proof, and it says what to do."""
    ref = office.seen("D1")

    def prove() -> dict[str, Any]:
        with office.site(exclusive=False) as site:
            entry = site.ledger.entry(ref)
            assert entry is not None
            return evidence.prove(site, entry)

    with pytest.raises(Refused, match="no checkpoint yet"):
        prove()
    office.grow(1)
    assert len(prove()["events"]) == 1
    with office.site() as site:
        site.ledger.record_event("more", document=1, data={})
    with pytest.raises(Refused, match="event 3 is newer"):
        prove()
    office.forge("DELETE FROM events WHERE seq = 1")
    with pytest.raises(IntegrityError):
        prove()


@pytest.fixture
def exported(office: Office, tmp_path: Path) -> Path:
    office.seen("D1")
    office.grow(6, 1, 9)
    with office.site() as site:
        office.write(2, site)
    with office.site(exclusive=False) as site:
        counts = evidence.export(site, tmp_path / "export")
    assert counts == {"events": 19, "checkpoints": 3}
    return tmp_path / "export"


def events_of(folder: Path) -> list[dict[str, Any]]:
    with gzip.open(folder / "events.jsonl.gz", "rt", encoding="ascii") as lines:
        return [json.loads(line) for line in lines]


def rewrite(folder: Path, events: list[dict[str, Any]]) -> None:
    with gzip.open(folder / "events.jsonl.gz", "wt", encoding="ascii") as lines:
        lines.writelines(json.dumps(event) + "\n" for event in events)


def test_an_export_checks_itself(office: Office, exported: Path) -> None:
    """The folder holds the whole log with its schema, key and checkpoints, and a program that finds it good."""
    done = python(exported / "check_export.py")
    schema = json.loads((exported / "events.schema.json").read_text(encoding="ascii"))

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("19 events hold together and fit 3 checkpoints")
    assert (exported / "public_key.txt").read_text(encoding="ascii").strip() == office.public
    for event in events_of(exported):
        assert sorted(event) == schema["required"] == sorted(schema["properties"])


@pytest.mark.parametrize("act", ["edit", "delete", "swap", "cut", "checkpoint"])
def test_an_export_that_was_changed_is_found(exported: Path, act: str) -> None:
    """An event that was edited, taken out, moved or cut off, and a checkpoint of another log, are found."""
    events = events_of(exported)
    if act == "edit":
        events[3]["data"] = {"n": -1}
    elif act == "delete":
        del events[3]
    elif act == "swap":
        events[3], events[4] = events[4], events[3]
    elif act == "cut":
        del events[10:]
    else:
        path = exported / "checkpoints.jsonl"
        path.write_text(path.read_text(encoding="ascii").replace('"root":"', '"root":"0', 1), encoding="ascii")
    rewrite(exported, events)

    done = python(exported / "check_export.py")

    assert done.returncode == 1
    expected = {"cut": "ends at event 10", "checkpoint": "event 7 or one"}.get(act, "event 4 ")
    assert expected in done.stderr


def test_checkpoints_of_an_export_are_consistent(exported: Path) -> None:
    """Each checkpoint comes with the proof that its log goes on from the one before."""
    lines = [json.loads(line) for line in (exported / "checkpoints.jsonl").read_text(encoding="ascii").splitlines()]

    assert [(line["consistency"]["from"], line["checkpoint"]["size"]) for line in lines] == [(0, 7), (7, 8), (8, 17)]
    payload = lines[1]["signature"].split(".")[1]
    assert json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))) == lines[1]["checkpoint"]
    assert [bool(line["consistency"]["proof"]) for line in lines] == [False, True, True]


def test_an_export_overwrites_nothing(office: Office, tmp_path: Path) -> None:
    """A folder that holds something is refused."""
    office.grow(1)
    (tmp_path / "full").mkdir()
    (tmp_path / "full/mine.txt").touch()

    with office.site(exclusive=False) as site, pytest.raises(ConfigError, match="not empty"):
        evidence.export(site, tmp_path / "full")
