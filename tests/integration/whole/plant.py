"""A sandbox directory with its CRM, the command line on it, and what must hold at every moment."""

from __future__ import annotations

import hashlib
import json
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from offloader.cli.demo_proof import Witness, witness
from offloader.cli.demo_sandbox import Sandbox
from tests import processes

CRASHING = Path(__file__).with_name("crashing.py")
TIMEOUT_S = 240


@dataclass(frozen=True)
class Plant:
    """A sandbox directory with its running CRM."""

    directory: Path
    sandbox: Sandbox

    @property
    def config(self) -> Path:
        return self.directory / "offloader.yaml"

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "offloader", "-c", str(self.config), *arguments]

    def offloader(self, *arguments: str, expect: tuple[int, ...] = (0, 3)) -> dict[str, Any]:
        """Run the command line as a user would, and return its JSON."""
        done = processes.run(self.command(*arguments, "--json")[1:], timeout=TIMEOUT_S)
        assert done.returncode in expect, f"exit {done.returncode}: {done.stdout[-2000:]} {done.stderr[-2000:]}"
        answer: dict[str, Any] = json.loads(done.stdout)
        assert answer["exit_code"] == done.returncode
        return answer

    def crash(self, port: str, method: str, nth: int, moment: str, command: str = "run", plan: str = "") -> int:
        """Run until the step, where the process is killed; return its exit status."""
        arguments = [str(CRASHING), str(self.config), port, method, str(nth), moment, command, plan]
        return processes.run(arguments, timeout=TIMEOUT_S).returncode

    def witness(self) -> Witness:
        return witness(self.sandbox)

    def links(self) -> Counter[str]:
        """How many link files and placeholders in the CRM lead to each link."""
        return Counter(self.sandbox.call("links"))

    def requests(self) -> Mapping[str, int]:
        return self.sandbox.requests()


def everything_is_readable(plant: Plant, before: Witness) -> None:
    """Law 1: what the CRM held and no longer holds lies whole in a store."""
    now = plant.witness()
    stored = {
        hashlib.sha256(path.read_bytes()).hexdigest()
        for path in (plant.directory / "stores").rglob("documents/**/*")
        if path.is_file()
    }
    for key, held in before.documents.items():
        in_crm = set(now.documents[key].sha256) if key in now.documents else set()
        assert set(held.sha256) <= in_crm | stored, f"{key} lost a version"
