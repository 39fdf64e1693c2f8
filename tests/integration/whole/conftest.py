"""The real thing: an emulated CRM, the real connector, real stores on disk, the command line as a process."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from offloader.cli.demo_sandbox import Sandbox
from offloader_connectors.azure_blob.testparts.azurite import how_to_install, is_installed
from offloader_connectors.azure_blob.testparts.testbed import Testbed
from offloader_connectors.dynamics365.emulator.options import OrgOptions as DynamicsOptions
from offloader_connectors.salesforce.emulator.options import OrgOptions
from tests import processes
from tests.integration.s3 import servers
from tests.integration.s3.servers import Server
from tests.integration.whole.depot import Depot, opened
from tests.integration.whole.dynamics import Field, plough
from tests.integration.whole.ground import Ground, break_ground
from tests.integration.whole.plant import Plant
from tests.tools import missing

#: what a sandbox makes anew where it is missing; all else is the emulated CRM's own
_CONFIGURED = ("offloader.yaml", "link_key", "proxy_secret", "stores")


@contextlib.contextmanager
def _sandbox(crm: str, directory: Path, documents: int, seed: int) -> Iterator[Sandbox]:
    command = ["-m", "offloader", "sandbox", crm, "--dir", str(directory)]
    with processes.serving([*command, "--documents", str(documents), "--seed", str(seed)], timeout=20) as (pid, line):
        served = json.loads(line)["crms"][crm]
        yield Sandbox(served["url"], Path(served["ca_file"]), pid)


@pytest.fixture(scope="session")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, int, int], Path]:
    """Directories of sandboxes that were filled once and are not running: equal seeds make equal documents."""
    made: dict[tuple[str, int, int], Path] = {}

    def fill(crm: str, documents: int, seed: int) -> Path:
        key = (crm, documents, seed)
        if key not in made:
            made[key] = tmp_path_factory.mktemp("seeded")
            with _sandbox(crm, made[key], documents, seed):
                pass
        return made[key]

    return fill


@pytest.fixture
def plant_of(tmp_path: Path, seeded: Callable[[str, int, int], Path]) -> Iterator[Callable[..., Plant]]:
    """Start sandboxes with so many documents; all are stopped at the end."""
    with contextlib.ExitStack() as stack:

        def start(documents: int, *, seed: int = 1, crm: str = "salesforce") -> Plant:
            directory = tmp_path / f"plant-{crm}-{seed}-{documents}"
            shutil.copytree(seeded(crm, documents, seed), directory, ignore=shutil.ignore_patterns(*_CONFIGURED))
            return Plant(directory, stack.enter_context(_sandbox(crm, directory, documents, seed)))

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


@pytest.fixture(scope="session")
def ministack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with servers.ministack(tmp_path_factory.mktemp("ministack")) as server:
        yield server


@pytest.fixture(scope="session")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Testbed]:
    """Azurite with a proxy and a management API beside it, in Germany."""
    if not is_installed(os.environ):
        missing("Azurite", how_to_install(os.environ))
    started = Testbed(tmp_path_factory.mktemp("azure"), os.environ, time.sleep)
    yield started
    started.close()


@pytest.fixture
def depot(ground: Ground, ministack: Server) -> Iterator[Depot]:
    """An org whose German documents go to a bucket."""
    with opened(ground, ministack) as made:
        yield made
