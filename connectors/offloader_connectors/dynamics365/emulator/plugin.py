"""The Dataverse emulator as a plugin."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from offloader.plugins import EmulatorPlugin
from offloader_connectors.dynamics365.emulator.app import INITIAL
from offloader_connectors.dynamics365.emulator.emulator import DynamicsEmulator
from offloader_connectors.dynamics365.emulator.org import Org


def _now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 - the emulated server's own clock


def start(
    directory: Path, documents: int, seed: int, port: int, latency_ms: float, faults: Path | None
) -> DynamicsEmulator:
    """Serve the environment of a directory; a new one is filled with made-up documents first."""
    org = Org(directory, now=_now)
    if not org.store.has_snapshot(INITIAL):
        from offloader_connectors.dynamics365.emulator.seed import seed as fill  # noqa: PLC0415 - heavy, and needed once

        fill(org, documents=documents, seed=seed)
        org.store.snapshot(INITIAL)
    return DynamicsEmulator(org, port=port, latency_ms=latency_ms, faults=faults)


EMULATOR = EmulatorPlugin(help="A Dynamics 365 environment on this machine that speaks the real Web API", start=start)
