"""One pass over a report's rows for several writers: each runs in a thread of its own and is given the same rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from queue import Full, Queue

from offloader.reports.model import Report, Row

#: rows that are handed over at once, how many such parts may wait for a writer, and seconds until it is looked at
_PART, _WAITING, _PATIENCE = 500, 4, 0.5


class _Channel:
    """The rows on their way to one writer; None ends them."""

    def __init__(self) -> None:
        self._parts: Queue[Sequence[Row] | None] = Queue(_WAITING)
        self._taken = False
        self._broken: BaseException | None = None

    def rows(self) -> Iterator[Row]:
        if self._taken:
            raise RuntimeError("a writer goes through the rows once")
        self._taken = True
        while (part := self._parts.get()) is not None:
            if self._broken is not None:
                raise self._broken
            yield from part

    def put(self, part: Sequence[Row] | None, writer: Future[None]) -> None:
        """Hand over as soon as there is room, unless the writer has ended."""
        while not writer.done():
            try:
                self._parts.put(part, timeout=_PATIENCE)
            except Full:
                continue
            return

    def break_off(self, error: BaseException) -> None:
        """Let the writer fail with this error at once, whatever waits for it."""
        self._broken = error
        with suppress(Full):
            self._parts.put_nowait(())


def together(report: Report, writers: Sequence[Callable[[Report], None]]) -> None:
    """Run all writers on the report; its rows are made once. Raises what a writer raises, once all have ended."""
    with ThreadPoolExecutor(len(writers), "report") as threads:
        running: list[tuple[_Channel, Future[None]]] = []
        for write in writers:
            channel = _Channel()
            running.append((channel, threads.submit(write, replace(report, rows=channel.rows))))
        try:
            rows = report.rows()
            while part := list(islice(rows, _PART)):
                for channel, writer in running:
                    channel.put(part, writer)
            for channel, writer in running:
                channel.put(None, writer)
        except BaseException as error:
            # Also when interrupted: rows that break off must not look as if they had come to their end.
            for channel, _ in running:
                channel.break_off(error)
            raise
    for _, writer in running:
        writer.result()
