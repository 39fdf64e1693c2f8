"""A policy file as the engine uses it: the clauses select, the residency rules find the place."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from functools import cache
from typing import NoReturn

from offloader.errors import ConfigError
from offloader.model import Decision, Document
from offloader.ports import Approvals, Caps, Ends, PurgeRule, Target, Terms
from offloader.psv import Row
from offloader_policies import retention, tables
from offloader_policies.engine import ResidencyPolicy
from offloader_policies.language.conditions import Condition, compile_all
from offloader_policies.language.facts import TYPES
from offloader_policies.language.layers import Book
from offloader_policies.language.model import Duty, PurgeTerms
from offloader_policies.language.purging import TYPES as RECORD_TYPES
from offloader_policies.language.purging import Book as PurgeBook
from offloader_policies.language.purging import rule_of
from offloader_policies.language.selecting import Outcome, Selector
from offloader_policies.options import ResidencyOptions
from offloader_policies.plugin import policy_of
from offloader_policies.selection import UNSELECTED, Selection

#: part of the fingerprint: goes up whenever the same file can give another decision
LANGUAGE = 1
_OPTION = re.compile(r"policy option ([\w.\[\]-]+): (.*)", re.DOTALL)


class FilePolicy:
    """A policy out of a file. Safe to use from several threads."""

    def __init__(self, book: Book) -> None:
        """Raises ConfigError naming file, line and key of what no table knows, and of conditions that are none."""
        self.book = book
        content = book.content
        self.tables = _tables(book)
        self.residency = _residency(book, self.tables)
        self._check_categories()
        self._duties = tuple(
            tuple(self._duty(("clauses", number), place, duty) for place, duty in enumerate(clause.retention))
            for number, clause in enumerate(content.clauses)
        )
        self.conditions = self._conditions()
        self._purges = self._purge_rules()
        self._least = book.origin("residency", "min_bytes") if content.min_bytes is None else book.origin("min_bytes")
        origins = [book.origin("clauses", number) for number in range(len(content.clauses))]
        self._selector = Selector(content.clauses, origins, self.conditions)
        # what is not used has no say, so that a file's fingerprint outlives a new word of the language
        unused = {name for name in ("purge",) if not getattr(content, name)}
        if content.duplicates == "apart":
            unused.add("duplicates")
        said = json.dumps(content.model_dump(mode="json", by_alias=True, exclude=unused), sort_keys=True)
        text = "\0".join((str(LANGUAGE), self.residency.fingerprint, said))
        self.fingerprint = hashlib.sha256(text.encode()).hexdigest()

    @property
    def terms(self) -> Terms:
        content = self.book.content
        caps, approvals = content.caps, content.approvals
        return Terms(
            name=content.policy,
            version=content.version,
            layers=self.book.shas,
            tables=self.residency.terms.tables,
            reviews={**self.residency.terms.reviews, **self._pack_reviews()},
            approvals=Approvals(people=approvals.people, preparer=approvals.preparer, days=approvals.days),
            caps=Caps(
                documents=caps.documents,
                bytes=caps.bytes,
                percent=caps.percent,
                kinds=dict(caps.kinds),
                pilot=caps.pilot,
            ),
            exceptions_owner=content.exceptions.owner,
            exceptions_days=content.exceptions.days,
            purges=self._purges,
            ends=Ends(
                after=content.expiry.after,
                bypass_governance=content.expiry.bypass_governance,
                grace_days=content.deletions.grace,
            ),
            duplicates=content.duplicates,
            processing={
                name: value.isoformat() if isinstance(value, date) else value
                for name, value in content.processing
                if value
            },
        )

    def decide(self, document: Document, targets: Sequence[Target], now: datetime) -> Decision:
        """Say what is to become of the document, and why. `now` is timezone-aware. Never raises for bad data."""
        if document.skip is not None or not document.versions:
            return self.residency.decide(document, targets, now)
        outcome = self._selector.select(document, now)
        if outcome.verdict is not None:
            return Decision(verdict=outcome.verdict, reasons=outcome.reasons, clauses=outcome.selection.clauses)
        decision = self.residency.decide(document, targets, now, self._selection(outcome, document, now))
        reasons = decision.reasons
        if decision.code == "BELOW_MIN_BYTES":
            reasons = tuple(replace(reason, origin=self._least) for reason in reasons)
        return replace(decision, reasons=(*outcome.reasons, *reasons))

    def decide_selected(self, document: Document, targets: Sequence[Target], now: datetime) -> Decision:
        """Decide as if a clause that asks for nothing had selected the document: what the rules alone say."""
        return self.residency.decide(document, targets, now, UNSELECTED)

    def _selection(self, outcome: Outcome, document: Document, now: datetime) -> Selection:
        duties = [duty for number in outcome.clauses for duty in self._duties[number]]
        if not duties:
            return outcome.selection
        kept = retention.retention(document, duties, now, self.residency.calendar)
        return replace(outcome.selection, retention=kept)

    def _pack_reviews(self) -> Mapping[str, date]:
        return {layer.name: pack.review for layer, pack in self.book.packs()}

    def _conditions(self) -> Mapping[str, Condition]:
        wanted = [(clause.id, clause.select.when) for clause in self.book.content.clauses if clause.select.when]
        try:
            return compile_all(wanted, TYPES)
        except ValueError as error:
            name, _, why = str(error).partition(": ")
            number = [clause.id for clause in self.book.content.clauses].index(name)
            raise self.book.fail(("clauses", number, "select", "when"), why) from error

    def _check_categories(self) -> None:
        for number, clause in enumerate(self.book.content.clauses):
            self._check_names(("clauses", number), clause.categories)

    def _check_names(self, steps: tuple[str, int], categories: Iterable[str]) -> None:
        for name in categories:
            if name not in self.tables.categories:
                known = ", ".join(sorted(self.tables.categories))
                raise self.book.fail((*steps, "categories"), f"{name!r} is no category; there are: {known}")

    def _purge_rules(self) -> tuple[PurgeRule, ...]:
        entries = self.book.content.purge
        try:
            conditions = compile_all([(each.id, each.when) for each in entries if each.when], RECORD_TYPES)
        except ValueError as error:
            name, _, why = str(error).partition(": ")
            number = [each.id for each in entries].index(name)
            raise self.book.fail(("purge", number, "when"), why) from error
        duties: list[tuple[PurgeTerms, retention.Duty]] = []
        for number, each in enumerate(entries):
            self._check_names(("purge", number), each.categories)
            duties += [(each, self._duty(("purge", number), place, duty)) for place, duty in enumerate(each.retention)]
        return tuple(
            rule_of(
                each,
                PurgeBook(
                    each,
                    conditions.get(each.id),
                    # what one rule must keep, no other rule about the same records deletes
                    tuple(duty for other, duty in duties if other.type == each.type),
                    {k: v for other in entries if other.type == each.type for k, v in other.dates.items()},
                    self.residency,
                    self.book.origin("purge", number),
                ),
            )
            for number, each in enumerate(entries)
        )

    def _duty(self, clause: tuple[str, int], place: int, duty: Duty) -> retention.Duty:
        steps = (*clause, "retention")
        if duty.start is not None:
            origin = self.book.origin(*steps)
            try:
                return retention.own(duty.id, keep=duty.keep, erase=duty.erase, start=duty.start, origin=origin)
            except ValueError as error:
                raise self.book.fail((*steps, place), str(error)) from error
        found = self.tables.duties.get(duty.id)
        if found is None:
            known = ", ".join(sorted(self.tables.duties))
            raise self.book.fail((*steps, place), f"{duty.id!r} is no retention duty; there are: {known}")
        return found


def _tables(book: Book) -> tables.Tables:
    """The shipped tables with the policy's own rules and groups."""
    content, shipped = book.content, _shipped()
    for number, group in enumerate(content.groups):
        if group.id in shipped.atlas.groups:
            raise book.fail(
                ("groups", number, "id"), f"{group.id!r} is a group of the table; choose a name of your own"
            )
    groups = [
        _row(
            book,
            ("groups", number),
            group=group.id,
            members=" ".join(group.members),
            valid_from=_day(group.valid_from),
            valid_to=_day(group.valid_to),
            note=group.note,
            conf="",
        )
        for number, group in enumerate(content.groups)
    ]
    rules = []
    taken = {rule.id for rule in shipped.rules}
    for number, rule in enumerate(content.rules):
        if rule.id in taken:
            raise book.fail(("rules", number, "id"), f"{rule.id!r} is a rule of the table; choose a name of your own")
        for problem in place_problems({rule.jur} - tables.SUPRANATIONAL.keys(), shipped):
            raise book.fail(("rules", number, "jur"), problem)
        cells = {name: _cell(value) for name, value in rule.model_dump().items()}
        rules.append(_row(book, ("rules", number), **cells))
    if not groups and not rules:
        return shipped
    try:
        return tables.load(groups=groups, rules=rules)
    except ConfigError as error:
        # a table's error, said as a file's
        raise ConfigError(re.sub(r"^(.+?) line (\d+), column (\w+): ", r"\1:\2: \3: ", str(error))) from error


@cache
def _shipped() -> tables.Tables:
    return tables.load()


def _row(book: Book, steps: tuple[str, int], **cells: str) -> Row:
    file, _, line = book.origin(*steps).rpartition(":")
    return Row(file, int(line), cells)


def _cell(value: object) -> str:
    if isinstance(value, tuple):
        return " ".join(value)
    return value.isoformat() if isinstance(value, date) else str(value)


def _day(value: date | None) -> str:
    return value.isoformat() if value else ""


def _residency(book: Book, loaded: tables.Tables) -> ResidencyPolicy:
    options = book.content.residency
    if book.content.min_bytes is not None:
        options = options.model_copy(update={"min_bytes": book.content.min_bytes})
    _check_places(book, options, loaded)
    try:
        return policy_of(options, loaded)
    except ConfigError as error:
        match = _OPTION.fullmatch(str(error))
        if match is None:
            raise
        _refuse(book, match[1], match[2], error)


def _refuse(book: Book, option: str, why: str, error: ConfigError) -> NoReturn:
    """An option's error at the place of the option."""
    parts = [part for part in re.split(r"[.\[\]]+", option) if part]
    steps = ("residency", *(int(part) if part.isdigit() else part for part in parts))
    raise book.fail(steps, why) from error


def _check_places(book: Book, options: ResidencyOptions, loaded: tables.Tables) -> None:
    """Countries must be written as codes; what a name or lower case means is said."""
    for number, basis in enumerate(options.transfer_bases):
        steps = ("residency", "transfer_bases", number, "destinations")
        for problem in place_problems(basis.destinations, loaded):
            raise book.fail(steps, problem)
    for number, case in enumerate(book.content.tests):
        expect, given = case.expect, case.given.stores
        places: list[tuple[str, Iterable[str]]] = [
            ("expect", expect.countries or ()),
            ("expect", expect.includes or ()),
            ("expect", expect.excludes or ()),
        ]
        places += [("given", store.countries) for store in given.values()]
        for key, words in places:
            for problem in place_problems(words, loaded):
                raise book.fail(("tests", number, key), problem)


def place_problems(words: Iterable[str], loaded: tables.Tables) -> Iterable[str]:
    """What is wrong with places that a person wrote, and what to write instead."""
    check: Callable[[str], str | None] = lambda word: tables.place_problem(word, loaded.atlas, loaded.country_names)  # noqa: E731 - a name makes the line below readable
    return filter(None, map(check, words))
