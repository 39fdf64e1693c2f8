"""The decision: signals, then rules, then permitted places, then a store. Pure: no I/O, no clock, no globals.

Rules unite, places intersect, denials come last, and whatever is unknown is read in the strictest way. What depends
only on signals and on the day is computed once per combination and kept.
"""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

from offloader.model import Decision, Document, Reason, Verdict
from offloader.ports import Target, Terms
from offloader_policies import explain
from offloader_policies.options import ResidencyOptions, TransferBasis
from offloader_policies.places import Places, meet, within, without
from offloader_policies.signals import Reader, Signals
from offloader_policies.tables import ANY_CATEGORY, DORMANT, STRICT, SUPRANATIONAL, UNKNOWN_CATEGORY, Mode, Rule, Tables

#: part of the fingerprint: goes up whenever the same tables and options can give another decision
ENGINE = 1


@dataclass(frozen=True, slots=True)
class Scope:
    """What the rules make of one combination of signals on one day."""

    permitted: Places
    #: sets of places, each of which must hold a full copy
    copies: tuple[Places, ...]
    #: ids of the rules that bound the place, strictest first
    binding: tuple[str, ...]
    reasons: tuple[Reason, ...]
    #: set when no store can change the outcome
    settled: Decision | None
    #: the document's own countries, and all countries under the same law
    own: Places
    near: Places


@dataclass(frozen=True, slots=True)
class _Effect:
    """What one rule does: None is nothing."""

    allowed: Places | None = None
    copy: Places | None = None
    denied: Places | None = None
    bases: tuple[str, ...] = ()

    @property
    def where(self) -> Places | None:
        return next((found for found in (self.allowed, self.copy, self.denied) if found is not None), None)


@dataclass(slots=True)
class _Run:
    """The permitted places while one rule after the other is applied."""

    permitted: Places
    reasons: list[Reason]
    steps: list[tuple[str, int]] = field(default_factory=list)
    copies: list[Places] = field(default_factory=list)
    binding: list[Rule] = field(default_factory=list)

    def apply(self, rule: Rule, effect: _Effect) -> None:
        self.reasons.append(explain.rule(rule, effect.where, effect.bases))
        if effect.where is not None:
            self.binding.append(rule)
        if effect.copy is not None:
            self.copies.append(effect.copy)
            return
        before = len(self.permitted)
        if effect.allowed is not None:
            self.permitted = meet(self.permitted, effect.allowed)
        if effect.denied is not None:
            self.permitted = without(self.permitted, effect.denied)
        if effect.where is not None:
            self.steps.append((rule.id, before - len(self.permitted)))

    def binding_ids(self) -> tuple[str, ...]:
        """Return the rules that bound the place, strictest first."""
        return tuple(rule.id for rule in sorted(self.binding, key=lambda rule: (-rule.strictness, rule.id)))


class ResidencyPolicy:
    """A rule book about where documents may live. Safe to use from several threads."""

    def __init__(self, tables: Tables, options: ResidencyOptions) -> None:
        self._tables = tables
        self._options = options
        self._reader = Reader(tables, options)
        self._boundaries = _boundaries(tables, options.transfer_bases)
        self._scope: Callable[[Signals, int], Scope] = lru_cache(4096)(self._measure)
        self._order = {name: number for number, name in reversed(list(enumerate(options.prefer)))}
        said = json.dumps(options.model_dump(mode="json"), sort_keys=True)
        text = "\0".join((str(ENGINE), tables.sha256, said))
        self.fingerprint = hashlib.sha256(text.encode()).hexdigest()

    @property
    def terms(self) -> Terms:
        """What stands around the decisions: the tables, and the days by which rules should be looked at again."""
        return Terms(
            name="residency",
            tables={"rules": self._tables.sha256},
            reviews={rule.id: rule.review for rule in self._tables.rules if rule.mode not in DORMANT},
        )

    def decide(self, document: Document, targets: Sequence[Target], now: datetime) -> Decision:
        """Say what is to become of the document, and why. `now` is timezone-aware. Never raises for bad data."""
        early = self._early(document)
        if early is not None:
            return early
        signals = self._reader.read(document)
        if signals.problems:
            unknown = tuple(Reason("UNKNOWN_SIGNAL", text) for text in signals.problems)
            return Decision(verdict=Verdict.REVIEW, reasons=(explain.signals(signals), *unknown))
        scope = self._scope(signals, bisect_right(self._boundaries, now.astimezone(UTC).date()))
        return scope.settled or self._choose(scope, targets, now)

    def _early(self, document: Document) -> Decision | None:
        """Settle what needs no rule."""
        if document.skip is not None:
            reason = Reason(document.skip.code, document.skip.reason)
            return Decision(verdict=Verdict.KEEP, reasons=(reason,))
        if not document.versions:
            return _review(Reason("NO_VERSIONS", "the document has no version that could be moved"))
        least = self._options.min_bytes
        if least and document.size < least and all(version.size is not None for version in document.versions):
            text = f"{document.size} bytes are less than min_bytes, {least}"
            return Decision(verdict=Verdict.KEEP, reasons=(Reason("BELOW_MIN_BYTES", text),))
        return None

    def _measure(self, signals: Signals, epoch: int) -> Scope:
        """Apply every rule that the signals trigger, on the first day of the epoch."""
        day = self._boundaries[epoch - 1] if epoch else date.min
        run = _Run(self._tables.atlas.countries, [explain.signals(signals)])
        covered: set[str] = set()
        for rule in sorted(self._triggered(signals), key=lambda rule: (rule.mode is Mode.DENY, rule.id)):
            why_not = self._exclusion(rule)
            if why_not is not None:
                run.reasons.append(explain.excluded(rule, why_not))
                continue
            run.apply(rule, self._effect(rule, day))
            if rule.mode not in DORMANT:
                covered |= {country for country, part in signals.places if self._binds(rule, country, part)}
                if rule.review < day:
                    run.reasons.append(explain.overdue(rule))
        run.reasons.append(explain.narrowing(len(self._tables.atlas.countries), run.steps, run.permitted))
        own = frozenset(country for country, _ in signals.places)
        return Scope(
            permitted=run.permitted,
            copies=tuple(run.copies),
            binding=run.binding_ids(),
            reasons=tuple(run.reasons),
            settled=self._settle(signals, epoch, own - covered, run),
            own=own,
            near=self._near(own),
        )

    def _triggered(self, signals: Signals) -> Iterable[Rule]:
        """Return the rules of the document's jurisdictions that are about its categories."""
        known = self._tables.categories
        about = {ANY_CATEGORY}.union(*(known.get(name, ()) for name in signals.categories))
        unknown = UNKNOWN_CATEGORY in signals.categories
        for rule in self._tables.rules:
            if (unknown or rule.categories & about) and any(self._binds(rule, *place) for place in signals.places):
                yield rule

    def _binds(self, rule: Rule, country: str, part: str | None) -> bool:
        """Whether a rule's jurisdiction covers the place; an unknown subdivision is in every one of them."""
        group = SUPRANATIONAL.get(rule.jurisdiction)
        if group is not None:
            return country in self._tables.atlas.resolve((f"@{group}",), None)
        nation, _, subdivision = rule.jurisdiction.partition("-")
        return nation == country and (not subdivision or part is None or part == rule.jurisdiction)

    def _exclusion(self, rule: Rule) -> str | None:
        why = self._options.exclude_rules.get(rule.id)
        if why is not None:
            return why
        tiers = self._tables.tiers.get(rule.id)
        declared = self._options.treat_volume_rules_as
        if tiers is None or declared == STRICT or declared in tiers:
            return None
        return f"the operator declares the volume {declared}"

    def _effect(self, rule: Rule, day: date) -> _Effect:
        resolve = self._tables.atlas.resolve
        if rule.mode is Mode.HARD:
            extended = rule.allow if rule.id in self._options.allow_extensions else ()
            return _Effect(allowed=resolve((*rule.must_in, *extended), day))
        if rule.mode is Mode.PRIMARY:
            return _Effect(allowed=resolve(rule.must_in, day))
        if rule.mode is Mode.COPY:
            return _Effect(copy=resolve(rule.must_in, day))
        if rule.mode is Mode.DENY:
            return _Effect(denied=resolve(rule.deny, None))
        if rule.mode is Mode.COND and rule.allow:
            bases = [basis for basis in self._options.transfer_bases if _opens(basis, rule, day)]
            opened = (resolve(basis.destinations, day) for basis in bases)
            return _Effect(allowed=resolve(rule.allow, day).union(*opened), bases=tuple(basis.id for basis in bases))
        return _Effect()

    def _settle(self, signals: Signals, epoch: int, uncovered: Places, run: _Run) -> Decision | None:
        """Send to review what no choice of a store can save."""
        if uncovered:
            text = f"no rule in force speaks about such a document of {explain.places(uncovered)}"
            return _review(*run.reasons, Reason("NO_RULE_COVERS", text))
        if run.permitted:
            return None
        binding = run.binding_ids()
        named = ", ".join(binding)
        if self._each_alone(signals, epoch):
            text = f"its records' countries leave no common place ({named}); a separate file for each could be moved"
            return _review(*run.reasons, Reason("SPLIT_REQUIRED", text, binding[0]))
        return _review(*run.reasons, Reason("CONFLICT", f"the rules leave no place: {named}", binding[0]))

    def _each_alone(self, signals: Signals, epoch: int) -> bool:
        """Whether there are several countries, and each would leave some place if it stood alone."""
        own = {country for country, _ in signals.places}
        parts = (frozenset(place for place in signals.places if place[0] == country) for country in own)
        alone = (replace(signals, places=part) for part in parts)
        return len(own) > 1 and all(self._scope(part, epoch).permitted for part in alone)

    def _near(self, own: Places) -> Places:
        """Return the countries under a law that the document's own countries share."""
        blocs = (self._tables.atlas.resolve((f"@{group}",), None) for group in SUPRANATIONAL.values())
        return own.union(*(bloc for bloc in blocs if own & bloc))

    def _choose(self, scope: Scope, targets: Sequence[Target], now: datetime) -> Decision:
        """Choose among the stores whose proof is good now and lies wholly inside the permitted places."""
        fitting = [target for target in targets if within(target.proof.countries, scope.permitted)]
        proven = [target for target in fitting if target.proof.usable_at(now) and target.proof.store == target.store]
        chosen = [target for target in proven if all(within(target.proof.countries, copy) for copy in scope.copies)]
        if not chosen:
            return _blocked(scope, targets, fitting, proven)
        best = min(chosen, key=lambda target: self._rank(target, scope))
        text = f"{best.store} is in {explain.places(best.proof.countries)}, {best.proof.assurance}"
        return Decision(
            verdict=Verdict.MOVE,
            reasons=(*scope.reasons, Reason("PLACED", text)),
            countries=scope.permitted,
            store=best.store,
        )

    def _rank(self, target: Target, scope: Scope) -> tuple[int, bool, bool, str]:
        found = target.proof.countries
        preferred = self._order.get(target.store, len(self._order))
        return preferred, not within(found, scope.own), not within(found, scope.near), target.store


def _opens(basis: TransferBasis, rule: Rule, day: date) -> bool:
    named = rule.id in basis.rules or rule.jurisdiction in basis.jurisdictions
    return named and basis.valid_from <= day <= basis.valid_to


def _review(*reasons: Reason) -> Decision:
    return Decision(verdict=Verdict.REVIEW, reasons=reasons)


def _blocked(scope: Scope, targets: Sequence[Target], fitting: list[Target], proven: list[Target]) -> Decision:
    """Say why no store will do, and which rules stand in the way."""
    rule = scope.binding[0] if scope.binding else None
    named = f" ({', '.join(scope.binding)})" if scope.binding else ""
    verdict = Verdict.BLOCKED
    if proven:
        verdict, code = Verdict.REVIEW, "COPY_NEEDED"
        text = (
            f"a full copy must be in {' and in '.join(map(explain.places, scope.copies))}{named}, and no store is there"
        )
    elif fitting:
        code = "NO_PROOF"
        text = f"only stores without a current proof of their place could take it: {explain.targets(fitting)}{named}"
    else:
        code = "NO_COMPLIANT_TARGET"
        text = f"no store lies wholly in {explain.places(scope.permitted)}{named}; stores: {explain.targets(targets)}"
    return Decision(verdict=verdict, reasons=(*scope.reasons, Reason(code, text, rule)), countries=scope.permitted)


def _boundaries(tables: Tables, bases: Iterable[TransferBasis]) -> list[date]:
    """Return the days on which an answer can change, in order."""
    days: set[date | None] = set()
    for group in tables.atlas.groups.values():
        days |= {group.valid_from, _after(group.valid_to)}
    for basis in bases:
        days |= {basis.valid_from, _after(basis.valid_to)}
    days |= {_after(rule.review) for rule in tables.rules}
    return sorted(day for day in days if day is not None)


def _after(day: date | None) -> date | None:
    return None if day is None or day == date.max else day + timedelta(days=1)
