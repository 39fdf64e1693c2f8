"""Plan and report of a million documents: seconds of the clock and of the processor, and peak memory.

The ledger, the plan and the report are each made by one process, which has no other beside it: its peak is all of it.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from time import monotonic

from harness import PYTHON, arguments, detail, measure, say, workshop
from synthetic import config, fill, opened

from offloader.moves.plan import make_plan
from offloader.reports.gather import gather, note
from offloader.reports.model import Mode
from offloader.reports.writing import write_all
from offloader.system import steady_memory

FORMATS = ("csv", "jsonl", "xlsx", "html")
DOCUMENTS = 1_000_000
TARGET_SECONDS = 300
TARGET_MB = 400


def make(directory: Path, count: int) -> None:
    with opened(directory) as site:
        fill(site.ledger, count)


def plan(directory: Path) -> None:
    steady_memory()
    with opened(directory) as site:
        print(json.dumps({"plan": make_plan(site).id}))


def report(directory: Path, plan_id: str) -> None:
    took = {}
    steady_memory()
    with opened(directory) as site:
        before = monotonic()
        found = gather(site, config(directory), plan_id, Mode.DRY_RUN, names=False, by="benchmark")
        took["gather"] = round(monotonic() - before, 1)
        before = monotonic()
        write_all(found, {each: directory / f"{found.id}.{each}" for each in FORMATS}, language="en")
        took["files"] = round(monotonic() - before, 1)
        note(site, found)
    print(json.dumps(took))


def main() -> None:
    if sys.argv[1:2] == ["--make"]:
        make(Path(sys.argv[2]), int(sys.argv[3]))
        print("{}")
        return
    if sys.argv[1:2] in (["--plan"], ["--report"]):
        plan(Path(sys.argv[2])) if sys.argv[1] == "--plan" else report(Path(sys.argv[2]), sys.argv[3])
        return
    options = arguments(__doc__, documents=DOCUMENTS, quick=20_000)
    itself = (*PYTHON, __file__)
    with workshop() as directory:
        measure([*itself, "--make", str(directory), str(options.documents)])
        planned = measure([*itself, "--plan", str(directory)])
        made = measure([*itself, "--report", str(directory), planned.answer["plan"]])
        sizes = {path.suffix: path.stat().st_size for path in directory.glob("R-*")}
    say(f"plan and report of {options.documents} documents", planned.seconds + made.seconds, TARGET_SECONDS, " s")
    say("peak memory", max(planned.peak_mb, made.peak_mb), TARGET_MB, " MB")
    for what, one in (("plan", planned), ("report", made)):
        detail(**{f"{what}_seconds": one.seconds, f"{what}_cpu_seconds": one.cpu, f"{what}_peak_mb": one.peak_mb})
    detail(load=os.getloadavg()[0], **made.answer)
    detail(**{f"bytes{suffix}": size for suffix, size in sizes.items()})


if __name__ == "__main__":
    main()
