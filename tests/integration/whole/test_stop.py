"""Being asked to stop: what is under way is finished and written down, and the next run goes on."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from tests.integration.whole.conftest import Plant


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_run_ends_tidily(plant_of: Callable[..., Plant], signum: int) -> None:
    """A signal in the middle of a run ends it with exit code 1 and a JSON answer; the next run does the rest."""
    plant = plant_of(60)
    plant.sandbox.call("latency", "PUT", {"ms": 150})
    command = [sys.executable, "-m", "offloader", "-c", str(plant.config), "run", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 60
        while not plant.requests().get("blob.get") and time.monotonic() < deadline:
            pass
        process.send_signal(signum)
        out, _ = process.communicate(timeout=60)

    answer = json.loads(out)
    assert process.returncode == 1
    assert answer["exit_code"] == 1
    assert "interrupted" in answer["stopped"]
    plant.sandbox.call("latency", "PUT", {"ms": 0})
    report = plant.offloader("run")
    assert report["failed"] == 0
    assert set(plant.offloader("reconcile", "--deep")["counts"]) == {"="}
