"""Requests per kind of an incremental scan when nothing changed; logins and object descriptions are listed apart."""

from __future__ import annotations

import threading

from crms import CRMS, sandbox
from harness import arguments, configure, detail, offload, say, workshop

TARGETS = {"salesforce": 3, "dynamics365": 2}
#: seconds; the CRM's time stamps are whole seconds
_PAUSE = 3


def main() -> None:
    options = arguments(__doc__, documents=2000, quick=200, crms=[*CRMS])
    with workshop() as directory, sandbox(options.crm, directory, documents=options.documents) as crm:
        configure(crm, f"sources.{crm.name}", **crm.short_overlap)
        offload(crm)
        threading.Event().wait(_PAUSE)
        offload(crm, "scan")  # sees the run's own changes
        threading.Event().wait(_PAUSE)
        crm.admin("POST", "requests/reset")
        scanned = offload(crm, "scan")
        spent = crm.requests()
    once = sum(count for name, count in spent.items() if any(part in name for part in crm.once))
    total = sum(spent.values())
    say("scan requests per kind when nothing changed", (total - once) / crm.kinds, TARGETS[crm.name])
    detail(documents=options.documents, requests=total, of_these_once_per_process=once, seconds=scanned.seconds)
    detail(**{name: spent[name] for name in sorted(spent)})


if __name__ == "__main__":
    main()
