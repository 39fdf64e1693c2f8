"""Bring purged records back: out of the CRM's bin, or made anew from the archive, parents before children.

A record that is made anew has a new id; references to it are rewritten. What the CRM does not let anybody set is said,
record by record. How far this came is written down after every call, so that a second run makes nothing twice.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from offloader.disposition import archive
from offloader.disposition.acts import acts_of
from offloader.disposition.archive import Archived, Segment
from offloader.disposition.deleting import in_batches
from offloader.disposition.families import Family
from offloader.disposition.planning import KIND
from offloader.errors import ConfigError, IntegrityError, OffloaderError, Permanent
from offloader.ledger.disposing import Act, ActStep
from offloader.model import DocumentRef
from offloader.moves.site import Site
from offloader.moves.tombstoned import mark
from offloader.ports import Status
from offloader.records import Deleted, Record, RecordRef, Records, RecordType, Value

#: families that are brought back together
GROUP = 500


@dataclass(slots=True)
class Revived:
    """What came back. `ids`: record as it was → as it is, where it was made anew; `lost`: record → fields not set."""

    undeleted: int = 0
    created: int = 0
    failed: int = 0
    ids: dict[str, str] = field(default_factory=dict)
    lost: dict[str, list[str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    error: OffloaderError | None = None

    def as_json(self) -> dict[str, Any]:
        return {
            "undeleted": self.undeleted,
            "created": self.created,
            "failed": self.failed,
            "ids": self.ids,
            "lost": self.lost,
            "notes": self.notes,
            "stopped": str(self.error) if self.error else None,
        }


def revive(site: Site, what: Sequence[str]) -> Revived:
    """Bring back what these plans deleted, or these records (SOURCE/TYPE/ID) with what went with them.

    Raises ConfigError, with nothing done, for what no purge deleted.
    """
    revived = Revived()
    chosen = _without_erased(site, [pair for each in what for pair in _chosen(site, each)], revived)
    wanted = {old for _, act in chosen for old in (act.subject, *_members(act))}
    by_source: dict[str, list[tuple[str, Act]]] = defaultdict(list)
    for plan, act in chosen:
        by_source[act.subject.partition("/")[0]].append((plan, act))
    try:
        for source, pairs in by_source.items():
            reviver = _Reviver(site, source, revived, wanted)
            for start in range(0, len(pairs), GROUP):
                reviver.bring_back(pairs[start : start + GROUP])
            reviver.close_circles()
    except OffloaderError as error:
        revived.error = error
    return revived


def _chosen(site: Site, what: str) -> Iterator[tuple[str, Act]]:
    if "/" in what:
        found = [(plan, act) for plan, act in site.ledger.acts_about(what) if act.act == "delete"]
        done = next(((plan, act) for plan, act in found if act.state == "done"), None)
        if done is None:
            said = f"its last purge ended as {found[0][1].state}" if found else "no purge has touched it"
            raise ConfigError(f"{what} cannot be brought back: {said}")
        yield done
        return
    try:
        row = site.ledger.plan(what)
    except Permanent as error:
        raise ConfigError(f"{what!r} is neither a plan nor a record (SOURCE/TYPE/ID)") from error
    if row.header.disposes != KIND:
        raise ConfigError(f"plan {what} purged nothing")
    for page in acts_of(site, what, {"done"}):
        yield from ((what, act) for act in page)


def _without_erased(site: Site, chosen: Sequence[tuple[str, Act]], revived: Revived) -> list[tuple[str, Act]]:
    """Leave out families with a record that was erased at a person's request: the erased stay erased."""
    marks = {name: mark(site.links, _named(name)) for _, act in chosen for name in (act.subject, *_members(act))}
    known = site.ledger.tombstones(sorted(set(marks.values())))
    kept = []
    for plan, act in chosen:
        if any(marks[name] in known for name in (act.subject, *_members(act))):
            revived.failed += 1
            revived.notes.append(
                f"{act.subject}: it, or what went with it, was erased at a person's request and stays so"
            )
        else:
            kept.append((plan, act))
    return kept


def _named(name: str) -> DocumentRef:
    source, type_, id_ = name.split("/", 2)
    return DocumentRef(source, type_, id_)


def _members(act: Act) -> list[str]:
    source = act.subject.partition("/")[0]
    return [f"{source}/{name}/{id_}" for name, id_, _ in act.body["with"]]


@dataclass(slots=True)
class _Work:
    """One family on its way back. `ids`: record as it was → as it is."""

    plan: str
    act: Act
    family: Family
    ids: dict[str, str]
    failed: bool = False

    def detail(self) -> str:
        return json.dumps({**json.loads(self.act.detail), "as": self.ids}, sort_keys=True, separators=(",", ":"))


class _Reviver:
    """Brings records of one source back."""

    def __init__(self, site: Site, source: str, revived: Revived, wanted: set[str]) -> None:
        self._site, self._source, self._revived, self._wanted = site, source, revived, wanted
        self._records: Records = site.records(source)
        self._types: dict[str, RecordType] = {}
        self._segments: dict[str, Archived] = {}
        #: id as it was → id as it is
        self._ids: dict[str, str] = {}
        #: references to records that were not there yet: record, field, id as it was
        self._open: list[tuple[RecordRef, str, str]] = []

    def bring_back(self, pairs: Sequence[tuple[str, Act]]) -> None:
        """Undelete what the bin holds, and make the rest anew."""
        fresh = [(plan, act) for plan, act in pairs if not _begun(act)]
        answers = in_batches(self._records, [_ref(act) for _, act in fresh], self._records.undelete)
        binned: dict[str, list[ActStep]] = defaultdict(list)
        rest = [(plan, act) for plan, act in pairs if _begun(act)]
        for (plan, act), answer in zip(fresh, answers, strict=True):
            if answer.status is Status.DONE:
                binned[plan].append(ActStep(act.seq, "restored", act.detail))
                self._revived.undeleted += 1
            else:
                rest.append((plan, act))
        for plan, steps in binned.items():
            self._site.ledger.advance_acts(
                plan, steps, event="records_undeleted", data={"acts": [s.seq for s in steps]}
            )
        works = [work for plan, act in rest if (work := self._work(plan, act)) is not None]
        for work in works:
            self._ids.update({_id(old): _id(new) for old, new in work.ids.items()})
        self._make(works)
        self._finish(works)

    def close_circles(self) -> None:
        """Set the references that could not be set when their records were made."""
        sets: dict[RecordRef, dict[str, Value]] = defaultdict(dict)
        for ref, name, old in self._open:
            if old in self._ids:
                sets[ref][name] = self._ids[old]
            else:
                self._revived.notes.append(f"{ref}: {name} named a record that did not come back")
        changed = [Record(ref=ref, etag="", modified=None, fields=fields) for ref, fields in sorted(sets.items())]
        for record, answer in zip(changed, in_batches(self._records, changed, self._records.set_fields), strict=True):
            if answer.status is not Status.DONE:
                self._revived.notes.append(f"{record.ref}: {', '.join(record.fields)} not set: {answer.reason}")

    # -- reading -----------------------------------------------------------------------------------------------

    def _work(self, plan: str, act: Act) -> _Work | None:
        """A family out of the archive; None, with a note, if no store gives it back."""
        segment = Segment.from_detail(act.detail)
        try:
            if segment is None:
                raise IntegrityError("the ledger does not say where its archive is")
            archived = self._read(segment)
            family = next((each for each in archived.families if str(each.root.ref) == act.subject), None)
            if family is None:
                raise IntegrityError(f"{segment.key} does not hold it any more")
        except OffloaderError as error:
            self._fail(act.subject, f"not in the bin, and its archive cannot be read: {error}")
            return None
        self._types.update(archived.types)
        return _Work(plan, act, family, dict(_begun(act)))

    def _read(self, segment: Segment) -> Archived:
        if segment.key not in self._segments:
            error: OffloaderError | None = None
            for name in segment.stores:
                try:
                    if name not in self._site.stores:
                        raise ConfigError(f"the store {name} is not configured any more")
                    # one at a time: neighbours share a segment
                    self._segments = {segment.key: archive.read(self._site.stores[name], segment)}
                    break
                except OffloaderError as problem:
                    error = problem
            else:
                raise error or IntegrityError("no store holds it")
        return self._segments[segment.key]

    # -- making ------------------------------------------------------------------------------------------------

    def _make(self, works: Sequence[_Work]) -> None:
        """Make roots, then what hangs on them, level by level; of one level, one type at a time."""
        level: list[tuple[_Work, Record]] = [(work, work.family.root) for work in works]
        while level:
            by_type: dict[str, list[tuple[_Work, Record]]] = defaultdict(list)
            for work, record in level:
                if not work.failed and str(record.ref) not in work.ids:
                    by_type[record.ref.type].append((work, record))
            for group in by_type.values():
                for start in range(0, len(group), self._records.batch):
                    self._create(group[start : start + self._records.batch])
            made = {(id(work), record.ref) for work, record in level if str(record.ref) in work.ids}
            level = [
                (work, member.record)
                for work in {id(work): work for work, _ in level}.values()
                for member in work.family.members
                if (id(work), member.parent) in made
            ]

    def _create(self, group: Sequence[tuple[_Work, Record]]) -> None:
        drafts = [self._draft(record) for _, record in group]
        answers = self._records.create([draft for draft, _ in drafts])
        touched: dict[str, dict[int, _Work]] = defaultdict(dict)
        for (work, record), (draft, waiting), given in zip(group, drafts, answers, strict=True):
            answer = given if given.status is Status.DONE else self._without(record, draft, given)
            if answer.status is not Status.DONE or answer.ref is None:
                self._fail(str(record.ref), answer.reason or answer.status.value)
                work.failed = work.failed or record is work.family.root
                continue
            made = answer.ref
            work.ids[str(record.ref)] = str(made)
            self._ids[record.ref.id] = made.id
            self._revived.ids[str(record.ref)] = str(made)
            self._revived.created += 1
            self._open += [(made, name, old) for name, old in waiting]
            touched[work.plan][work.act.seq] = work
        for plan, works in touched.items():
            steps = [ActStep(seq, "done", work.detail()) for seq, work in works.items()]
            data = {"records": [[old, new] for work in works.values() for old, new in work.ids.items()]}
            self._site.ledger.advance_acts(plan, steps, event="records_created", data=data)

    def _draft(self, record: Record) -> tuple[Record, list[tuple[str, str]]]:
        """What to create, with references as they are now; and references to records that are still to come."""
        described = self._types[record.ref.type]
        fields: dict[str, Value] = {}
        waiting: list[tuple[str, str]] = []
        lost: list[str] = []
        for each in described.fields:
            value = record.fields.get(each.name)
            if value is None:
                continue
            if not each.creatable:
                lost.append(each.name)
            elif each.refers_to and isinstance(value, str) and self._is_wanted(each.refers_to, value):
                if value in self._ids:
                    fields[each.name] = self._ids[value]
                else:
                    waiting.append((each.name, value))
            else:
                fields[each.name] = value
        if lost:
            self._revived.lost[str(record.ref)] = lost
            note = f"{record.ref.type}: the CRM lets nobody set {', '.join(lost)}"
            if note not in self._revived.notes:
                self._revived.notes.append(note)
        return replace(record, fields=fields), waiting

    def _is_wanted(self, types: Sequence[str], value: str) -> bool:
        return any(f"{self._source}/{name}/{value}" in self._wanted for name in types)

    def _without(self, record: Record, draft: Record, refused: Deleted) -> Deleted:
        """Try without one look-up at a time: an owner who has left, a record that is not there any more."""
        parents = set(self._ids.values())
        for each in self._types[record.ref.type].fields:
            value = draft.fields.get(each.name)
            if not each.refers_to or value is None or value in parents:
                continue
            fields = {name: kept for name, kept in draft.fields.items() if name != each.name}
            (answer,) = self._records.create([replace(draft, fields=fields)])
            if answer.status is Status.DONE:
                self._revived.notes.append(f"{record.ref}: made without {each.name}: {refused.reason}")
                return answer
        return refused

    # -- noting ------------------------------------------------------------------------------------------------

    def _fail(self, subject: str, why: str) -> None:
        self._revived.failed += 1
        self._revived.notes.append(f"{subject} did not come back: {why}")

    def _finish(self, works: Sequence[_Work]) -> None:
        steps: dict[str, list[ActStep]] = defaultdict(list)
        for work in works:
            if all(str(record.ref) in work.ids for record in work.family.records):
                steps[work.plan].append(ActStep(work.act.seq, "restored", work.detail()))
            elif not work.failed:
                missing = len(work.family.records) - len(work.ids)
                self._fail(work.act.subject, f"{missing} of the records that went with it are still missing")
        for plan, done in steps.items():
            self._site.ledger.advance_acts(plan, done)


def _begun(act: Act) -> Mapping[str, str]:
    """What an earlier run made of an act's family already."""
    try:
        found = json.loads(act.detail).get("as", {})
    except (ValueError, AttributeError):
        return {}
    return found if isinstance(found, dict) else {}


def _id(name: str) -> str:
    return name.split("/", 2)[2]


def _ref(act: Act) -> RecordRef:
    source, type_, id_ = act.subject.split("/", 2)
    return RecordRef(source, type_, id_)
