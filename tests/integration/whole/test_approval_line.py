"""A plan by command line: refused, approved by two people with keys, compared with its file, carried out."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from offloader import signing
from offloader.system import system_context
from tests.integration.whole.plant import Plant, everything_is_readable

POLICY = """\
policy: four-eyes
version: "1"
clauses:
  - id: all
    select: {everything: true}
    then: move
    copies: 2
approvals: {people: 2, days: 7}
"""


def governed(plant: Plant) -> dict[str, Path]:
    """Give the plant a policy that wants two people, a second German store, and people with keys; return the keys."""
    yaml = YAML(typ="safe", pure=True)
    config: dict[str, Any] = yaml.load(plant.config.read_text(encoding="utf-8"))
    config["stores"]["de2"] = config["stores"]["de"] | {"path": "stores/de2"}
    config["policies"] = {"ours": {"type": "file", "path": "policy.yaml"}}
    config["people"] = {
        "maker": {"name": "Mia Maker", "login": system_context(plant.directory).account},
        "anna": {"name": "Anna Ames", "role": "data-protection officer"},
        "bert": {"name": "Bert Boss", "role": "controller"},
    }
    keys = {}
    for name in ("anna", "bert"):
        private = signing.new_key()
        keys[name] = plant.directory / f"{name}.jwk"
        keys[name].write_text(private, encoding="ascii")
        config["people"][name]["public_key"] = signing.public_key(private)
    (plant.directory / "policy.yaml").write_text(POLICY, encoding="utf-8")
    out = io.StringIO()
    yaml.dump(config, out)
    plant.config.write_text(out.getvalue(), encoding="utf-8")
    return keys


def blobs(plant: Plant) -> dict[str, list[bytes]]:
    """What each key holds, in every store that has it."""
    found: dict[str, list[bytes]] = {}
    for store in plant.directory.glob("stores/*"):
        for path in (store / "documents").rglob("*"):
            if path.is_file():
                found.setdefault(str(path.relative_to(store)), []).append(path.read_bytes())
    return found


def test_from_plan_to_two_copies(plant_of: Callable[..., Plant]) -> None:
    """Nothing moves until two people have signed this plan; then exactly its moves are made, each into two stores."""
    plant = plant_of(30)
    keys = governed(plant)
    before = plant.witness()
    waiting = plant.offloader("run", expect=(4,))
    assert waiting["moved"] == 0
    assert f"offloader approve {waiting['plan']}" in waiting["stopped"]
    file = plant.directory / "plan.jsonl"
    made = plant.offloader("plan", "--out", str(file))
    plan, moves = made["plan"], made["verdicts"]["MOVE"]
    assert sum(made["stores"].values()) == 2 * moves > 0

    assert "0 did" in plant.offloader("apply", plan, expect=(4,))["message"]
    assert "made plan" in _approve(plant, "approve", plan, expect=4)["message"]
    first = _approve(plant, "approve", plan, "--key", str(keys["anna"]))
    assert (first["person"], first["approvals"], first["approved"]) == ("anna", 1, False)
    assert "bert" not in plant.offloader("apply", plan, expect=(4,))["message"]
    second = _approve(plant, "approve", plan, "--key", str(keys["bert"]))
    assert (second["needed"], second["approvals"], second["approved"]) == (2, 2, True)
    status = {row["id"]: row for row in plant.offloader("status")["plans"]}
    assert [voice["person"] for voice in status[plan]["voices"]] == ["anna", "bert"]
    edited = plant.directory / "edited.jsonl"
    edited.write_bytes(file.read_bytes().replace(b'"store":"de"', b'"store":"us"', 1))
    assert "store was de, is us" in plant.offloader("apply", str(edited), expect=(5,))["message"]
    assert not blobs(plant)

    report = plant.offloader("apply", str(file))

    assert (report["moved"], report["failed"]) == (moves, 0)
    assert {len(copies) for copies in blobs(plant).values()} == {2}
    assert {len(set(copies)) for copies in blobs(plant).values()} == {1}
    everything_is_readable(plant, before)
    assert set(plant.offloader("reconcile", "--deep")["counts"]) == {"="}
    assert "is done" in plant.offloader("apply", plan, expect=(4,))["message"]


def _approve(plant: Plant, *arguments: str, expect: int = 0) -> dict[str, Any]:
    answer = plant.offloader(*arguments, "--reason", "read and agreed", expect=(expect,))
    assert not any(json.loads(path.read_text())["d"] in json.dumps(answer) for path in plant.directory.glob("*.jwk"))
    return answer
