"""Disposal by a schedule: what people have approved is carried out, then a plan is made of what is due now.

Nothing is carried out here that nobody approved, also where a policy asks for no approvals: without a person at the
keyboard a person's word is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from offloader.disposition.acts import Report, check_clock
from offloader.disposition.deletions import watch
from offloader.disposition.erasure import plan_returned
from offloader.disposition.expiry import plan_expiry
from offloader.disposition.kinds import apply_of
from offloader.disposition.planning import plan_purge
from offloader.disposition.rehoming import plan_rehoming
from offloader.disposition.subjects import OPEN as REQUEST_OPEN
from offloader.disposition.subjects import days_left
from offloader.disposition.tombstones import returned
from offloader.errors import ConfigError, OffloaderError, Refused
from offloader.ledger import PlanRow
from offloader.moves.approving import OPEN, standing_of
from offloader.moves.identity import check_identity
from offloader.moves.report import sentence
from offloader.moves.site import Site
from offloader.moves.tombstoned import gather


@dataclass(slots=True)
class Turn:
    """What one job came to. `plan`: what is due now, if anything is; `fresh`: it was made just now."""

    #: what was seen before anything was done, in sentences
    seen: list[str] = field(default_factory=list)
    #: approved plans that were carried out, or begun
    reports: list[Report] = field(default_factory=list)
    #: why approved plans were not carried out
    refused: list[OffloaderError] = field(default_factory=list)
    plan: PlanRow | None = None
    fresh: bool = False
    #: acts of the plan that wait for an approval, and those that are for a person
    waiting: int = 0
    review: int = 0
    #: a person must look, whatever the plans say
    look: bool = False
    stopped: bool = False


@dataclass(frozen=True, slots=True)
class Job:
    """A kind's look at the world (written into the turn), and its plan. `each`: plans do not replace one another."""

    plan: Callable[[Site], PlanRow | None]
    look: Callable[[Site, Turn], None] | None = None
    each: bool = False


def take_turn(site: Site, kind: str) -> Turn:
    """Look, carry out the newest approved plan of the kind (of `each`: all), and plan anew.

    A plan that would be equal to the newest open one is not made again; another one takes its place, unless somebody
    has said something about it. Raises Refused while the clock is behind, and for a CRM that is not the one it was.
    """
    site, job, turn = replace(site, unattended=True), JOBS[kind], Turn()
    check_clock(site)
    check_identity(site, site.sources)
    if job.look is not None:
        job.look(site, turn)
    for row in _approved(site, kind, each=job.each):
        _carry_out(site, row, turn)
        if site.interrupts.requested or (turn.reports and turn.reports[-1].stopped is not None):
            turn.stopped = True
            return turn
        if not job.each and not turn.refused:
            _replace(site, row, spoken=True)
    known = {row.id for row in site.ledger.plans()}
    turn.plan = job.plan(site)
    if turn.plan is not None:
        turn.fresh = turn.plan.id not in known
        _count(site, turn, turn.plan)
        if turn.fresh and not job.each:
            _replace(site, turn.plan, spoken=False)
    return turn


def _approved(site: Site, kind: str, *, each: bool) -> list[PlanRow]:
    """Open plans of the kind to which at least one person agreed and that may be carried out: all, or the newest."""
    found = []
    for row in site.ledger.plans():
        if row.header.disposes == kind and row.status in OPEN:
            stands = standing_of(site, row)
            if stands.approved and stands.given:
                found.append(row)
    return found if each else found[-1:]


def _carry_out(site: Site, row: PlanRow, turn: Turn) -> None:
    apply = apply_of(row)
    assert apply is not None
    try:
        turn.reports.append(apply(site, row.id, None))
    except (Refused, ConfigError) as error:
        turn.refused.append(error)
        turn.seen.append(f"Plan {row.id} is approved and was not carried out: {sentence(error)}")


def _replace(site: Site, by: PlanRow, *, spoken: bool) -> None:
    """Older plans of the same scope that the same account made are settled by this one; with `spoken` also those about
    which somebody said something."""
    for row in site.ledger.plans():
        if row.id == by.id:
            return
        same = (row.header.scope, row.header.sources, row.header.by) == (
            by.header.scope,
            by.header.sources,
            site.person,
        )
        if same and row.status == "sealed" and (spoken or not site.ledger.approvals(row.id)):
            site.ledger.set_plan_status(row.id, "superseded")


def _count(site: Site, turn: Turn, row: PlanRow) -> None:
    for (act, state), count in site.ledger.act_tally(row.id).items():
        if act == "review":
            turn.review += count
        elif state == "open" and act not in _NOTED:
            turn.waiting += count


#: acts that say why something stays, and are never carried out
_NOTED = frozenset({"hold", "wait", "keep", "left", "blocked", "held"})


def _expire(site: Site) -> PlanRow | None:
    return plan_expiry(site).row


def _watch(site: Site, turn: Turn) -> None:
    found = watch(site)
    turn.seen.append(
        f"{found.looked} links looked for: {found.started} deletions found, {found.cancelled} are back, "
        f"{found.waiting} documents wait for the end of their grace."
    )
    if found.unseen:
        turn.look = True
        turn.seen.append(f"{found.unseen} links are not seen, and the CRM does not call them deleted: nothing begins.")
    if found.terms.longer or found.terms.shorter:
        turn.seen.append(f"{found.terms.longer} terms are longer than before, {found.terms.shorter} shorter.")
    if found.terms.shorter or found.terms.problems:
        turn.look = True
        turn.seen += found.terms.problems[:1]


def _erase(site: Site) -> PlanRow | None:
    return plan_returned(site, returned(site)).row


def _tombstones(site: Site, turn: Turn) -> None:
    turn.seen += [f"{new} tombstones were read from the stores."] if (new := gather(site)) else []
    late = list(_late(site))
    if late:
        turn.look = True
        turn.seen.append(f"LATE with an answer to {', '.join(late)}.")


def _late(site: Site) -> Iterator[str]:
    today = site.context.now().date()
    yield from (row.id for row in site.ledger.requests() if row.state in REQUEST_OPEN and days_left(row, today) < 0)


def _rehome(site: Site) -> PlanRow | None:
    return plan_rehoming(site).row


JOBS: Mapping[str, Job] = {
    "expire": Job(_expire, _watch),
    "erase": Job(_erase, _tombstones, each=True),
    "rehome": Job(_rehome),
    "purge": Job(plan_purge),
}
