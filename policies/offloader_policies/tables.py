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
weak source). It changes no decision; none of this is legal advice. `valid_from` and `valid_to` are the first and the
last day of a rule whose days are known. `by` names the ties by which a rule reaches a document (see Tie); empty: by
every one, which is also how it is read where the law is not clear about it.

`categories.psv` says per category which others it may mean (`implies`, read in the strictest way), and as which types
of documents it is kept (`kept_as`: the words of `retention.psv`; empty: its own).
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from importlib.resources import files

from offloader.errors import ConfigError
from offloader.psv import Row
from offloader.psv import rows as psv_rows
from offloader_policies import countries, retention
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
FILES = ("countries", "subdivisions", "country_groups", "rules", "categories", "volume_tiers", "retention")
CONFIDENCE = ("H", "M", "L")


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


class Tie(enum.StrEnum):
    """How a signal's country has to do with a document."""

    RESIDENCE = "residence"
    CITIZENSHIP = "citizenship"
    ESTABLISHMENT = "establishment"
    COLLECTION = "collection"


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
    #: how sure the table is: H, M or L
    confidence: str = ""
    #: first and last day, both included, where they are known
    valid_from: date | None = None
    valid_to: date | None = None
    #: ties by which it reaches a document; empty: by every one
    ties: frozenset[Tie] = frozenset()

    def in_force(self, day: date) -> bool:
        """Whether it binds anybody on that day."""
        begun = self.valid_from is None or self.valid_from <= day
        return self.mode not in DORMANT and begun and (self.valid_to is None or day <= self.valid_to)


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
    #: the types of documents, in the words of duties, that a category is kept as
    kept_as: Mapping[str, frozenset[str]]
    #: duties to keep and to erase, by id
    duties: Mapping[str, retention.Duty]
    #: the volume options under which a rule applies, for rules that depend on yearly volumes
    tiers: Mapping[str, frozenset[str]]
    #: SHA-256 over all tables' text, lower-case hex
    sha256: str


def shipped() -> Mapping[str, str]:
    """Return the text of the tables that come with this package, by name."""
    folder = files("offloader_policies") / "tables"
    return {name: (folder / f"{name}.psv").read_text(encoding="utf-8") for name in FILES}


def load(texts: Mapping[str, str] | None = None, *, groups: Sequence[Row] = (), rules: Sequence[Row] = ()) -> Tables:
    """Parse and validate tables, those of this package by default, with further rows of groups and of rules.

    `texts` holds the text of each of FILES. A further row brings its own file and line, and all columns (`conf`,
    `valid_from`, `valid_to` and `by` may be missing). Raises ConfigError naming file, line and column of a bad cell.
    """
    texts = shipped() if texts is None else texts

    def read(name: str, *columns: str) -> tuple[Row, ...]:
        return tuple(psv_rows(f"tables/{name}.psv", texts[name], columns))

    country_rows = read("countries", "code", "alpha3", "name", "aliases")
    subdivision_rows = read("subdivisions", "code", "name", "aliases")
    group_rows = read("country_groups", "group", "members", "valid_from", "valid_to")
    names = countries.names(country_rows, ("code", "alpha3"))
    atlas = _atlas(country_rows, subdivision_rows, (*group_rows, *groups), names)
    rulebook = _rules((*read("rules", *_RULE_COLUMNS), *rules), atlas, names)
    duties = _duties(read("retention", *retention.COLUMNS), atlas, names)
    category_rows = read("categories", "category", "implies", "kept_as")
    categories = _categories(category_rows, rulebook)
    return Tables(
        atlas=atlas,
        rules=rulebook,
        country_names=names,
        subdivision_names=_subdivision_names(subdivision_rows),
        categories=categories,
        kept_as=_kept_as(category_rows, categories, duties),
        duties=duties,
        tiers=_tiers(read("volume_tiers", "rule", "tier"), {rule.id for rule in rulebook}),
        sha256=hashlib.sha256("\0".join(texts[name] for name in FILES).encode()).hexdigest(),
    )


def place_problem(word: str, atlas: Atlas, names: Mapping[str, str]) -> str | None:
    """Say what is wrong with a place that an operator wrote, and which code was meant; None when it is a known code.

    Codes are written exactly: a name or lower case is understood in what a CRM says, never in a policy.
    """
    problem = atlas.problem(word)
    if problem is None:
        return None
    bare = word.lstrip("@").upper()
    code = next((code for code in (bare, f"@{bare}") if atlas.problem(code) is None), None)
    meant = code or countries.find(word, names) or _BLOCS.get(countries.fold(word))
    return f"{problem}; write {meant}" if meant else problem


#: what people write for more than one country
_BLOCS = dict.fromkeys(("eu", "europe", "european union", "europa"), "@EU27 or @EEA, a bloc is no country")


def _atlas(
    country_rows: tuple[Row, ...],
    subdivision_rows: tuple[Row, ...],
    group_rows: tuple[Row, ...],
    names: Mapping[str, str],
) -> Atlas:
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
        _check_places(row, "members", groups[row.text("group")].tokens, atlas, names)
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


def _check_places(row: Row, column: str, tokens: Iterable[str], atlas: Atlas, names: Mapping[str, str]) -> None:
    for token in tokens:
        problem = place_problem(token, atlas, names)
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


def _rules(table: tuple[Row, ...], atlas: Atlas, names: Mapping[str, str]) -> tuple[Rule, ...]:
    _unique(table, "id", lambda value: " " not in value)
    return tuple(_rule(row, atlas, names) for row in table)


def _rule(row: Row, atlas: Atlas, names: Mapping[str, str]) -> Rule:
    jurisdiction = _jurisdiction(row, atlas, names)
    row.required("category")
    mode = Mode(row.one_of("mode", Mode))
    for column in ("must_in", "allow", "deny"):
        _check_places(row, column, row.words(column), atlas, names)
    if mode in _NEEDS_MUST_IN:
        row.required("must_in")
    if mode is Mode.DENY:
        row.required("deny")
    strictness = row.whole("strict")
    if strictness > 5:
        row.fail("strict", f"{strictness} is not between 0 and 5")
    valid_from, valid_to = (row.day(column) if row.cells.get(column) else None for column in ("valid_from", "valid_to"))
    if valid_from and valid_to and valid_to < valid_from:
        row.fail("valid_to", "the rule ends before it begins")
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
        confidence=row.one_of("conf", CONFIDENCE) if row.cells.get("conf") else "",
        valid_from=valid_from,
        valid_to=valid_to,
        ties=frozenset(_tie(row, word) for word in row.cells.get("by", "").split()),
    )


def _jurisdiction(row: Row, atlas: Atlas, names: Mapping[str, str]) -> str:
    """Return whose law it is: a country, a subdivision, or what stands above countries."""
    word = row.required("jur")
    if word in SUPRANATIONAL:
        return word
    problem = place_problem(word, atlas, names)
    if problem is not None or word not in atlas.countries | atlas.subdivisions:
        row.fail("jur", f"unknown jurisdiction {word!r}" if problem is None else problem)
    return word


def _tie(row: Row, word: str) -> Tie:
    return Tie(word) if word in set(Tie) else row.fail("by", f"{word!r} is none of {', '.join(Tie)}")


def _duties(table: tuple[Row, ...], atlas: Atlas, names: Mapping[str, str]) -> Mapping[str, retention.Duty]:
    _unique(table, "id", lambda value: " " not in value)
    for row in table:
        _jurisdiction(row, atlas, names)
    return {row.text("id"): retention.duty(row) for row in table}


def _kept_as(
    table: tuple[Row, ...], categories: Mapping[str, frozenset[str]], duties: Mapping[str, retention.Duty]
) -> Mapping[str, frozenset[str]]:
    """Return the types of documents per category; every type is a category too, so that a CRM can say it."""
    types = frozenset[str]().union(*(each.documents for each in duties.values()))
    unsaid = types - categories.keys()
    if unsaid:
        raise ConfigError(f"tables/categories.psv line 1, column category: no row for {', '.join(sorted(unsaid))}")
    found = {name: frozenset((name,)) & types for name in categories}
    for row in table:
        unknown = set(row.words("kept_as")) - types
        if unknown:
            row.fail("kept_as", f"no duty is about {', '.join(sorted(unknown))}")
        if row.words("kept_as"):
            found[row.text("category")] = frozenset(row.words("kept_as"))
    return found


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
