"""An emulated environment with cases, mails and shipments, and its records."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from offloader.plugins import Context
from offloader.records import RecordRef
from offloader_connectors.dynamics365.emulator.emulator import DynamicsEmulator
from offloader_connectors.dynamics365.emulator.options import OrgOptions
from offloader_connectors.dynamics365.emulator.org import Org
from offloader_connectors.dynamics365.options import DynamicsOptions
from offloader_connectors.dynamics365.records import DynamicsRecords
from tests.integration.clock import START, Clock

OLD = datetime(2015, 3, 4, 5, 6, 7, tzinfo=UTC)
BEFORE = datetime(2019, 1, 1, tzinfo=UTC)


class RecordsWorld:
    """The contract's world: closed cases with mails. Users work on the environment directly."""

    type, age_field, text_field, before = "incident", "createdon", "title", BEFORE

    def __init__(self, directory: Path, options: OrgOptions, keys: Path) -> None:
        """`keys` is filled by the first world; the others take its certificates and secrets instead of making own."""
        self.clock = Clock()
        self.directory = directory
        shutil.copytree(keys, directory)
        self.org = Org(directory, now=self.clock, options=options)
        self.emulator = DynamicsEmulator(self.org)
        for each in (*directory.glob("dynamics365_*"), *directory.glob("ca.*")):
            shutil.copy(each, keys)
        self.opened: list[DynamicsRecords] = []
        self.account = self.org.insert("account", {"name": "O'Brien & <Söhne>"})
        self.cases = [self.case(f"case {number}") for number in range(3)]
        self.parent = self.cases[0]
        self.mail = self.child(self.parent)
        self.young = self.case("young", START)
        self.clock.move(days=1)
        self.records = self.open(page_size=2)

    def open(self, **options: Any) -> DynamicsRecords:
        """Records of a session of its own."""
        base = {name: value for name, value in self.emulator.source_options.items() if name != "type"}
        context = Context(
            now=self.clock,
            sleep=self.clock.slept.append,
            monotonic=lambda: (self.clock() - START) / timedelta(seconds=1),
            random=lambda: 0.5,
            environ={},
            directory=self.directory,
        )
        made = DynamicsRecords("crm", DynamicsOptions.model_validate({**base, **options}), context)
        self.opened.append(made)
        return made

    def case(self, title: str, created: datetime = OLD, **fields: Any) -> RecordRef:
        known = {"title": title, "customerid": ("account", self.account), "statecode": 1, "createdon": created}
        return RecordRef("crm", "incident", self.org.insert("incident", {**known, **fields}))

    def child(self, case: RecordRef, **fields: Any) -> RecordRef:
        """A mail about a case."""
        about = {"regardingobjectid": ("incident", case.id), "subject": "about it", "statecode": 1, "statuscode": 3}
        return RecordRef("crm", "email", self.org.insert("email", {**about, **fields}))

    def touch(self, ref: RecordRef) -> None:
        self.clock.move(seconds=1)
        self.org.update(ref.type, ref.id, {"description": f"touched {self.clock()}"})

    def remove(self, ref: RecordRef) -> None:
        self.org.delete(ref.type, ref.id)

    def fault(self, **rule: Any) -> None:
        self.emulator.faults.load([rule])

    def calls(self) -> int:
        """Requests since the last reset, logins left out."""
        logins = ("token", "oidc", "discovery")
        return sum(count for name, count in self.emulator.counters.outer.items() if name not in logins)

    def close(self) -> None:
        for each in self.opened:
            each.close()
        self.emulator.close()
        self.org.close()


Make = Callable[..., RecordsWorld]


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("keys")


@pytest.fixture
def make_world(tmp_path: Path, keys: Path) -> Iterator[Make]:
    """Makes the world of an environment with these options."""
    made: list[RecordsWorld] = []

    def make(**options: Any) -> RecordsWorld:
        made.append(RecordsWorld(tmp_path / str(len(made)), OrgOptions(**{"recycle_bin": True, **options}), keys))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def world(make_world: Make) -> RecordsWorld:
    return make_world()
