"""The decision: signals, then rules, then permitted places, then stores. Pure: no I/O, no clock, no globals.

Rules unite, places intersect, denials come last, and whatever is unknown is read in the strictest way. What follows
from the places alone, from the categories alone, and from the rules that apply together, is computed once and kept: few
of each are met among many different documents. So is the whole decision, for the same signals and stores.
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
    """What rules make of the places that apply together on one day."""

    permitted: Places
    #: sets of permitted places, each of which must hold a full copy
    copies: tuple[Places, ...]
    #: the rules that bound the place, strictest first
    binding: tuple[Standing, ...]
    reasons: tuple[Reason, ...]
    #: the rules that count as speaking about their country's documents
    speaking: frozenset[int]
    #: those past their review date, by id
    overdue: tuple[str, ...]

    @property
    def somewhere(self) -> bool:
        """Whether the places are enough for all copies."""
        return bool(self.permitted) and all(self.copies)

    @property
    def rule(self) -> str | None:
        """The strictest rule that bounds the place."""
        return self.binding[0].rule.id if self.binding else None

    @property
    def named(self) -> str:
        return ", ".join(standing.rule.id for standing in self.binding)


@dataclass(frozen=True, slots=True)
class _Where:
    """What follows from a document's places alone."""

    #: the rules and the duties that reach it, by number
    rules: frozenset[int]
    duties: frozenset[int]
    #: its own countries, and all countries under the same law
    own: Places
    near: Places
    #: countries, and subdivisions where they are known
    jurisdictions: tuple[str, ...]
    said: str


@dataclass(frozen=True, slots=True)
class _What:
    """What follows from a document's categories alone."""

    #: the rules that are about it, by number
    rules: frozenset[int]
    #: the types of documents by which duties name it; whether every category stands in the table
    types: frozenset[str]
    known: bool
    categories: tuple[str, ...]
    said: str


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
        self._where: Callable[[frozenset[Place]], _Where] = lru_cache(8192)(self._look_where)
        self._what: Callable[[frozenset[tuple[str, str]]], _What] = lru_cache(4096)(self._look_what)
        self._measured: Callable[[frozenset[int], int, tuple[str, ...]], Scope] = lru_cache(4096)(self._measure)
        self._reaching: Callable[[Place], frozenset[int]] = lru_cache(4096)(self._rules_reaching)
        self._duties_reaching: Callable[[Place], frozenset[int]] = lru_cache(4096)(self._duties_governing)
        self._standing: Callable[[int, int, tuple[str, ...]], Standing] = lru_cache(8192)(self._stand)
        self._duties: Callable[[frozenset[int], frozenset[str], bool], _Duties] = lru_cache(4096)(self._duties_of)
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
        where, what = self._where(signals.places), self._what(signals.known)
        for standing, left in self._walk(where.rules & what.rules, epoch, self._conditions_on(what)):
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
        where, what = self._where(signals.places), self._what(signals.known)
        said: tuple[Reason, ...] = (explain.signals(where.said, what.said),)
        if signals.problems:
            placed = _Placed(tuple(Reason("UNKNOWN_SIGNAL", text) for text in signals.problems))
        else:
            scope = self._scope(where, what, offered.epoch)
            settled = self._settle(signals, what, offered.epoch, scope)
            placed = _Placed((settled,)) if settled is not None else self._placed(scope, where, offered, selected)
            said = (*said, *scope.reasons)
        *before, last = placed.reasons
        return Decision(
            verdict=placed.verdict,
            reasons=(*said, *before, *self._duties_about(signals, where, what).left_out, last),
            countries=placed.countries,
            store=placed.stores[0] if placed.stores else None,
            copies=placed.stores[1:],
            jurisdictions=where.jurisdictions,
            categories=what.categories,
            clauses=selected.clauses,
            bases=placed.bases,
        )

    def _look_where(self, places: frozenset[Place]) -> _Where:
        own = frozenset(place.country for place in places)
        return _Where(
            rules=frozenset[int]().union(*map(self._reaching, places)),
            duties=frozenset[int]().union(*map(self._duties_reaching, places)),
            own=own,
            near=self._near(own),
            jurisdictions=tuple(sorted({code for place in places for code in (place.country, place.part) if code})),
            said=explain.countries(places, self._options.country_signal),
        )

    def _look_what(self, known: frozenset[tuple[str, str]]) -> _What:
        """See which rules are about one of the categories, or about what it may mean; all, for an unknown one."""
        categories, tables = frozenset(category for category, _ in known), self._tables
        sure = categories <= tables.categories.keys()
        about = {ANY_CATEGORY}.union(*(tables.categories.get(category, ()) for category in categories))
        return _What(
            rules=frozenset(number for number, rule in enumerate(self._rules) if not sure or rule.categories & about),
            types=frozenset[str]().union(*(tables.kept_as.get(category, ()) for category in categories)),
            known=sure,
            categories=tuple(sorted(categories)),
            said=explain.categories(known),
        )

    def _conditions_on(self, what: _What) -> tuple[str, ...]:
        """Return the categories as far as a transfer basis may depend on them."""
        return what.categories if self._options.transfer_bases else ()

    def _scope(self, where: _Where, what: _What, epoch: int) -> Scope:
        """Apply every rule that reaches the document and is about it, on the first day of the epoch."""
        return self._measured(where.rules & what.rules, epoch, self._conditions_on(what))

    def _measure(self, applying: frozenset[int], epoch: int, categories: tuple[str, ...]) -> Scope:
        everywhere = self._tables.atlas.countries
        permitted = everywhere
        reasons: list[Reason] = []
        taken: list[tuple[str, int]] = []
        applied: list[Standing] = []
        for standing, left in self._walk(applying, epoch, categories):
            reasons.extend(standing.reasons)
            applied.append(standing)
            if standing.binds and standing.copy is None:
                taken.append((standing.rule.id, len(permitted) - len(left)))
            permitted = left
        reasons.append(explain.narrowing(len(everywhere), taken, permitted))
        return Scope(
            permitted=permitted,
            copies=tuple({self._meet(found.copy, permitted): None for found in applied if found.copy is not None}),
            binding=tuple(sorted(filter(_binds, applied), key=lambda found: (-found.rule.strictness, found.rule.id))),
            reasons=tuple(reasons),
            speaking=frozenset(found.number for found in applied if found.speaks),
            overdue=tuple(found.rule.id for found in applied if found.overdue),
        )

    def _walk(
        self, applying: frozenset[int], epoch: int, categories: tuple[str, ...]
    ) -> Iterator[tuple[Standing, Places]]:
        """Yield the rules in order, each with the places that are left after it."""
        left = self._tables.atlas.countries
        for number in sorted(applying):
            standing = self._standing(number, epoch, categories)
            if standing.allowed is not None:
                left = self._meet(left, standing.allowed)
            if standing.denied is not None:
                left = self._without(left, standing.denied)
            yield standing, left

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

    def _stand(self, number: int, epoch: int, categories: tuple[str, ...]) -> Standing:
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

    def _effect(self, number: int, day: date, categories: tuple[str, ...]) -> Standing:
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

    def _conditional(self, blank: Standing, day: date, categories: tuple[str, ...]) -> Standing:
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

    def _speaks_about(self, basis: TransferBasis, rule: Rule, categories: tuple[str, ...]) -> bool:
        """Whether a basis is for this rule, and for all categories of the document."""
        named = rule.id in basis.rules or rule.jurisdiction in basis.jurisdictions
        return named and (not basis.categories or set(categories) <= set(basis.categories))

    def _settle(self, signals: Signals, what: _What, epoch: int, scope: Scope) -> Reason | None:
        """Send to review what no choice of stores can save."""
        uncovered = self._uncovered(signals, scope)
        if uncovered:
            text = f"no rule in force speaks about such a document of {explain.places(uncovered)}"
            return Reason("NO_RULE_COVERS", text)
        if scope.overdue and self._options.overdue_rules == "review":
            return Reason("RULES_OVERDUE", f"past their review date: {', '.join(scope.overdue)}", scope.overdue[0])
        if scope.somewhere:
            return None
        missing = "no place where all its copies may be" if scope.permitted else "no common place"
        if self._each_alone(signals.places, what, epoch):
            text = f"its records' countries leave {missing} ({scope.named}); a separate file for each could be moved"
            return Reason("SPLIT_REQUIRED", text, scope.rule)
        return Reason("CONFLICT", f"the rules leave {missing}: {scope.named}", scope.rule)

    def _uncovered(self, signals: Signals, scope: Scope) -> Places:
        """Return countries about whose documents no rule speaks; a citizenship alone need not have one."""
        covered = {place.country for place in signals.places if not scope.speaking.isdisjoint(self._reaching(place))}
        full = (place for place in signals.places if place.signal in self._reader.full)
        return frozenset(place.country for place in full) - covered

    def _each_alone(self, places: frozenset[Place], what: _What, epoch: int) -> bool:
        """Whether there are several countries, and each would leave some place if it stood alone."""
        own = {place.country for place in places}
        parts = (frozenset(place for place in places if place.country == country) for country in own)
        return len(own) > 1 and all(self._scope(self._where(part), what, epoch).somewhere for part in parts)

    def _near(self, own: Places) -> Places:
        """Return the countries under a law that the document's own countries share."""
        return own.union(*(bloc for bloc in self._blocs.values() if own & bloc))

    def _placed(self, scope: Scope, where: _Where, offered: placing.Offer, selected: Selection) -> _Placed:
        """Choose among the stores whose proof is good now and lies wholly inside the permitted places."""
        demanding = self._options.attested == "free_rules_only" and any(
            found.rule.mode in _LOCATING for found in scope.binding
        )
        wanted = placing.Wanted(
            permitted=scope.permitted,
            copies=scope.copies,
            count=max(1, selected.copies),
            attested=self._options.attested != "refuse" and not demanding,
            own=where.own,
            near=where.near,
        )
        waits = self._options.closed_stores == "wait"
        found = placing.search(wanted, offered, selected, self._options.prefer, waits=waits)
        if not found.chosen:
            verdict, reason = _no_store(scope, wanted, offered, found)
            return _Placed((reason,), verdict, scope.permitted)
        if found.awaited is not None:
            text = f"waits for {explain.targets([found.awaited])}, which has no current proof of its place; "
            reason = Reason("NO_PROOF", f"{text}it would come before {explain.targets(found.chosen)}")
            return _Placed((reason,), Verdict.BLOCKED, scope.permitted)
        return _Placed(
            (explain.placed(found.chosen),),
            Verdict.MOVE,
            scope.permitted,
            tuple(target.store for target in found.chosen),
            _relied_on(scope, found.chosen),
        )

    def _with_retention(
        self, decision: Decision, document: Document, signals: Signals, asked: Retention | None, now: datetime
    ) -> Decision:
        """Add how long the document is to be kept, by the law and by the clauses that selected it."""
        duties = self._duties_about(signals, self._where(signals.places), self._what(signals.known)).apply
        found = together(retention(document, duties, now, self.calendar) if duties else None, asked)
        if found is None or not found.rules:
            return decision
        *before, last = decision.reasons
        return replace(decision, reasons=(*before, *explain.retention(found), last), retention=found)

    def _duties_about(self, signals: Signals, where: _Where, what: _What) -> _Duties:
        if not self._options.retention.by_law or signals.problems:
            return _NO_DUTIES
        return self._duties(where.duties, what.types, what.known)

    def _duties_of(self, reaching: frozenset[int], types: frozenset[str], known: bool) -> _Duties:
        """Return the table's duties for such a document; an unknown category meets every minimum, and no maximum."""
        theirs = [self._all_duties[number] for number in sorted(reaching)]
        about = [duty for duty in theirs if duty.documents & types]
        if not known:
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


_NO_DUTIES = _Duties()


def _binds(found: Standing) -> bool:
    return found.binds


def _relied_on(scope: Scope, chosen: Sequence[Target]) -> tuple[str, ...]:
    """Return the transfer bases without which the chosen stores would not be permitted."""
    used: set[str] = set()
    for found in (standing for standing in scope.binding if standing.bases):
        beyond = [
            place for target in chosen for place in target.proof.countries if not within((place,), found.without_bases)
        ]
        used |= {name for name, opened in found.bases if any(within((place,), opened) for place in beyond)}
    return tuple(sorted(used))


def _no_store(
    scope: Scope, wanted: placing.Wanted, offered: placing.Offer, found: placing.Choice
) -> tuple[Verdict, Reason]:
    """Say why no store will do, and which rules stand in the way."""
    named = f" ({scope.named})" if scope.binding else ""
    if found.able:
        needed = [f"a full copy in {explain.places(copy)}" for copy in wanted.copies]
        if wanted.count > 1:
            needed.append(f"{wanted.count} full copies in different stores")
        only = f"; stores that may hold one: {explain.targets(found.able)}"
        return Verdict.REVIEW, Reason("COPY_NEEDED", f"needed: {' and '.join(needed)}{named}{only}", scope.rule)
    if found.fitting:
        what = "a current proof of their place" if wanted.attested else "a current proof by the provider of their place"
        text = f"only stores without {what} could take it: {explain.targets(found.fitting)}{named}"
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
