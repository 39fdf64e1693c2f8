"""The rule book's data: jurisdictions' rules, country groups, names and categories, validated when loaded.

`rules.psv` says per rule whose law it is (`jur`), which categories of documents it is about, and where such
documents may be. The modes:

HARD         every copy inside `must_in`; `allow` extends it only where the operator confirms the condition
PRIMARY      the primary copy inside `must_in` (we hold one copy, so that one)
COPY         at least one full copy inside `must_in` (we hold one copy, so that one); does not bound other copies
COND         inside `allow`, or elsewhere on a recorded transfer basis; without `allow` it bounds no place
DENY         `deny` is taken away, last
REACH, EXPORT_GATE, FREE   no effect on the place; listed with the decision
SUSPENDED, PENDING         not in force; listed with the decision, and do not count as covering a country

`conf` says how sure the table is: H (primary text, or several agreeing sources), M (one good source), L (a draft, or a
weak source). It changes no decision; none of this is legal advice.
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from importlib.resources import files

from offloader.errors import ConfigError
from offloader.psv import Row, rows
from offloader_policies import countries
from offloader_policies.places import Atlas, Group, group_tokens

#: jurisdictions above countries, and the group whose members they bind. EU law on personal data binds the EEA
#: (EEA Joint Committee decision 154/2018).
SUPRANATIONAL: Mapping[str, str] = {"EU": "EEA"}
#: the word for a document about which nothing is known: it meets every rule of its jurisdictions
UNKNOWN_CATEGORY = "unknown"
ANY_CATEGORY = "any"
#: the volume option under which rules that depend on yearly volumes all apply
STRICT = "strict"
STATUSES = ("in force", "phased", "partly", "pending", "suspended", "draft")
FILES = ("countries", "subdivisions", "country_groups", "rules", "categories", "volume_tiers")


class Mode(enum.StrEnum):
    HARD = "HARD"
    PRIMARY = "PRIMARY"
    COPY = "COPY"
    COND = "COND"
    REACH = "REACH"
    DENY = "DENY"
    EXPORT_GATE = "EXPORT_GATE"
    FREE = "FREE"
    SUSPENDED = "SUSPENDED"
    PENDING = "PENDING"


#: modes of rules that are not in force
DORMANT = (Mode.SUSPENDED, Mode.PENDING)
_NEEDS_MUST_IN = (Mode.HARD, Mode.PRIMARY, Mode.COPY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One row of `rules.psv`. Places are tokens: countries, subdivisions, `@GROUP` or `*`."""

    id: str
    jurisdiction: str
    categories: frozenset[str]
    condition: str
    mode: Mode
    must_in: tuple[str, ...] = ()
    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    #: 0 (none) to 5 (exclusive local storage)
    strictness: int
    citation: str
    status: str
    #: last day before somebody has to look at the rule again
    review: date
    #: where the row stands: file and line
    origin: str


@dataclass(frozen=True, slots=True)
class Tables:
    """All tables together, consistent with each other."""

    atlas: Atlas
    rules: tuple[Rule, ...]
    #: country code by folded name, subdivision code by folded name and country
    country_names: Mapping[str, str]
    subdivision_names: Mapping[str, Mapping[str, str]]
    #: every known category, with all that it implies, itself included
    categories: Mapping[str, frozenset[str]]
    #: the volume options under which a rule applies, for rules that depend on yearly volumes
    tiers: Mapping[str, frozenset[str]]
    #: SHA-256 over all tables' text, lower-case hex
    sha256: str


def shipped() -> Mapping[str, str]:
    """Return the text of the tables that come with this package, by name."""
    folder = files("offloader_policies") / "tables"
    return {name: (folder / f"{name}.psv").read_text(encoding="utf-8") for name in FILES}


def load(texts: Mapping[str, str] | None = None) -> Tables:
    """Parse and validate tables, those of this package by default.

    `texts` holds the text of each of FILES. Raises ConfigError naming file, line and column of a bad cell.
    """
    texts = shipped() if texts is None else texts

    def read(name: str, *columns: str) -> tuple[Row, ...]:
        return tuple(rows(f"tables/{name}.psv", texts[name], columns))

    country_rows = read("countries", "code", "alpha3", "name", "aliases")
    subdivision_rows = read("subdivisions", "code", "name", "aliases")
    atlas = _atlas(country_rows, subdivision_rows, read("country_groups", "group", "members", "valid_from", "valid_to"))
    rules = _rules(read("rules", *_RULE_COLUMNS), atlas)
    return Tables(
        atlas=atlas,
        rules=rules,
        country_names=countries.names(country_rows, ("code", "alpha3")),
        subdivision_names=_subdivision_names(subdivision_rows),
        categories=_categories(read("categories", "category", "implies"), rules),
        tiers=_tiers(read("volume_tiers", "rule", "tier"), {rule.id for rule in rules}),
        sha256=hashlib.sha256("\0".join(texts[name] for name in FILES).encode()).hexdigest(),
    )


def _atlas(country_rows: tuple[Row, ...], subdivision_rows: tuple[Row, ...], group_rows: tuple[Row, ...]) -> Atlas:
    codes = frozenset(_unique(country_rows, "code", _is_alpha2))
    subdivisions = frozenset(_unique(subdivision_rows, "code", lambda code: code.partition("-")[0] in codes))
    groups: dict[str, Group] = {}
    for row in group_rows:
        name = row.required("group")
        if name in groups:
            row.fail("group", f"{name!r} stands here twice")
        groups[name] = Group(name, group_tokens(row.text("members")), row.day("valid_from"), row.day("valid_to"))
    atlas = Atlas(codes, subdivisions, groups)
    for row in group_rows:
        _check_places(row, "members", groups[row.text("group")].tokens, atlas)
    for row in group_rows:
        try:
            atlas.resolve((f"@{row.text('group')}",), None)
        except ValueError as error:
            row.fail("members", str(error))
    for jurisdiction, group in SUPRANATIONAL.items():
        if group not in groups:
            raise ConfigError(
                f"tables/country_groups.psv line 1, column group: no {group}, whose members {jurisdiction} law binds"
            )
    return atlas


def _unique(table: tuple[Row, ...], column: str, valid: Callable[[str], bool]) -> set[str]:
    found: set[str] = set()
    for row in table:
        value = row.required(column)
        if value in found or not valid(value):
            row.fail(column, f"{value!r} is no code, or stands here twice")
        found.add(value)
    return found


def _is_alpha2(code: str) -> bool:
    return len(code) == 2 and code.isascii() and code.isalpha() and code.isupper()


def _check_places(row: Row, column: str, tokens: tuple[str, ...], atlas: Atlas) -> None:
    for token in tokens:
        problem = atlas.problem(token)
        if problem:
            row.fail(column, problem)


_RULE_COLUMNS = (
    "id",
    "jur",
    "category",
    "applies_when",
    "mode",
    "must_in",
    "allow",
    "deny",
    "strict",
    "cite",
    "status",
    "review",
)


def _rules(table: tuple[Row, ...], atlas: Atlas) -> tuple[Rule, ...]:
    _unique(table, "id", lambda value: " " not in value)
    return tuple(_rule(row, atlas) for row in table)


def _rule(row: Row, atlas: Atlas) -> Rule:
    jurisdiction = row.required("jur")
    if jurisdiction not in atlas.countries | atlas.subdivisions | SUPRANATIONAL.keys():
        row.fail("jur", f"unknown jurisdiction {jurisdiction!r}")
    row.required("category")
    mode = Mode(row.one_of("mode", Mode))
    for column in ("must_in", "allow", "deny"):
        _check_places(row, column, row.words(column), atlas)
    if mode in _NEEDS_MUST_IN:
        row.required("must_in")
    if mode is Mode.DENY:
        row.required("deny")
    strictness = row.whole("strict")
    if strictness > 5:
        row.fail("strict", f"{strictness} is not between 0 and 5")
    return Rule(
        id=row.required("id"),
        jurisdiction=jurisdiction,
        categories=frozenset(row.words("category")),
        condition=row.text("applies_when"),
        mode=mode,
        must_in=row.words("must_in"),
        allow=row.words("allow"),
        deny=row.words("deny"),
        strictness=strictness,
        citation=row.required("cite"),
        status=row.one_of("status", STATUSES),
        review=row.last_day("review"),
        origin=row.origin,
    )


def _subdivision_names(table: tuple[Row, ...]) -> Mapping[str, Mapping[str, str]]:
    """Names by country; the code counts with and without its country, "CA-QC" and "QC"."""
    found: dict[str, dict[str, str]] = {}
    for country in dict.fromkeys(row.text("code").partition("-")[0] for row in table):
        own = tuple(row for row in table if row.text("code").startswith(f"{country}-"))
        found[country] = dict(countries.names(own))
        for row in own:
            short = countries.fold(row.text("code").partition("-")[2])
            if found[country].setdefault(short, row.text("code")) != row.text("code"):
                row.fail("code", f"{short!r} already stands for {found[country][short]}")
    return found


def _categories(table: tuple[Row, ...], rules: tuple[Rule, ...]) -> Mapping[str, frozenset[str]]:
    implied: dict[str, set[str]] = {name: set() for rule in rules for name in rule.categories}
    for row in table:
        name = row.required("category")
        for word in (name, *row.words("implies")):
            if word not in implied and word not in {other.text("category") for other in table}:
                row.fail("implies", f"no rule and no row is about the category {word!r}")
        implied.setdefault(name, set()).update(row.words("implies"))
    return {name: _closure(name, implied) for name in implied if name != ANY_CATEGORY}


def _closure(name: str, implied: Mapping[str, set[str]]) -> frozenset[str]:
    reached: set[str] = set()
    ahead = {name}
    while ahead:
        word = ahead.pop()
        reached.add(word)
        ahead |= implied.get(word, set()) - reached
    return frozenset(reached)


def _tiers(table: tuple[Row, ...], ids: set[str]) -> Mapping[str, frozenset[str]]:
    found: dict[str, frozenset[str]] = {}
    for row in table:
        rule = row.one_of("rule", ids)
        found[rule] = found.get(rule, frozenset()) | {row.required("tier")}
    return found
