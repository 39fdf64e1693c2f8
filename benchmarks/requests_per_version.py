"""CRM requests per document version moved: login, scan, downloads, links, checks, removals, everything."""

from __future__ import annotations

from crms import CRMS, sandbox
from harness import arguments, detail, offload, say, workshop

#: by CRM: about 2,000 versions, and how many requests each may cost
DOCUMENTS = {"salesforce": 2100, "dynamics365": 2000}
TARGETS = {"salesforce": 1.03, "dynamics365": 0.08}


def main() -> None:
    options = arguments(__doc__, documents=0, quick=200, crms=[*CRMS])
    documents = options.documents or DOCUMENTS[options.crm]
    with workshop() as directory, sandbox(options.crm, directory, documents=documents) as crm:
        crm.admin("POST", "requests/reset")
        ran = offload(crm).answer
        spent = crm.requests()
    moved, total = int(ran["versions_moved"]), sum(spent.values())
    say("requests per version moved", total / moved, TARGETS[options.crm])
    detail(versions_moved=moved, documents_moved=ran["moved"], failed=ran["failed"], requests=total)
    detail(offloaders_own_count=sum(ran["crm_requests"].values()))
    detail(**{name: spent[name] for name in sorted(spent)})


if __name__ == "__main__":
    main()
