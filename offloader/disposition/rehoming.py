"""Re-homing: find moved documents that lie elsewhere than today's decision says, and plan where they go.

A record's account moves, a rule changes, a store's proof turns bad: the decision of then no longer holds. What the CRM
says of a document's records is asked again, because a moved document is not scanned any more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from offloader.disposition.acts import draft
from offloader.ledger import Entry, PlanRow, VersionEntry
from offloader.ledger.disposing import Act
from offloader.model import Assurance, Decision, Document, LocationProof, Reason, State, Verdict
from offloader.moves.holding import Holds
from offloader.moves.pages import pages
from offloader.moves.sealing import PAGE
from offloader.moves.site import Site
from offloader.ports import Target

KIND = "rehome"
#: acts of such a plan
MOVE, BLOCKED, REVIEW, HELD = "move", "blocked", "review", "held"
#: what becomes of an act when the plan is made: only moves are carried out
_STATE = {MOVE: "open", BLOCKED: "skipped", REVIEW: "skipped", HELD: "held"}
#: documents that one call asks the CRM about
_ASKED = 200
#: documents that a summary names, and countries that a sentence names
NAMED = 20
_LISTED = 8
_BAD = (Assurance.VIOLATION, Assurance.DRIFT)
#: reasons to move: it must not lie there, or it could lie better
_MOVING = ("PROOF_TURNED_BAD", "PLACE_NOT_PERMITTED", "BETTER_PLACE")


@dataclass(frozen=True, slots=True)
class Now:
    """What every document is judged by: all stores with their proofs, the moment, and the standing holds."""

    targets: Sequence[Target]
    moment: datetime
    holds: Holds

    @property
    def proofs(self) -> Mapping[str, LocationProof]:
        return {target.store: target.proof for target in self.targets}


@dataclass(frozen=True, slots=True)
class Judged:
    """What is to become of one moved document: an act, why, and the decision of today."""

    act: str
    reason: Reason
    decision: Decision


@dataclass(slots=True)
class RehomeSummary:
    """A sealed plan in numbers; `row` is None where every document lies where it shall. `loud` has those that lie where
    they may not and cannot be moved."""

    documents: int = 0
    acts: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)
    stores: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    versions: int = 0
    bytes: int = 0
    loud: list[str] = field(default_factory=list)
    row: PlanRow | None = None

    def totals(self) -> dict[str, Any]:
        return {
            "documents": self.acts[MOVE],
            "versions": self.versions,
            "bytes": self.bytes,
            "verdicts": {Verdict.MOVE.value: self.acts[MOVE]},
            "codes": dict(self.codes),
            "stores": dict(self.stores),
            "kinds": dict(self.kinds),
            "examples": self.examples,
        }


def plan_rehoming(site: Site, *, sources: Collection[str] = (), only_forbidden: bool = False) -> RehomeSummary:
    """Judge every moved document of these sources (all, if none is named), and seal a plan about those that are not
    where they shall be. `only_forbidden`: pass over those that merely could lie better.

    Changes nothing in a store. Raises what the sources raise: without their answer nobody knows whose law applies.
    """
    names = sorted(set(sources or site.sources) & set(site.sources))
    summary = RehomeSummary()
    plan = None
    now = Now(site.targets(), site.context.now(), Holds.of(site))
    for entries in _moved(site, names):
        acts = []
        asked = ask(site, entries)
        for entry in entries:
            judged = judge(site, entry, asked[entry.pk], now)
            summary.documents += 1
            if judged is None or (only_forbidden and judged.reason.code == "BETTER_PLACE"):
                continue
            acts.append(_act(entry, judged))
            _count(summary, entry, judged)
        if acts and plan is None:
            plan = draft(site, KIND, names, scope={"only_forbidden": only_forbidden})
        if plan is not None:
            plan.add(acts)
        site.progress("rehome", summary.documents, None)
    if plan is not None:
        summary.row = plan.seal(_sentence(summary), summary.totals())
    return summary


def _moved(site: Site, sources: Collection[str]) -> Iterator[list[Entry]]:
    for page in pages(site, {State.DONE}, size=PAGE):
        mine = [each for each in page if each.document.ref.source in sources and is_moved(each)]
        if mine:
            yield mine


def moved_versions(entry: Entry) -> list[VersionEntry]:
    """The versions of which a store has the only bytes."""
    return [version for version in entry.versions if version.state is State.DONE]


def is_moved(entry: Entry) -> bool:
    """Whether all of a document that there is lies in stores."""
    return all(version.state is State.DONE or version.gone for version in entry.versions)


def ask(site: Site, entries: Sequence[Entry]) -> dict[int, Document]:
    """These documents (by number) with what the CRM says of their records now. Raises what the sources raise.

    A record that the CRM does not show any more has nothing to say. Where the CRM cannot be asked after the records of
    documents that are gone, they are as the ledger has them.
    """
    by_source: dict[str, list[Entry]] = {}
    for entry in entries:
        by_source.setdefault(entry.document.ref.source, []).append(entry)
    found: dict[int, Document] = {}
    for name, mine in by_source.items():
        source = site.sources[name]
        for start in range(0, len(mine), _ASKED):
            part = mine[start : start + _ASKED]
            documents: Sequence[Document] = [entry.document for entry in part]
            if source.capabilities.refresh:
                documents = source.refresh(documents)
            found.update({entry.pk: document for entry, document in zip(part, documents, strict=True)})
    return found


def judge(site: Site, entry: Entry, document: Document, now: Now) -> Judged | None:
    """Compare where a moved document lies with where the policy puts it today; None if that is the same.

    `document` is as `ask` gave it.
    """
    decision = site.policies[document.ref.source].decide(document, now.targets, now.moment)
    held = {copy.store for version in moved_versions(entry) for copy in version.copies}
    if decision.verdict is Verdict.MOVE and lies(entry, set(decision.stores)):
        return None
    act, reason = _judged(site, held, decision, now)
    if act is None:
        return None
    if act == MOVE and (ids := now.holds.freezing(entry)):
        act, reason = HELD, now.holds.reason(ids)
    return Judged(act, reason, decision)


def lies(entry: Entry, stores: set[str]) -> bool:
    """Whether every version lies in these stores, and in no other."""
    return all({copy.store for copy in version.copies} == stores for version in moved_versions(entry))


def _judged(site: Site, held: set[str], decision: Decision, now: Now) -> tuple[str | None, Reason]:
    last = decision.reasons[-1] if decision.reasons else Reason(decision.verdict.value, "")
    wrong = _wrong(held, decision, now)
    if decision.verdict is not Verdict.MOVE:
        return _stays(decision.verdict, last, wrong)
    reason = _unreadable(site, held) or wrong or _doubtful(held, now)
    if reason is None:
        text = f"the policy names {', '.join(decision.stores)} today"
        reason = Reason("BETTER_PLACE", text, last.rule, last.origin)
    return MOVE if reason.code in _MOVING else REVIEW, reason


def _stays(verdict: Verdict, last: Reason, wrong: Reason | None) -> tuple[str | None, Reason]:
    """What is said of a document that has no place to go to."""
    if verdict is Verdict.REVIEW:
        return REVIEW, last
    lies = wrong.text if wrong else "it lies where its place cannot be proven"
    if verdict is Verdict.BLOCKED:
        return BLOCKED, Reason(last.code, f"{lies}, and there is no place for it: {last.text}", last.rule, last.origin)
    text = f"{lies}, and the policy would have it in the CRM: put it back with `offloader restore`"
    return (None if wrong is None else REVIEW), Reason("KEEP_IN_CRM", text, last.rule, last.origin)


def _unreadable(site: Site, held: set[str]) -> Reason | None:
    missing = sorted(held - set(site.stores))
    if not missing:
        return None
    text = f"the store {missing[0]} is not configured: its copy can neither be read nor erased"
    return Reason("STORE_UNKNOWN", text)


def _doubtful(held: set[str], now: Now) -> Reason | None:
    doubt = sorted(store for store in held if not now.proofs[store].usable_at(now.moment))
    if not doubt:
        return None
    text = f"the place of {doubt[0]} cannot be proven now: {now.proofs[doubt[0]].summary}"
    return Reason("PLACE_UNPROVEN", text)


def _wrong(held: set[str], decision: Decision, now: Now) -> Reason | None:
    """Why a document must not lie where it does; None if it may, or nobody knows."""
    for store in sorted(held & set(now.proofs)):
        proof = now.proofs[store]
        if proof.assurance in _BAD:
            return Reason("PROOF_TURNED_BAD", f"the proof of {store} is {proof.assurance}: {proof.summary}")
        if decision.countries and proof.usable_at(now.moment) and not proof.countries <= decision.countries:
            lies, may = " ".join(sorted(proof.countries)), sorted(decision.countries)
            said = " ".join(may) if len(may) <= _LISTED else f"one of {len(may)} others"
            rule = next((reason.rule for reason in reversed(decision.reasons) if reason.rule), None)
            return Reason("PLACE_NOT_PERMITTED", f"it lies in {store} ({lies}), today it may lie in {said}", rule)
    return None


def _act(entry: Entry, judged: Judged) -> Act:
    decision, versions = judged.decision, moved_versions(entry)
    held = sorted({copy.store for version in versions for copy in version.copies})
    moves = judged.act == MOVE
    return Act(
        subject=str(entry.pk),
        act=judged.act,
        part=decision.stores[0] if moves else held[0] if held else "",
        size=sum(size_of(version) for version in versions),
        state=_STATE[judged.act],
        detail="" if moves else judged.reason.text,
        body={
            "document": str(entry.document.ref),
            "code": judged.reason.code,
            "why": judged.reason.text,
            "rule": judged.reason.rule,
            "from": held,
            "to": list(decision.stores) if moves else [],
            "countries": sorted(decision.countries),
            "versions": digests(versions),
        },
    )


def digests(versions: Sequence[VersionEntry]) -> list[list[Any]]:
    """What a plan remembers of versions: their numbers in the ledger and the SHA-256 of their bytes."""
    return [[each.pk, each.copies[0].digest.sha256 if each.copies else ""] for each in versions]


def size_of(version: VersionEntry) -> int:
    """Bytes of a version as they were measured; 0 where no store has it."""
    return version.copies[0].digest.size if version.copies else 0


def _count(summary: RehomeSummary, entry: Entry, judged: Judged) -> None:
    summary.acts[judged.act] += 1
    code = f"{judged.act} {judged.reason.code}"
    summary.codes[code] += 1
    summary.examples.setdefault(code, judged.reason.text)
    if judged.act == MOVE:
        summary.stores.update(judged.decision.stores)
        summary.kinds[entry.document.ref.kind] += 1
        summary.versions += len(moved_versions(entry))
        summary.bytes += sum(size_of(version) for version in moved_versions(entry))
    elif judged.act == BLOCKED and len(summary.loud) < NAMED:
        summary.loud.append(f"{entry.document.ref}: {judged.reason.text}")


def _sentence(summary: RehomeSummary) -> str:
    stays = ", ".join(f"{summary.acts[act]} {act}" for act in (BLOCKED, REVIEW, HELD) if summary.acts[act])
    return f"{summary.acts[MOVE]} documents to another place, {summary.bytes} bytes" + (f"; {stays}" if stays else "")
