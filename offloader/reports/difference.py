"""What differs from the report before: each report leaves a short summary in the ledger for the next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from offloader.ledger.reporting import ReportRow
from offloader.moves.site import Site
from offloader.reports.model import Difference, Report


def summary(report: Report) -> dict[str, Any]:
    """What the next report is compared with, JSON-able."""
    policies = report.policies
    return {
        "sources": [source.name for source in report.sources],
        "codes": {" ".join(key): count.documents for key, count in sorted(report.codes.items())},
        "totals": {name: asdict(count) for name, count in report.totals.items()},
        "policies": {policy.name: policy.fingerprint for policy in policies},
        "tables": {f"{policy.name}/{name}": version for policy in policies for name, version in policy.tables.items()},
        "proofs": {target.name: [target.assurance, *target.countries, target.sha256] for target in report.targets},
    }


def against_last(site: Site, report: Report) -> Difference | None:
    """Against the newest report of this mode over the same sources that was about another plan; None if none was."""
    now = summary(report)
    for row in site.ledger.reports(report.mode):
        if row.plan != report.plan and row.summary.get("sources") == now["sources"]:
            return _difference(row, now)
    return None


def _difference(row: ReportRow, now: Mapping[str, Any]) -> Difference:
    then = row.summary
    codes = {code: now["codes"].get(code, 0) - then["codes"].get(code, 0) for code in {*now["codes"], *then["codes"]}}
    return Difference(
        report=row.id,
        at=row.at,
        by_code={code: change for code, change in sorted(codes.items()) if change},
        changed=tuple(
            f"{word} {name}"
            for word, part in (("policy", "policies"), ("table", "tables"), ("proof", "proofs"))
            for name in sorted({*now[part], *then[part]})
            if now[part].get(name) != then[part].get(name)
        ),
    )
