"""Records in memory keep the contract of records."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from offloader.records import Child, FieldType, OnDelete, RecordRef, RecordType
from offloader.testing.memory_records import MemoryRecords
from offloader.testing.records_contract import RecordsContract, World


class MemoryWorld:
    """Cases and their comments in memory."""

    type, age_field, text_field = "Case", "ClosedDate", "Subject"
    before = datetime(2020, 1, 1, tzinfo=UTC)

    def __init__(self) -> None:
        names = ("Subject", "ClosedDate")
        fields = tuple(FieldType(name=name, label=name, type="string") for name in names)
        child = Child("Comment", "CaseId", OnDelete.CASCADE)
        look_up = FieldType(name="CaseId", label="Case", type="reference", refers_to=("Case",))
        self.crm = MemoryRecords(
            [
                RecordType(name="Case", label="Case", fields=fields, children=(child,), bin_days=15),
                RecordType(name="Comment", label="Comment", fields=(look_up,), children=()),
            ]
        )
        self.crm.page = 2
        old = [self._case(f"it's {number}", "2015-01-01") for number in range(5)]
        self.records, self.parent = self.crm, old[0]
        self.young = self._case("young", "2025-01-01")
        self.crm.add("Comment", {"CaseId": self.parent.id})

    def _case(self, subject: str, closed: str) -> RecordRef:
        return self.crm.add("Case", {"Subject": subject, "ClosedDate": closed})

    def touch(self, ref: RecordRef) -> None:
        self.crm.edit(ref.id, Subject="touched")

    def remove(self, ref: RecordRef) -> None:
        self.crm.drop(ref.id)


class TestMemoryRecords(RecordsContract):
    """The fake, first."""

    @pytest.fixture
    def world(self) -> World:
        return MemoryWorld()
