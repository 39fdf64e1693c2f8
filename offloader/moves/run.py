"""Run: scan, plan and apply under one lock."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from contextlib import suppress

from offloader.errors import Drift, OffloaderError, Refused
from offloader.moves.apply import apply_plan, requests_of
from offloader.moves.approving import OPEN, RULE, check_approvals, standing_of
from offloader.moves.caps import check_caps
from offloader.moves.checkpoints import close
from offloader.moves.identity import check_identity
from offloader.moves.plan import PlanSummary, make_plan
from offloader.moves.report import RunReport
from offloader.moves.restore import finish
from offloader.moves.scan import scan
from offloader.moves.sealing import plan_of
from offloader.moves.site import Site


def run(site: Site, *, sources: Collection[str] = (), full: bool = False) -> RunReport:
    """The whole job once. The report's requests and seconds cover all of it, scan included.

    Where a policy wants people to approve, the newest plan that they have approved is carried out, if it still fits
    the world; without one it ends after a new plan: `stop_error` says so, and nothing is moved.
    """
    started = site.context.monotonic()
    before: Counter[str] = requests_of(site)
    check_identity(site, [name for name in site.sources if not sources or name in sources])
    for store in site.stores.values():
        # a store that is not as it must be is its proof's business, and holds up no other store's documents
        with suppress(OffloaderError):
            store.sweep()
    finished = finish(site)
    scanned = scan(site, sources=sources, full=full)
    report = _approved(site, sources) or _planned(site, sources)
    report.failed += finished.failed
    report.errors += finished.errors
    report.blind_spots = [f"{spot.message} Hidden: {spot.hides}" for spot in scanned.blind_spots]
    report.returned = scanned.returned
    report.crm_requests = requests_of(site) - before
    report.seconds = site.context.monotonic() - started
    report.checkpoint = close(site)
    return report


def _approved(site: Site, sources: Collection[str]) -> RunReport | None:
    """Carry out the newest plan that people have approved and that still fits the world; None without one."""
    for row in reversed(site.ledger.plans()):
        within = not sources or set(row.header.sources) <= set(sources)
        wanted = within and row.header.disposes is None and row.status in OPEN and row.header.approvals.get("people", 0)
        if wanted and standing_of(site, row).approved:
            with suppress(Refused, Drift):
                return apply_plan(site, row.id)
    return None


def _planned(site: Site, sources: Collection[str]) -> RunReport:
    summary = make_plan(site, sources=sources)
    return RunReport() if summary.id is None else _carry_out(site, summary)


def _carry_out(site: Site, summary: PlanSummary) -> RunReport:
    assert summary.id is not None
    row = plan_of(site, summary.id)
    check_caps(site, row)
    try:
        check_approvals(site, row)
    except Refused as refusal:
        if refusal.rule != RULE:
            raise
        report = RunReport(plan=summary.id, stopped=str(refusal), stop_error=refusal)
        report.count_plan(row.totals)
        return report
    return apply_plan(site, summary.id, trusted=True)
