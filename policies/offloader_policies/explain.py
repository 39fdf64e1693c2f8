"""Sentences about decisions: what each rule did to the permitted places, and what was left."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from offloader.model import Decision, Reason
from offloader.ports import Target
from offloader_policies.places import Places
from offloader_policies.signals import Signals
from offloader_policies.tables import Mode, Rule

_SHOWN = 12


def places(found: Places) -> str:
    """Name places, or count them when they are many."""
    return f"{{{', '.join(sorted(found))}}}" if len(found) <= _SHOWN else f"{len(found)} places"


def signals(found: Signals) -> Reason:
    """Say what was read from the document."""
    where = sorted(f"{country} ({part})" if part else country for country, part in found.places)
    return Reason(
        "SIGNALS",
        f"countries {_some(where) or 'unknown'}; categories {', '.join(sorted(found.categories)) or 'unknown'}",
    )


_EFFECTS = {
    Mode.HARD: "all copies only in",
    Mode.PRIMARY: "the primary copy only in",
    Mode.COPY: "a full copy in",
    Mode.COND: "without a transfer basis only in",
    Mode.DENY: "never in",
    Mode.REACH: "anywhere, if the authority has prompt access",
    Mode.EXPORT_GATE: "no bound on the place; handing the data out needs an approval",
    Mode.FREE: "no bound on the place",
    Mode.SUSPENDED: "suspended, not applied",
    Mode.PENDING: "not yet in force, not applied",
}


def rule(applied: Rule, where: Places | None, bases: Iterable[str] = ()) -> Reason:
    """Say what a rule asks for; `where` is None when it does not bound the place."""
    effect = _EFFECTS[applied.mode]
    if where is not None:
        effect = f"{effect} {places(where)}"
    elif applied.mode is Mode.COND:
        effect = "a condition on the recipient, no bound on the place"
    rests = "".join(f"; on the transfer basis {basis}" for basis in bases)
    status = "" if applied.status == "in force" else f" ({applied.status})"
    citation = applied.citation.partition(":")[0].partition(";")[0]
    nation, _, part = applied.jurisdiction.partition("-")
    whose = f"for {applied.jurisdiction} and unknown parts of {nation}: " if part else ""
    return Reason(applied.mode.value, f"{whose}{effect}{rests}; {citation}{status}", applied.id, applied.origin)


def excluded(left_out: Rule, why: str) -> Reason:
    return Reason("EXCLUDED", f"not applied: {why}", left_out.id, left_out.origin)


def overdue(old: Rule) -> Reason:
    text = f"still applied, but it should have been looked at again by {old.review.isoformat()}"
    return Reason("REVIEW_OVERDUE", text, old.id, old.origin)


def narrowing(total: int, steps: Sequence[tuple[str, int]], left: Places) -> Reason:
    """Say what each rule took away: "249 places; EU-01 -207; NL-01 -0 -> {…}"."""
    taken = "".join(f"; {name} -{count}" for name, count in steps)
    return Reason("PERMITTED", f"{total} places{taken} -> {places(left)}")


def targets(offered: Iterable[Target]) -> str:
    """Name stores with the places of their proofs."""
    found = sorted(f"{target.store} {places(target.proof.countries)} {target.proof.assurance}" for target in offered)
    return _some(found) or "none"


def lines(decision: Decision) -> list[str]:
    """Return a decision as lines for a person: the verdict first, then each reason with its rule and origin."""
    head = f"{decision.verdict} -> {decision.store}" if decision.store else f"{decision.verdict}"
    return [f"{head} ({decision.code})", *(_line(reason) for reason in decision.reasons)]


def _line(reason: Reason) -> str:
    source = " ".join(filter(None, (reason.rule, reason.origin and f"[{reason.origin}]")))
    return f"  {reason.code}: {f'{source} ' if source else ''}{reason.text}"


def _some(words: Sequence[str]) -> str:
    more = len(words) - _SHOWN
    return ", ".join(words[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
