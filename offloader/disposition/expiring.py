"""Carrying out an expiry: link, copies, catalog, tombstone, ledger, in this order.

Each document is judged again just before, by the CRM's dates, the policy, the holds and the locks of that moment. The
ledger forgets a document last: killed before that, the next time does the same again and ends the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from offloader.disposition.acts import Report, acts_of, begin, finish, interrupted, opened
from offloader.disposition.deletions import recheck
from offloader.disposition.due import Fate
from offloader.disposition.erasure import check_caps, places
from offloader.disposition.expiry import ERASE, KIND, PAGE, Given, hard_lock, is_moved, until
from offloader.disposition.segments import without
from offloader.disposition.terms import follow
from offloader.disposition.tombstones import bury
from offloader.errors import AuthError, Exhausted, Interrupted, OffloaderError, Refused
from offloader.ledger import Entry, PlanRow
from offloader.ledger.disposing import Act, ActStep
from offloader.ledger.erasing import Grave
from offloader.model import DocumentRef, State
from offloader.moves.holding import Holds
from offloader.moves.report import sentence
from offloader.moves.site import Site
from offloader.ports import LinkRequest, Status

#: acts that are tried again when a plan that was stopped is applied again
_AGAIN = frozenset({"open", "held", "failed"})
_STOPPING = (AuthError, Exhausted, Interrupted)


@dataclass(slots=True)
class _Work:
    site: Site
    row: PlanRow
    report: Report
    steps: list[ActStep] = field(default_factory=list)
    #: documents of which the CRM and the stores have nothing more, but for the catalogs
    cleared: list[tuple[Act, Entry]] = field(default_factory=list)

    def settle(self, act: Act, state: str, reason: str = "") -> None:
        self.steps.append(ActStep(act.seq, state, reason))
        self.report.count(state, reason)


def apply_expiry(site: Site, plan_id: str, lines: Iterable[bytes] | None = None) -> Report:
    """Carry out a sealed plan of expiry, or what is left of it. Raises as `acts.opened` does: nothing is done then."""
    row = opened(site, plan_id, KIND, lines)
    check_caps(site, row)
    begin(site, row)
    started = site.context.monotonic()
    work = _Work(site, row, Report(row.id, KIND))
    deleted = {each.document: each for each in recheck(site, row.header.sources)}
    for page in acts_of(site, row.id, _AGAIN):
        for start in range(0, len(page), PAGE):
            if work.report.stopped is None:
                _page(work, page[start : start + PAGE], Given.now(site, deleted))
    work.report.seconds = site.context.monotonic() - started
    return finish(site, work.report)


def _page(work: _Work, acts: Sequence[Act], given: Given) -> None:
    """Take these documents away as far as they may be, then forget those of which nothing is left."""
    entries = {entry.pk: entry for entry in work.site.ledger.entries_by_pk([act.body["document"] for act in acts])}
    try:
        wanted = [entries[act.body["document"]] for act in acts if act.act == ERASE]
        entries |= follow(work.site, [entry for entry in wanted if is_moved(entry)], given.targets)
        for act in acts:
            interrupted(work.site)
            _one(work, act, entries[act.body["document"]], given)
    except _STOPPING as error:
        work.report.stop(error)
    _forget(work)
    work.site.ledger.advance_acts(work.row.id, work.steps)
    work.steps.clear()


def _one(work: _Work, act: Act, entry: Entry, given: Given) -> None:
    if act.act != ERASE:
        work.settle(act, "skipped", str(act.body["why"]))
    elif {version.state for version in entry.versions} == {State.ERASED}:
        work.settle(act, "done")
    elif (stays := _stays(work, act, entry, given)) is not None:
        work.settle(act, *stays)
    else:
        try:
            _clear(work, entry, given)
        except _STOPPING:
            raise
        except OffloaderError as error:
            work.settle(act, "failed", sentence(error))
        else:
            work.cleared.append((act, entry))


def _stays(work: _Work, act: Act, entry: Entry, given: Given) -> tuple[str, str] | None:
    """The state and the reason of a document that is not to go now after all; None if it is."""
    if not is_moved(entry):
        return "conflict", "it is in the CRM again since the plan was made"
    found = given.due(entry, given.decision(entry))
    if found is None or found.fate is not Fate.ERASE:
        return "conflict", "by what the CRM says now its time is not up" if found is None else found.why
    holds = Holds.of(work.site)
    if ids := holds.covering(entry):
        return "held", holds.reason(ids).text
    copies = sorted({*places(work.site, entry)})
    if [list(copy) for copy in copies] != act.body["copies"]:
        return "conflict", "its copies are others than when the plan was made"
    missing = next((store for store, _ in copies if store not in work.site.stores), None)
    if missing is not None:
        return "failed", f"the store {missing} holds a copy and is not configured any more"
    lock = hard_lock(given, entry, copies, {cleared.pk for _, cleared in work.cleared})
    return None if lock is None else ("held", until(lock))


def _clear(work: _Work, entry: Entry, given: Given) -> None:
    """Take the link and every copy away. Raises what the source and the stores raise."""
    site, going = work.site, {entry.pk, *(cleared.pk for _, cleared in work.cleared)}
    _unlink(site, entry)
    for store, key in places(site, entry):
        # equal bytes of a document that stays are its bytes too; the last one that goes takes them along
        with site.ledger.alone(store, key, documents=going) as free:
            if not free:
                continue
            erased = site.stores[store].erase(key, bypass=given.ends(entry).bypass_governance)
            if erased.left and site.stores[store].size(key) is not None:
                raise Refused(f"a copy in the store {store} stays: {until(erased.left[0])}", rule="lock")


def _unlink(site: Site, entry: Entry) -> None:
    assert entry.link is not None
    request = LinkRequest(document=entry.document, link=entry.link, link_ref=entry.link_ref)
    outcome = site.sources[entry.document.ref.source].unlink([request])[0]
    if outcome.status not in (Status.DONE, Status.GONE):
        raise Refused(f"its link could not be taken away: {outcome.reason or outcome.status}")


def _forget(work: _Work) -> None:
    """Take the cleared documents out of the catalogs, bury them, and blank what the ledger says of them."""
    cleared, work.cleared = work.cleared, []
    if not cleared:
        return
    refs = {entry.document.ref for _, entry in cleared}
    try:
        marks: dict[DocumentRef, str] = {}
        for ground, some in _by_ground(cleared):
            marks |= bury(work.site, sorted(some), ground=ground, plan=work.row.id)
        _rewrite_catalogs(work, refs)
    except OffloaderError as error:
        for act, _ in cleared:
            work.settle(act, "failed", sentence(error))
        if isinstance(error, _STOPPING):
            work.report.stop(error)
        return
    graves = [Grave(entry.pk, marks[entry.document.ref], _rule(act), "its time was up") for act, entry in cleared]
    work.site.ledger.erase_documents(graves)
    for act, _ in cleared:
        work.settle(act, "done")


def _rewrite_catalogs(work: _Work, refs: Iterable[DocumentRef]) -> None:
    gone = frozenset(refs)
    for name, store in sorted(work.site.stores.items()):
        for key, locks in without(store, gone.__contains__).left:
            if store.size(key) is not None:
                work.report.lines.append(
                    f"{key} in the store {name} still describes erased documents: {until(locks[0])}"
                )


def _by_ground(cleared: Sequence[tuple[Act, Entry]]) -> Iterator[tuple[str, list[DocumentRef]]]:
    grounds: dict[str, list[DocumentRef]] = {}
    for act, entry in cleared:
        grounds.setdefault(_rule(act), []).append(entry.document.ref)
    yield from grounds.items()


def _rule(act: Act) -> str:
    """Ground and duties, for the tombstone and the event."""
    return " ".join([f"expiry:{act.body['ground']}", *map(str, act.body["rules"])])
