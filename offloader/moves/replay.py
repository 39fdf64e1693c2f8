"""Two policies over the same documents: what would change, with the smallest example of each change. Writes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from offloader.ledger import Entry
from offloader.model import Decision, Verdict
from offloader.moves.site import Site
from offloader.ports import Policy

_PAGE = 500


@dataclass(frozen=True, slots=True)
class Example:
    """The smallest document whose decision a clause or a rule changes: fewest records, then versions, then bytes."""

    by: str
    document: str
    before: str
    after: str
    why: str
    size: tuple[int, int, int]


@dataclass(slots=True)
class Replay:
    """What changes. Outcomes are "MOVE PLACED frankfurt": verdict, code, stores."""

    documents: int = 0
    #: documents decided otherwise, and those decided alike whose permitted places, copies or terms differ
    changed: int = 0
    details: int = 0
    #: (before, after) → documents, and bytes
    changes: Counter[tuple[str, str]] = field(default_factory=Counter)
    bytes: Counter[tuple[str, str]] = field(default_factory=Counter)
    #: clause or rule → documents, and the smallest of them
    by: Counter[str] = field(default_factory=Counter)
    examples: dict[str, Example] = field(default_factory=dict)

    def value(self) -> dict[str, Any]:
        return {
            "documents": self.documents,
            "changed": self.changed,
            "details": self.details,
            "changes": [
                {"before": before, "after": after, "documents": count, "bytes": self.bytes[before, after]}
                for (before, after), count in self.changes.most_common()
            ],
            "by": [
                {
                    "by": name,
                    "documents": count,
                    "example": self.examples[name].document,
                    "before": self.examples[name].before,
                    "after": self.examples[name].after,
                    "why": self.examples[name].why,
                }
                for name, count in self.by.most_common()
            ],
        }


def replay(site: Site, old: Mapping[str, Policy], new: Mapping[str, Policy]) -> Replay:
    """Decide about every document of the ledger under both policies (by source), at the same moment."""
    found = Replay()
    targets, now = site.targets(), site.context.now()
    for entry in _documents(site):
        document = entry.document
        if document.ref.source not in old or document.ref.source not in new:
            continue
        before = old[document.ref.source].decide(document, targets, now)
        after = new[document.ref.source].decide(document, targets, now)
        found.documents += 1
        _count(found, entry, before, after)
        if found.documents % _PAGE == 0:
            site.progress("compare", found.documents, None)
    return found


@dataclass(frozen=True, slots=True)
class Met:
    """Documents for which the policy has no answer: the code, one of its sentences, how many, one of them."""

    code: str
    text: str
    documents: int
    example: str


#: codes that say that the policy, not the document, should be looked at
_UNANSWERED = ("NO_RULE_COVERS", "CONDITION_UNKNOWN", "CLAUSES_CONTRADICT", "CONFLICT")


def survey(site: Site, policies: Mapping[str, Policy]) -> list[Met]:
    """Decide about every document of these sources, and gather those for which the policy has no answer."""
    targets, now = site.targets(), site.context.now()
    counts: Counter[tuple[str, str]] = Counter()
    examples: dict[tuple[str, str], str] = {}
    for entry in _documents(site):
        policy = policies.get(entry.document.ref.source)
        if policy is None:
            continue
        decision = policy.decide(entry.document, targets, now)
        if decision.code in _UNANSWERED:
            last = decision.reasons[-1]
            key = (decision.code, f"{last.rule}: {last.text}" if last.rule else last.text)
            counts[key] += 1
            examples.setdefault(key, str(entry.document.ref))
    return [Met(code, text, count, f"for example {examples[code, text]}") for (code, text), count in counts.items()]


def _documents(site: Site) -> Iterator[Entry]:
    """Documents that are in the CRM, or in a store: the original of a moved one may be gone from the CRM."""
    after = 0
    while entries := site.ledger.entries(after=after, limit=_PAGE):
        after = entries[-1].pk
        yield from (entry for entry in entries if not entry.deleted or any(each.copies for each in entry.versions))


def _count(found: Replay, entry: Entry, before: Decision, after: Decision) -> None:
    was, now = outcome(before), outcome(after)
    if was == now:
        found.details += _details(before) != _details(after)
        return
    found.changed += 1
    found.changes[was, now] += 1
    found.bytes[was, now] += entry.document.size
    document = entry.document
    size = (len(document.parents), len(document.versions), document.size)
    for name in _causes(before, after):
        found.by[name] += 1
        held = found.examples.get(name)
        if held is None or (size, str(document.ref)) < (held.size, held.document):
            why = after.reasons[-1].text if after.reasons else ""
            found.examples[name] = Example(name, str(document.ref), was, now, why, size)


def outcome(decision: Decision) -> str:
    """A decision in a few words: verdict, code and stores."""
    return " ".join((decision.verdict.value, decision.code, *decision.stores))


def _details(decision: Decision) -> tuple[object, ...]:
    return (decision.countries, decision.copies, decision.categories, decision.bases, decision.retention)


def _causes(before: Decision, after: Decision) -> Iterator[str]:
    """The clauses and rules that only one of the two decisions rests on; or else what settled the new one."""
    clauses = sorted(set(before.clauses) ^ set(after.clauses))
    rules = sorted(_rules(before) ^ _rules(after))
    yield from (f"clause {name}" for name in clauses)
    if not clauses or Verdict.KEEP not in (before.verdict, after.verdict):
        yield from (f"rule {name}" for name in rules)
    if not clauses and not rules:
        yield f"outcome {after.code}"


def _rules(decision: Decision) -> set[str]:
    return {reason.rule for reason in decision.reasons if reason.rule and reason.rule not in decision.clauses}
