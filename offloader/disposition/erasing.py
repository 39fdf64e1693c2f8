"""Carrying out an erasure: link, original, copies, catalog, tombstone, ledger, in this order.

Each document is read again just before, and asked for holds. The ledger forgets a document last, when nothing of it is
left that it would have to lead to; killed before that, the next time does the same again and ends the same. A document
that a hold or a lock keeps stays known, and the plan stays open for it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from offloader.audit import canonical
from offloader.disposition.acts import Report, acts_of, begin, finish, interrupted, opened
from offloader.disposition.archived import holds_on, record_mark, search_archives, strip
from offloader.disposition.erasing_crm import clear_crm, detach, now_of, others_of
from offloader.disposition.erasure import ARCHIVE, ERASE, KIND, REDACT, check_caps, duties_now, duty_of, places, shape
from offloader.disposition.held import HeldRecords
from offloader.disposition.segments import Telling, without
from offloader.disposition.subjects import Subject, request_of
from offloader.disposition.tombstones import bury
from offloader.errors import AuthError, Conflict, Exhausted, Interrupted, OffloaderError, Permanent, Refused
from offloader.ledger import Entry, PlanRow
from offloader.ledger.disposing import Act, ActStep
from offloader.ledger.erasing import Grave
from offloader.model import Document, DocumentRef, State
from offloader.moves.catalog import write_segments
from offloader.moves.holding import Holds
from offloader.moves.report import sentence
from offloader.moves.site import Site
from offloader.ports import Lock

GROUND = "art17"
#: documents that share an object and are named, by their numbers
NAMED = 10
#: acts that are tried again when the plan is applied again
AGAIN = frozenset({"open", "held", "failed"})
STOPPING = (AuthError, Exhausted, Interrupted)


@dataclass(slots=True)
class _Ready:
    """A document that waits for the catalogs and the ledger: the CRM, and for an erasure the stores, are through."""

    act: Act
    entry: Entry
    evidence: dict[str, Any]


@dataclass(slots=True)
class _Work:
    site: Site
    row: PlanRow
    report: Report
    #: of these the CRM and the stores have nothing more
    cleared: list[_Ready] = field(default_factory=list)
    #: these stay for others; the person was taken off their links in the CRM
    off: list[_Ready] = field(default_factory=list)
    #: acts about archived records
    archived: list[Act] = field(default_factory=list)

    def records(self) -> tuple[str, ...]:
        """The subject's records, TYPE:ID; none for a plan without a request."""
        name = self.row.header.scope.get("request")
        if not isinstance(name, str):
            return ()
        return tuple(request_of(self.site, name).subject.get("records", ()))

    def settle(self, act: Act, state: str, evidence: Mapping[str, Any], reason: str = "") -> None:
        """Write down how an act ended, for now or for good."""
        detail = canonical({**evidence, "reason": reason} if reason else evidence)
        self.site.ledger.advance_acts(self.row.id, [ActStep(act.seq, state, detail)])
        self.report.count(state, reason)


def apply_erasure(site: Site, plan_id: str, lines: Iterable[bytes] | None = None) -> Report:
    """Carry out a sealed plan of erasure, or what is left of it. Raises as `acts.opened` does, before anything is done.

    The plan stays open while a hold or a lock keeps something: apply it again when that has ended.
    """
    row = opened(site, plan_id, KIND, lines)
    check_caps(site, row)
    begin(site, row)
    started = site.context.monotonic()
    work = _Work(site, row, Report(row.id, KIND))
    try:
        for page in acts_of(site, row.id, AGAIN):
            entries = _looked_up(work, page)
            for act in page:
                interrupted(site)
                _one(work, act, entries)
    except STOPPING as error:
        work.report.stop(error)
    _forget(work)
    _redact(work)
    _strip(work)
    _close_request(work)
    work.report.seconds = site.context.monotonic() - started
    return finish(site, work.report)


def evidence_of(act: Act) -> dict[str, Any]:
    """What is known of how an act was carried out."""
    return dict(json.loads(act.detail)) if act.detail else {}


def _looked_up(work: _Work, acts: Sequence[Act]) -> Mapping[int, tuple[Entry, str]]:
    """The documents of these acts by number, each with a duty to keep it, by what the CRM says today; mostly none.

    What was erased before and is back is erased again whatever it is.
    """
    site, numbers = work.site, [act.body["document"] for act in acts if act.act in (ERASE, REDACT)]
    entries = {entry.pk: entry for entry in site.ledger.entries_by_pk(numbers)}
    if "request" not in work.row.header.scope:
        return {pk: (entry, "") for pk, entry in entries.items()}
    targets = site.targets()
    there = [each for each in entries.values() if any(v.state is not State.ERASED for v in each.versions)]
    entries |= duties_now(site, there, targets)
    duties = {each.pk: duty_of(site, entries[each.pk], targets)[0] for each in there}
    return {pk: (entry, duties.get(pk, "")) for pk, entry in entries.items()}


def _one(work: _Work, act: Act, entries: Mapping[int, tuple[Entry, str]]) -> None:
    if act.act == ARCHIVE:
        work.archived.append(act)
        return
    if act.act not in (ERASE, REDACT):
        work.settle(act, "skipped", {}, str(act.body["reason"]))
        return
    entry, duty = entries[act.body["document"]]
    evidence = {key: value for key, value in evidence_of(act).items() if key != "reason"}
    if _is_done(work, act, entry):
        work.settle(act, "done", evidence)
    elif duty and not evidence.get("copies"):
        work.settle(act, "conflict", evidence, f"since the plan was made, {duty}: plan it again")
    else:
        _carry_out(work, act, entry, evidence)


def _is_done(work: _Work, act: Act, entry: Entry) -> bool:
    if act.act == REDACT and others_of(entry.document, work.records()) == entry.document.parents:
        return True
    return all(version.state is State.ERASED for version in entry.versions)


def _carry_out(work: _Work, act: Act, entry: Entry, evidence: dict[str, Any]) -> None:
    site = work.site
    holds = Holds.of(site)
    if ids := holds.covering(entry):
        work.settle(act, "held", evidence | {"holds": list(ids)}, holds.reason(ids).text)
        return
    evidence.pop("holds", None)
    if shape(site, entry) != act.body["shape"]:
        work.settle(act, "conflict", evidence, "its records or versions changed since the plan: plan it again")
        return
    try:
        if act.act == REDACT:
            evidence["crm"] = evidence.get("crm") or [detach(site, entry, work.records())]
        else:
            _clear(site, entry, act, evidence)
    except STOPPING:
        raise
    except Conflict as error:
        work.settle(act, "conflict", evidence, sentence(error))
    except OffloaderError as error:
        work.settle(act, "failed", evidence, sentence(error))
    else:
        _cleared(work, act, entry, evidence)


def _cleared(work: _Work, act: Act, entry: Entry, evidence: dict[str, Any]) -> None:
    if act.act == REDACT:
        work.off.append(_Ready(act, entry, evidence))
        return
    locked = [copy for copy in evidence["copies"] if not copy["gone"]]
    if locked:
        work.settle(
            act, "held", evidence, f"a lock keeps a copy in the store {locked[0]['store']}: {_until(locked[0])}"
        )
        return
    work.cleared.append(_Ready(act, entry, evidence))
    # kept now: after a crash the next run finds nothing there any more, and would not know when it went
    work.site.ledger.advance_acts(work.row.id, [ActStep(act.seq, "open", canonical(evidence))])


def _until(place: Mapping[str, Any]) -> str:
    if not place["left"]:
        return "it is still there after its deletion"
    left = place["left"][0]
    return f"{left['reason']}, until {left['until'] or 'nobody knows when'}"


def _clear(site: Site, entry: Entry, act: Act, evidence: dict[str, Any]) -> None:
    """Take everything away from the CRM and from the stores, noting in `evidence` what was done, as far as it got."""
    clear_crm(site, entry, act, evidence)
    known = {(copy["store"], copy["key"]): copy for copy in evidence.get("copies", ()) if copy["gone"]}
    evidence["copies"] = [known[place] for place in sorted(known)]
    for store, key in sorted({*places(site, entry), *(tuple(copy) for copy in act.body["copies"])} - set(known)):
        evidence["copies"].append(_erase_copy(site, entry.pk, store, key))


def _erase_copy(site: Site, pk: int, store: str, key: str) -> dict[str, Any]:
    if store not in site.stores:
        raise Refused(f"the store {store} holds a copy and is not configured any more")
    with site.ledger.alone(store, key, documents={pk}) as free:
        if free:
            return _erase_now(site, store, key)
    # equal bytes of another document: as long as that one stands they stay, and ours is only forgotten
    found = {"store": store, "key": key, "at": now_of(site), "versions": 0, "markers": 0, "left": []}
    others = sorted(site.ledger.documents_with(store, key) - {pk})
    return found | {"gone": True, "shared": True, "others": others[:NAMED], "sharers": len(others)}


def _erase_now(site: Site, store: str, key: str) -> dict[str, Any]:
    erased = site.stores[store].erase(key)
    return {
        "store": store,
        "key": key,
        "at": now_of(site),
        "versions": erased.versions,
        "markers": erased.markers,
        "left": [_lock(lock) for lock in erased.left],
        "gone": site.stores[store].size(key) is None,
    }


def _lock(lock: Lock) -> dict[str, Any]:
    return {"reason": lock.reason, "until": lock.until.isoformat() if lock.until else None}


def _forget(work: _Work) -> None:
    """Take the cleared documents out of the catalogs, bury them, and blank what the ledger says of them."""
    _erase_common(work)
    if not work.cleared:
        return
    site, ready = work.site, work.cleared
    names = {each.entry.document.ref for each in ready}
    marks: dict[DocumentRef, str] = {}

    def clean() -> list[dict[str, Any]]:
        found = _catalogs(site, names)
        marks.update(bury(site, sorted(names), ground=GROUND, plan=work.row.id))
        return found

    catalog = _out_of_catalogs(work, ready, clean)
    if catalog is None:
        return
    site.ledger.erase_documents(
        [
            Grave(each.act.body["document"], marks[each.entry.document.ref], KIND, "erased for its data subject")
            for each in ready
        ]
    )
    _done(work, ready, catalog, event="erased", told="copies")


def _redact(work: _Work) -> None:
    """Take the subject's records off what the catalogs and the ledger say of documents that stay for others."""
    if not work.off:
        return
    site, ready, records = work.site, work.off, work.records()
    entries = [each.entry for each in ready]
    now = {each.pk: replace(each.document, parents=others_of(each.document, records)) for each in entries}
    catalog = _out_of_catalogs(work, ready, lambda: _described_anew(site, entries, now, records))
    if catalog is None:
        return
    site.ledger.redact_documents(now)
    _done(work, ready, catalog, event="redacted", told="crm")


def _out_of_catalogs(
    work: _Work, ready: Sequence[_Ready], clean: Callable[[], list[dict[str, Any]]]
) -> list[dict[str, Any]] | None:
    """Do what takes documents out of the catalogs; the places, or None if something is in the way.

    What is in the way is then how each of the documents ended for now.
    """
    try:
        catalog = clean()
    except OffloaderError as error:
        for each in ready:
            work.settle(each.act, "failed", each.evidence, sentence(error))
        if isinstance(error, STOPPING):
            work.report.stop(error)
        return None
    locked = [place for place in catalog if not place["gone"]]
    for each in ready:
        each.evidence["catalog"] = catalog
        if locked:
            work.settle(each.act, "held", each.evidence, f"a lock keeps a line of the catalog: {_until(locked[0])}")
    return None if locked else catalog


def _done(work: _Work, ready: Sequence[_Ready], catalog: list[dict[str, Any]], *, event: str, told: str) -> None:
    """Write down that documents are through; the event tells the evidence that is called `told` of each."""
    steps = [ActStep(each.act.seq, "done", canonical(each.evidence)) for each in ready]
    documents = [{"mark": each.act.body["mark"], told: each.evidence[told]} for each in ready]
    ledger = work.site.ledger
    ledger.advance_acts(work.row.id, steps, event=event, data={"documents": documents, "catalog": catalog})
    ledger.compact()
    work.report.count("done", times=len(steps))


def _described_anew(
    site: Site, entries: Sequence[Entry], now: Mapping[int, Document], records: Collection[str]
) -> list[dict[str, Any]]:
    """Describe documents without the subject's records in the catalogs, then take the old lines out of them."""
    batch = [
        (
            now[entry.pk],
            entry.link or site.links.link(entry.document.ref),
            [(version.version, copy) for version in entry.versions for copy in version.copies],
        )
        for entry in entries
    ]
    write_segments(site.stores, batch)

    def telling(line: Mapping[str, Any]) -> bool:
        return any(f"{each['type']}:{each['id']}" in records for each in line.get("parents", ()))

    return _catalogs(site, {entry.document.ref for entry in entries}, telling)


def _erase_common(work: _Work) -> None:
    """Erase copies that only cleared documents share: while each was looked at, the others still held them."""
    site, pks = work.site, {each.act.body["document"] for each in work.cleared}
    for each in list(work.cleared):
        copies = each.evidence["copies"]
        for number, copy in enumerate(copies):
            if copy.get("shared"):
                copies[number] = _erase_last(site, copy, pks)
        locked = [copy for copy in copies if not copy["gone"]]
        if locked:
            work.cleared.remove(each)
            text = f"a lock keeps a copy in the store {locked[0]['store']}: {_until(locked[0])}"
            work.settle(each.act, "held", each.evidence, text)


def _erase_last(site: Site, copy: dict[str, Any], pks: Collection[int]) -> dict[str, Any]:
    """Erase a shared object that only these documents have; as it was, if another one has it."""
    with site.ledger.alone(copy["store"], copy["key"], documents=pks) as free:
        if not free:
            return copy
        try:
            return _erase_now(site, copy["store"], copy["key"])
        except OffloaderError as error:
            return copy | {"gone": False, "shared": False, "left": [{"reason": sentence(error), "until": None}]}


def _strip(work: _Work) -> None:
    """Take the subject's records out of the archives of purges, but for those that a hold keeps there."""
    if not work.archived or work.report.stopped is not None:
        return
    site = work.site
    try:
        subject = Subject.from_json(request_of(site, str(work.row.header.scope["request"])).subject)
        refs = {record_mark(site, trace.ref): trace.ref for trace in search_archives(site, subject) if trace.sure}
        held = HeldRecords(site)
        kept = {each: ids for each, ref in refs.items() if (ids := holds_on(held, ref))}
        going = {refs[act.body["mark"]] for act in work.archived if act.body["mark"] in refs.keys() - kept.keys()}
        segments = strip(site, subject.source, going) if going else []
    except OffloaderError as error:
        for act in work.archived:
            work.settle(act, "failed", evidence_of(act), sentence(error))
        return
    locked = [place for place in segments if not place["gone"]]
    for act in work.archived:
        evidence = {"segments": [*evidence_of(act).get("segments", ()), *segments]}
        if ids := kept.get(act.body["mark"], ()):
            work.settle(act, "held", {"holds": list(ids)}, f"legal hold {', '.join(ids)}")
        elif locked:
            work.settle(act, "held", evidence, f"a lock keeps a segment of the archive: {_until(locked[0])}")
        else:
            work.settle(act, "done", evidence)


def _catalogs(site: Site, names: set[DocumentRef], telling: Telling | None = None) -> list[dict[str, Any]]:
    """Rewrite every store's catalog without these documents; what was removed and what a lock keeps."""
    found: list[dict[str, Any]] = []
    for name, store in sorted(site.stores.items()):
        done = without(store, names.__contains__, telling=telling)
        now = now_of(site)
        found += [{"store": name, "key": key, "at": now, "gone": True, "left": []} for key in done.removed]
        found += [
            {
                "store": name,
                "key": key,
                "at": now,
                "gone": store.size(key) is None,
                "left": [_lock(lock) for lock in locks],
            }
            for key, locks in done.left
        ]
    return found


def _records_of(subject: Mapping[str, Any]) -> list[DocumentRef]:
    named = (name.partition(":") for name in subject.get("records", ()))
    return [DocumentRef(subject["source"], type_, id_) for type_, _, id_ in named]


def _close_request(work: _Work) -> None:
    """Say in the request how far it has come; a plan that something keeps is not done."""
    site, states = work.site, work.report.states
    if work.report.stopped is None and (states["held"] or states["failed"]):
        waiting = states["held"] + states["failed"]
        why = work.report.examples.get("failed") or work.report.examples["held"]
        text = f"{waiting} documents stay for now: {why}. Apply the plan again when that has ended"
        work.report.stop(Permanent(text) if states["failed"] else Refused(text, rule="held"))
    name = work.row.header.scope.get("request")
    if not isinstance(name, str):
        return
    request = request_of(site, name)
    if request.state not in ("open", "held"):
        return
    tally = site.ledger.act_tally(work.row.id)
    undone = [act for (act, state), count in tally.items() if count and state != "done" and act != "keep"]
    state = "held" if states["held"] else "open" if undone else "done"
    if states["done"]:
        # a purge's bin or archive must not bring the subject's own records back, even while a document still waits
        bury(site, _records_of(request.subject), ground=GROUND, plan=work.row.id)
    closed: dict[str, Any] = {"subject": {}} if state == "done" else {}
    today = site.context.now().date().isoformat()
    detail = {**request.detail, "answered": today} if state == "done" else request.detail
    site.ledger.save_request(replace(request, state=state, detail=detail, plan=work.row.id, **closed))
    work.report.data["request"] = {"id": name, "state": state, "due": request.due.isoformat()}
    work.report.lines.append(
        f"Request {name} is {state}, due {request.due}. "
        f"Certificate: offloader erase certificate {work.row.id} --out DIR"
    )
