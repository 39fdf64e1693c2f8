"""Attachments of mails: several rows, one on each mail, can share one attachment.

Table reference, activitymimeattachment and attachment: rows have neither a creation nor a modification time, so only
row versions tell that something changed. A row added to a mail with a reference to an existing attachment shares it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from offloader_connectors.dynamics365 import odata, rows
from offloader_connectors.dynamics365.api import Answer, Api, Part
from offloader_connectors.dynamics365.rows import Row

SET = "activitymimeattachments"
TABLE = "activitymimeattachment"
KEY = "activitymimeattachmentid"
SHARED = "_attachmentid_value"
COLUMNS = (
    KEY,
    "filename",
    "mimetype",
    "filesize",
    "_objectid_value",
    "objecttypecode",
    SHARED,
    "attachmentcontentid",
    "versionnumber",
)
#: lists in one batch
_LISTS = 20


@dataclass(frozen=True, slots=True)
class Shared:
    """One attachment with all rows that share it, in the order of their ids."""

    id: str
    etag: str
    members: tuple[Row, ...]

    @property
    def rows(self) -> dict[str, str]:
        """The etag of each row, by its id."""
        return {rows.guid(row, KEY): rows.etag(row) for row in self.members}


class Mails:
    """Reads attachments with their rows. Thread-safe."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def read(self, ids: Iterable[str]) -> dict[str, Shared]:
        """Attachments by their ids, whole; those that no mail has any more are left out.

        One request for up to 7,000 of them, as long as no list is longer than a page.
        """
        wanted = odata.unique(odata.guid(each) for each in ids)
        lists = list(odata.chunks(wanted, odata.IDS_PER_LIST))
        parts = [
            *(Part("GET", _by(SET, COLUMNS, "attachmentid", part), operation=f"list.{TABLE}") for part in lists),
            *(Part("GET", _by("attachments", ("attachmentid",), "attachmentid", part), operation="list.attachment")
              for part in lists),
        ]  # fmt: skip
        listed = self.lists(parts)
        versions = {rows.guid(row, "attachmentid"): rows.etag(row) for part in listed[len(lists) :] for row in part}
        return grouped((row for part in listed[: len(lists)] for row in part), versions)

    def of_mails(self, ids: Iterable[str]) -> list[str]:
        """Ids of the attachments that these mails have."""
        parts = [
            Part("GET", _by(SET, (KEY, SHARED), "objectid", part), operation=f"list.{TABLE}")
            for part in odata.chunks(odata.unique(ids), odata.IDS_PER_LIST)
        ]
        found = (rows.optional_guid(row, SHARED) for part in self.lists(parts) for row in part)
        return odata.unique(each for each in found if each)

    def lists(self, parts: Sequence[Part]) -> list[list[Row]]:
        """Carry out list queries together, each to its end. Raises the first error."""
        return [
            self._all(answer.require())
            for some in odata.chunks(parts, _LISTS)
            for answer in self._api.batch("batch", some)
        ]

    def _all(self, answer: Answer) -> list[Row]:
        found = answer.rows()
        if answer.next_link is not None:
            for page in self._api.pages(answer.operation, answer.next_link):
                found = [*found, *page.rows()]
        return found


def grouped(found: Iterable[Row], versions: Mapping[str, str]) -> dict[str, Shared]:
    """Put rows together by the attachment that they share. `versions`: the attachments' own etags, by id."""
    members: dict[str, dict[str, Row]] = {}
    for row in found:
        attachment = rows.optional_guid(row, SHARED)
        if attachment is not None:
            members.setdefault(attachment, {})[rows.guid(row, KEY)] = row
    return {
        each: Shared(each, _etag(versions.get(each, ""), own), tuple(own[key] for key in sorted(own)))
        for each, own in members.items()
    }


def _etag(attachment: str, members: Mapping[str, Row]) -> str:
    """A short fingerprint that changes with the attachment, with any of its rows, and with their number."""
    states = sorted((key, rows.etag(row)) for key, row in members.items())
    return hashlib.sha256(json.dumps([attachment, states], separators=(",", ":")).encode()).hexdigest()[:32]


def _by(set_name: str, columns: Sequence[str], key: str, ids: Sequence[str]) -> str:
    return odata.select(set_name, columns, filter=odata.in_list(key, ids))
