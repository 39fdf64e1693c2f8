"""Expiry by command line: planned and carried out, with the real connector and real stores."""

from __future__ import annotations

import contextlib
import io
import json
import sqlite3
from collections.abc import Callable
from typing import Any

from ruamel.yaml import YAML

from tests.integration.whole.plant import Plant

POLICY = """\
policy: short
version: "1"
clauses:
  - id: files
    select: {everything: true}
    then: move
    retention: [{id: OWN-1, erase: P1D, from: doc_date}]
residency: {retention: {by_law: false}}
expiry: {after: delete}
deletions: {grace: 30}
"""


def governed(plant: Plant) -> None:
    """Give the plant a policy whose documents are all due."""
    yaml = YAML(typ="safe", pure=True)
    config: dict[str, Any] = yaml.load(plant.config.read_text(encoding="utf-8"))
    config["policies"] = {"ours": {"type": "file", "path": "policy.yaml"}}
    (plant.directory / "policy.yaml").write_text(POLICY, encoding="utf-8")
    out = io.StringIO()
    yaml.dump(config, out)
    plant.config.write_text(out.getvalue(), encoding="utf-8")


def stored(plant: Plant, folder: str) -> list[str]:
    return [path.read_text("latin-1") for path in plant.directory.glob(f"stores/*/{folder}/**/*") if path.is_file()]


def _clone(plant: Plant) -> None:
    """Make the ledger remember another organisation than the CRM's."""
    with contextlib.closing(sqlite3.connect(next(plant.directory.glob("*.sqlite")), isolation_level=None)) as ledger:
        ledger.execute("UPDATE meta SET value = replace(value, '00D', '00C') WHERE key = 'identity:salesforce'")


def test_from_plan_to_tombstone(plant_of: Callable[..., Plant]) -> None:
    """What is due is listed, and gone when the plan was applied, with a tombstone in its place."""
    plant = plant_of(8)
    governed(plant)
    moved = plant.offloader("run", expect=(0, 3))["moved"]
    assert len(stored(plant, "documents")) >= moved > 0
    assert plant.offloader("expire", "watch")["looked"] == moved
    file = plant.directory / "expire.jsonl"
    made = plant.offloader("expire", "plan", "--out", str(file))
    due = made["acts"]["erase"]
    assert made["acts"] == {"erase": due}
    assert 0 < due <= moved
    named = [each["document"].rpartition("/")[2] for each in made["documents"]]
    assert json.loads(file.read_text().splitlines()[1])["rules"] == ["OWN-1"]
    assert len(stored(plant, "documents")) >= moved

    report = plant.offloader("apply", str(file))

    assert report["states"] == {"done": due}
    assert plant.offloader("reconcile")["counts"].keys() <= {"="}
    everything = "\n".join(stored(plant, "."))
    assert not [name for name in named if name in everything]
    assert sum(text.count("expiry:erase-by OWN-1") for text in stored(plant, "tombstones")) >= due
    assert plant.offloader("expire", "plan")["plan"] is None
    _clone(plant)
    assert "offloader identity accept salesforce" in plant.offloader("scan", expect=(4,))["message"]
    assert plant.offloader("identity", "accept", "salesforce", "--reason", "moved")["organisation"][:3] == "00D"
    plant.offloader("scan", expect=(0, 3))
    assert "is done" in plant.offloader("apply", made["plan"], expect=(4,))["message"]
