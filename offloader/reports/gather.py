"""Gathers everything that a report says: one pass over the plan for the sums; the rows stream again when written.

Asks neither a CRM nor a store anything: the plan's own proofs are what it rests on.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from offloader import __version__, prices
from offloader.config import Config
from offloader.errors import Refused
from offloader.ledger import PlanRow
from offloader.ledger.reporting import ReportRow
from offloader.moves.sealing import plan_of
from offloader.moves.site import Site
from offloader.reports import difference, facts
from offloader.reports.facets import Facets
from offloader.reports.forecast import forecast
from offloader.reports.model import Mode, Report
from offloader.reports.money import Account, Biller
from offloader.reports.rows import Rows, lines
from offloader.reports.sums import Sums, counts

#: the shape of a report's data; goes up when a field changes its meaning or goes
SCHEMA = 1


def mode_of(status: str) -> Mode:
    """A plan that was carried out, be it in part, has a run report; any other a dry-run report."""
    return Mode.RUN if status in ("applying", "done") else Mode.DRY_RUN


def seed_of(sha256: str) -> int:
    """The seed of a plan's sample where none is given: the first 8 hex digits of its SHA-256, as a number."""
    return int(sha256[:8], 16)


def gather(
    site: Site, config: Config, plan_id: str, mode: Mode, *, names: bool, seed: int | None = None, by: str
) -> Report:
    """Everything about a sealed plan. `by` writes the report; `names` prints titles in place of their hashes.

    Raises ConfigError if there is no such plan, Refused if it is not sealed.
    """
    row = plan_of(site, plan_id)
    if row.sha256 is None:
        raise Refused(f"plan {plan_id} is {row.status}: only a sealed plan has a report")
    now, run = site.context.now(), mode is Mode.RUN
    seed = seed_of(row.sha256) if seed is None else seed
    targets = facts.targets(row.header)
    facets = Facets({target.name: target for target in targets})
    biller = Biller(prices.load(), site.meters, site.tariffs, now.date())
    sums = Sums(site.homes, facts.policy_names(config, row.header), seed, run=run)
    account = Account(biller)
    for line in lines(site, plan_id):
        facet = facets.of(line.decided)
        sums.add(line, facet)
        account.add(line, facet)
    sums.fold()
    made = row.header.created or row.created
    rows = Rows(
        site=site,
        plan=plan_id,
        facets=facets,
        biller=biller,
        owners=facts.owners(site, row.header, made.date()),
        homes=site.homes,
        names=names,
        run=run,
    )
    return _report(site, config, row, mode, now, sums, account, rows, seed, by)


def head(site: Site, config: Config, row: PlanRow, mode: Mode, now: datetime, by: str) -> dict[str, Any]:
    """What every report begins with, but for stores and policies."""
    header = row.header
    said, standing = facts.sign_offs(site, config, row)
    started, ended = site.ledger.run_period(row.id) if mode is Mode.RUN else (None, None)
    return {
        "id": site.ledger.next_report_id(now),
        "schema": SCHEMA,
        "mode": mode,
        "organisation": config.settings.reports.organisation,
        "environment": config.settings.reports.environment,
        "tool": __version__,
        "made_at": now,
        "by": facts.person(config, by),
        "preparer": facts.person(config, header.by),
        "plan": row.id,
        "plan_sha256": row.sha256 or "",
        "plan_at": header.created or row.created,
        "started": started,
        "ended": ended,
        "sources": facts.sources(site, config, header),
        "sign_offs": said,
        "approvals_needed": standing.needed,
        "approved": standing.approved,
    }


def _report(
    site: Site,
    config: Config,
    row: PlanRow,
    mode: Mode,
    now: datetime,
    sums: Sums,
    account: Account,
    rows: Rows,
    seed: int,
    by: str,
) -> Report:
    header = row.header
    targets = facts.chosen(site, config, facts.targets(header), sums.chosen)
    policies = facts.policies(site, config, header, sums.uses, now.date())
    opening = head(site, config, row, mode, now, by)
    report = Report(
        **opening,
        policies=policies,
        targets=targets,
        totals=counts(sums.totals),
        codes=counts(sums.codes),
        examples=sums.examples,
        by_law=counts(sums.by_law),
        matrix=counts(sums.matrix),
        held=sums.held.count(),
        retention_conflicts=sums.conflicts.count(),
        data_quality=dict(sums.quality.most_common()),
        outcomes=counts(sums.outcomes),
        sample=sums.sample.drawn,
        seed=seed,
        exceptions=tuple(sums.exceptions),
        exceptions_total=sums.exceptions_total,
        money=account.money(),
        forecast=forecast(site, header, sums.ahead, sums.moves, opening["started"], now.date()),
        difference=None,
        rows=rows,
        scope=facts.scope(header),
        unfinished=counts(sums.unfinished),
    )
    return replace(report, difference=difference.against_last(site, report))


def note(site: Site, report: Report) -> None:
    """Write into the ledger that the report was written, for the next one to be compared with."""
    summary = difference.summary(report)
    site.ledger.record_report(ReportRow(report.id, report.mode, report.plan, report.made_at, summary))
