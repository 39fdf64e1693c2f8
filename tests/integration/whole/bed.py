"""An emulated CRM in this process: a test says exactly what it holds, the command line works on it from outside."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ruamel.yaml import YAML

from offloader.cli.demo_proof import Witness
from tests.integration.whole.plant import Plant, everything_is_readable

CREATED = datetime(2024, 3, 4, 5, 6, 7, tzinfo=UTC)


@dataclass(frozen=True)
class Bed(Plant):
    """What every ground has: shortcuts to disturb the CRM and to judge what became of its documents."""

    emulator: Any
    #: what the CRM held when `remember` was last called
    remembered: list[Witness] = field(default_factory=list, kw_only=True)

    # -- disturbing ------------------------------------------------------------------------------------------------

    def script(self, *rules: Mapping[str, Any]) -> None:
        """Replace the script of faults."""
        self.emulator.faults.load(rules)

    def calm(self) -> None:
        """No more faults."""
        self.emulator.faults.clear()

    def fired(self) -> int:
        """How often the scripted faults went off."""
        return sum(rule.fired for rule in self.emulator.faults.rules)

    def configure(self, section: str, **values: Any) -> None:
        """Change a section of the configuration; a value that is a mapping is changed in the same way."""
        yaml = YAML(typ="safe", pure=True)
        value = yaml.load(self.config.read_text(encoding="utf-8"))
        merge(value.setdefault(section, {}), values)
        with self.config.open("w", encoding="utf-8") as file:
            yaml.dump(value, file)

    # -- judging ---------------------------------------------------------------------------------------------------

    def remember(self) -> None:
        """What the CRM holds now must be readable from here on."""
        self.remembered.append(self.witness())

    def nothing_lost(self) -> None:
        for before in self.remembered:
            everything_is_readable(self, before)

    def converges(self, *, moved: int | None = None, expect: tuple[int, ...] = (0,)) -> dict[str, Any]:
        """With the faults gone, one run ends the job: nothing lost, nothing twice, everything the same everywhere."""
        self.calm()
        report = self.offloader("run", expect=expect)
        assert report["failed"] == report["conflict"] == 0, report["errors"]
        if moved is not None:
            assert report["moved"] == moved, report
        self.nothing_lost()
        assert set(self.links().values()) <= {1}
        reconciled = self.offloader("reconcile", "--deep", expect=(0, 1))
        assert set(reconciled["counts"]) <= {"="}, reconciled["differences"]
        return report

    def bodies(self, kind: str, record: str) -> tuple[str, ...]:
        """SHA-256 of the bytes that the CRM holds for a document, oldest version first; () if it holds none."""
        held = self.witness().documents.get((kind, record))
        return held.sha256 if held else ()


def merge(value: dict[str, Any], changes: Mapping[str, Any]) -> None:
    for name, change in changes.items():
        if isinstance(change, Mapping):
            merge(value[name], change)
        else:
            value[name] = change


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
