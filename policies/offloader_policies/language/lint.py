"""What is doubtful about a policy that opens: each finding with its place and its remedy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from datetime import UTC, datetime
from difflib import get_close_matches

from offloader.model import Document, DocumentRef, Finding, Parent, Severity, Verdict, Version
from offloader.ports import Target
from offloader_policies import countries
from offloader_policies.language import cases, facts
from offloader_policies.language.conditions import Condition
from offloader_policies.language.layers import PACKS, Book, Override, load_pack, shipped_packs
from offloader_policies.language.model import Clause, Given, Select
from offloader_policies.language.policy import FilePolicy
from offloader_policies.language.reading import Steps, dotted
from offloader_policies.language.spans import parse_period
from offloader_policies.selection import Selection
from offloader_policies.tables import ANY_CATEGORY, DORMANT, STRICT, SUPRANATIONAL, Rule

_REASON = "the reason stands beside it; have it confirmed by the one who answers for the layer below"


def findings(policy: FilePolicy, targets: Sequence[Target], now: datetime) -> Iterator[Finding]:
    """Everything doubtful, by severity: errors and warnings first. With no targets, stores are not looked at."""
    found = [
        *_clauses(policy, now),
        *_rules(policy),
        *_weaker(policy.book),
        *_reviews(policy, now),
        *_packs(policy, now),
        *_stores(policy, targets, now),
        *_uncovered(policy, now),
    ]
    order = (Severity.ERROR, Severity.WARNING, Severity.OK)
    yield from sorted(found, key=lambda finding: order.index(finding.severity))


def _warn(code: str, place: str, message: str, remedy: str) -> Finding:
    return Finding(Severity.WARNING, code, f"{place}: {message}", remedy)


def _note(code: str, place: str, message: str, remedy: str = "") -> Finding:
    return Finding(Severity.OK, code, f"{place}: {message}", remedy)


def _clauses(policy: FilePolicy, now: datetime) -> Iterator[Finding]:
    """Clauses that can never fire, that others always beat, or that are missing altogether."""
    book, clauses = policy.book, policy.book.content.clauses
    if book.content.pack is None and not any(clause.then == "move" for clause in clauses):
        yield _warn("moves-nothing", f"{book.layers[-1].name}:1", "no clause moves anything", "add a clause")
    for number, clause in enumerate(clauses):
        place, dead = book.origin("clauses", number), _dead(policy, clause)
        if dead:
            yield _warn("clause-never", place, f"the clause {clause.id} can never fire: {dead}", "correct or remove it")
            continue
        if _unanswerable(policy.conditions.get(clause.id), now):
            message = f"the condition of the clause {clause.id} has no answer: what it selects comes to review"
            yield _warn(
                "condition-unanswerable", book.origin("clauses", number, "select", "when"), message, "correct it"
            )
        for other in clauses:
            beats = other.then == "review" or (other.then == "keep" and clause.then in ("move", "classify"))
            if other is not clause and beats and clause.then != other.then and _within(clause.select, other.select):
                message = f"the clause {clause.id} never decides: {other.id} ({other.then}) selects all that it selects"
                yield _warn("clause-shadowed", place, message, f"narrow {other.id}, or remove {clause.id}")


def _dead(policy: FilePolicy, clause: Clause) -> str:
    """Why a clause can select no document; empty if it can."""
    select = clause.select
    if select.min_size is not None and select.max_size is not None and select.min_size > select.max_size:
        return "min_size is larger than max_size"
    if select.min_age is not None and select.max_age is not None:
        least, most = (parse_period(period) for period in (select.min_age, select.max_age))
        if least == most or least.months * 28 + least.days >= most.months * 31 + most.days:
            return "min_age is not below max_age"
    condition = policy.conditions.get(clause.id)
    if condition is not None and condition.holds({}) is False:
        return "its condition is false whatever the document says"
    return ""


def _unanswerable(condition: Condition | None, now: datetime) -> bool:
    """Whether a condition has no answer even for a document of which everything is known (a bad pattern, 1 / 0)."""
    if condition is None or "parents" in condition.uses:
        return False
    known = {"mime": "application/pdf", "created": now.date(), "modified": now.date(), "owner": "1"}
    document = cases.made(Given.model_validate(known))
    return condition.holds(facts.values(document, now, condition.uses)) is None


def _within(inner: Select, outer: Select) -> bool:
    """Whether every document that `inner` selects is certainly one that `outer` selects."""
    if outer.when is not None and outer.when != inner.when:
        return False
    words = ("sources", "kinds", "mime", "extensions", "parents")
    for name in words:
        wide, narrow = set(getattr(outer, name)), set(getattr(inner, name))
        if wide and not (narrow and narrow <= wide):
            return False
    if outer.min_size is not None and (inner.min_size is None or inner.min_size < outer.min_size):
        return False
    if outer.max_size is not None and (inner.max_size is None or inner.max_size > outer.max_size):
        return False
    return _ages_within(inner, outer)


def _ages_within(inner: Select, outer: Select) -> bool:
    if outer.min_age is None and outer.max_age is None:
        return True
    return (inner.age_of, inner.min_age, inner.max_age) == (outer.age_of, outer.min_age, outer.max_age)


def _rules(policy: FilePolicy) -> Iterator[Finding]:
    """Rules that never apply under this policy."""
    book, options = policy.book, policy.book.content.residency
    given = _given_categories(policy)
    own = {rule.id for rule in book.content.rules}
    for rule in policy.tables.rules:
        if rule.id in options.exclude_rules:
            place = book.origin("residency", "exclude_rules", rule.id)
            why = options.exclude_rules[rule.id]
            yield _note("rule-excluded", place, f"the rule {rule.id} ({rule.origin}) is left out: {why}", _REASON)
        if rule.id in own:
            others = (other.categories for other in policy.tables.rules if other is not rule)
            yield from _own_rule(rule, given, given.union(*others))
    for layer, pack in book.packs():
        known = {rule.id for rule in policy.tables.rules}
        missing = [name for name in pack.rules if name not in known]
        if missing:
            named = ", ".join(missing)
            yield _warn("pack-rules", layer.origin(("pack", "rules")), f"no table has {named}", "update the pack")


def _own_rule(rule: Rule, given: frozenset[str], known: frozenset[str]) -> Iterator[Finding]:
    """`given` are the categories that the policy can give, `known` those that others than this rule name."""
    if rule.mode in DORMANT:
        yield _warn("rule-never", rule.origin, f"the rule {rule.id} is {rule.mode} and binds nobody", "remove it")
    elif ANY_CATEGORY not in rule.categories and not rule.categories & given:
        named = ", ".join(sorted(rule.categories))
        near = [found for name in sorted(rule.categories - known) for found in get_close_matches(name, known, n=1)]
        meant = f"did you mean {', '.join(near)}? " if near else ""
        yield _warn(
            "rule-never",
            rule.origin,
            f"the rule {rule.id} fires only if the CRM itself says the category: nothing here gives {named}",
            f"{meant}add the category under residency.categories or to a clause",
        )


def _given_categories(policy: FilePolicy) -> frozenset[str]:
    """Every category that the policy itself can give a document, with all that they imply."""
    content = policy.book.content
    own = content.residency.categories
    named = {*own.default, *(name for clause in content.clauses for name in clause.categories)}
    for words in (*own.by_kind.values(), *own.by_parent.values()):
        named.update(words)
    return frozenset(part for name in named for part in policy.tables.categories.get(name, {name}))


def _weaker(book: Book) -> Iterator[Finding]:
    """What a higher layer took away from the protection of a lower one."""
    for removal in book.removals:
        value = removal.value
        protects = removal.section == "rules" or (
            removal.section == "clauses" and isinstance(value, dict) and value.get("then") in ("keep", "review")
        )
        if protects:
            what = f"{removal.section[:-1]} {removal.name} ({removal.was}) is taken out: {removal.reason}"
            yield _warn("hold-removed", removal.origin, f"the {what}", _REASON)
    protecting = {clause.id for clause in book.content.clauses if clause.then != "move"}
    for override in book.overrides:
        problem = _weakening(override, protecting)
        if problem:
            yield _warn("weaker", override.above.origin, f"{problem} ({override.below.origin})", _REASON)
        else:
            message = f"{dotted(override.steps)} replaces what stands in {override.below.origin}"
            yield _note("overridden", override.above.origin, message)


def _weakening(override: Override, protecting: Set[str]) -> str:
    """How an overriding value may protect less than the one below; empty if it does not.

    `protecting` are the clauses that keep, review or classify.
    """
    way, below, above = override.steps, override.below.value, override.above.value
    if way[:1] == ("clauses",):
        if way[-1] == "then" and below in ("keep", "review"):
            return f"the clause {override.name} said {below}, it says {above} now"
        narrowed = "select" in way and override.name in protecting
        return f"what the clause {override.name} selects is changed" if narrowed else ""
    return _looser(way[1], below, above) if way[0] == "residency" else _weaker_terms(way, below, above)


def _weaker_terms(way: Steps, below: object, above: object) -> str:
    """How approvals or caps ask for less than the layer below; empty if they do not."""
    if way == ("approvals", "people") and _less(above, below):
        return f"{above} people must approve, the layer below asks for {below}"
    if way == ("approvals", "preparer") and above is True:
        return "the preparer may approve, the layer below forbids it"
    if way == ("approvals", "days") and _less(below, above):
        return f"an approval holds {above} days, the layer below says {below}"
    if way[:1] == ("caps",) and _less(below, above):
        return f"caps.{'.'.join(map(str, way[1:]))} is {above}, the layer below says {below}"
    if way == ("duplicates",) and above == "share":
        return "documents may share a copy, the layer below keeps them apart"
    return ""


#: options of the residency rules, from strict to loose
_LOOSER: Mapping[str, tuple[str, ...]] = {
    "attested": ("refuse", "free_rules_only", "accept"),
    "overdue_rules": ("review", "apply"),
}


def _looser(option: str | int, below: object, above: object) -> str:
    """How an option of the residency rules is looser than in the layer below; empty if it is not."""
    scale = _LOOSER.get(str(option), ())
    slack = scale.index(str(above)) > scale.index(str(below)) if {str(below), str(above)} <= set(scale) else False
    if slack or (option == "treat_volume_rules_as" and below == STRICT):
        return f"residency.{option} is {above}, the layer below says {below}"
    return ""


def _less(first: object, second: object) -> bool:
    """Whether a number is smaller than another; no number (no cap) is larger than any."""
    left, right = (float("inf") if value is None else value for value in (first, second))
    return isinstance(left, int | float) and isinstance(right, int | float) and left < right


def _reviews(policy: FilePolicy, now: datetime) -> Iterator[Finding]:
    today = now.astimezone(UTC).date()
    origins = {rule.id: rule.origin for rule in policy.tables.rules}
    for name, day in sorted(policy.terms.reviews.items()):
        if day < today:
            message = f"{name} should have been looked at again by {day.isoformat()}; it still applies"
            yield _warn("review-overdue", origins.get(name, name), message, "have it checked, and its date renewed")


def _packs(policy: FilePolicy, now: datetime) -> Iterator[Finding]:
    """Packs about countries that the policy's own examples name, which it does not stand on."""
    used, seen = {layer.name for layer in policy.book.layers}, _named(policy)
    if policy.book.content.pack is not None:
        return
    for name in shipped_packs():
        if f"{PACKS}{name}.yaml" in used:
            continue
        about = load_pack(name).content.pack
        homes = {rule.jurisdiction for rule in policy.tables.rules if about is not None and rule.id in about.rules}
        met = sorted(seen & _countries(policy, homes))
        if met:
            message = f"its tests name {', '.join(met)}, and it does not stand on the pack {name}"
            remedy = f"add packs/{name} to `extends`, or leave it: the rules of the table apply anyway"
            yield _note("pack-missing", f"{policy.book.layers[-1].name}:1", message, remedy)


def _named(policy: FilePolicy) -> frozenset[str]:
    """The countries that the policy's examples name."""
    residency, names = policy.book.content.residency, policy.tables.country_names
    signals = (residency.country_signal, *residency.more_country_signals)
    parents = (parent for case in policy.book.content.tests for parent in case.given.parents)
    said = (parent.signals.get(signal, "") for parent in parents for signal in signals)
    return frozenset(code for text in said if (code := countries.find(text, names)))


def _countries(policy: FilePolicy, jurisdictions: set[str]) -> frozenset[str]:
    groups = [f"@{SUPRANATIONAL[name]}" for name in jurisdictions if name in SUPRANATIONAL]
    plain = {name.partition("-")[0] for name in jurisdictions if name not in SUPRANATIONAL}
    return policy.tables.atlas.resolve(groups, None) | plain


def _stores(policy: FilePolicy, targets: Sequence[Target], now: datetime) -> Iterator[Finding]:
    """Stores without a proof, and stores that nothing can reach."""
    for target in targets:
        if not target.proof.usable_at(now):
            message = f"has no current proof of its place ({target.proof.assurance}: {target.proof.summary})"
            yield _warn("store-unproven", f"store {target.store}", message, "see `offloader check`")
        elif not _reachable(policy, target, now):
            where = ", ".join(sorted(target.proof.countries))
            whose = "the countries that its tests name" if _named(policy) else "any country"
            message = f"in {where}: no document of {whose}, of the categories of its clauses, could be moved there"
            yield _warn("store-unreachable", f"store {target.store}", message, "remove the store, or see `explain`")


def _reachable(policy: FilePolicy, target: Target, now: datetime) -> bool:
    """Whether a document of at least one country (of the examples, if they name any) could move to this store alone."""
    moves = [clause for clause in policy.book.content.clauses if clause.then == "move"]
    kinds = {frozenset(clause.categories) for clause in moves} or {frozenset[str]()}
    return any(
        policy.residency.decide(_document(policy, code), (target,), now, Selection(categories=categories)).verdict
        is Verdict.MOVE
        for categories in kinds
        for code in sorted(_named(policy) or policy.tables.atlas.countries)
    )


def _document(policy: FilePolicy, country: str) -> Document:
    """A large document on one record of a country."""
    options = policy.book.content.residency
    signals: Mapping[str, str] = {options.country_signal: country}
    return Document(
        ref=DocumentRef("lint", "lint", country),
        title="",
        versions=(Version(id="1", number=1, name="x", size=1 << 40),),
        parents=(Parent(type="record", id="1", signals=signals),),
    )


def _uncovered(policy: FilePolicy, now: datetime) -> Iterator[Finding]:
    """Countries of which no rule speaks: their documents come to review."""
    known = sorted(policy.tables.atlas.countries)
    covered = [
        code for code in known if policy.residency.decide(_document(policy, code), (), now).code != "NO_RULE_COVERS"
    ]
    if len(covered) < len(known):
        message = (
            f"the rules in force speak of such documents of {len(covered)} countries: {' '.join(covered) or 'none'}; "
            f"those of the {len(known) - len(covered)} others come to review"
        )
        yield _note("country-uncovered", "rules", message, "add a rule of your own where you have documents")
