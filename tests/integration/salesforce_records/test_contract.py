"""The records of Salesforce keep the records contract."""

from __future__ import annotations

import pytest

from offloader.records import RecordRef
from offloader.testing.records_contract import RecordsContract

from .conftest import BEFORE, Desk


class CaseWorld:
    """Closed cases of years ago, one with an e-mail."""

    type, age_field, text_field, before = "Case", "CreatedDate", "Subject", BEFORE

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.records = desk.records
        self.parent, *_ = [desk.case(f"case {number}") for number in range(4)]
        desk.email(self.parent)
        self.young = desk.case("fresh", created=desk.clock.now)

    def touch(self, ref: RecordRef) -> None:
        self._desk.touch(ref)

    def remove(self, ref: RecordRef) -> None:
        self._desk.org.delete(ref.id)


class TestSalesforceRecords(RecordsContract):
    """Cases and their e-mails."""

    @pytest.fixture
    def world(self, desk: Desk) -> CaseWorld:
        return CaseWorld(desk)
