"""The residency rule book as a plugin."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from offloader.errors import ConfigError
from offloader.plugins import PolicyPlugin
from offloader_policies import tables
from offloader_policies.engine import ResidencyPolicy
from offloader_policies.options import ResidencyOptions
from offloader_policies.signals import category_names


def open_policy(options: ResidencyOptions, texts: Mapping[str, str] | None = None) -> ResidencyPolicy:
    """Load the tables (by default this package's) and check the options against them.

    Raises ConfigError naming the option and the word that no table knows.
    """
    loaded = tables.load(texts)
    rules = {rule.id for rule in loaded.rules}
    for place, names in category_names(options).items():
        _known(f"categories.{place}", names, loaded.categories)
    _known("exclude_rules", options.exclude_rules, rules)
    _known("allow_extensions", options.allow_extensions, rules)
    tiers = {tier for found in loaded.tiers.values() for tier in found} | {tables.STRICT}
    _known("treat_volume_rules_as", (options.treat_volume_rules_as,), tiers)
    jurisdictions = {rule.jurisdiction for rule in loaded.rules}
    for number, basis in enumerate(options.transfer_bases):
        place = f"transfer_bases[{number}]"
        _known(f"{place}.rules", basis.rules, rules)
        _known(f"{place}.jurisdictions", basis.jurisdictions, jurisdictions)
        for token in basis.destinations:
            problem = loaded.atlas.problem(token)
            if problem:
                raise ConfigError(f"policy option {place}.destinations: {problem}")
    return ResidencyPolicy(loaded, options)


def _known(option: str, words: Iterable[str], known: Iterable[str]) -> None:
    known = sorted(known)
    for word in words:
        if word not in known:
            raise ConfigError(f"policy option {option}: {word!r} is none of {', '.join(known)}")


POLICY = PolicyPlugin(
    help="Where documents may live, by the law of their records' countries.",
    options=ResidencyOptions,
    open=lambda options, _context: open_policy(options),
)
