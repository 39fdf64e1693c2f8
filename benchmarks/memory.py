"""Peak resident memory of the offloader: for one large file (2 GB; a note of 120 MiB), and for many small ones."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from crms import CRMS, sandbox
from harness import PYTHON, arguments, detail, offload, say, workshop

MIB = 1024**2
LARGE = {"salesforce": 2048 * MIB, "dynamics365": 120 * MIB}
DOCUMENTS = {"salesforce": 20_000, "dynamics365": 2000}
QUICK_LARGE = {"salesforce": 256 * MIB, "dynamics365": 32 * MIB}
TARGET_MB = 200


def large(crm: str, size: int) -> None:
    with workshop() as directory:
        with sandbox(crm, directory, documents=0):
            pass
        # a child inherits the peak of the process that starts it: this one stays small
        subprocess.run([*PYTHON, __file__, "--add-large-file", crm, str(directory), str(size)], check=True)
        with sandbox(crm, directory, documents=0) as running:
            running.admin("POST", "requests/reset")
            ran = offload(running)
            spent = running.requests()
    say(f"peak memory, one file of {size // MIB} MiB", ran.peak_mb, TARGET_MB, " MB")
    detail(bytes_moved=ran.answer["bytes"], seconds=ran.seconds, cpu_seconds=ran.cpu, requests=sum(spent.values()))


def small(crm: str, documents: int) -> None:
    with workshop() as directory, sandbox(crm, directory, documents=documents) as running:
        ran = offload(running)
    say(f"peak memory, {documents} small files", ran.peak_mb, TARGET_MB, " MB")
    detail(versions_moved=ran.answer["versions_moved"], bytes_moved=ran.answer["bytes"], seconds=ran.seconds)
    detail(cpu_seconds=ran.cpu)


def main() -> None:
    if sys.argv[1:2] == ["--add-large-file"]:
        CRMS[sys.argv[2]].add_large(Path(sys.argv[3]), int(sys.argv[4]))
        return
    options = arguments(__doc__, documents=0, quick=500, crms=[*CRMS])
    large(options.crm, (QUICK_LARGE if options.quick else LARGE)[options.crm])
    small(options.crm, options.documents or DOCUMENTS[options.crm])


if __name__ == "__main__":
    main()
