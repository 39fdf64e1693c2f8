"""The one thread that writes: jobs of many threads, one durable commit for all that are waiting."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from copy import copy
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError, IntegrityError

from offloader.errors import OffloaderError, Permanent, Transient
from offloader.ledger.journal import Journal, Mark
from offloader.ledger.sqlite import translate

T = TypeVar("T")
Job = Callable[[Connection, Journal], T]
#: most jobs that share a commit
_GROUP = 256


class Writer:
    """Runs jobs one after the other and answers when they are durable.

    A job that raises takes back only itself. After an error of the database itself nothing is written any more:
    what it left behind is not known until the ledger is opened again.
    """

    def __init__(self, connection: Connection, journal: Journal, path: Path) -> None:
        self._path = path
        self._connection = connection
        self.journal = journal
        self._queue: SimpleQueue[tuple[Job[Any], Future[Any]] | None] = SimpleQueue()
        self._gate = threading.Lock()
        self._closed = False
        self._broken: OffloaderError | None = None
        self._thread = threading.Thread(target=self._work, name="ledger-writer", daemon=True)
        self._thread.start()

    def run(self, job: Job[T]) -> T:
        """Run the job, and return its answer once it is durable. Raises what the job raises.

        Raises StoreFull, Permanent or Transient, naming the ledger, if the database cannot go on.
        """
        future: Future[T] = Future()
        with self._gate:
            if self._closed:
                raise Permanent(f"the ledger {self._path} is closed")
            self._queue.put((job, future))
        return future.result()

    def close(self) -> None:
        """Finish what is waiting, then end the thread."""
        with self._gate:
            if self._closed:
                return
            self._closed = True
            self._queue.put(None)
        self._thread.join()
        self._connection.close()

    def _work(self) -> None:
        while (item := self._queue.get()) is not None:
            done: list[tuple[Future[Any], Any]] = []
            taken = [item[1]]
            mark = self.journal.mark()
            try:
                if self._broken is not None:
                    raise copy(self._broken)
                with self._connection.begin():
                    last = self._group(item, taken, done)
            except Exception as error:  # noqa: BLE001 - the thread must live, and each waiting caller must hear of it
                self.journal.rewind(mark)
                self._fail(taken, error)
                continue
            for future, answer in done:
                future.set_result(answer)
            if last:
                return

    def _group(
        self, item: tuple[Job[Any], Future[Any]], taken: list[Future[Any]], done: list[tuple[Future[Any], Any]]
    ) -> bool:
        """Run this job and those that are waiting behind it; true if the end of the queue was met."""
        while True:
            job, future = item
            self._one(job, future, done)
            if len(taken) >= _GROUP:
                return False
            try:
                following = self._queue.get_nowait()
            except Empty:
                return False
            if following is None:
                return True
            item = following
            taken.append(item[1])

    def _one(self, job: Job[Any], future: Future[Any], done: list[tuple[Future[Any], Any]]) -> None:
        self._connection.exec_driver_sql("SAVEPOINT job")
        mark = self.journal.mark()
        try:
            self.journal.begin()
            answer = job(self._connection, self.journal)
            self.journal.flush(self._connection)
        except DBAPIError as error:
            if not isinstance(error, IntegrityError):
                raise
            self._take_back(mark)
            _refuse(future, translate(error, self._path), error)
        except Exception as error:  # noqa: BLE001 - handed to the caller who is waiting for this job
            self._take_back(mark)
            future.set_exception(error)
        else:
            self._connection.exec_driver_sql("RELEASE job")
            done.append((future, answer))

    def _take_back(self, mark: Mark) -> None:
        self.journal.rewind(mark)
        self._connection.exec_driver_sql("ROLLBACK TO job")
        self._connection.exec_driver_sql("RELEASE job")

    def _fail(self, taken: list[Future[Any]], error: Exception) -> None:
        told = translate(error, self._path) if isinstance(error, DBAPIError) else error
        if isinstance(error, DBAPIError) and not isinstance(told, Transient):
            self._broken = told if isinstance(told, OffloaderError) else None
        for future in taken:
            if not future.done():
                _refuse(future, told, error)


def _refuse(future: Future[Any], told: Exception, cause: Exception) -> None:
    # One exception object per caller: several threads that raise the same one would mix up its traceback.
    mine = copy(told) if isinstance(told, OffloaderError) else told
    mine.__cause__ = cause if mine is not cause else None
    future.set_exception(mine)
