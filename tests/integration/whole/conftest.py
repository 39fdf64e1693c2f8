"""The real thing: an emulated CRM in its own process, the real connector, real stores on disk."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from offloader.cli.demo_proof import Witness, witness
from offloader.cli.demo_sandbox import Sandbox, running_sandbox

CRASHING = Path(__file__).with_name("crashing.py")


@dataclass(frozen=True)
class Plant:
    """A sandbox directory with its running CRM."""

    directory: Path
    sandbox: Sandbox

    @property
    def config(self) -> Path:
        return self.directory / "offloader.yaml"

    def offloader(self, *arguments: str, expect: tuple[int, ...] = (0, 3)) -> dict[str, Any]:
        """Run the command line as a user would, and return its JSON."""
        command = [sys.executable, "-m", "offloader", "-c", str(self.config), *arguments, "--json"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
        assert done.returncode in expect, f"exit {done.returncode}: {done.stdout[-2000:]} {done.stderr[-2000:]}"
        answer: dict[str, Any] = json.loads(done.stdout)
        assert answer["exit_code"] == done.returncode
        return answer

    def crash(self, port: str, method: str, nth: int, moment: str) -> int:
        """Run until the step, where the process is killed; return its exit status."""
        command = [sys.executable, str(CRASHING), str(self.config), port, method, str(nth), moment]
        environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False, env=environ)
        return done.returncode

    def witness(self) -> Witness:
        return witness(self.sandbox)

    def links(self) -> Counter[str]:
        """How many link files and placeholders in the CRM lead to each link."""
        return Counter(self.sandbox.call("links"))

    def requests(self) -> Mapping[str, int]:
        return self.sandbox.requests()


@pytest.fixture
def plant_of(tmp_path: Path) -> Iterator[Callable[..., Plant]]:
    """Start sandboxes with so many documents; all are stopped at the end."""
    with contextlib.ExitStack() as stack:

        def start(documents: int, *, seed: int = 1) -> Plant:
            directory = tmp_path / f"plant-{seed}-{documents}"
            return Plant(
                directory,
                stack.enter_context(running_sandbox("salesforce", directory, documents=documents, seed=seed)),
            )

        yield start
