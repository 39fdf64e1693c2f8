"""The decision: signals, then rules, then permitted places, then stores. Pure: no I/O, no clock, no globals.

Rules unite, places intersect, denials come last, and whatever is unknown is read in the strictest way. What depends
only on signals and on the day is computed once per combination and kept; so is the whole decision, for the same stores.
"""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache

from offloader.model import Decision, Document, Reason, Retention, Verdict
from offloader.ports import Target, Terms
from offloader_policies import explain, placing
from offloader_policies.options import ResidencyOptions, TransferBasis
from offloader_policies.places import Places, meet, within, without
from offloader_policies.retention import PLAIN, Calendar, Duty, least_only, retention, together
from offloader_policies.selection import UNSELECTED, Selection
from offloader_policies.signals import Place, Reader, Signals
from offloader_policies.tables import (
    ANY_CATEGORY,
    DORMANT,
    STRICT,
    SUPRANATIONAL,
    Mode,
    Rule,
    Tables,
    Tie,
)

#: part of the fingerprint: goes up whenever the same tables and options can give another decision
ENGINE = 3
#: rules of these modes say where bytes must be, not where they may be without more
_LOCATING = (Mode.HARD, Mode.PRIMARY, Mode.COPY)
#: ties by which a country's duties to keep reach a document
_DUTY_TIES = frozenset({Tie.RESIDENCE, Tie.ESTABLISHMENT, Tie.COLLECTION})


@dataclass(frozen=True, slots=True)
class Standing:
    """What one rule does to documents on one day, and how that is said. Places that are None bound nothing."""

    #: which of the policy's rules it is
    number: int
    rule: Rule
    reasons: tuple[Reason, ...]
    #: whether it counts as speaking about its country's documents
    speaks: bool = False
    overdue: bool = False
    allowed: Places | None = None
    copy: Places | None = None
    denied: Places | None = None
    #: transfer bases that widen `allowed`, each with what it opens, and what is allowed without them
    bases: tuple[tuple[str, Places], ...] = ()
    without_bases: Places = frozenset()

    @property
    def binds(self) -> bool:
        return (self.allowed, self.copy, self.denied) != (None, None, None)


@dataclass(frozen=True, slots=True)
class Scope:
    """What the rules make of one combination of signals on one day."""

    permitted: Places
    #: sets of permitted places, each of which must hold a full copy
    copies: tuple[Places, ...]
    #: the rules that bound the place, strictest first
    binding: tuple[Standing, ...]
    reasons: tuple[Reason, ...]
    #: set when no store can change the outcome
    settled: Reason | None
    #: the document's own countries, and all countries under the same law
    own: Places
    near: Places

    @property
    def rule(self) -> str | None:
        """The strictest rule that bounds the place."""
        return self.binding[0].rule.id if self.binding else None

    @property
    def named(self) -> str:
        return ", ".join(standing.rule.id for standing in self.binding)


@dataclass(frozen=True, slots=True)
class _Placed:
    """What became of the search for stores."""

    reasons: tuple[Reason, ...]
    verdict: Verdict = Verdict.REVIEW
    countries: Places = frozenset()
    stores: tuple[str, ...] = ()
    bases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Duties:
    """The duties to keep a document, and what is said of those that the operator excludes."""

    apply: tuple[Duty, ...] = ()
    left_out: tuple[Reason, ...] = ()


class ResidencyPolicy:
    """A rule book about where documents may live. Safe to use from several threads."""

    def __init__(self, tables: Tables, options: ResidencyOptions, calendar: Calendar = PLAIN) -> None:
        self._tables = tables
        self._options = options
        #: by which terms are counted
        self.calendar = calendar
        self._reader = Reader(tables, options)
        #: denials last, then by id; rules are known by their place in this list
        self._rules = sorted(tables.rules, key=lambda rule: (rule.mode is Mode.DENY, rule.id))
        self._all_duties = tuple(sorted(tables.duties.values(), key=lambda duty: duty.id))
        resolve = tables.atlas.resolve
        self._blocs = {whose: resolve((f"@{group}",), None) for whose, group in SUPRANATIONAL.items()}
        self._boundaries = _boundaries(tables, options.transfer_bases)
        self._changes = tuple(datetime.combine(day, time(), UTC) for day in self._boundaries)
        self._offer = placing.offer((), self._changes[0], 0, self._changes)
        self._scope: Callable[[Signals, int], Scope] = lru_cache(4096)(self._measure)
        self._reaching: Callable[[Place], frozenset[int]] = lru_cache(4096)(self._rules_reaching)
        self._about: Callable[[frozenset[tuple[str, str]]], frozenset[int]] = lru_cache(4096)(self._rules_about)
        self._standing: Callable[[int, int, frozenset[str]], Standing] = lru_cache(8192)(self._stand)
        self._duties: Callable[[Signals], _Duties] = lru_cache(4096)(self._duties_of)
        self._duties_reaching: Callable[[Place], frozenset[int]] = lru_cache(4096)(self._duties_governing)
        self._meet, self._without = lru_cache(4096)(meet), lru_cache(4096)(without)
        said = json.dumps(options.model_dump(mode="json"), sort_keys=True)
        text = "\0".join((str(ENGINE), tables.sha256, said))
        self.fingerprint = hashlib.sha256(text.encode()).hexdigest()

    @property
    def terms(self) -> Terms:
        """What stands around the decisions: the tables, and the days by which somebody should look at them again."""
        rules = {rule.id: rule.review for rule in self._tables.rules if rule.mode not in DORMANT}
        duties = {duty.id: duty.review for duty in self._tables.duties.values() if duty.review is not None}
        tables = {"tables": self._tables.sha256, "engine": str(ENGINE)}
        return Terms(name="residency", tables=tables, reviews={**rules, **duties})

    def decide(
        self, document: Document, targets: Sequence[Target], now: datetime, selected: Selection = UNSELECTED
    ) -> Decision:
        """Say what is to become of the document, and why. `now` is timezone-aware. Never raises for bad data.

        `selected` is what the clauses of a policy ask for besides the law; it can only narrow what the law permits.
        """
        early = self._early(document, selected)
        if early is not None:
            return early
        signals = self._reader.read(document, selected)
        offered = self._offer
        if not offered.holds(tuple(targets), now):
            epoch = bisect_right(self._boundaries, now.astimezone(UTC).date())
            self._offer = offered = placing.offer(tuple(targets), now, epoch, self._changes)
        asked = selected if selected.retention is None else replace(selected, retention=None)
        decision = offered.decisions.get((signals, asked))
        if decision is None:
            decision = offered.keep((signals, asked), self._decide(signals, offered, asked))
        return self._with_retention(decision, document, signals, selected.retention, now)

    def steps(self, document: Document, now: datetime, selected: Selection = UNSELECTED) -> tuple[explain.Step, ...]:
        """Say, rule by rule, which places each took away; what `decide` says in its reasons, for reports."""
        signals = self._reader.read(document, selected)
        epoch = bisect_right(self._boundaries, now.astimezone(UTC).date())
        found: list[explain.Step] = []
        before = self._tables.atlas.countries
        for standing, left in self._walk(signals, epoch):
            found.append(explain.Step(standing.rule, standing.reasons[0], before - left, left, standing.copy))
            before = left
        return tuple(found)

    def _early(self, document: Document, selected: Selection) -> Decision | None:
        """Settle what needs no rule."""
        least = self._options.min_bytes
        verdict = Verdict.KEEP
        if document.skip is not None:
            reason = Reason(document.skip.code, document.skip.reason)
        elif not document.versions:
            verdict, reason = Verdict.REVIEW, Reason("NO_VERSIONS", "the document has no version that could be moved")
        elif least and document.size < least and all(version.size is not None for version in document.versions):
            reason = Reason("BELOW_MIN_BYTES", f"{document.size} bytes are less than min_bytes, {least}")
        else:
            return None
        return Decision(verdict=verdict, reasons=(reason,), clauses=selected.clauses, retention=selected.retention)

    def _decide(self, signals: Signals, offered: placing.Offer, selected: Selection) -> Decision:
        """Decide for one combination of signals, without its term."""
        said = explain.signals(signals, self._options.country_signal)
        if signals.problems:
            placed = _Placed(tuple(Reason("UNKNOWN_SIGNAL", text) for text in signals.problems))
        else:
            placed = self._placed(self._scope(signals, offered.epoch), offered, selected)
        *before, last = placed.reasons
        return Decision(
            verdict=placed.verdict,
            reasons=(said, *before, *self._duties(signals).left_out, last),
            countries=placed.countries,
            store=placed.stores[0] if placed.stores else None,
            copies=placed.stores[1:],
            jurisdictions=signals.jurisdictions,
            categories=tuple(sorted(signals.categories)),
            clauses=selected.clauses,
            bases=placed.bases,
        )

    def _measure(self, signals: Signals, epoch: int) -> Scope:
        """Apply every rule that the signals trigger, on the first day of the epoch."""
        everywhere = self._tables.atlas.countries
        permitted = everywhere
        reasons: list[Reason] = []
        taken: list[tuple[str, int]] = []
        applied: list[Standing] = []
        for standing, left in self._walk(signals, epoch):
            reasons.extend(standing.reasons)
            applied.append(standing)
            if standing.binds and standing.copy is None:
                taken.append((standing.rule.id, len(permitted) - len(left)))
            permitted = left
        reasons.append(explain.narrowing(len(everywhere), taken, permitted))
        binding = tuple(sorted(filter(_binds, applied), key=lambda found: (-found.rule.strictness, found.rule.id)))
        own = frozenset(place.country for place in signals.places)
        scope = Scope(
            permitted=permitted,
            copies=tuple({self._meet(found.copy, permitted): None for found in applied if found.copy is not None}),
            binding=binding,
            reasons=tuple(reasons),
            settled=None,
            own=own,
            near=self._near(own),
        )
        settled = self._settle(signals, epoch, scope, applied)
        return scope if settled is None else replace(scope, settled=settled)

    def _walk(self, signals: Signals, epoch: int) -> Iterator[tuple[Standing, Places]]:
        """Yield every rule that the signals trigger, in order, with the places that are left after it."""
        left = self._tables.atlas.countries
        reaching = frozenset[int]().union(*map(self._reaching, signals.places))
        for number in sorted(reaching & self._about(signals.known)):
            standing = self._standing(number, epoch, signals.categories if self._options.transfer_bases else _NONE)
            if standing.allowed is not None:
                left = self._meet(left, standing.allowed)
            if standing.denied is not None:
                left = self._without(left, standing.denied)
            yield standing, left

    def _rules_about(self, known: frozenset[tuple[str, str]]) -> frozenset[int]:
        """Return the rules that are about one of the categories, or about what it may mean; all, for an unknown one."""
        about = {ANY_CATEGORY}
        for category, _ in known:
            if category not in self._tables.categories:
                return frozenset(range(len(self._rules)))
            about |= self._tables.categories[category]
        return frozenset(number for number, rule in enumerate(self._rules) if rule.categories & about)

    def _rules_reaching(self, place: Place) -> frozenset[int]:
        """Return the rules whose jurisdiction covers the place, and that its signal can trigger."""
        ties = self._reader.ties[place.signal]
        return frozenset(
            number
            for number, rule in enumerate(self._rules)
            if (not rule.ties or rule.ties & ties) and self._governs(rule.jurisdiction, place)
        )

    def _governs(self, jurisdiction: str, place: Place) -> bool:
        """Whether a law covers the place; an unknown subdivision is in every one of them."""
        if jurisdiction in self._blocs:
            return place.country in self._blocs[jurisdiction]
        nation, _, subdivision = jurisdiction.partition("-")
        return nation == place.country and (not subdivision or place.part is None or place.part == jurisdiction)

    def _stand(self, number: int, epoch: int, categories: frozenset[str]) -> Standing:
        """Say what a rule does on the first day of the epoch to documents of these categories."""
        rule = self._rules[number]
        day = self._boundaries[epoch - 1] if epoch else date.min
        why_not = self._exclusion(rule)
        if why_not is not None:
            return Standing(number, rule, (explain.excluded(rule, why_not),))
        if rule.mode not in DORMANT and not rule.in_force(day):
            return Standing(number, rule, (explain.out_of_force(rule),))
        found = self._effect(number, day, categories)
        overdue = found.speaks and rule.review < day
        return replace(found, overdue=overdue, reasons=(*found.reasons, explain.overdue(rule))) if overdue else found

    def _exclusion(self, rule: Rule) -> str | None:
        why = self._options.exclude_rules.get(rule.id)
        if why is not None:
            return why
        tiers = self._tables.tiers.get(rule.id)
        declared = self._options.treat_volume_rules_as
        if tiers is None or declared == STRICT or declared in tiers:
            return None
        return f"the operator declares the volume {declared}"

    def _effect(self, number: int, day: date, categories: frozenset[str]) -> Standing:
        rule, resolve = self._rules[number], self._tables.atlas.resolve
        blank = Standing(number, rule, (explain.rule(rule, None),), speaks=rule.mode not in DORMANT)
        if rule.mode is Mode.HARD:
            extended = rule.allow if rule.id in self._options.allow_extensions else ()
            where = resolve((*rule.must_in, *extended), day)
            return replace(blank, reasons=(explain.rule(rule, where),), allowed=where)
        if rule.mode is Mode.PRIMARY:
            where = resolve(rule.must_in, day)
            return replace(blank, reasons=(explain.rule(rule, where),), allowed=where)
        if rule.mode is Mode.COPY:
            where = resolve(rule.must_in, day)
            return replace(blank, reasons=(explain.rule(rule, where),), copy=where)
        if rule.mode is Mode.DENY:
            where = resolve(rule.deny, None)
            return replace(blank, reasons=(explain.rule(rule, where),), denied=where)
        return self._conditional(blank, day, categories) if rule.mode is Mode.COND and rule.allow else blank

    def _conditional(self, blank: Standing, day: date, categories: frozenset[str]) -> Standing:
        """Apply a conditional rule: the places that it allows, and those that transfer bases open."""
        rule, resolve = blank.rule, self._tables.atlas.resolve
        meant = [basis for basis in self._options.transfer_bases if self._speaks_about(basis, rule, categories)]
        good = [basis for basis in meant if basis.valid_from <= day <= basis.valid_to]
        spent = (explain.unusable(basis, rule, day) for basis in meant if basis not in good)
        bases = tuple((basis.id, resolve(basis.destinations, day)) for basis in good)
        allowed = resolve(rule.allow, day)
        where = allowed.union(*(opened for _, opened in bases))
        reasons = (explain.rule(rule, where, good), *spent)
        return replace(blank, reasons=reasons, allowed=where, bases=bases, without_bases=allowed)

    def _speaks_about(self, basis: TransferBasis, rule: Rule, categories: frozenset[str]) -> bool:
        """Whether a basis is for this rule, and for all categories of the document."""
        named = rule.id in basis.rules or rule.jurisdiction in basis.jurisdictions
        return named and (not basis.categories or categories <= frozenset(basis.categories))

    def _settle(self, signals: Signals, epoch: int, scope: Scope, applied: Sequence[Standing]) -> Reason | None:
        """Send to review what no choice of stores can save."""
        uncovered = self._uncovered(signals, applied)
        if uncovered:
            text = f"no rule in force speaks about such a document of {explain.places(uncovered)}"
            return Reason("NO_RULE_COVERS", text)
        overdue = [found.rule.id for found in applied if found.overdue]
        if overdue and self._options.overdue_rules == "review":
            return Reason("RULES_OVERDUE", f"past their review date: {', '.join(overdue)}", overdue[0])
        if scope.permitted and all(scope.copies):
            return None
        missing = "no place where all its copies may be" if scope.permitted else "no common place"
        if self._each_alone(signals, epoch):
            text = f"its records' countries leave {missing} ({scope.named}); a separate file for each could be moved"
            return Reason("SPLIT_REQUIRED", text, scope.rule)
        return Reason("CONFLICT", f"the rules leave {missing}: {scope.named}", scope.rule)

    def _uncovered(self, signals: Signals, applied: Sequence[Standing]) -> Places:
        """Return countries about whose documents no rule speaks; a citizenship alone need not have one."""
        speaking = {found.number for found in applied if found.speaks}
        covered = {place.country for place in signals.places if self._reaching(place) & speaking}
        full = (place for place in signals.places if place.signal in self._reader.full)
        return frozenset(place.country for place in full) - covered

    def _each_alone(self, signals: Signals, epoch: int) -> bool:
        """Whether there are several countries, and each would leave some place if it stood alone."""
        own = {place.country for place in signals.places}
        parts = (frozenset(place for place in signals.places if place.country == country) for country in own)
        alone = (self._scope(signals._replace(places=part), epoch) for part in parts)
        return len(own) > 1 and all(scope.permitted and all(scope.copies) for scope in alone)

    def _near(self, own: Places) -> Places:
        """Return the countries under a law that the document's own countries share."""
        return own.union(*(bloc for bloc in self._blocs.values() if own & bloc))

    def _placed(self, scope: Scope, offered: placing.Offer, selected: Selection) -> _Placed:
        """Choose among the stores whose proof is good now and lies wholly inside the permitted places."""
        if scope.settled is not None:
            return _Placed((*scope.reasons, scope.settled))
        demanding = self._options.attested == "free_rules_only" and any(
            found.rule.mode in _LOCATING for found in scope.binding
        )
        wanted = placing.Wanted(
            permitted=scope.permitted,
            copies=scope.copies,
            count=max(1, selected.copies),
            attested=self._options.attested != "refuse" and not demanding,
            own=scope.own,
            near=scope.near,
        )
        able = [target for target in offered.usable if wanted.fits(target) and wanted.trusts(target)]
        rank = placing.ranking(wanted, selected, self._options.prefer)
        chosen = placing.choose(wanted, able, rank)
        if not chosen:
            verdict, reason = _no_store(scope, wanted, offered, able)
            return _Placed((*scope.reasons, reason), verdict, scope.permitted)
        closed = placing.missed(wanted, offered, able, chosen, rank) if self._options.closed_stores == "wait" else None
        if closed is not None:
            text = (
                f"waits for {explain.targets([closed])}, which has no current proof of its place; it would come before"
            )
            reason = Reason("NO_PROOF", f"{text} {explain.targets(chosen)}")
            return _Placed((*scope.reasons, reason), Verdict.BLOCKED, scope.permitted)
        where = "; ".join(
            f"{target.store} is in {explain.places(target.proof.countries)}, {target.proof.assurance}"
            for target in chosen
        )
        return _Placed(
            (*scope.reasons, Reason("PLACED", where)),
            Verdict.MOVE,
            scope.permitted,
            tuple(target.store for target in chosen),
            _relied_on(scope, chosen),
        )

    def _with_retention(
        self, decision: Decision, document: Document, signals: Signals, asked: Retention | None, now: datetime
    ) -> Decision:
        """Add how long the document is to be kept, by the law and by the clauses that selected it."""
        duties = self._duties(signals).apply
        found = together(retention(document, duties, now, self.calendar) if duties else None, asked)
        if found is None or not found.rules:
            return decision
        *before, last = decision.reasons
        return replace(decision, reasons=(*before, *explain.retention(found), last), retention=found)

    def _duties_of(self, signals: Signals) -> _Duties:
        """Return the table's duties for such a document; an unknown category meets every minimum, and no maximum."""
        if not self._options.retention.by_law or signals.problems:
            return _Duties()
        reaching = frozenset[int]().union(*map(self._duties_reaching, signals.places))
        theirs = [self._all_duties[number] for number in sorted(reaching)]
        kept_as = self._tables.kept_as
        types = frozenset[str]().union(*(kept_as.get(category, ()) for category in signals.categories))
        about = [duty for duty in theirs if duty.documents & types]
        if not signals.categories <= self._tables.categories.keys():
            about += least_only(duty for duty in theirs if duty not in about)
        excluded = self._options.retention.exclude
        return _Duties(
            tuple(duty for duty in about if duty.id not in excluded),
            tuple(explain.excluded(duty, excluded[duty.id]) for duty in about if duty.id in excluded),
        )

    def _duties_governing(self, place: Place) -> frozenset[int]:
        """Return the duties whose jurisdiction covers the place; a citizenship alone brings none."""
        if not self._reader.ties[place.signal] & _DUTY_TIES:
            return frozenset()
        return frozenset(
            number for number, duty in enumerate(self._all_duties) if self._governs(duty.jurisdiction, place)
        )


_NONE: frozenset[str] = frozenset()


def _binds(found: Standing) -> bool:
    return found.binds


def _relied_on(scope: Scope, chosen: Sequence[Target]) -> tuple[str, ...]:
    """Return the transfer bases without which the chosen stores would not be permitted."""
    used: set[str] = set()
    for found in scope.binding:
        beyond = [
            place for target in chosen for place in target.proof.countries if not within((place,), found.without_bases)
        ]
        used |= {name for name, opened in found.bases if any(within((place,), opened) for place in beyond)}
    return tuple(sorted(used))


def _no_store(
    scope: Scope, wanted: placing.Wanted, offered: placing.Offer, able: Sequence[Target]
) -> tuple[Verdict, Reason]:
    """Say why no store will do, and which rules stand in the way."""
    named = f" ({scope.named})" if scope.binding else ""
    fitting = [target for target in offered.targets if wanted.fits(target)]
    if able:
        needed = [f"a full copy in {explain.places(copy)}" for copy in wanted.copies]
        if wanted.count > 1:
            needed.append(f"{wanted.count} full copies in different stores")
        only = f"; stores that may hold one: {explain.targets(able)}"
        return Verdict.REVIEW, Reason("COPY_NEEDED", f"needed: {' and '.join(needed)}{named}{only}", scope.rule)
    if fitting:
        what = "a current proof of their place" if wanted.attested else "a current proof by the provider of their place"
        text = f"only stores without {what} could take it: {explain.targets(fitting)}{named}"
        return Verdict.BLOCKED, Reason("NO_PROOF", text, scope.rule)
    where = explain.targets(offered.targets)
    text = f"no store lies wholly in {explain.places(scope.permitted)}{named}; stores: {where}"
    return Verdict.BLOCKED, Reason("NO_COMPLIANT_TARGET", text, scope.rule)


def _boundaries(tables: Tables, bases: Iterable[TransferBasis]) -> list[date]:
    """Return the days on which an answer can change, in order."""
    days: set[date | None] = set()
    for group in tables.atlas.groups.values():
        days |= {group.valid_from, _after(group.valid_to)}
    for basis in bases:
        days |= {basis.valid_from, _after(basis.valid_to)}
    for rule in tables.rules:
        days |= {rule.valid_from, _after(rule.valid_to), _after(rule.review)}
    return sorted(day for day in days if day is not None)


def _after(day: date | None) -> date | None:
    return None if day is None or day == date.max else day + timedelta(days=1)
