"""The ledger's documents, a page at a time: memory does not depend on how many there are."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from offloader.ledger import Entry
from offloader.model import State
from offloader.moves.site import Site


def pages(site: Site, states: Collection[State], *, size: int) -> Iterator[list[Entry]]:
    """Every document with a version in one of these states, in lists of at most `size`."""
    after = 0
    while entries := site.ledger.entries(states=states, after=after, limit=size):
        after = entries[-1].pk
        yield entries


def entries_in(site: Site, states: Collection[State]) -> Iterator[Entry]:
    """The same, one by one."""
    for page in pages(site, states, size=200):
        yield from page
