"""Two processes, the emulated CRM and the offloader, both killed again and again at random moments."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from offloader.cli.demo_sandbox import running_sandbox
from tests.integration.whole.plant import Plant, everything_is_readable


def _killed_run(plant: Plant, after_requests: int) -> None:
    """Start a run and kill it once the CRM has answered so many requests (or it has ended by itself)."""
    command = [sys.executable, "-m", "offloader", "-c", str(plant.config), "run", "--json"]
    start = sum(plant.requests().values())
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None and sum(plant.requests().values()) - start < after_requests:
            pass
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGKILL)


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
        command = [sys.executable, "-m", "offloader", "-c", str(plant.config), "run", "--json"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            while plant.requests().get("blob.get", 0) < 20:
                pass
            os.kill(sandbox.pid, signal.SIGKILL)
            process.communicate(timeout=200)
        assert process.returncode == 1
    with running_sandbox("salesforce", directory, documents=100, seed=3) as again:
        plant = Plant(directory, again)
        everything_is_readable(plant, before)
        assert plant.offloader("run")["failed"] == 0
        assert set(plant.offloader("reconcile", "--deep")["counts"]) == {"="}
