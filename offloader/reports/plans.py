"""The report of a plan of any kind."""

from __future__ import annotations

from offloader.config import Config
from offloader.errors import ConfigError
from offloader.moves.sealing import plan_of
from offloader.moves.site import Site
from offloader.reports import gather as moves
from offloader.reports.acts import gather as acts
from offloader.reports.acts.model import ActsReport
from offloader.reports.model import Report


def report_of(
    site: Site, config: Config, plan: str, *, names: bool, seed: int | None = None, by: str
) -> Report | ActsReport:
    """What the plan would do, or did. `by` writes the report; `names` prints titles in place of their hashes.

    Raises ConfigError if there is no such plan, or `seed` is given for one that has no sample; Refused if it is not
    sealed.
    """
    row = plan_of(site, plan)
    if row.header.disposes is None:
        return moves.gather(site, config, plan, moves.mode_of(row.status), names=names, seed=seed, by=by)
    if seed is not None:
        raise ConfigError(f"the report of plan {plan} has no sample, so no seed")
    return acts.gather(site, config, row, names=names, by=by)


def note(site: Site, report: Report | ActsReport) -> None:
    """Write into the ledger that the report was written."""
    if isinstance(report, Report):
        moves.note(site, report)
    else:
        acts.note(site, report)
