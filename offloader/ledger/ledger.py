"""The database of record: everything a `Reader` answers, and the writes, each durable when it returns."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from sqlalchemy import Engine, delete, insert
from sqlalchemy.engine import Connection

from offloader.errors import Refused
from offloader.holds import Hold
from offloader.ledger import (
    approving,
    checkpointing,
    codec,
    disposing,
    erasing,
    expiring,
    holding,
    moving,
    placing,
    planning,
    reporting,
)
from offloader.ledger.checkpointing import CheckpointRow
from offloader.ledger.journal import Journal
from offloader.ledger.lock import Lock
from offloader.ledger.pins import Pins
from offloader.ledger.reading import Reader
from offloader.ledger.scanning import Prepared, Recorder, prepare
from offloader.ledger.schema import meta
from offloader.ledger.sqlite import compact
from offloader.ledger.values import Approval, Copy, PlanHeader, PlanItem, RecordedPage, Step
from offloader.ledger.writer import Writer
from offloader.model import Document, DocumentRef
from offloader.ports import Page

T = TypeVar("T")


class Ledger(Reader):
    """A ledger, open until `close`; made by `open_ledger`. Safe to use from several threads.

    Every write blocks until it is on the disk, alone or in one commit with other threads' writes, and is all or
    nothing. Each raises Refused when the ledger was opened for reading only, and StoreFull, Permanent or
    Transient, naming the ledger, when the database cannot go on.
    """

    def __init__(self, readers: Engine, path: Path, journal: Journal, held: tuple[Writer, Lock] | None) -> None:
        super().__init__(readers, path)
        self._journal = journal
        self._held = held
        #: stored objects that copies under way in this process rest on
        self.pins = Pins()

    @property
    def clock_warning(self) -> str | None:
        """A sentence if the clock was found to be more than an hour behind the newest event, else None."""
        behind = self._journal.behind
        if behind is None:
            return None
        return (
            f"the clock is {behind} behind the newest event of the ledger {self.path}; "
            "until it has caught up, events get the newest event's time"
        )

    def record_page(self, source: str, kind: str, page: Page, *, since: str | None) -> RecordedPage:
        """Write down a page of a scan, and how far the scan has come, in one transaction.

        New versions begin as `seen`. A known version whose size, checksum or etag changed, or whose document has
        other parents, title, owner or skip than before, is `seen` again, to be decided afresh; its copies are
        forgotten (but for `knows_key`) unless the CRM vouches for the same bytes. Versions whose originals we
        removed stay as they are. The same page again changes nothing but the time of the scan.
        Raises Permanent if the page holds documents of another source or kind.
        """
        prepared = prepare(source, kind, page)
        return self._write(lambda c, j: Recorder(c, j, source, kind).record(page, prepared, since))

    def record_documents(self, source: str, kind: str, documents: Sequence[Document]) -> None:
        """Write down documents that were read outside of a scan, as `record_page` does; no scan comes further by it.

        Raises Permanent if they are of another source or kind.
        """
        prepared = prepare(source, kind, Page(documents=tuple(documents)))
        self._write(lambda c, j: Recorder(c, j, source, kind).note(prepared))

    def mark_deleted(self, refs: Sequence[DocumentRef]) -> None:
        """Note that the CRM no longer has these documents of one kind. One that a scan shows again is alive again."""
        if refs:
            first = refs[0]
            self._write(lambda c, j: Recorder(c, j, first.source, first.kind).mark_deleted(refs))

    def advance(self, steps: Sequence[Step], *, links: moving.Links = ()) -> None:
        """Make these transitions in order, and set these documents' links; all or nothing.

        `links`: document pk, link, link_ref. Raises Refused naming the version if the database refuses a
        transition, Permanent if a pk is unknown or a link's id stands for another document.
        """
        self._write(moving.advance(steps, links))

    def place_copies(
        self,
        placed: Sequence[tuple[int, Copy]],
        *,
        rules: Mapping[int, str] | None = None,
        event: str = "rehomed",
    ) -> None:
        """Add verified copies to versions (pks) whatever their state, each with an event; all or nothing.

        One in a store that has one of the version already takes its place. `rules`: by version, the rule that caused
        it. Raises Permanent if a pk is unknown.
        """
        self._write(placing.place(placed, rules or {}, event))

    @contextmanager
    def alone(
        self,
        store: str,
        key: str,
        *,
        documents: Collection[int] = (),
        versions: Collection[int] = (),
        keeping: int = 0,
    ) -> Iterator[bool]:
        """Whether nothing but these documents and versions (pks) has a stored object, or is about to have it.

        Only then may the object be removed, inside the block: while it runs, no copy under way begins to rest on it.
        `keeping`: how many pins on it are the caller's own.
        """

        def referenced() -> bool:
            return self.referenced(store, key, documents=documents, versions=versions)

        with self.pins.removing(store, key, referenced, keeping) as free:
            yield free

    def forget_copies(self, versions: Sequence[int], *, store: str | None = None) -> None:
        """Note that the copies of these versions (pks) were deleted in their stores, or in this one."""
        self._write(moving.forget_copies(versions, store))

    def replace_document(self, pk: int, document: Document) -> None:
        """Make the document `pk` this one, which stands in the CRM after a restore, perhaps under new ids.

        Versions keep their states, copies and history by their order, oldest first; the old reference leads
        here as well. Raises Conflict if the new reference is a document of its own with copies or a link.
        """
        self._write(moving.replace_document(pk, Prepared.of(document)))

    def create_plan(self, header: PlanHeader) -> str:
        """Make an open plan; its id is the day's date and a number, as in P-20261122-0001."""
        return self._write(planning.create(header))

    def add_plan_items(self, plan_id: str, items: Sequence[PlanItem]) -> list[str]:
        """Append items to an open plan, and return each as it is kept: canonical JSON, a line of the plan.

        Raises Refused if the plan is sealed, Permanent if unknown.
        """
        lines = [codec.item_text(item) for item in items]
        self._write(planning.add_items(plan_id, items, lines))
        return lines

    def add_acts(self, plan_id: str, acts: Sequence[disposing.Act]) -> list[str]:
        """Append acts to an open plan, and return each as it is kept: canonical JSON in ASCII, a line of the plan.

        Raises Refused if the plan is sealed, Permanent if unknown.
        """
        lines = [disposing.line(act) for act in acts]
        self._write(disposing.add(plan_id, acts, lines))
        return lines

    def advance_acts(
        self,
        plan_id: str,
        steps: Sequence[disposing.ActStep],
        *,
        event: str | None = None,
        data: Mapping[str, Any] | None = None,
    ) -> None:
        """Set acts' states and details, and write one event about them, if any; all or nothing."""
        self._write(disposing.advance(plan_id, steps, event, data))

    def erase_documents(self, graves: Sequence[erasing.Grave]) -> None:
        """Take names, ids, records, links and copies from these documents, whose content is gone everywhere.

        Their versions become `erased`. Raises Permanent for an unknown number. Once more changes nothing.
        """
        self._write(erasing.erase(graves))

    def redact_documents(self, changed: Mapping[int, Document]) -> None:
        """Make each of these documents (by number) this one, which hangs on fewer records than before.

        Raises Permanent for an unknown number.
        """
        self._write(erasing.redact(changed))

    def compact(self) -> None:
        """Write the file anew, so that nothing of what was erased can be read in it any more."""
        if self._held is None:
            raise Refused(f"the ledger {self.path} is not open for writing", rule="read-only")
        compact(self.path)

    def bury(self, stones: Sequence[erasing.Tombstone]) -> int:
        """Keep these tombstones; says how many were not there before."""
        return self._write(erasing.bury(stones)) if stones else 0

    def refresh_signals(self, documents: Mapping[int, Document]) -> None:
        """Give the parents of these documents, by number, the signals that they have now; nothing else changes."""
        if documents:
            self._write(expiring.refresh_signals(documents))

    def wait_for_deletions(self, waiting: Sequence[expiring.Waiting]) -> None:
        """Note documents that were certainly deleted in the CRM and wait for their time; known ones keep their days."""
        if waiting:
            self._write(expiring.wait(waiting))

    def cancel_deletions(self, pks: Sequence[int], *, reason: str) -> None:
        """Forget that these documents were deleted: they are there again."""
        if pks:
            self._write(expiring.cancel(pks, reason))

    def save_request(self, row: erasing.RequestRow) -> str:
        """Write down a data subject's request as it stands now, and return its id; one without an id is new."""
        return self._write(erasing.save_request(row))

    def approve(self, approval: Approval) -> None:
        """Keep what a person said about a plan, with an event. Raises Permanent if the plan is unknown."""
        self._write(approving.add(approval))

    def seal_plan(self, plan_id: str, *, sha256: str, totals: Mapping[str, Any]) -> None:
        """Freeze an open plan: neither its items nor its header change after this. Raises like add_plan_items."""
        self._write(planning.seal(plan_id, sha256, totals))

    def drop_plan(self, plan_id: str) -> None:
        """Give up a plan of acts that is still open: it is superseded, and has none. Raises like add_plan_items."""
        self._write(planning.drop(plan_id))

    def set_plan_status(self, plan_id: str, status: str) -> None:
        """Set the status. Raises Refused for `open`, and for what needs a seal that is not there."""
        self._write(planning.set_status(plan_id, status))

    def record_report(self, report: reporting.ReportRow) -> None:
        """Note a report that was written. Raises Permanent if its id is taken."""
        self._write(reporting.record(report))

    def set_meta(self, key: str, value: str) -> None:
        """Keep a value under a key, over an earlier one."""

        def job(connection: Connection, _journal: Journal) -> None:
            connection.execute(delete(meta).where(meta.c.key == key))
            connection.execute(insert(meta).values(key=key, value=value))

        self._write(job)

    def record_event(
        self, type: str, *, document: int | None = None, version: int | None = None, data: Mapping[str, Any]
    ) -> None:
        """Append an event of the caller's own to the log. `data` is JSON-able."""
        self._write(lambda _c, journal: journal.add(type, document=document, version=version, data=data))

    def note_holds(self) -> None:
        """Write the events of holds and releases that were added beside the log's writer. Does nothing if read only."""
        if self._held is not None and self.unnoted_holds():
            self._write(holding.note)

    def put_back_holds(self, found: Sequence[Hold]) -> None:
        """Write down holds that were read back from stores, with their releases. `note_holds` writes their events."""
        if found:
            self._write(holding.put_back(found))

    def add_checkpoint(self, row: CheckpointRow, edge: str) -> None:
        """Write down a checkpoint of the event log, and the Merkle tree's right edge (JSON) at it."""
        self._write(checkpointing.add(row, edge))

    def set_checkpoint_stores(self, size: int, stores: Mapping[str, str]) -> None:
        """Note which stores hold a copy of the checkpoint over so many events, and under which key."""
        self._write(checkpointing.set_stores(size, stores))

    @property
    def writable(self) -> bool:
        """Whether this was opened for writing."""
        return self._held is not None

    def close(self) -> None:
        """Finish the writes under way, and let the next offloader in."""
        if self._held is not None:
            writer, lock = self._held
            writer.close()
            lock.release()
            self._held = None
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, type_: type[BaseException] | None, error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        self.close()

    def _write(self, job: Callable[[Connection, Journal], T]) -> T:
        if self._held is None:
            raise Refused(f"the ledger {self.path} is not open for writing", rule="read-only")
        return self._held[0].run(job)
