"""Azurite with what it lacks beside it, one for the session; every test has a container of its own."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from offloader.plugins import Context
from offloader_connectors import tls
from offloader_connectors.azure_blob.options import AzureBlobOptions
from offloader_connectors.azure_blob.store import AzureBlobStore
from offloader_connectors.azure_blob.testparts.azurite import how_to_install, is_installed
from offloader_connectors.azure_blob.testparts.testbed import Testbed
from tests.tools import missing

_numbers = itertools.count()
#: a store with the testbed's options, changed by these
MakeStore = Callable[..., AzureBlobStore]


_trusting = cache(tls.trusting)


@pytest.fixture(autouse=True)
def trust_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading the system's authorities takes longer than most tests: once is enough."""
    monkeypatch.setattr(tls, "trusting", _trusting)


@pytest.fixture(scope="session")
def whole_bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Testbed]:
    if not is_installed(os.environ):
        missing("Azurite", how_to_install(os.environ))
    started = Testbed(tmp_path_factory.mktemp("azure"), os.environ, time.sleep)
    yield started
    started.close()


@pytest.fixture
def bed(whole_bed: Testbed) -> Iterator[Testbed]:
    """The session's testbed, without faults and as it was described first."""
    path, described = next(iter(whole_bed.arm.answers.items()))
    answers = dict(whole_bed.arm.answers)
    whole_bed.proxy.requests.clear()
    yield whole_bed
    whole_bed.proxy.faults.rules.clear()
    whole_bed.arm.answers = answers
    assert whole_bed.arm.answers[path] is described


@pytest.fixture
def real_time(tmp_path: Path) -> Context:
    """The server has no other clock than the real one."""
    return Context(
        now=lambda: datetime.now(UTC),
        sleep=time.sleep,
        monotonic=time.monotonic,
        random=lambda: 0.5,
        environ={},
        directory=tmp_path,
    )


@pytest.fixture
def container(bed: Testbed, real_time: Context) -> str:
    name = f"test-{next(_numbers)}"
    bed.make_container(name, real_time)
    return name


@pytest.fixture
def make_store(bed: Testbed, container: str, real_time: Context) -> MakeStore:
    def make(
        *, context: Context = real_time, credential: Any = None, without: str = "", **changes: Any
    ) -> AzureBlobStore:
        options = {"block_size": 64 * 1024, **bed.store_options(container), **changes}
        for name in without.split():
            options.pop(name)
        return AzureBlobStore("azure", AzureBlobOptions.model_validate(options), context, credential)

    return make
