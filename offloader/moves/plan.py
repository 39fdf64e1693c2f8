"""Plan: decide what is to become of every document, freeze the answer, hash it.

A plan changes nothing in a CRM or a store. A dry run is a plan that nobody applies.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from offloader.errors import ConfigError, Drift, Permanent, Refused
from offloader.ledger import Entry, PlanHeader, PlanItem, PlanRow, Step, VersionEntry
from offloader.ledger.codec import decision_facts
from offloader.model import Decision, LocationProof, Reason, State, Verdict
from offloader.moves.pages import pages
from offloader.moves.proofs import basis_of, changes, keep, verdict_of
from offloader.moves.site import Limits, Site
from offloader.ports import Target

#: what a plan always looks at again: nobody has finished with these
OPEN = frozenset({State.SEEN, State.PLANNED, State.COPIED, State.VERIFIED, State.LINKED, State.CONFLICT, State.FAILED})
#: what it looks at again when a rule, a store or a proof has changed
SETTLED = frozenset({State.KEPT, State.BLOCKED, State.REVIEW})
#: states that a MOVE leaves alone: work on them goes on where it stopped
UNDER_WAY = frozenset({State.PLANNED, State.COPIED, State.VERIFIED, State.LINKED, State.DONE})
STATE_OF = {Verdict.KEEP: State.KEPT, Verdict.BLOCKED: State.BLOCKED, Verdict.REVIEW: State.REVIEW}
PAGE = 500
_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode


@dataclass(slots=True)
class PlanSummary:
    """A sealed plan in numbers. `codes` counts documents by verdict and code; `countries` bytes by store."""

    id: str | None
    sha256: str | None = None
    documents: int = 0
    versions: int = 0
    bytes: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    stores: Counter[str] = field(default_factory=Counter)
    #: one document's reason for each code, in words
    examples: dict[str, str] = field(default_factory=dict)

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
            "examples": self.examples,
        }


def _header_value(header: PlanHeader) -> dict[str, Any]:
    return {**asdict(header), "created": header.created.isoformat() if header.created else None}


def _basis(site: Site, proofs: Mapping[str, LocationProof], now_usable: Mapping[str, bool]) -> str:
    parts = {
        "policies": {source: policy.fingerprint for source, policy in site.policies.items()},
        "stores": {name: [verdict_of(proof), now_usable[name]] for name, proof in proofs.items()},
    }
    return hashlib.sha256(_canonical(parts)).hexdigest()


def _canonical(value: Any) -> bytes:
    return _encode(value).encode("utf-8", "surrogatepass")


def item_line(entry: Entry, item: PlanItem) -> bytes:
    """One line of the plan as it is hashed and exported: who, which state of it, what, where, why."""
    decision = item.decision
    ref = entry.document.ref
    value = {
        "source": ref.source,
        "kind": ref.kind,
        "id": ref.id,
        "etag": item.etag,
        "versions": item.versions,
        "bytes": item.size,
        "verdict": decision.verdict.value,
        "store": decision.store,
        "countries": sorted(decision.countries),
        "reasons": [[reason.code, reason.rule, reason.origin, reason.text] for reason in decision.reasons],
        **{name: fact for name, fact in decision_facts(decision).items() if fact is not None},
    }
    return _canonical(value)


def make_plan(site: Site, *, sources: Collection[str] = (), all_documents: bool = False) -> PlanSummary:
    """Decide about every open document (every one, with `all_documents`) and seal the plan.

    With nothing to decide there is no plan: `id` is None.
    """
    targets = site.targets()
    now = site.context.now()
    for target in targets:
        keep(site, target.proof)
    proofs = {target.store: target.proof for target in targets}
    basis = _basis(site, proofs, {name: proof.usable_at(now) for name, proof in proofs.items()})
    again = all_documents or site.ledger.meta("basis") != basis
    states = OPEN | SETTLED if again else OPEN
    if not site.ledger.pending(states):
        site.ledger.set_meta("basis", basis)
        return PlanSummary(None)
    header = PlanHeader(
        sources=tuple(sorted(sources or site.sources)),
        policies={source: policy.fingerprint for source, policy in site.policies.items()},
        proofs={name: basis_of(proof) for name, proof in proofs.items()},
        limits=asdict(site.limits),
        created=now,
    )
    summary = PlanSummary(site.ledger.create_plan(header))
    digest = hashlib.sha256(_canonical(_header_value(header)))
    for entries in pages(site, states, size=PAGE):
        chosen = [entry for entry in entries if not sources or entry.document.ref.source in sources]
        items, steps = [], []
        for entry in chosen:
            decision = _of_deleted(entry) if entry.deleted else _decide(site, entry, targets, now)
            decision, moves = _settle(entry, decision)
            item = PlanItem(entry.pk, decision, entry.document.etag, entry.document.size, len(live(entry)))
            items.append(item)
            steps.extend(moves)
            digest.update(item_line(entry, item) + b"\n")
            _count(summary, item)
        assert summary.id is not None
        site.ledger.add_plan_items(summary.id, items)
        site.ledger.advance(steps)
        site.progress("plan", summary.documents, None)
    assert summary.id is not None
    summary.sha256 = digest.hexdigest()
    site.ledger.seal_plan(summary.id, sha256=summary.sha256, totals=summary.totals())
    site.ledger.set_meta("basis", basis)
    return summary


def live(entry: Entry) -> list[VersionEntry]:
    """The versions that the document still has."""
    return [version for version in entry.versions if not version.gone]


def _decide(site: Site, entry: Entry, targets: Sequence[Target], now: datetime) -> Decision:
    return site.policies[entry.document.ref.source].decide(entry.document, targets, now)


def _of_deleted(entry: Entry) -> Decision:
    """A document that the CRM no longer has: either we removed it and could not write that down, or a user did."""
    stores = [copy.store for version in live(entry) if version.state is State.LINKED for copy in version.copies]
    if stores:
        reason = Reason("ALREADY_GONE", "the original is gone and its link stands")
        return Decision(verdict=Verdict.MOVE, reasons=(reason,), store=stores[0])
    return Decision(verdict=Verdict.KEEP, reasons=(Reason("DELETED_IN_CRM", "it was deleted in the CRM"),))


def _settle(entry: Entry, decision: Decision) -> tuple[Decision, list[Step]]:
    """The transitions that a decision causes now; a document half moved never changes its direction by itself."""
    started = [version for version in entry.versions if version.state in (State.VERIFIED, State.LINKED)]
    stores = {copy.store for version in started for copy in version.copies}
    if started and stores and (decision.verdict is not Verdict.MOVE or stores != {decision.store}):
        linked = any(version.state is State.LINKED for version in started)
        if linked:
            reason = Reason(
                "HALF_MOVED",
                "the decision changed after its link was written: undo that, or delete the link, and plan again",
            )
            decision = Decision(
                verdict=Verdict.REVIEW, reasons=(*decision.reasons, reason), countries=decision.countries
            )
    to = State.PLANNED if decision.verdict is Verdict.MOVE else STATE_OF[decision.verdict]
    last = decision.reasons[-1] if decision.reasons else Reason(decision.verdict.value, "")
    steps = []
    for version in entry.versions:
        if version.gone and version.state in OPEN:
            steps.append(Step(version=version.pk, to=State.KEPT, detail="the CRM no longer lists this version"))
        if version.gone:
            continue
        keeps = version.state in UNDER_WAY if to is State.PLANNED else version.state is State.DONE
        moved_elsewhere = to is State.PLANNED and version.state is State.VERIFIED and stores != {decision.store}
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
    if item.decision.reasons:
        summary.examples.setdefault(code, item.decision.reasons[-1].text)
    if verdict is Verdict.MOVE and item.decision.store:
        summary.versions += item.versions
        summary.bytes += item.size
        summary.stores[item.decision.store] += 1


def plan_of(site: Site, plan_id: str) -> PlanRow:
    """The plan with this id. Raises ConfigError if the ledger has none."""
    try:
        return site.ledger.plan(plan_id)
    except Permanent as error:
        raise ConfigError(f"the ledger has no plan {plan_id!r}; `offloader status` lists the plans") from error


def check_limits(limits: Limits, summary: Mapping[str, Any], known: int) -> None:
    """Raise Refused when a plan does more than the operator allows."""
    moves = summary["verdicts"].get(Verdict.MOVE, 0)
    if limits.documents is not None and moves > limits.documents:
        raise Refused(f"the plan moves {moves} documents, the limit is {limits.documents}", rule="limits.documents")
    if limits.bytes is not None and summary["bytes"] > limits.bytes:
        raise Refused(f"the plan moves {summary['bytes']} bytes, the limit is {limits.bytes}", rule="limits.bytes")
    if limits.percent is not None and known and moves * 100 > limits.percent * known:
        share = moves * 100 / known
        raise Refused(
            f"the plan moves {share:.1f} % of all documents, the limit is {limits.percent} %", rule="limits.percent"
        )


def check_drift(site: Site, plan_id: str) -> None:
    """Raise Drift, saying what differs, when a sealed plan no longer fits the world or was edited."""
    row = plan_of(site, plan_id)
    header = row.header
    found = []
    for source, fingerprint in header.policies.items():
        policy = site.policies.get(source)
        if policy is None or policy.fingerprint != fingerprint:
            found.append(f"the policy of {source} changed")
    for target in site.targets():
        proof = changes(header.proofs.get(target.store), target.proof)
        found.extend(f"the location proof of {target.store}: {change}" for change in proof)
    digest = hashlib.sha256(_canonical(_header_value(header)))
    for rows in decisions_of(site, plan_id):
        for entry, item in rows:
            digest.update(item_line(entry, item) + b"\n")
            if _changed(entry, item):
                found.append(f"{entry.document.ref} changed since the plan")
    if digest.hexdigest() != row.sha256:
        found.append("the plan itself is not what was sealed")
    if found:
        more = f", and {len(found) - 5} more" if len(found) > 5 else ""
        raise Drift(f"plan {plan_id} is refused: {'; '.join(found[:5])}{more}. Make a new one with `offloader plan`.")


def _changed(entry: Entry, item: PlanItem) -> bool:
    """Whether a later scan found the document otherwise: its content, or (back to be decided) its parents or facts."""
    states = {version.state for version in live(entry)}
    if states <= {State.DONE, State.RESTORED}:
        return False
    return entry.document.etag != item.etag or (item.decision.verdict is Verdict.MOVE and State.SEEN in states)


def export_plan(site: Site, plan_id: str) -> Iterator[bytes]:
    """The plan as JSON Lines: a header line, then a line per document."""
    row = plan_of(site, plan_id)
    value = {"plan": plan_id, "sha256": row.sha256, "totals": row.totals, **_header_value(row.header)}
    yield _canonical(value) + b"\n"
    for rows in decisions_of(site, plan_id):
        for entry, item in rows:
            yield item_line(entry, item) + b"\n"


def decisions_of(site: Site, plan_id: str) -> Iterator[Sequence[tuple[Entry, PlanItem]]]:
    """The plan's items with their documents, a page at a time."""
    after = 0
    while rows := site.ledger.plan_items(plan_id, after=after, limit=PAGE):
        after = rows[-1][0]
        entries = site.ledger.entries_by_pk([item.document for _, item in rows])
        yield list(zip(entries, (item for _, item in rows), strict=True))
