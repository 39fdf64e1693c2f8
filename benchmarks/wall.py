"""Wall time against the bare loop with the same concurrency and 100 ms of latency per request.

The loop is granted the offloader's batched calls, one after the other: they are its to make, not the loop's.
"""

from __future__ import annotations

from crms import Salesforce
from harness import arguments, bare_loop, configure, detail, offload_and_undo, say, serving, warm_up, workshop

LATENCY_MS = 100
THREADS = 16


def main() -> None:
    options = arguments(__doc__, documents=2000, quick=300)
    warm_up(Salesforce)
    with workshop() as directory, serving(Salesforce, directory, documents=options.documents) as crm:
        configure(crm, "pace", concurrency=THREADS)
        ours, spent, moved = offload_and_undo(crm, LATENCY_MS)
        loop = bare_loop(crm, list(moved), threads=THREADS)
    batched = sum(spent.values()) - len(moved)
    granted = float(loop.answer["seconds"]) + batched * LATENCY_MS / 1000
    say("wall time, ours / (loop + batched calls)", ours.seconds / granted, 1.10)
    detail(versions=len(moved), ours_seconds=ours.seconds, ours_seconds_of_the_run=ours.answer["seconds"])
    detail(loop_seconds=loop.answer["seconds"], batched_calls=batched, threads=THREADS)


if __name__ == "__main__":
    main()
