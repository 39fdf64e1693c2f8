"""Retrying records: readings are tried again, a list goes on where it broke, deletions are left to the caller."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from offloader.errors import Transient
from offloader.records import Deletion, FieldType, RecordPage, RecordQuery, RecordType
from offloader.testing import FakeClock
from offloader.testing.memory_records import MemoryRecords
from offloader.wrappers.faulty import Faulty
from offloader.wrappers.retrying import Retry
from offloader.wrappers.retrying_records import RetryingRecords

QUERY = RecordQuery(type="Case", age_field="Closed", before=datetime(2020, 1, 1, tzinfo=UTC))


class Breaking(MemoryRecords):
    """Breaks off once after the first page of a list."""

    broken = False

    def find(self, query: RecordQuery, *, cursor: str | None = None) -> Iterator[RecordPage]:
        for page in super().find(query, cursor=cursor):
            yield page
            if not self.broken:
                self.broken = True
                raise Transient("the line went dead")


def crm() -> Breaking:
    field = FieldType(name="Closed", label="Closed", type="date")
    made = Breaking([RecordType(name="Case", label="Case", fields=(field,), children=())])
    made.page = 2
    for _ in range(5):
        made.add("Case", {"Closed": "2015-01-01"})
    return made


def retry() -> Retry:
    clock = FakeClock()
    return Retry(sleep=clock.sleep, monotonic=clock.monotonic, random=lambda: 0.5, attempts=3)


def test_a_list_goes_on_where_it_broke() -> None:
    """Every record comes once, though the list broke off in the middle."""
    found = [each.ref.id for page in RetryingRecords(crm(), retry()).find(QUERY) for each in page.records]

    assert len(found) == len(set(found)) == 5


def test_readings_are_tried_again_and_deletions_are_not() -> None:
    """A reading that fails for a moment succeeds; a failed deletion passes, for the caller to look first."""
    records = crm()
    (ref, *_) = [row.ref for row in records.rows.values()]
    faulty = Faulty(records).on("fetch", raise_=Transient("busy")).on("delete", raise_=Transient("busy"))
    wrapped = RetryingRecords(faulty.port, retry())

    (record,) = wrapped.fetch([ref])
    assert record is not None
    with pytest.raises(Transient):
        wrapped.delete([Deletion(ref, record.etag)])
    assert (faulty.count("fetch"), faulty.count("delete")) == (2, 1)
