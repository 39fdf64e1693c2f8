"""CPU of a second run that finds nothing to do, after many documents."""

from __future__ import annotations

from crms import CRMS, sandbox
from harness import arguments, detail, offload, say, workshop


def main() -> None:
    options = arguments(__doc__, documents=20_000, quick=500, crms=[*CRMS])
    with workshop() as directory, sandbox(options.crm, directory, documents=options.documents) as crm:
        first = offload(crm)
        crm.admin("POST", "requests/reset")
        second = offload(crm)
        third = offload(crm)
    say("CPU of a run with nothing to do", max(second.cpu, third.cpu), 3, " s")
    detail(documents=first.answer["documents"], first_run_seconds=first.seconds, first_run_cpu_seconds=first.cpu)
    detail(second_cpu_seconds=second.cpu, third_cpu_seconds=third.cpu, second_seconds=second.seconds)
    detail(versions_moved_by_the_second=second.answer["versions_moved"])


if __name__ == "__main__":
    main()
