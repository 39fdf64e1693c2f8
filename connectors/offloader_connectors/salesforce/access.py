"""May this user read this document now? The CRM's own answer, at the time of asking.

A file may be read by its owner, by whom it is shared with directly or through a group, and by whoever may read a
record that it hangs on, unless it is private on records or hidden from external users (Object Reference,
ContentDocumentLink). UserRecordAccess tells the record's part, for one user and up to 200 records a query (Object
Reference, UserRecordAccess). E-mails have no sharing of their own: the record behind them decides. Whatever cannot be
told is UNKNOWN, which lets nobody in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from offloader.errors import OffloaderError
from offloader.model import Parent
from offloader.ports import Access, LinkRequest
from offloader_connectors.salesforce import documents, rows, soql, standing
from offloader_connectors.salesforce.api import Api
from offloader_connectors.salesforce.org import PEOPLE, Org
from offloader_connectors.salesforce.rows import Row

#: UserRecordAccess answers for 200 records at most
_RECORDS_PER_QUERY = 200


@dataclass(frozen=True, slots=True)
class Reader:
    """Who asks."""

    id: str
    internal: bool


@dataclass(frozen=True, slots=True)
class Case:
    """What decides about one document: people and groups that may read it, and records whose readers may."""

    people: frozenset[str] = frozenset()
    records: frozenset[str] = frozenset()


class Gatekeeper:
    """Answers for many documents of one user in two to four calls. Thread-safe, keeps nothing."""

    def __init__(self, api: Api, org: Org) -> None:
        self._api = api
        self._org = org

    def may_read(self, user: str, requests: Sequence[LinkRequest]) -> list[Access]:
        """Answer in order. Any failure to ask is UNKNOWN."""
        if not requests:
            return []
        try:
            return self._answer(user, requests)
        except OffloaderError:
            return [Access.UNKNOWN] * len(requests)

    def _answer(self, user: str, requests: Sequence[LinkRequest]) -> list[Access]:
        targets = [_target(each) for each in requests]
        files = soql.unique(each for each in targets if each.startswith("069"))
        attachments = soql.unique(each for each in targets if each.startswith("00P"))
        asked_files = standing.statements(files)
        statements = [_user_statement(user), *asked_files]
        statements += [
            soql.select("Id, ParentId, OwnerId, IsPrivate", "Attachment", f"Id IN {soql.id_list(part)}")
            for part in soql.chunks(attachments, soql.IDS_PER_QUERY)
        ]
        users, *found = self._api.queries(statements)
        reader = _reader(users)
        if reader is None:
            return [Access.NO] * len(requests)
        cases = {
            each.document: _file_case(each, reader)
            for each in standing.build(files, found[: len(asked_files)], self._org).values()
        }
        cases |= {
            rows.record_id(row, "Id"): _attachment_case(row, reader)
            for part in found[len(asked_files) :]
            for row in part
        }
        return self._decide(reader, [cases.get(each) for each in targets])

    def _decide(self, reader: Reader, cases: Sequence[Case | None]) -> list[Access]:
        open_ = [each for each in cases if each and reader.id not in each.people]
        groups = self._groups(reader, {group for each in open_ for group in each.people})
        records = self._records(reader, {record for each in open_ for record in each.records})
        answers = []
        for each in cases:
            if each is None:
                answers.append(Access.NO)
            elif reader.id in each.people or each.people & groups:
                answers.append(Access.YES)
            else:
                answers.append(_best(records.get(record, Access.UNKNOWN) for record in each.records))
        return answers

    def _groups(self, reader: Reader, candidates: Iterable[str]) -> set[str]:
        """Those of the Chatter groups that the user is a member of."""
        groups = [each for each in candidates if self._org.type_of(each) == "CollaborationGroup"]
        found: set[str] = set()
        for part in soql.chunks(groups, soql.IDS_PER_QUERY):
            where = f"MemberId = {soql.quote(reader.id)} AND CollaborationGroupId IN {soql.id_list(part)}"
            members = self._api.query(soql.select("CollaborationGroupId", "CollaborationGroupMember", where))
            found.update(rows.record_id(row, "CollaborationGroupId") for row in members)
        return found

    def _records(self, reader: Reader, records: Iterable[str]) -> dict[str, Access]:
        """Whether the user may read these records; an e-mail is readable if a record behind it is."""
        wanted = sorted(records)
        emails = [each for each in wanted if self._org.type_of(each) == documents.EMAIL]
        behind = self._behind(emails)
        plain = soql.unique(
            [*(each for each in wanted if each not in behind), *(r for many in behind.values() for r in many)]
        )
        parts = list(soql.chunks(plain, _RECORDS_PER_QUERY))
        asked = [
            soql.select(
                "RecordId, HasReadAccess",
                "UserRecordAccess",
                f"UserId = {soql.quote(reader.id)} AND RecordId IN {soql.id_list(part)}",
            )
            for part in parts
        ]
        known: dict[str, Access] = {}
        found = self._api.each_query([(statement, False) for statement in asked]) if asked else []
        for part, answer in zip(parts, found, strict=True):
            if isinstance(answer, OffloaderError):
                known.update(dict.fromkeys(part, Access.UNKNOWN))
            else:
                known.update(dict.fromkeys(part, Access.NO))
                known.update(
                    (rows.record_id(row, "RecordId"), Access.YES) for row in answer if rows.flag(row, "HasReadAccess")
                )
        return known | {
            email: _best(known.get(each, Access.UNKNOWN) for each in many) for email, many in behind.items()
        }

    def _behind(self, emails: Sequence[str]) -> dict[str, list[str]]:
        """The records behind e-mails; an e-mail that cannot be seen has none."""
        behind: dict[str, list[str]] = {each: [] for each in emails}
        for part in soql.chunks(emails, soql.IDS_PER_QUERY):
            found = self._api.query(
                soql.select("Id, ParentId, RelatedToId", "EmailMessage", f"Id IN {soql.id_list(part)}")
            )
            for row in found:
                records = (rows.optional_id(row, name) for name in ("ParentId", "RelatedToId"))
                behind[rows.record_id(row, "Id")] = soql.unique(each for each in records if each)
        return behind


def _target(request: LinkRequest) -> str:
    """The record that stands for the document now: its link file if it has one, else itself."""
    linked = request.link_ref.get("document", "")
    return soql.id18(linked if soql.is_id(linked) else request.document.ref.id)


def _user_statement(user: str) -> str:
    name = (
        f"Id = {soql.quote(soql.id18(user))}"
        if soql.is_id(user) and user.startswith("005")
        else f"Username = {soql.quote(user)}"
    )
    return soql.select("Id, IsActive, UserType", "User", name)


def _reader(found: Sequence[Row]) -> Reader | None:
    """The one active user of that name; nobody if there is none, or more than one."""
    if len(found) != 1 or not rows.flag(found[0], "IsActive"):
        return None
    return Reader(rows.record_id(found[0], "Id"), rows.optional(found[0], "UserType") == "Standard")


def _file_case(file: standing.Standing, reader: Reader) -> Case:
    people = {each.id for each in file.parents if each.type in PEOPLE}
    private = file.sharing_privacy == "P"
    records = {each.id for each in file.parents if each.type not in PEOPLE and not private and _visible(each, reader)}
    return Case(frozenset(people | ({file.owner} if file.owner else set())), frozenset(records))


def _visible(parent: Parent, reader: Reader) -> bool:
    return reader.internal or parent.sharing.get("Visibility") == "AllUsers"


def _attachment_case(row: Mapping[str, object], reader: Reader) -> Case:
    """An attachment is as readable as its record; a private one only for its owner (Object Reference,
    Attachment.IsPrivate).
    """
    if rows.flag(row, "IsPrivate") and rows.optional_id(row, "OwnerId") != reader.id:
        return Case()
    return Case(records=frozenset({rows.record_id(row, "ParentId")}))


def _best(answers: Iterable[Access]) -> Access:
    found = set(answers)
    return next((each for each in (Access.YES, Access.UNKNOWN) if each in found), Access.NO)
