"""Pins: stored objects that copies under way rest on, before the ledger has a line that says so.

The ledger's lock lets one process write. Within it, one worker may find that bytes are stored already while another
takes away the last copy that the ledger knows of them: here the two meet.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Pins:
    """Counts, by store and key, what must not be removed and what is being removed. Safe for several threads."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._pinned: Counter[tuple[str, str]] = Counter()
        self._going: Counter[tuple[str, str]] = Counter()

    def take(self, store: str, key: str) -> bool:
        """Keep an object from being removed, until `drop`; False, and nothing kept, if that is under way."""
        with self._mutex:
            if self._going[store, key]:
                return False
            self._pinned[store, key] += 1
            return True

    def drop(self, store: str, key: str) -> None:
        """Take one `take` back."""
        with self._mutex:
            self._less(self._pinned, (store, key))

    @contextmanager
    def removing(self, store: str, key: str, referenced: Callable[[], bool], mine: int = 0) -> Iterator[bool]:
        """Whether an object may be removed: not pinned (but for `mine`), not `referenced`; nobody can pin it then."""
        with self._mutex:
            free = self._pinned[store, key] <= mine and not referenced()
            if free:
                self._going[store, key] += 1
        try:
            yield free
        finally:
            if free:
                with self._mutex:
                    self._less(self._going, (store, key))

    @staticmethod
    def _less(counts: Counter[tuple[str, str]], place: tuple[str, str]) -> None:
        counts[place] -= 1
        if counts[place] <= 0:
            del counts[place]
