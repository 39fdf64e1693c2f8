"""Run: scan, plan and apply under one lock."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

from offloader.moves.apply import apply_plan, requests_of
from offloader.moves.plan import make_plan
from offloader.moves.report import RunReport
from offloader.moves.restore import finish
from offloader.moves.scan import scan
from offloader.moves.site import Site


def run(site: Site, *, sources: Collection[str] = (), full: bool = False) -> RunReport:
    """The whole job once. The report's requests and seconds cover all of it, scan included."""
    started = site.context.monotonic()
    before: Counter[str] = requests_of(site)
    for store in site.stores.values():
        store.sweep()
    finished = finish(site)
    scanned = scan(site, sources=sources, full=full)
    summary = make_plan(site, sources=sources)
    report = RunReport() if summary.id is None else apply_plan(site, summary.id, trusted=True)
    report.failed += finished.failed
    report.errors += finished.errors
    report.blind_spots = [f"{spot.message} Hidden: {spot.hides}" for spot in scanned.blind_spots]
    report.returned = scanned.returned
    report.crm_requests = requests_of(site) - before
    report.seconds = site.context.monotonic() - started
    return report
