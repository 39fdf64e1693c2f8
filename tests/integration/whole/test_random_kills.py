"""Two processes, the emulated CRM and the offloader, both killed again and again at random moments."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from offloader.cli.demo_sandbox import running_sandbox
from tests import processes
from tests.integration.whole.plant import Plant, everything_is_readable


def _killed_run(plant: Plant, after_requests: int) -> None:
    """Start a run and kill it once the CRM has answered so many requests (or it has ended by itself)."""
    start = sum(plant.requests().values())
    with processes.started(plant.command("run")[1:]) as process:
        while process.is_alive() and sum(plant.requests().values()) - start < after_requests:
            pass


@pytest.mark.parametrize(
    ("crm", "seed", "longest"), [("salesforce", 11, 90), ("salesforce", 12, 90), ("dynamics365", 13, 30)]
)
def test_runs_killed_at_random_converge(plant_of: Callable[..., Plant], crm: str, seed: int, longest: int) -> None:
    """However often a run is killed, wherever it is, nothing is lost, and the last run ends as one clean run does."""
    plant = plant_of(150, seed=seed, crm=crm)
    plant.sandbox.call("latency", "PUT", {"ms": 5})
    before = plant.witness()
    dice = random.Random(seed)
    for _ in range(6):
        _killed_run(plant, dice.randint(5, longest))
        everything_is_readable(plant, before)

    report = plant.offloader("run")

    assert report["failed"] == report["conflict"] == 0
    assert set(plant.links().values()) <= {1}
    assert set(plant.offloader("reconcile", "--deep")["counts"]) == {"="}
    assert plant.offloader("run")["moved"] == 0


def test_a_killed_crm_is_survived(tmp_path: Path) -> None:
    """When the CRM itself dies in mid-run and comes back, the run fails without loss and the next one converges."""
    directory = tmp_path / "plant"
    with running_sandbox("salesforce", directory, documents=100, seed=3) as sandbox:
        plant = Plant(directory, sandbox)
        before = plant.witness()
        sandbox.call("latency", "PUT", {"ms": 20})
        with processes.started(plant.command("run")[1:]) as process:
            while plant.requests().get("blob.get", 0) < 20:
                pass
            os.kill(sandbox.pid, signal.SIGKILL)
            process.join(200)
            assert process.exitcode == 1
    with running_sandbox("salesforce", directory, documents=100, seed=3) as again:
        plant = Plant(directory, again)
        everything_is_readable(plant, before)
        assert plant.offloader("run")["failed"] == 0
        assert set(plant.offloader("reconcile", "--deep")["counts"]) == {"="}
