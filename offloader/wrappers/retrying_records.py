"""RetryingRecords: reads again what failed for a passing reason. Deletions and creations are the caller's to settle."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from offloader.errors import Transient
from offloader.model import Finding
from offloader.ports import Status, Usage
from offloader.records import (
    Child,
    Deleted,
    Deletion,
    Record,
    RecordPage,
    RecordQuery,
    RecordRef,
    Records,
    RecordType,
    Storage,
)
from offloader.wrappers.retrying import Retry


class RetryingRecords:
    """Records whose reading calls are tried again."""

    def __init__(self, records: Records, retry: Retry) -> None:
        self.name, self.batch = records.name, records.batch
        self.records, self.retry = records, retry

    def check(self, types: Sequence[str], *, delete: bool) -> Sequence[Finding]:
        return self.retry.call(lambda: self.records.check(types, delete=delete))

    def identity(self) -> Mapping[str, str]:
        return self.retry.call(self.records.identity)

    def describe(self, type: str) -> RecordType:
        return self.retry.call(lambda: self.records.describe(type))

    def find(self, query: RecordQuery, *, cursor: str | None = None) -> Iterator[RecordPage]:
        tries = self.retry.tries()
        while True:
            try:
                for page in self.records.find(query, cursor=cursor):
                    cursor = page.cursor
                    yield page
                    if cursor is None:
                        return
                    tries.progressed()
            except Transient as error:
                tries.failed(error)
            else:
                return

    def children(self, parents: Sequence[RecordRef], child: Child) -> Iterator[RecordPage]:
        yield from self.retry.call(lambda: list(self.records.children(parents, child)))

    def fetch(self, refs: Sequence[RecordRef]) -> Sequence[Record | None]:
        return self.retry.call(lambda: self.records.fetch(refs))

    def gone(self, refs: Sequence[RecordRef]) -> Sequence[Status]:
        return self.retry.call(lambda: self.records.gone(refs))

    def delete(self, deletions: Sequence[Deletion], *, hard: bool = False) -> Sequence[Deleted]:
        return self.records.delete(deletions, hard=hard)

    def create(self, records: Sequence[Record]) -> Sequence[Deleted]:
        return self.records.create(records)

    def made(self, records: Sequence[Record], since: datetime) -> Sequence[Record]:
        return self.retry.call(lambda: self.records.made(records, since))

    def set_fields(self, records: Sequence[Record]) -> Sequence[Deleted]:
        return self.retry.call(lambda: self.records.set_fields(records))

    def undelete(self, refs: Sequence[RecordRef]) -> Sequence[Deleted]:
        return self.retry.call(lambda: self.records.undelete(refs))

    def storage(self) -> Storage:
        return self.retry.call(self.records.storage)

    def usage(self) -> Usage:
        return self.records.usage()
