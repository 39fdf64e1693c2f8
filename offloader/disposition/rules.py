"""Purge rules of a site's policies, and the caps on what they may take."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from offloader.errors import ConfigError, Drift
from offloader.moves.caps import asked
from offloader.moves.site import Site
from offloader.ports import PurgeRule


@dataclass(frozen=True, slots=True)
class SourceRule:
    """A purge rule at work on one source. `name` is how plans call it."""

    source: str
    rule: PurgeRule

    @property
    def name(self) -> str:
        return f"{self.source}/{self.rule.id}"


def rules_of(site: Site, wanted: Collection[str] = ()) -> list[SourceRule]:
    """The rules with these ids (all if empty), per source. Raises ConfigError for an id or source that is not there."""
    found = [
        SourceRule(source, rule)
        for source, policy in sorted(site.policies.items())
        for rule in policy.terms.purges
        if not rule.sources or source in rule.sources
    ]
    for policy in site.policies.values():
        for rule in policy.terms.purges:
            for source in rule.sources:
                if source not in site.sources:
                    raise ConfigError(f"{rule.origin}: purge: no source is named {source!r}")
    known = {each.rule.id for each in found}
    for name in wanted:
        if name not in known:
            said = ", ".join(sorted(known)) or "none"
            raise ConfigError(f"no policy has a purge rule {name!r}; there are: {said}")
    return [each for each in found if not wanted or each.rule.id in wanted]


def rule_named(site: Site, name: str) -> SourceRule:
    """The rule of a planned act. Raises Drift if the policies have it no longer."""
    for each in rules_of(site):
        if each.name == name:
            return each
    raise Drift(f"the purge rule {name} is not there any more")


@dataclass(frozen=True, slots=True)
class Taken:
    """What a plan would delete: records by rule (what goes with them included), and by source and type. `copied`: bytes
    of documents that it copies first, each once.
    """

    rules: Counter[str]
    types: Counter[tuple[str, str]]
    copied: int = 0


def over(
    site: Site, sources: Collection[str], taken: Taken, population: Mapping[str, int], rules: Iterable[SourceRule]
) -> list[tuple[str, str]]:
    """Every cap that a plan is over: the cap's name, and a sentence. `population`: rule → records of its type."""
    caps = asked(site, sources)[1]
    found: list[tuple[str, str]] = []
    whole = sum(taken.types.values())
    if caps.documents is not None and whole > caps.documents:
        found.append(("limits.documents", f"it deletes {whole} records, the limit is {caps.documents}"))
    if caps.bytes is not None and taken.copied > caps.bytes:
        found.append(("limits.bytes", f"it copies {taken.copied} bytes of documents, the limit is {caps.bytes}"))
    by_type: Counter[str] = Counter()
    for (_, name), count in taken.types.items():
        by_type[name] += count
    for name, most in caps.kinds.items():
        if by_type[name] > most:
            found.append((f"limits.kinds.{name}", f"it deletes {by_type[name]} of {name}, the limit is {most}"))
    for each in rules:
        count, rule = taken.rules[each.name], each.rule
        if rule.count is not None and count > rule.count:
            found.append(
                (f"purge.{rule.id}.max_records", f"{each.name} deletes {count} records, its limit is {rule.count}")
            )
        percents = [most for most in (rule.percent, caps.percent) if most is not None]
        if percents and count:
            known = population.get(each.name, 0)
            share = taken.types[each.source, rule.type] * 100 / known if known else 100.0
            if share > min(percents):
                said = f"{each.name} deletes {share:.12g}% of all {rule.type}, the limit is {min(percents):.12g}%"
                found.append((f"purge.{rule.id}.max_percent", said))
    return found
