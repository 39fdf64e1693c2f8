"""Salesforce requests per document version moved: login, scan, downloads, links, checks, removals, everything."""

from __future__ import annotations

from harness import arguments, detail, offload, sandbox, say, workshop


def main() -> None:
    options = arguments(__doc__, documents=2100, quick=200)
    with workshop() as directory, sandbox(directory, documents=options.documents) as crm:
        crm.admin("POST", "requests/reset")
        ran = offload(crm).answer
        spent = crm.requests()
    moved, total = int(ran["versions_moved"]), sum(spent.values())
    say("requests per version moved", total / moved, 1.03)
    detail(versions_moved=moved, documents_moved=ran["moved"], failed=ran["failed"], requests=total)
    detail(besides_downloads=total - moved, offloaders_own_count=sum(ran["crm_requests"].values()))
    detail(**{name: spent[name] for name in sorted(spent)})


if __name__ == "__main__":
    main()
