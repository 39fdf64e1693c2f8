"""Purging by command line: planned, carried out, and brought back, with the real connectors and real stores."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.integration.whole.plant import Plant

POLICY = """\
policy: cleanup
version: "1"
clauses:
  - {{id: all, select: {{everything: true}}, then: move}}
purge:
  - id: stale
    type: {type}
    age_field: {age}
    older_than: P1D
    facts: {{country: DE}}
    max_records: 500
"""


def governed(plant: Plant, type_: str, age: str, *more: str) -> None:
    """Give the plant a policy that purges records of a type, with further lines of its rule."""
    yaml = YAML(typ="safe", pure=True)
    config: dict[str, Any] = yaml.load(plant.config.read_text(encoding="utf-8"))
    config["policies"] = {"ours": {"type": "file", "path": "policy.yaml"}}
    text = POLICY.format(type=type_, age=age) + "".join(f"    {line}\n" for line in more)
    (plant.directory / "policy.yaml").write_text(text, encoding="utf-8")
    out = io.StringIO()
    yaml.dump(config, out)
    plant.config.write_text(out.getvalue(), encoding="utf-8")


@pytest.mark.parametrize(
    ("crm", "type_", "age"), [("salesforce", "Case", "CreatedDate"), ("dynamics365", "incident", "createdon")]
)
def test_from_plan_to_restore(plant_of: Callable[..., Plant], crm: str, type_: str, age: str) -> None:
    """Stale records are listed, archived, deleted, and come back out of the archive, with the links that hung on them.

    Links that went with records are where they should be; one on a sent e-mail in Salesforce cannot come back, and that
    is said.
    """
    plant = plant_of(8, crm=crm)
    governed(plant, type_, age)
    plant.offloader("run", expect=(0, 3))
    file = plant.directory / "purge.jsonl"

    made = plant.offloader("purge", "plan", "--rule", "stale", "--out", str(file))

    sums = made["rules"][f"{crm}/stale"]
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()[1:]]
    assert [line["act"] for line in lines].count("delete") == sums["delete"] > 10
    assert list(plant.directory.glob("stores/*/archive")) == []

    report = plant.offloader("apply", str(file))

    assert report["states"] == {"done": sums["delete"]}
    assert list(plant.directory.glob(f"stores/*/archive/{crm}/{type_}/*"))
    again = plant.offloader("purge", "plan")["rules"][f"{crm}/stale"]
    assert (again["delete"], again["found"]) == (0, sums["found"] - sums["delete"])
    assert set(plant.offloader("reconcile")["counts"]) == {"="}
    if crm == "salesforce":
        for line in lines:
            plant.sandbox.call("edit", "POST", {"action": "purge", "id": line["subject"].rpartition("/")[2]})
    back = plant.offloader("purge", "restore", made["plan"])
    assert back["failed"] == 0
    assert back["created"] == sums["delete"] + sums["children"]
    lost = [note.split()[0] for note in back["notes"] if "its link does not stand" in note]
    left = plant.offloader("reconcile", expect=(1 if lost else 0,))["differences"]
    assert [each["what"] for each in left] == lost
    assert all(each.startswith("salesforce/Attachment/") for each in lost)
    assert plant.offloader("purge", "restore", made["plan"])["created"] == 0
