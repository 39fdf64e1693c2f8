"""Plan a purge: which stale records would go, what would go with each, and what keeps the others. Deletes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from offloader.disposition.acts import Draft, check_clock_to_plan, draft
from offloader.disposition.documents import Deciding, Placed
from offloader.disposition.families import Family, Kin, holding
from offloader.disposition.held import HeldRecords
from offloader.disposition.rules import SourceRule, Taken, over, rules_of
from offloader.errors import ConfigError, Refused
from offloader.ledger import PlanRow
from offloader.ledger.disposing import Act
from offloader.model import Decision, Reason, Severity, Verdict
from offloader.moves.caps import asked
from offloader.moves.purged import PURGE
from offloader.moves.site import Site
from offloader.moves.tombstoned import Tombstones
from offloader.ports import Purge, Purged
from offloader.records import OnDelete, Record, RecordQuery, Records, Value

KIND = PURGE
#: acts' initial state: to be carried out, or only noted
OPEN, NOTED = "open", "kept"


@dataclass(slots=True)
class Sums:
    """What a plan comes to, as its totals."""

    #: by rule: records found, deleted, what goes with these, kept, to be looked at
    rules: dict[str, Counter[str]] = field(default_factory=dict)
    taken: Counter[str] = field(default_factory=Counter)
    types: Counter[tuple[str, str]] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)
    stores: Counter[str] = field(default_factory=Counter)
    #: documents that are copied first: how many, their bytes, how many the CRM keeps, and by store
    copies: Counter[str] = field(default_factory=Counter)
    copy_stores: Counter[str] = field(default_factory=Counter)
    #: documents that were counted: one may hang on several records
    counted: set[str] = field(default_factory=set)

    def count_copies(self, placed: Sequence[Placed]) -> None:
        for each in placed:
            name = str(each.document.ref)
            if name not in self.counted:
                self.counted.add(name)
                self.copies.update(documents=1, bytes=each.document.size, stay=int(not each.goes))
                self.copy_stores.update(each.stores)


@dataclass(frozen=True, slots=True)
class _Fate:
    """What is to become of a stale record: where its archive goes, and what is copied first; or what keeps it."""

    verdict: Purge
    reason: Reason | None = None
    stores: tuple[str, ...] = ()
    placed: tuple[Placed, ...] = ()


class Planner:
    """Makes the acts of one rule, a page of records at a time."""

    def __init__(self, site: Site, made: Draft, held: HeldRecords, sums: Sums) -> None:
        self._site, self._made, self._held, self._sums = site, made, held, sums
        self._targets = site.targets()
        self._now = site.context.now()
        self._deciding = Deciding(site, self._targets, Tombstones(site))
        self._kin: dict[str, Kin] = {}
        self._places: dict[tuple[str, tuple[Value, ...]], Decision] = {}

    def kin(self, source: str) -> Kin:
        if source not in self._kin:
            self._kin[source] = Kin(self._site, source, self._site.records(source))
        return self._kin[source]

    def plan(self, each: SourceRule) -> None:
        """Find what the rule is about, and decide about every record found."""
        self._sums.rules[each.name] = Counter(found=0, delete=0, children=0, keep=0, review=0)
        records = self._site.records(each.source)
        done = 0
        for page in records.find(self._query(each)):
            self._made.add(self._page(each, page.records))
            done += len(page.records)
            self._site.progress("purge plan", done, None)

    def _query(self, each: SourceRule) -> RecordQuery:
        rule = each.rule
        fields = {*rule.where, *rule.empty, *rule.fields, *rule.signals.values(), rule.age_field}
        if self._held.standing:
            # a hold is on whatever a record belongs to
            described = self.kin(each.source).type(rule.type)
            fields |= {named.name for named in described.fields if named.refers_to}
        return RecordQuery(
            type=rule.type,
            age_field=rule.age_field,
            before=rule.book.before(self._now),
            equals=rule.where,
            empty=rule.empty,
            fields=sorted(fields),
        )

    def _page(self, each: SourceRule, records: Sequence[Record]) -> list[Act]:
        judged = [each.rule.book.judge(record.fields, self._now) for record in records]
        stale = [record for record, said in zip(records, judged, strict=True) if said.verdict is Purge.DELETE]
        families = {
            family.root.ref: family for family in self.kin(each.source).grow(stale, documents=each.rule.documents)
        }
        return [
            self._act(each, record, said, families.get(record.ref))
            for record, said in zip(records, judged, strict=True)
        ]

    def _act(self, each: SourceRule, record: Record, said: Purged, family: Family | None) -> Act:
        fate, reasons = _Fate(said.verdict), list(said.reasons)
        if family is not None:
            fate = self._fate(each, family)
            reasons += [fate.reason] if fate.reason is not None else []
        verdict = fate.verdict
        self._count(each, fate, reasons, family)
        body: dict[str, Any] = {
            "rule": each.name,
            "etag": record.etag,
            "reasons": [[reason.code, reason.text] for reason in reasons],
        }
        if said.retention is not None and said.retention.erase_by is not None:
            body["erase_by"] = said.retention.erase_by.isoformat()
        if verdict is Purge.DELETE and family is not None:
            body["stores"] = list(fate.stores)
            if fate.placed:
                body["documents"] = [placed.line() for placed in fate.placed]
            copied = {placed.document.ref for placed in fate.placed}
            links = [[ref.kind, ref.id] for ref in family.documents if ref not in copied | family.staying]
            if links:
                body["links"] = links
            body["with"] = [[m.record.ref.type, m.record.ref.id, m.record.etag] for m in family.members]
            if each.rule.hard:
                body["hard"] = True
        return Act(
            subject=str(record.ref),
            act=verdict.value,
            part=record.ref.type,
            size=sum(placed.document.size for placed in fate.placed),
            body=body,
            state=OPEN if verdict is Purge.DELETE else NOTED,
        )

    def _fate(self, each: SourceRule, family: Family) -> _Fate:
        """Whether something keeps a stale record after all, and if not, where its archive and its documents go."""
        rule = each.rule
        if family.problem is not None:
            return _Fate(Purge.KEEP, Reason(*family.problem, rule=rule.id))
        if family.members and not rule.children:
            return _Fate(
                Purge.KEEP, Reason("CHILDREN", "records hang on it, and the rule takes none along", rule=rule.id)
            )
        signals = {name: str(family.root.fields.get(by) or "") for name, by in rule.signals.items()}
        holds = holding(family, self.kin(each.source), self._held, signals)
        if holds:
            return _Fate(Purge.KEEP, self._held.reason(holds))
        placed, kept = self._deciding.of(family)
        if kept is not None:
            return _Fate(Purge.KEEP, replace(kept, rule=rule.id))
        decision = self._place(each, family.root)
        if decision.verdict is not Verdict.MOVE:
            last = decision.reasons[-1] if decision.reasons else Reason("NO_PLACE", "no store may hold its archive")
            return _Fate(Purge.REVIEW, Reason(f"ARCHIVE_{last.code}", f"no place for its archive: {last.text}"))
        return _Fate(Purge.DELETE, stores=decision.stores, placed=tuple(placed))

    def _place(self, each: SourceRule, record: Record) -> Decision:
        rule = each.rule
        key = (each.name, tuple(record.fields.get(by) for by in rule.signals.values()))
        if key not in self._places:
            self._places[key] = rule.book.place(record.fields, self._targets, self._now)
        return self._places[key]

    def _count(self, each: SourceRule, fate: _Fate, reasons: Sequence[Reason], family: Family | None) -> None:
        sums, row, verdict = self._sums, self._sums.rules[each.name], fate.verdict
        row["found"] += 1
        row[verdict.value] += 1
        last = reasons[-1]
        code = f"{verdict.value} {last.code}"
        sums.codes[code] += 1
        sums.examples.setdefault(code, last.text)
        if verdict is Purge.DELETE and family is not None:
            row["children"] += len(family.members)
            sums.taken[each.name] += len(family.records)
            sums.types.update((each.source, record.ref.type) for record in family.records)
            sums.stores.update(fate.stores)
            sums.count_copies(fate.placed)


def plan_purge(site: Site, wanted: Collection[str] = (), *, clock_checked: bool = False) -> PlanRow:
    """Make and seal a plan of what the purge rules (those named, or all) would delete now.

    Raises ConfigError when there is no such rule, Refused while the clock is behind, while it is over a month ahead of
    the newest event (unless `clock_checked`), and when a permission is missing.
    """
    check_clock_to_plan(site, checked=clock_checked)
    rules = rules_of(site, wanted)
    if not rules:
        raise ConfigError("no policy has purge rules; add a part `purge:` to the policy file")
    sources = sorted({each.source for each in rules})
    for source in sources:
        _check(site.records(source), source, [each.rule.type for each in rules if each.source == source])
    made = draft(site, KIND, sources, scope={"rules": [each.name for each in rules]})
    sums = Sums()
    planner = Planner(site, made, HeldRecords(site), sums)
    for each in rules:
        planner.plan(each)
    counts = {each.name: _population(site, each, sums) for each in rules}
    population = {name: count for name, count in counts.items() if count is not None}
    return made.seal(_summary(sums), _totals(site, rules, planner, sums, population))


def _check(records: Records, source: str, types: Sequence[str]) -> None:
    for finding in records.check(sorted(set(types)), delete=True):
        if finding.severity is Severity.ERROR:
            raise Refused(f"{source}: {finding.message} {finding.remedy}".strip(), rule="permissions")


def _population(site: Site, each: SourceRule, sums: Sums) -> int | None:
    """How many records of a rule's type there are, as far as they say their age; counted no further than needed.

    None where nothing asks for a share of them.
    """
    percents = [each.rule.percent, asked(site, [each.source])[1].percent]
    least = min((percent for percent in percents if percent is not None), default=None)
    if least is None:
        return None
    enough = sums.types[each.source, each.rule.type] * 100 / least if least else float("inf")
    query = RecordQuery(type=each.rule.type, age_field=each.rule.age_field, before=site.context.now())
    count = 0
    for page in site.records(each.source).find(query):
        count += len(page.records)
        if count >= enough:
            break
    return count


def _summary(sums: Sums) -> str:
    records = sum(row["delete"] for row in sums.rules.values())
    children = sum(row["children"] for row in sums.rules.values())
    copied = sums.copies["documents"]
    first = f", {copied} documents are copied first" if copied else ""
    return f"{records} records to purge, {children} more go with them{first}"


def _totals(
    site: Site, rules: Sequence[SourceRule], planner: Planner, sums: Sums, population: Mapping[str, int]
) -> dict[str, Any]:
    sources = sorted({each.source for each in rules})
    taken = Taken(sums.taken, sums.types, sums.copies["bytes"])
    return {
        "rules": {name: dict(row) for name, row in sums.rules.items()},
        "types": {f"{source}/{name}": count for (source, name), count in sorted(sums.types.items())},
        "codes": dict(sums.codes),
        "examples": sums.examples,
        "stores": dict(sums.stores),
        "copies": {
            **{name: sums.copies[name] for name in ("documents", "bytes", "stay")},
            "to": dict(sums.copy_stores),
        },
        "population": dict(population),
        "over": [text for _, text in over(site, sources, taken, population, rules)],
        **_woken(planner, sources, {key for key, count in sums.types.items() if count}),
    }


def _woken(planner: Planner, sources: Sequence[str], deleted: Collection[tuple[str, str]]) -> dict[str, Any]:
    """By type: the automation that deleting wakes, days in the bin, and look-ups that are emptied."""
    wakes: dict[str, list[str] | None] = {}
    bins: dict[str, int | None] = {}
    clears: dict[str, list[str]] = {}
    for source in sources:
        for name, described in planner.kin(source).types.items():
            if (source, name) not in deleted:
                continue
            key = f"{source}/{name}"
            wakes[key] = None if described.automation is None else list(described.automation)
            bins[key] = described.bin_days
            emptied = [f"{c.type}.{c.field}" for c in described.children if c.on_delete is OnDelete.CLEAR]
            if emptied:
                clears[key] = emptied
    return {"wakes": wakes, "bin_days": bins, "clears": clears}
