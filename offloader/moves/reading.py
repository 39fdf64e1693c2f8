"""Read: worker threads that fetch bodies from a source and hand them to a store, retrying what may succeed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field

from offloader.errors import Gone, IntegrityError, OffloaderError, StoreFull, Transient
from offloader.ledger import Copy
from offloader.moves.copying import SMALL, CopyTask, buffer, duplicate, existing_copy, put_small, put_stream
from offloader.moves.sharing import Sharing
from offloader.moves.site import Site
from offloader.ports import Delivery, Source

MAX_WAIT = 60.0


@dataclass(frozen=True, slots=True)
class Copied:
    """The end of one copy task: all its copies, or the `error` that the store (or the source) `where` gave.

    With an error, `copy` and `further` are what is verified nevertheless. `reused`: nothing was downloaded.
    """

    task: CopyTask
    copy: Copy | None = None
    error: OffloaderError | None = None
    reused: bool = False
    further: tuple[Copy, ...] = ()
    where: str = ""


@dataclass(slots=True)
class Group:
    """Versions of one kind of one source that are to be read in one call."""

    most: int
    most_bytes: int | None
    tasks: list[CopyTask] = field(default_factory=list)
    bytes: int = 0

    def takes(self, task: CopyTask) -> bool:
        """Whether there is room; a version too large for any group goes alone."""
        if not self.tasks:
            return True
        too_large = self.most_bytes is not None and self.bytes + (task.version.size or 0) > self.most_bytes
        return len(self.tasks) < self.most and not too_large

    def add(self, task: CopyTask) -> None:
        self.tasks.append(task)
        self.bytes += task.version.size or 0

    def empty(self) -> list[CopyTask]:
        """Return the tasks, and begin anew."""
        tasks, self.tasks, self.bytes = self.tasks, [], 0
        return tasks


class Reader:
    """Copies groups of versions of one source. Called from worker threads; every task ends in one `done`."""

    def __init__(
        self,
        site: Site,
        source: Source,
        done: Callable[[Copied], None],
        storers: Executor,
        sharing: Sharing,
        *,
        suspect: bool,
    ) -> None:
        self._site = site
        self._sharing = sharing
        self._source = source
        self._done = done
        #: store the bodies of one delivery side by side: each waits for its store, not for the ones before it
        self._storers = storers
        #: an earlier run broke off: look in the store before reading from the CRM
        self._suspect = suspect

    def copy(self, tasks: Sequence[CopyTask]) -> None:
        """Copy the versions, each to all its stores."""
        try:
            waiting = [task for task in tasks if not self._reuse(task)]
            for attempt in range(self._site.pace.attempts):
                if not waiting:
                    return
                waiting = self._attempt(waiting, last=attempt + 1 == self._site.pace.attempts, attempt=attempt)
        except OffloaderError as error:
            self._fail(tasks, error)
        except Exception as error:  # noqa: BLE001 - the worker's top: one bad document must not end the others
            self._fail(tasks, OffloaderError(f"unexpected {error.__class__.__name__} while copying: {error}"))

    def _fail(self, tasks: Sequence[CopyTask], error: OffloaderError) -> None:
        for task in tasks:
            self._done(Copied(task, error=error))

    def _reuse(self, task: CopyTask) -> bool:
        if task.known_in(task.store) is None and not self._suspect:
            return False
        copy = existing_copy(self._site.stores[task.store], task, self._site, self._sharing)
        if copy is not None:
            self._finish(task, copy, reused=True)
        return copy is not None

    def _finish(self, task: CopyTask, copy: Copy, data: bytes | None = None, *, reused: bool = False) -> None:
        """Make the further copies of one that is verified, and answer."""
        made: list[Copy] = []
        for name in task.further:
            try:
                made.append(self._further(task, copy, name, data))
            except OffloaderError as error:
                self._done(Copied(task, copy, error, reused, tuple(made), name))
                return
        self._done(Copied(task, copy, reused=reused, further=tuple(made)))

    def _further(self, task: CopyTask, copy: Copy, name: str, data: bytes | None) -> Copy:
        for attempt in range(self._site.pace.attempts):
            try:
                look = self._suspect or attempt > 0
                return duplicate(self._site, task, copy, name, self._sharing, data=data, look=look)
            except Transient as error:
                if attempt + 1 == self._site.pace.attempts:
                    raise
                self._site.context.sleep(_wait(error, attempt, self._site))
        raise AssertionError("there is at least one attempt")

    def _attempt(self, tasks: Sequence[CopyTask], *, last: bool, attempt: int) -> list[CopyTask]:
        """Read all once; what failed for a passing reason is returned, unless this was the last attempt."""
        waiting = {task.document.version_ref(task.version): task for task in tasks}
        trouble: list[tuple[CopyTask, OffloaderError]] = []
        held: list[tuple[CopyTask, bytes | Copy]] = []
        try:
            # Small bodies are only stored once the delivery is over: the source's slot is free by then.
            # So are further copies of large ones made only then.
            for delivery in self._source.read(list(waiting)):
                self._take(waiting.pop(delivery.ref), delivery, held, trouble)
        except Transient as passing:
            trouble.extend((task, passing) for task in waiting.values())
            waiting.clear()
        self._store_all(held)
        for task in waiting.values():
            self._done(Copied(task, error=Gone(f"{task.what}: the source did not deliver it")))
        if last:
            for task, failure in trouble:
                self._done(Copied(task, error=failure))
            return []
        if trouble:
            self._site.context.sleep(max(_wait(failure, attempt, self._site) for _, failure in trouble))
        return [task for task, _ in trouble]

    def _take(
        self,
        task: CopyTask,
        delivery: Delivery,
        held: list[tuple[CopyTask, bytes | Copy]],
        trouble: list[tuple[CopyTask, OffloaderError]],
    ) -> None:
        """Receive one delivery and sort it: done, held for the store, or to be tried again."""
        try:
            got = self._receive(task, delivery)
        except (Transient, IntegrityError) as error:
            trouble.append((task, error))
        except OffloaderError as error:
            self._done(Copied(task, error=error))
        else:
            if isinstance(got, Copy) and not task.further:
                self._finish(task, got)
            else:
                held.append((task, got))

    def _receive(self, task: CopyTask, delivery: Delivery) -> bytes | Copy:
        """Take one delivery: return a small body, or stream a large one to its store and return the copy."""
        if delivery.error is not None or delivery.chunks is None:
            raise delivery.error or Gone(f"{task.what}: the source did not deliver it")
        store = self._site.stores[task.store]
        size = task.version.size
        if size is None or size <= SMALL:
            data, whole = buffer(delivery.chunks, SMALL)
            if whole:
                return data
            chunks = _chain(data, delivery)
        else:
            chunks = delivery.chunks
        return put_stream(store, task, chunks, self._site, self._sharing)

    def _store_all(self, held: list[tuple[CopyTask, bytes | Copy]]) -> None:
        """Store bodies, and forget each as soon as it is stored."""
        if len(held) == 1:
            self._store(*held.pop())
            return
        storing = []
        while held:
            storing.append(self._storers.submit(self._store, *held.pop()))
        for each in storing:
            each.result()

    def _store(self, task: CopyTask, got: bytes | Copy) -> None:
        try:
            self._place(task, got)
        except IntegrityError as error:
            # What arrived is not what the CRM describes: one more read, so that a flipped bit is not the end.
            self._read_again(task, error)
        except OffloaderError as error:
            self._done(Copied(task, error=error))

    def _place(self, task: CopyTask, got: bytes | Copy) -> None:
        """Store a body that is held in memory, unless it is stored, and make its further copies."""
        if isinstance(got, Copy):
            self._finish(task, got)
        else:
            copy = put_small(self._site.stores[task.store], task, got, self._site, self._sharing)
            self._finish(task, copy, got)

    def _read_again(self, task: CopyTask, first: IntegrityError) -> None:
        for delivery in self._source.read([task.document.version_ref(task.version)]):
            try:
                self._place(task, self._receive(task, delivery))
            except OffloaderError as error:
                self._done(Copied(task, error=error if isinstance(error, StoreFull) else first))
            return
        self._done(Copied(task, error=first))


def _chain(data: bytes, delivery: Delivery) -> Iterator[bytes]:
    yield data
    assert delivery.chunks is not None
    yield from delivery.chunks


def _wait(error: OffloaderError, attempt: int, site: Site) -> float:
    asked = getattr(error, "retry_after", None)
    backoff = (0.5 * 2**attempt) * (0.5 + site.context.random())
    return float(min(MAX_WAIT, max(backoff, asked.total_seconds() if asked else 0.0)))
