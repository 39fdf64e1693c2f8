"""Requests per kind of an incremental scan when nothing changed; logins and object descriptions are listed apart."""

from __future__ import annotations

import threading

from harness import arguments, configure, detail, offload, sandbox, say, workshop

KINDS = 2
#: seconds; the CRM's time stamps are whole seconds
_PAUSE = 3
_ONCE = ("oauth2", "describe", "versions", "userinfo", "identity")


def main() -> None:
    options = arguments(__doc__, documents=2000, quick=200)
    with workshop() as directory, sandbox(directory, documents=options.documents) as crm:
        # everything here is younger than the usual overlap, so that every scan would find all of it changed
        configure(crm, "sources.salesforce", overlap=1)
        offload(crm)
        threading.Event().wait(_PAUSE)
        offload(crm, "scan")  # sees the run's own changes
        threading.Event().wait(_PAUSE)
        crm.admin("POST", "requests/reset")
        scanned = offload(crm, "scan")
        spent = crm.requests()
    once = sum(count for name, count in spent.items() if any(part in name for part in _ONCE))
    total = sum(spent.values())
    say("scan requests per kind when nothing changed", (total - once) / KINDS, 3)
    detail(documents=options.documents, requests=total, of_these_once_per_process=once, seconds=scanned.seconds)
    detail(**{name: spent[name] for name in sorted(spent)})


if __name__ == "__main__":
    main()
