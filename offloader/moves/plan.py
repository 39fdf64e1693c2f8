"""Plan: decide what is to become of every document, freeze the answer, hash it.

A plan changes nothing in a CRM or a store. A dry run is a plan that nobody applies.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from offloader.ledger import Entry, PlanHeader, PlanItem, Step
from offloader.model import Decision, LocationProof, Reason, State, Verdict
from offloader.moves.caps import asked, terms_of
from offloader.moves.holding import HELD, Holds, changed, settle
from offloader.moves.pages import pages
from offloader.moves.pilot import Draw, Pilot
from offloader.moves.proofs import basis_of, keep, verdict_of
from offloader.moves.sealing import PAGE, Seal, canonical, live
from offloader.moves.site import Site
from offloader.moves.tombstoned import Tombstones
from offloader.ports import Target

#: what a plan always looks at again: nobody has finished with these
OPEN = frozenset({State.SEEN, State.PLANNED, State.COPIED, State.VERIFIED, State.LINKED, State.CONFLICT, State.FAILED})
#: what it looks at again when a rule, a store or a proof has changed
SETTLED = frozenset({State.KEPT, State.BLOCKED, State.REVIEW})
#: states that a MOVE leaves alone: work on them goes on where it stopped
UNDER_WAY = frozenset({State.PLANNED, State.COPIED, State.VERIFIED, State.LINKED, State.DONE})
STATE_OF = {Verdict.KEEP: State.KEPT, Verdict.BLOCKED: State.BLOCKED, Verdict.REVIEW: State.REVIEW}


@dataclass(slots=True)
class PlanSummary:
    """A sealed plan in numbers. `codes` counts documents by verdict and code, `stores` documents to move by store
    (further copies too), `kinds` documents to move by kind."""

    id: str | None
    sha256: str | None = None
    documents: int = 0
    versions: int = 0
    bytes: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    stores: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    #: one document's reason for each code, in words
    examples: dict[str, str] = field(default_factory=dict)
    header: PlanHeader | None = None

    @property
    def moves(self) -> int:
        return self.verdicts[Verdict.MOVE]

    def totals(self) -> dict[str, Any]:
        return {
            "documents": self.documents,
            "versions": self.versions,
            "bytes": self.bytes,
            "verdicts": dict(self.verdicts),
            "codes": dict(self.codes),
            "stores": dict(self.stores),
            "kinds": dict(self.kinds),
            "examples": self.examples,
        }


@dataclass(frozen=True, slots=True)
class _Given:
    """What every document is decided by."""

    targets: Sequence[Target]
    now: datetime
    holds: Holds
    tombstones: Tombstones
    #: numbers of versions of which an older copy lies in a store
    superseded: Collection[int]


def _basis(site: Site, proofs: Mapping[str, LocationProof], now_usable: Mapping[str, bool]) -> str:
    parts = {
        "policies": {source: policy.fingerprint for source, policy in site.policies.items()},
        "stores": {name: [verdict_of(proof), now_usable[name]] for name, proof in proofs.items()},
    }
    return hashlib.sha256(canonical(parts)).hexdigest()


def make_plan(
    site: Site, *, sources: Collection[str] = (), all_documents: bool = False, pilot: Pilot | None = None
) -> PlanSummary:
    """Decide about every open document (every one, with `all_documents`) and seal the plan.

    A pilot's plan is about few of them; the others stay as they are. With nothing to decide there is no plan: `id` is
    None.
    """
    targets = site.targets()
    now = site.context.now()
    for target in targets:
        keep(site, target.proof)
    proofs = {target.store: target.proof for target in targets}
    basis = _basis(site, proofs, {name: proof.usable_at(now) for name, proof in proofs.items()})
    again = all_documents or site.ledger.meta("basis") != basis
    holds = Holds.of(site)
    superseded = {pk for pk, _ in site.ledger.superseded()} if holds.standing else set()
    given = _Given(targets, now, holds, Tombstones(site), superseded)
    states = OPEN | SETTLED if again else OPEN
    if again or changed(site, holds):
        states |= {State.HELD}
    whole = not sources and pilot is None
    if not site.ledger.pending(states):
        if whole:
            site.ledger.set_meta("basis", basis)
            settle(site, holds)
        return PlanSummary(None)
    draw = None
    found = _found(site, states, sources)
    if pilot is not None:
        draw = _drawn(site, pilot, found, given)
        chosen = draw.chosen()
        found = (site.ledger.entries_by_pk(chosen[start : start + PAGE]) for start in range(0, len(chosen), PAGE))
    header = _header(site, sources, proofs, now, draw)
    summary = PlanSummary(site.ledger.create_plan(header), header=header)
    _fill(site, summary, header, found, given)
    if whole:
        site.ledger.set_meta("basis", basis)
        settle(site, holds)
    return summary


def _header(
    site: Site, sources: Collection[str], proofs: Mapping[str, LocationProof], now: datetime, draw: Draw | None
) -> PlanHeader:
    names = tuple(sorted(sources or site.sources))
    approvals, caps = asked(site, names)
    return PlanHeader(
        sources=names,
        policies={source: policy.fingerprint for source, policy in site.policies.items()},
        proofs={name: basis_of(proof) for name, proof in proofs.items()},
        limits=asdict(site.limits),
        scope={"sources": sorted(sources)} if sources else {},
        by=site.person,
        created=now,
        terms={source: terms_of(policy) for source, policy in site.policies.items()},
        approvals=asdict(approvals),
        caps=asdict(caps),
        pilot={"documents": draw.pilot.documents, "seed": draw.pilot.seed, "of": draw.seen} if draw else {},
    )


def _found(site: Site, states: Collection[State], sources: Collection[str]) -> Iterator[Sequence[Entry]]:
    for entries in pages(site, states, size=PAGE):
        chosen = [entry for entry in entries if not sources or entry.document.ref.source in sources]
        if chosen:
            yield chosen


def _drawn(site: Site, pilot: Pilot, found: Iterator[Sequence[Entry]], given: _Given) -> Draw:
    draw = Draw(pilot)
    for entries in found:
        for entry in entries:
            draw.see(entry, _decided(site, entry, given)[0])
        site.progress("draw", draw.seen, None)
    return draw


def _fill(
    site: Site,
    summary: PlanSummary,
    header: PlanHeader,
    found: Iterator[Sequence[Entry]],
    given: _Given,
) -> None:
    """Decide page by page, write each down while the next one is decided, and seal."""
    assert summary.id is not None
    plan, seal = summary.id, Seal(header)

    def write(items: Sequence[PlanItem], steps: Sequence[Step]) -> None:
        seal.lines(site.ledger.add_plan_items(plan, items))
        site.ledger.advance(steps)

    with ThreadPoolExecutor(1, "plan") as pen:
        written: Future[None] | None = None
        for entries in found:
            items, steps = [], []
            for entry in entries:
                decision, moves = _decided(site, entry, given)
                items.append(_item(entry, decision))
                steps.extend(moves)
                _count(summary, items[-1])
            if written is not None:
                written.result()
            written = pen.submit(write, items, steps)
            site.progress("plan", summary.documents, None)
        if written is not None:
            written.result()
    summary.sha256 = seal.hexdigest()
    site.ledger.seal_plan(summary.id, sha256=summary.sha256, totals=summary.totals())


def _item(entry: Entry, decision: Decision) -> PlanItem:
    document = entry.document
    ids = tuple(version.version.id for version in live(entry))
    named = () if ids == (document.ref.id,) else ids
    return PlanItem(entry.pk, decision, document.etag, document.size, len(ids), document.ref, named)


def _decided(site: Site, entry: Entry, given: _Given) -> tuple[Decision, list[Step]]:
    """What is to become of a document, and the transitions that this causes now."""
    if entry.deleted:
        decision = _of_deleted(entry)
    else:
        decision = site.policies[entry.document.ref.source].decide(entry.document, given.targets, given.now)
        decision = given.tombstones.decision(entry.document.ref, decision)
    return _settle(entry, given.holds.decision(entry, decision, given.superseded))


def _of_deleted(entry: Entry) -> Decision:
    """A document that the CRM no longer has: either we removed it and could not write that down, or a user did."""
    linked = [version.copies for version in live(entry) if version.state is State.LINKED]
    stores = list(dict.fromkeys(copy.store for copies in linked for copy in copies))
    if stores:
        reason = Reason("ALREADY_GONE", "the original is gone and its link stands")
        return Decision(verdict=Verdict.MOVE, reasons=(reason,), store=stores[0], copies=tuple(stores[1:]))
    return Decision(verdict=Verdict.KEEP, reasons=(Reason("DELETED_IN_CRM", "it was deleted in the CRM"),))


def _settle(entry: Entry, decision: Decision) -> tuple[Decision, list[Step]]:
    """The transitions that a decision causes now; a document half moved never changes its direction by itself."""
    wanted = set(decision.stores) if decision.verdict is Verdict.MOVE else set()
    # one that was held after its link was written is half moved as well
    half_way = {State.LINKED, State.HELD} if entry.link is not None else {State.LINKED}
    linked = [version for version in entry.versions if version.state in half_way]
    half = any(version.copies and {copy.store for copy in version.copies} != wanted for version in linked)
    if half and decision.code != HELD:
        reason = Reason(
            "HALF_MOVED",
            "the decision changed after its link was written: undo that, or delete the link, and plan again",
        )
        decision = Decision(verdict=Verdict.REVIEW, reasons=(*decision.reasons, reason), countries=decision.countries)
    to = State.PLANNED if decision.verdict is Verdict.MOVE else STATE_OF[decision.verdict]
    to = State.HELD if decision.code == HELD else to
    last = decision.reasons[-1] if decision.reasons else Reason(decision.verdict.value, "")
    steps = []
    for version in entry.versions:
        if version.gone and version.state in OPEN:
            steps.append(Step(version=version.pk, to=State.KEPT, detail="the CRM no longer lists this version"))
        if version.gone:
            continue
        keeps = version.state in UNDER_WAY if to is State.PLANNED else version.state is State.DONE
        held = {copy.store for copy in version.copies}
        moved_elsewhere = to is State.PLANNED and version.state is State.VERIFIED and held != wanted
        if (version.state is to or keeps) and not moved_elsewhere:
            continue
        steps.append(Step(version=version.pk, to=to, rule=last.rule, detail=last.text))
    return decision, steps


def _count(summary: PlanSummary, item: PlanItem) -> None:
    verdict = item.decision.verdict
    summary.documents += 1
    summary.verdicts[verdict] += 1
    code = f"{verdict} {item.decision.code}"
    summary.codes[code] += 1
    if code not in summary.examples and item.decision.reasons:
        summary.examples[code] = item.decision.reasons[-1].text
    if verdict is Verdict.MOVE and item.decision.store:
        summary.versions += item.versions
        summary.bytes += item.size
        summary.stores.update(item.decision.stores)
        if item.ref is not None:
            summary.kinds[item.ref.kind] += 1
