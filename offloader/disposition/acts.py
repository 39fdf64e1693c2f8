"""Plans that dispose: made of acts, sealed and hashed as plans of moves are, and opened for carrying out in one way.

The hash is over the header and a line for each act, in the plan's order, as the exported file has them.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any

from offloader.audit import canonical as canonical_text
from offloader.errors import Drift, Interrupted, OffloaderError, Refused
from offloader.ledger import PlanHeader, PlanRow
from offloader.ledger.codec import header_fields
from offloader.ledger.disposing import Act
from offloader.moves.approving import check_approvals
from offloader.moves.caps import OUTCOME, asked, terms_of
from offloader.moves.checkpoints import close
from offloader.moves.identity import check_identity
from offloader.moves.proofs import basis_of, keep
from offloader.moves.report import sentence
from offloader.moves.sealing import NAMED, PAGE, Seal, canonical, check_file, plan_of, world_changes
from offloader.moves.site import Site

#: a clock that is further ahead of the newest event is asked about
_LEAP = timedelta(days=31)
#: what a plan's totals always have, so that whoever lists plans can list these too
_NOTHING_MOVED: Mapping[str, Any] = {
    "documents": 0,
    "versions": 0,
    "bytes": 0,
    "verdicts": {},
    "codes": {},
    "stores": {},
    "kinds": {},
    "examples": {},
}


class Draft:
    """A plan of a kind while it is made: `add` acts, then `seal`."""

    def __init__(self, site: Site, header: PlanHeader) -> None:
        self._site = site
        self.header = header
        self.id = site.ledger.create_plan(header)
        self._seal = Seal(header)
        self._acts = hashlib.sha256()
        self._counts: Counter[str] = Counter()
        self._bytes = 0

    def add(self, acts: Sequence[Act]) -> None:
        """Append acts, in this order."""
        if acts:
            lines = self._site.ledger.add_acts(self.id, acts)
            self._seal.lines(lines)
            self._acts.update("".join(f"{line}\n" for line in lines).encode("ascii"))
            _count(self._counts, acts)
            self._bytes += sum(act.size for act in acts)

    def seal(self, summary: str, totals: Mapping[str, Any]) -> PlanRow:
        """Freeze the plan. `summary` says in one sentence what it would do; `totals` are the kind's own, JSON-able.

        Where nobody looks on, one that is equal to an open plan is given up, and that one is the answer.
        """
        acts = self._acts.hexdigest()
        if self._site.unattended and (twin := _twin(self._site, self.header, acts)) is not None:
            self._site.ledger.drop_plan(self.id)
            return twin
        whole = {
            **_NOTHING_MOVED,
            "bytes": self._bytes,
            "acts": dict(sorted(self._counts.items())),
            **totals,
            "summary": summary,
            "acts_sha256": acts,
        }
        self._site.ledger.seal_plan(self.id, sha256=self._seal.hexdigest(), totals=whole)
        return self._site.ledger.plan(self.id)


def _twin(site: Site, header: PlanHeader, acts: str) -> PlanRow | None:
    """The newest sealed plan that rests on the same policies, proofs, limits and scope, and has these very acts."""
    for row in reversed(site.ledger.plans()):
        same = row.status == "sealed" and row.totals.get("acts_sha256") == acts
        if same and _asks(row.header) == _asks(header) and not any(world_changes(site, row.header)):
            return row
    return None


def _asks(header: PlanHeader) -> str:
    """What a plan is for, and how much may be done by how many."""
    return canonical_text([header.sources, header.scope, header.limits, header.approvals, header.caps])


def draft(site: Site, kind: str, sources: Collection[str], *, scope: Mapping[str, Any] | None = None) -> Draft:
    """Begin a plan of this kind for these sources, resting on their policies and on all stores' fresh proofs."""
    names = tuple(sorted(sources))
    targets = site.targets()
    for target in targets:
        keep(site, target.proof)
    approvals, caps = asked(site, names)
    return Draft(
        site,
        PlanHeader(
            sources=names,
            policies={source: site.policies[source].fingerprint for source in names},
            proofs={target.store: basis_of(target.proof) for target in targets},
            limits=asdict(site.limits),
            scope={"plan": kind, **(scope or {})},
            by=site.person,
            created=site.context.now(),
            terms={source: terms_of(site.policies[source]) for source in names},
            approvals=asdict(approvals),
            caps=asdict(caps),
        ),
    )


def export_acts(site: Site, plan_id: str) -> Iterator[bytes]:
    """The plan as JSON Lines: a header line, then a line per act."""
    row = plan_of(site, plan_id)
    yield canonical({"plan": plan_id, "sha256": row.sha256, "totals": row.totals, **header_fields(row.header)}) + b"\n"
    for rows in _lines(site, plan_id):
        for _, line in rows:
            yield line.encode("ascii") + b"\n"


def acts_of(site: Site, plan_id: str, states: Collection[str]) -> Iterator[list[Act]]:
    """The plan's acts in these states, a page at a time, in order. Acts that leave them meanwhile are passed over."""
    after = 0
    while page := site.ledger.acts(plan_id, after=after, limit=PAGE, states=states):
        after = page[-1].seq
        yield page


def check_acts(site: Site, plan_id: str) -> None:
    """Raise Drift, saying what differs, when a sealed plan no longer fits the world or was edited."""
    row = plan_of(site, plan_id)
    found = list(world_changes(site, row.header))
    seal = Seal(row.header)
    for rows in _lines(site, plan_id):
        seal.lines(line for _, line in rows)
    counts: Counter[str] = Counter()
    for (act, _), count in site.ledger.act_tally(plan_id).items():
        counts[act] += count
    if seal.hexdigest() != row.sha256:
        found.append("the plan itself is not what was sealed")
    elif dict(counts) != row.totals.get("acts"):
        found.append("the plan's totals are not those of its acts")
    if found:
        more = f", and {len(found) - NAMED} more" if len(found) > NAMED else ""
        raise Drift(f"plan {plan_id} is refused: {'; '.join(found[:NAMED])}{more}. Make a new one.")


def opened(site: Site, plan_id: str, kind: str, lines: Iterable[bytes] | None = None) -> PlanRow:
    """Make sure that a plan may be carried out now, as far as all kinds go. Changes nothing.

    Raises Refused when it is of another kind, lacks an approval, was applied before, or the clock is behind; Drift when
    the world is not what it was made for, or `lines` (the plan as a file) are not the plan. The caller checks its caps,
    then calls `begin`.
    """
    row = plan_of(site, plan_id)
    if row.header.disposes != kind:
        raise Refused(f"plan {plan_id} is no plan of the kind {kind}", rule="plan-kind")
    if lines is not None:
        check_file(site, plan_id, lines, export_acts)
    if row.status not in ("sealed", "applying"):
        raise Refused(f"plan {plan_id} is {row.status}; only a sealed plan can be applied", rule="plan-status")
    check_clock(site)
    check_approvals(site, row)
    check_identity(site, row.header.sources)
    check_acts(site, plan_id)
    return row


def begin(site: Site, row: PlanRow) -> None:
    """Mark a plan as being carried out, once every check has passed."""
    site.ledger.set_plan_status(row.id, "applying")


def check_clock(site: Site) -> None:
    """Raise Refused while the clock is behind the ledger: nothing is judged by its age then."""
    warning = site.ledger.clock_warning
    if warning is not None:
        raise Refused(f"nothing is disposed of by a clock that is wrong: {warning}", rule="clock")


def check_clock_to_plan(site: Site, *, checked: bool) -> None:
    """Raise Refused while the clock is behind, or over a month ahead of the newest event: what it says would be old
    too early. `checked`: a person has looked at a clock that is ahead."""
    check_clock(site)
    head = site.ledger.head()
    newest = site.ledger.events(after=head.seq - 1, limit=1) if head.seq and not checked else []
    if newest and site.context.now() - datetime.fromisoformat(newest[0].at) > _LEAP:
        raise Refused(
            f"the clock says {site.context.now():%Y-%m-%d}, and the newest event is of {newest[0].at[:10]}: a clock "
            "that is ahead would end terms too early. Look at it, and say --clock-checked",
            rule="clock",
        )


@dataclass(slots=True)
class Report:
    """What carrying out a plan of acts came to. `lines` are sentences for a person, `data` numbers for a program."""

    plan: str
    kind: str
    #: acts by the state in which they ended ("done", "skipped", "conflict", "failed", "held")
    states: Counter[str] = field(default_factory=Counter)
    #: one reason a state, in words
    examples: dict[str, str] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    data: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    stopped: str | None = None
    stop_error: OffloaderError | None = None
    checkpoint: Mapping[str, Any] | None = None

    def count(self, state: str, reason: str = "", times: int = 1) -> None:
        self.states[state] += times
        if reason:
            self.examples.setdefault(state, reason)

    def stop(self, error: OffloaderError) -> None:
        """End here; the first reason counts."""
        if self.stopped is None:
            self.stopped, self.stop_error = sentence(error), error

    def as_json(self) -> dict[str, Any]:
        return {
            "plan": self.plan,
            "kind": self.kind,
            "states": dict(self.states),
            "examples": self.examples,
            "seconds": round(self.seconds, 3),
            "stopped": self.stopped,
            "checkpoint": self.checkpoint,
            **self.data,
        }


def finish(site: Site, report: Report) -> Report:
    """Note what came of a plan, mark it as done unless it was stopped, and make a checkpoint."""
    data = {"plan": report.plan, "kind": report.kind, "states": dict(report.states), "stopped": report.stopped or ""}
    site.ledger.record_event("disposed", data=data)
    site.ledger.set_meta(OUTCOME.format(report.plan), canonical_text(data))
    if report.stopped is None:
        site.ledger.set_plan_status(report.plan, "done")
    report.checkpoint = close(site)
    return report


def interrupted(site: Site) -> None:
    """Raise Interrupted at a safe point, if somebody asked to stop."""
    if site.interrupts.requested:
        raise Interrupted("interrupted; run again to go on")


def _lines(site: Site, plan_id: str) -> Iterator[Sequence[tuple[int, str]]]:
    after = 0
    while rows := site.ledger.act_lines(plan_id, after=after, limit=PAGE):
        after = rows[-1][0]
        yield rows


def _count(counts: Counter[str], acts: Iterable[Act]) -> None:
    for act in acts:
        counts[act.act] += 1
