"""Bring purged records back: out of the CRM's bin, or made anew from the archive, parents before children.

A record that is made anew has a new id; references to it are rewritten. What the CRM does not let anybody set is said,
record by record. What is about to be made is written down before every call, and how far it came afterwards: a run that
does not know what became of a creation looks for it first, and makes nothing twice.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from offloader.disposition import archive
from offloader.disposition.acts import acts_of
from offloader.disposition.archive import Archived, Segment
from offloader.disposition.deleting import in_batches
from offloader.disposition.documents import put_back
from offloader.disposition.doubtful import SETTLED, Begun, look
from offloader.disposition.families import Family
from offloader.disposition.planning import KIND
from offloader.disposition.relinking import Relinked, Relinking
from offloader.errors import ConfigError, IntegrityError, OffloaderError, Permanent
from offloader.ledger.disposing import Act, ActStep
from offloader.model import DocumentRef
from offloader.moves.identity import check_identity
from offloader.moves.site import Site
from offloader.moves.tombstoned import mark
from offloader.ports import Status
from offloader.records import Deleted, Record, RecordRef, Records, RecordType, Value

#: families that are brought back together
GROUP = 500


@dataclass(slots=True)
class Revived:
    """What came back. `ids`: record as it was → as it is, where it was made anew; `lost`: record → fields not set.

    `unclear`: records of which nobody can tell whether they are there, so they are not made again.
    """

    undeleted: int = 0
    created: int = 0
    failed: int = 0
    unclear: int = 0
    ids: dict[str, str] = field(default_factory=dict)
    lost: dict[str, list[str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    error: OffloaderError | None = None

    def as_json(self) -> dict[str, Any]:
        return {
            "undeleted": self.undeleted,
            "created": self.created,
            "failed": self.failed,
            "unclear": self.unclear,
            "ids": self.ids,
            "lost": self.lost,
            "notes": self.notes,
            "stopped": str(self.error) if self.error else None,
        }


def revive(site: Site, what: Sequence[str]) -> Revived:
    """Bring back what these plans deleted, or these records (SOURCE/TYPE/ID) with what went with them.

    Raises, with nothing done, ConfigError for what no purge deleted, and Refused for a CRM that is not the one it was.
    """
    revived = Revived()
    chosen = _without_erased(site, [pair for each in what for pair in _chosen(site, each)], revived)
    wanted = {old for _, act in chosen for old in (act.subject, *_members(act))}
    by_source: dict[str, list[tuple[str, Act]]] = defaultdict(list)
    for plan, act in chosen:
        by_source[act.subject.partition("/")[0]].append((plan, act))
    check_identity(site, sorted(by_source))
    try:
        for source, pairs in by_source.items():
            reviver = _Reviver(site, source, revived, wanted, sorted({plan for plan, _ in pairs}))
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


#: what to create, and references that it cannot have yet: field, id of the record as it was
_Draft = tuple[Record, list[tuple[str, str]]]


@dataclass(slots=True)
class _Work:
    """One family on its way back. `ids`: record as it was → as it is.

    `creating`: records that a call was about to make → when; `waiting`: record as it is, field, and the id of the
    record as it was to which it shall lead.
    """

    plan: str
    act: Act
    family: Family
    ids: dict[str, str]
    creating: dict[str, str] = field(default_factory=dict)
    waiting: list[tuple[str, str, str]] = field(default_factory=list)
    failed: bool = False

    def detail(self) -> str:
        value = {**json.loads(self.act.detail), "as": self.ids, "creating": self.creating, "waiting": self.waiting}
        return json.dumps(value, sort_keys=True, separators=(",", ":"))

    @property
    def whole(self) -> bool:
        return all(str(record.ref) in self.ids for record in self.family.records)


class _Reviver:
    """Brings records of one source back."""

    def __init__(self, site: Site, source: str, revived: Revived, wanted: set[str], plans: Sequence[str]) -> None:
        self._site, self._source, self._revived, self._wanted = site, source, revived, wanted
        self._records: Records = site.records(source)
        self._types: dict[str, RecordType] = {}
        self._segments: dict[str, Archived] = {}
        #: id as it was → id as it is, those of earlier runs included
        self._ids: dict[str, str] = {}
        #: records as they are that an archived one has become
        self._taken: set[str] = set()
        #: families with references to records that were not there yet
        self._open: list[_Work] = []
        for plan in plans:
            for page in acts_of(site, plan, {"done", "restored"}):
                for act in page:
                    self._know(_begun(act))
        self._relinking = Relinking(site, source, wanted | self._taken)

    def bring_back(self, pairs: Sequence[tuple[str, Act]]) -> None:
        """Undelete what the bin holds, and make the rest anew."""
        fresh = [(plan, act) for plan, act in pairs if not _touched(act)]
        back = self._undeleted([_ref(act) for _, act in fresh])
        binned: dict[str, list[ActStep]] = defaultdict(list)
        rest = [(plan, act) for plan, act in pairs if _touched(act)]
        again = self._put_back(
            [(act, [_id(act.subject), *map(_id, _members(act))]) for _, act in fresh if _ref(act) in back]
        )
        for plan, act in fresh:
            if _ref(act) not in back:
                rest.append((plan, act))
                continue
            self._revived.undeleted += 1
            if act.subject not in again:
                binned[plan].append(ActStep(act.seq, "restored", act.detail))
        for plan, steps in binned.items():
            self._site.ledger.advance_acts(
                plan, steps, event="records_undeleted", data={"acts": [s.seq for s in steps]}
            )
        works = [work for plan, act in rest if (work := self._work(plan, act)) is not None]
        self._make(works)
        self._open += [work for work in works if work.waiting]
        self._finish([work for work in works if not work.waiting])

    def _undeleted(self, refs: Sequence[RecordRef]) -> set[RecordRef]:
        """Those that are there under their own ids: out of the bin now, or by a call whose answer was lost."""
        answers = in_batches(self._records, refs, self._records.undelete)
        back = {ref for ref, answer in zip(refs, answers, strict=True) if answer.status is Status.DONE}
        left = [ref for ref in refs if ref not in back]
        there = in_batches(self._records, left, self._records.fetch)
        return back | {ref for ref, record in zip(left, there, strict=True) if record is not None}

    def _know(self, ids: Mapping[str, str]) -> None:
        self._ids.update({_id(old): _id(new) for old, new in ids.items()})
        self._taken.update(ids.values())

    def close_circles(self) -> None:
        """Set the references that could not be set when their records were made."""
        sets: dict[RecordRef, dict[str, Value]] = defaultdict(dict)
        for new, name, old in (each for work in self._open for each in work.waiting):
            if old in self._ids:
                sets[_named_ref(new)][name] = self._ids[old]
            else:
                self._revived.notes.append(f"{new}: {name} named a record that did not come back")
        changed = [Record(ref=ref, etag="", modified=None, fields=fields) for ref, fields in sorted(sets.items())]
        for record, answer in zip(changed, in_batches(self._records, changed, self._records.set_fields), strict=True):
            if answer.status is not Status.DONE:
                self._revived.notes.append(f"{record.ref}: {', '.join(record.fields)} not set: {answer.reason}")
        for work in self._open:
            work.waiting.clear()
        self._finish(self._open)

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
        waiting = [(str(new), str(name), str(old)) for new, name, old in _noted(act, "waiting", [])]
        return _Work(plan, act, family, dict(_begun(act)), dict(_noted(act, "creating", {})), waiting)

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
        """Make records; what an earlier call was about to make is looked for first."""
        drafts = {str(record.ref): self._draft(record) for _, record in group}
        pairs = self._without_found(group, drafts)
        if not pairs:
            return
        now = self._site.context.now().isoformat()
        for work, record in pairs:
            work.creating[str(record.ref)] = now
        self._write([work for work, _ in pairs])
        answers = self._records.create([drafts[str(record.ref)][0] for _, record in pairs])
        unanswered = []
        for (work, record), given in zip(pairs, answers, strict=True):
            draft, waiting = drafts[str(record.ref)]
            answer = given if given.status in (Status.DONE, Status.RETRY) else self._without(record, draft, given)
            if answer.status is Status.RETRY:
                unanswered.append((work, record))
            elif answer.status is Status.DONE and answer.ref is not None:
                self._claim(work, record, answer.ref, waiting)
            else:
                work.creating.pop(str(record.ref), None)
                self._fail(str(record.ref), answer.reason or answer.status.value)
                work.failed = work.failed or record is work.family.root
        self._without_found(unanswered, drafts)
        self._write([work for work, _ in pairs], event="records_created")

    def _without_found(
        self, group: Sequence[tuple[_Work, Record]], drafts: Mapping[str, _Draft]
    ) -> list[tuple[_Work, Record]]:
        """Those of a group that are to be made. A creation without an answer is claimed if it is there; if nobody can
        tell, or a call may still be at work, its record is left out and said."""
        doubtful = [(work, record) for work, record in group if str(record.ref) in work.creating]
        begun = [
            Begun(drafts[str(record.ref)][0], datetime.fromisoformat(work.creating[str(record.ref)]))
            for work, record in doubtful
        ]
        found = look(self._records.made, begun, self._types, self._taken)
        out = set()
        for number, (work, record) in enumerate(doubtful):
            over = begun[number].at + SETTLED
            if number in found.made:
                self._claim(work, record, found.made[number], drafts[str(record.ref)][1])
            elif number in found.unclear:
                self._doubt(work, record, "new records are there that are not quite the same: look, and delete or keep")
            elif self._site.context.now() < over:
                self._doubt(work, record, f"it is not there yet: run again after {over:%Y-%m-%d %H:%M} UTC")
            else:
                continue
            out.add(number)
        left_out = {id(doubtful[number][1]) for number in out}
        self._write([doubtful[number][0] for number in sorted(out)])
        return [(work, record) for work, record in group if id(record) not in left_out]

    def _claim(self, work: _Work, record: Record, made: RecordRef, waiting: Sequence[tuple[str, str]]) -> None:
        """Note that a record stands in the CRM again as `made`."""
        name = str(record.ref)
        work.creating.pop(name, None)
        work.ids[name] = str(made)
        work.waiting += [(str(made), field_name, old) for field_name, old in waiting]
        self._know({name: str(made)})
        self._revived.ids[name] = str(made)
        self._revived.created += 1

    def _doubt(self, work: _Work, record: Record, why: str) -> None:
        work.failed = True
        self._revived.unclear += 1
        self._revived.notes.append(f"{record.ref}: the answer to its creation was lost, and {why}")

    def _write(self, works: Sequence[_Work], event: str | None = None) -> None:
        """Write down how far families have come."""
        by_plan: dict[str, dict[int, _Work]] = defaultdict(dict)
        for work in works:
            by_plan[work.plan][work.act.seq] = work
        for plan, mine in by_plan.items():
            steps = [ActStep(seq, "done", work.detail()) for seq, work in mine.items()]
            data = {"records": [[old, new] for work in mine.values() for old, new in work.ids.items()]}
            self._site.ledger.advance_acts(plan, steps, event=event if data["records"] else None, data=data)

    def _draft(self, record: Record) -> _Draft:
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
            elif each.refers_to and isinstance(value, str) and value in self._ids:
                fields[each.name] = self._ids[value]
            elif each.refers_to and isinstance(value, str) and self._is_wanted(each.refers_to, value):
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
            if answer.status is Status.RETRY:
                return answer
            if answer.status is Status.DONE:
                self._revived.notes.append(f"{record.ref}: made without {each.name}: {refused.reason}")
                return answer
        return refused

    def _put_back(self, families: Sequence[tuple[Act, Collection[str]]]) -> set[str]:
        """Documents and links that went with records hang on them again, before these count as restored.

        Each family with the ids of its records that are back. Gives the records that are to be looked at once more.
        """
        relinked = self._relinking.write(families, self._ids) if families else Relinked()
        self._revived.notes += relinked.problems
        for act, _ in families:
            self._revived.notes += put_back(self._site, act, self._ids)
        return relinked.again

    # -- noting ------------------------------------------------------------------------------------------------

    def _fail(self, subject: str, why: str) -> None:
        self._revived.failed += 1
        self._revived.notes.append(f"{subject} did not come back: {why}")

    def _finish(self, works: Sequence[_Work]) -> None:
        steps: dict[str, list[ActStep]] = defaultdict(list)
        again = self._put_back([(work.act, list(map(_id, work.ids.values()))) for work in works if work.ids])
        for work in works:
            if work.act.subject in again:
                continue
            if work.whole:
                steps[work.plan].append(ActStep(work.act.seq, "restored", work.detail()))
            elif not work.failed:
                missing = len(work.family.records) - len(work.ids)
                self._fail(work.act.subject, f"{missing} of the records that went with it are still missing")
        for plan, done in steps.items():
            self._site.ledger.advance_acts(plan, done)


def _begun(act: Act) -> Mapping[str, str]:
    """What an earlier run made of an act's family already."""
    found = _noted(act, "as", {})
    return found if isinstance(found, dict) else {}


def _touched(act: Act) -> bool:
    """Whether an earlier run began to make something of an act's family."""
    return bool(_begun(act) or _noted(act, "creating", {}))


def _noted(act: Act, name: str, otherwise: Any) -> Any:
    """What an act remembers of its restore."""
    try:
        return json.loads(act.detail).get(name, otherwise)
    except (ValueError, AttributeError):
        return otherwise


def _named_ref(name: str) -> RecordRef:
    return RecordRef(*name.split("/", 2))


def _id(name: str) -> str:
    return name.split("/", 2)[2]


def _ref(act: Act) -> RecordRef:
    return _named_ref(act.subject)
