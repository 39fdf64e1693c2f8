"""An emulated org with old cases, and their records opened as the engine opens them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from offloader.plugins import Context
from offloader.records import Deletion, OnDelete, Record, RecordPage, RecordQuery, RecordRef
from offloader_connectors.salesforce.options import SalesforceOptions
from offloader_connectors.salesforce.plugin import SOURCE
from offloader_connectors.salesforce.records import SalesforceRecords
from tests.integration.clock import Clock
from tests.integration.salesforce_source.conftest import World, clock, org_options, world

__all__ = ["clock", "org_options", "world"]

OLD = datetime(2017, 3, 4, 5, 6, 7, tzinfo=UTC)
BEFORE = datetime(2019, 1, 1, tzinfo=UTC)


class Desk:
    """Records of the org, and its users who work on them meanwhile."""

    def __init__(self, world: World, records: SalesforceRecords, clock: Clock) -> None:
        self.world = world
        self.org = world.org
        self.records = records
        self.clock = clock

    def case(self, subject: str = "lost parcel", *, created: datetime = OLD, **fields: Any) -> RecordRef:
        fixed = {"Subject": subject, "Status": "Closed", "OwnerId": self.world.owner}
        return self.ref("Case", self.org.insert("Case", {**fixed, "CreatedDate": created, **fields}))

    def cases(self, count: int) -> list[RecordRef]:
        with self.org.store.transaction():
            return [self.case(f"parcel {number}") for number in range(count)]

    def email(self, parent: RecordRef, **fields: Any) -> RecordRef:
        return self.ref("EmailMessage", self.world.email(ParentId=parent.id, **fields))

    @staticmethod
    def ref(type_name: str, key: str) -> RecordRef:
        return RecordRef("sf", type_name, key)

    def touch(self, ref: RecordRef) -> None:
        """Somebody edits the record, a while later."""
        self.clock.move(seconds=2)
        self.org.update(ref.id, {"Description": "edited meanwhile"})

    def lives(self, ref: RecordRef) -> bool:
        row = self.org.get(ref.id)
        return row is not None and not row["IsDeleted"]

    def deletions(self, refs: Sequence[RecordRef]) -> list[Deletion]:
        """As the engine asks for them: by the etags of whole rows."""
        read = [each for each in self.records.fetch(refs) if each is not None]
        return [Deletion(each.ref, each.etag) for each in read]

    def calls(self) -> dict[str, int]:
        return self.world.calls()


Opener = Callable[..., SalesforceRecords]


@pytest.fixture
def open_records(world: World, clock: Clock) -> Iterator[Opener]:
    """Opens the org's records by its plugin, with options of the test's own."""
    opened: list[SalesforceRecords] = []

    def open_(**options: Any) -> SalesforceRecords:
        base = {name: value for name, value in world.emulator.source_options.items() if name != "type"}
        context = Context(
            now=clock,
            sleep=lambda seconds: clock.move(seconds=seconds),
            monotonic=lambda: 0.0,
            random=lambda: 0.5,
            environ={},
            directory=world.directory,
        )
        assert SOURCE.open_records is not None
        made = SOURCE.open_records(SOURCE.open("sf", SalesforceOptions.model_validate(base | options), context))
        assert isinstance(made, SalesforceRecords)
        opened.append(made)
        return made

    yield open_
    for each in opened:
        each.close()


@pytest.fixture
def desk(world: World, clock: Clock, open_records: Opener) -> Desk:
    return Desk(world, open_records(), clock)


def query(type_name: str = "Case", age_field: str = "CreatedDate", **more: Any) -> RecordQuery:
    return RecordQuery(type=type_name, age_field=age_field, before=BEFORE, **more)


def everything(pages: Iterable[RecordPage]) -> list[Record]:
    return [record for page in pages for record in page.records]


def cascades(desk: Desk, type_name: str) -> list[Any]:
    """Children that go with their parent and are rows of their own."""
    found = desk.records.describe(type_name).children
    return [each for each in found if each.on_delete is OnDelete.CASCADE and not each.documents]


def days(count: int) -> timedelta:
    return timedelta(days=count)
