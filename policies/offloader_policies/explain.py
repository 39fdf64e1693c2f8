"""Sentences about decisions: what each rule did to the permitted places, and what was left."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from offloader.model import Decision, Reason, Retention
from offloader.ports import Target
from offloader_policies.options import TransferBasis
from offloader_policies.places import Places
from offloader_policies.retention import Duty
from offloader_policies.signals import Place
from offloader_policies.tables import Mode, Rule

_SHOWN = 12


@dataclass(frozen=True, slots=True)
class Step:
    """What one rule did: the places that it took away and those that were left after it, for reports.

    `copy` is where a COPY rule asks for a full copy; it takes no place away. `reason` says all of it in a sentence.
    """

    rule: Rule
    reason: Reason
    removed: Places
    left: Places
    copy: Places | None = None


def places(found: Places) -> str:
    """Name places, or count them when they are many."""
    return f"{{{', '.join(sorted(found))}}}" if len(found) <= _SHOWN else f"{len(found)} places"


def countries(found: Iterable[Place], usual: str) -> str:
    """Name a document's countries, and what said them; the `usual` signal of a country is not named."""
    where = sorted(
        f"{place.country}{f' ({place.part})' if place.part else ''}"
        + (f" by {place.signal}" if place.signal != usual else "")
        for place in found
    )
    return _some(where) or "unknown"


def categories(found: Iterable[tuple[str, str]]) -> str:
    """Name a document's categories, each with how it is known."""
    how: dict[str, list[str]] = {}
    for category, said in sorted(found):
        how.setdefault(category, []).append(said)
    return "; ".join(f"{category} ({', '.join(said)})" for category, said in how.items())


def signals(where: str, what: str) -> Reason:
    """Say what was read from the document."""
    return Reason("SIGNALS", f"countries {where}; categories {what}")


_EFFECTS = {
    Mode.HARD: "all copies only in",
    Mode.PRIMARY: "every copy of ours only in",
    Mode.COPY: "a full copy in",
    Mode.COND: "without a transfer basis only in",
    Mode.DENY: "never in",
    Mode.REACH: "anywhere, if the authority has prompt access",
    Mode.EXPORT_GATE: "no bound on the place; handing the data out needs an approval",
    Mode.FREE: "no bound on the place",
    Mode.SUSPENDED: "suspended, not applied",
    Mode.PENDING: "not yet in force, not applied",
}


def rule(applied: Rule, where: Places | None, bases: Iterable[TransferBasis] = ()) -> Reason:
    """Say what a rule asks for; `where` is None when it does not bound the place."""
    effect = _EFFECTS[applied.mode]
    if where is not None:
        effect = f"{effect} {places(where)}"
    elif applied.mode is Mode.COND:
        effect = "a condition on the recipient, no bound on the place"
    rests = "".join(
        f"; on the transfer basis {basis.id} ({basis.owner}, until {basis.valid_to.isoformat()})" for basis in bases
    )
    status = "" if applied.status == "in force" else f" ({applied.status})"
    sure = "; confidence low" if applied.confidence == "L" else ""
    citation = applied.citation.partition(":")[0].partition(";")[0]
    nation, _, part = applied.jurisdiction.partition("-")
    whose = f"for {applied.jurisdiction} and unknown parts of {nation}: " if part else ""
    return _of(applied, applied.mode.value, f"{whose}{effect}{rests}; {citation}{status}{sure}")


def excluded(left_out: Rule | Duty, why: str) -> Reason:
    return _of(left_out, "EXCLUDED", f"not applied: {why}")


def out_of_force(early_or_late: Rule) -> Reason:
    """Say that the rule is not in force on the day of the decision."""
    return _of(early_or_late, "NOT_IN_FORCE", f"not applied: in force{_days(early_or_late)}")


def _days(dated: Rule) -> str:
    first = f" from {dated.valid_from.isoformat()}" if dated.valid_from else ""
    return first + (f" to {dated.valid_to.isoformat()}" if dated.valid_to else "")


def unusable(basis: TransferBasis, applied: Rule, day: date) -> Reason:
    """Say that a recorded basis for this rule does not count on that day."""
    when = f"ended on {basis.valid_to.isoformat()}"
    if day < basis.valid_from:
        when = f"begins on {basis.valid_from.isoformat()}"
    return _of(
        applied, "BASIS_NOT_IN_FORCE", f"the transfer basis {basis.id} ({basis.owner}) {when} and does not count"
    )


def overdue(old: Rule) -> Reason:
    text = f"still applied, but it should have been looked at again by {old.review.isoformat()}"
    return _of(old, "REVIEW_OVERDUE", text)


def _of(about: Rule | Duty, code: str, text: str) -> Reason:
    return Reason(code, text, about.id, about.origin)


def narrowing(total: int, steps: Sequence[tuple[str, int]], left: Places) -> Reason:
    """Say what each rule took away: "249 places; EU-01 -207; NL-01 -0 -> {…}"."""
    taken = "".join(f"; {name} -{count}" for name, count in steps)
    return Reason("PERMITTED", f"{total} places{taken} -> {places(left)}")


def targets(offered: Iterable[Target]) -> str:
    """Name stores with the places of their proofs."""
    found = sorted(f"{target.store} {places(target.proof.countries)} {target.proof.assurance}" for target in offered)
    return _some(found) or "none"


def placed(chosen: Iterable[Target]) -> Reason:
    """Say which stores are to hold the document, and where they are."""
    where = "; ".join(
        f"{target.store} is in {places(target.proof.countries)}, {target.proof.assurance}" for target in chosen
    )
    return Reason("PLACED", where)


def retention(found: Retention) -> tuple[Reason, ...]:
    """Say how long the document must be there, by when it must be gone, and what nobody knows."""
    parts: list[str] = []
    if found.keep_until:
        parts.append(f"to be kept until {found.keep_until.isoformat()}")
    if found.erase_by:
        parts.append(f"to be gone after {found.erase_by.isoformat()}")
    if found.waiting:
        parts.append(f"no end yet for {', '.join(found.waiting)}: no record says that its term has begun")
    said = Reason("RETENTION", f"{'; '.join(parts)} ({', '.join(found.rules)})")
    if not found.conflict:
        return (said,)
    text = "one duty keeps the document longer than another allows: a person has to look before anything is erased"
    return said, Reason("RETENTION_CONFLICT", text)


def lines(decision: Decision) -> list[str]:
    """Return a decision as lines for a person: the verdict first, then each reason with its rule and origin."""
    head = f"{decision.verdict} -> {', '.join(decision.stores)}" if decision.store else f"{decision.verdict}"
    return [f"{head} ({decision.code})", *(_line(reason) for reason in decision.reasons)]


def _line(reason: Reason) -> str:
    source = " ".join(filter(None, (reason.rule, reason.origin and f"[{reason.origin}]")))
    return f"  {reason.code}: {f'{source} ' if source else ''}{reason.text}"


def _some(words: Sequence[str]) -> str:
    more = len(words) - _SHOWN
    return ", ".join(words[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
