"""The residency rule book as a plugin."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from offloader.errors import ConfigError
from offloader.plugins import PolicyPlugin
from offloader_policies import shown, tables
from offloader_policies.engine import ResidencyPolicy
from offloader_policies.options import ResidencyOptions, RetentionOptions
from offloader_policies.retention import Calendar, month_day
from offloader_policies.signals import category_names


def open_policy(options: ResidencyOptions, texts: Mapping[str, str] | None = None) -> ResidencyPolicy:
    """Load the tables (by default this package's) and check the options against them.

    Raises ConfigError naming the option and the word that no table knows.
    """
    return policy_of(options, tables.load(texts))


def policy_of(options: ResidencyOptions, loaded: tables.Tables) -> ResidencyPolicy:
    """Check the options against tables that are already loaded. Raises ConfigError naming the option and the word."""
    _check(options, loaded)
    return ResidencyPolicy(loaded, options, _calendar(options.retention))


def _check(options: ResidencyOptions, loaded: tables.Tables) -> None:
    rules = {rule.id for rule in loaded.rules}
    for place, names in category_names(options).items():
        _known(place, names, loaded.categories)
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
            problem = tables.place_problem(token, loaded.atlas, loaded.country_names)
            if problem:
                raise ConfigError(f"policy option {place}.destinations: {problem}")
    kept = options.retention
    _known("retention.exclude", kept.exclude, loaded.duties)
    _known("retention.fiscal_year_ends", kept.fiscal_year_ends, loaded.atlas.countries | loaded.atlas.subdivisions)


def _calendar(options: RetentionOptions) -> Calendar:
    """Read what terms are counted by. Raises ConfigError for a day or a time zone that does not exist."""
    try:
        zone = ZoneInfo(options.time_zone)
    except (ValueError, OSError, ZoneInfoNotFoundError) as error:
        raise ConfigError(
            f"policy option retention.time_zone: {options.time_zone!r} is no time zone, such as Europe/Berlin"
        ) from error
    return Calendar(
        year_end=_month_day("fiscal_year_end", options.fiscal_year_end),
        year_ends={
            whose: _month_day(f"fiscal_year_ends.{whose}", day) for whose, day in options.fiscal_year_ends.items()
        },
        signals=options.event_signals,
        zone=zone,
    )


def _month_day(option: str, text: str) -> tuple[int, int]:
    try:
        return month_day(text)
    except ValueError as error:
        raise ConfigError(f"policy option retention.{option}: {error}") from error


def _known(option: str, words: Iterable[str], known: Iterable[str]) -> None:
    known = sorted(known)
    for word in words:
        if word not in known:
            raise ConfigError(f"policy option {option}: {word!r} is none of {', '.join(known)}")


POLICY = PolicyPlugin(
    help="Where documents may live, by the law of their records' countries.",
    options=ResidencyOptions,
    open=lambda options, _context: open_policy(options),
    show=lambda options, _context: shown.whole(options),
    names=lambda options, _context: tuple(shown.names(options)),
)
