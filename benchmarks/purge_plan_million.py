"""Purge plan: judge so many stale records of a made-up CRM and seal the plan; prints seconds, records/s, peak MB.

    python benchmarks/purge_plan_million.py --records 1000000

Every third record has a child that goes with it. The CRM answers at once and holds nothing: what is measured is the
offloader alone.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from offloader.disposition.planning import plan_purge
from offloader.ledger import open_ledger
from offloader.moves.report import peak_rss_mb
from offloader.moves.site import Links, Site
from offloader.records import Child, FieldType, OnDelete, Record, RecordPage, RecordQuery, RecordRef, RecordType
from offloader.system import steady_memory, system_context
from offloader.testing import MemorySource, MemoryStore
from offloader.testing.memory_records import MemoryRecords
from offloader_policies.language.layers import load
from offloader_policies.language.policy import FilePolicy

PAGE = 2000
POLICY = """\
policy: cleanup
purge:
  - id: old-cases
    type: Case
    age_field: ClosedDate
    older_than: P7Y
    where: {Status: [Closed]}
    retention: [{id: five-years, keep: P5Y, from: doc_date}]
    signals: {country: Country__c}
"""
COUNTRIES = ("DE", "FR", "NL", "IT", "ES", "PL", "AT", "BE")


def _field(name: str, *refers_to: str) -> FieldType:
    return FieldType(name=name, label=name, type="string", refers_to=refers_to)


TYPES = (
    RecordType(
        name="Case",
        label="Case",
        fields=tuple(_field(name) for name in ("Name", "Status", "ClosedDate", "Country__c")),
        children=(Child("Comment", "CaseId", OnDelete.CASCADE),),
        bin_days=15,
    ),
    RecordType(name="Comment", label="Comment", fields=(_field("Body"), _field("CaseId", "Case")), children=()),
)


class Endless(MemoryRecords):
    """A CRM with so many closed cases, made while they are listed."""

    def __init__(self, count: int) -> None:
        super().__init__(TYPES)
        self._cases = count

    def find(self, query: RecordQuery, *, cursor: str | None = None) -> Iterator[RecordPage]:
        for start in range(0, self._cases, PAGE):
            end = min(start + PAGE, self._cases)
            yield RecordPage(
                records=tuple(map(_case, range(start, end))), cursor=str(end) if end < self._cases else None
            )

    def children(self, parents: Sequence[RecordRef], child: Child) -> Iterator[RecordPage]:
        yield RecordPage(records=tuple(_comment(ref) for ref in parents if int(ref.id[4:]) % 3 == 0))


def _case(number: int) -> Record:
    fields = {
        "Status": "Closed",
        "ClosedDate": f"20{number % 15 + 1:02}-03-0{number % 9 + 1}T00:00:00+00:00",
        "Country__c": COUNTRIES[number % len(COUNTRIES)],
    }
    return Record(ref=RecordRef("crm", "Case", f"case{number:014}"), etag=str(number), modified=None, fields=fields)


def _comment(case: RecordRef) -> Record:
    return Record(
        ref=RecordRef("crm", "Comment", f"note{case.id[4:]}"),
        etag="1",
        modified=None,
        fields={"Body": "hello", "CaseId": case.id},
    )


def measure(directory: Path, records: int) -> dict[str, object]:
    """One plan in this process."""
    steady_memory()
    outside = system_context(directory)
    (directory / "policy.yaml").write_text(POLICY, encoding="utf-8")
    store = MemoryStore("de", countries=["DE"], now=outside.now)
    crm = Endless(records)
    with open_ledger(directory / "ledger.sqlite", now=outside.now) as ledger:
        site = Site(
            ledger=ledger,
            sources={"crm": MemorySource(now=outside.now)},
            stores={"de": store},
            policies={"crm": FilePolicy(load(directory / "policy.yaml"))},
            links=Links("https://files.example.com", b"key"),
            context=outside,
            records=lambda _source: crm,
        )
        began, cpu = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
        row = plan_purge(site)
        seconds, now = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF)
    return {
        "plan": row.id,
        "records": records,
        "acts": row.totals["acts"],
        "children": row.totals["rules"]["crm/old-cases"]["children"],
        "seconds": round(seconds, 1),
        "cpu_seconds": round(now.ru_utime + now.ru_stime - cpu.ru_utime - cpu.ru_stime, 1),
        "records_per_second": round(records / seconds),
        "peak_mb": peak_rss_mb(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--quick", action="store_true", help="20,000 records")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    records = 20_000 if chosen.quick else chosen.records
    if chosen.measure:
        sys.stdout.write(json.dumps(measure(chosen.measure, chosen.records)) + "\n")
        return
    with tempfile.TemporaryDirectory() as directory:
        # a process of its own: its peak is of the plan alone
        command = [sys.executable, __file__, "--measure", directory, "--records", str(records)]
        sys.stdout.write(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


if __name__ == "__main__":
    main()
