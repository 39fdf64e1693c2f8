"""Expiry: stored documents whose time is up. What is due, by the policy and by the CRM as it is now, sealed as a plan.

A plan names documents by their numbers in the ledger: it is kept when they are gone. Only acts `erase` touch anything.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from offloader.disposition.acts import Draft, check_clock_to_plan, draft
from offloader.disposition.deletions import recheck
from offloader.disposition.due import Due, Fate, due
from offloader.disposition.erasure import places
from offloader.disposition.terms import follow, promised
from offloader.disposition.tombstones import subject_of
from offloader.ledger import Entry, PlanRow
from offloader.ledger.disposing import Act
from offloader.ledger.expiring import Waiting
from offloader.model import Decision, DocumentRef, Retention, State
from offloader.moves.holding import Holds
from offloader.moves.identity import check_identity
from offloader.moves.pages import pages
from offloader.moves.site import Site
from offloader.ports import Ends, Lock, Target

KIND = "expire"
#: acts of such a plan: only the first is carried out; `hold` and `wait` say what keeps it, `review` is for a person
ERASE, REVIEW, HOLD, WAIT = "erase", "review", "hold", "wait"
PAGE = 500


@dataclass(frozen=True, slots=True)
class Given:
    """What every document is judged by, at one moment."""

    site: Site
    targets: Sequence[Target]
    today: date
    holds: Holds
    #: deletions whose grace is over, by document
    deleted: Mapping[int, Waiting]

    @classmethod
    def now(cls, site: Site, deleted: Mapping[int, Waiting]) -> Given:
        return cls(site, site.targets(), site.context.now().date(), Holds.of(site), deleted)

    def decision(self, entry: Entry) -> Decision:
        policy = self.site.policies[entry.document.ref.source]
        return policy.decide(entry.document, self.targets, self.site.context.now())

    def due(self, entry: Entry, decision: Decision) -> Due | None:
        found = due(decision, self.ends(entry), self.deleted.get(entry.pk), self.today)
        if found is not None and found.fate is Fate.ERASE:
            day = promised(self.site, entry.pk)
            if day is not None and self.today <= day:
                text = (
                    f"{found.why}, but the CRM once said {day}: if less is right, say so with `offloader expire accept`"
                )
                return Due(Fate.REVIEW, found.ground, text)
        return found

    def ends(self, entry: Entry) -> Ends:
        return self.site.policies[entry.document.ref.source].terms.ends


@dataclass(frozen=True, slots=True)
class Planned:
    """One document of a plan: the act, and why in words."""

    ref: DocumentRef
    act: str
    why: str


@dataclass(slots=True)
class ExpiryPlan:
    """A sealed plan, or None if no document's time is up, with what it is about."""

    row: PlanRow | None = None
    planned: list[Planned] = field(default_factory=list)
    acts: Counter[str] = field(default_factory=Counter)
    bytes: int = 0


def plan_expiry(
    site: Site, *, sources: Collection[str] = (), refresh_all: bool = False, clock_checked: bool = False
) -> ExpiryPlan:
    """Look at every document whose original was removed, and seal a plan about those whose time is up.

    The dates of the records that a term begins with are read afresh, for all documents with `refresh_all`, else for
    those that are due by what was known or whose terms have not begun. Raises Refused while the clock is behind, while
    it is over a month ahead of the newest event (unless `clock_checked`), and for a CRM that is not the one it was.
    """
    check_clock_to_plan(site, checked=clock_checked)
    names = [name for name in site.sources if not sources or name in sources]
    check_identity(site, names)
    given = Given.now(site, {each.document: each for each in recheck(site, names)})
    made, plan = ExpiryPlan(), None
    totals: dict[str, Any] = {"documents": 0, "bytes": 0, "kinds": Counter(), "versions": 0}
    for entries in pages(site, {State.DONE}, size=PAGE):
        acts = []
        for entry, found in _judged(given, [e for e in entries if e.document.ref.source in names], refresh_all):
            acts.append(_act(given, entry, *found))
            _count(made, totals, entry, acts[-1])
        if acts:
            plan = plan or draft(site, KIND, names)
            plan.add(acts)
    if plan is not None:
        made.row = _sealed(plan, made, totals)
    return made


def is_moved(entry: Entry) -> bool:
    """Whether the original of every version was removed: nothing else has a time in a store."""
    states = {version.state for version in entry.versions if not version.gone}
    return states == {State.DONE} and entry.link is not None


def _judged(given: Given, entries: Iterable[Entry], refresh_all: bool) -> Iterator[tuple[Entry, tuple[Decision, Due]]]:
    """The documents that are due by what the CRM says now, each with its decision."""
    chosen = [entry for entry in entries if is_moved(entry) and (refresh_all or _may_be_due(given, entry))]
    for entry in follow(given.site, chosen, given.targets).values():
        decision = given.decision(entry)
        found = given.due(entry, decision)
        if found is not None:
            yield entry, (decision, found)


def _may_be_due(given: Given, entry: Entry) -> bool:
    decision = given.decision(entry)
    return given.due(entry, decision) is not None or bool((decision.retention or Retention()).waiting)


def _act(given: Given, entry: Entry, decision: Decision, found: Due) -> Act:
    site, act, why = given.site, REVIEW if found.fate is Fate.REVIEW else ERASE, found.why
    copies = sorted({*places(site, entry)})
    if act == ERASE and (ids := given.holds.covering(entry)):
        act, why = HOLD, f"{why}, but {given.holds.reason(ids).text}"
    elif act == ERASE and (lock := hard_lock(given, entry, copies)) is not None:
        act, why = WAIT, f"{why}, but {until(lock)}"
    retention = decision.retention or Retention()
    return Act(
        subject=subject_of(entry.pk),
        act=act,
        part=entry.document.ref.kind,
        size=entry.document.size,
        body={
            "document": entry.pk,
            "source": entry.document.ref.source,
            "ground": found.ground.value,
            "why": why,
            "rules": list(retention.rules),
            "keep_until": retention.keep_until.isoformat() if retention.keep_until else None,
            "erase_by": retention.erase_by.isoformat() if retention.erase_by else None,
            "copies": [list(copy) for copy in copies],
        },
    )


def hard_lock(
    given: Given, entry: Entry, copies: Iterable[tuple[str, str]], going: Collection[int] = ()
) -> Lock | None:
    """The first lock on a copy that the policy does not let an expiry pass by.

    An object that another document has too, other than those that are `going`, stays: its lock is in nobody's way.
    """
    bypass = given.ends(entry).bypass_governance
    for store, key in copies:
        if given.site.ledger.referenced(store, key, documents={entry.pk, *going}):
            continue
        lock = given.site.stores[store].locked(key) if store in given.site.stores else None
        if lock is not None and not (bypass and lock.lifts):
            return lock
    return None


def until(lock: Lock) -> str:
    """A lock in words, with the day when it ends."""
    ends = f" (it ends on {lock.until:%Y-%m-%d})" if lock.until is not None else ""
    return f"a copy of it is locked: {lock.reason}{ends}"


def _count(made: ExpiryPlan, totals: dict[str, Any], entry: Entry, act: Act) -> None:
    made.planned.append(Planned(entry.document.ref, act.act, str(act.body["why"])))
    made.acts[act.act] += 1
    if act.act == ERASE:
        made.bytes += act.size
        totals["documents"] += 1
        totals["bytes"] += act.size
        totals["versions"] += len(entry.versions)
        totals["kinds"][act.part] += 1


def _sealed(plan: Draft, made: ExpiryPlan, totals: Mapping[str, Any]) -> PlanRow:
    others = sum(made.acts.values()) - made.acts[ERASE]
    summary = f"erases {made.acts[ERASE]} stored documents whose time is up; {others} more are due and stay"
    return plan.seal(summary, {**totals, "kinds": dict(totals["kinds"])})
