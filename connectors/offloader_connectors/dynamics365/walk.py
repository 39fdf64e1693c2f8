"""Listing a table in the order of its row versions: what all kinds of documents have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from offloader.model import Document, DocumentRef
from offloader_connectors.dynamics365 import odata, rows
from offloader_connectors.dynamics365.api import Answer
from offloader_connectors.dynamics365.marks import Mark, Seen
from offloader_connectors.dynamics365.options import DynamicsOptions
from offloader_connectors.dynamics365.rows import Row

#: asks for a list: operation, path and preferences; refusals come back as answers
Ask = Callable[[str, str, Sequence[str]], Answer]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A part of a listing. `mark` is where to go on; with `done`, where the next scan begins."""

    mark: Mark
    documents: tuple[Document, ...] = ()
    deleted: tuple[DocumentRef, ...] = ()
    done: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """One page of rows. `fresh`: those that were not listed by an earlier scan. `mark`: as after them."""

    fresh: Sequence[Row]
    mark: Mark
    more: bool


@dataclass(frozen=True, slots=True)
class Walk:
    """How to list a table: `filter` is encoded."""

    table: str
    set_name: str
    columns: Sequence[str]
    filter: str = ""

    def steps(self, ask: Ask, options: DynamicsOptions, since: Mark, mark: Mark) -> Iterator[Step]:
        """List what has a higher version than `since`, less the overlap, from `mark` on. At least one step."""
        last, more = looking_back(since.seen, options) if mark.last is None else mark.last, True
        while more:
            answer = ask(f"list.{self.table}", self._path(last), (page_size(options),)).require()
            found = answer.rows()
            versions = [rows.number(row, "versionnumber") for row in found]
            more = answer.next_link is not None
            if versions != sorted(versions) or any(each <= last for each in versions) or (more and not versions):
                raise rows.malformed(f"list.{self.table}", "rows are not in the order that was asked for")
            last = max([last, *versions])
            mark = replace(mark, seen=mark.seen.with_(versions, options.overlap), last=last if more else None)
            fresh = [row for row, version in zip(found, versions, strict=True) if version not in since.seen]
            yield Step(fresh, mark, more)

    def _path(self, last: int) -> str:
        newer = odata.encode(f"versionnumber gt {last}")
        return odata.select(self.set_name, self.columns, filter=odata.both(newer, self.filter), orderby="versionnumber")


def looking_back(seen: Seen, options: DynamicsOptions) -> int:
    """The version after which a listing begins that follows the one by which these were seen."""
    return max(seen.top - options.overlap, 0)


def page_size(options: DynamicsOptions) -> str:
    """The preference that limits the rows of a page."""
    return f"odata.maxpagesize={options.page_size}"


def highest(ask: Ask, table: str, set_name: str) -> Seen:
    """The highest row version of a table now, with nothing listed."""
    path = odata.select(set_name, ("versionnumber",), orderby="versionnumber desc", top=1)
    found = ask(f"list.{table}", path, ()).require().rows()
    return Seen(rows.number(found[0], "versionnumber") if found else 0)
