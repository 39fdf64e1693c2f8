"""Listing notes with files: by change tracking where the table has it, else by row versions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from offloader.model import Document, DocumentRef
from offloader_connectors.dynamics365 import documents, odata, rows
from offloader_connectors.dynamics365.api import Answer, Api
from offloader_connectors.dynamics365.documents import NOTE_COLUMNS, Rules
from offloader_connectors.dynamics365.environment import Environment
from offloader_connectors.dynamics365.marks import Mark, Seen
from offloader_connectors.dynamics365.options import DynamicsOptions
from offloader_connectors.dynamics365.places import NOTES
from offloader_connectors.dynamics365.rows import Row
from offloader_connectors.dynamics365.walk import Ask, Listed, Walk, highest, looking_back, page_size

_LIST = "list.annotation"
_WALK = Walk("annotation", "annotations", NOTE_COLUMNS, odata.encode("isdocument eq true"))
_TRACK = "odata.track-changes"


class NoteListing:
    """Lists and reads notes, without signals. Thread-safe.

    It is not documented whether the token at the end of a tracked listing stands for its first or its last page. So
    after one of several pages, the next scan looks back once by row versions.
    """

    def __init__(self, source: str, api: Api, environment: Environment, options: DynamicsOptions, rules: Rules) -> None:
        self._source = source
        self._api = api
        self._environment = environment
        self._options = options
        self._rules = rules

    def pages(self, ask: Ask, since: Mark | None, cursor: Mark | None) -> Iterator[Listed]:
        if cursor is None:
            return self._begin(ask, since)
        # an expired token makes a full scan of an incremental one
        before = Mark() if cursor.full or since is None else since
        if not cursor.link:
            return self._plain(ask, before, cursor)
        return self._whole(ask, cursor) if cursor.full else self._changes(ask, before, cursor)

    def fetch(self, ids: Sequence[str]) -> list[Document]:
        """Read notes by their ids; those that are not there, or have no file, are left out."""
        found: list[Document] = []
        for part in odata.chunks(ids, odata.IDS_PER_LIST):
            path = odata.select("annotations", NOTE_COLUMNS, filter=odata.in_list("annotationid", part))
            for answer in self._api.pages(_LIST, path):
                found += self._documents(row for row in answer.rows() if rows.flag(row, "isdocument"))
        return found

    def _begin(self, ask: Ask, since: Mark | None) -> Iterator[Listed]:
        if since is not None:
            mark = replace(since, full=False)
            return self._changes(ask, since, mark) if since.delta else self._plain(ask, since, mark)
        if self._environment.table("annotation").change_tracking:
            return self._whole(ask, Mark(full=True, seen=highest(ask, "annotation", "annotations")))
        return self._plain(ask, Mark(), Mark(full=True))

    def _documents(self, found: Iterator[Row]) -> tuple[Document, ...]:
        return tuple(documents.note_document(self._source, row, self._rules) for row in found)

    # -- by row versions ----------------------------------------------------------------------------------------

    def _plain(self, ask: Ask, since: Mark, mark: Mark) -> Iterator[Listed]:
        for step in _WALK.steps(ask, self._options, since, mark):
            yield Listed(mark=step.mark, documents=self._documents(iter(step.fresh)), done=not step.more)

    # -- by change tracking -------------------------------------------------------------------------------------

    def _whole(self, ask: Ask, mark: Mark) -> Iterator[Listed]:
        """All notes; those without a file come along and are left out."""
        first = odata.select("annotations", NOTE_COLUMNS)
        prefer = (_TRACK, page_size(self._options))
        answer = ask(_LIST, mark.link or first, prefer)
        if not answer.ok and mark.link:
            # addresses of pages are not made to be kept, and may be refused later on
            yield from self._begin(ask, None)
            return
        while True:
            found = answer.require().rows()
            mark = replace(mark, seen=self._recorded(mark.seen, found))
            listed = self._documents(row for row in found if rows.flag(row, "isdocument"))
            following = answer.next_link
            if following is None:
                yield Listed(mark=replace(mark, link="", delta=_delta_link(answer)), documents=listed, done=True)
                return
            mark = replace(mark, link=following, look_back=True)
            yield Listed(mark=mark, documents=listed)
            answer = ask(_LIST, following, prefer)

    def _changes(self, ask: Ask, since: Mark, mark: Mark) -> Iterator[Listed]:
        """What changed since the token was given, deletions included."""
        prefer = (page_size(self._options),)
        answer = ask(_LIST, mark.link or since.delta, prefer)
        if not answer.ok:
            # an expired token begins anew; so does a page that is refused later on
            yield from self._begin(ask, since if mark.link else None)
            return
        mark = mark if mark.link else replace(mark, look_back=False)
        while True:
            found = answer.require().rows()
            gone = [row for row in found if _is_deletion(row)]
            alive = [row for row in found if not _is_deletion(row)]
            if not mark.look_back:
                mark = replace(mark, seen=mark.seen.with_(_versions(alive), self._options.overlap))
            listed = self._documents(row for row in alive if rows.flag(row, "isdocument"))
            emptied = [rows.guid(row, "annotationid") for row in alive if not rows.flag(row, "isdocument")]
            deleted = tuple(
                DocumentRef(self._source, NOTES, each)
                for each in odata.unique([*(rows.guid(row, "id") for row in gone), *emptied])
            )
            following = answer.next_link
            if following is None:
                break
            mark = replace(mark, link=following, look_back=True)
            yield Listed(mark=mark, documents=listed, deleted=deleted)
            answer = ask(_LIST, following, prefer)
        mark = replace(mark, link="", delta=_delta_link(answer))
        if not since.look_back:
            yield Listed(mark=mark, documents=listed, deleted=deleted, done=True)
            return
        mark = replace(mark, last=looking_back(since.seen, self._options))
        yield Listed(mark=mark, documents=listed, deleted=deleted)
        # by row versions; change tracking goes on next time where it has ended now
        yield from self._plain(ask, since, mark)

    def _recorded(self, seen: Seen, found: Sequence[Row]) -> Seen:
        """After listing these: what is newer than the listing's beginning is to be found again."""
        return seen.with_(_versions(found), self._options.overlap, top=seen.top)


def _versions(found: Sequence[Row]) -> list[int]:
    return [rows.number(row, "versionnumber") for row in found]


def _delta_link(answer: Answer) -> str:
    return rows.optional(answer.record(), "@odata.deltaLink") or ""


def _is_deletion(row: Row) -> bool:
    context = rows.optional(row, "@odata.context") or ""
    return context.endswith("/$deletedEntity") or row.get("reason") == "deleted"
