"""An erasure by command line: found, planned, approved, carried out, certified; and the access pack."""

from __future__ import annotations

import io
import json
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from offloader import signing
from offloader.ledger.codec import load
from offloader.system import system_context
from tests.integration.whole.plant import Plant


def governed(plant: Plant) -> Path:
    """Give the plant two people and a key for its log; return the second person's key."""
    yaml = YAML(typ="safe", pure=True)
    config: dict[str, Any] = yaml.load(plant.config.read_text(encoding="utf-8"))
    private = signing.new_key()
    key, audit = plant.directory / "anna.jwk", plant.directory / "audit.jwk"
    key.write_text(private, encoding="ascii")
    audit.write_text(signing.new_key(), encoding="ascii")
    config["people"] = {
        "maker": {"name": "Mia Maker", "login": system_context(plant.directory).account},
        "anna": {"name": "Anna Ames", "role": "data-protection officer", "public_key": signing.public_key(private)},
    }
    config["audit"] = {"key": "file:audit.jwk"}
    config["reports"] = {"organisation": "Acme BV"}
    out = io.StringIO()
    yaml.dump(config, out)
    plant.config.write_text(out.getvalue(), encoding="utf-8")
    return key


def somebody(plant: Plant) -> tuple[str, str]:
    """A record that a moved document hangs on alone, and the document."""
    with closing(sqlite3.connect(plant.directory / "ledger.sqlite")) as connection:
        rows = connection.execute(
            "SELECT source || '/' || kind || '/' || id, body FROM documents WHERE link_id IS NOT NULL AND kind = ?",
            ("ContentDocument",),
        ).fetchall()
    for ref, body in rows:
        parents = load(body).get("parents", [])
        if len(parents) == 1:
            return f"{parents[0][0]}:{parents[0][1]}", ref
    raise AssertionError("no document hangs on one record alone")


def test_from_a_request_to_its_certificate(plant_of: Callable[..., Plant]) -> None:
    """What is asked for is packed, found, planned and erased by its plan alone, and the certificate lists each copy."""
    plant = plant_of(30)
    key = governed(plant)
    plant.offloader("run")
    record, ref = somebody(plant)
    pack = plant.directory / "pack"

    found = plant.offloader("erase", "find", record)
    assert ref in {each["document"] for each in found["documents"]}
    given = plant.offloader("export", record, "--out", str(pack))
    tool = shutil.which("sha256sum")
    assert tool
    subprocess.run([tool, "--quiet", "-c", "manifest-sha256.txt"], cwd=pack, check=True)
    assert given["documents"] == len(found["documents"])

    made = plant.offloader("erase", "plan", record, "--received", "2024-01-31")
    going = [each["document"] for each in made["documents"] if each["act"] == "erase"]
    assert ref in going
    assert made["request"]["due"] == "2024-02-29"
    plant.offloader("approve", made["plan"], "--key", str(key), "--reason", "checked")
    report = plant.offloader("apply", made["plan"], expect=(0, 3))
    assert report["states"]["done"] == len(going)

    again = plant.offloader("erase", "find", record)
    assert ref not in {each["document"] for each in again["documents"]}
    shown = plant.offloader("erase", "certificate", made["plan"], "--out", str(plant.directory / "proof"))
    value = json.loads(Path(shown["files"][0]).read_text(encoding="utf-8"))
    signature = value.pop("signature")
    audit = (plant.directory / "audit.jwk").read_text(encoding="ascii")
    assert signing.opened(signature, signing.public_key(audit)) == value
    copies = [copy for each in value["documents"] for copy in each["copies"]]
    assert copies
    for copy in copies:
        assert not (plant.directory / "stores" / copy["store"] / copy["key"]).exists()
    assert [each["person"] for each in value["approvals"]] == ["anna"]
    assert value["controller"] == "Acme BV"
    name = value["documents"][0]["known_as"]
    assert plant.offloader("audit", "prove", name, "--out", str(plant.directory / "event.json"))
    assert {each["id"] for each in plant.offloader("erase", "status")["requests"]} >= {made["request"]["id"]}
    plant.offloader("reconcile")
    replay = plant.offloader("erase", "replay")
    assert (replay["tombstones"], replay["plan"]) == (len(going) + 1, None)  # the person has one too
