"""An emulated environment, its server, and sources whose clock the tests move."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from offloader.model import Document
from offloader.plugins import Context
from offloader.ports import Page
from offloader_connectors.dynamics365.emulator.emulator import DynamicsEmulator
from offloader_connectors.dynamics365.emulator.options import OrgOptions
from offloader_connectors.dynamics365.emulator.org import Org
from offloader_connectors.dynamics365.options import DynamicsOptions
from offloader_connectors.dynamics365.source import DynamicsSource
from tests.integration.clock import START

from .bench import World, opened

#: opens a source of its own session, with these options
Open = Callable[..., DynamicsSource]


@pytest.fixture
def org_options() -> OrgOptions:
    """Overridden by tests of other environments."""
    return OrgOptions()


@pytest.fixture
def world(tmp_path: Path, org_options: OrgOptions) -> Iterator[World]:
    with opened(tmp_path, org_options) as made:
        yield made


@pytest.fixture
def org(world: World) -> Org:
    return world.org


@pytest.fixture
def emulator(world: World) -> DynamicsEmulator:
    return world.emulator


@pytest.fixture
def open_source(world: World) -> Open:
    def make(**options: Any) -> DynamicsSource:
        base = {name: value for name, value in world.emulator.source_options.items() if name != "type"}
        context = Context(
            now=world.clock,
            sleep=world.clock.slept.append,
            monotonic=lambda: (world.clock() - START) / timedelta(seconds=1),
            random=lambda: 0.5,
            environ={},
            directory=world.directory,
        )
        wanted = {name: value for name, value in {**base, **options}.items() if value is not None}
        made = DynamicsSource("crm", DynamicsOptions.model_validate(wanted), context)
        world.sources.append(made)
        return made

    return make


@pytest.fixture
def source(open_source: Open) -> DynamicsSource:
    return open_source(min_size=0)


def documents(pages: Iterable[Page]) -> dict[str, Document]:
    """All documents of a scan, by id."""
    return {document.ref.id: document for page in pages for document in page.documents}


def skips(pages: Iterable[Page]) -> dict[str, str | None]:
    """Codes of the reasons to stay, by id."""
    return {each.ref.id: each.skip.code if each.skip else None for each in documents(pages).values()}


def mark(pages: Iterable[Page]) -> str:
    """The watermark of a scan."""
    last = [*pages][-1].watermark
    assert last is not None
    return last
