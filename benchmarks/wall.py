"""Wall time against the bare loop with the same concurrency and 100 ms of latency per request.

The loop is granted the offloader's batched calls, one after the other: they are its to make, not the loop's.
"""

from __future__ import annotations

from crms import Salesforce
from harness import arguments, bare_loop, configure, detail, offload, say, serving, warm_up, workshop

LATENCY_MS = 100
THREADS = 16


def main() -> None:
    options = arguments(__doc__, documents=2000, quick=300)
    warm_up(Salesforce)
    with workshop() as directory, serving(Salesforce, directory, documents=options.documents) as crm:
        configure(crm, "pace", concurrency=THREADS)
        before = crm.bodies()
        crm.admin("POST", "snapshot", {"name": "start"})
        crm.admin("PUT", "latency", {"ms": LATENCY_MS})
        crm.admin("POST", "requests/reset")
        ours = offload(crm)
        spent = crm.requests()
        crm.admin("PUT", "latency", {"ms": 0})
        after = crm.bodies()
        moved = [path for path, size in before.items() if after.get(path) != size]
        crm.admin("POST", "restore", {"name": "start"})
        crm.admin("PUT", "latency", {"ms": LATENCY_MS})
        loop = bare_loop(crm, moved, threads=THREADS)
    batched = sum(spent.values()) - len(moved)
    granted = float(loop.answer["seconds"]) + batched * LATENCY_MS / 1000
    say("wall time, ours / (loop + batched calls)", ours.seconds / granted, 1.10)
    detail(versions=len(moved), ours_seconds=ours.seconds, ours_seconds_of_the_run=ours.answer["seconds"])
    detail(loop_seconds=loop.answer["seconds"], batched_calls=batched, threads=THREADS)


if __name__ == "__main__":
    main()
