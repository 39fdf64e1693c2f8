"""Plan: decide about so many documents of a made-up ledger and seal the plan; prints seconds, documents/s, peak MB.

    python benchmarks/plan_million.py --documents 1000000 [--dir DIR] [--again]

With `--dir`, the ledger stays there, and `report_million.py` can go on with the plan. `--again` plans a second time, as
the next run does: nothing changes its state, but every document is decided again.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import synthetic

from offloader.moves.plan import make_plan
from offloader.moves.report import peak_rss_mb
from offloader.system import steady_memory


def filled(directory: Path, documents: int) -> None:
    """Make the ledger, unless an earlier call has."""
    if (directory / "ledger.sqlite").exists():
        return
    directory.mkdir(parents=True, exist_ok=True)
    with synthetic.opened(directory) as site:
        synthetic.fill(site.ledger, documents)


def measure(directory: Path) -> dict[str, object]:
    """One plan in this process."""
    steady_memory()
    with synthetic.opened(directory) as site:
        began, cpu = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
        summary = make_plan(site, all_documents=True)
        seconds, now = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF)
    spent = now.ru_utime + now.ru_stime - cpu.ru_utime - cpu.ru_stime
    return {
        "plan": summary.id,
        "documents": summary.documents,
        "moves": summary.moves,
        "seconds": round(seconds, 1),
        "cpu_seconds": round(spent, 1),
        "documents_per_second": round(summary.documents / seconds),
        "peak_mb": peak_rss_mb(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=1_000_000)
    parser.add_argument("--quick", action="store_true", help="20,000 documents")
    parser.add_argument("--dir", type=Path)
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.measure:
        sys.stdout.write(json.dumps(measure(chosen.dir)) + "\n")
        return
    with tempfile.TemporaryDirectory() as temporary:
        directory = chosen.dir or Path(temporary)
        filled(directory, 20_000 if chosen.quick else chosen.documents)
        for _ in range(2 if chosen.again else 1):
            # a process of its own: its peak is of the plan alone
            command = [sys.executable, __file__, "--measure", "--dir", str(directory)]
            sys.stdout.write(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


if __name__ == "__main__":
    main()
