"""Notes and mail attachments a second against a bare loop of one GET and one PATCH each, 100 ms latency.

Both make as many calls at once as the connector does unless told (8), or as `--concurrency` says. The offloader's time
is that of its whole process: start, login, scan, checks, copies, placeholders and the second look at them. The loop's
is its loop alone; it finds nothing, checks nothing, and overwrites whatever stands there.
"""

from __future__ import annotations

import base64

from crms import Dynamics
from harness import arguments, bare_loop, configure, detail, offload_and_undo, say, serving, warm_up, workshop

from offloader_connectors.dynamics365.options import DynamicsOptions

LATENCY_MS = 100
KINDS = ["annotation", "activitymimeattachment"]
LINK = base64.b64encode(b"[InternetShortcut]\r\nURL=https://links.example/d/abcdefghijklmnopqrstuvwxyz\r\n").decode()


def placeholder(path: str) -> tuple[str, object]:
    """The PATCH that replaces the body at a path: path of its row, and JSON."""
    row, body = path.removesuffix("/$value").rsplit("/", 1)
    return row, {"filename": "document.url", "mimetype": "application/internet-shortcut", body: LINK}


def main() -> None:
    options = arguments(
        __doc__, documents=2000, quick=300, concurrency=DynamicsOptions.model_fields["concurrency"].default
    )
    threads = options.concurrency
    warm_up(Dynamics)
    with workshop() as directory, serving(Dynamics, directory, documents=options.documents) as crm:
        configure(crm, "pace", concurrency=threads)
        configure(crm, "sources.dynamics365", concurrency=threads, kinds=KINDS)
        ours, spent, moved = offload_and_undo(crm, LATENCY_MS)
        loop = bare_loop(crm, list(moved), threads=threads, patches=[placeholder(path) for path in moved])
    versions, seconds = int(ours.answer["versions_moved"]), float(loop.answer["seconds"])
    say("documents a second, ours / loop", versions / ours.seconds / (len(moved) / seconds), 5, at_least=True)
    detail(versions_moved=versions, failed=ours.answer["failed"], bodies_of_the_loop=len(moved))
    sizes = sorted(moved.values())
    detail(bytes=sum(sizes), median_bytes=sizes[len(sizes) // 2])
    detail(ours_seconds=ours.seconds, ours_seconds_of_the_run=ours.answer["seconds"], ours_cpu_seconds=ours.cpu)
    detail(
        loop_seconds=seconds, loop_cpu_seconds=loop.answer["cpu"], loop_requests=2 * len(moved), calls_at_once=threads
    )
    detail(our_requests=sum(spent.values()), **{name: spent[name] for name in sorted(spent)})


if __name__ == "__main__":
    main()
