"""What a decision says, as a row has it: worked out once for all documents that share the decision."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any, Final

from offloader.ledger import reporting
from offloader.model import Decision, Retention
from offloader.reports.model import TargetFacts

#: the fields of a `Row` that the decision alone settles
DECIDED: Final = (
    "verdict", "code", "reason", "jurisdictions", "categories", "clauses", "rules", "narrowing", "countries", "store",
    "copies", "store_countries", "assurance", "proof", "bases", "keep_until", "erase_by", "retention",
)  # fmt: skip
#: codes of reasons that say what keeps a document's records from being judged
DOUBTS = frozenset({"UNKNOWN_SIGNAL", "CONDITION_UNKNOWN", "NO_VERSIONS"})
HELD = "HELD"
_NARROWING = "PERMITTED"
_KEPT = 8192
#: what differs from record to record inside of a sentence: quoted texts, and words with digits
_PARTICULAR = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|[^\s,;:()]*\d[^\s,;:()]*")
_LONGEST = 200


def general(sentence: str) -> str:
    """A sentence without what is peculiar to one record, so that equal problems of many records are equal."""
    return _PARTICULAR.sub("…", sentence)[:_LONGEST]


@dataclass(frozen=True, slots=True, eq=False)
class Facet:
    """One decision. Compared by identity: there is one facet for each different decision."""

    verdict: str
    code: str
    reason: str
    jurisdictions: tuple[str, ...]
    categories: tuple[str, ...]
    bases: tuple[str, ...]
    #: the chosen store first, then those of further copies; only of a move
    stores: tuple[str, ...]
    #: of all these stores
    countries: tuple[str, ...]
    retention: tuple[str, ...]
    erase_by: date | None
    #: a duty to keep ends after a duty to erase
    conflict: bool
    #: what keeps its records from being judged, without what is peculiar to one of them
    doubts: tuple[str, ...]
    #: the values of `DECIDED`, by their names
    row: Mapping[str, Any]


class Facets:
    """Facets by the text of the decision; `targets` are the stores of the plan, by name."""

    def __init__(self, targets: Mapping[str, TargetFacts]) -> None:
        self._targets = targets
        self.of = lru_cache(_KEPT)(self._of)

    def _of(self, decided: str) -> Facet:
        decision = reporting.decision(decided)
        retention = decision.retention or Retention()
        known = [self._targets[name] for name in decision.stores if name in self._targets]
        return Facet(
            verdict=decision.verdict.value,
            code=decision.code,
            reason=decision.reasons[-1].text if decision.reasons else "",
            jurisdictions=decision.jurisdictions,
            categories=decision.categories,
            bases=decision.bases,
            stores=decision.stores,
            countries=tuple(sorted({country for target in known for country in target.countries})),
            retention=(*retention.rules, *(f"{rule} (waiting)" for rule in retention.waiting)),
            erase_by=retention.erase_by,
            conflict=retention.conflict,
            doubts=_doubts(decision),
            row=self._row(decision, retention, known),
        )

    def _row(self, decision: Decision, retention: Retention, known: Sequence[TargetFacts]) -> Mapping[str, Any]:
        chosen = self._targets.get(decision.store or "")
        reasons = decision.reasons
        return {
            "verdict": decision.verdict.value,
            "code": decision.code,
            "reason": reasons[-1].text if reasons else "",
            "jurisdictions": decision.jurisdictions,
            "categories": decision.categories,
            "clauses": decision.clauses,
            "rules": tuple((each.rule, each.code, each.origin or "", each.text) for each in reasons if each.rule),
            "narrowing": next((each.text for each in reasons if each.code == _NARROWING), ""),
            "countries": tuple(sorted(decision.countries)),
            "store": decision.store or "",
            "copies": decision.copies,
            "store_countries": tuple(sorted({country for target in known for country in target.countries})),
            "assurance": chosen.assurance if chosen else "",
            "proof": chosen.sha256 if chosen else "",
            "bases": decision.bases,
            "keep_until": retention.keep_until,
            "erase_by": retention.erase_by,
            "retention": (*retention.rules, *(f"{rule} (waiting)" for rule in retention.waiting)),
        }


def _doubts(decision: Decision) -> tuple[str, ...]:
    found = {general(reason.text) for reason in decision.reasons if reason.code in DOUBTS}
    return tuple(sorted(found - {"and … more"}))
