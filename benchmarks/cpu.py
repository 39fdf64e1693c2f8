"""CPU per document against the bare loop: user and system time of both processes, from start to end."""

from __future__ import annotations

from crms import Salesforce
from harness import arguments, bare_loop, configure, detail, offload_and_undo, say, serving, warm_up, workshop

THREADS = 16


def main() -> None:
    options = arguments(__doc__, documents=4000, quick=500)
    warm_up(Salesforce)
    with workshop() as directory, serving(Salesforce, directory, documents=options.documents) as crm:
        configure(crm, "pace", concurrency=THREADS)
        ours, _, moved = offload_and_undo(crm, 0)
        loop = bare_loop(crm, list(moved), threads=THREADS)
    sizes = sorted(moved.values())
    say("CPU per version, ours / loop", ours.cpu / loop.cpu, 1.6)
    detail(versions=len(moved), median_bytes=sizes[len(sizes) // 2], bytes=sum(sizes))
    detail(ours_ms_per_version=ours.cpu * 1000 / len(moved), loop_ms_per_version=loop.cpu * 1000 / len(moved))
    detail(ours_system_ms=ours.system * 1000 / len(moved), loop_system_ms=loop.system * 1000 / len(moved))
    detail(loop_ms_without_start=float(loop.answer["cpu"]) * 1000 / len(moved))
    detail(ours_seconds=ours.seconds, loop_seconds=loop.seconds)


if __name__ == "__main__":
    main()
