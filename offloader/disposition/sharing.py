"""Sharing what is stored already: equal bytes of documents that are alike, each with an object of its own, planned to
lie once.

An act names one copy of one version, the key under which it lies and the one that is kept. What lies where it should
not, is held, or is locked, is left alone and said.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from offloader.disposition.acts import draft
from offloader.disposition.rehoming import ask, is_moved, moved_versions
from offloader.ledger import Copy, Entry, PlanRow
from offloader.ledger.disposing import Act
from offloader.model import Decision, Document, Reason, Verdict
from offloader.moves.holding import Holds
from offloader.moves.sharing import Likeness, decider, likeness, shares
from offloader.moves.site import Site
from offloader.ports import Lock, Store

KIND = "share"
#: acts of such a plan: only the first is carried out
SHARE, HELD, LOCKED = "share", "held", "locked"
_STATE = {SHARE: "open", HELD: "held", LOCKED: "held"}
#: groups, and documents, that are looked at together
_PAGE = 200


@dataclass(frozen=True, slots=True)
class Placed:
    """A copy of a version of a moved document, and what it must share with others."""

    document: int
    kind: str
    version: int
    copy: Copy
    likeness: Likeness
    #: set while a legal hold forbids to remove its copies
    held: Reason | None = None


@dataclass(slots=True)
class SharePlan:
    """A sealed plan in numbers; `row` is None where nothing can be shared. `bytes` and `objects` are what would go."""

    row: PlanRow | None = None
    acts: Counter[str] = field(default_factory=Counter)
    documents: set[int] = field(default_factory=set)
    kinds: Counter[str] = field(default_factory=Counter)
    stores: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)
    objects: int = 0
    bytes: int = 0

    def totals(self) -> dict[str, Any]:
        return {
            "documents": len(self.documents),
            "versions": self.acts[SHARE],
            "bytes": self.bytes,
            "objects": self.objects,
            "verdicts": {Verdict.MOVE.value: len(self.documents)},
            "kinds": dict(self.kinds),
            "stores": dict(self.stores),
            "examples": self.examples,
        }


def plan_sharing(site: Site, *, sources: Collection[str] = ()) -> SharePlan:
    """Find moved documents of these sources (all, if none is named) whose policies let them share copies that they have
    each for itself, and seal a plan about them.

    Changes nothing in a store. Raises what the sources raise: without their answer nobody knows whose law applies.
    """
    names = sorted(name for name in site.sources if (not sources or name in sources) and shares(site, name))
    made, plan, holds = SharePlan(), None, Holds.of(site)
    for group in _groups(site, names, holds) if names else ():
        acts = _acts(site, group, made)
        if acts and plan is None:
            plan = draft(site, KIND, names)
        if plan is not None:
            plan.add(acts)
        site.progress(KIND, sum(made.acts.values()), None)
    if plan is not None:
        made.row = plan.seal(
            f"{made.objects} objects of {len(made.documents)} documents give way to equal ones, {made.bytes} bytes",
            made.totals(),
        )
    return made


def placed(site: Site, entry: Entry, document: Document, decision: Decision | None, holds: Holds) -> Iterator[Placed]:
    """The copies of a moved document that lie where they shall. `document` is as the CRM has its records now."""
    if decision is None or decision.verdict is not Verdict.MOVE or not is_moved(entry):
        return
    ids = holds.forbids_removal(entry)
    held = holds.reason(ids) if ids else None
    for version in moved_versions(entry):
        for copy in version.copies:
            if copy.verified_at is not None and copy.store in decision.stores and copy.store in site.stores:
                like = likeness(document, copy.store, decision)
                yield Placed(entry.pk, entry.document.ref.kind, version.pk, copy, like, held)


def _groups(site: Site, sources: Collection[str], holds: Holds) -> Iterator[list[Placed]]:
    """Copies of equal bytes of documents that are alike, where they have more than one object."""
    decided, after = decider(site), ""
    while rows := site.ledger.repeated(after=after, limit=_PAGE):
        after = rows[-1][0]
        sums = {sha256 for sha256, _, _ in rows}
        found: defaultdict[tuple[str, Likeness], list[Placed]] = defaultdict(list)
        pks = site.ledger.holders(sorted(sums))
        for start in range(0, len(pks), _PAGE):
            entries = site.ledger.entries_by_pk(pks[start : start + _PAGE])
            entries = [each for each in entries if each.document.ref.source in sources and is_moved(each)]
            asked = ask(site, entries)
            for entry in entries:
                for each in placed(site, entry, asked[entry.pk], decided(asked[entry.pk]), holds):
                    if each.copy.digest.sha256 in sums:
                        found[each.copy.digest.sha256, each.likeness].append(each)
        for _, group in sorted(found.items()):
            if len({each.copy.key for each in group}) > 1:
                yield group


def lock_on(store: Store, key: str) -> Lock | None:
    """What forbids to remove an object; asked only where the store locks at all."""
    return store.locked(key) if store.capabilities.object_lock or store.capabilities.retains else None


def _acts(site: Site, group: Sequence[Placed], made: SharePlan) -> list[Act]:
    """One act for each copy whose object is not the one that is kept."""
    store = site.stores[group[0].copy.store]
    held = {each.copy.key: each.held for each in group if each.held is not None}
    keys = list(dict.fromkeys(each.copy.key for each in group))
    locks = {key: lock for key in keys if (lock := lock_on(store, key)) is not None}
    having = Counter(each.copy.key for each in group)
    # what cannot go anyway is best kept, then what most documents have already, then the oldest
    kept = min(keys, key=lambda key: (key not in held, key not in locks, -having[key], keys.index(key)))
    acts, gone = [], set()
    for each in group:
        key, why = each.copy.key, ""
        if key == kept:
            continue
        act = SHARE
        if key in held:
            act, why = HELD, held[key].text
        elif key in locks:
            act, why = LOCKED, f"its object is locked: {locks[key].reason}"
        first = act == SHARE and key not in gone
        acts.append(_act(each, kept, act, why, size=each.copy.held_size if first else 0))
        _count(made, each, acts[-1])
        if first:
            gone.add(key)
            made.objects += 1
    return acts


def _act(each: Placed, kept: str, act: str, why: str, size: int) -> Act:
    copy, like = each.copy, each.likeness
    return Act(
        subject=f"{each.version}@{copy.store}",
        act=act,
        part=copy.store,
        size=size,
        state=_STATE[act],
        detail=why,
        body={
            "document": each.document,
            "version": each.version,
            "store": copy.store,
            "key": copy.key,
            "keep": kept,
            "sha256": copy.digest.sha256,
            "countries": list(like.countries),
            "retention": list(like.retention),
            "why": why,
        },
    )


def _count(made: SharePlan, each: Placed, act: Act) -> None:
    made.acts[act.act] += 1
    if act.act != SHARE:
        made.examples.setdefault(act.act, act.detail)
        return
    if each.document not in made.documents:
        made.documents.add(each.document)
        made.kinds[each.kind] += 1
        made.stores[each.copy.store] += 1
    made.bytes += act.size


def alike(these: Iterable[Placed], body: Mapping[str, Any]) -> Placed | None:
    """The copy that an act is about, if it and its duties are still as the plan has them: under its own key, or under
    the one that is kept."""
    for each in these:
        copy, like = each.copy, each.likeness
        same = (each.version, copy.store, copy.digest.sha256) == (body["version"], body["store"], body["sha256"])
        terms = (list(like.countries), list(like.retention)) == (body["countries"], body["retention"])
        if same and terms and copy.key in (body["key"], body["keep"]):
            return each
    return None
