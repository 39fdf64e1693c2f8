"""Whether what a policy names is there: sources, kinds of documents and stores, as the configuration has them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING

from offloader.errors import OffloaderError
from offloader.model import Finding, Severity

if TYPE_CHECKING:
    from offloader.cli.policy_choice import Chosen
    from offloader.config import Config
    from offloader.plugins import Context, PolicyName

_SHOWN = 12


def kinds_by_source(config: Config, outside: Context) -> dict[str, frozenset[str]]:
    """The kinds of documents of each source; one that cannot be opened (a secret is missing) is left out."""
    from offloader.wiring import open_source  # noqa: PLC0415 - loads plugins

    found = {}
    for name, part in config.sources.items():
        try:
            source = open_source(part, config, outside, dry_run=True)
        except OffloaderError:
            continue
        found[name] = frozenset(kind.kind for kind in source.capabilities.kinds)
    return found


def findings(chosen: Chosen, config: Config, kinds: Mapping[str, frozenset[str]]) -> Iterator[Finding]:
    """Every name in a policy that nothing in the configuration has: what it is said of never applies."""
    if chosen.plugin.names is None:
        return
    theirs = (chosen.part.sources if chosen.part is not None else ()) or tuple(config.sources)
    for each in chosen.plugin.names(chosen.options, chosen.outside):
        known = _known(each, config, theirs, kinds)
        if known is None or each.name in known:
            continue
        place = each.place if ":" in each.place else f"{config.path.name}: policies.{chosen.name}.{each.place}"
        message = f"{place} names the {each.what} {each.name!r}; {_why_not(each, config, theirs)}"
        yield Finding(Severity.WARNING, f"{each.what}-unknown", message, _remedy(each.name, known))


def _known(
    each: PolicyName, config: Config, theirs: Collection[str], kinds: Mapping[str, frozenset[str]]
) -> Collection[str] | None:
    """The names that there are; None if nobody can say."""
    if each.what == "source":
        return theirs
    if each.what == "store":
        return config.stores
    about = _about(each, theirs)
    if any(source not in kinds for source in about):
        return None
    return frozenset[str]().union(*(kinds[source] for source in about))


def _about(each: PolicyName, theirs: Collection[str]) -> Collection[str]:
    """The sources in which a kind is looked for; all of the policy's, if those that are named are not there."""
    return [source for source in theirs if source in each.sources] or theirs


def _why_not(each: PolicyName, config: Config, theirs: Collection[str]) -> str:
    if each.what == "kind":
        return f"there are no such documents in {' or '.join(_about(each, theirs))}"
    if each.what == "source" and each.name in config.sources:
        return "the policy is not for that source"
    return f"{config.path.name} has no such {each.what}"


def _remedy(name: str, known: Collection[str]) -> str:
    # capitals are the most frequent slip, and difflib counts each as another letter
    folded = {word.casefold(): word for word in known}
    near = get_close_matches(name.casefold(), folded, n=1, cutoff=0.6)
    there = f"there are: {', '.join(sorted(known)[:_SHOWN])}"
    return f"did you mean {folded[near[0]]}? {there}" if near else there
