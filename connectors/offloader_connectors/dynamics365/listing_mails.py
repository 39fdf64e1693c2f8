"""Listing attachments of mails, each shared one once, with all its rows."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from offloader.model import Document
from offloader_connectors.dynamics365 import documents, mails, odata, rows, skip
from offloader_connectors.dynamics365.api import Api, Part
from offloader_connectors.dynamics365.documents import MAIL_COLUMNS, Rules, Surroundings
from offloader_connectors.dynamics365.inline import shown_inline
from offloader_connectors.dynamics365.mails import Mails, Shared
from offloader_connectors.dynamics365.marks import Mark
from offloader_connectors.dynamics365.options import DynamicsOptions
from offloader_connectors.dynamics365.rows import Row
from offloader_connectors.dynamics365.walk import Ask, Listed, Walk, page_size

_WALK = Walk(mails.TABLE, mails.SET, mails.COLUMNS)


class MailListing:
    """Lists and reads attachments of mails, without signals. Thread-safe.

    Mails that were changed lately hold their attachments back. Nothing happens to the attachments when that time is
    over, so each scan asks for the mails that have passed it since the scan before.
    """

    def __init__(
        self, source: str, api: Api, options: DynamicsOptions, rules: Rules, now: Callable[[], datetime]
    ) -> None:
        self._source = source
        self._api = api
        self._mails = Mails(api)
        self._options = options
        self._rules = rules
        self._now = now

    def pages(self, ask: Ask, since: Mark | None, cursor: Mark | None) -> Iterator[Listed]:
        before = since or Mark()
        mark = cursor or replace(before, full=since is None, cut=self._cut().isoformat())
        if not mark.link:
            yield from self._walked(ask, before, mark)
            return
        yield from self._aged(ask, before, mark)

    def fetch(self, ids: Sequence[str]) -> list[Document]:
        """Read attachments by their ids, whole; those that no mail has any more are left out."""
        return self._documents(self._mails.read(ids).values(), self._cut()) if ids else []

    def _cut(self) -> datetime:
        """To the second, as mails have their times."""
        return self._now().replace(microsecond=0) - timedelta(days=self._options.mail_min_age_days)

    # -- by row versions ----------------------------------------------------------------------------------------

    def _walked(self, ask: Ask, since: Mark, mark: Mark) -> Iterator[Listed]:
        came: set[str] = set()
        for step in _WALK.steps(ask, self._options, since, mark):
            listed = tuple(self._of_rows(step.fresh, came, mark.cut))
            if step.more:
                yield Listed(mark=step.mark, documents=listed)
                continue
            aged = _aged_path(since.cut, mark.cut)
            if aged is None:
                yield Listed(mark=step.mark, documents=listed, done=True)
                return
            mark = replace(step.mark, link=aged)
            yield Listed(mark=mark, documents=listed)
            yield from self._aged(ask, since, mark)

    def _of_rows(self, fresh: Iterable[Row], came: set[str], cut: str) -> list[Document]:
        """Attachments that these rows share with others, save those of several rows that came on an earlier page."""
        ids = {each for row in fresh if (each := rows.optional_guid(row, mails.SHARED))} - came
        found = self._mails.read(sorted(ids)).values() if ids else ()
        came.update(each.id for each in found if len(each.members) > 1)
        return self._documents(found, datetime.fromisoformat(cut))

    # -- by the age of mails ------------------------------------------------------------------------------------

    def _aged(self, ask: Ask, since: Mark, mark: Mark) -> Iterator[Listed]:
        """Attachments of mails that were too recent for the scan before, and are not any more."""
        resumed, operation, prefer = mark.link, "list.email", (page_size(self._options),)
        answer = ask(operation, resumed, prefer)
        first = _aged_path(since.cut, mark.cut)
        if not answer.ok and first is not None and resumed != first:
            answer = ask(operation, first, prefer)
        while True:
            ids = [rows.guid(row, "activityid", operation) for row in answer.require().rows()]
            listed = tuple(self._of_mails(ids, mark.cut))
            following = answer.next_link
            if following is None:
                yield Listed(mark=replace(mark, link=""), documents=listed, done=True)
                return
            mark = replace(mark, link=following)
            yield Listed(mark=mark, documents=listed)
            answer = ask(operation, following, prefer)

    def _of_mails(self, ids: Sequence[str], cut: str) -> list[Document]:
        attachments = self._mails.of_mails(ids) if ids else []
        if not attachments:
            return []
        return self._documents(self._mails.read(attachments).values(), datetime.fromisoformat(cut))

    # -- documents ----------------------------------------------------------------------------------------------

    def _documents(self, found: Iterable[Shared], cut: datetime) -> list[Document]:
        found = list(found)
        open_ = [each for each in found if not all(skip.of_file(row) for row in each.members)]
        members = [row for each in open_ for row in each.members]
        known = self._read_mails({mail for row in members if (mail := _email(row))})
        settled = {key for key, row in known.items() if skip.of_mail(row, cut) is not None}
        inline = shown_inline(self._api, (row for row in members if _email(row) not in settled))
        around = Surroundings(known, inline, cut)
        return [documents.mail_document(self._source, each, self._rules, around) for each in found]

    def _read_mails(self, ids: Collection[str]) -> dict[str, Row]:
        """Mails by their ids; those that may not be seen are left out."""
        parts = [
            Part(
                "GET",
                odata.select("emails", MAIL_COLUMNS, filter=odata.in_list("activityid", part)),
                operation="list.email",
            )
            for part in odata.chunks(sorted(ids), odata.IDS_PER_LIST)
        ]
        return {rows.guid(row, "activityid"): row for part in self._mails.lists(parts) for row in part}


def _email(row: Row) -> str | None:
    return rows.optional_guid(row, "_objectid_value") if row.get("objecttypecode") == "email" else None


def _aged_path(before: str, now: str) -> str | None:
    """The list of completed mails that were last changed between two moments; None where there can be none."""
    if not before:
        return None
    start, end = datetime.fromisoformat(before), datetime.fromisoformat(now)
    if end <= start:
        return None
    span = f"modifiedon gt {odata.moment(start)} and modifiedon le {odata.moment(end)} and statecode eq 1"
    return odata.select("emails", ("activityid",), filter=odata.encode(span), orderby="modifiedon,activityid")
