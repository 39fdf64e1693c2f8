"""May this user read this document now? The CRM's own answer, at the time of asking.

RetrievePrincipalAccess tells a user's rights on one row (Web API reference). It is asked of the note, of the mails that
carry an attachment now, and of the record that a column belongs to. Whoever may read one of several mails may read what
they share. Whatever cannot be told is UNKNOWN, which lets nobody in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import quote

from offloader.errors import Gone, OffloaderError, Permanent
from offloader.ports import Access, LinkRequest
from offloader_connectors.dynamics365 import mails, odata, places, rows
from offloader_connectors.dynamics365.api import Answer, Api, Part
from offloader_connectors.dynamics365.batch import MOST_PARTS
from offloader_connectors.dynamics365.environment import Environment
from offloader_connectors.dynamics365.places import MAILS, NOTES, Cell
from offloader_connectors.dynamics365.rows import Row

#: a row that decides, by its set and id
Target = tuple[str, str]
_USER_COLUMNS = ("systemuserid", "isdisabled")
#: longest name of a user (table reference, systemuser: domainname)
_LONGEST_NAME = 1024
_SETS: Mapping[str, str] = {"email": "emails", "appointment": "appointments"}


class Gatekeeper:
    """Answers for many documents of one user in two requests. Thread-safe, keeps nothing."""

    def __init__(self, api: Api, environment: Environment) -> None:
        self._api = api
        self._environment = environment

    def may_read(self, user: str, requests: Sequence[LinkRequest]) -> list[Access]:
        """Answer in order. Any failure to ask is UNKNOWN."""
        if not requests:
            return []
        if not user.strip() or len(user) > _LONGEST_NAME or not user.isprintable():
            return [Access.NO] * len(requests)
        try:
            return self._answer(user, requests)
        except OffloaderError:
            return [Access.UNKNOWN] * len(requests)

    def _answer(self, user: str, requests: Sequence[LinkRequest]) -> list[Access]:
        reader, carriers = self._look_up(user, requests)
        if reader is None:
            return [Access.NO] * len(requests)
        targets = [self._targets(each, carriers) for each in requests]
        known = self._ask(reader, odata.unique(target for each in targets for target in each))
        return [_best(known[target] for target in each) for each in targets]

    def _look_up(self, user: str, requests: Sequence[LinkRequest]) -> tuple[str | None, list[Row]]:
        """The user's id, None if there is no such active user; and the rows on mails that carry the documents now."""
        wanted = odata.unique(row for each in requests if each.document.ref.kind == MAILS for row in _rows_of(each))
        lists = odata.chunks(wanted, odata.IDS_PER_LIST)
        parts = [
            Part("GET", _user_path(user), operation="list.systemuser"),
            *(Part("GET", _rows_path(ids), operation=f"list.{mails.TABLE}") for ids in lists),
        ]
        found, *carriers = (answer.require().rows() for answer in self._api.batch("batch", parts))
        return _reader(found), [row for part in carriers for row in part]

    def _targets(self, request: LinkRequest, carriers: Sequence[Row]) -> list[Target]:
        """The rows of which one must be readable."""
        ref = request.document.ref
        try:
            if ref.kind == NOTES:
                return [("annotations", odata.guid(ref.id))]
            if ref.kind != MAILS:
                cell = Cell.of(ref)
                return [(self._environment.table(cell.table).set_name, cell.id)]
        except Permanent:
            return []
        own = set(_rows_of(request))
        standing = (row for row in carriers if rows.guid(row, mails.KEY) in own)
        return odata.unique(target for row in standing if (target := _mail(row)) is not None)

    def _ask(self, reader: str, targets: Sequence[Target]) -> dict[Target, Access]:
        parts = [Part("GET", _access_path(reader, each), operation="access") for each in targets]
        answers = (answer for some in odata.chunks(parts, MOST_PARTS) for answer in self._api.batch("batch", some))
        return {target: _access(answer) for target, answer in zip(targets, answers, strict=True)}


def _rows_of(request: LinkRequest) -> list[str]:
    try:
        return places.rows_of(request.document, request.link_ref)
    except Permanent:
        return []


def _rows_path(ids: Sequence[str]) -> str:
    return odata.select(
        mails.SET, (mails.KEY, "_objectid_value", "objecttypecode"), filter=odata.in_list(mails.KEY, ids)
    )


def _mail(row: Row) -> Target | None:
    set_name, mail = _SETS.get(rows.optional(row, "objecttypecode") or ""), rows.optional_guid(row, "_objectid_value")
    return (set_name, mail) if set_name and mail else None


def _user_path(user: str) -> str:
    """Users of this id, Entra object id, name or address; comparisons ignore case (Web API guide, "Filter rows")."""
    if odata.is_guid(user):
        names, value = ("systemuserid", "azureactivedirectoryobjectid"), user.lower()
    else:
        names, value = ("domainname", "internalemailaddress"), odata.literal(user)
    return odata.select(
        "systemusers", _USER_COLUMNS, filter="%20or%20".join(f"{each}%20eq%20{value}" for each in names), top=2
    )


def _reader(found: Sequence[Row]) -> str | None:
    """The one active user of that name; nobody if there is none, or more than one."""
    if len(found) != 1 or found[0].get("isdisabled") is not False:
        return None
    return rows.guid(found[0], "systemuserid", "list.systemuser")


def _access_path(reader: str, target: Target) -> str:
    row = quote(f"{{'@odata.id':'{odata.record(*target)}'}}", safe="'(){}:@.,")
    function = "Microsoft.Dynamics.CRM.RetrievePrincipalAccess(Target=@p1)"
    return f"{odata.record('systemusers', reader)}/{function}?@p1={row}"


def _access(answer: Answer) -> Access:
    error = answer.error()
    if isinstance(error, Gone) and answer.status == 404:
        return Access.NO
    rights = answer.body.get("AccessRights") if isinstance(answer.body, Mapping) else None
    if error is not None or not isinstance(rights, str):
        return Access.UNKNOWN
    return Access.YES if "ReadAccess" in (each.strip() for each in rights.split(",")) else Access.NO


def _best(answers: Iterable[Access]) -> Access:
    found = set(answers)
    return next((each for each in (Access.YES, Access.UNKNOWN) if each in found), Access.NO)
