"""Each server once per session; a store gets a bucket of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.s3 import servers
from tests.integration.s3.servers import Server


@pytest.fixture(scope="session")
def ministack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with servers.ministack(tmp_path_factory.mktemp("ministack")) as server:
        yield server


@pytest.fixture(scope="session")
def seaweedfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with servers.seaweedfs(tmp_path_factory.mktemp("seaweedfs")) as server:
        yield server


@pytest.fixture(scope="session")
def rclone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with servers.rclone(tmp_path_factory.mktemp("rclone")) as server:
        yield server


@pytest.fixture(params=["ministack", "seaweedfs", "rclone"])
def server(request: pytest.FixtureRequest) -> Server:
    """Each of them in turn."""
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Server)
    return found


@pytest.fixture(params=["ministack", "seaweedfs"])
def honest(request: pytest.FixtureRequest) -> Server:
    """Those that check what they are sent, lock, and keep versions."""
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Server)
    return found
