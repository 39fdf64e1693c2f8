"""Carry out a purge: read again → compare → archive → verify → delete → read back, never in another order.

Only what was approved is touched. Every step is written down before the next one begins, so that a run which was ended
at any point goes on where it stopped.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from offloader.disposition import archive
from offloader.disposition.acts import Report, acts_of, begin, finish, interrupted, opened
from offloader.disposition.archive import Segment
from offloader.disposition.deleting import delete, fetch, gone
from offloader.disposition.documents import Copying, Deciding, Placed, Tally, differs
from offloader.disposition.families import Family, Kin, holding
from offloader.disposition.held import HeldRecords
from offloader.disposition.planning import KIND
from offloader.disposition.rules import SourceRule, Taken, over, rule_named
from offloader.errors import Drift, IntegrityError, OffloaderError, Refused
from offloader.ledger import PlanRow
from offloader.ledger.disposing import Act, ActStep
from offloader.model import LocationProof, Verdict
from offloader.moves.holding import Holds
from offloader.moves.identity import claim
from offloader.moves.site import Site
from offloader.moves.tombstoned import Tombstones
from offloader.ports import Purge, Status, Target
from offloader.records import Deletion, Record, RecordRef, Records, Storage

#: states of acts that are still to be carried out
UNDONE = frozenset({"open", "archived"})
#: records that are read again together; between reading and deleting somebody may hang something on one
GROUP = 500
_STATE = {
    Status.DONE: "done",
    Status.CONFLICT: "conflict",
    Status.GONE: "skipped",
    Status.REFUSED: "skipped",
    Status.RETRY: "failed",
}


def apply_purge(site: Site, plan_id: str, lines: Iterable[bytes] | None = None) -> Report:
    """Carry out a sealed plan of this kind, or what is left of it.

    Raises Drift or Refused, with nothing done, as `acts.opened` does and when the plan is over a cap.
    """
    row = opened(site, plan_id, KIND, lines)
    _check_caps(site, row)
    begin(site, row)
    report = Report(plan=plan_id, kind=KIND)
    started = site.context.monotonic()
    before = {source: site.records(source).storage() for source in row.header.sources}
    calls = _calls(site, row)
    purger = _Purger(site, plan_id, report, suspect=row.status == "applying")
    try:
        with site.interrupts.deferred():
            for acts in acts_of(site, plan_id, UNDONE):
                for name, group in _groups(site, acts):
                    purger.carry_out(rule_named(site, name), group)
                    interrupted(site)
    except OffloaderError as error:
        report.stop(error)
    _say(site, row, report, before)
    _say_copied(report, purger.copied())
    report.data["crm_requests"] = dict(_calls(site, row) - calls)
    report.seconds = site.context.monotonic() - started
    return finish(site, report)


def _calls(site: Site, row: PlanRow) -> Counter[str]:
    total: Counter[str] = Counter()
    for source in row.header.sources:
        total.update(site.records(source).usage().requests)
    return total


def _groups(site: Site, acts: Sequence[Act]) -> Iterator[tuple[str, list[Act]]]:
    """Acts of one rule that are read, archived and deleted together; few enough that they are deleted soon after."""
    rules: dict[str, list[Act]] = defaultdict(list)
    for act in acts:
        rules[act.body["rule"]].append(act)
    for name, group in rules.items():
        size = max(GROUP, site.records(name.partition("/")[0]).batch)
        for start in range(0, len(group), size):
            yield name, group[start : start + size]


def _check_caps(site: Site, row: PlanRow) -> None:
    """Raise Refused, naming every cap, when a plan deletes more than is allowed now."""
    taken, sizes = Taken(Counter(), Counter()), dict[tuple[str, str, str], int]()
    for acts in acts_of(site, row.id, UNDONE | {"done", "skipped", "conflict", "failed", "held", "restored"}):
        for act in acts:
            source = act.subject.partition("/")[0]
            types = [act.part, *(each[0] for each in act.body["with"])]
            taken.rules[act.body["rule"]] += len(types)
            taken.types.update((source, name) for name in types)
            sizes |= {(source, kind, id_): size for kind, id_, _, size, *_ in act.body.get("documents", ())}
    taken = replace(taken, copied=sum(sizes.values()))
    rules = [rule_named(site, name) for name in taken.rules]
    found = over(site, row.header.sources, taken, row.totals["population"], rules)
    if found:
        raise Refused(f"plan {row.id} is refused: {'; '.join(text for _, text in found)}", rule=found[0][0])


class _Purger:
    """Carries out groups of acts of one rule."""

    def __init__(self, site: Site, plan_id: str, report: Report, *, suspect: bool) -> None:
        self._site, self._plan, self._report, self._suspect = site, plan_id, report, suspect
        self._copying: dict[str, Copying] = {}
        self._tombstones = Tombstones(site)
        self._held = HeldRecords(site)
        self._kin: dict[str, Kin] = {}
        self._proofs: dict[str, LocationProof] = {}
        self._intact: set[str] = set()

    def carry_out(self, each: SourceRule, acts: Sequence[Act]) -> None:
        """Bring these acts to their end, one group that is read, archived and deleted together."""
        records = self._site.records(each.source)
        by_ref = {_ref(act, each.source): act for act in acts}
        families = self._with_documents(each, records, self._ready(each, records, by_ref), by_ref)
        segments = self._archived(each, [(by_ref[family.root.ref], family) for family in families])
        for start in range(0, len(families), records.batch):
            interrupted(self._site)
            batch = self._unheld(each, families[start : start + records.batch], by_ref)
            self._delete(each, records, [(by_ref[f.root.ref], f) for f in batch], segments)

    # -- reading again -----------------------------------------------------------------------------------------

    def _ready(self, each: SourceRule, records: Records, by_ref: Mapping[RecordRef, Act]) -> list[Family]:
        """The families that are still as they were approved; what became of the others is written down."""
        refs = list(by_ref)
        found: list[Record] = []
        missing: list[RecordRef] = []
        steps: list[ActStep] = []
        for ref, record in zip(refs, fetch(records, refs), strict=True):
            if record is None:
                missing.append(ref)
            elif why := self._changed(each, by_ref[ref], record):
                steps.append(self._step(by_ref[ref], "conflict", why))
            else:
                found.append(record)
        self._write_missing(each, by_ref, dict(zip(missing, gone(records, missing), strict=True)))
        kin = self._kin.setdefault(each.source, Kin(self._site, each.source, records))
        families = []
        for family in kin.grow(found, documents=each.rule.documents):
            act = by_ref[family.root.ref]
            if family.problem is not None:
                steps.append(self._step(act, "skipped", family.problem[1]))
            elif why := _new_members(act, family) or self._other_documents(act, family):
                steps.append(self._step(act, "conflict", why))
            else:
                families.append(family)
        self._write(steps)
        return self._unheld(each, families, by_ref)

    def _changed(self, each: SourceRule, act: Act, record: Record) -> str:
        """How a record is not what was approved any more; empty if it is."""
        if record.etag != act.body["etag"]:
            return "it was changed since the plan"
        said = each.rule.book.judge(record.fields, self._site.context.now())
        return (
            "" if said.verdict is Purge.DELETE else f"the rule does not want it gone any more: {said.reasons[-1].text}"
        )

    def _write_missing(
        self, each: SourceRule, by_ref: Mapping[RecordRef, Act], missing: Mapping[RecordRef, Status]
    ) -> None:
        steps = [self._missing(by_ref[ref], status) for ref, status in missing.items()]
        done = {step.seq for step in steps if step.state == "done"}
        purged = [
            [act.part, ref.id, *(f"{each.source}/{name}/{id_}" for name, id_, _ in act.body["with"])]
            for ref, act in by_ref.items()
            if act.seq in done
        ]
        self._settle(each, [act for act in by_ref.values() if act.seq in done])
        data = {"source": each.source, "rule": each.rule.id, "records": purged, "found": "deleted by an earlier run"}
        self._write(steps, event="records_purged" if purged else None, data=data)

    def _missing(self, act: Act, status: Status) -> ActStep:
        """What to say of a record that is not there: we deleted it and could not write that down, or a user did."""
        segment = Segment.from_detail(act.detail) if act.state == "archived" else None
        if segment is not None and (status is Status.DONE or (status is Status.REFUSED and _is_deleting(act))):
            self._report.count("done")
            return ActStep(act.seq, "done", segment.detail())
        if status is Status.DONE:
            return self._step(act, "skipped", "it was deleted before this run came to it")
        if status is Status.CONFLICT:
            return self._step(act, "conflict", "it is there, but was not given when it was asked for")
        return self._step(act, "failed", "it is not found, and the CRM does not say that it was deleted")

    def _unheld(self, each: SourceRule, families: Sequence[Family], by_ref: Mapping[RecordRef, Act]) -> list[Family]:
        """Those that no hold covers now, also none that was added a moment ago."""
        if Holds.of(self._site).fingerprint != self._held.fingerprint:
            self._held = HeldRecords(self._site)
        held = self._held
        if not held.standing:
            return list(families)
        kin, free, steps = self._kin[each.source], [], []
        for family in families:
            signals = {name: str(family.root.fields.get(by) or "") for name, by in each.rule.signals.items()}
            ids = holding(family, kin, held, signals)
            if ids:
                steps.append(self._step(by_ref[family.root.ref], "held", held.reason(ids).text))
            else:
                free.append(family)
        self._write(steps)
        return free

    # -- documents ---------------------------------------------------------------------------------------------

    def _other_documents(self, act: Act, family: Family) -> str:
        """How the documents of a family are not what was approved any more; empty if they are."""
        if not family.unmoved:
            return ""
        placed, kept = self._decided(family)
        return kept or differs(act, placed, family)

    def _decided(self, family: Family) -> tuple[list[Placed], str]:
        placed, kept = Deciding(self._site, self._targets(), self._tombstones).of(family)
        return placed, kept.text if kept is not None else ""

    def _with_documents(
        self, each: SourceRule, records: Records, families: Sequence[Family], by_ref: Mapping[RecordRef, Act]
    ) -> list[Family]:
        """Copy the documents that go along, and give the families that are still the same afterwards."""
        if not any(family.unmoved for family in families):
            return list(families)
        copying = self._copier(each.source)
        problems = copying.copy(placed for family in families for placed in self._decided(family)[0])
        failed, left = [], {}
        for family in families:
            act = by_ref[family.root.ref]
            why = next((problems[document.ref] for document in family.unmoved if document.ref in problems), "")
            if why:
                failed.append(self._step(act, "failed", why))
            else:
                left[family.root.ref] = act
        self._write(failed)
        whole, steps = [], []
        # copying takes its time: what somebody has changed meanwhile stays
        for family in self._ready(each, records, left):
            why = copying.unsafe(family)
            if why:
                steps.append(self._step(left[family.root.ref], "conflict", why))
            else:
                whole.append(family)
        self._write(steps)
        return whole

    def _copier(self, source: str) -> Copying:
        if source not in self._copying:
            self._copying[source] = Copying(self._site, source, self._proof, self._suspect)
        return self._copying[source]

    def _settle(self, each: SourceRule, acts: Sequence[Act]) -> None:
        """Write down which documents went with these records."""
        with_documents = [act for act in acts if act.body.get("documents")]
        if with_documents:
            copying = self._copier(each.source)
            copying.settle(with_documents)

    def copied(self) -> Mapping[str, Tally]:
        """By source, what was copied before it could go."""
        return {source: copying.tally for source, copying in self._copying.items()}

    # -- archiving ---------------------------------------------------------------------------------------------

    def _archived(self, each: SourceRule, pairs: Sequence[tuple[Act, Family]]) -> dict[RecordRef, Segment]:
        """Every family in a verified segment: the one that an earlier run wrote, or a new one."""
        segments: dict[RecordRef, Segment] = {}
        by_stores: dict[tuple[str, ...], list[tuple[Act, Family]]] = defaultdict(list)
        targets = self._targets()
        for act, family in pairs:
            stores = self._stores(each, act, family, targets)
            before = Segment.from_detail(act.detail) if act.state == "archived" else None
            if before is not None and before.stores == stores and self._holds(before):
                segments[family.root.ref] = before
            else:
                by_stores[stores].append((act, family))
        kin = self._kin[each.source]
        for stores, group in by_stores.items():
            for name in stores:
                claim(self._site, name, [each.source])
            acts = {family.root.ref: act for act, family in group}
            for segment in archive.write(self._site.stores, stores, [family for _, family in group], kin.types):
                steps = [ActStep(acts[ref].seq, "archived", segment.detail()) for ref in segment.refs]
                data = {"segment": segment.key, "sha256": segment.sha256, "stores": list(stores), "records": len(steps)}
                self._site.ledger.advance_acts(self._plan, steps, event="records_archived", data=data)
                segments.update(dict.fromkeys(segment.refs, segment))
        return segments

    def _stores(self, each: SourceRule, act: Act, family: Family, targets: Sequence[Target]) -> tuple[str, ...]:
        """Where the archive of a record goes: as was approved, and as the rules say now. Raises Drift otherwise."""
        decision = each.rule.book.place(family.root.fields, targets, self._site.context.now())
        planned = tuple(act.body["stores"])
        if decision.verdict is not Verdict.MOVE or decision.stores != planned or not planned:
            last = decision.reasons[-1].text if decision.reasons else "nothing permits it"
            raise Drift(f"the archive of {act.subject} may not go to {', '.join(planned)} as planned: {last}")
        return planned

    def _targets(self) -> list[Target]:
        tariffs = self._site.tariffs
        return [Target(name, self._proof(name), tariffs.get(name)) for name in sorted(self._site.stores)]

    def _proof(self, name: str) -> LocationProof:
        """A proof of the store's place that is good now, or else a fresh one."""
        known = self._proofs.get(name)
        if known is None or not known.usable_at(self._site.context.now()):
            self._proofs[name] = known = self._site.stores[name].prove()
        return known

    def _holds(self, segment: Segment) -> bool:
        """Whether the stores still give back an earlier run's segment."""
        if segment.key not in self._intact:
            try:
                for name in segment.stores:
                    archive.check(self._site.stores[name], segment)
            except IntegrityError:
                return False
            self._intact.add(segment.key)
        return True

    # -- deleting ----------------------------------------------------------------------------------------------

    def _delete(
        self,
        each: SourceRule,
        records: Records,
        batch: Sequence[tuple[Act, Family]],
        segments: Mapping[RecordRef, Segment],
    ) -> None:
        """Delete one batch of archived records, and write down what became of each."""
        # a CRM without a bin does not say what was deleted: what is gone after this, and archived, was purged
        self._write([ActStep(a.seq, "archived", segments[f.root.ref].detail(deleting=True)) for a, f in batch])
        deletions = [Deletion(family.root.ref, family.root.etag) for _, family in batch]
        outcomes = delete(self._site, records, deletions, hard=each.rule.hard) if deletions else []
        steps, purged = [], []
        for (act, family), outcome in zip(batch, outcomes, strict=True):
            if outcome.status is Status.DONE:
                steps.append(ActStep(act.seq, "done", segments[family.root.ref].detail()))
                purged.append([act.part, family.root.ref.id, *(str(m.record.ref) for m in family.members)])
                self._report.count("done")
                continue
            said = outcome.reason or outcome.status.value
            why = f"the CRM refuses: {said}" if outcome.status is Status.REFUSED else said
            steps.append(self._step(act, _STATE[outcome.status], why))
        deleted = {step.seq for step in steps if step.state == "done"}
        self._settle(each, [act for act, _ in batch if act.seq in deleted])
        data = {"source": each.source, "rule": each.rule.id, "records": purged}
        self._write(steps, event="records_purged" if purged else None, data=data)
        self._site.progress("purge", self._report.states["done"], None)

    def _step(self, act: Act, state: str, why: str) -> ActStep:
        self._report.count(state, why)
        return ActStep(act.seq, state, why)

    def _write(self, steps: Sequence[ActStep], event: str | None = None, data: Mapping[str, Any] | None = None) -> None:
        if steps:
            self._site.ledger.advance_acts(self._plan, steps, event=event, data=data)


def _ref(act: Act, source: str) -> RecordRef:
    return RecordRef(source, act.part, act.subject.removeprefix(f"{source}/{act.part}/"))


def _is_deleting(act: Act) -> bool:
    """Whether an earlier run came as far as the call that deletes the record."""
    return '"deleting":true' in act.detail


def _new_members(act: Act, family: Family) -> str:
    """How a family holds more, or otherwise, than was approved; what has left it meanwhile does not matter."""
    approved = {(name, id_): etag for name, id_, etag in act.body["with"]}
    for member in family.members:
        ref = member.record.ref
        etag = approved.get((ref.type, ref.id))
        if etag is None:
            return f"a {ref.type} hangs on it that was not there when it was planned"
        if etag != member.record.etag:
            return f"a {ref.type} that goes with it was changed since the plan"
    return ""


def _say(site: Site, row: PlanRow, report: Report, before: Mapping[str, Storage]) -> None:
    """Storage before and after, as the CRM says it, and that deleted is not freed."""
    storage: dict[str, Any] = {}
    for source in row.header.sources:
        after = site.records(source).storage()
        storage[source] = {"before": _storage(before[source]), "after": _storage(after)}
        for meter, used in sorted(after.used.items()):
            freed = before[source].used.get(meter, used) - used
            said = f", as of {after.as_of:%Y-%m-%d %H:%M} UTC" if after.as_of else "; the CRM does not say as of when"
            report.lines.append(f"{source}: {meter} storage {used} bytes, {freed} less than before{said}.")
    bins = {days for days in row.totals["bin_days"].values() if days}
    hard = all(rule_named(site, name).rule.hard for name in row.header.scope["rules"])
    if report.states["done"] and bins and not hard:
        report.lines.append(
            f"Deleted is not freed: records lie in the CRM's bin for up to {max(bins)} days and count until then."
        )
    report.data["storage"] = storage


def _say_copied(report: Report, tallies: Mapping[str, Tally]) -> None:
    """What was copied before its record went, and what of it the CRM keeps."""
    report.data["documents"] = {source: asdict(tally) for source, tally in tallies.items()}
    for source, tally in tallies.items():
        report.lines.append(
            f"{source}: {tally.copied} versions of documents ({tally.bytes} bytes) were copied first; {tally.gone} "
            f"documents went with their records."
        )
        if tally.stays:
            report.lines.append(
                f"{source}: {tally.stays} of the copied documents stay in the CRM: it deletes no file that lives on "
                "without the record."
            )


def _storage(storage: Storage) -> dict[str, Any]:
    as_of = storage.as_of.isoformat() if storage.as_of else None
    return {"used": dict(storage.used), "limit": dict(storage.limit), "as_of": as_of}
