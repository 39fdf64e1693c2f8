"""Read: worker threads that fetch bodies from a source and hand them to a store, retrying what may succeed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field

from offloader.errors import Gone, IntegrityError, OffloaderError, StoreFull, Transient
from offloader.ledger import Copy
from offloader.moves.copying import SMALL, CopyTask, buffer, existing_copy, put_small, put_stream
from offloader.moves.site import Site
from offloader.ports import Delivery, Source

MAX_WAIT = 60.0


@dataclass(frozen=True, slots=True)
class Copied:
    """The end of one copy task: exactly one of `copy` and `error` is set. `reused`: nothing was downloaded."""

    task: CopyTask
    copy: Copy | None = None
    error: OffloaderError | None = None
    reused: bool = False


@dataclass(slots=True)
class Group:
    """Versions of one kind of one source that are to be read in one call, each with the copy that the ledger knows."""

    most: int
    most_bytes: int | None
    tasks: list[tuple[CopyTask, Copy | None]] = field(default_factory=list)
    bytes: int = 0

    def takes(self, task: CopyTask) -> bool:
        """Whether there is room; a version too large for any group goes alone."""
        if not self.tasks:
            return True
        too_large = self.most_bytes is not None and self.bytes + (task.version.size or 0) > self.most_bytes
        return len(self.tasks) < self.most and not too_large

    def add(self, task: CopyTask, known: Copy | None) -> None:
        self.tasks.append((task, known))
        self.bytes += task.version.size or 0

    def empty(self) -> list[tuple[CopyTask, Copy | None]]:
        """Return the tasks, and begin anew."""
        tasks, self.tasks, self.bytes = self.tasks, [], 0
        return tasks


class Reader:
    """Copies groups of versions of one source. Called from worker threads; every task ends in one `done`."""

    def __init__(
        self, site: Site, source: Source, done: Callable[[Copied], None], storers: Executor, *, suspect: bool
    ) -> None:
        self._site = site
        self._source = source
        self._done = done
        #: store the bodies of one delivery side by side: each waits for its store, not for the ones before it
        self._storers = storers
        #: an earlier run broke off: look in the store before reading from the CRM
        self._suspect = suspect

    def copy(self, tasks: Sequence[tuple[CopyTask, Copy | None]]) -> None:
        """Copy the versions; `tasks` pairs each with the copy that the ledger knows, if any."""
        try:
            waiting = [task for task, known in tasks if not self._reuse(task, known)]
            for attempt in range(self._site.pace.attempts):
                if not waiting:
                    return
                waiting = self._attempt(waiting, last=attempt + 1 == self._site.pace.attempts, attempt=attempt)
        except OffloaderError as error:
            self._fail(tasks, error)
        except Exception as error:  # noqa: BLE001 - the worker's top: one bad document must not end the others
            self._fail(tasks, OffloaderError(f"unexpected {error.__class__.__name__} while copying: {error}"))

    def _fail(self, tasks: Sequence[tuple[CopyTask, Copy | None]], error: OffloaderError) -> None:
        for task, _ in tasks:
            self._done(Copied(task, error=error))

    def _reuse(self, task: CopyTask, known: Copy | None) -> bool:
        if known is None and not self._suspect:
            return False
        copy = existing_copy(self._site.stores[task.store], task, known, self._site)
        if copy is not None:
            self._done(Copied(task, copy, reused=True))
        return copy is not None

    def _attempt(self, tasks: Sequence[CopyTask], *, last: bool, attempt: int) -> list[CopyTask]:
        """Read all once; what failed for a passing reason is returned, unless this was the last attempt."""
        waiting = {task.document.version_ref(task.version): task for task in tasks}
        trouble: list[tuple[CopyTask, OffloaderError]] = []
        held: list[tuple[CopyTask, bytes]] = []
        try:
            # Small bodies are only stored once the delivery is over: the source's slot is free by then.
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
        held: list[tuple[CopyTask, bytes]],
        trouble: list[tuple[CopyTask, OffloaderError]],
    ) -> None:
        """Receive one delivery and sort it: done, held for the store, or to be tried again."""
        try:
            data = self._receive(task, delivery)
        except (Transient, IntegrityError) as error:
            trouble.append((task, error))
        except OffloaderError as error:
            self._done(Copied(task, error=error))
        else:
            if data is not None:
                held.append((task, data))

    def _receive(self, task: CopyTask, delivery: Delivery) -> bytes | None:
        """Take one delivery: return a small body, or stream a large one to its store and return None."""
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
        self._done(Copied(task, put_stream(store, task, chunks, self._site)))
        return None

    def _store_all(self, held: list[tuple[CopyTask, bytes]]) -> None:
        """Store bodies, and forget each as soon as it is stored."""
        if len(held) == 1:
            self._store(*held.pop())
            return
        storing = []
        while held:
            storing.append(self._storers.submit(self._store, *held.pop()))
        for each in storing:
            each.result()

    def _store(self, task: CopyTask, data: bytes) -> None:
        store = self._site.stores[task.store]
        try:
            copy = put_small(store, task, data, self._site)
        except IntegrityError as error:
            # What arrived is not what the CRM describes: one more read, so that a flipped bit is not the end.
            self._read_again(task, error)
        except OffloaderError as error:
            self._done(Copied(task, error=error))
        else:
            self._done(Copied(task, copy))

    def _read_again(self, task: CopyTask, first: IntegrityError) -> None:
        for delivery in self._source.read([task.document.version_ref(task.version)]):
            try:
                data = self._receive(task, delivery)
                if data is not None:
                    copy = put_small(self._site.stores[task.store], task, data, self._site)
                    self._done(Copied(task, copy))
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
