"""The ledger: documents, copies, plans, events. The database of record."""

from offloader.ledger.ledger import Ledger
from offloader.ledger.opening import open_ledger
from offloader.ledger.values import (
    Approval,
    Copy,
    Entry,
    Event,
    PlanHeader,
    PlanItem,
    PlanRow,
    RecordedPage,
    ScanState,
    Step,
    Tally,
    VersionEntry,
)

__all__ = [
    "Approval",
    "Copy",
    "Entry",
    "Event",
    "Ledger",
    "PlanHeader",
    "PlanItem",
    "PlanRow",
    "RecordedPage",
    "ScanState",
    "Step",
    "Tally",
    "VersionEntry",
    "open_ledger",
]
