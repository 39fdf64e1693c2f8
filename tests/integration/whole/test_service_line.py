"""Drift and schedules by the command line: a change of place that a person accepts, jobs at their times."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable

from ruamel.yaml import YAML

from offloader.config import load_config
from offloader.ledger import Ledger, open_ledger
from offloader.signing import new_key, public_key
from offloader.system import system_context
from tests import processes
from tests.integration.whole.ground import Ground
from tests.integration.whole.plant import Plant
from tests.integration.whole.test_expiry_line import governed


def only(plant: Plant, store: str) -> None:
    """Leave but this one store in the configuration."""
    yaml = YAML(typ="safe", pure=True)
    value = yaml.load(plant.config.read_text(encoding="utf-8"))
    value["stores"] = {store: value["stores"][store]}
    with plant.config.open("w", encoding="utf-8") as file:
        yaml.dump(value, file)


def test_a_change_of_place_stops_everything_until_it_is_accepted(ground: Ground) -> None:
    """`check`, `status`, `plan` and `service` tell of it, nothing is written, and `check --accept` ends it."""
    only(ground, "de")
    ground.file("first")
    assert ground.offloader("run")["moved"] == 1
    (ground.directory / "stores/elsewhere").mkdir()
    ground.configure("stores", de={"path": "stores/elsewhere"})
    second = ground.file("second")

    checked = ground.offloader("check", expect=(5,))["stores"]["de"]
    run = ground.offloader("run", "--full")
    told = ground.offloader("status")["stores"]["de"]

    assert checked["assurance"] == told["assurance"] == "DRIFT"
    assert any("stores/elsewhere" in change for change in checked["changes"])
    assert (run["moved"], run["blocked"]) == (0, 1)
    assert not ground.gone(second)
    assert list((ground.directory / "stores/elsewhere").rglob("documents/*")) == []

    assert ground.offloader("check", "--accept", "de", expect=(2,))["error"] == "ConfigError"
    ground.offloader("check", "--accept", "de", "--reason", "a larger disk")

    assert ground.offloader("check")["stores"]["de"]["assurance"] == "ATTESTED"
    assert ground.offloader("run")["moved"] == 1
    with _ledger(ground) as ledger:
        said = [event.data for event in ledger.events() if event.type == "proof_accepted"]
    assert [each["reason"] for each in said] == ["a larger disk"]
    assert any("stores/elsewhere" in change for change in said[0]["changes"])


def test_jobs_are_done_when_they_are_due(ground: Ground) -> None:
    """`service --once` does what is due and remembers it; a changed place is a job's result and an exit code."""
    ground.configure("schedule", prove="every 6h", scan="every 7d", run="every 1d")
    ground.file("first")

    first = ground.offloader("service", "--once")
    second = ground.offloader("service", "--once")

    assert [(job["job"], job["exit_code"]) for job in first["jobs"]] == [("prove", 0), ("scan", 0), ("run", 0)]
    assert "1 documents moved" in first["jobs"][2]["message"]
    assert second["jobs"] == []
    assert ground.offloader("status")["jobs"].keys() == {"prove", "scan", "run"}

    ground.configure("stores", de={"country": "FR"})
    with _ledger(ground, exclusive=True) as ledger:
        ledger.set_meta("job:prove", "2026-01-01T00:00:00+00:00")
    third = ground.offloader("service", "--once", expect=(5,))
    assert [job["job"] for job in third["jobs"]] == ["prove"]
    assert "new among the countries: France" in third["jobs"][0]["message"]


def test_disposal_by_the_service(ground: Ground) -> None:
    """Each kind is a job of its own; without a person's word nothing goes, with it the next time carries it out."""
    jobs = ("prove", "scan", "run", "expire", "erase", "rehome", "purge", "checkpoint")
    ground.configure("schedule", **dict.fromkeys(jobs, "every 1d"))
    governed(ground)
    key = ground.directory / "dora.jwk"
    key.write_text(new_key(), encoding="ascii")
    with ground.config.open("a", encoding="utf-8") as file:
        file.write(f"\npeople:\n  dora: {{name: Dora, role: DPO, public_key: {public_key(key.read_text())}}}\n")
        file.write(f"  robot: {{name: the service, login: {system_context(ground.directory).account}}}\n")
    document = ground.file("first")

    first = ground.offloader("service", "--once", expect=(2,))

    assert [job["job"] for job in first["jobs"]] == list(jobs)
    said = {job["job"]: job for job in first["jobs"]}
    ends = {"expire": 3, "purge": 2, "checkpoint": 3}
    assert {name: said[name]["exit_code"] for name in jobs} == dict.fromkeys(jobs, 0) | ends
    assert "no policy has purge rules" in said["purge"]["message"]
    plan = re.search(r"offloader approve (P-\S+)", said["expire"]["message"])
    assert plan is not None
    assert ground.offloader("status")["jobs"].keys() == set(jobs)

    ground.offloader("approve", plan[1], "--reason", "the year is over", "--key", str(key))
    with _ledger(ground, exclusive=True) as ledger:
        ledger.set_meta("job:expire", "2026-01-01T00:00:00+00:00")
    (done,) = ground.offloader("service", "--once")["jobs"]

    assert (done["job"], done["exit_code"]) == ("expire", 0)
    assert f"Plan {plan[1]} (expire): 1 done." in done["message"]
    assert ground.gone(document)
    assert not list((ground.directory / "stores").glob("*/documents/**/*-*"))


def test_a_ledger_in_use_is_waited_for(ground: Ground) -> None:
    """While another offloader has the ledger, the job fails, is not counted as done, and is due again."""
    ground.configure("schedule", prove="every 6h")
    with _ledger(ground, exclusive=True):
        assert ground.offloader("service", "--once", expect=(4,))["jobs"][0]["exit_code"] == 4

    assert ground.offloader("service", "--once")["jobs"][0]["exit_code"] == 0


def test_a_stopped_service_ends_tidily(plant_of: Callable[..., Plant]) -> None:
    """SIGTERM in the middle of a run ends the service with exit code 0; the run is due again, and does the rest."""
    plant = plant_of(20)
    with plant.config.open("a", encoding="utf-8") as file:
        file.write("\nschedule: {run: every 1d}\n")
    plant.sandbox.call("latency", "PUT", {"ms": 150})
    command = [sys.executable, "-m", "offloader", "-c", str(plant.config), "service", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 60
        while not plant.requests().get("blob.get") and time.monotonic() < deadline:
            pass
        refused = processes.run(plant.command("service", "--json")[1:], timeout=60)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)

    assert (process.returncode, json.loads(out)["exit_code"]) == (0, 0)
    line = json.loads(err.splitlines()[-1])
    assert (line["job"], line["next"]) == ("run", None)
    assert "interrupted" in line["message"]
    assert json.loads(refused.stdout)["message"].endswith("is running already")
    plant.sandbox.call("latency", "PUT", {"ms": 0})
    again = plant.offloader("service", "--once")
    assert [job["job"] for job in again["jobs"]] == ["run"]
    assert set(plant.offloader("reconcile", "--deep")["counts"]) == {"="}


def _ledger(plant: Plant, *, exclusive: bool = False) -> Ledger:
    path = load_config(plant.config).ledger_path
    return open_ledger(path, now=system_context(plant.directory).now, exclusive=exclusive)
