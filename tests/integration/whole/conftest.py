"""The real thing: an emulated CRM, the real connector, real stores on disk, the command line as a process."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from offloader.cli.demo_sandbox import running_sandbox
from offloader_connectors.dynamics365.emulator.options import OrgOptions as DynamicsOptions
from offloader_connectors.salesforce.emulator.options import OrgOptions
from tests.integration.whole.dynamics import Field, plough
from tests.integration.whole.ground import Ground, break_ground
from tests.integration.whole.plant import Plant


@pytest.fixture
def plant_of(tmp_path: Path) -> Iterator[Callable[..., Plant]]:
    """Start sandboxes with so many documents; all are stopped at the end."""
    with contextlib.ExitStack() as stack:

        def start(documents: int, *, seed: int = 1, crm: str = "salesforce") -> Plant:
            directory = tmp_path / f"plant-{crm}-{seed}-{documents}"
            return Plant(
                directory,
                stack.enter_context(running_sandbox(crm, directory, documents=documents, seed=seed)),
            )

        yield start


@pytest.fixture
def org_options() -> OrgOptions:
    """Overridden by tests of other orgs."""
    return OrgOptions()


@pytest.fixture
def environment_options() -> DynamicsOptions:
    """Overridden by tests of other environments."""
    return DynamicsOptions()


@pytest.fixture
def field(tmp_path: Path, environment_options: DynamicsOptions) -> Iterator[Field]:
    """A Dynamics environment in this process, with an offloader configured for it."""
    made = plough(tmp_path / "field", environment_options)
    try:
        yield made
    finally:
        made.emulator.close()


@pytest.fixture
def ground(tmp_path: Path, org_options: OrgOptions) -> Iterator[Ground]:
    """An empty org in this process, with an offloader configured for it."""
    made = break_ground(tmp_path / "ground", org_options)
    try:
        yield made
    finally:
        made.emulator.close()
